/*
 * The signature: which of a graph's inputs are parameters, buffers, constants
 * and inputs of the user, what its outputs are, and how callers name them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "program/reader.h"

/* ---------------------------------------------------------------- the specs */

/* A kind of spec by its key; the members that it has are not NULL. */
static const struct input_spec {
    const char *key;
    ptf_program_input_kind kind;
    const char *target;
} input_specs[] = {
    {"parameter", PTF_PROGRAM_PARAMETER, "parameter_name"},
    {"buffer", PTF_PROGRAM_BUFFER, "buffer_name"},
    {"tensor_constant", PTF_PROGRAM_CONSTANT, "tensor_constant_name"},
    {"user_input", PTF_PROGRAM_USER, NULL},
    {"constant_input", PTF_PROGRAM_LITERAL, "name"},
    {"custom_obj", PTF_PROGRAM_CUSTOM, "custom_obj_name"},
    {"token", PTF_PROGRAM_TOKEN, NULL},
};

static const struct output_spec {
    const char *key;
    ptf_program_output_kind kind;
    const char *target;
} output_specs[] = {
    {"user_output", PTF_PROGRAM_RESULT, NULL},
    {"loss_output", PTF_PROGRAM_LOSS, NULL},
    {"buffer_mutation", PTF_PROGRAM_BUFFER_MUTATION, "buffer_name"},
    {"parameter_mutation", PTF_PROGRAM_PARAMETER_MUTATION, "parameter_name"},
    {"user_input_mutation", PTF_PROGRAM_INPUT_MUTATION, "user_input_name"},
    {"gradient_to_parameter", PTF_PROGRAM_PARAMETER_GRADIENT, "parameter_name"},
    {"gradient_to_user_input", PTF_PROGRAM_INPUT_GRADIENT, "user_input_name"},
    {"token", PTF_PROGRAM_OUTPUT_TOKEN, NULL},
};

/*
 * Checks that a spec names the same value as the graph at its place; 'arg' is
 * {"name": ...} or a union that holds that.
 */
static ptf_status check_name(ptf_program_reader *r, const ptf_tree *spec,
                             const ptf_argument *port)
{
    ptf_tree arg, inner;
    ptf_status status =
        ptf_tree_member(&r->source, spec, "arg", JSON_OBJECT, &arg);
    if (status != PTF_OK)
        return status;
    const ptf_tree *at = &arg;
    if (json_object_get(arg.value, "name") == NULL) {
        status = ptf_tree_union(&r->source, &arg, &inner);
        at = &inner;
    }
    if (status != PTF_OK)
        return status;
    const json_t *name = json_object_get(at->value, "name");
    if (name == NULL)
        name = json_object_get(at->value, "as_name");
    bool value = port->kind == PTF_ARGUMENT_VALUE;
    const char *expected =
        value ? r->program->graph.values[port->value].name : NULL;
    if (value != json_is_string(name) ||
        (value && strcmp(expected, json_string_value(name)) != 0))
        return ptf_tree_fail(&r->source, &arg, PTF_FORMAT,
                             "expected the graph's '%s' here, got '%s'",
                             value ? expected : "constant",
                             json_is_string(name) ? json_string_value(name)
                                                  : "a constant");
    return PTF_OK;
}

/* ------------------------------------------------------------------- inputs */

/* The data of a parameter must be what the graph says of it. */
static ptf_status check_data(ptf_program_reader *r, const ptf_tree *spec,
                             const ptf_program_input *input)
{
    const ptf_program_value *v = &r->program->graph.values[input->value];
    const ptf_tensor *t = input->tensor;
    bool same = t->dtype == v->dtype && t->rank == v->rank;
    for (int i = 0; same && i < t->rank; i++)
        same = v->sizes[i].expr == NULL && v->sizes[i].value == t->shape[i];
    if (same)
        return PTF_OK;
    char shape[192];
    ptf_tensor_shape_text(t, shape);
    return ptf_tree_fail(&r->source, spec, PTF_FORMAT,
                         "expected the dtype and shape of '%s' as the graph "
                         "records them, got %s %s",
                         input->name, ptf_dtype_name(t->dtype), shape);
}

static ptf_status read_data(ptf_program_reader *r, const ptf_tree *spec,
                            ptf_program_input *input)
{
    bool is_buffer = input->kind == PTF_PROGRAM_BUFFER;
    ptf_tree persistent;
    ptf_status status = PTF_OK;
    if (is_buffer) {
        status = ptf_tree_member(&r->source, spec, "persistent", JSON_TRUE,
                                 &persistent);
        input->persistent = status == PTF_OK && json_is_true(persistent.value);
    }
    if (status == PTF_OK && input->value == PTF_ABSENT)
        status = ptf_tree_fail(&r->source, spec, PTF_FORMAT,
                               "expected a tensor, got a constant");
    bool constant = input->kind == PTF_PROGRAM_CONSTANT ||
                    (is_buffer && !input->persistent);
    if (status == PTF_OK)
        status = ptf_payload_find(r, constant ? &r->constants : &r->weights,
                                  spec, input->name, &input->tensor);
    return status == PTF_OK ? check_data(r, spec, input) : status;
}

/* The value stands in the spec and in the graph; the graph's is taken. */
static ptf_status read_input(ptf_program_reader *r, const ptf_tree *tree,
                             int index, ptf_program_input *out)
{
    const ptf_argument *port = &r->program->graph.inputs[index];
    const struct input_spec *spec = NULL;
    ptf_tree only;
    ptf_status status = ptf_tree_union(&r->source, tree, &only);
    if (status != PTF_OK)
        return status;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(input_specs); i++) {
        if (strcmp(input_specs[i].key, only.key) == 0)
            spec = &input_specs[i];
    }
    if (spec == NULL)
        return ptf_tree_fail(&r->source, tree, PTF_UNSUPPORTED,
                             "expected an input of a known kind, got '%s'",
                             only.key);
    out->kind = spec->kind;
    out->value = port->kind == PTF_ARGUMENT_VALUE ? port->value : PTF_ABSENT;
    out->constant = port->kind == PTF_ARGUMENT_VALUE ? NULL : port;
    out->name =
        out->value >= 0 ? r->program->graph.values[out->value].name : "";
    if (spec->target != NULL)
        status =
            ptf_tree_text_member(&r->source, &only, spec->target, &out->name);
    if (status == PTF_OK && spec->kind != PTF_PROGRAM_LITERAL)
        status = check_name(r, &only, port);
    bool has_data = spec->kind == PTF_PROGRAM_PARAMETER ||
                    spec->kind == PTF_PROGRAM_BUFFER ||
                    spec->kind == PTF_PROGRAM_CONSTANT;
    return status == PTF_OK && has_data ? read_data(r, &only, out) : status;
}

static ptf_status read_inputs(ptf_program_reader *r, const ptf_tree *signature)
{
    ptf_program *p = r->program;
    ptf_tree list;
    ptf_status status = ptf_tree_member(&r->source, signature, "input_specs",
                                        JSON_ARRAY, &list);
    if (status != PTF_OK)
        return status;
    int count = (int)ptf_tree_count(&list);
    if (count != p->graph.input_count)
        return ptf_tree_fail(&r->source, &list, PTF_FORMAT,
                             "expected the graph's %d inputs, got %d",
                             p->graph.input_count, count);
    ptf_program_input *inputs =
        ptf_arena_array(&p->arena, (size_t)count, sizeof(*inputs));
    if (inputs == NULL)
        return ptf_fail_memory(r->source.err);
    p->inputs = inputs;
    p->input_count = count;
    for (int i = 0; status == PTF_OK && i < count; i++) {
        ptf_tree spec = ptf_tree_element(&list, (size_t)i);
        status = read_input(r, &spec, i, &inputs[i]);
    }
    return status;
}

/* ------------------------------------------------------------------ outputs */

static ptf_status read_output(ptf_program_reader *r, const ptf_tree *tree,
                              int index, ptf_program_output *out)
{
    const struct output_spec *spec = NULL;
    ptf_tree only;
    ptf_status status = ptf_tree_union(&r->source, tree, &only);
    if (status != PTF_OK)
        return status;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(output_specs); i++) {
        if (strcmp(output_specs[i].key, only.key) == 0)
            spec = &output_specs[i];
    }
    if (spec == NULL)
        return ptf_tree_fail(&r->source, tree, PTF_UNSUPPORTED,
                             "expected an output of a known kind, got '%s'",
                             only.key);
    out->kind = spec->kind;
    out->what = &r->program->graph.outputs[index];
    out->name = "";
    if (spec->target != NULL)
        status =
            ptf_tree_text_member(&r->source, &only, spec->target, &out->target);
    return status == PTF_OK ? check_name(r, &only, out->what) : status;
}

static ptf_status read_outputs(ptf_program_reader *r, const ptf_tree *signature)
{
    ptf_program *p = r->program;
    ptf_tree list;
    ptf_status status = ptf_tree_member(&r->source, signature, "output_specs",
                                        JSON_ARRAY, &list);
    if (status != PTF_OK)
        return status;
    int count = (int)ptf_tree_count(&list);
    if (count != p->graph.output_count)
        return ptf_tree_fail(&r->source, &list, PTF_FORMAT,
                             "expected the graph's %d outputs, got %d",
                             p->graph.output_count, count);
    ptf_program_output *outputs =
        ptf_arena_array(&p->arena, (size_t)count, sizeof(*outputs));
    if (outputs == NULL)
        return ptf_fail_memory(r->source.err);
    p->outputs = outputs;
    p->output_count = count;
    for (int i = 0; status == PTF_OK && i < count; i++) {
        ptf_tree spec = ptf_tree_element(&list, (size_t)i);
        status = read_output(r, &spec, i, &outputs[i]);
    }
    return status;
}

/* -------------------------------------------------------------------- names */

static ptf_status fail_leaves(ptf_program_reader *r, const ptf_tree *call,
                              const char *what, size_t leaves)
{
    return ptf_tree_fail(&r->source, call, PTF_FORMAT,
                         "expected as many leaves as the signature has %s, "
                         "got %zu",
                         what, leaves);
}

static ptf_status name_inputs(ptf_program_reader *r, const ptf_tree *call,
                              const ptf_leaf_name *leaves, size_t count)
{
    ptf_program *p = r->program;
    ptf_program_input *inputs = (ptf_program_input *)(uintptr_t)p->inputs;
    size_t used = 0;
    for (int i = 0; i < p->input_count; i++) {
        ptf_program_input *input = &inputs[i];
        if (input->kind != PTF_PROGRAM_USER &&
            input->kind != PTF_PROGRAM_LITERAL)
            continue;
        if (used == count)
            return fail_leaves(r, call, "inputs of users", count);
        if (*leaves[used].name != '\0') /* else the graph's name of it */
            input->name = leaves[used].name;
        if (r->samples != NULL)
            input->sample = ptf_checkpoint_find(r->samples, leaves[used].path);
        used++;
    }
    return used == count ? PTF_OK
                         : fail_leaves(r, call, "inputs of users", count);
}

static ptf_status name_outputs(ptf_program_reader *r, const ptf_tree *call,
                               const ptf_leaf_name *leaves, size_t count)
{
    ptf_program *p = r->program;
    ptf_program_output *outputs = (ptf_program_output *)(uintptr_t)p->outputs;
    size_t used = 0;
    for (int i = 0; i < p->output_count; i++) {
        if (outputs[i].kind != PTF_PROGRAM_RESULT &&
            outputs[i].kind != PTF_PROGRAM_LOSS)
            continue;
        if (used == count)
            return fail_leaves(r, call, "outputs of users", count);
        outputs[i].name = leaves[used++].name;
    }
    return used == count ? PTF_OK
                         : fail_leaves(r, call, "outputs of users", count);
}

/* Names come from how the outermost module is called. */
static ptf_status read_names(ptf_program_reader *r, const ptf_tree *module)
{
    ptf_program *p = r->program;
    ptf_tree calls, signature, names, fields;
    ptf_leaf_name *leaves;
    size_t count;
    ptf_status status = ptf_tree_member(&r->source, module, "module_call_graph",
                                        JSON_ARRAY, &calls);
    if (status != PTF_OK)
        return status;
    ptf_tree call = ptf_tree_element(&calls, 0);
    status = ptf_tree_member(&r->source, &call, "signature", JSON_OBJECT,
                             &signature);
    if (status == PTF_OK)
        status = ptf_tree_text_member(&r->source, &signature, "in_spec",
                                      &p->in_spec);
    if (status == PTF_OK)
        status = ptf_tree_text_member(&r->source, &signature, "out_spec",
                                      &p->out_spec);
    if (status == PTF_OK)
        status = ptf_tree_optional(&r->source, &signature, "forward_arg_names",
                                   JSON_ARRAY, &names);
    if (status == PTF_OK)
        status =
            ptf_tree_optional(&r->source, module, "treespec_namedtuple_fields",
                              JSON_OBJECT, &fields);
    if (status == PTF_OK)
        status = ptf_pytree_names(&r->source, p->in_spec, names.value,
                                  fields.value, true, &leaves, &count);
    if (status == PTF_OK)
        status = name_inputs(r, &signature, leaves, count);
    if (status == PTF_OK)
        status = ptf_pytree_names(&r->source, p->out_spec, NULL, fields.value,
                                  false, &leaves, &count);
    return status == PTF_OK ? name_outputs(r, &signature, leaves, count)
                            : status;
}

ptf_status ptf_program_read_signature(ptf_program_reader *r,
                                      const ptf_tree *module)
{
    ptf_tree signature;
    ptf_status status = ptf_tree_member(&r->source, module, "signature",
                                        JSON_OBJECT, &signature);
    if (status == PTF_OK)
        status = read_inputs(r, &signature);
    if (status == PTF_OK)
        status = read_outputs(r, &signature);
    return status == PTF_OK ? read_names(r, module) : status;
}
