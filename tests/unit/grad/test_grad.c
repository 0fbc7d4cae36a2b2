/*
 * Gradients of whole nets: against loops in double, the same bits however
 * they run, and the cases where a derivative is a convention.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "grad/grad.h"
#include "random_net.h"
#include "reference_grad.h"

#include <math.h>
#include <stdarg.h>

enum { NETS = 200, IMAGES = 3 };

/* ------------------------------------------------------------- one gradient */

/* A gradient with its inputs and cotangents. */
typedef struct run {
    ptf_gradient *g;
    int64_t inputs, outputs;
    float *in, *out, *cotangent;
} run;

static float *floats(int64_t n)
{
    float *f = calloc((size_t)n + 1, sizeof(float));
    assert_non_null(f);
    return f;
}

static void run_make(run *r, const ptf_net *net, const ptf_shape *input,
                     ptf_gradient_options options)
{
    ptf_error err;
    if (ptf_gradient_make(net, input, IMAGES, &options, &r->g, &err) != PTF_OK)
        fail_msg("%s", err.message);
    ptf_shape shape = ptf_gradient_output(r->g);
    r->inputs = ptf_shape_numel(input);
    r->outputs = ptf_shape_numel(&shape);
    r->in = floats(IMAGES * r->inputs);
    r->out = floats(IMAGES * r->outputs);
    r->cotangent = floats(IMAGES * r->outputs);
    ptf_random_fill(1, 0, r->in, (size_t)(IMAGES * r->inputs));
    ptf_random_fill(2, 0, r->cotangent, (size_t)(IMAGES * r->outputs));
    for (int64_t i = 0; i < IMAGES * r->inputs; i++)
        r->in[i] = 2.0F * r->in[i] - 1.0F;
    for (int64_t i = 0; i < IMAGES * r->outputs; i++)
        r->cotangent[i] = 2.0F * r->cotangent[i] - 1.0F;
}

static void run_back(run *r, int64_t count)
{
    ptf_error err;
    if (ptf_gradient_run(r->g, r->in, count, r->out, &err) != PTF_OK ||
        ptf_gradient_back(r->g, r->cotangent, &err) != PTF_OK)
        fail_msg("%s", err.message);
}

static void run_free(run *r)
{
    ptf_gradient_free(r->g);
    free(r->in);
    free(r->out);
    free(r->cotangent);
}

/* ---------------------------------------------------------- against doubles */

static double *widen(const float *x, int64_t n)
{
    double *d = calloc((size_t)n + 1, sizeof(double));
    for (int64_t i = 0; i < n; i++)
        d[i] = (double)x[i];
    return d;
}

/* Both arrays agree to 2e-4 of the largest number. */
static void expect_near(const float *got, const double *want, int64_t n,
                        const char *what, const char *text)
{
    double most = 1e-6, worst = 0;
    for (int64_t i = 0; i < n; i++) {
        most = fmax(most, fabs(want[i]));
        double off = fabs((double)got[i] - want[i]);
        worst = off > worst || isnan(off) ? off : worst;
    }
    if (!(worst <= 2e-4 * most))
        fail_msg("%s: off by %g of %g in\n%s", what, worst, most, text);
}

/* The tape's gradients of all images, added up for the parameters. */
static void expect_tape(const run *r, const ptf_net *net,
                        const ptf_shape *input, const char *text)
{
    tape one, sum;
    tape_init(&one, net, input);
    tape_init(&sum, net, input);
    for (int64_t n = 0; n < IMAGES; n++) {
        double *in = widen(r->in + n * r->inputs, r->inputs);
        double *d = widen(r->cotangent + n * r->outputs, r->outputs);
        expect_near(r->out + n * r->outputs, tape_run(&one, in), r->outputs,
                    "output", text);
        tape_back(&one, d);
        expect_near(ptf_gradient_input(r->g) + n * r->inputs, one.cotangent[0],
                    r->inputs, "input", text);
        for (int i = 0; i < net->node_count * PTF_ROLE_COUNT; i++) {
            int node = i / PTF_ROLE_COUNT, role = i % PTF_ROLE_COUNT;
            for (int64_t k = 0; k < one.parameter_numel[node][role]; k++)
                sum.gradient[node][role][k] += one.gradient[node][role][k];
        }
        free(in);
        free(d);
    }
    size_t tensor = 0;
    for (int i = 0; i < net->node_count * PTF_ROLE_COUNT; i++) {
        int node = i / PTF_ROLE_COUNT, role = i % PTF_ROLE_COUNT;
        if (sum.gradient[node][role] == NULL || role >= PTF_ROLE_RUNNING_MEAN)
            continue;
        assert_true(tensor < ptf_gradient_tensor_count(r->g));
        const ptf_tensor *t = ptf_gradient_tensor(r->g, tensor++);
        assert_string_equal(t->name, net->nodes[node].tensors[role]->name);
        expect_near(t->data, sum.gradient[node][role],
                    sum.parameter_numel[node][role], t->name, text);
    }
    assert_int_equal(tensor, ptf_gradient_tensor_count(r->g));
    tape_free(&one);
    tape_free(&sum);
}

static void random_nets_agree_with_loops_in_double(void **unused)
{
    (void)unused;
    for (uint64_t seed = 1; seed <= NETS; seed++) {
        random_net n;
        random_net_make(&n, seed);
        run r;
        run_make(&r, n.f.net, &n.input, (ptf_gradient_options){.threads = 1});
        run_back(&r, IMAGES);
        expect_tape(&r, n.f.net, &n.input, n.text);
        run_free(&r);
        random_net_free(&n);
    }
}

/* --------------------------------------------------------------- same bits */

static void expect_same(const run *a, const run *b, const char *text)
{
    size_t in = (size_t)(IMAGES * a->inputs) * sizeof(float);
    if (memcmp(ptf_gradient_input(a->g), ptf_gradient_input(b->g), in) != 0)
        fail_msg("the input's gradient differs in\n%s", text);
    for (size_t i = 0; i < ptf_gradient_tensor_count(a->g); i++) {
        const ptf_tensor *x = ptf_gradient_tensor(a->g, i);
        const ptf_tensor *y = ptf_gradient_tensor(b->g, i);
        if (memcmp(x->data, y->data, ptf_tensor_bytes(x)) != 0)
            fail_msg("%s differs in\n%s", x->name, text);
    }
}

static void expect_forward(const run *r, const ptf_net *net,
                           const ptf_shape *input)
{
    ptf_plan *plan;
    float *out = floats(IMAGES * r->outputs);
    assert_int_equal(ptf_plan_make(net, input, IMAGES, NULL, &plan, NULL),
                     PTF_OK);
    assert_int_equal(ptf_plan_run(plan, r->in, IMAGES, out, NULL), PTF_OK);
    assert_memory_equal(r->out, out,
                        (size_t)(IMAGES * r->outputs) * sizeof(float));
    ptf_plan_free(plan);
    free(out);
}

/* Every instruction set against the reference on one thread. */
static void expect_bits(const ptf_net *net, const ptf_shape *input, int threads,
                        float odd, const char *text)
{
    run ref;
    run_make(&ref, net, input,
             (ptf_gradient_options){.threads = 1, .isa = "ref"});
    ref.in[0] = ref.cotangent[0] = odd;
    run_back(&ref, IMAGES);
    for (int isa = 0; isa < PTF_ISA_COUNT; isa++) {
        if (!ptf_isa_here((ptf_isa)isa))
            continue;
        ptf_gradient_options how = {.threads = threads,
                                    .isa = ptf_isa_text((ptf_isa)isa),
                                    .runs = 10 * isa};
        run other;
        run_make(&other, net, input, how);
        other.in[0] = other.cotangent[0] = odd;
        run_back(&other, IMAGES);
        expect_same(&ref, &other, text);
        expect_forward(&other, net, input);
        run_free(&other);
    }
    run_free(&ref);
}

static void gradients_have_one_result_however_they_run(void **unused)
{
    (void)unused;
    const float odd[] = {0.5F, -0.0F, 1e-42F, (float)INFINITY, (float)NAN};
    for (uint64_t seed = 1; seed <= NETS / 2; seed++) {
        random_net n;
        random_net_make(&n, seed);
        expect_bits(n.f.net, &n.input, 1 + (int)(seed % 3), odd[seed % 5],
                    n.text);
        random_net_free(&n);
    }
}

/* Maps so large that their gradients are computed piece by piece. */
static void large_maps_have_one_result_too(void **unused)
{
    (void)unused;
    static const struct {
        const char *text;
        ptf_shape input;
    } nets[] = {
        {"Sequential(\n  (0): Conv1d(1, 2, kernel_size=(64,), "
         "stride=(1,))\n)\n",
         {2, {1, 20000}}},
        {"Sequential(\n  (0): Conv2d(2, 3, kernel_size=(9, 9), "
         "stride=(1, 1), padding=(2, 1))\n)\n",
         {3, {2, 99, 151}}},
        /* blocks of filters that are alone: more than are kept at once */
        {"Sequential(\n  (0): Conv1d(1, 1, kernel_size=(130,), "
         "stride=(1,), padding=(3,))\n)\n",
         {2, {1, 150000}}},
        {"Sequential(\n  (0): Conv2d(4, 2, kernel_size=(5, 3), "
         "stride=(2, 1), padding=(1, 2), groups=2)\n)\n",
         {3, {4, 71, 53}}},
    };
    for (size_t i = 0; i < PTF_ARRAY_SIZE(nets); i++) {
        fixture f;
        fixture_build(&f, nets[i].text);
        expect_bits(f.net, &nets[i].input, 2, 0.5F, nets[i].text);
        fixture_free(&f);
    }
}

/* Gradients of a batch are those of its images, added in order. */
static void a_batch_adds_up_its_images(void **unused)
{
    (void)unused;
    random_net n;
    random_net_make(&n, 7);
    run all, one;
    run_make(&all, n.f.net, &n.input, (ptf_gradient_options){0});
    run_make(&one, n.f.net, &n.input, (ptf_gradient_options){0});
    run_back(&all, IMAGES);
    size_t count = ptf_gradient_tensor_count(all.g);
    float *sums[FIXTURE_MAX];
    for (int64_t i = 0; i < IMAGES; i++) {
        memcpy(one.in, all.in + i * all.inputs,
               (size_t)all.inputs * sizeof(float));
        memcpy(one.cotangent, all.cotangent + i * all.outputs,
               (size_t)all.outputs * sizeof(float));
        run_back(&one, 1);
        assert_memory_equal(ptf_gradient_input(one.g),
                            ptf_gradient_input(all.g) + i * all.inputs,
                            (size_t)all.inputs * sizeof(float));
        for (size_t t = 0; t < count; t++) {
            const ptf_tensor *tensor = ptf_gradient_tensor(one.g, t);
            const float *g = tensor->data;
            int64_t numel = ptf_tensor_numel(tensor);
            if (i == 0)
                sums[t] = floats(numel);
            for (int64_t k = 0; k < numel; k++)
                sums[t][k] = i == 0 ? g[k] : sums[t][k] + g[k];
        }
    }
    for (size_t t = 0; t < count; t++) {
        const ptf_tensor *tensor = ptf_gradient_tensor(all.g, t);
        assert_memory_equal(tensor->data, sums[t], ptf_tensor_bytes(tensor));
        free(sums[t]);
    }
    run_free(&all);
    run_free(&one);
    random_net_free(&n);
}

/* Its weights' gradients are products of two numbers each. */
static void a_linear_layer_needs_no_room_for_sums(void **unused)
{
    (void)unused;
    fixture f;
    run r;
    fixture_init(&f, "Sequential(\n  (0): Linear(in_features=5000, "
                     "out_features=1, bias=True)\n)\n");
    fixture_make(&f);
    run_make(&r, f.net, &(ptf_shape){1, {5000}}, (ptf_gradient_options){0});
    assert_int_equal(r.g->reached_floats, 0);
    run_free(&r);
    fixture_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_linear_layer_needs_no_room_for_sums),
        cmocka_unit_test(gradients_have_one_result_however_they_run),
        cmocka_unit_test(large_maps_have_one_result_too),
        cmocka_unit_test(a_batch_adds_up_its_images),
        cmocka_unit_test(random_nets_agree_with_loops_in_double),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
