/*
 * Fuzzes whole checkpoints.  The input is the file itself (zip, legacy,
 * safetensors), so that seeds can be real files.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_checkpoint(data, size, NULL);
    fuzz_checkpoint(data, size, "");
    return 0;
}
