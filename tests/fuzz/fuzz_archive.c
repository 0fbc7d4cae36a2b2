/*
 * Fuzzes the container: sniffing, zip directories, inflating, checksums.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "archive/archive.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ptf_file file = {"fuzz", data, size, -1, NULL};
    ptf_archive archive;
    ptf_error err;
    if (ptf_archive_open(&file, &archive, &err) != PTF_OK)
        return 0;
    for (size_t i = 0; i < archive.count; i++)
        (void)ptf_archive_load(&archive, &archive.entries[i], &err);
    (void)ptf_archive_verify(&archive, &err);
    ptf_archive_close(&archive);
    return 0;
}
