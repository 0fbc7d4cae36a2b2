/*
 * May a net be slid over a larger image?  A convolution or a pooling without
 * padding moves with its input, by its stride; nothing else that mixes pixels
 * does.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "net/net.h"

static bool has_padding(const ptf_attrs *a)
{
    return a->padding[0] != 0 || a->padding[1] != 0;
}

/* Why this layer's value on an image is not its value on each crop. */
static const char *blocks_sliding(const ptf_node *node)
{
    switch (node->op) {
    case PTF_OP_CONV1D:
    case PTF_OP_CONV2D:
    case PTF_OP_MAXPOOL2D:
    case PTF_OP_AVGPOOL2D:
        if (has_padding(&node->attrs))
            return "pads its input, so a crop sees padding where the larger "
                   "image goes on";
        if (node->attrs.ceil_mode)
            return "rounds its output size up, so windows at the border are "
                   "cut";
        return NULL;
    case PTF_OP_ADAPTIVE_AVGPOOL2D:
        return "has windows that depend on the size of the map";
    case PTF_OP_LINEAR:
    case PTF_OP_FLATTEN: return "takes one size of map only";
    case PTF_OP_SOFTMAX:
        return node->attrs.dim_none || node->attrs.dim == 1
                   ? NULL
                   : "normalises over positions";
    case PTF_OP_INPUT:
    case PTF_OP_BATCHNORM1D:
    case PTF_OP_BATCHNORM2D:
    case PTF_OP_RELU:
    case PTF_OP_LEAKY_RELU:
    case PTF_OP_SIGMOID:
    case PTF_OP_TANH:
    case PTF_OP_SOFTPLUS:
    case PTF_OP_DROPOUT:
    case PTF_OP_IDENTITY:
    case PTF_OP_COUNT: return NULL;
    }
    return NULL;
}

static bool has_stride(ptf_op op)
{
    return op == PTF_OP_CONV1D || op == PTF_OP_CONV2D ||
           op == PTF_OP_MAXPOOL2D || op == PTF_OP_AVGPOOL2D;
}

/* Reasons that leave the net able to run on any size of image. */
static bool takes_any_size(const ptf_node *node)
{
    return has_stride(node->op) || blocks_sliding(node) == NULL;
}

/*
 * Counts at 'edge[d]' the rows or columns of the layer's output, from either
 * edge of a window, that padding or features changed by it reach.
 */
static bool advance(const ptf_node *node, int d, ptf_slide *out,
                    int64_t edge[2])
{
    int64_t stride = node->attrs.stride[d], reach;
    if (!ptf_mul_i64(out->stride[d], stride, &out->stride[d]) ||
        !ptf_add_i64(edge[d], node->attrs.padding[d], &reach))
        return false;
    if (node->attrs.ceil_mode)
        reach = reach > 0 ? reach : 1;
    edge[d] = reach / stride + (reach % stride != 0);
    return ptf_mul_i64(edge[d], out->stride[d], &out->border[d]);
}

void ptf_net_slide(const ptf_net *net, ptf_slide *out)
{
    int64_t edge[2] = {0, 0};
    *out = (ptf_slide){.stride = {1, 1}, .any_size = true};
    for (int i = 0; i < net->node_count; i++) {
        const ptf_node *node = &net->nodes[i];
        const char *reason = blocks_sliding(node);
        bool goes_on = takes_any_size(node);
        for (int d = 0; d < 2 && has_stride(node->op); d++) {
            if (advance(node, d, out, edge))
                continue;
            goes_on = false;
            reason = "makes the stride overflow";
        }
        bool first = out->blocker == NULL || (out->any_size && !goes_on);
        out->any_size = out->any_size && goes_on;
        if (reason == NULL || !first)
            continue;
        out->blocker = node->implied ? "the implied flatten" : node->name;
        out->reason = reason;
    }
}
