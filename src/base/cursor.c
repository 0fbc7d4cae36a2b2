/*
 * The cursor: hostile bytes are read here and nowhere else.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/base.h"

ptf_status ptf_take(ptf_cursor *c, size_t size, const uint8_t **out,
                    const char *what)
{
    if (size > ptf_cursor_left(c))
        return ptf_fail(c->err, PTF_FORMAT, &c->origin, c->pos,
                        "expected %s of %zu bytes, got only %zu", what, size,
                        ptf_cursor_left(c));
    *out = c->data + c->pos;
    c->pos += size;
    return PTF_OK;
}

ptf_status ptf_take_u8(ptf_cursor *c, uint8_t *out, const char *what)
{
    const uint8_t *p = NULL;
    ptf_status status = ptf_take(c, 1, &p, what);
    if (status == PTF_OK)
        *out = p[0];
    return status;
}

ptf_status ptf_take_u16(ptf_cursor *c, uint16_t *out, const char *what)
{
    const uint8_t *p = NULL;
    ptf_status status = ptf_take(c, 2, &p, what);
    if (status == PTF_OK)
        *out = ptf_get_u16(p);
    return status;
}

ptf_status ptf_take_u32(ptf_cursor *c, uint32_t *out, const char *what)
{
    const uint8_t *p = NULL;
    ptf_status status = ptf_take(c, 4, &p, what);
    if (status == PTF_OK)
        *out = ptf_get_u32(p);
    return status;
}

ptf_status ptf_take_u64(ptf_cursor *c, uint64_t *out, const char *what)
{
    const uint8_t *p = NULL;
    ptf_status status = ptf_take(c, 8, &p, what);
    if (status == PTF_OK)
        *out = ptf_get_u64(p);
    return status;
}

ptf_status ptf_take_line(ptf_cursor *c, const char **out, size_t *size,
                         const char *what)
{
    const uint8_t *start = c->data + c->pos;
    const uint8_t *end =
        ptf_cursor_left(c) > 0 ? memchr(start, '\n', ptf_cursor_left(c)) : NULL;
    if (end == NULL)
        return ptf_fail(c->err, PTF_FORMAT, &c->origin, c->pos,
                        "expected %s that ends with a newline, got none", what);
    *out = (const char *)start;
    *size = (size_t)(end - start);
    c->pos += *size + 1;
    return PTF_OK;
}
