/*
 * fold_batchnorm: the batch norms after a convolution or linear layer go into
 * its weights and bias,
 *
 *     s = gamma / sqrt(var + eps),  w' = w * s,  b' = (b - mean) * s + beta,
 *
 * and those that have none before them into the layers that read them, where
 * forward.c says that they can,
 *
 *     t = beta - mean * s,          w' = w * s,  b' = b + sum of w * t,
 *
 * in double, each result rounded once to f32, also where several batch norms
 * meet in one layer.  What only passes numbers on may stand between, and sums
 * and products with constants, up to the last batch norm.  fold_scale folds
 * such sums and products alone, as of the input before the first layer.  A
 * batch norm after a concatenation is split for its branches first
 * (net/split.c).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "rewrite/batchnorm.h"

#include <float.h>
#include <math.h>

/* Below that, starting threads takes longer than scaling the weights. */
enum { WORTH_THREADS = 1 << 18 };

/*
 * The batch norms at one layer, as one: w' = w * scale, per output channel,
 * b' = bias; and those before it, x * lead + shift for each channel that it
 * reads, or for each of its features.
 */
typedef struct fold {
    int64_t channels;
    double *scale, *bias;
    double *lead, *shift;    /* NULL: none is before it */
    ptf_too_large too_large; /* what cannot be written */
} fold;

static ptf_status fold_begin(ptf_arena *arena, const ptf_node *layer, fold *out,
                             ptf_error *err)
{
    size_t channels = (size_t)layer->attrs.out_channels;
    *out = (fold){
        .channels = layer->attrs.out_channels,
        .scale = ptf_arena_array(arena, channels, sizeof(double)),
        .bias = ptf_arena_array(arena, channels, sizeof(double)),
    };
    if (out->scale == NULL || out->bias == NULL)
        return ptf_fail_memory(err);
    for (size_t c = 0; c < channels; c++)
        out->scale[c] = 1;
    if (layer->tensors[PTF_ROLE_BIAS] == NULL)
        return PTF_OK;
    return ptf_tensor_read_f64(layer->tensors[PTF_ROLE_BIAS], out->bias, err);
}

static ptf_status fold_add(const ptf_movers *m, int index, fold *f,
                           ptf_error *err)
{
    ptf_norm norm;
    ptf_status status = ptf_mover_read(m, index, f->channels, &norm, err);
    if (status != PTF_OK)
        return status;
    for (int64_t c = 0; c < f->channels; c++) {
        f->scale[c] *= norm.scale[c];
        f->bias[c] = (f->bias[c] - norm.mean[c]) * norm.scale[c] + norm.beta[c];
    }
    return PTF_OK;
}

/* A batch norm before the layer, and before those that are in it already. */
static ptf_status fold_lead(const ptf_movers *m, int index,
                            const ptf_node *layer, fold *f, ptf_error *err)
{
    ptf_norm norm;
    ptf_arena *arena = &m->edit->net->arena;
    size_t inputs = (size_t)layer->attrs.in_channels;
    ptf_status status =
        ptf_mover_read(m, index, ptf_mover_channels(m, index), &norm, err);
    if (status == PTF_OK && inputs % (size_t)norm.channels != 0)
        status = ptf_node_fail(err, PTF_ARGUMENT, layer,
                               "expected all numbers of %lld channels, got %zu "
                               "features",
                               (long long)norm.channels, inputs);
    if (status != PTF_OK)
        return status;
    if (f->lead == NULL) {
        f->lead = ptf_arena_array(arena, inputs, sizeof(double));
        f->shift = ptf_arena_array(arena, inputs, sizeof(double));
        if (f->lead == NULL || f->shift == NULL)
            return ptf_fail_memory(err);
        for (size_t i = 0; i < inputs; i++)
            f->lead[i] = 1;
    }
    size_t each = inputs / (size_t)norm.channels;
    for (size_t i = 0; i < inputs; i++) {
        size_t c = i / each;
        double t = norm.beta[c] - norm.mean[c] * norm.scale[c];
        f->shift[i] += f->lead[i] * t;
        f->lead[i] *= norm.scale[c];
    }
    return PTF_OK;
}

/*
 * The sum of w_k t_k and b as if in twice the precision (Ogita, Rump, Oishi,
 * Accurate sum and dot product, 2005): it may be small beside its terms.
 */
static double sum_exactly(const double *w, const double *t, int64_t count,
                          int64_t taps, double b)
{
    double sum = b, rest = 0;
    for (int64_t k = 0; k < count; k++) {
        double x = w[k] * t[k / taps], off = fma(w[k], t[k / taps], -x);
        double y = sum + x, part = y - sum;
        rest += (sum - (y - part)) + (x - part) + off;
        sum = y;
    }
    return sum + rest;
}

/* ----------------------------------------------------------------- weights */

/* A product that is not finite: refuses the file where 'before' is to blame. */
static ptf_status note_number(fold *f, const ptf_node *layer, const char *what,
                              double before, int64_t channel, ptf_error *err)
{
    if (!isfinite(before))
        return ptf_node_fail(err, PTF_FORMAT, layer,
                             "a %s of output channel %lld is %g, expected a "
                             "finite number",
                             what, (long long)channel, before);
    f->too_large = (ptf_too_large){what, channel};
    return PTF_OK;
}

/* One output channel of the weights, as a tensor. */
static ptf_tensor row_of(const ptf_tensor *weight, int64_t channel)
{
    ptf_tensor row = *weight;
    row.rank--;
    for (int d = 0; d < row.rank; d++) {
        row.shape[d] = weight->shape[d + 1];
        row.stride[d] = weight->stride[d + 1];
    }
    int64_t offset = channel * weight->stride[0];
    row.data = (const char *)weight->data +
               offset * (int64_t)ptf_dtype_size(weight->dtype);
    return row;
}

/* What the shifts before the layer add to its bias: a transposed convolution
 * has none. */
static ptf_status add_shifts(ptf_arena *arena, const ptf_node *layer, fold *f,
                             ptf_error *err)
{
    const ptf_tensor *weight = layer->tensors[PTF_ROLE_WEIGHT];
    ptf_tensor row = row_of(weight, 0);
    int64_t count = ptf_tensor_numel(&row);
    int64_t each = f->channels / layer->attrs.groups;
    int64_t read = layer->attrs.in_channels / layer->attrs.groups;
    double *w = ptf_arena_array(arena, (size_t)count, sizeof(double));
    ptf_status status = w != NULL ? PTF_OK : ptf_fail_memory(err);
    if (ptf_op_is_transposed(layer->op))
        return status;
    for (int64_t c = 0; status == PTF_OK && c < f->channels; c++) {
        row = row_of(weight, c);
        status = ptf_tensor_read_f64(&row, w, err);
        f->bias[c] = sum_exactly(w, f->shift + c / each * read, count,
                                 count / read, f->bias[c]);
    }
    return status;
}

/* The weights of one layer, on their way through threads. */
typedef struct scaling {
    const ptf_tensor *weight;
    const float *plain; /* the same where they lie as f32 in C order, or NULL */
    double *numbers;    /* room for one channel per thread */
    const double *scale;
    const double *lead; /* fold's */
    int64_t each, read; /* channels that a group gives and reads */
    int64_t count;      /* weights of a channel */
    float *out;
    bool *finite; /* per channel: whether all results are */
} scaling;

/* Written so that compilers make vectors of it. */
static bool scale_plain(const float *row, int64_t count, double scale,
                        float *out)
{
    int wrong = 0;
    for (int64_t k = 0; k < count; k++) {
        out[k] = (float)((double)row[k] * scale);
        wrong |= !(fabsf(out[k]) <= FLT_MAX);
    }
    return wrong == 0;
}

/* 'lead' is for as many weights at a time, or NULL. */
static bool scale_row(const double *row, int64_t count, double scale,
                      const double *lead, int64_t taps, float *out)
{
    bool finite = true;
    for (int64_t k = 0; k < count; k++) {
        double by = lead != NULL ? scale * lead[k / taps] : scale;
        out[k] = (float)(row[k] * by);
        finite &= isfinite(out[k]) != 0;
    }
    return finite;
}

static ptf_status read_channel(const scaling *s, int64_t channel,
                               double *numbers, ptf_error *err)
{
    ptf_tensor row = row_of(s->weight, channel);
    return ptf_tensor_read_f64(&row, numbers, err);
}

static void scale_channel(void *context, int64_t channel, int thread)
{
    const scaling *s = context;
    float *out = s->out + channel * s->count;
    double scale = s->scale[channel];
    if (s->plain != NULL) {
        const float *row = s->plain + channel * s->count;
        s->finite[channel] = scale_plain(row, s->count, scale, out);
        return;
    }
    double *numbers = s->numbers + thread * s->count;
    const double *lead = s->lead;
    if (lead != NULL)
        lead += channel / s->each * s->read;
    s->finite[channel] =
        read_channel(s, channel, numbers, NULL) == PTF_OK &&
        scale_row(numbers, s->count, scale, lead, s->count / s->read, out);
}

/* Which number of a row is at fault: one that was read, or a product. */
static double worst_of(const double *row, int64_t count)
{
    for (int64_t k = 0; k < count; k++) {
        if (!isfinite(row[k]))
            return row[k];
    }
    return 0;
}

static ptf_status scale_all(const scaling *s, fold *f, const ptf_node *layer,
                            int threads, ptf_error *err)
{
    int64_t channels = f->channels;
    ptf_each(threads, channels, scale_channel, (void *)(uintptr_t)s);
    int64_t c = 0;
    while (c < channels && s->finite[c])
        c++;
    if (c == channels)
        return PTF_OK;
    ptf_status status = read_channel(s, c, s->numbers, err);
    return status == PTF_OK
               ? note_number(f, layer, "weight", worst_of(s->numbers, s->count),
                             c, err)
               : status;
}

/* A transposed convolution's output channels are its weight's second axis. */
static ptf_status fold_transposed(ptf_arena *arena, const ptf_node *layer,
                                  fold *f, ptf_tensor **out, ptf_error *err)
{
    const ptf_tensor *old = layer->tensors[PTF_ROLE_WEIGHT];
    int64_t count = ptf_tensor_numel(old), of_group = old->shape[1];
    int64_t taps = count / (old->shape[0] * of_group);
    int64_t group = count / layer->attrs.groups, row = of_group * taps;
    float *data = NULL;
    double *numbers = ptf_arena_array(arena, (size_t)count, sizeof(*numbers));
    *out = ptf_tensor_new(arena, old->rank, old->shape, &data);
    if (numbers == NULL || *out == NULL)
        return ptf_fail_memory(err);
    ptf_status status = ptf_tensor_read_f64(old, numbers, err);
    for (int64_t i = 0; i < count && status == PTF_OK; i++) {
        int64_t channel = i / group * of_group + i / taps % of_group;
        double lead = f->lead != NULL ? f->lead[i / row] : 1;
        data[i] = (float)(numbers[i] * (f->scale[channel] * lead));
        if (!isfinite(data[i]))
            return note_number(f, layer, "weight", numbers[i], channel, err);
    }
    return status;
}

static ptf_status fold_weight(ptf_arena *arena, const ptf_node *layer, fold *f,
                              ptf_tensor **out, ptf_error *err)
{
    if (ptf_op_is_transposed(layer->op))
        return fold_transposed(arena, layer, f, out, err);
    const ptf_tensor *old = layer->tensors[PTF_ROLE_WEIGHT];
    ptf_tensor row = row_of(old, 0);
    scaling s = {.weight = old,
                 .plain = f->lead == NULL ? ptf_tensor_f32(old) : NULL,
                 .scale = f->scale,
                 .lead = f->lead,
                 .each = f->channels / layer->attrs.groups,
                 .read = layer->attrs.in_channels / layer->attrs.groups,
                 .count = ptf_tensor_numel(&row)};
    bool few = f->channels * s.count < WORTH_THREADS;
    int threads = few ? 1 : ptf_thread_count();
    *out = ptf_tensor_new(arena, old->rank, old->shape, &s.out);
    s.numbers = ptf_arena_array(arena, (size_t)threads * (size_t)s.count,
                                sizeof(double));
    s.finite = ptf_arena_array(arena, (size_t)f->channels, sizeof(bool));
    if (*out == NULL || s.numbers == NULL || s.finite == NULL)
        return ptf_fail_memory(err);
    return scale_all(&s, f, layer, threads, err);
}

static ptf_status fold_bias(ptf_arena *arena, const ptf_node *layer, fold *f,
                            ptf_tensor **out, ptf_error *err)
{
    float *data = NULL;
    *out = ptf_tensor_new(arena, 1, &f->channels, &data);
    if (*out == NULL)
        return ptf_fail_memory(err);
    for (int64_t c = 0; c < f->channels; c++) {
        data[c] = (float)f->bias[c];
        if (!isfinite(data[c]))
            return note_number(f, layer, "bias", f->bias[c], c, err);
    }
    return PTF_OK;
}

/* ----------------------------------------------------------- shared weights */

/* Bytes that a tensor can reach, up to but not including *end. */
static const char *reach(const ptf_tensor *tensor, const char **end)
{
    int64_t last = 0;
    for (int d = 0; d < tensor->rank; d++)
        last += (tensor->shape[d] - 1) * tensor->stride[d];
    size_t size = ptf_dtype_size(tensor->dtype);
    *end = (const char *)tensor->data + (size_t)(last + 1) * size;
    return tensor->data;
}

static bool overlaps(const ptf_tensor *a, const ptf_tensor *b)
{
    if (a == NULL || b == NULL)
        return false;
    const char *a_end, *b_end;
    const char *a_start = reach(a, &a_end), *b_start = reach(b, &b_end);
    return a_start < b_end && b_start < a_end;
}

/*
 * A weight that two layers share becomes a tensor of each.  Only the class that
 * loads the file can tie them again, and then the last one that it loads is
 * that of all.
 */
static ptf_status remark_shared(ptf_net_edit *edit, int layer, ptf_error *err)
{
    const ptf_net *was = edit->net->parent;
    int origin = edit->nodes[layer].origin;
    const ptf_node *node = &was->nodes[origin];
    for (int i = 1; i < was->node_count; i++) {
        const ptf_node *other = &was->nodes[i];
        if (i != origin && overlaps(node->tensors[PTF_ROLE_WEIGHT],
                                    other->tensors[PTF_ROLE_WEIGHT]))
            return ptf_net_edit_remark(
                edit, layer, false, err,
                "had its weights in common with %s and has its own now: load "
                "the file into a class that does not tie them",
                other->name);
    }
    return PTF_OK;
}

/* --------------------------------------------------------------------- pass */

/* The layers of a net, on their way. */
typedef struct folding {
    ptf_net_edit *edit;
    ptf_movers movers;
    bool *flat;           /* per node: ptf_net_find_flat() */
    bool *taken;          /* a batch norm that goes into the layer before it */
    ptf_forward *forward; /* and into those after it */
    ptf_too_large *too_large;
    ptf_node *made; /* of layers: their new tensors, and has_bias */
    ptf_error *err;
} folding;

static bool is_layer(const ptf_node *node)
{
    return ptf_op_is(node->op, PTF_FAMILY_PRODUCT) && !node->attrs.scale_shift;
}

/* The batch norm after 'at' that can be folded into the layer, or -1: also
 * after what passes numbers on, with as many channels in front. */
static int next_norm(const folding *w, int layer, int at)
{
    const ptf_net_edit *edit = w->edit;
    do {
        at = ptf_net_only_consumer(edit->net, at);
    } while (at >= 0 && ptf_op_is_alias(edit->nodes[at].op));
    const ptf_node *product = &edit->nodes[layer];
    int64_t channels = at >= 0 ? ptf_mover_channels(&w->movers, at) : 0;
    bool scalar = channels == 1 && !ptf_norm_moves(&edit->nodes[at]);
    bool fits = (product->op != PTF_OP_LINEAR || w->flat[layer]) &&
                channels == product->attrs.out_channels;
    return scalar || fits ? at : -1;
}

/* The batch norm before 'at' that goes forward, or -1. */
static int lead_norm(const folding *w, int at)
{
    const ptf_net_edit *edit = w->edit;
    do {
        at = ptf_scale_source(edit, at);
    } while (at >= edit->net->input_count && !w->forward[at].goes &&
             edit->nodes[at].input_count == 1 &&
             ptf_op_is_alias(edit->nodes[at].op));
    return w->forward[at].goes ? at : -1;
}

/* Batch norms after a layer go into it, where 'taken' says so. */
static int next_taken(const folding *w, int layer, int at)
{
    at = next_norm(w, layer, at);
    return at >= 0 && w->taken[at] ? at : -1;
}

/* The weights and the bias of a layer, or f->too_large. */
static ptf_status fold_numbers(folding *w, int layer, fold *f, ptf_node *made)
{
    ptf_arena *arena = &w->edit->net->arena;
    const ptf_node *node = &w->edit->nodes[layer];
    ptf_tensor *weight = NULL, *bias = NULL;
    ptf_status status = fold_begin(arena, node, f, w->err);
    for (int i = lead_norm(w, layer); status == PTF_OK && i >= 0;
         i = lead_norm(w, i))
        status = fold_lead(&w->movers, i, node, f, w->err);
    if (status == PTF_OK && f->lead != NULL)
        status = add_shifts(arena, node, f, w->err);
    for (int i = next_taken(w, layer, layer); status == PTF_OK && i >= 0;
         i = next_taken(w, layer, i))
        status = fold_add(&w->movers, i, f, w->err);
    if (status == PTF_OK)
        status = fold_weight(arena, node, f, &weight, w->err);
    if (status == PTF_OK)
        status = fold_bias(arena, node, f, &bias, w->err);
    made->tensors[PTF_ROLE_WEIGHT] = weight;
    made->tensors[PTF_ROLE_BIAS] = bias;
    return status;
}

/*
 * What folding makes of a layer.  Where that cannot be written, the batch norms
 * before it stay, or, if there are none, those after it, and *again: others
 * had counted on them.
 */
static ptf_status fold_layer(folding *w, int layer, bool *again)
{
    fold f = {0};
    bool leads = lead_norm(w, layer) >= 0;
    w->made[layer] = w->edit->nodes[layer];
    if (!leads && next_taken(w, layer, layer) < 0)
        return PTF_OK;
    w->made[layer].attrs.has_bias = true;
    w->made[layer].text = NULL;
    if (!w->edit->net->has_tensors)
        return PTF_OK;
    ptf_status status = fold_numbers(w, layer, &f, &w->made[layer]);
    if (status != PTF_OK || f.too_large.what == NULL)
        return status;
    *again = true;
    for (int i = lead_norm(w, layer), next; i >= 0; i = next) {
        next = lead_norm(w, i);
        w->forward[i].goes = false;
        w->too_large[i] = f.too_large;
    }
    for (int i = next_taken(w, layer, layer), next; !leads && i >= 0;
         i = next) {
        next = next_taken(w, layer, i);
        w->taken[i] = false;
        w->too_large[i] = f.too_large;
    }
    return PTF_OK;
}

static ptf_status fold_layers(folding *w)
{
    ptf_status status = PTF_OK;
    bool again = true;
    while (again) {
        again = false;
        for (int i = 1; status == PTF_OK && i < w->edit->net->node_count; i++) {
            if (is_layer(&w->edit->nodes[i]))
                status = fold_layer(w, i, &again);
        }
    }
    return status;
}

static ptf_status finish(folding *w, int *changed)
{
    ptf_net_edit *edit = w->edit;
    ptf_status status = PTF_OK;
    for (int i = 1; i < edit->net->node_count; i++) {
        bool folded = is_layer(&edit->nodes[i]) &&
                      (lead_norm(w, i) >= 0 || next_taken(w, i, i) >= 0);
        if (status == PTF_OK && folded && edit->net->has_tensors)
            status = remark_shared(edit, i, w->err);
        if (folded)
            edit->nodes[i] = w->made[i];
        bool goes = w->taken[i] || w->forward[i].goes;
        edit->dead[i] = edit->dead[i] || goes;
        *changed += goes;
        if (goes)
            edit->nodes[i].inputs[0] = ptf_scale_source(edit, i);
    }
    ptf_drop_constants(edit);
    return status;
}

/* Those after a layer up to the last batch norm, or to the last scale where
 * these alone are folded. */
static void take_after(folding *w, int layer)
{
    int last = -1;
    for (int k = next_norm(w, layer, layer); k >= 0;
         k = next_norm(w, layer, k)) {
        if (!w->movers.norms || ptf_norm_moves(&w->edit->nodes[k]))
            last = k;
    }
    for (int k = next_norm(w, layer, layer); k >= 0 && k <= last;
         k = next_norm(w, layer, k))
        w->taken[k] = true;
}

/* Shapes say which constants have one number for each channel. */
static ptf_status find_scales(folding *w, const ptf_shape *inputs)
{
    const ptf_net *net = w->edit->net;
    ptf_arena *arena = &w->edit->net->arena;
    size_t count = (size_t)net->node_count;
    ptf_shape *shapes = ptf_arena_array(arena, count, sizeof(*shapes));
    int64_t *scales = ptf_arena_array(arena, count, sizeof(*scales));
    if (shapes == NULL || scales == NULL)
        return ptf_fail_memory(w->err);
    if (inputs == NULL || !net->has_tensors)
        return PTF_OK;
    ptf_status status = ptf_net_shapes(net, inputs, shapes, w->err);
    if (status == PTF_OK)
        ptf_find_scales(w->edit, shapes, scales);
    w->movers.scales = scales;
    return status;
}

static ptf_status fold_all(ptf_net_edit *edit, const ptf_shape *input,
                           bool norms, int *changed, ptf_error *err)
{
    ptf_status split = norms ? ptf_net_edit_split_norms(edit, err) : PTF_OK;
    if (split != PTF_OK)
        return split;
    ptf_arena *arena = &edit->net->arena;
    size_t count = (size_t)edit->net->node_count;
    folding w = {
        .edit = edit,
        .movers = {edit, norms, NULL},
        .flat = ptf_arena_array(arena, count, sizeof(*w.flat)),
        .taken = ptf_arena_array(arena, count, sizeof(*w.taken)),
        .forward = ptf_arena_array(arena, count, sizeof(*w.forward)),
        .too_large = ptf_arena_array(arena, count, sizeof(*w.too_large)),
        .made = ptf_arena_array(arena, count, sizeof(*w.made)),
        .err = err,
    };
    if (!w.flat || !w.taken || !w.forward || !w.too_large || !w.made)
        return ptf_fail_memory(err);
    ptf_net_find_flat(edit->net, w.flat);
    ptf_status status = find_scales(&w, input);
    for (int i = 1; status == PTF_OK && i < edit->net->node_count; i++) {
        if (is_layer(&edit->nodes[i]))
            take_after(&w, i);
    }
    if (status == PTF_OK)
        status = ptf_find_forward(&w.movers, w.flat, w.taken, w.forward, err);
    if (status == PTF_OK)
        status = fold_layers(&w);
    if (status == PTF_OK)
        status = finish(&w, changed);
    if (status != PTF_OK)
        return status;
    return norms ? ptf_remark_leftovers(edit, true, w.flat, w.too_large,
                                        w.forward, err)
                 : ptf_remark_scales(&w.movers, w.too_large, w.forward, err);
}

ptf_status ptf_pass_fold_batchnorm(ptf_net_edit *edit, const ptf_shape *input,
                                   int *changed, ptf_error *err)
{
    return fold_all(edit, input, true, changed, err);
}

ptf_status ptf_pass_fold_scale(ptf_net_edit *edit, const ptf_shape *input,
                               int *changed, ptf_error *err)
{
    return fold_all(edit, input, false, changed, err);
}
