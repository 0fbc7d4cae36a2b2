/*
 * Products of two values, sample by sample, as torch.matmul has them: of the
 * matrices that the last two axes are, broadcast along the others.  An operand
 * with one axis is a row on the left and a column on the right, and the result
 * lacks the axis that this one would have.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "op/rules.h"

/* Axis d of the leading ones, counted from the last of them; 1 if missing. */
static int64_t leading(const ptf_shape *shape, int d)
{
    return d < shape->rank - 2 ? shape->dim[shape->rank - 3 - d] : 1;
}

static int most_leading(const ptf_shape *in)
{
    int rank = in[0].rank > in[1].rank ? in[0].rank : in[1].rank;
    return rank > 2 ? rank - 2 : 0;
}

static const char *check_sizes(const ptf_shape *in)
{
    const ptf_shape *a = &in[0], *b = &in[1];
    if (a->rank < 1 || b->rank < 1)
        return "an input is a single number, which matmul does not take";
    if (a->dim[a->rank - 1] != b->dim[b->rank > 1 ? b->rank - 2 : 0])
        return "the last size of its first input is not that along which it "
               "sums the second";
    for (int d = 0; d < most_leading(in); d++) {
        int64_t x = leading(a, d), y = leading(b, d);
        if (x != y && x != 1 && y != 1)
            return "the sizes of its two inputs do not fit each other";
    }
    return NULL;
}

static const char *shape(ptf_op op, const ptf_attrs *attrs, const ptf_shape *in,
                         int count, ptf_shape *out)
{
    (void)op, (void)attrs, (void)count;
    const ptf_shape *a = &in[0], *b = &in[1];
    const char *wrong = check_sizes(in);
    *out = (ptf_shape){0, {0}};
    for (int d = most_leading(in) - 1; wrong == NULL && d >= 0; d--)
        out->dim[out->rank++] = ptf_max_i64(leading(a, d), leading(b, d));
    if (wrong == NULL && a->rank > 1)
        out->dim[out->rank++] = a->dim[a->rank - 2];
    if (wrong == NULL && b->rank > 1)
        out->dim[out->rank++] = b->dim[b->rank - 1];
    return wrong;
}

static ptf_reach reach(ptf_op op, const ptf_attrs *attrs, int rank, int axis)
{
    (void)op, (void)attrs, (void)rank;
    if (axis == 0)
        return (ptf_reach){.kind = PTF_REACH_EACH};
    return (ptf_reach){.kind = PTF_REACH_ALL, .why = "sums over positions"};
}

const ptf_rules ptf_rules_matmul = {
    .least = 2, .most = 2, .shape = shape, .reach = reach};

/* ---------------------------------------------------------------- matrices */

ptf_matrices ptf_op_matrices(const ptf_shape *a, const ptf_shape *b)
{
    ptf_matrices m = {.rows = a->rank > 1 ? a->dim[a->rank - 2] : 1,
                      .terms = a->dim[a->rank - 1],
                      .columns = b->rank > 1 ? b->dim[b->rank - 1] : 1,
                      .count = 1};
    int64_t step[2] = {1, 1};
    int most = most_leading((const ptf_shape[]){*a, *b});
    for (int d = 0; d < most; d++) {
        int64_t size[2] = {leading(a, d), leading(b, d)};
        if (size[0] == 1 && size[1] == 1)
            continue;
        if (m.axes == 0 && size[1] == 1) {
            m.rows *= size[0];
            continue;
        }
        m.size[m.axes] = ptf_max_i64(size[0], size[1]);
        m.count *= m.size[m.axes];
        for (int k = 0; k < 2; k++) {
            m.step[k][m.axes] = size[k] == 1 ? 0 : step[k];
            step[k] *= size[k];
        }
        m.axes++;
    }
    return m;
}

int64_t ptf_matrix_at(const ptf_matrices *m, int operand, int64_t i)
{
    int64_t at = 0;
    for (int d = 0; d < m->axes; d++) {
        at += i % m->size[d] * m->step[operand][d];
        i /= m->size[d];
    }
    return at;
}
