/*
 * Which of the dicts in a file is the state dict that is meant, when nothing
 * is known of the network?
 *
 * Training scripts wrap it: {'state_dict': ..., 'epoch': ...}.  It is the one
 * dict with names as modules give them; only when there is none such, the one
 * that has any tensors.  When several could be meant, the caller must choose:
 * none is preferred.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "checkpoint/reader.h"

ptf_status ptf_places_fail(const ptf_checkpoint *ckpt, const ptf_places *places,
                           ptf_error *err)
{
    enum { LONGEST = 60, ROOM = 120 };
    ptf_origin origin = ptf_object_origin(ckpt);
    char text[ROOM + LONGEST + 40] = "";
    size_t used = 0, shown = 0;
    for (; shown < places->count && shown < PTF_PLACES_SHOWN && used < ROOM;
         shown++)
        used +=
            (size_t)snprintf(text + used, sizeof(text) - used, "%s'%.*s' (%zu)",
                             shown > 0 ? ", " : "", LONGEST,
                             places->names[shown], places->counts[shown]);
    return ptf_fail(err, PTF_ARGUMENT, &origin, PTF_NO_OFFSET,
                    "expected one state dict, got %zu, with so many tensors: "
                    "%s%s; choose one with --key NAME, or all with --key ''",
                    places->count, text, shown < places->count ? ", ..." : "");
}

/* Names as torch.nn gives them: a network's, or one layer's. */
static bool is_network(const ptf_owner *owner)
{
    return owner->is_module || owner->has_layers ||
           (owner->has_weight && owner->has_partner);
}

/* The names in front of the owner's own; NULL when out of memory. */
static const char *name_owner(ptf_checkpoint *ckpt, const ptf_leaves *leaves,
                              const ptf_owner *owner)
{
    size_t size = owner->prefix > 0 ? owner->prefix - 1 : 0;
    return ptf_arena_copy(&ckpt->arena, leaves->items[owner->first].name, size);
}

/* True when 'inner' lies in 'outer'. */
static bool contains(const ptf_leaves *leaves, const ptf_owner *outer,
                     const ptf_owner *inner)
{
    return strncmp(leaves->items[outer->first].name,
                   leaves->items[inner->first].name, outer->prefix) == 0;
}

/* The candidate that lies highest: the one, if it contains all the others. */
static const ptf_owner *find_highest(const ptf_leaves *leaves, bool networks)
{
    const ptf_owner *highest = NULL;
    for (size_t i = 0; i < leaves->owner_count; i++) {
        const ptf_owner *owner = &leaves->owners[i];
        if (networks && !is_network(owner))
            continue;
        if (highest == NULL || owner->prefix < highest->prefix)
            highest = owner;
    }
    return highest;
}

static ptf_status list_places(ptf_checkpoint *ckpt, const ptf_leaves *leaves,
                              bool networks, ptf_places *out, ptf_error *err)
{
    const ptf_owner *seen[PTF_PLACES_SHOWN + 1]; /* the first, and the last */
    size_t kept = 0;
    *out = (ptf_places){.count = 0};
    for (size_t i = 0; i < leaves->owner_count; i++) {
        const ptf_owner *owner = &leaves->owners[i];
        bool inside = networks && !is_network(owner);
        for (size_t k = 0; k < kept && !inside; k++)
            inside = contains(leaves, seen[k], owner);
        if (inside)
            continue;
        out->count++;
        kept = kept < PTF_PLACES_SHOWN ? kept : PTF_PLACES_SHOWN;
        seen[kept++] = owner;
        if (kept > PTF_PLACES_SHOWN)
            continue;
        const char *name = name_owner(ckpt, leaves, owner);
        if (name == NULL)
            return ptf_fail_memory(err);
        out->names[kept - 1] = name;
        out->counts[kept - 1] = owner->count;
    }
    return PTF_OK;
}

/* How many tensors lie elsewhere, and the name of one. */
static void note_left_out(ptf_checkpoint *ckpt, const ptf_leaves *leaves,
                          const ptf_owner *owner)
{
    const char *first = leaves->items[owner->first].name;
    for (size_t i = 0; i < leaves->count; i++) {
        const char *name = leaves->items[i].name;
        if (strncmp(name, first, owner->prefix) != 0 && ckpt->left_out++ == 0)
            ckpt->left_name = name;
    }
}

ptf_status ptf_owner_choose(ptf_checkpoint *ckpt, const ptf_leaves *leaves,
                            const ptf_owner **out, ptf_error *err)
{
    bool networks = true;
    *out = find_highest(leaves, networks);
    if (*out == NULL) {
        networks = false;
        *out = find_highest(leaves, networks);
    }
    if (*out == NULL) /* no tensors at all */
        return PTF_OK;
    for (size_t i = 0; i < leaves->owner_count; i++) {
        const ptf_owner *owner = &leaves->owners[i];
        if ((networks && !is_network(owner)) || contains(leaves, *out, owner))
            continue;
        ptf_places places;
        ptf_status status = list_places(ckpt, leaves, networks, &places, err);
        return status == PTF_OK ? ptf_places_fail(ckpt, &places, err) : status;
    }
    ckpt->place = name_owner(ckpt, leaves, *out);
    note_left_out(ckpt, leaves, *out);
    return ckpt->place != NULL ? PTF_OK : ptf_fail_memory(err);
}
