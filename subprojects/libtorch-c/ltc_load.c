/*
 * Finds the module's functions by name, from one table.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ltc_load.h"

#include <dlfcn.h>
#include <string.h>

static const struct {
    const char *name;
    size_t at;
} functions[] = {
    {"ltc_abi", offsetof(ltc_api, abi)},
    {"ltc_torch_version", offsetof(ltc_api, torch_version)},
    {"ltc_last_error", offsetof(ltc_api, last_error)},
    {"ltc_set_threads", offsetof(ltc_api, set_threads)},
    {"ltc_set_mkldnn", offsetof(ltc_api, set_mkldnn)},
    {"ltc_tensor_make", offsetof(ltc_api, tensor_make)},
    {"ltc_full_like", offsetof(ltc_api, full_like)},
    {"ltc_tensor_free", offsetof(ltc_api, tensor_free)},
    {"ltc_tensor_rank", offsetof(ltc_api, tensor_rank)},
    {"ltc_tensor_shape", offsetof(ltc_api, tensor_shape)},
    {"ltc_tensor_read", offsetof(ltc_api, tensor_read)},
    {"ltc_conv", offsetof(ltc_api, conv)},
    {"ltc_conv_transpose", offsetof(ltc_api, conv_transpose)},
    {"ltc_linear", offsetof(ltc_api, linear)},
    {"ltc_batch_norm", offsetof(ltc_api, batch_norm)},
    {"ltc_max_pool", offsetof(ltc_api, max_pool)},
    {"ltc_avg_pool", offsetof(ltc_api, avg_pool)},
    {"ltc_adaptive_avg_pool2d", offsetof(ltc_api, adaptive_avg_pool2d)},
    {"ltc_activate", offsetof(ltc_api, activate)},
    {"ltc_softmax", offsetof(ltc_api, softmax)},
    {"ltc_log_sum_exp", offsetof(ltc_api, log_sum_exp)},
    {"ltc_flatten", offsetof(ltc_api, flatten)},
    {"ltc_add", offsetof(ltc_api, add)},
    {"ltc_grad", offsetof(ltc_api, grad)},
    {"ltc_module_load", offsetof(ltc_api, module_load)},
    {"ltc_module_free", offsetof(ltc_api, module_free)},
    {"ltc_module_convert", offsetof(ltc_api, module_convert)},
    {"ltc_module_forward", offsetof(ltc_api, module_forward)},
    {"ltc_fold_conv_bn", offsetof(ltc_api, fold_conv_bn)},
};

_Static_assert(sizeof(ltc_api) / sizeof(void *) ==
                   sizeof(functions) / sizeof(functions[0]),
               "every member has its row");

const char *ltc_load(const char *path, ltc_api *out)
{
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (module == NULL)
        return dlerror();
    for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
        void *symbol = dlsym(module, functions[i].name);
        if (symbol == NULL)
            return dlerror();
        memcpy((char *)out + functions[i].at, &symbol, sizeof(symbol));
    }
    if (out->abi() != LTC_ABI)
        return "the module belongs to another version of this program";
    return NULL;
}
