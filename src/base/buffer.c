/*
 * Bytes that grow at their end: headers and directories before they are
 * written.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/base.h"

/* Room for 'more' bytes; false once memory has run out. */
static bool buffer_grow(ptf_buffer *b, size_t more)
{
    size_t needed;
    if (b->failed || !ptf_add_size(b->size, more, &needed)) {
        b->failed = true;
        return false;
    }
    if (needed <= b->capacity)
        return true;
    size_t capacity = b->capacity > 0 ? b->capacity : 256;
    while (capacity < needed)
        capacity += capacity < SIZE_MAX / 2 ? capacity : SIZE_MAX - capacity;
    uint8_t *data = ptf_realloc(b->data, capacity);
    if (data == NULL) {
        b->failed = true;
        return false;
    }
    b->data = data;
    b->capacity = capacity;
    return true;
}

void ptf_buffer_add(ptf_buffer *buffer, const void *data, size_t size)
{
    if (size == 0 || !buffer_grow(buffer, size))
        return;
    memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
}

void ptf_buffer_add_text(ptf_buffer *buffer, const char *text)
{
    ptf_buffer_add(buffer, text, strlen(text));
}

void ptf_buffer_add_int(ptf_buffer *buffer, uint64_t value, int width)
{
    for (int i = 0; i < width; i++)
        ptf_buffer_add(buffer, &(uint8_t){(uint8_t)(value >> 8 * i)}, 1);
}

void ptf_buffer_printf(ptf_buffer *buffer, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int size = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (!buffer_grow(buffer, (size_t)size + 1)) /* with the zero */
        return;
    va_start(args, fmt);
    vsnprintf((char *)buffer->data + buffer->size, (size_t)size + 1, fmt, args);
    va_end(args);
    buffer->size += (size_t)size;
}

void ptf_buffer_free(ptf_buffer *buffer)
{
    ptf_free(buffer->data);
    *buffer = (ptf_buffer){0};
}
