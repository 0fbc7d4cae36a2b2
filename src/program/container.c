/*
 * The archive: which of the three layouts it has, which models are in it, and
 * which entries hold a model's graph and data.
 *
 *            2.1 to 2.7                        since 2.8
 *   graph    serialized_exported_program.json  models/NAME.json
 *   weights  serialized_state_dict.pt          data/weights/...
 *   others   serialized_constants.pt           data/constants/...
 *   samples  serialized_example_inputs.pt      data/sample_inputs/NAME.pt
 *   extra    extra_files/...                   extra/...
 *
 * In 2.8 weights and constants are NAME.pt, written by torch.save(); later
 * they are raw entries, and JSON that says what they are.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "program/reader.h"

static const char models[] = "models/", json[] = ".json";

static ptf_status fail(const ptf_program *p, ptf_status status, ptf_error *err,
                       const char *text)
{
    ptf_origin origin = {p->file.name, NULL};
    return ptf_fail(err, status, &origin, PTF_NO_OFFSET, "%s", text);
}

ptf_status ptf_program_load(ptf_program *program, ptf_entry *entry,
                            ptf_error *err)
{
    ptf_status status = ptf_archive_load(&program->archive, entry, err);
    return status == PTF_OK ? ptf_archive_check(&program->archive, entry, err)
                            : status;
}

/* As many values as a graph of 100,000 calls has. */
enum { MAX_VALUES = 6 << 20 };

ptf_status ptf_program_load_json(ptf_program *program, ptf_entry *entry,
                                 json_t **out, ptf_error *err)
{
    ptf_origin origin = {program->file.name, entry->name};
    *out = NULL;
    ptf_status status = ptf_program_load(program, entry, err);
    return status == PTF_OK
               ? ptf_program_parse(&origin, entry, MAX_VALUES, out, err)
               : status;
}

/* ------------------------------------------------------------------- models */

/* The name of the model whose graph an entry is; NULL for other entries. */
static char *model_name(ptf_arena *arena, const char *entry, bool *failed)
{
    size_t size = strlen(entry), head = strlen(models), tail = strlen(json);
    if (size <= head + tail || strncmp(entry, models, head) != 0 ||
        strcmp(entry + size - tail, json) != 0)
        return NULL;
    char *name = ptf_arena_copy(arena, entry + head, size - head - tail);
    *failed = *failed || name == NULL;
    return name;
}

static ptf_status list_models(ptf_program *p, ptf_error *err)
{
    bool failed = false;
    const char **list =
        ptf_arena_array(&p->arena, p->archive.count, sizeof(*list));
    if (list == NULL)
        return ptf_fail_memory(err);
    p->models = list;
    for (size_t i = 0; i < p->archive.count; i++) {
        const char *name =
            model_name(&p->arena, p->archive.entries[i].name, &failed);
        if (name != NULL)
            list[p->model_count++] = name;
    }
    return failed ? ptf_fail_memory(err) : PTF_OK;
}

static bool has_folder(const ptf_program *p, const char *folder)
{
    for (size_t i = 0; i < p->archive.count; i++) {
        if (strncmp(p->archive.entries[i].name, folder, strlen(folder)) == 0)
            return true;
    }
    return false;
}

static ptf_status refuse_without_model(const ptf_program *p, ptf_error *err)
{
    if (has_folder(p, "data/aotinductor/"))
        return fail(p, PTF_UNSUPPORTED, err,
                    "expected a program of torch.export, got one that "
                    "AOTInductor compiled to machine code; write the program "
                    "itself with torch.export.save()");
    if (has_folder(p, "data/executorch/"))
        return fail(p, PTF_UNSUPPORTED, err,
                    "expected a program of torch.export, got one for "
                    "ExecuTorch; write the program that it was made from with "
                    "torch.export.save()");
    return fail(p, PTF_FORMAT, err,
                "expected a program in the folder models, got none");
}

/* "'a', 'b'" of the models, as far as they fit. */
static void list_names(const ptf_program *p, char *out, size_t size)
{
    size_t at = 0;
    out[0] = '\0';
    for (size_t i = 0; i < p->model_count && at + 1 < size; i++) {
        int n = snprintf(out + at, size - at, "%s'%s'", i > 0 ? ", " : "",
                         p->models[i]);
        at += n > 0 ? (size_t)n : 0;
    }
}

/* The one that is wanted; NULL: the only one. */
static ptf_status choose_model(ptf_program *p, const char *wanted,
                               ptf_error *err)
{
    char list[120];
    ptf_origin origin = {p->file.name, NULL};
    list_names(p, list, sizeof(list));
    for (size_t i = 0; i < p->model_count; i++) {
        if (wanted != NULL ? strcmp(wanted, p->models[i]) == 0
                           : p->model_count == 1)
            p->model = p->models[i];
    }
    if (p->model != NULL)
        return PTF_OK;
    if (wanted != NULL)
        return ptf_fail(err, PTF_ARGUMENT, &origin, PTF_NO_OFFSET,
                        "expected a model of the archive, which has %s, got "
                        "'%s'",
                        list, wanted);
    return ptf_fail(err, PTF_ARGUMENT, &origin, PTF_NO_OFFSET,
                    "expected one model, got %zu: %s; choose one with --model",
                    p->model_count, list);
}

/* ------------------------------------------------------------------ entries */

static ptf_status check_archive(ptf_program *p, ptf_error *err)
{
    if (p->archive.kind != PTF_ARCHIVE_EXPORT)
        return fail(p, PTF_UNSUPPORTED, err,
                    "expected a torch.export archive (.pt2)");
    ptf_entry *format = ptf_archive_find(&p->archive, PTF_PROGRAM_ENTRY);
    ptf_entry *order = ptf_archive_find(&p->archive, "byteorder");
    ptf_status status =
        format != NULL ? ptf_program_load(p, format, err) : PTF_OK;
    if (status == PTF_OK && order != NULL)
        status = ptf_program_load(p, order, err);
    if (status != PTF_OK)
        return status;
    if (format != NULL &&
        (format->size != 3 || memcmp(format->data, "pt2", 3) != 0))
        return fail(p, PTF_UNSUPPORTED, err,
                    "archive_format: expected 'pt2', got something else");
    if (order != NULL &&
        (order->size != 6 || memcmp(order->data, "little", 6) != 0))
        return fail(p, PTF_UNSUPPORTED, err,
                    "byteorder: expected 'little', got something else; export "
                    "the model on a little-endian machine");
    return PTF_OK;
}

static ptf_status list_extras(ptf_program *p, ptf_error *err)
{
    const char *folder =
        p->layout == PTF_PROGRAM_LAYOUT_A ? "extra_files/" : "extra/";
    p->extras =
        ptf_arena_array(&p->arena, p->archive.count, sizeof(*p->extras));
    if (p->extras == NULL)
        return ptf_fail_memory(err);
    ptf_status status = PTF_OK;
    for (size_t i = 0; i < p->archive.count && status == PTF_OK; i++) {
        ptf_entry *e = &p->archive.entries[i];
        if (strncmp(e->name, folder, strlen(folder)) != 0)
            continue;
        p->extras[p->extra_count++] = e;
        status = ptf_archive_load(&p->archive, e, err);
    }
    return status;
}

/* The entry 'HEAD MODEL TAIL', or NULL. */
static ptf_entry *find_entry(ptf_program *p, const char *head, const char *tail)
{
    char *name = ptf_arena_printf(&p->arena, "%s%s%s", head, p->model, tail);
    return name != NULL ? ptf_archive_find(&p->archive, name) : NULL;
}

/* ---------------------------------------------------------- zips in the zip */

/* Opens an entry that torch.save() wrote, with all that is in it. */
static ptf_status open_torch(ptf_program *p, ptf_entry *entry, int part,
                             ptf_error *err)
{
    static const ptf_open_options all = {.key = "", .keep_prefix = true};
    ptf_status status = ptf_program_load(p, entry, err);
    if (status != PTF_OK)
        return status;
    char *name =
        ptf_arena_printf(&p->arena, "%s: %s", p->file.name, entry->name);
    if (name == NULL)
        return ptf_fail_memory(err);
    return ptf_checkpoint_open_memory(entry->data, entry->size, name, &all,
                                      &p->parts[part], err);
}

static ptf_status open_payload(ptf_program_reader *r, int part,
                               ptf_entry *torch, ptf_entry *config,
                               ptf_payload *out)
{
    ptf_program *p = r->program;
    ptf_entry *entry = torch != NULL ? torch : config;
    if (entry == NULL)
        return fail(p, PTF_FORMAT, r->source.err,
                    part == 0 ? "expected the weights, got no such entry"
                              : "expected the constants, got no such entry");
    out->entry = entry->name;
    if (torch == NULL)
        return ptf_program_load_json(p, config, &out->config, r->source.err);
    ptf_status status = open_torch(p, torch, part, r->source.err);
    out->torch = p->parts[part];
    return status;
}

/* What is sound but not plain arguments has no samples that can be used. */
static ptf_status open_samples(ptf_program_reader *r, ptf_entry *entry)
{
    ptf_program *p = r->program;
    p->samples = entry;
    if (entry == NULL || entry->size == 0)
        return PTF_OK;
    ptf_status status = open_torch(p, entry, 2, r->source.err);
    r->samples = p->parts[2];
    return status == PTF_UNSUPPORTED ? PTF_OK : status;
}

ptf_status ptf_payloads_open(ptf_program_reader *r)
{
    ptf_program *p = r->program;
    bool old = p->layout == PTF_PROGRAM_LAYOUT_A;
    const ptf_archive *a = &p->archive;
    r->weights.folder = "data/weights/";
    r->constants.folder = "data/constants/";
    ptf_status status = open_payload(
        r, 0,
        old ? ptf_archive_find(a, "serialized_state_dict.pt")
            : find_entry(p, r->weights.folder, ".pt"),
        old ? NULL : find_entry(p, r->weights.folder, "_weights_config.json"),
        &r->weights);
    if (status == PTF_OK)
        status = open_payload(
            r, 1,
            old ? ptf_archive_find(a, "serialized_constants.pt")
                : find_entry(p, r->constants.folder, ".pt"),
            old ? NULL
                : find_entry(p, r->constants.folder, "_constants_config.json"),
            &r->constants);
    if (status == PTF_OK)
        status = open_samples(
            r, old ? ptf_archive_find(a, "serialized_example_inputs.pt")
                   : find_entry(p, "data/sample_inputs/", ".pt"));
    if (!old && r->weights.torch != NULL)
        p->layout = PTF_PROGRAM_LAYOUT_B;
    return status;
}

void ptf_payloads_close(ptf_program_reader *r)
{
    json_decref(r->weights.config);
    json_decref(r->constants.config);
    ptf_text_table_free(&r->by_symbol);
    ptf_text_table_free(&r->storages);
}

/* ---------------------------------------------------------------- all of it */

/* Finds the model that is meant, its graph's entry and the extra files. */
ptf_status ptf_program_find_model(ptf_program *p, const char *wanted,
                                  ptf_error *err)
{
    static const char *const only[] = {"model"};
    ptf_status status = check_archive(p, err);
    if (status != PTF_OK)
        return status;
    p->json = ptf_archive_find(&p->archive, PTF_OLD_PROGRAM_ENTRY);
    bool old = p->json != NULL;
    p->layout = old ? PTF_PROGRAM_LAYOUT_A : PTF_PROGRAM_LAYOUT_C;
    p->models = only; /* of the oldest layout, which names none */
    p->model_count = old ? 1 : 0;
    if (!old)
        status = list_models(p, err);
    if (status == PTF_OK && p->model_count == 0)
        return refuse_without_model(p, err);
    if (status == PTF_OK)
        status = choose_model(p, wanted, err);
    if (status == PTF_OK && !old)
        p->json = find_entry(p, models, json);
    if (status == PTF_OK && p->json == NULL)
        return ptf_fail_memory(err);
    return status == PTF_OK ? list_extras(p, err) : status;
}
