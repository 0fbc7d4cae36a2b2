/*
 * ptfold against libtorch: drawn nets, committed checkpoints, the course's
 * nets, and a TorchScript file.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "compare_engines.h"
#include "ports.h"

enum { IMAGES = 2 };

/* -------------------------------------------------------------- drawn nets */

static void count_layers(const ptf_net *net, int counts[PTF_OP_COUNT])
{
    for (int i = 0; i < net->node_count; i++)
        counts[net->nodes[i].op]++;
}

static void five_hundred_drawn_nets_agree_with_libtorch(void **state)
{
    (void)state;
    int counts[PTF_OP_COUNT] = {0};
    for (uint64_t i = 0; i < judging.count; i++) {
        drawn_net net;
        char what[64];
        judge_outputs o = {.what = what, .text = net.text};
        drawn_net_make(&net, judging.first + i);
        snprintf(what, sizeof(what), "seed %llu", judging.first + i);
        float *in = drawn_net_inputs(&net, IMAGES);
        judge_run(net.f.net, &net.input, in, IMAGES, &o);
        judge_expect(&o);
        count_layers(net.f.net, counts);
        judge_free(&o);
        free(in);
        drawn_net_free(&net);
    }
    printf("seeds %llu to %llu; of the bounds were used at most: ptfold %.2g, "
           "libtorch's f32 %.2g, enclosures %.2g\n",
           judging.first, judging.first + judging.count - 1,
           judge_largest.ptfold, judge_largest.libtorch,
           judge_largest.enclosure);
    for (int op = PTF_OP_INPUT + 1; op < PTF_OP_COUNT; op++) {
        printf("%s%s %d",
               op > 1 ? ", " : "layers: ", ptf_op_info((ptf_op)op)->class_name,
               counts[op]);
    }
    printf("\n");
    if (judging.count >= 500)
        assert_true(counts[PTF_OP_CONV1D] > 50 && counts[PTF_OP_CONV2D] > 300);
}

/* ------------------------------------------------------ nets from elsewhere */

/* A committed checkpoint with its text. */
typedef struct kept {
    char *text;
    ptf_checkpoint *ckpt;
    ptf_net *net;
    ptf_shape input;
} kept;

static void path_of(const char *name, const char *ending, char path[4096])
{
    snprintf(path, 4096, "%s/%s.%s", judging.folder, name, ending);
}

static void open_kept(const char *name, kept *out)
{
    char path[4096];
    ptf_error err;
    path_of(name, "txt", path);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    out->text = calloc(1, 8192);
    assert_true(fread(out->text, 1, 8191, f) > 0);
    fclose(f);
    path_of(name, "pt", path);
    if (ptf_checkpoint_open(path, NULL, &out->ckpt, &err) != PTF_OK ||
        ptf_net_make(out->text, name, out->ckpt, NULL, &out->net, &err) !=
            PTF_OK)
        fail_msg("%s", err.message);
    assert_true(input_of(out->net, &out->input));
}

static void close_kept(kept *k)
{
    ptf_net_free(k->net);
    ptf_checkpoint_close(k->ckpt);
    free(k->text);
}

/* 'count' inputs in [0, 1), to be freed. */
static float *inputs(const ptf_shape *shape, int64_t count)
{
    size_t n = (size_t)(count * ptf_shape_numel(shape));
    float *in = malloc(n * sizeof(float));
    assert_non_null(in);
    ptf_random_fill(5, 0, in, n);
    return in;
}

static void committed_checkpoints_agree(void **state)
{
    (void)state;
    static const char *const names[] = {"small_net", "net1", "scripted"};
    for (size_t i = 0; i < PTF_ARRAY_SIZE(names); i++) {
        kept k;
        open_kept(names[i], &k);
        judge_outputs o = {.what = names[i], .text = k.text};
        float *in = inputs(&k.input, IMAGES);
        judge_run(k.net, &k.input, in, IMAGES, &o);
        judge_expect(&o);
        judge_free(&o);
        free(in);
        close_kept(&k);
    }
}

static void smallnet_with_drawn_numbers_agrees(void **state)
{
    (void)state;
    drawn_net net;
    judge_outputs o = {.what = "smallNetTrain", .text = net.text};
    drawn_net_fill(&net, 1, ptf_arch_text("smallNetTrain"));
    float *in = drawn_net_inputs(&net, 1);
    judge_run(net.f.net, &net.input, in, 1, &o);
    judge_expect(&o);
    judge_free(&o);
    free(in);
    drawn_net_free(&net);
}

/* ------------------------------------------------------------- TorchScript */

/* The module's own outputs in that precision. */
static void run_module(ltc_module *script, ltc_dtype dtype, const kept *k,
                       const float *in, int64_t count, double *out)
{
    int64_t shape[] = {IMAGES, k->input.dim[0], k->input.dim[1],
                       k->input.dim[2]};
    ltc_tensor *x = NULL, *y = NULL;
    size_t size = (size_t)(IMAGES * ptf_shape_numel(&k->input));
    double *wide = judge_numbers((int64_t)size);
    for (size_t i = 0; i < size; i++)
        wide[i] = (double)in[i];
    const void *data = dtype == LTC_F64 ? (const void *)wide : in;
    if (torch.module_convert(script, dtype) != LTC_OK ||
        torch.tensor_make(data, dtype, 4, shape, 0, &x) != LTC_OK ||
        torch.module_forward(script, x, &y) != LTC_OK ||
        torch.tensor_read(y, LTC_F64, out, count) != LTC_OK)
        fail_msg("%s", torch.last_error());
    torch.tensor_free(x);
    torch.tensor_free(y);
    free(wide);
}

static void a_torchscript_file_runs_to_the_same_outputs(void **state)
{
    (void)state;
    kept k;
    char path[4096];
    ltc_module *script;
    double part = 0;
    open_kept("scripted", &k);
    judge_outputs o = {.what = "scripted", .text = k.text};
    float *in = inputs(&k.input, IMAGES);
    judge_run(k.net, &k.input, in, IMAGES, &o);
    path_of("scripted", "pt", path);
    if (torch.module_load(path, &script) != LTC_OK)
        fail_msg("%s", torch.last_error());
    double *s32 = judge_numbers(o.count), *s64 = judge_numbers(o.count);
    run_module(script, LTC_F32, &k, in, o.count, s32);
    run_module(script, LTC_F64, &k, in, o.count, s64);
    for (int64_t i = 0; i < o.count; i++) {
        if (!judge_holds(s64[i], o.m[i], o.b64[i] + o.r[i], &part) ||
            !judge_holds(s32[i], s64[i], o.b32[i] + o.b64[i], &part) ||
            !judge_holds((double)o.y[i], s64[i], o.b32[i] + o.b64[i], &part))
            judge_fail(&o, i);
    }
    free(s32);
    free(s64);
    torch.module_free(script);
    judge_free(&o);
    free(in);
    close_kept(&k);
}

int main(int argc, char **argv)
{
    int code = judge_begin(argc, argv);
    if (code >= 0)
        return code;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(five_hundred_drawn_nets_agree_with_libtorch),
        cmocka_unit_test(committed_checkpoints_agree),
        cmocka_unit_test(smallnet_with_drawn_numbers_agrees),
        cmocka_unit_test(a_torchscript_file_runs_to_the_same_outputs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
