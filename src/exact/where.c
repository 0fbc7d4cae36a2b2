/*
 * One of two numbers, as a third one says.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exact/exact.h"

typedef struct choice {
    ptf_align align[3];
    double scale[3];
} choice;

/* Where it is not known which, what both have is a ball around the first. */
static void choose(const void *context, ptf_exact_lanes *lanes)
{
    const choice *c = context;
    const ptf_exact *exact = lanes->step->exact;
    int64_t of[3][PTF_LANE_DIGITS];
    int n = exact->n;
    double unit = ldexp(1.0, PTF_DIGIT_BITS * n);
    for (int k = 1; k < 3; k++)
        ptf_align_lanes(exact, c->align[k], lanes->in[k], of[k]);
    for (int i = 0; i < PTF_LANES; i++) {
        double m[3], r[3];
        for (int k = 0; k < 3; k++) {
            m[k] = ptf_lane_double(lanes->in[k], n, i, c->scale[k]);
            r[k] = lanes->r[k][i] + c->align[k].lost;
        }
        double reach = lanes->r[0][i] / unit;
        bool is_true = fabs(m[0]) * (1 - 8 * PTF_U) > reach;
        bool is_false = !(fabs(m[0]) > 0) && !(reach > 0);
        int k = is_false ? 2 : 1;
        for (int l = 0; l < n; l++)
            lanes->out[l * PTF_LANES + i] = of[k][l * PTF_LANES + i];
        lanes->radius[i] = r[k];
        if (!is_true && !is_false)
            lanes->radius[i] = (fmax(r[1], r[2]) + fabs(m[1] - m[2]) * unit +
                                8 * PTF_U * (fabs(m[1]) + fabs(m[2])) * unit) *
                               PTF_UP;
    }
}

ptf_status ptf_exact_family_where(const ptf_exact_step *s, ptf_error *err)
{
    ptf_strides strides[3];
    choice c;
    (void)err;
    int a = s->in[1]->exponent, b = s->in[2]->exponent;
    s->out->exponent = a > b ? a : b;
    for (int k = 0; k < 3; k++) {
        strides[k] =
            ptf_strides_broadcast(ptf_exact_in(s, k), ptf_exact_out(s));
        c.align[k] = ptf_align_to(s->exact, s->in[k == 0 ? 1 : k], s->out);
        c.scale[k] = ptf_fixed_scale(s->in[k]);
    }
    ptf_exact_each(s, 3, strides, choose, &c);
    return PTF_OK;
}
