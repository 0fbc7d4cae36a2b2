/*
 * The walk through a net's nodes on a group of images.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/walk.h"

/* A value that is copied: the numbers of a tap, which are exact, or balls. */
typedef struct staging {
    const float *tap; /* or NULL */
    ptf_enclose_value from;
    int64_t size;
    ptf_balls to;
} staging;

static void stage_image(void *context, int64_t n, int thread)
{
    const staging *s = context;
    ptf_balls to = ptf_balls_of(s->to, s->size, n);
    (void)thread;
    if (s->tap == NULL)
        ptf_balls_copy(s->size, ptf_balls_of(s->from.balls, s->from.stride, n),
                       to);
    for (int64_t k = 0; s->tap != NULL && k < s->size; k++) {
        to.value[k] = (double)s->tap[n * s->size + k];
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
    ptf_enclose_visit *visit; /* as nodes get their balls */
    void *context;
} walk;

/* Images from 'first' on; balls that are not kept lie in 'slot'. */
typedef struct span {
    const walk *w;
    ptf_enclose_worker *own;
    int64_t first, slot;
    ptf_enclose_pass pass;
} span;

/*
 * Whose balls no image needs any more once it has gone through the walk: those
 * that come to be in it and that no node after it reads.
 */
static void find_passing(const walk *w)
{
    const ptf_enclosure *enc = w->enc;
    const ptf_net *net = enc->net;
    for (int i = w->from; i < w->to; i++)
        enc->passing[i] = !w->keeps;
    for (int i = w->to; i < net->node_count; i++) {
        for (int k = 0; k < net->nodes[i].input_count; k++)
            enc->passing[enc->root[net->nodes[i].inputs[k]]] = false;
    }
    for (int i = 0; i < net->output_count; i++)
        enc->passing[enc->root[net->outputs[i].node]] = false;
}

static ptf_enclose_value place(const span *s, int i)
{
    const ptf_enclosure *enc = s->w->enc;
    int root = enc->root[i];
    ptf_enclose_value v = enc->own[root];
    v.balls = ptf_balls_of(v.balls, v.stride,
                           enc->passing[root] ? s->slot : s->first);
    return v;
}

/*
 * What a node reads: taps, as balls, or balls where they lie.  A family that
 * takes all images at once has a constant once for each.
 */
static void stage(const span *s, int i)
{
    ptf_enclosure *enc = s->w->enc;
    const ptf_node *node = &enc->net->nodes[i];
    bool whole = ptf_enclose_family_of(node)->step != NULL;
    ptf_balls room = ptf_balls_of(enc->staged, enc->most, s->first);
    for (int k = 0; k < node->input_count; k++) {
        int from = node->inputs[k];
        const float *tap = s->w->taps[from];
        staging copy = {tap, place(s, from), enc->sizes[from], room};
        s->own->operands[k] = copy.from;
        if (tap == NULL && (!whole || copy.from.stride > 0))
            continue;
        copy.tap = tap != NULL ? tap + s->first * copy.size : NULL;
        ptf_each(s->pass.threads, s->pass.images, stage_image, &copy);
        s->own->operands[k] = (ptf_enclose_value){room, copy.size};
        room = ptf_balls_of(room, copy.size, s->pass.images);
    }
}

static void tell(const walk *w, int node)
{
    if (w->visit != NULL)
        w->visit(w->context, node);
}

static ptf_status walk_on(const span *s, ptf_error *err)
{
    ptf_enclosure *enc = s->w->enc;
    ptf_status status = PTF_OK;
    for (int i = s->w->from; status == PTF_OK && i < s->w->to; i++) {
        if (enc->root[i] != i) {
            tell(s->w, i);
            continue;
        }
        ptf_enclose_step node = {.enc = enc,
                                 .pass = &s->pass,
                                 .node = i,
                                 .first = s->first,
                                 .in = s->own->operands,
                                 .out = place(s, i)};
        stage(s, i);
        if (enc->net->nodes[i].op != PTF_OP_CONSTANT)
            status = ptf_enclose_run_step(&node, err);
        else
            ptf_each(s->pass.threads, s->pass.images, ptf_enclose_note, &node);
        if (status == PTF_OK)
            tell(s->w, i);
    }
    return status;
}

static void walk_image(void *context, int64_t n, int thread)
{
    const walk *w = context;
    ptf_enclose_worker *own = &w->enc->workers[thread];
    span one = {w, own, n, thread, {1, 1, w->executed, &own->scratch}};
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
        bool shares = ptf_op_is_alias(node->op) && node->input_count > 0 &&
                      taps[node->inputs[0]] == NULL;
        enc->root[i] = shares ? enc->root[node->inputs[0]] : i;
    }
}

static void take_sources(const walk *w)
{
    ptf_enclosure *enc = w->enc;
    for (int i = 0; i < enc->net->input_count; i++) {
        staging input = {
            .tap = w->taps[i], .size = enc->sizes[i], .to = enc->own[i].balls};
        ptf_enclose_step s = {.enc = enc, .node = i, .out = enc->own[i]};
        ptf_each(enc->threads, w->count, stage_image, &input);
        ptf_each(enc->threads, w->count, ptf_enclose_note, &s);
    }
    for (int i = enc->net->input_count; i < enc->net->node_count; i++) {
        if (enc->net->nodes[i].op == PTF_OP_CONSTANT)
            ptf_enclose_constant(&enc->numbers[i], enc->sizes[i], w->executed,
                                 enc->own[i].balls);
    }
}

static ptf_status run_taps(walk *w, ptf_error *err)
{
    ptf_enclosure *enc = w->enc;
    int nodes = enc->net->node_count;
    ptf_enclose_worker *first = &enc->workers[0];
    span all = {
        w, first, 0, 0, {w->count, enc->threads, w->executed, &first->scratch}};
    ptf_status status = PTF_OK;
    for (int64_t n = 0; n < w->count; n++)
        enc->bad[n] = -1;
    share_balls(enc, w->taps);
    status = ptf_enclose_place(enc, w->keeps, err);
    if (status != PTF_OK)
        return status;
    take_sources(w);
    for (w->to = enc->net->input_count; status == PTF_OK && w->to < nodes;) {
        w->from = w->to++;
        bool apart = is_apart(enc, w->from);
        while (w->to < nodes && is_apart(enc, w->to) == apart)
            w->to++;
        find_passing(w);
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

/* Where threads go apart, nodes are visited when all is over. */
ptf_status ptf_enclosure_run_inputs(ptf_enclosure *enc, const float *const *in,
                                    int64_t count, ptf_enclose_visit *visit,
                                    void *context, ptf_error *err)
{
    const ptf_net *net = enc->net;
    const float **taps = ptf_alloc((size_t)net->node_count * sizeof *taps);
    if (taps == NULL)
        return ptf_fail_memory(err);
    memcpy(taps, in, (size_t)net->input_count * sizeof *taps);
    walk w = {.enc = enc,
              .taps = taps,
              .keeps = visit != NULL && !enc->large,
              .count = count,
              .visit = enc->large ? visit : NULL,
              .context = context};
    ptf_status status = ptf_call_ieee(call_taps, &w, err);
    for (int i = net->input_count;
         visit != NULL && w.keeps && status == PTF_OK && i < net->node_count;
         i++)
        visit(context, i);
    ptf_free(taps);
    return status;
}
