/*
 * Makes checkpoints byte by byte, so that tests can damage them at places
 * that they know.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_MAKE_CHECKPOINT_H
#define PTF_MAKE_CHECKPOINT_H

#include "base/base.h"

enum { FORGE_MAX_ENTRIES = 8, FORGE_MAX_SIZE = 65536 };

typedef struct forge_entry {
    const char *name; /* with the root */
    const void *data;
    size_t size;
    bool deflated; /* compressed with zlib */
} forge_entry;

/* A zip as torch.save() lays it out, and where its parts stand. */
typedef struct forge_zip {
    uint8_t bytes[FORGE_MAX_SIZE];
    size_t size;
    size_t local[FORGE_MAX_ENTRIES]; /* headers */
    size_t data[FORGE_MAX_ENTRIES];
    size_t central[FORGE_MAX_ENTRIES];
    size_t end64, locator, end;
} forge_zip;

void forge_make_zip(const forge_entry *entries, size_t count, forge_zip *out);

/* A zip with this pickle, one storage data/0, byteorder and version. */
void forge_make_checkpoint(const void *pickle, size_t pickle_size,
                           const void *storage, size_t storage_size,
                           forge_zip *out);

/* Writes 'width' bytes of 'value', least first. */
void forge_put(uint8_t *at, uint64_t value, int width);

/*
 * Pieces of protocol 2 pickles, to be joined as string literals.  K(n) needs
 * n as an escape: FORGE_INT("\x06").
 */
#define FORGE_ORDERED  "ccollections\nOrderedDict\n)R"
#define FORGE_INT(n)   "K" n
#define FORGE_TEXT1(c) "X\1\0\0\0" c
#define FORGE_STORAGE(class_name, key, count) \
    "(X\7\0\0\0storagectorch\n" class_name    \
    "\n" FORGE_TEXT1(key) "X\3\0\0\0cpu" FORGE_INT(count) "tQ"
/* offset, size and stride are whole pieces */
#define FORGE_TENSOR(storage, offset, size, stride)                   \
    "ctorch._utils\n_rebuild_tensor_v2\n(" storage offset size stride \
    "\x89" FORGE_ORDERED "tR"
/* The six floats 0 to 5 as a 2 x 3 tensor. */
#define FORGE_MATRIX                                              \
    FORGE_TENSOR(FORGE_STORAGE("FloatStorage", "0", "\6"), "K\0", \
                 "K\2K\3\x86", "K\3K\1\x86")
#define FORGE_STATE_DICT(items) "\x80\2" FORGE_ORDERED "(" items "u."

extern const float forge_numbers[6];

#endif
