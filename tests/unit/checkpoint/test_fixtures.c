/*
 * The committed checkpoints of PyTorch 2.13, through the public interface:
 * every tensor has the digest, and every net the outputs, that PyTorch gave.
 *
 * The only argument is the folder of the fixtures.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ptfold_tool.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include <cmocka.h>

enum { MAX_COLUMNS = 5, MAX_OUTPUTS = 10 };

static const char *folder;

static const char *path_of(const char *name)
{
    static char path[4096];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

/* The next line of a table in columns; 0 at its end. */
static int next_line(FILE *table, char *columns[MAX_COLUMNS])
{
    static char line[4096];
    do {
        if (fgets(line, sizeof(line), table) == NULL)
            return 0;
    } while (line[0] == '#');
    line[strcspn(line, "\n")] = '\0';
    int count = 0;
    for (char *rest = line; rest != NULL && count < MAX_COLUMNS;)
        columns[count++] = strsep(&rest, "\t");
    return count;
}

static FILE *open_table(const char *name)
{
    FILE *table = fopen(path_of(name), "r");
    if (table == NULL)
        fail_msg("cannot open %s", path_of(name));
    return table;
}

static ptf_checkpoint *open_fixture(const char *name)
{
    ptf_error err = {0};
    ptf_checkpoint *ckpt = NULL;
    ptf_open_options options = {
        .key = strcmp(name, "nested.pt") == 0 ? "state_dict" : NULL};
    if (ptf_checkpoint_open(path_of(name), &options, &ckpt, &err) != PTF_OK)
        fail_msg("%s", err.message);
    if (ptf_checkpoint_verify(ckpt, &err) != PTF_OK)
        fail_msg("%s", err.message);
    return ckpt;
}

/* Feeds the elements to the digest one by one, in C order. */
static void digest_elements(EVP_MD_CTX *context, const ptf_tensor *t, int dim,
                            const uint8_t *at)
{
    size_t size = ptf_dtype_size(t->dtype);
    if (dim == t->rank) {
        EVP_DigestUpdate(context, at, size);
        return;
    }
    for (int64_t i = 0; i < t->shape[dim]; i++)
        digest_elements(context, t, dim + 1,
                        at + (size_t)(i * t->stride[dim]) * size);
}

static void digest_of(const ptf_tensor *t, char hex[65])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    assert_non_null(context);
    EVP_DigestInit_ex(context, EVP_sha256(), NULL);
    digest_elements(context, t, 0, t->data);
    EVP_DigestFinal_ex(context, digest, NULL);
    EVP_MD_CTX_free(context);
    for (size_t i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

/* "3x8x8", "-" for rank 0. */
static void shape_of(const ptf_tensor *t, char text[256])
{
    snprintf(text, 256, "-");
    for (int i = 0, at = 0; i < t->rank; i++)
        at += snprintf(text + at, 256 - (size_t)at, "%s%lld", i > 0 ? "x" : "",
                       (long long)t->shape[i]);
}

static void every_tensor_has_the_bytes_that_were_saved(void **state)
{
    (void)state;
    FILE *table = open_table("DIGESTS.tsv");
    char *columns[MAX_COLUMNS], open[64] = "";
    ptf_checkpoint *ckpt = NULL;
    size_t index = 0, files = 0;
    while (next_line(table, columns) == 5) {
        if (strcmp(open, columns[0]) != 0) {
            if (ckpt != NULL)
                assert_int_equal(index, ptf_checkpoint_tensor_count(ckpt));
            ptf_checkpoint_close(ckpt);
            snprintf(open, sizeof(open), "%s", columns[0]);
            ckpt = open_fixture(open);
            index = 0;
            files++;
        }
        char shape[256], hex[65];
        const ptf_tensor *t = ptf_checkpoint_tensor(ckpt, index++);
        assert_non_null(t);
        assert_string_equal(t->name, columns[1]);
        assert_string_equal(ptf_dtype_name(t->dtype), columns[2]);
        shape_of(t, shape);
        assert_string_equal(shape, columns[3]);
        digest_of(t, hex);
        assert_string_equal(hex, columns[4]);
        assert_ptr_equal(ptf_checkpoint_find(ckpt, columns[1]), t);
    }
    assert_int_equal(index, ptf_checkpoint_tensor_count(ckpt));
    ptf_checkpoint_close(ckpt);
    fclose(table);
    assert_int_equal(files, 14);
}

/* What sample() of make.py makes. */
static float *make_sample(const ptf_shape *shape)
{
    int64_t count = ptf_shape_numel(shape);
    float *x = malloc((size_t)count * sizeof(*x));
    assert_non_null(x);
    for (int64_t i = 0; i < count; i++)
        x[i] = (float)(i * 7919 % 1009) / 1009.0f;
    return x;
}

static char *read_text(const char *name)
{
    static char text[8192];
    FILE *f = fopen(path_of(name), "r");
    assert_non_null(f);
    size_t size = fread(text, 1, sizeof(text) - 1, f);
    text[size] = '\0';
    fclose(f);
    return text;
}

static void check_outputs(ptf_net *net, const ptf_shape *shape, char *expected)
{
    ptf_error err = {0};
    ptf_plan *plan;
    float y[MAX_OUTPUTS];
    if (ptf_plan_make(net, shape, 1, NULL, &plan, &err) != PTF_OK)
        fail_msg("%s", err.message);
    ptf_shape output = ptf_plan_output(plan, 0);
    assert_int_equal(ptf_shape_numel(&output), MAX_OUTPUTS);
    float *x = make_sample(shape);
    assert_int_equal(ptf_plan_run(plan, x, 1, y, &err), PTF_OK);
    for (int i = 0; i < MAX_OUTPUTS; i++) {
        char *end;
        double torch = strtod(expected, &end);
        assert_true(end != expected);
        expected = end;
        if (!(fabs((double)y[i] - torch) <= 2e-6))
            fail_msg("output %d: expected %.9g, got %.9g", i, torch,
                     (double)y[i]);
    }
    free(x);
    ptf_plan_free(plan);
}

static void every_net_computes_what_pytorch_computes(void **state)
{
    (void)state;
    FILE *table = open_table("OUTPUTS.tsv");
    char *columns[MAX_COLUMNS];
    int nets = 0;
    while (next_line(table, columns) == 4) {
        ptf_error err = {0};
        ptf_net *net;
        ptf_shape shape;
        ptf_port usual;
        ptf_checkpoint *ckpt = open_fixture(columns[0]);
        assert_true(ptf_shape_parse(columns[2], &shape));
        if (ptf_net_make(read_text(columns[1]), columns[1], ckpt, NULL, &net,
                         &err) != PTF_OK)
            fail_msg("%s", err.message);
        assert_true(ptf_net_input(net, 0, &usual) && usual.has_shape);
        assert_int_equal(usual.shape.rank, shape.rank);
        assert_memory_equal(usual.shape.dim, shape.dim,
                            (size_t)shape.rank * sizeof(*shape.dim));
        check_outputs(net, &shape, columns[3]);
        ptf_net_free(net);
        ptf_checkpoint_close(ckpt);
        nets++;
    }
    fclose(table);
    assert_int_equal(nets, 2);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_tensor_has_the_bytes_that_were_saved),
        cmocka_unit_test(every_net_computes_what_pytorch_computes),
    };
    if (argc != 2) {
        fprintf(stderr, "usage: test_fixtures FOLDER\n");
        return 2;
    }
    folder = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
