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

/*
 * Taps along one axis of an adaptive pooling from 'in' to 'out' numbers.  The
 * windows cover every number once; of the out - 1 borders between windows,
 * gcd - 1 fall between two numbers, and the number that any other one cuts
 * belongs to the windows on both sides.
 */
static int64_t adaptive_taps(int64_t in, int64_t out)
{
    return in + out - ptf_gcd(in, out);
}

static int64_t count_taps(tally *t, const ptf_node *node, const ptf_shape *in,
                          const ptf_shape *out)
{
    int64_t taps = 1;
    if (ptf_op_is(node->op, PTF_FAMILY_PAD) ||
        ptf_op_is(node->op, PTF_FAMILY_RESIZE)) {
        for (int d = 0; d < in->rank; d++)
            taps = times(t, taps,
                         ptf_op_tap_count(node->op, &node->attrs, in, out, d));
        return taps;
    }
    if (!ptf_op_is(node->op, PTF_FAMILY_POOL))
        return 0;
    if (ptf_op_pool_kind(node->op).adaptive) {
        for (int d = 1; d < in->rank; d++)
            taps = times(t, taps, adaptive_taps(in->dim[d], out->dim[d]));
        return times(t, taps, in->dim[0]);
    }
    for (int i = 0; i < PTF_MAP_AXES; i++)
        taps = times(t, taps, node->attrs.kernel[i]);
    return times(t, taps, ptf_shape_numel(out));
}

/*
 * Each output sums the weights of its channel; each input of a transposed
 * convolution brings something through those of its own.
 */
static int64_t mac_count(tally *t, const ptf_node *node, const ptf_shape *in,
                         const ptf_shape *out)
{
    bool transposed = ptf_op_is_transposed(node->op);
    int64_t weights = parameter_count(t, node, PTF_ROLE_WEIGHT);
    return transposed ? times(t, ptf_shape_numel(in),
                              weights / node->attrs.in_channels)
                      : times(t, ptf_shape_numel(out),
                              weights / node->attrs.out_channels);
}

/* Of one sample; 'in' is the shape of the first operand. */
static void find_quantities(tally *t, const ptf_node *node, const ptf_shape *in,
                            const ptf_shape *out, int64_t q[PTF_QUANTITY_COUNT])
{
    q[PTF_QUANTITY_OUTPUTS] = ptf_shape_numel(out);
    q[PTF_QUANTITY_TAPS] = count_taps(t, node, in, out);
    if (ptf_op_is(node->op, PTF_FAMILY_RESIZE) &&
        !ptf_op_moves(node->op, &node->attrs))
        q[PTF_QUANTITY_WEIGHTED] = q[PTF_QUANTITY_TAPS];
    if (ptf_node_is_parameter(node))
        q[PTF_QUANTITY_PARAMETERS] = q[PTF_QUANTITY_OUTPUTS];
    for (int role = PTF_ROLE_WEIGHT; role <= PTF_ROLE_SHIFT; role++)
        q[PTF_QUANTITY_PARAMETERS] =
            plus(t, q[PTF_QUANTITY_PARAMETERS],
                 parameter_count(t, node, (ptf_role)role));
    if (ptf_op_is(node->op, PTF_FAMILY_PRODUCT))
        q[PTF_QUANTITY_MACS] = mac_count(t, node, in, out);
    if (ptf_op_is(node->op, PTF_FAMILY_MATMUL))
        q[PTF_QUANTITY_MACS] =
            times(t, q[PTF_QUANTITY_OUTPUTS], in->dim[in->rank - 1]);
    if (parameter_count(t, node, PTF_ROLE_BIAS) > 0)
        q[PTF_QUANTITY_BIASES] = q[PTF_QUANTITY_OUTPUTS];
    if (parameter_count(t, node, PTF_ROLE_SCALE) > 0)
        q[PTF_QUANTITY_EPILOGUES] = q[PTF_QUANTITY_OUTPUTS];
    if (!ptf_op_is(node->op, PTF_FAMILY_PRODUCT) &&
        parameter_count(t, node, PTF_ROLE_WEIGHT) > 0)
        q[PTF_QUANTITY_AFFINE] = q[PTF_QUANTITY_OUTPUTS];
    if (ptf_op_is(node->op, PTF_FAMILY_SOFTMAX))
        q[PTF_QUANTITY_VECTORS] =
            ptf_shape_numel(in) /
            in->dim[ptf_softmax_axis(&node->attrs, in->rank + 1) - 1];
    if (ptf_op_is(node->op, PTF_FAMILY_NORM))
        q[PTF_QUANTITY_VECTORS] =
            ptf_shape_numel(in) / ptf_op_norm_cut(node->op, &node->attrs, in).n;
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
    int *reads;   /* of a value by what leads to the output: those to come */
} counting;

static int64_t weight_bytes(tally *t, const ptf_node *node,
                            const ptf_shape *out)
{
    int64_t count = 0;
    if (node->op == PTF_OP_CONSTANT)
        count = ptf_shape_numel(out);
    for (int role = PTF_ROLE_WEIGHT; role <= PTF_ROLE_RUNNING_VAR; role++)
        count = plus(t, count, parameter_count(t, node, (ptf_role)role));
    return times(t, count, sizeof(float));
}

static void add_operations(tally *t, ptf_operations *sum,
                           const ptf_operations *more)
{
    sum->macs = plus(t, sum->macs, more->macs);
    sum->multiplications = plus(t, sum->multiplications, more->multiplications);
    sum->additions = plus(t, sum->additions, more->additions);
    sum->others = plus(t, sum->others, more->others);
}

/* The numbers of an operand of the whole batch. */
static int64_t operand_numbers(tally *t, const counting *c,
                               const ptf_node *node, int operand)
{
    const ptf_shape *shape = &c->shapes[node->inputs[operand]];
    return times(t, ptf_shape_numel(shape), c->batch);
}

/*
 * Additions of an operand's gradient that do not depend on the op: the sum
 * over what a broadcast, or the batch, repeats, and the parts of other readers.
 */
static int64_t gathering(tally *t, const counting *c, const ptf_node *node,
                         int operand, const int64_t q[PTF_QUANTITY_COUNT])
{
    int input = node->inputs[operand];
    int64_t numbers = operand_numbers(t, c, node, operand), sum = 0;
    bool binary = ptf_op_is(node->op, PTF_FAMILY_BINARY) ||
                  ptf_op_is(node->op, PTF_FAMILY_WHERE);
    if (binary && numbers < q[PTF_QUANTITY_OUTPUTS])
        sum = q[PTF_QUANTITY_OUTPUTS];
    else if (c->net->nodes[input].op == PTF_OP_CONSTANT)
        sum = numbers;
    return c->reads[input] > 0 ? plus(t, sum, numbers) : sum;
}

/*
 * The gradients by the operands of a node that leads to the output.  The last
 * reading of a value is the first to give its part.
 */
static ptf_operations input_gradients(tally *t, const counting *c, int index,
                                      const int64_t q[PTF_QUANTITY_COUNT])
{
    const ptf_node *node = &c->net->nodes[index];
    ptf_operations sum = {0};
    for (int k = 0; k < node->input_count; k++) {
        c->reads[node->inputs[k]]--;
        if (!c->wanted[node->inputs[k]])
            continue;
        ptf_operations more =
            evaluate_all(t,
                         k == 0 ? &ptf_input_gradient_formulas
                                : &ptf_second_gradient_formulas,
                         node->op, q);
        more.additions = plus(t, more.additions, gathering(t, c, node, k, q));
        add_operations(t, &sum, &more);
    }
    return sum;
}

/* Constants are counted where they are, each value once. */
static int64_t input_bytes(tally *t, const counting *c, const ptf_node *node)
{
    int64_t numbers = 0;
    for (int k = 0; k < node->input_count; k++) {
        bool counted = c->net->nodes[node->inputs[k]].op == PTF_OP_CONSTANT;
        for (int before = 0; before < k && !counted; before++)
            counted = node->inputs[before] == node->inputs[k];
        if (!counted)
            numbers = plus(t, numbers, operand_numbers(t, c, node, k));
    }
    return times(t, numbers, sizeof(float));
}

static ptf_count count_layer(tally *t, const counting *c, int index)
{
    static const ptf_shape none;
    const ptf_node *node = &c->net->nodes[index];
    const ptf_shape *out = &c->shapes[index];
    const ptf_shape *in =
        node->input_count > 0 ? &c->shapes[node->inputs[0]] : &none;
    ptf_count count = {.name = node->name,
                       .op = node->class_name,
                       .kind = ptf_op_kind(node->op),
                       .input = *in,
                       .output = *out};
    int64_t q[PTF_QUANTITY_COUNT] = {0};
    find_quantities(t, node, in, out, q);
    count.parameters = q[PTF_QUANTITY_PARAMETERS];
    count.weight_bytes = weight_bytes(t, node, out);
    for (int i = 0; i < PTF_QUANTITY_COUNT; i++)
        q[i] = times(t, q[i], c->batch);
    for (int k = 0; k < node->input_count; k++)
        q[PTF_QUANTITY_INPUTS] =
            plus(t, q[PTF_QUANTITY_INPUTS], operand_numbers(t, c, node, k));
    if (!ptf_op_is_alias(node->op) && node->input_count > 0) {
        count.input_bytes = input_bytes(t, c, node);
        count.output_bytes = times(t, q[PTF_QUANTITY_OUTPUTS], sizeof(float));
    }
    count.forward = evaluate_all(t, &ptf_forward_formulas, node->op, q);
    count.conventional =
        evaluate(t, c->convention->family[ptf_op_info(node->op)->family],
                 c->convention->op[node->op], q);
    c->wanted[index] = count.parameters > 0;
    for (int k = 0; k < node->input_count; k++)
        c->wanted[index] |= c->wanted[node->inputs[k]];
    if (c->reads[index] == 0)
        return count; /* it has no part in the output */
    count.input_gradient = input_gradients(t, c, index, q);
    count.parameter_gradient =
        evaluate_all(t, &ptf_parameter_gradient_formulas, node->op, q);
    return count;
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
                         .output = c->shapes[c->net->outputs[0].node]};
    int first = c->net->input_count;
    for (int i = first; i < c->net->node_count; i++) {
        ptf_count count = count_layer(&t, c, i);
        add_count(&t, total, &count);
        if (t.overflow)
            return ptf_node_fail(err, PTF_ARGUMENT, &c->net->nodes[i],
                                 "up to here there are more operations than "
                                 "can be counted");
        layers[i - first] = count;
    }
    return PTF_OK;
}

/* --------------------------------------------------------------------- nets */

static ptf_status read_options(const ptf_count_options *options, counting *c,
                               ptf_error *err)
{
    ptf_count_options o;
    ptf_options_read(options, &o, sizeof(o));
    c->batch = o.batch != 0 ? o.batch : 1;
    if (c->batch < 1)
        return ptf_fail(err, PTF_ARGUMENT, NULL, PTF_NO_OFFSET,
                        "a batch of %lld: it must be at least 1",
                        (long long)c->batch);
    const ptf_convention *convention =
        o.convention != NULL ? o.convention : ptf_convention_at(0);
    c->convention = ptf_convention_formulas(convention);
    if (c->convention == NULL)
        return ptf_fail(err, PTF_ARGUMENT, NULL, PTF_NO_OFFSET,
                        "there is no convention \"%s\"", convention->name);
    for (int i = 0; i < c->net->input_count; i++)
        c->wanted[i] = o.input_gradient;
    return PTF_OK;
}

ptf_status ptf_net_count(const ptf_net *net, const ptf_shape *inputs,
                         const ptf_count_options *options, ptf_count *layers,
                         ptf_count *total, ptf_error *err)
{
    size_t nodes = (size_t)net->node_count;
    ptf_arena arena = {0};
    ptf_shape *shapes = ptf_arena_array(&arena, nodes, sizeof(*shapes));
    bool *wanted = ptf_arena_array(&arena, nodes, sizeof(*wanted));
    int *reads = ptf_arena_array(&arena, nodes, sizeof(*reads));
    ptf_status status = PTF_OK;
    if (shapes == NULL || wanted == NULL || reads == NULL)
        status = ptf_fail_memory(err);
    else
        ptf_net_count_reads(net, reads);
    counting c = {
        .net = net, .shapes = shapes, .wanted = wanted, .reads = reads};
    if (status == PTF_OK)
        status = read_options(options, &c, err);
    if (status == PTF_OK)
        status = ptf_net_shapes(net, inputs, shapes, err);
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
