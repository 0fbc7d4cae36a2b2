/*
 * Programs any part of whose JSON is missing, twice, of another type or huge:
 * each is refused, or runs and gives the bits that it gave before.  The table
 * below says what may matter to nobody, and what makes another program.
 *
 * usage: test_mutated FOLDER [PROGRAM...]: with programs, all changes of these,
 * a line each; of the paths that have $ONLY in them, where that is set
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/import.h"
#include "plan/plan.h"
#include "program_source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

static const char *folder;
static bool verbose;
static const char *only; /* of their paths, or NULL */

/* ------------------------------------------------------------------ results */

typedef enum result {
    REFUSED,
    SAME,
    OTHER, /* it runs, and gives something else */
} result;

/* What a program computes of inputs that are always the same. */
typedef struct run {
    ptf_status status;
    const char *stage; /* that refused it */
    ptf_error err;
    uint64_t hash; /* of names, dtypes, shapes and bits of its outputs */
} run;

static void hash(run *r, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++)
        r->hash = (r->hash ^ bytes[i]) * 0x100000001b3;
}

static void fill(float *x, int64_t n, ptf_dtype dtype)
{
    bool whole = dtype >= PTF_DTYPE_I8 && dtype <= PTF_DTYPE_U64;
    for (int64_t i = 0; i < n; i++)
        x[i] = whole || dtype == PTF_DTYPE_BOOL
                   ? (float)(i % 2)
                   : (float)(i * 37 % 101 - 50) / 32.0F;
}

static void run_plan(ptf_plan *plan, const ptf_net *net, run *r)
{
    enum { PORTS = 64 };
    float *in[PORTS] = {NULL}, *out[PORTS] = {NULL};
    size_t inputs = ptf_net_input_count(net);
    size_t outputs = ptf_net_output_count(net);
    assert_in_range(inputs + outputs, 0, PORTS);
    for (size_t k = 0; k < inputs; k++) {
        ptf_port port;
        ptf_net_input(net, k, &port);
        int64_t n = plan->values[k].numel;
        in[k] = ptf_alloc((size_t)n * sizeof(float) + 1);
        assert_non_null(in[k]);
        fill(in[k], n, port.dtype);
    }
    for (size_t k = 0; k < outputs; k++) {
        ptf_shape shape = ptf_plan_output(plan, k);
        out[k] = ptf_alloc((size_t)ptf_shape_numel(&shape) * sizeof(float) + 1);
        assert_non_null(out[k]);
    }
    r->status =
        ptf_plan_run_all(plan, (const float *const *)in, 1, out, &r->err);
    for (size_t k = 0; k < outputs && r->status == PTF_OK; k++) {
        ptf_port port;
        ptf_net_output(net, k, &port);
        ptf_shape shape = ptf_plan_output(plan, k);
        hash(r, port.name, strlen(port.name) + 1);
        hash(r, &port.dtype, sizeof(port.dtype));
        hash(r, shape.dim, (size_t)shape.rank * sizeof(shape.dim[0]));
        hash(r, out[k], (size_t)ptf_shape_numel(&shape) * sizeof(float));
    }
    for (size_t k = 0; k < PORTS; k++) {
        ptf_free(in[k]);
        ptf_free(out[k]);
    }
}

static run run_zip(const ptf_buffer *zip)
{
    run r = {.stage = "open", .hash = 0xcbf29ce484222325};
    ptf_program *program = NULL;
    ptf_net *net = NULL;
    ptf_plan *plan = NULL;
    ptf_plan_options how = {.threads = 1};
    r.status = ptf_program_open_memory(zip->data, zip->size, "f", NULL,
                                       &program, &r.err);
    if (r.status == PTF_OK) {
        r.stage = "net";
        r.status = ptf_net_from_program(program, &net, &r.err);
    }
    if (r.status == PTF_OK) {
        r.stage = "plan";
        r.status = ptf_plan_make(net, NULL, 1, &how, &plan, &r.err);
    }
    if (r.status == PTF_OK) {
        r.stage = "run";
        run_plan(plan, net, &r);
    }
    ptf_plan_free(plan);
    ptf_net_free(net);
    ptf_program_close(program);
    return r;
}

/* ------------------------------------------------------------------ changes */

/* Where a change is, and what came of all of them. */
typedef struct place {
    char path[1024];
    size_t size;
} place;

typedef struct tally {
    const program_source *s;
    json_t *root;
    size_t entry;
    run before;
    place at;
    const char *what;
    size_t count[3];
    int64_t number, every; /* of the changes, one in so many is tried */
} tally;

static size_t go(place *at, const char *before, const char *name)
{
    size_t size = at->size;
    int n = snprintf(at->path + size, sizeof(at->path) - size, "%s%s", before,
                     name);
    assert_in_range((size_t)n, 0, sizeof(at->path) - size - 1);
    at->size += (size_t)n;
    return size;
}

static void back(place *at, size_t size)
{
    at->size = size;
    at->path[size] = '\0';
}

/*
 * Where a change need not be seen, without numbers in brackets and with names
 * of values as "*": what is remarked of a program; what it records of numbers
 * that follow from its inputs; defaults and other spellings of arguments.
 */
static const char *const ignored[] = {
    "graph.custom_obj_values",
    "graph.is_single_tensor_return",
    "nodes[].inputs[]",
    "inputs[].arg.as_int",
    "inputs[].arg.as_ints[]",
    "inputs[].arg.as_none",
    "inputs[].kind",
    "inputs[].name",
    "nodes[].is_hop_single_tensor_return",
    "nodes[].metadata",
    "nodes[].metadata.*",
    "nodes[].name",
    "graph.sym_bool_values",
    "graph.sym_float_values",
    "graph.sym_int_values",
    "graph.sym_int_values.*",
    "as_expr.expr_str",
    "as_expr.hint",
    "as_expr.hint.as_int",
    "device.index",
    "device.type",
    "requires_grad",
    "storage_offset.as_int",
    "strides[].as_int",
    "graph_module.metadata",
    "module_call_graph[]",
    "module_call_graph[].fqn",
    "signature.forward_arg_names",
    "signature.forward_arg_names[]",
    "signature.inputs",
    "signature.outputs",
    "treespec_namedtuple_fields",
    "guards_code",
    "guards_code[]",
    "opset_version",
    "opset_version.*",
    "range_constraints",
    "range_constraints.*",
    "range_constraints.*.max_val",
    "range_constraints.*.min_val",
    "schema_version.major",
    "schema_version.minor",
    "torch_version",
    "verifiers",
    "verifiers[]",
    "json.config",
    "config.*.is_param",
};

/* A path as 'ignored' has them. */
static void generalize(const char *path, char *out)
{
    static const char *const tables[] = {"sym_int_values.",    "tensor_values.",
                                         "metadata.",          "opset_version.",
                                         "range_constraints.", ".config."};
    while (*path != '\0') {
        bool named = false;
        for (size_t i = 0; i < PTF_ARRAY_SIZE(tables) && !named; i++) {
            size_t n = strlen(tables[i]);
            named = strncmp(path, tables[i], n) == 0;
            if (named) {
                memcpy(out, tables[i], n);
                out += n;
                *out++ = '*';
                path += n + strcspn(path + n, ".");
            }
        }
        if (!named)
            *out++ = *path++;
        if (out[-1] == '[')
            path += strspn(path, "0123456789");
    }
    *out = '\0';
}

static bool may_be_ignored(const char *path)
{
    char general[1024];
    generalize(path, general);
    size_t size = strlen(general);
    for (size_t i = 0; i < PTF_ARRAY_SIZE(ignored); i++) {
        size_t n = strlen(ignored[i]);
        if (size > n && strcmp(general + size - n, ignored[i]) == 0)
            return true;
    }
    return false;
}

/* Messages have one line, and the JSON or the node where the fault is. */
static bool is_named(const run *r)
{
    bool has_place = strstr(r->err.message, ".json") != NULL ||
                     strstr(r->err.message, "node '") != NULL ||
                     strstr(r->err.message, "put '") != NULL ||
                     strstr(r->err.message, "graph_module") != NULL;
    return has_place && strchr(r->err.message, '\n') == NULL &&
           (r->status == PTF_FORMAT || r->status == PTF_UNSUPPORTED);
}

static void judge(tally *t, const run *r)
{
    result what = r->status != PTF_OK         ? REFUSED
                  : r->hash == t->before.hash ? SAME
                                              : OTHER;
    t->count[what]++;
    if (!verbose &&
        (what == OTHER || (what == SAME && !may_be_ignored(t->at.path)) ||
         (what == REFUSED && !is_named(r))))
        fail_msg("%s, %s: %d %s", t->at.path, t->what, (int)what,
                 what == REFUSED ? r->err.message : "");
    if (verbose)
        print_message("%s\t%s\t%s\t%d\t%s\n",
                      what == REFUSED ? r->stage
                      : what == SAME  ? "SAME"
                                      : "OTHER",
                      t->at.path, t->what, (int)r->status,
                      r->status != PTF_OK ? r->err.message : "");
}

static void try_text(tally *t, const char *text)
{
    ptf_buffer zip;
    program_source_change(t->s, t->entry, text, &zip);
    clock_t start = clock();
    run r = run_zip(&zip);
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    if (seconds > 1)
        print_message("SLOW %g s\t%s\t%s\n", seconds, t->at.path, t->what);
    judge(t, &r);
    ptf_buffer_free(&zip);
}

static bool takes_turn(tally *t)
{
    if (only != NULL && strstr(t->at.path, only) == NULL)
        return false;
    return t->number++ % t->every == 0;
}

static void try_it(tally *t, const char *what)
{
    t->what = what;
    if (!takes_turn(t))
        return;
    char *text = json_dumps(t->root, JSON_COMPACT);
    assert_non_null(text);
    try_text(t, text);
    free(text);
}

/* A member twice, which no json_t can be: under another name, which is then
 * written over. */
static void try_twice(tally *t, json_t *object, const char *key, json_t *value,
                      const char *what)
{
    static const char mark[] = "\"@twice@\"";
    t->what = what;
    if (!takes_turn(t))
        return;
    json_object_set(object, "@twice@", value);
    char *text = json_dumps(t->root, JSON_COMPACT);
    json_object_del(object, "@twice@");
    assert_non_null(text);
    char *at = strstr(text, mark);
    assert_non_null(at);
    ptf_buffer twice = {0};
    ptf_buffer_add(&twice, text, (size_t)(at - text));
    ptf_buffer_printf(&twice, "\"%s\"%s", key, at + sizeof(mark) - 1);
    ptf_buffer_add(&twice, "", 1);
    assert_false(twice.failed);
    try_text(t, (const char *)twice.data);
    ptf_buffer_free(&twice);
    free(text);
}

static void change(tally *t, json_t *value);

static const char *substitute_name(int i)
{
    static const char *const names[] = {"null", "true", "-1", "2^63-1",
                                        "text", "[]",   "{}", "1e308",
                                        "5",    "7",    "8",  "12"};
    return names[i];
}

static void change_member(tally *t, json_t *object, const char *key)
{
    json_t *value = json_incref(json_object_get(object, key));
    change(t, value);
    try_twice(t, object, key, value, "twice");
    json_t *null = json_null();
    try_twice(t, object, key, null, "null, too");
    json_object_del(object, key);
    try_it(t, "missing");
    json_t *other;
    for (int i = 0; (other = program_substitute(i)) != NULL; i++) {
        bool same = json_equal(other, value);
        json_object_set_new(object, key, other);
        if (!same)
            try_it(t, substitute_name(i));
    }
    json_object_set_new(object, key, value);
}

static void change_element(tally *t, json_t *array, size_t index)
{
    json_t *value = json_incref(json_array_get(array, index));
    change(t, value);
    json_array_remove(array, index);
    try_it(t, "missing");
    json_array_insert(array, index, value);
    json_array_insert(array, index, value);
    try_it(t, "twice");
    json_array_remove(array, index);
    json_t *other;
    for (int i = 0; (other = program_substitute(i)) != NULL; i++) {
        bool same = json_equal(other, value);
        json_array_set_new(array, index, other);
        if (!same)
            try_it(t, substitute_name(i));
    }
    json_array_set_new(array, index, value);
}

/* Changes everything in a value; the order of members may change. */
static void change(tally *t, json_t *value)
{
    enum { MOST = 1024 };
    char *keys[MOST];
    size_t count = 0;
    const char *key;
    json_t *member;
    json_object_foreach(value, key, member)
    {
        assert_in_range(count, 0, MOST - 1);
        keys[count++] = strdup(key);
    }
    for (size_t i = 0; i < count; i++) {
        size_t size = go(&t->at, ".", keys[i]);
        change_member(t, value, keys[i]);
        back(&t->at, size);
        free(keys[i]);
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        char number[32];
        snprintf(number, sizeof(number), "[%zu]", i);
        size_t size = go(&t->at, "", number);
        change_element(t, value, i);
        back(&t->at, size);
    }
}

static void change_all(const char *name, int64_t every)
{
    static program_source s;
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s.pt2", folder, name);
    program_source_open(path, &s);
    for (size_t i = 0; i < s.count; i++) {
        const char *end = strrchr(s.names[i], '.');
        if (end == NULL || strcmp(end, ".json") != 0)
            continue;
        tally t = {.s = &s, .entry = i, .every = every};
        t.root = program_source_parse(&s, i);
        char *text = json_dumps(t.root, JSON_COMPACT);
        ptf_buffer zip;
        program_source_change(&s, i, text, &zip);
        t.before = run_zip(&zip);
        ptf_buffer_free(&zip);
        free(text);
        if (t.before.status != PTF_OK)
            print_message("%s: %s\n", name, t.before.err.message);
        go(&t.at, "", strrchr(s.names[i], '/') + 1);
        change(&t, t.root);
        print_message("%s, %s: %zu changes refused, %zu alike, %zu other\n",
                      name, t.at.path, t.count[REFUSED], t.count[SAME],
                      t.count[OTHER]);
        json_decref(t.root);
    }
    program_source_close(&s);
}

static void no_change_gives_other_numbers(void **state)
{
    (void)state;
    change_all("sizes", 5);
    change_all("hidden", 3);
    change_all("tuple", 3);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_change_gives_other_numbers),
    };
    if (argc < 2)
        return 2;
    folder = argv[1];
    verbose = argc > 2;
    only = getenv("ONLY");
    for (int i = 2; i < argc; i++)
        change_all(argv[i], 1);
    return argc > 2 ? 0 : cmocka_run_group_tests(tests, NULL, NULL);
}
