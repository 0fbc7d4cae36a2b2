/*
 * Recurrent layers, step by step.  Of D directions (1, or 2 where it goes back,
 * too) a layer's values have the axes
 *
 *     [D, steps, batch, features]
 *
 * and a step has one of the steps, so that both directions take it together.
 * The second one sees the steps in reverse order.  What an input brings to the
 * gates is one product for all steps; what a state brings is one in each.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"

/* The net's axes. */
enum { DIRECTIONS = 1, STEPS, BATCH, FEATURES };

enum { GATES_MOST = 4, STATES_MOST = 2 };

/* One layer's parameters, of all directions, and its states so far. */
typedef struct layer {
    int incoming; /* [D, steps, batch, gates hidden], biases added */
    int weight, bias, project; /* of the state; -1: there is none */
    int state[STATES_MOST];
} layer;

typedef struct recurrence {
    int gates, states;
    ptf_op activation; /* of a plain one's state */
    /* The states from what a step brings in, and what they bring. */
    ptf_status (*step)(ptf_lowering *l, const struct recurrence *r, layer *y,
                       int in, int own);
    const int *parameters; /* values, of all layers */
    int each;              /* of a direction */
    bool has_biases, batch_first;
    int directions;
    int64_t layers, steps, batch, hidden;
    int first_states[STATES_MOST]; /* nodes [layers D, batch, features] */
    int last_states[STATES_MOST];
} recurrence;

static ptf_status add(ptf_lowering *l, int a, int b, int *out)
{
    return ptf_lower_add_two(l, PTF_OP_ADD, a, b, out);
}

static ptf_status multiply(ptf_lowering *l, int a, int b, int *out)
{
    return ptf_lower_add_two(l, PTF_OP_MUL, a, b, out);
}

static ptf_status permute(ptf_lowering *l, int node, int count,
                          const int64_t *dims, int *out)
{
    ptf_attrs a = ptf_lower_defaults(PTF_OP_PERMUTE);
    a.dims.count = count;
    memcpy(a.dims.at, dims, (size_t)count * sizeof(*dims));
    return ptf_lower_add_one(l, PTF_OP_PERMUTE, &a, node, out);
}

static ptf_status join(ptf_lowering *l, int axis, int count, const int *nodes,
                       int *out)
{
    ptf_attrs a = ptf_lower_defaults(PTF_OP_CONCAT);
    a.dim = axis;
    *out = nodes[0];
    return count > 1
               ? ptf_lower_add(l, PTF_OP_CONCAT, &a, count, nodes, NULL, out)
               : PTF_OK;
}

static ptf_status reshape(ptf_lowering *l, int node, int rank,
                          const int64_t *sizes, int *out)
{
    ptf_shape shape = {.rank = rank};
    memcpy(shape.dim, sizes, (size_t)rank * sizeof(*sizes));
    return ptf_lower_reshape(l, node, &shape, out);
}

/* --------------------------------------------------------------- parameters */

/*
 * Parameter number 'which' of each direction of a layer, [D, 1, 1, numbers], or
 * as a matrix to multiply with, [D, 1, columns, rows].
 */
static ptf_status parameter(ptf_lowering *l, const recurrence *r,
                            int64_t number, int which, bool matrix, int *out)
{
    int nodes[2] = {0};
    ptf_status status = PTF_OK;
    bool free = which == (r->has_biases ? 4 : 2); /* it has rows of its own */
    for (int d = 0; d < r->directions && status == PTF_OK; d++) {
        int64_t set = number * r->directions + d;
        status = ptf_lower_whole_value(l, r->parameters[set * r->each + which],
                                       &nodes[d]);
        if (status != PTF_OK)
            return status;
        const ptf_shape *s = &l->shapes[nodes[d]];
        if (s->rank != 1 + matrix ||
            (!free && s->dim[0] != r->gates * r->hidden))
            return ptf_lower_refuse(l,
                                    "expected %s of %lld rows as number %d of "
                                    "the params",
                                    matrix ? "a matrix" : "a bias",
                                    (long long)(r->gates * r->hidden),
                                    (int)(set * r->each) + which);
        const int64_t sizes[] = {1, 1, matrix ? s->dim[0] : 1,
                                 matrix ? s->dim[1] : s->dim[0]};
        status = reshape(l, nodes[d], 4, sizes, &nodes[d]);
    }
    if (status == PTF_OK)
        status = join(l, DIRECTIONS, r->directions, nodes, out);
    return status == PTF_OK && matrix
               ? permute(l, *out, 4, (const int64_t[]){1, 2, 4, 3}, out)
               : status;
}

/* What steps bring in, in the order in which each direction takes them. */
static ptf_status bring_in(ptf_lowering *l, const recurrence *r, int64_t number,
                           int input, int *out)
{
    int nodes[2] = {input, input}, weight, bias;
    ptf_status status = PTF_OK;
    if (r->directions == 2)
        status = ptf_lower_add_slice(l, input, STEPS, r->steps - 1, -1,
                                     r->steps, &nodes[1]);
    if (status == PTF_OK)
        status = join(l, DIRECTIONS, r->directions, nodes, &input);
    if (status == PTF_OK)
        status = parameter(l, r, number, 0, true, &weight);
    if (status == PTF_OK)
        status = ptf_lower_matmul(l, input, weight, out);
    if (status != PTF_OK || !r->has_biases)
        return status;
    status = parameter(l, r, number, 2, false, &bias);
    return status == PTF_OK ? add(l, *out, bias, out) : status;
}

static ptf_status start_layer(ptf_lowering *l, const recurrence *r,
                              int64_t number, int input, layer *out)
{
    int count = r->has_biases ? 4 : 2;
    out->bias = out->project = -1;
    ptf_status status = bring_in(l, r, number, input, &out->incoming);
    if (status == PTF_OK)
        status = parameter(l, r, number, 1, true, &out->weight);
    if (status == PTF_OK && r->has_biases)
        status = parameter(l, r, number, 3, false, &out->bias);
    if (status == PTF_OK && r->each > count)
        status = parameter(l, r, number, count, true, &out->project);
    for (int k = 0; k < r->states && status == PTF_OK; k++) {
        int64_t first = number * r->directions;
        int node = r->first_states[k];
        const int64_t sizes[] = {r->directions, 1, r->batch,
                                 l->shapes[node].dim[2]};
        status = ptf_lower_add_slice(l, node, DIRECTIONS, first, 1,
                                     r->directions, &node);
        if (status == PTF_OK)
            status = reshape(l, node, 4, sizes, &out->state[k]);
    }
    return status;
}

/* -------------------------------------------------------------------- steps */

/* A gate's numbers of those that lie side by side. */
static ptf_status gate(ptf_lowering *l, const recurrence *r, int node,
                       int which, int *out)
{
    return ptf_lower_add_slice(l, node, FEATURES, which * r->hidden, 1,
                               r->hidden, out);
}

/* The same after a function. */
static ptf_status open_gate(ptf_lowering *l, const recurrence *r, int node,
                            int which, ptf_op op, int *out)
{
    ptf_status status = gate(l, r, node, which, out);
    return status == PTF_OK ? ptf_lower_add_plain(l, op, *out, out) : status;
}

/* c = f c + i g, h = o tanh(c), and h through a matrix where there is one. */
static ptf_status step_lstm(ptf_lowering *l, const recurrence *r, layer *y,
                            int in, int own)
{
    int g[GATES_MOST];
    int *h = &y->state[0], *c = &y->state[1];
    ptf_status status = add(l, in, own, &in);
    for (int k = 0; k < GATES_MOST && status == PTF_OK; k++)
        status = open_gate(l, r, in, k, k == 2 ? PTF_OP_TANH : PTF_OP_SIGMOID,
                           &g[k]);
    if (status == PTF_OK)
        status = multiply(l, g[1], *c, c);
    if (status == PTF_OK)
        status = multiply(l, g[0], g[2], &g[0]);
    if (status == PTF_OK)
        status = add(l, *c, g[0], c);
    if (status == PTF_OK)
        status = ptf_lower_add_plain(l, PTF_OP_TANH, *c, &g[2]);
    if (status == PTF_OK)
        status = multiply(l, g[3], g[2], h);
    return status == PTF_OK && y->project >= 0
               ? ptf_lower_matmul(l, *h, y->project, h)
               : status;
}

/* n = tanh(in + r own), h = n + z (h - n). */
static ptf_status step_gru(ptf_lowering *l, const recurrence *r, layer *y,
                           int in, int own)
{
    int g[2], n, *h = &y->state[0];
    ptf_status status = PTF_OK;
    for (int k = 0; k < 2 && status == PTF_OK; k++) {
        int brought;
        status = gate(l, r, in, k, &brought);
        if (status == PTF_OK)
            status = gate(l, r, own, k, &g[k]);
        if (status == PTF_OK)
            status = add(l, brought, g[k], &g[k]);
        if (status == PTF_OK)
            status = ptf_lower_add_plain(l, PTF_OP_SIGMOID, g[k], &g[k]);
    }
    if (status == PTF_OK)
        status = gate(l, r, own, 2, &n);
    if (status == PTF_OK)
        status = multiply(l, g[0], n, &n);
    if (status == PTF_OK)
        status = gate(l, r, in, 2, &in);
    if (status == PTF_OK)
        status = add(l, in, n, &n);
    if (status == PTF_OK)
        status = ptf_lower_add_plain(l, PTF_OP_TANH, n, &n);
    if (status == PTF_OK)
        status = ptf_lower_add_two(l, PTF_OP_SUB, *h, n, h);
    if (status == PTF_OK)
        status = multiply(l, *h, g[1], h);
    return status == PTF_OK ? add(l, *h, n, h) : status;
}

static ptf_status step_plain(ptf_lowering *l, const recurrence *r, layer *y,
                             int in, int own)
{
    ptf_status status = add(l, in, own, &in);
    return status == PTF_OK
               ? ptf_lower_add_plain(l, r->activation, in, &y->state[0])
               : status;
}

static ptf_status take_step(ptf_lowering *l, const recurrence *r, layer *y,
                            int64_t step)
{
    int in, own;
    ptf_status status =
        ptf_lower_add_slice(l, y->incoming, STEPS, step, 1, 1, &in);
    if (status == PTF_OK)
        status = ptf_lower_matmul(l, y->state[0], y->weight, &own);
    if (status == PTF_OK && y->bias >= 0)
        status = add(l, own, y->bias, &own);
    return status == PTF_OK ? r->step(l, r, y, in, own) : status;
}

/* ------------------------------------------------------------------- layers */

/* [D, steps, ...] to [1, steps, ...], the directions' features side by side
 * and all in the order of the steps. */
static ptf_status merge(ptf_lowering *l, const recurrence *r, int *node)
{
    int both[2];
    if (r->directions == 1)
        return PTF_OK;
    ptf_status status =
        ptf_lower_add_slice(l, *node, DIRECTIONS, 0, 1, 1, &both[0]);
    if (status == PTF_OK)
        status = ptf_lower_add_slice(l, *node, DIRECTIONS, 1, 1, 1, &both[1]);
    if (status == PTF_OK)
        status = ptf_lower_add_slice(l, both[1], STEPS, r->steps - 1, -1,
                                     r->steps, &both[1]);
    return status == PTF_OK ? join(l, FEATURES, 2, both, node) : status;
}

static ptf_status take_layer(ptf_lowering *l, recurrence *r, int64_t number,
                             int *node)
{
    layer y;
    int *steps = ptf_alloc((size_t)r->steps * sizeof(*steps));
    ptf_status status = steps != NULL ? start_layer(l, r, number, *node, &y)
                                      : ptf_fail_memory(l->err);
    for (int64_t t = 0; t < r->steps && status == PTF_OK; t++) {
        status = take_step(l, r, &y, t);
        steps[t] = y.state[0];
    }
    if (status == PTF_OK)
        status = join(l, STEPS, (int)r->steps, steps, node);
    ptf_free(steps);
    if (status == PTF_OK)
        status = merge(l, r, node);
    for (int k = 0; k < r->states && status == PTF_OK; k++) {
        int states[2] = {r->last_states[k], y.state[k]};
        const ptf_shape *s = &l->shapes[y.state[k]];
        const int64_t sizes[] = {r->directions, r->batch, s->dim[3]};
        status = reshape(l, y.state[k], 3, sizes, &states[1]);
        if (status == PTF_OK)
            status = join(l, DIRECTIONS, 1 + (number > 0),
                          states + (number == 0), &r->last_states[k]);
    }
    return status;
}

/* ---------------------------------------------------------------- arguments */

static ptf_status read_states(ptf_lowering *l, recurrence *r)
{
    const ptf_argument *a = ptf_program_argument(l->call, "hx");
    bool list = a != NULL && a->kind == PTF_ARGUMENT_VALUES;
    if (a == NULL || (list ? a->count != r->states
                           : a->kind != PTF_ARGUMENT_VALUE || r->states != 1))
        return ptf_lower_refuse(l, "expected %d states as hx", r->states);
    ptf_status status = PTF_OK;
    for (int k = 0; k < r->states && status == PTF_OK; k++) {
        int *node = &r->first_states[k];
        int value = list ? a->values[k] : a->value;
        status = value >= 0 ? ptf_lower_whole_value(l, value, node)
                            : ptf_lower_refuse(l, "a state is None");
        if (status != PTF_OK)
            return status;
        const ptf_shape *s = &l->shapes[*node];
        if (s->rank != 3 || s->dim[0] != r->layers * r->directions ||
            s->dim[1] != r->batch || (k > 0 && s->dim[2] != r->hidden))
            return ptf_lower_refuse(
                l, "expected states of %lld layers for a batch of %lld",
                (long long)(r->layers * r->directions), (long long)r->batch);
    }
    return status;
}

/* Weights, biases, and matrices that project the state. */
static ptf_status read_parameters(ptf_lowering *l, recurrence *r)
{
    const ptf_argument *a = ptf_program_argument(l->call, "params");
    int64_t sets = 0, least = r->has_biases ? 4 : 2;
    bool fits = a != NULL && a->kind == PTF_ARGUMENT_VALUES &&
                ptf_mul_i64(r->layers, r->directions, &sets) && sets > 0 &&
                sets <= a->count &&
                (a->count == sets * least ||
                 (a->count == sets * (least + 1) && r->states == 2));
    for (int i = 0; fits && i < a->count; i++)
        fits = a->values[i] >= 0;
    if (!fits)
        return ptf_lower_refuse(l,
                                "expected %s%lld params for each layer and "
                                "direction",
                                r->states == 2 ? "at least " : "",
                                (long long)least);
    int node;
    ptf_status status = ptf_lower_whole_value(l, a->values[0], &node);
    if (status != PTF_OK)
        return status;
    const ptf_shape *first = &l->shapes[node];
    if (first->rank != 2 || first->dim[0] % r->gates != 0)
        return ptf_lower_refuse(l, "expected a matrix of the rows of %d gates",
                                r->gates);
    r->parameters = a->values;
    r->each = (int)(a->count / sets);
    r->hidden = first->dim[0] / r->gates;
    return PTF_OK;
}

/* The input as [1, steps, batch, features]. */
static ptf_status read_input(ptf_lowering *l, recurrence *r, int *node)
{
    ptf_status status = ptf_lower_whole(l);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "input", node);
    if (status == PTF_OK && l->shapes[*node].rank != 3)
        return ptf_lower_refuse(l, "expected an input of 3 axes");
    if (status == PTF_OK && r->batch_first)
        status = permute(l, *node, 3, (const int64_t[]){2, 1, 3}, node);
    if (status != PTF_OK)
        return status;
    const ptf_shape *s = &l->shapes[*node];
    r->steps = s->dim[0];
    r->batch = s->dim[1];
    if (r->steps > PTF_OPERANDS_MAX)
        return ptf_lower_refuse(l, "takes %lld steps; at most %d can be",
                                (long long)r->steps, PTF_OPERANDS_MAX);
    const int64_t sizes[] = {1, r->steps, r->batch, s->dim[2]};
    return reshape(l, *node, 4, sizes, node);
}

static ptf_status read_call(ptf_lowering *l, recurrence *r, int *node)
{
    double dropout = 0;
    r->has_biases = ptf_lower_is_true(l, "has_biases");
    r->batch_first = ptf_lower_is_true(l, "batch_first");
    r->directions = 1 + ptf_lower_is_true(l, "bidirectional");
    ptf_status status = ptf_lower_int(l, "num_layers", &r->layers);
    if (status == PTF_OK)
        status = ptf_lower_number(l, "dropout", &dropout);
    if (status == PTF_OK && dropout > 0 && ptf_lower_is_true(l, "train"))
        return ptf_lower_refuse(l, "is in training mode; call model.eval() "
                                   "before torch.export.export()");
    if (status == PTF_OK)
        status = read_input(l, r, node);
    if (status == PTF_OK)
        status = read_parameters(l, r);
    return status == PTF_OK ? read_states(l, r) : status;
}

static ptf_status give_recurrent(ptf_lowering *l, recurrence *r)
{
    int node = -1;
    ptf_status status = read_call(l, r, &node);
    for (int64_t i = 0; i < r->layers && status == PTF_OK; i++)
        status = take_layer(l, r, i, &node);
    if (status != PTF_OK)
        return status;
    const int64_t sizes[] = {r->steps, r->batch, l->shapes[node].dim[3]};
    status = reshape(l, node, 3, sizes, &node);
    if (status == PTF_OK && r->batch_first)
        status = permute(l, node, 3, (const int64_t[]){2, 1, 3}, &node);
    if (status == PTF_OK)
        status = ptf_lower_give(l, node);
    for (int k = 0; k < r->states && status == PTF_OK; k++)
        status = ptf_lower_give_at(l, 1 + k, r->last_states[k]);
    return status;
}

static ptf_status lower_lstm(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    return give_recurrent(
        l, &(recurrence){.gates = 4, .states = 2, .step = step_lstm});
}

static ptf_status lower_gru(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    return give_recurrent(
        l, &(recurrence){.gates = 3, .states = 1, .step = step_gru});
}

static ptf_status lower_rnn(ptf_lowering *l, const ptf_aten_row *row)
{
    return give_recurrent(l, &(recurrence){.gates = 1,
                                           .states = 1,
                                           .step = step_plain,
                                           .activation = row->op});
}

const ptf_aten_row ptf_aten_recurrent[] = {
    {.target = "aten.lstm.input", .lower = lower_lstm},
    {.target = "aten.gru.input", .lower = lower_gru},
    {"aten.rnn_tanh.input", lower_rnn, .op = PTF_OP_TANH},
    {"aten.rnn_relu.input", lower_rnn, .op = PTF_OP_RELU},
    {0},
};
