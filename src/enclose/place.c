/*
 * Where balls lie in a walk: each value has memory of its own, or, where that
 * were too much, memory that values share one after the other.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/walk.h"

/* The last node that reads each root's balls; outputs are read in the end. */
static void find_last(const ptf_enclosure *enc, int *last)
{
    const ptf_net *net = enc->net;
    for (int i = 0; i < net->node_count; i++)
        last[i] = i;
    for (int i = 0; i < net->node_count; i++) {
        for (int k = 0; k < net->nodes[i].input_count; k++)
            last[enc->root[net->nodes[i].inputs[k]]] = i;
        last[enc->root[i]] = i;
    }
    for (int i = 0; i < net->output_count; i++)
        last[enc->root[net->outputs[i].node]] = net->node_count;
}

/* Values that are there, by where they lie. */
typedef struct placed {
    int64_t at, size;
    int last;
} placed;

/* Puts 'size' numbers into the first gap; what ended before 'node' is gone. */
static int64_t put(placed *list, int *count, int node, int64_t size, int last)
{
    int kept = 0, slot;
    for (int i = 0; i < *count; i++) {
        if (list[i].last >= node)
            list[kept++] = list[i];
    }
    int64_t at = 0;
    for (slot = 0; slot < kept && list[slot].at - at < size; slot++)
        at = list[slot].at + list[slot].size;
    memmove(list + slot + 1, list + slot,
            (size_t)(kept - slot) * sizeof(*list));
    list[slot] = (placed){at, size, last};
    *count = kept + 1;
    return at;
}

/* Offsets into 'at'; what all of them take.  Constants are there first. */
static int64_t share(const ptf_enclosure *enc, const int *last, placed *list,
                     int64_t *at)
{
    const ptf_net *net = enc->net;
    int64_t most = 0;
    int count = 0;
    for (int constants = 1; constants >= 0; constants--) {
        for (int i = 0; i < net->node_count; i++) {
            bool constant = net->nodes[i].op == PTF_OP_CONSTANT;
            if (enc->root[i] != i || constant != (constants == 1))
                continue;
            at[i] = put(list, &count, constant ? 0 : i, enc->sizes[i],
                        constant ? net->node_count : last[i]);
            most = ptf_max_i64(most, at[i] + enc->sizes[i]);
        }
    }
    return most;
}

static ptf_status place_shared(ptf_enclosure *enc, ptf_error *err)
{
    size_t nodes = (size_t)enc->net->node_count;
    placed *list = ptf_alloc((nodes + 1) * sizeof(*list));
    int64_t *at = ptf_alloc(nodes * sizeof(*at));
    int *last = ptf_alloc(nodes * sizeof(*last));
    double *bytes = NULL;
    int64_t most = 0;
    if (list != NULL && at != NULL && last != NULL) {
        find_last(enc, last);
        most = share(enc, last, list, at);
        bytes = ptf_scratch_take(&enc->shared,
                                 (2 * (size_t)most + 1) * sizeof(double));
    }
    for (size_t i = 0; bytes != NULL && i < nodes; i++) {
        ptf_balls all = {bytes, bytes + most};
        enc->own[i].balls = ptf_balls_of(all, at[enc->root[i]], 1);
    }
    ptf_free(list);
    ptf_free(at);
    ptf_free(last);
    return bytes != NULL ? PTF_OK : ptf_fail_memory(err);
}

static ptf_status place_apart(ptf_enclosure *enc, ptf_error *err)
{
    for (int i = 0; i < enc->net->node_count; i++) {
        int64_t images = enc->own[i].stride > 0 ? enc->group : 1;
        enc->own[i].balls = ptf_balls_new(&enc->arena, enc->sizes[i] * images);
        if (!enc->own[i].balls.value)
            return ptf_fail_memory(err);
    }
    enc->apart = true;
    return PTF_OK;
}

ptf_status ptf_enclose_place(ptf_enclosure *enc, bool keeps, ptf_error *err)
{
    if (!enc->staged.value) {
        enc->staged = ptf_balls_new(&enc->arena, enc->most * enc->group);
        if (!enc->staged.value)
            return ptf_fail_memory(err);
    }
    if (enc->apart)
        return PTF_OK;
    return keeps || !enc->large ? place_apart(enc, err)
                                : place_shared(enc, err);
}
