/*
 * Operators and gradients, one libtorch call each.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "common.h"

#include <ATen/ops/adaptive_avg_pool2d.h>
#include <ATen/ops/add.h>
#include <ATen/ops/avg_pool1d.h>
#include <ATen/ops/avg_pool2d.h>
#include <ATen/ops/batch_norm.h>
#include <ATen/ops/conv1d.h>
#include <ATen/ops/conv2d.h>
#include <ATen/ops/conv_transpose1d.h>
#include <ATen/ops/conv_transpose2d.h>
#include <ATen/ops/flatten.h>
#include <ATen/ops/leaky_relu.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/logsumexp.h>
#include <ATen/ops/max_pool1d.h>
#include <ATen/ops/max_pool2d.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/softplus.h>
#include <ATen/ops/tanh.h>
#include <torch/csrc/autograd/autograd.h>

#include <stdexcept>

/* The first 'dims' numbers of a pair. */
static at::IntArrayRef pair(const ltc_window *w, const int64_t (&values)[2])
{
    if (w->dims != 1 && w->dims != 2)
        throw std::invalid_argument("window: dims must be 1 or 2");
    return at::IntArrayRef(values, static_cast<size_t>(w->dims));
}

int ltc_conv(const ltc_tensor *x, const ltc_tensor *weight,
             const ltc_tensor *bias, const ltc_window *w, ltc_tensor **out)
{
    return ltc_give(out, [&] {
        auto conv = [&](auto f) {
            return f(x->value, weight->value, ltc_optional(bias),
                     pair(w, w->stride), pair(w, w->padding),
                     pair(w, w->dilation), w->groups);
        };
        return w->dims == 1 ? conv([](auto... a) { return at::conv1d(a...); })
                            : conv([](auto... a) { return at::conv2d(a...); });
    });
}

int ltc_conv_transpose(const ltc_tensor *x, const ltc_tensor *weight,
                       const ltc_tensor *bias, const ltc_window *w,
                       ltc_tensor **out)
{
    return ltc_give(out, [&] {
        auto conv = [&](auto f) {
            return f(x->value, weight->value, ltc_optional(bias),
                     pair(w, w->stride), pair(w, w->padding),
                     pair(w, w->output_padding), w->groups,
                     pair(w, w->dilation));
        };
        return w->dims == 1
                   ? conv([](auto... a) { return at::conv_transpose1d(a...); })
                   : conv([](auto... a) { return at::conv_transpose2d(a...); });
    });
}

int ltc_linear(const ltc_tensor *x, const ltc_tensor *weight,
               const ltc_tensor *bias, ltc_tensor **out)
{
    return ltc_give(out, [&] {
        return at::linear(x->value, weight->value, ltc_optional(bias));
    });
}

int ltc_batch_norm(const ltc_tensor *x, const ltc_tensor *weight,
                   const ltc_tensor *bias, const ltc_tensor *mean,
                   const ltc_tensor *var, double eps, ltc_tensor **out)
{
    return ltc_give(out, [&] {
        return at::batch_norm(x->value, ltc_optional(weight),
                              ltc_optional(bias), mean->value, var->value,
                              /*training=*/false, /*momentum=*/0.0, eps,
                              /*cudnn_enabled=*/false);
    });
}

int ltc_max_pool(const ltc_tensor *x, const ltc_window *w, ltc_tensor **out)
{
    return ltc_give(out, [&] {
        auto pool = [&](auto f) {
            return f(x->value, pair(w, w->kernel), pair(w, w->stride),
                     pair(w, w->padding), pair(w, w->dilation),
                     w->ceil_mode != 0);
        };
        return w->dims == 1
                   ? pool([](auto... a) { return at::max_pool1d(a...); })
                   : pool([](auto... a) { return at::max_pool2d(a...); });
    });
}

int ltc_avg_pool(const ltc_tensor *x, const ltc_window *w, ltc_tensor **out)
{
    return ltc_give(out, [&] {
        auto pool = [&](auto f) {
            return f(x->value, pair(w, w->kernel), pair(w, w->stride),
                     pair(w, w->padding), w->ceil_mode != 0,
                     w->count_include_pad != 0);
        };
        return w->dims == 1
                   ? pool([](auto... a) { return at::avg_pool1d(a...); })
                   : pool([](auto... a) { return at::avg_pool2d(a...); });
    });
}

int ltc_adaptive_avg_pool2d(const ltc_tensor *x, int64_t height, int64_t width,
                            ltc_tensor **out)
{
    return ltc_give(out, [&] {
        const int64_t size[] = {height, width};
        return at::adaptive_avg_pool2d(x->value, size);
    });
}

int ltc_activate(const ltc_tensor *x, ltc_activation function, double parameter,
                 ltc_tensor **out)
{
    return ltc_give(out, [&] {
        switch (function) {
        case LTC_RELU: return at::relu(x->value);
        case LTC_LEAKY_RELU: return at::leaky_relu(x->value, parameter);
        case LTC_SIGMOID: return at::sigmoid(x->value);
        case LTC_TANH: return at::tanh(x->value);
        case LTC_SOFTPLUS: return at::softplus(x->value, parameter);
        }
        throw std::invalid_argument("ltc_activate: unknown function");
    });
}

int ltc_softmax(const ltc_tensor *x, int64_t dim, ltc_tensor **out)
{
    return ltc_give(out, [&] { return at::softmax(x->value, dim); });
}

int ltc_log_sum_exp(const ltc_tensor *x, int64_t dim, ltc_tensor **out)
{
    return ltc_give(out, [&] { return at::logsumexp(x->value, {dim}); });
}

int ltc_flatten(const ltc_tensor *x, int64_t start_dim, int64_t end_dim,
                ltc_tensor **out)
{
    return ltc_give(out,
                    [&] { return at::flatten(x->value, start_dim, end_dim); });
}

int ltc_add(const ltc_tensor *a, const ltc_tensor *b, ltc_tensor **out)
{
    return ltc_give(out, [&] { return at::add(a->value, b->value); });
}

int ltc_grad(const ltc_tensor *y, const ltc_tensor *cotangent,
             ltc_tensor *const *inputs, int count, ltc_tensor **grads)
{
    for (int i = 0; i < count; i++)
        grads[i] = nullptr;
    int status = ltc_guard([&] {
        torch::autograd::variable_list in;
        for (int i = 0; i < count; i++)
            in.push_back(inputs[i]->value);
        auto found = torch::autograd::grad({y->value}, in, {cotangent->value});
        for (int i = 0; i < count; i++)
            grads[i] = new ltc_tensor{found[static_cast<size_t>(i)]};
        return LTC_OK;
    });
    for (int i = 0; status != LTC_OK && i < count; i++) {
        ltc_tensor_free(grads[i]);
        grads[i] = nullptr;
    }
    return status;
}
