/*
 * How many operations each kind of layer takes, forward and for gradients.
 *
 * Forward, a sum of n terms takes n - 1 additions.  Gradients are added up
 * from zero, as they are where several batches or layers add to one: n terms
 * take n additions.  With y the layer's output and g the cotangent of y:
 *
 *   product    x: the transposed convolution of g; w: the convolution of x
 *              with g as the filter; each has one multiply-add for each of
 *              the forward pass.  b: the sum of g.  After a sum s with
 *              y = s * scale + shift, g * scale goes on; scale: the sum of
 *              g * s; shift: the sum of g.
 *   batch norm y = x * scale + shift in evaluation.  x: g * scale; weight: the
 *              sum of g * ((x - mean) * inverse deviation); bias: that of g.
 *   norm       by the sample: of n numbers the sum and a division, a difference
 *              each, the sum of squares, a division, eps, a root, an inverse, a
 *              product each, and weight and bias.  x: h is that product again;
 *              g * weight, its sum and that with h, two divisions, two products
 *              and two differences each.  weight: the sum of g * h; bias: of g.
 *              An RMS norm has no mean.
 *   functions of one number: unary.inc
 *   softmax    for n numbers n - 1 comparisons, n subtractions, n exponentials,
 *              n - 1 additions, n divisions; x: y * (g - sum of g * y).
 *   log softmax  the same with n subtractions and one logarithm in place of the
 *              divisions; x: g - exp(y) * sum of g.
 *   matmul     as the product; each operand: one multiply-add for each of the
 *              forward pass.
 *   pooling    max: comparisons; x: g is added where the maximum was.
 *              average: the sum over the window and one division; x: g / n is
 *              added to each number of the window.
 *   binary     an operation for each number of the result.  sum, difference:
 *              g and -g go on; product: g times the other factor; quotient
 *              a / b: g / a, -g * a / (b * b); maximum, minimum: a comparison;
 *              remainder, fmod: g, and -g times a quotient that is rounded;
 *              comparisons, logic: nothing.
 *   where      a choice; a choice for each of the two.
 *   concat     nothing: numbers move.
 *   gather     nothing; x: g is added where a number was from.
 *   argsort    a comparison for each number, the fewest that there can be;
 *              x: nothing, as positions have no slope.
 *   expand     nothing; x: the sum of the g of all copies.  Other views
 *              nothing, as what they move is no operation.
 *   sum        additions; x: g.  mean: and one division; x: g / n.
 *   pad        nothing; x: where a mode repeats numbers, their g are added.
 *   upsample   the sum over its taps with their weights, nothing to the
 *              nearest; x: the same of the result's g.
 *   var        the sum and a division, a difference each, the sum of squares,
 *              a division; x: a difference and a product each, a factor.  std:
 *              and a root.  vector_norm: without the mean.
 *   logsumexp  as softmax, and a logarithm and a sum instead of divisions; x: a
 *              difference, an exponential, a product each.
 *   amax, amin comparisons; x: a comparison for each number, and g over the
 *              number of those that are equal to y.
 *
 * Where an operand is broadcast, its gradient is a sum over the numbers of the
 * result; over the batch, too, for a constant.  A value that several operands
 * read gathers its gradient from them, and all but the first that gives its
 * part take an addition for each number.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "count/count.h"

/* Short names, so that a row reads as its formula. */
enum {
    MACS = PTF_QUANTITY_MACS,
    BIASES = PTF_QUANTITY_BIASES,
    EPILOGUES = PTF_QUANTITY_EPILOGUES,
    INPUTS = PTF_QUANTITY_INPUTS,
    OUTPUTS = PTF_QUANTITY_OUTPUTS,
    AFFINE = PTF_QUANTITY_AFFINE,
    TAPS = PTF_QUANTITY_TAPS,
    WEIGHTED = PTF_QUANTITY_WEIGHTED,
    VECTORS = PTF_QUANTITY_VECTORS,
};

const ptf_formula_table ptf_forward_formulas = {
    .family =
        {
            [PTF_FAMILY_PRODUCT] =
                {.macs = {[MACS] = 1},
                 .multiplications = {[MACS] = 1, [EPILOGUES] = 1},
                 .additions = {[MACS] = 1,
                               [OUTPUTS] = -1,
                               [BIASES] = 1,
                               [EPILOGUES] = 1}},
            [PTF_FAMILY_AFFINE] = {.multiplications = {[INPUTS] = 1},
                                   .additions = {[INPUTS] = 1}},
            [PTF_FAMILY_NORM] =
                {.multiplications = {[INPUTS] = 2, [AFFINE] = 1},
                 .additions = {[INPUTS] = 3, [VECTORS] = -1, [BIASES] = 1},
                 .others = {[VECTORS] = 4}},
            [PTF_FAMILY_MATMUL] = {.macs = {[MACS] = 1},
                                   .multiplications = {[MACS] = 1},
                                   .additions = {[MACS] = 1, [OUTPUTS] = -1}},
        },
    .op =
        {
#define UNARY(id, multiplies, adds, rest, back_multiplies, back_adds, \
              back_rest, ptflops)                                     \
    [PTF_OP_##id] = {.multiplications = {[INPUTS] = (multiplies)},    \
                     .additions = {[INPUTS] = (adds)},                \
                     .others = {[INPUTS] = (rest)}},
#include "count/unary.inc"
#undef UNARY
            [PTF_OP_SOFTMAX] = {.additions = {[INPUTS] = 2, [VECTORS] = -1},
                                .others = {[INPUTS] = 3, [VECTORS] = -1}},
            [PTF_OP_LOG_SOFTMAX] = {.additions = {[INPUTS] = 3, [VECTORS] = -1},
                                    .others = {[INPUTS] = 2}},
            PTF_EACH_RANK(MAXPOOL, {.others = {[TAPS] = 1, [OUTPUTS] = -1}}),
            PTF_EACH_RANK(ADAPTIVE_MAXPOOL,
                          {.others = {[TAPS] = 1, [OUTPUTS] = -1}}),
            PTF_EACH_RANK(AVGPOOL, {.additions = {[TAPS] = 1, [OUTPUTS] = -1},
                                    .others = {[OUTPUTS] = 1}}),
            PTF_EACH_RANK(ADAPTIVE_AVGPOOL,
                          {.additions = {[TAPS] = 1, [OUTPUTS] = -1},
                           .others = {[OUTPUTS] = 1}}),
            [PTF_OP_SUM] = {.additions = {[INPUTS] = 1, [OUTPUTS] = -1}},
            [PTF_OP_MEAN] = {.additions = {[INPUTS] = 1, [OUTPUTS] = -1},
                             .others = {[OUTPUTS] = 1}},
            [PTF_OP_AMAX] = {.others = {[INPUTS] = 1, [OUTPUTS] = -1}},
            [PTF_OP_AMIN] = {.others = {[INPUTS] = 1, [OUTPUTS] = -1}},
            [PTF_OP_UPSAMPLE] = {.multiplications = {[WEIGHTED] = 1},
                                 .additions = {[TAPS] = 1, [OUTPUTS] = -1}},
            [PTF_OP_VAR] = {.multiplications = {[INPUTS] = 1},
                            .additions = {[INPUTS] = 3, [OUTPUTS] = -2},
                            .others = {[OUTPUTS] = 2}},
            [PTF_OP_STD] = {.multiplications = {[INPUTS] = 1},
                            .additions = {[INPUTS] = 3, [OUTPUTS] = -2},
                            .others = {[OUTPUTS] = 3}},
            [PTF_OP_VECTOR_NORM] = {.multiplications = {[INPUTS] = 1},
                                    .additions = {[INPUTS] = 1, [OUTPUTS] = -1},
                                    .others = {[OUTPUTS] = 1}},
            [PTF_OP_LOGSUMEXP] = {.additions = {[INPUTS] = 2},
                                  .others = {[INPUTS] = 2}},
            [PTF_OP_RMS_NORM] = {.additions = {[INPUTS] = -2, [VECTORS] = 1},
                                 .others = {[VECTORS] = -1}},
            [PTF_OP_ADD] = {.additions = {[OUTPUTS] = 1}},
            [PTF_OP_SUB] = {.additions = {[OUTPUTS] = 1}},
            [PTF_OP_MUL] = {.multiplications = {[OUTPUTS] = 1}},
            [PTF_OP_DIV] = {.others = {[OUTPUTS] = 1}},
            [PTF_OP_MAXIMUM] = {.others = {[OUTPUTS] = 1}},
            [PTF_OP_MINIMUM] = {.others = {[OUTPUTS] = 1}},
            [PTF_OP_EQ] = {.others = {[OUTPUTS] = 1}},
            [PTF_OP_NE] = {.others = {[OUTPUTS] = 1}},
            [PTF_OP_LT] = {.others = {[OUTPUTS] = 1}},
            [PTF_OP_LE] = {.others = {[OUTPUTS] = 1}},
            [PTF_OP_GT] = {.others = {[OUTPUTS] = 1}},
            [PTF_OP_GE] = {.others = {[OUTPUTS] = 1}},
            [PTF_OP_LOGICAL_AND] = {.others = {[OUTPUTS] = 1}},
            [PTF_OP_LOGICAL_OR] = {.others = {[OUTPUTS] = 1}},
            [PTF_OP_LOGICAL_XOR] = {.others = {[OUTPUTS] = 1}},
            [PTF_OP_REMAINDER] = {.others = {[OUTPUTS] = 1}},
            [PTF_OP_FMOD] = {.others = {[OUTPUTS] = 1}},
            [PTF_OP_FLOOR_DIVIDE] = {.others = {[OUTPUTS] = 1}},
            [PTF_OP_POWER] = {.others = {[OUTPUTS] = 1}},
            [PTF_OP_WHERE] = {.others = {[OUTPUTS] = 1}},
            [PTF_OP_ARGSORT] = {.others = {[INPUTS] = 1}},
        },
};

const ptf_formula_table ptf_input_gradient_formulas =
    {
        .family =
            {
                [PTF_FAMILY_PRODUCT] =
                    {.macs = {[MACS] = 1},
                     .multiplications = {[MACS] = 1, [EPILOGUES] = 1},
                     .additions = {[MACS] = 1}},
                [PTF_FAMILY_AFFINE] = {.multiplications = {[INPUTS] = 1}},
                [PTF_FAMILY_NORM] =
                    {.multiplications = {[INPUTS] = 4, [AFFINE] = 1},
                     .additions = {[INPUTS] = 5},
                     .others = {[VECTORS] = 2}},
                [PTF_FAMILY_MATMUL] = {.macs = {[MACS] = 1},
                                       .multiplications = {[MACS] = 1},
                                       .additions = {[MACS] = 1}},
            },
        .op =
            {
#define UNARY(id, multiplies, adds, rest, back_multiplies, back_adds,   \
              back_rest, ptflops)                                       \
    [PTF_OP_##id] = {.multiplications = {[INPUTS] = (back_multiplies)}, \
                     .additions = {[INPUTS] = (back_adds)},             \
                     .others = {[INPUTS] = (back_rest)}},
#include "count/unary.inc"
#undef UNARY
                [PTF_OP_SOFTMAX] = {.multiplications = {[INPUTS] = 2},
                                    .additions = {[INPUTS] = 2}},
                [PTF_OP_LOG_SOFTMAX] = {.multiplications = {[INPUTS] = 1},
                                        .additions = {[INPUTS] = 2},
                                        .others = {[INPUTS] = 1}},
                PTF_EACH_RANK(MAXPOOL, {.additions = {[OUTPUTS] = 1}}),
                PTF_EACH_RANK(ADAPTIVE_MAXPOOL, {.additions = {[OUTPUTS] = 1}}),
                PTF_EACH_RANK(AVGPOOL, {.additions = {[TAPS] = 1},
                                        .others = {[OUTPUTS] = 1}}),
                PTF_EACH_RANK(ADAPTIVE_AVGPOOL, {.additions = {[TAPS] = 1},
                                                 .others = {[OUTPUTS] = 1}}),
                [PTF_OP_MUL] = {.multiplications = {[OUTPUTS] = 1}},
                [PTF_OP_DIV] = {.others = {[OUTPUTS] = 1}},
                [PTF_OP_MAXIMUM] = {.others = {[OUTPUTS] = 1}},
                [PTF_OP_MINIMUM] = {.others = {[OUTPUTS] = 1}},
                [PTF_OP_EXPAND] = {.additions = {[OUTPUTS] = 1}},
                [PTF_OP_INDEX_SELECT] = {.additions = {[OUTPUTS] = 1}},
                [PTF_OP_INDEX] = {.additions = {[OUTPUTS] = 1}},
                [PTF_OP_GATHER] = {.additions = {[OUTPUTS] = 1}},
                [PTF_OP_MEAN] = {.others = {[OUTPUTS] = 1}},
                [PTF_OP_PAD] = {.additions = {[TAPS] = 1}},
                [PTF_OP_UPSAMPLE] = {.multiplications = {[WEIGHTED] = 1},
                                     .additions = {[TAPS] = 1}},
                [PTF_OP_AMAX] = {.others = {[INPUTS] = 1, [OUTPUTS] = 1}},
                [PTF_OP_AMIN] = {.others = {[INPUTS] = 1, [OUTPUTS] = 1}},
                [PTF_OP_VAR] = {.multiplications = {[INPUTS] = 1},
                                .additions = {[INPUTS] = 1},
                                .others = {[OUTPUTS] = 1}},
                [PTF_OP_STD] = {.multiplications = {[INPUTS] = 1},
                                .additions = {[INPUTS] = 1},
                                .others = {[OUTPUTS] = 1}},
                [PTF_OP_VECTOR_NORM] = {.multiplications = {[INPUTS] = 1},
                                        .others = {[OUTPUTS] = 1}},
                [PTF_OP_LOGSUMEXP] = {.multiplications = {[INPUTS] = 1},
                                      .additions = {[INPUTS] = 1},
                                      .others = {[INPUTS] = 1}},
                [PTF_OP_RMS_NORM] = {.additions = {[INPUTS] = -3},
                                     .others = {[VECTORS] = -1}},
            },
};

const ptf_formula_table ptf_second_gradient_formulas = {
    .family = {[PTF_FAMILY_MATMUL] = {.macs = {[MACS] = 1},
                                      .multiplications = {[MACS] = 1},
                                      .additions = {[MACS] = 1}}},
    .op =
        {
            [PTF_OP_MUL] = {.multiplications = {[OUTPUTS] = 1}},
            [PTF_OP_DIV] = {.multiplications = {[OUTPUTS] = 2},
                            .others = {[OUTPUTS] = 1}},
            [PTF_OP_MAXIMUM] = {.others = {[OUTPUTS] = 1}},
            [PTF_OP_MINIMUM] = {.others = {[OUTPUTS] = 1}},
            [PTF_OP_REMAINDER] = {.multiplications = {[OUTPUTS] = 1},
                                  .others = {[OUTPUTS] = 2}},
            [PTF_OP_FMOD] = {.multiplications = {[OUTPUTS] = 1},
                             .others = {[OUTPUTS] = 2}},
            [PTF_OP_POWER] = {.multiplications = {[OUTPUTS] = 4},
                              .others = {[OUTPUTS] = 3}},
            [PTF_OP_WHERE] = {.others = {[OUTPUTS] = 1}},
        },
};

const ptf_formula_table ptf_parameter_gradient_formulas = {
    .family =
        {
            [PTF_FAMILY_PRODUCT] =
                {.macs = {[MACS] = 1},
                 .multiplications = {[MACS] = 1, [EPILOGUES] = 1},
                 .additions = {[MACS] = 1, [BIASES] = 1, [EPILOGUES] = 2}},
            [PTF_FAMILY_AFFINE] = {.multiplications = {[AFFINE] = 2},
                                   .additions = {[AFFINE] = 2, [BIASES] = 1}},
            [PTF_FAMILY_NORM] = {.multiplications = {[AFFINE] = 2},
                                 .additions = {[AFFINE] = 2, [BIASES] = 1}},
        },
    .op = {[PTF_OP_RMS_NORM] = {.additions = {[AFFINE] = -1}}},
};
