/*
 * Products of two values.  With a constant matrix on the right they are linear
 * layers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"

static bool is_constant(const ptf_lowering *l, const char *name)
{
    const ptf_argument *a = ptf_program_argument(l->call, name);
    const ptf_lowered *v = a != NULL && a->kind == PTF_ARGUMENT_VALUE
                               ? &l->values[a->value]
                               : NULL;
    return v != NULL &&
           (v->tensor != NULL ||
            (v->node >= 0 && l->net->nodes[v->node].op == PTF_OP_CONSTANT));
}

/*
 * The call is whole unless the first axis of what is computed is the batch in
 * the result, too: not where it is summed over, or where it is the rows of one
 * operand and leads the other.
 */
static ptf_status choose_form(ptf_lowering *l, const char *a, const char *b)
{
    int64_t sizes[PTF_LOWER_LIST];
    int rank[2];
    bool computed[2] = {!is_constant(l, a), !is_constant(l, b)};
    ptf_status status = ptf_lower_broadcast(l);
    if (status == PTF_OK)
        status = ptf_lower_sizes(l, a, sizes, &rank[0]);
    if (status == PTF_OK)
        status = ptf_lower_sizes(l, b, sizes, &rank[1]);
    if (status != PTF_OK)
        return status;
    bool each = (!computed[1] || rank[1] > 2) &&
                (!computed[0] || rank[0] > (computed[1] ? 2 : 1));
    return each ? PTF_OK : ptf_lower_whole(l);
}

ptf_status ptf_lower_matmul(ptf_lowering *l, int a, int b, int *out)
{
    ptf_attrs attrs = ptf_lower_defaults(PTF_OP_MATMUL);
    return ptf_lower_add(l, PTF_OP_MATMUL, &attrs, 2, (int[]){a, b}, NULL, out);
}

/* The same where b is a constant matrix: its columns are a layer's weights. */
static ptf_status multiply_by_constant(ptf_lowering *l, const char *a,
                                       const ptf_tensor *b, int *out)
{
    ptf_attrs attrs = ptf_lower_defaults(PTF_OP_LINEAR);
    ptf_tensor *transposed =
        ptf_arena_alloc(&l->net->arena, sizeof(*transposed));
    const ptf_tensor *tensors[PTF_ROLE_COUNT] = {[PTF_ROLE_WEIGHT] =
                                                     transposed};
    int input;
    if (transposed == NULL)
        return ptf_fail_memory(l->err);
    *transposed = *b;
    for (int d = 0; d < 2; d++) {
        transposed->shape[d] = b->shape[1 - d];
        transposed->stride[d] = b->stride[1 - d];
    }
    attrs.out_channels = transposed->shape[0];
    attrs.in_channels = transposed->shape[1];
    attrs.has_bias = false;
    ptf_status status = ptf_lower_node(l, a, &input);
    return status == PTF_OK ? ptf_lower_add(l, PTF_OP_LINEAR, &attrs, 1, &input,
                                            tensors, out)
                            : status;
}

/* The product of two arguments, in the call's form, which it settles. */
static ptf_status multiply(ptf_lowering *l, const char *a, const char *b,
                           int *out)
{
    int in[2];
    const ptf_tensor *matrix = NULL;
    ptf_status status = choose_form(l, a, b);
    if (status == PTF_OK && is_constant(l, b) && !is_constant(l, a))
        status = ptf_lower_tensor(l, b, &matrix);
    if (status != PTF_OK)
        return status;
    if (matrix != NULL && matrix->rank == 2)
        return multiply_by_constant(l, a, matrix, out);
    status = ptf_lower_node(l, a, &in[0]);
    if (status == PTF_OK)
        status = ptf_lower_node(l, b, &in[1]);
    return status == PTF_OK ? ptf_lower_matmul(l, in[0], in[1], out) : status;
}

static ptf_status lower_matmul(ptf_lowering *l, const ptf_aten_row *row)
{
    int node;
    ptf_status status = multiply(l, "self", row->numbers[0], &node);
    return status == PTF_OK ? ptf_lower_give(l, node) : status;
}

/* ---------------------------------------------------------- with an addend */

ptf_status ptf_lower_scale(ptf_lowering *l, int node, double factor, int *out)
{
    ptf_attrs attrs = ptf_lower_defaults(PTF_OP_MUL);
    int number;
    *out = node;
    if ((float)factor >= 1 && (float)factor <= 1)
        return PTF_OK;
    ptf_status status = ptf_lower_scalar(l, factor, &number);
    return status == PTF_OK ? ptf_lower_add(l, PTF_OP_MUL, &attrs, 2,
                                            (int[]){node, number}, NULL, out)
                            : status;
}

/*
 * beta * self + alpha * (a b).  With a beta of 0 nothing of self is read, not
 * even NaN.
 */
ptf_status ptf_lower_add_product(ptf_lowering *l, const ptf_aten_row *row)
{
    const char *a = row->numbers[0], *b = row->numbers[1];
    ptf_attrs attrs = ptf_lower_defaults(PTF_OP_ADD);
    double beta, alpha;
    int in[2], node;
    ptf_status status = ptf_lower_number(l, "beta", &beta);
    if (status == PTF_OK)
        status = ptf_lower_number(l, "alpha", &alpha);
    if (status == PTF_OK)
        status = multiply(l, a, b, &in[1]);
    if (status == PTF_OK)
        status = ptf_lower_scale(l, in[1], alpha, &in[1]);
    if (status == PTF_OK && beta >= 0 && beta <= 0)
        return ptf_lower_give(l, in[1]);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "self", &in[0]);
    if (status == PTF_OK)
        status = ptf_lower_scale(l, in[0], beta, &in[0]);
    if (status == PTF_OK)
        status = ptf_lower_add(l, PTF_OP_ADD, &attrs, 2, in, NULL, &node);
    return status == PTF_OK ? ptf_lower_give(l, node) : status;
}

const ptf_aten_row ptf_aten_matmul[] = {
    {"aten.matmul.default", lower_matmul, .numbers = {"other"}},
    {"aten.linalg_matmul.default", lower_matmul, .numbers = {"other"}},
    {"aten.mm.default", lower_matmul, .numbers = {"mat2"}},
    {"aten.bmm.default", lower_matmul, .numbers = {"mat2"}},
    {"aten.mv.default", lower_matmul, .numbers = {"vec"}},
    {"aten.dot.default", lower_matmul, .numbers = {"tensor"}},
    {"aten.baddbmm.default", ptf_lower_add_product,
     .numbers = {"batch1", "batch2"}},
    {0},
};
