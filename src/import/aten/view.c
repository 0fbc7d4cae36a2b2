/*
 * What moves numbers: views and copies, as the few views that a net has.
 *
 * A constant is seen through strides where they can say it: the weight of a
 * Linear that the program transposes, and transposes back, keeps its name and
 * is not copied; and what is written through one view is seen by all.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/literals.h"

/* ---------------------------------------------------------------- constants */

ptf_status ptf_lower_view(ptf_lowering *l, const ptf_tensor *old,
                          ptf_tensor **out)
{
    *out = ptf_arena_alloc(&l->net->arena, sizeof(**out));
    if (*out == NULL)
        return ptf_fail_memory(l->err);
    **out = *old;
    return PTF_OK;
}

/*
 * The strides of a tensor in other sizes: when it is row-major, or when they
 * differ by axes of size 1.
 */
static bool stride_sizes(ptf_tensor *t, const int64_t *sizes, int rank)
{
    ptf_tensor old = *t;
    int64_t stride = 1;
    int from = old.rank - 1;
    bool contiguous = ptf_tensor_is_contiguous(&old);
    if (rank > PTF_MAX_RANK)
        return false;
    t->rank = rank;
    for (int d = rank - 1; d >= 0; d--) {
        t->shape[d] = sizes[d];
        t->stride[d] = stride;
        stride *= sizes[d];
        while (from >= 0 && old.shape[from] == 1)
            from--;
        if (contiguous || sizes[d] == 1)
            continue;
        if (from < 0 || old.shape[from] != sizes[d])
            return false;
        t->stride[d] = old.stride[from--];
    }
    return true;
}

/* ------------------------------------------------------------------- shapes */

/* A node in sizes that have as many elements, in the call's form. */
ptf_status ptf_lower_resize(ptf_lowering *l, int node, const int64_t *sizes,
                            int rank, int *out)
{
    ptf_shape shape = {.rank = rank - l->batched};
    if (shape.rank > PTF_SHAPE_MAX)
        return ptf_lower_refuse_rank(l, rank, PTF_SHAPE_MAX);
    for (int d = 0; d < shape.rank; d++) /* of one number there are none */
        shape.dim[d] = sizes[d + l->batched];
    return ptf_lower_reshape(l, node, &shape, out);
}

/*
 * Gives the node in these sizes, all axes counted, in the form that the first
 * of them allows.
 */
static ptf_status give_sizes(ptf_lowering *l, int node, const int64_t *sizes,
                             int rank)
{
    ptf_shape shape = {.rank = rank};
    bool batched = rank > 0 && l->batch > 0 && sizes[0] == l->batch &&
                   (l->batched || (l->batch == 1 &&
                                   l->net->nodes[node].op != PTF_OP_CONSTANT));
    shape.rank -= batched;
    if (shape.rank > PTF_SHAPE_MAX)
        return ptf_lower_refuse_rank(l, rank, PTF_SHAPE_MAX);
    memcpy(shape.dim, sizes + batched, (size_t)shape.rank * sizeof(*shape.dim));
    ptf_status status = ptf_lower_reshape(l, node, &shape, &node);
    l->batched = batched;
    return status == PTF_OK ? ptf_lower_give(l, node) : status;
}

/* The operand 'self' in these sizes; its numbers stay in their order. */
static ptf_status give_reshaped(ptf_lowering *l, const int64_t *sizes, int rank)
{
    const ptf_tensor *raw = ptf_lower_raw(l, "self");
    int64_t old[PTF_LOWER_LIST];
    int old_rank, node;
    ptf_status status = ptf_lower_sizes(l, "self", old, &old_rank);
    if (status == PTF_OK &&
        (ptf_lower_count(sizes, rank) < 0 ||
         ptf_lower_count(sizes, rank) != ptf_lower_count(old, old_rank)))
        status = ptf_lower_refuse(l, "its sizes have room for another number "
                                     "of elements");
    if (status != PTF_OK)
        return status;
    if (raw != NULL) {
        ptf_tensor *t;
        status = ptf_lower_view(l, raw, &t);
        if (status != PTF_OK || stride_sizes(t, sizes, rank))
            return status == PTF_OK ? ptf_lower_give_view(l, 0, t) : status;
    }
    if (rank == 0 || sizes[0] != l->batch)
        status = ptf_lower_whole(l);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "self", &node);
    return status == PTF_OK ? give_sizes(l, node, sizes, rank) : status;
}

static ptf_status lower_reshape(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    const char *name =
        ptf_program_argument(l->call, "shape") != NULL ? "shape" : "size";
    int64_t sizes[PTF_LOWER_LIST], old[PTF_LOWER_LIST], known = 1;
    int rank, old_rank, open = -1;
    const ptf_argument *list = ptf_program_argument(l->call, name);
    ptf_status status = ptf_lower_list(l, name, sizes, &rank);
    if (status == PTF_OK)
        status = ptf_lower_sizes(l, "self", old, &old_rank);
    if (status == PTF_OK)
        status = ptf_lower_read_view(l, list, 0, old_rank, sizes, rank);
    if (status == PTF_OK && ptf_lower_leads_with_number(l, list))
        status = ptf_lower_whole(l);
    for (int d = 0; status == PTF_OK && d < rank; d++) {
        if (sizes[d] == -1 && open < 0)
            open = d;
        else if (sizes[d] < 0 || !ptf_mul_i64(known, sizes[d], &known))
            status = ptf_lower_refuse(l,
                                      "expected positive sizes and at most "
                                      "one -1, got %lld",
                                      (long long)sizes[d]);
    }
    if (status == PTF_OK && open >= 0)
        sizes[open] = known > 0 ? ptf_lower_count(old, old_rank) / known : -1;
    return status == PTF_OK ? give_reshaped(l, sizes, rank) : status;
}

/* The same shape as another tensor's. */
static ptf_status lower_view_as(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    int64_t sizes[PTF_LOWER_LIST];
    int rank;
    ptf_status status = ptf_lower_sizes(l, "other", sizes, &rank);
    return status == PTF_OK ? give_reshaped(l, sizes, rank) : status;
}

static ptf_status lower_flatten(ptf_lowering *l, const ptf_aten_row *row)
{
    ptf_attrs a = ptf_lower_defaults(row->op);
    int64_t sizes[PTF_LOWER_LIST];
    int rank, first, last, node;
    ptf_status status = ptf_lower_sizes(l, "self", sizes, &rank);
    if (status == PTF_OK && rank == 0)
        return give_reshaped(l, (const int64_t[]){1}, 1);
    if (status == PTF_OK)
        status = ptf_lower_dim(l, "start_dim", rank, &first);
    if (status == PTF_OK)
        status = ptf_lower_dim(l, "end_dim", rank, &last);
    if (status != PTF_OK)
        return status;
    if (first > last)
        return ptf_lower_refuse(l, "expected start_dim before end_dim");
    /* A layer of the net where it joins axes of samples. */
    if (l->batched && first > 0) {
        a.start_dim = first;
        a.end_dim = last;
        status = ptf_lower_node(l, "self", &node);
        return status == PTF_OK
                   ? ptf_lower_give_node(l, row->op, &a, node, NULL)
                   : status;
    }
    for (int d = first + 1; d <= last; d++)
        sizes[first] *= sizes[d];
    memmove(sizes + first + 1, sizes + last + 1,
            (size_t)(rank - last - 1) * sizeof(*sizes));
    return give_reshaped(l, sizes, rank - (last - first));
}

static ptf_status lower_unflatten(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    int64_t sizes[PTF_LOWER_LIST], parts[PTF_LOWER_LIST],
        all[2 * PTF_LOWER_LIST], known = 1;
    int rank, dim, count, open = -1;
    ptf_status status = ptf_lower_sizes(l, "self", sizes, &rank);
    if (status == PTF_OK)
        status = ptf_lower_dim(l, "dim", rank, &dim);
    if (status == PTF_OK)
        status = ptf_lower_list(l, "sizes", parts, &count);
    if (status == PTF_OK)
        status = ptf_lower_read_view(l, ptf_program_argument(l->call, "sizes"),
                                     dim, 1, parts, count);
    if (status != PTF_OK)
        return status;
    for (int i = 0; i < count; i++) {
        if (parts[i] == -1)
            open = i;
        else if (parts[i] < 0 || !ptf_mul_i64(known, parts[i], &known))
            return ptf_lower_refuse(l, "expected positive sizes");
    }
    if (open >= 0)
        parts[open] = known > 0 ? sizes[dim] / known : -1;
    if (rank - 1 + count > PTF_LOWER_LIST)
        return ptf_lower_refuse_rank(l, rank - 1 + count, PTF_LOWER_LIST);
    memcpy(all, sizes, (size_t)dim * sizeof(*all));
    memcpy(all + dim, parts, (size_t)count * sizeof(*all));
    memcpy(all + dim + count, sizes + dim + 1,
           (size_t)(rank - dim - 1) * sizeof(*all));
    return give_reshaped(l, all, rank - 1 + count);
}

static ptf_status lower_unsqueeze(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    int64_t sizes[PTF_LOWER_LIST + 1];
    int rank, dim;
    ptf_status status = ptf_lower_sizes(l, "self", sizes, &rank);
    if (status == PTF_OK)
        status = ptf_lower_dim(l, "dim", rank + 1, &dim);
    if (status == PTF_OK && rank == PTF_LOWER_LIST)
        status = ptf_lower_refuse_rank(l, rank + 1, PTF_LOWER_LIST);
    if (status != PTF_OK)
        return status;
    memmove(sizes + dim + 1, sizes + dim,
            (size_t)(rank - dim) * sizeof(*sizes));
    sizes[dim] = 1;
    return give_reshaped(l, sizes, rank + 1);
}

/* Axes of size 1 that are named, or all of them, go. */
static ptf_status lower_squeeze(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    int64_t sizes[PTF_LOWER_LIST], dims[PTF_LOWER_LIST];
    int rank, count = 0, left = 0;
    bool all = ptf_program_argument(l->call, "dim") == NULL;
    ptf_status status = ptf_lower_sizes(l, "self", sizes, &rank);
    if (status == PTF_OK && !all)
        status = ptf_lower_list(l, "dim", dims, &count);
    for (int d = 0; status == PTF_OK && d < rank; d++) {
        bool named = all;
        for (int i = 0; i < count; i++)
            named = named || dims[i] == d || dims[i] + rank == d;
        if (!named || sizes[d] != 1)
            sizes[left++] = sizes[d];
    }
    return status == PTF_OK ? give_reshaped(l, sizes, left) : status;
}

/* ------------------------------------------------------------- permutations */

/* Axis d of the result is axis from[d]; all axes counted. */
static ptf_status give_permuted(ptf_lowering *l, int rank, const int *from)
{
    const ptf_tensor *raw = ptf_lower_raw(l, "self");
    ptf_attrs a = ptf_lower_defaults(PTF_OP_PERMUTE);
    int node, first;
    ptf_tensor *t;
    ptf_status status = PTF_OK;
    bool same = true;
    for (int d = 0; d < rank; d++)
        same = same && from[d] == d;
    if (same)
        return ptf_lower_same(l, NULL);
    if (raw != NULL && rank <= PTF_MAX_RANK) {
        status = ptf_lower_view(l, raw, &t);
        for (int d = 0; d < rank && status == PTF_OK; d++) {
            t->shape[d] = raw->shape[from[d]];
            t->stride[d] = raw->stride[from[d]];
        }
        return status == PTF_OK ? ptf_lower_give_view(l, 0, t) : status;
    }
    if (from[0] != 0)
        status = ptf_lower_whole(l);
    first = l->batched;
    if (status == PTF_OK && rank - first > PTF_SHAPE_MAX)
        status = ptf_lower_refuse_rank(l, rank, PTF_SHAPE_MAX);
    for (int d = first; d < rank && status == PTF_OK; d++)
        a.dims.at[a.dims.count++] = ptf_lower_net_axis(l, from[d]);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "self", &node);
    return status == PTF_OK
               ? ptf_lower_give_node(l, PTF_OP_PERMUTE, &a, node, NULL)
               : status;
}

static ptf_status lower_permute(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    int64_t sizes[PTF_LOWER_LIST], dims[PTF_LOWER_LIST];
    int rank, count, from[PTF_LOWER_LIST];
    unsigned seen = 0;
    ptf_status status = ptf_lower_sizes(l, "self", sizes, &rank);
    if (status == PTF_OK)
        status = ptf_lower_list(l, "dims", dims, &count);
    if (status != PTF_OK)
        return status;
    bool once = count == rank;
    for (int i = 0; i < rank && once; i++) {
        int64_t axis = dims[i] < 0 ? dims[i] + rank : dims[i];
        once = axis >= 0 && axis < rank && (seen >> axis & 1) == 0;
        from[i] = once ? (int)axis : 0;
        seen |= 1U << from[i];
    }
    if (!once)
        return ptf_lower_refuse(l, "expected each of %d dimensions once", rank);
    return give_permuted(l, rank, from);
}

static ptf_status lower_transpose(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    int64_t sizes[PTF_LOWER_LIST];
    bool swap = ptf_program_argument(l->call, "axis0") != NULL;
    int rank, a = 0, b = 1, from[PTF_LOWER_LIST];
    ptf_status status = ptf_lower_sizes(l, "self", sizes, &rank);
    if (status == PTF_OK && rank == 0)
        return ptf_lower_same(l, row);
    if (status == PTF_OK)
        status = ptf_lower_dim(l, swap ? "axis0" : "dim0", rank, &a);
    if (status == PTF_OK)
        status = ptf_lower_dim(l, swap ? "axis1" : "dim1", rank, &b);
    for (int d = 0; d < PTF_LOWER_LIST; d++)
        from[d] = d == a ? b : d == b ? a : d;
    return status == PTF_OK ? give_permuted(l, rank, from) : status;
}

/* The last two axes exchanged, or all of them reversed (numpy_T). */
static ptf_status lower_matrix_transpose(ptf_lowering *l,
                                         const ptf_aten_row *row)
{
    int64_t sizes[PTF_LOWER_LIST];
    int rank, from[PTF_LOWER_LIST];
    ptf_status status = ptf_lower_sizes(l, "self", sizes, &rank);
    if (status != PTF_OK || rank < 2)
        return status == PTF_OK ? ptf_lower_same(l, row) : status;
    for (int d = 0; d < rank; d++)
        from[d] = row->reversed ? rank - 1 - d : d;
    if (!row->reversed) {
        from[rank - 2] = rank - 1;
        from[rank - 1] = rank - 2;
    }
    return give_permuted(l, rank, from);
}

static ptf_status lower_movedim(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    int64_t sizes[PTF_LOWER_LIST], source[PTF_LOWER_LIST], to[PTF_LOWER_LIST];
    int rank, count, goals, from[PTF_LOWER_LIST], next = 0;
    unsigned moved = 0;
    ptf_status status = ptf_lower_sizes(l, "self", sizes, &rank);
    if (status == PTF_OK)
        status = ptf_lower_list(l, "source", source, &count);
    if (status == PTF_OK)
        status = ptf_lower_list(l, "destination", to, &goals);
    if (status == PTF_OK && count != goals)
        status = ptf_lower_refuse(l, "expected as many goals as dimensions");
    for (int d = 0; d < PTF_LOWER_LIST; d++)
        from[d] = -1;
    for (int i = 0; status == PTF_OK && i < count; i++) {
        int64_t a = source[i] < 0 ? source[i] + rank : source[i];
        int64_t b = to[i] < 0 ? to[i] + rank : to[i];
        if (a < 0 || a >= rank || b < 0 || b >= rank || from[b] >= 0 ||
            (moved >> a & 1) != 0)
            return ptf_lower_refuse(l, "expected dimensions of %d, each once",
                                    rank);
        from[b] = (int)a;
        moved |= 1U << a;
    }
    for (int d = 0; status == PTF_OK && d < rank; d++) {
        while (from[d] < 0 && (moved >> next & 1) != 0)
            next++;
        if (from[d] < 0)
            from[d] = next++;
    }
    return status == PTF_OK ? give_permuted(l, rank, from) : status;
}

/* ------------------------------------------------------------------ dropout */

static ptf_status lower_dropout(ptf_lowering *l, const ptf_aten_row *row)
{
    if (ptf_lower_is_true(l, "train"))
        return ptf_lower_refuse(l, "was exported in training mode; call "
                                   "model.eval() before torch.export.export()");
    return ptf_lower_same(l, row);
}

/* In memory its numbers are in the order of its axes, as it was recorded. */
static bool is_row_major(const ptf_program_value *v)
{
    int64_t stride = 1;
    bool all = true;
    for (int d = v->rank - 1; d >= 0; d--) {
        int64_t size = v->sizes[d].value;
        all = all && v->sizes[d].known && v->strides[d].known &&
              (size == 1 || v->strides[d].value == stride);
        stride *= size;
    }
    return all;
}

/* Other sizes for the same memory, of which there must be enough. */
static ptf_status lower_resize(ptf_lowering *l, const ptf_aten_row *row)
{
    const ptf_argument *self = ptf_program_argument(l->call, "self");
    int64_t sizes[PTF_LOWER_LIST], old[PTF_LOWER_LIST], have[1];
    int rank, count, node;
    ptf_status status = ptf_lower_sizes(l, "self", old, &rank);
    if (status == PTF_OK)
        status = row->numbers[0] != NULL
                     ? ptf_lower_sizes(l, row->numbers[0], sizes, &count)
                     : ptf_lower_list(l, "size", sizes, &count);
    if (status != PTF_OK)
        return status;
    int64_t numel = ptf_lower_count(sizes, count);
    have[0] = ptf_lower_count(old, rank);
    if (l->storage != NULL && l->call_number >= 0 && l->spreads[l->call_number])
        return ptf_lower_refuse(l, "resizes what another name reads later");
    if (!is_row_major(ptf_lower_value(l, self->value)) || numel < 0 ||
        numel > have[0])
        return ptf_lower_refuse(l,
                                "expected at most %lld numbers, in the order "
                                "of its axes",
                                (long long)have[0]);
    if (numel != have[0] || rank == 0 || count == 0 || old[0] != sizes[0])
        status = ptf_lower_whole(l);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "self", &node);
    if (status == PTF_OK && numel < have[0]) {
        status = ptf_lower_resize(l, node, have, 1, &node);
        if (status == PTF_OK)
            status = ptf_lower_add_slice(l, node, 1, 0, 1, numel, &node);
    }
    if (status == PTF_OK)
        status = ptf_lower_resize(l, node, sizes, count, &node);
    return status == PTF_OK ? ptf_lower_give(l, node) : status;
}

const ptf_aten_row ptf_aten_view[] = {
    {.target = "aten.resize.default", .lower = lower_resize},
    {.target = "aten.resize_as.default",
     .lower = lower_resize,
     .numbers = {"the_template"}},
    {"aten.flatten.using_ints", lower_flatten, .op = PTF_OP_FLATTEN},
    {.target = "aten.view.default", .lower = lower_reshape},
    {.target = "aten.reshape.default", .lower = lower_reshape},
    {.target = "aten._unsafe_view.default", .lower = lower_reshape},
    {.target = "aten.view_copy.default", .lower = lower_reshape},
    {.target = "aten.view_as.default", .lower = lower_view_as},
    {.target = "aten.reshape_as.default", .lower = lower_view_as},
    {.target = "aten.unflatten.int", .lower = lower_unflatten},
    {.target = "aten.unsqueeze.default", .lower = lower_unsqueeze},
    {.target = "aten.squeeze.default", .lower = lower_squeeze},
    {.target = "aten.squeeze.dim", .lower = lower_squeeze},
    {.target = "aten.squeeze.dims", .lower = lower_squeeze},
    {.target = "aten.permute.default", .lower = lower_permute},
    {.target = "aten.transpose.int", .lower = lower_transpose},
    {.target = "aten.swapaxes.default", .lower = lower_transpose},
    {.target = "aten.swapdims.default", .lower = lower_transpose},
    {.target = "aten.t.default", .lower = lower_matrix_transpose},
    {.target = "aten.numpy_T.default",
     .lower = lower_matrix_transpose,
     .reversed = true},
    {.target = "aten.mT.default", .lower = lower_matrix_transpose},
    {.target = "aten.movedim.int", .lower = lower_movedim},
    {.target = "aten.movedim.intlist", .lower = lower_movedim},
    {.target = "aten.dropout.default", .lower = lower_dropout},
    {.target = "aten.feature_dropout.default", .lower = lower_dropout},
    {.target = "aten.alpha_dropout.default", .lower = lower_dropout},
    {.target = "aten.alias.default", .lower = ptf_lower_same},
    {.target = "aten.clone.default", .lower = ptf_lower_same},
    {.target = "aten.contiguous.default", .lower = ptf_lower_same},
    {.target = "aten.detach.default", .lower = ptf_lower_same},
    {.target = "aten.lift_fresh.default", .lower = ptf_lower_same},
    {.target = "aten.lift_fresh_copy.default", .lower = ptf_lower_same},
    {0},
};
