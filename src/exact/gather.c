/*
 * Positions that indices name.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exact/exact.h"

/* An index that may be several, or none, says nothing. */
ptf_status ptf_exact_family_gather(const ptf_exact_step *s, ptf_error *err)
{
    const ptf_node *node = ptf_exact_node(s);
    const ptf_fixed *in = s->in[0], *index = s->in[1];
    ptf_gather g = ptf_op_gather(node->op, &node->attrs, ptf_exact_in(s, 0),
                                 ptf_exact_in(s, 1));
    double scale = ptf_fixed_scale(index);
    (void)err;
    s->out->exponent = in->exponent;
    for (int64_t i = 0; i < s->out->count; i++) {
        int64_t from, at;
        ptf_gather_at(&g, i, &from, &at);
        double m = ptf_fixed_double(index, s->exact->n, at, scale);
        double r = ldexp(index->radius[at], -PTF_DIGIT_BITS * s->exact->n);
        double whole = rint(m);
        int64_t position = ptf_gather_position(&g, whole);
        bool known = position >= 0 && fabs(m - whole) <= r &&
                     fabs(m) < 0x1p40 && r + fabs(m - whole) < 0.5;
        from += (known ? position : 0) * g.step;
        for (int l = 0; l < s->exact->n; l++)
            s->out->digits[l * s->out->room + i] =
                in->digits[l * in->room + from];
        s->out->radius[i] = known ? in->radius[from] : HUGE_VAL;
    }
    return PTF_OK;
}
