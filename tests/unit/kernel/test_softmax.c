/*
 * The softmax and the function whose gradient it is, against 200 bits of
 * MPFR, and the three statements about them: bounds and limit, gradient,
 * unit vector.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/base.h"

#include <float.h>
#include <math.h>
#include <mpfr.h>
#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

enum { BITS = 200, MOST = 64 };

/* ------------------------------------------------------------------ numbers */

static uint64_t state;

static double uniform(double low, double high)
{
    state = state * 6364136223846793005U + 1442695040888963407U;
    return low + (high - low) * (double)(state >> 11) * 0x1p-53;
}

static size_t below(size_t n)
{
    return (size_t)uniform(0, (double)n);
}

/* Logits whose gaps are interesting for that beta, one in eight tied. */
static size_t random_logits(double beta, float *x)
{
    size_t n = 1 + below(MOST - 1);
    double middle = uniform(-1, 1) * pow(10, uniform(-6, 6));
    double width = pow(10, uniform(-3, 2.7)) / beta;
    for (size_t i = 0; i < n; i++) {
        double v = middle + width * uniform(-1, 0);
        v = v > (double)FLT_MAX ? (double)FLT_MAX : v;
        x[i] = (float)(v < -(double)FLT_MAX ? -(double)FLT_MAX : v);
        if (i > 0 && below(8) == 0)
            x[i] = x[i - 1];
    }
    return n;
}

static double random_beta(void)
{
    return pow(10, uniform(-30, 30));
}

static size_t largest(const float *x, size_t n)
{
    size_t best = 0;
    for (size_t i = 1; i < n; i++)
        best = x[i] > x[best] ? i : best;
    return best;
}

/* ---------------------------------------------------------------- reference */

/* exp(beta * (x - most)) */
static void reference_term(mpfr_t out, double beta, float x, float most)
{
    mpfr_set_flt(out, x, MPFR_RNDN);
    mpfr_sub_d(out, out, (double)most, MPFR_RNDN);
    mpfr_mul_d(out, out, beta, MPFR_RNDN);
    mpfr_exp(out, out, MPFR_RNDN);
}

/* The sum of the terms but the largest, whose term is 1. */
static void reference_rest(mpfr_t out, double beta, const float *x, size_t n)
{
    size_t skip = largest(x, n);
    mpfr_t term;
    mpfr_init2(term, BITS);
    mpfr_set_zero(out, 1);
    for (size_t i = 0; i < n; i++) {
        if (i == skip)
            continue;
        reference_term(term, beta, x[i], x[skip]);
        mpfr_add(out, out, term, MPFR_RNDN);
    }
    mpfr_clear(term);
}

static void reference_nu(mpfr_t out, double beta, const float *x, size_t n)
{
    reference_rest(out, beta, x, n);
    mpfr_log1p(out, out, MPFR_RNDN);
    mpfr_div_d(out, out, beta, MPFR_RNDN);
    mpfr_add_d(out, out, (double)x[largest(x, n)], MPFR_RNDN);
}

/* |got - want| in units of the last place of a number of that size. */
static double units(double got, mpfr_t want, int digits, int least_exponent)
{
    mpfr_t error;
    mpfr_init2(error, BITS);
    mpfr_sub_d(error, want, got, MPFR_RNDA);
    long exponent = mpfr_zero_p(want) ? least_exponent : mpfr_get_exp(want);
    exponent = exponent < least_exponent ? least_exponent : exponent;
    mpfr_mul_2si(error, error, digits - exponent, MPFR_RNDN);
    double result = fabs(mpfr_get_d(error, MPFR_RNDA));
    mpfr_clear(error);
    return result;
}

static double units_of_f32(double got, mpfr_t want)
{
    return units(got, want, FLT_MANT_DIG, FLT_MIN_EXP);
}

static double units_of_f64(double got, mpfr_t want)
{
    return units(got, want, DBL_MANT_DIG, DBL_MIN_EXP);
}

static double nu_of(double beta, const float *x, size_t n)
{
    double nu;
    ptf_error err;
    assert_int_equal(ptf_log_sum_exp(beta, x, n, &nu, &err), PTF_OK);
    return nu;
}

/*
 * ptfold.h grants 2^-90 of the largest logit; with so few logits 2^-100 is
 * kept, and holding that finds wrong last bits of constants.
 */
static void check_nu(double beta, const float *x, size_t n)
{
    mpfr_t want;
    mpfr_init2(want, BITS);
    reference_nu(want, beta, x, n);
    double nu = nu_of(beta, x, n);
    double most = fabs((double)x[largest(x, n)]);
    double ulp = fabs(nextafter(nu, HUGE_VAL) - nu);
    double allowed = ulp > 0 ? 0x1p-100 * most / ulp : 0;
    if (units_of_f64(nu, want) > 0.51 + allowed || units_of_f32(nu, want) > 0.5)
        fail_msg("beta %a, %zu logits up to %a: %a is wrong by %g units of "
                 "f64, %g of f32",
                 beta, n, most, nu, units_of_f64(nu, want),
                 units_of_f32(nu, want));
    mpfr_clear(want);
}

/* ----------------------------------------------------------- against MPFR */

static void nu_agrees_with_200_bits(void **unused)
{
    (void)unused;
    float x[MOST];
    state = 1;
    for (int i = 0; i < 4000; i++) {
        double beta = random_beta();
        check_nu(beta, x, random_logits(beta, x));
    }
}

/* nu falls in beta, so that a zero can be enclosed. */
static double zero_of_nu(const float *x, size_t n)
{
    mpfr_t nu;
    mpfr_init2(nu, BITS);
    double low = 1e-30, high = 1e30;
    while (nextafter(low, high) < high) {
        double middle = low * sqrt(high / low);
        if (middle <= low || middle >= high)
            middle = nextafter(low, high);
        reference_nu(nu, middle, x, n);
        if (mpfr_sgn(nu) > 0)
            low = middle;
        else
            high = middle;
    }
    mpfr_clear(nu);
    return low;
}

static void nu_survives_cancellation(void **unused)
{
    (void)unused;
    float x[MOST], pair[2] = {-1.0F, -1.0F};
    double ln2 = 0x1.62e42fefa39efp-1;
    check_nu(ln2, pair, 2);
    assert_true(nu_of(ln2, pair, 2) > 0 && nu_of(ln2, pair, 2) < 1e-15);
    state = 2;
    for (int i = 0; i < 300; i++) {
        double scale = pow(10, uniform(-18, 20));
        size_t n = 2 + below(10);
        for (size_t k = 0; k < n; k++)
            x[k] = (float)(-scale * uniform(1, 100));
        if (i % 2 == 0) /* gaps that no double can hold */
            x[below(n)] *= 1e-11F;
        double beta = zero_of_nu(x, n);
        check_nu(beta, x, n);
        check_nu(nextafter(beta, HUGE_VAL), x, n);
        check_nu(nextafter(beta, 0), x, n);
    }
}

/* Where the largest logit is 0, all of nu is in the last bits of a sum. */
static void nu_keeps_what_is_far_below_the_largest(void **unused)
{
    (void)unused;
    state = 3;
    for (int i = 0; i < 500; i++) {
        double beta = pow(10, uniform(-30, 2));
        double room = i % 2 == 0 ? -900 : -700; /* exp(-745) is 0 in double */
        float x[3] = {0.0F, (float)(uniform(room, 0) / beta),
                      (float)(uniform(room, 0) / beta)};
        check_nu(beta, x, 3);
    }
    float x[2] = {0.0F, -1e32F};
    assert_true(nu_of(1e-30, x, 2) > 3e-14);
    x[1] = -8e32F;
    check_nu(1e-30, x, 2);
    assert_true(nu_of(1e-30, x, 2) > 3e-318);
    x[1] = -FLT_MAX;
    assert_true(nu_of(1e-30, x, 2) <= 0 && nu_of(1e30, x, 2) <= 0);
    float y[3] = {1.0F, -INFINITY, 2.0F}, present[2] = {1.0F, 2.0F};
    double all = nu_of(1.0, y, 3), two = nu_of(1.0, present, 2);
    assert_memory_equal(&all, &two, sizeof(all));
}

static void nu_takes_the_extremes_of_f32(void **unused)
{
    (void)unused;
    static const float edges[] = {FLT_MAX, -FLT_MAX, 0x1p-149F, -0x1p-149F,
                                  FLT_MIN, -FLT_MIN, 0.0F,      -0.0F,
                                  1.0F,    -1.0F};
    enum { EDGES = PTF_ARRAY_SIZE(edges) };
    static const double betas[] = {1e-30, 1e-5, 1.0, 1e5, 1e30};
    for (size_t b = 0; b < PTF_ARRAY_SIZE(betas); b++) {
        for (size_t i = 0; i < EDGES * EDGES; i++) {
            float x[2] = {edges[i / EDGES], edges[i % EDGES]};
            check_nu(betas[b], x, 2);
            check_nu(betas[b], x, 1);
        }
    }
}

static void shares_agree_with_200_bits(void **unused)
{
    (void)unused;
    float x[MOST], p[MOST];
    mpfr_t rest, share;
    mpfr_inits2(BITS, rest, share, (mpfr_ptr)0);
    double worst = 0;
    int subnormal = 0;
    state = 4;
    for (int i = 0; i < 2000; i++) {
        double beta = random_beta();
        size_t n = random_logits(beta, x);
        assert_int_equal(ptf_softmax(beta, x, n, p, NULL), PTF_OK);
        reference_rest(rest, beta, x, n);
        mpfr_add_ui(rest, rest, 1, MPFR_RNDN);
        for (size_t k = 0; k < n; k++) {
            reference_term(share, beta, x[k], x[largest(x, n)]);
            mpfr_div(share, share, rest, MPFR_RNDN);
            double error = units_of_f32((double)p[k], share);
            worst = error > worst ? error : worst;
            subnormal += p[k] > 0 && p[k] < FLT_MIN;
        }
    }
    mpfr_clears(rest, share, (mpfr_ptr)0);
    assert_true(subnormal > 20);
    assert_true(worst >= 0.25 && worst < 0.51);
}

/* ----------------------------------------------------- the three statements */

static void nu_lies_between_max_and_max_plus_log_n_over_beta(void **unused)
{
    (void)unused;
    float x[MOST];
    state = 5;
    for (int i = 0; i < 2000; i++) {
        double beta = random_beta();
        size_t n = random_logits(beta, x);
        double most = (double)x[largest(x, n)], nu = nu_of(beta, x, n);
        double room = log((double)n) / beta * (1 + 1e-15);
        assert_true(nu >= most);
        assert_true(nu <= nextafter(most + room, HUGE_VAL));
    }
    float y[3] = {0.25F, 1.5F, 1.5F};
    for (double beta = 1; beta < 1e30; beta *= 16)
        assert_true(nu_of(beta, y, 3) - 1.5 <= log(3) / beta);
    assert_true(nu_of(1e30, y, 3) <= 1.5 && nu_of(HUGE_VAL, y, 3) <= 1.5);
}

/* A central difference of fourth order; x are multiples of h. */
static double difference(double beta, float *x, size_t n, size_t k)
{
    static const double weight[] = {1, -8, 0, 8, -1};
    const double h = 0x1p-9;
    double sum = 0;
    float at = x[k];
    for (int i = 0; i < 5; i++) {
        x[k] = at + (float)((i - 2) * h);
        if (i != 2)
            sum += weight[i] * nu_of(beta, x, n);
    }
    x[k] = at;
    return sum / (12 * h);
}

static void softmax_is_the_gradient_of_nu(void **unused)
{
    (void)unused;
    float x[MOST], p[MOST];
    static const double betas[] = {0.25, 0.5, 1.0, 1.5};
    state = 6;
    for (int i = 0; i < 200; i++) {
        double beta = betas[below(4)];
        size_t n = 1 + below(MOST - 1);
        for (size_t k = 0; k < n; k++)
            x[k] = (float)(floor(uniform(-2048, 2048)) * 0x1p-9);
        assert_int_equal(ptf_softmax(beta, x, n, p, NULL), PTF_OK);
        for (size_t k = 0; k < n; k++) {
            double error = fabs(difference(beta, x, n, k) - (double)p[k]);
            assert_true(error < 0x1p-24 * (double)p[k] + 1e-11);
        }
    }
}

/* Beside the arg max nothing is left, and it goes like exp(-beta * gap). */
static void softmax_goes_to_a_unit_vector_like_exp_of_minus_beta_gap(
    void **unused)
{
    (void)unused;
    float x[4] = {1.0F, 3.0F, 2.5F, -1.0F}, p[4];
    const double gap = 0.5;
    for (double beta = 0.5; beta < 1e30; beta *= 1.25) {
        assert_int_equal(ptf_softmax(beta, x, 4, p, NULL), PTF_OK);
        double rest = (double)p[0] + (double)p[2] + (double)p[3];
        double rate = exp(-beta * gap);
        assert_true(rest <= 3 * rate * (1 + 1e-6) + 0x1p-149);
        assert_true((double)p[2] >= rate / 4 * (1 - 1e-6) - 0x1p-149);
        assert_true(fabs(1 - (double)p[1] - rest) < 0x1p-22);
    }
    assert_true(p[1] >= 1.0F && p[0] <= 0.0F && p[2] <= 0.0F && p[3] <= 0.0F);
}

/* ------------------------------------------------------------ special cases */

/* Nothing but 0, -0 and infinities differ from their own bits. */
static void expect(double beta, const float *x, size_t n, double nu,
                   const float *shares)
{
    float p[4];
    double got = nu_of(beta, x, n);
    assert_memory_equal(&got, &nu, sizeof(nu));
    assert_int_equal(ptf_softmax(beta, x, n, p, NULL), PTF_OK);
    assert_memory_equal(p, shares, n * sizeof(*p));
}

static void infinite_beta_gives_max_and_arg_max(void **unused)
{
    (void)unused;
    expect(HUGE_VAL, (float[]){1, 3, 2}, 3, 3.0, (float[]){0, 1, 0});
    expect(HUGE_VAL, (float[]){3, -7, 3}, 3, 3.0, (float[]){0.5F, 0, 0.5F});
    expect(1e30, (float[]){3, -7, 3}, 3, 3.0, (float[]){0.5F, 0, 0.5F});
}

static void zero_beta_diverges_and_shares_equally(void **unused)
{
    (void)unused;
    float fourth[4] = {0.25F, 0.25F, 0.25F, 0.25F};
    float no = -INFINITY;
    expect(0.0, (float[]){1, 3, -2e30F, 9}, 4, HUGE_VAL, fourth);
    expect(-0.0, (float[]){1, 3, -2e30F, 9}, 4, HUGE_VAL, fourth);
    expect(0.0, (float[]){no, 3, 4}, 3, HUGE_VAL, (float[]){0, 0.5F, 0.5F});
    expect(0.0, (float[]){no, 3, no}, 3, 3.0, (float[]){0, 1, 0});
}

static void infinite_logits_have_their_limits(void **unused)
{
    (void)unused;
    const float inf = INFINITY;
    static const double betas[] = {0.0, 1e-30, 1.0, 1e30, HUGE_VAL};
    for (size_t i = 0; i < PTF_ARRAY_SIZE(betas); i++) {
        double b = betas[i];
        expect(b, (float[]){1, inf, -inf}, 3, HUGE_VAL, (float[]){0, 1, 0});
        expect(b, (float[]){inf, 1, inf}, 3, HUGE_VAL,
               (float[]){0.5F, 0, 0.5F});
        expect(b, (float[]){-inf, -inf}, 2, -HUGE_VAL, (float[]){0.5F, 0.5F});
        expect(b, (float[]){-inf, 5, -inf}, 3, 5.0, (float[]){0, 1, 0});
        expect(b, (float[]){-inf}, 1, -HUGE_VAL, (float[]){1});
    }
}

static void a_nan_is_kept(void **unused)
{
    (void)unused;
    static const double betas[] = {0.0, 1.0, HUGE_VAL};
    for (size_t i = 0; i < 9; i++) {
        float x[3] = {1.0F, INFINITY, -INFINITY}, p[3];
        x[i % 3] = NAN;
        assert_true(isnan(nu_of(betas[i / 3], x, 3)));
        assert_int_equal(ptf_softmax(betas[i / 3], x, 3, p, NULL), PTF_OK);
        assert_true(isnan(p[0]) && isnan(p[1]) && isnan(p[2]));
    }
}

static void no_numbers_and_other_betas_are_refused(void **unused)
{
    (void)unused;
    float x[2] = {1, 2}, p[2] = {7, 7};
    double nu = 7;
    ptf_error err;
    static const double bad[] = {-1.0, 1e-31, 1e31, (double)NAN, -HUGE_VAL};
    for (size_t i = 0; i < PTF_ARRAY_SIZE(bad); i++) {
        assert_int_equal(ptf_softmax(bad[i], x, 2, p, &err), PTF_ARGUMENT);
        assert_int_equal(ptf_log_sum_exp(bad[i], x, 2, &nu, &err),
                         PTF_ARGUMENT);
    }
    assert_int_equal(ptf_softmax(1.0, x, 0, p, &err), PTF_ARGUMENT);
    assert_int_equal(ptf_log_sum_exp(1.0, x, 0, &nu, NULL), PTF_ARGUMENT);
    assert_true(p[0] >= 7 && nu >= 7);
}

/* --------------------------------------------------------------------- bits */

static uint32_t digest(void)
{
    float x[MOST], p[MOST];
    uint32_t crc = 0;
    state = 7;
    for (int i = 0; i < 300; i++) {
        double beta = ldexp(1, (int)below(190) - 95);
        size_t n = 1 + below(MOST - 1);
        for (size_t k = 0; k < n; k++)
            x[k] = (float)ldexp(uniform(-1, 1), 12);
        double nu = nu_of(beta, x, n);
        assert_int_equal(ptf_softmax(beta, x, n, p, NULL), PTF_OK);
        crc = ptf_crc32(crc, &nu, sizeof(nu));
        crc = ptf_crc32(crc, p, n * sizeof(*p));
    }
    return crc;
}

static void every_instruction_set_gives_the_same_bits(void **unused)
{
    (void)unused;
    for (int isa = PTF_ISA_REF; isa < PTF_ISA_COUNT; isa++) {
        if (!ptf_isa_here((ptf_isa)isa))
            continue;
        setenv("PTF_ISA", ptf_isa_text((ptf_isa)isa), 1);
        assert_int_equal(digest(), 0xf2a88bf8);
    }
    unsetenv("PTF_ISA");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nu_agrees_with_200_bits),
        cmocka_unit_test(nu_survives_cancellation),
        cmocka_unit_test(nu_keeps_what_is_far_below_the_largest),
        cmocka_unit_test(nu_takes_the_extremes_of_f32),
        cmocka_unit_test(shares_agree_with_200_bits),
        cmocka_unit_test(nu_lies_between_max_and_max_plus_log_n_over_beta),
        cmocka_unit_test(softmax_is_the_gradient_of_nu),
        cmocka_unit_test(
            softmax_goes_to_a_unit_vector_like_exp_of_minus_beta_gap),
        cmocka_unit_test(infinite_beta_gives_max_and_arg_max),
        cmocka_unit_test(zero_beta_diverges_and_shares_equally),
        cmocka_unit_test(infinite_logits_have_their_limits),
        cmocka_unit_test(a_nan_is_kept),
        cmocka_unit_test(no_numbers_and_other_betas_are_refused),
        cmocka_unit_test(every_instruction_set_gives_the_same_bits),
    };
    return cmocka_run_group_tests_name("softmax", tests, NULL, NULL);
}
