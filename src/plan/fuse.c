/*
 * Which nodes are done in one step.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "plan/plan.h"

/*
 * A batch norm after a product is the scale and shift of its epilogue: by
 * kernel.h that gives the bits of the two steps.
 */
static bool takes_norm(const ptf_fused *root, const ptf_node *product,
                       const ptf_node *norm)
{
    return ptf_op_is(norm->op, PTF_FAMILY_AFFINE) &&
           ptf_op_is(product->op, PTF_FAMILY_PRODUCT) && !root->relu &&
           root->norm == NULL && product->tensors[PTF_ROLE_SCALE] == NULL &&
           ptf_norm_fits(product, root->flat, norm);
}

static void find_readers(const ptf_net *net, bool all, ptf_fused *nodes)
{
    for (int i = 0; i < net->node_count; i++)
        nodes[i] = (ptf_fused){.root = i, .needed = all, .flat = nodes[i].flat};
    for (int i = 0; i < net->output_count; i++) {
        nodes[net->outputs[i].node].needed = true;
        nodes[net->outputs[i].node].reads++;
    }
    for (int i = net->node_count - 1; i >= 0; i--) {
        const ptf_node *node = &net->nodes[i];
        for (int k = 0; k < node->input_count && nodes[i].needed; k++) {
            nodes[node->inputs[k]].needed = true;
            nodes[node->inputs[k]].reads++;
        }
    }
}

/*
 * Aliases belong to their input; batch norm to the product before it, and ReLU
 * to the product or batch norm, when nobody else reads that.
 */
static void find_root(const ptf_net *net, int i, ptf_fused *nodes)
{
    const ptf_node *node = &net->nodes[i];
    if (node->input_count != 1 || !nodes[i].needed)
        return;
    const ptf_fused *in = &nodes[node->inputs[0]];
    ptf_fused *root = &nodes[in->root];
    bool open = in->open && in->reads == 1;
    bool norm = open && takes_norm(root, &net->nodes[in->root], node);
    bool relu = open && node->op == PTF_OP_RELU && !root->relu;
    if (!ptf_op_is_alias(node->op) && !norm && !relu)
        return;
    nodes[i].root = in->root;
    nodes[i].open = open;
    if (norm)
        root->norm = node;
    if (relu)
        root->relu = true;
}

/* Those steps whose operands may be the same numbers for all images. */
static bool takes_constants(ptf_op op)
{
    return ptf_op_is(op, PTF_FAMILY_BINARY) ||
           ptf_op_is(op, PTF_FAMILY_WHERE) ||
           ptf_op_is(op, PTF_FAMILY_GATHER) ||
           ptf_op_is(op, PTF_FAMILY_CONCAT) || ptf_op_is(op, PTF_FAMILY_MATMUL);
}

static void find_copied(const ptf_net *net, bool alone, ptf_fused *nodes)
{
    for (int i = 0; i < net->node_count; i++) {
        const ptf_node *node = &net->nodes[i];
        nodes[i].copied |= alone && node->op == PTF_OP_CONSTANT;
        bool reads = nodes[i].needed && nodes[i].root == i;
        for (int k = 0; k < node->input_count && reads; k++) {
            int root = nodes[node->inputs[k]].root;
            nodes[root].copied |= net->nodes[root].op == PTF_OP_CONSTANT &&
                                  !takes_constants(node->op);
        }
    }
    for (int i = 0; i < net->output_count; i++) {
        int root = nodes[net->outputs[i].node].root;
        nodes[root].copied |= net->nodes[root].op == PTF_OP_CONSTANT;
    }
}

void ptf_plan_fuse(const ptf_net *net, bool all, bool inspect, ptf_fused *nodes)
{
    find_readers(net, all, nodes);
    for (int i = 0; i < net->node_count; i++) {
        ptf_op op = net->nodes[i].op;
        nodes[i].open =
            !all && (ptf_op_is(op, PTF_FAMILY_PRODUCT) ||
                     (ptf_op_is(op, PTF_FAMILY_AFFINE) && !inspect));
        find_root(net, i, nodes);
    }
    find_copied(net, all || inspect, nodes);
}
