/*
 * The functions of libtorch_c.h, found in the module at run time, so that a
 * program starts and works where libtorch is not installed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LIBTORCH_C_LOAD_H
#define LIBTORCH_C_LOAD_H

#include "libtorch_c.h"

#include <stddef.h>

/* ltc_conv() is the member 'conv', and so on. */
typedef struct ltc_api {
    __typeof__(ltc_abi) *abi;
    __typeof__(ltc_torch_version) *torch_version;
    __typeof__(ltc_last_error) *last_error;
    __typeof__(ltc_set_threads) *set_threads;
    __typeof__(ltc_set_mkldnn) *set_mkldnn;
    __typeof__(ltc_tensor_make) *tensor_make;
    __typeof__(ltc_full_like) *full_like;
    __typeof__(ltc_tensor_free) *tensor_free;
    __typeof__(ltc_tensor_rank) *tensor_rank;
    __typeof__(ltc_tensor_shape) *tensor_shape;
    __typeof__(ltc_tensor_read) *tensor_read;
    __typeof__(ltc_conv) *conv;
    __typeof__(ltc_conv_transpose) *conv_transpose;
    __typeof__(ltc_linear) *linear;
    __typeof__(ltc_batch_norm) *batch_norm;
    __typeof__(ltc_max_pool) *max_pool;
    __typeof__(ltc_avg_pool) *avg_pool;
    __typeof__(ltc_adaptive_avg_pool2d) *adaptive_avg_pool2d;
    __typeof__(ltc_activate) *activate;
    __typeof__(ltc_softmax) *softmax;
    __typeof__(ltc_log_sum_exp) *log_sum_exp;
    __typeof__(ltc_flatten) *flatten;
    __typeof__(ltc_add) *add;
    __typeof__(ltc_grad) *grad;
    __typeof__(ltc_module_load) *module_load;
    __typeof__(ltc_module_free) *module_free;
    __typeof__(ltc_module_convert) *module_convert;
    __typeof__(ltc_module_forward) *module_forward;
    __typeof__(ltc_fold_conv_bn) *fold_conv_bn;
} ltc_api;

/*
 * Loads the module at 'path' and fills 'out'.  NULL, or why that failed
 * (valid until the next call of dlopen() or of this in the same thread).  The
 * module stays loaded until the process ends: libtorch cannot be unloaded.
 */
const char *ltc_load(const char *path, ltc_api *out);

#endif
