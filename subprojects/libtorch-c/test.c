/*
 * The module from C: numbers go in and out, and whatever is wrong comes back
 * as a status and a text.  The argument is the module's path.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "ltc_load.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <threads.h>

static ltc_api torch;
static int failures;

#define CHECK(condition) check(condition, #condition, __LINE__)

static void check(int holds, const char *condition, int line)
{
    if (holds)
        return;
    fprintf(stderr, "test.c:%d: %s; the last error is \"%s\"\n", line,
            condition, torch.last_error());
    failures++;
}

static ltc_tensor *make(int rank, const int64_t *shape, int requires_grad)
{
    static const double numbers[] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    ltc_tensor *t = NULL;
    CHECK(torch.tensor_make(numbers, LTC_F64, rank, shape, requires_grad, &t) ==
          LTC_OK);
    return t;
}

/* A refusal: the status, nothing given, and a text that holds 'word'. */
static void expect_refusal(int status, int want, ltc_tensor *const *out,
                           const char *word)
{
    CHECK(status == want);
    CHECK(*out == NULL);
    CHECK(strstr(torch.last_error(), word) != NULL);
    CHECK(strstr(torch.last_error(), "frame #") == NULL); /* no backtrace */
}

static const ltc_window plain = {2,      {2, 2}, {1, 1}, {0, 0}, {1, 1},
                                 {0, 0}, 1,      0,      0};

static void numbers_come_back(void)
{
    ltc_tensor *t = make(2, (int64_t[]){2, 3}, 0);
    int rank = 0;
    int64_t shape[2];
    float f32[6];
    CHECK(torch.tensor_rank(t, &rank) == LTC_OK && rank == 2);
    CHECK(torch.tensor_shape(t, shape) == LTC_OK);
    CHECK(shape[0] == 2 && shape[1] == 3);
    CHECK(torch.tensor_read(t, LTC_F32, f32, 6) == LTC_OK);
    for (int i = 0; i < 6; i++)
        CHECK((int)f32[i] == i + 1);
    CHECK(torch.tensor_read(t, LTC_F32, f32, 5) == LTC_ARGUMENT);
    CHECK(strstr(torch.last_error(), "6 numbers, room is for 5") != NULL);
    torch.tensor_free(t);
    torch.tensor_free(NULL);
}

static void bad_arguments_are_refused(void)
{
    ltc_tensor *out = NULL, *x = make(3, (int64_t[]){1, 3, 3}, 0);
    double number = 0;
    CHECK(torch.tensor_make(NULL, LTC_F32, 0, NULL, 0, &out) == LTC_ARGUMENT);
    CHECK(torch.tensor_make(&number, LTC_F64, 1, (int64_t[]){-1}, 0, &out) ==
          LTC_ARGUMENT);
    CHECK(torch.tensor_make(&number, (ltc_dtype)7, 0, NULL, 0, &out) ==
          LTC_ARGUMENT);
    CHECK(torch.tensor_make(&number, LTC_F64, 0, NULL, 0, NULL) ==
          LTC_ARGUMENT);
    expect_refusal(torch.conv(x, NULL, NULL, &plain, &out), LTC_ARGUMENT, &out,
                   "null pointer");
    expect_refusal(torch.conv(x, x, NULL, NULL, &out), LTC_ARGUMENT, &out,
                   "null pointer");
    ltc_window solid = plain;
    solid.dims = 3;
    expect_refusal(torch.max_pool(x, &solid, &out), LTC_ARGUMENT, &out,
                   "1 nor 2 dimensions");
    expect_refusal(torch.activate(x, (ltc_activation)99, NULL, &out),
                   LTC_ARGUMENT, &out, "no such function");
    CHECK(torch.module_load(NULL, NULL) == LTC_ARGUMENT);
    CHECK(torch.grad(NULL, NULL, NULL, 1, &out) == LTC_ARGUMENT);
    torch.tensor_free(x);
}

static void wrong_shapes_are_libtorchs_to_refuse(void)
{
    ltc_tensor *out = NULL;
    ltc_tensor *x = make(3, (int64_t[]){1, 3, 3}, 0);
    ltc_tensor *weight = make(4, (int64_t[]){1, 2, 2, 2}, 0);
    ltc_tensor *row = make(1, (int64_t[]){2}, 0);
    expect_refusal(torch.conv(x, weight, NULL, &plain, &out), LTC_TORCH, &out,
                   "channels");
    expect_refusal(torch.linear(x, weight, NULL, &out), LTC_TORCH, &out, "");
    expect_refusal(torch.batch_norm(x, row, row, row, row, 0, &out), LTC_TORCH,
                   &out, "");
    expect_refusal(torch.softmax(row, 5, &out), LTC_TORCH, &out, "range");
    ltc_window stopped = plain;
    stopped.stride[0] = -1;
    expect_refusal(torch.max_pool(x, &stopped, &out), LTC_TORCH, &out,
                   "stride");
    torch.tensor_free(row);
    torch.tensor_free(weight);
    torch.tensor_free(x);
}

/* y = conv(x, w) on 3x3 with 2x2: dy/dw of sum(y) sums windows of x. */
static void gradients_are_autograds(void)
{
    ltc_tensor *x = make(3, (int64_t[]){1, 3, 3}, 0), *y = NULL, *ones = NULL,
               *grad = NULL;
    ltc_tensor *w = make(4, (int64_t[]){1, 1, 2, 2}, 1);
    double one[4] = {1, 1, 1, 1}, found[4];
    CHECK(torch.conv(x, w, NULL, &plain, &y) == LTC_OK);
    CHECK(torch.tensor_make(one, LTC_F64, 3, (int64_t[]){1, 2, 2}, 0, &ones) ==
          LTC_OK);
    CHECK(torch.grad(y, ones, &w, 1, &grad) == LTC_OK);
    CHECK(torch.tensor_read(grad, LTC_F64, found, 4) == LTC_OK);
    static const int want[4] = {1 + 2 + 4 + 5, 2 + 3 + 5 + 6, 4 + 5 + 7 + 8,
                                5 + 6 + 8 + 9};
    for (int i = 0; i < 4; i++)
        CHECK((int)found[i] == want[i]);
    torch.tensor_free(grad);
    grad = y;
    expect_refusal(torch.grad(x, x, &x, 1, &grad), LTC_TORCH, &grad, "grad");
    torch.tensor_free(ones);
    torch.tensor_free(y);
    torch.tensor_free(w);
    torch.tensor_free(x);
}

static void a_fold_takes_what_is_missing_as_neutral(void)
{
    ltc_tensor *w = make(4, (int64_t[]){1, 1, 1, 2}, 0), *weight = NULL,
               *bias = NULL;
    ltc_tensor *mean = make(1, (int64_t[]){1}, 0); /* 1 */
    double found[2];
    CHECK(torch.fold_conv_bn(w, NULL, mean, mean, 3.0, NULL, NULL, &weight,
                             &bias) == LTC_OK);
    /* scale = 1 / sqrt(1 + 3) */
    CHECK(torch.tensor_read(weight, LTC_F64, found, 2) == LTC_OK);
    CHECK(fabs(found[0] - 0.5) < 1e-15 && fabs(found[1] - 1.0) < 1e-15);
    CHECK(torch.tensor_read(bias, LTC_F64, found, 1) == LTC_OK);
    CHECK(fabs(found[0] + 0.5) < 1e-15);
    torch.tensor_free(bias);
    torch.tensor_free(weight);
    ltc_tensor *two = make(1, (int64_t[]){2}, 0),
               *three = make(1, (int64_t[]){3}, 0);
    CHECK(torch.fold_conv_bn(w, NULL, two, three, 3.0, NULL, NULL, &weight,
                             &bias) == LTC_TORCH);
    CHECK(weight == NULL && bias == NULL);
    torch.tensor_free(three);
    torch.tensor_free(two);
    torch.tensor_free(mean);
    torch.tensor_free(w);
}

static void files_that_are_no_modules_are_refused(const char *path)
{
    ltc_module *module = NULL;
    CHECK(torch.module_load("/nonexistent/module.pt", &module) == LTC_TORCH);
    CHECK(module == NULL && torch.last_error()[0] != '\0');
    CHECK(torch.module_load(path, &module) == LTC_TORCH); /* this module */
    CHECK(module == NULL && torch.last_error()[0] != '\0');
    torch.module_free(module);
}

static int other_thread(void *was_empty)
{
    *(int *)was_empty = torch.last_error()[0] == '\0';
    return torch.tensor_rank(NULL, NULL);
}

static void errors_belong_to_their_thread(void)
{
    ltc_tensor *out = NULL;
    thrd_t thread;
    int was_empty = 0, status = 0;
    CHECK(torch.softmax(NULL, 0, &out) == LTC_ARGUMENT);
    char mine[256];
    snprintf(mine, sizeof(mine), "%s", torch.last_error());
    CHECK(thrd_create(&thread, other_thread, &was_empty) == thrd_success);
    CHECK(thrd_join(thread, &status) == thrd_success);
    CHECK(was_empty && status == LTC_ARGUMENT);
    CHECK(strcmp(mine, torch.last_error()) == 0);
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "";
    const char *reason = ltc_load("/nonexistent/module.so", &torch);
    if (reason == NULL || strstr(reason, "nonexistent") == NULL)
        return 1;
    reason = ltc_load(path, &torch);
    if (reason != NULL) {
        fprintf(stderr, "%s\n", reason);
        return 1;
    }
    numbers_come_back();
    bad_arguments_are_refused();
    wrong_shapes_are_libtorchs_to_refuse();
    gradients_are_autograds();
    a_fold_takes_what_is_missing_as_neutral();
    files_that_are_no_modules_are_refused(path);
    errors_belong_to_their_thread();
    return failures > 0;
}
