/*
 * Options of callers that were compiled with another version of the header.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/base.h"

#include <string.h>

void ptf_options_read(const void *options, void *out, size_t size)
{
    size_t own = 0;
    memset(out, 0, size);
    if (options == NULL)
        return;
    memcpy(&own, options, sizeof(own));
    memcpy(out, options, own > 0 && own < size ? own : size);
}
