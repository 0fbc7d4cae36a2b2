/*
 * pickle: a slice of bytes into a tree of values.  The unpickler runs
 * nothing and calls nothing: a call is kept as what it is, an object with
 * the name of its callable and its arguments.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_PICKLE_H
#define PTF_PICKLE_H

#include "base/base.h"

/*
 * Bounds.  The largest seen in real files: 1 MB, 10^5 values, nesting 40.  A
 * vocabulary of two million words fits.  Whatever a pickle says, reading it
 * takes less than 256 MB.
 */
enum {
    PTF_PICKLE_MAX_SIZE = 64 << 20,
    PTF_PICKLE_MAX_OPCODES = 8 << 20,
    PTF_PICKLE_MAX_VALUES = 4 << 20,
    PTF_PICKLE_MAX_CONTAINERS = 1 << 20,
    PTF_PICKLE_MAX_GLOBALS = 4096,
    PTF_PICKLE_MAX_NESTING = 256,
};

typedef enum ptf_object_kind {
    PTF_OBJECT_NONE,
    PTF_OBJECT_BOOL,
    PTF_OBJECT_INT,
    PTF_OBJECT_BIG_INT, /* an integer beyond 64 bits, as its bytes */
    PTF_OBJECT_FLOAT,
    PTF_OBJECT_STRING, /* UTF-8, or any bytes when Python 2 wrote it */
    PTF_OBJECT_BYTES,
    PTF_OBJECT_TUPLE,
    PTF_OBJECT_LIST,
    PTF_OBJECT_SET,
    PTF_OBJECT_DICT, /* key, value, key, value; OrderedDict and its like too */
    PTF_OBJECT_GLOBAL,
    PTF_OBJECT_INSTANCE, /* the result of a call, or an instance of a class */
    PTF_OBJECT_PERSISTENT,
} ptf_object_kind;

/* The parts of a PTF_OBJECT_INSTANCE; NULL where there is none. */
enum {
    PTF_INSTANCE_CALLEE, /* what would be called */
    PTF_INSTANCE_ARGS,   /* with what, usually a tuple */
    PTF_INSTANCE_STATE,  /* what BUILD gives */
    PTF_INSTANCE_PAIRS,  /* a dict: what SETITEMS adds */
    PTF_INSTANCE_ITEMS,  /* a list: what APPENDS adds */
    PTF_INSTANCE_PARTS,
};

/*
 * One value.  Text is borrowed from the pickle or its arena and has no zero
 * at its end.  Values may be shared, and objects may contain themselves:
 * walkers must not follow them blindly.
 */
typedef struct ptf_object ptf_object;
struct ptf_object {
    uint8_t kind;    /* a ptf_object_kind */
    uint8_t frozen;  /* for the unpickler: a ptf_freeze */
    bool marked : 1; /* contains an object that the reader's caller looks for */
    bool busy : 1;   /* for walkers: is on the path that leads here */
    bool named : 1;  /* a dict of a class with attributes */
    bool created : 1; /* an object by NEWOBJ: its class was not called */
    uint32_t count;   /* bytes of text, items, or twice the pairs of a dict */
    union {
        bool boolean;
        int64_t integer;
        double number;
        const char *text;
        ptf_object *
            *items; /* PTF_INSTANCE_PARTS of an object, 1 of a persistent id */
        const struct ptf_global *global;
    };
};

typedef struct ptf_global {
    const char *module, *name; /* with a zero at the end */
} ptf_global;

/* What a pickle gives. */
typedef struct ptf_pickle {
    ptf_object *root;
    size_t size; /* bytes up to and with STOP */
    /* Every persistent id, also of values that were dropped. */
    ptf_object **persistent;
    size_t persistent_count;
    const ptf_global *const *globals; /* every global, once, in any order */
    size_t global_count;
    size_t container_count; /* values that have others */
} ptf_pickle;

/*
 * Reads one pickle from the start of 'data'.  The tree lives in 'arena' and
 * borrows from 'data'.  'marks' tells which objects the caller looks for;
 * what contains them gets 'marked' set.  PTF_FORMAT for anything that
 * Python's pickler would not write, and for what is beyond the bounds.
 */
ptf_status ptf_pickle_read(const uint8_t *data, size_t size,
                           const ptf_origin *origin,
                           bool (*marks)(const ptf_object *object),
                           ptf_arena *arena, ptf_pickle *out, ptf_error *err);

/*
 * What ptf_pickle_read() does with the finished tree, for one that was changed
 * since; 'container_count' is the most that may now have others: it sizes a
 * table, and a tree that overfills that is refused.  Refuses nesting beyond
 * the bound, a tree that sharing makes larger than 2^32 values, a dict with
 * the same key twice, and lists, dicts and tuples that contain themselves;
 * sets 'marked'.
 */
ptf_status ptf_object_check(ptf_object *root, size_t container_count,
                            const ptf_origin *origin,
                            bool (*marks)(const ptf_object *object),
                            ptf_error *err);

/* True for a string (or bytes) that equals 'text'. */
bool ptf_object_is(const ptf_object *value, const char *text);

/* True for the global module.name. */
bool ptf_object_is_global(const ptf_object *value, const char *module,
                          const char *name);

/*
 * The value of a dict's string key, or NULL.  For small dicts of known form:
 * only the first 1024 pairs are looked at, so that the time is bounded.
 */
ptf_object *ptf_dict_find(const ptf_object *dict, const char *key);

/* The tree, one value a line, up to 'max_lines' lines. */
void ptf_object_print(const ptf_object *value, size_t max_lines, FILE *out);

/* ----------------------------------------------- between the folder's files */

/* The values right below: items, pairs, parts. */
static inline size_t ptf_object_children(const ptf_object *value)
{
    return value->kind >= PTF_OBJECT_TUPLE && value->kind != PTF_OBJECT_GLOBAL
               ? value->count
               : 0;
}

/* A Python 2 or protocol 0 literal: integers, floats, quoted strings. */
ptf_status ptf_parse_literal(ptf_cursor *c, uint8_t opcode, ptf_arena *arena,
                             ptf_object *out);

#endif
