/*
 * Pickled nn.Modules as trees of names and attributes.  What classes and
 * attributes mean is for the net to say.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "checkpoint/reader.h"

/* A module is the pickle's object; the type hides it from other folders. */
static const ptf_object *value_of(const ptf_module *module)
{
    return (const ptf_object *)module;
}

static const ptf_object *state_of(const ptf_module *module)
{
    return value_of(module)->items[PTF_INSTANCE_STATE];
}

/* Legacy files name classes by ('module', class, file, source). */
static const ptf_global *class_of(const ptf_object *object)
{
    const ptf_object *callee = object->items[PTF_INSTANCE_CALLEE];
    if (callee->kind == PTF_OBJECT_PERSISTENT) {
        const ptf_object *id = callee->items[0];
        bool module = id->kind == PTF_OBJECT_TUPLE && id->count >= 2 &&
                      ptf_object_is(id->items[0], "module");
        callee = module ? id->items[1] : callee;
    }
    return callee->kind == PTF_OBJECT_GLOBAL ? callee->global : NULL;
}

static const ptf_module *module_of(const ptf_object *value)
{
    bool module =
        value != NULL && value->kind == PTF_OBJECT_INSTANCE &&
        class_of(value) != NULL && value->items[PTF_INSTANCE_STATE] != NULL &&
        ptf_dict_find(value->items[PTF_INSTANCE_STATE], "_modules") != NULL;
    return module ? (const ptf_module *)value : NULL;
}

const ptf_module *ptf_checkpoint_module(const ptf_checkpoint *ckpt)
{
    return module_of(ckpt->selected);
}

typedef struct visit {
    bool (*one)(void *to, const ptf_module *module);
    void *to;
    size_t left; /* values that may still be looked at */
} visit;

static bool visit_value(visit *v, const ptf_object *value, int depth)
{
    enum { DEEPEST = 64 };
    const ptf_module *module = module_of(value);
    if (module != NULL)
        return v->one(v->to, module);
    if (value == NULL || value->kind < PTF_OBJECT_TUPLE ||
        value->kind > PTF_OBJECT_DICT)
        return true;
    for (size_t i = 0; i < value->count; i++) {
        if (depth == DEEPEST || v->left-- == 0 ||
            !visit_value(v, value->items[i], depth + 1))
            return false;
    }
    return true;
}

bool ptf_checkpoint_visit_modules(const ptf_checkpoint *ckpt,
                                  bool (*one)(void *to,
                                              const ptf_module *module),
                                  void *to)
{
    visit v = {one, to, (size_t)1 << 22};
    return visit_value(&v, ckpt->selected, 0);
}

bool ptf_module_is(const ptf_module *module, const char *package,
                   const char **name)
{
    const ptf_global *class = class_of(value_of(module));
    size_t size = strlen(package);
    *name = class->name;
    return strncmp(class->module, package, size) == 0 &&
           (class->module[size] == '\0' || class->module[size] == '.');
}

const ptf_module *ptf_module_child(const ptf_module *module, size_t index,
                                   ptf_text_span *name)
{
    const ptf_object *children = ptf_dict_find(state_of(module), "_modules");
    bool there = children->kind == PTF_OBJECT_DICT &&
                 2 * index < children->count &&
                 children->items[2 * index]->kind == PTF_OBJECT_STRING;
    *name = (ptf_text_span){"", 0};
    if (!there)
        return NULL;
    const ptf_object *key = children->items[2 * index];
    *name = (ptf_text_span){key->text, key->count};
    return module_of(children->items[2 * index + 1]);
}

size_t ptf_module_child_count(const ptf_module *module)
{
    const ptf_object *children = ptf_dict_find(state_of(module), "_modules");
    return children->kind == PTF_OBJECT_DICT ? children->count / 2 : 0;
}

bool ptf_module_attribute(const ptf_module *module, size_t index,
                          ptf_text_span *name)
{
    const ptf_object *state = state_of(module);
    if (2 * index >= state->count)
        return false;
    const ptf_object *key = state->items[2 * index];
    bool text = key->kind == PTF_OBJECT_STRING;
    *name = (ptf_text_span){text ? key->text : "", text ? key->count : 0};
    return true;
}

static bool has(const ptf_module *module, const char *kind, const char *name)
{
    const ptf_object *all = ptf_dict_find(state_of(module), kind);
    const ptf_object *one = all != NULL ? ptf_dict_find(all, name) : NULL;
    return one != NULL && one->kind != PTF_OBJECT_NONE;
}

bool ptf_module_has_parameter(const ptf_module *module, const char *name)
{
    return has(module, "_parameters", name);
}

bool ptf_module_has_buffer(const ptf_module *module, const char *name)
{
    return has(module, "_buffers", name);
}

/* ------------------------------------------------------------------ as text */

/* A text of bounded size; 'size' counts what did not fit, too. */
typedef struct writer {
    char *text;
    size_t size;
} writer;

static void PTF_PRINTF(2, 3) put(writer *w, const char *fmt, ...)
{
    size_t at =
        w->size < PTF_MODULE_VALUE_TEXT ? w->size : PTF_MODULE_VALUE_TEXT - 1;
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(w->text + at, PTF_MODULE_VALUE_TEXT - at, fmt, args);
    va_end(args);
    w->size += n > 0 ? (size_t)n : 0;
}

static bool is_word(const ptf_object *value)
{
    for (uint32_t i = 0; i < value->count; i++) {
        if (value->text[i] < 'a' || value->text[i] > 'z')
            return false;
    }
    return value->count < PTF_MODULE_VALUE_TEXT;
}

/* A number, a truth value, None or a word. */
static bool put_scalar(const ptf_object *value, writer *w)
{
    switch ((ptf_object_kind)value->kind) {
    case PTF_OBJECT_NONE: put(w, "None"); return true;
    case PTF_OBJECT_BOOL:
        put(w, value->boolean ? "True" : "False");
        return true;
    case PTF_OBJECT_INT: put(w, "%lld", (long long)value->integer); return true;
    case PTF_OBJECT_FLOAT: put(w, "%.17g", value->number); return true;
    case PTF_OBJECT_STRING:
        if (!is_word(value))
            return false;
        put(w, "%.*s", (int)value->count, value->text);
        return true;
    case PTF_OBJECT_BIG_INT:
    case PTF_OBJECT_BYTES:
    case PTF_OBJECT_TUPLE:
    case PTF_OBJECT_LIST:
    case PTF_OBJECT_SET:
    case PTF_OBJECT_DICT:
    case PTF_OBJECT_GLOBAL:
    case PTF_OBJECT_INSTANCE:
    case PTF_OBJECT_PERSISTENT: break;
    }
    return false;
}

static bool put_row(const ptf_object *row, writer *w)
{
    put(w, "(");
    for (uint32_t i = 0; i < row->count; i++) {
        put(w, "%s", i > 0 ? ", " : "");
        if (!put_scalar(row->items[i], w) || w->size >= PTF_MODULE_VALUE_TEXT)
            return false;
    }
    put(w, row->count == 1 ? ",)" : ")");
    return true;
}

bool ptf_module_value(const ptf_module *module, const char *name,
                      char text[PTF_MODULE_VALUE_TEXT])
{
    const ptf_object *value = ptf_dict_find(state_of(module), name);
    writer w = {text, 0};
    text[0] = '\0';
    if (value == NULL)
        return false;
    bool plain = true;
    if (value->kind == PTF_OBJECT_TUPLE || value->kind == PTF_OBJECT_LIST)
        plain = put_row(value, &w);
    else if (value->kind == PTF_OBJECT_DICT && value->count == 0)
        put(&w, "{}");
    else
        plain = put_scalar(value, &w);
    return plain && w.size < PTF_MODULE_VALUE_TEXT;
}
