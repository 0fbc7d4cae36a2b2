/*
 * TorchScript modules, and libtorch's own batch norm fold.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "common.h"

#include <torch/csrc/jit/passes/fold_conv_bn.h>
#include <torch/script.h>

struct ltc_module {
    torch::jit::Module value;
};

int ltc_module_load(const char *path, ltc_module **out)
{
    return ltc_guard([&] {
        *out = nullptr;
        *out = new ltc_module{torch::jit::load(path)};
        (*out)->value.eval();
        return LTC_OK;
    });
}

void ltc_module_free(ltc_module *module)
{
    delete module;
}

int ltc_module_forward(ltc_module *module, const ltc_tensor *x,
                       ltc_tensor **out)
{
    return ltc_give(
        out, [&] { return module->value.forward({x->value}).toTensor(); });
}

int ltc_fold_conv_bn(const ltc_tensor *weight, const ltc_tensor *bias,
                     const ltc_tensor *mean, const ltc_tensor *var, double eps,
                     const ltc_tensor *gamma, const ltc_tensor *beta,
                     ltc_tensor **new_weight, ltc_tensor **new_bias)
{
    return ltc_guard([&] {
        *new_weight = *new_bias = nullptr;
        torch::jit::ConvBNParameters p;
        p.conv_w = weight->value;
        p.conv_b = bias != nullptr ? bias->value : at::zeros_like(mean->value);
        p.bn_rm = mean->value;
        p.bn_rv = var->value;
        p.bn_eps = eps;
        p.bn_w = gamma->value;
        p.bn_b = beta->value;
        auto folded = torch::jit::computeUpdatedConvWeightAndBias(p);
        auto *w = new ltc_tensor{std::get<0>(folded)};
        try {
            *new_bias = new ltc_tensor{std::get<1>(folded)};
        } catch (...) {
            delete w;
            throw;
        }
        *new_weight = w;
        return LTC_OK;
    });
}
