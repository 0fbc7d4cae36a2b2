/*
 * Walking the tree of values for tensors, and naming them as PyTorch's
 * state_dict() would.  Dicts and lists give dotted names; a module gives
 * its parameters, buffers and submodules; a TorchScript object its
 * attributes.  Other objects are not looked into.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "checkpoint/reader.h"

enum {
    MAX_TENSORS = 1 << 18,
    MAX_NAME = 4096,
    MAX_ALL_NAMES = 64 << 20,
    MAX_WALKED = 64 << 20, /* values, each as often as it is looked at */
};

/* The owner of what is being walked; it gets a number with its first leaf. */
typedef struct place {
    ptf_object *value;
    size_t prefix;
    bool is_module;
    bool numbered;
    size_t number;
} place;

typedef struct walk {
    ptf_checkpoint *ckpt;
    bool arrays, training;
    place *at;
    ptf_leaves *out;
    ptf_error *err;
} walk;

static ptf_status walk_value(walk *w, ptf_object *value, const char *name,
                             const ptf_name_problem *problem);

/* Makes room for one more of 'size' bytes; false when out of memory. */
static bool grow(void **items, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return true;
    size_t larger = *capacity > 0 ? 2 * *capacity : 64;
    void *moved = ptf_realloc(*items, larger * size);
    if (moved == NULL)
        return false;
    *items = moved;
    *capacity = larger;
    return true;
}

/* The owner of the place where the walk is. */
static ptf_owner *take_owner(walk *w)
{
    ptf_leaves *out = w->out;
    place *at = w->at;
    void *owners = out->owners;
    if (at->numbered)
        return &out->owners[at->number];
    if (!grow(&owners, out->owner_count, &out->owner_capacity,
              sizeof(*out->owners)))
        return NULL;
    out->owners = owners;
    at->numbered = true;
    at->number = out->owner_count++;
    out->owners[at->number] = (ptf_owner){.value = at->value,
                                          .first = out->count,
                                          .prefix = at->prefix,
                                          .is_module = at->is_module};
    return &out->owners[at->number];
}

/* What the name of one more tensor says about its owner. */
static void note_name(ptf_owner *owner, const char *name)
{
    size_t size = strlen(name);
    const char *own = size > owner->prefix ? name + owner->prefix : "";
    const char *dot = strrchr(own, '.');
    const char *last = dot != NULL ? dot + 1 : own;
    owner->count++;
    if (!ptf_name_is_layer_s(last, strlen(last)))
        return;
    owner->has_layers |= dot != NULL;
    if (strcmp(last, "weight") == 0)
        owner->has_weight = true;
    else
        owner->has_partner = true;
}

static ptf_status add_leaf(walk *w, const ptf_object *value, const char *name,
                           const ptf_name_problem *problem)
{
    ptf_leaves *out = w->out;
    ptf_origin origin = ptf_object_origin(w->ckpt);
    void *items = out->items;
    if (out->count == MAX_TENSORS)
        return ptf_fail(w->err, PTF_FORMAT, &origin, PTF_NO_OFFSET,
                        "expected at most %d tensors", MAX_TENSORS);
    ptf_owner *owner = take_owner(w);
    if (owner == NULL ||
        !grow(&items, out->count, &out->capacity, sizeof(*out->items)))
        return ptf_fail_memory(w->err);
    out->items = items;
    name = name != NULL ? name : "";
    note_name(owner, name);
    out->items[out->count++] = (ptf_leaf){name, value, problem, w->at->number};
    return PTF_OK;
}

/* ------------------------------------------------------------------- names */

/* "prefix.text"; NULL when out of memory. */
static const char *join(walk *w, const char *prefix, const char *text,
                        size_t size)
{
    return prefix == NULL ? ptf_arena_copy(&w->ckpt->arena, text, size)
                          : ptf_arena_printf(&w->ckpt->arena, "%s.%.*s", prefix,
                                             (int)size, text);
}

bool ptf_key_text(const ptf_object *key, char number[24], ptf_text_span *out)
{
    *out = (ptf_text_span){key->text, key->count};
    if (key->kind == PTF_OBJECT_STRING)
        return true;
    const char *text = key->kind == PTF_OBJECT_NONE   ? "None"
                       : key->kind != PTF_OBJECT_BOOL ? ""
                       : key->boolean                 ? "True"
                                                      : "False";
    size_t size =
        key->kind == PTF_OBJECT_INT
            ? (size_t)snprintf(number, 24, "%lld", (long long)key->integer)
            : (size_t)snprintf(number, 24, "%s", text);
    *out = (ptf_text_span){number, size};
    return size > 0;
}

/* Why a key does not continue a name of 'before' bytes; NULL when it does. */
static const ptf_name_problem *find_problem(bool plain, ptf_text_span part,
                                            size_t before)
{
    static const ptf_name_problem key = {
        PTF_UNSUPPORTED,
        "expected a text, a number or None for its key, which continues its "
        "name; --key takes a part of the file without it"};
    static const ptf_name_problem length = {
        PTF_FORMAT, "expected a name of at most 4096 bytes"};
    static const ptf_name_problem printable = {
        PTF_FORMAT, "expected a printable name in UTF-8"};
    return !plain                                    ? &key
           : part.size + before >= MAX_NAME          ? &length
           : !ptf_is_printable(part.text, part.size) ? &printable
                                                     : NULL;
}

/* Stands in a name for a key that has no text. */
static ptf_text_span kind_of_key(const ptf_object *key)
{
    const char *text = key->kind == PTF_OBJECT_TUPLE   ? "(a tuple)"
                       : key->kind == PTF_OBJECT_FLOAT ? "(a float)"
                       : key->kind == PTF_OBJECT_BYTES ? "(bytes)"
                                                       : "(an object)";
    return (ptf_text_span){text, strlen(text)};
}

/* What has tensors and is not looked into. */
static void count_closed(walk *w, const ptf_object *value)
{
    w->out->closed_count++;
    w->out->closed = value;
}

/*
 * Counts values that are looked at.  What is shared or nested is looked at
 * many times, and a small file could take hours.
 */
static ptf_status count_walked(walk *w, size_t count)
{
    ptf_origin origin = ptf_object_origin(w->ckpt);
    w->ckpt->walked += count;
    return w->ckpt->walked <= MAX_WALKED
               ? PTF_OK
               : ptf_fail(w->err, PTF_FORMAT, &origin, PTF_NO_OFFSET,
                          "expected at most %d values around the tensors, "
                          "shared ones counted every time",
                          MAX_WALKED);
}

/* Walks one pair of a dict under its dotted name. */
static ptf_status walk_pair(walk *w, const ptf_object *key, ptf_object *value,
                            const char *prefix, const ptf_name_problem *problem)
{
    char number[24];
    ptf_text_span part;
    size_t before = prefix != NULL ? strlen(prefix) : 0;
    if (key->marked)
        count_closed(w, key);
    if (!value->marked)
        return PTF_OK;
    bool plain = ptf_key_text(key, number, &part);
    const ptf_name_problem *found = find_problem(plain, part, before);
    if (!plain)
        part = kind_of_key(key);
    else if (found != NULL)
        part.size = 0;
    w->ckpt->name_bytes += before + part.size + 2;
    if (w->ckpt->name_bytes > MAX_ALL_NAMES) {
        ptf_origin origin = ptf_object_origin(w->ckpt);
        return ptf_fail(w->err, PTF_FORMAT, &origin, PTF_NO_OFFSET,
                        "expected names of tensors of at most %d bytes "
                        "together",
                        MAX_ALL_NAMES);
    }
    const char *name = join(w, prefix, part.text, part.size);
    if (name == NULL)
        return ptf_fail_memory(w->err);
    return walk_value(w, value, name, problem != NULL ? problem : found);
}

/* -------------------------------------------------------------- containers */

static ptf_status walk_dict(walk *w, const ptf_object *dict, const char *prefix,
                            const ptf_name_problem *problem)
{
    ptf_status status = count_walked(w, dict->count);
    for (uint32_t i = 0; i < dict->count && status == PTF_OK; i += 2) {
        if (w->training || !ptf_member_is_training(dict, dict->items[i]))
            status = walk_pair(w, dict->items[i], dict->items[i + 1], prefix,
                               problem);
    }
    return status;
}

static ptf_status walk_list(walk *w, const ptf_object *list, const char *prefix,
                            const ptf_name_problem *problem)
{
    ptf_status status = count_walked(w, list->count);
    for (uint32_t i = 0; i < list->count && status == PTF_OK; i++) {
        ptf_object index = {.kind = PTF_OBJECT_INT, .integer = i};
        status = walk_pair(w, &index, list->items[i], prefix, problem);
    }
    return status;
}

/* The items of a set or list; nothing else has some. */
static uint32_t item_count(const ptf_object *set)
{
    bool has = set != NULL &&
               (set->kind == PTF_OBJECT_SET || set->kind == PTF_OBJECT_LIST);
    return has ? set->count : 0;
}

static bool contains(const ptf_object *set, const ptf_object *key)
{
    for (uint32_t i = 0; i < item_count(set); i++) {
        const ptf_object *v = set->items[i];
        if (v->kind == PTF_OBJECT_STRING && key->kind == PTF_OBJECT_STRING &&
            v->count == key->count && memcmp(v->text, key->text, v->count) == 0)
            return true;
    }
    return false;
}

/*
 * Weights that PyTorch's quantized kernels have packed are attributes, which
 * only their module's own code can put into a state dict.
 */
static void count_packed(walk *w, const ptf_object *state)
{
    for (uint32_t i = 1; i < state->count; i += 2) {
        const ptf_object *v = state->items[i];
        if (!v->marked || v->kind != PTF_OBJECT_INSTANCE ||
            !ptf_object_is_global(v->items[PTF_INSTANCE_CALLEE], "torch",
                                  "ScriptObject"))
            continue;
        count_closed(w, v);
    }
}

/* A dict of a module, without the keys in 'skip' (may be NULL). */
static ptf_status walk_members(walk *w, const ptf_object *dict,
                               const ptf_object *skip, const char *prefix,
                               const ptf_name_problem *problem)
{
    if (dict == NULL || dict->kind != PTF_OBJECT_DICT)
        return PTF_OK;
    size_t each = 1 + (size_t)item_count(skip);
    ptf_status status = count_walked(w, dict->count / 2 * each);
    for (uint32_t i = 0; i < dict->count && status == PTF_OK; i += 2) {
        if (!contains(skip, dict->items[i]))
            status = walk_pair(w, dict->items[i], dict->items[i + 1], prefix,
                               problem);
    }
    return status;
}

/* nn.Module: own parameters, own persistent buffers, then the children. */
static ptf_status walk_module(walk *w, const ptf_object *state,
                              const char *prefix,
                              const ptf_name_problem *problem)
{
    const ptf_object *skip =
        ptf_dict_find(state, "_non_persistent_buffers_set");
    ptf_status status = walk_members(w, ptf_dict_find(state, "_parameters"),
                                     NULL, prefix, problem);
    if (status == PTF_OK)
        status = walk_members(w, ptf_dict_find(state, "_buffers"), skip, prefix,
                              problem);
    if (status == PTF_OK)
        status = walk_members(w, ptf_dict_find(state, "_modules"), NULL, prefix,
                              problem);
    count_packed(w, state);
    return status;
}

/* True for a call of that module, or of one below it with 'below'. */
static bool is_of_module(const ptf_object *object, const char *module,
                         bool below)
{
    const ptf_object *callee = object->items[PTF_INSTANCE_CALLEE];
    size_t n = strlen(module);
    return callee->kind == PTF_OBJECT_GLOBAL &&
           strncmp(callee->global->module, module, n) == 0 &&
           (callee->global->module[n] == '\0' ||
            (below && callee->global->module[n] == '.'));
}

bool ptf_object_is_open(const ptf_object *object)
{
    return ptf_dict_find(object->items[PTF_INSTANCE_STATE], "_modules") !=
               NULL ||
           is_of_module(object, "__torch__", true) ||
           is_of_module(object, "torch.jit._pickle", false) ||
           object->items[PTF_INSTANCE_PAIRS] != NULL ||
           object->items[PTF_INSTANCE_ITEMS] != NULL;
}

static ptf_status walk_object(walk *w, ptf_object *object, const char *prefix,
                              const ptf_name_problem *problem)
{
    const ptf_object *state = object->items[PTF_INSTANCE_STATE];
    const ptf_object *args = object->items[PTF_INSTANCE_ARGS];
    ptf_status status = PTF_OK;
    if (!ptf_object_is_open(object)) {
        count_closed(w, object);
        return PTF_OK;
    }
    if (is_of_module(object, "torch.jit._pickle", false) && args->count > 0)
        return walk_value(w, args->items[0], prefix, problem);
    if (state != NULL && ptf_dict_find(state, "_modules") != NULL)
        status = walk_module(w, state, prefix, problem);
    else if (state != NULL && is_of_module(object, "__torch__", true))
        status = state->kind == PTF_OBJECT_DICT
                     ? walk_dict(w, state, prefix, problem)
                 : state->kind == PTF_OBJECT_TUPLE
                     ? walk_list(w, state, prefix, problem)
                     : PTF_OK;
    if (status == PTF_OK && object->items[PTF_INSTANCE_PAIRS] != NULL)
        status =
            walk_value(w, object->items[PTF_INSTANCE_PAIRS], prefix, problem);
    if (status == PTF_OK && object->items[PTF_INSTANCE_ITEMS] != NULL)
        status =
            walk_value(w, object->items[PTF_INSTANCE_ITEMS], prefix, problem);
    return status;
}

static ptf_status walk_inside(walk *w, ptf_object *value, const char *name,
                              const ptf_name_problem *problem)
{
    switch ((ptf_object_kind)value->kind) {
    case PTF_OBJECT_TUPLE:
    case PTF_OBJECT_LIST: return walk_list(w, value, name, problem);
    case PTF_OBJECT_DICT: return walk_dict(w, value, name, problem);
    case PTF_OBJECT_INSTANCE: return walk_object(w, value, name, problem);
    case PTF_OBJECT_SET: count_closed(w, value); return PTF_OK;
    case PTF_OBJECT_NONE:
    case PTF_OBJECT_BOOL:
    case PTF_OBJECT_INT:
    case PTF_OBJECT_BIG_INT:
    case PTF_OBJECT_FLOAT:
    case PTF_OBJECT_STRING:
    case PTF_OBJECT_BYTES:
    case PTF_OBJECT_GLOBAL:
    case PTF_OBJECT_PERSISTENT: break;
    }
    return PTF_OK;
}

/* True for an object whose insides are its own: a module of either kind. */
static bool is_whole(const ptf_object *value)
{
    return value->kind == PTF_OBJECT_INSTANCE &&
           (ptf_dict_find(value->items[PTF_INSTANCE_STATE], "_modules") !=
                NULL ||
            is_of_module(value, "__torch__", true));
}

static ptf_status walk_value(walk *w, ptf_object *value, const char *name,
                             const ptf_name_problem *problem)
{
    if (!value->marked || value->busy)
        return PTF_OK;
    if (ptf_object_is_tensor(value))
        return w->arrays ? PTF_OK : add_leaf(w, value, name, problem);
    if (ptf_object_is_array(value))
        return w->arrays ? add_leaf(w, value, name, problem) : PTF_OK;
    if (!w->training && ptf_object_is_training(value))
        return PTF_OK;
    place *outer = w->at;
    place here = {.value = value,
                  .prefix = name != NULL ? strlen(name) + 1 : 0,
                  .is_module = is_whole(value)};
    if (!outer->is_module &&
        (here.is_module || value->kind != PTF_OBJECT_INSTANCE))
        w->at = &here;
    value->busy = true;
    ptf_status status = walk_inside(w, value, name, problem);
    value->busy = false;
    w->at = outer;
    return status;
}

void ptf_leaves_free(ptf_leaves *leaves)
{
    ptf_free(leaves->items);
    ptf_free(leaves->owners);
    *leaves = (ptf_leaves){0};
}

ptf_status ptf_leaves_collect(ptf_checkpoint *ckpt, ptf_object *from,
                              bool arrays, bool training, ptf_leaves *out,
                              ptf_error *err)
{
    place root = {.value = from};
    walk w = {ckpt, arrays, training, &root, out, err};
    ptf_status status = walk_value(&w, from, NULL, NULL);
    if (status != PTF_OK)
        ptf_leaves_free(out);
    return status;
}
