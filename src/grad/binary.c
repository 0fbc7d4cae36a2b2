/*
 * Functions of two numbers, back: to an operand that was broadcast, the sum
 * over the positions that had the same number of it.
 *
 * The axes of the result, without the batch, are those along which the operand
 * has numbers of its own, and those along which it is broadcast, which are
 * summed over.  Neighbours of one kind are one axis, so that most operators
 * have one or two:
 *
 *     64x56x56 + 64x56x56   own 200704
 *     64x56x56 * 64x1x1     by the first: own 64, own 3136 (the other's step
 *                           is 0); by the second: own 64, summed 3136
 *     8x49x49 + 1x49x49     by the second: summed 8, own 2401
 *
 * A line is what lies along the last axis: as many results as it has numbers,
 * BLOCK at most, of one term in each row of the summed axes; or one result, of
 * all its numbers in each such row.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "grad/grad.h"

enum { BLOCK = PTF_BLOCK_TERMS };

static const ptf_binary binary[PTF_OP_COUNT] = {
#define BINARY(id, name) [PTF_OP_##id] = PTF_BINARY_##id,
#include "kernel/operators.inc"
#undef BINARY
};

/* ------------------------------------------------------------------- shapes */

/* An axis, and the floats from one position to the next. */
typedef struct axis {
    int64_t size, out, step[2];
} axis;

/* From the last one to the first. */
typedef struct axes {
    int count;
    int64_t positions;
    axis all[PTF_SHAPE_MAX];
} axes;

static void add_axis(axes *to, const axis *a)
{
    to->all[to->count++] = *a;
    to->positions *= a->size;
}

/* True when 'outer' goes on where the axis after it ends. */
static bool goes_on(const axis *outer, const axis *inner)
{
    return outer->step[0] == inner->step[0] * inner->size &&
           outer->step[1] == inner->step[1] * inner->size;
}

/* The axes of the result, without those of size 1. */
static axes list_axes(const ptf_shape *out, const ptf_shape *const in[2])
{
    axes list = {.positions = 1};
    int64_t below = 1, size[2] = {1, 1};
    for (int i = 1; i <= out->rank; i++) {
        axis a = {.size = out->dim[out->rank - i], .out = below};
        below *= a.size;
        for (int k = 0; k < 2; k++) {
            int64_t own = i <= in[k]->rank ? in[k]->dim[in[k]->rank - i] : 1;
            a.step[k] = own == 1 ? 0 : size[k];
            size[k] *= own;
        }
        if (a.size == 1)
            continue;
        if (list.count > 0 && goes_on(&a, &list.all[list.count - 1]))
            list.all[list.count - 1].size *= a.size;
        else
            list.all[list.count++] = a;
    }
    return list;
}

/* Where a position of some axes lies in the result and in both operands. */
typedef struct place {
    int64_t out, in[2];
} place;

static place move(place from, const axes *a, int64_t position)
{
    for (int i = 0; i < a->count; i++) {
        const axis *x = &a->all[i];
        int64_t at = position % x->size;
        position /= x->size;
        from.out += at * x->out;
        for (int k = 0; k < 2; k++)
            from.in[k] += at * x->step[k];
    }
    return from;
}

/* -------------------------------------------------------------------- lines */

typedef struct binary_run {
    ptf_back_run of;
    ptf_binary_back_kernel *kernel;
    const float *x[2];
    int64_t image[2]; /* floats of an operand's image */
    axis last;
    bool sums;         /* over the last axis */
    axes own, summed;  /* the others */
    int64_t pieces;    /* lines along the last axis */
    int64_t lines;     /* of an image */
    int64_t of_thread; /* lines that a thread takes at a time */
    int operand;
} binary_run;

/* The sums of a line under way. */
typedef struct sums {
    double terms[BLOCK], block[BLOCK], sum[BLOCK];
    int64_t results, count; /* count: of terms that each has */
} sums;

static void end_block(const ptf_backward *k, sums *s)
{
    if (s->count <= BLOCK)
        memcpy(s->sum, s->block, (size_t)s->results * sizeof(double));
    else
        k->add_terms(s->sum, s->block, s->results);
    memset(s->block, 0, (size_t)s->results * sizeof(double));
}

/* Each result gets a term, or the only one gets them all. */
static void add(const ptf_backward *k, sums *s, bool all, int64_t n)
{
    if (all) {
        double sum = s->block[0];
        for (int64_t i = 0; i < n; i++)
            sum += s->terms[i];
        s->block[0] = sum;
    } else {
        k->add_terms(s->block, s->terms, n);
    }
    s->count += all ? n : 1;
    if (s->count % BLOCK == 0)
        end_block(k, s);
}

static void take_terms(const binary_run *r, place at, int64_t n, double *terms)
{
    r->kernel(terms, r->of.n->d + at.out, r->x[0] + at.in[0], r->last.step[0],
              r->x[1] + at.in[1], r->last.step[1], n);
}

/* The results at 'dx' of the line that begins at 'at', n numbers long. */
static void line_back(const binary_run *r, place at, int64_t n, float *dx)
{
    const ptf_backward *k = r->of.g->kernels->backward;
    sums s;
    s.results = r->sums ? 1 : n;
    s.count = 0;
    if (!r->sums && r->summed.positions == 1) {
        take_terms(r, at, n, s.terms);
        k->round_terms(dx, s.terms, n);
        return;
    }
    memset(s.block, 0, (size_t)s.results * sizeof(double));
    for (int64_t row = 0; row < r->summed.positions; row++) {
        place from = move(at, &r->summed, row);
        for (int64_t i = 0, m; i < n; i += m) {
            m = r->sums ? ptf_min_i64(n - i, BLOCK - s.count % BLOCK) : n;
            take_terms(r, from, m, s.terms);
            add(k, &s, r->sums, m);
            from.out += m;
            for (int o = 0; o < 2; o++)
                from.in[o] += m * r->last.step[o];
        }
    }
    if (s.count % BLOCK != 0)
        end_block(k, &s);
    k->round_terms(dx, s.sum, s.results);
}

static void back_lines(void *context, int64_t i, int thread)
{
    const binary_run *r = context;
    (void)thread;
    int64_t end =
        ptf_min_i64((i + 1) * r->of_thread, r->of.g->count * r->lines);
    for (int64_t line = i * r->of_thread; line < end; line++) {
        int64_t image = line / r->lines, own = line % r->lines / r->pieces;
        int64_t first = line % r->pieces * BLOCK, n = r->last.size;
        if (!r->sums)
            n = ptf_min_i64(n - first, BLOCK);
        place at = {.out = image * ptf_shape_numel(r->of.out) + first};
        for (int k = 0; k < 2; k++)
            at.in[k] = image * r->image[k] + first * r->last.step[k];
        float *dx = r->of.dx + image * r->image[r->operand] + first +
                    own * (r->sums ? 1 : r->last.size);
        line_back(r, move(at, &r->own, own), n, dx);
    }
}

/* Cuts the result into lines. */
static void set_lines(binary_run *r, const axes *all)
{
    r->last = (axis){.size = 1};
    r->own.positions = r->summed.positions = r->pieces = 1;
    if (all->count > 0) {
        r->last = all->all[0];
        r->sums = r->last.step[r->operand] == 0;
    }
    for (int i = 1; i < all->count; i++)
        add_axis(all->all[i].step[r->operand] == 0 ? &r->summed : &r->own,
                 &all->all[i]);
    if (!r->sums)
        r->pieces = ptf_ceil_div(r->last.size, BLOCK);
    r->lines = r->own.positions * r->pieces;
    int64_t terms = r->summed.positions * r->last.size / r->pieces;
    r->of_thread = ptf_max_i64(1, PTF_PART_FLOATS / terms);
}

void ptf_back_broadcast(const ptf_gradient *g, int i,
                        ptf_binary_back_kernel *kernel, const int operands[2],
                        int which, float *dx)
{
    binary_run r = {.of = ptf_back_run_of(g, i, operands[which], dx),
                    .kernel = kernel,
                    .operand = which};
    const ptf_shape *in[2];
    for (int k = 0; k < 2; k++) {
        int input = r.of.node->inputs[operands[k]];
        in[k] = &g->shapes[input];
        r.x[k] = ptf_gradient_value(g, input);
        r.image[k] = ptf_shape_numel(in[k]);
    }
    axes all = list_axes(r.of.out, in);
    set_lines(&r, &all);
    ptf_each(g->threads, ptf_ceil_div(g->count * r.lines, r.of_thread),
             back_lines, &r);
}

static void back(const ptf_gradient *g, int i, int operand, float *dx)
{
    ptf_binary how = binary[g->net->nodes[i].op];
    ptf_back_broadcast(g, i, g->kernels->backward->binary[how][operand],
                       (const int[2]){0, 1}, operand, dx);
}

const ptf_back_family ptf_back_family_binary = {.back = back};
