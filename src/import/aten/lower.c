/*
 * The walk through a program's calls, and what its values become.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/literals.h"
#include "import/aten/writes.h"
#include "import/order.h"
#include "import/text.h"

/* --------------------------------------------------------------- operators */

const ptf_aten_table ptf_aten_tables[PTF_ATEN_TABLES] = {
#define FAMILY(id, name) {#name, ptf_aten_##name},
#include "op/families.inc"
#undef FAMILY
#define TABLE(name) {#name, ptf_aten_##name},
    PTF_ATEN_COMPOSED(TABLE)
#undef TABLE
};

static const ptf_aten_row *find(const char *target)
{
    for (int t = 0; t < PTF_ATEN_TABLES; t++) {
        for (const ptf_aten_row *r = ptf_aten_tables[t].rows; r->target != NULL;
             r++) {
            if (strcmp(r->target, target) == 0)
                return r;
        }
    }
    return NULL;
}

bool ptf_schema_writes_first(const ptf_schema *schema)
{
    return schema != NULL && schema->argument_count > 0 &&
           schema->arguments[0].is_written;
}

const ptf_aten_row *ptf_aten_find(const char *name, const ptf_schema *schema)
{
    char target[128];
    snprintf(target, sizeof(target), "%s", name);
    char *mark = ptf_schema_writes_first(schema) ? strstr(target, "_.") : NULL;
    if (mark != NULL)
        memmove(mark, mark + 1, strlen(mark));
    return find(target);
}

const char *ptf_operator_name(size_t index)
{
    size_t count;
    const ptf_schema *table = ptf_schema_table(&count);
    return index < count ? table[index].target : NULL;
}

bool ptf_operator_is_supported(const char *name)
{
    const ptf_schema *schema = ptf_schema_find(name);
    return schema != NULL && ptf_aten_find(name, schema) != NULL;
}

/* ------------------------------------------------------------------- calls */

/* A copy of numbers of the file has memory when it is written to. */
static ptf_status settle_copy(ptf_lowering *l, ptf_lowered *r)
{
    float *data = (float *)(uintptr_t)ptf_tensor_f32(r->tensor);
    if (data == NULL || !ptf_tensor_is_contiguous(r->tensor))
        return PTF_OK;
    ptf_status status =
        ptf_lower_remember(l, data, ptf_tensor_numel(r->tensor), &r->memory);
    if (status == PTF_OK)
        l->memories[r->memory].in_use = true;
    return status;
}

/*
 * Constants that PyTorch has as views of one storage must see the same memory
 * here, or nobody may write to them; what is a copy needs memory of its own.
 */
static ptf_status settle_result(ptf_lowering *l, const ptf_program_node *call,
                                char alias, int result)
{
    ptf_lowered *r = &l->values[result];
    for (int i = 0; i < call->schema->argument_count; i++) {
        const ptf_argument *a = &call->arguments[i];
        if (a->kind != PTF_ARGUMENT_VALUE)
            continue;
        const ptf_lowered *v = &l->values[a->value];
        if (v->tensor == NULL)
            continue;
        bool same = v->memory == r->memory;
        char letter = call->schema->arguments[i].alias;
        if (alias != 0 && letter == alias && !same) {
            l->memories[v->memory].leaked = l->memories[r->memory].leaked =
                true;
        } else if ((alias == 0 || letter != alias) && same) {
            ptf_status status =
                v->memory > 0 ? ptf_lower_copy(l, r) : ptf_lower_share(l, r);
            if (status != PTF_OK)
                return status;
        } else if (alias == 0 && same && v->tensor == r->tensor) {
            return settle_copy(l, r);
        }
    }
    return PTF_OK;
}

/* What may be a view, or not, is not to be written to. */
static void leak(ptf_lowering *l, const ptf_program_node *call)
{
    for (int i = 0; i < call->argument_count; i++) {
        const ptf_argument *a = &call->arguments[i];
        if (i == 0 && a->kind == PTF_ARGUMENT_VALUE)
            l->memories[l->values[a->value].memory].leaked = true;
        for (int k = 0; a->kind == PTF_ARGUMENT_VALUES && k < a->count; k++) {
            if (a->values[k] >= 0)
                l->memories[l->values[a->values[k]].memory].leaked = true;
        }
    }
    for (int i = 0; i < call->result_count; i++) {
        if (call->results[i] >= 0)
            l->memories[l->values[call->results[i]].memory].leaked = true;
    }
}

static ptf_status settle_memory(ptf_lowering *l, const ptf_program_node *call)
{
    const ptf_schema *schema = call->schema;
    ptf_status status = PTF_OK;
    if (schema == NULL || schema->result_count == 0)
        return PTF_OK;
    if (ptf_aten_may_give_view(call->target)) {
        leak(l, call);
        return PTF_OK;
    }
    for (int i = 0; i < call->result_count && status == PTF_OK; i++) {
        int row = call->returns_list || i >= schema->result_count ? 0 : i;
        if (call->results[i] >= 0 && l->values[call->results[i]].tensor != NULL)
            status = settle_result(l, call, schema->results[row].alias,
                                   call->results[i]);
    }
    return status;
}

/* What was widened to float64 is given out, or narrowed again. */
static ptf_status check_wide(ptf_lowering *l, const ptf_program_node *call)
{
    static const char *const moves[] = {
        "aten.to.",         "aten._to_copy.",
        "aten.type_as.",    "aten.alias.",
        "aten.clone.",      "aten.detach.",
        "aten.contiguous.", "aten._assert_tensor_metadata."};
    for (size_t i = 0; i < PTF_ARRAY_SIZE(moves); i++) {
        if (strncmp(call->target, moves[i], strlen(moves[i])) == 0)
            return PTF_OK;
    }
    for (int i = 0; i < call->argument_count; i++) {
        const ptf_argument *a = &call->arguments[i];
        bool one = a->kind == PTF_ARGUMENT_VALUE;
        int count = one ? 1 : a->kind == PTF_ARGUMENT_VALUES ? a->count : 0;
        for (int k = 0; k < count; k++) {
            int value = one ? a->value : a->values[k];
            const ptf_program_value *v =
                value >= 0 ? ptf_lower_value(l, value) : NULL;
            if (v != NULL && v->kind == PTF_PROGRAM_TENSOR &&
                v->dtype == PTF_DTYPE_F64 && v->node != PTF_ABSENT)
                return ptf_lower_refuse(l,
                                        "reads '%s' in float64; ptfold "
                                        "computes in float32",
                                        v->name);
        }
    }
    return PTF_OK;
}

ptf_status ptf_lower_row(ptf_lowering *l, const ptf_program_node *call)
{
    const ptf_aten_row *row = ptf_aten_find(call->target, call->schema);
    ptf_lower_begin(l, call);
    ptf_status status = check_wide(l, call);
    if (status == PTF_OK && row != NULL)
        status = ptf_lower_check_dtypes(l, row);
    if (status != PTF_OK)
        return status;
    return row != NULL ? row->lower(l, row)
                       : ptf_lower_refuse(l, "is an operator that ptfold does "
                                             "not support");
}

/* From here on the value that was written is the result; and so are its other
 * names, where one is read later. */
static ptf_status settle_write(ptf_lowering *l, const ptf_program_node *call)
{
    int written = call->arguments[0].value, result = call->results[0];
    const ptf_tensor *old = l->values[written].tensor;
    const ptf_tensor *now = l->values[result].tensor;
    if (old != NULL && old == now) /* detach_ writes nothing */
        return PTF_OK;
    if (old != NULL && now != NULL)
        return ptf_lower_write(l, written, result);
    if (l->storage != NULL && l->spreads[call - l->program->graph.nodes])
        return ptf_lower_written(l, written, result);
    l->values[written] = l->values[result];
    return PTF_OK;
}

/* In place or not, a call computes the same. */
static ptf_status lower_call(ptf_lowering *l, const ptf_program_node *call)
{
    bool writes = ptf_schema_writes_first(call->schema);
    const ptf_argument *first = writes ? &call->arguments[0] : NULL;
    ptf_status status = ptf_lower_row(l, call);
    if (status == PTF_OK && !writes)
        status = settle_memory(l, call);
    if (status == PTF_OK && writes && first->kind == PTF_ARGUMENT_VALUE &&
        call->result_count > 0 && call->results[0] >= 0)
        status = settle_write(l, call);
    return status == PTF_OK ? ptf_lower_note_views(l, call) : status;
}

/* --------------------------------------------------- what outputs depend on */

static void need(bool *needed, const ptf_argument *a)
{
    if (a->kind == PTF_ARGUMENT_VALUE && a->value >= 0)
        needed[a->value] = true;
    for (int i = 0; a->kind == PTF_ARGUMENT_VALUES && i < a->count; i++) {
        if (a->values[i] >= 0)
            needed[a->values[i]] = true;
    }
    for (int i = 0; a->kind == PTF_ARGUMENT_INTS && i < a->count; i++) {
        if (a->integers[i].value >= 0)
            needed[a->integers[i].value] = true;
    }
}

/* A call that gives what is needed, writes to what may be, or asserts. */
static bool is_needed(const ptf_program_node *call, const bool *needed)
{
    for (int i = 0; i < call->result_count; i++) {
        if (call->results[i] >= 0 && needed[call->results[i]])
            return true;
    }
    for (int i = 0; call->schema != NULL && i < call->schema->argument_count;
         i++) {
        if (call->schema->arguments[i].is_written)
            return true;
    }
    return call->schema == NULL || call->schema->result_count == 0;
}

static bool is_output(const ptf_lowering *l, int index)
{
    return l->graph != &l->program->graph ||
           l->program->outputs[index].kind == PTF_PROGRAM_RESULT;
}

/*
 * Marks the calls that the outputs depend on.  The others need not be ops that
 * there are: the count of batches that PyTorch writes back.
 */
static void find_needed(const ptf_lowering *l, bool *needed, bool *live)
{
    const ptf_program_graph *g = l->graph;
    for (int i = 0; i < g->output_count; i++) {
        if (is_output(l, i))
            need(needed, &g->outputs[i]);
    }
    for (int i = g->node_count - 1; i >= 0; i--) {
        const ptf_program_node *call = &g->nodes[i];
        live[i] = is_needed(call, needed);
        for (int k = 0; live[i] && k < call->argument_count; k++)
            need(needed, &call->arguments[k]);
    }
}

ptf_status ptf_lower_graph(ptf_lowering *l, const ptf_program_graph *g)
{
    bool *needed = ptf_alloc((size_t)g->value_count + 1);
    bool *live = ptf_alloc((size_t)g->node_count + 1);
    ptf_status status =
        needed != NULL && live != NULL ? PTF_OK : ptf_fail_memory(l->err);
    if (status == PTF_OK)
        find_needed(l, needed, live);
    int count = 0;
    for (; count < g->node_count && status == PTF_OK; count++) {
        if (live[count])
            status = lower_call(l, &g->nodes[count]);
    }
    /* Sizes that do not fit are what a call before has fixed. */
    bool fits = status == PTF_OK, top = g == &l->program->graph;
    if (top && (fits || (status == PTF_UNSUPPORTED && !l->mixes)))
        status = ptf_lower_check_literals(l, live, count - !fits);
    status = fits || status != PTF_OK ? status : PTF_UNSUPPORTED;
    ptf_free(needed);
    ptf_free(live);
    return status;
}

/* ------------------------------------------------------- inputs and outputs */

static ptf_status fail(const ptf_lowering *l, const char *fmt, ...)
    PTF_PRINTF(2, 3);
static ptf_status fail(const ptf_lowering *l, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    ptf_origin origin = {l->program->file.name, NULL};
    return ptf_fail(l->err, PTF_UNSUPPORTED, &origin, PTF_NO_OFFSET, "%s",
                    text);
}

/* True for what the caller brings. */
static bool is_users(const ptf_program_input *input)
{
    return input->kind == PTF_PROGRAM_USER && input->value >= 0;
}

/*
 * What an axis of an input has in this lowering.  The net of one sample, or of
 * as many as in the example, does for any batch.
 */
static int64_t size_of(const ptf_lowering *l, const ptf_program_value *v,
                       int axis)
{
    const ptf_sizes *s = l->sizes;
    bool batch = axis == 0 && s->batch > 0 && !s->is_free;
    return batch ? s->batch
                 : ptf_sizes_of(s, (size_t)l->net->input_count, v, axis);
}

/* The graph's name of an input that goes by another, where it is no other's. */
static const char *input_alias(const ptf_lowering *l,
                               const ptf_program_input *input)
{
    const char *name = ptf_lower_value(l, input->value)->name;
    for (int i = 0; i < l->program->input_count; i++) {
        if (strcmp(l->program->inputs[i].name, name) == 0)
            return NULL;
    }
    return name;
}

static ptf_status take_input(ptf_lowering *l, const ptf_program_input *input)
{
    ptf_net *net = l->net;
    const ptf_program_value *v = ptf_lower_value(l, input->value);
    int more = l->batch > 0;
    bool whole = ptf_dtype_is_integer(v->dtype) || v->dtype == PTF_DTYPE_BOOL;
    if (v->kind != PTF_PROGRAM_TENSOR ||
        (v->dtype != PTF_DTYPE_F32 && !whole) || v->rank - more > PTF_SHAPE_MAX)
        return fail(l,
                    "input '%s': expected a tensor of float32, integers or "
                    "bools of at most %d axes, got %s of %d",
                    input->name, PTF_SHAPE_MAX,
                    v->kind == PTF_PROGRAM_TENSOR ? ptf_dtype_name(v->dtype)
                                                  : "a number",
                    v->rank);
    ptf_shape shape = {.rank = v->rank - more};
    for (int d = 0; d < v->rank; d++) {
        if (!v->sizes[d].known || v->sizes[d].value < 0)
            return fail(l, "input '%s': the size of axis %d is not recorded",
                        input->name, d);
        if (d >= more)
            shape.dim[d - more] = size_of(l, v, d);
    }
    if (!ptf_shape_is_sane(&shape))
        return fail(l, "input '%s': has too many numbers", input->name);
    const ptf_input port = {.dtype = v->dtype,
                            .has_shape = true,
                            .fixed = true,
                            .shape = shape,
                            .sample = input->sample,
                            .alias = input_alias(l, input)};
    if (!ptf_net_add_input(net, &port))
        return ptf_fail_memory(l->err);
    ptf_node node = {.op = PTF_OP_INPUT, .name = input->name};
    int at = -1;
    ptf_status status = ptf_lower_append(l, &node, &shape, &at);
    l->values[input->value].node = at;
    l->values[input->value].batched = more;
    return status;
}

/* A parameter or constant; one without elements may have any other sizes. */
static ptf_status take_tensor(ptf_lowering *l, const ptf_program_input *input)
{
    const ptf_tensor *t = input->tensor;
    l->values[input->value].tensor = t;
    return ptf_lower_count(t->shape, t->rank) >= 0
               ? PTF_OK
               : fail(l, "'%s' is too large", input->name);
}

static ptf_status take_inputs(ptf_lowering *l)
{
    const ptf_program *p = l->program;
    ptf_status status = PTF_OK;
    for (int i = 0; i < p->input_count && status == PTF_OK; i++) {
        const ptf_program_input *input = &p->inputs[i];
        const ptf_program_value *v =
            input->value >= 0 ? ptf_lower_value(l, input->value) : NULL;
        if (v != NULL && v->kind == PTF_PROGRAM_TENSOR &&
            v->layout != PTF_PROGRAM_STRIDED)
            status = fail(l,
                          "input '%s': expected a strided tensor, got a "
                          "recorded layout of another kind",
                          input->name);
        else if (input->tensor != NULL && input->value >= 0)
            status = take_tensor(l, input);
        else if (is_users(input))
            status = take_input(l, input);
        else if (input->kind == PTF_PROGRAM_CUSTOM ||
                 input->kind == PTF_PROGRAM_TOKEN)
            status = fail(l, "input '%s' is no tensor", input->name);
    }
    return status;
}

/* Constants of Python among what forward() returns are no arrays. */
static bool is_given(const ptf_program_output *o)
{
    return o->kind == PTF_PROGRAM_RESULT && o->what->kind == PTF_ARGUMENT_VALUE;
}

/* PyTorch counts batches also in evaluation; nothing reads the count. */
static bool is_count(const char *target)
{
    return strcmp(ptf_path_last(target), "num_batches_tracked") == 0;
}

/* NaN in place of what PyTorch does not give, since an assertion fails. */
static ptf_status hold_to_demands(ptf_lowering *l, int *node)
{
    ptf_attrs a = ptf_lower_defaults(PTF_OP_MUL);
    ptf_status status = PTF_OK;
    for (int i = 0; i < l->demand_count && status == PTF_OK; i++) {
        int in[2] = {*node, l->demands[i].node};
        l->call = l->demands[i].call;
        status = ptf_lower_add(l, PTF_OP_MUL, &a, 2, in, NULL, node);
    }
    return status;
}

static ptf_status take_output(ptf_lowering *l, const ptf_program_output *o)
{
    const ptf_lowered *v =
        o->what->kind == PTF_ARGUMENT_VALUE ? &l->values[o->what->value] : NULL;
    if (v == NULL || (v->node < 0 && v->tensor == NULL))
        return fail(l, "output '%s' is no tensor", o->name);
    if (l->batch > 0 && !v->batched) {
        l->mixes = true;
        return fail(l, "output '%s' has no axis for the batch", o->name);
    }
    ptf_output out = {.node = v->node,
                      .name = o->name,
                      .dtype = ptf_lower_value(l, o->what->value)->dtype};
    l->batched = v->batched;
    ptf_status status = PTF_OK;
    if (v->tensor != NULL && v->tensor->dtype == PTF_DTYPE_F64)
        status = ptf_lower_check_double(l, v->tensor);
    if (status == PTF_OK)
        status = ptf_lower_value_node(l, o->what->value, &out.node);
    if (status == PTF_OK)
        status = hold_to_demands(l, &out.node);
    if (status != PTF_OK)
        return status;
    if (!ptf_net_add_output(l->net, &out))
        return ptf_fail_memory(l->err);
    return PTF_OK;
}

/*
 * Outputs go by the keys and fields of what forward() returns.  One that has
 * none but its place also goes by the graph's name for the value, where that
 * is no other's.
 */
static void add_aliases(ptf_lowering *l)
{
    static const char place[] = "output";
    const ptf_program *p = l->program;
    for (int i = 0, k = 0; i < p->output_count; i++) {
        const ptf_program_output *o = &p->outputs[i];
        size_t same;
        if (!is_given(o))
            continue;
        const char *name = ptf_lower_value(l, o->what->value)->name;
        if (strncmp(o->name, place, strlen(place)) == 0 &&
            !ptf_net_find_output(l->net, name, &same))
            l->net->outputs[k].alias = name;
        k++;
    }
}

static ptf_status take_outputs(ptf_lowering *l)
{
    const ptf_program *p = l->program;
    ptf_status status = PTF_OK;
    l->call = NULL; /* what is refused now is no call's fault */
    for (int i = 0; i < p->output_count && status == PTF_OK; i++) {
        const ptf_program_output *o = &p->outputs[i];
        if (o->kind == PTF_PROGRAM_BUFFER_MUTATION && is_count(o->target))
            continue;
        if (o->kind != PTF_PROGRAM_RESULT)
            return fail(l,
                        "changes '%s' as it runs; call model.eval() before "
                        "torch.export.export()",
                        o->target != NULL ? o->target : o->name);
        if (is_given(o))
            status = take_output(l, o);
    }
    if (status == PTF_OK && l->net->output_count == 0)
        return fail(l, "has no output");
    if (status == PTF_OK)
        add_aliases(l);
    return status;
}

/* -------------------------------------------------------------------- nets */

static ptf_status check_mode(const ptf_lowering *l)
{
    const ptf_program_node *node = ptf_program_training(l->program);
    return node == NULL
               ? PTF_OK
               : ptf_program_fail(l->program, node, l->err, PTF_UNSUPPORTED,
                                  "was exported in training mode; call "
                                  "model.eval() before torch.export.export()");
}

/* Constants went into others, and views that nobody reads were made. */
static ptf_status drop_unread(ptf_lowering *l)
{
    ptf_net *net = l->net;
    int *reads = ptf_alloc(((size_t)net->node_count + 1) * sizeof(*reads));
    if (reads == NULL)
        return ptf_fail_memory(l->err);
    ptf_net_count_reads(net, reads);
    int kept = 0;
    for (int i = 0; i < net->node_count; i++) {
        ptf_node *node = &net->nodes[i];
        if (reads[i] == 0 && node->op != PTF_OP_INPUT)
            continue;
        for (int k = 0; k < node->input_count; k++)
            node->inputs[k] = reads[node->inputs[k]];
        net->nodes[kept] = *node;
        reads[i] = kept++; /* from here on its number */
    }
    for (int i = 0; i < net->output_count; i++)
        net->outputs[i].node = reads[net->outputs[i].node];
    net->node_count = kept;
    ptf_free(reads);
    return PTF_OK;
}

/* What a network rested on that was written as a program. */
static ptf_status take_assumption(ptf_lowering *l)
{
    const ptf_program *p = l->program;
    for (size_t i = 0; i < p->extra_count; i++) {
        const ptf_entry *e = p->extras[i];
        if (strcmp(strchr(e->name, '/') + 1, PTF_PROGRAM_ASSUMES) == 0)
            return ptf_order_take(l->net, (const char *)e->data, e->size,
                                  p->file.name, l->err);
    }
    return PTF_OK;
}

static ptf_status lower(ptf_lowering *l)
{
    const ptf_program_graph *g = &l->program->graph;
    l->values = ptf_arena_array(&l->net->arena, (size_t)g->value_count,
                                sizeof(*l->values));
    l->storage = ptf_arena_array(&l->net->arena, (size_t)g->value_count,
                                 sizeof(*l->storage));
    l->spreads = ptf_arena_array(&l->net->arena, (size_t)g->node_count + 1,
                                 sizeof(*l->spreads));
    if (l->values == NULL || l->storage == NULL || l->spreads == NULL)
        return ptf_fail_memory(l->err);
    for (int i = 0; i < g->value_count; i++) {
        l->values[i] = (ptf_lowered){.node = -1, .other = -1};
        l->storage[i] = (ptf_lowered_name){-1, NULL, -1, -1};
    }
    l->call_number = -1;
    int file; /* memory 0 is the file's, which nobody writes to */
    ptf_status status = ptf_lower_remember(l, NULL, 0, &file);
    if (status == PTF_OK)
        status = take_assumption(l);
    if (status == PTF_OK)
        status = check_mode(l);
    if (status == PTF_OK)
        status = ptf_program_check_writes(l->program, l->spreads, l->err);
    if (status == PTF_OK)
        status = take_inputs(l);
    if (status == PTF_OK)
        status = ptf_lower_graph(l, g);
    l->call_number = -1;
    if (status == PTF_OK)
        status = take_outputs(l);
    if (status == PTF_OK)
        status = ptf_lower_hide(l);
    if (status == PTF_OK)
        status = drop_unread(l);
    return status;
}

/*
 * As a function of one sample where that is what the program is, or else of
 * all sizes that it was exported with.
 */
static ptf_status lower_for(const ptf_sizes *sizes, int64_t batch, ptf_net *net,
                            ptf_lower_outcome *outcome, bool *mixes,
                            ptf_error *err)
{
    const ptf_program *program = sizes->program;
    ptf_lowering l = {.program = program,
                      .graph = &program->graph,
                      .sizes = sizes,
                      .net = net,
                      .batch = batch,
                      .err = err};
    net->name = program->model;
    net->program = program;
    net->has_tensors = true;
    net->whole = batch == 0;
    net->stacks = net->whole && sizes->batch == 1 && !sizes->is_free;
    ptf_status status = lower(&l);
    ptf_text_table_free(&l.names);
    *mixes = l.mixes;
    outcome->failed = status != PTF_OK ? l.call : NULL;
    if (outcome->mixer == NULL)
        outcome->mixer = l.mixes && l.mixer == NULL ? l.call : l.mixer;
    return status == PTF_OK ? ptf_net_complete(net, err) : status;
}

static ptf_status make(const ptf_sizes *sizes, int64_t batch, ptf_net **out,
                       ptf_lower_outcome *outcome, bool *mixes, ptf_error *err)
{
    ptf_net *net = ptf_net_new();
    if (net == NULL)
        return ptf_fail_memory(err);
    net->source = ptf_users_add(sizes->program->users);
    ptf_status status = lower_for(sizes, batch, net, outcome, mixes, err);
    if (status == PTF_OK)
        *out = net;
    else
        ptf_net_free(net);
    return status;
}

/* The number of samples that the inputs have, where they have a batch. */
static int64_t samples_of(const ptf_sizes *s)
{
    return s->batch > 0 && s->given != NULL && s->given[0]->shape[0] >= 0
               ? s->given[0]->shape[0]
               : s->batch;
}

/*
 * What mixes samples is a function of the sizes that it was exported for: of
 * those that are there where the batch is open, and of one sample where that
 * is what the example had.
 */
ptf_status ptf_lower_program(const ptf_sizes *s, ptf_net **out,
                             ptf_lower_outcome *outcome, ptf_error *err)
{
    int64_t samples = samples_of(s), batch = s->is_free ? samples : s->batch;
    bool mixes = false;
    *outcome = (ptf_lower_outcome){NULL, NULL};
    ptf_status status = make(s, batch, out, outcome, &mixes, err);
    if (status == PTF_OK || !mixes || batch == 0)
        return status;
    if (batch == 1 || samples == batch)
        return make(s, 0, out, outcome, &mixes, err);
    if (err == NULL)
        return status;
    const ptf_error cause = *err;
    return ptf_fail(err, PTF_UNSUPPORTED, NULL, PTF_NO_OFFSET,
                    "%.230s: it runs for a batch of %lld alone, got %lld",
                    cause.message, (long long)batch, (long long)samples);
}

ptf_status ptf_net_from_program_for(const ptf_program *program,
                                    const ptf_tensor *const *inputs,
                                    size_t count, ptf_net **out, ptf_error *err)
{
    ptf_sizes sizes;
    ptf_lower_outcome outcome;
    *out = NULL;
    ptf_status status = ptf_sizes_open(&sizes, program, inputs, count, err);
    if (status == PTF_OK)
        status = ptf_lower_program(&sizes, out, &outcome, err);
    ptf_sizes_close(&sizes);
    return status;
}

ptf_status ptf_net_from_program(const ptf_program *program, ptf_net **out,
                                ptf_error *err)
{
    return ptf_net_from_program_for(program, NULL, 0, out, err);
}
