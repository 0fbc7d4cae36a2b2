/*
 * Names of one storage, where a call writes to a part of a computed value:
 *
 *     v = select(x, 1, 0)   a name of a part of x
 *     w = slice(x, 2, 1)    of another one
 *     copy_(v, y)           now x is another value, and so is w
 *
 * A value that no view call gave is a root; it keeps the calls that gave views
 * of it.  When one of its names is written to, the root becomes a gather of its
 * old numbers and the new ones, and the calls are lowered again.  Which numbers
 * of the root the written name has, these calls say themselves, when they are
 * lowered for a constant whose numbers are their own positions.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"
#include "import/aten/writes.h"

enum { POSITIONS_MOST = 1 << 24 }; /* that f32 holds exactly */

static int root_of(const ptf_lowering *l, int value)
{
    while (l->storage[value].of >= 0)
        value = l->storage[value].of;
    return value;
}

/* Appends a call to the root's, once for all its results. */
static ptf_status keep_call(ptf_lowering *l, int root,
                            const ptf_program_node *call)
{
    ptf_lowered_name *r = &l->storage[root];
    void *views = l->views;
    if (r->last >= 0 && l->views[r->last].call == call)
        return PTF_OK;
    if (!ptf_arena_grow(&l->net->arena, &views, l->view_count,
                        &l->view_capacity, sizeof(*l->views)))
        return ptf_fail_memory(l->err);
    l->views = views;
    l->views[l->view_count] = (ptf_lowered_view){call, -1};
    if (r->last >= 0)
        l->views[r->last].next = l->view_count;
    else
        r->first = l->view_count;
    r->last = l->view_count++;
    return PTF_OK;
}

/* The argument that a result is a view of, or -1. */
static int viewed(const ptf_program_node *call, int result)
{
    const ptf_schema *schema = call->schema;
    int row = call->returns_list || result >= schema->result_count ? 0 : result;
    char alias = schema->results[row].alias;
    for (int i = 0; alias != 0 && i < schema->argument_count; i++) {
        if (schema->arguments[i].alias == alias &&
            call->arguments[i].kind == PTF_ARGUMENT_VALUE)
            return call->arguments[i].value;
    }
    return -1;
}

ptf_status ptf_lower_note_views(ptf_lowering *l, const ptf_program_node *call)
{
    ptf_status status = PTF_OK;
    if (l->storage == NULL || call->schema == NULL ||
        call->schema->result_count == 0 || !ptf_aten_is_view(call))
        return PTF_OK;
    for (int i = 0; i < call->result_count && status == PTF_OK; i++) {
        int result = call->results[i], of = result < 0 ? -1 : viewed(call, i);
        if (of < 0)
            continue;
        l->storage[result] = (ptf_lowered_name){of, call, -1, -1};
        status = keep_call(l, root_of(l, of), call);
    }
    return status;
}

/* What a call gives for its first argument as it is now.  One that has written
 * is another name. */
static ptf_status lower_again(ptf_lowering *l, const ptf_program_node *call)
{
    for (int i = 0; i < call->result_count; i++) {
        if (call->results[i] >= 0)
            l->values[call->results[i]] =
                (ptf_lowered){.node = -1, .other = -1};
    }
    if (!call->schema->arguments[0].is_written)
        return ptf_lower_row(l, call);
    l->values[call->results[0]] = l->values[call->arguments[0].value];
    return PTF_OK;
}

static ptf_status refresh(ptf_lowering *l, int root)
{
    ptf_status status = PTF_OK;
    for (int i = l->storage[root].first; i >= 0 && status == PTF_OK;
         i = l->views[i].next)
        status = lower_again(l, l->views[i].call);
    return status;
}

/* ---------------------------------------------------------------- positions */

/* From the root down to a name of it. */
static ptf_status lower_chain(ptf_lowering *l, int value)
{
    int count = 0, *chain;
    for (int v = value; l->storage[v].of >= 0; v = l->storage[v].of)
        count++;
    chain = ptf_alloc(((size_t)count + 1) * sizeof(*chain));
    ptf_status status = chain != NULL ? PTF_OK : ptf_fail_memory(l->err);
    for (int v = value, i = count; chain != NULL && i > 0; v = l->storage[v].of)
        chain[--i] = v;
    for (int i = 0; i < count && status == PTF_OK; i++)
        status = lower_again(l, l->storage[chain[i]].call);
    ptf_free(chain);
    return status;
}

/* The root's value becomes its own positions, and 'value' those that it has. */
static ptf_status find_positions(ptf_lowering *l, int root, int value,
                                 const float **out)
{
    const ptf_program_value *v = ptf_lower_value(l, root);
    ptf_shape shape = {.rank = v->rank};
    int64_t n = 1;
    float *data;
    if (v->rank > PTF_SHAPE_MAX)
        return ptf_lower_refuse_rank(l, v->rank, PTF_SHAPE_MAX);
    for (int d = 0; d < v->rank; d++) {
        shape.dim[d] = v->sizes[d].value;
        if (!ptf_mul_i64(n, shape.dim[d], &n) || n > POSITIONS_MOST)
            return ptf_lower_refuse(l, "writes to a part of more than 2^24 "
                                       "numbers");
    }
    ptf_status status = ptf_lower_room(l, n, &data);
    for (int64_t i = 0; i < n && status == PTF_OK; i++)
        data[i] = (float)i;
    l->values[root] = (ptf_lowered){.node = -1, .other = -1};
    l->values[root].tensor = ptf_lower_tensor_of(l, data, &shape);
    if (status == PTF_OK && l->values[root].tensor == NULL)
        status = ptf_fail_memory(l->err);
    if (status == PTF_OK)
        status = lower_chain(l, value);
    if (status != PTF_OK)
        return status;
    const ptf_lowered *w = &l->values[value];
    const ptf_tensor *t = w->tensor != NULL
                              ? w->tensor
                              : l->net->nodes[w->node].tensors[PTF_ROLE_WEIGHT];
    return ptf_lower_floats(l, t, out);
}

/* True when each sample's new numbers go to the same places of that sample. */
static bool is_apart(const float *positions, int64_t samples, int64_t whole,
                     int64_t part)
{
    for (int64_t i = 0; i < samples * part; i++) {
        int64_t at = (int64_t)positions[i] - i / part * whole;
        if (at < 0 || at >= whole || at != (int64_t)positions[i % part])
            return false;
    }
    return true;
}

/* ------------------------------------------------------------------- writes */

ptf_status ptf_lower_put(ptf_lowering *l, int into, const float *positions,
                         int numbers, int *out)
{
    ptf_shape shape = l->shapes[into], flat = {.rank = 1};
    ptf_attrs a = ptf_lower_defaults(PTF_OP_CONCAT);
    int64_t n = ptf_shape_numel(&shape);
    int64_t part = ptf_shape_numel(&l->shapes[numbers]);
    int in[2] = {0};
    float *from;
    if (n + part > POSITIONS_MOST)
        return ptf_lower_refuse(l,
                                "writes to a part of more than 2^24 numbers");
    ptf_status status = ptf_lower_room(l, n, &from);
    for (int64_t i = 0; i < n && status == PTF_OK; i++)
        from[i] = (float)i;
    for (int64_t i = 0; i < part && status == PTF_OK; i++)
        from[(int64_t)positions[i]] = (float)(n + i);
    flat.dim[0] = n;
    a.dim = 1;
    if (status == PTF_OK)
        status = ptf_lower_constant(l, from, &flat, &in[1]);
    int index = in[1];
    if (status == PTF_OK)
        status = ptf_lower_reshape(l, into, &flat, &in[0]);
    flat.dim[0] = part;
    if (status == PTF_OK)
        status = ptf_lower_reshape(l, numbers, &flat, &in[1]);
    if (status == PTF_OK)
        status = ptf_lower_add(l, PTF_OP_CONCAT, &a, 2, in, NULL, &in[0]);
    in[1] = index;
    if (status == PTF_OK)
        status = ptf_lower_add(l, PTF_OP_INDEX_SELECT, &a, 2, in, NULL, out);
    return status == PTF_OK ? ptf_lower_reshape(l, *out, &shape, out) : status;
}

/* The numbers of a recorded value; it has its batch in front, or none. */
static int64_t size_of(const ptf_program_value *v, int64_t *samples)
{
    int64_t n = 1;
    for (int d = 0; d < v->rank; d++)
        n *= v->sizes[d].value;
    *samples = v->rank > 0 ? v->sizes[0].value : 0;
    return n;
}

/* Sample by sample where both forms and the positions are so. */
static ptf_status choose_form(ptf_lowering *l, int root, int result,
                              const float *positions)
{
    const ptf_lowered *v[] = {&l->values[root], &l->values[result]};
    int64_t samples[2], n[2];
    bool some = false, all = l->batch > 0;
    n[0] = size_of(ptf_lower_value(l, root), &samples[0]);
    n[1] = size_of(ptf_lower_value(l, result), &samples[1]);
    for (int i = 0; i < 2; i++) {
        bool computed = ptf_lower_is_computed(l, v[i]);
        some = some || (computed && v[i]->batched);
        all = all && (!computed || v[i]->batched) && samples[i] == l->batch;
    }
    l->batched = some;
    return some && all &&
                   is_apart(positions, l->batch, n[0] / l->batch,
                            n[1] / l->batch)
               ? PTF_OK
               : ptf_lower_whole(l);
}

static ptf_status node_of(ptf_lowering *l, int value, int *out)
{
    l->rank = ptf_lower_value(l, value)->rank;
    return ptf_lower_value_node(l, value, out);
}

/* The root with the numbers that a call has given instead of those of 'value',
 * a name of it. */
static ptf_status write_part(ptf_lowering *l, int root, int value, int result)
{
    const ptf_program_node *call = l->call;
    ptf_lowered old = l->values[root], now = l->values[result];
    const float *positions;
    int into, numbers, node;
    ptf_status status = find_positions(l, root, value, &positions);
    l->call = call;
    l->values[root] = old;
    l->values[result] = now;
    if (status == PTF_OK)
        status = choose_form(l, root, result, positions);
    if (status == PTF_OK)
        status = node_of(l, root, &into);
    if (status == PTF_OK)
        status = node_of(l, result, &numbers);
    if (status == PTF_OK)
        status = ptf_lower_put(l, into, positions, numbers, &node);
    if (status != PTF_OK)
        return status;
    l->values[root] = (ptf_lowered){.node = -1, .other = -1};
    return ptf_lower_become(l, &l->values[root], node);
}

ptf_status ptf_lower_written(ptf_lowering *l, int value, int result)
{
    int root = root_of(l, value), number = l->call_number;
    int first = l->net->node_count;
    const ptf_program_node *call = l->call;
    ptf_status status = PTF_OK;
    if (root == value)
        l->values[root] = l->values[result];
    else
        status = write_part(l, root, value, result);
    if (status == PTF_OK)
        status = refresh(l, root);
    for (int i = first; i < l->net->node_count; i++)
        l->net->nodes[i].call = number; /* all is this call's */
    l->call_number = number;
    l->call = call;
    return status;
}
