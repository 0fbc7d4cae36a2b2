/*
 * Transposed convolutions.  Output position p of an axis reads input position
 * q through tap t when q * stride - padding + t * dilation = p; so outputs a
 * stride apart, a phase, read the same taps, and each is a convolution of
 * stride 1:
 *
 *     stride 2, kernel 3, padding 1      p = 0: t = 1 of q = 0
 *                                        p = 1: t = 0 of q = 1, t = 2 of q = 0
 *                                        p = 2: t = 1 of q = 1
 *
 * The other taps are terms whose x is +0 (kernel.h), and are left out here.  A
 * block of terms whose weights are finite differs by that only where it is
 * zero: a sum that is -0, because a product was too small for f32, becomes +0
 * in the definition when +0 is added, and stays -0 here.  All that follows
 * keeps the order -0 < +0, so that what is +0 here is +0 there too.  Results
 * that such a sum may have given are computed again, by the definition: those
 * that are -0, and where the shift is -0 those that are zero.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plan/plan.h"

/* ----------------------------------------------------------------- running */

#define MINUS_ZERO 0x80000000u

static uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof(bits));
    return bits;
}

/* The phase whose outputs are put where they belong. */
typedef struct scatter {
    const ptf_product_run *run;
    const ptf_phase *phase;
} scatter;

/*
 * A result of the channel may have another sign by the definition where its
 * bits and these give MINUS_ZERO.
 */
static uint32_t suspects(const ptf_step *step, int64_t channel)
{
    const float *shift = step->epilogue.shift;
    bool zeros = shift != NULL && bits_of(shift[channel]) == MINUS_ZERO;
    return zeros ? MINUS_ZERO : 0;
}

static void settle_row(const scatter *s, int64_t image, int64_t channel,
                       const int64_t at[PTF_MAP_AXES], float *y)
{
    const ptf_product_run *r = s->run;
    const ptf_step *step = r->step;
    const ptf_conv *v = &step->conv;
    const float *x =
        ptf_plan_read(r->plan, r->piece, step->in[0], r->piece->first + image);
    uint32_t suspect = suspects(step, channel);
    int64_t position[] = {at[0], at[1], s->phase->first[2]};
    for (; position[2] < v->out.width; position[2] += v->window.stride[2]) {
        float *here = y + position[2];
        if ((bits_of(*here) | suspect) == MINUS_ZERO)
            *here = ptf_ref_conv_output(v, x, step->weights, &step->epilogue,
                                        channel, position);
    }
}

/* 'n' numbers, 'step' apart where they go; true when one is suspect. */
static bool spread(float *y, int64_t step, const float *from, int64_t n,
                   uint32_t suspect)
{
    uint32_t found = 0;
    for (int64_t i = 0; i < n; i++) {
        y[i * step] = from[i];
        found |= (bits_of(from[i]) | suspect) == MINUS_ZERO;
    }
    return found != 0;
}

/* One channel of one image. */
static void scatter_plane(void *context, int64_t i, int thread)
{
    const scatter *s = context;
    (void)thread;
    const ptf_product_run *r = s->run;
    const ptf_phase *p = s->phase;
    const ptf_conv *v = &r->step->conv;
    int64_t image = i / v->out.channels, channel = i % v->out.channels;
    const float *from = r->y + i * p->count[0] * p->count[1] * p->count[2];
    float *map =
        ptf_plan_at(r->plan, r->piece, r->step->out, r->piece->first + image) +
        channel * ptf_map_pixels(&v->out);
    uint32_t suspect = suspects(r->step, channel);
    int64_t at[PTF_MAP_AXES];
    for (int64_t row = 0; row < p->count[0] * p->count[1]; row++) {
        at[0] = p->first[0] + row / p->count[1] * v->window.stride[0];
        at[1] = p->first[1] + row % p->count[1] * v->window.stride[1];
        float *y = map + (at[0] * v->out.height + at[1]) * v->out.width;
        if (spread(y + p->first[2], v->window.stride[2], from, p->count[2],
                   suspect))
            settle_row(s, image, channel, at, y);
        from += p->count[2];
    }
}

static void run_phases(const ptf_plan *plan, const ptf_step *step,
                       const ptf_piece *piece)
{
    ptf_product_run run = {.plan = plan,
                           .step = step,
                           .piece = piece,
                           .stride = {1, 1, 1},
                           .y = ptf_plan_own(&plan->phased, piece)};
    bool scatters = step->phase_floats > 0;
    if (!scatters)
        run.y = ptf_plan_at(plan, piece, step->out, piece->first);
    ptf_product_pad(&run);
    for (int i = 0; i < step->phase_count; i++) {
        const ptf_phase *p = &step->phases[i];
        scatter s = {&run, p};
        run.weights = p->weights;
        run.panels = p->panels;
        run.taps = p->taps;
        run.ends = p->ends;
        run.terms = p->terms;
        memcpy(run.out, p->count, sizeof(run.out));
        ptf_product_groups(&run);
        if (scatters)
            ptf_piece_each(plan, piece, piece->count * step->conv.out.channels,
                           scatter_plane, &s);
    }
}

/* ------------------------------------------------------------------ phases */

/* What the phases of one axis read, beside the input position of the first. */
typedef struct extent {
    int64_t phases, least, most; /* positions, from that of output 'first' */
} extent;

/* True when the tap is one of outputs first, first + stride, ...; then the
 * first of them reads position *from. */
static bool has_tap(const ptf_window *w, int axis, int64_t first, int64_t tap,
                    int64_t *from)
{
    int64_t at = first + w->padding[axis] - tap * w->dilation[axis];
    *from = at / w->stride[axis];
    return at % w->stride[axis] == 0;
}

/* Outputs of a phase. */
static int64_t count_of(const ptf_window *w, int axis, int64_t first,
                        int64_t outputs)
{
    return ptf_ceil_div(outputs - first, w->stride[axis]);
}

/* More would take longer to find than the sums themselves. */
enum { MOST_TAPS = 1 << 24 };

/* False when a phase has no tap, which a kernel shorter than its stride
 * leaves. */
static bool find_extent(const ptf_conv *v, int axis, int64_t outputs,
                        extent *out)
{
    const ptf_window *w = &v->window;
    *out = (extent){ptf_min_i64(w->stride[axis], outputs), 0, 0};
    if (out->phases > w->kernel[axis] ||
        out->phases > MOST_TAPS / w->kernel[axis])
        return false;
    for (int64_t first = 0; first < out->phases; first++) {
        int64_t from, taps = 0;
        for (int64_t t = 0; t < w->kernel[axis]; t++) {
            if (!has_tap(w, axis, first, t, &from))
                continue;
            int64_t last = from + count_of(w, axis, first, outputs) - 1;
            out->least = ptf_min_i64(out->least, from);
            out->most = ptf_max_i64(out->most, last);
            taps++;
        }
        if (taps == 0)
            return false;
    }
    return true;
}

/* The taps of a phase, in order: their place in the kernel, and how far from
 * that of the phase's first position they read. */
typedef struct tap_list {
    int32_t *kernel, *offset;
    int64_t count;
} tap_list;

static void list_taps(const ptf_step *s, const ptf_phase *p, tap_list *out)
{
    const ptf_window *w = &s->conv.window;
    int64_t taps = ptf_window_taps(w);
    out->count = 0;
    for (int64_t t = 0; t < taps; t++) {
        const int64_t at[] = {t / w->kernel[2] / w->kernel[1],
                              t / w->kernel[2] % w->kernel[1],
                              t % w->kernel[2]};
        int64_t offset = 0, from;
        bool has = true;
        for (int i = 0; i < PTF_MAP_AXES && has; i++) {
            has = has_tap(w, i, p->first[i], at[i], &from);
            offset = offset * s->padded[i] + from + s->before[i];
        }
        if (!has)
            continue;
        out->kernel[out->count] = (int32_t)t;
        out->offset[out->count++] = (int32_t)offset;
    }
}

/* Blocks end where those of all terms do. */
static void fill_terms(const ptf_step *s, const tap_list *list, int32_t *taps,
                       int32_t *ends)
{
    const ptf_conv *v = &s->conv;
    int64_t plane = s->padded[0] * s->padded[1] * s->padded[2];
    int64_t all = ptf_window_taps(&v->window);
    int64_t channels = v->in.channels / v->groups;
    int64_t terms = channels * list->count, end = terms;
    for (int64_t k = terms - 1; k >= 0; k--) {
        int64_t c = k / list->count, i = k % list->count;
        taps[k] = (int32_t)(c * plane + list->offset[i]);
        int64_t next =
            (k + 1) / list->count * all + list->kernel[(k + 1) % list->count];
        int64_t here = c * all + list->kernel[i];
        if (k + 1 < terms && next / PTF_BLOCK_TERMS != here / PTF_BLOCK_TERMS)
            end = k + 1;
        ends[k] = (int32_t)end;
    }
}

static void fill_weights(const ptf_step *s, const tap_list *list, float *out)
{
    int64_t all = ptf_window_taps(&s->conv.window);
    int64_t rows = ptf_conv_weights(&s->conv) / all;
    for (int64_t row = 0; row < rows; row++) {
        for (int64_t i = 0; i < list->count; i++)
            *out++ = s->weights[row * all + list->kernel[i]];
    }
}

/* -------------------------------------------------------------------- make */

static bool are_finite(const ptf_step *s)
{
    return ptf_all_finite(s->weights, ptf_conv_weights(&s->conv));
}

/* Sizes of the padded input, and the number of phases; 0: ref.c runs it. */
static int64_t set_extents(ptf_step *s, extent extents[PTF_MAP_AXES])
{
    const ptf_conv *v = &s->conv;
    const int64_t out[] = {v->out.depth, v->out.height, v->out.width};
    int64_t phases = 1;
    for (int i = 0; i < PTF_MAP_AXES; i++) {
        if (!find_extent(v, i, out[i], &extents[i]))
            return 0;
        phases *= extents[i].phases; /* at most the kernel's taps */
    }
    if (phases > MOST_TAPS / ptf_window_taps(&v->window))
        return 0;
    for (int i = 0; i < PTF_MAP_AXES; i++) {
        s->before[i] = -extents[i].least;
        s->padded[i] = extents[i].most - extents[i].least + 1;
    }
    return phases;
}

static void set_phase(ptf_step *s, const extent extents[PTF_MAP_AXES],
                      int64_t index, ptf_phase *p)
{
    const ptf_conv *v = &s->conv;
    const int64_t out[] = {v->out.depth, v->out.height, v->out.width};
    int64_t floats = v->out.channels;
    for (int i = PTF_MAP_AXES - 1; i >= 0; i--) {
        p->first[i] = index % extents[i].phases;
        index /= extents[i].phases;
        p->count[i] = count_of(&v->window, i, p->first[i], out[i]);
        floats *= p->count[i];
    }
    if (s->phase_count > 1)
        s->phase_floats = ptf_max_i64(s->phase_floats, floats);
}

/* The arrays of a phase, with room for all its terms. */
static ptf_status fill_phase(ptf_plan *plan, const ptf_step *s,
                             const tap_list *list, ptf_phase *p, ptf_error *err)
{
    const ptf_conv *v = &s->conv;
    p->terms = v->in.channels / v->groups * list->count;
    size_t indices = 2 * (size_t)p->terms * sizeof(int32_t);
    size_t weights = (size_t)(p->terms * v->out.channels) * sizeof(float);
    ptf_status status = ptf_plan_reserve(plan, indices + weights, err);
    if (status != PTF_OK)
        return status;
    int32_t *taps = ptf_plan_alloc(plan, indices);
    float *numbers = ptf_plan_alloc(plan, weights);
    if (taps == NULL || numbers == NULL)
        return ptf_fail_memory(err);
    fill_terms(s, list, taps, taps + p->terms);
    fill_weights(s, list, numbers);
    p->taps = taps;
    p->ends = taps + p->terms;
    p->weights = numbers;
    return PTF_OK;
}

static ptf_status make_phases(ptf_plan *plan, ptf_step *s,
                              const extent extents[PTF_MAP_AXES],
                              ptf_error *err)
{
    size_t taps = (size_t)ptf_window_taps(&s->conv.window);
    tap_list list = {ptf_arena_array(&plan->arena, taps, sizeof(int32_t)),
                     ptf_arena_array(&plan->arena, taps, sizeof(int32_t)), 0};
    s->phases = ptf_arena_array(&plan->arena, (size_t)s->phase_count,
                                sizeof(*s->phases));
    if (list.kernel == NULL || list.offset == NULL || s->phases == NULL)
        return ptf_fail_memory(err);
    ptf_status status = ptf_step_check(s, err); /* offsets fit */
    for (int i = 0; i < s->phase_count && status == PTF_OK; i++) {
        set_phase(s, extents, i, &s->phases[i]);
        list_taps(s, &s->phases[i], &list);
        status = fill_phase(plan, s, &list, &s->phases[i], err);
    }
    return status;
}

ptf_status ptf_plan_transposed(ptf_plan *plan, ptf_step *step, ptf_error *err)
{
    extent extents[PTF_MAP_AXES];
    step->kernel = "ref";
    step->run = ptf_product_ref;
    int64_t phases = are_finite(step) ? set_extents(step, extents) : 0;
    if (phases == 0)
        return PTF_OK;
    step->kernel = "transposed";
    step->run = run_phases;
    step->packs = true;
    step->phase_count = (int)phases;
    return make_phases(plan, step, extents, err);
}
