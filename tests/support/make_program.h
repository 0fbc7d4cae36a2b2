/*
 * Makes torch.export archives out of JSON, so that tests can write graphs
 * that no PyTorch would.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_MAKE_PROGRAM_H
#define PTF_MAKE_PROGRAM_H

#include "base/base.h"

typedef struct program_entry {
    const char *name; /* with the root */
    const void *data;
    size_t size;
} program_entry;

/* A zip of stored entries; release 'out' with ptf_buffer_free(). */
void make_zip(const program_entry *entries, size_t count, ptf_buffer *out);

/*
 * An archive with this graph, this JSON of its weights, no constants and one
 * entry data/weights/weight_0.
 */
void make_program(const char *graph, size_t graph_size, const char *weights,
                  size_t weights_size, ptf_buffer *out);

#endif
