/*
 * What is known of forward(): PyTorch's own containers, the built-in networks,
 * and the caller's word.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/order.h"

/* ----------------------------------------------------- PyTorch's containers */

/*
 * Classes of torch, torchvision and timm whose forward() is more than a
 * sequence, and the children that they begin with.  A class of somebody's own
 * may have the name, but hardly the children too.
 */
typedef struct block {
    const char *class_name;
    const char *children[4];
    const char *reason;
} block;

#define ADDS         "adds its input to its output"
#define CONCATENATES "concatenates the outputs of its children"

static const block blocks[] = {
    {"BasicBlock", {"conv1", "bn1", "relu", "conv2"}, ADDS},
    {"BasicBlock", {"conv1", "bn1", "drop_block", "act1"}, ADDS},
    {"Bottleneck", {"conv1", "bn1", "conv2", "bn2"}, ADDS},
    {"Bottleneck", {"conv1", "bn1", "act1", "conv2"}, ADDS},
    {"InvertedResidual", {"conv"}, ADDS},
    {"InvertedResidual", {"block"}, ADDS},
    {"InvertedResidual", {"branch1", "branch2"}, CONCATENATES},
    {"_InvertedResidual", {"layers"}, ADDS},
    {"MBConv", {"block", "stochastic_depth"}, ADDS},
    {"MBConv", {"proj", "stochastic_depth"}, ADDS},
    {"MBConv", {"stochastic_depth", "layers"}, ADDS},
    {"FusedMBConv", {"block", "stochastic_depth"}, ADDS},
    {"ResBottleneckBlock", {"f", "activation"}, ADDS},
    {"ResBottleneckBlock", {"proj", "f", "activation"}, ADDS},
    {"CNBlock", {"block", "stochastic_depth"}, ADDS},
    {"ConvAdd2d", {"0"}, "adds a second input"},
    {"ConvAddReLU2d", {"0", "relu"}, "adds a second input"},
    {"SqueezeExcitation",
     {"avgpool", "fc1", "fc2"},
     "multiplies its input with its output"},
    {"Fire", {"squeeze", "squeeze_activation", "expand1x1"}, CONCATENATES},
    {"_DenseLayer", {"norm1", "relu1", "conv1"}, "concatenates its inputs"},
    {"_DenseBlock", {"denselayer1"}, CONCATENATES},
    {"Inception", {"branch1", "branch2"}, CONCATENATES},
    {"InceptionA", {"branch1x1", "branch5x5_1"}, CONCATENATES},
    {"InceptionB", {"branch3x3", "branch3x3dbl_1"}, CONCATENATES},
    {"InceptionC", {"branch1x1", "branch7x7_1"}, CONCATENATES},
    {"InceptionD", {"branch3x3_1", "branch3x3_2"}, CONCATENATES},
    {"InceptionE", {"branch1x1", "branch3x3_1"}, CONCATENATES},
    {"InceptionAux", {"conv", "fc1"}, "is not run in evaluation"},
    {"InceptionAux", {"conv0", "conv1"}, "is not run in evaluation"},
    {"MultiheadAttention", {"out_proj"}, "is not a sequence"},
};

/* torch.nn.utils.parametrize makes a class of its own for each layer's. */
static bool is_parametrized(const char *class_name)
{
    static const char prefix[] = "Parametrized";
    const char *rest = class_name + strlen(prefix);
    ptf_op op;
    return strncmp(class_name, prefix, strlen(prefix)) == 0 &&
           ptf_op_find(rest, strlen(rest), &op);
}

/* True when the children are those of the row. */
static bool begins_with(const block *b, const ptf_text_span *keys, size_t count)
{
    for (size_t i = 0; i < PTF_ARRAY_SIZE(b->children); i++) {
        if (b->children[i] != NULL &&
            (i >= count || !ptf_span_is(keys[i], b->children[i])))
            return false;
    }
    return true;
}

const char *ptf_order_refusal(const char *class_name, const ptf_text_span *keys,
                              size_t count)
{
    if (is_parametrized(class_name))
        return "has weights that are made from others (call torch.nn.utils."
               "parametrize.remove_parametrizations())";
    for (size_t i = 0; i < PTF_ARRAY_SIZE(blocks); i++) {
        if (strcmp(blocks[i].class_name, class_name) == 0 &&
            begins_with(&blocks[i], keys, count))
            return blocks[i].reason;
    }
    return NULL;
}

bool ptf_order_is_block(const char *class_name)
{
    for (size_t i = 0; i < PTF_ARRAY_SIZE(blocks); i++) {
        if (strcmp(blocks[i].class_name, class_name) == 0)
            return true;
    }
    return false;
}

bool ptf_order_is_list(const char *class_name)
{
    return strcmp(class_name, "ModuleList") == 0 ||
           strcmp(class_name, "ModuleDict") == 0;
}

/*
 * What fuse_modules() makes are subclasses of nn.Sequential, with these classes
 * as children 0, 1 and 2.  A class of another's making that has the name has
 * not the same children.
 */
typedef struct sequence {
    const char *class_name;
    const char *children[3];
} sequence;

static const sequence sequences[] = {
    {"BNReLU2d", {"BatchNorm2d", "ReLU"}},
    {"ConvBn1d", {"Conv1d", "BatchNorm1d"}},
    {"ConvBn2d", {"Conv2d", "BatchNorm2d"}},
    {"ConvBnReLU1d", {"Conv1d", "BatchNorm1d", "ReLU"}},
    {"ConvBnReLU2d", {"Conv2d", "BatchNorm2d", "ReLU"}},
    {"ConvReLU1d", {"Conv1d", "ReLU"}},
    {"ConvReLU2d", {"Conv2d", "ReLU"}},
    {"LinearBn1d", {"Linear", "BatchNorm1d"}},
    {"LinearLeakyReLU", {"Linear", "LeakyReLU"}},
    {"LinearReLU", {"Linear", "ReLU"}},
    {"LinearTanh", {"Linear", "Tanh"}},
};

/* The row of a class, or NULL. */
static const sequence *find_sequence(const char *class_name)
{
    for (size_t i = 0; i < PTF_ARRAY_SIZE(sequences); i++) {
        if (strcmp(sequences[i].class_name, class_name) == 0)
            return &sequences[i];
    }
    return NULL;
}

static bool is_sequential(const char *class_name)
{
    return strcmp(class_name, "Sequential") == 0;
}

bool ptf_order_knows(const char *class_name)
{
    return is_sequential(class_name) || ptf_order_is_list(class_name) ||
           find_sequence(class_name) != NULL ||
           ptf_wrapped_child((ptf_text_span){class_name, strlen(class_name)}) !=
               NULL;
}

bool ptf_order_takes(const char *class_name, int index, const ptf_item *child)
{
    if (is_sequential(class_name) || ptf_order_is_list(class_name))
        return true; /* a list: as far as what is around it does */
    const sequence *row = find_sequence(class_name);
    if (row == NULL)
        return false;
    const char *class = index < (int)PTF_ARRAY_SIZE(row->children)
                            ? row->children[index]
                            : NULL;
    if (class == NULL || child == NULL)
        return class == NULL && child == NULL;
    return child->key_size == 1 && child->key[0] == '0' + index &&
           strlen(class) == child->class_size &&
           memcmp(class, child->class_name, child->class_size) == 0;
}

int ptf_order_unknown(const ptf_net *net)
{
    for (int i = 0; i < net->container_count; i++) {
        if (!net->containers[i].in_order)
            return i;
    }
    return -1;
}

/* -------------------------------------------------------- built-in networks */

/* The layer's text without what only training needs; NULL without memory. */
static const char *function_of(const ptf_node *node, ptf_arena *scratch)
{
    ptf_attrs attrs = node->attrs;
    attrs.inplace = attrs.momentum_none = false;
    attrs.momentum = 0;
    return ptf_op_text(scratch, node->op, &attrs);
}

static ptf_status compare_layers(const ptf_node *a, const ptf_node *b,
                                 ptf_arena *scratch, bool *same, ptf_error *err)
{
    const char *of_a = function_of(a, scratch), *of_b = function_of(b, scratch);
    if (of_a == NULL || of_b == NULL)
        return ptf_fail_memory(err);
    *same = a->op == b->op && strcmp(a->name, b->name) == 0 &&
            strcmp(of_a, of_b) == 0;
    return PTF_OK;
}

static bool same_containers(const ptf_net *a, const ptf_net *b)
{
    bool same = a->container_count == b->container_count;
    for (int i = 0; same && i < a->container_count; i++)
        same = strcmp(a->containers[i].path, b->containers[i].path) == 0 &&
               strcmp(a->containers[i].class_name,
                      b->containers[i].class_name) == 0;
    return same;
}

static ptf_status compare_nets(const ptf_net *a, const ptf_net *b, bool *same,
                               ptf_error *err)
{
    ptf_arena scratch = {NULL};
    ptf_status status = PTF_OK;
    *same = a->node_count == b->node_count && same_containers(a, b);
    for (int i = 1; *same && status == PTF_OK && i < a->node_count; i++)
        status =
            compare_layers(&a->nodes[i], &b->nodes[i], &scratch, same, err);
    ptf_arena_free(&scratch);
    return status;
}

/* The name alone says nothing: another's class may have it. */
static ptf_status is_built_in(const ptf_net *net, bool *out, ptf_error *err)
{
    const ptf_reading trusted = {.assumes = ""};
    const char *name = ptf_net_name(net), *text = ptf_arch_text(name);
    ptf_net *built_in = NULL;
    *out = false;
    if (text == NULL)
        return PTF_OK;
    ptf_status status = ptf_net_parse(text, name, &trusted, &built_in, err);
    if (status == PTF_OK)
        status = compare_nets(net, built_in, out, err);
    ptf_net_free(built_in);
    return status;
}

/* ---------------------------------------------------------------- the words */

/* Bytes of a class name that are shown: at most 64, of whole characters. */
static int shown(const char *name)
{
    size_t size = strnlen(name, 65);
    if (size <= 64)
        return (int)size;
    for (size = 64; ((unsigned char)name[size] & 0xc0) == 0x80; size--)
        ;
    return (int)size;
}

ptf_status ptf_order_fail(const ptf_net *net, int container,
                          const ptf_reading *how, const char *text_name,
                          ptf_error *err)
{
    static const char advice[] =
        "export the model with torch.export.save(), wrap its modules as "
        "nn.Sequential, or, if it runs each once as printed, give --in-order "
        "and --expect";
    const ptf_container *c = &net->containers[container];
    int size = shown(c->class_name);
    if (how->model != NULL) {
        ptf_origin origin = {how->model, NULL};
        return ptf_fail(err, PTF_UNSUPPORTED, &origin, PTF_NO_OFFSET,
                        "class %.*s is not nn.Sequential, and its forward() is "
                        "not in the file; %s",
                        size, c->class_name, advice);
    }
    return ptf_text_fail(err, PTF_UNSUPPORTED, text_name, c->line,
                         "class %.*s is not nn.Sequential, and its forward() "
                         "is not in the text; %s",
                         size, c->class_name, advice);
}

static bool is_new_class(const ptf_net *net, int container)
{
    const ptf_container *c = net->containers;
    for (int i = 0; i < container; i++) {
        if (!c[i].in_order &&
            strcmp(c[i].class_name, c[container].class_name) == 0)
            return false;
    }
    return !c[container].in_order;
}

/* "A.forward(), B.forward(), C.forward() and 2 more run their modules ..." */
static char *assumption(ptf_net *net)
{
    enum { NAMED = 3 };
    int count = 0;
    char *text = ptf_arena_copy(&net->arena, "", 0);
    for (int i = ptf_order_unknown(net); i < net->container_count; i++) {
        if (!is_new_class(net, i) || text == NULL || ++count > NAMED)
            continue;
        text = ptf_arena_printf(&net->arena, "%s%s%.*s.forward()", text,
                                count > 1 ? ", " : "",
                                shown(net->containers[i].class_name),
                                net->containers[i].class_name);
    }
    if (text != NULL && count > NAMED)
        text = ptf_arena_printf(&net->arena, "%s and %d more", text,
                                count - NAMED);
    if (text == NULL)
        return NULL;
    return ptf_arena_printf(&net->arena, "%s %s in the printed order", text,
                            count > 1 ? "run their modules"
                                      : "runs its modules");
}

ptf_status ptf_order_take(ptf_net *net, const char *assumes, size_t size,
                          const char *text_name, ptf_error *err)
{
    enum { LONGEST = 512 };
    ptf_origin origin = {text_name, PTF_ASSUMES};
    if (size > LONGEST || !ptf_is_printable(assumes, size))
        return ptf_fail(err, PTF_FORMAT, &origin, PTF_NO_OFFSET,
                        "expected at most %d printable bytes that say what "
                        "the network's order rests on",
                        LONGEST);
    if (size == 0)
        return PTF_OK;
    net->assumption = ptf_arena_copy(&net->arena, assumes, size);
    return net->assumption != NULL ? PTF_OK : ptf_fail_memory(err);
}

ptf_status ptf_order_settle(ptf_net *net, const ptf_reading *how,
                            const char *text_name, ptf_error *err)
{
    if (how->assumes != NULL)
        return ptf_order_take(net, how->assumes, strlen(how->assumes),
                              text_name, err);
    int unknown = ptf_order_unknown(net);
    bool built_in = false;
    if (unknown < 0)
        return PTF_OK;
    ptf_status status = is_built_in(net, &built_in, err);
    if (status != PTF_OK || built_in)
        return status;
    if (!how->in_order)
        return ptf_order_fail(net, unknown, how, text_name, err);
    net->assumption = assumption(net);
    return net->assumption != NULL ? ptf_order_doubt(net, err)
                                   : ptf_fail_memory(err);
}
