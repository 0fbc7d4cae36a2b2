/*
 * Pytrees: how flat lists of inputs and outputs form the arguments and the
 * result of forward().  Only the names of leaves are of interest here:
 *
 *   ((x, [a, b]), {mask: m})   x  boxes.0  boxes.1  mask
 *   {out: y, aux: z}           out  aux
 *   (y, {p: z})                output.0  output.1.p
 *
 * A spec is JSON: [1, {"type": "builtins.tuple", "context": JSON in a text,
 * "children_spec": [...]}]; a leaf's type is null.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "program/reader.h"

enum { MAX_DEPTH = 64, MAX_LEAVES = 1 << 20 };

typedef struct walk {
    const ptf_tree_source *source;
    const json_t *names;  /* of positional arguments, or NULL */
    const json_t *fields; /* of named tuples, by their class */
    ptf_leaf_name *leaves;
    size_t count, capacity;
} walk;

static ptf_status fail(const walk *w, const char *text)
{
    return ptf_fail(w->source->err, PTF_FORMAT, &w->source->origin,
                    PTF_NO_OFFSET, "module_call_graph: pytree: %s", text);
}

static ptf_status add_leaf(walk *w, const char *name, const char *path)
{
    if (w->count == w->capacity) {
        size_t capacity = w->capacity > 0 ? 2 * w->capacity : 8;
        ptf_leaf_name *more =
            ptf_arena_array(w->source->arena, capacity, sizeof(*more));
        if (more == NULL)
            return ptf_fail_memory(w->source->err);
        if (w->count > 0)
            memcpy(more, w->leaves, w->count * sizeof(*more));
        w->leaves = more;
        w->capacity = capacity;
    }
    if (w->count == MAX_LEAVES)
        return fail(w, "expected fewer leaves");
    w->leaves[w->count++] = (ptf_leaf_name){name, path};
    return PTF_OK;
}

/* --------------------------------------------------------------------- keys */

/* Keys are texts or whole numbers. */
static bool are_keys(const json_t *list, size_t count)
{
    if (!json_is_array(list) || json_array_size(list) != count)
        return false;
    for (size_t i = 0; i < count; i++) {
        const json_t *key = json_array_get(list, i);
        if (!json_is_string(key) && !json_is_integer(key))
            return false;
    }
    return true;
}

/*
 * The keys of a node's children, or NULL when they go by their place.  A
 * dict's context is its keys, a default dict's has them as its "dict_context";
 * dataclasses and classes of users have them somewhere in a list.  The context
 * of a named tuple is its class, whose fields stand by themselves.
 */
static const json_t *find_keys(const walk *w, const json_t *node,
                               const json_t *context, size_t count)
{
    const char *class = json_string_value(json_object_get(node, "context"));
    const json_t *fields =
        class != NULL ? json_object_get(w->fields, class) : NULL;
    fields = json_object_get(fields, "field_names");
    if (are_keys(fields, count))
        return fields;
    const json_t *inside = json_object_get(context, "dict_context");
    if (are_keys(context, count) || are_keys(inside, count))
        return inside != NULL ? inside : context;
    for (size_t i = 0; i < json_array_size(context); i++) {
        if (are_keys(json_array_get(context, i), count))
            return json_array_get(context, i);
    }
    return NULL;
}

/* --------------------------------------------------------------------- walk */

/* A place in the tree, from the root on. */
typedef struct place {
    const char *name, *path;
    int depth;
} place;

static const char *join(const walk *w, const char *front, const char *part)
{
    return *front == '\0'
               ? ptf_arena_copy(w->source->arena, part, strlen(part))
               : ptf_arena_printf(w->source->arena, "%s.%s", front, part);
}

/*
 * Arguments of forward() go by their own names, which are "" in old files,
 * keywords by their keys.
 */
static const char *argument_name(const walk *w, const char *path, size_t index,
                                 const char *part)
{
    const char *name = json_string_value(json_array_get(w->names, index));
    if (strcmp(path, "1") == 0)
        name = part;
    return join(w, "", name != NULL ? name : "");
}

static ptf_status walk_node(walk *w, const json_t *node, const place *at,
                            bool is_input);

static ptf_status walk_child(walk *w, const json_t *child, const place *at,
                             size_t index, const json_t *key, bool is_input)
{
    char number[24];
    snprintf(number, sizeof(number), "%lld",
             key != NULL ? (long long)json_integer_value(key)
                         : (long long)index);
    const char *part = json_is_string(key) ? json_string_value(key) : number;
    bool root = at->depth == 0;
    place inner = {.depth = at->depth + 1};
    inner.path = join(w, at->path, part);
    if (is_input && at->depth < 2)
        inner.name = root ? "" : argument_name(w, at->path, index, part);
    else if (is_input && *at->name == '\0')
        inner.name = "";
    else
        inner.name = join(w, root && key != NULL ? "" : at->name, part);
    if (inner.path == NULL || inner.name == NULL)
        return ptf_fail_memory(w->source->err);
    return walk_node(w, child, &inner, is_input);
}

static ptf_status walk_node(walk *w, const json_t *node, const place *at,
                            bool is_input)
{
    const json_t *type = json_object_get(node, "type");
    const json_t *children = json_object_get(node, "children_spec");
    json_t *context = json_object_get(node, "context");
    if (type == NULL || !json_is_array(children))
        return fail(w, "expected a node with a type and children");
    if (at->depth > MAX_DEPTH)
        return fail(w, "expected at most 64 levels");
    if (json_is_null(type))
        return add_leaf(w, at->name, at->path);
    if (!json_is_string(type))
        return fail(w, "expected a type that is a text");
    /* JSON in a text, unless the class writes it otherwise. */
    json_t *parsed =
        json_is_string(context)
            ? json_loads(json_string_value(context), JSON_DECODE_ANY, NULL)
            : json_incref(context);
    size_t count = json_array_size(children);
    const json_t *keys = find_keys(w, node, parsed, count);
    ptf_status status = PTF_OK;
    for (size_t i = 0; status == PTF_OK && i < count; i++)
        status = walk_child(w, json_array_get(children, i), at, i,
                            json_array_get(keys, i), is_input);
    json_decref(parsed);
    return status;
}

ptf_status ptf_pytree_names(const ptf_tree_source *source, const char *spec,
                            const json_t *names, const json_t *fields,
                            bool is_input, ptf_leaf_name **out, size_t *count)
{
    walk w = {.source = source, .names = names, .fields = fields};
    json_error_t error;
    json_t *root = json_loads(spec, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL && json_error_code(&error) == json_error_out_of_memory)
        return ptf_fail_memory(source->err);
    place top = {is_input ? "" : "output", "", 0};
    ptf_status status =
        json_integer_value(json_array_get(root, 0)) == 1 &&
                json_array_size(root) == 2
            ? walk_node(&w, json_array_get(root, 1), &top, is_input)
            : fail(&w, "expected [1, NODE]");
    json_decref(root);
    *out = w.leaves;
    *count = w.count;
    return status;
}
