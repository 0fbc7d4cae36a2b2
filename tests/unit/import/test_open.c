/*
 * import: networks out of files of every kind, and objects that are freed
 * before what was made from them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ptfold.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *folder;

static const char *path_of(const char *name)
{
    static char path[4096];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static char *text_of(const char *name)
{
    FILE *file = fopen(path_of(name), "r");
    assert_non_null(file);
    char *text = calloc(1, 1 << 16);
    assert_non_null(text);
    assert_true(fread(text, 1, (1 << 16) - 1, file) > 0);
    fclose(file);
    return text;
}

static void every_kind_of_file_is_opened(void **state)
{
    (void)state;
    static const struct {
        const char *file, *text;
    } files[] = {
        {"programs/residual.pt2", NULL},
        {"whole.pt", NULL},
        {"net1.pt", "net1.txt"},
        {"small_net.pt", "small_net.txt"},
    };
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        char *text = files[i].text != NULL ? text_of(files[i].text) : NULL;
        const ptf_net_options options = {.size = sizeof(options), .text = text};
        ptf_error err;
        ptf_net *net;
        if (ptf_net_open(path_of(files[i].file), &options, &net, &err) !=
            PTF_OK)
            fail_msg("%s", err.message);
        assert_true(ptf_net_tensor_count(net) > 0);
        ptf_net_free(net);
        free(text);
    }
}

static void what_does_not_apply_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        ptf_net_options options;
        ptf_status status;
        const char *says;
    } cases[] = {
        {"programs/residual.pt2", {.text = "x"}, PTF_ARGUMENT, "own graph"},
        {"programs/residual.pt2", {.key = "x"}, PTF_ARGUMENT, "own graph"},
        {"programs/residual.pt2", {.in_order = true}, PTF_ARGUMENT, "own gra"},
        {"programs/residual.pt2", {.model = "no"}, PTF_ARGUMENT, "no"},
        {"net1.pt", {.model = "no"}, PTF_ARGUMENT, "exported program"},
        {"net1.pt", {.text = "?"}, PTF_FORMAT, "the text"},
        {"net1.pt", {.text = "?", .text_name = "n.txt"}, PTF_FORMAT, "n.txt"},
        {"net1.pt", {.key = "no"}, PTF_ARGUMENT, "'no'"},
        {"small_net.pt", {.size = 0}, PTF_UNSUPPORTED, "built-in"},
        {"net1.txt", {.size = 0}, PTF_UNSUPPORTED, "got a text"},
        {"nothing", {.size = 0}, PTF_IO, "nothing"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ptf_net_options options = cases[i].options;
        options.size = sizeof(options);
        ptf_error err = {.status = PTF_OK};
        ptf_net *net = NULL;
        ptf_status status =
            ptf_net_open(path_of(cases[i].file), &options, &net, &err);
        if (status != cases[i].status ||
            strstr(err.message, cases[i].says) == NULL || net != NULL)
            fail_msg("row %zu: %d, %s", i, (int)status, err.message);
    }
}

/* What is made from a net of a program, in an order; then freed in any. */
typedef struct made {
    ptf_net *net, *folded;
    ptf_plan *plan;
    ptf_gradient *gradient;
    ptf_enclosure *enclosure;
    ptf_check *check;
} made;

static void make_all(made *m)
{
    ptf_error err;
    const ptf_rewrite *fold = ptf_rewrite_find("fold_batchnorm");
    if (ptf_net_open(path_of("programs/residual.pt2"), NULL, &m->net, &err) !=
            PTF_OK ||
        ptf_net_rewrite(m->net, fold, NULL, &m->folded, &err) != PTF_OK ||
        ptf_plan_make(m->folded, NULL, 1, NULL, &m->plan, &err) != PTF_OK ||
        ptf_gradient_make(m->folded, NULL, 1, NULL, &m->gradient, &err) !=
            PTF_OK ||
        ptf_enclosure_make(m->folded, NULL, &m->enclosure, &err) != PTF_OK ||
        ptf_check_make(m->net, m->folded, NULL, NULL, &m->check, &err) !=
            PTF_OK)
        fail_msg("%s", err.message);
}

enum { KINDS = 6 };

static void free_one(made *m, int kind)
{
    switch (kind) {
    case 0: ptf_net_free(m->net); break;
    case 1: ptf_net_free(m->folded); break;
    case 2: ptf_plan_free(m->plan); break;
    case 3: ptf_gradient_free(m->gradient); break;
    case 4: ptf_enclosure_free(m->enclosure); break;
    default: ptf_check_free(m->check);
    }
}

/* The sanitizers see what is read after it was freed, and what is left. */
static void objects_are_freed_in_any_order(void **state)
{
    (void)state;
    for (int first = 0; first < KINDS; first++) {
        for (int step = 1; step < KINDS; step += 4) { /* 1 and 5: both ways */
            made m;
            make_all(&m);
            for (int k = 0; k < KINDS; k++)
                free_one(&m, (first + k * step) % KINDS);
        }
    }
}

static void a_plan_runs_when_its_net_is_freed(void **state)
{
    (void)state;
    float *outputs[2];
    for (int early = 0; early < 2; early++) {
        made m;
        make_all(&m);
        ptf_port port;
        ptf_net_input(m.net, 0, &port);
        size_t in = (size_t)ptf_shape_numel(&port.shape);
        ptf_shape shape = ptf_plan_output(m.plan, 0);
        size_t out = (size_t)ptf_shape_numel(&shape);
        float *x = calloc(in, sizeof(*x));
        outputs[early] = calloc(out, sizeof(float));
        assert_true(x != NULL && outputs[early] != NULL);
        ptf_random_fill(1, 0, x, in);
        for (int k = 0; early && k < KINDS; k++) {
            if (k != 2)
                free_one(&m, k);
        }
        assert_int_equal(ptf_plan_run(m.plan, x, 1, outputs[early], NULL),
                         PTF_OK);
        for (int k = 0; k < KINDS; k++) {
            if (!early || k == 2)
                free_one(&m, k);
        }
        free(x);
        if (early)
            assert_memory_equal(outputs[0], outputs[1], out * sizeof(float));
    }
    free(outputs[0]);
    free(outputs[1]);
}

static void inputs_without_a_shape_need_one(void **state)
{
    (void)state;
    char *text = text_of("small_net.txt");
    const ptf_net_options options = {.size = sizeof(options),
                                     .text = strstr(text, "Sequential(")};
    ptf_net *net;
    ptf_plan *plan;
    ptf_error err;
    ptf_port port;
    assert_int_equal(
        ptf_net_open(path_of("small_net.pt"), &options, &net, &err), PTF_OK);
    ptf_net_input(net, 0, &port);
    assert_false(port.has_shape);
    assert_int_equal(ptf_plan_make(net, NULL, 1, NULL, &plan, &err),
                     PTF_ARGUMENT);
    assert_non_null(strstr(err.message, "shape"));
    ptf_net_free(net);
    free(text);
}

int main(int argc, char **argv)
{
    folder = argc > 1 ? argv[1] : "checkpoints/fixtures";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_file_is_opened),
        cmocka_unit_test(what_does_not_apply_is_refused),
        cmocka_unit_test(objects_are_freed_in_any_order),
        cmocka_unit_test(a_plan_runs_when_its_net_is_freed),
        cmocka_unit_test(inputs_without_a_shape_need_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
