/*
 * Norms by the sample, and reductions in double: against what PyTorch gave
 * (norms.inc), and drawn at random against loops over positions; their rules.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "norms.h"
#include "ports.h"

#include <math.h>
#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

/* By the input, the weight and the bias, one after the other. */
static float *back(const layer *l, const float *in, const float *d,
                   const char *isa, int threads, int64_t images)
{
    ptf_gradient_options options = {.threads = threads, .isa = isa};
    ptf_gradient *g;
    ptf_error err;
    int64_t n = images * ptf_shape_numel(&l->c.shapes[0]);
    float *dx = floats(n + 2 * WEIGHTS);
    float *out = floats(images * ptf_shape_numel(last(&l->c)));
    if (ptf_gradient_make(&l->c.net, &l->c.shapes[0], images, &options, &g,
                          &err) ||
        ptf_gradient_run(g, in, images, out, &err) ||
        ptf_gradient_back(g, d, &err))
        fail_msg("%s", err.message);
    memcpy(dx, ptf_gradient_input(g, 0), (size_t)n * sizeof(float));
    assert_int_equal(ptf_gradient_tensor_count(g), l->c.net.tensor_count);
    for (size_t i = 0; i < ptf_gradient_tensor_count(g); i++) {
        const ptf_tensor *t = ptf_gradient_tensor(g, i);
        bool weight = strcmp(t->name, "weight") == 0;
        memcpy(dx + n + (weight ? 0 : WEIGHTS), t->data,
               (size_t)ptf_tensor_numel(t) * sizeof(float));
    }
    ptf_gradient_free(g);
    free(out);
    return dx;
}

static void expect_bits(const char *what, const char *isa, const float *want,
                        float *got, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        if (memcmp(want + i, got + i, sizeof(float)) != 0)
            fail_msg("%s with %s: number %lld is %a, expected %a", what, isa,
                     (long long)i, (double)got[i], (double)want[i]);
    }
    free(got);
}

/* ------------------------------------------------------------- of PyTorch */

enum { IMAGES = 3 };

/* Two samples; see norms.py. */
static const struct {
    const char *label;
    ptf_op op;
    ptf_attrs attrs;
    ptf_shape in, weights;
    double y[64], dx[64], dw[WEIGHTS], db[WEIGHTS];
} norms[] = {
#include "norms.inc"
};

/* PyTorch's double, rounded; where it is near a tie, the other one. */
static void expect_near(const char *label, const double *want, const float *got,
                        int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        double off = fabs((double)got[i] - want[i]);
        if (!(off <= 0x1.001p-24 * fabs(want[i]) + 1e-14))
            fail_msg("%s: number %lld is %a, expected %a", label, (long long)i,
                     (double)got[i], want[i]);
    }
}

static void start_norm(layer *l, size_t k)
{
    ptf_attrs attrs = norms[k].attrs;
    memset(l, 0, sizeof(*l));
    attrs.affine = attrs.has_bias = norms[k].weights.rank > 0;
    norms_make(l, norms[k].op, &attrs, &norms[k].in);
    for (int i = 0; i < WEIGHTS; i++) {
        l->w[i] = (float)(1 + i % 5 / 4.0);
        l->b[i] = (float)(i % 3 / 2.0 - 0.5);
    }
}

static void what_pytorch_gives(void **unused)
{
    (void)unused;
    for (size_t k = 0; k < PTF_ARRAY_SIZE(norms); k++) {
        layer l;
        float in[64], d[64];
        start_norm(&l, k);
        int64_t n = 2 * ptf_shape_numel(&norms[k].in);
        int64_t outputs = 2 * ptf_shape_numel(last(&l.c));
        for (int i = 0; i < 64; i++) {
            in[i] = (float)((i * 37 % 101 - 50) / 16.0);
            d[i] = (float)(i % 7 - 2);
        }
        float *y = norms_run(&l, in, NULL, 2, 2),
              *dx = back(&l, in, d, NULL, 2, 2);
        expect_near(norms[k].label, norms[k].y, y, outputs);
        expect_near(norms[k].label, norms[k].dx, dx, n);
        /* The samples' gradients are rounded before they are added. */
        for (int i = 0; i < WEIGHTS; i++) {
            assert_true(fabs((double)dx[n + i] - norms[k].dw[i]) < 2e-6);
            assert_true(fabs((double)dx[n + WEIGHTS + i] - norms[k].db[i]) <
                        2e-6);
        }
        free(y);
        free(dx);
        finish(&l.c);
    }
}

/* ------------------------------------------------------------- by position */

/* One group, or the terms of one output, by the formulas of kernel.h. */
typedef struct group {
    double sum, square, n, mean, size;
    double a, b; /* sums of d w, and of that times h */
} group;

static group groups[GROUPS];

static void measure(const layer *l, const float *x)
{
    int64_t n = ptf_shape_numel(&l->c.shapes[0]);
    double eps = l->c.nodes[1].attrs.eps;
    bool centred = norms_centred(l);
    memset(groups, 0, sizeof(groups));
    for (int64_t i = 0; i < n; i++) {
        group *g = &groups[norms_belonging(l, i).group];
        g->sum = g->sum + (double)x[i];
        g->n++;
    }
    for (int64_t i = 0; i < n; i++)
        groups[i].mean = centred ? groups[i].sum / groups[i].n : 0.0;
    for (int64_t i = 0; i < n; i++) {
        group *g = &groups[norms_belonging(l, i).group];
        double t = (double)x[i] - g->mean;
        g->square = g->square + t * t;
    }
    for (int64_t i = 0; i < n; i++)
        groups[i].size = sqrt(groups[i].square / groups[i].n + eps);
}

static float one_nan(double x)
{
    return isnan(x) ? (float)NAN : (float)x;
}

static void norm_by_position(const layer *l, const float *x, const float *d,
                             float *y, float *dx, double *dw, double *db)
{
    const ptf_node *node = &l->c.nodes[1];
    const ptf_shape *in = &l->c.shapes[0];
    int64_t n = ptf_shape_numel(in);
    bool bias = node->tensors[PTF_ROLE_BIAS] != NULL;
    for (int64_t i = 0; i < n; i++) {
        belonging of = norms_belonging(l, i);
        group *g = &groups[of.group];
        double w = norms_weight(l, of.weight), t = (double)x[i] - g->mean;
        double v = t * (w / g->size), h = t / g->size;
        y[i] = one_nan(bias ? v + (double)l->b[of.weight] : v);
        g->a = g->a + (double)d[i] * w;
        g->b = g->b + (double)d[i] * w * h;
        dw[of.weight] = dw[of.weight] + (double)d[i] * h;
        db[of.weight] = db[of.weight] + (double)d[i];
    }
    for (int64_t i = 0; i < n; i++) {
        belonging of = norms_belonging(l, i);
        const group *g = &groups[of.group];
        double a = node->op == PTF_OP_RMS_NORM ? 0.0 : g->a / g->n;
        double h = ((double)x[i] - g->mean) / g->size;
        double t = (double)d[i] * norms_weight(l, of.weight);
        dx[i] = one_nan(((t - a) - h * (g->b / g->n)) / g->size);
    }
}

static void reduce_by_position(const layer *l, const float *x, const float *d,
                               float *y, float *dx)
{
    const ptf_node *node = &l->c.nodes[1];
    const ptf_shape *in = &l->c.shapes[0];
    for (int64_t i = 0; i < ptf_shape_numel(in); i++) {
        int64_t o = target(node, in, i);
        const group *g = &groups[o];
        double own = (double)d[o], t = (double)x[i] - g->mean, root;
        double left =
            node->op == PTF_OP_VECTOR_NORM ? 1.0 : g->n - node->attrs.p[0];
        root = sqrt(g->square / left);
        y[o] = one_nan(node->op == PTF_OP_VAR ? g->square / left : root);
        if (node->op == PTF_OP_VAR)
            dx[i] = one_nan(own * (2.0 * t) / left);
        else
            dx[i] = root > 0 || isnan(root) ? one_nan(own * t / (left * root))
                                            : 0.0F;
    }
}

/* All images: outputs, and gradients as back() gives them. */
static void by_position(const layer *l, const float *in, const float *d,
                        float *y, float *dx)
{
    int64_t n = ptf_shape_numel(&l->c.shapes[0]);
    int64_t outputs = ptf_shape_numel(last(&l->c));
    float *dw = dx + IMAGES * n;
    memset(dw, 0, 2 * WEIGHTS * sizeof(float));
    for (int image = 0; image < IMAGES; image++) {
        double sums[2 * WEIGHTS] = {0};
        const float *x = in + image * n, *own = d + image * outputs;
        measure(l, x);
        if (ptf_op_is(l->c.nodes[1].op, PTF_FAMILY_REDUCE))
            reduce_by_position(l, x, own, y + image * outputs, dx + image * n);
        else
            norm_by_position(l, x, own, y + image * outputs, dx + image * n,
                             sums, sums + WEIGHTS);
        for (size_t i = 0; i < 2; i++)
            for (int k = 0; k < WEIGHTS && i < l->c.net.tensor_count; k++) {
                float one = (float)sums[i * WEIGHTS + (size_t)k];
                float *to = &dw[i * WEIGHTS + (size_t)k];
                *to = one_nan(image > 0 ? (double)(*to + one) : (double)one);
            }
    }
}

/* ---------------------------------------------------------------- at random */

static void loops_give_the_same_bits(void **unused)
{
    (void)unused;
    for (uint64_t seed = 0; seed < 600; seed++) {
        layer l;
        norms_draw(&l, seed);
        const char *name = l.c.nodes[1].name;
        int64_t n = ptf_shape_numel(&l.c.shapes[0]);
        int64_t outputs = ptf_shape_numel(last(&l.c));
        float *in = floats(IMAGES * n), *d = floats(IMAGES * outputs);
        float *want = floats(IMAGES * outputs);
        float *dx = floats(IMAGES * n + 2 * WEIGHTS);
        fill(in, IMAGES * n, (int64_t)(seed % 3) * 20);
        fill(d, IMAGES * outputs, seed % 4 == 0 ? 30 : 0);
        by_position(&l, in, d, want, dx);
        for (int isa = 0; isa < PTF_ISA_COUNT; isa++) {
            const char *of = ptf_isa_text((ptf_isa)isa);
            int threads = (int)(seed + (uint64_t)isa) % 3 + 1;
            if (!ptf_isa_here((ptf_isa)isa))
                continue;
            expect_bits(name, of, want, norms_run(&l, in, of, threads, IMAGES),
                        IMAGES * outputs);
            expect_bits(name, of, dx, back(&l, in, d, of, threads, IMAGES),
                        IMAGES * n + 2 * WEIGHTS);
        }
        free(in);
        free(d);
        free(want);
        free(dx);
        finish(&l.c);
    }
}

/* The gradient of one number is 0: it is always its own mean. */
static void one_number_has_no_slope(void **unused)
{
    (void)unused;
    layer l = {0};
    const ptf_attrs attrs = {.size = {1, {1}}, .eps = 1e-5};
    const float x[] = {1e6F, -3, 0.1F}, d[] = {7, -1e6F, 0.3F};
    norms_make(&l, PTF_OP_LAYER_NORM, &attrs, &(ptf_shape){2, {3, 1}});
    float *y = norms_run(&l, x, NULL, 1, 1), *dx = back(&l, x, d, NULL, 1, 1);
    for (int i = 0; i < 3; i++)
        assert_true(!(fabsf(y[i]) > 0) && !(fabsf(dx[i]) > 0));
    free(y);
    free(dx);
    finish(&l.c);
}

/* log of one e^x is x, of two x + log 2, of -inf -inf, of inf inf. */
static void log_sum_exp_of_few(void **unused)
{
    (void)unused;
    layer l = {0};
    const ptf_attrs attrs = {.dims = {1, {2}}};
    const float inf = INFINITY;
    const float x[] = {80, 80, -inf, -inf, inf, 1, -inf, 3, NAN, inf, 1e30F, 0};
    const float want[] = {(float)(80 + log(2)), -inf, inf, 3, NAN, 1e30F};
    norms_make(&l, PTF_OP_LOGSUMEXP, &attrs, &(ptf_shape){2, {6, 2}});
    for (int isa = 0; isa < PTF_ISA_COUNT; isa++) {
        if (ptf_isa_here((ptf_isa)isa))
            expect_bits("logsumexp", ptf_isa_text((ptf_isa)isa), want,
                        norms_run(&l, x, ptf_isa_text((ptf_isa)isa), 1, 1), 6);
    }
    finish(&l.c);
}

/* Groups and weights so many that they are cut between threads. */
static void large_maps_are_cut_between_threads(void **unused)
{
    (void)unused;
    static const struct {
        ptf_op op;
        ptf_attrs attrs;
    } cases[] = {
        {PTF_OP_LAYER_NORM, {.size = {1, {61}}, .affine = true}},
        {PTF_OP_RMS_NORM, {.size = {1, {61}}, .affine = true}},
        {PTF_OP_GROUP_NORM, {.in_channels = 37, .groups = 37, .affine = true}},
        {PTF_OP_INSTANCE_NORM2D, {.in_channels = 37, .affine = true}},
        {PTF_OP_VAR, {.dims = {1, {1}}}},
        {PTF_OP_STD, {.dims = {2, {2, 3}}}},
    };
    const ptf_shape shape = {3, {37, 45, 61}};
    int64_t n = ptf_shape_numel(&shape);
    float *x = floats(n), *d = floats(n);
    draws = 5;
    fill(x, n, 0);
    fill(d, n, 0);
    for (size_t k = 0; k < PTF_ARRAY_SIZE(cases); k++) {
        layer l = {0};
        ptf_attrs attrs = cases[k].attrs;
        attrs.has_bias = true;
        attrs.eps = 1e-5;
        norms_make(&l, cases[k].op, &attrs, &shape);
        fill(l.w, WEIGHTS, 0);
        int64_t outputs = ptf_shape_numel(last(&l.c));
        float *y = norms_run(&l, x, "ref", 1, 1),
              *dx = back(&l, x, d, "ref", 1, 1);
        expect_bits(l.c.nodes[1].name, "3 threads", y,
                    norms_run(&l, x, NULL, 3, 1), outputs);
        expect_bits(l.c.nodes[1].name, "3 threads", dx,
                    back(&l, x, d, NULL, 3, 1), n + 2 * WEIGHTS);
        free(y);
        free(dx);
        finish(&l.c);
    }
    free(x);
    free(d);
}

/* ------------------------------------------------------------------- rules */

static void what_does_not_fit_is_refused(void **unused)
{
    (void)unused;
    static const struct {
        ptf_op op;
        ptf_attrs attrs;
        const char *why; /* begins so */
    } cases[] = {
        {PTF_OP_LAYER_NORM, {.size = {0}}, "an empty normalized_shape"},
        {PTF_OP_LAYER_NORM, {.size = {1, {3}}}, "its input does not end"},
        {PTF_OP_LAYER_NORM, {.size = {2, {2, 4}}}, "its input does not end"},
        {PTF_OP_RMS_NORM, {.size = {4, {2, 2, 3, 4}}}, "its input does not"},
        {PTF_OP_RMS_NORM,
         {.size = {3, {1 << 30, 1 << 30, 1 << 30}}},
         "a normalized_shape that is larger"},
        {PTF_OP_LAYER_NORM,
         {.size = {1, {4}}, .eps = -1e-5},
         "an eps that is less than 0"},
        {PTF_OP_GROUP_NORM,
         {.in_channels = 2, .groups = 2, .eps = (double)NAN},
         "an eps that is less than 0, or no number"},
        {PTF_OP_GROUP_NORM,
         {.in_channels = 6, .groups = 4},
         "num_channels that num_groups does not divide"},
        {PTF_OP_GROUP_NORM, {.in_channels = 6, .groups = 2}, "channels"},
        {PTF_OP_INSTANCE_NORM2D, {.in_channels = 3}, "channels"},
        {PTF_OP_INSTANCE_NORM1D, {.in_channels = 2}, "it takes channels x len"},
        {PTF_OP_INSTANCE_NORM3D, {.in_channels = 2}, "it takes channels x dep"},
        {PTF_OP_INSTANCE_NORM2D,
         {.in_channels = 2, .track_running_stats = true},
         "it has track_running_stats=True"},
        {PTF_OP_VAR, {.dims = {1, {2}}, .p = {3}}, "its correction leaves"},
        {PTF_OP_STD, {.dims = {1, {2}}, .p = {(double)NAN}}, "its correction"},
        {PTF_OP_LOGSUMEXP, {.dims = {1, {0}}}, "it would mix the samples"},
    };
    const ptf_shape in = {3, {2, 3, 4}};
    for (size_t k = 0; k < PTF_ARRAY_SIZE(cases); k++) {
        ptf_shape out;
        ptf_attrs attrs = cases[k].attrs;
        const char *wrong = ptf_op_settle(cases[k].op, &attrs);
        if (wrong == NULL)
            wrong = ptf_op_shape(cases[k].op, &attrs, &in, 1, &out);
        if (wrong == NULL ||
            strncmp(wrong, cases[k].why, strlen(cases[k].why)) != 0)
            fail_msg("case %zu: %s", k, wrong != NULL ? wrong : "taken");
    }
    const ptf_shape flat = {0, {0}};
    ptf_shape out;
    const ptf_attrs channels = {.in_channels = 1, .groups = 1};
    assert_string_equal(
        ptf_op_shape(PTF_OP_GROUP_NORM, &channels, &flat, 1, &out),
        "it takes channels");
}

/* Which positions a number depends on, by NaN at one of them. */
static void reach_is_what_a_run_shows(void **unused)
{
    (void)unused;
    for (uint64_t seed = 2000; seed < 2400; seed++) {
        layer l;
        norms_draw(&l, seed);
        const ptf_node *node = &l.c.nodes[1];
        const ptf_shape *in = &l.c.shapes[0], *out = last(&l.c);
        ptf_partial_shape known = {in->rank + 1, in->dim[0]}, partial;
        assert_null(
            ptf_op_partial_shape(node->op, &node->attrs, known, &partial));
        assert_int_equal(partial.rank, out->rank + 1);
        bool stay = node->attrs.keepdim || ptf_op_is(node->op, PTF_FAMILY_NORM);
        for (int d = 0; d < in->rank && stay; d++) {
            if (ptf_op_reach(node->op, &node->attrs, out->rank + 1, d + 1)
                    .kind != PTF_REACH_EACH)
                continue;
            int64_t at = between(0, in->dim[d] - 1), place[PTF_SHAPE_MAX];
            float *x = floats(ptf_shape_numel(in));
            fill(x, ptf_shape_numel(in), 0);
            for (int64_t i = 0; i < ptf_shape_numel(in); i++) {
                positions(i, in, place);
                x[i] = place[d] == at ? (float)NAN : x[i];
            }
            float *y = norms_run(&l, x, NULL, 1, 1);
            for (int64_t i = 0; i < ptf_shape_numel(out); i++) {
                positions(i, out, place);
                assert_int_equal(isnan(y[i]), place[d] == at);
            }
            free(x);
            free(y);
        }
        finish(&l.c);
    }
}

/* As print(model) writes them, since 1.13 and since 2.13. */
static void texts_are_read_and_written(void **unused)
{
    (void)unused;
    static const struct {
        ptf_op op;
        const char *text, *again; /* NULL: as it was */
    } cases[] = {
        {PTF_OP_LAYER_NORM, "(8,), eps=1e-05, elementwise_affine=True", NULL},
        {PTF_OP_LAYER_NORM,
         "(2, 3), eps=1e-06, elementwise_affine=True, bias=False", NULL},
        {PTF_OP_LAYER_NORM,
         "(8,), eps=1e-05, elementwise_affine=True, bias=True",
         "(8,), eps=1e-05, elementwise_affine=True"},
        {PTF_OP_GROUP_NORM, "2, 4, eps=1e-05, affine=True", NULL},
        {PTF_OP_GROUP_NORM, "4, 4, eps=0.001, affine=False, bias=False", NULL},
        {PTF_OP_INSTANCE_NORM2D,
         "3, eps=1e-05, momentum=0.1, affine=False, "
         "track_running_stats=False",
         NULL},
        {PTF_OP_RMS_NORM, "(4,), eps=None, elementwise_affine=True", NULL},
        {PTF_OP_RMS_NORM, "(4, 5), eps=1e-06, elementwise_affine=False", NULL},
    };
    ptf_arena arena = {0};
    for (size_t k = 0; k < PTF_ARRAY_SIZE(cases); k++) {
        ptf_attrs attrs;
        char message[256], want[256];
        const char *text = cases[k].text;
        const char *again = cases[k].again != NULL ? cases[k].again : text;
        if (ptf_attrs_parse(cases[k].op, "", text, strlen(text), &attrs,
                            message))
            fail_msg("%s: %s", text, message);
        snprintf(want, sizeof(want), "%s(%s)",
                 ptf_op_info(cases[k].op)->class_name, again);
        assert_string_equal(ptf_op_text(&arena, cases[k].op, &attrs), want);
        if (cases[k].op == PTF_OP_RMS_NORM && attrs.eps_none)
            assert_true(fabs(attrs.eps - 0x1p-23) < 1e-20);
    }
    ptf_arena_free(&arena);
}

/* An instance norm with running statistics, and norms of any rank. */
static void classes_that_are_batch_norms(void **unused)
{
    (void)unused;
    static const struct {
        ptf_op op;
        const char *class_name;
        bool tracks;
        int rank;
        ptf_op want;
    } cases[] = {
        {PTF_OP_INSTANCE_NORM1D, "InstanceNorm1d", true, 3, PTF_OP_BATCHNORM1D},
        {PTF_OP_INSTANCE_NORM3D, "InstanceNorm3d", true, 5, PTF_OP_BATCHNORM3D},
        {PTF_OP_INSTANCE_NORM2D, "InstanceNorm2d", false, 4,
         PTF_OP_INSTANCE_NORM2D},
        {PTF_OP_BATCHNORM2D, "SyncBatchNorm", true, 5, PTF_OP_BATCHNORM3D},
        {PTF_OP_BATCHNORM2D, "SyncBatchNorm", true, 2, PTF_OP_BATCHNORM1D},
        {PTF_OP_BATCHNORM2D, "SyncBatchNorm", true, 0, PTF_OP_BATCHNORM2D},
        {PTF_OP_BATCHNORM3D, "BatchNorm3d", true, 5, PTF_OP_BATCHNORM3D},
    };
    for (size_t k = 0; k < PTF_ARRAY_SIZE(cases); k++) {
        const ptf_attrs attrs = {.track_running_stats = cases[k].tracks};
        const char *name = cases[k].class_name;
        assert_int_equal(
            ptf_op_fit(cases[k].op, name, strlen(name), &attrs, cases[k].rank),
            cases[k].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_pytorch_gives),
        cmocka_unit_test(loops_give_the_same_bits),
        cmocka_unit_test(one_number_has_no_slope),
        cmocka_unit_test(log_sum_exp_of_few),
        cmocka_unit_test(large_maps_are_cut_between_threads),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(reach_is_what_a_run_shows),
        cmocka_unit_test(texts_are_read_and_written),
        cmocka_unit_test(classes_that_are_batch_norms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
