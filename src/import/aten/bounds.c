/*
 * How large integers can be.  A net has them as f32, which is exact below 2^24:
 * what is computed of them must not leave that, whatever the input is.  2^24
 * itself may be what the next one was rounded to.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"

#include <math.h>

static const double exact = 16777216; /* 2^24 */

enum { MOST_LOOKS = 10000, MOST_DEEP = 64 };

typedef struct search {
    const ptf_lowering *l;
    int looks; /* that are left; then nothing is known */
    int deep;
} search;

static double bound_of(search *s, int node);

/* The largest bound of the operands from 'first' on. */
static double largest_from(search *s, const ptf_node *n, int first)
{
    double most = 0;
    for (int k = first; k < n->input_count; k++)
        most = fmax(most, bound_of(s, n->inputs[k]));
    return most;
}

static double of_all(search *s, const ptf_node *n)
{
    return largest_from(s, n, 0);
}

static double of_choices(search *s, const ptf_node *n)
{
    return largest_from(s, n, 1); /* the first one is the condition */
}

static double of_first(search *s, const ptf_node *n)
{
    return bound_of(s, n->inputs[0]);
}

static double of_second(search *s, const ptf_node *n)
{
    return bound_of(s, n->inputs[1]);
}

static double of_sum(search *s, const ptf_node *n)
{
    return of_first(s, n) + of_second(s, n);
}

static double of_product(search *s, const ptf_node *n)
{
    return of_first(s, n) * of_second(s, n);
}

/* The least and largest number of a constant; or anything. */
static void find_range(const search *s, int node, double *least, double *most)
{
    const ptf_node *n = &s->l->net->nodes[node];
    const ptf_tensor *t = n->tensors[PTF_ROLE_WEIGHT];
    const float *x = n->op == PTF_OP_CONSTANT && ptf_tensor_is_contiguous(t)
                         ? ptf_tensor_f32(t)
                         : NULL;
    *least = x != NULL ? HUGE_VAL : -HUGE_VAL;
    *most = -*least;
    for (int64_t i = 0; x != NULL && i < ptf_tensor_numel(t); i++) {
        *least = fmin(*least, (double)x[i]);
        *most = fmax(*most, (double)x[i]);
    }
}

/* By numbers that are no nearer to 0 than some are. */
static double of_quotient(search *s, const ptf_node *n)
{
    double least, most;
    find_range(s, n->inputs[1], &least, &most);
    double nearest = least > 0 ? least : -most;
    return nearest > 0 ? of_first(s, n) / nearest : HUGE_VAL;
}

static double of_floor(search *s, const ptf_node *n)
{
    return of_quotient(s, n) + 1;
}

static double of_power(search *s, const ptf_node *n)
{
    double least, most;
    find_range(s, n->inputs[1], &least, &most);
    return least >= 0 ? pow(fmax(of_first(s, n), 1), most) : HUGE_VAL;
}

static double of_truth(search *s, const ptf_node *n)
{
    (void)s;
    (void)n;
    return 1;
}

static double of_limits(search *s, const ptf_node *n)
{
    (void)s;
    return fmax(fabs(n->attrs.p[0]), fabs(n->attrs.p[1]));
}

static double of_padded(search *s, const ptf_node *n)
{
    return fmax(of_first(s, n), fabs(n->attrs.p[0]));
}

static double of_positions(search *s, const ptf_node *n)
{
    const ptf_shape *shape = &s->l->shapes[n->inputs[0]];
    return (double)ptf_op_sorting(&n->attrs, shape).size;
}

/* As many terms as the value becomes smaller. */
static double of_terms(search *s, const ptf_node *n)
{
    const ptf_shape *shapes = s->l->shapes;
    int result = (int)(n - s->l->net->nodes);
    return of_first(s, n) * (double)ptf_shape_numel(&shapes[n->inputs[0]]) /
           (double)ptf_shape_numel(&shapes[result]);
}

static double of_constant(search *s, const ptf_node *n)
{
    (void)s;
    const ptf_tensor *t = n->tensors[PTF_ROLE_WEIGHT];
    const float *x = t->dtype == PTF_DTYPE_F32 ? ptf_tensor_f32(t) : NULL;
    double most = x != NULL ? 0 : HUGE_VAL;
    for (int64_t i = 0; x != NULL && i < ptf_tensor_numel(t); i++)
        most = fmax(most, fabs((double)x[i]));
    return most;
}

/*
 * What is known of an op's results where its operands are integers, and
 * whether f32 rounds none of them, however large they are: because they are
 * among the operands, or because a conversion of f32 to integers is exact.
 */
typedef struct rule {
    double (*bound)(search *s, const ptf_node *n);
    bool never_rounds;
} rule;

static const rule of_family[PTF_FAMILY_COUNT] = {
    [PTF_FAMILY_VIEW] = {of_all, true},
    [PTF_FAMILY_CONCAT] = {of_all, true},
    [PTF_FAMILY_GATHER] = {of_first, true},
    [PTF_FAMILY_WHERE] = {of_choices, true},
    [PTF_FAMILY_PAD] = {of_padded, true},
    [PTF_FAMILY_SORT] = {of_positions, true},
};

static const rule of_op[PTF_OP_COUNT] = {
    [PTF_OP_INPUT] = {NULL, true},
    [PTF_OP_CONSTANT] = {of_constant, false},
    [PTF_OP_FLOOR] = {of_first, true},
    [PTF_OP_CEIL] = {of_first, true},
    [PTF_OP_ROUND] = {of_first, true},
    [PTF_OP_TRUNC] = {of_first, true},
    [PTF_OP_NEG] = {of_first, true},
    [PTF_OP_ABS] = {of_first, true},
    [PTF_OP_RELU] = {of_first, true},
    [PTF_OP_CLAMP] = {of_limits, false},
    [PTF_OP_SIGN] = {of_truth, true},
    [PTF_OP_LOGICAL_NOT] = {of_truth, false},
    [PTF_OP_ISNAN] = {of_truth, false},
    [PTF_OP_ISINF] = {of_truth, false},
    [PTF_OP_ADD] = {of_sum, false},
    [PTF_OP_SUB] = {of_sum, false},
    [PTF_OP_MUL] = {of_product, false},
    [PTF_OP_DIV] = {of_quotient, false},
    [PTF_OP_FLOOR_DIVIDE] = {of_floor, false},
    [PTF_OP_REMAINDER] = {of_second, true},
    [PTF_OP_FMOD] = {of_second, true},
    [PTF_OP_POWER] = {of_power, false},
    [PTF_OP_MAXIMUM] = {of_all, true},
    [PTF_OP_MINIMUM] = {of_all, true},
    [PTF_OP_EQ] = {of_truth, false},
    [PTF_OP_NE] = {of_truth, false},
    [PTF_OP_LT] = {of_truth, false},
    [PTF_OP_LE] = {of_truth, false},
    [PTF_OP_GT] = {of_truth, false},
    [PTF_OP_GE] = {of_truth, false},
    [PTF_OP_LOGICAL_AND] = {of_truth, false},
    [PTF_OP_LOGICAL_OR] = {of_truth, false},
    [PTF_OP_LOGICAL_XOR] = {of_truth, false},
    [PTF_OP_SUM] = {of_terms, false},
    [PTF_OP_AMAX] = {of_first, true},
    [PTF_OP_AMIN] = {of_first, true},
};

static rule rule_of(ptf_op op)
{
    rule r = of_op[op];
    return r.bound != NULL || r.never_rounds
               ? r
               : of_family[ptf_op_info(op)->family];
}

/* No number of the node's value is larger than that; NaN is none. */
static double bound_of(search *s, int node)
{
    const ptf_node *n = &s->l->net->nodes[node];
    rule r = rule_of(n->op);
    if (r.bound == NULL || s->deep == MOST_DEEP || s->looks == 0)
        return HUGE_VAL;
    s->looks--;
    s->deep++;
    double bound = r.bound(s, n);
    s->deep--;
    return bound;
}

double ptf_lower_bound(const ptf_lowering *l, int node)
{
    search s = {.l = l, .looks = MOST_LOOKS};
    return bound_of(&s, node);
}

ptf_status ptf_lower_check_integer(ptf_lowering *l, int node)
{
    search s = {.l = l, .looks = MOST_LOOKS};
    if (rule_of(l->net->nodes[node].op).never_rounds)
        return PTF_OK;
    return bound_of(&s, node) < exact
               ? PTF_OK
               : ptf_lower_refuse(l, "computes integers that may be beyond "
                                     "2^24, which float32 does not hold");
}
