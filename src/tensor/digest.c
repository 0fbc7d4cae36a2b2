/*
 * SHA-256 of files and of tensors.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tensor/reader.h"

#include <openssl/evp.h>

typedef struct digest {
    EVP_MD_CTX *context;
    bool failed;
} digest;

static ptf_status digest_add(void *to, const void *data, size_t size,
                             ptf_error *err)
{
    digest *d = to;
    if (!d->failed && EVP_DigestUpdate(d->context, data, size) != 1)
        d->failed = true;
    return d->failed ? ptf_fail_memory(err) : PTF_OK;
}

static digest digest_begin(void)
{
    digest d = {EVP_MD_CTX_new(), false};
    d.failed = d.context == NULL ||
               EVP_DigestInit_ex(d.context, EVP_sha256(), NULL) != 1;
    return d;
}

/* Releases the digest, too. */
static ptf_status digest_end(digest *d, char hex[65], ptf_error *err)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    if (!d->failed && EVP_DigestFinal_ex(d->context, sum, &size) != 1)
        d->failed = true;
    EVP_MD_CTX_free(d->context);
    if (d->failed || size != 32)
        return ptf_fail_memory(err);
    for (unsigned i = 0; i < size; i++)
        snprintf(hex + (size_t)2 * i, 3, "%02x", sum[i]);
    return PTF_OK;
}

ptf_status ptf_checkpoint_sha256(const ptf_checkpoint *ckpt, char hex[65],
                                 ptf_error *err)
{
    digest d = digest_begin();
    (void)digest_add(&d, ckpt->file.data, ckpt->file.size, err);
    for (size_t i = 0; i < ckpt->shard_count; i++)
        (void)digest_add(&d, ckpt->shards[i]->file.data,
                         ckpt->shards[i]->file.size, err);
    return digest_end(&d, hex, err);
}

ptf_status ptf_tensor_sha256(const ptf_tensor *tensor, char hex[65],
                             ptf_error *err)
{
    digest d = digest_begin();
    ptf_status status = ptf_tensor_stream(tensor, digest_add, &d, err);
    ptf_status ended = digest_end(&d, hex, err);
    return status == PTF_OK ? ended : status;
}
