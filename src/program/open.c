/*
 * A program from opening to closing: which archive, which model in it, the
 * graph's JSON, and where the data lies.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "program/reader.h"

/* --------------------------------------------------- the way it is laid out */

/* Names of entries, in which %s is the model's. */
typedef struct names {
    const char *graph, *weights, *constants, *samples, *extras;
} names;

static const names old_names = {
    PTF_OLD_PROGRAM_ENTRY, "serialized_state_dict.pt",
    "serialized_constants.pt", "serialized_example_inputs.pt", "extra_files/"};

static const char models[] = "models/", json[] = ".json";
static const char weights_folder[] = "data/weights/";
static const char constants_folder[] = "data/constants/";

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
    return status == PTF_OK ? ptf_json_parse(&origin, entry->data, entry->size,
                                             MAX_VALUES, out, err)
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

static ptf_status choose_model(ptf_program *p,
                               const ptf_program_options *options,
                               ptf_error *err)
{
    const char *wanted = options != NULL ? options->model : NULL;
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
    for (size_t i = 0; i < p->archive.count; i++) {
        const ptf_entry *e = &p->archive.entries[i];
        if (strncmp(e->name, folder, strlen(folder)) == 0)
            p->extras[p->extra_count++] = e;
    }
    return PTF_OK;
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
    r->weights.folder = weights_folder;
    r->constants.folder = constants_folder;
    ptf_status status = open_payload(
        r, 0,
        old ? ptf_archive_find(a, old_names.weights)
            : find_entry(p, weights_folder, ".pt"),
        old ? NULL : find_entry(p, weights_folder, "_weights_config.json"),
        &r->weights);
    if (status == PTF_OK)
        status = open_payload(
            r, 1,
            old ? ptf_archive_find(a, old_names.constants)
                : find_entry(p, constants_folder, ".pt"),
            old ? NULL
                : find_entry(p, constants_folder, "_constants_config.json"),
            &r->constants);
    if (status == PTF_OK)
        status =
            open_samples(r, old ? ptf_archive_find(a, old_names.samples)
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

/* ------------------------------------------------------------------ reading */

static ptf_status read_version(ptf_program_reader *r, const ptf_tree *root)
{
    ptf_tree version;
    int64_t major = 0, minor = 0;
    ptf_status status = ptf_tree_member(&r->source, root, "schema_version",
                                        JSON_OBJECT, &version);
    if (status == PTF_OK)
        status = ptf_tree_integer_member(&r->source, &version, "major", &major);
    if (status == PTF_OK)
        status = ptf_tree_integer_member(&r->source, &version, "minor", &minor);
    if (status != PTF_OK)
        return status;
    if (major < 7 || major > 8 || minor < 0 || minor > INT32_MAX)
        return ptf_tree_fail(&r->source, &version, PTF_UNSUPPORTED,
                             "expected a schema of version 7 or 8, got "
                             "%lld.%lld; export the model with PyTorch 2.5 or "
                             "later",
                             (long long)major, (long long)minor);
    r->program->schema_major = (int)major;
    r->program->schema_minor = (int)minor;
    return PTF_OK;
}

/* Texts that are said of the whole; all but the version may be missing. */
static ptf_status read_facts(ptf_program_reader *r, const ptf_tree *root)
{
    ptf_program *p = r->program;
    ptf_tree torch, verifiers, guards;
    p->torch_version = p->dialect = "";
    ptf_status status = read_version(r, root);
    if (status == PTF_OK)
        status = ptf_tree_optional(&r->source, root, "torch_version",
                                   JSON_STRING, &torch);
    if (status == PTF_OK && torch.value != NULL)
        status = ptf_tree_text(&r->source, &torch, &p->torch_version);
    if (status == PTF_OK)
        status = ptf_tree_optional(&r->source, root, "verifiers", JSON_ARRAY,
                                   &verifiers);
    if (status == PTF_OK && ptf_tree_count(&verifiers) > 0) {
        ptf_tree first = ptf_tree_element(&verifiers, 0);
        status = ptf_tree_text(&r->source, &first, &p->dialect);
    }
    if (status == PTF_OK)
        status = ptf_tree_optional(&r->source, root, "guards_code", JSON_ARRAY,
                                   &guards);
    if (status != PTF_OK)
        return status;
    size_t count = ptf_tree_count(&guards);
    const char **texts = ptf_arena_array(&p->arena, count, sizeof(*texts));
    if (texts == NULL)
        return ptf_fail_memory(r->source.err);
    for (size_t i = 0; status == PTF_OK && i < count; i++) {
        ptf_tree guard = ptf_tree_element(&guards, i);
        status = ptf_tree_text(&r->source, &guard, &texts[i]);
    }
    p->guards = texts;
    p->guard_count = (int)count;
    return status;
}

static ptf_status read_program(ptf_program_reader *r, const ptf_tree *root)
{
    ptf_tree module, graph;
    ptf_status status = read_facts(r, root);
    if (status == PTF_OK)
        status = ptf_program_read_ranges(r, root);
    if (status == PTF_OK)
        status = ptf_tree_member(&r->source, root, "graph_module", JSON_OBJECT,
                                 &module);
    if (status == PTF_OK)
        status =
            ptf_tree_member(&r->source, &module, "graph", JSON_OBJECT, &graph);
    if (status == PTF_OK)
        status = ptf_program_read_graph(r, &graph, "", &r->program->graph);
    if (status == PTF_OK)
        status = ptf_payloads_open(r);
    return status == PTF_OK ? ptf_program_read_signature(r, &module) : status;
}

static ptf_status read_graph_entry(ptf_program *p, ptf_error *err)
{
    ptf_program_reader r = {
        .program = p,
        .source = {{p->file.name, p->json->name}, &p->arena, err}};
    json_t *root;
    ptf_status status = ptf_program_load_json(p, p->json, &root, err);
    if (status != PTF_OK)
        return status;
    ptf_tree tree = {root, NULL, NULL, 0};
    status = read_program(&r, &tree);
    ptf_payloads_close(&r);
    json_decref(root);
    return status;
}

/* ------------------------------------------------------------------ opening */

static ptf_status read_archive(ptf_program *p,
                               const ptf_program_options *options,
                               ptf_error *err)
{
    ptf_status status = check_archive(p, err);
    if (status != PTF_OK)
        return status;
    p->json = ptf_archive_find(&p->archive, PTF_OLD_PROGRAM_ENTRY);
    p->layout = p->json != NULL ? PTF_PROGRAM_LAYOUT_A : PTF_PROGRAM_LAYOUT_C;
    if (p->json != NULL) {
        static const char *const only[] = {"model"};
        p->models = only;
        p->model_count = 1;
    } else {
        status = list_models(p, err);
    }
    if (status == PTF_OK && p->model_count == 0)
        return refuse_without_model(p, err);
    if (status == PTF_OK)
        status = choose_model(p, options, err);
    if (status == PTF_OK && p->json == NULL)
        p->json = find_entry(p, models, json);
    if (status == PTF_OK && p->json == NULL)
        return ptf_fail_memory(err);
    if (status == PTF_OK)
        status = list_extras(p, err);
    return status == PTF_OK ? read_graph_entry(p, err) : status;
}

/* Takes over 'p', whose file is open. */
static ptf_status read_file(ptf_program *p, const ptf_program_options *options,
                            ptf_program **out, ptf_error *err)
{
    ptf_status status = ptf_archive_open(&p->file, &p->archive, err);
    if (status == PTF_OK)
        status = read_archive(p, options, err);
    if (status != PTF_OK) {
        ptf_status changed = ptf_program_unchanged(p, err);
        ptf_program_close(p);
        return changed != PTF_OK ? changed : status; /* it is not damaged */
    }
    *out = p;
    return PTF_OK;
}

static ptf_program *make_program(const char *name, const char **copy)
{
    ptf_program *p = ptf_alloc(sizeof(*p));
    if (p == NULL)
        return NULL;
    p->file.fd = -1;
    *copy = ptf_arena_copy(&p->arena, name, strlen(name));
    if (*copy == NULL) {
        ptf_program_close(p);
        return NULL;
    }
    return p;
}

ptf_status ptf_program_open(const char *path,
                            const ptf_program_options *options,
                            ptf_program **out, ptf_error *err)
{
    const char *name;
    *out = NULL;
    ptf_program *p = make_program(path, &name);
    if (p == NULL)
        return ptf_fail_memory(err);
    ptf_status status = ptf_file_open(name, &p->file, err);
    if (status != PTF_OK) {
        p->file.fd = -1;
        ptf_program_close(p);
        return status;
    }
    return read_file(p, options, out, err);
}

ptf_status ptf_program_open_memory(const void *data, size_t size,
                                   const char *name,
                                   const ptf_program_options *options,
                                   ptf_program **out, ptf_error *err)
{
    *out = NULL;
    ptf_program *p = make_program(name, &name);
    if (p == NULL)
        return ptf_fail_memory(err);
    p->file = (ptf_file){name, data, size, -1, NULL};
    return read_file(p, options, out, err);
}

void ptf_program_close(ptf_program *program)
{
    if (program == NULL)
        return;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(program->parts); i++)
        ptf_checkpoint_close(program->parts[i]);
    ptf_archive_close(&program->archive);
    ptf_file_close(&program->file);
    ptf_arena_free(&program->arena);
    ptf_free(program);
}

bool ptf_program_is(const char *path)
{
    ptf_file file;
    ptf_archive archive;
    if (ptf_file_open(path, &file, NULL) != PTF_OK)
        return false;
    bool is = false;
    if (ptf_archive_open(&file, &archive, NULL) == PTF_OK) {
        is = archive.kind == PTF_ARCHIVE_EXPORT;
        ptf_archive_close(&archive);
    }
    ptf_file_close(&file);
    return is;
}

/* --------------------------------------------------------------- afterwards */

ptf_status ptf_program_verify(const ptf_program *program, ptf_error *err)
{
    return ptf_archive_verify(&program->archive, err);
}

ptf_status ptf_program_unchanged(const ptf_program *program, ptf_error *err)
{
    return ptf_file_check(&program->file, err);
}

const ptf_argument *ptf_program_argument(const ptf_program_node *node,
                                         const char *name)
{
    for (int i = 0; i < node->argument_count; i++) {
        if (strcmp(node->arguments[i].name, name) == 0)
            return &node->arguments[i];
    }
    return NULL;
}

ptf_status ptf_program_fail(const ptf_program *program,
                            const ptf_program_node *node, ptf_error *err,
                            ptf_status status, const char *fmt, ...)
{
    char text[PTF_MESSAGE_SIZE];
    ptf_origin origin = {program->file.name, NULL};
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    bool inside = node != NULL && node->module[0] != '\0';
    return node == NULL
               ? ptf_fail(err, status, &origin, PTF_NO_OFFSET, "%s", text)
               : ptf_fail(err, status, &origin, PTF_NO_OFFSET,
                          "node '%s' (%s%s%s): %s", node->name, node->target,
                          inside ? " in " : "", node->module, text);
}
