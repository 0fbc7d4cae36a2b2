/*
 * The walk through a net's nodes, one image at a time.  A value lives until the
 * last node that reads it has run.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exact/functions.h"

static ptf_exact_family *const families[PTF_FAMILY_COUNT] = {
#define FAMILY(id, name) [PTF_FAMILY_##id] = ptf_exact_family_##name,
#include "op/families.inc"
#undef FAMILY
};

/* ------------------------------------------------------------ make */

/* The batch norm that alone reads product i and scales its channels; or -1. */
static int norm_after(const ptf_exact *exact, int i)
{
    const ptf_net *net = exact->net;
    int only = ptf_net_only_consumer(net, i);
    bool fits =
        only >= 0 && !ptf_net_is_output(net, i) &&
        ptf_op_is(net->nodes[only].op, PTF_FAMILY_AFFINE) &&
        exact->shapes[i].dim[0] == net->nodes[i].attrs.out_channels &&
        (exact->shapes[i].rank == 1 || ptf_op_map_axes(net->nodes[i].op) > 0);
    return fits ? only : -1;
}

/* Scales are off by less than what lipschitz.c takes for granted. */
static ptf_status read_norms(ptf_exact *exact, int i, ptf_error *err)
{
    const ptf_node *node = &exact->net->nodes[i];
    ptf_exact_numbers *numbers = &exact->numbers[i];
    if (!ptf_op_is(node->op, PTF_FAMILY_PRODUCT))
        return PTF_OK;
    int after = norm_after(exact, i);
    const double *scale =
        after >= 0 ? exact->numbers[after].plain.scale.value : NULL;
    return ptf_exact_lipschitz(
        node, numbers, scale, &exact->numbers[after >= 0 ? after : i].lipschitz,
        err);
}

static ptf_status read_numbers(void *context, ptf_error *err)
{
    ptf_exact *exact = context;
    ptf_status status = PTF_OK;
    for (int i = 0; status == PTF_OK && i < exact->net->node_count; i++) {
        const ptf_node *node = &exact->net->nodes[i];
        ptf_exact_numbers *numbers = &exact->numbers[i];
        numbers->lipschitz = HUGE_VAL;
        status = ptf_numbers_read(&exact->arena, node, &numbers->plain, err);
        if (status == PTF_OK && ptf_op_is(node->op, PTF_FAMILY_PRODUCT))
            status = ptf_exact_product_read(&exact->arena, node, numbers, err);
    }
    for (int i = 0; status == PTF_OK && i < exact->net->node_count; i++)
        status = read_norms(exact, i, err);
    return status;
}

/* What only passes a value on has that of its operand. */
static void find_roots(ptf_exact *exact)
{
    const ptf_net *net = exact->net;
    for (int i = 0; i < net->node_count; i++) {
        const ptf_node *node = &net->nodes[i];
        bool alias = ptf_op_is_alias(node->op) && node->input_count == 1;
        exact->root[i] = alias ? exact->root[node->inputs[0]] : i;
    }
}

static ptf_status prepare(ptf_exact *exact, const ptf_shape *inputs,
                          ptf_error *err)
{
    size_t nodes = (size_t)exact->net->node_count;
    ptf_arena *arena = &exact->arena;
    exact->shapes = ptf_arena_array(arena, nodes, sizeof(*exact->shapes));
    exact->numbers = ptf_arena_array(arena, nodes, sizeof(*exact->numbers));
    exact->root = ptf_arena_array(arena, nodes, sizeof(*exact->root));
    exact->reads = ptf_arena_array(arena, nodes, sizeof(*exact->reads));
    exact->values = ptf_arena_array(arena, nodes, sizeof(*exact->values));
    exact->widest = ptf_arena_array(arena, nodes, sizeof(*exact->widest));
    exact->largest = ptf_arena_array(arena, nodes, sizeof(*exact->largest));
    if (exact->shapes == NULL || exact->numbers == NULL ||
        exact->root == NULL || exact->reads == NULL || exact->values == NULL ||
        exact->widest == NULL || exact->largest == NULL)
        return ptf_fail_memory(err);
    find_roots(exact);
    ptf_status status = ptf_net_shapes(exact->net, inputs, exact->shapes, err);
    if (status == PTF_OK)
        status = ptf_call_ieee(read_numbers, exact, err);
    return status;
}

ptf_status ptf_exact_make(const ptf_net *net, const ptf_shape *inputs, int bits,
                          int threads, ptf_exact **out, ptf_error *err)
{
    *out = NULL;
    if (!net->has_tensors)
        return ptf_fail(err, PTF_ARGUMENT, NULL, PTF_NO_OFFSET,
                        "a net without numbers has no outputs");
    ptf_exact *exact = ptf_alloc(sizeof(*exact));
    if (exact == NULL)
        return ptf_fail_memory(err);
    exact->net = net;
    exact->threads = threads > 0 ? threads : ptf_thread_count();
    exact->limbs = ptf_limbs_default();
    exact->bad = -1;
    ptf_status status = ptf_exact_set_bits(exact, bits, err);
    if (status == PTF_OK)
        status = prepare(exact, inputs, err);
    if (status == PTF_OK)
        *out = exact;
    else
        ptf_exact_free(exact);
    return status;
}

/* ------------------------------------------------------------ values */

static void free_value(ptf_fixed *v)
{
    ptf_free(v->digits);
    ptf_free(v->radius);
    *v = (ptf_fixed){0};
}

static void free_values(ptf_exact *exact)
{
    for (int i = 0; exact->values != NULL && i < exact->net->node_count; i++)
        free_value(&exact->values[i]);
}

ptf_status ptf_exact_set_bits(ptf_exact *exact, int bits, ptf_error *err)
{
    if (bits < 1 || bits > PTF_EXACT_BITS_MOST)
        return ptf_fail(err, PTF_ARGUMENT, NULL, PTF_NO_OFFSET,
                        "%d bits of fixed point; expected 1 to %d", bits,
                        PTF_EXACT_BITS_MOST);
    free_values(exact);
    ptf_functions_free(exact->functions);
    exact->functions = NULL;
    exact->n = (int)ptf_ceil_div(bits, PTF_DIGIT_BITS);
    return PTF_OK;
}

void ptf_exact_free(ptf_exact *exact)
{
    if (exact == NULL)
        return;
    free_values(exact);
    ptf_functions_free(exact->functions);
    ptf_arena_free(&exact->arena);
    ptf_free(exact);
}

static bool allocate(const ptf_exact *exact, int node, ptf_fixed *v)
{
    int64_t count = ptf_shape_numel(&exact->shapes[node]);
    int64_t room = ptf_ceil_div(count, PTF_LANES) * PTF_LANES;
    size_t size = (size_t)room * sizeof(double);
    *v = (ptf_fixed){
        .count = count, .room = room, .norm = HUGE_VAL, .before = HUGE_VAL};
    v->digits = ptf_alloc_aligned(size * (size_t)exact->n, 64);
    v->radius = ptf_alloc_aligned(size, 64);
    return v->digits != NULL && v->radius != NULL;
}

/* ------------------------------------------------------------ measure */

enum { MEASURED = 4096 }; /* numbers of one task */

typedef struct measuring {
    const ptf_exact *exact;
    ptf_fixed *v;
    double *most, *squares, *widest; /* per task */
} measuring;

static void measure_some(void *context, int64_t i, int thread)
{
    const measuring *m = context;
    const ptf_fixed *v = m->v;
    double most = 0, squares = 0, widest = 0, scale = ptf_fixed_scale(v);
    int64_t end = ptf_min_i64((i + 1) * MEASURED, v->count);
    (void)thread;
    for (int64_t k = i * MEASURED; k < end; k++) {
        double x = fabs(ptf_fixed_double(v, m->exact->n, k, scale));
        double r = v->radius[k] + PTF_FLOOR;
        most = x > most ? x : most;
        squares += r * r;
        if (!(r <= widest)) /* NaN says nothing */
            widest = r < HUGE_VAL ? r : HUGE_VAL;
    }
    m->most[i] = most;
    m->squares[i] = squares;
    m->widest[i] = widest;
}

static void limit_some(void *context, int64_t i, int thread)
{
    const measuring *m = context;
    ptf_fixed *v = m->v;
    int64_t end = ptf_min_i64((i + 1) * MEASURED, v->count);
    (void)thread;
    for (int64_t k = i * MEASURED; k < end; k++)
        v->radius[k] = v->radius[k] < v->norm ? v->radius[k] : v->norm;
}

/* The largest number, and both bounds of errors by each other (theorem 1 of
 * docs/equivalence.md). */
static ptf_status measure(const ptf_exact *exact, int node, ptf_error *err)
{
    ptf_fixed *v = &exact->values[node];
    int64_t tasks = ptf_ceil_div(v->count, MEASURED);
    measuring m = {exact, v, NULL, NULL, NULL};
    m.most = ptf_alloc((size_t)tasks * 3 * sizeof(double));
    if (m.most == NULL)
        return ptf_fail_memory(err);
    m.squares = m.most + tasks;
    m.widest = m.squares + tasks;
    ptf_each(exact->threads, tasks, measure_some, &m);
    double squares = 0, widest = 0;
    v->most = 0;
    for (int64_t i = 0; i < tasks; i++) {
        v->most = fmax(v->most, m.most[i] * PTF_UP);
        widest = fmax(widest, m.widest[i]);
        squares += m.squares[i];
    }
    v->norm = fmin(v->norm, sqrt(squares) * PTF_UP_STEP);
    if (v->norm < HUGE_VAL)
        ptf_each(exact->threads, tasks, limit_some, &m);
    exact->widest[node] =
        ldexp(fmin(widest, v->norm), -PTF_DIGIT_BITS * exact->n);
    exact->largest[node] = v->most;
    ptf_free(m.most);
    return PTF_OK;
}

/* ------------------------------------------------------------ walk */

const ptf_functions *ptf_exact_functions(ptf_exact *exact)
{
    if (exact->functions == NULL)
        exact->functions = ptf_functions_make(exact->limbs, exact->n);
    return exact->functions;
}

ptf_status ptf_exact_refuse(const ptf_exact_step *s, ptf_error *err)
{
    const ptf_node *node = ptf_exact_node(s);
    return ptf_node_fail(err, PTF_UNSUPPORTED, node,
                         "%s is not evaluated in fixed point yet",
                         ptf_op_info(node->op)->name);
}

/* The input k: numbers of f32, rounded where they are far below the largest. */
static ptf_status take_input(ptf_exact *exact, int k, const float *in)
{
    ptf_fixed *v = &exact->values[k];
    double most = 0;
    for (int64_t i = 0; i < v->count; i++) {
        if (!isfinite(in[i]))
            exact->bad = k;
        most = fmax(most, fabs((double)in[i]));
    }
    if (exact->bad >= 0)
        return PTF_OK;
    v->exponent = ptf_exponent_of(most);
    v->norm = HUGE_VAL;
    for (int64_t i = 0; i < v->count; i++) {
        int64_t digits[PTF_LIMBS_MOST];
        bool whole = true;
        ptf_digits_of((double)in[i], v->exponent, exact->n, digits, &whole);
        for (int l = 0; l < exact->n; l++)
            v->digits[l * v->room + i] = digits[l];
        v->radius[i] = whole ? 0.0 : ldexp(0.5, v->exponent);
    }
    return PTF_OK;
}

static void count_reads(ptf_exact *exact)
{
    const ptf_net *net = exact->net;
    memset(exact->reads, 0, (size_t)net->node_count * sizeof(*exact->reads));
    for (int i = 0; i < net->node_count; i++)
        for (int k = 0; k < net->nodes[i].input_count; k++)
            if (exact->root[i] == i)
                exact->reads[exact->root[net->nodes[i].inputs[k]]]++;
    for (int i = 0; i < net->output_count; i++)
        exact->reads[exact->root[net->outputs[i].node]]++;
}

/* What was read for the last time goes. */
static void release_operands(ptf_exact *exact, const ptf_node *node)
{
    for (int k = 0; k < node->input_count; k++) {
        int root = exact->root[node->inputs[k]];
        if (--exact->reads[root] == 0)
            free_value(&exact->values[root]);
    }
}

static ptf_status run_node(ptf_exact *exact, int i, ptf_error *err)
{
    const ptf_node *node = &exact->net->nodes[i];
    size_t count = (size_t)node->input_count;
    const ptf_fixed **in = ptf_alloc((count + 1) * sizeof(*in));
    ptf_fixed *out = &exact->values[i];
    if (in == NULL || !allocate(exact, i, out)) {
        ptf_free(in);
        return ptf_fail_memory(err);
    }
    for (size_t k = 0; k < count; k++)
        in[k] = &exact->values[exact->root[node->inputs[k]]];
    ptf_exact_step s = {exact, i, in, out};
    ptf_status status = families[ptf_op_info(node->op)->family](&s, err);
    ptf_free(in);
    if (status == PTF_OK && exact->bad < 0)
        status = measure(exact, i, err);
    release_operands(exact, node);
    if (exact->reads[i] == 0)
        free_value(out);
    return status;
}

typedef struct call {
    ptf_exact *exact;
    const float *const *in;
} call;

static ptf_status walk(void *context, ptf_error *err)
{
    const call *c = context;
    ptf_exact *exact = c->exact;
    const ptf_net *net = exact->net;
    ptf_status status = PTF_OK;
    free_values(exact);
    count_reads(exact);
    exact->bad = -1;
    for (int k = 0; status == PTF_OK && k < net->input_count; k++) {
        if (!allocate(exact, k, &exact->values[k]))
            status = ptf_fail_memory(err);
        if (status == PTF_OK)
            status = take_input(exact, k, c->in[k]);
        if (status == PTF_OK && exact->bad < 0)
            status = measure(exact, k, err);
    }
    for (int i = net->input_count; i < net->node_count; i++)
        if (status == PTF_OK && exact->bad < 0 && exact->root[i] == i)
            status = run_node(exact, i, err);
    return status;
}

ptf_status ptf_exact_run(ptf_exact *exact, const float *const *in,
                         double *const *value, double *const *radius,
                         ptf_error *err)
{
    call c = {exact, in};
    ptf_status status = ptf_call_ieee(walk, &c, err);
    for (int k = 0; status == PTF_OK && k < exact->net->output_count; k++) {
        int node = exact->net->outputs[k].node;
        const ptf_fixed *v = &exact->values[exact->root[node]];
        int64_t count = ptf_shape_numel(&exact->shapes[node]);
        bool known = exact->bad < 0;
        double scale = known ? ptf_fixed_scale(v) : 0;
        for (int64_t i = 0; i < count; i++) {
            double m =
                known ? ptf_fixed_double(v, exact->n, i, scale) : (double)NAN;
            double r = known ? ldexp(v->radius[i], -PTF_DIGIT_BITS * exact->n)
                             : HUGE_VAL;
            value[k][i] = m;
            /* from the double to the exact number */
            radius[k][i] = (r + 4 * PTF_U * fabs(m)) * PTF_UP;
        }
    }
    return status;
}

/* ------------------------------------------------------------ queries */

int ptf_exact_bits(const ptf_exact *exact)
{
    return exact->n * PTF_DIGIT_BITS;
}

ptf_shape ptf_exact_output(const ptf_exact *exact, size_t index)
{
    return exact->shapes[exact->net->outputs[index].node];
}

const char *ptf_exact_undecided(const ptf_exact *exact)
{
    return exact->bad < 0 ? NULL : exact->net->nodes[exact->bad].name;
}

double ptf_exact_radius(const ptf_exact *exact, size_t index)
{
    int node = exact->net->outputs[index].node;
    const ptf_fixed *v = &exact->values[exact->root[node]];
    double most = exact->bad < 0 ? 0 : HUGE_VAL;
    for (int64_t i = 0; exact->bad < 0 && i < v->count; i++)
        most = fmax(most, v->radius[i]);
    return ldexp(most, -PTF_DIGIT_BITS * exact->n);
}

void ptf_exact_rounded(const ptf_exact *exact, size_t index, int64_t i,
                       float *low, float *high)
{
    int node = exact->net->outputs[index].node;
    *low = -HUGE_VALF;
    *high = HUGE_VALF;
    if (exact->bad < 0)
        ptf_fixed_round(&exact->values[exact->root[node]], exact->n, i, low,
                        high);
}
