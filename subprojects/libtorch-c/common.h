/*
 * How every entry point is guarded, and what the handles are.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LIBTORCH_C_COMMON_H
#define LIBTORCH_C_COMMON_H

#include "libtorch_c.h"

#include <ATen/core/Tensor.h>

#include <exception>
#include <new>

struct ltc_tensor {
    at::Tensor value;
};

int ltc_fail(int status, const char *message) noexcept;

/* Runs 'body' and turns whatever it throws into a status. */
template <typename Body> int ltc_guard(Body body) noexcept
{
    try {
        return body();
    } catch (const std::bad_alloc &) {
        return ltc_fail(LTC_MEMORY, "out of memory");
    } catch (const std::exception &e) {
        return ltc_fail(LTC_TORCH, e.what());
    } catch (...) {
        return ltc_fail(LTC_TORCH, "an exception of unknown type");
    }
}

/* Runs 'make', which gives a tensor, and hands it out as a new handle. */
template <typename Make> int ltc_give(ltc_tensor **out, Make make) noexcept
{
    return ltc_guard([&] {
        *out = nullptr;
        *out = new ltc_tensor{make()};
        return LTC_OK;
    });
}

/* The tensor in a handle that may be NULL. */
inline at::Tensor ltc_optional(const ltc_tensor *t)
{
    return t != nullptr ? t->value : at::Tensor();
}

#endif
