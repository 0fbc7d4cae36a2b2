/*
 * Which of the tensors in a file make the state dict that is meant?
 *
 * Training scripts wrap it: {'state_dict': ..., 'epoch': ...}.  As long as
 * one member of a dict has tensors, it is the wrapped one; when several have,
 * the caller must choose.  An optimizer's state, which is known by its shape,
 * is never meant.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tensor/reader.h"

/* A step down: the one member with tensors, its name, and all names. */
typedef struct step {
    ptf_value *next;
    size_t candidates;
    const char *names;      /* "'model' (12 tensors), 'ema' (12 tensors)" */
    size_t most;            /* tensors of one member, and ... */
    const ptf_value *meant; /* ... its name; NULL when others have as many */
} step;

static bool is_optimizer(const ptf_value *value)
{
    return ptf_dict_find(value, "param_groups") != NULL &&
           ptf_dict_find(value, "state") != NULL;
}

/* True when the container holds tensors as its own members. */
static bool has_own_tensors(const ptf_value *value, bool arrays)
{
    bool dict = value->kind == PTF_DICT;
    for (uint32_t i = dict ? 1 : 0; i < value->count; i += dict ? 2 : 1) {
        const ptf_value *v = value->items[i];
        if (arrays ? ptf_value_is_array(v) : ptf_value_is_tensor(v))
            return true;
    }
    return false;
}

static ptf_status count_leaves(ptf_checkpoint *ckpt, ptf_value *value,
                               bool arrays, size_t *count, ptf_error *err)
{
    ptf_leaves leaves = {0};
    ptf_status status =
        ptf_leaves_collect(ckpt, value, NULL, arrays, &leaves, err);
    *count = leaves.count;
    ptf_free(leaves.items);
    return status;
}

static ptf_status add_candidate(ptf_checkpoint *ckpt, const ptf_value *key,
                                ptf_value *value, size_t count, step *out,
                                ptf_error *err)
{
    enum { SHOWN = 40 };
    out->next = value;
    if (++out->candidates > SHOWN)
        return PTF_OK;
    const char *sep = out->candidates > 1 ? ", " : "";
    const char *before = out->names != NULL ? out->names : "";
    char number[24];
    ptf_text_span name;
    ptf_key_text(key, number, &name);
    out->names = ptf_arena_printf(&ckpt->arena, "%s%s'%.*s' (%zu)", before, sep,
                                  name.size < 100 ? (int)name.size : 100,
                                  name.text, count);
    return out->names != NULL ? PTF_OK : ptf_fail_memory(err);
}

/* Finds the members of a dict or list that have tensors below them. */
static ptf_status find_candidates(ptf_checkpoint *ckpt, const ptf_value *value,
                                  bool arrays, step *out, ptf_error *err)
{
    bool dict = value->kind == PTF_DICT;
    *out = (step){0};
    for (uint32_t i = 0; i < value->count; i += dict ? 2 : 1) {
        ptf_value *v = value->items[dict ? i + 1 : i];
        ptf_value index = {.kind = PTF_INT, .integer = i};
        size_t count = 0;
        if (!v->marked || is_optimizer(v))
            continue;
        ptf_status status = count_leaves(ckpt, v, arrays, &count, err);
        if (status == PTF_OK && count > 0)
            status = add_candidate(ckpt, dict ? value->items[i] : &index, v,
                                   count, out, err);
        if (status != PTF_OK)
            return status;
        if (count >= out->most)
            out->meant = dict && count > out->most ? value->items[i] : NULL;
        if (count > out->most)
            out->most = count;
    }
    return PTF_OK;
}

static ptf_status fail_choice(const ptf_checkpoint *ckpt, const step *s,
                              bool at_root, ptf_error *err)
{
    ptf_origin origin = ptf_value_origin(ckpt);
    const ptf_value *meant = at_root ? s->meant : NULL;
    if (meant != NULL && meant->kind == PTF_STRING && meant->count < 100)
        return ptf_fail(err, PTF_ARGUMENT, &origin, PTF_NO_OFFSET,
                        "expected one state dict, got %zu, with so many "
                        "tensors: %s; did you mean --key %.*s? (--key '' for "
                        "all)",
                        s->candidates, s->names, (int)meant->count,
                        meant->text);
    return ptf_fail(err, PTF_ARGUMENT, &origin, PTF_NO_OFFSET,
                    "expected one state dict, got %zu, with so many "
                    "tensors: %s; choose one with --key NAME, or all with "
                    "--key ''",
                    s->candidates, s->names);
}

/* Goes down from the root while there is only one way. */
static ptf_status find_state_dict(ptf_checkpoint *ckpt, bool arrays,
                                  ptf_value **out, ptf_error *err)
{
    ptf_value *at = ckpt->pickle.root;
    for (int depth = 0; depth < PTF_PICKLE_MAX_NESTING; depth++) {
        *out = at;
        bool container = at->kind == PTF_DICT || at->kind == PTF_LIST ||
                         at->kind == PTF_TUPLE;
        if (!container || has_own_tensors(at, arrays))
            return PTF_OK;
        step s;
        ptf_status status = find_candidates(ckpt, at, arrays, &s, err);
        if (status != PTF_OK)
            return status;
        if (s.candidates > 1)
            return fail_choice(ckpt, &s, depth == 0, err);
        if (s.candidates == 0)
            return PTF_OK;
        at = s.next;
    }
    return PTF_OK;
}

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

/* The name's part behind 'key' and a dot; NULL when it is not below. */
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
        ptf_leaves_collect(ckpt, ckpt->pickle.root, NULL, arrays, out, err);
    if (status != PTF_OK || out->count == 0)
        return status;
    names all = {out->items, out->count, sizeof(*out->items)};
    keep_below(out, key);
    if (out->count > 0)
        return PTF_OK;
    status = fail_key(ckpt, key, &all, err);
    ptf_free(out->items);
    *out = (ptf_leaves){0};
    return status;
}

/* The value at a dotted path of dict keys, or NULL. */
static const ptf_value *follow(const ptf_value *at, const char *key)
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

/* What DataParallel and torch.compile() put before every name. */
static const char *const prefixes[] = {"module.", "_orig_mod."};

static bool all_have(const names *n, const char *prefix)
{
    size_t size = strlen(prefix);
    for (size_t i = 0; i < n->count; i++) {
        const char *name = *name_at(n, i);
        if (strncmp(name, prefix, size) != 0 || name[size] == '\0')
            return false;
    }
    return n->count > 0;
}

static bool strip_once(const names *n)
{
    for (size_t p = 0; p < PTF_ARRAY_SIZE(prefixes); p++) {
        if (!all_have(n, prefixes[p]))
            continue;
        for (size_t i = 0; i < n->count; i++)
            *name_at(n, i) += strlen(prefixes[p]);
        return true;
    }
    return false;
}

static void strip_prefixes(const names *n, const ptf_open_options *options)
{
    while (!options->keep_prefix && strip_once(n))
        continue;
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
    strip_prefixes(&all, options);
    return PTF_OK;
}

ptf_status ptf_leaves_select(ptf_checkpoint *ckpt,
                             const ptf_open_options *options, ptf_leaves *out,
                             ptf_error *err)
{
    ptf_status status = PTF_OK;
    *out = (ptf_leaves){0};
    for (int arrays = 0; arrays < 2 && out->count == 0; arrays++) {
        ptf_value *from = ckpt->pickle.root;
        ptf_free(out->items);
        *out = (ptf_leaves){0};
        if (options->key != NULL) {
            status = select_key(ckpt, options->key, arrays == 1, out, err);
            ckpt->selected = follow(ckpt->pickle.root, options->key);
        } else {
            status = find_state_dict(ckpt, arrays == 1, &from, err);
            ckpt->selected = from;
            if (status == PTF_OK)
                status =
                    ptf_leaves_collect(ckpt, from, NULL, arrays == 1, out, err);
        }
        if (status != PTF_OK)
            return status;
    }
    strip_prefixes(&(names){out->items, out->count, sizeof(*out->items)},
                   options);
    return PTF_OK;
}
