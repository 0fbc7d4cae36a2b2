/*
 * Fuzzes the unpickler and the printer of values.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "pickle/pickle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static FILE *null;
    if (null == NULL)
        null = fopen("/dev/null", "w");
    ptf_origin origin = {"fuzz", "pickle"};
    ptf_arena arena = {NULL};
    ptf_pickle pickle;
    ptf_error err;
    if (ptf_pickle_read(data, size, &origin, NULL, &arena, &pickle, &err) ==
            PTF_OK &&
        null != NULL)
        ptf_object_print(pickle.root, 1000, null);
    ptf_arena_free(&arena);
    return 0;
}
