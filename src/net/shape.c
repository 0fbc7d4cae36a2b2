/*
 * Shapes: as text, their sizes, and those of every value of a net.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "net/net.h"

bool ptf_shape_parse(const char *text, ptf_shape *out)
{
    ptf_shape shape = {0, {0}};
    while (shape.rank < PTF_SHAPE_MAX) {
        int64_t size = 0;
        size_t digits = strspn(text, "0123456789");
        if (digits == 0 || digits > 9)
            return false;
        for (size_t i = 0; i < digits; i++)
            size = 10 * size + (text[i] - '0');
        if (size == 0)
            return false;
        shape.dim[shape.rank++] = size;
        text += digits;
        if (*text == '\0') {
            *out = shape;
            return true;
        }
        if (*text++ != 'x')
            return false;
    }
    return false;
}

int64_t ptf_shape_numel(const ptf_shape *shape)
{
    int64_t n = 1;
    for (int i = 0; i < shape->rank; i++)
        n *= shape->dim[i];
    return n;
}

void ptf_shape_text(const ptf_shape *shape, char text[PTF_SHAPE_TEXT])
{
    size_t used = 0;
    snprintf(text, PTF_SHAPE_TEXT, "one number");
    for (int d = 0; d < shape->rank; d++) {
        int n = snprintf(text + used, PTF_SHAPE_TEXT - used, "%s%lld",
                         d > 0 ? "x" : "", (long long)shape->dim[d]);
        used += (size_t)n;
    }
}

bool ptf_shape_is_sane(const ptf_shape *shape)
{
    int64_t count = 1;
    if (shape->rank < 0 || shape->rank > PTF_SHAPE_MAX)
        return false;
    for (int d = 0; d < shape->rank; d++) {
        int64_t size = ptf_max_i64(shape->dim[d], 1);
        if (shape->dim[d] < 0 || !ptf_mul_i64(count, size, &count) ||
            count > PTF_VALUE_MAX)
            return false;
    }
    return true;
}

/* A value without elements is an input or a constant: no op makes or reads
 * one, so that none has to know of them. */
static bool have_elements(const ptf_shape *shapes, int count)
{
    bool all = true;
    for (int k = 0; k < count; k++)
        all = all && ptf_shape_numel(&shapes[k]) > 0;
    return all;
}

/* A constant's own shape, which has no batch. */
static bool constant_shape(const ptf_tensor *tensor, ptf_shape *out)
{
    if (tensor == NULL || tensor->rank > PTF_SHAPE_MAX)
        return false;
    out->rank = tensor->rank;
    memcpy(out->dim, tensor->shape, (size_t)out->rank * sizeof(*out->dim));
    return ptf_shape_is_sane(out);
}

/* "64x56x56 and 64x28x28" into 'text': the shapes that a node reads. */
static void list_shapes(const ptf_shape *in, int count, char text[256])
{
    size_t used = 0;
    snprintf(text, PTF_SHAPE_TEXT, "one number");
    for (int k = 0; k < count && used < 256; k++) {
        char shape[PTF_SHAPE_TEXT];
        ptf_shape_text(&in[k], shape);
        int n = snprintf(text + used, 256 - used, "%s%s", k > 0 ? " and " : "",
                         shape);
        used += (size_t)n;
    }
}

static ptf_status node_shape(const ptf_node *node, const ptf_shape *in,
                             ptf_shape *out, ptf_error *err)
{
    if (node->op == PTF_OP_CONSTANT) {
        if (constant_shape(node->tensors[PTF_ROLE_WEIGHT], out))
            return PTF_OK;
        return ptf_node_fail(err, PTF_ARGUMENT, node, "has no usable shape");
    }
    const char *wrong = "there are no elements in it";
    if (have_elements(in, node->input_count))
        wrong =
            ptf_op_shape(node->op, &node->attrs, in, node->input_count, out);
    bool large = wrong == NULL && !ptf_shape_is_sane(out);
    if (large)
        wrong = "its output is too large";
    else if (wrong == NULL && !have_elements(out, 1))
        wrong = "there are no elements in its output";
    if (wrong == NULL)
        return PTF_OK;
    int axis = node->op == PTF_OP_LINEAR && in->rank > 0 ? in->rank - 1 : 0;
    char text[256], reason[PTF_REFUSAL_TEXT];
    list_shapes(in, node->input_count, text);
    return ptf_node_fail(
        err, large ? PTF_UNSUPPORTED : PTF_ARGUMENT, node, "cannot take %s: %s",
        text, ptf_op_refusal(wrong, &node->attrs, in->dim[axis], reason));
}

static bool same_shape(const ptf_shape *a, const ptf_shape *b)
{
    return a->rank == b->rank &&
           memcmp(a->dim, b->dim, (size_t)a->rank * sizeof(*a->dim)) == 0;
}

/* Of a fixed one there is no other shape than its own. */
static ptf_status check_input(const ptf_net *net, int i, const ptf_shape *input,
                              ptf_error *err)
{
    const ptf_input *in = &net->inputs[i];
    char want[PTF_SHAPE_TEXT], got[PTF_SHAPE_TEXT];
    bool alone = in->has_shape && in->shape.rank == 0; /* one number */
    if (!ptf_shape_is_sane(input) || (input->rank < 1 && !alone))
        return ptf_net_fail(err, PTF_ARGUMENT, net,
                            "an input shape has 1 to %d sizes, none negative",
                            PTF_SHAPE_MAX);
    if (!in->has_shape || same_shape(input, &in->shape) ||
        (!in->fixed && input->rank == in->shape.rank))
        return PTF_OK;
    const char *name = net->input_count > 1 ? net->nodes[i].name : "";
    ptf_shape_text(&in->shape, want);
    ptf_shape_text(input, got);
    return ptf_net_fail(err, PTF_ARGUMENT, net,
                        "expected an input%s%s of %s, for which it was %s, "
                        "got %s",
                        name[0] != '\0' ? " " : "", name, want,
                        in->fixed ? "exported" : "made", got);
}

/* True when the net has the shapes of all its inputs. */
static bool states_inputs(const ptf_net *net)
{
    bool all = true;
    for (int i = 0; i < net->input_count; i++)
        all = all && net->inputs[i].has_shape;
    return all;
}

/*
 * Ranks decide what a batch norm after a linear layer does, and so whether it
 * may be folded; a net that was rewritten keeps to those that it was made for.
 */
static ptf_status check_rank(const ptf_net *net, const ptf_node *node,
                             const ptf_shape *in, ptf_error *err)
{
    if (states_inputs(net) || node->op != PTF_OP_LINEAR || in->rank == 1)
        return PTF_OK;
    char text[PTF_SHAPE_TEXT];
    ptf_shape_text(in, text);
    return ptf_node_fail(err, PTF_ARGUMENT, node,
                         "expected a flat list of features, got %s: a net "
                         "that does not state the shape of its input takes no "
                         "other",
                         text);
}

/* The most operands of a node. */
static int most_inputs(const ptf_net *net)
{
    int most = 1;
    for (int i = 0; i < net->node_count; i++)
        most =
            net->nodes[i].input_count > most ? net->nodes[i].input_count : most;
    return most;
}

ptf_status ptf_net_shapes(const ptf_net *net, const ptf_shape *inputs,
                          ptf_shape *shapes, ptf_error *err)
{
    ptf_status status = PTF_OK;
    for (int i = 0; i < net->input_count && status == PTF_OK; i++) {
        if (inputs == NULL && !net->inputs[i].has_shape)
            return ptf_node_fail(err, PTF_ARGUMENT, &net->nodes[i],
                                 "its source does not say its shape, and no "
                                 "shape is given");
        shapes[i] = inputs != NULL ? inputs[i] : net->inputs[i].shape;
        status = check_input(net, i, &shapes[i], err);
    }
    if (status != PTF_OK)
        return status;
    ptf_shape *in = ptf_alloc((size_t)most_inputs(net) * sizeof(*in));
    if (in == NULL)
        return ptf_fail_memory(err);
    for (int i = net->input_count; i < net->node_count && status == PTF_OK;
         i++) {
        const ptf_node *node = &net->nodes[i];
        for (int k = 0; k < node->input_count; k++)
            in[k] = shapes[node->inputs[k]];
        status = check_rank(net, node, in, err);
        if (status == PTF_OK)
            status = node_shape(node, in, &shapes[i], err);
    }
    ptf_free(in);
    return status;
}

bool ptf_net_own_shapes(const ptf_net *net, ptf_shape *inputs)
{
    bool known = true;
    for (int i = 0; i < net->input_count; i++) {
        known = known && net->inputs[i].has_shape;
        inputs[i] = net->inputs[i].shape;
    }
    return known;
}

void ptf_net_find_flat(const ptf_net *net, bool *flat)
{
    size_t count = (size_t)net->node_count;
    ptf_shape *shapes = ptf_alloc(count * sizeof(*shapes));
    bool stated = states_inputs(net);
    bool known = shapes != NULL && ptf_net_own_shapes(net, shapes) &&
                 ptf_net_shapes(net, shapes, shapes, NULL) == PTF_OK;
    for (size_t i = 0; i < count; i++)
        flat[i] = known ? shapes[i].rank == 1 : !stated;
    ptf_free(shapes);
}
