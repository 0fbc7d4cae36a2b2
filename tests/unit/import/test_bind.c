/*
 * net: tensors that fit an architecture or do not, and the checks of a graph.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "fixture.h"
#include "ports.h"

/* ----------------------------------------------------------------- binding */

#define NORM                                                \
    "BatchNorm1d(3, eps=1e-05, momentum=0.1, affine=True, " \
    "track_running_stats=True)"

static const char norm_net[] = "Net(\n"
                               "  (fc): Linear(in_features=2, "
                               "out_features=3, bias=True)\n"
                               "  (bn): " NORM "\n)\n";

static void tensors_come_in_the_order_of_the_state_dict(void **state)
{
    (void)state;
    static const char *const names[] = {"fc.weight",
                                        "fc.bias",
                                        "bn.weight",
                                        "bn.bias",
                                        "bn.running_mean",
                                        "bn.running_var",
                                        "bn.num_batches_tracked"};
    fixture f;
    fixture_build(&f, norm_net);
    assert_int_equal(ptf_net_tensor_count(f.net), PTF_ARRAY_SIZE(names));
    for (size_t i = 0; i < PTF_ARRAY_SIZE(names); i++)
        assert_string_equal(ptf_net_tensor(f.net, i)->name, names[i]);
    fixture_free(&f);
}

static void old_files_do_not_count_batches(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f, norm_net);
    fixture_remove(&f, "bn.num_batches_tracked");
    fixture_make(&f);
    assert_int_equal(ptf_net_tensor_count(f.net), 6);
    fixture_free(&f);
}

static void old_files_count_batches_in_a_row_of_one(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f, norm_net);
    fixture_entry *e = fixture_entry_of(&f, "bn.num_batches_tracked");
    e->rank = 1;
    e->shape[0] = 1;
    fixture_make(&f);
    assert_int_equal(ptf_net_tensor_count(f.net), 7);
    assert_int_equal(ptf_net_check(f.net, NULL), PTF_OK); /* as rewrites do */
    fixture_free(&f);
}

/* Puts 'prefix' in front of the name that the fixture has from 'at' on. */
static void put_prefix(fixture_entry *e, size_t at, const char *prefix)
{
    char name[sizeof(e->name)];
    size_t size = strlen(e->name) + strlen(prefix) + 1;
    assert_true(size <= sizeof(name));
    snprintf(name, sizeof(name), "%.*s%s%s", (int)at, e->name, prefix,
             e->name + at);
    memcpy(e->name, name, size);
}

/* One more tensor, like the last one. */
static void add_entry(fixture *f, const char *name)
{
    fixture_entry *e = &f->entries[f->count];
    *e = f->entries[f->count++ - 1];
    e->data = calloc(1, e->size);
    assert_non_null(e->data);
    snprintf(e->name, sizeof(e->name), "%s", name);
}

/* Nobody told the reader what the network wants. */
static void names_are_found_behind_what_wrappers_put_there(void **state)
{
    (void)state;
    static const struct {
        size_t at;
        const char *prefix, *key;
    } cases[] = {
        {0, "model.", "model"},
        {0, "_fsdp_wrapped_module.", ""}, /* that of all: the reader's part */
        {3, "module.", ""},               /* fc.module.weight */
    };
    for (size_t i = 0; i < PTF_ARRAY_SIZE(cases); i++) {
        fixture f;
        size_t left_out;
        const char *example;
        fixture_init(&f, norm_net);
        for (int k = 0; k < f.count; k++)
            put_prefix(&f.entries[k], cases[i].at, cases[i].prefix);
        if (i == 0)
            add_entry(&f, "best");
        fixture_make(&f);
        assert_int_equal(ptf_net_tensor_count(f.net), 7);
        assert_string_equal(ptf_net_tensor(f.net, 2)->name, "bn.weight");
        assert_string_equal(ptf_net_key(f.net, &left_out, &example),
                            cases[i].key);
        assert_int_equal(left_out, i == 0);
        assert_string_equal(example, i == 0 ? "best" : "");
        assert_int_equal(ptf_net_check(f.net, NULL), PTF_OK);
        fixture_free(&f);
    }
}

static void expect_no_fit(fixture *f, const char *const *words)
{
    ptf_net *net;
    ptf_error err;
    fixture_open(f);
    assert_int_equal(
        ptf_net_make(f->text, "text", f->ckpt, &fixture_in_order, &net, &err),
        PTF_ARGUMENT);
    assert_null(net);
    for (int i = 0; words[i] != NULL; i++) {
        if (strstr(err.message, words[i]) == NULL)
            fail_msg("expected '%s' in: %s", words[i], err.message);
    }
}

static void expect_list(const fixture *f, const char *wanted)
{
    char *list = NULL;
    size_t size;
    FILE *out = open_memstream(&list, &size);
    assert_non_null(out);
    ptf_error err;
    if (ptf_net_print_mismatch(f->text, "text", f->ckpt, out, &err) != PTF_OK)
        fail_msg("%s", err.message);
    fclose(out);
    assert_string_equal(list, wanted);
    free(list);
}

static void every_mismatch_is_named(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f, norm_net);
    fixture_remove(&f, "bn.running_var");
    fixture_remove(&f, "fc.bias");
    fixture_entry *e = fixture_entry_of(&f, "fc.weight");
    e->shape[0] = 2;
    e->shape[1] = 3;
    snprintf(fixture_entry_of(&f, "bn.bias")->name, 16, "bn.offset");
    fixture_entry_of(&f, "bn.weight")->dtype = "I32";
    expect_no_fit(&f,
                  (const char *const[]){
                      "the checkpoint does not fit Net: 2 of 7 tensors match; "
                      "fc.weight: expected shape [3, 2], got [2, 3]; "
                      "unexpected bn.offset [3]; 4 more with --verbose",
                      NULL});
    expect_list(&f, "fc.weight: expected shape [3, 2], got [2, 3]\n"
                    "missing fc.bias [3]\n"
                    "bn.weight: expected floating point, got int32\n"
                    "missing bn.bias [3]\n"
                    "missing bn.running_var [3]\n"
                    "unexpected bn.offset [3]\n");
    fixture_free(&f);
}

static void statistics_that_are_not_kept_are_unexpected(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f, norm_net);
    f.text = "Net(\n"
             "  (fc): Linear(in_features=2, out_features=3, bias=True)\n"
             "  (bn): BatchNorm1d(3, eps=1e-05, momentum=0.1, affine=False, "
             "track_running_stats=False)\n)\n";
    expect_no_fit(&f, (const char *const[]){"2 of 2 tensors match; "
                                            "unexpected bn.bias [3]; 4 more",
                                            NULL});
    expect_list(&f, "unexpected bn.bias [3]\n"
                    "unexpected bn.num_batches_tracked []\n"
                    "unexpected bn.running_mean [3]\n"
                    "unexpected bn.running_var [3]\n"
                    "unexpected bn.weight [3]\n");
    fixture_free(&f);
}

static void batches_may_be_counted_in_any_type(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f, norm_net);
    fixture_entry_of(&f, "bn.num_batches_tracked")->dtype = "F64";
    fixture_make(&f);
    assert_int_equal(ptf_net_tensor_count(f.net), 7);
    fixture_free(&f);
}

static void checkpoints_of_the_course_are_recognised(void **state)
{
    (void)state;
    const char *name;
    ptf_error err;
    fixture f;
    fixture_init(&f, ptf_arch_text("smallNetTest"));
    fixture_open(&f);
    if (ptf_arch_recognise(f.ckpt, &name, &err) != PTF_OK)
        fail_msg("%s", err.message);
    assert_string_equal(name, "smallNetTest");
    fixture_free(&f);

    fixture_init(&f, ptf_arch_text("smallNetTest"));
    fixture_remove(&f, "fc2.0.bias");
    fixture_open(&f);
    assert_int_equal(ptf_arch_recognise(f.ckpt, &name, &err), PTF_UNSUPPORTED);
    assert_string_equal(name, "smallNetTest");
    assert_non_null(
        strstr(err.message, "of the nearest, smallNetTest, 7 of 8 match"));
    assert_non_null(strstr(err.message, "--arch"));
    fixture_free(&f);

    /* as Lightning saves it; alone, and as a part of something */
    fixture_init(&f, ptf_arch_text("smallNetTest"));
    for (int i = 0; i < f.count; i++)
        put_prefix(&f.entries[i], 0, "model.");
    fixture_open(&f);
    assert_int_equal(ptf_arch_recognise(f.ckpt, &name, NULL), PTF_OK);
    assert_string_equal(name, "smallNetTest");
    fixture_free(&f);

    fixture_init(&f, ptf_arch_text("smallNetTest"));
    for (int i = 0; i < f.count; i++)
        put_prefix(&f.entries[i], 0, "model.");
    add_entry(&f, "head.bias");
    fixture_open(&f);
    assert_int_equal(ptf_arch_recognise(f.ckpt, &name, &err), PTF_UNSUPPORTED);
    assert_non_null(strstr(err.message, "beside it is 'head.bias'"));
    assert_non_null(strstr(err.message, "--key model "));
    fixture_free(&f);

    fixture_init(&f, norm_net);
    fixture_open(&f);
    assert_int_equal(ptf_arch_recognise(f.ckpt, &name, &err), PTF_UNSUPPORTED);
    assert_non_null(
        strstr(err.message, "not those of a built-in network; give"));
    fixture_free(&f);
}

/* ------------------------------------------------------------ graph, memory */

static void the_graph_prints_one_line_per_node(void **state)
{
    (void)state;
    fixture f;
    fixture_build(&f, norm_net);
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    ptf_net_print(f.net, out);
    fclose(out);
    assert_string_equal(text,
                        "Net: 2 layers, 7 tensors\n"
                        "assumes Net.forward() runs its modules in the printed "
                        "order\n"
                        "   0  Input()\n"
                        "   1 <- 0  fc:  Linear(in_features=2, out_features=3, "
                        "bias=True)\n"
                        "       weight float32 [3, 2]\n"
                        "       bias float32 [3]\n"
                        "   2 <- 1  bn:  " NORM "  -> output\n"
                        "       weight float32 [3]\n"
                        "       bias float32 [3]\n"
                        "       running_mean float32 [3]\n"
                        "       running_var float32 [3]\n"
                        "       num_batches_tracked int64 []\n");
    free(text);
    fixture_free(&f);
}

static void broken_graphs_fail_the_check(void **state)
{
    (void)state;
    ptf_error err;
    fixture f;
    fixture_build(&f, norm_net);
    ptf_net *net = f.net;
    assert_int_equal(ptf_net_check(net, &err), PTF_OK);
    net->nodes[1].inputs[0] = 2;
    assert_int_equal(ptf_net_check(net, &err), PTF_ARGUMENT);
    net->nodes[1].inputs[0] = 0;
    net->nodes[2].attrs.in_channels = 4;
    assert_int_equal(ptf_net_check(net, &err), PTF_ARGUMENT);
    net->nodes[2].attrs.in_channels = 3;
    const ptf_tensor *mean = net->nodes[2].tensors[PTF_ROLE_RUNNING_MEAN];
    net->nodes[2].tensors[PTF_ROLE_RUNNING_MEAN] = NULL;
    assert_int_equal(ptf_net_check(net, &err), PTF_ARGUMENT);
    assert_non_null(strstr(err.message, "running_mean is absent"));
    net->nodes[2].tensors[PTF_ROLE_RUNNING_MEAN] = mean;
    net->nodes[2].tensors[PTF_ROLE_SCALE] = mean;
    assert_int_equal(ptf_net_check(net, &err), PTF_ARGUMENT);
    net->nodes[2].tensors[PTF_ROLE_SCALE] = NULL;
    give_output(net, 3);
    assert_int_equal(ptf_net_check(net, &err), PTF_ARGUMENT);
    give_output(net, 2);
    net->nodes[2].name = "fc";
    assert_int_equal(ptf_net_check(net, &err), PTF_FORMAT);
    fixture_free(&f);
}

static void out_of_memory_is_reported(void **state)
{
    (void)state;
    fixture f;
    fixture_init(&f, norm_net);
    fixture_open(&f);
    ptf_status status = PTF_MEMORY;
    long n = 0;
    for (; status == PTF_MEMORY; n++) {
        ptf_net *net;
        ptf_alloc_fail_after(n);
        status =
            ptf_net_make(f.text, "text", f.ckpt, &fixture_in_order, &net, NULL);
        ptf_alloc_fail_after(-1);
        assert_int_equal(net == NULL, status != PTF_OK);
        ptf_net_free(net);
    }
    assert_int_equal(status, PTF_OK);
    assert_in_range(n, 5, 100);
    fixture_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_come_in_the_order_of_the_state_dict),
        cmocka_unit_test(old_files_do_not_count_batches),
        cmocka_unit_test(old_files_count_batches_in_a_row_of_one),
        cmocka_unit_test(names_are_found_behind_what_wrappers_put_there),
        cmocka_unit_test(every_mismatch_is_named),
        cmocka_unit_test(statistics_that_are_not_kept_are_unexpected),
        cmocka_unit_test(batches_may_be_counted_in_any_type),
        cmocka_unit_test(checkpoints_of_the_course_are_recognised),
        cmocka_unit_test(the_graph_prints_one_line_per_node),
        cmocka_unit_test(broken_graphs_fail_the_check),
        cmocka_unit_test(out_of_memory_is_reported),
    };
    return cmocka_run_group_tests_name("bind", tests, NULL, NULL);
}
