/*
 * What a call has used must not change any more.
 *
 * The unpickler keeps calls and what they are given, and the tensors are made
 * of that later.  Python calls at once.  So a list of sizes that grows after
 * the call, or a tensor that gets other numbers when a parameter was already
 * made of it, would be one thing here and another there.  Picklers write no
 * such thing: whatever a call needs is complete before it.
 *
 * A dict is frozen without its values.  They may lead to objects that know
 * the one that is being made and are not complete (a parameter's attribute
 * that is its model), and no call that the reader understands looks at them.
 * For the same reason the parts of objects are frozen only below the objects
 * that the reader's caller looks for, whose arguments are tensors at most.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "pickle/unpickle.h"

bool ptf_unpickle_is_marked(const ptf_unpickler *u, const ptf_object *object)
{
    return u->is_marked != NULL && object->kind == PTF_OBJECT_INSTANCE &&
           u->is_marked(object);
}

/* Each value is frozen at most once to each depth, so all of this together
 * takes linear time. */
static ptf_status freeze(ptf_unpickler *u, ptf_object *value, ptf_freeze depth,
                         int nesting)
{
    if (value == NULL || value->frozen >= depth ||
        (value->kind == PTF_OBJECT_INSTANCE && depth < PTF_FROZEN_OBJECTS))
        return PTF_OK;
    if (nesting == PTF_PICKLE_MAX_NESTING)
        return UNPICKLE_FAIL(u, "expected values nested at most %d deep",
                             PTF_PICKLE_MAX_NESTING);
    value->frozen = (uint8_t)depth;
    if (value->kind == PTF_OBJECT_DICT || value->kind == PTF_OBJECT_PERSISTENT)
        return PTF_OK;
    ptf_status status = PTF_OK;
    size_t count = ptf_object_children(value);
    for (size_t i = 0; i < count && status == PTF_OK; i++)
        status = freeze(u, value->items[i], depth, nesting + 1);
    return status;
}

ptf_status ptf_unpickle_freeze(ptf_unpickler *u, ptf_object *value,
                               ptf_freeze depth)
{
    return freeze(u, value, depth, 0);
}

ptf_status ptf_unpickle_need_change(ptf_unpickler *u, const ptf_object *value)
{
    return value->frozen == PTF_CHANGES
               ? PTF_OK
               : UNPICKLE_FAIL(u,
                               "expected %s to change a value before a call "
                               "uses it, got it after the call",
                               u->op_name);
}
