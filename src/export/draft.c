/*
 * A program that was read, as a draft: its own JSON, so that nothing of it is
 * lost, spelled as PyTorch 2.13 does.
 *
 * From schema 7.3 to 8.20 one spelling changed (None was an empty list); all
 * else are members that were added, which readers take to be absent.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "export/draft.h"

/* ------------------------------------------------------------------ members */

static json_t *module_of(const ptf_draft *draft)
{
    return json_object_get(draft->root, "graph_module");
}

json_t *ptf_draft_graph(const ptf_draft *draft)
{
    return json_object_get(module_of(draft), "graph");
}

json_t *ptf_draft_specs(const ptf_draft *draft, const char *key)
{
    return json_object_get(json_object_get(module_of(draft), "signature"), key);
}

json_t *ptf_draft_calls(const ptf_draft *draft)
{
    return json_object_get(module_of(draft), "module_call_graph");
}

static const struct {
    const char *key, *name;
    bool is_parameter, is_constant;
} kinds[] = {
    {"parameter", "parameter_name", true, false},
    {"buffer", "buffer_name", false, false},
    {"tensor_constant", "tensor_constant_name", false, true},
};

bool ptf_draft_tensor_input(const json_t *spec, ptf_draft_input *out)
{
    for (size_t i = 0; i < PTF_ARRAY_SIZE(kinds); i++) {
        const json_t *own = json_object_get(spec, kinds[i].key);
        if (own == NULL)
            continue;
        const json_t *lasts = json_object_get(own, "persistent");
        *out = (ptf_draft_input){
            json_string_value(
                json_object_get(json_object_get(own, "arg"), "name")),
            json_string_value(json_object_get(own, kinds[i].name)),
            kinds[i].is_parameter,
            !kinds[i].is_constant && (lasts == NULL || json_is_true(lasts))};
        return out->value != NULL && out->name != NULL;
    }
    return false;
}

json_t *ptf_draft_sizes(const int64_t *at, int count)
{
    json_t *list = json_array();
    for (int i = 0; i < count; i++)
        json_array_append_new(list,
                              json_pack("{s:I}", "as_int", (json_int_t)at[i]));
    return list;
}

json_t *ptf_draft_meta(const ptf_tensor *t, int64_t offset, bool trained)
{
    return json_pack("{s:i, s:o, s:b, s:{s:s, s:n}, s:o, s:{s:I}, s:i}",
                     "dtype", ptf_program_dtype_number(t->dtype), "sizes",
                     ptf_draft_sizes(t->shape, t->rank), "requires_grad",
                     trained, "device", "type", "cpu", "index", "strides",
                     ptf_draft_sizes(t->stride, t->rank), "storage_offset",
                     "as_int", (json_int_t)offset, "layout",
                     PTF_PROGRAM_STRIDED);
}

/* ------------------------------------------------------------------ reading */

/* No deeper than what the parser takes. */
static void spell_none(json_t *at)
{
    const char *key;
    json_t *value;
    size_t i;
    json_array_foreach(at, i, value) spell_none(value);
    json_object_foreach(at, key, value)
    {
        if (strcmp(key, "as_none") == 0 && json_is_array(value))
            json_object_set_new(at, key, json_true());
        else
            spell_none(value);
    }
}

/* What data a signature's input has, as the program was read. */
static bool take_tensors(ptf_draft *draft)
{
    const ptf_program *p = draft->program;
    bool ok = true;
    for (int i = 0; i < p->input_count && ok; i++) {
        const ptf_program_input *input = &p->inputs[i];
        if (input->tensor == NULL ||
            ptf_text_table_find(&draft->tensors, input->name) != NULL)
            continue;
        ptf_draft_tensor *held = ptf_arena_alloc(&draft->arena, sizeof(*held));
        ok = held != NULL &&
             ptf_text_table_add(&draft->tensors, input->name, held);
        if (ok)
            held->tensor = input->tensor;
    }
    return ok;
}

ptf_status ptf_draft_read(const ptf_program *program, ptf_draft *out,
                          ptf_error *err)
{
    json_error_t error;
    *out = (ptf_draft){.program = program};
    out->root = json_loadb((const char *)program->json->data,
                           program->json->size, 0, &error);
    json_t *version = json_pack("{s:i, s:i}", "major", PTF_DRAFT_MAJOR, "minor",
                                PTF_DRAFT_MINOR);
    if (out->root == NULL || version == NULL || !take_tensors(out)) {
        json_decref(version);
        return ptf_fail_memory(err); /* it was parsed before */
    }
    spell_none(out->root);
    return json_object_set_new(out->root, "schema_version", version) == 0
               ? PTF_OK
               : ptf_fail_memory(err);
}

void ptf_draft_free(ptf_draft *draft)
{
    json_decref(draft->root);
    ptf_text_table_free(&draft->tensors);
    ptf_arena_free(&draft->arena);
}
