/*
 * Nests of loops: numbers that are gone through position by position, each
 * array with distances of its own.  Where an operand is the same along an axis
 * (broadcasting, or a constant for all images), its distance is 0 there.  Axes
 * that no array can tell from one are joined, so that the innermost loop, which
 * the kernel has, is long: two dense values of a batch have one loop.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plan/plan.h"

enum { PART_FLOATS = 16384 }; /* what a thread takes at a time */

/* ---------------------------------------------------------------- geometry */

enum { ROWS = 1 }; /* the axis of a value of rank 3 that a stripe cuts */

/* How many positions of an axis lie in memory. */
static int64_t size_of(const ptf_plan_value *v, int axis)
{
    return v->shape.rank == 3 && axis == ROWS ? v->rows : v->shape.dim[axis];
}

ptf_nest ptf_nest_over(const ptf_plan_value *over, const ptf_piece *piece,
                       ptf_binary_kernel *kernel)
{
    ptf_nest nest = {
        .kernel = kernel, .over = *over, .count = 1 + over->shape.rank};
    nest.axes[0].size = piece->count;
    for (int d = 0; d < over->shape.rank; d++)
        nest.axes[1 + d].size = size_of(over, d);
    return nest;
}

int64_t ptf_nest_lay(ptf_nest *nest, int array, const ptf_plan_value *value,
                     int64_t image)
{
    int after = nest->over.shape.rank - value->shape.rank;
    int64_t step = 1;
    for (int d = value->shape.rank - 1; d >= 0; d--) {
        if (value->shape.dim[d] != 1)
            nest->axes[1 + after + d].step[array] = step;
        step *= size_of(value, d);
    }
    nest->axes[0].step[array] = image;
    if (nest->over.shape.rank != 3)
        return 0;
    return (nest->over.first - value->first) * nest->axes[1 + ROWS].step[array];
}

void ptf_nest_write(ptf_nest *nest, const ptf_plan *plan,
                    const ptf_piece *piece, int value)
{
    const ptf_plan_value *v = &plan->values[value];
    nest->y = ptf_plan_at(plan, piece, value, piece->first) +
              ptf_nest_lay(nest, 0, v, v->numel);
}

void ptf_nest_read(ptf_nest *nest, int array, const ptf_plan *plan,
                   const ptf_piece *piece, int value)
{
    const ptf_plan_value *v = &plan->values[value];
    bool fixed = plan->values[v->root].buffer == PTF_BUFFER_CONSTANT;
    nest->in[array] = ptf_plan_read(plan, piece, value, piece->first) +
                      ptf_nest_lay(nest, array, v, fixed ? 0 : v->numel);
}

/* ------------------------------------------------------------------ joining */

/* True when going through both axes is going through one. */
static bool are_one(const ptf_axis *outer, const ptf_axis *inner)
{
    for (int k = 0; k < PTF_NEST_ARRAYS; k++) {
        if (outer->step[k] != inner->step[k] * inner->size)
            return false;
    }
    return true;
}

/* What kernels take for a row; one number read all the time is none. */
static bool is_row(const ptf_axis *axis)
{
    int64_t a = axis->step[1], b = axis->step[2], c = axis->step[3];
    return axis->step[0] == 1 && a <= 1 && b <= 1 && c <= 1 && a + b + c > 0;
}

static void join_axes(ptf_nest *nest)
{
    int count = 0;
    for (int i = 0; i < nest->count; i++) {
        ptf_axis axis = nest->axes[i];
        if (axis.size == 1)
            continue;
        if (count > 0 && are_one(&nest->axes[count - 1], &axis)) {
            axis.size *= nest->axes[count - 1].size;
            count--;
        }
        nest->axes[count++] = axis;
    }
    if (count == 0 || !is_row(&nest->axes[count - 1]))
        nest->axes[count++] = (ptf_axis){1, {1, 1, 1, 1}};
    nest->count = count;
}

/* ------------------------------------------------------------------ running */

/* Rows are what the innermost loop goes through. */
typedef struct nest_run {
    const ptf_nest *nest;
    int64_t rows, rows_of_part;
    int64_t cuts; /* of a row */
} nest_run;

/* Rows 'row' and on that lie evenly, at most 'most'; how many these are. */
static int64_t run_rows(const ptf_nest *nest, int64_t row, int64_t most,
                        int64_t first, int64_t n)
{
    const ptf_axis *inner = &nest->axes[nest->count - 1];
    const ptf_axis one = {.size = 1};
    const ptf_axis *outer = nest->count > 1 ? inner - 1 : &one;
    int64_t at[PTF_NEST_ARRAYS];
    for (int k = 0; k < PTF_NEST_ARRAYS; k++)
        at[k] = first * inner->step[k];
    int64_t rows = ptf_min_i64(outer->size - row % outer->size, most);
    for (int i = nest->count - 2; i >= 0; i--) {
        const ptf_axis *axis = &nest->axes[i];
        for (int k = 0; k < PTF_NEST_ARRAYS; k++)
            at[k] += row % axis->size * axis->step[k];
        row /= axis->size;
    }
    ptf_grid grid = {.rows = rows,
                     .n = n,
                     .y_row = outer->step[0],
                     .a_row = outer->step[1],
                     .b_row = outer->step[2],
                     .c_row = outer->step[3],
                     .a_step = inner->step[1],
                     .b_step = inner->step[2],
                     .c_step = inner->step[3]};
    const float *b = nest->in[2] != NULL ? nest->in[2] + at[2] : NULL;
    if (nest->where != NULL)
        nest->where(&grid, nest->y + at[0], nest->in[1] + at[1], b,
                    nest->in[3] + at[3]);
    else
        nest->kernel(&grid, nest->y + at[0], nest->in[1] + at[1], b);
    return rows;
}

static void run_part(void *context, int64_t i, int thread)
{
    const nest_run *r = context;
    (void)thread;
    int64_t length = r->nest->axes[r->nest->count - 1].size;
    int64_t begin = i % r->cuts * PART_FLOATS;
    int64_t n = r->cuts > 1 ? ptf_min_i64(length - begin, PART_FLOATS) : length;
    int64_t row = i / r->cuts * r->rows_of_part;
    int64_t end = ptf_min_i64(row + r->rows_of_part, r->rows);
    while (row < end)
        row += run_rows(r->nest, row, end - row, begin, n);
}

void ptf_nest_run(ptf_nest *nest, const ptf_plan *plan, const ptf_piece *piece)
{
    join_axes(nest);
    int64_t length = nest->axes[nest->count - 1].size;
    nest_run run = {.nest = nest, .rows = 1, .rows_of_part = 1, .cuts = 1};
    for (int i = 0; i < nest->count - 1; i++)
        run.rows *= nest->axes[i].size;
    if (length == 0)
        return;
    if (length < PART_FLOATS)
        run.rows_of_part = PART_FLOATS / length;
    else
        run.cuts = ptf_ceil_div(length, PART_FLOATS);
    ptf_piece_each(plan, piece,
                   ptf_ceil_div(run.rows, run.rows_of_part) * run.cuts,
                   run_part, &run);
}

void ptf_nest_copy(const ptf_grid *grid, float *y, const float *a,
                   const float *b)
{
    (void)b;
    for (int64_t r = 0; r < grid->rows; r++)
        memcpy(y + r * grid->y_row, a + r * grid->a_row,
               (size_t)grid->n * sizeof(float));
}
