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
#include <stdexcept>

struct ltc_tensor {
    at::Tensor value;
};

/* What the caller did wrong, as against what libtorch refuses. */
struct ltc_argument_error : std::invalid_argument {
    using std::invalid_argument::invalid_argument;
};

int ltc_fail(int status, const char *message) noexcept;

/* Runs 'body' and turns whatever it throws into a status. */
template <typename Body> int ltc_guard(Body body) noexcept
{
    try {
        body();
        return LTC_OK;
    } catch (const ltc_argument_error &e) {
        return ltc_fail(LTC_ARGUMENT, e.what());
    } catch (const std::bad_alloc &) {
        return ltc_fail(LTC_MEMORY, "out of memory");
    } catch (const c10::Error &e) {
        return ltc_fail(LTC_TORCH, e.what_without_backtrace());
    } catch (const std::exception &e) {
        return ltc_fail(LTC_TORCH, e.what());
    } catch (...) {
        return ltc_fail(LTC_TORCH, "an exception of unknown type");
    }
}

/* libtorch's word for a dtype. */
at::ScalarType ltc_scalar_type(ltc_dtype dtype);

/* The object that a pointer from C must point at. */
template <typename T> T &ltc_need(T *pointer)
{
    if (pointer == nullptr)
        throw ltc_argument_error("a null pointer where none is allowed");
    return *pointer;
}

inline const at::Tensor &ltc_value(const ltc_tensor *t)
{
    return ltc_need(t).value;
}

/* The tensor in a handle that may be NULL. */
inline at::Tensor ltc_optional(const ltc_tensor *t)
{
    return t != nullptr ? t->value : at::Tensor();
}

/* Runs 'make', which gives a tensor, and hands it out as a new handle. */
template <typename Make> int ltc_give(ltc_tensor **out, Make make) noexcept
{
    return ltc_guard([&] {
        ltc_need(out) = nullptr;
        *out = new ltc_tensor{make()};
    });
}

#endif
