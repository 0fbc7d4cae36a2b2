/*
 * What a program that is composed has: values, the tensors that they are, and
 * the calls that give them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "export/compose.h"

#include <math.h>

static void keep(ptf_composing *c, bool ok)
{
    c->failed = c->failed || !ok;
}

/* ---------------------------------------------------------------- arguments */

json_t *ptf_compose_value(const char *name)
{
    return json_pack("{s:{s:s}}", "as_tensor", "name",
                     name != NULL ? name : "");
}

json_t *ptf_compose_int(int64_t value)
{
    return json_pack("{s:I}", "as_int", (json_int_t)value);
}

json_t *ptf_compose_none(void)
{
    return json_pack("{s:b}", "as_none", true);
}

/* What JSON has no number for is a word. */
json_t *ptf_compose_float(double value)
{
    if (isfinite(value))
        return json_pack("{s:f}", "as_float", value);
    return json_pack("{s:s}", "as_float",
                     isnan(value) ? "NaN"
                     : value > 0  ? "Infinity"
                                  : "-Infinity");
}

json_t *ptf_compose_ints(const int64_t *values, int count)
{
    json_t *list = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(list, json_integer(values[i]));
    return json_pack("{s:o}", "as_ints", list);
}

/* The kind of an argument: by its position, or by its name. */
enum { POSITIONAL = 1, KEYWORD = 2 };

void ptf_compose_argument(ptf_composing *c, json_t *arguments, const char *name,
                          json_t *argument)
{
    keep(c, json_array_append_new(
                arguments, json_pack("{s:s, s:o, s:i}", "name", name, "arg",
                                     argument, "kind", POSITIONAL)) == 0);
}

/* What the schema says of them. */
static void set_kinds(ptf_composing *c, const char *target, json_t *arguments)
{
    const ptf_schema *schema = ptf_schema_find(target);
    json_t *argument;
    size_t i;
    json_array_foreach(arguments, i, argument)
    {
        const char *name = json_string_value(json_object_get(argument, "name"));
        for (int k = 0; schema != NULL && k < schema->argument_count; k++) {
            if (schema->arguments[k].is_keyword && name != NULL &&
                strcmp(schema->arguments[k].name, name) == 0)
                keep(c, json_object_set_new(argument, "kind",
                                            json_integer(KEYWORD)) == 0);
        }
    }
}

/* -------------------------------------------------------------------- names */

const char *ptf_compose_name(ptf_composing *c, const char *prefix,
                             const char *name)
{
    ptf_arena *arena = &c->draft->arena;
    bool digit = name[0] >= '0' && name[0] <= '9' && prefix[0] == '\0';
    char *text = ptf_arena_printf(arena, "%s%s%.200s", prefix, digit ? "_" : "",
                                  name[0] != '\0' ? name : "value");
    for (char *at = text; text != NULL && *at != '\0'; at++) {
        if (!((*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
              (*at >= '0' && *at <= '9')))
            *at = '_';
    }
    const char *own = text;
    for (int i = 1; own != NULL && ptf_text_table_find(&c->names, own) != NULL;
         i++)
        own = ptf_arena_printf(arena, "%s_%d", text, i);
    bool ok = own != NULL && ptf_text_table_add(&c->names, own, c);
    keep(c, ok);
    return ok ? own : "";
}

/* ------------------------------------------------------------------- values */

static json_t *symbol(void)
{
    return json_pack("{s:{s:s, s:{s:i}}}", "as_expr", "expr_str",
                     "Symbol('" PTF_COMPOSE_SYMBOL
                     "', positive=True, integer=True)",
                     "hint", "as_int", PTF_COMPOSE_SAMPLES);
}

json_t *ptf_compose_meta(const ptf_composing *c, const ptf_composed *value)
{
    ptf_tensor t = {.dtype = value->dtype, .rank = value->shape.rank};
    memcpy(t.shape, value->shape.dim, (size_t)t.rank * sizeof(*t.shape));
    ptf_tensor_set_strides(&t);
    json_t *meta = ptf_draft_meta(&t, 0, false);
    if (!value->has_batch)
        return meta;
    json_t *sizes = json_object_get(meta, "sizes");
    json_t *strides = json_object_get(meta, "strides");
    json_array_insert_new(sizes, 0, c->batched ? symbol() : ptf_compose_int(1));
    json_array_insert_new(strides, 0,
                          ptf_compose_int(ptf_shape_numel(&value->shape)));
    return meta;
}

/* The module that the node is, where PyTorch has such a class. */
static json_t *metadata_of(const ptf_composing *c, const char *name)
{
    const char *class_name =
        c->node != NULL ? ptf_op_info(c->node->op)->class_name : "";
    if (class_name[0] == '\0' || c->node->name == NULL ||
        strcmp(c->node->name, name) == 0 ||
        strpbrk(c->node->name, ",;") != NULL || c->node->name[0] == '\0')
        return json_object();
    char *stack = ptf_arena_printf(
        &c->draft->arena,
        "L__self__,,torch.nn.Module;L__self__%s,%s,torch.nn.%s", name,
        c->node->name, class_name);
    return stack != NULL ? json_pack("{s:s}", "nn_module_stack", stack) : NULL;
}

/*
 * What the call gives: its result, or where it gives two, the one that is
 * wanted beside the other, which nobody reads.
 */
static json_t *results_of(ptf_composing *c, const char *target,
                          const ptf_composed *out)
{
    const ptf_schema *schema = ptf_schema_find(target);
    json_t *results = json_array();
    int count = schema != NULL ? schema->result_count : 1;
    int wanted = out->dtype == PTF_DTYPE_I64 ? count - 1 : 0;
    for (int i = 0; i < count; i++) {
        ptf_composed other = *out;
        if (i != wanted) {
            other.dtype = i > 0 ? PTF_DTYPE_I64 : PTF_DTYPE_F32;
            other.name = ptf_compose_name(c, out->name, "_unused");
            keep(c, json_object_set_new(c->metas, other.name,
                                        ptf_compose_meta(c, &other)) == 0);
        }
        json_array_append_new(results, ptf_compose_value(other.name));
    }
    return results;
}

void ptf_compose_call(ptf_composing *c, const char *target, json_t *arguments,
                      const char *name, ptf_composed *out)
{
    char full[96];
    snprintf(full, sizeof(full), "torch.ops.%s", target);
    set_kinds(c, target, arguments);
    out->name = ptf_compose_name(c, "", name);
    keep(c, json_object_set_new(c->metas, out->name,
                                ptf_compose_meta(c, out)) == 0);
    keep(c, json_array_append_new(
                c->calls, json_pack("{s:s, s:o, s:o, s:o, s:n, s:s}", "target",
                                    full, "inputs", arguments, "outputs",
                                    results_of(c, target, out), "metadata",
                                    metadata_of(c, out->name),
                                    "is_hop_single_tensor_return", "name",
                                    out->name)) == 0);
}

/* How many samples there are, as a number of the graph. */
static const char *batch_of(ptf_composing *c)
{
    if (c->batch != NULL)
        return c->batch;
    c->batch = ptf_compose_name(c, "", "sym_size_int");
    json_t *arguments = json_array();
    ptf_compose_argument(c, arguments, "self",
                         ptf_compose_value(c->values[0].name));
    ptf_compose_argument(c, arguments, "dim", ptf_compose_int(0));
    keep(c, json_object_set_new(c->numbers, c->batch, symbol()) == 0);
    keep(c,
         json_array_append_new(
             c->calls,
             json_pack("{s:s, s:o, s:[{s:{s:s}}], s:{}, s:n, s:s}", "target",
                       "torch.ops.aten.sym_size.int", "inputs", arguments,
                       "outputs", "as_sym_int", "as_name", c->batch, "metadata",
                       "is_hop_single_tensor_return", "name", c->batch)) == 0);
    return c->batch;
}

const char *ptf_compose_for_batch(ptf_composing *c, ptf_composed *value)
{
    if (value->has_batch || !c->batched)
        return value->name;
    if (value->for_batch != NULL)
        return value->for_batch;
    json_t *arguments = json_array(), *size = json_array();
    json_array_append_new(size, json_pack("{s:s}", "as_name", batch_of(c)));
    for (int d = 0; d < value->shape.rank; d++)
        json_array_append_new(size, ptf_compose_int(value->shape.dim[d]));
    ptf_compose_argument(c, arguments, "self", ptf_compose_value(value->name));
    ptf_compose_argument(c, arguments, "size",
                         json_pack("{s:o}", "as_sym_ints", size));
    ptf_composed all = {
        .dtype = value->dtype, .shape = value->shape, .has_batch = true};
    ptf_compose_call(c, "aten.expand.default", arguments, "expand", &all);
    return value->for_batch = all.name;
}

const char *ptf_compose_turn(ptf_composing *c, const char *name,
                             const ptf_composed *value, bool batch)
{
    json_t *arguments = json_array();
    ptf_composed other = *value;
    other.has_batch = batch;
    ptf_compose_argument(c, arguments, "self", ptf_compose_value(name));
    ptf_compose_argument(c, arguments, "dim", ptf_compose_int(0));
    ptf_compose_call(c, batch ? "aten.unsqueeze.default" : "aten.squeeze.dim",
                     arguments, batch ? "unsqueeze" : "squeeze", &other);
    return other.name;
}

const char *ptf_compose_as(ptf_composing *c, ptf_composed *value,
                           ptf_dtype dtype)
{
    if (value->dtype == dtype)
        return value->name;
    if (value->as[dtype] != NULL)
        return value->as[dtype];
    json_t *arguments = json_array();
    ptf_compose_argument(c, arguments, "self", ptf_compose_value(value->name));
    ptf_compose_argument(
        c, arguments, "dtype",
        json_pack("{s:i}", "as_scalar_type", ptf_program_dtype_number(dtype)));
    ptf_composed other = *value;
    other.dtype = dtype;
    ptf_compose_call(c, "aten.to.dtype", arguments, "to", &other);
    return value->as[dtype] = other.name;
}

/* ------------------------------------------------------------------ tensors */

/* Paths of modules and tensors are a tree: "a" is not beside "a.b". */
static bool is_free(const ptf_composing *c, const char *name)
{
    char *path = ptf_alloc(strlen(name) + 1);
    bool ok = path != NULL && name[0] != '\0' && name[0] != '.' &&
              strstr(name, "..") == NULL && name[strlen(name) - 1] != '.' &&
              ptf_text_table_find(&c->draft->tensors, name) == NULL;
    for (const char *dot = ok ? strchr(name, '.') : NULL; dot != NULL && ok;
         dot = strchr(dot + 1, '.')) {
        memcpy(path, name, (size_t)(dot - name));
        path[dot - name] = '\0';
        ok = ptf_text_table_find(&c->draft->tensors, path) == NULL;
    }
    ptf_free(path);
    for (size_t i = 0; ok && i < c->net->tensor_count; i++) {
        const char *other = c->net->tensors[i]->name;
        ok = strncmp(other, name, strlen(name)) != 0 ||
             other[strlen(name)] != '.';
    }
    return ok;
}

/* Its name in the state dict, or one that goes beside the others. */
static const char *state_name(ptf_composing *c, const char *name)
{
    ptf_arena *arena = &c->draft->arena;
    if (is_free(c, name))
        return name;
    char *text =
        ptf_arena_printf(arena, "%s", name[0] != '\0' ? name : "value");
    for (char *at = text; text != NULL && *at != '\0'; at++)
        *at = *at == '.' ? '_' : *at;
    const char *own = text;
    for (int i = 1; own != NULL && !is_free(c, own); i++)
        own = ptf_arena_printf(arena, "%s_%d", text, i);
    return own;
}

/* Floats are f32 in the graph: a copy of those that are not. */
static bool as_f32(ptf_composing *c, ptf_tensor *t)
{
    if (!ptf_dtype_is_float(t->dtype) || t->dtype == PTF_DTYPE_F32)
        return true;
    float *data = ptf_arena_array(
        &c->draft->arena, (size_t)ptf_tensor_numel(t) + 1, sizeof(*data));
    if (data == NULL || ptf_tensor_read_f32(t, data, NULL) != PTF_OK)
        return false;
    t->data = data;
    t->dtype = PTF_DTYPE_F32;
    t->storage = NULL;
    ptf_tensor_set_strides(t);
    return true;
}

static ptf_tensor *hold(ptf_composing *c, const ptf_tensor *tensor)
{
    ptf_draft_tensor *held = ptf_arena_alloc(&c->draft->arena, sizeof(*held));
    ptf_tensor *own = ptf_arena_alloc(&c->draft->arena, sizeof(*own));
    const char *name = state_name(c, tensor->name);
    if (held == NULL || own == NULL || name == NULL)
        return NULL;
    *own = *tensor;
    own->name = name;
    held->tensor = own;
    return as_f32(c, own) && ptf_text_table_add(&c->draft->tensors, name, held)
               ? own
               : NULL;
}

/* In the signature, and among the graph's inputs. */
static void add_input(ptf_composing *c, const ptf_tensor *t, bool is_parameter,
                      const char *name)
{
    json_t *spec =
        is_parameter
            ? json_pack("{s:{s:{s:s}, s:s}}", "parameter", "arg", "name", name,
                        "parameter_name", t->name)
            : json_pack("{s:{s:{s:s}, s:s, s:b}}", "buffer", "arg", "name",
                        name, "buffer_name", t->name, "persistent", true);
    keep(c, json_array_append_new(c->specs[is_parameter], spec) == 0 &&
                json_array_append_new(c->inputs[is_parameter],
                                      ptf_compose_value(name)) == 0 &&
                json_object_set_new(c->metas, name,
                                    ptf_draft_meta(t, 0, is_parameter)) == 0);
}

/* A tensor of the net, in the graph. */
typedef struct known_tensor {
    const ptf_tensor *tensor;
    ptf_composed value;
} known_tensor;

static bool same_view(const ptf_tensor *a, const ptf_tensor *b)
{
    size_t size = (size_t)a->rank * sizeof(*a->shape);
    return a->data == b->data && a->dtype == b->dtype && a->rank == b->rank &&
           memcmp(a->shape, b->shape, size) == 0 &&
           memcmp(a->stride, b->stride, size) == 0;
}

static known_tensor *add_tensor(ptf_composing *c, const ptf_tensor *tensor,
                                bool is_parameter, const char *key)
{
    known_tensor *known = ptf_arena_alloc(&c->draft->arena, sizeof(*known));
    const ptf_tensor *t = hold(c, tensor);
    bool ok =
        known != NULL && t != NULL && ptf_text_table_add(&c->known, key, known);
    keep(c, ok);
    if (!ok)
        return NULL;
    ptf_composed *value = &known->value;
    known->tensor = tensor;
    value->name = ptf_compose_name(c, is_parameter ? "p_" : "b_", t->name);
    value->dtype = t->dtype;
    value->shape.rank = t->rank < PTF_SHAPE_MAX ? t->rank : PTF_SHAPE_MAX;
    memcpy(value->shape.dim, t->shape,
           (size_t)value->shape.rank * sizeof(*t->shape));
    add_input(c, t, is_parameter, value->name);
    return known;
}

/* Views of one tensor that differ are tensors of their own. */
const char *ptf_compose_tensor(ptf_composing *c, const ptf_tensor *tensor,
                               bool is_parameter, ptf_composed *out)
{
    if (tensor == NULL)
        return NULL;
    const char *key = tensor->name;
    known_tensor *known = NULL;
    for (int i = 1; key != NULL; i++) {
        known = ptf_text_table_find(&c->known, key);
        if (known == NULL)
            known = add_tensor(c, tensor, is_parameter, key);
        if (known == NULL || same_view(known->tensor, tensor))
            break;
        key = ptf_arena_printf(&c->draft->arena, "%s %d", tensor->name, i);
    }
    keep(c, known != NULL);
    if (known != NULL && out != NULL)
        *out = known->value;
    return known != NULL ? known->value.name : "";
}

const ptf_tensor *ptf_compose_filled(ptf_composing *c, const char *name,
                                     int64_t count, float number)
{
    ptf_arena *arena = &c->draft->arena;
    float *data = ptf_arena_array(arena, (size_t)count, sizeof(*data));
    ptf_tensor *t = ptf_arena_alloc(arena, sizeof(*t));
    const char *own = ptf_arena_copy(arena, name, strlen(name));
    keep(c, data != NULL && t != NULL && own != NULL);
    if (c->failed)
        return NULL;
    for (int64_t i = 0; i < count; i++)
        data[i] = number;
    *t = (ptf_tensor){.name = own,
                      .dtype = PTF_DTYPE_F32,
                      .rank = 1,
                      .shape = {count},
                      .data = data};
    ptf_tensor_set_strides(t);
    return t;
}

bool ptf_compose_is_whole(const ptf_node *node)
{
    if (node->op != PTF_OP_CONSTANT)
        return false;
    const ptf_tensor *t = node->tensors[PTF_ROLE_WEIGHT];
    const float *data = ptf_tensor_f32(t);
    bool whole = data != NULL;
    for (int64_t i = 0; whole && i < ptf_tensor_numel(t); i++)
        whole = fabsf(data[i]) < 0x1p62F && !(truncf(data[i]) < data[i]) &&
                !(truncf(data[i]) > data[i]);
    return whole;
}

ptf_composed *ptf_compose_operand(ptf_composing *c, int index)
{
    int node = c->node->inputs[index];
    ptf_composed *value = &c->values[node];
    if (value->name == NULL) /* a constant, that is not read before */
        ptf_compose_tensor(c, c->net->nodes[node].tensors[PTF_ROLE_WEIGHT],
                           false, value);
    return value;
}
