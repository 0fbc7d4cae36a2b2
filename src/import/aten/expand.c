/*
 * The same numbers more than once: expand, repeat.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/literals.h"

/* Axes that grow have stride 0. */
static ptf_status expand_raw(ptf_lowering *l, const ptf_tensor *raw,
                             const int64_t *sizes, int count)
{
    ptf_tensor *t;
    ptf_status status = ptf_lower_view(l, raw, &t);
    if (status != PTF_OK)
        return status;
    t->rank = count;
    if (ptf_lower_count(sizes, count) < 0)
        return ptf_lower_refuse(l, "its output is too large");
    for (int d = 0; d < count; d++) {
        int from = d - (count - raw->rank);
        bool keeps = from >= 0 && raw->shape[from] == sizes[d];
        if ((from >= 0 && !keeps && raw->shape[from] != 1))
            return ptf_lower_refuse(l, "expected sizes that its tensor can "
                                       "grow to");
        t->shape[d] = sizes[d];
        t->stride[d] = keeps ? raw->stride[from] : 0;
    }
    return ptf_lower_give_view(l, 0, t);
}

static ptf_status give_expanded(ptf_lowering *l, int64_t *sizes, int count)
{
    int64_t old[PTF_LOWER_LIST];
    ptf_attrs a = ptf_lower_defaults(PTF_OP_EXPAND);
    int rank, node;
    bool same = true;
    ptf_status status = ptf_lower_sizes(l, "self", old, &rank);
    if (status == PTF_OK && count < rank)
        status = ptf_lower_refuse(l, "expected at least %d sizes, got %d", rank,
                                  count);
    for (int d = 0; status == PTF_OK && d < count; d++) {
        int from = d - (count - rank);
        if (sizes[d] == -1 && from >= 0)
            sizes[d] = old[from];
        same = same && from == d && sizes[d] == old[d];
    }
    if (status != PTF_OK || same)
        return status == PTF_OK ? ptf_lower_same(l, NULL) : status;
    const ptf_tensor *raw = ptf_lower_raw(l, "self");
    if (raw != NULL && count <= PTF_MAX_RANK)
        return expand_raw(l, raw, sizes, count);
    if (count != rank || sizes[0] != old[0])
        status = ptf_lower_whole(l);
    int first = l->batched;
    if (status == PTF_OK && count - first > PTF_SHAPE_MAX)
        status = ptf_lower_refuse_rank(l, count, PTF_SHAPE_MAX);
    for (int d = first; d < count && status == PTF_OK; d++)
        a.size.at[a.size.count++] = sizes[d];
    if (status == PTF_OK)
        status = ptf_lower_node(l, "self", &node);
    return status == PTF_OK
               ? ptf_lower_give_node(l, PTF_OP_EXPAND, &a, node, NULL)
               : status;
}

static ptf_status lower_expand(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    int64_t sizes[PTF_LOWER_LIST];
    int count;
    const ptf_argument *list = ptf_program_argument(l->call, "size");
    ptf_status status = ptf_lower_list(l, "size", sizes, &count);
    if (status != PTF_OK)
        return status;
    ptf_lower_follow(l, list, sizes, count);
    if (ptf_lower_leads_with_number(l, list))
        status = ptf_lower_whole(l);
    return status == PTF_OK ? give_expanded(l, sizes, count) : status;
}

static ptf_status lower_expand_as(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    int64_t sizes[PTF_LOWER_LIST];
    int count;
    ptf_status status = ptf_lower_sizes(l, "other", sizes, &count);
    return status == PTF_OK ? give_expanded(l, sizes, count) : status;
}

/* The node 'times' times after itself along an axis. */
static ptf_status repeat_axis(ptf_lowering *l, int axis, int64_t times,
                              int *node)
{
    ptf_attrs a = ptf_lower_defaults(PTF_OP_CONCAT);
    if (times < 0 || times > PTF_OPERANDS_MAX)
        return ptf_lower_refuse(l, "expected 0 to %d repetitions, got %lld",
                                PTF_OPERANDS_MAX, (long long)times);
    if (times == 1)
        return PTF_OK;
    if (times == 0)
        return ptf_lower_cut(l, ptf_lower_net_axis(l, axis) - 1, node);
    int *in = ptf_alloc((size_t)times * sizeof(*in));
    if (in == NULL)
        return ptf_fail_memory(l->err);
    for (int64_t i = 0; i < times; i++)
        in[i] = *node;
    a.dim = ptf_lower_net_axis(l, axis);
    ptf_status status =
        ptf_lower_add(l, PTF_OP_CONCAT, &a, (int)times, in, NULL, node);
    ptf_free(in);
    return status;
}

static ptf_status lower_repeat(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    const char *name =
        ptf_program_argument(l->call, "dims") != NULL ? "dims" : "repeats";
    int64_t old[PTF_LOWER_LIST], times[PTF_LOWER_LIST], sizes[PTF_LOWER_LIST];
    int rank, count, node;
    ptf_status status = ptf_lower_sizes(l, "self", old, &rank);
    if (status == PTF_OK)
        status = ptf_lower_list(l, name, times, &count);
    if (status != PTF_OK)
        return status;
    int lead = count > rank ? count - rank : 0; /* new axes in front */
    int gap = rank > count ? rank - count : 0;  /* axes that stay (tile) */
    if (rank + lead > PTF_LOWER_LIST)
        return ptf_lower_refuse_rank(l, rank + lead, PTF_LOWER_LIST);
    for (int d = 0; d < rank + lead; d++)
        sizes[d] = d < lead ? 1 : old[d - lead];
    if (lead > 0 || (gap == 0 && count > 0 && times[0] != 1))
        status = ptf_lower_whole(l);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "self", &node);
    if (status == PTF_OK)
        status = ptf_lower_resize(l, node, sizes, rank + lead, &node);
    for (int i = 0; i < count && status == PTF_OK; i++)
        status =
            times[i] == 1 ? PTF_OK : repeat_axis(l, i + gap, times[i], &node);
    return status == PTF_OK ? ptf_lower_give(l, node) : status;
}

/* All elements as one row. */
static ptf_status flatten(ptf_lowering *l, int64_t *sizes, int *rank)
{
    int64_t numel = 1;
    for (int d = 0; d < *rank; d++) {
        if (!ptf_mul_i64(numel, sizes[d], &numel))
            return ptf_lower_refuse(l, "has too many elements");
    }
    sizes[0] = numel;
    *rank = 1;
    return PTF_OK;
}

/* Each position 'repeats' times. */
static ptf_status lower_interleave(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    int64_t sizes[PTF_LOWER_LIST + 1], times;
    int rank, dim = 0, node;
    ptf_attrs a = ptf_lower_defaults(PTF_OP_EXPAND);
    ptf_status status = ptf_lower_sizes(l, "self", sizes, &rank);
    if (status == PTF_OK)
        status = ptf_lower_int(l, "repeats", &times);
    if (status == PTF_OK && ptf_lower_is_none(l, "dim"))
        status = flatten(l, sizes, &rank);
    else if (status == PTF_OK)
        status = ptf_lower_dim(l, "dim", rank, &dim);
    if (status == PTF_OK && (times < 1 || rank >= PTF_SHAPE_MAX))
        status = ptf_lower_refuse(l,
                                  "expected at least one repetition of at "
                                  "most %d axes",
                                  PTF_SHAPE_MAX - 1);
    if (status == PTF_OK && dim == 0)
        status = ptf_lower_whole(l);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "self", &node);
    if (status != PTF_OK)
        return status;
    int64_t size = sizes[dim], repeated;
    if (!ptf_mul_i64(size, times, &repeated))
        return ptf_lower_refuse(l, "its output is too large");
    memmove(sizes + dim + 2, sizes + dim + 1,
            (size_t)(rank - dim - 1) * sizeof(*sizes));
    sizes[dim + 1] = 1;
    status = ptf_lower_resize(l, node, sizes, rank + 1, &node);
    sizes[dim + 1] = times;
    for (int d = l->batched; d < rank + 1; d++)
        a.size.at[a.size.count++] = sizes[d];
    if (status == PTF_OK)
        status = ptf_lower_add_one(l, PTF_OP_EXPAND, &a, node, &node);
    sizes[dim] = repeated;
    memmove(sizes + dim + 1, sizes + dim + 2,
            (size_t)(rank - dim - 1) * sizeof(*sizes));
    if (status == PTF_OK)
        status = ptf_lower_resize(l, node, sizes, rank, &node);
    return status == PTF_OK ? ptf_lower_give(l, node) : status;
}

/* ----------------------------------------------------------------- meshgrid */

/* Each tensor along an axis of its own, and the same along all others. */
static ptf_status lower_meshgrid(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    const ptf_argument *order = ptf_program_argument(l->call, "indexing");
    bool is_text = order != NULL && order->kind == PTF_ARGUMENT_TEXT;
    bool swapped = is_text && strcmp(order->text, "xy") == 0;
    ptf_attrs a = ptf_lower_defaults(PTF_OP_EXPAND);
    int *nodes = NULL, count = 0;
    if (order != NULL && !swapped &&
        (!is_text || strcmp(order->text, "ij") != 0))
        return ptf_lower_refuse(l, "expected indexing 'ij' or 'xy'");
    ptf_status status = ptf_lower_whole(l);
    if (status == PTF_OK)
        status = ptf_lower_nodes(l, "tensors", &nodes, &count);
    if (status != PTF_OK)
        return status;
    if (count > PTF_SHAPE_MAX)
        return ptf_lower_refuse_rank(l, count, PTF_SHAPE_MAX);
    swapped = swapped && count > 1;
    a.size.count = count;
    for (int i = 0; i < count; i++) {
        if (l->shapes[nodes[i]].rank > 1)
            return ptf_lower_refuse(l, "expected tensors of one axis");
        a.size.at[swapped && i < 2 ? 1 - i : i] =
            ptf_shape_numel(&l->shapes[nodes[i]]);
    }
    for (int i = 0; i < count && status == PTF_OK; i++) {
        int64_t sizes[PTF_SHAPE_MAX];
        int axis = swapped && i < 2 ? 1 - i : i, node = nodes[i];
        for (int d = 0; d < count; d++)
            sizes[d] = d == axis ? a.size.at[d] : 1;
        status = ptf_lower_resize(l, node, sizes, count, &node);
        if (status == PTF_OK)
            status = ptf_lower_add_one(l, PTF_OP_EXPAND, &a, node, &node);
        if (status == PTF_OK)
            status = ptf_lower_give_at(l, i, node);
    }
    return status;
}

/* ------------------------------------------------------ what is overwritten */

static ptf_dtype dtype_of(const ptf_lowering *l, const char *name)
{
    return ptf_lower_value(l, ptf_program_argument(l->call, name)->value)
        ->dtype;
}

/* fill and copy: another tensor, or a number, in the sizes of 'self'. */
static ptf_status lower_overwrite(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    const char *name =
        ptf_program_argument(l->call, "src") != NULL ? "src" : "value";
    int64_t sizes[PTF_LOWER_LIST];
    int rank, node;
    double number = 0; /* of zero */
    ptf_attrs a = ptf_lower_defaults(PTF_OP_EXPAND);
    ptf_status status = ptf_lower_sizes(l, "self", sizes, &rank);
    if (status == PTF_OK && !ptf_lower_is_tensor(l, name)) {
        if (ptf_program_argument(l->call, name) != NULL)
            status = ptf_lower_number(l, name, &number);
        return status == PTF_OK ? ptf_lower_give_filled(l, sizes, rank, number)
                                : status;
    }
    if (status == PTF_OK && ptf_lower_raw(l, name) != NULL)
        l->batched = false; /* what is given is a constant too */
    else if (status == PTF_OK)
        status = ptf_lower_broadcast(l);
    if (status == PTF_OK)
        status = ptf_lower_node(l, name, &node);
    if (status == PTF_OK)
        status = ptf_lower_convert(l, node, dtype_of(l, name),
                                   ptf_lower_result_dtype(l), &node);
    for (int d = l->batched; d < rank && status == PTF_OK; d++) {
        if (a.size.count == PTF_SHAPE_MAX)
            return ptf_lower_refuse_rank(l, rank, PTF_SHAPE_MAX);
        a.size.at[a.size.count++] = sizes[d];
    }
    return status == PTF_OK
               ? ptf_lower_give_node(l, PTF_OP_EXPAND, &a, node, NULL)
               : status;
}

const ptf_aten_row ptf_aten_expand[] = {
    {.target = "aten.expand.default", .lower = lower_expand},
    {.target = "aten.broadcast_to.default", .lower = lower_expand},
    {.target = "aten.expand_as.default", .lower = lower_expand_as},
    {.target = "aten.repeat.default", .lower = lower_repeat},
    {.target = "aten.tile.default", .lower = lower_repeat},
    {.target = "aten.repeat_interleave.self_int", .lower = lower_interleave},
    {.target = "aten.meshgrid.default", .lower = lower_meshgrid},
    {.target = "aten.meshgrid.indexing", .lower = lower_meshgrid},
    {.target = "aten.fill.Scalar", .lower = lower_overwrite, .fills = true},
    {.target = "aten.fill.Tensor", .lower = lower_overwrite, .fills = true},
    {.target = "aten.copy.default", .lower = lower_overwrite, .fills = true},
    {.target = "aten.zero.default", .lower = lower_overwrite, .fills = true},
    {0},
};
