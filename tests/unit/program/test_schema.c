/*
 * The table of operators: what every row promises, and some that are known.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "program/schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const ptf_schema_argument *find(const char *target, const char *name)
{
    const ptf_schema *s = ptf_schema_find(target);
    assert_non_null(s);
    for (int i = 0; i < s->argument_count; i++) {
        if (strcmp(s->arguments[i].name, name) == 0)
            return &s->arguments[i];
    }
    fail_msg("%s has no %s", target, name);
    return NULL;
}

/* What an argument that is left out has. */
static const ptf_argument *otherwise(const char *target, const char *name)
{
    const ptf_schema_argument *a = find(target, name);
    assert_true(a->has_default);
    assert_string_equal(a->otherwise.name, name);
    assert_false(a->otherwise.given);
    return &a->otherwise;
}

static void every_row_is_found_by_its_target(void **state)
{
    (void)state;
    size_t count;
    const ptf_schema *table = ptf_schema_table(&count);
    assert_in_range(count, 600, 2000);
    for (size_t i = 0; i < count; i++) {
        assert_ptr_equal(ptf_schema_find(table[i].target), &table[i]);
        assert_true(i == 0 || strcmp(table[i - 1].target, table[i].target) < 0);
    }
    assert_null(ptf_schema_find("aten.conv2d"));
    assert_null(ptf_schema_find("aten.zzz.default"));
    assert_null(ptf_schema_find(""));
}

/* Whether a default can be of an argument's type. */
static bool fits(const ptf_schema_argument *a)
{
    static const ptf_argument_kind kinds[] = {
        [PTF_SCHEMA_INT] = PTF_ARGUMENT_INT,
        [PTF_SCHEMA_FLOAT] = PTF_ARGUMENT_FLOAT,
        [PTF_SCHEMA_BOOL] = PTF_ARGUMENT_BOOL,
        [PTF_SCHEMA_TEXT] = PTF_ARGUMENT_TEXT,
        [PTF_SCHEMA_DTYPE] = PTF_ARGUMENT_DTYPE,
        [PTF_SCHEMA_MEMORY_FORMAT] = PTF_ARGUMENT_MEMORY_FORMAT,
        [PTF_SCHEMA_GENERATOR] = PTF_ARGUMENT_NONE,
    };
    const ptf_argument *d = &a->otherwise;
    if (d->kind == PTF_ARGUMENT_NONE)
        return a->is_optional;
    if (a->is_list)
        return a->type == PTF_SCHEMA_INT && d->kind == PTF_ARGUMENT_INTS &&
               (d->count == 0 || a->size <= 1 || d->count == a->size);
    if (a->type == PTF_SCHEMA_SCALAR)
        return d->kind == PTF_ARGUMENT_INT || d->kind == PTF_ARGUMENT_FLOAT;
    return d->kind == kinds[a->type];
}

static void defaults_are_of_their_arguments_type(void **state)
{
    (void)state;
    size_t count;
    const ptf_schema *table = ptf_schema_table(&count);
    for (size_t i = 0; i < count; i++) {
        for (int k = 0; k < table[i].argument_count; k++) {
            const ptf_schema_argument *a = &table[i].arguments[k];
            if (a->has_default && !fits(a))
                fail_msg("%s: %s", table[i].target, a->name);
        }
    }
}

static void defaults_are_those_of_pytorch(void **state)
{
    (void)state;
    const ptf_argument *a = otherwise("aten.conv2d.default", "stride");
    assert_int_equal(a->count, 2);
    assert_int_equal(a->integers[1].number, 1);
    assert_int_equal(a->integers[1].value, -1);
    a = otherwise("aten.max_pool2d.default", "padding"); /* "=0" for both */
    assert_int_equal(a->count, 2);
    assert_int_equal(a->integers[1].number, 0);
    assert_int_equal(otherwise("aten.max_pool2d.default", "stride")->count, 0);
    a = otherwise("aten.layer_norm.default", "eps");
    assert_true(a->number >= 1e-5 && a->number <= 1e-5);
    a = otherwise("aten.hardtanh.default", "min_val"); /* a Scalar: an int */
    assert_int_equal(a->kind, PTF_ARGUMENT_INT);
    assert_int_equal(a->integer, -1);
    a = otherwise("aten.leaky_relu_.default", "negative_slope");
    assert_int_equal(a->kind, PTF_ARGUMENT_FLOAT);
    assert_string_equal(otherwise("aten.gelu.default", "approximate")->text,
                        "none");
    assert_int_equal(otherwise("aten.topk.default", "largest")->truth, true);
    a = otherwise("aten.contiguous.default", "memory_format");
    assert_int_equal(a->memory_format, PTF_MEMORY_CONTIGUOUS);
    a = otherwise("aten.slice.Tensor", "end");
    assert_int_equal(a->kind, PTF_ARGUMENT_NONE);
    assert_false(find("aten.linear.default", "weight")->has_default);
}

static void types_and_aliases_are_read(void **state)
{
    (void)state;
    const ptf_schema_argument *a = find("aten.add_.Tensor", "self");
    assert_int_equal(a->alias, 'a');
    assert_true(a->is_written);
    assert_false(find("aten.view.default", "self")->is_written);
    assert_int_equal(ptf_schema_find("aten.view.default")->results[0].alias,
                     'a');
    assert_int_equal(find("aten.chunk.default", "self")->alias, 'a');
    const ptf_schema *chunk = ptf_schema_find("aten.chunk.default");
    assert_true(chunk->results[0].is_list);
    a = find("aten.index.Tensor", "indices");
    assert_true(a->is_list && a->has_optional_elements && !a->is_optional);
    a = find("aten.mean.dim", "dim");
    assert_true(a->is_list && a->is_optional && a->size == 1);
    assert_true(find("aten.mean.dim", "dtype")->is_keyword);
    assert_int_equal(ptf_schema_find("aten.topk.default")->result_count, 2);
    const char *none = "aten._assert_tensor_metadata.default";
    assert_int_equal(ptf_schema_find(none)->result_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_found_by_its_target),
        cmocka_unit_test(defaults_are_of_their_arguments_type),
        cmocka_unit_test(defaults_are_those_of_pytorch),
        cmocka_unit_test(types_and_aliases_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
