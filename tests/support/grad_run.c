/*
 * SPDX-License-Identifier: Apache-2.0
 */
#include "grad_run.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>

/* ------------------------------------------------------------- one gradient */

float *grad_floats(int64_t n)
{
    float *f = calloc((size_t)n + 1, sizeof(float));
    assert_non_null(f);
    return f;
}

void grad_run_make(grad_run *r, const ptf_net *net, const ptf_shape *input,
                   ptf_gradient_options options)
{
    ptf_error err;
    if (ptf_gradient_make(net, input, GRAD_IMAGES, &options, &r->g, &err) !=
        PTF_OK)
        fail_msg("%s", err.message);
    ptf_shape shape = ptf_gradient_output(r->g, 0);
    r->inputs = ptf_shape_numel(input);
    r->outputs = ptf_shape_numel(&shape);
    r->in = grad_floats(GRAD_IMAGES * r->inputs);
    r->out = grad_floats(GRAD_IMAGES * r->outputs);
    r->cotangent = grad_floats(GRAD_IMAGES * r->outputs);
    ptf_random_fill(1, 0, r->in, (size_t)(GRAD_IMAGES * r->inputs));
    ptf_random_fill(2, 0, r->cotangent, (size_t)(GRAD_IMAGES * r->outputs));
    for (int64_t i = 0; i < GRAD_IMAGES * r->inputs; i++)
        r->in[i] = 2.0F * r->in[i] - 1.0F;
    for (int64_t i = 0; i < GRAD_IMAGES * r->outputs; i++)
        r->cotangent[i] = 2.0F * r->cotangent[i] - 1.0F;
}

void grad_run_back(grad_run *r, int64_t count)
{
    ptf_error err;
    if (ptf_gradient_run(r->g, r->in, count, r->out, &err) != PTF_OK ||
        ptf_gradient_back(r->g, r->cotangent, &err) != PTF_OK)
        fail_msg("%s", err.message);
}

void grad_run_free(grad_run *r)
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

/* Both arrays agree to 2e-4 of the largest number, or of 'most'. */
static void expect_near(const float *got, const double *want, int64_t n,
                        double most, const char *what, const char *text)
{
    double worst = 0;
    for (int64_t i = 0; i < n; i++) {
        most = fmax(most, fabs(want[i]));
        double off = fabs((double)got[i] - want[i]);
        worst = off > worst || isnan(off) ? off : worst;
    }
    if (!(worst <= 2e-4 * most))
        fail_msg("%s: off by %g of %g in\n%s", what, worst, most, text);
}

/* The largest number among the parameters' gradients. */
static double largest_gradient(const ptf_gradient *g)
{
    double most = 0;
    for (size_t i = 0; i < ptf_gradient_tensor_count(g); i++) {
        const ptf_tensor *t = ptf_gradient_tensor(g, i);
        const float *x = t->data;
        for (int64_t k = 0; k < ptf_tensor_numel(t); k++)
            most = fmax(most, fabs((double)x[k]));
    }
    return most;
}

/*
 * The tape's gradients of all images, added up for the parameters.  What is
 * exactly 0 (a bias before a softmax) is a sum of rounding errors of the
 * others' size, so a tensor is also near when it is off by a thousandth of
 * what the largest may be.
 */
void grad_expect_tape(const grad_run *r, const ptf_net *net,
                      const ptf_shape *input, double least, const char *text)
{
    tape one, sum;
    tape_init(&one, net, input);
    tape_init(&sum, net, input);
    least = fmax(least, 1e-3 * largest_gradient(r->g));
    for (int64_t n = 0; n < GRAD_IMAGES; n++) {
        double *in = widen(r->in + n * r->inputs, r->inputs);
        double *d = widen(r->cotangent + n * r->outputs, r->outputs);
        expect_near(r->out + n * r->outputs, tape_run(&one, in), r->outputs,
                    least, "output", text);
        tape_back(&one, d);
        expect_near(ptf_gradient_input(r->g, 0) + n * r->inputs,
                    one.cotangent[0], r->inputs, least, "input", text);
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
                    sum.parameter_numel[node][role], least, t->name, text);
    }
    assert_int_equal(tensor, ptf_gradient_tensor_count(r->g));
    tape_free(&one);
    tape_free(&sum);
}

static void expect_same(const grad_run *a, const grad_run *b, const char *text)
{
    size_t in = (size_t)(GRAD_IMAGES * a->inputs) * sizeof(float);
    if (memcmp(ptf_gradient_input(a->g, 0), ptf_gradient_input(b->g, 0), in) !=
        0)
        fail_msg("the input's gradient differs in\n%s", text);
    for (size_t i = 0; i < ptf_gradient_tensor_count(a->g); i++) {
        const ptf_tensor *x = ptf_gradient_tensor(a->g, i);
        const ptf_tensor *y = ptf_gradient_tensor(b->g, i);
        if (memcmp(x->data, y->data, ptf_tensor_bytes(x)) != 0)
            fail_msg("%s differs in\n%s", x->name, text);
    }
}

static void expect_forward(const grad_run *r, const ptf_net *net,
                           const ptf_shape *input)
{
    ptf_plan *plan;
    float *out = grad_floats(GRAD_IMAGES * r->outputs);
    assert_int_equal(ptf_plan_make(net, input, GRAD_IMAGES, NULL, &plan, NULL),
                     PTF_OK);
    assert_int_equal(ptf_plan_run(plan, r->in, GRAD_IMAGES, out, NULL), PTF_OK);
    assert_memory_equal(r->out, out,
                        (size_t)(GRAD_IMAGES * r->outputs) * sizeof(float));
    ptf_plan_free(plan);
    free(out);
}

/* Every instruction set against the reference on one thread. */
void grad_expect_bits(const ptf_net *net, const ptf_shape *input, int threads,
                      float odd, const char *text)
{
    grad_run ref;
    grad_run_make(&ref, net, input,
                  (ptf_gradient_options){.threads = 1, .isa = "ref"});
    ref.in[0] = ref.cotangent[0] = odd;
    grad_run_back(&ref, GRAD_IMAGES);
    for (int isa = 0; isa < PTF_ISA_COUNT; isa++) {
        if (!ptf_isa_here((ptf_isa)isa))
            continue;
        ptf_gradient_options how = {.threads = threads,
                                    .isa = ptf_isa_text((ptf_isa)isa),
                                    .runs = 10 * isa};
        grad_run other;
        grad_run_make(&other, net, input, how);
        other.in[0] = other.cotangent[0] = odd;
        grad_run_back(&other, GRAD_IMAGES);
        expect_same(&ref, &other, text);
        expect_forward(&other, net, input);
        grad_run_free(&other);
    }
    grad_run_free(&ref);
}

/* ------------------------------------------------------------------- images */

enum { MOST_TENSORS = 128 };

void grad_expect_images(const ptf_net *net, const ptf_shape *input)
{
    grad_run all, one;
    grad_run_make(&all, net, input, (ptf_gradient_options){0});
    grad_run_make(&one, net, input, (ptf_gradient_options){0});
    grad_run_back(&all, GRAD_IMAGES);
    size_t count = ptf_gradient_tensor_count(all.g);
    float *sums[MOST_TENSORS];
    assert_true(count <= MOST_TENSORS);
    for (int64_t i = 0; i < GRAD_IMAGES; i++) {
        memcpy(one.in, all.in + i * all.inputs,
               (size_t)all.inputs * sizeof(float));
        memcpy(one.cotangent, all.cotangent + i * all.outputs,
               (size_t)all.outputs * sizeof(float));
        grad_run_back(&one, 1);
        assert_memory_equal(ptf_gradient_input(one.g, 0),
                            ptf_gradient_input(all.g, 0) + i * all.inputs,
                            (size_t)all.inputs * sizeof(float));
        for (size_t t = 0; t < count; t++) {
            const ptf_tensor *tensor = ptf_gradient_tensor(one.g, t);
            const float *g = tensor->data;
            int64_t numel = ptf_tensor_numel(tensor);
            if (i == 0)
                sums[t] = grad_floats(numel);
            for (int64_t k = 0; k < numel; k++)
                sums[t][k] = i == 0 ? g[k] : sums[t][k] + g[k];
        }
    }
    for (size_t t = 0; t < count; t++) {
        const ptf_tensor *tensor = ptf_gradient_tensor(all.g, t);
        assert_memory_equal(tensor->data, sums[t], ptf_tensor_bytes(tensor));
        free(sums[t]);
    }
    grad_run_free(&all);
    grad_run_free(&one);
}
