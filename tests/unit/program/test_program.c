/*
 * Programs that PyTorch wrote, and what becomes of them when any part of
 * their JSON is missing, of another kind, or said twice.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "program_source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const char *folder;

/* ------------------------------------------------------------- the fixtures */

static void open_source(const char *name, program_source *s)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s.pt2", folder, name);
    program_source_open(path, s);
}

/* Opens the archive with that text in place of an entry's. */
static ptf_status open_changed(const program_source *s, size_t entry,
                               const char *text, ptf_program **out,
                               ptf_error *err)
{
    ptf_buffer zip;
    program_source_change(s, entry, text, &zip);
    ptf_status status =
        ptf_program_open_memory(zip.data, zip.size, "f", NULL, out, err);
    if (status == PTF_OK) { /* what it says must be readable */
        FILE *null = fopen("/dev/null", "w");
        assert_non_null(null);
        ptf_program_print(*out, null);
        ptf_program_print_graph(*out, true, null);
        fclose(null);
        ptf_program_close(*out);
    }
    ptf_buffer_free(&zip);
    return status;
}

static ptf_status open_json(const program_source *s, size_t entry,
                            const json_t *root, ptf_error *err)
{
    ptf_program *program;
    char *text = json_dumps(root, JSON_COMPACT);
    assert_non_null(text);
    ptf_status status = open_changed(s, entry, text, &program, err);
    free(text);
    return status;
}

/* ------------------------------------------------------------ what is there */

static ptf_program *open_fixture(const char *name)
{
    char path[4096];
    ptf_error err = {PTF_OK, ""};
    ptf_program *program;
    snprintf(path, sizeof(path), "%s/%s.pt2", folder, name);
    if (ptf_program_open(path, NULL, &program, &err) != PTF_OK)
        fail_msg("%s", err.message);
    return program;
}

static const ptf_program_input *find_input(const ptf_program *p,
                                           const char *name)
{
    for (int i = 0; i < p->input_count; i++) {
        if (strcmp(p->inputs[i].name, name) == 0)
            return &p->inputs[i];
    }
    fail_msg("no input %s", name);
    return NULL;
}

static void data_is_used_where_it_lies(void **state)
{
    (void)state;
    ptf_program *p = open_fixture("places");
    const ptf_tensor *a = find_input(p, "a.weight")->tensor;
    const ptf_tensor *b = find_input(p, "b.weight")->tensor;
    assert_ptr_equal(a->data, b->data);
    assert_ptr_equal(a->storage, b->storage);
    const ptf_tensor *top = find_input(p, "top")->tensor;
    const ptf_tensor *end = find_input(p, "end")->tensor;
    assert_ptr_equal(top->storage, end->storage);
    assert_ptr_equal((const float *)top->data + 9, end->data);
    const ptf_tensor *turned = find_input(p, "turned")->tensor;
    assert_int_equal(turned->stride[0], 1);
    assert_int_equal(turned->stride[1], 3);
    const ptf_tensor *last = find_input(p, "last")->tensor;
    assert_int_equal(last->stride[1], 1);
    for (int i = 0; i < p->input_count; i++) {
        const ptf_tensor *t = p->inputs[i].tensor;
        if (t == NULL || ptf_tensor_numel(t) == 0)
            continue;
        const uint8_t *data = t->data;
        assert_true(data >= p->file.data && data < p->file.data + p->file.size);
        assert_int_equal((uintptr_t)t->storage->data % 64, 0);
    }
    float numbers[6];
    assert_int_equal(ptf_tensor_read_f32(turned, numbers, NULL), PTF_OK);
    for (int i = 0; i < 6; i++)
        assert_int_equal((int)numbers[i], i % 2 * 3 + i / 2);
    assert_int_equal(ptf_program_verify(p, NULL), PTF_OK);
    ptf_program_close(p);
}

static void inputs_have_names_kinds_and_samples(void **state)
{
    (void)state;
    ptf_program *p = open_fixture("values");
    const ptf_program_input *left = find_input(p, "boxes.left.0");
    assert_int_equal(left->kind, PTF_PROGRAM_USER);
    assert_non_null(left->sample);
    assert_int_equal(left->sample->shape[0], 3);
    assert_int_equal(find_input(p, "mask")->sample->dtype, PTF_DTYPE_BOOL);
    const ptf_program_input *scale = find_input(p, "scale");
    assert_int_equal(scale->kind, PTF_PROGRAM_LITERAL);
    assert_int_equal(scale->value, PTF_ABSENT);
    assert_int_equal(scale->constant->integer, 3);
    ptf_program_close(p);
    p = open_fixture("places");
    assert_false(find_input(p, "step")->persistent);
    assert_true(find_input(p, "short")->persistent);
    assert_int_equal(find_input(p, "plain")->kind, PTF_PROGRAM_CONSTANT);
    ptf_program_close(p);
}

static void calls_know_their_module_and_text(void **state)
{
    (void)state;
    ptf_program *p = open_fixture("net");
    const ptf_program_node *conv = &p->graph.nodes[0];
    assert_string_equal(conv->name, "conv2d");
    assert_string_equal(conv->module, "conv");
    assert_string_equal(conv->class, "torch.nn.modules.conv.Conv2d");
    assert_int_equal(conv->metadata_count, 1);
    assert_string_equal(conv->metadata[0].key, "nn_module_stack");
    const ptf_argument *groups = ptf_program_argument(conv, "groups");
    assert_int_equal(groups->integer, 1);
    assert_false(groups->given);
    assert_null(ptf_program_argument(conv, "group"));
    ptf_error err;
    ptf_program_fail(p, conv, &err, PTF_UNSUPPORTED, "no %s", "way");
    assert_non_null(strstr(
        err.message, "net.pt2: node 'conv2d' (aten.conv2d.default in conv): "
                     "no way"));
    ptf_program_close(p);
}

/* --------------------------------------------------------------- any change */

typedef struct tally {
    program_source *s;
    json_t *root;
    size_t entry;
    size_t opened, refused;
} tally;

static void try_it(tally *t)
{
    ptf_error err = {PTF_OK, ""};
    ptf_status status = open_json(t->s, t->entry, t->root, &err);
    t->opened += status == PTF_OK;
    t->refused += status != PTF_OK;
    if (status != PTF_OK && status != PTF_FORMAT && status != PTF_UNSUPPORTED)
        fail_msg("%d: %s", (int)status, err.message);
}

static void change(tally *t, json_t *value);

static void change_member(tally *t, json_t *object, const char *key)
{
    json_t *value = json_incref(json_object_get(object, key));
    change(t, value);
    json_object_del(object, key);
    try_it(t);
    json_t *other;
    for (int i = 0; (other = program_substitute(i)) != NULL; i++) {
        json_object_set_new(object, key, other);
        try_it(t);
    }
    json_object_set_new(object, key, value);
}

static void change_element(tally *t, json_t *array, size_t index)
{
    json_t *value = json_incref(json_array_get(array, index));
    change(t, value);
    json_array_remove(array, index);
    try_it(t);
    json_array_insert(array, index, value);
    json_array_insert(array, index, value); /* twice */
    try_it(t);
    json_array_remove(array, index);
    json_t *other;
    for (int i = 0; (other = program_substitute(i)) != NULL; i++) {
        json_array_set_new(array, index, other);
        try_it(t);
    }
    json_array_set_new(array, index, value);
}

/* Changes everything in a value; the order of members may change. */
static void change(tally *t, json_t *value)
{
    const char *keys[256];
    size_t count = 0;
    if (json_is_object(value)) {
        const char *key;
        json_t *member;
        json_object_foreach(value, key, member)
        {
            assert_in_range(count, 0, 255);
            keys[count++] = key;
        }
    }
    for (size_t i = 0; i < count; i++) {
        char *key = strdup(keys[i]); /* the member's goes with it */
        change_member(t, value, key);
        free(key);
    }
    for (size_t i = 0; i < json_array_size(value); i++)
        change_element(t, value, i);
}

static void change_all(const char *name, bool weights)
{
    static program_source s;
    open_source(name, &s);
    tally t = {.s = &s, .entry = weights ? s.weights : s.graph};
    t.root = program_source_parse(&s, t.entry);
    change(&t, t.root);
    print_message("%s: %zu changes refused, %zu opened\n", name, t.refused,
                  t.opened);
    assert_true(t.refused > t.opened);
    ptf_error err;
    assert_int_equal(open_json(&s, t.entry, t.root, &err), PTF_OK);
    json_decref(t.root);
    program_source_close(&s);
}

static void no_part_of_the_json_is_trusted(void **state)
{
    (void)state;
    change_all("choice", false);
    change_all("sizes", false);
    change_all("places", true);
}

/* ---------------------------------------------------------- certain changes */

#define GRAPH "graph_module.graph."
#define SPECS "graph_module.signature."

/* Of one value, found by its path; NULL takes it away. */
static const struct {
    const char *fixture, *path, *json;
    ptf_status status;
    const char *words;
} changes[] = {
    {"net", GRAPH "nodes.2.inputs.0.arg.as_tensor.name", "\"linear\"",
     PTF_FORMAT,
     GRAPH "nodes[2].inputs[0].arg.as_tensor.name: expected a value that is "
           "defined before, got 'linear'"},
    {"net", GRAPH "nodes.2.outputs.0.as_tensor.name", "\"x\"", PTF_FORMAT,
     "nodes[2].outputs[0].as_tensor.name: expected every name once, got 'x' "
     "twice"},
    {"net", GRAPH "tensor_values.relu_", NULL, PTF_FORMAT,
     "expected 'relu_' among tensor_values"},
    {"net", GRAPH "nodes.0.inputs.1.name", "\"weights\"", PTF_UNSUPPORTED,
     "expected an argument of aten.conv2d.default, got 'weights'"},
    {"net", GRAPH "nodes.0.inputs.1.name", "\"input\"", PTF_FORMAT,
     "expected the argument 'input' once"},
    {"net", GRAPH "nodes.0.inputs.1", NULL, PTF_FORMAT,
     "expected the argument 'weight' of aten.conv2d.default, got none"},
    {"net", GRAPH "nodes.0.inputs.3.arg", "{\"as_string\": \"same\"}",
     PTF_FORMAT, "expected int[] for 'stride', got a text"},
    {"net", GRAPH "nodes.0.inputs.3.arg", "{\"as_int\": 2}", PTF_OK, ""},
    {"net", GRAPH "nodes.0.inputs.3.arg", "{\"as_ints\": [2.5, 1]}", PTF_FORMAT,
     "as_ints[0]: expected an integer, got a number"},
    {"net", GRAPH "nodes.0.inputs.3.arg", "{\"as_new\": 2}", PTF_UNSUPPORTED,
     "got 'as_new'"},
    {"net", GRAPH "nodes.0.inputs.3.arg", "{\"as_int\": 2, \"as_none\": true}",
     PTF_FORMAT, "expected one member, got 2"},
    {"net", GRAPH "nodes.0.inputs.1.arg", "{\"as_none\": true}", PTF_FORMAT,
     "expected Tensor for 'weight', got None"},
    {"net", GRAPH "nodes.1.inputs.7.arg", "{\"as_int\": 1}", PTF_OK, ""},
    {"net", GRAPH "nodes.1.inputs.7.arg", "{\"as_int\": 9007199254740993}",
     PTF_FORMAT, "expected float for 'eps'"},
    {"net", GRAPH "nodes.1.inputs.7.arg", "{\"as_float\": \"Infinity\"}",
     PTF_OK, ""},
    {"net", GRAPH "nodes.1.inputs.7.arg", "{\"as_float\": \"inf\"}", PTF_FORMAT,
     "expected a number, got a string"},
    {"net", GRAPH "nodes.0.target", "\"torch.ops.my.op.default\"", PTF_OK, ""},
    {"net", GRAPH "nodes.2.outputs", "[]", PTF_FORMAT,
     "nodes[2].outputs: expected results as aten.relu_.default gives them"},
    {"net", GRAPH "nodes.2.outputs.0",
     "{\"as_tensors\": [{\"name\": "
     "\"relu_\"}]}",
     PTF_FORMAT, "expected results as aten.relu_.default gives them"},
    {"net", GRAPH "nodes.2.outputs.0",
     "{\"as_sym_int\": {\"as_name\": \"relu_\"}}", PTF_FORMAT,
     "expected results as aten.relu_.default gives them"},
    {"net", GRAPH "tensor_values.x.sizes.0.as_int", "-2", PTF_FORMAT,
     "expected at least 0, got -2"},
    {"net", GRAPH "tensor_values.x.strides.0", NULL, PTF_FORMAT,
     "expected as many strides as sizes, got 3 and 4"},
    {"net", GRAPH "tensor_values.x.dtype", "99", PTF_UNSUPPORTED,
     "expected the number of a dtype, got 99"},
    {"net", GRAPH "tensor_values.p_fc_bias.sizes.0.as_int", "3", PTF_FORMAT,
     "expected the dtype and shape of 'fc.bias' as the graph records them, "
     "got float32 [2]"},
    {"net", SPECS "input_specs.0.parameter.parameter_name", "\"no\"",
     PTF_FORMAT, "expected 'no' in data/weights/model_weights_config.json"},
    {"net", SPECS "input_specs.0.parameter.arg.name", "\"x\"", PTF_FORMAT,
     "expected the graph's 'p_conv_weight' here, got 'x'"},
    {"net", SPECS "input_specs.0", NULL, PTF_FORMAT,
     "expected the graph's 11 inputs, got 10"},
    {"net", SPECS "output_specs.0.user_output.arg", "{\"as_int\": 1}",
     PTF_FORMAT, "expected the graph's 'linear' here, got 'a constant'"},
    {"net", "graph_module.module_call_graph.0.signature.out_spec",
     "\"[1, {\\\"type\\\": \\\"builtins.tuple\\\", \\\"context\\\": null, "
     "\\\"children_spec\\\": []}]\"",
     PTF_FORMAT, "expected as many leaves as the signature has outputs"},
    {"net", "graph_module.module_call_graph.0.signature.out_spec", "\"[1\"",
     PTF_FORMAT, "pytree: expected [1, NODE]"},
    {"net", "schema_version.major", "9", PTF_UNSUPPORTED,
     "schema_version: expected a schema of version 7 or 8, got 9.20"},
    {"regions", GRAPH "nodes.0.inputs.7", NULL, PTF_FORMAT,
     "expected 3 operands of the region, got 2"},
    {"regions", GRAPH "nodes.0.inputs.5.arg", "{\"as_int\": 1}",
     PTF_UNSUPPORTED, "expected what the region's graph takes, got an integer"},
    {"regions", GRAPH "nodes.0.outputs.1", NULL, PTF_FORMAT,
     "expected the 2 results of the region's graph, got 1"},
    {"regions", GRAPH "nodes.0.inputs.4.arg", "{\"as_none\": true}", PTF_FORMAT,
     "expected a graph"},
};

/* The container of what a path leads to, and its last part. */
static json_t *walk(json_t *at, const char *path, char *last, size_t size)
{
    for (;;) {
        size_t n = strcspn(path, ".");
        assert_in_range(n, 1, size - 1);
        memcpy(last, path, n);
        last[n] = '\0';
        if (path[n] == '\0')
            return at;
        at = json_is_array(at) ? json_array_get(at, (size_t)atol(last))
                               : json_object_get(at, last);
        assert_non_null(at);
        path += n + 1;
    }
}

static void set(json_t *root, const char *path, const char *text)
{
    char last[64];
    json_t *in = walk(root, path, last, sizeof(last));
    json_t *value =
        text != NULL ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
    assert_true((text != NULL) == (value != NULL));
    size_t index = (size_t)atol(last);
    int failed = json_is_array(in)
                     ? (value != NULL ? json_array_set_new(in, index, value)
                                      : json_array_remove(in, index))
                     : (value != NULL ? json_object_set_new(in, last, value)
                                      : json_object_del(in, last));
    assert_int_equal(failed, 0);
}

static void faults_are_named_with_their_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(changes); i++) {
        static program_source s;
        ptf_error err = {PTF_OK, ""};
        open_source(changes[i].fixture, &s);
        json_t *root = program_source_parse(&s, s.graph);
        set(root, changes[i].path, changes[i].json);
        ptf_status status = open_json(&s, s.graph, root, &err);
        if (status != changes[i].status ||
            strstr(err.message, changes[i].words) == NULL)
            fail_msg("%zu: expected %d '%s', got %d '%s'", i,
                     (int)changes[i].status, changes[i].words, (int)status,
                     err.message);
        json_decref(root);
        program_source_close(&s);
    }
}

static void tensors_reach_nothing_outside_of_their_entry(void **state)
{
    static const struct {
        const char *path, *json, *words;
    } rows[] = {
        {"storage_offset.as_int", "1", "elements inside of the 2"},
        {"storage_offset.as_int", "-1", "an offset of at least 0"},
        {"storage_offset.as_int", "9223372036854775807", "a shape that exists"},
        {"sizes.0.as_int", "3", "elements inside of the 2"},
        {"sizes.0.as_int", "9223372036854775807", "a shape that exists"},
        {"strides.0.as_int", "2", "elements inside of the 2"},
        {"strides.0.as_int", "9223372036854775807", "a shape that exists"},
        {"dtype", "8", "elements inside of the 1"},
        {"sizes.0", "{\"as_expr\": {\"expr_str\": \"s\"}}", "are numbers"},
    };
    (void)state;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(rows); i++) {
        static program_source s;
        char path[128];
        ptf_error err = {PTF_OK, ""};
        open_source("net", &s);
        json_t *root = program_source_parse(&s, s.weights);
        json_t *own = json_object_get(
            json_object_get(json_object_get(root, "config"), "fc.bias"),
            "tensor_meta");
        set(own, rows[i].path, rows[i].json);
        snprintf(path, sizeof(path), "config.fc.bias.tensor_meta");
        ptf_status status = open_json(&s, s.weights, root, &err);
        if (status != PTF_FORMAT ||
            strstr(err.message, rows[i].words) == NULL ||
            strstr(err.message, path) == NULL)
            fail_msg("%zu: expected '%s', got %d '%s'", i, rows[i].words,
                     (int)status, err.message);
        json_decref(root);
        program_source_close(&s);
    }
}

/* ----------------------------------------------------------- large and deep */

#define META                                                              \
    "{\"dtype\": 7, \"sizes\": [], \"strides\": [], \"storage_offset\": " \
    "{\"as_int\": 0}, \"requires_grad\": false, \"device\": {\"type\": "  \
    "\"cpu\"}, \"layout\": 7}"
#define LEAF \
    "{\\\"type\\\": null, \\\"context\\\": null, \\\"children_spec\\\": []}"
#define TUPLE(inside)                                                \
    "{\\\"type\\\": \\\"builtins.tuple\\\", \\\"context\\\": null, " \
    "\\\"children_spec\\\": [" inside "]}"

/* What follows the graph in a program from 'x' to 'last'. */
static void add_rest(ptf_buffer *out, const char *last)
{
    ptf_buffer_printf(
        out,
        "\"signature\": {\"input_specs\": [{\"user_input\": {\"arg\": "
        "{\"as_tensor\": {\"name\": \"x\"}}}}], \"output_specs\": "
        "[{\"user_output\": {\"arg\": {\"as_tensor\": {\"name\": \"%s\"}}}}]}, "
        "\"module_call_graph\": [{\"signature\": {\"in_spec\": \"[1, " TUPLE(
            TUPLE(LEAF) ", " TUPLE(
                "")) "]\", \"out_spec\": \"[1, " LEAF
                     "]\"}}]}, \"range_constraints\": {}, \"schema_version\": {\"major\": "
                     "8, \"minor\": 20}}",
        last);
}

static void add_port(ptf_buffer *out, const char *key, const char *name)
{
    ptf_buffer_printf(out, "\"%s\": [{\"as_tensor\": {\"name\": \"%s\"}}], ",
                      key, name);
}

static void add_call(ptf_buffer *out, int from, const char *to)
{
    ptf_buffer_printf(out, "{\"target\": \"torch.ops.aten.relu.default\", "
                           "\"inputs\": [{\"name\": \"self\", \"arg\": "
                           "{\"as_tensor\": {\"name\": \"");
    ptf_buffer_printf(out, from < 0 ? "x" : "v%d", from);
    ptf_buffer_printf(out,
                      "\"}}}], \"outputs\": [{\"as_tensor\": {\"name\": "
                      "\"%s\"}}], \"metadata\": {}}",
                      to);
}

static ptf_status open_text(const ptf_buffer *graph, ptf_program **out,
                            ptf_error *err)
{
    static const char none[] = "{\"config\": {}}";
    ptf_buffer zip;
    *out = NULL;
    make_program((const char *)graph->data, graph->size, none, sizeof(none) - 1,
                 &zip);
    ptf_status status =
        ptf_program_open_memory(zip.data, zip.size, "f", NULL, out, err);
    ptf_buffer_free(&zip);
    return status;
}

/* A chain; with a quadratic search anywhere it would never end. */
static void many_calls_are_read_in_linear_time(void **state)
{
    enum { COUNT = 20000 };
    (void)state;
    ptf_buffer text = {0};
    char name[32] = "x";
    ptf_buffer_add_text(&text, "{\"graph_module\": {\"graph\": {");
    add_port(&text, "inputs", "x");
    ptf_buffer_add_text(&text, "\"nodes\": [");
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof(name), "v%d", i);
        ptf_buffer_add_text(&text, i > 0 ? ", " : "");
        add_call(&text, i - 1, name);
    }
    ptf_buffer_add_text(&text, "], ");
    add_port(&text, "outputs", name);
    ptf_buffer_add_text(&text, "\"tensor_values\": {\"x\": " META);
    for (int i = 0; i < COUNT; i++)
        ptf_buffer_printf(&text, ", \"v%d\": " META, i);
    ptf_buffer_add_text(&text, "}}, ");
    add_rest(&text, name);
    ptf_program *p;
    ptf_error err = {PTF_OK, ""};
    if (open_text(&text, &p, &err) != PTF_OK)
        fail_msg("%s", err.message);
    assert_int_equal(p->graph.node_count, COUNT);
    assert_int_equal(p->graph.values[COUNT].node, COUNT - 1);
    ptf_program_close(p);
    ptf_buffer_free(&text);
}

/* A graph in a graph in a graph, each the operand of that target. */
static void add_nested(ptf_buffer *out, const char *target, int depth)
{
    ptf_buffer_add_text(out, "{");
    add_port(out, "inputs", "x");
    ptf_buffer_add_text(out, "\"nodes\": [");
    if (depth > 0) {
        ptf_buffer_printf(out,
                          "{\"target\": \"torch.ops.higher_order.%s\", "
                          "\"inputs\": [{\"name\": \"\", \"arg\": "
                          "{\"as_bool\": false}}, {\"name\": \"\", "
                          "\"arg\": {\"as_graph\": {\"name\": \"g\", "
                          "\"graph\": ",
                          target);
        add_nested(out, target, depth - 1);
        ptf_buffer_add_text(out, "}}}, {\"name\": \"\", \"arg\": "
                                 "{\"as_tensor\": {\"name\": \"x\"}}}], "
                                 "\"outputs\": [{\"as_tensor\": {\"name\": "
                                 "\"y\"}}], \"metadata\": {}}");
    } else {
        add_call(out, -1, "y");
    }
    ptf_buffer_add_text(out, "], ");
    add_port(out, "outputs", "y");
    ptf_buffer_add_text(out, "\"tensor_values\": {\"x\": " META ", \"y\": " META
                             "}}");
}

static void graphs_in_graphs_are_bounded(void **state)
{
    static const struct {
        const char *target;
        int depth;
        ptf_status status;
    } rows[] = {
        {"cond", 31, PTF_OK},
        {"cond", 40, PTF_UNSUPPORTED},
        {"wrap_with_set_grad_enabled", 31, PTF_OK},
        {"wrap_with_set_grad_enabled", 40, PTF_UNSUPPORTED},
        {"wrap_with_set_grad_enabled", 600, PTF_FORMAT}, /* JSON's own depth */
    };
    (void)state;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(rows); i++) {
        ptf_buffer text = {0};
        ptf_program *p;
        ptf_error err = {PTF_OK, ""};
        ptf_buffer_add_text(&text, "{\"graph_module\": {\"graph\": ");
        add_nested(&text, rows[i].target, rows[i].depth);
        ptf_buffer_add_text(&text, ", ");
        add_rest(&text, "y");
        ptf_status status = open_text(&text, &p, &err);
        if (status != rows[i].status)
            fail_msg("%zu: got %d '%s'", i, (int)status, err.message);
        if (status == PTF_OK)
            assert_string_equal(p->graph.values[1].name, "y");
        ptf_program_close(p);
        ptf_buffer_free(&text);
    }
}

static void texts_that_are_no_strict_json_are_refused(void **state)
{
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"{\"a\": 1, \"a\": 1}", "duplicate"},
        {"{\"a\": 9223372036854775808}", "too big integer"},
        {"{\"a\": 1e999}", "real number overflow"},
        {"{\"a\": NaN}", "invalid token"},
        {"[1]", "expected a JSON object"},
        {"{", "expected JSON"},
        {"", "expected JSON"},
    };
    (void)state;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(rows); i++) {
        ptf_buffer text = {0};
        ptf_program *p;
        ptf_error err = {PTF_OK, ""};
        ptf_buffer_add_text(&text, rows[i].text);
        assert_int_equal(open_text(&text, &p, &err), PTF_FORMAT);
        if (strstr(err.message, rows[i].words) == NULL)
            fail_msg("%zu: got '%s'", i, err.message);
        ptf_buffer_free(&text);
    }
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    static const char *const names[] = {"values", "regions", "old_b"};
    for (size_t i = 0; i < PTF_ARRAY_SIZE(names); i++) {
        char path[4096];
        ptf_status status = PTF_MEMORY;
        snprintf(path, sizeof(path), "%s/%s.pt2", folder, names[i]);
        for (long n = 0; status != PTF_OK; n++) {
            ptf_program *p = NULL;
            ptf_error err;
            ptf_alloc_fail_after(n);
            status = ptf_program_open(path, NULL, &p, &err);
            ptf_alloc_fail_after(-1);
            ptf_program_close(p);
            if (status != PTF_OK)
                assert_int_equal(status, PTF_MEMORY);
            assert_in_range(n, 0, 100000);
        }
    }
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    folder = argv[1];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_is_used_where_it_lies),
        cmocka_unit_test(inputs_have_names_kinds_and_samples),
        cmocka_unit_test(calls_know_their_module_and_text),
        cmocka_unit_test(no_part_of_the_json_is_trusted),
        cmocka_unit_test(faults_are_named_with_their_place),
        cmocka_unit_test(tensors_reach_nothing_outside_of_their_entry),
        cmocka_unit_test(many_calls_are_read_in_linear_time),
        cmocka_unit_test(graphs_in_graphs_are_bounded),
        cmocka_unit_test(texts_that_are_no_strict_json_are_refused),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
