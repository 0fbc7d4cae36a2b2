/*
 * Errors, settings, and numbers in and out.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "common.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/ops/from_blob.h>
#include <torch/version.h>

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
    return ltc_guard([&] {
        at::set_num_threads(threads);
        return LTC_OK;
    });
}

int ltc_set_mkldnn(int enabled)
{
    return ltc_guard([&] {
        at::globalContext().setUserEnabledMkldnn(enabled != 0);
        return LTC_OK;
    });
}

static at::ScalarType scalar_type(ltc_dtype dtype)
{
    return dtype == LTC_F64 ? at::kDouble : at::kFloat;
}

int ltc_tensor_make(const void *data, ltc_dtype dtype, int rank,
                    const int64_t *shape, int requires_grad, ltc_tensor **out)
{
    if (data == nullptr || rank < 0 || rank > 16)
        return ltc_fail(LTC_ARGUMENT, "ltc_tensor_make: bad data or rank");
    return ltc_give(out, [&] {
        at::IntArrayRef sizes(shape, static_cast<size_t>(rank));
        at::Tensor borrowed =
            at::from_blob(const_cast<void *>(data), sizes, scalar_type(dtype));
        return borrowed.clone().set_requires_grad(requires_grad != 0);
    });
}

void ltc_tensor_free(ltc_tensor *tensor)
{
    delete tensor;
}

int ltc_tensor_rank(const ltc_tensor *tensor, int *out)
{
    *out = static_cast<int>(tensor->value.dim());
    return LTC_OK;
}

int ltc_tensor_shape(const ltc_tensor *tensor, int64_t *shape)
{
    for (int64_t size : tensor->value.sizes())
        *shape++ = size;
    return LTC_OK;
}

int ltc_tensor_read(const ltc_tensor *tensor, ltc_dtype dtype, void *out,
                    int64_t count)
{
    if (tensor->value.numel() != count)
        return ltc_fail(LTC_ARGUMENT, "ltc_tensor_read: count differs");
    return ltc_guard([&] {
        at::Tensor t =
            tensor->value.detach().to(scalar_type(dtype)).contiguous();
        const char *from = static_cast<const char *>(t.data_ptr());
        std::copy(from, from + t.nbytes(), static_cast<char *>(out));
        return LTC_OK;
    });
}
