/*
 * Positions of several axes at once, x[i, :, j], and masks: what is read there,
 * and what is written.
 *
 * A mask of constants is the positions where it is true.  Of one that is
 * computed nobody knows how many these are, so it may only choose between
 * numbers that are there.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"

#include <math.h>

enum {
    POSITIONS_MOST = 1 << 24, /* that f32 holds exactly */
    ADDED_MOST = 256
}; /* numbers, to one position */

/* The axes that are indexed, counted from the front, and by what. */
typedef struct places {
    int axis[PTF_LOWER_LIST], node[PTF_LOWER_LIST], count;
    int value[PTF_LOWER_LIST]; /* or -1: the node is of a mask */
    int mask, mask_axis; /* a value that is the only one and a mask, or -1 */
    int64_t sizes[PTF_LOWER_LIST]; /* of self */
    int rank;
    bool computed; /* one of them is */
    bool together; /* the axes are next to each other */
    bool table;    /* self is the same for all samples, each of which has its
                      own indices */
} places;

static bool is_constant(const ptf_lowering *l, int node)
{
    return l->net->nodes[node].op == PTF_OP_CONSTANT;
}

/* -------------------------------------------------------------------- masks */

/* Of bools, or of the bytes that were masks before there were bools. */
static bool is_mask(const ptf_lowering *l, int value)
{
    ptf_dtype dtype = ptf_lower_value(l, value)->dtype;
    return dtype == PTF_DTYPE_BOOL || dtype == PTF_DTYPE_U8;
}

/* Refuses what decides how many positions there are. */
static ptf_status read_known(ptf_lowering *l, int value, int *node,
                             const float **data)
{
    ptf_status status = ptf_lower_whole_value(l, value, node);
    if (status != PTF_OK)
        return status;
    return is_constant(l, *node)
               ? ptf_lower_floats(
                     l, l->net->nodes[*node].tensors[PTF_ROLE_WEIGHT], data)
               : ptf_lower_refuse(l,
                                  "the input decides how many positions '%s' "
                                  "has; use torch.where(mask, x, y), which "
                                  "keeps sizes, or export what comes before "
                                  "it",
                                  ptf_lower_value(l, value)->name);
}

/* NaN is no 0. */
static bool is_true(float x)
{
    return !(x >= 0 && x <= 0);
}

/* The positions of what is true: those of each axis in a row. */
static ptf_status find_true(ptf_lowering *l, int value, float **out,
                            int64_t *count, ptf_shape *shape)
{
    const float *x;
    int node;
    *count = 0;
    *shape = (ptf_shape){.rank = 0};
    ptf_status status = read_known(l, value, &node, &x);
    if (status != PTF_OK)
        return status;
    *shape = l->shapes[node];
    int64_t n = ptf_shape_numel(shape);
    for (int64_t i = 0; i < n; i++)
        *count += is_true(x[i]);
    status = ptf_lower_room(l, *count * shape->rank, out);
    for (int64_t i = 0, k = 0; i < n && status == PTF_OK; i++) {
        int64_t rest = i;
        if (!is_true(x[i]))
            continue;
        for (int d = shape->rank - 1; d >= 0; rest /= shape->dim[d--])
            (*out)[d * *count + k] = (float)(rest % shape->dim[d]);
        k++;
    }
    return status;
}

/* The positions of each axis as a tensor. */
static ptf_status lower_where(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    const ptf_argument *a = &l->call->arguments[0];
    ptf_shape shape, line = {.rank = 1};
    float *data;
    ptf_status status = find_true(l, a->value, &data, &line.dim[0], &shape);
    if (status == PTF_OK && l->call->result_count != shape.rank)
        status = ptf_lower_refuse(l, "expected %d results, got %d", shape.rank,
                                  l->call->result_count);
    l->batched = false;
    for (int d = 0; d < shape.rank && status == PTF_OK; d++) {
        int node;
        status = ptf_lower_constant(l, data + d * line.dim[0], &line, &node);
        if (status == PTF_OK)
            status = ptf_lower_give_at(l, d, node);
    }
    return status;
}

/* The same with a row for each position. */
static ptf_status lower_nonzero(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    const ptf_argument *a = &l->call->arguments[0];
    ptf_shape shape, table = {.rank = 2};
    float *data, *rows;
    ptf_status status = find_true(l, a->value, &data, &table.dim[0], &shape);
    table.dim[1] = shape.rank;
    if (status == PTF_OK)
        status = ptf_lower_room(l, ptf_shape_numel(&table), &rows);
    for (int d = 0; d < shape.rank && status == PTF_OK; d++) {
        for (int64_t i = 0; i < table.dim[0]; i++)
            rows[i * shape.rank + d] = data[d * table.dim[0] + i];
    }
    return status == PTF_OK ? ptf_lower_give_constant(l, rows, &table) : status;
}

/* ------------------------------------------------------------------ indices */

static ptf_status add_place(ptf_lowering *l, places *p, int axis, int value,
                            int node)
{
    if (axis >= p->rank || p->count == PTF_LOWER_LIST)
        return ptf_lower_refuse(l, "expected at most %d indices", p->rank);
    p->axis[p->count] = axis;
    p->value[p->count] = value;
    p->node[p->count++] = node;
    p->computed = p->computed || !is_constant(l, node);
    return PTF_OK;
}

/* As many axes as the mask has, each by its positions. */
static ptf_status add_mask(ptf_lowering *l, places *p, int value, int *axis)
{
    ptf_shape shape, line = {.rank = 1};
    float *data;
    ptf_status status = find_true(l, value, &data, &line.dim[0], &shape);
    if (status == PTF_OK && shape.rank == 0)
        status = ptf_lower_refuse(l, "its mask has no axis");
    for (int d = 0; d < shape.rank && status == PTF_OK; d++, (*axis)++) {
        int node;
        if (*axis < p->rank && p->sizes[*axis] != shape.dim[d])
            return ptf_lower_refuse(l,
                                    "expected a mask of %lld positions in axis "
                                    "%d, got %lld",
                                    (long long)p->sizes[*axis], *axis,
                                    (long long)shape.dim[d]);
        status = ptf_lower_constant(l, data + d * line.dim[0], &line, &node);
        if (status == PTF_OK)
            status = add_place(l, p, *axis, -1, node);
    }
    return status;
}

/* The list of indices; the only one may be a mask that is left as it is. */
static const ptf_argument *find_list(ptf_lowering *l, places *p)
{
    const ptf_argument *list = ptf_program_argument(l->call, "indices");
    int given = 0;
    *p = (places){.mask = -1};
    if (list == NULL || list->kind != PTF_ARGUMENT_VALUES ||
        list->count > PTF_LOWER_LIST)
        return NULL;
    for (int i = 0; i < list->count; i++) {
        if (list->values[i] < 0)
            continue;
        p->mask =
            given++ == 0 && is_mask(l, list->values[i]) ? list->values[i] : -1;
        p->mask_axis = i;
    }
    return given > 0 ? list : NULL;
}

static ptf_status read_places(ptf_lowering *l, const ptf_argument *list,
                              places *p)
{
    ptf_status status = PTF_OK;
    for (int i = 0, axis = 0; i < list->count && status == PTF_OK; i++) {
        int value = list->values[i], node;
        if (value >= 0 && is_mask(l, value)) {
            status = add_mask(l, p, value, &axis);
            continue;
        }
        if (value >= 0)
            status = ptf_lower_whole_value(l, value, &node);
        if (value >= 0 && status == PTF_OK)
            status = add_place(l, p, axis, value, node);
        axis++;
    }
    int last = p->count - 1;
    if (status == PTF_OK)
        p->together = p->axis[last] - p->axis[0] == last;
    return status;
}

/* Constants are such that none counts from the end. */
static ptf_status count_from_front(ptf_lowering *l, int64_t size, int *node)
{
    const float *x;
    float *data;
    const ptf_shape shape = l->shapes[*node];
    int64_t n = ptf_shape_numel(&shape);
    ptf_status status =
        ptf_lower_floats(l, l->net->nodes[*node].tensors[PTF_ROLE_WEIGHT], &x);
    if (status == PTF_OK)
        status = ptf_lower_room(l, n, &data);
    for (int64_t i = 0; i < n && status == PTF_OK; i++) {
        double at = (double)x[i];
        if (!(at >= -(double)size && at < (double)size) || floor(at) < at)
            return ptf_lower_refuse(
                l, "an index is %g; expected one of %lld positions", at,
                (long long)size);
        data[i] = (float)(at < 0 ? at + (double)size : at);
    }
    return status == PTF_OK ? ptf_lower_constant(l, data, &shape, node)
                            : status;
}

/*
 * The same of indices that are computed; 'fits' becomes 0 where one is no
 * position.  Limits are between integers, so that bounds of the indices need
 * not be exact.
 */
static ptf_status wrap(ptf_lowering *l, int64_t size, int *node, int *fits)
{
    ptf_attrs a = ptf_lower_defaults(PTF_OP_WHERE);
    int first, last, in[3] = {-1, -1, *node}, inside[2];
    if (size > POSITIONS_MOST / 2) /* where f32 has nothing between them */
        return ptf_lower_refuse(l, "indexes more than 2^23 positions");
    ptf_status status = ptf_lower_scalar(l, -0.5, &first);
    if (status == PTF_OK)
        status = ptf_lower_add_two(l, PTF_OP_LT, *node, first, &in[0]);
    if (status == PTF_OK)
        status = ptf_lower_scalar(l, (double)size, &last);
    if (status == PTF_OK)
        status = ptf_lower_add_two(l, PTF_OP_ADD, *node, last, &in[1]);
    if (status == PTF_OK)
        status = ptf_lower_add(l, PTF_OP_WHERE, &a, 3, in, NULL, node);
    if (status == PTF_OK)
        status = ptf_lower_add_two(l, PTF_OP_GT, *node, first, &inside[0]);
    if (status == PTF_OK)
        status = ptf_lower_scalar(l, (double)size - 0.5, &last);
    if (status == PTF_OK)
        status = ptf_lower_add_two(l, PTF_OP_LT, *node, last, &inside[1]);
    for (int i = 0; i < 2 && status == PTF_OK; i++) {
        if (*fits < 0)
            *fits = inside[i];
        else
            status = ptf_lower_add_two(l, PTF_OP_LOGICAL_AND, *fits, inside[i],
                                       fits);
    }
    return status;
}

/* All indices as one, of the indexed axes as one, which has 'size' positions.
 * What does not fit is the position after the last one: none. */
static ptf_status join(ptf_lowering *l, const places *p, int64_t *size,
                       int *out)
{
    ptf_attrs a = ptf_lower_defaults(PTF_OP_WHERE);
    int fits = -1;
    ptf_status status = PTF_OK;
    *size = 1;
    for (int i = 0; i < p->count && status == PTF_OK; i++) {
        int64_t own = p->sizes[p->axis[i]];
        int node = p->node[i];
        if (!ptf_mul_i64(*size, own, size) || *size > POSITIONS_MOST)
            return ptf_lower_refuse(l, "indexes more than 2^24 positions");
        status = is_constant(l, node) ? count_from_front(l, own, &node)
                                      : wrap(l, own, &node, &fits);
        if (status == PTF_OK && i == 0) {
            *out = node;
            continue;
        }
        if (status == PTF_OK)
            status = ptf_lower_scale(l, *out, (double)own, out);
        if (status == PTF_OK)
            status = ptf_lower_add_two(l, PTF_OP_ADD, *out, node, out);
    }
    int in[3] = {fits, *out, -1};
    if (status != PTF_OK || fits < 0)
        return status;
    status = ptf_lower_scalar(l, (double)*size, &in[2]);
    return status == PTF_OK
               ? ptf_lower_add(l, PTF_OP_WHERE, &a, 3, in, NULL, out)
               : status;
}

static int net_axis(const ptf_lowering *l, const places *p, int axis)
{
    return p->table ? axis + 1 : ptf_lower_net_axis(l, axis);
}

/* The axes in another order: those of the indices in front. */
static ptf_status bring_to_front(ptf_lowering *l, const places *p, int *node)
{
    ptf_attrs a = ptf_lower_defaults(PTF_OP_PERMUTE);
    unsigned seen = 0;
    for (int i = 0; i < p->count; i++) {
        a.dims.at[a.dims.count++] = net_axis(l, p, p->axis[i]);
        seen |= 1U << p->axis[i];
    }
    for (int d = 0; d < p->rank; d++) {
        if ((seen >> d & 1) == 0)
            a.dims.at[a.dims.count++] = net_axis(l, p, d);
    }
    return ptf_lower_add_one(l, PTF_OP_PERMUTE, &a, *node, node);
}

/*
 * PyTorch puts the axes of the indices where the indexed ones were when these
 * are next to each other, or else in front.  The form is chosen here.
 */
static ptf_status choose_form(ptf_lowering *l, places *p)
{
    bool leads = p->axis[0] == 0 || !p->together;
    int most = 0;
    for (int i = 0; i < p->count; i++)
        most = l->shapes[p->node[i]].rank > most ? l->shapes[p->node[i]].rank
                                                 : most;
    /* Shapes are aligned at their ends, so the batch is in front of all. */
    p->table = leads && l->batched && ptf_lower_raw(l, "self") != NULL;
    for (int i = 0; i < p->count; i++)
        p->table = p->table && (is_constant(l, p->node[i]) ||
                                l->shapes[p->node[i]].rank == most);
    if (!p->table)
        return leads || p->computed ? ptf_lower_whole(l) : PTF_OK;
    ptf_status status = PTF_OK;
    l->rank = most;
    for (int i = 0; i < p->count && status == PTF_OK; i++) {
        if (p->value[i] >= 0)
            status = ptf_lower_value_node(l, p->value[i], &p->node[i]);
    }
    return status;
}

/* What is at the places of a node, which is in the call's form. */
static ptf_status take(ptf_lowering *l, const places *p, int *node)
{
    ptf_attrs a = ptf_lower_defaults(PTF_OP_INDEX);
    int in[2] = {*node, p->node[0]};
    int64_t joined;
    a.dim = net_axis(l, p, p->together ? p->axis[0] : 0);
    if (p->count == 1)
        return ptf_lower_add(l, PTF_OP_INDEX, &a, 2, in, NULL, node);
    ptf_status status = join(l, p, &joined, &in[1]);
    if (status == PTF_OK && !p->together)
        status = bring_to_front(l, p, &in[0]);
    if (status != PTF_OK)
        return status;
    ptf_shape shape = l->shapes[in[0]];
    shape.rank -= p->count - 1;
    shape.dim[a.dim - 1] = joined;
    memmove(shape.dim + a.dim, shape.dim + a.dim + p->count - 1,
            (size_t)(shape.rank - a.dim) * sizeof(*shape.dim));
    status = ptf_lower_reshape(l, in[0], &shape, &in[0]);
    return status == PTF_OK
               ? ptf_lower_add(l, PTF_OP_INDEX, &a, 2, in, NULL, node)
               : status;
}

/* x[:, i] */
static ptf_status lower_index(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    places p;
    int node;
    const ptf_argument *list = find_list(l, &p);
    if (list == NULL)
        return ptf_lower_refuse(l, "expected tensors of indices, got none");
    ptf_status status = ptf_lower_sizes(l, "self", p.sizes, &p.rank);
    if (status == PTF_OK)
        status = read_places(l, list, &p);
    if (status == PTF_OK)
        status = choose_form(l, &p);
    const ptf_argument *self = ptf_program_argument(l->call, "self");
    if (status == PTF_OK)
        status = p.table ? ptf_lower_whole_value(l, self->value, &node)
                         : ptf_lower_node(l, "self", &node);
    if (status == PTF_OK)
        status = take(l, &p, &node);
    return status == PTF_OK ? ptf_lower_give(l, node) : status;
}

/* ------------------------------------------------------------------- writes */

/* 'values' in the sizes of what it is written to, in the call's form. */
static ptf_status read_values(ptf_lowering *l, const ptf_shape *want, int *out,
                              bool *is_one)
{
    const ptf_argument *values = ptf_program_argument(l->call, "values");
    ptf_attrs a = ptf_lower_defaults(PTF_OP_EXPAND);
    ptf_shape shape = {.rank = want->rank};
    l->rank = want->rank + l->batched; /* of what 'values' stand beside */
    ptf_status status = ptf_lower_value_node(l, values->value, out);
    if (status != PTF_OK)
        return status;
    const ptf_shape *got = &l->shapes[*out];
    bool fits = got->rank <= want->rank;
    for (int d = 0; d < want->rank && fits; d++) {
        int from = d - (want->rank - got->rank);
        shape.dim[d] = from < 0 ? 1 : got->dim[from];
        fits = shape.dim[d] == 1 || shape.dim[d] == want->dim[d];
        a.size.at[a.size.count++] = want->dim[d];
    }
    if (!fits)
        return ptf_lower_refuse(l, "expected values of the sizes of what is "
                                   "written to");
    *is_one = ptf_shape_numel(&shape) == 1;
    status = ptf_lower_reshape(l, *out, &shape, out);
    if (status != PTF_OK || ptf_shape_numel(&shape) == ptf_shape_numel(want))
        return status;
    return ptf_lower_add_one(l, PTF_OP_EXPAND, &a, *out, out);
}

/* The positions of a node's numbers as they are at the places. */
static ptf_status find_positions(ptf_lowering *l, const places *p, int into,
                                 ptf_shape *shape, const float **out)
{
    const ptf_shape all = l->shapes[into];
    int64_t n = ptf_shape_numel(&all);
    float *data;
    int node;
    if (n > POSITIONS_MOST)
        return ptf_lower_refuse(l, "indexes more than 2^24 positions");
    ptf_status status = ptf_lower_room(l, n, &data);
    for (int64_t i = 0; i < n && status == PTF_OK; i++)
        data[i] = (float)i;
    if (status == PTF_OK)
        status = ptf_lower_constant(l, data, &all, &node);
    if (status == PTF_OK)
        status = take(l, p, &node);
    if (status != PTF_OK)
        return status;
    *shape = l->shapes[node];
    return ptf_lower_floats(l, l->net->nodes[node].tensors[PTF_ROLE_WEIGHT],
                            out);
}

/* How often each number is written to; the most of it. */
static int64_t count_writes(const float *positions, int64_t n, int32_t *writes)
{
    int64_t most = 0;
    for (int64_t i = 0; i < n; i++)
        most = ptf_max_i64(most, ++writes[(int64_t)positions[i]]);
    return most;
}

/*
 * Adds to each number the first value that is for it, then the second one, ...,
 * in the order in which they are given.  Where there is none, -0 is added,
 * which changes nothing.
 */
static ptf_status add_values(ptf_lowering *l, const float *positions,
                             int64_t most, int values, int *node)
{
    ptf_attrs a = ptf_lower_defaults(PTF_OP_CONCAT);
    const ptf_shape shape = l->shapes[*node];
    int64_t numel = ptf_shape_numel(&shape);
    int64_t n = ptf_shape_numel(&l->shapes[values]);
    const ptf_shape line = {.rank = 1, .dim = {n}}, one = {1, {1}};
    int32_t *seen = ptf_alloc((size_t)numel * sizeof(*seen) + 1);
    int in[2];
    ptf_status status = seen != NULL ? PTF_OK : ptf_fail_memory(l->err);
    a.dim = 1;
    if (status == PTF_OK)
        status = ptf_lower_reshape(l, values, &line, &in[0]);
    if (status == PTF_OK)
        status = ptf_lower_filled(l, &one, -0.0, &in[1]);
    if (status == PTF_OK)
        status = ptf_lower_add(l, PTF_OP_CONCAT, &a, 2, in, NULL, &in[0]);
    for (int64_t turn = 1; turn <= most && status == PTF_OK; turn++) {
        float *from;
        int part;
        status = ptf_lower_room(l, numel, &from);
        for (int64_t i = 0; i < numel && status == PTF_OK; i++) {
            from[i] = (float)n;
            seen[i] = 0;
        }
        for (int64_t i = 0; i < n && status == PTF_OK; i++) {
            int64_t at = (int64_t)positions[i];
            from[at] = ++seen[at] == turn ? (float)i : from[at];
        }
        if (status == PTF_OK)
            status = ptf_lower_constant(l, from, &shape, &in[1]);
        if (status == PTF_OK)
            status = ptf_lower_add(l, PTF_OP_INDEX, &a, 2, in, NULL, &part);
        if (status == PTF_OK)
            status = ptf_lower_add_two(l, PTF_OP_ADD, *node, part, node);
    }
    ptf_free(seen);
    return status;
}

/* Where one number is for several values, PyTorch does not say which stays. */
static ptf_status put(ptf_lowering *l, const places *p, int *node)
{
    bool adds = ptf_lower_is_true(l, "accumulate"), is_one = false;
    const float *positions;
    ptf_shape shape;
    int values;
    ptf_status status = find_positions(l, p, *node, &shape, &positions);
    if (status == PTF_OK)
        status = read_values(l, &shape, &values, &is_one);
    int64_t n = ptf_shape_numel(&shape);
    if (status != PTF_OK || n == 0)
        return status;
    int32_t *writes = ptf_alloc(
        (size_t)ptf_shape_numel(&l->shapes[*node]) * sizeof(*writes) + 1);
    if (writes == NULL)
        return ptf_fail_memory(l->err);
    int64_t most = count_writes(positions, n, writes);
    ptf_free(writes);
    if (adds && most > ADDED_MOST)
        return ptf_lower_refuse(l, "adds %lld numbers to one, more than %d",
                                (long long)most, ADDED_MOST);
    if (!adds && most > 1 && !is_one)
        return ptf_lower_refuse(l, "writes several numbers to one position, of "
                                   "which PyTorch does not say which stays");
    return adds ? add_values(l, positions, most, values, node)
                : ptf_lower_put(l, *node, positions, values, node);
}

/* True when 'values' are the same for all positions of the mask: beside its
 * axes they have none, or such of size 1.  Then these are as many as its. */
static bool stretch(const places *p, const ptf_shape *mask, ptf_shape *values)
{
    int after = p->rank - p->mask_axis - mask->rank;
    bool same = true;
    for (int d = values->rank - after - 1; d >= 0 && same; d--)
        same = values->dim[d] == 1;
    if (same && values->rank > after) {
        int more = values->rank - after;
        memmove(values->dim, values->dim + more,
                (size_t)after * sizeof(*values->dim));
        values->rank = after;
    }
    return same;
}

/* A mask chooses between 'values' and what is there. */
static ptf_status lower_choice(ptf_lowering *l, const places *p, int values,
                               bool *done)
{
    ptf_attrs a = ptf_lower_defaults(PTF_OP_WHERE);
    int64_t sizes[PTF_LOWER_LIST];
    ptf_shape mask = {.rank = 0}, shape;
    int in[3], node;
    ptf_lower_value_sizes(l, p->mask, sizes, &mask.rank);
    if (p->mask_axis + mask.rank > p->rank || mask.rank == 0)
        return PTF_OK;
    for (int d = 0; d < mask.rank; d++) {
        if (sizes[d] != p->sizes[p->mask_axis + d])
            return PTF_OK;
    }
    ptf_status status = ptf_lower_whole_value(l, values, &in[1]);
    shape = l->shapes[in[1]];
    if (status != PTF_OK || !stretch(p, &mask, &shape))
        return status;
    *done = true;
    bool leads = p->mask_axis == 0;
    if ((!leads && ptf_lower_is_computed(l, &l->values[p->mask])) ||
        ptf_lower_is_computed(l, &l->values[values]))
        status = ptf_lower_whole(l);
    if (status == PTF_OK)
        status = ptf_lower_reshape(l, in[1], &shape, &in[1]);
    l->rank = mask.rank;
    if (status == PTF_OK)
        status = leads ? ptf_lower_value_node(l, p->mask, &in[0])
                       : ptf_lower_whole_value(l, p->mask, &in[0]);
    if (status != PTF_OK)
        return status;
    shape = l->shapes[in[0]];
    while (shape.rank < p->rank - p->mask_axis - (leads && l->batched))
        shape.dim[shape.rank++] = 1;
    status = ptf_lower_reshape(l, in[0], &shape, &in[0]);
    l->rank = p->rank;
    if (status == PTF_OK)
        status = ptf_lower_node(l, "self", &in[2]);
    if (status == PTF_OK)
        status = ptf_lower_add(l, PTF_OP_WHERE, &a, 3, in, NULL, &node);
    return status == PTF_OK ? ptf_lower_give(l, node) : status;
}

/* x[:, i] = y, and x[mask] = y */
static ptf_status lower_put(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    places p;
    int node;
    bool done = false;
    const ptf_argument *list = find_list(l, &p);
    const ptf_argument *values = ptf_program_argument(l->call, "values");
    if (list == NULL || values == NULL || values->kind != PTF_ARGUMENT_VALUE)
        return ptf_lower_refuse(l, "expected tensors of indices, got none");
    ptf_status status = ptf_lower_sizes(l, "self", p.sizes, &p.rank);
    if (status == PTF_OK && p.mask >= 0 && !ptf_lower_is_true(l, "accumulate"))
        status = lower_choice(l, &p, values->value, &done);
    if (status != PTF_OK || done)
        return status;
    status = read_places(l, list, &p);
    if (status == PTF_OK && p.computed)
        status = ptf_lower_refuse(l, "writes to positions that are computed "
                                     "from the input; use torch.where() with a "
                                     "mask");
    for (int i = 0; i < p.count && status == PTF_OK; i++)
        status = count_from_front(l, p.sizes[p.axis[i]], &p.node[i]);
    if (status == PTF_OK)
        status = choose_form(l, &p);
    const ptf_lowered *v = &l->values[values->value];
    int64_t sizes[PTF_LOWER_LIST];
    int rank;
    if (status == PTF_OK)
        ptf_lower_value_sizes(l, values->value, sizes, &rank);
    if (status == PTF_OK && ptf_lower_is_computed(l, v) && rank != p.rank)
        status = ptf_lower_whole(l);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "self", &node);
    if (status == PTF_OK)
        status = put(l, &p, &node);
    return status == PTF_OK ? ptf_lower_give(l, node) : status;
}

const ptf_aten_row ptf_aten_index[] = {
    {.target = "aten.index.Tensor", .lower = lower_index},
    {.target = "aten._unsafe_index.Tensor", .lower = lower_index},
    {.target = "aten.index_put.default", .lower = lower_put},
    {.target = "aten._unsafe_index_put.default", .lower = lower_put},
    {.target = "aten.where.default", .lower = lower_where},
    {.target = "aten.nonzero.default", .lower = lower_nonzero},
    {.target = "aten.argwhere.default", .lower = lower_nonzero},
    {0},
};
