/*
 * Shapes: as text, their sizes, and those of every value of a net.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "net/net.h"

bool ptf_shape_parse(const char *text, ptf_shape *out)
{
    ptf_shape shape = {0, {0}};
    while (shape.rank < 3) {
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

void ptf_shape_text(const ptf_shape *shape, char text[64])
{
    size_t used = 0;
    text[0] = '\0';
    for (int d = 0; d < shape->rank; d++) {
        int n = snprintf(text + used, 64 - used, "%s%lld", d > 0 ? "x" : "",
                         (long long)shape->dim[d]);
        used += (size_t)n;
    }
}

static bool is_sane(const ptf_shape *shape)
{
    int64_t count = 1;
    if (shape->rank < 1 || shape->rank > 3)
        return false;
    for (int d = 0; d < shape->rank; d++) {
        if (shape->dim[d] < 1 || !ptf_mul_i64(count, shape->dim[d], &count) ||
            count > PTF_VALUE_MAX)
            return false;
    }
    return true;
}

static ptf_status node_shape(const ptf_node *node, const ptf_shape *in,
                             ptf_shape *out, ptf_error *err)
{
    const char *wrong = ptf_op_shape(node->op, &node->attrs, in, out);
    bool large = wrong == NULL && !is_sane(out);
    if (large)
        wrong = "its output is too large";
    if (wrong == NULL)
        return PTF_OK;
    char text[64], reason[PTF_REFUSAL_TEXT];
    ptf_shape_text(in, text);
    return ptf_node_fail(
        err, large ? PTF_UNSUPPORTED : PTF_ARGUMENT, node, "cannot take %s: %s",
        text, ptf_op_refusal(wrong, &node->attrs, in->dim[0], reason));
}

ptf_status ptf_net_shapes(const ptf_net *net, const ptf_shape *input,
                          ptf_shape *shapes, ptf_error *err)
{
    if (!is_sane(input))
        return ptf_net_fail(err, PTF_ARGUMENT, net,
                            "an input shape has 1 to 3 sizes, all positive");
    shapes[0] = *input;
    for (int i = 1; i < net->node_count; i++) {
        const ptf_node *node = &net->nodes[i];
        ptf_status status =
            node_shape(node, &shapes[node->inputs[0]], &shapes[i], err);
        if (status != PTF_OK)
            return status;
    }
    return PTF_OK;
}
