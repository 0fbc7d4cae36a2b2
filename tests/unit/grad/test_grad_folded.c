/*
 * Gradients of nets and of their folded forms.  Folding puts w' = s w and
 * b' = s (b - mean) + beta, s = gamma / sqrt(var + eps), in the place of a
 * layer and its batch norm, so that by the chain rule
 *
 *     by w      s times that by w', and for b alike
 *     by beta   that by b'
 *     by gamma  (the sum of w times that by w', and b - mean times that by b')
 *               / sqrt(var + eps)
 *
 * and everything else is the same.  The folded numbers were rounded, so no
 * gradient may be off by more than 2^-17 of the largest in its tensor, and
 * 2^-22 of the largest gradient of the net, for tensors whose sums cancel.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "random_net.h"

#include <math.h>
#include <stdarg.h>

enum { NETS = 150 };

static ptf_gradient *gradient_of(const ptf_net *net, const ptf_shape *input)
{
    ptf_gradient *g;
    ptf_error err;
    if (ptf_gradient_make(net, input, 1, NULL, &g, &err) != PTF_OK)
        fail_msg("%s", err.message);
    ptf_shape shape = ptf_gradient_output(g, 0);
    size_t inputs = (size_t)ptf_shape_numel(input);
    size_t outputs = (size_t)ptf_shape_numel(&shape);
    float *in = calloc(inputs + 2 * outputs, sizeof(float));
    assert_non_null(in);
    float *out = in + inputs, *cotangent = out + outputs;
    ptf_random_fill(1, 0, in, inputs);
    ptf_random_fill(2, 0, cotangent, outputs);
    if (ptf_gradient_run(g, in, 1, out, &err) != PTF_OK ||
        ptf_gradient_back(g, cotangent, &err) != PTF_OK)
        fail_msg("%s", err.message);
    free(in);
    return g;
}

/* A net with its folded form, and a layer of both. */
typedef struct pair {
    const random_net *net;
    ptf_net *folded;
    ptf_gradient *a, *b;
    double most; /* the largest gradient of the net */
} pair;

static void expect_near(const pair *p, const char *name, const float *got,
                        const double *want, int64_t n)
{
    double most = 0;
    for (int64_t i = 0; i < n; i++)
        most = fmax(most, fabs(want[i]));
    double owed = 0x1p-17 * most + 0x1p-22 * p->most;
    for (int64_t i = 0; i < n; i++) {
        if (!(fabs((double)got[i] - want[i]) <= owed))
            fail_msg("%s[%d]: %g, from the folded net %g (allowed: %g) in\n%s",
                     name, (int)i, (double)got[i], want[i], owed, p->net->text);
    }
}

/* Gradients by a parameter of a layer, or NULL: the layer has no such. */
static const float *by(const ptf_gradient *g, const ptf_node *node,
                       ptf_role role)
{
    char name[64];
    snprintf(name, sizeof(name), "%s.%s", node->name, ptf_role_name(role));
    for (size_t i = 0; i < ptf_gradient_tensor_count(g); i++) {
        if (strcmp(ptf_gradient_tensor(g, i)->name, name) == 0)
            return ptf_gradient_tensor(g, i)->data;
    }
    return NULL;
}

static const float *numbers(const ptf_node *node, ptf_role role)
{
    return node->tensors[role] != NULL ? node->tensors[role]->data : NULL;
}

/* What became of node i of the original; NULL: it is in another one. */
static const ptf_node *folded_from(const ptf_net *folded, int i)
{
    for (int k = 1; k < folded->node_count; k++) {
        if (folded->nodes[k].origin == i)
            return &folded->nodes[k];
    }
    return NULL;
}

/* Layer i of the original, and the batch norm (or NULL) that went into it. */
static void expect_chain_rule(const pair *p, int i, const ptf_node *norm)
{
    const ptf_node *node = &p->net->f.net->nodes[i];
    int64_t channels = node->attrs.out_channels;
    int64_t terms = ptf_tensor_numel(node->tensors[PTF_ROLE_WEIGHT]) / channels;
    const ptf_node *folded = folded_from(p->folded, i);
    const float *dw = by(p->b, folded, PTF_ROLE_WEIGHT);
    const float *db = by(p->b, folded, PTF_ROLE_BIAS);
    const float *w = numbers(node, PTF_ROLE_WEIGHT),
                *b = numbers(node, PTF_ROLE_BIAS);
    double *by_w = calloc((size_t)(channels * (terms + 3)), sizeof(double));
    assert_non_null(by_w);
    double *by_b = by_w + channels * terms, *by_beta = by_b + channels;
    double *by_gamma = by_beta + channels;
    for (int64_t c = 0; c < channels; c++) {
        double deviation = 1, mean = 0, s = 1;
        if (norm != NULL) {
            deviation = sqrt((double)numbers(norm, PTF_ROLE_RUNNING_VAR)[c] +
                             norm->attrs.eps);
            mean = (double)numbers(norm, PTF_ROLE_RUNNING_MEAN)[c];
            s = (double)numbers(norm, PTF_ROLE_WEIGHT)[c] / deviation;
        }
        by_beta[c] = db != NULL ? (double)db[c] : 0;
        by_b[c] = s * by_beta[c];
        by_gamma[c] =
            ((b != NULL ? (double)b[c] : 0) - mean) * by_beta[c] / deviation;
        for (int64_t k = c * terms; k < (c + 1) * terms; k++) {
            by_w[k] = s * (double)dw[k];
            by_gamma[c] += (double)w[k] * (double)dw[k] / deviation;
        }
    }
    expect_near(p, "weight", by(p->a, node, PTF_ROLE_WEIGHT), by_w,
                channels * terms);
    if (b != NULL)
        expect_near(p, "bias", by(p->a, node, PTF_ROLE_BIAS), by_b, channels);
    if (norm != NULL) {
        expect_near(p, "gamma", by(p->a, norm, PTF_ROLE_WEIGHT), by_gamma,
                    channels);
        expect_near(p, "beta", by(p->a, norm, PTF_ROLE_BIAS), by_beta,
                    channels);
    }
    free(by_w);
}

static bool is_norm(const ptf_node *node)
{
    return node->op == PTF_OP_BATCHNORM1D || node->op == PTF_OP_BATCHNORM2D;
}

/* The norm after layer i of a chain: all of a net's are folded, or none. */
static const ptf_node *norm_after(const ptf_net *net, int i)
{
    do
        i++;
    while (i < net->node_count && net->nodes[i].op == PTF_OP_DROPOUT);
    return i < net->node_count && is_norm(&net->nodes[i]) ? &net->nodes[i]
                                                          : NULL;
}

/* The chain rule above is for one. */
static bool has_norms_in_a_row(const ptf_net *net)
{
    bool found = false;
    for (int i = 1; i < net->node_count; i++)
        found |= is_norm(&net->nodes[i]) && norm_after(net, i) != NULL;
    return found;
}

/* Into the layer after it, for which the chain rule above is not. */
static bool goes_forward(const ptf_net *net, const ptf_net *folded)
{
    bool found = false;
    for (int i = 1; i < net->node_count; i++) {
        int before = i - 1;
        while (before > 0 && net->nodes[before].op == PTF_OP_DROPOUT)
            before--;
        found |= is_norm(&net->nodes[i]) && folded_from(folded, i) == NULL &&
                 !ptf_op_is(net->nodes[before].op, PTF_FAMILY_PRODUCT);
    }
    return found;
}

static double largest_of(const ptf_gradient *g, const ptf_shape *input)
{
    double most = 0;
    for (int64_t i = 0; i < ptf_shape_numel(input); i++)
        most = fmax(most, fabs((double)ptf_gradient_input(g, 0)[i]));
    for (size_t i = 0; i < ptf_gradient_tensor_count(g); i++) {
        const ptf_tensor *t = ptf_gradient_tensor(g, i);
        for (int64_t k = 0; k < ptf_tensor_numel(t); k++)
            most = fmax(most, fabs((double)((const float *)t->data)[k]));
    }
    return most;
}

static void expect_pair(pair *p)
{
    const ptf_net *net = p->net->f.net;
    int64_t inputs = ptf_shape_numel(&p->net->input);
    double *want = calloc((size_t)inputs, sizeof(double));
    assert_non_null(want);
    for (int64_t i = 0; i < inputs; i++)
        want[i] = (double)ptf_gradient_input(p->b, 0)[i];
    expect_near(p, "input", ptf_gradient_input(p->a, 0), want, inputs);
    free(want);
    for (int i = 1; i < net->node_count; i++) {
        const ptf_node *node = &net->nodes[i];
        if (!is_norm(node) && node->tensors[PTF_ROLE_WEIGHT] != NULL)
            expect_chain_rule(p, i, norm_after(net, i));
    }
}

static void folded_nets_have_the_gradients_of_their_originals(void **unused)
{
    (void)unused;
    int done = 0;
    for (uint64_t seed = 1; done < NETS; seed++) {
        random_net net;
        pair p = {.net = &net};
        random_net_make(&net, seed);
        if (strstr(net.text, "BatchNorm") != NULL &&
            !has_norms_in_a_row(net.f.net) &&
            ptf_net_rewrite(net.f.net, ptf_rewrite_find("fold_batchnorm"), NULL,
                            &p.folded, NULL) == PTF_OK &&
            !goes_forward(net.f.net, p.folded)) {
            p.a = gradient_of(net.f.net, &net.input);
            p.b = gradient_of(p.folded, &net.input);
            p.most = largest_of(p.a, &net.input);
            expect_pair(&p);
            ptf_gradient_free(p.a);
            ptf_gradient_free(p.b);
            done++;
        }
        ptf_net_free(p.folded);
        random_net_free(&net);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(folded_nets_have_the_gradients_of_their_originals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
