/*
 * Errors, settings, and numbers in and out.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "common.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/full_like.h>
#include <torch/version.h>

#include <cstring>
#include <string>

static thread_local std::string last_error;

int ltc_fail(int status, const char *message) noexcept
{
    try {
        last_error = message;
    } catch (...) {
        last_error.clear();
    }
    return status;
}

int ltc_abi(void)
{
    return LTC_ABI;
}

const char *ltc_torch_version(void)
{
    return TORCH_VERSION;
}

const char *ltc_last_error(void)
{
    return last_error.c_str();
}

int ltc_set_threads(int threads)
{
    return ltc_guard([&] { at::set_num_threads(threads); });
}

int ltc_set_mkldnn(int enabled)
{
    return ltc_guard(
        [&] { at::globalContext().setUserEnabledMkldnn(enabled != 0); });
}

at::ScalarType ltc_scalar_type(ltc_dtype dtype)
{
    switch (dtype) {
    case LTC_F32: return at::kFloat;
    case LTC_F64: return at::kDouble;
    }
    throw ltc_argument_error("a dtype that is neither f32 nor f64");
}

int ltc_tensor_make(const void *data, ltc_dtype dtype, int rank,
                    const int64_t *shape, int requires_grad, ltc_tensor **out)
{
    return ltc_give(out, [&] {
        if (rank < 0 || (rank > 0 && shape == nullptr) || data == nullptr)
            throw ltc_argument_error("ltc_tensor_make: no data or no shape");
        at::IntArrayRef sizes(shape, static_cast<size_t>(rank));
        for (int64_t size : sizes)
            if (size < 0)
                throw ltc_argument_error("ltc_tensor_make: a negative size");
        at::Tensor borrowed = at::from_blob(const_cast<void *>(data), sizes,
                                            ltc_scalar_type(dtype));
        return borrowed.clone().set_requires_grad(requires_grad != 0);
    });
}

int ltc_full_like(const ltc_tensor *tensor, double value, ltc_tensor **out)
{
    return ltc_give(
        out, [&] { return at::full_like(ltc_value(tensor).detach(), value); });
}

void ltc_tensor_free(ltc_tensor *tensor)
{
    delete tensor;
}

int ltc_tensor_rank(const ltc_tensor *tensor, int *out)
{
    return ltc_guard(
        [&] { ltc_need(out) = static_cast<int>(ltc_value(tensor).dim()); });
}

int ltc_tensor_shape(const ltc_tensor *tensor, int64_t *shape)
{
    return ltc_guard([&] {
        for (int64_t size : ltc_value(tensor).sizes())
            ltc_need(shape++) = size;
    });
}

int ltc_tensor_read(const ltc_tensor *tensor, ltc_dtype dtype, void *out,
                    int64_t count)
{
    return ltc_guard([&] {
        at::Tensor t =
            ltc_value(tensor).detach().to(ltc_scalar_type(dtype)).contiguous();
        if (t.numel() != count || out == nullptr)
            throw ltc_argument_error(
                "ltc_tensor_read: the tensor has " + std::to_string(t.numel()) +
                " numbers, room is for " + std::to_string(out ? count : 0));
        std::memcpy(out, t.data_ptr(), t.nbytes());
    });
}
