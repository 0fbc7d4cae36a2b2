/*
 * Which nodes are done in one step.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plan/plan.h"

/*
 * A batch norm behind a product is the scale and shift of its epilogue: by
 * kernel.h that gives the bits of the two steps.
 */
static bool takes_norm(const ptf_fused *root, const ptf_node *product,
                       const ptf_node *norm)
{
    return ptf_op_is(norm->op, PTF_FAMILY_AFFINE) && !root->relu &&
           root->norm == NULL && product->tensors[PTF_ROLE_SCALE] == NULL &&
           norm->attrs.in_channels == product->attrs.out_channels;
}

/*
 * Which nodes are one step: aliases belong to their input; batch norm and
 * ReLU to the product before them when nobody else reads that, unless every
 * node is to be a step 'alone'.
 */
void ptf_plan_fuse(const ptf_net *net, bool alone, ptf_fused *nodes)
{
    for (int i = 0; i < net->node_count; i++) {
        const ptf_node *node = &net->nodes[i];
        nodes[i] = (ptf_fused){.root = i,
                               .open = !alone &&
                                       ptf_op_is(node->op, PTF_FAMILY_PRODUCT)};
        if (node->input_count != 1)
            continue;
        int in = node->inputs[0];
        ptf_fused *root = &nodes[nodes[in].root];
        bool open = nodes[in].open && ptf_net_consumers(net, in) == 1;
        bool norm = open && takes_norm(root, &net->nodes[root->root], node);
        bool relu = open && node->op == PTF_OP_RELU && !root->relu;
        if (!ptf_op_is(node->op, PTF_FAMILY_VIEW) && !norm && !relu)
            continue;
        nodes[i].root = root->root;
        nodes[i].open = open;
        if (norm)
            root->norm = node;
        if (relu)
            root->relu = true;
    }
}
