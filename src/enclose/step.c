/*
 * One node alone, on balls or on the numbers that a run had.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/walk.h"

typedef struct alone {
    ptf_enclosure *enc;
    int node;
    const ptf_operand *operands;
    int64_t count;
    bool executed;
    ptf_balls out;
} alone;

/* Exact numbers as balls, a part at a time. */
typedef struct lift {
    const float *from;
    int64_t count;
    ptf_balls to;
} lift;

enum { PART = 1 << 16 };

static void lift_part(void *context, int64_t part, int thread)
{
    const lift *l = context;
    int64_t end = ptf_min_i64((part + 1) * PART, l->count);
    (void)thread;
    for (int64_t k = part * PART; k < end; k++) {
        l->to.value[k] = (double)l->from[k];
        l->to.radius[k] = 0;
    }
}

/* The constant that a node is, or is a view of; -1 when it is none. */
static int constant_of(const ptf_net *net, int node)
{
    while (ptf_op_is_alias(net->nodes[node].op) &&
           net->nodes[node].input_count == 1)
        node = net->nodes[node].inputs[0];
    return net->nodes[node].op == PTF_OP_CONSTANT ? node : -1;
}

/* A constant once, or once for each image where the family asks for that. */
static ptf_enclose_value take_constant(const alone *a, int node, bool whole,
                                       ptf_balls room)
{
    const ptf_enclosure *enc = a->enc;
    int64_t size = enc->sizes[node];
    ptf_enclose_constant(&enc->numbers[constant_of(enc->net, node)], size,
                         a->executed, room);
    for (int64_t n = 1; whole && n < a->count; n++)
        ptf_balls_copy(size, room, ptf_balls_of(room, size, n));
    return (ptf_enclose_value){room, whole ? size : 0};
}

static int64_t room_of(const alone *a)
{
    const ptf_node *node = &a->enc->net->nodes[a->node];
    int64_t balls = 0;
    for (int k = 0; k < node->input_count; k++) {
        if (a->operands[k].balls.value == NULL)
            balls += a->count * a->enc->sizes[node->inputs[k]];
    }
    return balls;
}

static ptf_status stage(const alone *a, ptf_enclose_value *in, ptf_error *err)
{
    ptf_enclosure *enc = a->enc;
    const ptf_node *node = &enc->net->nodes[a->node];
    bool whole = ptf_enclose_family_of(node)->step != NULL;
    int64_t balls = room_of(a);
    double *bytes =
        ptf_scratch_take(&enc->alone, (2 * (size_t)balls + 1) * sizeof(double));
    if (bytes == NULL)
        return ptf_fail_memory(err);
    ptf_balls room = {bytes, bytes + balls};
    for (int k = 0; k < node->input_count; k++) {
        const ptf_operand *operand = &a->operands[k];
        int64_t size = enc->sizes[node->inputs[k]];
        lift l = {operand->tap, a->count * size, room};
        in[k] = (ptf_enclose_value){operand->balls, size};
        if (operand->balls.value != NULL)
            continue;
        in[k] = (ptf_enclose_value){room, size};
        if (operand->tap == NULL)
            in[k] = take_constant(a, node->inputs[k], whole, room);
        else
            ptf_each(enc->threads, ptf_ceil_div(l.count, PART), lift_part, &l);
        room = ptf_balls_of(room, size, a->count);
    }
    return PTF_OK;
}

static ptf_status run_alone(void *context, ptf_error *err)
{
    const alone *a = context;
    ptf_enclosure *enc = a->enc;
    ptf_enclose_worker *own = &enc->workers[0];
    ptf_enclose_pass pass = {a->count, enc->threads, a->executed,
                             &own->scratch};
    ptf_enclose_step step = {.enc = enc,
                             .pass = &pass,
                             .node = a->node,
                             .in = own->operands,
                             .out = {a->out, enc->sizes[a->node]}};
    for (int64_t n = 0; n < a->count; n++)
        enc->bad[n] = -1;
    ptf_status status = stage(a, own->operands, err);
    return status == PTF_OK ? ptf_enclose_run_step(&step, err) : status;
}

ptf_status ptf_enclosure_run_node(ptf_enclosure *enc, int node,
                                  const ptf_operand *operands, int64_t count,
                                  bool executed, ptf_balls out, ptf_error *err)
{
    alone a = {enc, node, operands, count, executed, out};
    return ptf_call_ieee(run_alone, &a, err);
}
