/*
 * A program from opening to closing: facts of the whole, graph, signature.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "program/reader.h"

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

/* Takes over 'p', whose file is open. */
static ptf_status read_file(ptf_program *p, const ptf_program_options *options,
                            ptf_program **out, ptf_error *err)
{
    ptf_program_options all;
    ptf_options_read(options, &all, sizeof(all));
    ptf_status status = ptf_archive_open(&p->file, &p->archive, err);
    if (status == PTF_OK)
        status = ptf_program_find_model(p, all.model, err);
    if (status == PTF_OK)
        status = read_graph_entry(p, err);
    if (status != PTF_OK) {
        ptf_status changed = ptf_program_unchanged(p, err);
        ptf_program_close(p);
        return changed != PTF_OK ? changed : status; /* it is not damaged */
    }
    *out = p;
    return PTF_OK;
}

static void destroy(void *object)
{
    ptf_program *program = object;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(program->parts); i++)
        ptf_checkpoint_close(program->parts[i]);
    ptf_archive_close(&program->archive);
    ptf_file_close(&program->file);
    ptf_arena_free(&program->arena);
    ptf_free(program);
}

static ptf_program *make_program(const char *name, const char **copy)
{
    ptf_program *p = ptf_alloc(sizeof(*p));
    if (p == NULL)
        return NULL;
    p->users = ptf_users_init(&p->counted, p, destroy);
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
    if (program != NULL)
        ptf_users_drop(program->users);
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

void ptf_program_sha256(const ptf_program *program, char hex[65])
{
    ptf_file_sha256(&program->file, hex);
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
