/*
 * What in a whole model beside classes, attributes and numbers decides what is
 * computed.  No text shows any of it, so it is looked for whether a text is
 * given or not.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/import.h"

/* Attributes that must be absent, or empty where a dict is usual. */
static const struct {
    const char *attribute;
    bool dict;
    const char *meaning;
} deciders[] = {
    {"forward", false, "a forward() of its own, set on the module"},
    {"_call_impl", false, "a _call_impl() of its own, set on the module"},
    {"_conv_forward", false, "a _conv_forward() of its own, set on the module"},
    {"_forward_hooks", true, "a forward hook"},
    {"_forward_pre_hooks", true, "a forward pre-hook"},
};

/*
 * Parameters that a hook makes the weight from, and who put it there.  They
 * are looked at first, since their hook says less.
 */
static const struct {
    const char *parameter, *maker, *remedy;
} makers[] = {
    {"weight_g", "weight_norm", "torch.nn.utils.remove_weight_norm()"},
    {"weight_orig", "pruning or spectral_norm",
     "prune.remove() or torch.nn.utils.remove_spectral_norm()"},
};

typedef struct walk {
    const ptf_checkpoint *ckpt;
    int modules;       /* so far; those that are shared count again */
    ptf_status status; /* of the module that was checked last */
    ptf_error *err;
} walk;

enum { MAX_MODULES = 100000, MAX_DEPTH = 64 };

static ptf_status check_attributes(const walk *w, const ptf_module *module,
                                   ptf_text_span name)
{
    char value[PTF_MODULE_VALUE_TEXT];
    ptf_text_span found;
    for (size_t i = 0; ptf_module_attribute(module, i, &found); i++) {
        for (size_t k = 0; k < PTF_ARRAY_SIZE(deciders); k++) {
            const char *attribute = deciders[k].attribute;
            if (!ptf_span_is(found, attribute) ||
                (deciders[k].dict &&
                 ptf_module_value(module, attribute, value) &&
                 strcmp(value, "{}") == 0))
                continue;
            return ptf_model_fail(
                w->ckpt, name, w->err,
                "has %s, which may do anything; remove it before "
                "torch.save()",
                deciders[k].meaning);
        }
    }
    return PTF_OK;
}

static ptf_status check_parameters(const walk *w, const ptf_module *module,
                                   ptf_text_span name)
{
    for (size_t i = 0; i < PTF_ARRAY_SIZE(makers); i++) {
        if (ptf_module_has_parameter(module, makers[i].parameter))
            return ptf_model_fail(
                w->ckpt, name, w->err,
                "has %s, from which %s makes its weight; call %s "
                "before torch.save()",
                makers[i].parameter, makers[i].maker, makers[i].remedy);
    }
    return PTF_OK;
}

static ptf_status check_module(walk *w, const ptf_module *module,
                               ptf_text_span name, int depth)
{
    if (depth > MAX_DEPTH || ++w->modules > MAX_MODULES)
        return ptf_model_fail(w->ckpt, name, w->err,
                              "lies in a model that is too large or too deep");
    ptf_status status = check_parameters(w, module, name);
    if (status == PTF_OK)
        status = check_attributes(w, module, name);
    size_t count = ptf_module_child_count(module);
    for (size_t i = 0; status == PTF_OK && i < count; i++) {
        ptf_text_span key;
        const ptf_module *child = ptf_module_child(module, i, &key);
        if (ptf_span_is(key, "parametrizations"))
            return ptf_model_fail(
                w->ckpt, name, w->err,
                "has parametrizations, which make its parameters; "
                "call torch.nn.utils.parametrize."
                "remove_parametrizations() before torch.save()");
        if (child != NULL)
            status = check_module(w, child, key, depth + 1);
    }
    return status;
}

static bool check_root(void *to, const ptf_module *module)
{
    walk *w = to;
    w->status = check_module(w, module, (ptf_text_span){"", 0}, 0);
    return w->status == PTF_OK;
}

ptf_status ptf_model_check(const ptf_checkpoint *ckpt, ptf_error *err)
{
    walk w = {.ckpt = ckpt, .err = err};
    if (ptf_checkpoint_visit_modules(ckpt, check_root, &w) ||
        w.status != PTF_OK)
        return w.status;
    return ptf_model_fail(ckpt, (ptf_text_span){"", 0}, err,
                          "lies among more values than ptfold looks at");
}
