/*
 * A schema says by letters which results share the storage of an argument,
 * "Tensor(a) self -> Tensor(a)", and by '!' which arguments are written to.
 * From that follows which values are names of one storage:
 *
 *     y = view(x)      y, x: one storage
 *     relu_(x)         writes it; from here on x is the result
 *     add(y, 1)        reads y, which has changed under its old name: refused
 *
 * Only what depends on an input is held to that: constants have memory that
 * their views share while the net is made (constants.c).  And only where a name
 * may be a copy instead, as what reshape gives: names that are views for sure
 * are made again from what was written (views.c).
 *
 * One pass in the order of the calls: a storage keeps the two of its names so
 * far that are read last of all, so that a write can ask for one other than
 * that which it goes by.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/writes.h"
#include "import/aten/aten.h"

typedef struct name {
    int root;      /* another name of the storage; its own number: the root */
    int last_use;  /* the last node that reads it; node_count: an output */
    int latest[2]; /* of a root: the names that are read last, or -1 */
    bool is_computed; /* it depends on an input */
    bool copies;      /* of a root: a name may be a copy instead */
} name;

static int root_of(name *names, int value)
{
    while (names[value].root != value) {
        names[value].root = names[names[value].root].root;
        value = names[value].root;
    }
    return value;
}

/* Puts 'value' among the latest names of a root, if it is one. */
static void rank(name *names, name *root, int value)
{
    for (int i = 0; value >= 0 && i < 2; i++) {
        int at = root->latest[i];
        if (at == value)
            return;
        if (at >= 0 && names[at].last_use >= names[value].last_use)
            continue;
        root->latest[i] = value;
        value = at;
    }
}

/* Both have one storage from now on. */
static void join(name *names, int a, int b)
{
    int x = root_of(names, a), y = root_of(names, b);
    if (x == y)
        return;
    names[y].root = x;
    names[x].is_computed = names[x].is_computed || names[y].is_computed;
    names[x].copies = names[x].copies || names[y].copies;
    rank(names, &names[x], names[y].latest[0]);
    rank(names, &names[x], names[y].latest[1]);
}

/* --------------------------------------------------------------- last uses */

static void use_argument(name *names, const ptf_argument *a, int node)
{
    if (a->kind == PTF_ARGUMENT_VALUE && a->value >= 0)
        names[a->value].last_use = node;
    for (int k = 0; a->kind == PTF_ARGUMENT_VALUES && k < a->count; k++) {
        if (a->values[k] >= 0)
            names[a->values[k]].last_use = node;
    }
}

static void find_last_uses(const ptf_program_graph *g, name *names)
{
    for (int v = 0; v < g->value_count; v++)
        names[v] = (name){.root = v, .last_use = -1, .latest = {-1, -1}};
    for (int i = 0; i < g->node_count; i++) {
        for (int k = 0; k < g->nodes[i].argument_count; k++)
            use_argument(names, &g->nodes[i].arguments[k], i);
    }
    for (int i = 0; i < g->output_count; i++)
        use_argument(names, &g->outputs[i], g->node_count);
    for (int v = 0; v < g->value_count; v++)
        names[v].latest[0] = v;
}

/* ------------------------------------------------ what depends on an input */

static bool reads_computed(const name *names, const ptf_program_node *node)
{
    bool some = false, is_source = ptf_aten_is_source(node->target);
    for (int i = 0; i < node->argument_count && !is_source; i++) {
        const ptf_argument *a = &node->arguments[i];
        if (a->kind == PTF_ARGUMENT_VALUE && a->value >= 0)
            some = some || names[a->value].is_computed;
        for (int k = 0; a->kind == PTF_ARGUMENT_VALUES && k < a->count; k++)
            some =
                some || (a->values[k] >= 0 && names[a->values[k]].is_computed);
    }
    return some;
}

/* Constants that only constants are written to stay what they are: numbers. */
static void find_computed(const ptf_program *p, name *names)
{
    for (int i = 0; i < p->input_count; i++) {
        if (p->inputs[i].kind == PTF_PROGRAM_USER && p->inputs[i].value >= 0)
            names[p->inputs[i].value].is_computed = true;
    }
    for (int i = 0; i < p->graph.node_count; i++) {
        const ptf_program_node *node = &p->graph.nodes[i];
        if (!reads_computed(names, node))
            continue;
        for (int r = 0; r < node->result_count; r++) {
            if (node->results[r] >= 0)
                names[node->results[r]].is_computed = true;
        }
        for (int k = 0; node->schema != NULL && k < node->argument_count; k++) {
            const ptf_argument *a = &node->arguments[k];
            if (a->kind == PTF_ARGUMENT_VALUE && a->value >= 0 &&
                node->schema->arguments[k].is_written)
                names[a->value].is_computed = true;
        }
    }
}

/* -------------------------------------------------------------------- calls */

bool ptf_aten_may_give_view(const char *target)
{
    static const char *const names[] = {
        "aten.dropout.",       "aten.feature_dropout.",
        "aten.alpha_dropout.", "aten.type_as.",
        "aten.meshgrid.",      "aten.einsum.",
        "aten.contiguous.",    "aten.to.",
        "aten._unsafe_view.",
    };
    for (size_t i = 0; i < PTF_ARRAY_SIZE(names); i++) {
        if (strncmp(target, names[i], strlen(names[i])) == 0)
            return true;
    }
    return false;
}

/* The same for operators of a table, with or without the mark in place. */
static bool is_among(const char *target, const char *const *names, size_t count)
{
    static const char space[] = "aten.";
    size_t start = sizeof(space) - 1, size;
    if (strncmp(target, space, start) != 0)
        return false;
    size = strcspn(target + start, ".");
    size -= size > 0 && target[start + size - 1] == '_';
    for (size_t i = 0; i < count; i++) {
        if (strlen(names[i]) == size &&
            memcmp(names[i], target + start, size) == 0)
            return true;
    }
    return false;
}

bool ptf_aten_is_view(const ptf_program_node *call)
{
    static const char *const views[] = {
        "alias",     "chunk",    "detach",    "diagonal",
        "expand",    "movedim",  "narrow",    "permute",
        "select",    "slice",    "split",     "split_with_sizes",
        "squeeze",   "swapaxes", "swapdims",  "t",
        "transpose", "unbind",   "unflatten", "unfold",
        "unsqueeze", "view"};
    bool moves = is_among(call->target, views, PTF_ARRAY_SIZE(views));
    return ptf_schema_writes_first(call->schema) ? !moves : moves;
}

/* The first tensor and all results may be one storage; those of a list one by
 * one. */
static void join_all(name *names, const ptf_program_node *node)
{
    for (int i = 0; i < node->argument_count; i++) {
        const ptf_argument *a = &node->arguments[i];
        bool is_one = i == 0 && a->kind == PTF_ARGUMENT_VALUE;
        bool is_list =
            a->kind == PTF_ARGUMENT_VALUES && a->count == node->result_count;
        for (int r = 0; (is_one || is_list) && r < node->result_count; r++) {
            int value = is_one ? a->value : a->values[r];
            if (value < 0 || node->results[r] < 0)
                continue;
            join(names, value, node->results[r]);
            names[root_of(names, value)].copies = true;
        }
    }
}

/* The results that share an argument's storage. */
static void join_results(name *names, const ptf_program_node *node,
                         const ptf_schema_argument *argument, int value)
{
    const ptf_schema *schema = node->schema;
    for (int r = 0; r < node->result_count; r++) {
        int row = node->returns_list || r >= schema->result_count ? 0 : r;
        if (schema->result_count == 0 || node->results[r] < 0 ||
            schema->results[row].alias != argument->alias)
            continue;
        join(names, value, node->results[r]);
        if (!ptf_aten_is_view(node))
            names[root_of(names, value)].copies = true;
    }
}

/* Notes that another name is read later, which must be known then. */
static ptf_status check_write(const ptf_program *program, name *names,
                              int index, int value, bool known, bool *spreads,
                              ptf_error *err)
{
    const ptf_program_graph *g = &program->graph;
    const name *root = &names[root_of(names, value)];
    int other = root->latest[0] != value ? root->latest[0] : root->latest[1];
    if (other < 0 || names[other].last_use <= index)
        return PTF_OK;
    spreads[index] = true;
    int reader = names[other].last_use;
    if (known && !root->copies)
        return PTF_OK;
    return ptf_program_fail(
        program, &g->nodes[index], err, PTF_UNSUPPORTED,
        "writes to '%s' in place, whose storage %s reads later as '%s'",
        g->values[value].name,
        reader < g->node_count ? g->nodes[reader].name : "the output",
        g->values[other].name);
}

static ptf_status read_node(const ptf_program *program, name *names, int index,
                            bool *spreads, ptf_error *err)
{
    const ptf_program_node *node = &program->graph.nodes[index];
    ptf_status status = PTF_OK;
    bool known = ptf_aten_is_view(node);
    if (ptf_aten_may_give_view(node->target))
        join_all(names, node);
    for (int i = 0; node->schema != NULL && i < node->argument_count; i++) {
        const ptf_schema_argument *argument = &node->schema->arguments[i];
        const ptf_argument *given = &node->arguments[i];
        if (given->kind != PTF_ARGUMENT_VALUE)
            continue;
        name *root = &names[root_of(names, given->value)];
        if (argument->is_written && reads_computed(names, node))
            root->is_computed = true;
        if (argument->is_written && status == PTF_OK && root->is_computed)
            status = check_write(program, names, index, given->value, known,
                                 spreads, err);
        if (argument->alias != 0)
            join_results(names, node, argument, given->value);
    }
    return status;
}

ptf_status ptf_program_check_writes(const ptf_program *program, bool *spreads,
                                    ptf_error *err)
{
    const ptf_program_graph *g = &program->graph;
    name *names = ptf_alloc(((size_t)g->value_count + 1) * sizeof(*names));
    if (names == NULL)
        return ptf_fail_memory(err);
    find_last_uses(g, names);
    find_computed(program, names);
    ptf_status status = PTF_OK;
    for (int i = 0; status == PTF_OK && i < g->node_count; i++)
        status = read_node(program, names, i, spreads, err);
    ptf_free(names);
    return status;
}
