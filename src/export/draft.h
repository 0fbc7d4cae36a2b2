/*
 * draft: a program on its way into a .pt2.  It is the JSON of its graph, in
 * the words of PyTorch 2.13, and the tensors that its signature names; draft.c
 * takes both from a program that was read, and draft_file.c writes them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_DRAFT_H
#define PTF_DRAFT_H

#include "program/program.h"

#include <jansson.h>

/* What PyTorch 2.13 writes; readers compare the major number. */
enum { PTF_DRAFT_MAJOR = 8, PTF_DRAFT_MINOR = 20 };

/* Under its name in the state dict. */
typedef struct ptf_draft_tensor {
    const ptf_tensor *tensor;
    bool dropped; /* no input of the graph is this one any more */
} ptf_draft_tensor;

typedef struct ptf_draft {
    ptf_arena arena;
    const ptf_program *program; /* whose example and extra files it has, or
                                   NULL */
    const char *assumes;        /* what the net rests on, or NULL */
    json_t *root;               /* as in models/NAME.json */
    ptf_text_table tensors;     /* ptf_draft_tensor, by name */
} ptf_draft;

/* The program as it is, which must outlive the draft; free it in any case. */
ptf_status ptf_draft_read(const ptf_program *program, ptf_draft *out,
                          ptf_error *err);
void ptf_draft_free(ptf_draft *draft);

/*
 * Writes it, with the program's example and extra files; 'source' is the
 * checkpoint that the tensors are from, or NULL.  Before the file appears it
 * is read again by 'check', unless that is NULL.
 */
typedef ptf_status ptf_draft_check(const void *context, const char *path,
                                   ptf_error *err);
ptf_status ptf_draft_save(const ptf_draft *draft, const char *path,
                          const ptf_checkpoint *source, ptf_draft_check *check,
                          const void *context, ptf_error *err);

json_t *ptf_draft_graph(const ptf_draft *draft);
/* The modules that are called. */
json_t *ptf_draft_calls(const ptf_draft *draft);
/* "input_specs" or "output_specs", parallel to the graph's lists. */
json_t *ptf_draft_specs(const ptf_draft *draft, const char *key);

/*
 * What an element of the signature's input_specs says of a tensor of the
 * file; false for inputs that are none.
 */
typedef struct ptf_draft_input {
    const char *value; /* its name in the graph */
    const char *name;  /* in the state dict */
    bool is_parameter;
    bool in_state; /* else among the constants */
} ptf_draft_input;

bool ptf_draft_tensor_input(const json_t *spec, ptf_draft_input *out);

/* A TensorMeta of PyTorch's, and its list of sizes; NULL without memory. */
json_t *ptf_draft_meta(const ptf_tensor *tensor, int64_t offset, bool trained);
json_t *ptf_draft_sizes(const int64_t *sizes, int count);

#endif
