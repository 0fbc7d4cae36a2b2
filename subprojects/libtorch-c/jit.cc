/*
 * TorchScript modules, and libtorch's own batch norm fold.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "common.h"

#include <torch/csrc/jit/passes/fold_conv_bn.h>
#include <torch/script.h>

#include <memory>

struct ltc_module {
    torch::jit::Module value;
};

int ltc_module_load(const char *path, ltc_module **out)
{
    return ltc_guard([&] {
        ltc_need(out) = nullptr;
        torch::jit::Module module = torch::jit::load(&ltc_need(path));
        module.eval();
        *out = new ltc_module{module};
    });
}

void ltc_module_free(ltc_module *module)
{
    delete module;
}

int ltc_module_convert(ltc_module *module, ltc_dtype dtype)
{
    return ltc_guard(
        [&] { ltc_need(module).value.to(ltc_scalar_type(dtype)); });
}

int ltc_module_forward(ltc_module *module, const ltc_tensor *x,
                       ltc_tensor **out)
{
    return ltc_give(out, [&] {
        return ltc_need(module).value.forward({ltc_value(x)}).toTensor();
    });
}

/* A parameter, or what stands for one that is not there. */
static at::Tensor or_full(const ltc_tensor *t, const at::Tensor &like,
                          double value)
{
    return t != nullptr ? t->value : at::full_like(like, value);
}

int ltc_fold_conv_bn(const ltc_tensor *weight, const ltc_tensor *bias,
                     const ltc_tensor *mean, const ltc_tensor *var, double eps,
                     const ltc_tensor *gamma, const ltc_tensor *beta,
                     ltc_tensor **new_weight, ltc_tensor **new_bias)
{
    return ltc_guard([&] {
        ltc_need(new_weight) = nullptr;
        ltc_need(new_bias) = nullptr;
        torch::jit::ConvBNParameters p;
        p.conv_w = ltc_value(weight);
        p.bn_rm = ltc_value(mean);
        p.bn_rv = ltc_value(var);
        p.bn_eps = eps;
        p.conv_b = or_full(bias, p.bn_rm, 0);
        p.bn_w = or_full(gamma, p.bn_rm, 1);
        p.bn_b = or_full(beta, p.bn_rm, 0);
        auto folded = torch::jit::computeUpdatedConvWeightAndBias(p);
        std::unique_ptr<ltc_tensor> w(new ltc_tensor{std::get<0>(folded)});
        *new_bias = new ltc_tensor{std::get<1>(folded)};
        *new_weight = w.release();
    });
}
