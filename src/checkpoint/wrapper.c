/*
 * What PyTorch puts around a network to train, average or compile it.  In
 * evaluation each only calls the module that it wraps, so the network is that
 * module; texts and keys show the wrapper's one child in front of its names.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "checkpoint/checkpoint.h"

static const struct {
    const char *class_name, *child;
} wrappers[] = {
    {"DataParallel", "module"},
    {"DistributedDataParallel", "module"},
    {"AveragedModel", "module"},
    {"OptimizedModule", "_orig_mod"},
    {"FullyShardedDataParallel", "_fsdp_wrapped_module"},
    {"CheckpointWrapper", "_checkpoint_wrapped_module"},
};

const char *ptf_wrapped_child(ptf_text_span class_name)
{
    for (size_t i = 0; i < PTF_ARRAY_SIZE(wrappers); i++) {
        if (ptf_span_is(class_name, wrappers[i].class_name))
            return wrappers[i].child;
    }
    return NULL;
}

bool ptf_is_wrapped_child(ptf_text_span key)
{
    for (size_t i = 0; i < PTF_ARRAY_SIZE(wrappers); i++) {
        if (ptf_span_is(key, wrappers[i].child))
            return true;
    }
    return false;
}
