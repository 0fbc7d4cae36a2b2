/*
 * The arguments of operators: how they are declared, and how they are given.
 * The table of schemas is made from aten_schemas.txt when ptfold is built.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_SCHEMA_H
#define PTF_SCHEMA_H

#include "tensor/tensor.h"

/* ---------------------------------------------------------------- arguments */

typedef enum ptf_argument_kind {
    PTF_ARGUMENT_NONE,
    PTF_ARGUMENT_VALUE,  /* a tensor, or a number that sizes decide */
    PTF_ARGUMENT_VALUES, /* a list of tensors, of which some may be absent */
    PTF_ARGUMENT_INT,
    PTF_ARGUMENT_INTS, /* a list of numbers, of which some may be values */
    PTF_ARGUMENT_FLOAT,
    PTF_ARGUMENT_FLOATS,
    PTF_ARGUMENT_BOOL,
    PTF_ARGUMENT_BOOLS,
    PTF_ARGUMENT_COMPLEX,
    PTF_ARGUMENT_TEXT,
    PTF_ARGUMENT_TEXTS,
    PTF_ARGUMENT_DTYPE,
    PTF_ARGUMENT_DEVICE,
    PTF_ARGUMENT_LAYOUT,
    PTF_ARGUMENT_MEMORY_FORMAT,
    PTF_ARGUMENT_GRAPH,
    PTF_ARGUMENT_OTHER, /* sound, but nothing that ptfold can use */
} ptf_argument_kind;

/* "a tensor", "a list of integers", for messages. */
const char *ptf_argument_kind_name(ptf_argument_kind kind);

/* PyTorch's numbers of memory formats in .pt2 files. */
typedef enum ptf_memory_format {
    PTF_MEMORY_CONTIGUOUS = 1,
    PTF_MEMORY_CHANNELS_LAST,
    PTF_MEMORY_CHANNELS_LAST_3D,
    PTF_MEMORY_PRESERVE,
} ptf_memory_format;

/* An element of a list of integers. */
typedef struct ptf_argument_int {
    int64_t number;
    int value; /* the number of the graph's value that decides, or -1 */
} ptf_argument_int;

typedef struct ptf_argument {
    const char *name; /* as the schema calls it */
    ptf_argument_kind kind;
    bool given; /* false: it is the default */
    int count;  /* of lists */
    union {
        int value;         /* VALUE: the number of the graph's value */
        const void *items; /* of any list */
        const int *values; /* VALUES: each a number, or -1 for None */
        int64_t integer;
        const ptf_argument_int *integers;
        double number;
        const double *numbers;
        double complex_number[2];
        bool truth;
        const bool *truths;
        const char *text; /* TEXT; what it is of OTHER; type of a DEVICE */
        const char *const *texts;
        ptf_dtype dtype;
        int layout; /* PyTorch's number */
        ptf_memory_format memory_format;
        const struct ptf_program_graph *graph;
    };
} ptf_argument;

/* ------------------------------------------------------------------ schemas */

typedef enum ptf_schema_type {
    PTF_SCHEMA_TENSOR,
    PTF_SCHEMA_INT, /* also SymInt */
    PTF_SCHEMA_FLOAT,
    PTF_SCHEMA_BOOL,
    PTF_SCHEMA_SCALAR,
    PTF_SCHEMA_TEXT,
    PTF_SCHEMA_DTYPE,
    PTF_SCHEMA_DEVICE,
    PTF_SCHEMA_LAYOUT,
    PTF_SCHEMA_MEMORY_FORMAT,
    PTF_SCHEMA_GENERATOR,
} ptf_schema_type;

/* "Tensor(a!)? self", "SymInt[2] stride=[1, 1]".  There are thousands: small. */
typedef struct ptf_schema_argument {
    const char *name;
    ptf_schema_type type : 8;
    bool is_list : 1, is_optional : 1;
    bool has_optional_elements : 1; /* Tensor?[] */
    bool is_keyword : 1;            /* stands after the '*' */
    bool has_default : 1;
    bool is_written : 1;    /* the '!': the call writes to it */
    char alias;             /* the letter of its storage, or 0 */
    uint8_t size;           /* of a list whose length is fixed: int[2]; or 0 */
    ptf_argument otherwise; /* meaningful with has_default */
} ptf_schema_argument;

typedef struct ptf_schema_result {
    ptf_schema_type type;
    bool is_list;
    bool is_written;
    char alias; /* the result shares the storage of the argument with it */
} ptf_schema_result;

typedef struct ptf_schema {
    const char *target; /* "aten.conv2d.default" */
    const ptf_schema_argument *arguments;
    const ptf_schema_result *results;
    int argument_count, result_count;
} ptf_schema;

/* The schema of "aten.conv2d.default", or NULL when it is not in the table. */
const ptf_schema *ptf_schema_find(const char *target);

/* The table, in the order of targets. */
const ptf_schema *ptf_schema_table(size_t *count);

#endif
