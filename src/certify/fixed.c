/*
 * Part 3 in fixed point: A and B on one input, with digits added until their
 * outputs are known as well as they are wanted.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "certify/check.h"
#include "exact/exact.h"

#include <math.h>

/* The digits of the last input; of the first one what suits ten layers. */
enum { FIRST_DIGITS = 2 };

static ptf_status make(ptf_check *c, ptf_side *side, int bits, ptf_error *err)
{
    if (side->exact != NULL)
        return ptf_exact_set_bits(side->exact, bits, err);
    return ptf_exact_make(side->net, side->shapes, bits, c->threads,
                          &side->exact, err);
}

/* The largest number and ball of each node, for the report on layers. */
static void add_widths(const ptf_side *side)
{
    for (int i = 0; i < side->net->node_count; i++) {
        int root = side->exact->root[i];
        ptf_raise_to(&side->radius[i], side->exact->widest[root]);
        ptf_raise_to(&side->largest[i], side->exact->largest[root]);
    }
}

/* Balls of one side's outputs for input n. */
static ptf_status run_side(ptf_check *c, int which, const float *const *in,
                           int64_t n, int bits, ptf_error *err)
{
    ptf_side *side = &c->sides[which];
    int64_t at = n * c->outputs_each;
    ptf_status status = make(c, side, bits, err);
    if (status != PTF_OK)
        return status;
    for (int k = 0; k < side->net->output_count; at += c->sizes[k++]) {
        c->value[k] = c->outputs[which].value + at;
        c->radius[k] = c->outputs[which].radius + at;
    }
    return ptf_exact_run(side->exact, in, c->value, c->radius, err);
}

/* How many digits more are as good as they have to be, by the width of these:
 * one makes it 2^-51 of what it was, once it is small. */
static int more_digits(const ptf_check *c, double width)
{
    double goal = fmin(c->certificate.goal, PTF_SETTLED);
    if (!(width < HUGE_VAL))
        return 2;
    if (!(width < 1))
        return 1;
    return (int)fmax(1, ceil(log2(width / goal) / PTF_DIGIT_BITS));
}

/* A alone tells when there are too few digits. */
static double width_of_a(const ptf_check *c, int64_t n)
{
    ptf_outcome o = ptf_check_outcome(c, n);
    o.b = o.a;
    return ptf_outcome_width(&o);
}

/* Both sides, or A alone where that is too wide. */
static ptf_status run_both(ptf_check *c, const float *const *in, int64_t n,
                           int bits, double *width, ptf_error *err)
{
    ptf_status status = run_side(c, PTF_SIDE_A, in, n, bits, err);
    if (status != PTF_OK)
        return status;
    c->silent[n] = false;
    *width = width_of_a(c, n);
    if (*width > c->certificate.goal && c->options.bits == 0 &&
        bits < PTF_EXACT_BITS_MOST)
        return PTF_OK;
    status = run_side(c, PTF_SIDE_B, in, n, bits, err);
    c->silent[n] = status != PTF_OK;
    ptf_outcome o = ptf_check_outcome(c, n);
    *width = ptf_outcome_width(&o);
    return status;
}

static const char *undecided(const ptf_check *c)
{
    const ptf_exact *a = c->sides[PTF_SIDE_A].exact;
    const ptf_exact *b = c->sides[PTF_SIDE_B].exact;
    const char *layer = ptf_exact_undecided(a);
    return layer != NULL || b == NULL ? layer : ptf_exact_undecided(b);
}

/* Why no input is evaluated in fixed point any more.  What was known before is
 * known still, unless one of the sides has written over it. */
static ptf_status give_up(ptf_check *c, const char *reason, ptf_error *err)
{
    c->over = true;
    c->certificate.unbounded =
        ptf_arena_copy(&c->arena, reason, strlen(reason));
    return c->certificate.unbounded != NULL ? PTF_OK : ptf_fail_memory(err);
}

static void succeed(ptf_check *c, int bits)
{
    ptf_certificate *to = &c->certificate;
    c->bits = bits;
    to->bits = bits > to->bits ? bits : to->bits;
    to->bounded_fixed++;
    if (to->bounded_fixed == 1 && c->wide) /* as doubles say nothing */
        for (int i = PTF_SIDE_A; i <= PTF_SIDE_B; i += PTF_SIDE_B) {
            size_t size = (size_t)c->sides[i].net->node_count * sizeof(double);
            memset(c->sides[i].radius, 0, size);
            memset(c->sides[i].largest, 0, size);
        }
    add_widths(&c->sides[PTF_SIDE_A]);
    add_widths(&c->sides[PTF_SIDE_B]);
}

ptf_status ptf_check_fixed(ptf_check *c, const float *const *in, int64_t n,
                           ptf_error *err)
{
    int bits = c->options.bits > 0 ? c->options.bits
               : c->bits > 0       ? c->bits
                                   : FIRST_DIGITS * PTF_DIGIT_BITS;
    for (;;) {
        double width = HUGE_VAL;
        ptf_error why;
        ptf_status status = run_both(c, in, n, bits, &width, &why);
        if (status == PTF_UNSUPPORTED)
            return give_up(c, why.message, err);
        if (status != PTF_OK) {
            if (err != NULL)
                *err = why;
            return status;
        }
        if (undecided(c) != NULL)
            return give_up(c, "a number is not finite, or beyond 2^200", err);
        bits = ptf_exact_bits(c->sides[PTF_SIDE_A].exact);
        if (c->options.bits > 0 || bits >= PTF_EXACT_BITS_MOST ||
            ptf_check_settled(c, n)) {
            succeed(c, bits);
            return PTF_OK;
        }
        bits += more_digits(c, width) * PTF_DIGIT_BITS;
        bits = bits < PTF_EXACT_BITS_MOST ? bits : PTF_EXACT_BITS_MOST;
    }
}
