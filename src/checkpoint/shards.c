/*
 * A checkpoint in several files: an index (*.index.json) says in which of
 * the files beside it each tensor lies.  The files may be safetensors or
 * PyTorch's.  Index and files must agree exactly, so that a file that was
 * exchanged or is left over from another download is seen.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "checkpoint/reader.h"

#include <jansson.h>

enum { MAX_SHARDS = 4096, MAX_FILE_NAME = 255 };

/* One of the files. */
typedef struct shard {
    ptf_checkpoint *ckpt;
    size_t taken; /* tensors that the index has from it */
} shard;

typedef struct index_reader {
    ptf_checkpoint *ckpt;
    const ptf_entry *entry;
    json_t *map;
    shard *shards; /* as many as ckpt->shards */
    ptf_text_table by_name;
    ptf_error *err;
} index_reader;

static ptf_status fail(const index_reader *r, const char *name,
                       const char *text)
{
    return ptf_json_fail(r->ckpt, r->entry, name, text, r->err);
}

/* ---------------------------------------------------------- the index alone */

/*
 * Only a file of the index's own folder.  It may be a symbolic link: that is
 * how the Hugging Face cache lays files out.
 */
static bool is_sibling(const char *name)
{
    size_t size = strlen(name);
    return size > 0 && size <= MAX_FILE_NAME && ptf_is_printable(name, size) &&
           strpbrk(name, "/\\") == NULL && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0;
}

static ptf_status check_map(const index_reader *r)
{
    const char *key;
    json_t *value;
    if (!json_is_object(r->map) || json_object_size(r->map) == 0)
        return fail(r, "weight_map", "expected names of tensors and files");
    json_object_foreach(r->map, key, value)
    {
        if (!ptf_is_printable(key, strlen(key)))
            return fail(r, key, "expected a printable name");
        if (!json_is_string(value) || !is_sibling(json_string_value(value)))
            return fail(r, key, "expected the name of a file beside the index");
    }
    return PTF_OK;
}

/* --------------------------------------------------------------- the shards */

static ptf_status open_shard(index_reader *r, const char *name, shard **out)
{
    ptf_checkpoint *ckpt = r->ckpt;
    const char *index = ckpt->file.name;
    const char *slash = strrchr(index, '/');
    int folder = slash != NULL ? (int)(slash + 1 - index) : 0;
    if (ckpt->shard_count == MAX_SHARDS)
        return fail(r, name, "expected at most 4096 files");
    const char *path =
        ptf_arena_printf(&ckpt->arena, "%.*s%s", folder, index, name);
    if (path == NULL)
        return ptf_fail_memory(r->err);
    if (!ptf_file_is_there(path))
        return fail(r, name,
                    "expected a regular file of that name beside the index");
    *out = &r->shards[ckpt->shard_count];
    ptf_status status = ptf_checkpoint_open_shard(path, &(*out)->ckpt, r->err);
    if (status != PTF_OK)
        return status;
    ckpt->shards[ckpt->shard_count++] = (*out)->ckpt;
    /* the path ends with the name, which the JSON will not keep */
    return ptf_text_table_add(&r->by_name, path + folder, *out)
               ? PTF_OK
               : ptf_fail_memory(r->err);
}

static ptf_status take_tensor(index_reader *r, const char *key,
                              const char *name)
{
    shard *file = ptf_text_table_find(&r->by_name, name);
    ptf_status status = file == NULL ? open_shard(r, name, &file) : PTF_OK;
    if (status != PTF_OK)
        return status;
    const ptf_tensor *t = ptf_checkpoint_find(file->ckpt, key);
    if (t == NULL) {
        ptf_origin origin = {file->ckpt->file.name, NULL};
        return ptf_fail(r->err, PTF_FORMAT, &origin, PTF_NO_OFFSET,
                        "expected tensor '%s', which the index says is here, "
                        "got none",
                        key);
    }
    r->ckpt->tensors[r->ckpt->count++] = *t;
    file->taken++;
    return PTF_OK;
}

/* A shard has more tensors than the index knows: names the first. */
static ptf_status fail_extra(const index_reader *r, const shard *file)
{
    const ptf_checkpoint *ckpt = file->ckpt;
    ptf_origin origin = {ckpt->file.name, NULL};
    for (size_t i = 0; i < ckpt->count; i++) {
        const char *name = ckpt->tensors[i].name;
        json_t *place = json_object_get(r->map, name);
        if (place == NULL ||
            ptf_text_table_find(&r->by_name, json_string_value(place)) != file)
            return ptf_fail(r->err, PTF_FORMAT, &origin, PTF_NO_OFFSET,
                            "expected no tensor that the index does not look "
                            "for here, got '%s'",
                            name);
    }
    return fail(r, "weight_map", "expected every tensor of its files");
}

static ptf_status take_all(index_reader *r)
{
    const char *key;
    json_t *value;
    json_object_foreach(r->map, key, value)
    {
        ptf_status status = take_tensor(r, key, json_string_value(value));
        if (status != PTF_OK)
            return status;
    }
    for (size_t i = 0; i < r->ckpt->shard_count; i++) {
        if (r->shards[i].taken != r->shards[i].ckpt->count)
            return fail_extra(r, &r->shards[i]);
    }
    return PTF_OK;
}

static ptf_status read_shards(index_reader *r)
{
    ptf_checkpoint *ckpt = r->ckpt;
    ptf_origin origin = {ckpt->file.name, NULL};
    size_t count = json_object_size(r->map);
    size_t files = count < MAX_SHARDS ? count : MAX_SHARDS;
    if (ckpt->file.fd < 0)
        return ptf_fail(r->err, PTF_UNSUPPORTED, &origin, PTF_NO_OFFSET,
                        "expected the tensors themselves, got an index of "
                        "files beside it; open it by its path");
    ckpt->tensors =
        ptf_arena_array(&ckpt->arena, count, sizeof(*ckpt->tensors));
    ckpt->shards = ptf_arena_array(&ckpt->arena, files, sizeof(*ckpt->shards));
    r->shards = ptf_arena_array(&ckpt->arena, files, sizeof(*r->shards));
    if (ckpt->tensors == NULL || ckpt->shards == NULL || r->shards == NULL)
        return ptf_fail_memory(r->err);
    ptf_status status = take_all(r);
    ptf_text_table_free(&r->by_name);
    return status;
}

static ptf_status read_index(index_reader *r, json_t *root)
{
    ptf_origin origin = {r->ckpt->file.name, NULL};
    r->map = json_object_get(root, "weight_map");
    if (r->map == NULL)
        return ptf_fail(r->err, PTF_UNSUPPORTED, &origin, PTF_NO_OFFSET,
                        "expected a PyTorch checkpoint, got JSON that is no "
                        "index of one (it has no 'weight_map')");
    json_t *metadata = json_object_get(root, "metadata");
    ptf_status status = check_map(r);
    if (status == PTF_OK && metadata != NULL)
        status =
            ptf_json_read_metadata(r->ckpt, r->entry, metadata, true, r->err);
    return status == PTF_OK ? read_shards(r) : status;
}

ptf_status ptf_shards_read(ptf_checkpoint *ckpt, ptf_error *err)
{
    const ptf_entry *entry = ptf_archive_find(&ckpt->archive, "index");
    ptf_origin origin = {ckpt->file.name, NULL};
    index_reader r = {.ckpt = ckpt, .entry = entry, .err = err};
    json_t *root;
    if (ckpt->is_shard)
        return ptf_fail(err, PTF_FORMAT, &origin, PTF_NO_OFFSET,
                        "expected tensors, got an index inside another");
    ptf_status status = ptf_json_read(ckpt, entry, &root, err);
    if (status == PTF_OK)
        status = read_index(&r, root);
    ptf_json_free(root);
    return status;
}
