/*
 * Samples for a check.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/tool.h"

#include <errno.h>
#include <sys/stat.h>

enum { CIFAR_PIXELS = 3 * 32 * 32, CIFAR_RECORD = 1 + CIFAR_PIXELS };

tool_inputs tool_inputs_random(int64_t count, uint64_t seed, ptf_shape shape)
{
    return (tool_inputs){.count = count, .shape = shape, .seed = seed};
}

static ptf_status read_records(FILE *f, const char *path, tool_inputs *out,
                               ptf_error *err)
{
    struct stat st;
    if (fstat(fileno(f), &st) != 0 || !S_ISREG(st.st_mode))
        return tool_error(err, PTF_IO, "%s: expected a regular file", path);
    if (st.st_size == 0 || st.st_size % CIFAR_RECORD != 0)
        return tool_error(err, PTF_FORMAT,
                          "%s: expected CIFAR-10 records of %d bytes, found "
                          "%lld bytes",
                          path, CIFAR_RECORD, (long long)st.st_size);
    size_t size = (size_t)st.st_size;
    out->records = malloc(size);
    if (out->records == NULL)
        return tool_error(err, PTF_MEMORY, "%s: out of memory", path);
    if (fread(out->records, 1, size, f) != size)
        return tool_error(err, PTF_IO, "%s: cannot read: %s", path,
                          strerror(errno));
    out->count = st.st_size / CIFAR_RECORD;
    return PTF_OK;
}

ptf_status tool_inputs_cifar10(const char *path, tool_inputs *out,
                               ptf_error *err)
{
    *out = (tool_inputs){.shape = {3, {3, 32, 32}}};
    FILE *f = fopen(path, "rbe");
    if (f == NULL)
        return tool_error(err, PTF_IO, "%s: cannot open: %s", path,
                          strerror(errno));
    ptf_status status = read_records(f, path, out, err);
    fclose(f);
    if (status != PTF_OK)
        tool_inputs_free(out);
    return status;
}

void tool_inputs_free(tool_inputs *inputs)
{
    free(inputs->records);
    inputs->records = NULL;
}

void tool_inputs_get(const tool_inputs *inputs, int64_t index, float *out)
{
    if (inputs->records == NULL) {
        ptf_random_fill(inputs->seed, (uint64_t)index, out,
                        (size_t)ptf_shape_numel(&inputs->shape));
        return;
    }
    /* One rounded division, as torchvision's ToTensor does it. */
    const unsigned char *pixel = inputs->records + index * CIFAR_RECORD + 1;
    for (int i = 0; i < CIFAR_PIXELS; i++)
        out[i] = (float)pixel[i] / 255.0f;
}
