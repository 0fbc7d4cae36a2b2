/*
 * Signs that forward() does not run its modules in the printed order.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/order.h"

/* ------------------------------------------------------------- what is seen */

/* Layers through which a straight line stays straight. */
static bool is_affine(const ptf_node *node)
{
    return ptf_op_is(node->op, PTF_FAMILY_AFFINE) ||
           ptf_op_is(node->op, PTF_FAMILY_VIEW) ||
           ptf_op_is(node->op, PTF_FAMILY_SOURCE);
}

static bool is_activation(const ptf_node *node)
{
    return ptf_op_is(node->op, PTF_FAMILY_UNARY);
}

/* The layer before 'index' that is no Dropout or Identity; 0 is the input. */
static int before(const ptf_net *net, int index)
{
    do
        index--;
    while (index > 0 && ptf_op_is_identity(net->nodes[index].op));
    return index;
}

static bool is_weighted(const ptf_net *net, int index)
{
    return ptf_op_is(net->nodes[index].op, PTF_FAMILY_PRODUCT);
}

static bool is_norm(const ptf_net *net, int index)
{
    return ptf_op_is(net->nodes[index].op, PTF_FAMILY_AFFINE);
}

/* -------------------------------------------------------------------- rules */

/* Each looks at one layer, and says in *other which one it belongs to. */
static bool norm_after_norm(const ptf_net *net, int index, int *other)
{
    *other = before(net, index);
    return is_norm(net, index) && is_norm(net, *other);
}

static bool weights_after_weights(const ptf_net *net, int index, int *other)
{
    *other = index - 1;
    while (*other > 0 && is_affine(&net->nodes[*other]))
        (*other)--;
    return is_weighted(net, index) && is_weighted(net, *other);
}

/* After nothing that it could belong to, and before what it fits. */
static bool norm_before_weights(const ptf_net *net, int index, int *other)
{
    *other = before(net, index);
    return *other > 0 && is_weighted(net, index) && is_norm(net, *other) &&
           net->nodes[*other].attrs.out_channels ==
               net->nodes[index].attrs.out_channels &&
           !is_weighted(net, before(net, *other));
}

/* Once, at the last layer. */
static bool no_activation(const ptf_net *net, int index, int *other)
{
    int weighted = 0;
    *other = 0;
    for (int i = 1; i < net->node_count; i++) {
        if (is_activation(&net->nodes[i]))
            return false;
        weighted += is_weighted(net, i);
    }
    return index == net->node_count - 1 && weighted > 1;
}

/* Names that are given to a second path around layers. */
static bool second_path(const ptf_net *net, int index, int *other)
{
    static const char *const names[] = {"shortcut", "downsample", "skip",
                                        "branch"}; /* and branch1, ... */
    *other = 0;
    const char *key = net->nodes[index].name;
    while (*key != '\0') {
        size_t size = strcspn(key, ".");
        for (size_t i = 0; i < PTF_ARRAY_SIZE(names); i++) {
            size_t least = strlen(names[i]);
            bool whole = size == least || strcmp(names[i], "branch") == 0;
            if (size >= least && whole && memcmp(key, names[i], least) == 0)
                return true;
        }
        key += size + (key[size] == '.');
    }
    return false;
}

/* In a class that is called as those are that add or concatenate. */
static bool block_name(const ptf_net *net, int index, int *other)
{
    *other = 0;
    for (int c = net->nodes[index].container; c >= 0;
         c = net->containers[c].parent) {
        if (ptf_order_is_block(net->containers[c].class_name))
            return true;
    }
    return false;
}

/*
 * What is said: 'lead', the other layer, 'between', the layer, 'tail'; without
 * 'between' only the layer is named, without 'lead' none.
 */
static const struct {
    bool (*applies)(const ptf_net *net, int index, int *other);
    const char *lead, *between, *tail;
} rules[] = {
    {norm_after_norm, "batch norm ", " stands right before batch norm ", ""},
    {weights_after_weights, "", " and ", " have no activation between them"},
    {norm_before_weights, "batch norm ", " stands before ", ", not after it"},
    {second_path, "the name ", NULL, " speaks of a second path"},
    {block_name, "the class around ", NULL,
     " has the name of a block with a second path"},
    {no_activation, NULL, NULL, "there is no activation at all"},
};

/* ----------------------------------------------------------------- the list */

static const char *name_of(const ptf_net *net, int index)
{
    const ptf_node *node = &net->nodes[index];
    return node->name[0] != '\0' ? node->name : node->class_name;
}

/* The first place for which a rule speaks, or NULL; false without memory. */
static bool find_doubt(ptf_net *net, size_t rule, const char **out)
{
    const char *lead = rules[rule].lead, *between = rules[rule].between;
    int index = 1, other = 0;
    *out = NULL;
    while (index < net->node_count && !rules[rule].applies(net, index, &other))
        index++;
    if (index == net->node_count)
        return true;
    *out = ptf_arena_printf(&net->arena, "%s%s%s%s%s", lead != NULL ? lead : "",
                            between != NULL ? name_of(net, other) : "",
                            between != NULL ? between : "",
                            lead != NULL ? name_of(net, index) : "",
                            rules[rule].tail);
    return *out != NULL;
}

ptf_status ptf_order_doubt(ptf_net *net, ptf_error *err)
{
    const char **doubts =
        ptf_arena_array(&net->arena, PTF_ARRAY_SIZE(rules), sizeof(*doubts));
    if (doubts == NULL)
        return ptf_fail_memory(err);
    net->doubts = doubts;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(rules); i++) {
        const char *doubt;
        if (!find_doubt(net, i, &doubt))
            return ptf_fail_memory(err);
        if (doubt != NULL)
            doubts[net->doubt_count++] = doubt;
    }
    return PTF_OK;
}
