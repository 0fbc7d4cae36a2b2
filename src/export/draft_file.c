/*
 * A draft into a .pt2, laid out as PyTorch does since 2.9: a raw entry for
 * each storage, JSON that says which tensor is what part of which entry, the
 * graph, and what surrounds it.  PyTorch reads the model named "model".
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "archive/zip_write.h"
#include "export/draft.h"
#include "save/writer.h"

/* What PyTorch's writer says of itself in .data/version. */
static const char archive_version[] = "6\n";

/* -------------------------------------------------------------- the tensors */

/* One of the two groups of tensors, in the order of the signature. */
typedef struct group {
    const char *data, *config; /* entries: a tensor's without its number */
    const ptf_tensor **tensors;
    const json_t **recorded; /* what the graph says of each */
    bool *are_parameters;
    size_t count;
} group;

enum { WEIGHTS, CONSTANTS, GROUPS };

static const char *const data_names[GROUPS] = {"data/weights/weight_",
                                               "data/constants/tensor_"};
static const char *const config_names[GROUPS] = {
    "data/weights/model_weights_config.json",
    "data/constants/model_constants_config.json"};

static bool make_group(ptf_arena *arena, int index, size_t room, group *out)
{
    *out = (group){
        .data = data_names[index],
        .config = config_names[index],
        .tensors = ptf_arena_array(arena, room, sizeof(*out->tensors)),
        .recorded = ptf_arena_array(arena, room, sizeof(*out->recorded)),
        .are_parameters =
            ptf_arena_array(arena, room, sizeof(*out->are_parameters)),
    };
    return out->tensors != NULL && out->recorded != NULL &&
           out->are_parameters != NULL;
}

static ptf_status list_groups(const ptf_draft *draft, ptf_arena *arena,
                              group groups[GROUPS], ptf_error *err)
{
    const json_t *specs = ptf_draft_specs(draft, "input_specs");
    const json_t *values =
        json_object_get(ptf_draft_graph(draft), "tensor_values");
    size_t count = json_array_size(specs);
    for (int i = 0; i < GROUPS; i++) {
        if (!make_group(arena, i, count, &groups[i]))
            return ptf_fail_memory(err);
    }
    for (size_t i = 0; i < count; i++) {
        ptf_draft_input input;
        if (!ptf_draft_tensor_input(json_array_get(specs, i), &input))
            continue;
        group *g = &groups[input.in_state ? WEIGHTS : CONSTANTS];
        const ptf_draft_tensor *held =
            ptf_text_table_find(&draft->tensors, input.name);
        g->tensors[g->count] = held->tensor;
        g->recorded[g->count] = json_object_get(values, input.value);
        g->are_parameters[g->count++] = input.is_parameter;
    }
    return PTF_OK;
}

/* ------------------------------------------------------------------- config */

static json_t *meta_of(const ptf_tensor *t, const json_t *recorded,
                       const ptf_view *view)
{
    ptf_tensor own = *t;
    if (!view->shared)
        ptf_tensor_set_strides(&own);
    return ptf_draft_meta(
        &own, view->offset,
        json_is_true(json_object_get(recorded, "requires_grad")));
}

static json_t *config_of(const group *g, const ptf_payloads *payloads)
{
    const char *prefix = strrchr(g->data, '/') + 1;
    json_t *config = json_object();
    bool ok = config != NULL;
    for (size_t i = 0; i < g->count && ok; i++) {
        char path[40];
        snprintf(path, sizeof(path), "%s%zu", prefix,
                 payloads->views[i].payload);
        json_t *own = json_pack(
            "{s:s, s:b, s:b, s:o}", "path_name", path, "is_param",
            g->are_parameters[i], "use_pickle", false, "tensor_meta",
            meta_of(g->tensors[i], g->recorded[i], &payloads->views[i]));
        ok = json_object_set_new(config, g->tensors[i]->name, own) == 0;
    }
    json_t *whole = ok ? json_pack("{s:O}", "config", config) : NULL;
    json_decref(config);
    return whole;
}

/* ------------------------------------------------------------------ entries */

/* What is being written. */
typedef struct writing {
    const ptf_draft *draft;
    group *groups;
    ptf_arena *arena;
    ptf_zip_writer zip;
    uint64_t names, contents; /* hashes of what was written */
    ptf_error *err;
} writing;

/* FNV-1a of 64 bits. */
static uint64_t mix(uint64_t hash, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3;
    return hash;
}

static ptf_status end_entry(writing *w, const char *name, uint32_t crc)
{
    w->names = mix(w->names, name, strlen(name) + 1);
    w->contents = mix(w->contents, &crc, sizeof(crc));
    return ptf_zip_write_end(&w->zip, crc, w->err);
}

static ptf_status put(writing *w, const char *name, const void *data,
                      size_t size)
{
    ptf_status status = ptf_zip_write_begin(&w->zip, name, size, 0, w->err);
    if (status == PTF_OK)
        status = ptf_output_write(w->zip.out, data, size, w->err);
    return status == PTF_OK ? end_entry(w, name, ptf_crc32(0, data, size))
                            : status;
}

static ptf_status put_text(writing *w, const char *name, const char *text)
{
    return put(w, name, text, strlen(text));
}

static int add_text(const char *text, size_t size, void *buffer)
{
    ptf_buffer_add(buffer, text, size);
    return 0;
}

/* Releases 'root', which may be NULL when memory ran out. */
static ptf_status put_json(writing *w, const char *name, json_t *root)
{
    ptf_buffer b = {0};
    bool ok =
        root != NULL &&
        json_dump_callback(root, add_text, &b,
                           JSON_ENSURE_ASCII | JSON_REAL_PRECISION(17)) == 0 &&
        !b.failed;
    ptf_status status =
        ok ? put(w, name, b.data, b.size) : ptf_fail_memory(w->err);
    ptf_buffer_free(&b);
    json_decref(root);
    return status;
}

static ptf_status put_tensor(writing *w, const ptf_save *save,
                             const ptf_tensor *t, const char *name)
{
    uint32_t crc = 0;
    ptf_status status = ptf_zip_write_begin(&w->zip, name, ptf_tensor_bytes(t),
                                            ptf_save_place(t), w->err);
    if (status == PTF_OK)
        status = ptf_save_payload(save, t, w->zip.out, &crc, w->err);
    return status == PTF_OK ? end_entry(w, name, crc) : status;
}

static ptf_status put_group(writing *w, const ptf_save *all, const group *g)
{
    ptf_save save = *all;
    ptf_payloads payloads;
    save.tensors = g->tensors;
    save.count = g->count;
    ptf_status status = ptf_payloads_make(&save, &payloads, w->err);
    if (status != PTF_OK)
        return status;
    for (size_t i = 0; i < payloads.count && status == PTF_OK; i++) {
        char name[48];
        snprintf(name, sizeof(name), "%s%zu", g->data, i);
        status = put_tensor(w, &save, &payloads.items[i], name);
    }
    if (status == PTF_OK)
        status = put_json(w, g->config, config_of(g, &payloads));
    ptf_payloads_free(&payloads);
    return status;
}

/* Extra files go by what is after the name of their folder. */
static ptf_status put_extra(writing *w, const ptf_entry *extra)
{
    const ptf_program *p = w->draft->program;
    const char *base = strchr(extra->name, '/') + 1;
    ptf_status status = ptf_archive_check(&p->archive, extra, w->err);
    char *name = ptf_arena_printf(w->arena, "extra/%s", base);
    if (status == PTF_OK && name == NULL)
        status = ptf_fail_memory(w->err);
    return status == PTF_OK ? put(w, name, extra->data, extra->size) : status;
}

/* In PyTorch's order. */
static ptf_status put_all(writing *w, const ptf_save *save)
{
    static const struct {
        const char *name, *text;
    } last[] = {
        {"archive_format", "pt2"},
        {"archive_version", "0"},
        {".data/version", archive_version},
        {"byteorder", "little"},
    };
    const ptf_program *p = w->draft->program;
    const ptf_entry none = {.data = (const uint8_t *)""};
    const ptf_entry *samples =
        p != NULL && p->samples != NULL ? p->samples : &none;
    size_t extras = p != NULL ? p->extra_count : 0;
    ptf_status status = PTF_OK;
    for (int i = 0; i < GROUPS && status == PTF_OK; i++)
        status = put_group(w, save, &w->groups[i]);
    if (status == PTF_OK)
        status = put_json(w, "models/model.json", json_incref(w->draft->root));
    if (status == PTF_OK)
        status =
            put(w, "data/sample_inputs/model.pt", samples->data, samples->size);
    for (size_t i = 0; i < extras && status == PTF_OK; i++)
        status = put_extra(w, p->extras[i]);
    if (status == PTF_OK && w->draft->assumes != NULL)
        status = put_text(w, "extra/" PTF_PROGRAM_ASSUMES, w->draft->assumes);
    for (size_t i = 0; i < PTF_ARRAY_SIZE(last) && status == PTF_OK; i++)
        status = put_text(w, last[i].name, last[i].text);
    char id[48];
    snprintf(id, sizeof(id), "%020llu%020llu", (unsigned long long)w->names,
             (unsigned long long)w->contents);
    return status == PTF_OK ? put_text(w, ".data/serialization_id", id)
                            : status;
}

/* -------------------------------------------------------------------- files */

/* The save's 'more'. */
typedef struct content {
    const ptf_draft *draft;
    group *groups;
    ptf_arena *arena;
    ptf_draft_check *check;
    const void *context;
} content;

static ptf_status write_draft(const ptf_save *save, ptf_output *out,
                              ptf_error *err)
{
    const content *c = save->more;
    char *root = ptf_save_root(save->path);
    if (root == NULL)
        return ptf_fail_memory(err);
    static const uint64_t start = 0xcbf29ce484222325;
    writing w = {.draft = c->draft,
                 .groups = c->groups,
                 .arena = c->arena,
                 .names = start,
                 .contents = start,
                 .err = err};
    ptf_zip_write_init(&w.zip, out, root);
    ptf_output_expect(out, ptf_save_size(save));
    ptf_status status = put_all(&w, save);
    if (status == PTF_OK)
        status = ptf_zip_write_finish(&w.zip, err);
    if (status == PTF_OK && c->draft->program != NULL)
        status = ptf_program_unchanged(c->draft->program, err);
    char room[PTF_OUTPUT_NAME];
    if (status == PTF_OK && c->check != NULL)
        status = c->check(c->context, ptf_output_name(out, room), err);
    ptf_zip_write_free(&w.zip);
    ptf_free(root);
    return status;
}

/* All tensors, whose checksums and names are looked at together. */
static ptf_status join_groups(ptf_arena *arena, const group groups[GROUPS],
                              ptf_save *save, ptf_error *err)
{
    save->count = groups[WEIGHTS].count + groups[CONSTANTS].count;
    const ptf_tensor **all =
        ptf_arena_array(arena, save->count, sizeof(const ptf_tensor *));
    if (all == NULL)
        return ptf_fail_memory(err);
    save->tensors = all;
    for (int i = 0; i < GROUPS; i++) {
        for (size_t k = 0; k < groups[i].count; k++)
            *all++ = groups[i].tensors[k];
    }
    return PTF_OK;
}

ptf_status ptf_draft_save(const ptf_draft *draft, const char *path,
                          const ptf_checkpoint *source, ptf_draft_check *check,
                          const void *context, ptf_error *err)
{
    const ptf_file *input =
        draft->program != NULL ? &draft->program->file : NULL;
    ptf_arena arena = {NULL};
    group groups[GROUPS];
    const content all = {draft, groups, &arena, check, context};
    ptf_save save = {
        .path = path, .share = true, .keep_strides = true, .more = &all};
    ptf_status status = list_groups(draft, &arena, groups, err);
    if (status == PTF_OK)
        status = join_groups(&arena, groups, &save, err);
    if (status == PTF_OK)
        status = ptf_save_file(&save, write_draft, input, source, err);
    ptf_arena_free(&arena);
    return status;
}

ptf_status ptf_program_save(const ptf_program *program, const char *path,
                            ptf_error *err)
{
    ptf_draft draft;
    ptf_status status = ptf_draft_read(program, &draft, err);
    if (status == PTF_OK)
        status = ptf_draft_save(&draft, path, NULL, NULL, NULL, err);
    ptf_draft_free(&draft);
    return status;
}
