/*
 * Steps that make their values axis by axis: pads, and maps of another size.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plan/plan.h"

#include <math.h>

enum { PART_FLOATS = 16384 }; /* what a thread takes at a time */

/* The rows of one sample that are in memory now, in some parts. */
typedef struct tapping {
    ptf_step_piece run;
    ptf_tapping taps;
    int64_t skip, rows, parts; /* skip: floats from row 0 of the operand */
} tapping;

static void tap_part(void *context, int64_t i, int thread)
{
    const tapping *c = context;
    const ptf_step_piece *r = &c->run;
    const ptf_step *s = r->step;
    (void)thread;
    int64_t n = r->piece->first + i / c->parts, begin, end;
    ptf_cut(i % c->parts, c->parts, c->rows, 1, &begin, &end);
    const float *x = ptf_plan_read(r->plan, r->piece, s->in[0], n) - c->skip;
    float *y = ptf_plan_at(r->plan, r->piece, s->out, n);
    if (ptf_op_moves(s->node->op, &s->node->attrs))
        ptf_pick(&c->taps, begin, end, x, y);
    else
        r->plan->kernels->mix(&c->taps, begin, end, x, y);
}

/* Of a stripe the taps of its rows, which are counted from row 0. */
static void fit_rows(tapping *c, const ptf_plan_value *in,
                     const ptf_plan_value *out)
{
    int axis = c->taps.rank - 2; /* of rows, where it is not the planes */
    if (out->shape.rank != 3 || axis < 0)
        return;
    ptf_tap_axis *rows = &c->taps.axes[axis];
    rows->begin += out->first;
    rows->out = out->rows;
    rows->in = in->rows;
    c->skip = in->first * in->shape.dim[2];
}

static void run_taps(const ptf_plan *plan, const ptf_step *step,
                     const ptf_piece *piece)
{
    const ptf_plan_value *in = &plan->values[step->in[0]];
    const ptf_plan_value *out = &plan->values[step->out];
    tapping c = {.run = {plan, step, piece}, .taps = *step->tapping};
    fit_rows(&c, in, out);
    if (c.taps.rank == 1) /* rows of a sample are planes */
        c.taps.planes = out->numel / c.taps.axes[0].out;
    c.rows = ptf_tapping_rows(&c.taps);
    c.parts = ptf_min_i64(c.rows, ptf_ceil_div(out->numel, PART_FLOATS));
    if (c.parts > 0)
        ptf_piece_each(plan, piece, piece->count * c.parts, tap_part, &c);
}

ptf_status ptf_plan_taps(ptf_plan *plan, ptf_step *step, ptf_error *err)
{
    const ptf_node *node = step->node;
    const ptf_shape *in = &plan->values[step->in[0]].shape;
    ptf_taps taps;
    step->tapping = ptf_arena_alloc(&plan->arena, sizeof(*step->tapping));
    if (step->tapping == NULL ||
        !ptf_op_taps(&plan->arena, node->op, &node->attrs, in,
                     &plan->values[step->out].shape, &taps))
        return ptf_fail_memory(err);
    ptf_tapping *t = step->tapping;
    *t = (ptf_tapping){.planes = 1, .rank = taps.rank - taps.first};
    float value = (float)node->attrs.p[0]; /* of a pad; others have all taps */
    t->otherwise = isnan(value) ? (float)NAN : value;
    for (int d = 0; d < taps.first; d++)
        t->planes *= in->dim[d];
    for (int d = 0; d < t->rank; d++) {
        const ptf_axis_taps *from = &taps.axes[taps.first + d];
        t->axes[d] = (ptf_tap_axis){from->in, from->out, from->begin,
                                    from->index, from->rounded};
    }
    step->run = run_taps;
    return PTF_OK;
}
