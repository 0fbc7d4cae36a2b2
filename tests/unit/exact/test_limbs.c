/*
 * Digits: the reference against integers of GMP, and each instruction set
 * against the reference, bit for bit.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exact/limbs.h"

#include <gmp.h>
#include <math.h>
#include <setjmp.h>
#include <stdlib.h>
// clang-format off
#include <cmocka.h>
// clang-format on

enum { ROWS = 13, SUM = 2, SIZE = PTF_DIGITS_MOST * PTF_LANES };

static uint64_t state = 1;

static uint64_t draw(void)
{
    state = state * 6364136223846793005 + 1442695040888963407;
    return state >> 11 ^ state << 20;
}

/* Balanced; often at the ends of what a digit may be, or small. */
static int64_t draw_digit(void)
{
    static const int64_t ends[] = {-PTF_DIGIT_HALF, PTF_DIGIT_HALF - 1, 0, 1,
                                   -1};
    uint64_t x = draw();
    if (x % 4 == 0)
        return ends[x / 4 % PTF_ARRAY_SIZE(ends)];
    return (int64_t)(x & (uint64_t)PTF_DIGIT_MASK) - PTF_DIGIT_HALF;
}

static void draw_digits(int count, int64_t *to)
{
    for (int i = 0; i < count * PTF_LANES; i++)
        to[i] = draw_digit();
}

/* The integer of one lane. */
static void integer(mpz_t x, int count, const int64_t *digits)
{
    mpz_set_ui(x, 0);
    for (int l = count - 1; l >= 0; l--) {
        mpz_mul_2exp(x, x, PTF_DIGIT_BITS);
        int64_t d = digits[l * PTF_LANES];
        if (d < 0)
            mpz_sub_ui(x, x, (unsigned long)-d);
        else
            mpz_add_ui(x, x, (unsigned long)d);
    }
}

static bool balanced(int count, const int64_t *digits)
{
    for (int i = 0; i < count * PTF_LANES; i++)
        if (digits[i] < -PTF_DIGIT_HALF || digits[i] >= PTF_DIGIT_HALF)
            return false;
    return true;
}

/* ------------------------------------------------------------ reference */

static void multiplies(void **unused)
{
    int64_t a[SIZE], b[SIZE], product[SIZE];
    mpz_t x, y, z;
    (void)unused;
    mpz_inits(x, y, z, NULL);
    for (int round = 0; round < 50; round++) {
        int na = 1 + round % 7, nb = 1 + round % 5;
        draw_digits(na, a);
        draw_digits(nb, b);
        ptf_limbs_ref.multiply(na, a, nb, b, product);
        for (int i = 0; i < PTF_LANES; i++) {
            integer(x, na, a + i);
            integer(y, nb, b + i);
            integer(z, na + nb, product + i);
            mpz_submul(z, x, y);
            assert_int_equal(mpz_sgn(z), 0);
        }
    }
    mpz_clears(x, y, z, NULL);
}

/* round(x / 2^shift) + addend, halves up. */
static void cuts(void **unused)
{
    int64_t in[SIZE], out[SIZE], addend[PTF_LIMBS_MOST];
    mpz_t x, y;
    (void)unused;
    mpz_inits(x, y, NULL);
    for (int round = 0; round < 200; round++) {
        int count = 2 + round % 8, limbs = 1 + round % 4;
        /* so that it fits, with room for the addend */
        int64_t least = PTF_DIGIT_BITS * (count - limbs) + 14;
        int64_t shift = least > 0 ? least + (int64_t)(draw() % 60) : 0;
        bool with = round % 3 > 0;
        memset(in, 0, sizeof(in));
        if (shift == 0)
            count = limbs;
        for (int i = 0; i < count * PTF_LANES; i++)
            in[i] = draw_digit() * (int64_t)(draw() % 2048);
        for (int i = 0; shift == 0 && i < PTF_LANES; i++)
            in[(count - 1) * PTF_LANES + i] = draw_digit() / 16;
        for (int l = 0; l < limbs; l++)
            addend[l] = l + 1 < limbs ? draw_digit() : draw_digit() / 8;
        ptf_limbs_ref.cut(count, in, shift, with ? addend : NULL, limbs, out);
        assert_true(balanced(limbs, out));
        for (int i = 0; i < PTF_LANES; i++) {
            integer(x, count, in + i);
            if (shift > 0) {
                mpz_set_ui(y, 1);
                mpz_mul_2exp(y, y, (unsigned long)shift - 1);
                mpz_add(x, x, y);
                mpz_fdiv_q_2exp(x, x, (unsigned long)shift);
            }
            for (int l = 0; with && l < limbs; l++) {
                mpz_set_si(y, addend[l]);
                mpz_mul_2exp(y, y, (unsigned long)(l * PTF_DIGIT_BITS));
                mpz_add(x, x, y);
            }
            integer(y, limbs, out + i);
            assert_int_equal(mpz_cmp(x, y), 0);
        }
    }
    mpz_clears(x, y, NULL);
}

/* Weights and a panel of digits, and the sums of a table. */
typedef struct scene {
    double weights[ROWS][PTF_TERMS];
    int64_t digits[PTF_TERMS * PTF_LANES];
    uint64_t rows[ROWS * PTF_ROW_WORDS], panel[PTF_PANEL_WORDS];
    int64_t sums[ROWS * SUM * PTF_LANES];
} scene;

static void draw_scene(scene *s)
{
    for (int i = 0; i < ROWS * PTF_TERMS; i++) {
        int64_t v = draw_digit();
        v = draw() % 8 == 0 ? PTF_DIGIT_HALF : v; /* also allowed */
        s->weights[i / PTF_TERMS][i % PTF_TERMS] = (double)v;
    }
    draw_digits(PTF_TERMS, s->digits);
    for (size_t i = 0; i < PTF_ARRAY_SIZE(s->sums); i++)
        s->sums[i] = draw_digit();
}

static void add_up(const ptf_limbs *limbs, int64_t rows, int64_t terms,
                   scene *s)
{
    for (int j = 0; j < ROWS; j++)
        limbs->pack_row(terms, s->weights[j], s->rows + j * PTF_ROW_WORDS);
    memcpy(s->panel, s->digits, sizeof(s->digits));
    limbs->pack_panel(terms, s->panel);
    limbs->dot(rows, terms, s->rows, s->panel, s->sums, SUM * PTF_LANES);
}

static void sums_up(void **unused)
{
    static scene s, before;
    mpz_t x, y, z;
    (void)unused;
    mpz_inits(x, y, z, NULL);
    for (int round = 0; round < 4; round++) {
        int64_t terms = round == 0 ? PTF_TERMS : 1 + (int64_t)(draw() % 255);
        draw_scene(&s);
        before = s;
        add_up(&ptf_limbs_ref, ROWS, terms, &s);
        for (int at = 0; at < ROWS * PTF_LANES; at++) {
            int j = at / PTF_LANES, i = at % PTF_LANES;
            integer(z, SUM, before.sums + j * SUM * PTF_LANES + i);
            for (int64_t k = 0; k < terms; k++) {
                mpz_set_si(x, (long)s.weights[j][k]);
                mpz_set_si(y, (long)s.digits[k * PTF_LANES + i]);
                mpz_addmul(z, x, y);
            }
            integer(x, SUM, s.sums + j * SUM * PTF_LANES + i);
            assert_int_equal(mpz_cmp(x, z), 0);
        }
    }
    mpz_clears(x, y, z, NULL);
}

/* -------------------------------------------------------- instruction sets */

static void same_sums(void **unused)
{
    static scene s, other;
    const ptf_limbs *limbs;
    (void)unused;
    for (int round = 0; round < 24; round++) {
        int64_t rows = 1 + round % ROWS;
        int64_t terms = round == 0 ? PTF_TERMS : 1 + (int64_t)(draw() % 256);
        draw_scene(&s);
        scene drawn = s;
        add_up(&ptf_limbs_ref, rows, terms, &s);
        for (int64_t j = 0; j < rows; j++)
            ptf_limbs_ref.carry(SUM, s.sums + j * SUM * PTF_LANES);
        for (int k = 0; (limbs = ptf_limbs_here(k)) != NULL; k++) {
            other = drawn;
            add_up(limbs, rows, terms, &other);
            for (int64_t j = 0; j < rows; j++)
                limbs->carry(SUM, other.sums + j * SUM * PTF_LANES);
            assert_memory_equal(s.sums, other.sums, sizeof(s.sums));
        }
    }
}

static void same_numbers(void **unused)
{
    int64_t a[SIZE], b[SIZE], product[SIZE], out[SIZE];
    int64_t reference[SIZE], cut[SIZE], addend[PTF_LIMBS_MOST];
    const ptf_limbs *limbs;
    (void)unused;
    for (int round = 0; round < 300; round++) {
        int na = 1 + round % 11, nb = 1 + round % 8;
        int n = 1 + round % PTF_LIMBS_MOST;
        int64_t shift = (int64_t)(draw() % (51 * (unsigned)(na + nb)));
        if (na + nb - n > 0 && shift < 51 * (na + nb - n))
            shift = 51 * (na + nb - n);
        draw_digits(na, a);
        draw_digits(nb, b);
        for (int l = 0; l < n; l++)
            addend[l] = l + 1 < n ? draw_digit() : draw_digit() / 8;
        const int64_t *more = round % 2 == 0 ? addend : NULL;
        ptf_limbs_ref.multiply(na, a, nb, b, reference);
        ptf_limbs_ref.cut(na + nb, reference, shift, more, n, cut);
        ptf_limbs_ref.carry(na + nb, reference);
        for (int k = 0; (limbs = ptf_limbs_here(k)) != NULL; k++) {
            size_t size = (size_t)(na + nb) * PTF_LANES * sizeof(int64_t);
            limbs->multiply(na, a, nb, b, product);
            limbs->cut(na + nb, product, shift, more, n, out);
            assert_memory_equal(cut, out, (size_t)n * PTF_LANES * 8);
            limbs->carry(na + nb, product);
            assert_memory_equal(reference, product, size);
        }
    }
}

/* The environment variable lowers the choice, and plain C is always there. */
static void chooses(void **unused)
{
    (void)unused;
    assert_string_equal(ptf_limbs_here(0)->name, "ref");
    setenv("PTF_ISA", "ref", 1);
    assert_string_equal(ptf_limbs_default()->name, "ref");
    unsetenv("PTF_ISA");
    int count = 0;
    while (ptf_limbs_here(count) != NULL)
        count++;
    assert_ptr_equal(ptf_limbs_default(), ptf_limbs_here(count - 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(multiplies),   cmocka_unit_test(cuts),
        cmocka_unit_test(sums_up),      cmocka_unit_test(same_sums),
        cmocka_unit_test(same_numbers), cmocka_unit_test(chooses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
