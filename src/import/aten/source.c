/*
 * Tensors that are made of nothing (zeros, arange), and numbers that the sizes
 * of the inputs decide.  No operator here reads the elements of a tensor.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"
#include "import/aten/writes.h"

#include <math.h>

/* --------------------------------------------------------------- constants */

ptf_status ptf_lower_give_filled(ptf_lowering *l, const int64_t *sizes,
                                 int rank, double number)
{
    ptf_shape shape = {.rank = rank};
    float *data;
    int64_t n = 1;
    for (int d = 0; d < rank; d++) {
        if (d >= PTF_SHAPE_MAX || sizes[d] < 1 || !ptf_mul_i64(n, sizes[d], &n))
            return ptf_lower_refuse(l, "expected at most %d positive sizes",
                                    PTF_SHAPE_MAX);
        shape.dim[d] = sizes[d];
    }
    ptf_status status = ptf_lower_room(l, n, &data);
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

/* The argument is this value, or has it in its list. */
static bool reads(const ptf_argument *a, int value)
{
    bool some = a->kind == PTF_ARGUMENT_VALUE && a->value == value;
    for (int k = 0; a->kind == PTF_ARGUMENT_VALUES && k < a->count; k++)
        some = some || a->values[k] == value;
    return some;
}

/* The call writes to all of it, and reads nothing of it. */
static bool overwrites(const ptf_program_node *call, int value)
{
    const ptf_aten_row *row = ptf_aten_find(call->target, call->schema);
    bool fills =
        row != NULL && row->fills && ptf_schema_writes_first(call->schema);
    for (int i = 1; i < call->argument_count; i++)
        fills = fills && !reads(&call->arguments[i], value);
    return fills;
}

/* Memory as it is found: the first call that uses it must fill it. */
static ptf_status lower_empty(ptf_lowering *l, const ptf_aten_row *row)
{
    const ptf_program_graph *g = &l->program->graph;
    int value = l->call->result_count > 0 ? l->call->results[0] : -1;
    const ptf_program_node *first = NULL;
    for (int i = 0; i < g->node_count && value >= 0; i++) {
        const ptf_program_node *node = &g->nodes[i];
        for (int k = 0; k < node->argument_count && first == NULL; k++)
            first = reads(&node->arguments[k], value) ? node : NULL;
    }
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
    if (!(count >= 1 && count <= 16777216))
        return ptf_lower_refuse(l, "expected 1 to 2^24 numbers");
    ptf_shape shape = {.rank = 1, .dim = {(int64_t)count}};
    status = ptf_lower_room(l, shape.dim[0], &data);
    for (int64_t i = 0; i < shape.dim[0] && status == PTF_OK; i++)
        data[i] = (float)(start + (double)i * step);
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
    if (status == PTF_OK && (steps < 1 || steps > 1 << 24))
        status = ptf_lower_refuse(l, "expected 1 to 2^24 numbers");
    if (status != PTF_OK)
        return status;
    ptf_shape shape = {.rank = 1, .dim = {steps}};
    double step = steps > 1 ? (end - start) / (double)(steps - 1) : 0;
    status = ptf_lower_room(l, steps, &data);
    for (int64_t i = 0; i < steps && status == PTF_OK; i++)
        data[i] = (float)(i < steps / 2 || steps == 1
                              ? start + step * (double)i
                              : end - step * (double)(steps - 1 - i));
    return status == PTF_OK ? ptf_lower_give_constant(l, data, &shape) : status;
}

/* Ones where row and column are the same. */
static ptf_status lower_eye(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    bool square = ptf_program_argument(l->call, "m") == NULL;
    ptf_shape shape = {.rank = 2};
    int64_t numel = 0;
    float *data;
    ptf_status status = ptf_lower_int(l, "n", &shape.dim[0]);
    if (status == PTF_OK)
        status = ptf_lower_int(l, square ? "n" : "m", &shape.dim[1]);
    if (status == PTF_OK && (shape.dim[0] < 1 || shape.dim[1] < 1 ||
                             !ptf_mul_i64(shape.dim[0], shape.dim[1], &numel)))
        status = ptf_lower_refuse(l, "expected positive sizes");
    if (status == PTF_OK)
        status = ptf_lower_room(l, numel, &data);
    for (int64_t i = 0; status == PTF_OK && i < numel; i++)
        data[i] = i / shape.dim[1] == i % shape.dim[1];
    return status == PTF_OK ? ptf_lower_give_constant(l, data, &shape) : status;
}

/* ----------------------------------------------------------------- numbers */

static ptf_status give_number(ptf_lowering *l, int64_t number, bool of_batch)
{
    int result = l->call->result_count > 0 ? l->call->results[0] : -1;
    if (result >= 0) {
        l->values[result].is_int = true;
        l->values[result].of_batch = of_batch;
        l->values[result].number = number;
    }
    return PTF_OK;
}

static ptf_status lower_size(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    int64_t sizes[PTF_LOWER_LIST], dim;
    int rank;
    ptf_status status = ptf_lower_sizes(l, "self", sizes, &rank);
    if (status == PTF_OK)
        status = ptf_lower_int(l, "dim", &dim);
    if (status != PTF_OK)
        return status;
    dim += dim < 0 ? rank : 0;
    if (dim < 0 || dim >= rank)
        return ptf_lower_refuse(l, "expected a dimension of %d", rank);
    return give_number(l, sizes[dim], l->batched && dim == 0);
}

static ptf_status lower_numel(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    int64_t sizes[PTF_LOWER_LIST], n = 1;
    int rank;
    ptf_status status = ptf_lower_sizes(l, "self", sizes, &rank);
    for (int d = 0; d < rank && status == PTF_OK; d++) {
        if (!ptf_mul_i64(n, sizes[d], &n))
            status = ptf_lower_refuse(l, "has too many elements");
    }
    return status == PTF_OK ? give_number(l, n, l->batched) : status;
}

/* Python's quotient, rounded down. */
static int64_t floor_quotient(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

static bool sum(int64_t a, int64_t b, int64_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

static bool difference(int64_t a, int64_t b, int64_t *out)
{
    return !__builtin_sub_overflow(a, b, out);
}

static bool product(int64_t a, int64_t b, int64_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

static bool quotient(int64_t a, int64_t b, int64_t *out)
{
    if (b == 0 || a == INT64_MIN)
        return false;
    *out = floor_quotient(a, b);
    return true;
}

static bool modulus(int64_t a, int64_t b, int64_t *out)
{
    if (b == 0 || a == INT64_MIN)
        return false;
    *out = a - b * floor_quotient(a, b);
    return true;
}

/* False where the result is none or too large. */
static const struct {
    const char *target;
    bool (*compute)(int64_t a, int64_t b, int64_t *out);
} arithmetic[] = {
    {"_operator.add", sum},     {"_operator.sub", difference},
    {"_operator.mul", product}, {"_operator.floordiv", quotient},
    {"_operator.mod", modulus},
};

static ptf_status read_number(ptf_lowering *l, const ptf_argument *a,
                              int64_t *out, bool *of_batch)
{
    const ptf_lowered *v =
        a->kind == PTF_ARGUMENT_VALUE ? &l->values[a->value] : NULL;
    if (a->kind == PTF_ARGUMENT_INT) {
        *out = a->integer;
        return PTF_OK;
    }
    if (v == NULL || !v->is_int)
        return ptf_lower_refuse(l, "expected integers");
    *out = v->number;
    *of_batch = *of_batch || v->of_batch;
    return PTF_OK;
}

/* _operator.add and its like, of numbers. */
static ptf_status lower_arithmetic(ptf_lowering *l, const ptf_aten_row *row)
{
    int64_t x[2] = {0}, number = 0;
    bool of_batch = false;
    ptf_status status = PTF_OK;
    if (l->call->argument_count != 2)
        return ptf_lower_refuse(l, "expected two numbers");
    for (int i = 0; i < 2 && status == PTF_OK; i++)
        status = read_number(l, &l->call->arguments[i], &x[i], &of_batch);
    size_t k = 0;
    while (strcmp(arithmetic[k].target, row->target) != 0)
        k++;
    if (status == PTF_OK && !arithmetic[k].compute(x[0], x[1], &number))
        status = ptf_lower_refuse(l, "has no result");
    return status == PTF_OK ? give_number(l, number, of_batch) : status;
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
    {.target = "aten.sym_size.int", .lower = lower_size},
    {.target = "aten.sym_numel.default", .lower = lower_numel},
    {.target = "_operator.add", .lower = lower_arithmetic},
    {.target = "_operator.sub", .lower = lower_arithmetic},
    {.target = "_operator.mul", .lower = lower_arithmetic},
    {.target = "_operator.floordiv", .lower = lower_arithmetic},
    {.target = "_operator.mod", .lower = lower_arithmetic},
    {0},
};

bool ptf_aten_is_source(const char *target)
{
    for (const ptf_aten_row *r = ptf_aten_source; r->target != NULL; r++) {
        if (strcmp(r->target, target) == 0)
            return true;
    }
    return false;
}
