/*
 * Writing a pickle, protocol 2: what torch.load(weights_only=True) reads in
 * every version.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "pickle/write.h"

void ptf_pickle_put_start(ptf_buffer *out)
{
    ptf_buffer_add(out, "\x80\2", 2);
}

void ptf_pickle_put(ptf_buffer *out, uint8_t opcode)
{
    ptf_buffer_add(out, &opcode, 1);
}

/* LONG1: the fewest bytes of two's complement that keep the sign. */
static void put_long(ptf_buffer *out, int64_t value)
{
    int width = 1;
    while (width < 8 && (value < -(INT64_C(1) << (8 * width - 1)) ||
                         value >= INT64_C(1) << (8 * width - 1)))
        width++;
    ptf_pickle_put(out, 0x8a);
    ptf_buffer_add_int(out, (uint64_t)width, 1);
    ptf_buffer_add_int(out, (uint64_t)value, width);
}

void ptf_pickle_put_int(ptf_buffer *out, int64_t value)
{
    static const struct {
        int64_t min, max;
        uint8_t opcode;
        int width;
    } forms[] = {
        {0, UINT8_MAX, 'K', 1},
        {0, UINT16_MAX, 'M', 2},
        {INT32_MIN, INT32_MAX, 'J', 4},
    };
    for (size_t i = 0; i < PTF_ARRAY_SIZE(forms); i++) {
        if (value < forms[i].min || value > forms[i].max)
            continue;
        ptf_pickle_put(out, forms[i].opcode);
        ptf_buffer_add_int(out, (uint64_t)value, forms[i].width);
        return;
    }
    put_long(out, value);
}

void ptf_pickle_put_text(ptf_buffer *out, const char *text)
{
    ptf_pickle_put(out, 'X');
    ptf_buffer_add_int(out, strlen(text), 4);
    ptf_buffer_add_text(out, text);
}

void ptf_pickle_put_global(ptf_buffer *out, const char *text)
{
    ptf_pickle_put(out, 'c');
    ptf_buffer_add_text(out, text);
    ptf_buffer_add(out, "\n", 1);
}

void ptf_pickle_put_once(ptf_buffer *out, ptf_pickle_memo *memo,
                         ptf_pickle_putter *put, const char *text)
{
    for (int i = 0; i < memo->count; i++) {
        if (strcmp(memo->texts[i], text) != 0)
            continue;
        ptf_pickle_put(out, 'h'); /* BINGET */
        ptf_buffer_add_int(out, (uint64_t)i, 1);
        return;
    }
    put(out, text);
    if (memo->count == (int)PTF_ARRAY_SIZE(memo->texts))
        return;
    ptf_pickle_put(out, 'q'); /* BINPUT */
    ptf_buffer_add_int(out, (uint64_t)memo->count, 1);
    memo->texts[memo->count++] = text;
}
