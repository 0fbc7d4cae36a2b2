/*
 * The walk through a program's calls, and what its values become.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten.h"
#include "import/text.h"
#include "import/writes.h"

/* ------------------------------------------------------------------- nodes */

static bool ends_with(const char *text, const char *end)
{
    size_t a = strlen(text), b = strlen(end);
    return a > b && strcmp(text + a - b, end) == 0 && text[a - b - 1] == '.';
}

/*
 * The module's path where the node is the module (its class is the op's), so
 * that names are those of the state dict; else the call's own name.
 */
static const char *name_of(const ptf_lowering *l, ptf_op op)
{
    const ptf_program_node *call = l->call;
    const char *class_name = ptf_op_info(op)->class_name;
    bool is_module = call->module != NULL && call->module[0] != '\0' &&
                     call->class != NULL && class_name[0] != '\0' &&
                     ends_with(call->class, class_name);
    return is_module && ptf_text_table_find(&l->names, call->module) == NULL
               ? call->module
               : call->name;
}

/* Names differ: one that is taken gets a number. */
static const char *take_name(ptf_lowering *l, const char *name)
{
    int number = l->net->node_count;
    while (name != NULL && ptf_text_table_find(&l->names, name) != NULL)
        name = ptf_arena_printf(&l->net->arena, "%s.%d", name, number++);
    bool ok = name != NULL && ptf_text_table_add(&l->names, name, l);
    return ok ? name : NULL;
}

static bool make_room(ptf_lowering *l)
{
    ptf_net *net = l->net;
    void *nodes = net->nodes, *shapes = l->shapes;
    bool ok = ptf_arena_grow(&net->arena, &nodes, net->node_count,
                             &l->node_capacity, sizeof(*net->nodes)) &&
              ptf_arena_grow(&net->arena, &shapes, net->node_count,
                             &l->shape_capacity, sizeof(*l->shapes));
    net->nodes = nodes;
    l->shapes = shapes;
    return ok;
}

/* Adds it with its shape; names and texts are for people. */
static ptf_status append(ptf_lowering *l, const ptf_node *node,
                         const ptf_shape *shape, int *out)
{
    ptf_net *net = l->net;
    if (net->node_count > PTF_LAYER_MAX)
        return ptf_lower_refuse(l, "the net has more than %d nodes",
                                PTF_LAYER_MAX);
    if (!make_room(l))
        return ptf_fail_memory(l->err);
    ptf_node *n = &net->nodes[net->node_count];
    const ptf_op_row *row = ptf_op_info(node->op);
    *n = *node;
    n->container = -1;
    n->file = l->program->file.name;
    n->class_name = row->class_name[0] != '\0' ? row->class_name : row->name;
    n->text = row->class_name[0] != '\0'
                  ? ptf_op_text(&net->arena, n->op, &n->attrs)
                  : row->name;
    n->name = take_name(l, n->name);
    if (n->text == NULL || n->name == NULL)
        return ptf_fail_memory(l->err);
    l->shapes[net->node_count] = *shape;
    *out = net->node_count++;
    return PTF_OK;
}

ptf_status ptf_lower_add(ptf_lowering *l, ptf_op op, const ptf_attrs *attrs,
                         int count, const int *inputs,
                         const ptf_tensor *const tensors[PTF_ROLE_COUNT],
                         int *out)
{
    ptf_node node = {.op = op, .attrs = *attrs, .name = name_of(l, op)};
    ptf_shape *in = ptf_alloc((size_t)count * sizeof(*in)), shape;
    if (in == NULL || !ptf_node_read(&l->net->arena, &node, count, inputs)) {
        ptf_free(in);
        return ptf_fail_memory(l->err);
    }
    for (int i = 0; i < count; i++)
        in[i] = l->shapes[inputs[i]];
    const char *wrong = ptf_op_settle(op, &node.attrs);
    if (wrong == NULL)
        wrong = ptf_op_shape(op, &node.attrs, in, count, &shape);
    char text[PTF_REFUSAL_TEXT];
    ptf_status status = PTF_OK;
    if (wrong != NULL)
        status = ptf_lower_refuse(
            l, "%s", ptf_op_refusal(wrong, attrs, in[0].dim[0], text));
    ptf_free(in);
    if (tensors != NULL)
        memcpy(node.tensors, tensors, sizeof(node.tensors));
    return status == PTF_OK ? append(l, &node, &shape, out) : status;
}

/*
 * PyTorch aligns shapes at their ends, so a constant of the rank of a value
 * with the batch has a batch axis too, of size 1.
 */
ptf_status ptf_lower_constant(ptf_lowering *l, const ptf_tensor *tensor,
                              int rank, int *out)
{
    ptf_tensor *own = ptf_arena_alloc(&l->net->arena, sizeof(*own));
    if (own == NULL)
        return ptf_fail_memory(l->err);
    *own = *tensor;
    if (own->rank > rank)
        return ptf_lower_refuse(l, "a constant has more axes than its result");
    if (own->rank == rank && rank > 0) {
        if (own->shape[0] != 1)
            return ptf_lower_refuse(l,
                                    "a constant has a value for each sample of "
                                    "a batch of %lld",
                                    (long long)own->shape[0]);
        own->rank--;
        memmove(own->shape, own->shape + 1,
                (size_t)own->rank * sizeof(*own->shape));
        memmove(own->stride, own->stride + 1,
                (size_t)own->rank * sizeof(*own->stride));
    }
    if (own->dtype != PTF_DTYPE_F32 || own->rank > PTF_SHAPE_MAX)
        return ptf_lower_refuse(l, "expected an f32 constant, got %s",
                                ptf_dtype_name(own->dtype));
    ptf_node node = {.op = PTF_OP_CONSTANT};
    ptf_shape shape = {.rank = own->rank};
    memcpy(shape.dim, own->shape, (size_t)own->rank * sizeof(*shape.dim));
    node.name = own->name != NULL ? own->name : "constant";
    node.tensors[PTF_ROLE_WEIGHT] = own;
    ptf_status status = append(l, &node, &shape, out);
    if (status == PTF_OK)
        own->name = l->net->nodes[*out].name;
    return status;
}

/* ----------------------------------------------------------------- results */

/* "[2, 64, 56, 56]" into 'text'. */
static void recorded_text(const ptf_program_value *v, char text[256])
{
    size_t used = 1;
    snprintf(text, 256, "[");
    for (int d = 0; d < v->rank && used < 200; d++)
        used +=
            (size_t)snprintf(text + used, 256 - used, "%s%lld",
                             d > 0 ? ", " : "", (long long)v->sizes[d].value);
    snprintf(text + used, 256 - used, "]");
}

/* What was recorded is not believed, but must be what the rules give. */
static ptf_status check_recorded(ptf_lowering *l, const ptf_program_value *v,
                                 const ptf_shape *shape)
{
    bool same = v->rank == shape->rank + 1;
    for (int d = 0; same && d < v->rank; d++)
        same = v->sizes[d].known &&
               v->sizes[d].value == (d == 0 ? l->batch : shape->dim[d - 1]);
    if (v->dtype != PTF_DTYPE_F32)
        return ptf_lower_refuse(l, "computes in %s; ptfold computes in float32",
                                ptf_dtype_name(v->dtype));
    if (same)
        return PTF_OK;
    char recorded[256], want[PTF_SHAPE_TEXT];
    recorded_text(v, recorded);
    ptf_shape_text(shape, want);
    return ptf_lower_refuse(l,
                            "expected a batch of %s from its inputs, got a "
                            "recorded shape of %s",
                            want, recorded);
}

ptf_status ptf_lower_give(ptf_lowering *l, int node)
{
    int result = l->call->result_count > 0 ? l->call->results[0] : PTF_ABSENT;
    if (result < 0)
        return PTF_OK;
    l->values[result].node = node;
    return check_recorded(l, ptf_lower_value(l, result), &l->shapes[node]);
}

ptf_status ptf_lower_give_tensor(ptf_lowering *l, const ptf_tensor *tensor)
{
    if (l->call->result_count > 0 && l->call->results[0] >= 0)
        l->values[l->call->results[0]].tensor = tensor;
    return PTF_OK;
}

/* ------------------------------------------------------------------- calls */

/*
 * In place or not, a call computes the same: writes.c has seen that nobody
 * reads the old value by another name.  From here on the value that was
 * written is the result.
 */
static ptf_status lower_call(ptf_lowering *l, const ptf_program_node *call)
{
    char target[128];
    const ptf_schema *schema = call->schema;
    l->call = call;
    snprintf(target, sizeof(target), "%s", call->target);
    bool writes = schema != NULL && schema->argument_count > 0 &&
                  schema->arguments[0].is_written;
    char *mark = writes ? strstr(target, "_.") : NULL;
    if (mark != NULL)
        memmove(mark, mark + 1, strlen(mark));
    ptf_status status = ptf_aten_lower(l, target);
    const ptf_argument *written = writes ? &call->arguments[0] : NULL;
    if (status == PTF_OK && written != NULL &&
        written->kind == PTF_ARGUMENT_VALUE && call->result_count > 0 &&
        call->results[0] >= 0)
        l->values[written->value] = l->values[call->results[0]];
    return status;
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

/* A call that gives what is needed, or writes to what may be. */
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
    return call->schema == NULL;
}

/*
 * Marks the calls that the outputs depend on.  The others need not be ops that
 * there are: assertions, the count of batches that PyTorch writes back.
 */
static void find_needed(const ptf_program *p, bool *needed, bool *live)
{
    for (int i = 0; i < p->output_count; i++) {
        if (p->outputs[i].kind == PTF_PROGRAM_RESULT)
            need(needed, p->outputs[i].what);
    }
    for (int i = p->graph.node_count - 1; i >= 0; i--) {
        const ptf_program_node *call = &p->graph.nodes[i];
        live[i] = is_needed(call, needed);
        for (int k = 0; live[i] && k < call->argument_count; k++)
            need(needed, &call->arguments[k]);
    }
}

static ptf_status lower_calls(ptf_lowering *l)
{
    const ptf_program_graph *g = &l->program->graph;
    bool *needed = ptf_alloc((size_t)g->value_count + 1);
    bool *live = ptf_alloc((size_t)g->node_count + 1);
    ptf_status status =
        needed != NULL && live != NULL ? PTF_OK : ptf_fail_memory(l->err);
    if (status == PTF_OK)
        find_needed(l->program, needed, live);
    for (int i = 0; i < g->node_count && status == PTF_OK; i++) {
        if (live[i])
            status = lower_call(l, &g->nodes[i]);
    }
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

/* The first axis of the input is the batch; the others must be known. */
static ptf_status take_input(ptf_lowering *l, const ptf_program_input *input)
{
    ptf_net *net = l->net;
    const ptf_program_value *v = ptf_lower_value(l, input->value);
    if (net->node_count > 0)
        return fail(l,
                    "has the inputs '%s' and '%s'; ptfold runs networks with "
                    "one",
                    net->nodes[0].name, input->name);
    if (v->kind != PTF_PROGRAM_TENSOR || v->dtype != PTF_DTYPE_F32 ||
        v->rank < 2 || v->rank > PTF_SHAPE_MAX)
        return fail(l,
                    "input '%s': expected a batch of float32 tensors, got %s "
                    "of %d axes",
                    input->name,
                    v->kind == PTF_PROGRAM_TENSOR ? ptf_dtype_name(v->dtype)
                                                  : "a number",
                    v->rank);
    ptf_shape shape = {.rank = v->rank - 1};
    for (int d = 0; d < v->rank; d++) {
        if (!v->sizes[d].known || v->sizes[d].value < 1)
            return fail(l, "input '%s': the size of axis %d is not recorded",
                        input->name, d);
        if (d > 0)
            shape.dim[d - 1] = v->sizes[d].value;
    }
    l->batch = v->sizes[0].value;
    net->has_input = net->input_fixed = true;
    net->input = shape;
    ptf_node node = {.op = PTF_OP_INPUT, .name = input->name};
    int at = -1;
    ptf_status status = append(l, &node, &shape, &at);
    l->values[input->value].node = at;
    return status;
}

static ptf_status take_inputs(ptf_lowering *l)
{
    const ptf_program *p = l->program;
    ptf_status status = PTF_OK;
    for (int i = 0; i < p->input_count && status == PTF_OK; i++) {
        const ptf_program_input *input = &p->inputs[i];
        if (input->tensor != NULL && input->value >= 0)
            l->values[input->value].tensor = input->tensor;
        else if (input->kind == PTF_PROGRAM_USER && input->value >= 0)
            status = take_input(l, input);
        else if (input->kind == PTF_PROGRAM_CUSTOM ||
                 input->kind == PTF_PROGRAM_TOKEN)
            status = fail(l, "input '%s' is no tensor", input->name);
    }
    if (status == PTF_OK && l->net->node_count == 0)
        status = fail(l, "has no input that is a tensor");
    return status;
}

/* PyTorch counts batches also in evaluation; nothing reads the count. */
static bool is_count(const char *target)
{
    static const char count[] = "num_batches_tracked";
    return strcmp(target, count) == 0 || ends_with(target, count);
}

static ptf_status take_outputs(ptf_lowering *l)
{
    const ptf_program *p = l->program;
    const char *first = NULL;
    for (int i = 0; i < p->output_count; i++) {
        const ptf_program_output *o = &p->outputs[i];
        if (o->kind == PTF_PROGRAM_BUFFER_MUTATION && is_count(o->target))
            continue;
        if (o->kind != PTF_PROGRAM_RESULT)
            return fail(l,
                        "changes '%s' as it runs; call model.eval() before "
                        "torch.export.export()",
                        o->target != NULL ? o->target : o->name);
        if (o->what->kind == PTF_ARGUMENT_NONE)
            continue;
        if (first != NULL)
            return fail(l,
                        "has the outputs '%s' and '%s'; ptfold runs networks "
                        "with one",
                        first, o->name);
        int node = o->what->kind == PTF_ARGUMENT_VALUE
                       ? l->values[o->what->value].node
                       : -1;
        if (node < 0)
            return fail(l, "output '%s' does not depend on the input", o->name);
        first = o->name;
        l->net->output = node;
    }
    return first != NULL ? PTF_OK : fail(l, "has no output");
}

/* -------------------------------------------------------------------- nets */

static ptf_status lower(ptf_lowering *l)
{
    const ptf_program_graph *g = &l->program->graph;
    l->values = ptf_arena_array(&l->net->arena, (size_t)g->value_count,
                                sizeof(*l->values));
    if (l->values == NULL)
        return ptf_fail_memory(l->err);
    for (int i = 0; i < g->value_count; i++)
        l->values[i] = (ptf_lowered){.node = -1, .number = -1};
    ptf_status status = ptf_program_check_writes(l->program, l->err);
    if (status == PTF_OK)
        status = take_inputs(l);
    if (status == PTF_OK)
        status = lower_calls(l);
    if (status == PTF_OK)
        status = take_outputs(l);
    return status;
}

ptf_status ptf_net_from_program(const ptf_program *program, ptf_net **out,
                                ptf_error *err)
{
    *out = NULL;
    ptf_net *net = ptf_alloc(sizeof(*net));
    if (net == NULL)
        return ptf_fail_memory(err);
    ptf_lowering l = {.program = program, .net = net, .err = err};
    net->name = program->model;
    net->has_tensors = true;
    ptf_status status = lower(&l);
    ptf_text_table_free(&l.names);
    if (status == PTF_OK)
        status = ptf_net_complete(net, err);
    if (status != PTF_OK) {
        ptf_net_free(net);
        return status;
    }
    *out = net;
    return PTF_OK;
}
