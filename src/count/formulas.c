/*
 * How many operations each kind of layer takes, forward and for gradients.
 *
 * Forward, a sum of n terms takes n - 1 additions.  Gradients are added up
 * from zero, as they are where several batches or layers add to one: n terms
 * take n additions.  With y the layer's output and g the cotangent of y:
 *
 *   product    x: the transposed convolution of g; w: the convolution of x
 *              with g as the filter; each has one multiply-add for each of
 *              the forward pass.  b: the sum of g.  Behind a sum s with
 *              y = s * scale + shift, g * scale goes on; scale: the sum of
 *              g * s; shift: the sum of g.
 *   norm       y = x * scale + shift in evaluation.  x: g * scale; weight: the
 *              sum of g * ((x - mean) * inverse deviation); bias: that of g.
 *   relu       a comparison for each number; leaky: and a multiplication.
 *   sigmoid    1 / (1 + exp(-x)); x: g * y * (1 - y).
 *   tanh       e = exp(-2 |x|), (1 - e) / (1 + e); x: g * (1 - y * y).
 *   softplus   z = beta x, (max(z, 0) + log(1 + exp(-|z|))) / beta or x; x:
 *              g / (1 + exp(-beta x)) or g.
 *   softmax    for n numbers n - 1 comparisons, n subtractions, n exponentials,
 *              n - 1 additions, n divisions; x: y * (g - sum of g * y).
 *   pooling    max: comparisons; x: g is added where the maximum was.
 *              average: the sum over the window and one division; x: g / n is
 *              added to each number of the window.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "count/count.h"

const ptf_formulas ptf_forward_formulas[PTF_COUNT_FAMILY_COUNT] = {
    [PTF_COUNT_FAMILY_PRODUCT] =
        {.macs = {[PTF_QUANTITY_MACS] = 1},
         .multiplications =
             {[PTF_QUANTITY_MACS] = 1, [PTF_QUANTITY_EPILOGUES] = 1},
         .additions = {[PTF_QUANTITY_MACS] = 1,
                       [PTF_QUANTITY_OUTPUTS] = -1,
                       [PTF_QUANTITY_BIASES] = 1,
                       [PTF_QUANTITY_EPILOGUES] = 1}},
    [PTF_COUNT_FAMILY_NORM] = {.multiplications = {[PTF_QUANTITY_INPUTS] = 1},
                               .additions = {[PTF_QUANTITY_INPUTS] = 1}},
    [PTF_COUNT_FAMILY_RELU] = {.others = {[PTF_QUANTITY_INPUTS] = 1}},
    [PTF_COUNT_FAMILY_LEAKY_RELU] = {.multiplications = {[PTF_QUANTITY_INPUTS] =
                                                             1},
                                     .others = {[PTF_QUANTITY_INPUTS] = 1}},
    [PTF_COUNT_FAMILY_SIGMOID] = {.additions = {[PTF_QUANTITY_INPUTS] = 1},
                                  .others = {[PTF_QUANTITY_INPUTS] = 2}},
    [PTF_COUNT_FAMILY_TANH] = {.multiplications = {[PTF_QUANTITY_INPUTS] = 1},
                               .additions = {[PTF_QUANTITY_INPUTS] = 2},
                               .others = {[PTF_QUANTITY_INPUTS] = 2}},
    [PTF_COUNT_FAMILY_SOFTPLUS] = {.multiplications = {[PTF_QUANTITY_INPUTS] =
                                                           1},
                                   .additions = {[PTF_QUANTITY_INPUTS] = 2},
                                   .others = {[PTF_QUANTITY_INPUTS] = 4}},
    [PTF_COUNT_FAMILY_SOFTMAX] =
        {.additions = {[PTF_QUANTITY_INPUTS] = 2, [PTF_QUANTITY_VECTORS] = -1},
         .others = {[PTF_QUANTITY_INPUTS] = 3, [PTF_QUANTITY_VECTORS] = -1}},
    [PTF_COUNT_FAMILY_MAX_POOL] =
        {.others = {[PTF_QUANTITY_TAPS] = 1, [PTF_QUANTITY_OUTPUTS] = -1}},
    [PTF_COUNT_FAMILY_AVG_POOL] =
        {.additions = {[PTF_QUANTITY_TAPS] = 1, [PTF_QUANTITY_OUTPUTS] = -1},
         .others = {[PTF_QUANTITY_OUTPUTS] = 1}},
    [PTF_COUNT_FAMILY_ADAPTIVE_AVG_POOL] =
        {.additions = {[PTF_QUANTITY_TAPS] = 1, [PTF_QUANTITY_OUTPUTS] = -1},
         .others = {[PTF_QUANTITY_OUTPUTS] = 1}},
};

const ptf_formulas ptf_input_gradient_formulas[PTF_COUNT_FAMILY_COUNT] = {
    [PTF_COUNT_FAMILY_PRODUCT] =
        {.macs = {[PTF_QUANTITY_MACS] = 1},
         .multiplications =
             {[PTF_QUANTITY_MACS] = 1, [PTF_QUANTITY_EPILOGUES] = 1},
         .additions = {[PTF_QUANTITY_MACS] = 1}},
    [PTF_COUNT_FAMILY_NORM] = {.multiplications = {[PTF_QUANTITY_INPUTS] = 1}},
    [PTF_COUNT_FAMILY_RELU] = {.others = {[PTF_QUANTITY_INPUTS] = 1}},
    [PTF_COUNT_FAMILY_LEAKY_RELU] = {.multiplications = {[PTF_QUANTITY_INPUTS] =
                                                             1},
                                     .others = {[PTF_QUANTITY_INPUTS] = 1}},
    [PTF_COUNT_FAMILY_SIGMOID] = {.multiplications = {[PTF_QUANTITY_INPUTS] =
                                                          2},
                                  .additions = {[PTF_QUANTITY_INPUTS] = 1}},
    [PTF_COUNT_FAMILY_TANH] = {.multiplications = {[PTF_QUANTITY_INPUTS] = 2},
                               .additions = {[PTF_QUANTITY_INPUTS] = 1}},
    [PTF_COUNT_FAMILY_SOFTPLUS] = {.multiplications = {[PTF_QUANTITY_INPUTS] =
                                                           1},
                                   .additions = {[PTF_QUANTITY_INPUTS] = 1},
                                   .others = {[PTF_QUANTITY_INPUTS] = 3}},
    [PTF_COUNT_FAMILY_SOFTMAX] = {.multiplications = {[PTF_QUANTITY_INPUTS] =
                                                          2},
                                  .additions = {[PTF_QUANTITY_INPUTS] = 2}},
    [PTF_COUNT_FAMILY_MAX_POOL] = {.additions = {[PTF_QUANTITY_OUTPUTS] = 1}},
    [PTF_COUNT_FAMILY_AVG_POOL] = {.additions = {[PTF_QUANTITY_TAPS] = 1},
                                   .others = {[PTF_QUANTITY_OUTPUTS] = 1}},
    [PTF_COUNT_FAMILY_ADAPTIVE_AVG_POOL] = {.additions = {[PTF_QUANTITY_TAPS] =
                                                              1},
                                            .others = {[PTF_QUANTITY_OUTPUTS] =
                                                           1}},
};

const ptf_formulas ptf_parameter_gradient_formulas[PTF_COUNT_FAMILY_COUNT] = {
    [PTF_COUNT_FAMILY_PRODUCT] =
        {.macs = {[PTF_QUANTITY_MACS] = 1},
         .multiplications =
             {[PTF_QUANTITY_MACS] = 1, [PTF_QUANTITY_EPILOGUES] = 1},
         .additions = {[PTF_QUANTITY_MACS] = 1,
                       [PTF_QUANTITY_BIASES] = 1,
                       [PTF_QUANTITY_EPILOGUES] = 2}},
    [PTF_COUNT_FAMILY_NORM] =
        {.multiplications = {[PTF_QUANTITY_AFFINE] = 2},
         .additions = {[PTF_QUANTITY_AFFINE] = 2, [PTF_QUANTITY_BIASES] = 1}},
};
