/*
 * Writing a zip file as torch.save() lays it out.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_ZIP_WRITE_H
#define PTF_ZIP_WRITE_H

#include "base/base.h"

/* Payloads start at multiples of this, so that they can be used in place. */
enum { PTF_ZIP_ALIGNMENT = 64 };

/* A zip file under construction; the fields are for this folder alone. */
typedef struct ptf_zip_writer {
    ptf_output *out;  /* borrowed */
    const char *root; /* borrowed; the folder that all entries are in, or "" */
    /*
     * Sizes and offsets from here on are written with 64 bits.  0xffffffff;
     * tests lower it, so that they need no file of 4 GiB.
     */
    uint64_t limit;
    ptf_buffer directory;
    uint64_t count;
    const char *name; /* of the entry that is open */
    uint64_t offset, size;
} ptf_zip_writer;

void ptf_zip_write_init(ptf_zip_writer *zip, ptf_output *out, const char *root);

/*
 * Opens the entry root/name for 'size' stored bytes, which the caller then
 * writes to the output, and puts their first byte at an aligned offset.
 * 'like', when not 0, is an address or offset whose place in its page the
 * payload should have too, if that place is aligned: see ptf_output_copy().
 * 'name' must live until the entry ends.
 */
ptf_status ptf_zip_write_begin(ptf_zip_writer *zip, const char *name,
                               uint64_t size, uint64_t like, ptf_error *err);
/* Ends it; 'crc' is the checksum of the bytes. */
ptf_status ptf_zip_write_end(ptf_zip_writer *zip, uint32_t crc, ptf_error *err);

/* An entry whose bytes are at hand. */
ptf_status ptf_zip_write_entry(ptf_zip_writer *zip, const char *name,
                               const void *data, size_t size, ptf_error *err);

/* Writes the directory. */
ptf_status ptf_zip_write_finish(ptf_zip_writer *zip, ptf_error *err);

void ptf_zip_write_free(ptf_zip_writer *zip);

#endif
