/*
 * A net as such: what belongs to it, and its release.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "net/net.h"

#include <math.h>

bool ptf_node_read(ptf_arena *arena, ptf_node *node, int count,
                   const int *inputs)
{
    node->inputs = ptf_arena_array(arena, (size_t)count, sizeof(int));
    if (node->inputs == NULL)
        return false;
    if (count > 0)
        memcpy(node->inputs, inputs, (size_t)count * sizeof(int));
    node->input_count = count;
    return true;
}

bool ptf_node_is_parameter(const ptf_node *node)
{
    const ptf_tensor *t = node->tensors[PTF_ROLE_WEIGHT];
    return node->op == PTF_OP_CONSTANT && t != NULL &&
           ptf_dtype_is_float(t->dtype);
}

/* ------------------------------------------------------- inputs and outputs */

bool ptf_net_add_input(ptf_net *net, const ptf_input *input)
{
    void *inputs = net->inputs;
    bool ok = ptf_arena_grow(&net->arena, &inputs, net->input_count,
                             &net->input_room, sizeof(*input));
    net->inputs = inputs;
    if (ok)
        net->inputs[net->input_count++] = *input;
    return ok;
}

bool ptf_net_add_output(ptf_net *net, const ptf_output *output)
{
    void *outputs = net->outputs;
    bool ok = ptf_arena_grow(&net->arena, &outputs, net->output_count,
                             &net->output_room, sizeof(*output));
    net->outputs = outputs;
    if (ok)
        net->outputs[net->output_count++] = *output;
    return ok;
}

const char *ptf_net_output_name(const ptf_net *net, const ptf_output *output)
{
    const char *name = net->nodes[output->node].name;
    if (output->name != NULL)
        return output->name;
    return name[0] != '\0' ? name : "output";
}

bool ptf_net_is_output(const ptf_net *net, int node)
{
    int i = 0;
    while (i < net->output_count && net->outputs[i].node != node)
        i++;
    return i < net->output_count;
}

size_t ptf_net_input_count(const ptf_net *net)
{
    return (size_t)net->input_count;
}

size_t ptf_net_output_count(const ptf_net *net)
{
    return (size_t)net->output_count;
}

bool ptf_net_is_whole(const ptf_net *net)
{
    return net->whole;
}

bool ptf_net_stacks(const ptf_net *net)
{
    return net->stacks;
}

bool ptf_net_input(const ptf_net *net, size_t index, ptf_port *out)
{
    if (index >= (size_t)net->input_count)
        return false;
    const ptf_input *in = &net->inputs[index];
    *out = (ptf_port){.name = net->nodes[index].name,
                      .alias = in->alias,
                      .dtype = in->dtype,
                      .has_shape = in->has_shape,
                      .fixed = in->fixed,
                      .shape = in->shape,
                      .sample = in->sample};
    return true;
}

bool ptf_net_output(const ptf_net *net, size_t index, ptf_port *out)
{
    if (index >= (size_t)net->output_count)
        return false;
    const ptf_output *o = &net->outputs[index];
    *out = (ptf_port){.name = ptf_net_output_name(net, o),
                      .alias = o->alias,
                      .dtype = o->dtype};
    return true;
}

bool ptf_net_find_input(const ptf_net *net, const char *name, size_t *index)
{
    for (*index = 0; *index < (size_t)net->input_count; ++*index) {
        const char *alias = net->inputs[*index].alias;
        if (strcmp(net->nodes[*index].name, name) == 0 ||
            (alias != NULL && strcmp(alias, name) == 0))
            return true;
    }
    return false;
}

bool ptf_net_find_output(const ptf_net *net, const char *name, size_t *index)
{
    for (*index = 0; *index < (size_t)net->output_count; ++*index) {
        const ptf_output *o = &net->outputs[*index];
        if (strcmp(ptf_net_output_name(net, o), name) == 0 ||
            (o->alias != NULL && strcmp(o->alias, name) == 0))
            return true;
    }
    return false;
}

/* ------------------------------------------------------------------ tensors */

/*
 * Lists a tensor that is not listed yet; 'known' is a table from the names of
 * those that are to their places.
 */
static ptf_status list_tensor(ptf_net *net, const ptf_tensor *tensor,
                              ptf_text_table *known, ptf_error *err)
{
    const char *name = tensor->name != NULL ? tensor->name : "";
    const ptf_tensor **same = ptf_text_table_find(known, name);
    if (same != NULL && (*same == tensor || (tensor->data != NULL &&
                                             (*same)->data == tensor->data)))
        return PTF_OK; /* of several nodes */
    if (same != NULL)
        return ptf_net_fail(err, PTF_UNSUPPORTED, net,
                            "two tensors would have the name '%s'", name);
    const ptf_tensor **place = &net->tensors[net->tensor_count++];
    *place = tensor;
    return ptf_text_table_add(known, name, place) ? PTF_OK
                                                  : ptf_fail_memory(err);
}

ptf_status ptf_net_collect(ptf_net *net, ptf_error *err)
{
    size_t most = (size_t)net->node_count * PTF_ROLE_COUNT;
    net->tensors = ptf_arena_array(&net->arena, most, sizeof(*net->tensors));
    net->tensor_count = 0;
    ptf_text_table known = {NULL, 0, 0};
    ptf_status status = net->tensors != NULL ? PTF_OK : ptf_fail_memory(err);
    for (int i = net->input_count; i < net->node_count; i++) {
        for (int r = 0; status == PTF_OK && r < PTF_ROLE_COUNT; r++) {
            if (net->nodes[i].tensors[r] != NULL)
                status =
                    list_tensor(net, net->nodes[i].tensors[r], &known, err);
        }
    }
    ptf_text_table_free(&known);
    return status;
}

/* The number of a constant of no axes; NAN for what is none. */
static double number_of(const ptf_node *node)
{
    const ptf_tensor *t =
        node->op == PTF_OP_CONSTANT ? node->tensors[PTF_ROLE_WEIGHT] : NULL;
    const float *number = t != NULL && t->rank == 0 ? ptf_tensor_f32(t) : NULL;
    return number != NULL ? (double)*number : (double)NAN;
}

/* Operand 'index' of the node, where both are there and it is of that op. */
static const ptf_node *operand_of(const ptf_net *net, const ptf_node *node,
                                  int index, ptf_op op)
{
    if (node == NULL || index >= node->input_count)
        return NULL;
    const ptf_node *operand = &net->nodes[node->inputs[index]];
    return operand->op == op ? operand : NULL;
}

/* trunc(x) + 0: the trunc, or NULL. */
static const ptf_node *cut_of(const ptf_net *net, const ptf_node *sum)
{
    const ptf_node *zero = operand_of(net, sum, 1, PTF_OP_CONSTANT);
    return zero != NULL && fabs(number_of(zero)) <= 0
               ? operand_of(net, sum, 0, PTF_OP_TRUNC)
               : NULL;
}

bool ptf_net_is_cut(const ptf_net *net, int node, double *limit)
{
    const ptf_node *n = &net->nodes[node];
    *limit = 0;
    if (n->op == PTF_OP_ADD)
        return cut_of(net, n) != NULL;
    if (n->op != PTF_OP_WHERE)
        return false;
    const ptf_node *cut = cut_of(net, operand_of(net, n, 1, PTF_OP_ADD));
    const ptf_node *below = operand_of(net, n, 0, PTF_OP_LT);
    const ptf_node *size = operand_of(net, below, 0, PTF_OP_ABS);
    const ptf_node *most = operand_of(net, below, 1, PTF_OP_CONSTANT);
    const ptf_node *least = operand_of(net, n, 2, PTF_OP_CONSTANT);
    if (cut == NULL || size == NULL || most == NULL || least == NULL ||
        cut->inputs[0] != size->inputs[0])
        return false;
    *limit = number_of(most);
    return fabs(*limit + number_of(least)) <= 0;
}

const char *ptf_path_last(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot != NULL ? dot + 1 : path;
}

void ptf_node_parameter_name(const ptf_node *node, ptf_role role,
                             char name[PTF_PARAMETER_NAME])
{
    bool whole = node->op == PTF_OP_CONSTANT; /* the node is the tensor */
    snprintf(name, PTF_PARAMETER_NAME, "%s%s%s", node->name,
             whole || node->name[0] == '\0' ? "" : ".",
             whole ? "" : ptf_role_name(role));
}

bool ptf_node_parameter(const ptf_node *node, ptf_role role, int *rank,
                        int64_t shape[PTF_MAX_RANK])
{
    if (node->op != PTF_OP_CONSTANT)
        return ptf_op_parameter(node->op, &node->attrs, role, rank, shape);
    const ptf_tensor *tensor = node->tensors[role];
    if (role != PTF_ROLE_WEIGHT || tensor == NULL)
        return false;
    *rank = tensor->rank;
    memcpy(shape, tensor->shape, sizeof(tensor->shape));
    return true;
}

const char *ptf_node_tensor_name(const ptf_node *node, ptf_role role,
                                 char room[PTF_PARAMETER_NAME])
{
    const ptf_tensor *tensor = node->tensors[role];
    if (tensor != NULL && tensor->name != NULL)
        return tensor->name;
    ptf_node_parameter_name(node, role, room);
    return room;
}

bool ptf_net_is_chain(const ptf_net *net)
{
    int printed = 0;
    const char *name = "";
    for (int i = 1; i < net->node_count; i++) {
        const ptf_node *node = &net->nodes[i];
        if (node->input_count != 1 || node->inputs[0] != i - 1)
            return false;
        printed += !node->implied;
        name = node->implied ? name : node->name;
    }
    bool alone = printed == 1 && name[0] == '\0'; /* a layer is the root */
    return net->input_count == 1 && net->output_count == 1 &&
           net->outputs[0].node == net->node_count - 1 &&
           (net->container_count > 0 || alone);
}

/* Those of one node; 'known' has the names of all so far. */
static bool list_node(ptf_net *net, const ptf_node *node, ptf_parameter *all,
                      ptf_text_table *known)
{
    for (int r = 0; r < PTF_ROLE_COUNT; r++) {
        ptf_role role = (ptf_role)r;
        ptf_parameter *p = &all[net->parameter_count];
        char room[PTF_PARAMETER_NAME];
        if (!ptf_node_parameter(node, role, &p->rank, p->shape))
            continue;
        const char *name = ptf_node_tensor_name(node, role, room);
        if (ptf_text_table_find(known, name) != NULL)
            continue; /* several nodes have it */
        p->name = ptf_arena_copy(&net->arena, name, strlen(name));
        p->optional = role == PTF_ROLE_NUM_BATCHES;
        if (p->name == NULL || !ptf_text_table_add(known, p->name, p))
            return false;
        net->parameter_count++;
    }
    return true;
}

ptf_status ptf_net_list_parameters(ptf_net *net, ptf_error *err)
{
    size_t most = (size_t)net->node_count * PTF_ROLE_COUNT;
    ptf_parameter *all = ptf_arena_array(&net->arena, most, sizeof(*all));
    net->parameters = all;
    net->parameter_count = 0;
    ptf_text_table known = {NULL, 0, 0};
    bool ok = all != NULL;
    for (int i = net->input_count; ok && i < net->node_count; i++)
        ok = list_node(net, &net->nodes[i], all, &known);
    ptf_text_table_free(&known);
    return ok ? PTF_OK : ptf_fail_memory(err);
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

ptf_status ptf_net_complete(ptf_net *net, ptf_error *err)
{
    ptf_status status = ptf_net_check(net, err);
    if (status == PTF_OK)
        status = ptf_net_list_parameters(net, err);
    return status == PTF_OK ? ptf_net_collect(net, err) : status;
}

static void destroy(void *object)
{
    ptf_net *net = object;
    ptf_arena_free(&net->arena);
    ptf_users_drop(net->source);
    ptf_users_drop(net->parent != NULL ? net->parent->users : NULL);
    ptf_free(net);
}

ptf_net *ptf_net_new(void)
{
    ptf_net *net = ptf_alloc(sizeof(*net));
    if (net != NULL)
        net->users = ptf_users_init(&net->counted, net, destroy);
    return net;
}

void ptf_net_free(ptf_net *net)
{
    if (net != NULL)
        ptf_users_drop(net->users);
}
