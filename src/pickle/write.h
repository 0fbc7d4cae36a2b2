/*
 * Writing a pickle: one function per kind of value, protocol 2.  A pickle is
 * a program for a stack machine; each of these pushes one value.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_PICKLE_WRITE_H
#define PTF_PICKLE_WRITE_H

#include "base/base.h"

/* Opcodes without arguments, by the names of Python's pickletools. */
enum {
    PTF_PUT_MARK = '(',
    PTF_PUT_TUPLE = 't',
    PTF_PUT_EMPTY_TUPLE = ')',
    PTF_PUT_TUPLE1 = 0x85,
    PTF_PUT_TUPLE2 = 0x86,
    PTF_PUT_TUPLE3 = 0x87,
    PTF_PUT_NEWFALSE = 0x89,
    PTF_PUT_REDUCE = 'R',
    PTF_PUT_BINPERSID = 'Q',
    PTF_PUT_SETITEMS = 'u',
    PTF_PUT_STOP = '.',
};

void ptf_pickle_put_start(ptf_buffer *out); /* PROTO 2 */
void ptf_pickle_put(ptf_buffer *out, uint8_t opcode);
void ptf_pickle_put_int(ptf_buffer *out, int64_t value);
void ptf_pickle_put_text(ptf_buffer *out, const char *text);
/* 'text' is "module\nname". */
void ptf_pickle_put_global(ptf_buffer *out, const char *text);

/*
 * A text or global that is used often: written out when '*memo' has no slot
 * yet, and taken from there afterwards.
 */
typedef struct ptf_pickle_memo {
    const char *texts[256];
    int count;
} ptf_pickle_memo;

typedef void ptf_pickle_putter(ptf_buffer *out, const char *text);
void ptf_pickle_put_once(ptf_buffer *out, ptf_pickle_memo *memo,
                         ptf_pickle_putter *put, const char *text);

#endif
