/*
 * From a net and an input shape to counts, each sum checked.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "count/count.h"

/* Whole numbers that remember whether one did not fit. */
typedef struct tally {
    bool overflow;
} tally;

static int64_t times(tally *t, int64_t a, int64_t b)
{
    int64_t product = 0;
    t->overflow = !ptf_mul_i64(a, b, &product) || t->overflow;
    return product;
}

static int64_t plus(tally *t, int64_t a, int64_t b)
{
    int64_t sum = 0;
    t->overflow = !ptf_add_i64(a, b, &sum) || t->overflow;
    return sum;
}

/* -------------------------------------------------------------- quantities */

/* Numbers of one parameter; 0 when the layer has no such. */
static int64_t parameter_count(tally *t, const ptf_node *node, ptf_role role)
{
    int rank;
    int64_t shape[PTF_MAX_RANK], count = 1;
    if (!ptf_op_parameter(node->op, &node->attrs, role, &rank, shape))
        return 0;
    for (int d = 0; d < rank; d++)
        count = times(t, count, shape[d]);
    return count;
}

static int64_t greatest_divisor(int64_t a, int64_t b)
{
    while (b != 0) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/*
 * Taps along one axis of an adaptive pooling from 'in' to 'out' numbers.  The
 * windows cover every number once; of the out - 1 borders between windows,
 * gcd - 1 fall between two numbers, and the number that any other one cuts
 * belongs to the windows on both sides.
 */
static int64_t adaptive_taps(int64_t in, int64_t out)
{
    return in + out - greatest_divisor(in, out);
}

static int64_t count_taps(tally *t, const ptf_node *node, const ptf_shape *in,
                          const ptf_shape *out)
{
    int64_t taps = 1;
    if (!ptf_op_is(node->op, PTF_FAMILY_POOL))
        return 0;
    if (node->op == PTF_OP_ADAPTIVE_AVGPOOL2D) {
        for (int d = 1; d < 3; d++)
            taps = times(t, taps, adaptive_taps(in->dim[d], out->dim[d]));
        return times(t, taps, in->dim[0]);
    }
    taps = times(t, node->attrs.kernel[0], node->attrs.kernel[1]);
    return times(t, taps, ptf_shape_numel(out));
}

/* The terms of one sum: the weights of one output channel. */
static int64_t term_count(tally *t, const ptf_node *node)
{
    return parameter_count(t, node, PTF_ROLE_WEIGHT) / node->attrs.out_channels;
}

/* Of one sample. */
static void find_quantities(tally *t, const ptf_node *node, const ptf_shape *in,
                            const ptf_shape *out, int64_t q[PTF_QUANTITY_COUNT])
{
    q[PTF_QUANTITY_INPUTS] = ptf_shape_numel(in);
    q[PTF_QUANTITY_OUTPUTS] = ptf_shape_numel(out);
    q[PTF_QUANTITY_TAPS] = count_taps(t, node, in, out);
    for (int role = PTF_ROLE_WEIGHT; role <= PTF_ROLE_SHIFT; role++)
        q[PTF_QUANTITY_PARAMETERS] =
            plus(t, q[PTF_QUANTITY_PARAMETERS],
                 parameter_count(t, node, (ptf_role)role));
    if (ptf_op_is(node->op, PTF_FAMILY_PRODUCT))
        q[PTF_QUANTITY_MACS] =
            times(t, q[PTF_QUANTITY_OUTPUTS], term_count(t, node));
    if (parameter_count(t, node, PTF_ROLE_BIAS) > 0)
        q[PTF_QUANTITY_BIASES] = q[PTF_QUANTITY_OUTPUTS];
    if (parameter_count(t, node, PTF_ROLE_SCALE) > 0)
        q[PTF_QUANTITY_EPILOGUES] = q[PTF_QUANTITY_OUTPUTS];
    if (ptf_op_is(node->op, PTF_FAMILY_AFFINE) &&
        parameter_count(t, node, PTF_ROLE_WEIGHT) > 0)
        q[PTF_QUANTITY_AFFINE] = q[PTF_QUANTITY_OUTPUTS];
    if (ptf_op_is(node->op, PTF_FAMILY_SOFTMAX))
        q[PTF_QUANTITY_VECTORS] =
            q[PTF_QUANTITY_INPUTS] /
            in->dim[ptf_softmax_axis(&node->attrs, in->rank + 1) - 1];
}

/* ---------------------------------------------------------------- formulas */

static int64_t evaluate(tally *t, const ptf_formula family,
                        const ptf_formula op,
                        const int64_t q[PTF_QUANTITY_COUNT])
{
    int64_t sum = 0;
    for (int i = 0; i < PTF_QUANTITY_COUNT; i++)
        sum = plus(t, sum, times(t, family[i] + op[i], q[i]));
    return sum;
}

static ptf_operations evaluate_all(tally *t, const ptf_formula_table *table,
                                   ptf_op op,
                                   const int64_t q[PTF_QUANTITY_COUNT])
{
    const ptf_formulas *f = &table->family[ptf_op_info(op)->family];
    const ptf_formulas *own = &table->op[op];
    return (ptf_operations){
        .macs = evaluate(t, f->macs, own->macs, q),
        .multiplications =
            evaluate(t, f->multiplications, own->multiplications, q),
        .additions = evaluate(t, f->additions, own->additions, q),
        .others = evaluate(t, f->others, own->others, q),
    };
}

/* ------------------------------------------------------------------- layers */

/* What is the same for all layers. */
typedef struct counting {
    const ptf_net *net;
    const ptf_shape *shapes;
    const ptf_convention_table *convention;
    int64_t batch;
    bool *wanted; /* nodes whose value's gradient is asked for */
} counting;

static int64_t weight_bytes(tally *t, const ptf_node *node)
{
    int64_t count = 0;
    for (int role = PTF_ROLE_WEIGHT; role <= PTF_ROLE_RUNNING_VAR; role++)
        count = plus(t, count, parameter_count(t, node, (ptf_role)role));
    return times(t, count, sizeof(float));
}

static ptf_count count_layer(tally *t, const counting *c, int index)
{
    const ptf_node *node = &c->net->nodes[index];
    const ptf_shape *in = &c->shapes[node->inputs[0]];
    const ptf_shape *out = &c->shapes[index];
    ptf_count count = {.name = node->name,
                       .op = node->class_name,
                       .input = *in,
                       .output = *out};
    int64_t q[PTF_QUANTITY_COUNT] = {0};
    find_quantities(t, node, in, out, q);
    count.parameters = q[PTF_QUANTITY_PARAMETERS];
    count.weight_bytes = weight_bytes(t, node);
    for (int i = 0; i < PTF_QUANTITY_COUNT; i++)
        q[i] = times(t, q[i], c->batch);
    if (!ptf_op_is(node->op, PTF_FAMILY_VIEW)) {
        count.input_bytes = times(t, q[PTF_QUANTITY_INPUTS], sizeof(float));
        count.output_bytes = times(t, q[PTF_QUANTITY_OUTPUTS], sizeof(float));
    }
    count.forward = evaluate_all(t, &ptf_forward_formulas, node->op, q);
    if (c->wanted[node->inputs[0]])
        count.input_gradient =
            evaluate_all(t, &ptf_input_gradient_formulas, node->op, q);
    count.parameter_gradient =
        evaluate_all(t, &ptf_parameter_gradient_formulas, node->op, q);
    count.conventional =
        evaluate(t, c->convention->family[ptf_op_info(node->op)->family],
                 c->convention->op[node->op], q);
    c->wanted[index] = c->wanted[node->inputs[0]] || count.parameters > 0;
    return count;
}

static void add_operations(tally *t, ptf_operations *sum,
                           const ptf_operations *more)
{
    sum->macs = plus(t, sum->macs, more->macs);
    sum->multiplications = plus(t, sum->multiplications, more->multiplications);
    sum->additions = plus(t, sum->additions, more->additions);
    sum->others = plus(t, sum->others, more->others);
}

static void add_count(tally *t, ptf_count *sum, const ptf_count *more)
{
    sum->parameters = plus(t, sum->parameters, more->parameters);
    sum->weight_bytes = plus(t, sum->weight_bytes, more->weight_bytes);
    sum->input_bytes = plus(t, sum->input_bytes, more->input_bytes);
    sum->output_bytes = plus(t, sum->output_bytes, more->output_bytes);
    sum->conventional = plus(t, sum->conventional, more->conventional);
    add_operations(t, &sum->forward, &more->forward);
    add_operations(t, &sum->input_gradient, &more->input_gradient);
    add_operations(t, &sum->parameter_gradient, &more->parameter_gradient);
}

static ptf_status count_layers(const counting *c, ptf_count *layers,
                               ptf_count *total, ptf_error *err)
{
    tally t = {false};
    *total = (ptf_count){.name = ptf_net_name(c->net),
                         .op = "",
                         .input = c->shapes[0],
                         .output = c->shapes[c->net->output]};
    for (int i = 1; i < c->net->node_count; i++) {
        ptf_count count = count_layer(&t, c, i);
        add_count(&t, total, &count);
        if (t.overflow)
            return ptf_node_fail(err, PTF_ARGUMENT, &c->net->nodes[i],
                                 "up to here there are more operations than "
                                 "can be counted");
        layers[i - 1] = count;
    }
    return PTF_OK;
}

/* --------------------------------------------------------------------- nets */

static ptf_status read_options(const ptf_count_options *options, counting *c,
                               ptf_error *err)
{
    static const ptf_count_options defaults = {0};
    const ptf_count_options *o = options != NULL ? options : &defaults;
    c->batch = o->batch != 0 ? o->batch : 1;
    if (c->batch < 1)
        return ptf_fail(err, PTF_ARGUMENT, NULL, PTF_NO_OFFSET,
                        "a batch of %lld: it must be at least 1",
                        (long long)c->batch);
    const ptf_convention *convention =
        o->convention != NULL ? o->convention : ptf_convention_at(0);
    c->convention = ptf_convention_formulas(convention);
    if (c->convention == NULL)
        return ptf_fail(err, PTF_ARGUMENT, NULL, PTF_NO_OFFSET,
                        "there is no convention \"%s\"", convention->name);
    c->wanted[0] = o->input_gradient;
    return PTF_OK;
}

ptf_status ptf_net_count(const ptf_net *net, const ptf_shape *input,
                         const ptf_count_options *options, ptf_count *layers,
                         ptf_count *total, ptf_error *err)
{
    size_t nodes = (size_t)net->node_count;
    ptf_arena arena = {0};
    ptf_shape *shapes = ptf_arena_array(&arena, nodes, sizeof(*shapes));
    bool *wanted = ptf_arena_array(&arena, nodes, sizeof(*wanted));
    ptf_status status = PTF_OK;
    if (shapes == NULL || wanted == NULL)
        status = ptf_fail_memory(err);
    counting c = {.net = net, .shapes = shapes, .wanted = wanted};
    if (status == PTF_OK)
        status = read_options(options, &c, err);
    if (status == PTF_OK)
        status = ptf_net_shapes(net, input, shapes, err);
    if (status == PTF_OK)
        status = count_layers(&c, layers, total, err);
    ptf_arena_free(&arena);
    return status;
}

double ptf_count_intensity(const ptf_count *count)
{
    double operations = (double)count->forward.multiplications +
                        (double)count->forward.additions;
    double bytes = (double)count->input_bytes + (double)count->output_bytes +
                   (double)count->weight_bytes;
    return bytes > 0 ? operations / bytes : 0.0;
}
