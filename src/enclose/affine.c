/*
 * Balls through a scale and a shift per channel.
 *
 * A radius is computed from non-negative numbers by a few operations, each of
 * which may fall short by a factor 1 - u; PTF_UP makes that good.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/walk.h"

/*
 * |scale| r covers the input, (|x| + r) scale_radius the scale; then one
 * rounding each for product and sum.
 */
void ptf_ball_scale_shift(double x, double x_radius, double scale,
                          double scale_radius, double shift,
                          double shift_radius, double *z, double *z_radius)
{
    double product = x * scale, sum = product + shift;
    double r = fabs(scale) * x_radius + (fabs(x) + x_radius) * scale_radius +
               shift_radius + PTF_U * (fabs(product) + fabs(sum));
    *z = sum;
    *z_radius = r * PTF_UP + PTF_TINY;
}

/* In a run both numbers may have been rounded first, and one fma follows. */
void ptf_enclose_scale_shift(const ptf_parameters *numbers, bool executed,
                             int64_t channels, int64_t pixels, ptf_balls in,
                             ptf_balls out)
{
    bool rounded = executed && numbers->rounded;
    for (int64_t c = 0; c < channels; c++) {
        double scale = numbers->scale.value[c], shift = numbers->shift.value[c];
        double a = numbers->scale.radius[c], b = numbers->shift.radius[c];
        a += rounded ? PTF_F * (fabs(scale) + a) + PTF_TINY_F : 0.0;
        b += rounded ? PTF_F * (fabs(shift) + b) + PTF_TINY_F : 0.0;
        for (int64_t i = c * pixels; i < (c + 1) * pixels; i++) {
            double y, r;
            ptf_ball_scale_shift(in.value[i], in.radius[i], scale, a, shift, b,
                                 &y, &r);
            out.value[i] = y;
            out.radius[i] = r + ptf_executed(executed, y, r);
        }
    }
}

static void image(const ptf_enclose_step *s, int64_t n)
{
    const ptf_enclosure *enc = s->enc;
    int64_t channels = enc->shapes[s->node].dim[0];
    ptf_enclose_scale_shift(&enc->numbers[s->node], s->pass->executed, channels,
                            enc->sizes[s->node] / channels,
                            ptf_enclose_in(s, 0, n), ptf_enclose_out(s, n));
}

const ptf_enclose_family ptf_enclose_family_affine = {.image = image};
