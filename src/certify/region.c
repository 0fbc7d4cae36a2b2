/*
 * Regions: nodes of A that together are one product of what the first of them
 * reads, as a convolution with the batch norms around it is, or the sum of
 * several.
 *
 *     A:   x -+- conv1 - bn1 -+- add        B:   x - conv
 *             |               |
 *             +- conv2 - bn2 -+
 *
 * This finds them, by what their ops can be; form.c says whether they are.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "certify/pair.h"

static bool is_constant(const ptf_net *net, const int *makers, int node)
{
    return net->nodes[makers[node]].op == PTF_OP_CONSTANT;
}

/* Which operands of an op may be no constant, at most. */
typedef enum linear {
    NOT_LINEAR,
    IN_ALL,
    IN_ONE,   /* of two, whichever */
    IN_FIRST, /* of two */
} linear;

bool ptf_region_takes(const ptf_net *net, const int *makers, int node)
{
    static const linear ops[PTF_OP_COUNT] = {
        [PTF_OP_AVGPOOL1D] = IN_ALL, [PTF_OP_AVGPOOL2D] = IN_ALL,
        [PTF_OP_AVGPOOL3D] = IN_ALL, [PTF_OP_ADD] = IN_ALL,
        [PTF_OP_SUB] = IN_ALL,       [PTF_OP_MUL] = IN_ONE,
        [PTF_OP_DIV] = IN_FIRST,
    };
    const ptf_node *n = &net->nodes[node];
    linear kind = ops[n->op];
    if (ptf_op_is(n->op, PTF_FAMILY_AFFINE))
        return n->tensors[PTF_ROLE_RUNNING_MEAN] != NULL;
    if (kind == IN_ONE && is_constant(net, makers, n->inputs[0]))
        return true;
    if (kind == IN_ONE || kind == IN_FIRST)
        return is_constant(net, makers, n->inputs[1]);
    return kind == IN_ALL || ptf_op_is(n->op, PTF_FAMILY_PRODUCT) ||
           ptf_passes_on(n);
}

/* Into a list from the last node to the first, where it is not yet. */
static int insert(int *list, int count, int node)
{
    int at = count;
    while (at > 0 && list[at - 1] < node)
        at--;
    if (at > 0 && list[at - 1] == node)
        return count;
    memmove(list + at + 1, list + at, (size_t)(count - at) * sizeof(*list));
    list[at] = node;
    return count + 1;
}

int ptf_region_list(const ptf_net *net, const int *makers, int value,
                    int source, int *list)
{
    int count = insert(list, 0, value);
    for (int i = 0; i < count; i++) {
        const ptf_node *node = &net->nodes[list[i]];
        if (node->input_count == 0 || !ptf_region_takes(net, makers, list[i]))
            return 0;
        for (int k = 0; k < node->input_count; k++) {
            int from = node->inputs[k];
            if (makers[from] == makers[source] ||
                is_constant(net, makers, from))
                continue;
            if (from < source)
                return 0;
            count = insert(list, count, from);
        }
    }
    return count;
}
