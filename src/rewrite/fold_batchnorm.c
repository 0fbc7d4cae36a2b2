/*
 * fold_batchnorm: the batch norms after a convolution or linear layer go into
 * its weights and bias,
 *
 *     s = gamma / sqrt(var + eps),  w' = w * s,  b' = (b - mean) * s + beta,
 *
 * in double, each result rounded once to f32, also where several batch norms
 * follow each other.  Dropout and Identity may stand between.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "rewrite/batchnorm.h"

#include <float.h>
#include <math.h>

/* Below that, starting threads takes longer than scaling the weights. */
enum { WORTH_THREADS = 1 << 18 };

/* The batch norms after one layer, as one: w' = w * scale, b' = bias. */
typedef struct fold {
    int64_t channels;
    double *scale, *bias;
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

static ptf_status fold_add(ptf_arena *arena, const ptf_node *norm_node, fold *f,
                           ptf_error *err)
{
    ptf_norm norm;
    ptf_status status = ptf_norm_read(arena, norm_node, &norm, err);
    if (status != PTF_OK)
        return status;
    for (int64_t c = 0; c < f->channels; c++) {
        f->scale[c] *= norm.scale[c];
        f->bias[c] = (f->bias[c] - norm.mean[c]) * norm.scale[c] + norm.beta[c];
    }
    return PTF_OK;
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

/* The weights of one layer, on their way through threads. */
typedef struct scaling {
    const ptf_tensor *weight;
    const float *plain; /* the same where they lie as f32 in C order, or NULL */
    double *numbers;    /* room for one channel per thread */
    const double *scale;
    int64_t count; /* weights of a channel */
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

static bool scale_row(const double *row, int64_t count, double scale,
                      float *out)
{
    bool finite = true;
    for (int64_t k = 0; k < count; k++) {
        out[k] = (float)(row[k] * scale);
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
    s->finite[channel] = read_channel(s, channel, numbers, NULL) == PTF_OK &&
                         scale_row(numbers, s->count, scale, out);
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
    int64_t group = count / layer->attrs.groups;
    float *data = NULL;
    double *numbers = ptf_arena_array(arena, (size_t)count, sizeof(*numbers));
    *out = ptf_tensor_new(arena, old->rank, old->shape, &data);
    if (numbers == NULL || *out == NULL)
        return ptf_fail_memory(err);
    ptf_status status = ptf_tensor_read_f64(old, numbers, err);
    for (int64_t i = 0; i < count && status == PTF_OK; i++) {
        int64_t channel = i / group * of_group + i / taps % of_group;
        data[i] = (float)(numbers[i] * f->scale[channel]);
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
                 .plain = ptf_tensor_f32(old),
                 .scale = f->scale,
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
    const ptf_node *node = &edit->net->parent->nodes[layer];
    for (int i = 1; i < edit->net->node_count; i++) {
        const ptf_node *other = &edit->net->parent->nodes[i];
        if (i != layer && overlaps(node->tensors[PTF_ROLE_WEIGHT],
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
    bool *flat; /* per node: ptf_net_find_flat() */
    ptf_too_large *too_large;
    int *changed;
    ptf_error *err;
} folding;

/* The batch norm after 'at' that can be folded into the layer, or -1: it is
 * after Dropout and Identity, too. */
static int next_norm(const folding *w, int layer, int at)
{
    const ptf_net_edit *edit = w->edit;
    do {
        at = ptf_net_only_consumer(edit->net, at);
    } while (at >= 0 && ptf_op_is_identity(edit->nodes[at].op));
    bool fits =
        at >= 0 && ptf_norm_moves(&edit->nodes[at]) &&
        ptf_norm_fits(&edit->nodes[layer], w->flat[layer], &edit->nodes[at]);
    return fits ? at : -1;
}

/* Sets the layer's weights and bias, or f->too_large. */
static ptf_status fold_numbers(folding *w, int layer, fold *f)
{
    ptf_arena *arena = &w->edit->net->arena;
    ptf_node *node = &w->edit->nodes[layer];
    ptf_tensor *weight = NULL, *bias = NULL;
    ptf_status status = fold_begin(arena, node, f, w->err);
    for (int i = next_norm(w, layer, layer); status == PTF_OK && i >= 0;
         i = next_norm(w, layer, i))
        status = fold_add(arena, &w->edit->nodes[i], f, w->err);
    if (status == PTF_OK)
        status = fold_weight(arena, node, f, &weight, w->err);
    if (status == PTF_OK)
        status = fold_bias(arena, node, f, &bias, w->err);
    if (status != PTF_OK || f->too_large.what != NULL)
        return status;
    node->tensors[PTF_ROLE_WEIGHT] = weight;
    node->tensors[PTF_ROLE_BIAS] = bias;
    return remark_shared(w->edit, layer, w->err);
}

/* Folds what is after a layer, or says in 'too_large' why that stays. */
static ptf_status fold_layer(folding *w, int layer)
{
    fold f = {0};
    ptf_node *node = &w->edit->nodes[layer];
    if (next_norm(w, layer, layer) < 0)
        return PTF_OK;
    if (w->edit->net->has_tensors) {
        ptf_status status = fold_numbers(w, layer, &f);
        if (status != PTF_OK)
            return status;
    }
    for (int i = next_norm(w, layer, layer); i >= 0;
         i = next_norm(w, layer, i)) {
        w->too_large[i] = f.too_large;
        w->edit->dead[i] = f.too_large.what == NULL;
        *w->changed += w->edit->dead[i];
    }
    if (f.too_large.what != NULL)
        return PTF_OK;
    node->attrs.has_bias = true;
    node->text = NULL;
    return PTF_OK;
}

ptf_status ptf_pass_fold_batchnorm(ptf_net_edit *edit, const ptf_shape *input,
                                   int *changed, ptf_error *err)
{
    (void)input;
    ptf_arena *arena = &edit->net->arena;
    size_t count = (size_t)edit->net->node_count;
    folding w = {
        .edit = edit,
        .flat = ptf_arena_array(arena, count, sizeof(*w.flat)),
        .too_large = ptf_arena_array(arena, count, sizeof(*w.too_large)),
        .changed = changed,
        .err = err,
    };
    if (w.flat == NULL || w.too_large == NULL)
        return ptf_fail_memory(err);
    ptf_net_find_flat(edit->net, w.flat);
    for (int i = 1; i < edit->net->node_count; i++) {
        const ptf_node *node = &edit->nodes[i];
        if (!ptf_op_is(node->op, PTF_FAMILY_PRODUCT) || node->attrs.scale_shift)
            continue;
        ptf_status status = fold_layer(&w, i);
        if (status != PTF_OK)
            return status;
    }
    return ptf_remark_leftovers(edit, true, w.flat, w.too_large, err);
}
