/*
 * The tree of values: looking things up, checking it once, printing it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "pickle/pickle.h"

#include <math.h>

bool ptf_object_is(const ptf_object *value, const char *text)
{
    return value != NULL &&
           (value->kind == PTF_OBJECT_STRING ||
            value->kind == PTF_OBJECT_BYTES) &&
           value->count == strlen(text) &&
           memcmp(value->text, text, value->count) == 0;
}

bool ptf_object_is_global(const ptf_object *value, const char *module,
                          const char *name)
{
    return value != NULL && value->kind == PTF_OBJECT_GLOBAL &&
           strcmp(value->global->module, module) == 0 &&
           strcmp(value->global->name, name) == 0;
}

ptf_object *ptf_dict_find(const ptf_object *dict, const char *key)
{
    if (dict == NULL || dict->kind != PTF_OBJECT_DICT)
        return NULL;
    enum { MAX_SEARCHED = 2 * 1024 };
    for (uint32_t i = 0; i < dict->count && i < MAX_SEARCHED; i += 2) {
        if (dict->items[i]->kind == PTF_OBJECT_STRING &&
            ptf_object_is(dict->items[i], key))
            return dict->items[i + 1];
    }
    return NULL;
}

/* ------------------------------------------------------------ one full walk */

/* What is known about a value; kept in a table beside the tree. */
typedef struct facts {
    const ptf_object *value;
    uint32_t size; /* values in it, shared ones counted every time */
    uint16_t height;
    bool done;
} facts;

typedef struct frame {
    ptf_object *value;
    facts *facts;
    uint32_t next;
} frame;

typedef struct walk {
    const ptf_origin *origin;
    bool (*marks)(const ptf_object *object);
    ptf_error *err;
    facts *table; /* open addressing, keyed by address */
    size_t mask;
    size_t used; /* at most mask: a free slot ends every search */
    frame *stack;
    size_t depth;
} walk;

static facts *facts_of(const walk *w, const ptf_object *value)
{
    size_t at = ptf_hash(&value, sizeof(value)) & w->mask;
    while (w->table[at].value != NULL && w->table[at].value != value)
        at = (at + 1) & w->mask;
    return &w->table[at];
}

static ptf_status push(walk *w, ptf_object *value, facts *f)
{
    if (w->depth == PTF_PICKLE_MAX_NESTING)
        return ptf_fail(w->err, PTF_FORMAT, w->origin, PTF_NO_OFFSET,
                        "expected values nested at most %d deep",
                        PTF_PICKLE_MAX_NESTING);
    if (w->used == w->mask)
        return ptf_fail(w->err, PTF_FORMAT, w->origin, PTF_NO_OFFSET,
                        "expected at most %zu containers", w->used);
    w->used++;
    *f = (facts){value, 1, 1, false};
    w->stack[w->depth++] = (frame){value, f, 0};
    value->busy = true;
    return PTF_OK;
}

/* True, 1 and 1.0 are one key to Python: all become the integer. */
static ptf_object plain_key(const ptf_object *key)
{
    ptf_object plain = *key;
    if (key->kind == PTF_OBJECT_BOOL)
        plain = (ptf_object){.kind = PTF_OBJECT_INT, .integer = key->boolean};
    if (key->kind != PTF_OBJECT_FLOAT || !(fabs(key->number) <= 0x1p53) ||
        fabs(key->number - trunc(key->number)) > 0)
        return plain;
    return (ptf_object){.kind = PTF_OBJECT_INT,
                        .integer = (int64_t)key->number};
}

static bool same_key(const ptf_object *x, const ptf_object *y)
{
    ptf_object a = plain_key(x), b = plain_key(y);
    if (a.kind != b.kind)
        return false;
    return a.kind == PTF_OBJECT_INT
               ? a.integer == b.integer
               : a.count == b.count &&
                     (a.count == 0 || memcmp(a.text, b.text, a.count) == 0);
}

static size_t hash_key(const ptf_object *key)
{
    ptf_object plain = plain_key(key);
    return plain.kind == PTF_OBJECT_INT
               ? ptf_hash(&plain.integer, sizeof(int64_t))
               : ptf_hash(plain.text, plain.count);
}

static ptf_status insert_key(walk *w, const ptf_object **table, size_t mask,
                             const ptf_object *key)
{
    ptf_object_kind kind = (ptf_object_kind)plain_key(key).kind;
    if (kind == PTF_OBJECT_LIST || kind == PTF_OBJECT_DICT)
        return ptf_fail(w->err, PTF_FORMAT, w->origin, PTF_NO_OFFSET,
                        "expected a key of a dict, got a list or dict");
    if (kind != PTF_OBJECT_STRING && kind != PTF_OBJECT_INT &&
        kind != PTF_OBJECT_NONE)
        return PTF_OK;
    size_t at = hash_key(key) & mask;
    for (; table[at] != NULL; at = (at + 1) & mask) {
        if (!same_key(table[at], key))
            continue;
        bool text = key->kind == PTF_OBJECT_STRING;
        return ptf_fail(w->err, PTF_FORMAT, w->origin, PTF_NO_OFFSET,
                        "expected every key of a dict once, got '%.*s' "
                        "twice",
                        text ? (int)(key->count < 200 ? key->count : 200) : 16,
                        text ? key->text : "a number or None");
    }
    table[at] = key;
    return PTF_OK;
}

/* Two values for one key: readers may take either. */
static ptf_status check_keys(walk *w, const ptf_object *dict)
{
    if (dict->count == 0)
        return PTF_OK;
    size_t size = 4;
    while (size < dict->count)
        size *= 2;
    const ptf_object **table = ptf_alloc(size * sizeof(*table));
    if (table == NULL)
        return ptf_fail_memory(w->err);
    ptf_status status = PTF_OK;
    for (uint32_t i = 0; i < dict->count && status == PTF_OK; i += 2)
        status = insert_key(w, table, size - 1, dict->items[i]);
    ptf_free(table);
    return status;
}

/* A child is known: add what it says to its parent. */
static ptf_status absorb(walk *w, frame *parent, const facts *child)
{
    facts *f = parent->facts;
    bool fits = !__builtin_add_overflow(f->size, child->size, &f->size);
    if (child->height >= f->height)
        f->height = (uint16_t)(child->height + 1);
    parent->value->marked |= child->value->marked;
    if (!fits)
        return ptf_fail(w->err, PTF_FORMAT, w->origin, PTF_NO_OFFSET,
                        "expected a tree of values, got one that sharing "
                        "blows up beyond %u values",
                        UINT32_MAX);
    if (f->height + w->depth - 1 > PTF_PICKLE_MAX_NESTING)
        return ptf_fail(w->err, PTF_FORMAT, w->origin, PTF_NO_OFFSET,
                        "expected values nested at most %d deep",
                        PTF_PICKLE_MAX_NESTING);
    return PTF_OK;
}

static ptf_status leave(walk *w)
{
    frame *top = &w->stack[w->depth - 1];
    ptf_object *value = top->value;
    value->busy = false;
    top->facts->done = true;
    if (value->kind == PTF_OBJECT_INSTANCE && w->marks != NULL &&
        w->marks(value))
        value->marked = true;
    ptf_status status =
        value->kind == PTF_OBJECT_DICT ? check_keys(w, value) : PTF_OK;
    w->depth--;
    if (status == PTF_OK && w->depth > 0)
        status = absorb(w, top - 1, top->facts);
    return status;
}

/*
 * A cycle closes at 'child', which is on the stack.  Objects know each other
 * (a layer its model); a list, dict or tuple that contains itself has names
 * without end.
 */
static ptf_status check_cycle(const walk *w, const ptf_object *child)
{
    for (size_t i = w->depth; i-- > 0;) {
        if (w->stack[i].value->kind == PTF_OBJECT_INSTANCE)
            return PTF_OK;
        if (w->stack[i].value == child)
            break;
    }
    return ptf_fail(w->err, PTF_FORMAT, w->origin, PTF_NO_OFFSET,
                    "expected a tree of values, got a container that "
                    "contains itself");
}

static ptf_status enter_child(walk *w, frame *top)
{
    ptf_object *child = top->value->items[top->next++];
    if (child == NULL)
        return PTF_OK;
    if (child->busy)
        return check_cycle(w, child);
    if (ptf_object_children(child) == 0 && child->kind != PTF_OBJECT_INSTANCE)
        return absorb(w, top, &(facts){child, 1, 1, true});
    facts *f = facts_of(w, child);
    return f->value != NULL ? absorb(w, top, f) : push(w, child, f);
}

ptf_status ptf_object_check(ptf_object *root, size_t container_count,
                            const ptf_origin *origin,
                            bool (*marks)(const ptf_object *object),
                            ptf_error *err)
{
    size_t size = 16;
    while (size < 2 * container_count)
        size *= 2;
    frame stack[PTF_PICKLE_MAX_NESTING];
    walk w = {.origin = origin,
              .marks = marks,
              .err = err,
              .table = ptf_alloc(size * sizeof(facts)),
              .mask = size - 1,
              .stack = stack};
    if (w.table == NULL)
        return ptf_fail_memory(err);
    ptf_status status = push(&w, root, facts_of(&w, root));
    while (status == PTF_OK && w.depth > 0) {
        frame *top = &w.stack[w.depth - 1];
        status = top->next < ptf_object_children(top->value)
                     ? enter_child(&w, top)
                     : leave(&w);
    }
    ptf_free(w.table);
    return status;
}
