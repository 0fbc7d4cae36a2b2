/*
 * The gradients of parameters: sums over the pixels of a channel; and the
 * numbers of batch norms and epilogues that the walk back needs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "grad/grad.h"

#include <math.h>

/* -------------------------------------------------------------------- sums */

typedef struct sums_run {
    const ptf_gradient *g;
    const float *d, *x;          /* x: NULL for the sum of d alone */
    const double *mean, *factor; /* of the channels; NULL: 0, 1 */
    int64_t channels, pixels;
    int64_t channel, apart; /* floats to the next channel, the next pixel */
    float *out;
} sums_run;

/* As backward.h's sum of numbers side by side, block by block. */
static double sum_apart(const sums_run *r, const float *d, const float *x,
                        double mean)
{
    const ptf_backward *back = r->g->kernels->backward;
    float by_d[PTF_BLOCK_TERMS], by_x[PTF_BLOCK_TERMS] = {0};
    double sum = 0.0;
    if (r->apart == 1)
        return back->sum(d, x, mean, r->pixels);
    for (int64_t k = 0; k < r->pixels; k += PTF_BLOCK_TERMS) {
        int64_t n = ptf_min_i64(r->pixels - k, PTF_BLOCK_TERMS);
        for (int64_t i = 0; i < n; i++) {
            by_d[i] = d[(k + i) * r->apart];
            by_x[i] = x != NULL ? x[(k + i) * r->apart] : 0.0F;
        }
        double block = back->sum(by_d, x != NULL ? by_x : NULL, mean, n);
        sum = k == 0 ? block : sum + block;
    }
    return sum;
}

/* Images in order, each rounded once: see backward.h. */
static void sum_channel(void *context, int64_t c, int thread)
{
    const sums_run *r = context;
    (void)thread;
    double mean = r->mean != NULL ? r->mean[c] : 0.0;
    double factor = r->factor != NULL ? r->factor[c] : 1.0;
    float sum = 0.0F;
    for (int64_t n = 0; n < r->g->count; n++) {
        int64_t at = n * r->channels * r->pixels + c * r->channel;
        float one =
            (float)(factor * sum_apart(r, r->d + at,
                                       r->x != NULL ? r->x + at : NULL, mean));
        sum = n == 0 ? one : sum + one;
    }
    r->g->kernels->backward->settle(&sum, 1);
    r->out[c] = sum;
}

/* Sums of node i's cotangent into the gradient of its parameter 'role'. */
static void sum_channels(const ptf_gradient *g, int i, ptf_role role,
                         const float *x)
{
    const ptf_back *n = &g->nodes[i];
    sums_run run = {.g = g,
                    .d = n->d,
                    .x = x,
                    .mean = x != NULL ? n->mean : NULL,
                    .factor = x != NULL ? n->factor : NULL,
                    .channels = ptf_gradient_channels(g, i),
                    .apart = 1,
                    .out = n->by[role]};
    run.pixels = run.channel = ptf_gradient_numel(g, i) / run.channels;
    if (ptf_gradient_rows(g, i) > 1) {
        run.channel = 1;
        run.apart = run.channels;
    }
    if (run.out != NULL)
        ptf_each(g->threads, run.channels, sum_channel, &run);
}

/* ---------------------------------------------------------------- epilogue */

static void scale_image(void *context, int64_t i, int thread)
{
    const sums_run *r = context;
    (void)thread;
    float *d = r->out + i * r->channels * r->pixels;
    r->g->kernels->backward->scale(d, d, r->channels, r->pixels, r->x);
}

/* y = fma(s, scale, shift): the cotangent of y becomes that of s. */
static ptf_status epilogue_back(const ptf_gradient *g, int i, ptf_error *err)
{
    const ptf_back *n = &g->nodes[i];
    if (n->plain != NULL) {
        const float *x = ptf_gradient_value(g, g->net->nodes[i].inputs[0]);
        ptf_status status = ptf_plan_run(n->plain, x, g->count, n->sums, err);
        if (status != PTF_OK)
            return status;
        sum_channels(g, i, PTF_ROLE_SCALE, n->sums);
        sum_channels(g, i, PTF_ROLE_SHIFT, NULL);
    }
    sums_run run = {.g = g,
                    .x = n->scale,
                    .channels = ptf_gradient_channels(g, i),
                    .out = n->d};
    int64_t rows = ptf_gradient_rows(g, i);
    run.pixels = ptf_gradient_numel(g, i) / rows / run.channels;
    ptf_each(g->threads, g->count * rows, scale_image, &run);
    return PTF_OK;
}

ptf_status ptf_back_parameters(const ptf_gradient *g, int i, ptf_error *err)
{
    const ptf_back *n = &g->nodes[i];
    if (ptf_op_is(g->net->nodes[i].op, PTF_FAMILY_SOURCE)) {
        ptf_back_constant(g, i);
        return PTF_OK;
    }
    if (ptf_op_is(g->net->nodes[i].op, PTF_FAMILY_AFFINE)) {
        sum_channels(g, i, PTF_ROLE_WEIGHT,
                     ptf_gradient_value(g, g->net->nodes[i].inputs[0]));
        sum_channels(g, i, PTF_ROLE_BIAS, NULL);
        return PTF_OK;
    }
    if (ptf_op_is(g->net->nodes[i].op, PTF_FAMILY_NORM)) {
        ptf_back_norm(g, i);
        return PTF_OK;
    }
    ptf_status status = PTF_OK;
    if (g->net->nodes[i].tensors[PTF_ROLE_SCALE] != NULL)
        status = epilogue_back(g, i, err);
    if (status == PTF_OK && n->by[PTF_ROLE_WEIGHT] != NULL) {
        sum_channels(g, i, PTF_ROLE_BIAS, NULL);
        ptf_back_conv_weights(g, i);
    }
    return status;
}

/* -------------------------------------------------------------------- make */

static bool is_same(const ptf_tensor *a, const ptf_tensor *b)
{
    size_t dims = (size_t)a->rank * sizeof(int64_t);
    return a == b || (a->data == b->data && a->dtype == b->dtype &&
                      a->rank == b->rank && strcmp(a->name, b->name) == 0 &&
                      memcmp(a->shape, b->shape, dims) == 0 &&
                      memcmp(a->stride, b->stride, dims) == 0);
}

/* Where the last node before i that has the same parameter keeps its part. */
static const float **find_earlier(ptf_gradient *g, int i, const ptf_tensor *of)
{
    for (int k = i - 1; k > 0; k--) {
        for (int role = 0; role < PTF_ROLE_COUNT; role++) {
            const ptf_tensor *t = g->net->nodes[k].tensors[role];
            if (g->nodes[k].by[role] != NULL && is_same(t, of))
                return &g->nodes[k].later[role];
        }
    }
    return NULL;
}

static ptf_status add_tensor(ptf_gradient *g, int i, ptf_role role,
                             ptf_error *err)
{
    const ptf_tensor *of = g->net->nodes[i].tensors[role];
    ptf_tensor *t = &g->tensors[g->tensor_count];
    size_t floats = (size_t)ptf_tensor_numel(of);
    float *data = ptf_gradient_floats(g, floats);
    if (data == NULL)
        return ptf_fail_memory(err);
    const float **earlier = find_earlier(g, i, of);
    g->nodes[i].by[role] = data;
    if (earlier != NULL) {
        *earlier = data;
        return PTF_OK;
    }
    *t = (ptf_tensor){
        .name = of->name, .dtype = PTF_DTYPE_F32, .rank = of->rank};
    int64_t stride = 1;
    for (int d = of->rank - 1; d >= 0; d--) {
        t->shape[d] = of->shape[d];
        t->stride[d] = stride;
        stride *= of->shape[d];
    }
    t->data = data;
    g->tensor_count++;
    return PTF_OK;
}

ptf_status ptf_back_tensors(ptf_gradient *g, int i, ptf_error *err)
{
    static const ptf_role roles[] = {PTF_ROLE_WEIGHT, PTF_ROLE_BIAS,
                                     PTF_ROLE_SCALE, PTF_ROLE_SHIFT};
    ptf_status status = PTF_OK;
    for (size_t r = 0; r < PTF_ARRAY_SIZE(roles) && status == PTF_OK; r++) {
        if (g->net->nodes[i].tensors[roles[r]] != NULL)
            status = add_tensor(g, i, roles[r], err);
    }
    return status;
}
