/*
 * The unpickler: a stack machine that only builds values.  The opcodes are
 * those of Python's pickletools.py, protocols 0 to 5.  Refused are the ones
 * that PyTorch never writes and that are good for attacks: instances made by
 * name (INST, OBJ), extension codes, textual persistent ids, and buffers
 * outside the stream.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "pickle/unpickle.h"

/* A known opcode without a function is refused by name. */
static const struct {
    const char *name;
    ptf_status (*run)(ptf_unpickler *u);
} opcodes[256] = {
    [0x80] = {"PROTO", ptf_opcode_proto},
    [0x95] = {"FRAME", ptf_opcode_frame},
    ['.'] = {"STOP", ptf_opcode_stop},
    ['('] = {"MARK", ptf_opcode_mark},
    ['0'] = {"POP", ptf_opcode_pop},
    ['1'] = {"POP_MARK", ptf_opcode_pop_mark},
    ['2'] = {"DUP", ptf_opcode_dup},
    ['N'] = {"NONE", ptf_opcode_none},
    [0x88] = {"NEWTRUE", ptf_opcode_true},
    [0x89] = {"NEWFALSE", ptf_opcode_false},
    ['I'] = {"INT", ptf_opcode_literal},
    ['L'] = {"LONG", ptf_opcode_literal},
    ['F'] = {"FLOAT", ptf_opcode_literal},
    ['S'] = {"STRING", ptf_opcode_literal},
    ['V'] = {"UNICODE", ptf_opcode_literal},
    ['J'] = {"BININT", ptf_opcode_binint},
    ['K'] = {"BININT1", ptf_opcode_binint1},
    ['M'] = {"BININT2", ptf_opcode_binint2},
    [0x8a] = {"LONG1", ptf_opcode_long1},
    [0x8b] = {"LONG4", ptf_opcode_long4},
    ['G'] = {"BINFLOAT", ptf_opcode_binfloat},
    ['T'] = {"BINSTRING", ptf_opcode_string4},
    ['U'] = {"SHORT_BINSTRING", ptf_opcode_string1},
    ['X'] = {"BINUNICODE", ptf_opcode_string4},
    [0x8c] = {"SHORT_BINUNICODE", ptf_opcode_string1},
    [0x8d] = {"BINUNICODE8", ptf_opcode_string8},
    ['B'] = {"BINBYTES", ptf_opcode_bytes4},
    ['C'] = {"SHORT_BINBYTES", ptf_opcode_bytes1},
    [0x8e] = {"BINBYTES8", ptf_opcode_bytes8},
    [0x96] = {"BYTEARRAY8", ptf_opcode_bytes8},
    [')'] = {"EMPTY_TUPLE", ptf_opcode_empty_tuple},
    ['t'] = {"TUPLE", ptf_opcode_tuple},
    [0x85] = {"TUPLE1", ptf_opcode_tuple1},
    [0x86] = {"TUPLE2", ptf_opcode_tuple2},
    [0x87] = {"TUPLE3", ptf_opcode_tuple3},
    [']'] = {"EMPTY_LIST", ptf_opcode_empty_list},
    ['l'] = {"LIST", ptf_opcode_list},
    ['a'] = {"APPEND", ptf_opcode_append},
    ['e'] = {"APPENDS", ptf_opcode_appends},
    ['}'] = {"EMPTY_DICT", ptf_opcode_empty_dict},
    ['d'] = {"DICT", ptf_opcode_dict},
    ['s'] = {"SETITEM", ptf_opcode_setitem},
    ['u'] = {"SETITEMS", ptf_opcode_setitems},
    [0x8f] = {"EMPTY_SET", ptf_opcode_empty_set},
    [0x91] = {"FROZENSET", ptf_opcode_frozenset},
    [0x90] = {"ADDITEMS", ptf_opcode_additems},
    ['p'] = {"PUT", ptf_opcode_put},
    ['q'] = {"BINPUT", ptf_opcode_binput},
    ['r'] = {"LONG_BINPUT", ptf_opcode_long_binput},
    [0x94] = {"MEMOIZE", ptf_opcode_memoize},
    ['g'] = {"GET", ptf_opcode_get},
    ['h'] = {"BINGET", ptf_opcode_binget},
    ['j'] = {"LONG_BINGET", ptf_opcode_long_binget},
    ['c'] = {"GLOBAL", ptf_opcode_global},
    [0x93] = {"STACK_GLOBAL", ptf_opcode_stack_global},
    ['R'] = {"REDUCE", ptf_opcode_reduce},
    ['b'] = {"BUILD", ptf_opcode_build},
    [0x81] = {"NEWOBJ", ptf_opcode_newobj},
    [0x92] = {"NEWOBJ_EX", ptf_opcode_newobj_ex},
    ['Q'] = {"BINPERSID", ptf_opcode_binpersid},
    ['P'] = {"PERSID", NULL},
    ['i'] = {"INST", NULL},
    ['o'] = {"OBJ", NULL},
    [0x82] = {"EXT1", NULL},
    [0x83] = {"EXT2", NULL},
    [0x84] = {"EXT4", NULL},
    [0x97] = {"NEXT_BUFFER", NULL},
    [0x98] = {"READONLY_BUFFER", NULL},
};

/* --------------------------------------------------------- stack and memory */

bool ptf_unpickle_grow(void *array, size_t count, size_t *capacity)
{
    if (count < *capacity)
        return true;
    size_t larger = *capacity > 0 ? 2 * *capacity : 64;
    _Static_assert(sizeof(size_t) == sizeof(void *), "one size for both");
    void *block; /* copied as bytes: the array's own type is not void * */
    memcpy(&block, array, sizeof(block));
    block = ptf_realloc(block, larger * sizeof(void *));
    if (block == NULL)
        return false;
    memcpy(array, &block, sizeof(block));
    *capacity = larger;
    return true;
}

ptf_status ptf_unpickle_push(ptf_unpickler *u, ptf_object *value)
{
    if (!ptf_unpickle_grow(&u->stack, u->depth, &u->capacity))
        return ptf_fail_memory(u->c.err);
    u->stack[u->depth++] = value;
    return PTF_OK;
}

ptf_status ptf_unpickle_count_values(ptf_unpickler *u, size_t count)
{
    u->values += count;
    if (u->values > PTF_PICKLE_MAX_VALUES)
        return UNPICKLE_FAIL(u, "expected at most %d values",
                             PTF_PICKLE_MAX_VALUES);
    return PTF_OK;
}

ptf_status ptf_unpickle_make(ptf_unpickler *u, ptf_object_kind kind,
                             ptf_object **out)
{
    ptf_status status = ptf_unpickle_count_values(u, 1);
    if (status != PTF_OK)
        return status;
    *out = ptf_arena_alloc(u->arena, sizeof(**out));
    if (*out == NULL)
        return ptf_fail_memory(u->c.err);
    (*out)->kind = (uint8_t)kind;
    return PTF_OK;
}

ptf_status ptf_unpickle_count_container(ptf_unpickler *u)
{
    if (++u->containers > PTF_PICKLE_MAX_CONTAINERS)
        return UNPICKLE_FAIL(u, "expected at most %d containers",
                             PTF_PICKLE_MAX_CONTAINERS);
    return PTF_OK;
}

ptf_status ptf_unpickle_push_copy(ptf_unpickler *u, ptf_object value)
{
    ptf_object *v = NULL;
    ptf_status status = ptf_unpickle_make(u, (ptf_object_kind)value.kind, &v);
    if (status != PTF_OK)
        return status;
    *v = value;
    return ptf_unpickle_push(u, v);
}

ptf_status ptf_unpickle_need(ptf_unpickler *u, size_t n)
{
    if (u->depth - u->bottom >= n)
        return PTF_OK;
    return UNPICKLE_FAIL(u, "expected %zu values on the stack for %s, got %zu",
                         n, u->op_name, u->depth - u->bottom);
}

ptf_status ptf_unpickle_pop_mark(ptf_unpickler *u, ptf_object ***items,
                                 size_t *count)
{
    if (u->mark_count == 0)
        return UNPICKLE_FAIL(u, "expected a mark on the stack for %s",
                             u->op_name);
    *items = u->stack + u->bottom;
    *count = u->depth - u->bottom;
    u->depth = u->bottom;
    u->mark_count--;
    u->bottom = u->mark_count > 0 ? u->marks[u->mark_count - 1] : 0;
    return PTF_OK;
}

/* ------------------------------------------------------------------ framing */

ptf_status ptf_opcode_proto(ptf_unpickler *u)
{
    uint8_t version = 0;
    ptf_status status = ptf_take_u8(&u->c, &version, "a protocol's number");
    if (status != PTF_OK)
        return status;
    if (u->at != 0 || version < 2 || version > 5)
        return UNPICKLE_FAIL(u,
                             "expected a pickle of protocol 0 to 5, got "
                             "%u",
                             (unsigned)version);
    return PTF_OK;
}

/* A frame only says how much to read ahead. */
ptf_status ptf_opcode_frame(ptf_unpickler *u)
{
    uint64_t size = 0;
    ptf_status status = ptf_take_u64(&u->c, &size, "a frame's size");
    if (status == PTF_OK && size > ptf_cursor_left(&u->c))
        return UNPICKLE_FAIL(u,
                             "expected a frame of %llu bytes, got only "
                             "%zu",
                             (unsigned long long)size, ptf_cursor_left(&u->c));
    return status;
}

ptf_status ptf_opcode_stop(ptf_unpickler *u)
{
    if (u->depth != 1 || u->mark_count > 0)
        return UNPICKLE_FAIL(u,
                             "expected one value on the stack at the end, "
                             "got %zu and %zu marks",
                             u->depth, u->mark_count);
    u->stopped = true;
    return PTF_OK;
}

static ptf_status run_opcode(ptf_unpickler *u)
{
    u->at = u->c.pos;
    ptf_status status = ptf_take_u8(&u->c, &u->opcode, "an opcode");
    if (status != PTF_OK)
        return status;
    if (++u->opcodes > PTF_PICKLE_MAX_OPCODES)
        return UNPICKLE_FAIL(u, "expected at most %d opcodes",
                             PTF_PICKLE_MAX_OPCODES);
    u->op_name = opcodes[u->opcode].name;
    if (u->op_name == NULL)
        return UNPICKLE_FAIL(u, "expected a pickle opcode, got byte %02x",
                             (unsigned)u->opcode);
    if (opcodes[u->opcode].run == NULL)
        return UNPICKLE_FAIL(u,
                             "expected an opcode that PyTorch writes, "
                             "got %s",
                             u->op_name);
    return opcodes[u->opcode].run(u);
}

static ptf_status make_constants(ptf_unpickler *u)
{
    ptf_status status = ptf_unpickle_make(u, PTF_OBJECT_NONE, &u->none);
    if (status == PTF_OK)
        status = ptf_unpickle_make(u, PTF_OBJECT_BOOL, &u->yes);
    if (status == PTF_OK)
        status = ptf_unpickle_make(u, PTF_OBJECT_BOOL, &u->no);
    if (status == PTF_OK)
        status = ptf_unpickle_make(u, PTF_OBJECT_TUPLE, &u->empty);
    if (status == PTF_OK)
        u->yes->boolean = true;
    return status;
}

/* What outlives the unpickler moves into the arena. */
static ptf_status finish(ptf_unpickler *u, ptf_pickle *out)
{
    ptf_object **persistent =
        ptf_arena_array(u->arena, u->persistent_count, sizeof(*persistent));
    const ptf_global **globals =
        ptf_arena_array(u->arena, u->global_count, sizeof(*globals));
    if (persistent == NULL || globals == NULL)
        return ptf_fail_memory(u->c.err);
    if (u->persistent_count > 0)
        memcpy(persistent, u->persistent,
               u->persistent_count * sizeof(*persistent));
    for (size_t i = 0, n = 0; n < u->global_count; i++) {
        if (u->globals[i] != NULL)
            globals[n++] = u->globals[i];
    }
    *out = (ptf_pickle){u->stack[0],         u->c.pos, persistent,
                        u->persistent_count, globals,  u->global_count,
                        u->containers};
    return PTF_OK;
}

/* The stack has room from the start: a mark may come before any value. */
static ptf_status run(ptf_unpickler *u, ptf_pickle *out)
{
    if (!ptf_unpickle_grow(&u->stack, 0, &u->capacity))
        return ptf_fail_memory(u->c.err);
    ptf_status status = make_constants(u);
    while (status == PTF_OK && !u->stopped)
        status = run_opcode(u);
    return status == PTF_OK ? finish(u, out) : status;
}

ptf_status ptf_pickle_read(const uint8_t *data, size_t size,
                           const ptf_origin *origin,
                           bool (*marks)(const ptf_object *object),
                           ptf_arena *arena, ptf_pickle *out, ptf_error *err)
{
    ptf_unpickler u = {
        .c = {data, size, 0, *origin, err}, .arena = arena, .is_marked = marks};
    if (size > PTF_PICKLE_MAX_SIZE)
        u.c.size = PTF_PICKLE_MAX_SIZE;
    ptf_status status = run(&u, out);
    ptf_free(u.stack);
    ptf_free(u.marks);
    ptf_free(u.memo);
    ptf_free(u.persistent);
    ptf_free(u.globals);
    return status == PTF_OK
               ? ptf_object_check(out->root, u.containers, origin, marks, err)
               : status;
}
