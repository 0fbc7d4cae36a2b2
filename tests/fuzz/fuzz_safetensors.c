/*
 * Fuzzes safetensors headers: the input is the JSON text, in front of 24
 * bytes of data.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "checkpoint.h"
#include "make_checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *file = ptf_alloc(size + 32);
    if (file == NULL)
        return 0;
    forge_put(file, size, 8);
    if (size > 0)
        memcpy(file + 8, data, size);
    memcpy(file + 8 + size, forge_numbers, sizeof(forge_numbers));
    fuzz_checkpoint(file, size + 32, NULL);
    ptf_free(file);
    return 0;
}
