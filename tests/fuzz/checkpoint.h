/*
 * What a fuzzer does with a checkpoint: opens it, with all names and with
 * the usual choice, asks for all that it says, and reads every number.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_FUZZ_CHECKPOINT_H
#define PTF_FUZZ_CHECKPOINT_H

#include "net/net.h"

static inline void fuzz_tensors(const ptf_checkpoint *ckpt)
{
    enum { MOST = 1 << 20 };
    for (size_t i = 0; i < ptf_checkpoint_tensor_count(ckpt); i++) {
        const ptf_tensor *t = ptf_checkpoint_tensor(ckpt, i);
        double *out = ptf_tensor_numel(t) <= MOST
                          ? ptf_alloc((size_t)ptf_tensor_numel(t) * 16)
                          : NULL;
        if (out == NULL)
            continue;
        ptf_tensor_read_bytes(t, out);
        (void)ptf_tensor_read_f64(t, out, NULL);
        ptf_free(out);
    }
}

static inline void fuzz_facts(const ptf_checkpoint *ckpt)
{
    ptf_checkpoint_info facts;
    ptf_file_entry slice;
    const ptf_net_options options = {.size = sizeof(options), .in_order = true};
    ptf_net *net;
    size_t entries = 0, opaque = 0;
    ptf_checkpoint_describe(ckpt, &facts);
    while (ptf_checkpoint_entry(ckpt, entries, &slice))
        entries++;
    while (ptf_checkpoint_opaque(ckpt, opaque) != NULL)
        opaque++;
    if (entries == facts.entry_count && ptf_checkpoint_has_model(ckpt) &&
        ptf_net_make(NULL, NULL, ckpt, &options, &net, NULL) == PTF_OK)
        ptf_net_free(net);
}

static inline void fuzz_checkpoint(const void *data, size_t size,
                                   const char *key)
{
    ptf_open_options options = {.key = key};
    ptf_checkpoint *ckpt;
    ptf_error err;
    if (ptf_checkpoint_open_memory(data, size, "fuzz", &options, &ckpt, &err) ==
        PTF_OK) {
        fuzz_facts(ckpt);
        fuzz_tensors(ckpt);
    }
    ptf_checkpoint_close(ckpt);
}

#endif
