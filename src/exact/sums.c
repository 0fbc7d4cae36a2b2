/*
 * Sums of products, exactly: all of convolutions, linear layers and matrix
 * products.
 *
 * A task has some rows of a group and PANELS times PTF_LANES of its pixels.
 * It takes PTF_TERMS terms at a time: copies the digits of the pixels' terms
 * into panels, one for each digit, and multiplies them with the weights' words;
 * what comes out is added to the task's digits, n + planes + 1 of each sum.
 *
 *     weights of plane p (digit j of V)  x  digit l of X   ->   digit j + l
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exact/exact.h"

enum { PANELS = 4, PIXELS = PANELS * PTF_LANES, ROWS = 48, MOST_ROWS = 1536 };

/* What a thread has of its own. */
typedef struct room {
    double weights[PTF_TERMS];
    uint64_t words[ROWS * PTF_ROW_WORDS];
    int64_t *digits;  /* [row][panel][digit][PTF_LANES] */
    uint64_t *panels; /* [panel][n][PTF_PANEL_WORDS] */
} room;

enum { ROOM_SIZE = (sizeof(room) + 63) / 64 * 64 };

typedef struct work {
    const ptf_sums *s;
    int digits;                                   /* of a sum */
    int64_t parts_of_pixels, parts_of_rows, rows; /* rows: of a task */
    uint8_t *rooms;
    size_t room_size, digits_size;
} work;

typedef struct task {
    const work *w;
    room *room;
    int64_t group, row, rows, pixel, panels; /* the first row is the group's */
} task;

static int64_t *digits_of(const task *t, int64_t row, int64_t panel)
{
    return t->room->digits + (row * PANELS + panel) * t->w->digits * PTF_LANES;
}

/* ------------------------------------------------------------ panels */

/* Digit l of term (channel, tap) for the lanes of a panel. */
static void copy_lanes(const int64_t *plane, const int64_t *at, uint64_t *to)
{
    bool run = at[0] >= 0;
    for (int i = 1; i < PTF_LANES; i++)
        run = run && at[i] == at[0] + i;
    if (run) {
        memcpy(to, plane + at[0], PTF_LANES * sizeof(*to));
        return;
    }
    for (int i = 0; i < PTF_LANES; i++)
        to[i] = at[i] >= 0 ? (uint64_t)plane[at[i]] : 0;
}

static void fill_panels(const task *t, int64_t from, int64_t terms)
{
    const ptf_sums *s = t->w->s;
    int64_t pixels = ptf_sums_room(s->pixels);
    for (int64_t p = 0; p < t->panels; p++)
        for (int l = 0; l < s->exact->n; l++) {
            uint64_t *panel =
                t->room->panels + (p * s->exact->n + l) * PTF_PANEL_WORDS;
            for (int64_t k = 0; k < terms; k++) {
                int64_t channel = (from + k) / s->taps;
                int64_t tap = (from + k) % s->taps;
                const int64_t *plane = s->in->digits + l * s->in->room +
                                       s->in_first + t->group * s->in_group +
                                       channel * s->in_channel;
                copy_lanes(plane,
                           s->at + tap * pixels + t->pixel + p * PTF_LANES,
                           panel + k * PTF_LANES);
            }
            s->exact->limbs->pack_panel(terms, panel);
        }
}

/* ------------------------------------------------------------ multiply */

/* Rows row .. row + rows - 1 of the task by all panels, for one plane. */
static void multiply_rows(const task *t, int plane, int64_t row, int64_t rows,
                          int64_t from, int64_t terms)
{
    const ptf_sums *s = t->w->s;
    const ptf_limbs *limbs = s->exact->limbs;
    int64_t first = t->group * s->rows + t->row + row;
    bool any = false;
    for (int64_t j = 0; j < rows; j++) {
        any |= s->weights(s->context, first + j, plane, from, terms,
                          t->room->weights);
        limbs->pack_row(terms, t->room->weights,
                        t->room->words + j * PTF_ROW_WORDS);
    }
    for (int64_t p = 0; any && p < t->panels; p++)
        for (int l = 0; l < s->exact->n; l++)
            limbs->dot(
                rows, terms, t->room->words,
                t->room->panels + (p * s->exact->n + l) * PTF_PANEL_WORDS,
                digits_of(t, row, p) + (s->planes - 1 - plane + l) * PTF_LANES,
                PANELS * t->w->digits * PTF_LANES);
}

/* Digits of a sum take 2^61 from the panel's and as much from each plane. */
static void carry_rows(const task *t, int64_t row, int64_t rows)
{
    for (int64_t j = row; j < row + rows; j++)
        for (int64_t p = 0; p < t->panels; p++)
            t->w->s->exact->limbs->carry(t->w->digits, digits_of(t, j, p));
}

static void add_terms(const task *t, int64_t from, int64_t terms)
{
    fill_panels(t, from, terms);
    for (int64_t row = 0; row < t->rows; row += ROWS) {
        int64_t rows = ptf_min_i64(t->rows - row, ROWS);
        for (int plane = 0; plane < t->w->s->planes; plane++) {
            if (plane > 0 || from > 0)
                carry_rows(t, row, rows);
            multiply_rows(t, plane, row, rows, from, terms);
        }
    }
}

/* ------------------------------------------------------------ finish */

/*
 * Units of the sum are 2^(exponent + E - 51 n), of the output 2^(E' - 51 n).
 */
static void finish_lanes(const task *t, int64_t row, int64_t panel)
{
    const ptf_sums *s = t->w->s;
    int n = s->exact->n;
    int64_t j = t->group * s->rows + t->row + row;
    int64_t first = t->pixel + panel * PTF_LANES;
    int64_t left = ptf_min_i64(s->pixels - first, PTF_LANES);
    int64_t shift =
        (int64_t)s->out->exponent - s->in->exponent - s->exponent[j];
    int64_t lanes[PTF_LANE_DIGITS];
    s->exact->limbs->cut(t->w->digits, digits_of(t, row, panel), shift,
                         s->addend != NULL ? s->addend + j * n : NULL, n,
                         lanes);
    int64_t to = s->out_first + j * s->out_row + first * s->out_pixel;
    for (int l = 0; l < n; l++)
        for (int64_t i = 0; i < left; i++)
            s->out->digits[l * s->out->room + to + i * s->out_pixel] =
                lanes[l * PTF_LANES + i];
    int64_t at = t->group * ptf_sums_room(s->pixels) + first;
    for (int64_t i = 0; i < left; i++) {
        double r = s->row_a[j] * s->pixel_a[at + i];
        if (s->row_b != NULL)
            r += s->row_b[j] * s->pixel_b[at + i];
        s->out->radius[to + i * s->out_pixel] = r * PTF_UP_STEP + s->lost;
    }
}

static void run_task(void *context, int64_t i, int thread)
{
    const work *w = context;
    const ptf_sums *s = w->s;
    uint8_t *own = w->rooms + (size_t)thread * w->room_size;
    task t = {.w = w, .room = (room *)(void *)own};
    t.room->digits = (int64_t *)(void *)(own + ROOM_SIZE);
    t.room->panels = (uint64_t *)(void *)(own + ROOM_SIZE + w->digits_size);
    t.row = i % w->parts_of_rows * w->rows;
    i /= w->parts_of_rows;
    t.pixel = i % w->parts_of_pixels * PIXELS;
    t.group = i / w->parts_of_pixels;
    t.rows = ptf_min_i64(s->rows - t.row, w->rows);
    t.panels =
        ptf_ceil_div(ptf_min_i64(s->pixels - t.pixel, PIXELS), PTF_LANES);
    memset(t.room->digits, 0,
           (size_t)(t.rows * PANELS * w->digits * PTF_LANES) * sizeof(int64_t));
    int64_t terms = s->channels * s->taps;
    for (int64_t from = 0; from < terms; from += PTF_TERMS)
        add_terms(&t, from, ptf_min_i64(terms - from, PTF_TERMS));
    for (int64_t row = 0; row < t.rows; row++)
        for (int64_t p = 0; p < t.panels; p++)
            finish_lanes(&t, row, p);
}

/* Few pixels: rows are shared, though each task then fills panels anew. */
static void divide(work *w)
{
    const ptf_sums *s = w->s;
    int64_t wanted = 4 * (int64_t)s->exact->threads;
    w->parts_of_pixels = ptf_ceil_div(s->pixels, PIXELS);
    int64_t tasks = w->parts_of_pixels * s->groups;
    int64_t parts = ptf_ceil_div(wanted, tasks);
    w->rows = ptf_ceil_div(ptf_ceil_div(s->rows, parts), ROWS) * ROWS;
    w->rows = ptf_min_i64(ptf_min_i64(w->rows, MOST_ROWS), s->rows);
    w->parts_of_rows = ptf_ceil_div(s->rows, w->rows);
}

ptf_status ptf_sums_run(const ptf_sums *sums, ptf_error *err)
{
    work w = {.s = sums, .digits = sums->exact->n + sums->planes + 1};
    divide(&w);
    w.digits_size =
        (size_t)(w.rows * PANELS * w.digits * PTF_LANES) * sizeof(int64_t);
    w.room_size = ROOM_SIZE + w.digits_size +
                  (size_t)PANELS * (size_t)sums->exact->n * PTF_PANEL_WORDS *
                      sizeof(uint64_t);
    w.room_size = (w.room_size + 63) / 64 * 64;
    int threads = sums->exact->threads;
    w.rooms = ptf_alloc_aligned(w.room_size * (size_t)threads, 64);
    if (w.rooms == NULL)
        return ptf_fail_memory(err);
    ptf_each(threads, sums->groups * w.parts_of_pixels * w.parts_of_rows,
             run_task, &w);
    ptf_free(w.rooms);
    return PTF_OK;
}
