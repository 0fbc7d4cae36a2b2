/*
 * Numbers rounded to f32.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exact/exact.h"

__extension__ typedef __int128 wide;
__extension__ typedef unsigned __int128 unsigned_wide;

/* x 2^-bits to the nearest integer, ties to even. */
static unsigned_wide shifted(unsigned_wide x, int bits)
{
    unsigned_wide half = (unsigned_wide)1 << (bits - 1);
    unsigned_wide y = x >> bits, rest = x - (y << bits);
    return y + (rest > half || (rest == half && (y & 1) == 1));
}

/* x 2^exponent, x of up to 120 bits. */
static float round_wide(wide x, int exponent)
{
    enum { BITS = 24, LEAST = -149 };
    unsigned_wide size = x < 0 ? -(unsigned_wide)x : (unsigned_wide)x;
    int bits = 0;
    while (bits < 127 && size >> bits > 0)
        bits++;
    int cut = bits - BITS;
    if (exponent + cut < LEAST)
        cut = LEAST - exponent;
    if (cut > 127)
        size = 0;
    else if (cut > 0)
        size = shifted(size, cut);
    /* at most 2^24, and a power of two that f32 has, or more than it has */
    double y = ldexp((double)(uint64_t)size, exponent + (cut > 0 ? cut : 0));
    return (float)(x < 0 ? -y : y);
}

/*
 * Of balanced digits: the two highest that count have 51 bits or more, and of
 * what is below them only the sign does, as one more bit.
 */
static float round_digits(const int64_t *digits, int count, int exponent)
{
    int top = count - 1;
    while (top > 1 && digits[top] == 0)
        top--;
    wide x = digits[top];
    int low = top > 0 ? top - 1 : top, sign = 0;
    if (top > 0)
        x = x * (PTF_DIGIT_MASK + 1) + digits[top - 1];
    for (int l = low - 1; l >= 0 && sign == 0; l--)
        sign = (digits[l] > 0) - (digits[l] < 0);
    return round_wide(4 * x + sign, exponent + PTF_DIGIT_BITS * low - 2);
}

static void balance(int64_t *digits, int count)
{
    for (int l = 0; l + 1 < count; l++) {
        int64_t d = digits[l] + PTF_DIGIT_HALF;
        digits[l] = (d & PTF_DIGIT_MASK) - PTF_DIGIT_HALF;
        digits[l + 1] += d >> PTF_DIGIT_BITS;
    }
}

/* The radius is rounded to units, and one more is taken. */
void ptf_fixed_round(const ptf_fixed *v, int n, int64_t i, float *low,
                     float *high)
{
    int64_t reach[PTF_LIMBS_MOST];
    bool exact = true;
    double r = v->radius[i]; /* a unit is 2^E */
    if (!(r < ldexp(0.25, v->exponent + PTF_DIGIT_BITS * n)))
        return;
    ptf_digits_of(r, v->exponent + PTF_DIGIT_BITS * n, n, reach, &exact);
    reach[0] += exact ? 0 : 1;
    for (int side = 0; side < 2; side++) {
        int64_t digits[PTF_LIMBS_MOST + 1] = {0};
        for (int l = 0; l < n; l++)
            digits[l] =
                v->digits[l * v->room + i] + (side == 0 ? -reach[l] : reach[l]);
        balance(digits, n + 1);
        *(side == 0 ? low : high) =
            round_digits(digits, n + 1, v->exponent - PTF_DIGIT_BITS * n);
    }
}
