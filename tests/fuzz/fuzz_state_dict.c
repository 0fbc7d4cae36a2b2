/*
 * Fuzzes what a pickle says about tensors: the input is data.pkl, wrapped
 * into a sound zip, so that no checksum stands in the way.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "checkpoint.h"
#include "make_checkpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static forge_zip zip;
    if (size > 32768)
        return 0;
    forge_make_checkpoint(data, size, forge_numbers, sizeof(forge_numbers),
                          &zip);
    fuzz_checkpoint(zip.bytes, zip.size, NULL);
    fuzz_checkpoint(zip.bytes, zip.size, "");
    return 0;
}
