/*
 * Strides, from sizes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "kernel/kernel.h"

void ptf_strides_add(ptf_strides *s, int64_t size, int64_t from, int64_t to)
{
    int last = s->rank - 1;
    if (size == 1)
        return;
    if (last >= 0 && s->from[last] == size * from && s->to[last] == size * to) {
        s->size[last] *= size;
        s->from[last] = from;
        s->to[last] = to;
        return;
    }
    s->size[s->rank] = size;
    s->from[s->rank] = from;
    s->to[s->rank++] = to;
}

/* How far apart the positions of each axis of a dense array are. */
static void dense(int rank, const int64_t *size, int64_t *stride)
{
    int64_t n = 1;
    for (int d = rank - 1; d >= 0; n *= size[d--])
        stride[d] = n;
}

void ptf_strides_dense(ptf_strides *s, int rank, const int64_t *size,
                       const int64_t *from)
{
    int64_t to[PTF_AXES];
    dense(rank, size, to);
    s->rank = 0;
    for (int d = 0; d < rank; d++)
        ptf_strides_add(s, size[d], from[d], to[d]);
}

void ptf_reduction_make(ptf_reduction *r, int rank, const int64_t *in,
                        const bool *reduced)
{
    int64_t from[PTF_AXES], to[PTF_AXES], out[PTF_AXES];
    for (int d = 0; d < rank; d++)
        out[d] = reduced[d] ? 1 : in[d];
    dense(rank, in, from);
    dense(rank, out, to);
    r->kept.rank = r->terms.rank = 0;
    for (int d = 0; d < rank; d++) {
        if (reduced[d])
            ptf_strides_add(&r->terms, in[d], from[d], 0);
        else
            ptf_strides_add(&r->kept, in[d], from[d], to[d]);
    }
}
