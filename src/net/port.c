/*
 * The numbers of inputs and outputs: people have arrays of many dtypes, plans
 * take and give f32.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "net/net.h"

#include <math.h>

static bool is_whole_number(ptf_dtype dtype)
{
    return dtype >= PTF_DTYPE_I8 && dtype <= PTF_DTYPE_BOOL;
}

/* Doubles hold integers below this, and nothing of them is lost. */
#define EXACT 0x1p53

/* What an input of that dtype may be; all of them for floats. */
static void find_range(ptf_dtype dtype, double *least, double *most)
{
    int bits = 8 * (int)ptf_dtype_size(dtype);
    bool has_sign = dtype <= PTF_DTYPE_I64;
    *least = has_sign ? -ldexp(1, bits - 1) : 0;
    *most = ldexp(1, has_sign ? bits - 1 : bits) - 1;
    if (dtype == PTF_DTYPE_BOOL)
        *most = 1;
    if (!is_whole_number(dtype)) {
        *least = -HUGE_VAL;
        *most = HUGE_VAL;
    }
}

/* No integer changes on its way into f32, and each is one of the input's. */
static ptf_status check_integers(const ptf_net *net, int index,
                                 const ptf_tensor *array, ptf_error *err)
{
    ptf_dtype dtype = net->inputs[index].dtype;
    double least, most;
    find_range(dtype, &least, &most);
    int64_t count = ptf_tensor_numel(array);
    double *x = ptf_alloc((size_t)(count + 1) * sizeof(*x));
    if (x == NULL)
        return ptf_fail_memory(err);
    ptf_status status = ptf_tensor_read_f64(array, x, err);
    int64_t i = 0, k = 0;
    while (status == PTF_OK && k < count && x[k] >= least && x[k] <= most)
        k++;
    if (status == PTF_OK && k < count)
        status = ptf_net_fail(
            err, PTF_ARGUMENT, net,
            "input '%s': expected %s, got %.0f as number %lld",
            net->nodes[index].name, ptf_dtype_name(dtype), x[k], (long long)k);
    while (status == PTF_OK && i < count && fabs(x[i]) < EXACT &&
           fabs((double)(float)x[i] - x[i]) <= 0)
        i++;
    if (status == PTF_OK && i < count)
        status = ptf_net_fail(err, PTF_ARGUMENT, net,
                              "input '%s': expected integers that float32 has, "
                              "got %.0f as number %lld",
                              net->nodes[index].name, x[i], (long long)i);
    ptf_free(x);
    return status;
}

ptf_status ptf_net_read_input(const ptf_net *net, size_t index,
                              const ptf_tensor *array, float *out,
                              ptf_error *err)
{
    const ptf_input *in = &net->inputs[index];
    if (is_whole_number(in->dtype) && !is_whole_number(array->dtype))
        return ptf_net_fail(err, PTF_ARGUMENT, net,
                            "input '%s': expected %s, got %s",
                            net->nodes[index].name, ptf_dtype_name(in->dtype),
                            ptf_dtype_name(array->dtype));
    ptf_status status = is_whole_number(array->dtype)
                            ? check_integers(net, (int)index, array, err)
                            : PTF_OK;
    return status == PTF_OK ? ptf_tensor_read_f32(array, out, err) : status;
}

static void put_integer(ptf_dtype dtype, double x, unsigned char *out)
{
    size_t size = ptf_dtype_size(dtype);
    uint64_t bits = (uint64_t)(int64_t)x;
    if (dtype == PTF_DTYPE_BOOL)
        bits = bits != 0 ? 1 : 0;
    for (size_t k = 0; k < size; k++)
        out[k] = (unsigned char)(bits >> 8 * k);
}

ptf_status ptf_net_write_output(const ptf_net *net, size_t index,
                                const float *in, int64_t count,
                                ptf_dtype *dtype, void *out, ptf_error *err)
{
    const ptf_output *o = &net->outputs[index];
    bool kept = is_whole_number(o->dtype) || o->dtype == PTF_DTYPE_F64;
    *dtype = kept ? o->dtype : PTF_DTYPE_F32;
    unsigned char *to = out;
    for (int64_t i = 0; *dtype == PTF_DTYPE_F64 && i < count; i++) {
        double x = (double)in[i];
        memcpy(to + 8 * i, &x, sizeof(x));
    }
    if (*dtype == PTF_DTYPE_F64)
        return PTF_OK;
    if (*dtype == PTF_DTYPE_F32) {
        memcpy(out, in, (size_t)count * sizeof(float));
        return PTF_OK;
    }
    for (int64_t i = 0; i < count; i++) {
        double x = (double)in[i];
        if (!(x >= -0x1p63 && x < 0x1p63) || fabs(x - trunc(x)) > 0)
            return ptf_net_fail(err, PTF_ARGUMENT, net,
                                "output '%s': expected integers, got %g as "
                                "number %lld",
                                ptf_net_output_name(net, o), x, (long long)i);
        put_integer(o->dtype, x, to + (size_t)i * ptf_dtype_size(o->dtype));
    }
    return PTF_OK;
}
