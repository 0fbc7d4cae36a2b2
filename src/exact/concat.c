/*
 * Values one after the other along an axis.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exact/exact.h"

/* Numbers of one operand, side by side in it and in the output. */
typedef struct part {
    const ptf_exact_step *step;
    const ptf_fixed *in;
    ptf_align align;
    int64_t size, whole, at;
} part;

static void copy_part(void *context, int64_t outer, int thread)
{
    const part *p = context;
    const ptf_exact *exact = p->step->exact;
    ptf_fixed *out = p->step->out;
    int64_t from = outer * p->size, to = outer * p->whole + p->at;
    int64_t in[PTF_LANE_DIGITS] = {0}, moved[PTF_LANE_DIGITS];
    (void)thread;
    for (int64_t i = 0; i < p->size; i += PTF_LANES) {
        size_t left = (size_t)ptf_min_i64(p->size - i, PTF_LANES);
        for (int l = 0; l < exact->n; l++)
            memcpy(in + l * PTF_LANES,
                   p->in->digits + l * p->in->room + from + i,
                   left * sizeof(*in));
        ptf_align_lanes(exact, p->align, in, moved);
        for (int l = 0; l < exact->n; l++)
            memcpy(out->digits + l * out->room + to + i, moved + l * PTF_LANES,
                   left * sizeof(*in));
    }
    for (int64_t i = 0; i < p->size; i++)
        out->radius[to + i] = p->in->radius[from + i] + p->align.lost;
}

ptf_status ptf_exact_family_concat(const ptf_exact_step *s, ptf_error *err)
{
    const ptf_node *node = ptf_exact_node(s);
    const ptf_shape *shape = ptf_exact_out(s);
    int axis = ptf_concat_axis(&node->attrs, shape->rank + 1) - 1;
    int64_t outer = 1, at = 0;
    double squares = 0;
    (void)err;
    for (int d = 0; d < axis; d++)
        outer *= shape->dim[d];
    s->out->exponent = s->in[0]->exponent;
    for (int k = 1; k < node->input_count; k++)
        if (s->in[k]->exponent > s->out->exponent)
            s->out->exponent = s->in[k]->exponent;
    for (int k = 0; k < node->input_count; k++) {
        const ptf_fixed *in = s->in[k];
        part p = {.step = s,
                  .in = in,
                  .size = in->count / outer,
                  .at = at,
                  .whole = s->out->count / outer,
                  .align = ptf_align_to(s->exact, in, s->out)};
        ptf_each(s->exact->threads, outer, copy_part, &p);
        double norm = in->norm + sqrt((double)in->count) * p.align.lost;
        squares += norm * norm;
        at += p.size;
    }
    s->out->norm = sqrt(squares) * PTF_UP_STEP;
    return PTF_OK;
}
