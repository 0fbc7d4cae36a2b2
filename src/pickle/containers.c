/*
 * Opcodes that make and fill tuples, lists, sets, dicts and objects.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "pickle/unpickle.h"

/* ------------------------------------------------------------- containers */

/* Tuples are made whole; what may grow doubles. */
static size_t capacity_for(const ptf_object *container, size_t count)
{
    size_t capacity = 4;
    if (container->kind == PTF_OBJECT_TUPLE || count == 0)
        return count;
    while (capacity < count)
        capacity *= 2;
    return capacity;
}

ptf_status ptf_unpickle_append(ptf_unpickler *u, ptf_object *to,
                               ptf_object *const *items, size_t count)
{
    size_t total = to->count + count;
    if (total > UINT32_MAX / 2)
        return UNPICKLE_FAIL(u, "expected at most %u items", UINT32_MAX / 2);
    if (to->count == 0 && count > 0) {
        ptf_status status = ptf_unpickle_count_container(u);
        if (status != PTF_OK)
            return status;
    }
    if (capacity_for(to, total) > capacity_for(to, to->count)) {
        ptf_object **larger =
            ptf_arena_array(u->arena, capacity_for(to, total), sizeof(*larger));
        if (larger == NULL)
            return ptf_fail_memory(u->c.err);
        if (to->count > 0)
            memcpy(larger, to->items, to->count * sizeof(*larger));
        to->items = larger;
    }
    if (count > 0)
        memcpy(to->items + to->count, items, count * sizeof(*items));
    to->count = (uint32_t)total;
    return PTF_OK;
}

ptf_status ptf_unpickle_append_copies(ptf_unpickler *u, ptf_object *to,
                                      ptf_object *const *items, size_t count)
{
    ptf_status status = ptf_unpickle_count_values(u, count);
    return status == PTF_OK ? ptf_unpickle_append(u, to, items, count) : status;
}

static ptf_status push_items(ptf_unpickler *u, ptf_object_kind kind,
                             ptf_object **items, size_t count)
{
    ptf_object *v = NULL;
    ptf_status status = ptf_unpickle_make(u, kind, &v);
    if (status == PTF_OK)
        status = ptf_unpickle_append(u, v, items, count);
    return status == PTF_OK ? ptf_unpickle_push(u, v) : status;
}

/* The last 'n' values become one tuple. */
static ptf_status run_tuple_n(ptf_unpickler *u, size_t n)
{
    ptf_status status = ptf_unpickle_need(u, n);
    if (status != PTF_OK)
        return status;
    u->depth -= n;
    return push_items(u, PTF_OBJECT_TUPLE, u->stack + u->depth, n);
}

static ptf_status run_from_mark(ptf_unpickler *u, ptf_object_kind kind)
{
    ptf_object **items;
    size_t count;
    ptf_status status = ptf_unpickle_pop_mark(u, &items, &count);
    if (status != PTF_OK)
        return status;
    if (kind == PTF_OBJECT_DICT && count % 2 != 0)
        return UNPICKLE_FAIL(u, "expected pairs for %s, got %zu values",
                             u->op_name, count);
    return push_items(u, kind, items, count);
}

ptf_status ptf_opcode_tuple(ptf_unpickler *u)
{
    return run_from_mark(u, PTF_OBJECT_TUPLE);
}

ptf_status ptf_opcode_list(ptf_unpickler *u)
{
    return run_from_mark(u, PTF_OBJECT_LIST);
}

ptf_status ptf_opcode_dict(ptf_unpickler *u)
{
    return run_from_mark(u, PTF_OBJECT_DICT);
}

/* A set that ADDITEMS may not change. */
ptf_status ptf_opcode_frozenset(ptf_unpickler *u)
{
    ptf_status status = run_from_mark(u, PTF_OBJECT_SET);
    return status == PTF_OK
               ? ptf_unpickle_freeze(u, ptf_unpickle_top(u), PTF_FROZEN)
               : status;
}

ptf_status ptf_opcode_tuple1(ptf_unpickler *u)
{
    return run_tuple_n(u, 1);
}

ptf_status ptf_opcode_tuple2(ptf_unpickler *u)
{
    return run_tuple_n(u, 2);
}

ptf_status ptf_opcode_tuple3(ptf_unpickler *u)
{
    return run_tuple_n(u, 3);
}

ptf_status ptf_opcode_empty_tuple(ptf_unpickler *u)
{
    return ptf_unpickle_push(u, u->empty);
}

ptf_status ptf_opcode_empty_list(ptf_unpickler *u)
{
    return push_items(u, PTF_OBJECT_LIST, NULL, 0);
}

ptf_status ptf_opcode_empty_dict(ptf_unpickler *u)
{
    return push_items(u, PTF_OBJECT_DICT, NULL, 0);
}

ptf_status ptf_opcode_empty_set(ptf_unpickler *u)
{
    return push_items(u, PTF_OBJECT_SET, NULL, 0);
}

ptf_status ptf_opcode_mark(ptf_unpickler *u)
{
    if (!ptf_unpickle_grow(&u->marks, u->mark_count, &u->mark_capacity))
        return ptf_fail_memory(u->c.err);
    u->marks[u->mark_count++] = u->depth;
    u->bottom = u->depth;
    return PTF_OK;
}

ptf_status ptf_opcode_pop(ptf_unpickler *u)
{
    if (u->mark_count > 0 && u->depth == u->bottom) {
        ptf_object **items;
        size_t count;
        return ptf_unpickle_pop_mark(u, &items, &count);
    }
    ptf_status status = ptf_unpickle_need(u, 1);
    if (status == PTF_OK)
        ptf_unpickle_pop(u);
    return status;
}

ptf_status ptf_opcode_pop_mark(ptf_unpickler *u)
{
    ptf_object **items;
    size_t count;
    return ptf_unpickle_pop_mark(u, &items, &count);
}

ptf_status ptf_opcode_dup(ptf_unpickler *u)
{
    ptf_status status = ptf_unpickle_need(u, 1);
    return status == PTF_OK ? ptf_unpickle_push(u, ptf_unpickle_top(u))
                            : status;
}

/* --------------------------------------------------------- filling things */

/* The container that items for 'target' go into: itself, or a part of it. */
static ptf_status container_of(ptf_unpickler *u, ptf_object *target,
                               ptf_object_kind kind, int part, ptf_object **out)
{
    *out = target;
    if (target->kind == kind)
        return PTF_OK;
    if (target->kind != PTF_OBJECT_INSTANCE ||
        ptf_unpickle_is_marked(u, target))
        return UNPICKLE_FAIL(u, "expected a %s for %s, got something else",
                             kind == PTF_OBJECT_DICT ? "dict" : "list",
                             u->op_name);
    ptf_status status = PTF_OK;
    if (target->items[part] == NULL)
        status = ptf_unpickle_make(u, kind, &target->items[part]);
    *out = target->items[part];
    return status;
}

static ptf_status fill(ptf_unpickler *u, ptf_object *target,
                       ptf_object_kind kind, int part, ptf_object **items,
                       size_t count)
{
    if (kind == PTF_OBJECT_DICT && count % 2 != 0)
        return UNPICKLE_FAIL(u, "expected pairs for %s, got %zu values",
                             u->op_name, count);
    ptf_object *container = NULL;
    ptf_status status = ptf_unpickle_need_change(u, target);
    if (status == PTF_OK)
        status = container_of(u, target, kind, part, &container);
    return status == PTF_OK ? ptf_unpickle_append(u, container, items, count)
                            : status;
}

/* The target lies below the mark, or below 'n' items without a mark. */
static ptf_status fill_from_mark(ptf_unpickler *u, ptf_object_kind kind,
                                 int part)
{
    ptf_object **items;
    size_t count;
    ptf_status status = ptf_unpickle_pop_mark(u, &items, &count);
    if (status == PTF_OK)
        status = ptf_unpickle_need(u, 1);
    return status == PTF_OK
               ? fill(u, ptf_unpickle_top(u), kind, part, items, count)
               : status;
}

static ptf_status fill_from_top(ptf_unpickler *u, ptf_object_kind kind,
                                int part, size_t n)
{
    ptf_status status = ptf_unpickle_need(u, n + 1);
    if (status != PTF_OK)
        return status;
    u->depth -= n;
    return fill(u, ptf_unpickle_top(u), kind, part, u->stack + u->depth, n);
}

ptf_status ptf_opcode_append(ptf_unpickler *u)
{
    return fill_from_top(u, PTF_OBJECT_LIST, PTF_INSTANCE_ITEMS, 1);
}

ptf_status ptf_opcode_appends(ptf_unpickler *u)
{
    return fill_from_mark(u, PTF_OBJECT_LIST, PTF_INSTANCE_ITEMS);
}

ptf_status ptf_opcode_additems(ptf_unpickler *u)
{
    return fill_from_mark(u, PTF_OBJECT_SET, PTF_INSTANCE_ITEMS);
}

ptf_status ptf_opcode_setitem(ptf_unpickler *u)
{
    return fill_from_top(u, PTF_OBJECT_DICT, PTF_INSTANCE_PAIRS, 2);
}

ptf_status ptf_opcode_setitems(ptf_unpickler *u)
{
    return fill_from_mark(u, PTF_OBJECT_DICT, PTF_INSTANCE_PAIRS);
}
