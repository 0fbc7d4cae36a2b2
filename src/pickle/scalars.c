/*
 * Opcodes that make numbers and texts.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "pickle/unpickle.h"

/* --------------------------------------------------------------- scalars */

ptf_status ptf_opcode_none(ptf_unpickler *u)
{
    return ptf_unpickle_push(u, u->none);
}

ptf_status ptf_opcode_true(ptf_unpickler *u)
{
    return ptf_unpickle_push(u, u->yes);
}

ptf_status ptf_opcode_false(ptf_unpickler *u)
{
    return ptf_unpickle_push(u, u->no);
}

static ptf_status push_int(ptf_unpickler *u, int64_t n)
{
    return ptf_unpickle_push_copy(
        u, (ptf_object){.kind = PTF_OBJECT_INT, .integer = n});
}

ptf_status ptf_opcode_binint(ptf_unpickler *u)
{
    uint32_t n = 0;
    ptf_status status = ptf_take_u32(&u->c, &n, "an integer");
    return status == PTF_OK ? push_int(u, (int32_t)n) : status;
}

ptf_status ptf_opcode_binint1(ptf_unpickler *u)
{
    uint8_t n = 0;
    ptf_status status = ptf_take_u8(&u->c, &n, "an integer");
    return status == PTF_OK ? push_int(u, n) : status;
}

ptf_status ptf_opcode_binint2(ptf_unpickler *u)
{
    uint16_t n = 0;
    ptf_status status = ptf_take_u16(&u->c, &n, "an integer");
    return status == PTF_OK ? push_int(u, n) : status;
}

/* Two's complement, least byte first; what does not fit stays as bytes. */
static ptf_status push_long(ptf_unpickler *u, size_t size)
{
    const uint8_t *p = NULL;
    ptf_status status = ptf_take(&u->c, size, &p, "an integer");
    if (status != PTF_OK)
        return status;
    uint8_t sign = size > 0 && p[size - 1] >= 0x80 ? 0xff : 0;
    while (size > 8 && p[size - 1] == sign && (p[size - 2] ^ sign) < 0x80)
        size--;
    if (size > 8)
        return ptf_unpickle_push_copy(u,
                                      (ptf_object){.kind = PTF_OBJECT_BIG_INT,
                                                   .count = (uint32_t)size,
                                                   .text = (const char *)p});
    uint8_t bytes[8];
    memset(bytes, sign, sizeof(bytes));
    if (size > 0)
        memcpy(bytes, p, size);
    return push_int(u, (int64_t)ptf_get_u64(bytes));
}

ptf_status ptf_opcode_long1(ptf_unpickler *u)
{
    uint8_t size = 0;
    ptf_status status = ptf_take_u8(&u->c, &size, "an integer's size");
    return status == PTF_OK ? push_long(u, size) : status;
}

ptf_status ptf_opcode_long4(ptf_unpickler *u)
{
    uint32_t size = 0;
    ptf_status status = ptf_take_u32(&u->c, &size, "an integer's size");
    return status == PTF_OK ? push_long(u, size) : status;
}

ptf_status ptf_opcode_binfloat(ptf_unpickler *u)
{
    const uint8_t *p = NULL;
    ptf_status status = ptf_take(&u->c, 8, &p, "a float");
    if (status != PTF_OK)
        return status;
    uint64_t bits = __builtin_bswap64(ptf_get_u64(p));
    double number;
    memcpy(&number, &bits, sizeof(number));
    return ptf_unpickle_push_copy(
        u, (ptf_object){.kind = PTF_OBJECT_FLOAT, .number = number});
}

ptf_status ptf_opcode_literal(ptf_unpickler *u)
{
    ptf_object value = {0};
    ptf_status status = ptf_parse_literal(&u->c, u->opcode, u->arena, &value);
    return status == PTF_OK ? ptf_unpickle_push_copy(u, value) : status;
}

/* ----------------------------------------------------------------- strings */

static ptf_status push_text(ptf_unpickler *u, ptf_object_kind kind,
                            uint64_t size)
{
    const uint8_t *p = NULL;
    if (size > ptf_cursor_left(&u->c))
        return UNPICKLE_FAIL(u, "expected a string of %llu bytes, got only %zu",
                             (unsigned long long)size, ptf_cursor_left(&u->c));
    ptf_status status = ptf_take(&u->c, (size_t)size, &p, "a string");
    return status == PTF_OK ? ptf_unpickle_push_copy(
                                  u, (ptf_object){.kind = (uint8_t)kind,
                                                  .count = (uint32_t)size,
                                                  .text = (const char *)p})
                            : status;
}

static ptf_status push_text1(ptf_unpickler *u, ptf_object_kind kind)
{
    uint8_t size = 0;
    ptf_status status = ptf_take_u8(&u->c, &size, "a string's size");
    return status == PTF_OK ? push_text(u, kind, size) : status;
}

static ptf_status push_text4(ptf_unpickler *u, ptf_object_kind kind)
{
    uint32_t size = 0;
    ptf_status status = ptf_take_u32(&u->c, &size, "a string's size");
    return status == PTF_OK ? push_text(u, kind, size) : status;
}

static ptf_status push_text8(ptf_unpickler *u, ptf_object_kind kind)
{
    uint64_t size = 0;
    ptf_status status = ptf_take_u64(&u->c, &size, "a string's size");
    return status == PTF_OK ? push_text(u, kind, size) : status;
}

ptf_status ptf_opcode_string1(ptf_unpickler *u)
{
    return push_text1(u, PTF_OBJECT_STRING);
}

ptf_status ptf_opcode_string4(ptf_unpickler *u)
{
    return push_text4(u, PTF_OBJECT_STRING);
}

ptf_status ptf_opcode_string8(ptf_unpickler *u)
{
    return push_text8(u, PTF_OBJECT_STRING);
}

ptf_status ptf_opcode_bytes1(ptf_unpickler *u)
{
    return push_text1(u, PTF_OBJECT_BYTES);
}

ptf_status ptf_opcode_bytes4(ptf_unpickler *u)
{
    return push_text4(u, PTF_OBJECT_BYTES);
}

ptf_status ptf_opcode_bytes8(ptf_unpickler *u)
{
    return push_text8(u, PTF_OBJECT_BYTES);
}
