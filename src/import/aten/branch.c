/*
 * torch.cond: both branches are computed, and one is taken; regions that are
 * refused.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"

/* The graph that the lowering is in, with what its values have become. */
typedef struct place {
    const ptf_program_graph *graph;
    ptf_lowered *values;
    ptf_lowered_name *storage; /* NULL in a branch, which writes nothing */
    const ptf_program_node *call;
} place;

static place leave(const ptf_lowering *l)
{
    return (place){l->graph, l->values, l->storage, l->call};
}

static void go_to(ptf_lowering *l, const place *p)
{
    l->graph = p->graph;
    l->values = p->values;
    l->storage = p->storage;
    l->call = p->call;
    l->batched = false;
}

/* Memory of constants is not followed out of the graph that made them. */
static ptf_status check_writes(ptf_lowering *l, const ptf_program_graph *g)
{
    for (int i = 0; i < g->node_count; i++) {
        const ptf_schema *schema = g->nodes[i].schema;
        for (int k = 0; schema != NULL && k < schema->argument_count; k++) {
            if (schema->arguments[k].is_written)
                return ptf_lower_refuse(l,
                                        "has a branch that writes in place "
                                        "at '%.60s'",
                                        g->nodes[i].name);
        }
    }
    return PTF_OK;
}

/* The operands, whole, become the inputs of the branch. */
static ptf_status enter(ptf_lowering *l, const ptf_program_graph *g,
                        const ptf_argument *operands, ptf_lowered **out)
{
    ptf_status status = check_writes(l, g);
    ptf_lowered *values = ptf_arena_array(
        &l->net->arena, (size_t)g->value_count + 1, sizeof(*values));
    if (values == NULL)
        return ptf_fail_memory(l->err);
    for (int i = 0; i < g->value_count; i++)
        values[i] = (ptf_lowered){.node = -1, .other = -1};
    if (status == PTF_OK && g->input_count != operands->count)
        status = ptf_lower_refuse(l, "expected a branch of %d inputs, got %d",
                                  operands->count, g->input_count);
    for (int i = 0; i < operands->count && status == PTF_OK; i++) {
        int from = operands->values[i];
        if (from < 0 || g->inputs[i].kind != PTF_ARGUMENT_VALUE)
            return ptf_lower_refuse(l, "expected tensors for its branches");
        ptf_lowered *to = &values[g->inputs[i].value];
        status = ptf_lower_whole_value(l, from, &to->node);
    }
    *out = values;
    return status;
}

/* What the branch gives, as nodes that are whole. */
static ptf_status lower_graph(ptf_lowering *l, const ptf_program_graph *g,
                              const ptf_argument *operands, int *nodes)
{
    place inside = {g, NULL, NULL, l->call}, outside = leave(l);
    int demands = l->demand_count, count = l->call->result_count;
    ptf_status status = enter(l, g, operands, &inside.values);
    if (status == PTF_OK && g->output_count != count)
        status = ptf_lower_refuse(l, "expected a branch of %d outputs, got %d",
                                  count, g->output_count);
    if (status != PTF_OK)
        return status;
    go_to(l, &inside);
    status = ptf_lower_graph(l, g);
    l->call = outside.call;
    l->batched = false;
    for (int i = 0; i < count && status == PTF_OK; i++) {
        if (g->outputs[i].kind != PTF_ARGUMENT_VALUE)
            status = ptf_lower_refuse(l, "expected tensors of its branches");
        else
            status = ptf_lower_value_node(l, g->outputs[i].value, &nodes[i]);
    }
    go_to(l, &outside);
    if (status == PTF_OK && l->demand_count != demands)
        status = ptf_lower_refuse(l, "has a branch with an assertion about "
                                     "numbers of the input");
    return status;
}

/* The condition as a node without axes; NULL in 'known' where it is one. */
static ptf_status read_condition(ptf_lowering *l, const ptf_argument *a,
                                 ptf_lowered_number *known, int *node)
{
    const ptf_shape scalar = {.rank = 0};
    *known = (ptf_lowered_number){.known = false};
    if (a->kind != PTF_ARGUMENT_VALUE ||
        (ptf_lower_value(l, a->value)->kind != PTF_PROGRAM_TENSOR &&
         l->values[a->value].node < 0))
        return ptf_lower_known(l, a, known);
    ptf_status status = ptf_lower_value_node(l, a->value, node);
    if (status != PTF_OK)
        return status;
    return ptf_shape_numel(&l->shapes[*node]) == 1
               ? ptf_lower_reshape(l, *node, &scalar, node)
               : ptf_lower_refuse(l, "expected a condition of one element");
}

/* Each result is one of two nodes. */
static ptf_status give_chosen(ptf_lowering *l, int condition, const int *yes,
                              const int *no)
{
    ptf_attrs attrs = ptf_lower_defaults(PTF_OP_WHERE);
    ptf_status status = PTF_OK;
    for (int i = 0; i < l->call->result_count && status == PTF_OK; i++) {
        int in[3] = {condition, yes[i], no[i]}, node;
        status = ptf_lower_add(l, PTF_OP_WHERE, &attrs, 3, in, NULL, &node);
        if (status == PTF_OK)
            status = ptf_lower_give_at(l, i, node);
        l->batched = false;
    }
    return status;
}

static ptf_status lower_cond(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    enum { MOST = 64 };
    const ptf_argument *a = l->call->arguments;
    ptf_lowered_number known;
    int condition = -1, nodes[2][MOST];
    if (l->call->argument_count != 4 || a[1].kind != PTF_ARGUMENT_GRAPH ||
        a[2].kind != PTF_ARGUMENT_GRAPH || a[3].kind != PTF_ARGUMENT_VALUES ||
        l->call->result_count > MOST)
        return ptf_lower_refuse(l, "expected a condition, two branches and "
                                   "tensors for them");
    ptf_status status = ptf_lower_whole(l);
    if (status == PTF_OK)
        status = read_condition(l, &a[0], &known, &condition);
    if (status == PTF_OK && known.of_batch && l->batch > 0) {
        l->mixes = true;
        return ptf_lower_refuse(l, "depends on the size of the batch");
    }
    for (int i = 0; i < 2 && status == PTF_OK; i++)
        status = lower_graph(l, a[1 + i].graph, &a[3], nodes[i]);
    if (status != PTF_OK || !known.known)
        return status == PTF_OK ? give_chosen(l, condition, nodes[0], nodes[1])
                                : status;
    for (int i = 0; i < l->call->result_count && status == PTF_OK; i++) {
        status = ptf_lower_give_at(l, i, nodes[known.whole == 0][i]);
        l->batched = false;
    }
    return status;
}

/* A region that changes numbers: others are read as what stands in them. */
static ptf_status lower_autocast(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    const char *dtype = "another dtype", *name = "", *target = "none";
    for (int i = 0; i < l->call->argument_count; i++) {
        const ptf_argument *a = &l->call->arguments[i];
        if (a->kind == PTF_ARGUMENT_DTYPE)
            dtype = ptf_dtype_name(a->dtype);
        if (a->kind != PTF_ARGUMENT_GRAPH || a->graph->node_count == 0)
            continue;
        name = a->graph->nodes[0].name;
        target = a->graph->nodes[0].target;
    }
    return ptf_lower_refuse(l,
                            "is a region of autocast in %s, from node '%s' "
                            "(%s) on; export the model outside of autocast, or "
                            "with enabled=False",
                            dtype, name, target);
}

const ptf_aten_row ptf_aten_branch[] = {
    {.target = "higher_order.wrap_with_autocast", .lower = lower_autocast},
    {.target = "higher_order.cond", .lower = lower_cond},
    {0},
};
