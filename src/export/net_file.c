/*
 * A net goes to a file: its tensors, and in formats that have room for texts
 * also its text and where it came from.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "export/compose.h"
#include "export/export.h"
#include "net/graph.h"
#include "save/save.h"

/* Formats that are a network, and no state dict for a class. */
static bool is_network(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot != NULL &&
           (strcmp(dot, ".bin") == 0 || strcmp(dot, ".safetensors") == 0);
}

static bool is_program(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot != NULL && strcmp(dot, ".pt2") == 0;
}

/* A FILE that writes into memory of ours. */
typedef struct sink {
    char *text;
    size_t size, capacity; /* a zero after the text is not counted */
} sink;

static ssize_t sink_write(void *cookie, const char *bytes, size_t size)
{
    sink *s = cookie;
    size_t needed;
    if (!ptf_add_size(s->size, size, &needed) ||
        !ptf_add_size(needed, 1, &needed))
        return 0;
    if (needed > s->capacity) {
        size_t capacity = needed > 4096 ? 2 * needed : 4096;
        char *text = ptf_realloc(s->text, capacity);
        if (text == NULL)
            return 0; /* the stream's error flag says it */
        s->text = text;
        s->capacity = capacity;
    }
    memcpy(s->text + s->size, bytes, size);
    s->size += size;
    s->text[s->size] = '\0';
    return (ssize_t)size;
}

/* A graph, where the text of print(model) would not say all of the net. */
static ptf_status print_net(const ptf_net *net, FILE *out, ptf_error *err)
{
    if (!ptf_net_is_chain(net))
        return ptf_net_print_graph(net, out, err);
    ptf_net_print_text(net, out);
    return PTF_OK;
}

/* The net's text, to be released with ptf_free(). */
static ptf_status print_to_memory(const ptf_net *net, char **out,
                                  ptf_error *err)
{
    sink s = {NULL, 0, 0};
    cookie_io_functions_t functions = {.write = sink_write};
    FILE *file = fopencookie(&s, "w", functions);
    ptf_status status =
        file != NULL ? print_net(net, file, err) : ptf_fail_memory(err);
    bool ok = file != NULL && ferror(file) == 0;
    if (file != NULL)
        ok = fclose(file) == 0 && ok;
    *out = s.text;
    return ok || status != PTF_OK ? status : ptf_fail_memory(err);
}

/* A graph whose text does not give it back would be another network. */
static ptf_status check_graph(const ptf_net *net, const char *text,
                              ptf_error *err)
{
    ptf_net *again;
    ptf_error cause = {PTF_OK, ""};
    char *same = NULL;
    ptf_status status =
        ptf_graph_parse(text, ptf_net_name(net), &again, &cause);
    if (status == PTF_OK)
        status = print_to_memory(again, &same, &cause);
    bool equal = status == PTF_OK && strcmp(text, same) == 0;
    ptf_free(same);
    ptf_net_free(again);
    if (equal || status == PTF_MEMORY)
        return equal ? PTF_OK : ptf_fail_memory(err);
    return ptf_net_fail(
        err, PTF_UNSUPPORTED, net, "the graph cannot be written as text: %s",
        status == PTF_OK ? "it reads back as another" : cause.message);
}

static ptf_status print_checked(const ptf_net *net, char **out, ptf_error *err)
{
    ptf_status status = print_to_memory(net, out, err);
    return status == PTF_OK && !ptf_net_is_chain(net)
               ? check_graph(net, *out, err)
               : status;
}

/* The rewrites done to the source and to the net, in order. */
static ptf_status list_rewrites(ptf_arena *arena, const ptf_net *net,
                                const ptf_checkpoint *source, const char **out,
                                ptf_error *err)
{
    const char *list =
        source != NULL ? ptf_checkpoint_metadata(source, "rewrites") : NULL;
    if (list == NULL)
        list = "";
    for (int i = 0; list != NULL && i < net->rewrite_count; i++)
        list = ptf_arena_printf(arena, "%s%s%s", list,
                                list[0] != '\0' ? "," : "", net->rewrites[i]);
    *out = list;
    return list != NULL ? PTF_OK : ptf_fail_memory(err);
}

/* 'own' and then the notes, whose keys must be others. */
static ptf_status add_notes(ptf_arena *arena, const ptf_metadata *own,
                            size_t own_count, const ptf_metadata *notes,
                            ptf_metadata **out, size_t *count, ptf_error *err)
{
    size_t more = 0;
    while (notes != NULL && notes[more].key != NULL)
        more++;
    *count = own_count + more;
    *out = ptf_arena_array(arena, *count, sizeof(**out));
    if (*out == NULL)
        return ptf_fail_memory(err);
    memcpy(*out, own, own_count * sizeof(*own));
    for (size_t i = 0; i < more; i++) {
        for (size_t k = 0; k < own_count + i; k++) {
            if (strcmp((*out)[k].key, notes[i].key) == 0)
                return ptf_fail(err, PTF_ARGUMENT, NULL, PTF_NO_OFFSET,
                                "expected a note with a key of its own, got "
                                "a second \"%s\"",
                                notes[i].key);
        }
        (*out)[own_count + i] = notes[i];
    }
    return PTF_OK;
}

static ptf_status save(ptf_arena *arena, const ptf_net *net, const char *path,
                       const char *text, const ptf_checkpoint *source,
                       const ptf_metadata *notes, ptf_error *err)
{
    const char *rewrites = NULL;
    ptf_metadata *all;
    ptf_status status = list_rewrites(arena, net, source, &rewrites, err);
    if (status != PTF_OK)
        return status;
    const char *assumes = net->assumption != NULL ? net->assumption : "";
    const ptf_metadata metadata[] = {
        {ptf_net_is_chain(net) ? "architecture" : "graph", text},
        {PTF_ASSUMES, assumes},
        {"ptfold", ptf_version()},
        {"rewrites", rewrites},
        {"source_sha256", ptf_source_sha256}, /* the last: may be left out */
    };
    if (!is_network(path)) /* a state dict carries what it rests on alone */
        return ptf_tensors_save(net->tensors, net->tensor_count, &metadata[1],
                                assumes[0] != '\0', path, source, err);
    size_t count = PTF_ARRAY_SIZE(metadata) - (source == NULL);
    status = add_notes(arena, metadata, count, notes, &all, &count, err);
    if (status != PTF_OK)
        return status;
    return ptf_tensors_save(net->tensors, net->tensor_count, all, count, path,
                            source, err);
}

static ptf_status check_written(const void *net, const char *path,
                                ptf_error *err)
{
    return ptf_net_check_written(net, path, err);
}

/* As a change of the program that the net was made from. */
static ptf_status save_rewritten(const ptf_net *net, const char *path,
                                 ptf_error *err)
{
    ptf_draft draft;
    ptf_status status = ptf_draft_read(net->program, &draft, err);
    if (status == PTF_OK)
        status = ptf_draft_rewrite(&draft, net, err);
    if (status == PTF_OK)
        status = ptf_draft_save(&draft, path, NULL, check_written, net, err);
    ptf_draft_free(&draft);
    return status;
}

static ptf_status save_composed(const ptf_net *net, const char *path,
                                const ptf_checkpoint *source, ptf_error *err)
{
    ptf_draft draft;
    ptf_status status = ptf_draft_compose(net, &draft, err);
    if (status == PTF_OK)
        status = ptf_draft_save(&draft, path, source, check_written, net, err);
    ptf_draft_free(&draft);
    return status;
}

/* Calls that cannot be changed alone are all written anew. */
static ptf_status save_program(const ptf_net *net, const char *path,
                               const ptf_checkpoint *source, ptf_error *err)
{
    ptf_status status =
        net->program != NULL ? save_rewritten(net, path, err) : PTF_UNSUPPORTED;
    return status == PTF_UNSUPPORTED ? save_composed(net, path, source, err)
                                     : status;
}

ptf_status ptf_net_save(const ptf_net *net, const char *path,
                        const ptf_checkpoint *source, const ptf_metadata *notes,
                        ptf_error *err)
{
    if (!net->has_tensors)
        return ptf_net_fail(err, PTF_ARGUMENT, net, "%s has no numbers to save",
                            ptf_net_name(net));
    if (is_program(path))
        return save_program(net, path, source, err);
    ptf_arena arena = {NULL};
    char *text = NULL;
    ptf_status status =
        is_network(path) ? print_checked(net, &text, err) : PTF_OK;
    if (status == PTF_OK)
        status = save(&arena, net, path, text, source, notes, err);
    ptf_free(text);
    ptf_arena_free(&arena);
    return status;
}
