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
    bool (*is_marked)(const ptf_value *object); /* the caller's, or NULL */
    ptf_value **stack;
    size_t depth, capacity;
    size_t *marks; /* the depths at which marks were set */
    size_t mark_count, mark_capacity;
    size_t bottom; /* the topmost mark, 0 without one */
    ptf_value **memo;
    size_t memo_size, memo_capacity;
    size_t memo_used; /* slots that are set */
    ptf_value **persistent;
    size_t persistent_count, persistent_capacity;
    const ptf_global **globals; /* a hash table */
    size_t global_count;
    size_t opcodes, values;
    size_t containers;   /* values that have others */
    size_t at;           /* where the opcode that runs stands */
    const char *op_name; /* of that opcode */
    uint8_t opcode;
    bool stopped;
    ptf_value *none, *yes, *no, *empty; /* need no copy each */
} ptf_unpickler;

ptf_status ptf_unpickle_push(ptf_unpickler *u, ptf_value *value);

/* Makes an empty value of a kind, within the bound on their number. */
ptf_status ptf_unpickle_make(ptf_unpickler *u, ptf_kind kind, ptf_value **out);
ptf_status ptf_unpickle_push_copy(ptf_unpickler *u, ptf_value value);

/* Counts so many more values, within the bound on their number. */
ptf_status ptf_unpickle_count_values(ptf_unpickler *u, size_t count);

/* Counts one more container, within the bound on their number. */
ptf_status ptf_unpickle_count_container(ptf_unpickler *u);

/* Demands 'n' values above the topmost mark. */
ptf_status ptf_unpickle_need(ptf_unpickler *u, size_t n);

/* Removes the topmost mark; *items and *count are the values above it, valid
 * until the next push. */
ptf_status ptf_unpickle_pop_mark(ptf_unpickler *u, ptf_value ***items,
                                 size_t *count);

/* Makes room for one more element in an array of pointers or sizes: 'array'
 * points to the pointer to its first element. */
bool ptf_unpickle_grow(void *array, size_t count, size_t *capacity);

static inline ptf_value *ptf_unpickle_top(ptf_unpickler *u)
{
    return u->stack[u->depth - 1];
}

static inline ptf_value *ptf_unpickle_pop(ptf_unpickler *u)
{
    return u->stack[--u->depth];
}

/* Adds items to a tuple, list, set or dict. */
ptf_status ptf_unpickle_append(ptf_unpickler *u, ptf_value *to,
                               ptf_value *const *items, size_t count);
/* The same for items of another container, which count as new values. */
ptf_status ptf_unpickle_append_copies(ptf_unpickler *u, ptf_value *to,
                                      ptf_value *const *items, size_t count);

/* True for an object that the reader's caller looks for. */
bool ptf_unpickle_is_marked(const ptf_unpickler *u, const ptf_value *object);

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
ptf_status ptf_unpickle_freeze(ptf_unpickler *u, ptf_value *value,
                               ptf_freeze depth);
/* Fails with PTF_FORMAT for a value that was frozen. */
ptf_status ptf_unpickle_need_change(ptf_unpickler *u, const ptf_value *value);

#define UNPICKLE_FAIL(u, ...) \
    ptf_fail((u)->c.err, PTF_FORMAT, &(u)->c.origin, (u)->at, __VA_ARGS__)

/* The opcodes, named as in pickletools.py where they are one of a kind. */
ptf_status ptf_op_additems(ptf_unpickler *u);
ptf_status ptf_op_append(ptf_unpickler *u);
ptf_status ptf_op_appends(ptf_unpickler *u);
ptf_status ptf_op_binfloat(ptf_unpickler *u);
ptf_status ptf_op_binget(ptf_unpickler *u);
ptf_status ptf_op_binint(ptf_unpickler *u);
ptf_status ptf_op_binint1(ptf_unpickler *u);
ptf_status ptf_op_binint2(ptf_unpickler *u);
ptf_status ptf_op_binput(ptf_unpickler *u);
ptf_status ptf_op_binpersid(ptf_unpickler *u);
ptf_status ptf_op_build(ptf_unpickler *u);
ptf_status ptf_op_bytes1(ptf_unpickler *u);
ptf_status ptf_op_bytes4(ptf_unpickler *u);
ptf_status ptf_op_bytes8(ptf_unpickler *u);
ptf_status ptf_op_dict(ptf_unpickler *u);
ptf_status ptf_op_dup(ptf_unpickler *u);
ptf_status ptf_op_empty_dict(ptf_unpickler *u);
ptf_status ptf_op_empty_list(ptf_unpickler *u);
ptf_status ptf_op_empty_set(ptf_unpickler *u);
ptf_status ptf_op_empty_tuple(ptf_unpickler *u);
ptf_status ptf_op_false(ptf_unpickler *u);
ptf_status ptf_op_frame(ptf_unpickler *u);
ptf_status ptf_op_frozenset(ptf_unpickler *u);
ptf_status ptf_op_get(ptf_unpickler *u);
ptf_status ptf_op_global(ptf_unpickler *u);
ptf_status ptf_op_list(ptf_unpickler *u);
ptf_status ptf_op_literal(ptf_unpickler *u);
ptf_status ptf_op_long1(ptf_unpickler *u);
ptf_status ptf_op_long4(ptf_unpickler *u);
ptf_status ptf_op_long_binget(ptf_unpickler *u);
ptf_status ptf_op_long_binput(ptf_unpickler *u);
ptf_status ptf_op_mark(ptf_unpickler *u);
ptf_status ptf_op_memoize(ptf_unpickler *u);
ptf_status ptf_op_newobj(ptf_unpickler *u);
ptf_status ptf_op_newobj_ex(ptf_unpickler *u);
ptf_status ptf_op_none(ptf_unpickler *u);
ptf_status ptf_op_pop(ptf_unpickler *u);
ptf_status ptf_op_pop_mark(ptf_unpickler *u);
ptf_status ptf_op_proto(ptf_unpickler *u);
ptf_status ptf_op_put(ptf_unpickler *u);
ptf_status ptf_op_reduce(ptf_unpickler *u);
ptf_status ptf_op_setitem(ptf_unpickler *u);
ptf_status ptf_op_setitems(ptf_unpickler *u);
ptf_status ptf_op_stack_global(ptf_unpickler *u);
ptf_status ptf_op_stop(ptf_unpickler *u);
ptf_status ptf_op_string1(ptf_unpickler *u);
ptf_status ptf_op_string4(ptf_unpickler *u);
ptf_status ptf_op_string8(ptf_unpickler *u);
ptf_status ptf_op_true(ptf_unpickler *u);
ptf_status ptf_op_tuple(ptf_unpickler *u);
ptf_status ptf_op_tuple1(ptf_unpickler *u);
ptf_status ptf_op_tuple2(ptf_unpickler *u);
ptf_status ptf_op_tuple3(ptf_unpickler *u);

#endif
