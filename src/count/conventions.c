/*
 * What other tools count, as they were found to count: each row reproduces
 * the tool's own totals on nets that have every kind of layer.  docs/counts.md
 * names the versions.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "count/count.h"

static const struct {
    ptf_convention about;
    ptf_formula formulas[PTF_COUNT_FAMILY_COUNT];
} table[] = {
    {{"macs", "multiply-adds",
      "weight multiply-adds of convolutions and linear layers"},
     {[PTF_COUNT_FAMILY_PRODUCT] = {[PTF_QUANTITY_MACS] = 1}}},
    {{"flops", "operations", "twice that, as torch.utils.flop_counter counts"},
     {[PTF_COUNT_FAMILY_PRODUCT] = {[PTF_QUANTITY_MACS] = 2}}},
    {{"torchinfo", "mult-adds", "torchinfo: biases, parameters of batch norms"},
     {
         [PTF_COUNT_FAMILY_PRODUCT] =
             {[PTF_QUANTITY_MACS] = 1, [PTF_QUANTITY_BIASES] = 1},
         [PTF_COUNT_FAMILY_NORM] = {[PTF_QUANTITY_PARAMETERS] = 1},
     }},
    {{"thop", "MACs", "thop: no biases; batch norm, average pooling, softmax"},
     {
         [PTF_COUNT_FAMILY_PRODUCT] = {[PTF_QUANTITY_MACS] = 1},
         [PTF_COUNT_FAMILY_NORM] =
             {[PTF_QUANTITY_INPUTS] = 2, [PTF_QUANTITY_AFFINE] = 2},
         [PTF_COUNT_FAMILY_SOFTMAX] =
             {[PTF_QUANTITY_INPUTS] = 3, [PTF_QUANTITY_VECTORS] = -1},
         [PTF_COUNT_FAMILY_AVG_POOL] = {[PTF_QUANTITY_OUTPUTS] = 1},
         [PTF_COUNT_FAMILY_ADAPTIVE_AVG_POOL] =
             {[PTF_QUANTITY_INPUTS] = 1, [PTF_QUANTITY_OUTPUTS] = 1},
     }},
    {{"fvcore", "flops",
      "fvcore: a multiply-add is one; batch norm, adaptive pooling"},
     {
         [PTF_COUNT_FAMILY_PRODUCT] = {[PTF_QUANTITY_MACS] = 1},
         [PTF_COUNT_FAMILY_NORM] =
             {[PTF_QUANTITY_INPUTS] = 1, [PTF_QUANTITY_AFFINE] = 1},
         [PTF_COUNT_FAMILY_ADAPTIVE_AVG_POOL] = {[PTF_QUANTITY_INPUTS] = 1},
     }},
    /* Where module and function are both counted, the factor is 2. */
    {{"ptflops", "MACs",
      "ptflops, pytorch backend: biases, batch norm, activations, pooling"},
     {
         [PTF_COUNT_FAMILY_PRODUCT] =
             {[PTF_QUANTITY_MACS] = 1, [PTF_QUANTITY_BIASES] = 1},
         [PTF_COUNT_FAMILY_NORM] =
             {[PTF_QUANTITY_INPUTS] = 1, [PTF_QUANTITY_AFFINE] = 1},
         [PTF_COUNT_FAMILY_RELU] = {[PTF_QUANTITY_INPUTS] = 2},
         [PTF_COUNT_FAMILY_LEAKY_RELU] = {[PTF_QUANTITY_INPUTS] = 1},
         [PTF_COUNT_FAMILY_SOFTMAX] = {[PTF_QUANTITY_INPUTS] = 1},
         [PTF_COUNT_FAMILY_MAX_POOL] = {[PTF_QUANTITY_INPUTS] = 2},
         [PTF_COUNT_FAMILY_AVG_POOL] = {[PTF_QUANTITY_INPUTS] = 2},
         [PTF_COUNT_FAMILY_ADAPTIVE_AVG_POOL] = {[PTF_QUANTITY_INPUTS] = 2},
     }},
    {{"ptflops-aten", "MACs", "ptflops, aten backend: biases"},
     {[PTF_COUNT_FAMILY_PRODUCT] =
          {[PTF_QUANTITY_MACS] = 1, [PTF_QUANTITY_BIASES] = 1}}},
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

const ptf_formula *ptf_convention_formulas(const ptf_convention *convention)
{
    for (size_t i = 0; i < PTF_ARRAY_SIZE(table); i++) {
        if (convention == &table[i].about)
            return table[i].formulas;
    }
    return NULL;
}
