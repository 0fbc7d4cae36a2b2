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

typedef struct ptf_draft {
    ptf_arena arena;
    const ptf_program *program; /* that it is of */
    json_t *root;               /* as in models/NAME.json */
    ptf_text_table tensors;     /* ptf_tensor, by the state dict's name */
} ptf_draft;

/* The program as it is, which must outlive the draft; free it in any case. */
ptf_status ptf_draft_read(const ptf_program *program, ptf_draft *out,
                          ptf_error *err);
void ptf_draft_free(ptf_draft *draft);

/* Writes it, with the program's example and extra files. */
ptf_status ptf_draft_save(const ptf_draft *draft, const char *path,
                          ptf_error *err);

/* The lists that the signature and the graph have in parallel. */
json_t *ptf_draft_graph(const ptf_draft *draft);
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

#endif
