/*
 * The module, and nets layer by layer through it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/oracle/oracle.h"
#include "tool/common/tool.h"
#include "tool/oracle/layers.h"

#include <math.h>
#include <unistd.h>

/* ------------------------------------------------------------------ loading */

/* The module of the build folder, for a program that was not installed. */
static bool beside_program(char *path, size_t size)
{
    static const char module[] = "/../../subprojects/libtorch-c/libtorch-c.so";
    ssize_t n = readlink("/proc/self/exe", path, size - sizeof(module));
    if (n <= 0)
        return false;
    path[n] = '\0';
    char *slash = strrchr(path, '/');
    memcpy(slash, module, sizeof(module));
    return access(path, R_OK) == 0;
}

ptf_status oracle_open(ltc_api *out, ptf_error *err)
{
    char built[4096];
    const char *path = getenv("PTF_ORACLE");
    if (path == NULL)
        path = beside_program(built, sizeof(built)) ? built : PTF_ORACLE_PATH;
    const char *reason = ltc_load(path, out);
    if (reason == NULL)
        return PTF_OK;
    return tool_error(err, PTF_UNSUPPORTED,
                      "libtorch cannot be asked: %s; install libtorch-dev and "
                      "build with -Dlibtorch=enabled, or name the module in "
                      "PTF_ORACLE",
                      reason);
}

/* ------------------------------------------------------------------- errors */

ptf_status oracle_fail(const oracle_walk *walk, ptf_status status,
                       const char *what)
{
    return tool_error(walk->err, status, "libtorch, layer %s (%s): %s",
                      walk->layer.name, walk->layer.op, what);
}

ptf_status oracle_check(const oracle_walk *walk, int status)
{
    if (status == LTC_OK)
        return PTF_OK;
    return oracle_fail(walk,
                       status == LTC_MEMORY ? PTF_MEMORY : PTF_UNSUPPORTED,
                       walk->torch->last_error());
}

/* --------------------------------------------------------------- parameters */

/* The index of a parameter of the running layer, or the number of tensors. */
static size_t find_parameter(const oracle_walk *walk, const char *role)
{
    const char *layer = walk->layer.name;
    size_t size = strlen(layer), count = ptf_net_tensor_count(walk->net);
    for (size_t i = 0; i < count; i++) {
        const char *name = ptf_net_tensor(walk->net, i)->name;
        if (strncmp(name, layer, size) != 0)
            continue;
        const char *rest = name + size + (size > 0 && name[size] == '.');
        if (strcmp(rest, role) == 0)
            return i;
    }
    return count;
}

static ptf_status read_tensor(const oracle_walk *walk, const ptf_tensor *tensor,
                              double **out)
{
    size_t count = (size_t)ptf_tensor_numel(tensor);
    *out = malloc((count + 1) * sizeof(**out));
    if (*out == NULL)
        return oracle_fail(walk, PTF_MEMORY, "out of memory");
    ptf_status status = ptf_tensor_read_f64(tensor, *out, walk->err);
    if (status != PTF_OK) {
        free(*out);
        *out = NULL;
    }
    return status;
}

ptf_status oracle_numbers(oracle_walk *walk, const char *role, double **out)
{
    size_t index = find_parameter(walk, role);
    *out = NULL;
    if (index == ptf_net_tensor_count(walk->net))
        return PTF_OK;
    return read_tensor(walk, ptf_net_tensor(walk->net, index), out);
}

/* A tensor of libtorch's; 'numbers' is overwritten. */
static ptf_status make_tensor(const oracle_walk *walk, double *numbers,
                              ltc_dtype dtype, int rank, const int64_t *shape,
                              bool record, ltc_tensor **out)
{
    if (dtype == LTC_F32) { /* in place: float i lies before double i */
        int64_t count = 1;
        for (int d = 0; d < rank; d++)
            count *= shape[d];
        for (int64_t i = 0; i < count; i++) {
            float rounded = (float)numbers[i];
            memcpy((char *)numbers + (size_t)i * sizeof(rounded), &rounded,
                   sizeof(rounded));
        }
    }
    return oracle_check(walk, walk->torch->tensor_make(numbers, dtype, rank,
                                                       shape, record, out));
}

ptf_status oracle_parameter(oracle_walk *walk, const char *role, bool magnitude,
                            ltc_tensor **out)
{
    size_t index = find_parameter(walk, role);
    *out = NULL;
    if (index == ptf_net_tensor_count(walk->net))
        return PTF_OK;
    ltc_tensor **slot = magnitude ? walk->magnitudes : walk->parameters;
    slot += index;
    if (*slot == NULL) {
        const ptf_tensor *tensor = ptf_net_tensor(walk->net, index);
        double *numbers;
        ptf_status status = read_tensor(walk, tensor, &numbers);
        if (status != PTF_OK)
            return status;
        /* libtorch refuses to derive by running statistics. */
        bool record = walk->record && strncmp(role, "running", 7) != 0;
        int64_t count = magnitude ? ptf_tensor_numel(tensor) : 0;
        for (int64_t i = 0; i < count; i++)
            numbers[i] = fabs(numbers[i]);
        status = make_tensor(walk, numbers, magnitude ? LTC_F64 : walk->dtype,
                             tensor->rank, tensor->shape, record, slot);
        free(numbers);
        if (status != PTF_OK)
            return status;
    }
    *out = *slot;
    return PTF_OK;
}

static void drop_parameters(const oracle_walk *walk, ltc_tensor **tensors)
{
    for (size_t i = 0; i < ptf_net_tensor_count(walk->net); i++) {
        walk->torch->tensor_free(tensors[i]);
        tensors[i] = NULL;
    }
}

/* ------------------------------------------------------------------- values */

static void value_free(const oracle_walk *walk, oracle_value *value)
{
    walk->torch->tensor_free(value->tensor);
    free(value->numbers);
    free(value->bound);
    *value = (oracle_value){0};
}

/* Fills the rest of a value that has its tensor; the bound is 0. */
static ptf_status value_read(const oracle_walk *walk, oracle_value *value)
{
    const ltc_api *torch = walk->torch;
    int wrong = torch->tensor_rank(value->tensor, &value->rank);
    if (wrong == LTC_OK && value->rank > ORACLE_RANK)
        return oracle_fail(walk, PTF_UNSUPPORTED, "a value of too high a rank");
    if (wrong == LTC_OK)
        wrong = torch->tensor_shape(value->tensor, value->shape);
    if (wrong != LTC_OK)
        return oracle_check(walk, wrong);
    value->count = 1;
    for (int d = 0; d < value->rank; d++)
        value->count *= value->shape[d];
    value->numbers = calloc((size_t)value->count + 1, sizeof(double));
    value->bound = calloc((size_t)value->count + 1, sizeof(double));
    if (value->numbers == NULL || value->bound == NULL)
        return oracle_fail(walk, PTF_MEMORY, "out of memory");
    return oracle_check(walk, torch->tensor_read(value->tensor, LTC_F64,
                                                 value->numbers, value->count));
}

/* 'count' inputs as the first value. */
static ptf_status value_begin(const oracle_walk *walk, const ptf_shape *input,
                              const float *in, int64_t count, oracle_value *out)
{
    int64_t shape[ORACLE_RANK] = {count};
    int64_t total = count * ptf_shape_numel(input);
    for (int d = 0; d < input->rank; d++)
        shape[d + 1] = input->dim[d];
    *out = (oracle_value){0};
    double *numbers = malloc(((size_t)total + 1) * sizeof(*numbers));
    if (numbers == NULL)
        return oracle_fail(walk, PTF_MEMORY, "out of memory");
    for (int64_t i = 0; i < total; i++)
        numbers[i] = (double)in[i];
    ptf_status status = make_tensor(walk, numbers, walk->dtype, input->rank + 1,
                                    shape, walk->record, &out->tensor);
    free(numbers);
    return status == PTF_OK ? value_read(walk, out) : status;
}

/* ------------------------------------------------------------------ walking */

static ptf_status walk_begin(oracle_walk *walk)
{
    size_t count = ptf_net_tensor_count(walk->net) + 1;
    walk->layer = (ptf_layer){.name = "", .op = "Input", .text = "Input()"};
    walk->parameters = calloc(count, sizeof(ltc_tensor *));
    walk->magnitudes = calloc(count, sizeof(ltc_tensor *));
    if (walk->parameters != NULL && walk->magnitudes != NULL)
        return PTF_OK;
    return oracle_fail(walk, PTF_MEMORY, "out of memory");
}

static void walk_end(oracle_walk *walk)
{
    if (walk->parameters != NULL)
        drop_parameters(walk, walk->parameters);
    if (walk->magnitudes != NULL)
        drop_parameters(walk, walk->magnitudes);
    free(walk->parameters);
    free(walk->magnitudes);
}

/* One layer; *value becomes its output. */
static ptf_status walk_layer(oracle_walk *walk, bool bounded,
                             oracle_value *value)
{
    oracle_value out = {0};
    const oracle_row *row = oracle_row_find(walk->layer.op);
    if (row == NULL)
        return oracle_fail(walk, PTF_UNSUPPORTED,
                           "the oracle does not know this layer");
    ptf_status status = row->run(walk, value->tensor, false, &out.tensor);
    if (status == PTF_OK)
        status = value_read(walk, &out);
    if (status == PTF_OK && bounded)
        status = row->bound(walk, value, &out);
    value_free(walk, value);
    *value = out;
    return status;
}

static ptf_status walk_all(oracle_walk *walk, bool bounded, oracle_value *value)
{
    ptf_status status = PTF_OK;
    for (size_t i = 0; i < ptf_net_layer_count(walk->net) && status == PTF_OK;
         i++) {
        ptf_net_layer(walk->net, i, &walk->layer);
        status = walk_layer(walk, bounded, value);
        drop_parameters(walk, walk->magnitudes);
        if (!walk->record)
            drop_parameters(walk, walk->parameters);
    }
    return status;
}

ptf_status oracle_run(const ltc_api *torch, const ptf_net *net,
                      const ptf_shape *input, const float *in, int64_t count,
                      ltc_dtype dtype, double *value, double *bound,
                      int64_t room, ptf_error *err)
{
    oracle_walk walk = {.torch = torch, .net = net, .dtype = dtype, .err = err};
    oracle_value now = {0};
    ptf_status status = walk_begin(&walk);
    if (status == PTF_OK)
        status = value_begin(&walk, input, in, count, &now);
    if (status == PTF_OK)
        status = walk_all(&walk, bound != NULL, &now);
    if (status == PTF_OK && now.count != room)
        status = oracle_fail(&walk, PTF_ARGUMENT,
                             "the net has another number of outputs");
    for (int64_t i = 0; status == PTF_OK && i < room; i++) {
        value[i] = now.numbers[i];
        if (bound != NULL)
            bound[i] = isnan(now.bound[i]) ? (double)INFINITY : now.bound[i];
    }
    value_free(&walk, &now);
    walk_end(&walk);
    return status;
}

/* ---------------------------------------------------------------- gradients */

/* Autograd's gradients of the inputs and of what was asked for. */
static ptf_status read_gradients(oracle_walk *walk, const oracle_value *in,
                                 const oracle_value *out,
                                 const ltc_tensor *cotangent, double *in_grad,
                                 double *const *parameter_grads)
{
    const ltc_api *torch = walk->torch;
    size_t tensors = ptf_net_tensor_count(walk->net);
    ltc_tensor **wanted = calloc(2 * (tensors + 1), sizeof(*wanted));
    if (wanted == NULL)
        return oracle_fail(walk, PTF_MEMORY, "out of memory");
    ltc_tensor **grads = wanted + tensors + 1;
    int count = 0;
    wanted[count++] = in->tensor;
    for (size_t i = 0; i < tensors; i++) {
        if (parameter_grads[i] != NULL)
            wanted[count++] = walk->parameters[i];
    }
    int wrong = torch->grad(out->tensor, cotangent, wanted, count, grads);
    if (wrong == LTC_OK)
        wrong = torch->tensor_read(grads[0], LTC_F64, in_grad, in->count);
    for (size_t i = 0, k = 1; i < tensors && wrong == LTC_OK; i++) {
        if (parameter_grads[i] != NULL)
            wrong = torch->tensor_read(
                grads[k++], LTC_F64, parameter_grads[i],
                ptf_tensor_numel(ptf_net_tensor(walk->net, i)));
    }
    for (int i = 0; i < count; i++)
        torch->tensor_free(grads[i]);
    free(wanted);
    return oracle_check(walk, wrong);
}

ptf_status oracle_grad(const ltc_api *torch, const ptf_net *net,
                       const ptf_shape *input, const float *in, int64_t count,
                       const float *cotangent, double *in_grad,
                       double *const *parameter_grads, ptf_error *err)
{
    oracle_walk walk = {.torch = torch,
                        .net = net,
                        .dtype = LTC_F64,
                        .record = true,
                        .err = err};
    oracle_value first = {0}, now = {0};
    ltc_tensor *direction = NULL;
    ptf_status status = walk_begin(&walk);
    if (status == PTF_OK)
        status = value_begin(&walk, input, in, count, &first);
    if (status == PTF_OK) /* another handle of the same tensor */
        status = oracle_check(
            &walk, walk.torch->flatten(first.tensor, 0, 0, &now.tensor));
    if (status == PTF_OK)
        status = walk_all(&walk, false, &now);
    for (int64_t i = 0; status == PTF_OK && i < now.count; i++)
        now.numbers[i] = (double)cotangent[i];
    if (status == PTF_OK)
        status = make_tensor(&walk, now.numbers, LTC_F64, now.rank, now.shape,
                             false, &direction);
    if (status == PTF_OK)
        status = read_gradients(&walk, &first, &now, direction, in_grad,
                                parameter_grads);
    walk.torch->tensor_free(direction);
    value_free(&walk, &first);
    value_free(&walk, &now);
    walk_end(&walk);
    return status;
}
