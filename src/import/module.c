/*
 * A whole model in a checkpoint says itself what its modules are: their
 * attributes give the text that print(model) would print, which is then read
 * like any other.
 *
 * Every attribute of PyTorch's classes must be known, by name: one that the
 * text does not show could change what a layer computes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/order.h"
#include "op/attrs.h"

enum { MAX_TEXT = 1 << 20, MAX_DEPTH = 64 };

static const char package[] = "torch.nn.modules";
static const char text_name[] = "the model in the file";

typedef struct describer {
    const ptf_checkpoint *ckpt;
    ptf_buffer out;
    ptf_error *err;
} describer;

/*
 * Attributes that no layer's text shows, and the values that they must have;
 * NULL: any, because it has no part in evaluation.
 */
static const struct {
    const char *name;
    const char *values[3];
} silent[] = {
    {"training", {NULL}},
    {"_parameters", {NULL}},
    {"_buffers", {NULL}},
    {"_modules", {NULL}},
    {"_non_persistent_buffers_set", {NULL}},
    {"_is_full_backward_hook", {NULL}},
    {"_backend", {NULL}},
    {"process_group", {NULL}},                    /* SyncBatchNorm's */
    {"_reversed_padding_repeated_twice", {NULL}}, /* follows from padding */
    {"_backward_hooks", {"{}"}},
    {"_backward_pre_hooks", {"{}"}},
    {"_forward_hooks", {"{}"}},
    {"_forward_hooks_with_kwargs", {"{}"}},
    {"_forward_hooks_always_called", {"{}"}},
    {"_forward_pre_hooks", {"{}"}},
    {"_forward_pre_hooks_with_kwargs", {"{}"}},
    {"_state_dict_hooks", {"{}"}},
    {"_state_dict_pre_hooks", {"{}"}},
    {"_load_state_dict_pre_hooks", {"{}"}},
    {"_load_state_dict_post_hooks", {"{}"}},
    {"transposed", {"False"}},
    {"output_padding", {"(0, 0)", "(0,)"}},
    {"return_indices", {"False"}},
    {"divisor_override", {"None"}},
    {"threshold", {"0"}}, /* ReLU up to PyTorch 0.4 */
    {"value", {"0"}},
    {"min_val", {"0.0", "0"}}, /* ReLU6 is a Hardtanh, and shows neither */
    {"max_val", {"6.0", "6"}},
};

ptf_status ptf_model_fail(const ptf_checkpoint *ckpt, ptf_text_span name,
                          ptf_error *err, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    ptf_origin origin = {ptf_checkpoint_file(ckpt)->name, NULL};
    return ptf_fail(err, PTF_UNSUPPORTED, &origin, PTF_NO_OFFSET,
                    "the model's layer '%.*s' %s",
                    name.size < 100 ? (int)name.size : 100, name.text, text);
}

/* --------------------------------------------------------------- attributes */

/* A bias is a parameter, or else nothing that the text could show. */
static bool is_shown(ptf_op op, ptf_text_span name)
{
    if (ptf_span_is(name, "bias"))
        return false;
    for (const ptf_field *f = ptf_op_fields[op]; f->name != NULL; f++) {
        if (ptf_span_is(name, f->name))
            return true;
    }
    return false;
}

/* True for an attribute that changes nothing. */
static bool is_silent(const ptf_module *module, ptf_text_span name)
{
    char value[PTF_MODULE_VALUE_TEXT];
    for (size_t i = 0; i < PTF_ARRAY_SIZE(silent); i++) {
        if (!ptf_span_is(name, silent[i].name))
            continue;
        if (silent[i].values[0] == NULL)
            return true;
        bool plain = ptf_module_value(module, silent[i].name, value);
        for (size_t k = 0; plain && silent[i].values[k] != NULL; k++) {
            if (strcmp(silent[i].values[k], value) == 0)
                return true;
        }
    }
    return false;
}

static ptf_status check_attributes(const describer *d, const ptf_module *module,
                                   ptf_op op, ptf_text_span layer)
{
    ptf_text_span name;
    for (size_t i = 0; ptf_module_attribute(module, i, &name); i++) {
        if (!is_shown(op, name) && !is_silent(module, name))
            return ptf_model_fail(
                d->ckpt, layer, d->err,
                "has an attribute '%.*s' that ptfold does not know, "
                "or with a value that it does not know; give the text "
                "of print(model) with --arch",
                name.size < 100 ? (int)name.size : 100, name.text);
    }
    return PTF_OK;
}

/* ------------------------------------------------------------------- layers */

/*
 * In modes other than zeros PyTorch pads by a list of its own, whatever
 * 'padding' was set to afterwards.
 */
static ptf_status check_padding(const describer *d, const ptf_module *module,
                                ptf_text_span layer)
{
    char mode[PTF_MODULE_VALUE_TEXT], pads[PTF_MODULE_VALUE_TEXT];
    if (!ptf_module_value(module, "padding_mode", mode) ||
        strcmp(mode, "zeros") == 0)
        return PTF_OK;
    static const char pads_name[] = "_reversed_padding_repeated_twice";
    if (ptf_module_value(module, pads_name, pads) &&
        pads[strspn(pads, "(0, )")] == '\0')
        return PTF_OK;
    return ptf_model_fail(d->ckpt, layer, d->err,
                          "has padding_mode=%.20s, which ptfold does not "
                          "support where something is padded",
                          mode);
}

/*
 * A batch norm that lost the attribute after it was made still normalises with
 * the statistics that it has, whatever its text says.
 */
static ptf_status check_statistics(const describer *d, const ptf_module *module,
                                   ptf_text_span layer)
{
    char tracks[PTF_MODULE_VALUE_TEXT];
    if (!ptf_module_value(module, "track_running_stats", tracks) ||
        strcmp(tracks, "False") != 0 ||
        !ptf_module_has_buffer(module, "running_mean"))
        return PTF_OK;
    return ptf_model_fail(
        d->ckpt, layer, d->err,
        "has track_running_stats=False, but running statistics, which "
        "PyTorch uses; set track_running_stats=True before "
        "torch.save()");
}

/* Whether there is a bias is not an attribute: the parameter is None. */
static bool put_bias(describer *d, const ptf_module *module, ptf_op op)
{
    char affine[PTF_MODULE_VALUE_TEXT] = "True";
    if (ptf_op_is(op, PTF_FAMILY_AFFINE) || ptf_op_is(op, PTF_FAMILY_NORM))
        ptf_module_value(
            module, op == PTF_OP_LAYER_NORM ? "elementwise_affine" : "affine",
            affine);
    if (strcmp(affine, "True") != 0)
        return false;
    ptf_buffer_add_text(&d->out, ptf_module_has_parameter(module, "bias")
                                     ? "bias=True"
                                     : "bias=False");
    return true;
}

/* One attribute; false when the layer has none of that name. */
static bool put_field(describer *d, const ptf_module *module, ptf_op op,
                      const ptf_field *f)
{
    char value[PTF_MODULE_VALUE_TEXT];
    if (strcmp(f->name, "bias") == 0)
        return put_bias(d, module, op);
    if (!ptf_module_value(module, f->name, value))
        return false;
    if ((f->flags & PTF_FIELD_POSITIONAL) != 0)
        ptf_buffer_add_text(&d->out, value);
    else
        ptf_buffer_printf(&d->out, "%s=%s", f->name, value);
    return true;
}

static ptf_status put_layer(describer *d, const ptf_module *module,
                            const char *class_name, ptf_text_span name)
{
    ptf_op op;
    if (!ptf_op_find(class_name, strlen(class_name), &op))
        return ptf_model_fail(d->ckpt, name, d->err,
                              "is a %s, which ptfold does not know",
                              class_name);
    ptf_status status = check_attributes(d, module, op, name);
    if (status == PTF_OK)
        status = check_statistics(d, module, name);
    if (status == PTF_OK)
        status = check_padding(d, module, name);
    if (status != PTF_OK)
        return status;
    ptf_buffer_printf(&d->out, "%s(", class_name);
    const char *separator = "";
    for (const ptf_field *f = ptf_op_fields[op]; f->name != NULL; f++) {
        size_t before = d->out.size;
        ptf_buffer_add_text(&d->out, separator);
        if (put_field(d, module, op, f))
            separator = ", ";
        else if ((f->flags & PTF_FIELD_REQUIRED) != 0)
            return ptf_model_fail(d->ckpt, name, d->err,
                                  "lacks the attribute '%s'", f->name);
        else if (!d->out.failed)
            d->out.size = before;
    }
    ptf_buffer_add_text(&d->out, ")\n");
    return PTF_OK;
}

/* --------------------------------------------------------------- containers */

static ptf_status put_module(describer *d, const ptf_module *module,
                             ptf_text_span name, int depth);

/* Names of children are those of Python attributes, or numbers. */
static bool is_plain(ptf_text_span name)
{
    for (size_t i = 0; i < name.size; i++) {
        char c = name.text[i];
        if ((c < '0' || c > '9') && (c < 'a' || c > 'z') &&
            (c < 'A' || c > 'Z') && c != '_' && c != '-')
            return false;
    }
    return name.size > 0 && name.size < 256;
}

static ptf_status put_children(describer *d, const ptf_module *module,
                               const char *class_name, int depth)
{
    ptf_buffer_printf(&d->out, "%s(\n", class_name);
    for (size_t i = 0; i < ptf_module_child_count(module); i++) {
        ptf_text_span name;
        const ptf_module *child = ptf_module_child(module, i, &name);
        if (child == NULL || !is_plain(name))
            return ptf_model_fail(d->ckpt, name, d->err,
                                  "is no module with a plain name");
        ptf_buffer_printf(&d->out, "%*s(%.*s): ", 2 * depth, "", (int)name.size,
                          name.text);
        ptf_status status = put_module(d, child, name, depth);
        if (status != PTF_OK)
            return status;
    }
    ptf_buffer_printf(&d->out, "%*s)\n", 2 * (depth - 1), "");
    return PTF_OK;
}

/* A class by its name alone is what the text would show. */
static ptf_status put_stranger(describer *d, const ptf_module *module,
                               const char *class_name, ptf_text_span name,
                               int depth)
{
    const char *same;
    bool torch = ptf_module_is(module, "torch", &same);
    if ((torch || ptf_module_is(module, "torchvision", &same) ||
         ptf_module_is(module, "timm", &same)) &&
        ptf_order_is_block(class_name))
        return ptf_model_fail(d->ckpt, name, d->err,
                              "is a %.100s, which does not run its children "
                              "one after the other",
                              class_name);
    if (ptf_module_child_count(module) == 0 ||
        (ptf_order_knows(class_name) && !torch) ||
        !is_plain((ptf_text_span){class_name, strlen(class_name)}))
        return ptf_model_fail(d->ckpt, name, d->err,
                              "is of a class '%.100s' that is not PyTorch's",
                              class_name);
    return put_children(d, module, class_name, depth + 1);
}

static ptf_status put_module(describer *d, const ptf_module *module,
                             ptf_text_span name, int depth)
{
    const char *class_name;
    bool known = ptf_module_is(module, package, &class_name);
    if (depth > MAX_DEPTH || d->out.size > MAX_TEXT)
        return ptf_model_fail(d->ckpt, name, d->err,
                              "lies in a model that is too large or too deep");
    if (!known)
        return put_stranger(d, module, class_name, name, depth);
    if (strcmp(class_name, "Sequential") != 0 && !ptf_order_is_list(class_name))
        return put_layer(d, module, class_name, name);
    ptf_status status = check_attributes(d, module, PTF_OP_IDENTITY, name);
    return status == PTF_OK ? put_children(d, module, class_name, depth + 1)
                            : status;
}

/* The layers as PyTorch prints them: without attributes that are defaults. */
static bool shorten_texts(ptf_net *net)
{
    for (int i = 0; i < net->node_count; i++) {
        ptf_node *node = &net->nodes[i];
        if (node->implied || node->op == PTF_OP_INPUT)
            continue;
        const char *text = ptf_op_text(&net->arena, node->op, &node->attrs);
        if (text != NULL) /* the class may be an alias of the op */
            text = ptf_arena_printf(&net->arena, "%s%s", node->class_name,
                                    strchr(text, '('));
        if (text == NULL)
            return false;
        node->text = text;
    }
    return true;
}

bool ptf_checkpoint_has_model(const ptf_checkpoint *ckpt)
{
    return ptf_checkpoint_module(ckpt) != NULL;
}

ptf_status ptf_net_parse_model(const ptf_checkpoint *ckpt, bool in_order,
                               ptf_net **out, ptf_error *err)
{
    ptf_reading how = {.in_order = in_order,
                       .model = ptf_checkpoint_file(ckpt)->name};
    ptf_origin origin = {how.model, NULL};
    describer d = {.ckpt = ckpt, .err = err};
    const ptf_module *root = ptf_checkpoint_module(ckpt);
    *out = NULL;
    if (root == NULL)
        return ptf_fail(err, PTF_ARGUMENT, &origin, PTF_NO_OFFSET,
                        "expected a whole model, got tensors alone; give "
                        "the text of print(model)");
    ptf_status status = put_module(&d, root, (ptf_text_span){"", 0}, 0);
    ptf_buffer_add(&d.out, "", 1);
    if (status == PTF_OK)
        status = d.out.failed ? ptf_fail_memory(err)
                              : ptf_net_parse((const char *)d.out.data,
                                              text_name, &how, out, err);
    ptf_buffer_free(&d.out);
    if (status == PTF_OK && !shorten_texts(*out)) {
        ptf_net_free(*out);
        *out = NULL;
        return ptf_fail_memory(err);
    }
    return status;
}
