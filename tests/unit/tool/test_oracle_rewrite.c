/*
 * Rewrites against libtorch: each rewrite of drawn nets is the same function,
 * and folded numbers are those of libtorch's own fold.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "compare_engines.h"

#include <math.h>

enum { IMAGES = 2 };

/* ---------------------------------------------------------------- rewrites */

/* The largest part of what was owed that a rewrite used. */
static double largest;

/*
 * The rewritten net agrees with libtorch on the rewritten text, and libtorch
 * finds both nets to be the same function: an exact rewrite that keeps all
 * parameters up to rounding in double, one that rounds parameters to f32 up to
 * what one more rounding of each can do.
 */
static void expect_same_function(const judge_outputs *a, const judge_outputs *b,
                                 bool rounded)
{
    judge_expect(b);
    assert_int_equal(a->count, b->count);
    for (int64_t i = 0; i < a->count; i++) {
        double owed = a->b64[i] + b->b64[i];
        if (rounded)
            owed += 2 * a->b32[i];
        if (!judge_holds(b->t64[i], a->t64[i], owed, &largest))
            judge_fail(b, i);
    }
}

/* 1 when the rewrite was done, 0 when it was refused. */
static int check_rewrite(const drawn_net *net, const ptf_rewrite *rewrite,
                         const float *in, const judge_outputs *before)
{
    ptf_net *rewritten;
    ptf_error err;
    ptf_status status =
        ptf_net_rewrite(net->f.net, rewrite, &net->input, &rewritten, &err);
    if (status == PTF_UNSUPPORTED)
        return 0;
    if (status != PTF_OK)
        fail_msg("%s\n%s", err.message, net->text);
    char what[128];
    judge_outputs after = {.what = what, .text = net->text};
    snprintf(what, sizeof(what), "seed %llu, %s", (unsigned long long)net->seed,
             rewrite->name);
    judge_run(rewritten, &net->input, in, IMAGES, &after);
    bool rounded = rewrite->promise == PTF_PROMISE_ROUNDS ||
                   strcmp(rewrite->name, "batchnorm_to_epilogue") == 0;
    expect_same_function(before, &after, rounded);
    if (rewrite->promise == PTF_PROMISE_EXACT &&
        memcmp(before->y, after.y, (size_t)after.count * sizeof(float)) != 0)
        fail_msg("%s owes the same bits\n%s", what, net->text);
    judge_free(&after);
    ptf_net_free(rewritten);
    return 1;
}

/* The others have nothing to do in a chain without constants. */
static bool is_of_chains(const char *rewrite)
{
    static const char *const names[] = {"fold_batchnorm",
                                        "batchnorm_to_epilogue",
                                        "linear_to_conv", "drop_identity"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(rewrite, names[i]) == 0)
            return true;
    return false;
}

static void each_rewrite_of_drawn_nets_is_the_same_function(void **state)
{
    (void)state;
    int done[8] = {0};
    for (uint64_t i = 0; i < judging.count; i++) {
        drawn_net net;
        judge_outputs before = {.what = "a drawn net", .text = net.text};
        drawn_net_make(&net, judging.first + i);
        float *in = drawn_net_inputs(&net, IMAGES);
        judge_run(net.f.net, &net.input, in, IMAGES, &before);
        const ptf_rewrite *rewrite;
        for (size_t k = 0; (rewrite = ptf_rewrite_at(k)) != NULL; k++)
            done[k] += check_rewrite(&net, rewrite, in, &before);
        judge_free(&before);
        free(in);
        drawn_net_free(&net);
    }
    for (size_t k = 0; ptf_rewrite_at(k) != NULL; k++) {
        printf("%s: %d nets\n", ptf_rewrite_at(k)->name, done[k]);
        if (judging.count >= 500 && is_of_chains(ptf_rewrite_at(k)->name))
            assert_true(done[k] > 50);
    }
    printf("they moved outputs by at most %.2g of what is allowed\n", largest);
}

/* ---------------------------------------------------------- libtorch's fold */

static ltc_tensor *tensor_of(const ptf_net *net, const char *layer,
                             const char *role)
{
    char name[256];
    snprintf(name, sizeof(name), "%s.%s", layer, role);
    for (size_t i = 0; i < ptf_net_tensor_count(net); i++) {
        const ptf_tensor *t = ptf_net_tensor(net, i);
        if (strcmp(t->name, name) != 0)
            continue;
        double *data = judge_numbers(ptf_tensor_numel(t));
        ltc_tensor *out = NULL;
        assert_int_equal(ptf_tensor_read_f64(t, data, NULL), PTF_OK);
        assert_int_equal(
            torch.tensor_make(data, LTC_F64, t->rank, t->shape, 0, &out),
            LTC_OK);
        free(data);
        return out;
    }
    return NULL;
}

/* Each number of ours is libtorch's in double, rounded once to f32. */
static void expect_rounded(const drawn_net *net, const ptf_net *folded,
                           const char *layer, const char *role,
                           const ltc_tensor *want)
{
    char name[256];
    snprintf(name, sizeof(name), "%s.%s", layer, role);
    const ptf_tensor *got = fixture_tensor(folded, name);
    int64_t count = ptf_tensor_numel(got);
    double *a = judge_numbers(count), *b = judge_numbers(count);
    assert_int_equal(ptf_tensor_read_f64(got, a, NULL), PTF_OK);
    assert_int_equal(torch.tensor_read(want, LTC_F64, b, count), LTC_OK);
    for (int64_t i = 0; i < count; i++) {
        /* In double libtorch's value is off by some 2^-50 of its terms. */
        double half = fmax(fabs(b[i]) * 0x1p-24, 0x1p-150);
        if (!(fabs(a[i] - b[i]) <= half + 0x1p-48))
            fail_msg("seed %llu: %s[%lld] is %.17g, libtorch's is %.17g\n%s",
                     (unsigned long long)net->seed, name, (long long)i, a[i],
                     b[i], net->text);
    }
    free(a);
    free(b);
}

static bool is_norm(const ptf_node *node)
{
    return node->op == PTF_OP_BATCHNORM1D || node->op == PTF_OP_BATCHNORM2D;
}

static bool is_sum(const ptf_node *node)
{
    return node->op == PTF_OP_CONV1D || node->op == PTF_OP_CONV2D ||
           node->op == PTF_OP_LINEAR;
}

static void compare_fold(const drawn_net *net, const ptf_net *folded,
                         const ptf_node *sum, const ptf_node *norm,
                         const char *folded_name)
{
    static const char *const roles[] = {"weight", "bias", "running_mean",
                                        "running_var"};
    ltc_tensor *p[6], *weight = NULL, *bias = NULL;
    for (int i = 0; i < 2; i++)
        p[i] = tensor_of(net->f.net, sum->name, roles[i]);
    for (int i = 0; i < 4; i++)
        p[2 + i] = tensor_of(net->f.net, norm->name, roles[i]);
    if (torch.fold_conv_bn(p[0], p[1], p[4], p[5], norm->attrs.eps, p[2], p[3],
                           &weight, &bias) != LTC_OK)
        fail_msg("%s", torch.last_error());
    expect_rounded(net, folded, folded_name, "weight", weight);
    expect_rounded(net, folded, folded_name, "bias", bias);
    torch.tensor_free(weight);
    torch.tensor_free(bias);
    for (int i = 0; i < 6; i++)
        torch.tensor_free(p[i]);
}

/* The nearest node in that direction that changes numbers, or the input. */
static int neighbour(const ptf_net *net, int i, int step)
{
    do
        i += step;
    while (i > 0 && i < net->node_count && ptf_op_is_alias(net->nodes[i].op));
    return i < net->node_count ? i : 0;
}

/* Goes through both nets sum by sum; how many folds were compared. */
static int compare_folds(const drawn_net *net, const ptf_net *folded)
{
    const ptf_net *whole = net->f.net;
    int compared = 0, at = 0;
    for (int i = 1; i < whole->node_count; i++) {
        const ptf_node *nodes = whole->nodes;
        if (!is_sum(&nodes[i]))
            continue;
        while (!is_sum(&folded->nodes[++at]))
            continue;
        int before = neighbour(whole, i, -1), next = neighbour(whole, i, 1);
        int after = neighbour(whole, next, 1);
        /* libtorch folds one norm, and that after the sum. */
        if (is_norm(&nodes[before]) || !is_norm(&nodes[next]) ||
            is_norm(&nodes[after]))
            continue;
        compare_fold(net, folded, &nodes[i], &nodes[next],
                     folded->nodes[at].name);
        compared++;
    }
    return compared;
}

static void folded_numbers_are_libtorchs_rounded_once(void **state)
{
    (void)state;
    int compared = 0;
    for (uint64_t i = 0; i < judging.count; i++) {
        drawn_net net;
        ptf_net *folded;
        drawn_net_make(&net, judging.first + i);
        if (ptf_net_rewrite(net.f.net, ptf_rewrite_find("fold_batchnorm"),
                            &net.input, &folded, NULL) == PTF_OK) {
            compared += compare_folds(&net, folded);
            ptf_net_free(folded);
        }
        drawn_net_free(&net);
    }
    printf("%d folds\n", compared);
    assert_true(judging.count < 500 || compared > 100);
}

int main(int argc, char **argv)
{
    int code = judge_begin(argc, argv);
    if (code >= 0)
        return code;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_rewrite_of_drawn_nets_is_the_same_function),
        cmocka_unit_test(folded_numbers_are_libtorchs_rounded_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
