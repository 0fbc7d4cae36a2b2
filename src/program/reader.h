/*
 * The reader's insides, shared by the files that read a program.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_PROGRAM_READER_H
#define PTF_PROGRAM_READER_H

#include "checkpoint/reader.h"
#include "program/program.h"
#include "program/tree.h"

/* Where one of a program's groups of tensors lies. */
typedef struct ptf_payload {
    const char *folder;    /* "data/weights/" */
    ptf_checkpoint *torch; /* layouts A and B: a file of torch.save() */
    json_t *config;        /* layout C: what is in which entry */
    const char *entry;     /* of either, for messages */
} ptf_payload;

/* What is only there while a program is read. */
typedef struct ptf_program_reader {
    ptf_program *program;
    ptf_tree_source source; /* of the graph's JSON */
    ptf_payload weights, constants;
    ptf_checkpoint *samples;  /* or NULL */
    ptf_text_table by_symbol; /* 1 + its number */
    ptf_text_table storages;  /* ptf_held_storage by path_name */
    size_t symbol_capacity;
    const char *device;  /* the last one that was read */
    size_t tensor_bytes; /* of all, with those that share memory */
    int depth;           /* of graphs in graphs */
} ptf_program_reader;

/* ------------------------------------------------------------------- graphs */

/* A graph that grows. */
typedef struct ptf_graph_maker {
    ptf_program_value *values;
    ptf_program_node *nodes;
    size_t value_count, value_capacity, node_count, node_capacity;
    ptf_text_table used; /* the values' names, which are unique */
} ptf_graph_maker;

/*
 * The names that a graph's text can use.  A graph that is inlined has a scope
 * of its own that adds to the maker of the graph around it.
 */
typedef struct ptf_scope {
    ptf_program_reader *reader;
    ptf_graph_maker *maker;
    ptf_tree recorded[PTF_PROGRAM_OBJECT]; /* by kind and name */
    ptf_text_table names;                  /* 1 + the value's number */
    struct ptf_scope *outer;               /* of an inlined graph, else NULL */
    const char *prefix;     /* what its names get in front: "submod_1__" */
    ptf_text_table renamed; /* results that have a name outside: that name */
} ptf_scope;

/* "a tensor", "an integer", for messages. */
const char *ptf_program_kind_name(ptf_program_kind kind);

/* The number of a value that is defined above and is of that kind. */
ptf_status ptf_scope_find(const ptf_scope *scope, const ptf_tree *name,
                          ptf_program_kind kind, int *out);

/* Reads a graph that is an argument, nested at most so deep. */
enum { PTF_PROGRAM_MAX_DEPTH = 32 };
ptf_status ptf_program_read_graph(ptf_program_reader *r, const ptf_tree *tree,
                                  const char *name, ptf_program_graph *out);

/* An integer or an expression of symbols. */
ptf_status ptf_program_read_size(ptf_program_reader *r, const ptf_tree *tree,
                                 ptf_program_size *out);

/* What is recorded of a tensor; its name and maker are left alone. */
ptf_status ptf_program_read_meta(ptf_program_reader *r, const ptf_tree *tree,
                                 ptf_program_value *out);

/* The bounds of symbols. */
ptf_status ptf_program_read_ranges(ptf_program_reader *r, const ptf_tree *root);

/* A dtype by its number in these files. */
ptf_status ptf_program_read_dtype(const ptf_tree_source *source,
                                  const ptf_tree *tree, ptf_dtype *out);

/* The elements of a list of sizes; *count of them. */
ptf_status ptf_program_read_sizes(ptf_program_reader *r, const ptf_tree *tree,
                                  const char *key, const ptf_program_size **out,
                                  int *count);

/* ---------------------------------------------------------------- arguments */

/* Reads a union of PyTorch's "Argument"; the name is left alone. */
ptf_status ptf_program_read_argument(const ptf_scope *scope,
                                     const ptf_tree *tree, ptf_argument *out);

/*
 * Reads a call's arguments, with a schema into its order and types; what the
 * file leaves out gets its default.
 */
ptf_status ptf_program_read_arguments(const ptf_scope *scope,
                                      const ptf_tree *inputs,
                                      ptf_program_node *node);

/* ---------------------------------------------------------------- signature */

/* What graph inputs and outputs are, and how their callers name them. */
ptf_status ptf_program_read_signature(ptf_program_reader *r,
                                      const ptf_tree *module);

/* A leaf of a pytree: "boxes.0", and where it is in ((boxes), {}): "0.0.0". */
typedef struct ptf_leaf_name {
    const char *name; /* "" below an argument whose name is not known */
    const char *path;
} ptf_leaf_name;

/*
 * Names the leaves of a pytree, as its JSON text describes it.  Names of
 * positional arguments come from 'names', those of named tuples' members from
 * 'fields', which are members of the file's JSON, or NULL.
 */
ptf_status ptf_pytree_names(const ptf_tree_source *source, const char *spec,
                            const json_t *names, const json_t *fields,
                            bool is_input, ptf_leaf_name **out, size_t *count);

/* ------------------------------------------------------------------ tensors */

/*
 * Finds the data of a parameter, buffer or constant; 'at' is where it is
 * asked for.
 */
ptf_status ptf_payload_find(ptf_program_reader *r, const ptf_payload *payload,
                            const ptf_tree *at, const char *name,
                            const ptf_tensor **out);

/* Opens weights, constants and samples. */
ptf_status ptf_payloads_open(ptf_program_reader *r);
void ptf_payloads_close(ptf_program_reader *r);

/* Finds the model that is meant, its graph's entry and the extra files. */
ptf_status ptf_program_find_model(ptf_program *p, const char *wanted,
                                  ptf_error *err);

/* Reads an entry in full and compares its checksum. */
ptf_status ptf_program_load(ptf_program *program, ptf_entry *entry,
                            ptf_error *err);
/* Parses one that is a JSON object of at most so many values, but for texts
 * that nobody reads, which are empty. */
ptf_status ptf_program_parse(const ptf_origin *origin, const ptf_entry *entry,
                             size_t most, json_t **out, ptf_error *err);
/* The same of one that is to be loaded. */
ptf_status ptf_program_load_json(ptf_program *program, ptf_entry *entry,
                                 json_t **out, ptf_error *err);

#endif
