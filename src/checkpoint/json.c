/*
 * JSON within bounds: the headers of safetensors, the indices of shards, the
 * graphs of programs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "checkpoint/reader.h"

#include <jansson.h>

/* Each value costs about a hundred bytes of memory and a comma or bracket. */
enum { MAX_VALUES = 2 << 20 };

static size_t count_values(const char *text, size_t size)
{
    size_t count = 0;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        count += c == ',' || c == '[' || c == '{';
    }
    return count;
}

ptf_status ptf_json_fail(const ptf_checkpoint *ckpt, const ptf_entry *entry,
                         const char *name, const char *text, ptf_error *err)
{
    ptf_origin origin = {ckpt->file.name, entry->name};
    return ptf_fail(err, PTF_FORMAT, &origin, PTF_NO_OFFSET, "'%s': %s", name,
                    text);
}

/* jansson leaves the text empty when it runs out of memory early. */
static ptf_status fail_syntax(const ptf_origin *origin, json_error_t *error,
                              ptf_error *err)
{
    uint64_t at = error->position > 0 ? (uint64_t)error->position : 0;
    if (json_error_code(error) == json_error_out_of_memory ||
        error->text[0] == '\0')
        return ptf_fail_memory(err);
    return ptf_fail(err, PTF_FORMAT, origin, at, "expected JSON, got: %s",
                    error->text);
}

ptf_status ptf_json_parse(const ptf_origin *origin, const void *text,
                          size_t size, size_t most, struct json_t **out,
                          ptf_error *err)
{
    json_error_t error;
    *out = NULL;
    if (count_values(text, size) > most)
        return ptf_fail(err, PTF_FORMAT, origin, PTF_NO_OFFSET,
                        "expected at most %zu values in JSON, got more", most);
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL)
        return fail_syntax(origin, &error, err);
    if (!json_is_object(root)) {
        json_decref(root);
        return ptf_fail(err, PTF_FORMAT, origin, PTF_NO_OFFSET,
                        "expected a JSON object");
    }
    *out = root;
    return PTF_OK;
}

ptf_status ptf_json_read(const ptf_checkpoint *ckpt, const ptf_entry *entry,
                         struct json_t **out, ptf_error *err)
{
    ptf_origin origin = {ckpt->file.name, entry->name};
    return ptf_json_parse(&origin, entry->data, entry->size, MAX_VALUES, out,
                          err);
}

void ptf_json_free(struct json_t *root)
{
    json_decref(root);
}

ptf_status ptf_json_read_metadata(ptf_checkpoint *ckpt, const ptf_entry *entry,
                                  struct json_t *object, bool others,
                                  ptf_error *err)
{
    if (!json_is_object(object))
        return ptf_json_fail(ckpt, entry, "metadata", "expected an object",
                             err);
    ckpt->metadata = ptf_arena_array(&ckpt->arena, json_object_size(object),
                                     sizeof(*ckpt->metadata));
    if (ckpt->metadata == NULL)
        return ptf_fail_memory(err);
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        if (!json_is_string(value) && others)
            continue;
        if (!json_is_string(value))
            return ptf_json_fail(ckpt, entry, key, "expected a string", err);
        ptf_metadata *m = &ckpt->metadata[ckpt->metadata_count];
        m->key = ptf_arena_copy(&ckpt->arena, key, strlen(key));
        char *text = ptf_arena_copy(&ckpt->arena, json_string_value(value),
                                    json_string_length(value));
        m->value = text;
        if (m->key == NULL || text == NULL ||
            !ptf_text_table_add(&ckpt->metadata_by_key, m->key, text))
            return ptf_fail_memory(err);
        ckpt->metadata_count++;
    }
    return PTF_OK;
}
