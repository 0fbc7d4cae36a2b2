/*
 * The unpickler's state, shared by the files that hold its opcodes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_UNPICKLE_H
#define PTF_UNPICKLE_H

#include "pickle/pickle.h"

typedef struct ptf_unpickler {
    ptf_cursor c;
    ptf_arena *arena;
    bool (*is_marked)(const ptf_object *object); /* the caller's, or NULL */
    ptf_object **stack;
    size_t depth, capacity;
    size_t *marks; /* the depths at which marks were set */
    size_t mark_count, mark_capacity;
    size_t bottom; /* the topmost mark, 0 without one */
    ptf_object **memo;
    size_t memo_size, memo_capacity;
    size_t memo_used; /* slots that are set */
    ptf_object **persistent;
    size_t persistent_count, persistent_capacity;
    const ptf_global **globals; /* a hash table */
    size_t global_count;
    size_t opcodes, values;
    size_t containers;   /* values that have others */
    size_t at;           /* where the opcode that runs stands */
    const char *op_name; /* of that opcode */
    uint8_t opcode;
    bool stopped;
    ptf_object *none, *yes, *no, *empty; /* need no copy each */
} ptf_unpickler;

ptf_status ptf_unpickle_push(ptf_unpickler *u, ptf_object *value);

/* Makes an empty value of a kind, within the bound on their number. */
ptf_status ptf_unpickle_make(ptf_unpickler *u, ptf_object_kind kind,
                             ptf_object **out);
ptf_status ptf_unpickle_push_copy(ptf_unpickler *u, ptf_object value);

/* Counts so many more values, within the bound on their number. */
ptf_status ptf_unpickle_count_values(ptf_unpickler *u, size_t count);

/* Counts one more container, within the bound on their number. */
ptf_status ptf_unpickle_count_container(ptf_unpickler *u);

/* Demands 'n' values above the topmost mark. */
ptf_status ptf_unpickle_need(ptf_unpickler *u, size_t n);

/* Removes the topmost mark; *items and *count are the values above it, valid
 * until the next push. */
ptf_status ptf_unpickle_pop_mark(ptf_unpickler *u, ptf_object ***items,
                                 size_t *count);

/* Makes room for one more element in an array of pointers or sizes: 'array'
 * points to the pointer to its first element. */
bool ptf_unpickle_grow(void *array, size_t count, size_t *capacity);

static inline ptf_object *ptf_unpickle_top(ptf_unpickler *u)
{
    return u->stack[u->depth - 1];
}

static inline ptf_object *ptf_unpickle_pop(ptf_unpickler *u)
{
    return u->stack[--u->depth];
}

/* Adds items to a tuple, list, set or dict. */
ptf_status ptf_unpickle_append(ptf_unpickler *u, ptf_object *to,
                               ptf_object *const *items, size_t count);
/* The same for items of another container, which count as new values. */
ptf_status ptf_unpickle_append_copies(ptf_unpickler *u, ptf_object *to,
                                      ptf_object *const *items, size_t count);

/* True for an object that the reader's caller looks for. */
bool ptf_unpickle_is_marked(const ptf_unpickler *u, const ptf_object *object);

/* How far down a value may no longer change. */
typedef enum ptf_freeze {
    PTF_CHANGES,
    PTF_FROZEN,         /* with what is in tuples, lists and sets */
    PTF_FROZEN_OBJECTS, /* and with the parts of objects */
} ptf_freeze;

/*
 * Calls are kept for later, but Python makes them at once: what a call was
 * given must stay as it was then.
 */
ptf_status ptf_unpickle_freeze(ptf_unpickler *u, ptf_object *value,
                               ptf_freeze depth);
/* Fails with PTF_FORMAT for a value that was frozen. */
ptf_status ptf_unpickle_need_change(ptf_unpickler *u, const ptf_object *value);

#define UNPICKLE_FAIL(u, ...) \
    ptf_fail((u)->c.err, PTF_FORMAT, &(u)->c.origin, (u)->at, __VA_ARGS__)

/* The opcodes, named as in pickletools.py where they are one of a kind. */
ptf_status ptf_opcode_additems(ptf_unpickler *u);
ptf_status ptf_opcode_append(ptf_unpickler *u);
ptf_status ptf_opcode_appends(ptf_unpickler *u);
ptf_status ptf_opcode_binfloat(ptf_unpickler *u);
ptf_status ptf_opcode_binget(ptf_unpickler *u);
ptf_status ptf_opcode_binint(ptf_unpickler *u);
ptf_status ptf_opcode_binint1(ptf_unpickler *u);
ptf_status ptf_opcode_binint2(ptf_unpickler *u);
ptf_status ptf_opcode_binput(ptf_unpickler *u);
ptf_status ptf_opcode_binpersid(ptf_unpickler *u);
ptf_status ptf_opcode_build(ptf_unpickler *u);
ptf_status ptf_opcode_bytes1(ptf_unpickler *u);
ptf_status ptf_opcode_bytes4(ptf_unpickler *u);
ptf_status ptf_opcode_bytes8(ptf_unpickler *u);
ptf_status ptf_opcode_dict(ptf_unpickler *u);
ptf_status ptf_opcode_dup(ptf_unpickler *u);
ptf_status ptf_opcode_empty_dict(ptf_unpickler *u);
ptf_status ptf_opcode_empty_list(ptf_unpickler *u);
ptf_status ptf_opcode_empty_set(ptf_unpickler *u);
ptf_status ptf_opcode_empty_tuple(ptf_unpickler *u);
ptf_status ptf_opcode_false(ptf_unpickler *u);
ptf_status ptf_opcode_frame(ptf_unpickler *u);
ptf_status ptf_opcode_frozenset(ptf_unpickler *u);
ptf_status ptf_opcode_get(ptf_unpickler *u);
ptf_status ptf_opcode_global(ptf_unpickler *u);
ptf_status ptf_opcode_list(ptf_unpickler *u);
ptf_status ptf_opcode_literal(ptf_unpickler *u);
ptf_status ptf_opcode_long1(ptf_unpickler *u);
ptf_status ptf_opcode_long4(ptf_unpickler *u);
ptf_status ptf_opcode_long_binget(ptf_unpickler *u);
ptf_status ptf_opcode_long_binput(ptf_unpickler *u);
ptf_status ptf_opcode_mark(ptf_unpickler *u);
ptf_status ptf_opcode_memoize(ptf_unpickler *u);
ptf_status ptf_opcode_newobj(ptf_unpickler *u);
ptf_status ptf_opcode_newobj_ex(ptf_unpickler *u);
ptf_status ptf_opcode_none(ptf_unpickler *u);
ptf_status ptf_opcode_pop(ptf_unpickler *u);
ptf_status ptf_opcode_pop_mark(ptf_unpickler *u);
ptf_status ptf_opcode_proto(ptf_unpickler *u);
ptf_status ptf_opcode_put(ptf_unpickler *u);
ptf_status ptf_opcode_reduce(ptf_unpickler *u);
ptf_status ptf_opcode_setitem(ptf_unpickler *u);
ptf_status ptf_opcode_setitems(ptf_unpickler *u);
ptf_status ptf_opcode_stack_global(ptf_unpickler *u);
ptf_status ptf_opcode_stop(ptf_unpickler *u);
ptf_status ptf_opcode_string1(ptf_unpickler *u);
ptf_status ptf_opcode_string4(ptf_unpickler *u);
ptf_status ptf_opcode_string8(ptf_unpickler *u);
ptf_status ptf_opcode_true(ptf_unpickler *u);
ptf_status ptf_opcode_tuple(ptf_unpickler *u);
ptf_status ptf_opcode_tuple1(ptf_unpickler *u);
ptf_status ptf_opcode_tuple2(ptf_unpickler *u);
ptf_status ptf_opcode_tuple3(ptf_unpickler *u);

#endif
