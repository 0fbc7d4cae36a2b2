/*
 * Opcodes that store and fetch values by number.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "pickle/unpickle.h"

/* -------------------------------------------------------------------- memo */

/*
 * A pickler numbers its values one after the other, so an index far beyond
 * the number of values so far is not one of its.
 */
static ptf_status memo_put(ptf_unpickler *u, uint64_t index)
{
    ptf_status status = ptf_unpickle_need(u, 1);
    if (status != PTF_OK)
        return status;
    if (index > u->values + UINT8_MAX)
        return UNPICKLE_FAIL(u, "expected memo index %zu or less, got %llu",
                             u->values + UINT8_MAX, (unsigned long long)index);
    while (u->memo_size <= index) {
        if (!ptf_unpickle_grow(&u->memo, u->memo_size, &u->memo_capacity))
            return ptf_fail_memory(u->c.err);
        u->memo[u->memo_size++] = NULL;
    }
    u->memo_used += u->memo[index] == NULL;
    u->memo[index] = ptf_unpickle_top(u);
    return PTF_OK;
}

static ptf_status memo_get(ptf_unpickler *u, uint64_t index)
{
    if (index >= u->memo_size || u->memo[index] == NULL)
        return UNPICKLE_FAIL(u, "expected a memo index that was set, got %llu",
                             (unsigned long long)index);
    return ptf_unpickle_push(u, u->memo[index]);
}

ptf_status ptf_opcode_binput(ptf_unpickler *u)
{
    uint8_t index = 0;
    ptf_status status = ptf_take_u8(&u->c, &index, "a memo index");
    return status == PTF_OK ? memo_put(u, index) : status;
}

ptf_status ptf_opcode_long_binput(ptf_unpickler *u)
{
    uint32_t index = 0;
    ptf_status status = ptf_take_u32(&u->c, &index, "a memo index");
    return status == PTF_OK ? memo_put(u, index) : status;
}

/* Python's memo is a dict, and the next index the number of its keys. */
ptf_status ptf_opcode_memoize(ptf_unpickler *u)
{
    return memo_put(u, u->memo_used);
}

ptf_status ptf_opcode_binget(ptf_unpickler *u)
{
    uint8_t index = 0;
    ptf_status status = ptf_take_u8(&u->c, &index, "a memo index");
    return status == PTF_OK ? memo_get(u, index) : status;
}

ptf_status ptf_opcode_long_binget(ptf_unpickler *u)
{
    uint32_t index = 0;
    ptf_status status = ptf_take_u32(&u->c, &index, "a memo index");
    return status == PTF_OK ? memo_get(u, index) : status;
}

/* PUT and GET of protocol 0: a decimal number on a line. */
static ptf_status take_index(ptf_unpickler *u, uint64_t *out)
{
    const char *line = NULL;
    size_t size = 0;
    ptf_status status = ptf_take_line(&u->c, &line, &size, "a memo index");
    if (status != PTF_OK)
        return status;
    *out = 0;
    for (size_t i = 0; i < size; i++) {
        if (line[i] < '0' || line[i] > '9' || size > 10)
            return UNPICKLE_FAIL(u, "expected a memo index, got '%.*s'",
                                 size < 40 ? (int)size : 40, line);
        *out = *out * 10 + (uint64_t)(line[i] - '0');
    }
    return size > 0 ? PTF_OK
                    : UNPICKLE_FAIL(u, "expected a memo index, got none");
}

ptf_status ptf_opcode_put(ptf_unpickler *u)
{
    uint64_t index = 0;
    ptf_status status = take_index(u, &index);
    return status == PTF_OK ? memo_put(u, index) : status;
}

ptf_status ptf_opcode_get(ptf_unpickler *u)
{
    uint64_t index = 0;
    ptf_status status = take_index(u, &index);
    return status == PTF_OK ? memo_get(u, index) : status;
}
