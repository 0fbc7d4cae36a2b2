/*
 * Enclosures of whole nets, a group of images at a time, so that weights are
 * read once for all of them.  Every node keeps its balls until the next
 * group, so that any layer can be looked at.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/enclose.h"

#include <math.h>

/* Images of a group: some tiles' lanes, as far as their balls find room. */
enum { MOST_IMAGES = 64, MOST_BALLS = 1 << 23 };

struct ptf_enclosure {
    ptf_arena arena;
    const ptf_net *net;
    int threads;
    int64_t group;
    ptf_shape *shapes;
    int64_t *sizes;   /* per node: balls of one image */
    ptf_balls *balls; /* per node: [image][size] */
    ptf_balls staged; /* taps as balls */
    int *bad;         /* per image: the first node that says nothing, or -1 */
    const ptf_numbers *numbers; /* per node */
    ptf_room room;
    const char *undecided;
};

/* -------------------------------------------------------------------- make */

static ptf_status read_numbers(void *context, ptf_error *err)
{
    ptf_enclosure *enc = context;
    size_t nodes = (size_t)enc->net->node_count;
    ptf_numbers *numbers = ptf_arena_array(&enc->arena, nodes, sizeof *numbers);
    if (!numbers)
        return ptf_fail_memory(err);
    ptf_status status = PTF_OK;
    for (size_t i = 0; status == PTF_OK && i < nodes; i++)
        status = ptf_numbers_read(&enc->arena, &enc->net->nodes[i], &numbers[i],
                                  err);
    enc->numbers = numbers;
    return status;
}

static ptf_status allocate(ptf_enclosure *enc, ptf_error *err)
{
    int64_t total = 0, most = 0;
    for (int i = 0; i < enc->net->node_count; i++) {
        enc->sizes[i] = ptf_shape_numel(&enc->shapes[i]);
        total += enc->sizes[i];
        most = enc->sizes[i] > most ? enc->sizes[i] : most;
    }
    int64_t each = total + most;
    int64_t room = each > 0 ? MOST_BALLS / each : 1;
    enc->group = room < 1 ? 1 : room > MOST_IMAGES ? MOST_IMAGES : room;
    enc->staged = ptf_balls_new(&enc->arena, most * enc->group);
    enc->bad =
        ptf_arena_array(&enc->arena, (size_t)enc->group, sizeof *enc->bad);
    if (!enc->staged.value || !enc->bad)
        return ptf_fail_memory(err);
    for (int i = 0; i < enc->net->node_count; i++) {
        enc->balls[i] = ptf_balls_new(&enc->arena, enc->sizes[i] * enc->group);
        if (!enc->balls[i].value)
            return ptf_fail_memory(err);
    }
    return PTF_OK;
}

static ptf_status prepare(ptf_enclosure *enc, const ptf_shape *input,
                          ptf_error *err)
{
    size_t nodes = (size_t)enc->net->node_count;
    enc->shapes = ptf_arena_array(&enc->arena, nodes, sizeof *enc->shapes);
    enc->sizes = ptf_arena_array(&enc->arena, nodes, sizeof *enc->sizes);
    enc->balls = ptf_arena_array(&enc->arena, nodes, sizeof *enc->balls);
    if (!enc->shapes || !enc->sizes || !enc->balls)
        return ptf_fail_memory(err);
    ptf_status status = ptf_net_shapes(enc->net, input, enc->shapes, err);
    if (status == PTF_OK)
        status = allocate(enc, err);
    if (status == PTF_OK && !enc->numbers)
        status = ptf_call_ieee(read_numbers, enc, err);
    return status;
}

ptf_status ptf_enclosure_make_with(const ptf_net *net,
                                   const ptf_numbers *numbers,
                                   const ptf_shape *input, int threads,
                                   ptf_enclosure **out, ptf_error *err)
{
    *out = NULL;
    if (!net->has_tensors)
        return ptf_fail(err, PTF_ARGUMENT, NULL, PTF_NO_OFFSET,
                        "a net without numbers has no outputs to enclose");
    ptf_enclosure *enc = ptf_alloc(sizeof *enc);
    if (!enc)
        return ptf_fail_memory(err);
    enc->net = net;
    enc->numbers = numbers;
    enc->threads = threads > 0 ? threads : ptf_thread_count();
    ptf_status status = prepare(enc, input, err);
    if (status == PTF_OK)
        *out = enc;
    else
        ptf_enclosure_free(enc);
    return status;
}

ptf_status ptf_enclosure_make(const ptf_net *net, const ptf_shape *input,
                              ptf_enclosure **out, ptf_error *err)
{
    return ptf_enclosure_make_with(net, NULL, input, 0, out, err);
}

void ptf_enclosure_free(ptf_enclosure *enc)
{
    if (!enc)
        return;
    ptf_arena_free(&enc->arena);
    ptf_free(enc->room.bytes);
    ptf_free(enc);
}

/* ------------------------------------------------------------------ queries */

ptf_shape ptf_enclosure_output(const ptf_enclosure *enc)
{
    return enc->shapes[enc->net->output];
}

const char *ptf_enclosure_undecided(const ptf_enclosure *enc)
{
    return enc->undecided;
}

int64_t ptf_enclosure_group(const ptf_enclosure *enc)
{
    return enc->group;
}

static ptf_balls image_of(ptf_balls balls, int64_t size, int64_t n)
{
    return (ptf_balls){balls.value + n * size, balls.radius + n * size};
}

ptf_balls ptf_enclosure_node(const ptf_enclosure *enc, int node, int64_t n)
{
    return image_of(enc->balls[node], enc->sizes[node], n);
}

const ptf_shape *ptf_enclosure_shape(const ptf_enclosure *enc, int node)
{
    return &enc->shapes[node];
}

int ptf_enclosure_bad(const ptf_enclosure *enc, int64_t n)
{
    return enc->bad[n];
}

/* --------------------------------------------------------------------- run */

/* Flatten, Dropout, Identity: the same numbers in the same order. */
static void copy(int64_t n, ptf_balls in, ptf_balls out)
{
    memcpy(out.value, in.value, (size_t)n * sizeof(double));
    memcpy(out.radius, in.radius, (size_t)n * sizeof(double));
}

static void run_softmax(const ptf_node *node, const ptf_shape *shape,
                        bool executed, ptf_balls in, ptf_balls out)
{
    int axis = ptf_softmax_axis(&node->attrs, shape->rank + 1) - 1;
    int64_t outer = 1, inner = 1;
    for (int i = 0; i < shape->rank; i++) {
        outer *= i < axis ? shape->dim[i] : 1;
        inner *= i > axis ? shape->dim[i] : 1;
    }
    ptf_enclose_softmax(outer, shape->dim[axis], inner, executed, in, out);
}

/* Layers that take one image at a time and cannot fail. */
static void run_simple(const ptf_enclosure *enc, int i, bool executed,
                       ptf_balls in, ptf_balls out)
{
    const ptf_node *node = &enc->net->nodes[i];
    const ptf_shape *from = &enc->shapes[node->inputs[0]];
    const ptf_shape *to = &enc->shapes[i];
    int64_t n = enc->sizes[i];
    switch (node->op) {
    case PTF_OP_BATCHNORM1D:
    case PTF_OP_BATCHNORM2D:
        ptf_enclose_scale_shift(&enc->numbers[i], executed, to->dim[0],
                                n / to->dim[0], in, out);
        break;
    case PTF_OP_RELU: ptf_enclose_relu(n, in, out); break;
    case PTF_OP_LEAKY_RELU:
        ptf_enclose_leaky_relu(n, node->attrs.negative_slope, executed, in,
                               out);
        break;
    case PTF_OP_SIGMOID: ptf_enclose_sigmoid(n, executed, in, out); break;
    case PTF_OP_TANH: ptf_enclose_tanh(n, executed, in, out); break;
    case PTF_OP_SOFTPLUS:
        ptf_enclose_softplus(n, node->attrs.beta, node->attrs.threshold,
                             executed, in, out);
        break;
    case PTF_OP_SOFTMAX: run_softmax(node, to, executed, in, out); break;
    case PTF_OP_MAXPOOL2D:
        ptf_enclose_max_pool(&node->attrs, from, to, in, out);
        break;
    case PTF_OP_AVGPOOL2D:
        ptf_enclose_avg_pool(&node->attrs, from, to, executed, in, out);
        break;
    case PTF_OP_ADAPTIVE_AVGPOOL2D:
        ptf_enclose_adaptive_pool(from, to, executed, in, out);
        break;
    case PTF_OP_INPUT:
    case PTF_OP_FLATTEN:
    case PTF_OP_DROPOUT:
    case PTF_OP_IDENTITY: copy(n, in, out); break;
    case PTF_OP_CONV1D:
    case PTF_OP_CONV2D:
    case PTF_OP_LINEAR:
    case PTF_OP_COUNT: break; /* run_node() has them */
    }
}

/* What the tasks of one node on a group need. */
typedef struct step {
    ptf_enclosure *enc;
    int node;
    bool executed;
    ptf_balls in;
    const float *tap;
} step;

/*
 * Finite balls stay so in layers that pass them on.  Not in a max pool: where
 * a window lies in the padding alone it gives -inf.
 */
static bool keeps_finite(const ptf_node *node)
{
    return node->op == PTF_OP_RELU || node->op == PTF_OP_FLATTEN ||
           ptf_op_info(node->op)->identity;
}

static void note(ptf_enclosure *enc, int node, int64_t n)
{
    if (enc->bad[n] < 0 && ptf_balls_first_bad(ptf_enclosure_node(enc, node, n),
                                               enc->sizes[node]) >= 0)
        enc->bad[n] = node;
}

static void note_image(void *context, int64_t n, int thread)
{
    const step *s = context;
    (void)thread;
    note(s->enc, s->node, n);
}

/* A layer and, while its balls are in the thread's cache, what they say. */
static void run_image(void *context, int64_t n, int thread)
{
    const step *s = context;
    int from = s->enc->net->nodes[s->node].inputs[0];
    (void)thread;
    run_simple(s->enc, s->node, s->executed,
               image_of(s->in, s->enc->sizes[from], n),
               ptf_enclosure_node(s->enc, s->node, n));
    if (!keeps_finite(&s->enc->net->nodes[s->node]))
        note(s->enc, s->node, n);
}

static ptf_status run_product(const ptf_enclosure *enc, int i,
                              const ptf_enclose_pass *pass, ptf_balls in,
                              ptf_error *err)
{
    const ptf_node *node = &enc->net->nodes[i];
    if (node->op == PTF_OP_LINEAR)
        return ptf_enclose_linear(pass, node->attrs.in_channels,
                                  node->attrs.out_channels, &enc->numbers[i],
                                  in, enc->balls[i], err);
    return ptf_enclose_conv(pass, &node->attrs, &enc->shapes[node->inputs[0]],
                            &enc->shapes[i], &enc->numbers[i], in,
                            enc->balls[i], err);
}

static ptf_status run_node(ptf_enclosure *enc, int i,
                           const ptf_enclose_pass *pass, ptf_balls in,
                           ptf_error *err)
{
    ptf_op op = enc->net->nodes[i].op;
    bool product =
        op == PTF_OP_CONV1D || op == PTF_OP_CONV2D || op == PTF_OP_LINEAR;
    ptf_status status = product ? run_product(enc, i, pass, in, err) : PTF_OK;
    if (status != PTF_OK)
        return status;
    step s = {.enc = enc, .node = i, .executed = pass->executed, .in = in};
    ptf_each(pass->threads, pass->images, product ? note_image : run_image, &s);
    return PTF_OK;
}

static void stage_image(void *context, int64_t n, int thread)
{
    const step *s = context;
    int64_t size = s->enc->sizes[s->node];
    (void)thread;
    for (int64_t k = n * size; k < (n + 1) * size; k++) {
        s->enc->staged.value[k] = (double)s->tap[k];
        s->enc->staged.radius[k] = 0;
    }
}

/* What node i reads: a tap, as balls, or the balls of the node before. */
static ptf_balls stage(ptf_enclosure *enc, int node, const float *const *taps,
                       int64_t count)
{
    if (taps[node] == NULL)
        return enc->balls[node];
    step s = {.enc = enc, .node = node, .tap = taps[node]};
    ptf_each(enc->threads, count, stage_image, &s);
    return enc->staged;
}

static ptf_status run_taps(ptf_enclosure *enc, const float *const *taps,
                           int64_t count, bool executed, ptf_error *err)
{
    ptf_enclose_pass pass = {count, enc->threads, executed, &enc->room};
    for (int64_t n = 0; n < count; n++)
        enc->bad[n] = -1;
    copy(count * enc->sizes[0], stage(enc, 0, taps, count), enc->balls[0]);
    step first = {.enc = enc};
    ptf_each(enc->threads, count, note_image, &first);
    for (int i = 1; i < enc->net->node_count; i++) {
        ptf_balls in = stage(enc, enc->net->nodes[i].inputs[0], taps, count);
        ptf_status status = run_node(enc, i, &pass, in, err);
        if (status != PTF_OK)
            return status;
    }
    return PTF_OK;
}

typedef struct call {
    ptf_enclosure *enc;
    const float *const *taps;
    int64_t count;
    bool executed;
} call;

static ptf_status call_taps(void *context, ptf_error *err)
{
    call *c = context;
    return run_taps(c->enc, c->taps, c->count, c->executed, err);
}

ptf_status ptf_enclosure_run_taps(ptf_enclosure *enc, const float *const *taps,
                                  int64_t count, bool executed, ptf_error *err)
{
    call c = {enc, taps, count, executed};
    return ptf_call_ieee(call_taps, &c, err);
}

static ptf_status run_group(ptf_enclosure *enc, const float *in, int64_t count,
                            double *value, double *radius, ptf_error *err)
{
    const ptf_net *net = enc->net;
    const float **taps = ptf_alloc((size_t)net->node_count * sizeof *taps);
    if (!taps)
        return ptf_fail_memory(err);
    taps[0] = in;
    ptf_status status = ptf_enclosure_run_taps(enc, taps, count, false, err);
    ptf_free(taps);
    if (status != PTF_OK)
        return status;
    int64_t size = enc->sizes[net->output];
    copy(count * size, enc->balls[net->output], (ptf_balls){value, radius});
    for (int64_t n = 0; n < count; n++) {
        if (enc->bad[n] < 0)
            continue;
        enc->undecided =
            enc->bad[n] == 0 ? "the input" : net->nodes[enc->bad[n]].name;
        for (int64_t k = n * size; k < (n + 1) * size; k++) {
            value[k] = (double)NAN;
            radius[k] = HUGE_VAL;
        }
    }
    return PTF_OK;
}

ptf_status ptf_enclosure_run(ptf_enclosure *enc, const float *in, int64_t count,
                             double *value, double *radius, ptf_error *err)
{
    int64_t inputs = enc->sizes[0], outputs = enc->sizes[enc->net->output];
    enc->undecided = NULL;
    for (int64_t n = 0; n < count; n += enc->group) {
        int64_t group = count - n < enc->group ? count - n : enc->group;
        ptf_status status =
            run_group(enc, in + n * inputs, group, value + n * outputs,
                      radius + n * outputs, err);
        if (status != PTF_OK)
            return status;
    }
    return PTF_OK;
}
