/*
 * Recorded arrays: which layer's outputs they are, by their names and shapes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "certify/expect.h"

/* ------------------------------------------------------------------- names */

static bool is_one_of(const char *name, const char *const *list)
{
    while (*list != NULL && strcmp(*list, name) != 0)
        list++;
    return *list != NULL;
}

/* What an array is called that has no layer's name. */
typedef enum meaning { IS_OUTPUT, IS_INPUT, IS_UNKNOWN } meaning;

static meaning meaning_of(const char *name, size_t count)
{
    static const char *const outputs[] = {"output", "outputs", "y", NULL};
    static const char *const inputs[] = {"input", "inputs", "x", NULL};
    if (is_one_of(name, inputs))
        return count > 1 ? IS_INPUT : IS_OUTPUT;
    return count == 1 || is_one_of(name, outputs) ? IS_OUTPUT : IS_UNKNOWN;
}

/* Not a layer that gives something for each input. */
static bool is_constant(const ptf_net *net, int node)
{
    while (ptf_op_is(net->nodes[node].op, PTF_FAMILY_VIEW))
        node = net->nodes[node].inputs[0];
    return net->nodes[node].op == PTF_OP_CONSTANT;
}

/* The node whose output the array is; -1: it is left out. */
static ptf_status find_node(const ptf_recording *r, const char *name, int *node,
                            ptf_error *err)
{
    const ptf_net *net = r->net;
    size_t port;
    *node = -1;
    if (name[0] != '\0' && ptf_net_find_output(net, name, &port)) {
        *node = net->outputs[port].node;
        return PTF_OK;
    }
    for (int i = net->input_count; i < net->node_count; i++) {
        *node = i;
        if (name[0] != '\0' && strcmp(net->nodes[i].name, name) == 0 &&
            !is_constant(net, i))
            return PTF_OK;
    }
    *node = -1;
    meaning m = meaning_of(name, r->count);
    if (m == IS_INPUT || (name[0] != '\0' && r->count > 1 &&
                          ptf_net_find_input(net, name, &port)))
        return PTF_OK;
    if (m == IS_OUTPUT && net->output_count == 1) {
        *node = net->outputs[0].node;
        return PTF_OK;
    }
    ptf_origin origin = {r->source, name[0] != '\0' ? name : NULL};
    return ptf_fail(err, PTF_ARGUMENT, &origin, PTF_NO_OFFSET,
                    "expected \"%s\" or the name of a layer, got an "
                    "array of another name; ptfold info lists the layers",
                    net->output_count == 1
                        ? "output"
                        : ptf_net_output_name(net, &net->outputs[0]));
}

/* ------------------------------------------------------------------ shapes */

ptf_tensor ptf_recorded_squeeze(const ptf_tensor *t)
{
    ptf_tensor out = *t;
    out.rank = 0;
    for (int i = 0; i < t->rank; i++) {
        if (t->shape[i] == 1)
            continue;
        out.shape[out.rank] = t->shape[i];
        out.stride[out.rank++] = t->stride[i];
    }
    return out;
}

/* Samples x shape. */
static ptf_tensor wanted(int64_t samples, const ptf_shape *shape)
{
    ptf_tensor t = {.rank = shape->rank + 1, .shape = {samples}};
    for (int i = 0; i < shape->rank; i++)
        t.shape[i + 1] = shape->dim[i];
    return t;
}

static bool same_shape(const ptf_tensor *a, const ptf_tensor *b)
{
    bool same = a->rank == b->rank;
    for (int i = 0; same && i < a->rank; i++)
        same = a->shape[i] == b->shape[i];
    return same;
}

/* Integers are recorded of outputs that are integers. */
static bool takes(const ptf_net *net, int node, ptf_dtype dtype)
{
    bool takes = dtype == PTF_DTYPE_F32 || dtype == PTF_DTYPE_F64 ||
                 dtype == PTF_DTYPE_F16;
    for (int k = 0; k < net->output_count; k++)
        takes |= net->outputs[k].node == node && net->outputs[k].dtype == dtype;
    return takes;
}

static const char *name_of(const ptf_net *net, int node)
{
    if (net->output_count == 1 && ptf_net_is_output(net, node))
        return "the network";
    return net->nodes[node].name;
}

static ptf_status check_array(const ptf_recording *r, const ptf_tensor *array,
                              int node, ptf_error *err)
{
    char expected[192], found[192];
    ptf_origin origin = {r->source,
                         array->name[0] != '\0' ? array->name : NULL};
    ptf_tensor full = wanted(r->samples, &r->shapes[node]);
    ptf_tensor a = ptf_recorded_squeeze(array), b = ptf_recorded_squeeze(&full);
    ptf_tensor_shape_text(&full, expected);
    ptf_tensor_shape_text(array, found);
    if (!same_shape(&a, &b))
        return ptf_fail(err, PTF_ARGUMENT, &origin, PTF_NO_OFFSET,
                        "expected an array %s, the output of %s for each of "
                        "%lld inputs, got %s",
                        expected, name_of(r->net, node), (long long)r->samples,
                        found);
    if (!takes(r->net, node, array->dtype))
        return ptf_fail(err, PTF_UNSUPPORTED, &origin, PTF_NO_OFFSET,
                        "expected float32, float64 or float16, got %s",
                        ptf_dtype_name(array->dtype));
    return PTF_OK;
}

ptf_status ptf_recorded_find(const ptf_recording *r, const ptf_tensor *array,
                             int *node, ptf_error *err)
{
    ptf_status status = find_node(r, array->name, node, err);
    return status == PTF_OK && *node >= 0 ? check_array(r, array, *node, err)
                                          : status;
}

/* ----------------------------------------------------------------- numbers */

ptf_status ptf_recorded_read(const ptf_tensor *array, int64_t samples,
                             int64_t n, double *out, ptf_error *err)
{
    ptf_tensor t = *array;
    if (samples > 1) { /* so the first dimension is theirs */
        t.data = (const uint8_t *)t.data +
                 (size_t)(n * t.stride[0]) * ptf_dtype_size(t.dtype);
        t.rank--;
        memmove(t.shape, t.shape + 1, (size_t)t.rank * sizeof(t.shape[0]));
        memmove(t.stride, t.stride + 1, (size_t)t.rank * sizeof(t.stride[0]));
    }
    return ptf_tensor_read_f64(&t, out, err);
}
