/*
 * The walk through a net's nodes on a group of images.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/walk.h"

/* Balls of a tap, which are exact. */
static void stage_image(void *context, int64_t n, int thread)
{
    const ptf_enclose_step *s = context;
    int64_t size = s->enc->sizes[s->node];
    const float *from = s->tap + (s->first + n) * size;
    ptf_balls to = ptf_balls_of(s->out, size, n);
    (void)thread;
    for (int64_t k = 0; k < size; k++) {
        to.value[k] = (double)from[k];
        to.radius[k] = 0;
    }
}

/* Nodes from .. to - 1 on images of a group. */
typedef struct walk {
    ptf_enclosure *enc;
    const float *const *taps;
    bool executed, keeps; /* the balls of every node */
    int from, to;
    int64_t count;
} walk;

/* Images from 'first' on; balls that are not kept lie in 'slot'. */
typedef struct span {
    const walk *w;
    int64_t first, slot;
    ptf_enclose_pass pass;
} span;

/* Whether no node before the walk has node i's balls, and none behind reads. */
static bool is_passing(const walk *w, int i)
{
    const ptf_net *net = w->enc->net;
    const ptf_balls *balls = w->enc->balls;
    bool passing = !w->keeps && balls[i].value != balls[net->output].value;
    for (int k = 0; passing && k < w->from; k++)
        passing = balls[k].value != balls[i].value;
    for (int k = w->to; passing && k < net->node_count; k++)
        passing = balls[net->nodes[k].inputs[0]].value != balls[i].value;
    return passing;
}

static ptf_balls place(const span *s, int i)
{
    return ptf_enclosure_node(s->w->enc, i,
                              is_passing(s->w, i) ? s->slot : s->first);
}

/* What reads node i's output: a tap, as balls, or the balls of the node. */
static ptf_balls stage(const span *s, int i)
{
    ptf_enclosure *enc = s->w->enc;
    if (s->w->taps[i] == NULL)
        return place(s, i);
    ptf_enclose_step exact = {
        .enc = enc,
        .node = i,
        .first = s->first,
        .out = ptf_balls_of(enc->staged, enc->most, s->first),
        .tap = s->w->taps[i]};
    ptf_each(s->pass.threads, s->pass.images, stage_image, &exact);
    return exact.out;
}

static ptf_status walk_on(const span *s, ptf_error *err)
{
    ptf_enclosure *enc = s->w->enc;
    ptf_status status = PTF_OK;
    for (int i = s->w->from; status == PTF_OK && i < s->w->to; i++) {
        int input = enc->net->nodes[i].inputs[0];
        if (enc->balls[i].value == enc->balls[input].value)
            continue;
        ptf_enclose_step node = {.enc = enc,
                                 .pass = &s->pass,
                                 .node = i,
                                 .first = s->first,
                                 .in = stage(s, input),
                                 .out = place(s, i)};
        status = ptf_enclose_run_step(&node, err);
    }
    return status;
}

static void walk_image(void *context, int64_t n, int thread)
{
    const walk *w = context;
    ptf_enclose_worker *own = &w->enc->workers[thread];
    span one = {w, n, thread, {1, 1, w->executed, &own->room}};
    if (own->status == PTF_OK)
        own->status = walk_on(&one, &own->err);
}

/* Each thread takes whole images, whose balls then stay in its cache. */
static ptf_status walk_apart(walk *w, ptf_error *err)
{
    ptf_enclosure *enc = w->enc;
    for (int i = 0; i < enc->threads; i++)
        enc->workers[i].status = PTF_OK;
    ptf_each(enc->threads, w->count, walk_image, w);
    for (int i = 0; i < enc->threads; i++) {
        if (enc->workers[i].status == PTF_OK)
            continue;
        if (err != NULL)
            *err = enc->workers[i].err;
        return enc->workers[i].status;
    }
    return PTF_OK;
}

/*
 * Whether one image keeps a thread busy: not a product of few pixels, which
 * reads its weights once for all images.
 */
static bool is_apart(const ptf_enclosure *enc, int i)
{
    enum { MANY_PIXELS = 128 };
    const ptf_node *node = &enc->net->nodes[i];
    return !ptf_op_is(node->op, PTF_FAMILY_PRODUCT) ||
           enc->sizes[i] / node->attrs.out_channels >= MANY_PIXELS;
}

/* Where a node passes balls on that no tap replaces, they are its own. */
static void share_balls(ptf_enclosure *enc, const float *const *taps)
{
    for (int i = 0; i < enc->net->node_count; i++) {
        const ptf_node *node = &enc->net->nodes[i];
        bool shares = i > 0 && ptf_enclose_family_of(node)->passes_on &&
                      taps[node->inputs[0]] == NULL;
        enc->balls[i] = shares ? enc->balls[node->inputs[0]] : enc->own[i];
    }
}

static void take_input(const walk *w)
{
    ptf_enclosure *enc = w->enc;
    ptf_enclose_step s = {.enc = enc, .out = enc->balls[0], .tap = w->taps[0]};
    ptf_each(enc->threads, w->count, stage_image, &s);
    ptf_each(enc->threads, w->count, ptf_enclose_note, &s);
}

static ptf_status run_taps(walk *w, ptf_error *err)
{
    ptf_enclosure *enc = w->enc;
    int nodes = enc->net->node_count;
    span all = {
        w, 0, 0, {w->count, enc->threads, w->executed, &enc->workers[0].room}};
    ptf_status status = PTF_OK;
    for (int64_t n = 0; n < w->count; n++)
        enc->bad[n] = -1;
    share_balls(enc, w->taps);
    take_input(w);
    for (w->to = 1; status == PTF_OK && w->to < nodes;) {
        w->from = w->to++;
        bool apart = is_apart(enc, w->from);
        while (w->to < nodes && is_apart(enc, w->to) == apart)
            w->to++;
        status = apart && w->count >= 4 * enc->threads ? walk_apart(w, err)
                                                       : walk_on(&all, err);
    }
    return status;
}

static ptf_status call_taps(void *context, ptf_error *err)
{
    return run_taps(context, err);
}

ptf_status ptf_enclosure_run_taps(ptf_enclosure *enc, const float *const *taps,
                                  int64_t count, bool executed, ptf_error *err)
{
    walk w = {enc, taps, executed, .keeps = true, .count = count};
    return ptf_call_ieee(call_taps, &w, err);
}

ptf_status ptf_enclosure_run_outputs(ptf_enclosure *enc,
                                     const float *const *taps, int64_t count,
                                     ptf_error *err)
{
    walk w = {enc, taps, .count = count};
    return ptf_call_ieee(call_taps, &w, err);
}
