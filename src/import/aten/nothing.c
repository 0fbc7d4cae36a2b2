/*
 * Values without elements.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"

#include <math.h>

ptf_status ptf_lower_filled(ptf_lowering *l, const ptf_shape *shape,
                            double number, int *out)
{
    float *data;
    int64_t numel = ptf_shape_numel(shape);
    ptf_status status = ptf_lower_room(l, numel, &data);
    for (int64_t i = 0; i < numel && status == PTF_OK; i++)
        data[i] = (float)number;
    return status == PTF_OK ? ptf_lower_constant(l, data, shape, out) : status;
}

int64_t ptf_lower_count(const int64_t *sizes, int rank)
{
    int64_t n = 1;
    bool some = true;
    for (int d = 0; d < rank; d++) {
        if (sizes[d] < 0 || !ptf_mul_i64(n, ptf_max_i64(sizes[d], 1), &n) ||
            n > PTF_VALUE_MAX)
            return -1;
        some = some && sizes[d] > 0;
    }
    return some ? n : 0;
}

bool ptf_lower_reads_nothing(const ptf_lowering *l, const ptf_node *node)
{
    bool some = false;
    for (int i = 0; i < node->input_count; i++)
        some = some || ptf_shape_numel(&l->shapes[node->inputs[i]]) == 0;
    return some;
}

/* What is left of operands that are joined. */
static ptf_status join_others(ptf_lowering *l, const ptf_node *node, int *out)
{
    int *others = ptf_alloc((size_t)node->input_count * sizeof(*others));
    int left = 0;
    if (others == NULL)
        return ptf_fail_memory(l->err);
    for (int i = 0; i < node->input_count; i++) {
        if (ptf_shape_numel(&l->shapes[node->inputs[i]]) > 0)
            others[left++] = node->inputs[i];
    }
    ptf_status status =
        ptf_lower_add(l, node->op, &node->attrs, left, others, NULL, out);
    ptf_free(others);
    return status;
}

static ptf_status add_tensor(ptf_lowering *l, const ptf_tensor *t, int *out)
{
    ptf_shape shape = {.rank = t->rank};
    const float *data;
    memcpy(shape.dim, t->shape, (size_t)t->rank * sizeof(*shape.dim));
    ptf_status status = ptf_lower_floats(l, t, &data);
    return status == PTF_OK ? ptf_lower_constant(l, data, &shape, out) : status;
}

/* What an op makes of nothing, and of its bias, which has one axis. */
static ptf_status add_sum(ptf_lowering *l, ptf_op op, const ptf_shape *shape,
                          const ptf_tensor *bias, int *out)
{
    static const struct {
        ptf_op op;
        double number;
    } sums[] = {
        {PTF_OP_SUM, 0},
        {PTF_OP_VECTOR_NORM, 0},
        {PTF_OP_MATMUL, 0},
        {PTF_OP_LINEAR, 0},
        {PTF_OP_MEAN, (double)NAN},
        {PTF_OP_VAR, (double)NAN},
        {PTF_OP_STD, (double)NAN},
        {PTF_OP_LOGSUMEXP, -HUGE_VAL},
    };
    ptf_attrs attrs = ptf_lower_defaults(PTF_OP_ADD);
    int in[2];
    for (size_t i = 0; i < PTF_ARRAY_SIZE(sums); i++) {
        if (sums[i].op != op)
            continue;
        ptf_status status = ptf_lower_filled(l, shape, sums[i].number, out);
        if (status != PTF_OK || bias == NULL)
            return status;
        in[0] = *out;
        status = add_tensor(l, bias, &in[1]);
        return status == PTF_OK
                   ? ptf_lower_add(l, PTF_OP_ADD, &attrs, 2, in, NULL, out)
                   : status;
    }
    return ptf_lower_refuse(l, "takes a tensor that has no elements");
}

ptf_status ptf_lower_add_of_nothing(ptf_lowering *l, const ptf_node *node,
                                    const ptf_shape *shape, int *out)
{
    if (l->batched) {
        l->mixes = true;
        return ptf_lower_refuse(l, "has no elements in a sample");
    }
    if (ptf_shape_numel(shape) == 0)
        return ptf_lower_filled(l, shape, 0, out);
    if (node->op == PTF_OP_PAD)
        return ptf_lower_filled(l, shape, node->attrs.p[0], out);
    return node->op == PTF_OP_CONCAT
               ? join_others(l, node, out)
               : add_sum(l, node->op, shape, node->tensors[PTF_ROLE_BIAS], out);
}

ptf_status ptf_lower_cut(ptf_lowering *l, int axis, int *node)
{
    ptf_shape shape = l->shapes[*node];
    shape.dim[axis] = 0;
    const ptf_node none = {.op = PTF_OP_SLICE};
    return ptf_lower_add_of_nothing(l, &none, &shape, node);
}
