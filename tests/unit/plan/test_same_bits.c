/*
 * Networks of many kinds give the same bits in every way that they can run: on
 * each instruction set, by 1 to 3 threads, in batches of 1, 2 and 7, with all
 * the memory that is wanted and with little.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "fixture.h"
#include "plan/plan.h"

#include <string.h>

enum { SAMPLES = 7 };

static const struct {
    const char *kind, *lines; /* of a graph, after its first */
} kinds[] = {
    {"residual", "input x f32 [N,5,13,11]\n"
                 "const a.weight f32 [5,5,3,3]\n"
                 "a = conv2d(x, a.weight) padding=[1,1]\n"
                 "const n.weight f32 [5]\nconst n.bias f32 [5]\n"
                 "const n.running_mean f32 [5]\nconst n.running_var f32 [5]\n"
                 "n = batch_norm2d(a, n.weight, n.bias, n.running_mean, "
                 "n.running_var)\n"
                 "s = add(n, x)\nr = relu(s)\n"
                 "p = adaptive_avg_pool2d(r) output_size=[1,1]\n"
                 "f = flatten(p) start_dim=1 end_dim=-1\n"
                 "const c.weight f32 [7,5]\nconst c.bias f32 [7]\n"
                 "y = linear(f, c.weight, c.bias)\n"},
    {"concat", "input x f32 [N,4,9,14]\n"
               "const a.weight f32 [6,4,3,3]\nconst a.bias f32 [6]\n"
               "a = conv2d(x, a.weight, a.bias) padding=[1,1]\n"
               "c = concat(x, a) dim=1\nr = relu(c)\n"
               "const b.weight f32 [3,10,1,1]\n"
               "b = conv2d(r, b.weight)\ny = concat(c, b) dim=1\n"},
    {"depthwise", "input x f32 [N,19,12,15]\n"
                  "const a.weight f32 [19,1,3,3]\nconst a.bias f32 [19]\n"
                  "a = conv2d(x, a.weight, a.bias) stride=[2,2] "
                  "padding=[1,1] groups=19\n"
                  "h = hardswish(a)\nconst b.weight f32 [9,19,1,1]\n"
                  "y = conv2d(h, b.weight)\n"},
    {"grouped", "input x f32 [N,12,10,10]\n"
                "const a.weight f32 [18,4,3,3]\n"
                "a = conv2d(x, a.weight) padding=[1,1] groups=3\n"
                "y = relu(a)\n"},
    {"attention", "input x f32 [N,13,10]\n"
                  "const n.weight f32 [10]\nconst n.bias f32 [10]\n"
                  "n = layer_norm(x, n.weight, n.bias)\n"
                  "const q.weight f32 [10,10]\nconst q.bias f32 [10]\n"
                  "q = linear(n, q.weight, q.bias)\n"
                  "const k.weight f32 [10,10]\n"
                  "k = linear(n, k.weight)\n"
                  "const v.weight f32 [10,10]\nv = linear(n, v.weight)\n"
                  "qh = reshape(q) size=[13,2,5]\nqp = permute(qh) "
                  "dims=[2,1,3]\nkh = reshape(k) size=[13,2,5]\n"
                  "kp = permute(kh) dims=[2,3,1]\n"
                  "vh = reshape(v) size=[13,2,5]\nvp = permute(vh) "
                  "dims=[2,1,3]\ns = matmul(qp, kp)\n"
                  "w = softmax(s) dim=3\no = matmul(w, vp)\n"
                  "op = permute(o) dims=[2,1,3]\n"
                  "of = reshape(op) size=[13,10]\ng = gelu(of)\n"
                  "y = add(g, x)\n"},
    {"squeeze and excite", "input x f32 [N,8,9,7]\n"
                           "p = adaptive_avg_pool2d(x) output_size=[1,1]\n"
                           "const a.weight f32 [3,8,1,1]\n"
                           "const a.bias f32 [3]\n"
                           "a = conv2d(p, a.weight, a.bias)\ns = silu(a)\n"
                           "const b.weight f32 [8,3,1,1]\n"
                           "b = conv2d(s, b.weight)\ng = sigmoid(b)\n"
                           "y = mul(x, g)\n"},
    {"u-net", "input x f32 [N,3,12,16]\n"
              "const a.weight f32 [6,3,3,3]\nconst a.bias f32 [6]\n"
              "a = conv2d(x, a.weight, a.bias) padding=[1,1]\nr = relu(a)\n"
              "d = max_pool2d(r) kernel_size=[2,2] stride=[2,2] "
              "padding=[0,0] dilation=[1,1] ceil_mode=False\n"
              "const b.weight f32 [8,6,3,3]\n"
              "b = conv2d(d, b.weight) padding=[1,1]\n"
              "u = upsample(b) scale_factor=[2.0,2.0] mode=bilinear "
              "align_corners=False\n"
              "const t.weight f32 [8,4,2,2]\n"
              "t = conv_transpose2d(b, t.weight) stride=[2,2]\n"
              "c = concat(r, u, t) dim=1\nconst o.weight f32 [2,18,3,3]\n"
              "y = conv2d(c, o.weight) padding=[1,1]\n"},
    {"dilated", "input x f32 [N,3,17,19]\n"
                "const a.weight f32 [9,3,3,3]\n"
                "a = conv2d(x, a.weight) padding=[4,4] dilation=[4,4]\n"
                "const b.weight f32 [4,9,3,3]\n"
                "y = conv2d(a, b.weight) padding=[2,3] dilation=[2,3]\n"},
    {"pools", "input x f32 [N,5,15,12]\n"
              "m = max_pool2d(x) kernel_size=[3,3] stride=[2,2] "
              "padding=[1,1] dilation=[1,1] ceil_mode=True\n"
              "a = avg_pool2d(m) kernel_size=[3,2] stride=[1,2] "
              "padding=[1,1] ceil_mode=False count_include_pad=False\n"
              "d = adaptive_max_pool2d(a) output_size=[3,2]\n"
              "y = mean(d) dims=[2] keepdim=False\n"},
    {"one axis", "input x f32 [N,4,57]\n"
                 "const a.weight f32 [10,4,5]\nconst a.bias f32 [10]\n"
                 "a = conv1d(x, a.weight, a.bias) stride=[2] padding=[2]\n"
                 "t = tanh(a)\nconst b.weight f32 [3,10,3]\n"
                 "b = conv1d(t, b.weight) dilation=[2]\n"
                 "y = log_softmax(b) dim=1\n"},
    {"three axes", "input x f32 [N,2,7,8,9]\n"
                   "const a.weight f32 [6,2,3,3,3]\n"
                   "a = conv3d(x, a.weight) padding=[1,1,1]\nr = relu(a)\n"
                   "d = max_pool3d(r) kernel_size=[2,2,2] "
                   "stride=[2,2,2] padding=[0,0,0] dilation=[1,1,1] "
                   "ceil_mode=False\n"
                   "const b.weight f32 [3,6,1,3,3]\n"
                   "y = conv3d(d, b.weight)\n"},
};

/* All samples in batches of so many; false where the memory is too little. */
static bool run(const ptf_net *net, const ptf_plan_options *o, int64_t batch,
                const float *in, int64_t inputs, float *out, int64_t outputs,
                size_t *memory)
{
    ptf_plan *plan;
    ptf_error err;
    ptf_status status = ptf_plan_make(net, NULL, batch, o, &plan, &err);
    if (status == PTF_MEMORY && o->memory_limit > 0)
        return false;
    if (status != PTF_OK)
        fail_msg("%s", err.message);
    for (int64_t i = 0; i < SAMPLES; i += batch)
        assert_int_equal(ptf_plan_run(plan, in + i * inputs,
                                      ptf_min_i64(SAMPLES - i, batch),
                                      out + i * outputs, &err),
                         PTF_OK);
    *memory = ptf_plan_memory(plan);
    ptf_plan_free(plan);
    return true;
}

typedef struct numbers {
    float *in, *want, *got;
    int64_t inputs, outputs;
} numbers;

static void expect_same(const char *kind, const ptf_net *net, const numbers *n,
                        ptf_plan_options o, int64_t batch, int *small)
{
    size_t memory, size = (size_t)(SAMPLES * n->outputs) * sizeof(float);
    for (int part = 4; part > 0; part--) {
        if (part < 4)
            o.memory_limit = memory / 4 * (size_t)part;
        size_t used;
        memset(n->got, 0, size);
        if (!run(net, &o, batch, n->in, n->inputs, n->got, n->outputs, &used))
            return;
        *small += part < 4;
        if (part == 4)
            memory = used;
        if (memcmp(n->want, n->got, size) != 0)
            fail_msg("%s: other bits with %s, %d threads, batch %d, %d of 4 "
                     "parts of the memory",
                     kind, o.isa, o.threads, (int)batch, part);
    }
}

static void every_way_gives_the_same_bits(void **unused)
{
    static const int64_t batches[] = {1, 2, SAMPLES};
    (void)unused;
    int small = 0;
    for (size_t k = 0; k < PTF_ARRAY_SIZE(kinds); k++) {
        char text[4096];
        fixture f;
        size_t used;
        snprintf(text, sizeof(text), "ptfold graph 1\n%soutput y\n",
                 kinds[k].lines);
        fixture_build(&f, text);
        ptf_plan *plan;
        assert_int_equal(ptf_plan_make(f.net, NULL, 1, NULL, &plan, NULL),
                         PTF_OK);
        ptf_shape out = ptf_plan_output(plan, 0);
        ptf_plan_free(plan);
        numbers n = {.inputs = ptf_shape_numel(&f.net->inputs[0].shape),
                     .outputs = ptf_shape_numel(&out)};
        n.in = malloc((size_t)(SAMPLES * n.inputs) * sizeof(float));
        n.want = malloc((size_t)(SAMPLES * n.outputs) * sizeof(float));
        n.got = malloc((size_t)(SAMPLES * n.outputs) * sizeof(float));
        for (int64_t i = 0; i < SAMPLES * n.inputs; i++)
            n.in[i] = (float)((i * 37 + 11) % 101) / 50 - 1;
        run(f.net, &(ptf_plan_options){.threads = 1, .isa = "ref"}, 1, n.in,
            n.inputs, n.want, n.outputs, &used);
        for (int isa = 0; isa < PTF_ISA_COUNT; isa++) {
            for (int way = 0; ptf_isa_here((ptf_isa)isa) && way < 9; way++) {
                const ptf_plan_options o = {.threads = 1 + way / 3,
                                            .isa = ptf_isa_text((ptf_isa)isa)};
                expect_same(kinds[k].kind, f.net, &n, o, batches[way % 3],
                            &small);
            }
        }
        free(n.in);
        free(n.want);
        free(n.got);
        fixture_free(&f);
    }
    assert_true(small > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_way_gives_the_same_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
