/*
 * A checkpoint prints its stages.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "checkpoint/reader.h"

static void print_numbers(FILE *out, const int64_t *numbers, int count)
{
    fputc('[', out);
    for (int i = 0; i < count; i++)
        fprintf(out, "%s%lld", i > 0 ? ", " : "", (long long)numbers[i]);
    fputc(']', out);
}

/* Name, dtype, shape; strides only where they are not C order. */
static void print_tensor(const ptf_tensor *t, FILE *out)
{
    ptf_print_escaped(out, t->name, strlen(t->name));
    fprintf(out, "  %s ", ptf_dtype_name(t->dtype));
    print_numbers(out, t->shape, t->rank);
    if (!ptf_tensor_is_contiguous(t)) {
        fputs(" strides ", out);
        print_numbers(out, t->stride, t->rank);
    }
    fputs("  storage ", out);
    ptf_print_escaped(out, t->storage->key, strlen(t->storage->key));
    size_t offset = (size_t)((const uint8_t *)t->data - t->storage->data);
    if (offset > 0)
        fprintf(out, " from byte %zu", offset);
    fputc('\n', out);
}

static void print_values(const ptf_checkpoint *ckpt, FILE *out)
{
    enum { MAX_LINES = 100000 };
    if (ckpt->pickle.root == NULL) {
        fputs("no pickle in this kind of file\n", out);
        return;
    }
    ptf_object_print(ckpt->pickle.root, MAX_LINES, out);
}

/* What the file mentions and nothing here runs or looks into. */
static void print_opaque(const ptf_checkpoint *ckpt, FILE *out)
{
    const char *name;
    for (size_t i = 0; (name = ptf_checkpoint_opaque(ckpt, i)) != NULL; i++) {
        fputs("opaque  ", out);
        ptf_print_escaped(out, name, strlen(name));
        fputc('\n', out);
    }
}

void ptf_checkpoint_print(const ptf_checkpoint *ckpt, ptf_stage stage,
                          FILE *out)
{
    switch (stage) {
    case PTF_STAGE_ARCHIVE: ptf_archive_print(&ckpt->archive, out); break;
    case PTF_STAGE_VALUES: print_values(ckpt, out); break;
    case PTF_STAGE_TENSORS:
        for (size_t i = 0; i < ckpt->count; i++)
            print_tensor(&ckpt->tensors[i], out);
        print_opaque(ckpt, out);
        break;
    }
}
