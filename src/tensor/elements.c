/*
 * Reading elements: strided to C order, converted with one rounding.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tensor/tensor.h"

#include <math.h>

/* Converts 'n' elements that lie 'step' bytes apart. */
typedef void row_function(const uint8_t *in, size_t step, size_t n, void *out);

static uint32_t get_u32(const uint8_t *p)
{
    uint32_t bits;
    memcpy(&bits, p, sizeof(bits));
    return bits;
}

static uint16_t get_u16(const uint8_t *p)
{
    uint16_t bits;
    memcpy(&bits, p, sizeof(bits));
    return bits;
}

static float float_of_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static float load_bf16(const uint8_t *p)
{
    return float_of_bits((uint32_t)get_u16(p) << 16);
}

/* IEEE 754 binary16; every value is a binary32 value. */
static float load_f16(const uint8_t *p)
{
    uint32_t h = get_u16(p);
    uint32_t sign = (h & 0x8000) << 16, exponent = h >> 10 & 31;
    uint32_t fraction = h & 0x3ff;
    if (exponent == 31) /* infinity and NaN */
        return float_of_bits(sign | 0x7f800000 | fraction << 13);
    if (exponent != 0)
        return float_of_bits(sign | (exponent + 112) << 23 | fraction << 13);
    float tiny = (float)fraction * 0x1p-24f;
    return sign != 0 ? -tiny : tiny;
}

static float load_f32(const uint8_t *p)
{
    return float_of_bits(get_u32(p));
}

static double load_f64(const uint8_t *p)
{
    double value;
    memcpy(&value, p, sizeof(value));
    return value;
}

static int8_t load_i8(const uint8_t *p)
{
    return (int8_t)p[0];
}

static int16_t load_i16(const uint8_t *p)
{
    return (int16_t)get_u16(p);
}

static int32_t load_i32(const uint8_t *p)
{
    return (int32_t)get_u32(p);
}

static uint64_t load_u64(const uint8_t *p)
{
    uint64_t value;
    memcpy(&value, p, sizeof(value));
    return value;
}

static int64_t load_i64(const uint8_t *p)
{
    return (int64_t)load_u64(p);
}

static uint8_t load_u8(const uint8_t *p)
{
    return p[0];
}

static int load_bool(const uint8_t *p)
{
    return p[0] != 0;
}

/* The rows of one dtype, to float and to double. */
#define ROWS(load)                                                      \
    static void load##_to_f32(const uint8_t *in, size_t step, size_t n, \
                              void *out)                                \
    {                                                                   \
        float *to = out;                                                \
        for (size_t i = 0; i < n; i++)                                  \
            to[i] = (float)load(in + i * step);                         \
    }                                                                   \
    static void load##_to_f64(const uint8_t *in, size_t step, size_t n, \
                              void *out)                                \
    {                                                                   \
        double *to = out;                                               \
        for (size_t i = 0; i < n; i++)                                  \
            to[i] = (double)load(in + i * step);                        \
    }

ROWS(load_f32)
ROWS(load_f64)
ROWS(load_f16)
ROWS(load_bf16)
ROWS(load_i8)
ROWS(load_i16)
ROWS(load_i32)
ROWS(load_i64)
ROWS(load_u8)
ROWS(get_u16)
ROWS(get_u32)
ROWS(load_u64)
ROWS(load_bool)

static const struct {
    row_function *to_f32, *to_f64;
} conversions[PTF_DTYPE_COUNT] = {
    [PTF_DTYPE_F32] = {load_f32_to_f32, load_f32_to_f64},
    [PTF_DTYPE_F64] = {load_f64_to_f32, load_f64_to_f64},
    [PTF_DTYPE_F16] = {load_f16_to_f32, load_f16_to_f64},
    [PTF_DTYPE_BF16] = {load_bf16_to_f32, load_bf16_to_f64},
    [PTF_DTYPE_I8] = {load_i8_to_f32, load_i8_to_f64},
    [PTF_DTYPE_I16] = {load_i16_to_f32, load_i16_to_f64},
    [PTF_DTYPE_I32] = {load_i32_to_f32, load_i32_to_f64},
    [PTF_DTYPE_I64] = {load_i64_to_f32, load_i64_to_f64},
    [PTF_DTYPE_U8] = {load_u8_to_f32, load_u8_to_f64},
    [PTF_DTYPE_U16] = {get_u16_to_f32, get_u16_to_f64},
    [PTF_DTYPE_U32] = {get_u32_to_f32, get_u32_to_f64},
    [PTF_DTYPE_U64] = {load_u64_to_f32, load_u64_to_f64},
    [PTF_DTYPE_BOOL] = {load_bool_to_f32, load_bool_to_f64},
};

/* Calls 'row' for each innermost row, in C order. */
static void for_rows(const ptf_tensor *t, row_function *row, size_t out_size,
                     void *out)
{
    const uint8_t *in = t->data;
    uint8_t *to = out;
    size_t size = ptf_dtype_size(t->dtype);
    size_t left = (size_t)ptf_tensor_numel(t);
    if (ptf_tensor_is_contiguous(t)) {
        if (left > 0)
            row(in, size, left, to);
        return;
    }
    int last = t->rank - 1;
    size_t n = (size_t)t->shape[last];
    size_t step = (size_t)t->stride[last] * size;
    int64_t index[PTF_MAX_RANK] = {0};
    int64_t offset = 0;
    for (; left > 0; left -= n, to += n * out_size) {
        row(in + (size_t)offset * size, step, n, to);
        for (int d = last - 1; d >= 0; d--) {
            offset += t->stride[d];
            if (++index[d] < t->shape[d])
                break;
            offset -= t->stride[d] * t->shape[d];
            index[d] = 0;
        }
    }
}

static ptf_status fail_dtype(const ptf_tensor *t, ptf_error *err)
{
    return ptf_fail(err, PTF_UNSUPPORTED, NULL, PTF_NO_OFFSET,
                    "tensor '%s': expected real numbers, got dtype %s",
                    t->name != NULL ? t->name : "", ptf_dtype_name(t->dtype));
}

ptf_status ptf_tensor_read_f32(const ptf_tensor *tensor, float *out,
                               ptf_error *err)
{
    if (conversions[tensor->dtype].to_f32 == NULL)
        return fail_dtype(tensor, err);
    if (tensor->dtype == PTF_DTYPE_F32)
        ptf_tensor_read_bytes(tensor, out);
    else
        for_rows(tensor, conversions[tensor->dtype].to_f32, sizeof(*out), out);
    return PTF_OK;
}

static void find_rounded(const uint8_t *in, size_t step, size_t n, void *out)
{
    bool *some = out;
    for (size_t i = 0; i < n && !*some; i++) {
        double x;
        memcpy(&x, in + i * step, sizeof(x));
        *some = fabs((double)(float)x - x) > 0;
    }
}

bool ptf_tensor_rounds(const ptf_tensor *tensor)
{
    bool some = false;
    if (tensor->dtype == PTF_DTYPE_F64)
        for_rows(tensor, find_rounded, 0, &some);
    return some;
}

ptf_status ptf_tensor_read_f64(const ptf_tensor *tensor, double *out,
                               ptf_error *err)
{
    if (conversions[tensor->dtype].to_f64 == NULL)
        return fail_dtype(tensor, err);
    for_rows(tensor, conversions[tensor->dtype].to_f64, sizeof(*out), out);
    return PTF_OK;
}

/* ------------------------------------------------------------------ finite */

/* A walk over the elements of a tensor in C order. */
typedef struct search {
    int64_t passed; /* elements before this row */
    int64_t found;  /* the first that is NaN or infinite; -1: none yet */
} search;

/*
 * NaN and infinity are the numbers whose exponent is all ones.  Few tensors
 * have any: elements that lie side by side are looked at BLOCK at a time,
 * without a branch for each, and one by one only where a block has some.
 */
enum { BLOCK = 4096 };

#define FIND_ROWS(name, type, exponent)                                  \
    static bool name##_any(const uint8_t *in)                            \
    {                                                                    \
        type any = 0;                                                    \
        for (size_t i = 0; i < BLOCK; i++) {                             \
            type bits;                                                   \
            memcpy(&bits, in + i * sizeof(bits), sizeof(bits));          \
            any |= (type)((bits & (exponent)) == (exponent));            \
        }                                                                \
        return any != 0;                                                 \
    }                                                                    \
                                                                         \
    static void name(const uint8_t *in, size_t step, size_t n, void *at) \
    {                                                                    \
        search *s = at;                                                  \
        size_t i = 0;                                                    \
        while (step == sizeof(type) && n - i >= BLOCK &&                 \
               !name##_any(in + i * step))                               \
            i += BLOCK;                                                  \
        for (; i < n && s->found < 0; i++) {                             \
            type bits;                                                   \
            memcpy(&bits, in + i * step, sizeof(bits));                  \
            if ((bits & (exponent)) == (exponent))                       \
                s->found = s->passed + (int64_t)i;                       \
        }                                                                \
        s->passed += (int64_t)n;                                         \
    }

FIND_ROWS(find_f64, uint64_t, 0x7ff0000000000000)
FIND_ROWS(find_f32, uint32_t, 0x7f800000)
FIND_ROWS(find_f16, uint16_t, 0x7c00)
FIND_ROWS(find_bf16, uint16_t, 0x7f80)

/* A piece of a tensor without gaps, so that threads share the reading. */
enum { PIECE = 1 << 16 };

typedef struct pieces {
    const ptf_tensor *tensor;
    row_function *find;
    int64_t *found; /* of each */
} pieces;

static void find_in_piece(void *context, int64_t i, int thread)
{
    (void)thread;
    const pieces *p = context;
    size_t size = ptf_dtype_size(p->tensor->dtype);
    int64_t left = ptf_tensor_numel(p->tensor) - i * PIECE;
    const uint8_t *data = p->tensor->data;
    search s = {i * PIECE, -1};
    p->find(data + (size_t)(i * PIECE) * size, size,
            (size_t)ptf_min_i64(left, PIECE), &s);
    p->found[i] = s.found;
}

/* The first that a piece has; false without memory. */
static bool find_in_pieces(const ptf_tensor *tensor, row_function *find,
                           int64_t *out)
{
    int64_t count = (ptf_tensor_numel(tensor) + PIECE - 1) / PIECE;
    pieces p = {tensor, find, ptf_alloc((size_t)count * sizeof(*p.found))};
    if (p.found == NULL)
        return false;
    ptf_each(ptf_thread_count(), count, find_in_piece, &p);
    *out = -1;
    for (int64_t i = 0; i < count && *out < 0; i++)
        *out = p.found[i];
    ptf_free(p.found);
    return true;
}

int64_t ptf_tensor_find_not_finite(const ptf_tensor *tensor)
{
    static row_function *const finders[PTF_DTYPE_COUNT] = {
        [PTF_DTYPE_F64] = find_f64,
        [PTF_DTYPE_F32] = find_f32,
        [PTF_DTYPE_F16] = find_f16,
        [PTF_DTYPE_BF16] = find_bf16,
    };
    search s = {0, -1};
    row_function *find = finders[tensor->dtype];
    if (find != NULL && ptf_tensor_numel(tensor) > PIECE &&
        ptf_tensor_is_contiguous(tensor) &&
        find_in_pieces(tensor, find, &s.found))
        return s.found;
    if (find != NULL)
        for_rows(tensor, find, 0, &s);
    return s.found;
}

/* ------------------------------------------------------------------- bytes */

/* Rows of elements of one size, as they are. */
#define COPY_ROWS(size)                                               \
    static void copy_##size(const uint8_t *in, size_t step, size_t n, \
                            void *out)                                \
    {                                                                 \
        uint8_t *to = out;                                            \
        if (step == (size)) {                                         \
            memcpy(to, in, n *(size));                                \
            return;                                                   \
        }                                                             \
        for (size_t i = 0; i < n; i++)                                \
            memcpy(to + i * (size), in + i * step, size);             \
    }

COPY_ROWS(1)
COPY_ROWS(2)
COPY_ROWS(4)
COPY_ROWS(8)
COPY_ROWS(16)

void ptf_tensor_read_bytes(const ptf_tensor *tensor, void *out)
{
    static row_function *const copies[] = {
        [1] = copy_1, [2] = copy_2, [4] = copy_4, [8] = copy_8, [16] = copy_16,
    };
    size_t size = ptf_dtype_size(tensor->dtype);
    for_rows(tensor, copies[size], size, out);
}
