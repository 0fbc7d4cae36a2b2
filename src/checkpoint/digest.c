/*
 * SHA-256 of files and of tensors.
 *
 * With OpenSSL's older functions: the newer ones look algorithms up by name
 * while the program runs, and a static program would carry them all, 3.6 MB.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "checkpoint/reader.h"

#include <openssl/sha.h>

static ptf_status digest_add(void *to, const void *data, size_t size,
                             ptf_error *err)
{
    return SHA256_Update(to, data, size) == 1 ? PTF_OK : ptf_fail_memory(err);
}

static void digest_end(SHA256_CTX *d, char hex[65])
{
    static const char digits[] = "0123456789abcdef";
    /* MemorySanitizer does not see what libcrypto writes. */
    unsigned char sum[SHA256_DIGEST_LENGTH] = {0};
    SHA256_Final(sum, d);
    for (size_t i = 0; i < sizeof(sum); i++) {
        hex[2 * i] = digits[sum[i] >> 4];
        hex[2 * i + 1] = digits[sum[i] & 15];
    }
    hex[2 * sizeof(sum)] = '\0';
}

void ptf_file_sha256(const ptf_file *file, char hex[65])
{
    SHA256_CTX d;
    SHA256_Init(&d);
    SHA256_Update(&d, file->data, file->size);
    digest_end(&d, hex);
}

ptf_status ptf_checkpoint_sha256(const ptf_checkpoint *ckpt, char hex[65],
                                 ptf_error *err)
{
    (void)err; /* it cannot fail */
    SHA256_CTX d;
    SHA256_Init(&d);
    SHA256_Update(&d, ckpt->file.data, ckpt->file.size);
    for (size_t i = 0; i < ckpt->shard_count; i++)
        SHA256_Update(&d, ckpt->shards[i]->file.data,
                      ckpt->shards[i]->file.size);
    digest_end(&d, hex);
    return PTF_OK;
}

ptf_status ptf_tensor_sha256(const ptf_tensor *tensor, char hex[65],
                             ptf_error *err)
{
    SHA256_CTX d;
    SHA256_Init(&d);
    ptf_status status = ptf_tensor_stream(tensor, digest_add, &d, err);
    digest_end(&d, hex);
    return status;
}
