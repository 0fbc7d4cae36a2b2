/*
 * Archives of torch.export whose JSON tests change.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_PROGRAM_SOURCE_H
#define PTF_PROGRAM_SOURCE_H

#include "make_program.h"
#include "program/program.h"

#include <jansson.h>

enum { PROGRAM_SOURCE_ENTRIES = 64 };

/* A program's archive, of which tests change an entry. */
typedef struct program_source {
    ptf_file file;
    ptf_archive archive;
    char names[PROGRAM_SOURCE_ENTRIES][128]; /* of the entries, with a root */
    program_entry entries[PROGRAM_SOURCE_ENTRIES];
    size_t count, graph, weights; /* numbers of entries */
} program_source;

void program_source_open(const char *path, program_source *s);
void program_source_close(program_source *s);
json_t *program_source_parse(const program_source *s, size_t entry);

/* The archive with that text in place of an entry's; free 'zip'. */
void program_source_change(const program_source *s, size_t entry,
                           const char *text, ptf_buffer *zip);

/* What takes a value's place, by number; NULL behind the last. */
json_t *program_substitute(int i);

#endif
