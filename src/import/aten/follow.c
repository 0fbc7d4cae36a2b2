/*
 * Computed values that are written to and have other names, views: what these
 * are from then on.
 *
 *     v = x[:, 1:3]       a view of x
 *     w = x[0]            another one
 *     v.fill_(2)          x, v and w have changed
 *
 * First the view's new numbers are put into what it is a view of, and so on up
 * to the value that is no view.  Then all calls that gave names of the storage
 * are lowered once more, which gives the new value of each.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"
#include "import/aten/writes.h"

static ptf_status put_slice(ptf_lowering *l, int parent, int child);
static ptf_status put_position(ptf_lowering *l, int parent, int child);
static ptf_status put_all(ptf_lowering *l, int parent, int child);

/* Operators that always give a view, and how what is written to one gets back;
 * NULL where it does not. */
static const struct {
    const char *target;
    ptf_status (*put)(ptf_lowering *l, int parent, int child);
} views[] = {
    {"aten.slice.Tensor", put_slice},
    {"aten.select.int", put_position},
    {"aten.view.default", put_all},
    {"aten.unsqueeze.default", put_all},
    {"aten.squeeze.dim", put_all},
    {"aten.alias.default", put_all},
    {"aten.detach.default", put_all},
    {"aten.permute.default", NULL},
    {"aten.transpose.int", NULL},
    {"aten.expand.default", NULL},
    {"aten.unbind.int", NULL},
    {"aten.split.Tensor", NULL},
    {"aten.split_with_sizes.default", NULL},
    {"aten.chunk.default", NULL},
};

/* The row of a call, or -1. */
static int find_view(const ptf_program_node *call)
{
    for (size_t i = 0; i < PTF_ARRAY_SIZE(views); i++) {
        if (strcmp(call->target, views[i].target) == 0)
            return (int)i;
    }
    return -1;
}

/* The value that a call gives a view of, or writes to; -1. */
static int viewed(const ptf_program_node *call)
{
    const ptf_argument *a =
        call->argument_count > 0 ? &call->arguments[0] : NULL;
    bool known = ptf_schema_writes_first(call->schema) || find_view(call) >= 0;
    return known && a != NULL && a->kind == PTF_ARGUMENT_VALUE ? a->value : -1;
}

bool ptf_aten_can_follow(const ptf_program_graph *g, int value)
{
    for (int at = g->values[value].node; at >= 0; at = g->values[value].node) {
        const ptf_program_node *call = &g->nodes[at];
        int view = find_view(call), next = viewed(call);
        if (next < 0) /* made by the call */
            return true;
        if (!ptf_schema_writes_first(call->schema) && views[view].put == NULL)
            return false;
        value = next;
    }
    return true;
}

bool ptf_aten_is_followed(const ptf_program_node *call)
{
    return viewed(call) >= 0;
}

/* -------------------------------------------------------------- one step up */

static bool is_computed(const ptf_lowering *l, int value)
{
    const ptf_lowered *v = &l->values[value];
    return v->node >= 0 && l->net->nodes[v->node].op != PTF_OP_CONSTANT;
}

/* The form that both can have. */
static ptf_status choose_form(ptf_lowering *l, int parent, int child)
{
    const int both[] = {parent, child};
    bool all = true, some = false;
    for (int i = 0; i < 2; i++) {
        if (!is_computed(l, both[i]))
            continue;
        some = some || l->values[both[i]].batched;
        all = all && l->values[both[i]].batched;
    }
    l->batched = some;
    return some && !all ? ptf_lower_whole(l) : PTF_OK;
}

/* The value as a node; constants have a batch where their rank says so. */
static ptf_status node_of(ptf_lowering *l, int value, int *out)
{
    l->rank = ptf_lower_value(l, value)->rank;
    return ptf_lower_value_node(l, value, out);
}

static ptf_status set(ptf_lowering *l, int value, int node)
{
    l->values[value] =
        (ptf_lowered){.node = node, .other = -1, .batched = l->batched};
    if (l->net->nodes[node].op == PTF_OP_CONSTANT)
        return ptf_lower_refuse(l, "writes a constant to a constant");
    return PTF_OK;
}

/* 'length' positions of the parent's axis are those of the child. */
static ptf_status put(ptf_lowering *l, int parent, int child, int64_t first,
                      int64_t length)
{
    ptf_attrs slice = ptf_lower_defaults(PTF_OP_SLICE);
    ptf_attrs concat = ptf_lower_defaults(PTF_OP_CONCAT);
    int64_t sizes[PTF_LOWER_LIST];
    int rank, dim, axis, in[2] = {0}, parts[3], count = 0;
    ptf_status status = ptf_lower_sizes(l, "self", sizes, &rank);
    if (status == PTF_OK)
        status = ptf_lower_dim(l, "dim", rank, &dim);
    if (status == PTF_OK)
        status = choose_form(l, parent, child);
    if (status == PTF_OK)
        status = ptf_lower_axis(l, rank, dim, &axis);
    if (status == PTF_OK)
        status = node_of(l, parent, &in[0]);
    if (status == PTF_OK)
        status = node_of(l, child, &in[1]);
    if (status != PTF_OK)
        return status;
    ptf_shape shape = l->shapes[in[0]];
    const struct {
        int64_t first, length;
    } kept[] = {{0, first}, {first + length, sizes[dim] - first - length}};
    shape.dim[axis - 1] = length;
    status = ptf_lower_reshape(l, in[1], &shape, &in[1]);
    slice.dim = concat.dim = axis;
    for (int i = 0; i < 2 && status == PTF_OK; i++) {
        slice.start = kept[i].first;
        slice.length = kept[i].length;
        if (i == 1)
            parts[count++] = in[1];
        if (slice.length > 0)
            status = ptf_lower_add_one(l, PTF_OP_SLICE, &slice, in[0],
                                       &parts[count++]);
    }
    if (status == PTF_OK)
        status = ptf_lower_add(l, PTF_OP_CONCAT, &concat, count, parts, NULL,
                               &in[0]);
    return status == PTF_OK ? set(l, parent, in[0]) : status;
}

static ptf_status put_slice(ptf_lowering *l, int parent, int child)
{
    int64_t sizes[PTF_LOWER_LIST], start, end, step;
    int rank, dim;
    ptf_status status = ptf_lower_sizes(l, "self", sizes, &rank);
    if (status == PTF_OK)
        status = ptf_lower_dim(l, "dim", rank, &dim);
    if (status == PTF_OK)
        status = ptf_lower_slice(l, sizes[dim], &start, &end, &step);
    if (status == PTF_OK && step > 1)
        status = ptf_lower_refuse(l, "is a view in steps, which is written to");
    return status == PTF_OK && end > start
               ? put(l, parent, child, start, end - start)
               : status;
}

static ptf_status put_position(ptf_lowering *l, int parent, int child)
{
    int64_t sizes[PTF_LOWER_LIST], position;
    int rank, dim;
    ptf_status status = ptf_lower_sizes(l, "self", sizes, &rank);
    if (status == PTF_OK)
        status = ptf_lower_dim(l, "dim", rank, &dim);
    if (status == PTF_OK)
        status = ptf_lower_int(l, "index", &position);
    return status == PTF_OK
               ? put(l, parent, child,
                     position < 0 ? position + sizes[dim] : position, 1)
               : status;
}

/* The same numbers in other sizes. */
static ptf_status put_all(ptf_lowering *l, int parent, int child)
{
    int64_t sizes[PTF_LOWER_LIST];
    int rank, node = -1;
    ptf_status status = ptf_lower_sizes(l, "self", sizes, &rank);
    l->batched = l->values[child].batched;
    if (status == PTF_OK && (rank == 0 || sizes[0] != l->batch))
        status = ptf_lower_whole(l);
    if (status == PTF_OK)
        status = node_of(l, child, &node);
    if (status == PTF_OK)
        status = ptf_lower_resize(l, node, sizes, rank, &node);
    return status == PTF_OK ? set(l, parent, node) : status;
}

/* ---------------------------------------------------------------- all names */

/* Up to the value that is no view; its number in *base. */
static ptf_status climb(ptf_lowering *l, int value, int *base)
{
    ptf_status status = PTF_OK;
    for (int at = ptf_lower_value(l, value)->node; at >= 0 && status == PTF_OK;
         at = ptf_lower_value(l, value)->node) {
        const ptf_program_node *call = &l->graph->nodes[at];
        int parent = viewed(call), view = find_view(call);
        if (parent < 0)
            break;
        if (ptf_schema_writes_first(call->schema)) {
            l->values[parent] = l->values[value];
        } else {
            ptf_lower_begin(l, call);
            status = views[view].put(l, parent, value);
        }
        value = parent;
    }
    *base = value;
    return status;
}

/* Lowers the calls before 'index' again that gave names of the storage. */
static ptf_status follow(ptf_lowering *l, int base, int index)
{
    const ptf_program_graph *g = l->graph;
    bool *names = ptf_alloc((size_t)g->value_count + 1);
    ptf_status status = names != NULL ? PTF_OK : ptf_fail_memory(l->err);
    if (status == PTF_OK)
        names[base] = true;
    for (int i = 0; i < index && status == PTF_OK; i++) {
        const ptf_program_node *call = &g->nodes[i];
        int from = viewed(call);
        if (from < 0 || !names[from])
            continue;
        for (int r = 0; r < call->result_count; r++) {
            if (call->results[r] >= 0)
                names[call->results[r]] = true;
        }
        if (ptf_schema_writes_first(call->schema))
            l->values[call->results[0]] = l->values[from];
        else
            status = ptf_lower_again(l, call);
    }
    ptf_free(names);
    return status;
}

ptf_status ptf_lower_follow(ptf_lowering *l, const ptf_program_node *call)
{
    int base, index = (int)(call - l->graph->nodes);
    int value = call->arguments[0].value;
    ptf_lowered written = l->values[value];
    ptf_status status = climb(l, value, &base);
    if (status == PTF_OK)
        status = follow(l, base, index);
    l->values[call->results[0]] = written;
    return status;
}
