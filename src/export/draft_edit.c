/*
 * Changing a draft's graph.  Names are looked up in one table; what is dropped
 * is marked, and leaves the lists when the edit is finished, so that places in
 * them stay as they are meanwhile.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "export/draft_edit.h"

/* A value of the graph, by its name. */
struct ptf_draft_value {
    const char *name;
    json_t *maker;       /* the call that gives it, or NULL: */
    json_t *spec;        /* of a tensor of the file, or NULL */
    const char *instead; /* the value that its readers read, or NULL */
    int uses;
    bool own; /* memory that nothing else sees: what is written to it is its
                 only reader's alone */
};

typedef ptf_draft_value value;

/* Sees to each object {"name": ...} that names a value. */
typedef void reference_function(ptf_draft_edit *e, json_t *reference);

/* No deeper than what the parser takes.  Graphs in graphs have their own
 * names. */
static void each_reference(ptf_draft_edit *e, json_t *at,
                           reference_function *see)
{
    const char *key;
    json_t *child;
    size_t i;
    json_array_foreach(at, i, child) each_reference(e, child, see);
    json_object_foreach(at, key, child)
    {
        bool list = strcmp(key, "as_tensors") == 0;
        for (i = 0; list && i < json_array_size(child); i++)
            see(e, json_array_get(child, i));
        if (strcmp(key, "as_tensor") == 0)
            see(e, child);
        else if (!list && strcmp(key, "as_graph") != 0)
            each_reference(e, child, see);
    }
}

static const char *name_of(const json_t *reference)
{
    return json_string_value(json_object_get(reference, "name"));
}

static value *look_up(const ptf_draft_edit *e, const char *name)
{
    return name != NULL ? ptf_text_table_find(&e->values, name) : NULL;
}

/* The value that stands for that name now. */
static value *find(const ptf_draft_edit *e, const char *name)
{
    value *v = look_up(e, name);
    while (v != NULL && v->instead != NULL)
        v = look_up(e, v->instead);
    return v;
}

static void keep(ptf_draft_edit *e, bool ok)
{
    e->failed = e->failed || !ok;
}

/* ---------------------------------------------------------------- beginning */

/* The name is copied: its JSON may go away before the value does. */
static value *define(ptf_draft_edit *e, const char *name)
{
    ptf_arena *arena = &e->draft->arena;
    value *v = ptf_arena_alloc(arena, sizeof(*v));
    const char *copy = ptf_arena_copy(arena, name, strlen(name));
    bool ok = v != NULL && copy != NULL &&
              ptf_text_table_find(&e->values, copy) == NULL &&
              ptf_text_table_add(&e->values, copy, v);
    keep(e, ok);
    if (ok)
        v->name = copy;
    return ok ? v : NULL;
}

static void count_use(ptf_draft_edit *e, json_t *reference)
{
    value *v = find(e, name_of(reference));
    if (v != NULL)
        v->uses++;
}

/* A call's results are references as arguments are; 'making' is that call. */
static void define_result(ptf_draft_edit *e, json_t *reference)
{
    value *v =
        name_of(reference) != NULL ? define(e, name_of(reference)) : NULL;
    if (v != NULL)
        v->maker = e->making;
}

/* The union of an argument that the call has, or NULL. */
static json_t *argument(const json_t *call, const char *name)
{
    const json_t *inputs = json_object_get(call, "inputs"), *input;
    size_t i;
    json_array_foreach(inputs, i, input)
    {
        const char *own = json_string_value(json_object_get(input, "name"));
        if (own != NULL && strcmp(own, name) == 0)
            return json_object_get(input, "arg");
    }
    return NULL;
}

/* Operators whose result is no view, whatever they write to. */
static bool gives_memory(const char *target)
{
    static const char *const names[] = {"conv", "batch_norm.", "add",
                                        "sub",  "mul",         "div"};
    static const char prefix[] = "torch.ops.aten.";
    size_t size = strlen(prefix);
    bool gives = false;
    for (size_t i = 0; target != NULL && i < PTF_ARRAY_SIZE(names); i++)
        gives =
            gives || (strncmp(target, prefix, size) == 0 &&
                      strncmp(target + size, names[i], strlen(names[i])) == 0);
    return gives;
}

static const ptf_schema *schema_of(const json_t *call)
{
    const char *target = json_string_value(json_object_get(call, "target"));
    return target != NULL && strncmp(target, "torch.ops.", 10) == 0
               ? ptf_schema_find(target + 10)
               : NULL;
}

/* What the call writes to is its own; true also when it writes to nothing. */
static bool writes_own(const ptf_draft_edit *e, const json_t *call)
{
    const ptf_schema *schema = schema_of(call);
    bool own = schema != NULL;
    for (int i = 0; own && i < schema->argument_count; i++) {
        const json_t *arg = argument(call, schema->arguments[i].name);
        const value *v = look_up(e, name_of(json_object_get(arg, "as_tensor")));
        own = !schema->arguments[i].is_written || (v != NULL && v->own);
    }
    return own;
}

static void find_own(ptf_draft_edit *e, json_t *reference)
{
    value *v = look_up(e, name_of(reference));
    const char *target =
        json_string_value(json_object_get(e->making, "target"));
    if (v != NULL)
        v->own =
            v->uses == 1 && gives_memory(target) && writes_own(e, e->making);
}

ptf_status ptf_draft_edit_begin(ptf_draft *draft, ptf_draft_edit *e,
                                ptf_error *err)
{
    json_t *graph = ptf_draft_graph(draft), *spec, *call, *input;
    size_t i;
    *e = (ptf_draft_edit){
        .draft = draft,
        .dead = json_array(),
        .inputs = json_object_get(graph, "inputs"),
        .nodes = json_object_get(graph, "nodes"),
        .outputs = json_object_get(graph, "outputs"),
        .metas = json_object_get(graph, "tensor_values"),
        .specs = ptf_draft_specs(draft, "input_specs"),
        .output_specs = ptf_draft_specs(draft, "output_specs"),
        .err = err,
    };
    json_array_foreach(e->inputs, i, input)
        each_reference(e, input, define_result);
    json_array_foreach(e->specs, i, spec)
    {
        ptf_draft_input own;
        value *v =
            ptf_draft_tensor_input(spec, &own) ? look_up(e, own.value) : NULL;
        if (v != NULL)
            v->spec = spec;
    }
    json_array_foreach(e->nodes, i, call)
    {
        e->making = call;
        each_reference(e, json_object_get(call, "outputs"), define_result);
        each_reference(e, json_object_get(call, "inputs"), count_use);
    }
    each_reference(e, e->outputs, count_use);
    json_array_foreach(e->nodes, i, call)
    {
        e->making = call;
        each_reference(e, json_object_get(call, "outputs"), find_own);
    }
    return e->failed ? ptf_fail_memory(err) : PTF_OK;
}

/* ---------------------------------------------------------------- releasing */

static void forget_meta(ptf_draft_edit *e, json_t *reference)
{
    json_object_del(e->metas, name_of(reference));
}

static void drop_input(ptf_draft_edit *e, value *v)
{
    ptf_draft_input own;
    if (!ptf_draft_tensor_input(v->spec, &own))
        return;
    ptf_draft_tensor *t = ptf_text_table_find(&e->draft->tensors, own.name);
    if (t != NULL)
        t->dropped = true;
    json_object_del(e->metas, v->name);
    json_object_clear(v->spec);
    v->spec = NULL;
}

static void find_live(ptf_draft_edit *e, json_t *reference)
{
    const value *v = look_up(e, name_of(reference));
    e->live = e->live || v == NULL || v->uses > 0;
}

/* True where nobody reads what it gives, and it does nothing else. */
static bool is_dead(ptf_draft_edit *e, const json_t *call)
{
    const ptf_schema *schema = schema_of(call);
    e->live =
        schema == NULL || schema->result_count == 0 || !writes_own(e, call);
    each_reference(e, json_object_get(call, "outputs"), find_live);
    return !e->live;
}

/* One reader less; what is read by nobody any more goes away. */
static void release(ptf_draft_edit *e, json_t *reference)
{
    value *v = find(e, name_of(reference));
    if (v == NULL || v->uses == 0 || --v->uses > 0)
        return;
    if (v->spec != NULL)
        drop_input(e, v);
    else if (v->maker != NULL && is_dead(e, v->maker))
        keep(e, json_array_append(e->dead, v->maker) == 0);
}

static void drop_call(ptf_draft_edit *e, json_t *call)
{
    json_t *inputs = json_incref(json_object_get(call, "inputs"));
    each_reference(e, json_object_get(call, "outputs"), forget_meta);
    keep(e, json_object_clear(call) == 0);
    each_reference(e, inputs, release);
    json_decref(inputs);
}

/* Calls whose last reader went, and then those that only they read, ... */
static void drop_dead(ptf_draft_edit *e)
{
    size_t count;
    while ((count = json_array_size(e->dead)) > 0) {
        json_t *call = json_incref(json_array_get(e->dead, count - 1));
        keep(e, json_array_remove(e->dead, count - 1) == 0);
        drop_call(e, call);
        json_decref(call);
    }
}

/* ---------------------------------------------------------------- arguments */

json_t *ptf_draft_edit_call(const ptf_draft_edit *e, const char *result)
{
    const value *v = look_up(e, result);
    return v != NULL ? v->maker : NULL;
}

static int place_of(const ptf_schema *schema, const char *name)
{
    int i = 0;
    while (i < schema->argument_count && name != NULL &&
           strcmp(schema->arguments[i].name, name) != 0)
        i++;
    return i;
}

void ptf_draft_edit_set(ptf_draft_edit *e, json_t *call, const char *name,
                        json_t *arg)
{
    const char *target = json_string_value(json_object_get(call, "target"));
    const ptf_schema *schema = ptf_schema_find(target + strlen("torch.ops."));
    json_t *inputs = json_object_get(call, "inputs"), *input;
    size_t at;
    json_array_foreach(inputs, at, input)
    {
        const char *own = json_string_value(json_object_get(input, "name"));
        if (own != NULL && strcmp(own, name) == 0) {
            keep(e, json_object_set_new(input, "arg", arg) == 0);
            return;
        }
        if (place_of(schema, own) > place_of(schema, name))
            break;
    }
    keep(e, json_array_insert_new(inputs, at,
                                  json_pack("{s:s, s:o, s:i}", "name", name,
                                            "arg", arg, "kind", 1)) == 0);
}

void ptf_draft_edit_retarget(ptf_draft_edit *e, json_t *call,
                             const char *target, const char *input)
{
    char text[64];
    json_t *old = json_incref(json_object_get(call, "inputs"));
    json_t *read = json_incref(argument(call, input));
    snprintf(text, sizeof(text), "torch.ops.%s", target);
    keep(e, json_object_set_new(call, "target", json_string(text)) == 0);
    if (argument(call, "weight") == NULL) {
        const ptf_schema *schema = ptf_schema_find(target);
        keep(e, json_object_set_new(call, "inputs", json_array()) == 0);
        ptf_draft_edit_set(e, call, schema->arguments[0].name,
                           json_incref(read));
        each_reference(e, read, count_use);
        each_reference(e, old, release);
        drop_dead(e);
    }
    json_decref(old);
    json_decref(read);
}

/* ------------------------------------------------------------------ tensors */

/* What is recorded of a tensor that takes another's place; the device stays. */
static void set_meta(ptf_draft_edit *e, const char *name, const ptf_tensor *t)
{
    json_t *meta = json_object_get(e->metas, name);
    json_t *offset = json_pack("{s:i}", "as_int", 0);
    keep(e, json_object_set_new(meta, "sizes",
                                ptf_draft_sizes(t->shape, t->rank)) == 0 &&
                json_object_set_new(meta, "strides",
                                    ptf_draft_sizes(t->stride, t->rank)) == 0 &&
                json_object_set_new(meta, "storage_offset", offset) == 0);
}

void ptf_draft_edit_shape(ptf_draft_edit *e, const char *name,
                          const ptf_shape *shape)
{
    json_t *meta = json_object_get(e->metas, name);
    json_t *old = json_object_get(meta, "sizes");
    ptf_tensor t = {.rank = shape->rank};
    memcpy(t.shape, shape->dim, (size_t)shape->rank * sizeof(*t.shape));
    ptf_tensor_set_strides(&t);
    json_t *sizes = ptf_draft_sizes(t.shape, t.rank);
    json_t *strides = ptf_draft_sizes(t.stride, t.rank);
    int64_t numel = ptf_shape_numel(shape);
    keep(e, json_array_insert(sizes, 0, json_array_get(old, 0)) == 0 &&
                json_array_insert_new(
                    strides, 0,
                    json_pack("{s:I}", "as_int", (json_int_t)numel)) == 0 &&
                json_object_set_new(meta, "sizes", sizes) == 0 &&
                json_object_set_new(meta, "strides", strides) == 0);
}

/* Bytes from the first element to the end of the last one. */
static const uint8_t *end_of(const ptf_tensor *t)
{
    int64_t last = 0;
    for (int i = 0; i < t->rank; i++)
        last += t->shape[i] > 1 ? (t->shape[i] - 1) * t->stride[i] : 0;
    return (const uint8_t *)t->data +
           (size_t)(last + 1) * ptf_dtype_size(t->dtype);
}

/* True when another tensor of the program has some of its elements. */
static bool is_tied(const ptf_draft_edit *e, const ptf_tensor *t)
{
    const ptf_program *p = e->draft->program;
    for (int i = 0; i < p->input_count; i++) {
        const ptf_tensor *other = p->inputs[i].tensor;
        if (other != NULL && other != t && other->storage != NULL &&
            other->storage == t->storage &&
            (const uint8_t *)other->data < end_of(t) &&
            (const uint8_t *)t->data < end_of(other))
            return true;
    }
    return false;
}

/* "layer1.0.conv1.weight" as PyTorch calls the value: with no dots. */
static const char *new_value_name(ptf_draft_edit *e, const char *name)
{
    char *text = ptf_arena_printf(&e->draft->arena, "p_%s", name);
    for (char *c = text; text != NULL && *c != '\0'; c++) {
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
              (*c >= '0' && *c <= '9')))
            *c = '_';
    }
    const char *free = text;
    for (int i = 1; free != NULL && look_up(e, free) != NULL; i++)
        free = ptf_arena_printf(&e->draft->arena, "%s_%d", text, i);
    return free;
}

static const char *new_state_name(ptf_draft_edit *e, const char *name)
{
    const char *free = name;
    for (int i = 1; free != NULL; i++) {
        const ptf_draft_tensor *t =
            ptf_text_table_find(&e->draft->tensors, free);
        if (t == NULL || t->dropped)
            return free;
        free = ptf_arena_printf(&e->draft->arena, "%s_%d", name, i);
    }
    return NULL;
}

/* A tensor under that name in the state dict, where there may be none. */
static bool hold(ptf_draft_edit *e, const char *name, const ptf_tensor *tensor)
{
    ptf_draft_tensor *held = ptf_text_table_find(&e->draft->tensors, name);
    ptf_tensor *own = ptf_arena_alloc(&e->draft->arena, sizeof(*own));
    bool is_new = held == NULL;
    if (is_new)
        held = ptf_arena_alloc(&e->draft->arena, sizeof(*held));
    name = ptf_arena_copy(&e->draft->arena, name, strlen(name));
    if (own == NULL || held == NULL || name == NULL)
        return false;
    *own = *tensor;
    own->name = name;
    *held = (ptf_draft_tensor){own, false};
    return !is_new || ptf_text_table_add(&e->draft->tensors, name, held);
}

/* Parameters stand in front: after the last one that is left. */
static size_t place_of_parameter(const ptf_draft_edit *e, const json_t *spec)
{
    size_t i, place = 0;
    const json_t *other;
    json_array_foreach(e->specs, i, other)
    {
        if (other == spec)
            return i + 1;
        if (json_object_get(other, "parameter") != NULL)
            place = i + 1;
    }
    return place;
}

/* A new parameter, after the one of 'before', if that is one. */
static value *add_parameter(ptf_draft_edit *e, const char *wanted,
                            const ptf_tensor *tensor, const value *before)
{
    const char *state = new_state_name(e, wanted);
    const char *name = state != NULL ? new_value_name(e, state) : NULL;
    if (name == NULL || !hold(e, state, tensor)) {
        keep(e, false);
        return NULL;
    }
    value *v = define(e, name);
    size_t at = place_of_parameter(e, before != NULL ? before->spec : NULL);
    json_t *spec = json_pack("{s:{s:{s:s}, s:s}}", "parameter", "arg", "name",
                             name, "parameter_name", state);
    keep(e, v != NULL && json_array_insert_new(e->specs, at, spec) == 0 &&
                json_array_insert_new(
                    e->inputs, at,
                    json_pack("{s:{s:s}}", "as_tensor", "name", name)) == 0 &&
                json_object_set_new(e->metas, name,
                                    ptf_draft_meta(tensor, 0, true)) == 0);
    if (v != NULL && !e->failed)
        v->spec = spec;
    return v;
}

static bool same_tensor(const ptf_tensor *a, const ptf_tensor *b)
{
    size_t size = (size_t)a->rank * sizeof(*a->shape);
    return a->data == b->data && a->dtype == b->dtype && a->rank == b->rank &&
           memcmp(a->shape, b->shape, size) == 0 &&
           memcmp(a->stride, b->stride, size) == 0;
}

/* The tensor that an argument is, if it is one of the file. */
static const ptf_tensor *held_by(const ptf_draft_edit *e, const value *v,
                                 ptf_draft_input *own)
{
    if (v == NULL || v->spec == NULL || !ptf_draft_tensor_input(v->spec, own))
        return NULL;
    const ptf_draft_tensor *held =
        ptf_text_table_find(&e->draft->tensors, own->name);
    return held != NULL ? held->tensor : NULL;
}

void ptf_draft_edit_tensor(ptf_draft_edit *e, json_t *call, const char *name,
                           const ptf_tensor *tensor, const char *wanted)
{
    json_t *arg = argument(call, name);
    json_t *reference = json_object_get(arg, "as_tensor");
    value *v = find(e, name_of(reference));
    ptf_draft_input own;
    const ptf_tensor *old = held_by(e, v, &own);
    if (old != NULL && tensor != NULL && same_tensor(old, tensor))
        return;
    if (old != NULL && tensor != NULL && v->uses == 1 && !is_tied(e, old)) {
        set_meta(e, v->name, tensor);
        keep(e, hold(e, own.name, tensor));
        return;
    }
    json_incref(reference);
    if (tensor == NULL) {
        if (reference != NULL)
            ptf_draft_edit_set(e, call, name,
                               json_pack("{s:b}", "as_none", true));
    } else {
        const value *beside = find(
            e, name_of(json_object_get(argument(call, "weight"), "as_tensor")));
        value *added = add_parameter(e, wanted, tensor, beside);
        if (added != NULL) {
            added->uses = 1;
            ptf_draft_edit_set(
                e, call, name,
                json_pack("{s:{s:s}}", "as_tensor", "name", added->name));
        }
    }
    if (reference != NULL)
        release(e, reference);
    drop_dead(e);
    json_decref(reference);
}

/* ----------------------------------------------------------------- removing */

bool ptf_draft_edit_bypass(ptf_draft_edit *e, json_t *call, const char *input)
{
    json_t *outputs = json_object_get(call, "outputs");
    json_t *result = json_object_get(json_array_get(outputs, 0), "as_tensor");
    json_t *read = json_object_get(argument(call, input), "as_tensor");
    value *from = find(e, name_of(read)), *v = look_up(e, name_of(result));
    if (from == NULL || v == NULL)
        return false;
    int uses = v->uses;
    v->uses = 0;
    if (!is_dead(e, call))
        return false;
    from->uses += uses;
    v->instead = from->name;
    drop_call(e, call);
    drop_dead(e);
    return true;
}

/* ---------------------------------------------------------------- finishing */

/* Readers of what was bypassed name what is read instead. */
static void rename_reference(ptf_draft_edit *e, json_t *reference)
{
    const value *v = look_up(e, name_of(reference));
    if (v != NULL && v->instead != NULL)
        keep(e, json_object_set_new(reference, "name",
                                    json_string(find(e, v->name)->name)) == 0);
}

/* Mutations and gradients have the name itself, without a union. */
static void rename_spec(ptf_draft_edit *e, json_t *spec)
{
    const char *key;
    json_t *own;
    json_object_foreach(spec, key, own)
    {
        json_t *arg = json_object_get(own, "arg");
        if (name_of(arg) != NULL)
            rename_reference(e, arg);
        else
            each_reference(e, arg, rename_reference);
    }
}

static bool is_marked(const json_t *at)
{
    return json_is_object(at) && json_object_size(at) == 0;
}

/* Leaves out of a list what is marked in 'marks', which may be the list. */
static void sweep(ptf_draft_edit *e, json_t *list, const json_t *marks)
{
    json_t *kept = json_array(), *at;
    size_t i;
    json_array_foreach(list, i, at)
    {
        if (!is_marked(json_array_get(marks, i)))
            keep(e, json_array_append(kept, at) == 0);
    }
    keep(e, json_array_clear(list) == 0 && json_array_extend(list, kept) == 0);
    json_decref(kept);
}

/* True when the buffer counts the batches of a norm that is gone. */
static bool counts_for(const ptf_text_table *gone, const char *name, char *path,
                       size_t size)
{
    static const char end[] = "num_batches_tracked";
    size_t n = strlen(name), m = sizeof(end) - 1;
    if (n < m || n >= size || strcmp(name + n - m, end) != 0)
        return false;
    snprintf(path, size, "%.*srunning_mean", (int)(n - m), name);
    const ptf_draft_tensor *mean = ptf_text_table_find(gone, path);
    return mean != NULL && mean->dropped;
}

/* PyTorch writes the count back, even in evaluation: as an output. */
static void drop_count(ptf_draft_edit *e, const char *name)
{
    json_t *spec;
    size_t i;
    json_array_foreach(e->output_specs, i, spec)
    {
        const char *buffer = json_string_value(json_object_get(
            json_object_get(spec, "buffer_mutation"), "buffer_name"));
        if (buffer == NULL || strcmp(buffer, name) != 0)
            continue;
        json_object_clear(spec);
        each_reference(e, json_array_get(e->outputs, i), release);
        return;
    }
}

static void drop_counts(ptf_draft_edit *e)
{
    json_t *spec;
    size_t i;
    json_array_foreach(e->specs, i, spec)
    {
        char path[1200];
        ptf_draft_input own;
        if (!ptf_draft_tensor_input(spec, &own) ||
            !counts_for(&e->draft->tensors, own.name, path, sizeof(path)))
            continue;
        value *v = look_up(e, own.value);
        if (v != NULL && v->uses == 0)
            drop_input(e, v);
        else
            drop_count(e, own.name);
    }
}

ptf_status ptf_draft_edit_finish(ptf_draft_edit *e)
{
    json_t *calls = ptf_draft_calls(e->draft), *call;
    size_t i;
    drop_counts(e);
    drop_dead(e);
    sweep(e, e->inputs, e->specs);
    sweep(e, e->specs, e->specs);
    sweep(e, e->outputs, e->output_specs);
    sweep(e, e->output_specs, e->output_specs);
    sweep(e, e->nodes, e->nodes);
    json_array_foreach(e->nodes, i, call)
        each_reference(e, json_object_get(call, "inputs"), rename_reference);
    each_reference(e, e->outputs, rename_reference);
    json_array_foreach(e->output_specs, i, call) rename_spec(e, call);
    json_array_foreach(calls, i, call)
        each_reference(e, json_object_get(call, "signature"), rename_reference);
    ptf_text_table_free(&e->values);
    json_decref(e->dead);
    return e->failed ? ptf_fail_memory(e->err) : PTF_OK;
}
