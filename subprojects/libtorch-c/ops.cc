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

#include <memory>
#include <vector>

/* The first 'dims' numbers of a pair. */
static at::IntArrayRef pair(const ltc_window *w, const int64_t (&values)[2])
{
    return at::IntArrayRef(values, static_cast<size_t>(w->dims));
}

/* Calls the operator for one dimension or the one for two. */
template <typename One, typename Two, typename Call>
static at::Tensor by_dims(const ltc_window *w, One one, Two two, Call call)
{
    switch (ltc_need(w).dims) {
    case 1: return call(one);
    case 2: return call(two);
    }
    throw ltc_argument_error("a window over neither 1 nor 2 dimensions");
}

/* Overloaded operators as objects that can be passed on. */
#define OPERATOR(name) [](auto... a) { return at::name(a...); }

int ltc_conv(const ltc_tensor *x, const ltc_tensor *weight,
             const ltc_tensor *bias, const ltc_window *w, ltc_tensor **out)
{
    return ltc_give(out, [&] {
        auto conv = [&](auto f) {
            return f(ltc_value(x), ltc_value(weight), ltc_optional(bias),
                     pair(w, w->stride), pair(w, w->padding),
                     pair(w, w->dilation), w->groups);
        };
        return by_dims(w, OPERATOR(conv1d), OPERATOR(conv2d), conv);
    });
}

int ltc_conv_transpose(const ltc_tensor *x, const ltc_tensor *weight,
                       const ltc_tensor *bias, const ltc_window *w,
                       ltc_tensor **out)
{
    return ltc_give(out, [&] {
        auto conv = [&](auto f) {
            return f(ltc_value(x), ltc_value(weight), ltc_optional(bias),
                     pair(w, w->stride), pair(w, w->padding),
                     pair(w, w->output_padding), w->groups,
                     pair(w, w->dilation));
        };
        return by_dims(w, OPERATOR(conv_transpose1d),
                       OPERATOR(conv_transpose2d), conv);
    });
}

int ltc_linear(const ltc_tensor *x, const ltc_tensor *weight,
               const ltc_tensor *bias, ltc_tensor **out)
{
    return ltc_give(out, [&] {
        return at::linear(ltc_value(x), ltc_value(weight), ltc_optional(bias));
    });
}

int ltc_batch_norm(const ltc_tensor *x, const ltc_tensor *weight,
                   const ltc_tensor *bias, const ltc_tensor *mean,
                   const ltc_tensor *var, double eps, ltc_tensor **out)
{
    return ltc_give(out, [&] {
        return at::batch_norm(ltc_value(x), ltc_optional(weight),
                              ltc_optional(bias), ltc_value(mean),
                              ltc_value(var),
                              /*training=*/false, /*momentum=*/0.0, eps,
                              /*cudnn_enabled=*/false);
    });
}

int ltc_max_pool(const ltc_tensor *x, const ltc_window *w, ltc_tensor **out)
{
    return ltc_give(out, [&] {
        auto pool = [&](auto f) {
            return f(ltc_value(x), pair(w, w->kernel), pair(w, w->stride),
                     pair(w, w->padding), pair(w, w->dilation),
                     w->ceil_mode != 0);
        };
        return by_dims(w, OPERATOR(max_pool1d), OPERATOR(max_pool2d), pool);
    });
}

int ltc_avg_pool(const ltc_tensor *x, const ltc_window *w, ltc_tensor **out)
{
    return ltc_give(out, [&] {
        auto pool = [&](auto f) {
            return f(ltc_value(x), pair(w, w->kernel), pair(w, w->stride),
                     pair(w, w->padding), w->ceil_mode != 0,
                     w->count_include_pad != 0);
        };
        return by_dims(w, OPERATOR(avg_pool1d), OPERATOR(avg_pool2d), pool);
    });
}

int ltc_adaptive_avg_pool2d(const ltc_tensor *x, int64_t height, int64_t width,
                            ltc_tensor **out)
{
    return ltc_give(out, [&] {
        const int64_t size[] = {height, width};
        return at::adaptive_avg_pool2d(ltc_value(x), size);
    });
}

int ltc_activate(const ltc_tensor *x, ltc_activation function,
                 const double *parameters, ltc_tensor **out)
{
    return ltc_give(out, [&] {
        bool has_some = function == LTC_LEAKY_RELU || function == LTC_SOFTPLUS;
        if (has_some && parameters == nullptr)
            throw ltc_argument_error("ltc_activate: no parameters");
        switch (function) {
        case LTC_RELU: return at::relu(ltc_value(x));
        case LTC_LEAKY_RELU: return at::leaky_relu(ltc_value(x), parameters[0]);
        case LTC_SIGMOID: return at::sigmoid(ltc_value(x));
        case LTC_TANH: return at::tanh(ltc_value(x));
        case LTC_SOFTPLUS:
            return at::softplus(ltc_value(x), parameters[0], parameters[1]);
        }
        throw ltc_argument_error("ltc_activate: no such function");
    });
}

int ltc_softmax(const ltc_tensor *x, int64_t dim, ltc_tensor **out)
{
    return ltc_give(out, [&] { return at::softmax(ltc_value(x), dim); });
}

int ltc_log_sum_exp(const ltc_tensor *x, int64_t dim, ltc_tensor **out)
{
    return ltc_give(out, [&] { return at::logsumexp(ltc_value(x), {dim}); });
}

int ltc_flatten(const ltc_tensor *x, int64_t start_dim, int64_t end_dim,
                ltc_tensor **out)
{
    return ltc_give(
        out, [&] { return at::flatten(ltc_value(x), start_dim, end_dim); });
}

int ltc_add(const ltc_tensor *a, const ltc_tensor *b, ltc_tensor **out)
{
    return ltc_give(out, [&] { return at::add(ltc_value(a), ltc_value(b)); });
}

int ltc_grad(const ltc_tensor *y, const ltc_tensor *cotangent,
             ltc_tensor *const *inputs, int count, ltc_tensor **grads)
{
    return ltc_guard([&] {
        torch::autograd::variable_list in;
        for (int i = 0; i < count; i++) {
            (&ltc_need(grads))[i] = nullptr;
            in.push_back(ltc_value((&ltc_need(inputs))[i]));
        }
        auto found =
            torch::autograd::grad({ltc_value(y)}, in, {ltc_value(cotangent)});
        std::vector<std::unique_ptr<ltc_tensor>> handles;
        for (const at::Tensor &grad : found)
            handles.emplace_back(new ltc_tensor{grad});
        for (auto &handle : handles)
            *grads++ = handle.release();
    });
}
