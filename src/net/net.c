/*
 * A net as such: what belongs to it, and its release.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "net/net.h"

ptf_status ptf_net_collect(ptf_net *net, ptf_error *err)
{
    size_t most = (size_t)net->node_count * PTF_ROLE_COUNT;
    net->tensors = ptf_arena_array(&net->arena, most, sizeof(*net->tensors));
    if (net->tensors == NULL)
        return ptf_fail_memory(err);
    net->tensor_count = 0;
    for (int i = 1; i < net->node_count; i++) {
        for (int r = 0; r < PTF_ROLE_COUNT; r++) {
            const ptf_tensor *tensor = net->nodes[i].tensors[r];
            if (tensor != NULL)
                net->tensors[net->tensor_count++] = tensor;
        }
    }
    return PTF_OK;
}

const char *ptf_path_last(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot != NULL ? dot + 1 : path;
}

void ptf_node_parameter_name(const ptf_node *node, ptf_role role,
                             char name[PTF_PARAMETER_NAME])
{
    snprintf(name, PTF_PARAMETER_NAME, "%s%s%s", node->name,
             node->name[0] != '\0' ? "." : "", ptf_role_name(role));
}

ptf_status ptf_net_list_parameters(ptf_net *net, ptf_error *err)
{
    size_t most = (size_t)net->node_count * PTF_ROLE_COUNT;
    ptf_parameter *all = ptf_arena_array(&net->arena, most, sizeof(*all));
    if (all == NULL)
        return ptf_fail_memory(err);
    net->parameters = all;
    net->parameter_count = 0;
    for (int i = 1; i < net->node_count; i++) {
        const ptf_node *node = &net->nodes[i];
        for (int r = 0; r < PTF_ROLE_COUNT; r++) {
            ptf_role role = (ptf_role)r;
            ptf_parameter *p = &all[net->parameter_count];
            char name[PTF_PARAMETER_NAME];
            if (!ptf_op_parameter(node->op, &node->attrs, role, &p->rank,
                                  p->shape))
                continue;
            ptf_node_parameter_name(node, role, name);
            p->name = ptf_arena_copy(&net->arena, name, strlen(name));
            p->optional = role == PTF_ROLE_NUM_BATCHES;
            if (p->name == NULL)
                return ptf_fail_memory(err);
            net->parameter_count++;
        }
    }
    return PTF_OK;
}

const char *ptf_net_key(const ptf_net *net, size_t *left_out,
                        const char **example)
{
    if (left_out != NULL)
        *left_out = net->left_out;
    if (example != NULL)
        *example = net->left_name;
    return net->key != NULL ? net->key : "";
}

const ptf_parameter *ptf_net_parameters(const ptf_net *net, size_t *count)
{
    *count = net->parameter_count;
    return net->parameters;
}

void ptf_net_free(ptf_net *net)
{
    if (net == NULL)
        return;
    ptf_arena_free(&net->arena);
    ptf_free(net);
}
