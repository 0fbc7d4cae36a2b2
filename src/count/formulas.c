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

const ptf_formulas ptf_forward_formulas[PTF_FAMILY_COUNT] = {
    [PTF_PRODUCT] = {.macs = {[PTF_MACS] = 1},
                     .multiplications = {[PTF_MACS] = 1, [PTF_EPILOGUES] = 1},
                     .additions = {[PTF_MACS] = 1,
                                   [PTF_OUTPUTS] = -1,
                                   [PTF_BIASES] = 1,
                                   [PTF_EPILOGUES] = 1}},
    [PTF_NORM] = {.multiplications = {[PTF_INPUTS] = 1},
                  .additions = {[PTF_INPUTS] = 1}},
    [PTF_RELU] = {.others = {[PTF_INPUTS] = 1}},
    [PTF_LEAKY_RELU] = {.multiplications = {[PTF_INPUTS] = 1},
                        .others = {[PTF_INPUTS] = 1}},
    [PTF_SIGMOID] = {.additions = {[PTF_INPUTS] = 1},
                     .others = {[PTF_INPUTS] = 2}},
    [PTF_TANH] = {.multiplications = {[PTF_INPUTS] = 1},
                  .additions = {[PTF_INPUTS] = 2},
                  .others = {[PTF_INPUTS] = 2}},
    [PTF_SOFTPLUS] = {.multiplications = {[PTF_INPUTS] = 1},
                      .additions = {[PTF_INPUTS] = 2},
                      .others = {[PTF_INPUTS] = 4}},
    [PTF_SOFTMAX] = {.additions = {[PTF_INPUTS] = 2, [PTF_VECTORS] = -1},
                     .others = {[PTF_INPUTS] = 3, [PTF_VECTORS] = -1}},
    [PTF_MAX_POOL] = {.others = {[PTF_TAPS] = 1, [PTF_OUTPUTS] = -1}},
    [PTF_AVG_POOL] = {.additions = {[PTF_TAPS] = 1, [PTF_OUTPUTS] = -1},
                      .others = {[PTF_OUTPUTS] = 1}},
    [PTF_ADAPTIVE_AVG_POOL] =
        {.additions = {[PTF_TAPS] = 1, [PTF_OUTPUTS] = -1},
         .others = {[PTF_OUTPUTS] = 1}},
};

const ptf_formulas ptf_input_gradient_formulas[PTF_FAMILY_COUNT] = {
    [PTF_PRODUCT] = {.macs = {[PTF_MACS] = 1},
                     .multiplications = {[PTF_MACS] = 1, [PTF_EPILOGUES] = 1},
                     .additions = {[PTF_MACS] = 1}},
    [PTF_NORM] = {.multiplications = {[PTF_INPUTS] = 1}},
    [PTF_RELU] = {.others = {[PTF_INPUTS] = 1}},
    [PTF_LEAKY_RELU] = {.multiplications = {[PTF_INPUTS] = 1},
                        .others = {[PTF_INPUTS] = 1}},
    [PTF_SIGMOID] = {.multiplications = {[PTF_INPUTS] = 2},
                     .additions = {[PTF_INPUTS] = 1}},
    [PTF_TANH] = {.multiplications = {[PTF_INPUTS] = 2},
                  .additions = {[PTF_INPUTS] = 1}},
    [PTF_SOFTPLUS] = {.multiplications = {[PTF_INPUTS] = 1},
                      .additions = {[PTF_INPUTS] = 1},
                      .others = {[PTF_INPUTS] = 3}},
    [PTF_SOFTMAX] = {.multiplications = {[PTF_INPUTS] = 2},
                     .additions = {[PTF_INPUTS] = 2}},
    [PTF_MAX_POOL] = {.additions = {[PTF_OUTPUTS] = 1}},
    [PTF_AVG_POOL] = {.additions = {[PTF_TAPS] = 1},
                      .others = {[PTF_OUTPUTS] = 1}},
    [PTF_ADAPTIVE_AVG_POOL] = {.additions = {[PTF_TAPS] = 1},
                               .others = {[PTF_OUTPUTS] = 1}},
};

const ptf_formulas ptf_parameter_gradient_formulas[PTF_FAMILY_COUNT] = {
    [PTF_PRODUCT] =
        {.macs = {[PTF_MACS] = 1},
         .multiplications = {[PTF_MACS] = 1, [PTF_EPILOGUES] = 1},
         .additions = {[PTF_MACS] = 1, [PTF_BIASES] = 1, [PTF_EPILOGUES] = 2}},
    [PTF_NORM] = {.multiplications = {[PTF_AFFINE] = 2},
                  .additions = {[PTF_AFFINE] = 2, [PTF_BIASES] = 1}},
};
