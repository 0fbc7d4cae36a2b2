/*
 * Which of the tensors in a file make the state dict that is meant?  Those
 * below the caller's key; those that fit the network that the caller knows;
 * else those that owner.c chooses.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "checkpoint/reader.h"

/* ------------------------------------------------------------------- names */

/* Names 'step' bytes apart, each the first member of something. */
typedef struct names {
    void *first;
    size_t count, step;
} names;

static const char **name_at(const names *n, size_t i)
{
    void *at = (char *)n->first + i * n->step;
    return at;
}

/* ------------------------------------------------------------------ by key */

/* The name's part after 'key' and a dot; NULL when it is not below. */
static const char *part_below(const char *name, const char *key)
{
    size_t size = strlen(key);
    if (size == 0)
        return name;
    if (strncmp(name, key, size) != 0 ||
        (name[size] != '.' && name[size] != '\0'))
        return NULL;
    return name + size + (name[size] == '.');
}

/* Keeps what lies below 'key', without it. */
static void keep_below(ptf_leaves *leaves, const char *key)
{
    size_t kept = 0;
    for (size_t i = 0; i < leaves->count; i++) {
        ptf_leaf leaf = leaves->items[i];
        leaf.name = part_below(leaf.name, key);
        if (leaf.name != NULL)
            leaves->items[kept++] = leaf;
    }
    leaves->count = kept;
}

/* The first parts of the names, each once: "model, ema". */
static const char *list_keys(ptf_checkpoint *ckpt, const names *n)
{
    enum { SHOWN = 8 };
    const char *text = "", *last = "";
    size_t last_size = 0;
    int shown = 0;
    for (size_t i = 0; i < n->count && text != NULL; i++) {
        const char *name = *name_at(n, i);
        size_t size = strcspn(name, ".");
        if (size == last_size && memcmp(name, last, size) == 0)
            continue;
        if (++shown > SHOWN)
            return ptf_arena_printf(&ckpt->arena, "%s, ...", text);
        text = ptf_arena_printf(&ckpt->arena, "%s%s%.*s", text,
                                shown > 1 ? ", " : "", (int)size, name);
        last = name;
        last_size = size;
    }
    return text;
}

static ptf_status fail_key(ptf_checkpoint *ckpt, const char *key,
                           const names *n, ptf_error *err)
{
    ptf_origin origin = {ckpt->file.name, NULL};
    const char *keys = list_keys(ckpt, n);
    return keys == NULL
               ? ptf_fail_memory(err)
               : ptf_fail(err, PTF_ARGUMENT, &origin, PTF_NO_OFFSET,
                          "expected tensors below the key '%s', got none; "
                          "there are --key %s",
                          key, keys);
}

static ptf_status select_key(ptf_checkpoint *ckpt, const char *key, bool arrays,
                             ptf_leaves *out, ptf_error *err)
{
    ptf_status status =
        ptf_leaves_collect(ckpt, ckpt->pickle.root, arrays, true, out, err);
    if (status != PTF_OK || out->count == 0)
        return status;
    names all = {out->items, out->count, sizeof(*out->items)};
    keep_below(out, key);
    if (out->count > 0)
        return PTF_OK;
    status = fail_key(ckpt, key, &all, err);
    ptf_leaves_free(out);
    return status;
}

/* The value at a dotted path of dict keys, or NULL. */
static const ptf_object *follow(const ptf_object *at, const char *key)
{
    char part[256];
    while (at != NULL && *key != '\0') {
        size_t size = strcspn(key, ".");
        if (size >= sizeof(part))
            return NULL;
        memcpy(part, key, size);
        part[size] = '\0';
        at = ptf_dict_find(at, part);
        key += key[size] == '.' ? size + 1 : size;
    }
    return at;
}

/* ---------------------------------------------------------------- prefixes */

/* What a wrapper puts before every name: the bytes with the dot, or 0. */
static size_t find_prefix(const names *n)
{
    const char *first = n->count > 0 ? *name_at(n, 0) : "";
    size_t size = strcspn(first, ".");
    if (!ptf_is_wrapped_child((ptf_text_span){first, size}))
        return 0;
    for (size_t i = 0; i < n->count; i++) {
        const char *name = *name_at(n, i);
        if (strncmp(name, first, size) != 0 || name[size] != '.' ||
            name[size + 1] == '\0')
            return 0;
    }
    return size + 1;
}

static bool strip_once(const names *n)
{
    size_t size = find_prefix(n);
    for (size_t i = 0; i < n->count; i++)
        *name_at(n, i) += size;
    return size > 0;
}

static void strip_prefixes(const names *n, const ptf_open_options *options)
{
    while (!options->keep_prefix && strip_once(n))
        continue;
}

/* ------------------------------------------------------------ by parameters */

static bool same_shape(const ptf_tensor *tensor, const ptf_parameter *wanted)
{
    return tensor->rank == wanted->rank &&
           memcmp(tensor->shape, wanted->shape,
                  (size_t)wanted->rank * sizeof(*wanted->shape)) == 0;
}

static bool tensor_has_shape(const void *of, size_t index,
                             const ptf_parameter *wanted)
{
    const ptf_checkpoint *ckpt = of;
    return same_shape(&ckpt->tensors[index], wanted);
}

typedef struct rebuilding {
    ptf_checkpoint *ckpt;
    const ptf_leaves *leaves;
} rebuilding;

static bool leaf_has_shape(const void *of, size_t index,
                           const ptf_parameter *wanted)
{
    const rebuilding *r = of;
    ptf_tensor tensor;
    return ptf_leaf_rebuild(r->ckpt, &r->leaves->items[index], &tensor, NULL) ==
               PTF_OK &&
           same_shape(&tensor, wanted);
}

/* Puts 'below' in front of the places' names; false without memory. */
static bool name_places(ptf_arena *arena, const char *below, ptf_places *places)
{
    for (size_t i = 0; i < places->count && i < PTF_PLACES_SHOWN; i++) {
        bool both = below[0] != '\0' && places->names[i][0] != '\0';
        places->names[i] = ptf_arena_printf(arena, "%s%s%s", below,
                                            both ? "." : "", places->names[i]);
        if (places->names[i] == NULL)
            return false;
    }
    return true;
}

/* Matches, and notes where that was.  '*one' when there is one place. */
static ptf_status match_names(ptf_checkpoint *ckpt, ptf_found_names *found,
                              const names *all, const ptf_open_options *options,
                              bool *one, ptf_error *err)
{
    ptf_places places;
    ptf_status status =
        ptf_names_match(&ckpt->arena, found, options->parameters,
                        options->parameter_count, &places, err);
    *one = status == PTF_OK && places.count == 1;
    if (status != PTF_OK || places.count == 0)
        return status;
    const char *below = options->key != NULL ? options->key : "";
    if (!name_places(&ckpt->arena, below, &places))
        return ptf_fail_memory(err);
    if (places.count > 1)
        return ptf_places_fail(ckpt, &places, err);
    ckpt->place = places.names[0];
    ckpt->left_out = 0;
    for (size_t i = 0; i < found->count; i++) {
        if (found->items[i].name == NULL && ckpt->left_out++ == 0)
            ckpt->left_name = *name_at(all, i);
        *name_at(all, i) = found->items[i].name;
    }
    return PTF_OK;
}

/* Keeps the leaves that still have a name. */
static void drop_nameless(ptf_leaves *leaves)
{
    size_t kept = 0;
    for (size_t i = 0; i < leaves->count; i++) {
        if (leaves->items[i].name != NULL)
            leaves->items[kept++] = leaves->items[i];
    }
    leaves->count = kept;
}

/* The value that has all leaves, or all that were looked at. */
static const ptf_object *common_owner(const ptf_checkpoint *ckpt,
                                      const ptf_leaves *leaves, const char *key)
{
    size_t owner = leaves->items[0].owner;
    for (size_t i = 1; i < leaves->count; i++) {
        if (leaves->items[i].owner != owner)
            return key != NULL ? follow(ckpt->pickle.root, key)
                               : ckpt->pickle.root;
    }
    return leaves->owners[owner].value;
}

static ptf_status match_leaves(ptf_checkpoint *ckpt, ptf_leaves *leaves,
                               const ptf_open_options *options, bool *one,
                               ptf_error *err)
{
    names all = {leaves->items, leaves->count, sizeof(*leaves->items)};
    rebuilding r = {ckpt, leaves};
    ptf_found_names found = {
        ptf_alloc(leaves->count * sizeof(*found.items)),
        leaves->count,
        leaf_has_shape,
        &r,
    };
    if (found.items == NULL)
        return ptf_fail_memory(err);
    size_t key = options->key != NULL ? strlen(options->key) + 1 : 0;
    for (size_t i = 0; i < leaves->count; i++) {
        size_t own = leaves->owners[leaves->items[i].owner].prefix;
        found.items[i] =
            (ptf_found_name){leaves->items[i].name, own > key ? own - key : 0};
    }
    ptf_status status = match_names(ckpt, &found, &all, options, one, err);
    ptf_free(found.items);
    if (*one) {
        drop_nameless(leaves);
        leaves->closed_count = 0;
        ckpt->selected = common_owner(ckpt, leaves, options->key);
    }
    return status;
}

static ptf_status match_tensors(ptf_checkpoint *ckpt, const names *all,
                                const ptf_open_options *options, bool *one,
                                ptf_error *err)
{
    ptf_found_names found = {
        ptf_alloc(all->count * sizeof(*found.items)),
        all->count,
        tensor_has_shape,
        ckpt,
    };
    if (found.items == NULL)
        return ptf_fail_memory(err);
    for (size_t i = 0; i < all->count; i++)
        found.items[i].name = ckpt->tensors[i].name;
    ptf_status status = match_names(ckpt, &found, all, options, one, err);
    ptf_free(found.items);
    size_t kept = 0;
    for (size_t i = 0; *one && i < ckpt->count; i++) {
        if (ckpt->tensors[i].name != NULL)
            ckpt->tensors[kept++] = ckpt->tensors[i];
    }
    ckpt->count = *one ? kept : ckpt->count;
    return status;
}

/* "--key ''" asks for all names as they are. */
static bool may_match(const ptf_open_options *options)
{
    return options->parameter_count > 0 &&
           (options->key == NULL || options->key[0] != '\0');
}

/* The tensors that still have a name, with it; the others are counted. */
static void take_fitting(const ptf_checkpoint *ckpt,
                         const ptf_found_names *found, ptf_tensor *tensors,
                         ptf_fitted *out)
{
    out->tensors = tensors;
    out->count = 0;
    for (size_t i = 0; i < ckpt->count; i++) {
        const char *name = ckpt->tensors[i].name;
        if (found->items[i].name != NULL) {
            tensors[out->count] = ckpt->tensors[i];
            tensors[out->count++].name = found->items[i].name;
            continue;
        }
        if (out->beside == NULL && strchr(name, '.') != NULL)
            out->beside = name;
        if (out->left_out++ == 0)
            out->left_name = name;
    }
}

ptf_status ptf_checkpoint_fit(const ptf_checkpoint *ckpt, ptf_arena *arena,
                              const ptf_parameter *wanted, size_t count,
                              ptf_fitted *out, ptf_error *err)
{
    *out = (ptf_fitted){.tensors = ckpt->tensors, .count = ckpt->count};
    out->key = ptf_checkpoint_key(ckpt, &out->left_out, &out->left_name);
    if (ckpt->as_they_are || ckpt->count == 0)
        return PTF_OK;
    ptf_places places = {.count = 0};
    ptf_found_names found = {
        ptf_alloc(ckpt->count * sizeof(*found.items)),
        ckpt->count,
        tensor_has_shape,
        ckpt,
    };
    ptf_tensor *tensors = ptf_arena_array(arena, ckpt->count, sizeof(*tensors));
    ptf_status status = PTF_OK;
    if (found.items == NULL || tensors == NULL)
        status = ptf_fail_memory(err);
    for (size_t i = 0; status == PTF_OK && i < ckpt->count; i++)
        found.items[i].name = ckpt->tensors[i].name;
    if (status == PTF_OK)
        status = ptf_names_match(arena, &found, wanted, count, &places, err);
    if (status == PTF_OK && !name_places(arena, out->key, &places))
        status = ptf_fail_memory(err);
    if (status == PTF_OK && places.count > 1)
        status = ptf_places_fail(ckpt, &places, err);
    if (status == PTF_OK && places.count == 1) {
        out->key = places.names[0];
        take_fitting(ckpt, &found, tensors, out);
    }
    ptf_free(found.items);
    return status;
}

/* ---------------------------------------------------------------- selection */

static ptf_status note_key(ptf_checkpoint *ckpt, const char *key,
                           ptf_error *err)
{
    if (key == NULL)
        return PTF_OK;
    ckpt->as_they_are = key[0] == '\0';
    ckpt->place = ptf_arena_copy(&ckpt->arena, key, strlen(key));
    return ckpt->place != NULL ? PTF_OK : ptf_fail_memory(err);
}

ptf_status ptf_tensors_select(ptf_checkpoint *ckpt,
                              const ptf_open_options *options, ptf_error *err)
{
    names all = {ckpt->tensors, ckpt->count, sizeof(*ckpt->tensors)};
    size_t kept = 0;
    for (size_t i = 0; i < ckpt->count && options->key != NULL; i++) {
        ptf_tensor t = ckpt->tensors[i];
        t.name = part_below(t.name, options->key);
        if (t.name != NULL)
            ckpt->tensors[kept++] = t;
    }
    if (options->key != NULL && kept == 0 && all.count > 0)
        return fail_key(ckpt, options->key, &all, err);
    if (options->key != NULL)
        all.count = ckpt->count = kept;
    bool one = false;
    ptf_status status = note_key(ckpt, options->key, err);
    if (status == PTF_OK && may_match(options) && ckpt->count > 0)
        status = match_tensors(ckpt, &all, options, &one, err);
    if (status != PTF_OK)
        return status;
    if (!one)
        strip_prefixes(&all, options);
    return PTF_OK;
}

/* With a key: what lies below it. */
static ptf_status select_given(ptf_checkpoint *ckpt, bool arrays,
                               const ptf_open_options *options, bool *one,
                               ptf_leaves *out, ptf_error *err)
{
    ptf_status status = note_key(ckpt, options->key, err);
    if (status == PTF_OK)
        status = select_key(ckpt, options->key, arrays, out, err);
    ckpt->selected = follow(ckpt->pickle.root, options->key);
    if (status == PTF_OK && out->count > 0 && may_match(options))
        status = match_leaves(ckpt, out, options, one, err);
    return status;
}

/* Without a key: the place that fits the parameters, else the one dict. */
static ptf_status select_best(ptf_checkpoint *ckpt, bool arrays,
                              const ptf_open_options *options, bool *one,
                              ptf_leaves *out, ptf_error *err)
{
    ptf_object *from = ckpt->pickle.root;
    ptf_status status = ptf_leaves_collect(ckpt, from, arrays, false, out, err);
    bool any = out->count > 0;
    if (status == PTF_OK && any && may_match(options))
        status = match_leaves(ckpt, out, options, one, err);
    if (status != PTF_OK || *one)
        return status;
    const ptf_owner *owner = NULL;
    if (any)
        status = ptf_owner_choose(ckpt, out, &owner, err);
    if (status == PTF_OK && owner != NULL) {
        from = owner->value;
    }
    ckpt->selected = from;
    ptf_leaves_free(out);
    return status == PTF_OK
               ? ptf_leaves_collect(ckpt, from, arrays, !any, out, err)
               : status;
}

ptf_status ptf_leaves_select(ptf_checkpoint *ckpt,
                             const ptf_open_options *options, ptf_leaves *out,
                             ptf_error *err)
{
    bool one = false;
    *out = (ptf_leaves){0};
    for (int arrays = 0; arrays < 2 && out->count == 0; arrays++) {
        ptf_leaves_free(out);
        ptf_status status;
        if (options->key != NULL) {
            status = select_given(ckpt, arrays == 1, options, &one, out, err);
        } else {
            status = select_best(ckpt, arrays == 1, options, &one, out, err);
        }
        if (status != PTF_OK) {
            ptf_leaves_free(out);
            return status;
        }
    }
    if (!one)
        strip_prefixes(&(names){out->items, out->count, sizeof(*out->items)},
                       options);
    return PTF_OK;
}
