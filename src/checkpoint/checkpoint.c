/*
 * A checkpoint from opening to closing: archive, pickle, storages, tensors.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "checkpoint/reader.h"

/* ----------------------------------------------------------------- opening */

/* The order of the bytes in storages; little unless an entry says otherwise. */
static ptf_status read_byteorder(ptf_checkpoint *ckpt, ptf_error *err)
{
    ptf_entry *entry = ptf_archive_find(&ckpt->archive, "byteorder");
    ptf_origin origin = {ckpt->file.name, "byteorder"};
    if (entry == NULL)
        return PTF_OK;
    ptf_status status = ptf_archive_load(&ckpt->archive, entry, err);
    if (status == PTF_OK)
        status = ptf_archive_check(&ckpt->archive, entry, err);
    if (status != PTF_OK)
        return status;
    ckpt->big_endian = entry->size == 3 && memcmp(entry->data, "big", 3) == 0;
    bool little = entry->size == 6 && memcmp(entry->data, "little", 6) == 0;
    return ckpt->big_endian || little
               ? PTF_OK
               : ptf_fail(err, PTF_FORMAT, &origin, 0,
                          "expected 'little' or 'big', got something else");
}

/* Texts that ptfold put there: see ptf_checkpoint_save(). */
static ptf_status read_metadata(ptf_checkpoint *ckpt, ptf_error *err)
{
    ptf_entry *entry = ptf_archive_find(&ckpt->archive, PTF_METADATA_ENTRY);
    struct json_t *root;
    if (entry == NULL)
        return PTF_OK;
    ptf_status status = ptf_archive_load(&ckpt->archive, entry, err);
    if (status == PTF_OK)
        status = ptf_archive_check(&ckpt->archive, entry, err);
    if (status == PTF_OK)
        status = ptf_json_read(ckpt, entry, &root, err);
    if (status != PTF_OK)
        return status;
    status = ptf_json_read_metadata(ckpt, entry, root, false, err);
    ptf_json_free(root);
    return status;
}

static ptf_status read_pickle_entry(ptf_checkpoint *ckpt, const char *name,
                                    ptf_pickle *out, ptf_error *err)
{
    ptf_entry *entry = ptf_archive_find(&ckpt->archive, name);
    ptf_origin origin = {ckpt->file.name, name};
    ptf_status status = ptf_archive_load(&ckpt->archive, entry, err);
    if (status == PTF_OK)
        status = ptf_archive_check(&ckpt->archive, entry, err);
    if (status == PTF_OK)
        status = ptf_pickle_read(entry->data, entry->size, &origin,
                                 ptf_object_is_numbers, &ckpt->arena, out, err);
    if (status == PTF_OK && out->size != entry->size)
        return ptf_fail(err, PTF_FORMAT, &origin, out->size,
                        "expected the end of the pickle, got %zu more bytes",
                        entry->size - out->size);
    return status;
}

static ptf_status read_zip(ptf_checkpoint *ckpt, ptf_error *err)
{
    ptf_pickle constants; /* of TorchScript's code: read for what it names */
    ptf_status status = read_byteorder(ckpt, err);
    if (status == PTF_OK)
        status = read_metadata(ckpt, err);
    if (status == PTF_OK)
        status = read_pickle_entry(ckpt, "data.pkl", &ckpt->pickle, err);
    if (status == PTF_OK && ckpt->archive.kind == PTF_ARCHIVE_TORCHSCRIPT)
        status = read_pickle_entry(ckpt, "constants.pkl", &constants, err);
    return status == PTF_OK ? ptf_storages_load(ckpt, err) : status;
}

ptf_status ptf_leaf_rebuild(ptf_checkpoint *ckpt, const ptf_leaf *leaf,
                            ptf_tensor *out, ptf_error *err)
{
    ptf_origin origin = ptf_object_origin(ckpt);
    if (leaf->problem != NULL)
        return ptf_fail(err, leaf->problem->status, &origin, PTF_NO_OFFSET,
                        "tensor '%s': %s", leaf->name, leaf->problem->text);
    return ptf_object_is_array(leaf->value)
               ? ptf_array_rebuild(ckpt, leaf->value, leaf->name, out, err)
               : ptf_tensor_rebuild(ckpt, leaf->value, leaf->name, out, err);
}

/*
 * Tensors may repeat elements and share storages, so that a small file could
 * stand for terabytes to be hashed or converted.  This much is allowed.
 */
static const size_t MAX_LOGICAL_FREE = (size_t)256 << 20;
enum { MAX_LOGICAL_RATIO = 64 };

static ptf_status add_bytes(const ptf_checkpoint *ckpt, const ptf_tensor *t,
                            size_t *total, ptf_error *err)
{
    ptf_origin origin = ptf_object_origin(ckpt);
    size_t most;
    if (!ptf_mul_size(ckpt->file.size, MAX_LOGICAL_RATIO, &most) ||
        !ptf_add_size(most, MAX_LOGICAL_FREE, &most))
        most = SIZE_MAX;
    if (ptf_add_size(*total, ptf_tensor_bytes(t), total) && *total <= most)
        return PTF_OK;
    return ptf_fail(err, PTF_FORMAT, &origin, PTF_NO_OFFSET,
                    "tensor '%s': expected at most %zu bytes in all tensors "
                    "of this file, shared and repeated ones included",
                    t->name, most);
}

static ptf_status rebuild_all(ptf_checkpoint *ckpt, const ptf_leaves *leaves,
                              ptf_error *err)
{
    ckpt->tensors =
        ptf_arena_array(&ckpt->arena, leaves->count, sizeof(*ckpt->tensors));
    if (ckpt->tensors == NULL)
        return ptf_fail_memory(err);
    ptf_status status = PTF_OK;
    size_t total = 0;
    for (size_t i = 0; i < leaves->count && status == PTF_OK; i++) {
        status =
            ptf_leaf_rebuild(ckpt, &leaves->items[i], &ckpt->tensors[i], err);
        if (status == PTF_OK)
            status = add_bytes(ckpt, &ckpt->tensors[i], &total, err);
    }
    ckpt->count = leaves->count;
    return status;
}

static ptf_status fail_closed(const ptf_checkpoint *ckpt,
                              const ptf_object *object, ptf_error *err)
{
    ptf_origin origin = ptf_object_origin(ckpt);
    if (object->kind != PTF_OBJECT_INSTANCE)
        return ptf_fail(err, PTF_UNSUPPORTED, &origin, PTF_NO_OFFSET,
                        "expected tensors, got some in a set or as keys of "
                        "a dict, which have no names");
    const ptf_object *callee = object->items[PTF_INSTANCE_CALLEE];
    bool global = callee->kind == PTF_OBJECT_GLOBAL;
    return ptf_fail(err, PTF_UNSUPPORTED, &origin, PTF_NO_OFFSET,
                    "expected tensors, got an object of %s%s%s, which is "
                    "not looked into",
                    global ? callee->global->module : "", global ? "." : "",
                    global ? callee->global->name : "a computed class");
}

/* A root that cannot be a state dict, whatever is in it. */
static ptf_status check_root(const ptf_checkpoint *ckpt, ptf_error *err)
{
    ptf_origin origin = ptf_object_origin(ckpt);
    const ptf_object *root = ckpt->pickle.root;
    if (root->kind == PTF_OBJECT_INSTANCE && !root->marked &&
        !ptf_object_is_open(root))
        return fail_closed(ckpt, root, err);
    if (root->kind == PTF_OBJECT_DICT || root->kind == PTF_OBJECT_LIST ||
        root->kind == PTF_OBJECT_TUPLE || root->kind == PTF_OBJECT_INSTANCE)
        return PTF_OK;
    return ptf_fail(err, PTF_UNSUPPORTED, &origin, PTF_NO_OFFSET,
                    "expected a state dict, got no container");
}

static ptf_status find_tensors(ptf_checkpoint *ckpt,
                               const ptf_open_options *options, ptf_error *err)
{
    ptf_leaves leaves;
    ptf_status status = check_root(ckpt, err);
    if (status == PTF_OK)
        status = ptf_leaves_select(ckpt, options, &leaves, err);
    if (status != PTF_OK)
        return status;
    ckpt->closed_count = leaves.closed_count;
    status = leaves.count == 0 && leaves.closed_count > 0
                 ? fail_closed(ckpt, leaves.closed, err)
                 : rebuild_all(ckpt, &leaves, err);
    ptf_leaves_free(&leaves);
    return status;
}

/* No file has a key twice, but keys that are joined can give one name. */
static ptf_status index_names(ptf_checkpoint *ckpt, ptf_error *err)
{
    ptf_origin origin = {ckpt->file.name, NULL};
    for (size_t i = 0; i < ckpt->count; i++) {
        ptf_tensor *t = &ckpt->tensors[i];
        if (ptf_text_table_find(&ckpt->by_name, t->name) != NULL)
            return ptf_fail(err, PTF_UNSUPPORTED, &origin, PTF_NO_OFFSET,
                            "expected every name once, got two tensors that "
                            "are '%s' when keys are joined with dots",
                            t->name);
        if (!ptf_text_table_add(&ckpt->by_name, t->name, t))
            return ptf_fail_memory(err);
    }
    return PTF_OK;
}

static ptf_status read_pickled(ptf_checkpoint *ckpt,
                               const ptf_open_options *options, ptf_error *err)
{
    ptf_archive_kind kind = ckpt->archive.kind;
    ptf_status status = kind == PTF_ARCHIVE_LEGACY ? ptf_legacy_read(ckpt, err)
                        : kind == PTF_ARCHIVE_TAR  ? ptf_tar_read(ckpt, err)
                                                   : read_zip(ckpt, err);
    if (status == PTF_OK)
        status = ptf_opaque_list(ckpt, err);
    return status == PTF_OK ? find_tensors(ckpt, options, err) : status;
}

static ptf_status read_kind(ptf_checkpoint *ckpt,
                            const ptf_open_options *options, ptf_error *err)
{
    ptf_archive_kind kind = ckpt->archive.kind;
    ptf_origin origin = {ckpt->file.name, NULL};
    if (kind == PTF_ARCHIVE_EXPORT)
        return ptf_fail(err, PTF_UNSUPPORTED, &origin, PTF_NO_OFFSET,
                        "expected a PyTorch checkpoint, got a torch.export "
                        "archive (.pt2), which has its network with it and "
                        "takes no --arch and no --key");
    if (kind != PTF_ARCHIVE_SAFETENSORS && kind != PTF_ARCHIVE_INDEX)
        return read_pickled(ckpt, options, err);
    ptf_status status = kind == PTF_ARCHIVE_INDEX
                            ? ptf_shards_read(ckpt, err)
                            : ptf_safetensors_read(ckpt, err);
    return status == PTF_OK ? ptf_tensors_select(ckpt, options, err) : status;
}

/* Takes over ckpt, whose file is open. */
static ptf_status read_file(ptf_checkpoint *ckpt,
                            const ptf_open_options *options,
                            ptf_checkpoint **out, ptf_error *err)
{
    ptf_open_options all;
    ptf_options_read(options, &all, sizeof(all));
    ptf_status status = ptf_archive_open(&ckpt->file, &ckpt->archive, err);
    if (status == PTF_OK)
        status = read_kind(ckpt, &all, err);
    if (status == PTF_OK)
        status = index_names(ckpt, err);
    if (status != PTF_OK) {
        ptf_status changed = ptf_checkpoint_unchanged(ckpt, err);
        ptf_checkpoint_close(ckpt);
        return changed != PTF_OK ? changed : status; /* it is not damaged */
    }
    *out = ckpt;
    return PTF_OK;
}

static void destroy(void *object)
{
    ptf_checkpoint *ckpt = object;
    for (size_t i = 0; i < ckpt->shard_count; i++)
        ptf_checkpoint_close(ckpt->shards[i]);
    ptf_text_table_free(&ckpt->by_name);
    ptf_text_table_free(&ckpt->storages);
    ptf_text_table_free(&ckpt->views);
    ptf_text_table_free(&ckpt->metadata_by_key);
    ptf_archive_close(&ckpt->archive);
    ptf_file_close(&ckpt->file);
    ptf_arena_free(&ckpt->arena);
    ptf_free(ckpt);
}

/* The name is copied: messages may need it when the caller's is gone. */
static ptf_checkpoint *make_checkpoint(const char *name, const char **copy)
{
    ptf_checkpoint *ckpt = ptf_alloc(sizeof(*ckpt));
    if (ckpt == NULL)
        return NULL;
    ckpt->users = ptf_users_init(&ckpt->counted, ckpt, destroy);
    ckpt->file.fd = -1;
    *copy = ptf_arena_copy(&ckpt->arena, name, strlen(name));
    if (*copy == NULL) {
        ptf_checkpoint_close(ckpt);
        return NULL;
    }
    return ckpt;
}

static ptf_status open_path(const char *path, const ptf_open_options *options,
                            bool is_shard, ptf_checkpoint **out, ptf_error *err)
{
    const char *name;
    *out = NULL;
    ptf_checkpoint *ckpt = make_checkpoint(path, &name);
    if (ckpt == NULL)
        return ptf_fail_memory(err);
    ckpt->is_shard = is_shard;
    ptf_status status = ptf_folder_refuse(name, err);
    if (status == PTF_OK)
        status = ptf_file_open(name, &ckpt->file, err);
    if (status != PTF_OK) {
        ckpt->file.fd = -1;
        ptf_checkpoint_close(ckpt);
        return status;
    }
    return read_file(ckpt, options, out, err);
}

ptf_status ptf_checkpoint_open(const char *path,
                               const ptf_open_options *options,
                               ptf_checkpoint **out, ptf_error *err)
{
    return open_path(path, options, false, out, err);
}

ptf_status ptf_checkpoint_open_shard(const char *path, ptf_checkpoint **out,
                                     ptf_error *err)
{
    static const ptf_open_options all = {.key = "", .keep_prefix = true};
    return open_path(path, &all, true, out, err);
}

ptf_status ptf_checkpoint_open_memory(const void *data, size_t size,
                                      const char *name,
                                      const ptf_open_options *options,
                                      ptf_checkpoint **out, ptf_error *err)
{
    *out = NULL;
    ptf_checkpoint *ckpt = make_checkpoint(name, &name);
    if (ckpt == NULL)
        return ptf_fail_memory(err);
    ckpt->file = (ptf_file){name, data, size, -1, NULL};
    return read_file(ckpt, options, out, err);
}

void ptf_checkpoint_close(ptf_checkpoint *ckpt)
{
    if (ckpt != NULL)
        ptf_users_drop(ckpt->users);
}

ptf_users *ptf_checkpoint_users(const ptf_checkpoint *ckpt)
{
    return ckpt->users;
}

/* ------------------------------------------------------------ what is there */

size_t ptf_checkpoint_tensor_count(const ptf_checkpoint *ckpt)
{
    return ckpt->count;
}

const ptf_tensor *ptf_checkpoint_tensor(const ptf_checkpoint *ckpt,
                                        size_t index)
{
    return &ckpt->tensors[index];
}

const ptf_tensor *ptf_checkpoint_find(const ptf_checkpoint *ckpt,
                                      const char *name)
{
    return ptf_text_table_find(&ckpt->by_name, name);
}

const char *ptf_checkpoint_key(const ptf_checkpoint *ckpt, size_t *left_out,
                               const char **example)
{
    if (left_out != NULL)
        *left_out = ckpt->left_out;
    if (example != NULL)
        *example = ckpt->left_name;
    return ckpt->place != NULL ? ckpt->place : "";
}

const ptf_file *ptf_checkpoint_file(const ptf_checkpoint *ckpt)
{
    return &ckpt->file;
}

ptf_status ptf_checkpoint_check_output(const ptf_checkpoint *ckpt,
                                       const char *path, ptf_error *err)
{
    ptf_status status = ptf_output_check(path, &ckpt->file, err);
    for (size_t i = 0; i < ckpt->shard_count && status == PTF_OK; i++)
        status = ptf_checkpoint_check_output(ckpt->shards[i], path, err);
    return status;
}

void ptf_checkpoint_release(const ptf_checkpoint *ckpt)
{
    ptf_file_release(&ckpt->file);
    for (size_t i = 0; i < ckpt->shard_count; i++)
        ptf_checkpoint_release(ckpt->shards[i]);
}

/*
 * What was verified is what is run, compared and written: bytes whose checksum
 * the file does not state get one, which later readings are held against.
 */
static ptf_status learn(ptf_checkpoint *ckpt, ptf_error *err)
{
    if (ckpt->learnt == NULL)
        ckpt->learnt =
            ptf_arena_array(&ckpt->arena, ckpt->count, sizeof(*ckpt->learnt));
    if (ckpt->learnt == NULL)
        return ptf_fail_memory(err);
    for (size_t i = 0; i < ckpt->count; i++) {
        ptf_storage *s = (ptf_storage *)(uintptr_t)ckpt->tensors[i].storage;
        if (s == NULL || s->file == NULL || s->has_crc)
            continue;
        s->crc = ptf_crc32_parallel(0, s->data, s->size);
        s->has_crc = true;
        ckpt->learnt[ckpt->learnt_count++] = s;
    }
    return PTF_OK;
}

ptf_status ptf_checkpoint_compare(const ptf_checkpoint *ckpt, ptf_error *err)
{
    ptf_status status = ptf_archive_verify(&ckpt->archive, err);
    for (size_t i = 0; i < ckpt->shard_count && status == PTF_OK; i++)
        status = ptf_archive_verify(&ckpt->shards[i]->archive, err);
    for (size_t i = 0; i < ckpt->learnt_count && status == PTF_OK; i++) {
        const ptf_storage *s = ckpt->learnt[i];
        if (ptf_crc32_parallel(0, s->data, s->size) != s->crc)
            status = ptf_file_fail_changed(s->file, err);
    }
    return status;
}

ptf_status ptf_checkpoint_verify(ptf_checkpoint *ckpt, ptf_error *err)
{
    ptf_status status = ptf_checkpoint_compare(ckpt, err);
    return status == PTF_OK ? learn(ckpt, err) : status;
}

ptf_status ptf_checkpoint_unchanged(const ptf_checkpoint *ckpt, ptf_error *err)
{
    ptf_status status = ptf_file_check(&ckpt->file, err);
    for (size_t i = 0; i < ckpt->shard_count && status == PTF_OK; i++)
        status = ptf_file_check(&ckpt->shards[i]->file, err);
    return status;
}
