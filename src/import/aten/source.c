/*
 * Tensors that are made of nothing (zeros, arange).  No operator here reads the
 * elements of a tensor.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"
#include "import/aten/writes.h"

#include <math.h>

/* --------------------------------------------------------------- constants */

/* What is made in float64 must be f32, and may be given out. */
static ptf_status check_double(ptf_lowering *l, double number)
{
    return ptf_lower_result_dtype(l) == PTF_DTYPE_F64 &&
                   fabs((double)(float)number - number) > 0
               ? ptf_lower_refuse(l, "makes a number that float32 does not "
                                     "hold")
               : PTF_OK;
}

ptf_status ptf_lower_give_filled(ptf_lowering *l, const int64_t *sizes,
                                 int rank, double number)
{
    ptf_shape shape = {.rank = rank};
    float *data;
    bool fits = rank <= PTF_SHAPE_MAX;
    for (int d = 0; d < rank && fits; d++)
        shape.dim[d] = sizes[d];
    if (!fits || !ptf_shape_is_sane(&shape))
        return ptf_lower_refuse(l,
                                "expected at most %d sizes, none negative, "
                                "of not too many numbers",
                                PTF_SHAPE_MAX);
    int64_t n = ptf_shape_numel(&shape);
    ptf_status status = check_double(l, number);
    if (status == PTF_OK)
        status = ptf_lower_room(l, n, &data);
    for (int64_t i = 0; i < n && status == PTF_OK; i++)
        data[i] = (float)number;
    return status == PTF_OK ? ptf_lower_give_constant(l, data, &shape) : status;
}

/* The number that fills: an argument, or 1 or 0 by the operator's name. */
static ptf_status fill_of(ptf_lowering *l, double *out)
{
    if (ptf_program_argument(l->call, "fill_value") != NULL)
        return ptf_lower_number(l, "fill_value", out);
    *out = strstr(l->call->target, "ones") != NULL;
    return PTF_OK;
}

/* In the sizes that are given, or in those of 'self'. */
static ptf_status lower_full(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    bool sized = ptf_program_argument(l->call, "size") != NULL;
    int64_t sizes[PTF_LOWER_LIST];
    int rank;
    double number = 0;
    ptf_status status = sized ? ptf_lower_list(l, "size", sizes, &rank)
                              : ptf_lower_sizes(l, "self", sizes, &rank);
    if (status == PTF_OK)
        status = fill_of(l, &number);
    return status == PTF_OK ? ptf_lower_give_filled(l, sizes, rank, number)
                            : status;
}

/* The call writes to all of it, and reads nothing of it. */
static bool overwrites(const ptf_program_node *call, int value)
{
    const ptf_aten_row *row = ptf_aten_find(call->target, call->schema);
    bool fills =
        row != NULL && row->fills && ptf_schema_writes_first(call->schema);
    for (int i = 1; i < call->argument_count; i++)
        fills = fills && !ptf_lower_reads(&call->arguments[i], value);
    return fills;
}

static bool has_elements(const ptf_program_value *v)
{
    bool some = true;
    for (int d = 0; d < v->rank; d++)
        some = some && !(v->sizes[d].known && v->sizes[d].value == 0);
    return some;
}

/* Memory as it is found: the first call that uses it must fill it. */
static ptf_status lower_empty(ptf_lowering *l, const ptf_aten_row *row)
{
    const ptf_program_graph *g = l->graph;
    int value = l->call->result_count > 0 ? l->call->results[0] : -1;
    const ptf_program_node *first = NULL;
    for (int i = 0; i < g->node_count && value >= 0; i++) {
        const ptf_program_node *node = &g->nodes[i];
        for (int k = 0; k < node->argument_count && first == NULL; k++)
            first = ptf_lower_reads(&node->arguments[k], value) ? node : NULL;
    }
    if (value >= 0 && !has_elements(ptf_lower_value(l, value)))
        return lower_full(l, row);
    if (first == NULL || !overwrites(first, value))
        return ptf_lower_refuse(l, "gives memory that is read before it is "
                                   "filled");
    return lower_full(l, row);
}

static ptf_status lower_scalar_tensor(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    double number;
    ptf_status status = ptf_lower_number(l, "s", &number);
    return status == PTF_OK ? ptf_lower_give_filled(l, NULL, 0, number)
                            : status;
}

/* start + i step, in double and rounded once, as PyTorch does. */
static ptf_status lower_arange(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    double start = 0, end, step = 1;
    float *data;
    ptf_status status = ptf_lower_number(l, "end", &end);
    if (status == PTF_OK && ptf_program_argument(l->call, "start") != NULL)
        status = ptf_lower_number(l, "start", &start);
    if (status == PTF_OK && ptf_program_argument(l->call, "step") != NULL)
        status = ptf_lower_number(l, "step", &step);
    if (status != PTF_OK)
        return status;
    double count = ceil((end - start) / step);
    if (!(count >= 0 && count <= 16777216))
        return ptf_lower_refuse(l, "expected 0 to 2^24 numbers");
    ptf_shape shape = {.rank = 1, .dim = {(int64_t)count}};
    status = ptf_lower_room(l, shape.dim[0], &data);
    for (int64_t i = 0; i < shape.dim[0] && status == PTF_OK; i++) {
        double number = start + (double)i * step;
        data[i] = (float)number;
        status = check_double(l, number);
    }
    return status == PTF_OK ? ptf_lower_give_constant(l, data, &shape) : status;
}

/* From start to end in equal steps, in double and rounded once; from both ends,
 * as in PyTorch. */
static ptf_status lower_linspace(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    double start = 0, end = 0;
    int64_t steps;
    float *data;
    ptf_status status = ptf_lower_number(l, "start", &start);
    if (status == PTF_OK)
        status = ptf_lower_number(l, "end", &end);
    if (status == PTF_OK)
        status = ptf_lower_int(l, "steps", &steps);
    if (status == PTF_OK && (steps < 0 || steps > 1 << 24))
        status = ptf_lower_refuse(l, "expected 0 to 2^24 numbers");
    if (status != PTF_OK)
        return status;
    ptf_shape shape = {.rank = 1, .dim = {steps}};
    double step = steps > 1 ? (end - start) / (double)(steps - 1) : 0;
    status = ptf_lower_room(l, steps, &data);
    for (int64_t i = 0; i < steps && status == PTF_OK; i++) {
        double number = i < steps / 2 || steps == 1
                            ? start + step * (double)i
                            : end - step * (double)(steps - 1 - i);
        data[i] = (float)number;
        status = check_double(l, number);
    }
    return status == PTF_OK ? ptf_lower_give_constant(l, data, &shape) : status;
}

/* Ones where row and column are the same. */
static ptf_status lower_eye(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    bool square = ptf_program_argument(l->call, "m") == NULL;
    ptf_shape shape = {.rank = 2};
    float *data;
    ptf_status status = ptf_lower_int(l, "n", &shape.dim[0]);
    if (status == PTF_OK)
        status = ptf_lower_int(l, square ? "n" : "m", &shape.dim[1]);
    if (status == PTF_OK && !ptf_shape_is_sane(&shape))
        status = ptf_lower_refuse(l, "expected sizes that are not negative");
    int64_t numel = status == PTF_OK ? ptf_shape_numel(&shape) : 0;
    if (status == PTF_OK)
        status = ptf_lower_room(l, numel, &data);
    for (int64_t i = 0; status == PTF_OK && i < numel; i++)
        data[i] = i / shape.dim[1] == i % shape.dim[1];
    return status == PTF_OK ? ptf_lower_give_constant(l, data, &shape) : status;
}

const ptf_aten_row ptf_aten_source[] = {
    {.target = "aten.full.default", .lower = lower_full},
    {.target = "aten.zeros.default", .lower = lower_full},
    {.target = "aten.ones.default", .lower = lower_full},
    {.target = "aten.new_full.default", .lower = lower_full},
    {.target = "aten.new_zeros.default", .lower = lower_full},
    {.target = "aten.new_ones.default", .lower = lower_full},
    {.target = "aten.full_like.default", .lower = lower_full},
    {.target = "aten.zeros_like.default", .lower = lower_full},
    {.target = "aten.ones_like.default", .lower = lower_full},
    {.target = "aten.empty.memory_format", .lower = lower_empty},
    {.target = "aten.new_empty.default", .lower = lower_empty},
    {.target = "aten.empty_like.default", .lower = lower_empty},
    {.target = "aten.scalar_tensor.default", .lower = lower_scalar_tensor},
    {.target = "aten.arange.default", .lower = lower_arange},
    {.target = "aten.arange.start", .lower = lower_arange},
    {.target = "aten.arange.start_step", .lower = lower_arange},
    {.target = "aten.linspace.default", .lower = lower_linspace},
    {.target = "aten.linspace.Tensor_Tensor", .lower = lower_linspace},
    {.target = "aten.linspace.Tensor_Scalar", .lower = lower_linspace},
    {.target = "aten.linspace.Scalar_Tensor", .lower = lower_linspace},
    {.target = "aten.eye.default", .lower = lower_eye},
    {.target = "aten.eye.m", .lower = lower_eye},
    {0},
};

bool ptf_aten_is_made(const char *target)
{
    for (const ptf_aten_row *r = ptf_aten_source; r->target != NULL; r++) {
        if (strcmp(r->target, target) == 0)
            return true;
    }
    return false;
}

bool ptf_aten_is_source(const char *target)
{
    static const char sizes[] = "aten.sym_";
    return ptf_aten_is_made(target) ||
           strncmp(target, sizes, sizeof(sizes) - 1) == 0;
}
