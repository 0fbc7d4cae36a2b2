/*
 * Where in a file are the tensors of a known network?
 *
 * Its parameters have names; in the file the same names stand after a common
 * prefix, the place: keys of dicts ("state_dict."), and attributes of modules
 * around the network ("model.", "encoder_q.").  A place is a candidate when
 * every parameter is there.  First names are compared as they are, then
 * without the parts that wrappers put anywhere ("module.", "_orig_mod."), then
 * also without what stands first in all of the network's names: a text can be
 * that of the module around the one that was saved.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "checkpoint/reader.h"

/* Buffers that tools and wrappers leave in networks and no layer reads. */
static const char *const idle[] = {"total_ops", "total_params", "n_averaged"};

/* A place in the names of one pass: the first 'size' bytes of one of them. */
typedef struct found_place {
    const char *name;
    size_t size;
    size_t entry;
} found_place;

typedef struct match {
    ptf_arena *arena;
    ptf_found_names *names;
    const ptf_parameter *wanted;
    size_t wanted_count;
    const char **plain;   /* the file's names as this pass compares them */
    const char **want;    /* the parameters', likewise */
    ptf_text_table table; /* plain names to pointers into 'plain' */
    char *scratch;
    size_t scratch_size;
    found_place *found; /* room for all of the names */
    size_t found_count;
    bool as_they_are; /* this pass compares the names so */
    ptf_error *err;
} match;

/* -------------------------------------------------------------------- names */

/* 'name' without the parts of wrappers after its first 'own' bytes. */
static const char *unwrap(ptf_arena *arena, const char *name, size_t own)
{
    size_t size = strlen(name);
    char *copy = own <= size ? ptf_arena_copy(arena, name, size) : NULL;
    if (copy == NULL)
        return own <= size ? NULL : name;
    char *to = copy + own;
    for (const char *part = name + own; *part != '\0';) {
        size_t n = strcspn(part, ".");
        size_t with_dot = n + (part[n] == '.');
        bool last = part[n] == '\0';
        if (last || !ptf_is_wrapped_child((ptf_text_span){part, n})) {
            memcpy(to, part, with_dot);
            to += with_dot;
        }
        part += with_dot;
    }
    *to = '\0';
    return copy;
}

/* Sets the names that are compared; false when out of memory. */
static bool set_names(match *m, bool as_they_are)
{
    m->as_they_are = as_they_are;
    for (size_t i = 0; i < m->names->count; i++) {
        const ptf_found_name *n = &m->names->items[i];
        m->plain[i] = as_they_are ? n->name : unwrap(m->arena, n->name, n->own);
        if (m->plain[i] == NULL)
            return false;
    }
    for (size_t i = 0; i < m->wanted_count; i++) {
        const char *name = m->wanted[i].name;
        m->want[i] = as_they_are ? name : unwrap(m->arena, name, 0);
        if (m->want[i] == NULL)
            return false;
    }
    ptf_text_table_free(&m->table);
    for (size_t i = 0; i < m->names->count; i++) {
        if (ptf_text_table_find(&m->table, m->plain[i]) == NULL &&
            !ptf_text_table_add(&m->table, m->plain[i], &m->plain[i]))
            return false;
    }
    return true;
}

/* The bytes of the first part that all parameters share, with its dot. */
static size_t shared_part(const match *m)
{
    size_t size = strcspn(m->want[0], ".") + 1;
    for (size_t i = 0; i < m->wanted_count; i++) {
        if (strlen(m->want[i]) <= size ||
            memcmp(m->want[i], m->want[0], size) != 0)
            return 0;
    }
    return size;
}

/* ------------------------------------------------------------------- places */

/* The number of the tensor that has parameter 'w' there, or SIZE_MAX. */
static size_t look_up(const match *m, const found_place *place, size_t w)
{
    size_t size = strlen(m->want[w]);
    if (place->size + size >= m->scratch_size)
        return SIZE_MAX;
    memcpy(m->scratch, place->name, place->size);
    memcpy(m->scratch + place->size, m->want[w], size + 1);
    const char **at = ptf_text_table_find(&m->table, m->scratch);
    return at != NULL ? (size_t)(at - m->plain) : SIZE_MAX;
}

static bool has_all(const match *m, const found_place *place)
{
    for (size_t w = 0; w < m->wanted_count; w++) {
        if (!m->wanted[w].optional && look_up(m, place, w) == SIZE_MAX)
            return false;
    }
    return true;
}

static bool has_shapes(const match *m, const found_place *place)
{
    const ptf_found_names *names = m->names;
    for (size_t w = 0; w < m->wanted_count; w++) {
        if (!m->wanted[w].optional &&
            !names->has_shape(names->of, look_up(m, place, w), &m->wanted[w]))
            return false;
    }
    return true;
}

/*
 * Finds the places of this pass.  A place whose names the text words
 * otherwise ('shortened') must be a state dict by itself: nothing in the file
 * stands where the text has another name.
 */
static void find_places(match *m, bool shortened)
{
    size_t anchor = 0;
    while (m->wanted[anchor].optional)
        anchor++;
    size_t tail = strlen(m->want[anchor]);
    m->found_count = 0;
    for (size_t i = 0; i < m->names->count; i++) {
        const char *name = m->plain[i];
        size_t size = strlen(name);
        if (size < tail || strcmp(name + size - tail, m->want[anchor]) != 0 ||
            ptf_text_table_find(&m->table, name) != &m->plain[i])
            continue;
        found_place place = {name, size - tail, i};
        if ((place.size > 0 && name[place.size - 1] != '.') ||
            (shortened && place.size != m->names->items[i].own) ||
            !has_all(m, &place))
            continue;
        m->found[m->found_count++] = place;
    }
}

/* When several have the names, the shapes decide. */
static void keep_shapes(match *m)
{
    size_t kept = 0;
    for (size_t i = 0; i < m->found_count; i++) {
        if (has_shapes(m, &m->found[i]))
            m->found[kept++] = m->found[i];
    }
    m->found_count = kept;
}

/* With the names as they are now, and as long as the text's have a prefix. */
static void try_names(match *m)
{
    for (bool shortened = false;; shortened = true) {
        find_places(m, shortened);
        if (m->found_count > 1)
            keep_shapes(m);
        size_t part = m->as_they_are ? 0 : shared_part(m);
        if (m->found_count > 0 || part == 0)
            return;
        for (size_t w = 0; w < m->wanted_count; w++)
            m->want[w] += part;
    }
}

/* True where a wrapper stands after the place, not in front of it. */
static bool has_inner_wrapper(const match *m, const found_place *place)
{
    for (size_t w = 0; w < m->wanted_count; w++) {
        size_t i = look_up(m, place, w), tail = strlen(m->want[w]);
        if (i == SIZE_MAX)
            continue;
        const char *raw = m->names->items[i].name;
        size_t size = strlen(raw);
        if (size < tail || strcmp(raw + size - tail, m->want[w]) != 0)
            return true;
    }
    return false;
}

/*
 * With names as they are, then without wrappers.  A text has lost those inside
 * of it, so that a rival that has them still may be what it is of.
 */
static ptf_status try_all(match *m)
{
    if (!set_names(m, true))
        return ptf_fail_memory(m->err);
    try_names(m);
    size_t as_they_are = m->found_count;
    if (!set_names(m, false))
        return ptf_fail_memory(m->err);
    try_names(m);
    bool rival = as_they_are == 0;
    for (size_t i = 0; i < m->found_count; i++)
        rival = rival || has_inner_wrapper(m, &m->found[i]);
    if (rival)
        return PTF_OK;
    if (!set_names(m, true))
        return ptf_fail_memory(m->err);
    try_names(m);
    return PTF_OK;
}

/* ------------------------------------------------------------------- result */

static bool lies_in(const char *name, const found_place *place)
{
    return strncmp(name, place->name, place->size) == 0;
}

static bool is_idle(const char *name)
{
    const char *dot = strrchr(name, '.');
    const char *last = dot != NULL ? dot + 1 : name;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(idle); i++) {
        if (strcmp(last, idle[i]) == 0)
            return true;
    }
    return false;
}

/* True when the parameters are all that lies below the place. */
static bool is_exact(const match *m, const found_place *place)
{
    size_t below = 0, taken = 0;
    for (size_t i = 0; i < m->names->count; i++)
        below += lies_in(m->plain[i], place) && !is_idle(m->plain[i]);
    for (size_t w = 0; w < m->wanted_count; w++)
        taken += look_up(m, place, w) != SIZE_MAX;
    return below == taken;
}

/* The tensors of the place get the parameters' names, the others none. */
static ptf_status take_place(match *m, const found_place *place)
{
    ptf_found_names *names = m->names;
    for (size_t i = 0; i < names->count; i++)
        names->items[i].name = NULL;
    for (size_t w = 0; w < m->wanted_count; w++) {
        size_t i = look_up(m, place, w);
        if (i == SIZE_MAX)
            continue;
        const char *name = m->wanted[w].name;
        names->items[i].name = ptf_arena_copy(m->arena, name, strlen(name));
        if (names->items[i].name == NULL)
            return ptf_fail_memory(m->err);
    }
    return PTF_OK;
}

/* The place as --key takes it: with its wrappers, without the last dot. */
static const char *name_place(match *m, const found_place *place)
{
    const ptf_found_name *entry = &m->names->items[place->entry];
    ptf_arena *arena = m->arena;
    size_t size = strlen(entry->name);
    if (place->size == 0)
        return "";
    if (m->as_they_are)
        return ptf_arena_copy(arena, place->name, place->size - 1);
    for (size_t i = entry->own > 0 ? entry->own - 1 : 0; i < size; i++) {
        if (entry->name[i] != '.')
            continue;
        char *raw = ptf_arena_copy(arena, entry->name, i + 1);
        const char *plain =
            raw != NULL
                ? unwrap(arena, raw, entry->own <= i + 1 ? entry->own : i + 1)
                : NULL;
        if (plain == NULL)
            return NULL;
        if (strlen(plain) == place->size) {
            raw[i] = '\0';
            return raw;
        }
    }
    return ptf_arena_copy(arena, place->name, place->size - 1);
}

static ptf_status report(match *m, ptf_places *out)
{
    *out = (ptf_places){.count = m->found_count};
    for (size_t i = 0; i < m->found_count && i < PTF_PLACES_SHOWN; i++) {
        const char *name = name_place(m, &m->found[i]);
        if (name == NULL)
            return ptf_fail_memory(m->err);
        out->names[i] = name;
        for (size_t k = 0; k < m->names->count; k++)
            out->counts[i] += lies_in(m->plain[k], &m->found[i]);
    }
    if (out->count != 1)
        return PTF_OK;
    if (is_exact(m, &m->found[0]))
        return take_place(m, &m->found[0]);
    out->count = 0;
    return PTF_OK;
}

static size_t longest_name(const match *m)
{
    size_t longest = 0;
    for (size_t i = 0; i < m->names->count; i++) {
        size_t size = strlen(m->names->items[i].name);
        longest = size > longest ? size : longest;
    }
    return longest;
}

static bool has_required(const ptf_parameter *wanted, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!wanted[i].optional)
            return true;
    }
    return false;
}

ptf_status ptf_names_match(ptf_arena *arena, ptf_found_names *names,
                           const ptf_parameter *wanted, size_t count,
                           ptf_places *out, ptf_error *err)
{
    *out = (ptf_places){.count = 0};
    if (names->count == 0 || !has_required(wanted, count))
        return PTF_OK;
    match *m = ptf_alloc(sizeof(*m));
    if (m == NULL)
        return ptf_fail_memory(err);
    *m = (match){
        .arena = arena,
        .names = names,
        .wanted = wanted,
        .wanted_count = count,
        .err = err,
    };
    m->scratch_size = longest_name(m) + 2;
    m->scratch = ptf_alloc(m->scratch_size);
    m->plain = ptf_alloc(names->count * sizeof(*m->plain));
    m->want = ptf_alloc(m->wanted_count * sizeof(*m->want));
    m->found = ptf_alloc(names->count * sizeof(*m->found));
    bool room = m->scratch != NULL && m->plain != NULL && m->want != NULL &&
                m->found != NULL;
    ptf_status status = room ? try_all(m) : ptf_fail_memory(err);
    if (status == PTF_OK)
        status = report(m, out);
    ptf_text_table_free(&m->table);
    ptf_free(m->scratch);
    ptf_free(m->plain);
    ptf_free(m->want);
    ptf_free(m->found);
    ptf_free(m);
    return status;
}
