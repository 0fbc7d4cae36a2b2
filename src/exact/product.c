/*
 * Convolutions and linear layers.
 *
 * Row j of the weights is, with the scale of an epilogue, w = sum over planes p
 * of V_p 2^(e_j - 50 - 51 p), |V_p| <= 2^50: one plane for what f32 has within
 * 2^-26 of the row's largest weight, more where a weight is smaller, which is
 * never dropped.  The sum of products is exact.  Moving the inputs by r moves
 * it by norm(w_j) times that of the window's r at most, which is no larger than
 * R (Cauchy and Schwarz).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exact/exact.h"

enum { PLANES_MOST = 8 };

/* ------------------------------------------------------------ weights */

typedef struct reading {
    const ptf_node *node;
    ptf_exact_numbers *numbers;
    int64_t terms;
    int *planes; /* of each row */
} reading;

/* Weight i, exactly: a scale is only taken of f32 by f32. */
static inline double weight_at(const ptf_parameters *n, int64_t row, int64_t i)
{
    double w = n->f32 != NULL ? (double)n->f32[i] : n->f64[i];
    return n->scale.value != NULL ? w * n->scale.value[row] : w;
}

static void read_row(void *context, int64_t row, int thread)
{
    const reading *r = context;
    const ptf_parameters *n = &r->numbers->plain;
    double most = 0;
    int exponent = 0, planes = 1;
    (void)thread;
    for (int64_t k = row * r->terms; k < (row + 1) * r->terms; k++) {
        double w = fabs(weight_at(n, row, k));
        most = w > most ? w : most;
    }
    frexp(most, &exponent);
    r->numbers->exponent[row] = exponent;
    double scale = ldexp(1.0, PTF_DIGIT_BITS - 1 - exponent);
    for (int64_t k = row * r->terms; k < (row + 1) * r->terms; k++) {
        double v = weight_at(n, row, k) * scale;
        int count = 1;
        for (; fabs(v - rint(v)) > 0 && count <= PLANES_MOST; count++)
            v = (v - rint(v)) * 0x1p51;
        planes = count > planes ? count : planes;
    }
    bool sane = most < 0x1p300 && (exponent > -900 || !(most > 0));
    r->planes[row] = sane ? planes : PLANES_MOST + 1;
    double by = n->scale.value != NULL ? fabs(n->scale.value[row]) : 1.0;
    r->numbers->norms[row] = n->norms[row] * by * PTF_UP;
}

ptf_status ptf_exact_product_read(ptf_arena *arena, const ptf_node *node,
                                  ptf_exact_numbers *numbers, ptf_error *err)
{
    size_t rows = (size_t)node->attrs.out_channels;
    ptf_tensor weight = ptf_node_rows(node);
    reading r = {node, numbers, ptf_tensor_numel(&weight) / (int64_t)rows,
                 NULL};
    if (numbers->plain.scale.value != NULL && numbers->plain.rounded)
        return ptf_node_fail(err, PTF_UNSUPPORTED, node,
                             "a scale in float64 is not evaluated in fixed "
                             "point; expected float32");
    numbers->exponent = ptf_arena_array(arena, rows, sizeof(int));
    numbers->norms = ptf_arena_array(arena, rows, sizeof(double));
    r.planes = ptf_alloc(rows * sizeof(int));
    if (numbers->exponent == NULL || numbers->norms == NULL ||
        r.planes == NULL) {
        ptf_free(r.planes);
        return ptf_fail_memory(err);
    }
    ptf_each(ptf_thread_count(), (int64_t)rows, read_row, &r);
    numbers->planes = 1;
    for (size_t j = 0; j < rows; j++)
        if (r.planes[j] > numbers->planes)
            numbers->planes = r.planes[j];
    ptf_free(r.planes);
    if (numbers->planes > PLANES_MOST)
        return ptf_node_fail(err, PTF_UNSUPPORTED, node,
                             "its weights are not finite, or differ by more "
                             "than 2^400 in one row");
    return PTF_OK;
}

/* ------------------------------------------------------------ layer */

typedef struct layer {
    const ptf_exact_step *step;
    const ptf_exact_numbers *numbers;
    ptf_sums sums;
    int64_t positions, in_pixel; /* of a channel, and their distance */
    ptf_arena arena;
    int *exponent;
    int64_t *at, *addend;
    double *square_m, *square_r; /* [group][position] */
    double *window_m, *window_r; /* [group][pixel] */
} layer;

static bool weights(const void *context, int64_t row, int plane, int64_t from,
                    int64_t count, double *to)
{
    const layer *l = context;
    const ptf_parameters *n = &l->numbers->plain;
    int64_t first = row * l->sums.channels * l->sums.taps + from;
    double scale = ldexp(1.0, PTF_DIGIT_BITS - 1 - l->numbers->exponent[row]);
    bool any = plane == 0;
    for (int64_t k = 0; k < count; k++) {
        double v = weight_at(n, row, first + k) * scale;
        for (int p = 0; p < plane; p++)
            v = (v - rint(v)) * 0x1p51;
        to[k] = rint(v);
        any = any || fabs(to[k]) > 0;
    }
    return any;
}

/* Where pixel 'at' of an axis reads through a tap, or -1. */
static int64_t source(const ptf_attrs *a, bool transposed, int axis,
                      int64_t size, int64_t at, int64_t tap)
{
    int64_t move = tap * a->dilation[axis], from;
    if (!transposed) {
        from = at * a->stride[axis] - a->padding[axis] + move;
    } else {
        from = at + a->padding[axis] - move;
        from = from < 0 || from % a->stride[axis] != 0 ? -1
                                                       : from / a->stride[axis];
    }
    return from >= 0 && from < size ? from : -1;
}

static void fill_taps(const layer *l)
{
    const ptf_exact_step *s = l->step;
    const ptf_attrs *a = &ptf_exact_node(s)->attrs;
    bool transposed = ptf_op_is_transposed(ptf_exact_node(s)->op);
    int64_t in[PTF_MAP_AXES], out[PTF_MAP_AXES];
    int64_t room = ptf_sums_room(l->sums.pixels);
    ptf_enclose_map(ptf_exact_in(s, 0), in);
    ptf_enclose_map(ptf_exact_out(s), out);
    for (int64_t i = 0; i < l->sums.taps * room; i++) {
        int64_t tap = i / room, pixel = i % room, from = 0;
        for (int axis = 0; axis < PTF_MAP_AXES && from >= 0; axis++) {
            int64_t inner = 1, taps = 1;
            for (int b = axis + 1; b < PTF_MAP_AXES; b++) {
                inner *= out[b];
                taps *= a->kernel[b];
            }
            int64_t x =
                source(a, transposed, axis, in[axis], pixel / inner % out[axis],
                       tap / taps % a->kernel[axis]);
            from = x < 0 ? -1 : from * in[axis] + x;
        }
        l->at[i] = pixel < l->sums.pixels ? from : -1;
    }
}

static void fill_rows(const layer *l)
{
    int64_t room = ptf_sums_room(l->sums.pixels);
    for (int64_t i = 0; i < room; i++)
        l->at[i] = i < l->sums.pixels ? i * l->in_pixel : -1;
}

/* The sizes of a layer's sums; those of a linear layer are rows of features. */
static void set_sizes(layer *l)
{
    const ptf_exact_step *s = l->step;
    const ptf_attrs *a = &ptf_exact_node(s)->attrs;
    int64_t size = ptf_shape_numel(ptf_exact_in(s, 0));
    ptf_sums *sums = &l->sums;
    *sums = (ptf_sums){.exact = s->exact, .in = s->in[0], .out = s->out};
    sums->groups = sums->taps = sums->out_row = sums->in_channel = 1;
    sums->channels = a->in_channels;
    sums->rows = sums->out_pixel = a->out_channels;
    sums->pixels = l->positions = size / a->in_channels;
    l->in_pixel = a->in_channels;
    if (ptf_exact_node(s)->op == PTF_OP_LINEAR)
        return;
    sums->groups = a->groups;
    sums->channels = a->in_channels / a->groups;
    sums->rows = a->out_channels / a->groups;
    for (int axis = 0; axis < PTF_MAP_AXES; axis++)
        sums->taps *= a->kernel[axis];
    sums->pixels = sums->out_row =
        ptf_shape_numel(ptf_exact_out(s)) / a->out_channels;
    sums->in_channel = l->positions;
    sums->in_group = l->positions * sums->channels;
    sums->out_pixel = l->in_pixel = 1;
}

static bool allocate(layer *l)
{
    const ptf_sums *s = &l->sums;
    ptf_arena *arena = &l->arena;
    size_t groups = (size_t)s->groups, rows = groups * (size_t)s->rows;
    size_t room = (size_t)ptf_sums_room(s->pixels);
    size_t positions = groups * (size_t)l->positions;
    l->exponent = ptf_arena_array(arena, rows, sizeof(int));
    l->addend =
        ptf_arena_array(arena, rows * (size_t)s->exact->n, sizeof(int64_t));
    l->at = ptf_arena_array(arena, (size_t)s->taps * room, sizeof(int64_t));
    l->square_m = ptf_arena_array(arena, positions, sizeof(double));
    l->square_r = ptf_arena_array(arena, positions, sizeof(double));
    l->window_m = ptf_arena_array(arena, groups * room, sizeof(double));
    l->window_r = ptf_arena_array(arena, groups * room, sizeof(double));
    return l->exponent != NULL && l->addend != NULL && l->at != NULL &&
           l->square_m != NULL && l->square_r != NULL && l->window_m != NULL &&
           l->window_r != NULL;
}

/* ------------------------------------------------------------ windows */

enum { CHUNK = 256 }; /* positions of one task */

/* Sums over channels of the squares of |m| and r. */
static void square_some(void *context, int64_t i, int thread)
{
    const layer *l = context;
    const ptf_sums *s = &l->sums;
    int64_t chunks = ptf_ceil_div(l->positions, CHUNK);
    int64_t group = i / chunks, first = i % chunks * CHUNK;
    int64_t end = ptf_min_i64(first + CHUNK, l->positions);
    double scale = ptf_fixed_scale(s->in);
    double *m = l->square_m + group * l->positions;
    double *r = l->square_r + group * l->positions;
    (void)thread;
    for (int64_t c = 0; c < s->channels; c++)
        for (int64_t p = first; p < end; p++) {
            int64_t at =
                group * s->in_group + c * s->in_channel + p * l->in_pixel;
            double x = ptf_fixed_double(s->in, s->exact->n, at, scale);
            double q = s->in->radius[at] + PTF_FLOOR;
            m[p] += x * x;
            r[p] += q * q;
        }
}

static void window_some(void *context, int64_t i, int thread)
{
    const layer *l = context;
    const ptf_sums *s = &l->sums;
    int64_t room = ptf_sums_room(s->pixels), chunks = ptf_ceil_div(room, CHUNK);
    int64_t group = i / chunks, first = i % chunks * CHUNK;
    int64_t end = ptf_min_i64(first + CHUNK, room);
    (void)thread;
    for (int64_t p = first; p < end; p++) {
        double m = 0, r = 0;
        for (int64_t t = 0; t < s->taps; t++) {
            int64_t at = l->at[t * room + p];
            int64_t from = group * l->positions + at / l->in_pixel;
            m += at >= 0 ? l->square_m[from] : 0;
            r += at >= 0 ? l->square_r[from] : 0;
        }
        l->window_m[group * room + p] = sqrt(m);
        l->window_r[group * room + p] = fmin(sqrt(r), s->in->norm);
    }
}

/* No output without its bias is beyond this. */
static double largest_sum(const layer *l)
{
    const ptf_sums *s = &l->sums;
    int64_t room = ptf_sums_room(s->pixels);
    double most = 0;
    for (int64_t g = 0; g < s->groups; g++) {
        double norm = 0, window = 0;
        for (int64_t j = 0; j < s->rows; j++)
            norm = fmax(norm, l->numbers->norms[g * s->rows + j]);
        for (int64_t p = 0; p < s->pixels; p++)
            window = fmax(window, l->window_m[g * room + p]);
        most = fmax(most, norm * window);
    }
    return most * PTF_UP_STEP;
}

/* ------------------------------------------------------------ biases */

/* bias scale + shift as two doubles, which are exact for f32 and f32. */
static void bias_of(const ptf_parameters *n, int64_t row, double part[2])
{
    part[0] = n->bias.value != NULL ? n->bias.value[row] : 0.0;
    part[1] = n->shift.value != NULL ? n->shift.value[row] : 0.0;
    if (n->scale.value != NULL)
        part[0] *= n->scale.value[row];
}

static double largest_bias(const layer *l)
{
    double most = 0;
    for (int64_t j = 0; j < l->sums.groups * l->sums.rows; j++) {
        double part[2];
        bias_of(&l->numbers->plain, j, part);
        most = fmax(most, fabs(part[0]) + fabs(part[1]));
    }
    return most;
}

/* How much the biases are off by on the grid, in units. */
static double set_biases(const layer *l)
{
    int n = l->sums.exact->n;
    bool exact = true;
    for (int64_t j = 0; j < l->sums.groups * l->sums.rows; j++) {
        double part[2];
        int64_t more[PTF_LIMBS_MOST], *to = l->addend + j * n;
        bias_of(&l->numbers->plain, j, part);
        ptf_digits_of(part[0], l->sums.out->exponent, n, to, &exact);
        ptf_digits_of(part[1], l->sums.out->exponent, n, more, &exact);
        for (int k = 0; k < n; k++)
            to[k] += more[k];
    }
    return exact ? 0 : 1;
}

/* ------------------------------------------------------------ run */

/* A grid on which the sums, times a power of two, are integers or coarser. */
static void set_grid(layer *l)
{
    const ptf_sums *s = &l->sums;
    int lowest = PTF_DIGIT_BITS - 1 + PTF_DIGIT_BITS * (l->numbers->planes - 1);
    int exponent = ptf_exponent_of(largest_sum(l) + largest_bias(l));
    for (int64_t j = 0; j < s->groups * s->rows; j++) {
        l->exponent[j] = l->numbers->exponent[j] - lowest;
        if (s->in->exponent + l->exponent[j] > exponent)
            exponent = s->in->exponent + l->exponent[j];
    }
    s->out->exponent = exponent;
}

static ptf_status run(layer *l, ptf_error *err)
{
    ptf_sums *s = &l->sums;
    int threads = s->exact->threads;
    if (!allocate(l))
        return ptf_fail_memory(err);
    if (ptf_exact_node(l->step)->op == PTF_OP_LINEAR)
        fill_rows(l);
    else
        fill_taps(l);
    ptf_each(threads, s->groups * ptf_ceil_div(l->positions, CHUNK),
             square_some, l);
    ptf_each(threads, s->groups * ptf_ceil_div(ptf_sums_room(s->pixels), CHUNK),
             window_some, l);
    set_grid(l);
    s->at = l->at;
    s->planes = l->numbers->planes;
    s->weights = weights;
    s->context = l;
    s->exponent = l->exponent;
    s->addend = l->addend;
    s->row_a = l->numbers->norms;
    s->pixel_a = l->window_r;
    s->lost = ldexp(0.5 + set_biases(l), s->out->exponent);
    s->out->before = s->in->norm;
    s->out->own = sqrt((double)s->out->count) * s->lost * PTF_UP;
    s->out->norm =
        (l->numbers->lipschitz * s->in->norm + s->out->own) * PTF_UP_STEP;
    return ptf_sums_run(s, err);
}

ptf_status ptf_exact_family_product(const ptf_exact_step *step, ptf_error *err)
{
    layer l = {.step = step, .numbers = &step->exact->numbers[step->node]};
    set_sizes(&l);
    ptf_status status = run(&l, err);
    ptf_arena_free(&l.arena);
    return status;
}
