/*
 * count: a net's operations and memory, layer by layer.
 *
 * Every count is a sum of a few quantities of the layer (weight multiply-adds,
 * inputs, outputs, ...) with small whole factors, so that formulas and the
 * conventions of other tools are tables: see formulas.c and conventions.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_COUNT_H
#define PTF_COUNT_H

#include "net/net.h"

/* A row of a table of ops for each of an op's ranks. */
#define PTF_EACH_RANK(id, ...)                                        \
    [PTF_OP_##id##1D] = __VA_ARGS__, [PTF_OP_##id##2D] = __VA_ARGS__, \
    [PTF_OP_##id##3D] = __VA_ARGS__

/* What the formulas are made of; all are those of the whole batch. */
typedef enum ptf_quantity {
    PTF_QUANTITY_MACS,       /* a weight, or a value of the other
                                operand, times a value; padded taps count */
    PTF_QUANTITY_BIASES,     /* outputs that a bias is added to */
    PTF_QUANTITY_EPILOGUES,  /* outputs with a scale and shift after the sum */
    PTF_QUANTITY_INPUTS,     /* numbers that come in, of all operands */
    PTF_QUANTITY_OUTPUTS,    /* numbers that go out */
    PTF_QUANTITY_AFFINE,     /* outputs of a norm that has weights */
    PTF_QUANTITY_PARAMETERS, /* trainable numbers, again for each sample */
    PTF_QUANTITY_TAPS,     /* numbers that the windows of a pooling look at, or
                                that a pad or an upsample takes */
    PTF_QUANTITY_WEIGHTED, /* those of an upsample that are multiplied */
    PTF_QUANTITY_VECTORS,  /* what a softmax, or a norm, takes sums of */
    PTF_QUANTITY_COUNT,
} ptf_quantity;

/* The factor of each quantity. */
typedef int8_t ptf_formula[PTF_QUANTITY_COUNT];

/* The four counts of ptf_operations. */
typedef struct ptf_formulas {
    ptf_formula macs, multiplications, additions, others;
} ptf_formulas;

/* An op takes what its family's row and its own row say, together. */
typedef struct ptf_formula_table {
    ptf_formulas family[PTF_FAMILY_COUNT], op[PTF_OP_COUNT];
} ptf_formula_table;

/* Gradients by the first operand and by the second, and by parameters. */
extern const ptf_formula_table ptf_forward_formulas,
    ptf_input_gradient_formulas, ptf_second_gradient_formulas,
    ptf_parameter_gradient_formulas;

/* The same of what another tool counts. */
typedef struct ptf_convention_table {
    ptf_formula family[PTF_FAMILY_COUNT], op[PTF_OP_COUNT];
} ptf_convention_table;

/* NULL if there is no such convention. */
const ptf_convention_table *ptf_convention_formulas(
    const ptf_convention *convention);

#endif
