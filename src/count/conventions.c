/*
 * What other tools count, as they were found to count: each row reproduces
 * the tool's own totals on nets that have every kind of layer.  docs/counts.md
 * names the versions.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "count/count.h"

/* Short names, so that a row reads as its formula. */
enum {
    MACS = PTF_QUANTITY_MACS,
    BIASES = PTF_QUANTITY_BIASES,
    INPUTS = PTF_QUANTITY_INPUTS,
    OUTPUTS = PTF_QUANTITY_OUTPUTS,
    AFFINE = PTF_QUANTITY_AFFINE,
    PARAMETERS = PTF_QUANTITY_PARAMETERS,
    VECTORS = PTF_QUANTITY_VECTORS,
};

static const struct {
    ptf_convention about;
    ptf_convention_table formulas;
} table[] = {
    {{"macs", "multiply-adds",
      "multiply-adds of convolutions, linear layers, matrix products"},
     {.family = {[PTF_FAMILY_PRODUCT] = {[MACS] = 1},
                 [PTF_FAMILY_MATMUL] = {[MACS] = 1}}}},
    {{"flops", "operations", "twice that, as torch.utils.flop_counter counts"},
     {.family = {[PTF_FAMILY_PRODUCT] = {[MACS] = 2},
                 [PTF_FAMILY_MATMUL] = {[MACS] = 2}}}},
    {{"torchinfo", "mult-adds", "torchinfo: biases, parameters of batch norms"},
     {.family = {[PTF_FAMILY_PRODUCT] = {[MACS] = 1, [BIASES] = 1},
                 [PTF_FAMILY_AFFINE] = {[PARAMETERS] = 1}}}},
    {{"thop", "MACs", "thop: no biases; batch norm, average pooling, softmax"},
     {.family = {[PTF_FAMILY_PRODUCT] = {[MACS] = 1},
                 [PTF_FAMILY_AFFINE] = {[INPUTS] = 2, [AFFINE] = 2},
                 [PTF_FAMILY_SOFTMAX] = {[INPUTS] = 3, [VECTORS] = -1}},
      .op = {PTF_EACH_RANK(AVGPOOL, {[OUTPUTS] = 1}),
             PTF_EACH_RANK(ADAPTIVE_AVGPOOL, {[INPUTS] = 1, [OUTPUTS] = 1})}}},
    {{"fvcore", "flops",
      "fvcore: a multiply-add is one; batch norm, adaptive pooling"},
     {.family = {[PTF_FAMILY_PRODUCT] = {[MACS] = 1},
                 [PTF_FAMILY_MATMUL] = {[MACS] = 1},
                 [PTF_FAMILY_AFFINE] = {[INPUTS] = 1, [AFFINE] = 1}},
      .op = {PTF_EACH_RANK(ADAPTIVE_AVGPOOL, {[INPUTS] = 1})}}},
    /* Where module and function are both counted, the factor is 2. */
    {{"ptflops", "MACs",
      "ptflops, pytorch backend: biases, batch norm, activations, pooling"},
     {.family = {[PTF_FAMILY_PRODUCT] = {[MACS] = 1, [BIASES] = 1},
                 [PTF_FAMILY_AFFINE] = {[INPUTS] = 1, [AFFINE] = 1},
                 [PTF_FAMILY_SOFTMAX] = {[INPUTS] = 1},
                 [PTF_FAMILY_POOL] = {[INPUTS] = 2}},
      .op =
          {
#define UNARY(id, multiplies, adds, rest, back_multiplies, back_adds, \
              back_rest, ptflops)                                     \
    [PTF_OP_##id] = {[INPUTS] = (ptflops)},
#include "count/unary.inc"
#undef UNARY
          }}},
    {{"ptflops-aten", "MACs", "ptflops, aten backend: biases"},
     {.family = {[PTF_FAMILY_PRODUCT] = {[MACS] = 1, [BIASES] = 1},
                 [PTF_FAMILY_MATMUL] = {[MACS] = 1}}}},
};

const ptf_convention *ptf_convention_at(size_t index)
{
    return index < PTF_ARRAY_SIZE(table) ? &table[index].about : NULL;
}

const ptf_convention *ptf_convention_find(const char *name)
{
    size_t i = 0;
    while (i < PTF_ARRAY_SIZE(table) && strcmp(table[i].about.name, name) != 0)
        i++;
    return ptf_convention_at(i);
}

const ptf_convention_table *ptf_convention_formulas(
    const ptf_convention *convention)
{
    for (size_t i = 0; i < PTF_ARRAY_SIZE(table); i++) {
        if (convention == &table[i].about)
            return &table[i].formulas;
    }
    return NULL;
}
