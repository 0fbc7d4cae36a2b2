/*
 * Opcodes that name things and call them.  Nothing is called: the callable
 * and its arguments are kept.  A few callables only make containers; their
 * result is that container.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "pickle/unpickle.h"

/*
 * Names that run programs or code, or read files and pickles.  No checkpoint
 * needs them, so a file that mentions one is hostile even though nothing would
 * happen here.
 */
static const char all_names[] = "*"; /* of the module, not of those below */

enum { MAX_GLOBAL_NAME = 1024 };

static const struct {
    const char *module;
    const char *name; /* NULL: all of the module and those below it */
} forbidden[] = {
    {"os", NULL},
    {"posix", NULL},
    {"nt", NULL},
    {"sys", NULL},
    {"subprocess", all_names},
    {"commands", all_names},
    {"pty", all_names},
    {"runpy", all_names},
    {"shutil", all_names},
    {"socket", all_names},
    {"webbrowser", all_names},
    {"importlib", NULL},
    {"ctypes", NULL},
    {"pdb", all_names},
    {"timeit", all_names},
    {"code", all_names},
    {"pip", NULL},
    {"pkgutil", all_names},
    {"asyncio", NULL},
    {"multiprocessing", NULL},
    {"_posixsubprocess", all_names},
    {"bdb", all_names},
    {"cProfile", all_names},
    {"doctest", all_names},
    {"pydoc", all_names},
    {"ensurepip", NULL},
    {"venv", NULL},
    {"distutils", NULL},
    {"idlelib", NULL},
    {"lib2to3", NULL},
    {"imp", all_names},
    {"marshal", all_names},
    {"profile", all_names},
    {"trace", all_names},
    {"zipimport", all_names},
    {"torch.hub", all_names},
    {"numpy.f2py", NULL},
    {"numpy.testing", NULL},
    {"io", "open"},
    {"_io", "open"},
    {"_io", "FileIO"},
    {"pickle", "load"},
    {"pickle", "loads"},
    {"_pickle", "load"},
    {"_pickle", "loads"},
    {"cPickle", "load"},
    {"cPickle", "loads"},
    {"torch", "load"},
    {"torch.serialization", "load"},
    {"torch.jit", "load"},
    {"builtins", "breakpoint"},
    {"builtins", "eval"},
    {"builtins", "exec"},
    {"builtins", "compile"},
    {"builtins", "open"},
    {"builtins", "__import__"},
    {"__builtin__", "eval"},
    {"__builtin__", "execfile"},
    {"__builtin__", "compile"},
    {"__builtin__", "open"},
    {"__builtin__", "__import__"},
};

/*
 * 'rest' is what follows a row's module in "module.name".  A name may have
 * dots itself and so go through modules: torch, hub.load.
 */
static bool is_forbidden_by(size_t row, const ptf_global *g, const char *rest)
{
    const char *name = forbidden[row].name;
    if (name == NULL)
        return true;
    if (name == all_names)
        return strcmp(g->module, forbidden[row].module) == 0 ||
               strchr(rest, '.') == NULL;
    size_t n = strlen(name);
    return strncmp(rest, name, n) == 0 && (rest[n] == '\0' || rest[n] == '.');
}

static bool is_forbidden(const ptf_global *g)
{
    char dotted[2 * MAX_GLOBAL_NAME + 2];
    snprintf(dotted, sizeof(dotted), "%s.%s", g->module, g->name);
    for (size_t i = 0; i < PTF_ARRAY_SIZE(forbidden); i++) {
        size_t n = strlen(forbidden[i].module);
        if (strncmp(dotted, forbidden[i].module, n) == 0 && dotted[n] == '.' &&
            is_forbidden_by(i, g, dotted + n + 1))
            return true;
    }
    return false;
}

/* ----------------------------------------------------------------- globals */

enum { GLOBAL_SLOTS = 2 * PTF_PICKLE_MAX_GLOBALS };

/* A name as it stands in the pickle. */
typedef struct raw_global {
    const char *module, *name;
    size_t module_size, name_size;
} raw_global;

static bool same_text(const char *text, const char *raw, size_t size)
{
    return strlen(text) == size && memcmp(text, raw, size) == 0;
}

/* The slot of a global in the table, empty when it is new. */
static const ptf_global **find_slot(ptf_unpickler *u, const raw_global *raw)
{
    size_t at = (3 * ptf_hash(raw->module, raw->module_size) +
                 ptf_hash(raw->name, raw->name_size)) %
                GLOBAL_SLOTS;
    while (u->globals[at] != NULL &&
           !(same_text(u->globals[at]->module, raw->module, raw->module_size) &&
             same_text(u->globals[at]->name, raw->name, raw->name_size)))
        at = (at + 1) % GLOBAL_SLOTS;
    return &u->globals[at];
}

static ptf_status add_global(ptf_unpickler *u, const raw_global *raw,
                             const ptf_global **slot)
{
    if (raw->module_size > MAX_GLOBAL_NAME ||
        raw->name_size > MAX_GLOBAL_NAME ||
        !ptf_is_printable(raw->module, raw->module_size) ||
        !ptf_is_printable(raw->name, raw->name_size))
        return UNPICKLE_FAIL(u, "expected a printable name of a global");
    if (u->global_count == PTF_PICKLE_MAX_GLOBALS)
        return UNPICKLE_FAIL(u, "expected at most %d globals",
                             PTF_PICKLE_MAX_GLOBALS);
    ptf_global *g = ptf_arena_alloc(u->arena, sizeof(*g));
    if (g == NULL)
        return ptf_fail_memory(u->c.err);
    g->module = ptf_arena_copy(u->arena, raw->module, raw->module_size);
    g->name = ptf_arena_copy(u->arena, raw->name, raw->name_size);
    if (g->module == NULL || g->name == NULL)
        return ptf_fail_memory(u->c.err);
    if (is_forbidden(g))
        return UNPICKLE_FAIL(u,
                             "got %s.%s, which runs programs or code: no "
                             "checkpoint needs that, the file is hostile",
                             g->module, g->name);
    *slot = g;
    u->global_count++;
    return PTF_OK;
}

static ptf_status push_global(ptf_unpickler *u, const raw_global *raw)
{
    if (u->globals == NULL)
        u->globals = ptf_alloc(GLOBAL_SLOTS * sizeof(*u->globals));
    if (u->globals == NULL)
        return ptf_fail_memory(u->c.err);
    const ptf_global **slot = find_slot(u, raw);
    ptf_status status = *slot == NULL ? add_global(u, raw, slot) : PTF_OK;
    return status == PTF_OK ? ptf_unpickle_push_copy(
                                  u, (ptf_object){.kind = PTF_OBJECT_GLOBAL,
                                                  .global = *slot})
                            : status;
}

ptf_status ptf_opcode_global(ptf_unpickler *u)
{
    raw_global raw;
    ptf_status status =
        ptf_take_line(&u->c, &raw.module, &raw.module_size, "a module's name");
    if (status == PTF_OK)
        status =
            ptf_take_line(&u->c, &raw.name, &raw.name_size, "a global's name");
    return status == PTF_OK ? push_global(u, &raw) : status;
}

ptf_status ptf_opcode_stack_global(ptf_unpickler *u)
{
    ptf_status status = ptf_unpickle_need(u, 2);
    if (status != PTF_OK)
        return status;
    const ptf_object *name = ptf_unpickle_pop(u);
    const ptf_object *module = ptf_unpickle_pop(u);
    if (name->kind != PTF_OBJECT_STRING || module->kind != PTF_OBJECT_STRING)
        return UNPICKLE_FAIL(u, "expected two strings for STACK_GLOBAL");
    return push_global(
        u, &(raw_global){module->text, name->text, module->count, name->count});
}

/* ----------------------------------------------------- calls for containers */

/* A callable that makes a container out of what it gets. */
typedef struct container {
    const char *module, *name;
    ptf_object_kind kind;
    bool from_dict;    /* its argument must be one; else it is any items */
    bool attributes;   /* its result may have some */
    bool fills_by_new; /* __new__() looks at the argument */
    uint32_t before;   /* arguments in front of that one */
} container;

static const container containers[] = {
    {"collections", "OrderedDict", PTF_OBJECT_DICT, false, true, false, 0},
    {"collections", "Counter", PTF_OBJECT_DICT, true, true, false, 0},
    {"collections", "defaultdict", PTF_OBJECT_DICT, false, false, false, 1},
    {"builtins", "dict", PTF_OBJECT_DICT, false, false, false, 0},
    {"__builtin__", "dict", PTF_OBJECT_DICT, false, false, false, 0},
    {"builtins", "set", PTF_OBJECT_SET, false, false, false, 0},
    {"__builtin__", "set", PTF_OBJECT_SET, false, false, false, 0},
    {"builtins", "frozenset", PTF_OBJECT_SET, false, false, true, 0},
    {"__builtin__", "frozenset", PTF_OBJECT_SET, false, false, true, 0},
};

static const container *find_container(const ptf_object *callee)
{
    for (size_t i = 0; i < PTF_ARRAY_SIZE(containers); i++) {
        if (ptf_object_is_global(callee, containers[i].module,
                                 containers[i].name))
            return &containers[i];
    }
    return NULL;
}

static bool is_sequence(const ptf_object *value)
{
    return value->kind == PTF_OBJECT_LIST || value->kind == PTF_OBJECT_TUPLE ||
           value->kind == PTF_OBJECT_SET;
}

/* Python 2 passed an OrderedDict's items as a list of [key, value]. */
static ptf_status add_pairs(ptf_unpickler *u, ptf_object *dict,
                            const ptf_object *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        const ptf_object *pair = list->items[i];
        if (!is_sequence(pair) || pair->count != 2)
            return UNPICKLE_FAIL(u, "expected pairs for a dict");
        ptf_status status = ptf_unpickle_append_copies(u, dict, pair->items, 2);
        if (status != PTF_OK)
            return status;
    }
    return PTF_OK;
}

static ptf_status fill_container(ptf_unpickler *u, const container *c,
                                 ptf_object *made, const ptf_object *args)
{
    if (args->count > c->before + 1)
        return UNPICKLE_FAIL(u, "expected at most %u arguments for %s, got %u",
                             c->before + 1, c->name, args->count);
    if (args->count <= c->before)
        return PTF_OK;
    const ptf_object *from = args->items[c->before];
    if (made->kind == PTF_OBJECT_DICT ? from->kind == PTF_OBJECT_DICT
                                      : is_sequence(from))
        return ptf_unpickle_append_copies(u, made, from->items, from->count);
    if (made->kind == PTF_OBJECT_DICT && !c->from_dict && is_sequence(from))
        return add_pairs(u, made, from);
    return UNPICKLE_FAIL(u, "expected items to fill a container with");
}

/* A new container without items, when 'args' is NULL. */
static ptf_status push_container(ptf_unpickler *u, const container *c,
                                 const ptf_object *args)
{
    ptf_object *made = NULL;
    ptf_status status = ptf_unpickle_make(u, c->kind, &made);
    if (status != PTF_OK)
        return status;
    made->named = c->attributes;
    if (args != NULL)
        status = fill_container(u, c, made, args);
    if (status == PTF_OK && c->fills_by_new) /* a frozenset */
        status = ptf_unpickle_freeze(u, made, PTF_FROZEN);
    return status == PTF_OK ? ptf_unpickle_push(u, made) : status;
}

/* ------------------------------------------------------------------- calls */

/* What an object was made of: all of it, where the reader makes a tensor. */
static ptf_freeze depth_for(const ptf_unpickler *u, const ptf_object *object)
{
    return ptf_unpickle_is_marked(u, object) ? PTF_FROZEN_OBJECTS : PTF_FROZEN;
}

static ptf_status check_call(ptf_unpickler *u, const ptf_object *callee,
                             const ptf_object *args)
{
    if (args->kind != PTF_OBJECT_TUPLE)
        return UNPICKLE_FAIL(u, "expected a tuple of arguments for %s",
                             u->op_name);
    if (callee->kind != PTF_OBJECT_GLOBAL &&
        callee->kind != PTF_OBJECT_INSTANCE &&
        callee->kind != PTF_OBJECT_PERSISTENT) /* a class of a legacy file */
        return UNPICKLE_FAIL(u, "expected something to call for %s",
                             u->op_name);
    return PTF_OK;
}

static ptf_status push_object(ptf_unpickler *u, ptf_object *callee,
                              ptf_object *args, bool created)
{
    ptf_object *object = NULL;
    ptf_status status = ptf_unpickle_make(u, PTF_OBJECT_INSTANCE, &object);
    if (status != PTF_OK)
        return status;
    object->items =
        ptf_arena_array(u->arena, PTF_INSTANCE_PARTS, sizeof(*object->items));
    if (object->items == NULL)
        return ptf_fail_memory(u->c.err);
    object->count = PTF_INSTANCE_PARTS;
    object->created = created;
    object->items[PTF_INSTANCE_CALLEE] = callee;
    object->items[PTF_INSTANCE_ARGS] = args;
    status = ptf_unpickle_count_container(u);
    if (status == PTF_OK)
        status = ptf_unpickle_freeze(u, args, depth_for(u, object));
    return status == PTF_OK ? ptf_unpickle_push(u, object) : status;
}

ptf_status ptf_opcode_reduce(ptf_unpickler *u)
{
    ptf_status status = ptf_unpickle_need(u, 2);
    if (status != PTF_OK)
        return status;
    ptf_object *args = ptf_unpickle_pop(u);
    ptf_object *callee = ptf_unpickle_pop(u);
    status = check_call(u, callee, args);
    if (status != PTF_OK)
        return status;
    const container *made = find_container(callee);
    return made != NULL ? push_container(u, made, args)
                        : push_object(u, callee, args, false);
}

/*
 * cls.__new__(cls, *args, **named): of what is a dict or set that is an empty
 * one, whatever the arguments; __init__(), which would fill it, does not run.
 */
static ptf_status push_new(ptf_unpickler *u, const ptf_object *named)
{
    ptf_object *args = ptf_unpickle_pop(u);
    ptf_object *callee = ptf_unpickle_pop(u);
    ptf_status status = check_call(u, callee, args);
    if (status != PTF_OK)
        return status;
    const container *made = find_container(callee);
    if (made != NULL && !made->fills_by_new)
        return push_container(u, made, NULL);
    if (made == NULL)
        status = push_object(u, callee, args, true);
    else
        status = push_container(u, made, args);
    if (status == PTF_OK && named != NULL && named->count > 0 &&
        (made != NULL || ptf_unpickle_is_marked(u, ptf_unpickle_top(u))))
        return UNPICKLE_FAIL(u, "expected no named arguments, got %u",
                             named->count / 2);
    return status;
}

ptf_status ptf_opcode_newobj(ptf_unpickler *u)
{
    ptf_status status = ptf_unpickle_need(u, 2);
    return status == PTF_OK ? push_new(u, NULL) : status;
}

ptf_status ptf_opcode_newobj_ex(ptf_unpickler *u)
{
    ptf_status status = ptf_unpickle_need(u, 3);
    if (status != PTF_OK)
        return status;
    const ptf_object *named = ptf_unpickle_pop(u);
    if (named->kind != PTF_OBJECT_DICT)
        return UNPICKLE_FAIL(u, "expected named arguments for NEWOBJ_EX");
    return push_new(u, named);
}

static bool is_attributes(const ptf_object *value)
{
    return value->kind == PTF_OBJECT_DICT || value->kind == PTF_OBJECT_NONE;
}

/*
 * BUILD gives an object its state.  On an OrderedDict the state is its
 * attributes (the '_metadata' of a state dict), with those of __slots__ in a
 * second dict, never its items, so it is dropped.
 */
ptf_status ptf_opcode_build(ptf_unpickler *u)
{
    ptf_status status = ptf_unpickle_need(u, 2);
    if (status != PTF_OK)
        return status;
    ptf_object *state = ptf_unpickle_pop(u);
    ptf_object *target = ptf_unpickle_top(u);
    if (target->kind == PTF_OBJECT_DICT && target->named)
        return is_attributes(state) ||
                       (state->kind == PTF_OBJECT_TUPLE && state->count == 2 &&
                        is_attributes(state->items[0]) &&
                        is_attributes(state->items[1]))
                   ? PTF_OK
                   : UNPICKLE_FAIL(u, "expected attributes for BUILD");
    if (target->kind != PTF_OBJECT_INSTANCE ||
        target->items[PTF_INSTANCE_STATE] != NULL)
        return UNPICKLE_FAIL(u, "expected an object without state for BUILD");
    status = ptf_unpickle_need_change(u, target);
    if (status != PTF_OK)
        return status;
    target->items[PTF_INSTANCE_STATE] = state;
    return ptf_unpickle_freeze(u, state, depth_for(u, target));
}

ptf_status ptf_opcode_binpersid(ptf_unpickler *u)
{
    ptf_status status = ptf_unpickle_need(u, 1);
    if (status != PTF_OK)
        return status;
    ptf_object *id = ptf_unpickle_pop(u), *value = NULL;
    status = ptf_unpickle_make(u, PTF_OBJECT_PERSISTENT, &value);
    if (status == PTF_OK)
        status = ptf_unpickle_append(u, value, &id, 1);
    if (status != PTF_OK)
        return status;
    if (!ptf_unpickle_grow(&u->persistent, u->persistent_count,
                           &u->persistent_capacity))
        return ptf_fail_memory(u->c.err);
    u->persistent[u->persistent_count++] = value;
    return ptf_unpickle_push(u, value);
}
