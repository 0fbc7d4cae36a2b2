/*
 * Scaled dot product attention, softmax(q k' / sqrt(E) + mask) v, as the ops
 * that it is made of.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"

#include <math.h>

/* The last two axes exchanged. */
static ptf_status turn(ptf_lowering *l, int node, int *out)
{
    ptf_attrs attrs = ptf_lower_defaults(PTF_OP_PERMUTE);
    int rank = l->shapes[node].rank;
    attrs.dims.count = rank;
    for (int d = 0; d < rank; d++)
        attrs.dims.at[d] = d + 1;
    attrs.dims.at[rank - 2] = rank;
    attrs.dims.at[rank - 1] = rank - 1;
    return ptf_lower_add_one(l, PTF_OP_PERMUTE, &attrs, node, out);
}

/* -------------------------------------------------------------------- masks */

/* Position i of the query sees positions 0 .. i. */
static ptf_status add_causal(ptf_lowering *l, int scores, int *out)
{
    const ptf_shape *s = &l->shapes[scores];
    ptf_shape shape = {2, {s->dim[s->rank - 2], s->dim[s->rank - 1]}};
    float *data;
    int mask;
    ptf_status status = ptf_lower_room(l, ptf_shape_numel(&shape), &data);
    for (int64_t i = 0; status == PTF_OK && i < ptf_shape_numel(&shape); i++)
        data[i] = i % shape.dim[1] <= i / shape.dim[1] ? 0.0F : PTF_HIDDEN;
    if (status == PTF_OK)
        status = ptf_lower_constant(l, data, &shape, &mask);
    return status == PTF_OK
               ? ptf_lower_add_two(l, PTF_OP_ADD, scores, mask, out)
               : status;
}

/* What a mask hides: false in one of bools, -infinity in one that is added. */
static bool hides(float number, bool is_bool)
{
    return is_bool ? !(number > 0) : ptf_mask_hides(number);
}

/* The same, or as good as that: another number hides what has a larger one
 * beside it. */
static bool shows(float number, bool is_bool)
{
    return is_bool ? number > 0 : number > -PTF_MASK_VISIBLE;
}

/* True for a constant that has to be another one to be added. */
static bool needs_additive(const ptf_node *mask, bool is_bool)
{
    const ptf_tensor *t = mask->tensors[PTF_ROLE_WEIGHT];
    return mask->op == PTF_OP_CONSTANT &&
           (is_bool || ptf_tensor_find_not_finite(t) >= 0);
}

/* A constant mask as finite numbers that are added; where a row of it hides
 * all, 'sees' becomes what row does not, and these numbers are 0. */
static ptf_status additive(ptf_lowering *l, int mask, bool is_bool, int *out,
                           int *sees)
{
    const ptf_shape shape = l->shapes[mask];
    ptf_shape rows = shape;
    int64_t row = shape.rank > 0 ? shape.dim[shape.rank - 1] : 1;
    const float *numbers;
    float *data, *some;
    bool all = true;
    if (shape.rank > 0)
        rows.dim[shape.rank - 1] = 1;
    ptf_status status = ptf_lower_floats(
        l, l->net->nodes[mask].tensors[PTF_ROLE_WEIGHT], &numbers);
    if (status == PTF_OK)
        status = ptf_lower_room(l, ptf_shape_numel(&shape), &data);
    if (status == PTF_OK)
        status = ptf_lower_room(l, ptf_shape_numel(&rows), &some);
    for (int64_t i = 0; status == PTF_OK && i < ptf_shape_numel(&rows); i++) {
        some[i] = 0;
        for (int64_t k = i * row; k < (i + 1) * row; k++)
            some[i] = shows(numbers[k], is_bool) ? 1 : some[i];
        for (int64_t k = i * row; k < (i + 1) * row; k++)
            data[k] = some[i] > 0 && hides(numbers[k], is_bool) ? PTF_HIDDEN
                      : is_bool || !(some[i] > 0)               ? 0.0F
                                                                : numbers[k];
        all = all && some[i] > 0;
    }
    if (status == PTF_OK && !all)
        status = ptf_lower_constant(l, some, &rows, sees);
    return status == PTF_OK ? ptf_lower_constant(l, data, &shape, out) : status;
}

/* A mask of bools that is computed chooses; 'sees' as above. */
static ptf_status choose(ptf_lowering *l, int mask, int scores, int *out,
                         int *sees)
{
    ptf_attrs a = ptf_lower_defaults(PTF_OP_WHERE);
    ptf_attrs most = ptf_lower_defaults(PTF_OP_AMAX);
    int in[3] = {mask, scores, -1};
    most.dims = (ptf_list){1, {l->shapes[mask].rank}};
    most.keepdim = true;
    *sees = mask;
    ptf_status status = ptf_lower_scalar(l, (double)PTF_HIDDEN, &in[2]);
    if (status == PTF_OK && l->shapes[mask].rank > 0)
        status = ptf_lower_add_one(l, PTF_OP_AMAX, &most, mask, sees);
    return status == PTF_OK
               ? ptf_lower_add(l, PTF_OP_WHERE, &a, 3, in, NULL, out)
               : status;
}

static ptf_status add_mask(ptf_lowering *l, const char *name, int scores,
                           int *out, int *sees)
{
    *out = scores;
    if (ptf_lower_is_none(l, name))
        return PTF_OK;
    const ptf_argument *a = ptf_program_argument(l->call, name);
    bool is_bool = ptf_lower_value(l, a->value)->dtype == PTF_DTYPE_BOOL;
    int mask;
    ptf_status status = ptf_lower_node(l, name, &mask);
    if (status != PTF_OK)
        return status;
    if (needs_additive(&l->net->nodes[mask], is_bool))
        status = additive(l, mask, is_bool, &mask, sees);
    else if (is_bool)
        return choose(l, mask, scores, out, sees);
    return status == PTF_OK
               ? ptf_lower_add_two(l, PTF_OP_ADD, scores, mask, out)
               : status;
}

/* What PyTorch gives a row that sees nothing: no weights. */
static ptf_status drop_blind(ptf_lowering *l, int sees, int *weights)
{
    ptf_attrs a = ptf_lower_defaults(PTF_OP_WHERE);
    int in[3] = {sees, *weights, -1};
    if (sees < 0)
        return PTF_OK;
    ptf_status status = ptf_lower_scalar(l, 0, &in[2]);
    return status == PTF_OK
               ? ptf_lower_add(l, PTF_OP_WHERE, &a, 3, in, NULL, weights)
               : status;
}

/* --------------------------------------------------------------- attention */

/* Whole unless query, key and value have the batch in front of matrices; where
 * they have heads in common they have as many axes, too. */
static ptf_status find_operands(ptf_lowering *l, int in[3])
{
    static const char *const names[] = {"query", "key", "value"};
    int64_t sizes[PTF_LOWER_LIST];
    bool shares = ptf_lower_is_true(l, "enable_gqa");
    int rank, first = 0, least = 3;
    ptf_status status = ptf_lower_broadcast(l);
    for (int i = 0; i < 3 && status == PTF_OK; i++) {
        status = ptf_lower_sizes(l, names[i], sizes, &rank);
        first = i == 0 ? rank : first;
        least = rank < least ? rank : least;
        if (status == PTF_OK && (rank < 2 || (shares && rank != first)))
            return ptf_lower_refuse(l, "expected query, key and value of one "
                                       "rank, at least 2");
    }
    if (status == PTF_OK && least < 3)
        status = ptf_lower_whole(l);
    for (int i = 0; i < 3 && status == PTF_OK; i++)
        status = ptf_lower_node(l, names[i], &in[i]);
    return status;
}

/* Key and value heads that several heads of the query share. */
static ptf_status group_heads(ptf_lowering *l, int in[3])
{
    ptf_shape q = l->shapes[in[0]], shape;
    int axis = q.rank - 3;
    int64_t heads = axis < 0 ? 1 : l->shapes[in[1]].dim[axis];
    if (axis < 0 || q.dim[axis] == heads)
        return PTF_OK;
    if (q.rank == PTF_SHAPE_MAX || heads == 0 || q.dim[axis] % heads != 0)
        return ptf_lower_refuse(l, "%lld heads of the query cannot share %lld",
                                (long long)q.dim[axis], (long long)heads);
    ptf_status status = PTF_OK;
    for (int i = 0; i < 3 && status == PTF_OK; i++) {
        shape = l->shapes[in[i]];
        memmove(shape.dim + axis + 1, shape.dim + axis, 3 * sizeof(*shape.dim));
        shape.rank++;
        shape.dim[axis] = heads;
        shape.dim[axis + 1] = i == 0 ? q.dim[axis] / heads : 1;
        status = ptf_lower_reshape(l, in[i], &shape, &in[i]);
    }
    return status;
}

static ptf_status attend(ptf_lowering *l, const char *mask, const int in[3],
                         int *out)
{
    ptf_attrs attrs = ptf_lower_defaults(PTF_OP_SOFTMAX);
    const ptf_shape *q = &l->shapes[in[0]];
    double scale = 1.0 / sqrt((double)q->dim[q->rank - 1]);
    int query, key, scores, sees = -1;
    ptf_status status = PTF_OK;
    if (!ptf_lower_is_none(l, "scale"))
        status = ptf_lower_number(l, "scale", &scale);
    if (status == PTF_OK)
        status = ptf_lower_scale(l, in[0], scale, &query);
    if (status == PTF_OK)
        status = turn(l, in[1], &key);
    if (status == PTF_OK)
        status = ptf_lower_matmul(l, query, key, &scores);
    if (status == PTF_OK && ptf_lower_is_true(l, "is_causal"))
        status = add_causal(l, scores, &scores);
    if (status == PTF_OK)
        status = add_mask(l, mask, scores, &scores, &sees);
    if (status != PTF_OK)
        return status;
    attrs.dim_none = false;
    attrs.dim = l->shapes[scores].rank;
    status = ptf_lower_add_one(l, PTF_OP_SOFTMAX, &attrs, scores, &scores);
    if (status == PTF_OK)
        status = drop_blind(l, sees, &scores);
    return status == PTF_OK ? ptf_lower_matmul(l, scores, in[2], out) : status;
}

static ptf_status lower_attention(ptf_lowering *l, const ptf_aten_row *row)
{
    const char *mask = row->numbers[0];
    int in[3], node;
    double dropout = 0;
    ptf_status status = PTF_OK;
    if (ptf_program_argument(l->call, "dropout_p") != NULL)
        status = ptf_lower_number(l, "dropout_p", &dropout);
    if (status == PTF_OK && (dropout < 0 || dropout > 0))
        return ptf_lower_refuse(l, "drops out at random; call model.eval() "
                                   "before torch.export.export()");
    if (status == PTF_OK)
        status = find_operands(l, in);
    if (status != PTF_OK)
        return status;
    ptf_shape shape = l->shapes[in[0]];
    shape.dim[shape.rank - 1] = l->shapes[in[2]].dim[l->shapes[in[2]].rank - 1];
    bool grouped = ptf_lower_is_true(l, "enable_gqa");
    if (grouped && !ptf_lower_is_none(l, mask))
        return ptf_lower_refuse(l, "shares heads and has a mask");
    if (grouped)
        status = group_heads(l, in);
    if (status == PTF_OK)
        status = attend(l, mask, in, &node);
    if (status == PTF_OK && grouped)
        status = ptf_lower_reshape(l, node, &shape, &node);
    return status == PTF_OK ? ptf_lower_give(l, node) : status;
}

const ptf_aten_row ptf_aten_attention[] = {
    {"aten.scaled_dot_product_attention.default", lower_attention,
     .numbers = {"attn_mask"}},
    {"aten._scaled_dot_product_attention_math.default", lower_attention,
     .numbers = {"attn_mask"}},
    {"aten._scaled_dot_product_flash_attention_for_cpu.default",
     lower_attention, .numbers = {"attn_mask"}},
    {"aten._scaled_dot_product_flash_attention.default", lower_attention,
     .numbers = {"attn_mask"}},
    {"aten._scaled_dot_product_efficient_attention.default", lower_attention,
     .numbers = {"attn_bias"}},
    {0},
};
