/*
 * NumPy's .npz: a zip of .npy files.  One of its arrays has the inputs, and
 * perhaps one the labels.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "archive/archive.h"
#include "image/image.h"

typedef struct members {
    const ptf_file *file;
    const ptf_image_options *options;
    ptf_tensor *arrays;
    size_t count;
    ptf_error *err;
} members;

/* "x" for the entry "x.npy", as numpy.load() calls it. */
static const char *stem(const char *name, ptf_arena *arena)
{
    size_t size = strlen(name);
    bool npy = size > 4 && strcmp(name + size - 4, ".npy") == 0;
    return ptf_arena_copy(arena, name, npy ? size - 4 : size);
}

static ptf_status read_members(members *m, ptf_archive *zip, ptf_arena *arena)
{
    ptf_origin whole = {m->file->name, NULL};
    if (zip->count == 0 || strstr(zip->entries[0].name, ".npy") == NULL)
        return ptf_fail(m->err, PTF_UNSUPPORTED, &whole, 0,
                        "expected NumPy arrays in the zip, got others");
    m->arrays = ptf_arena_array(arena, zip->count, sizeof(*m->arrays));
    if (m->arrays == NULL)
        return ptf_fail_memory(m->err);
    for (size_t i = 0; i < zip->count; i++) {
        ptf_entry *entry = &zip->entries[i];
        ptf_origin origin = {m->file->name, entry->name};
        ptf_status status = ptf_archive_load(zip, entry, m->err);
        if (status == PTF_OK && !entry->deflated)
            status = ptf_archive_check(zip, entry, m->err);
        if (status == PTF_OK)
            status = ptf_npy_parse(entry->data, entry->size, &origin, arena,
                                   &m->arrays[i], m->err);
        if (status != PTF_OK)
            return status;
        m->arrays[i].name = stem(entry->name, arena);
        if (m->arrays[i].name == NULL)
            return ptf_fail_memory(m->err);
        m->count++;
    }
    return PTF_OK;
}

static ptf_status fail(const members *m, const char *what)
{
    ptf_buffer names = {0};
    for (size_t i = 0; i < m->count; i++) {
        char shape[192];
        ptf_tensor_shape_text(&m->arrays[i], shape);
        ptf_buffer_printf(&names, "%s'%s' %s", i > 0 ? ", " : "",
                          m->arrays[i].name, shape);
    }
    ptf_origin origin = {m->file->name, NULL};
    ptf_status status =
        names.failed
            ? ptf_fail_memory(m->err)
            : ptf_fail(m->err, PTF_ARGUMENT, &origin, PTF_NO_OFFSET,
                       "expected %s, got %.*s; choose with --array", what,
                       (int)names.size, (const char *)names.data);
    ptf_buffer_free(&names);
    return status;
}

/* The array that is meant, or the only one that could be inputs. */
static ptf_status find_images(const members *m, const ptf_tensor **out)
{
    const char *wanted = m->options->array;
    int rank = m->options->rank;
    size_t found = 0;
    for (size_t i = 0; i < m->count; i++) {
        const ptf_tensor *t = &m->arrays[i];
        bool fits = wanted != NULL ? strcmp(t->name, wanted) == 0
                                   : t->rank == rank || t->rank == rank + 1;
        if (wanted == NULL && rank == 1 && t->rank == 1 && m->count > 1)
            fits = false; /* labels rather than one input */
        if (fits) {
            *out = t;
            found++;
        }
    }
    if (found == 1)
        return PTF_OK;
    return fail(m, wanted != NULL ? "an array of that name"
                                  : "one array that has inputs");
}

static bool is_integer(ptf_dtype dtype)
{
    return dtype >= PTF_DTYPE_I8 && dtype <= PTF_DTYPE_U64;
}

/* What labels are called. */
static bool has_label_name(const char *name)
{
    static const char *const names[] = {"label", "labels", "target", "targets",
                                        "y"};
    for (size_t i = 0; i < PTF_ARRAY_SIZE(names); i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

/*
 * The first list of integers with one for each input.  A list of another
 * length that is called labels is no accident.
 */
static ptf_status find_labels(const members *m, ptf_samples *out)
{
    const ptf_tensor *other = NULL;
    for (size_t i = 0; i < m->count && !out->has_labels; i++) {
        const ptf_tensor *t = &m->arrays[i];
        if (t->rank != 1 || !is_integer(t->dtype))
            continue;
        if (t->shape[0] == out->images.shape[0]) {
            out->labels = *t;
            out->has_labels = true;
        } else if (has_label_name(t->name)) {
            other = t;
        }
    }
    if (out->has_labels || other == NULL)
        return PTF_OK;
    ptf_origin origin = {m->file->name, other->name};
    return ptf_fail(m->err, PTF_ARGUMENT, &origin, PTF_NO_OFFSET,
                    "expected %lld labels, one for each input, got %lld",
                    (long long)out->images.shape[0],
                    (long long)other->shape[0]);
}

static ptf_status choose(const members *m, ptf_samples *out)
{
    const ptf_tensor *images = NULL;
    ptf_status status = find_images(m, &images);
    if (status != PTF_OK)
        return status;
    ptf_origin origin = {m->file->name, images->name};
    status = ptf_samples_arrange(images, m->options, &origin, out, m->err);
    return status == PTF_OK ? find_labels(m, out) : status;
}

/* The archive's memory becomes the caller's, because arrays may lie in it. */
static ptf_status read_all(members *m, ptf_arena *arena)
{
    ptf_archive zip;
    ptf_status status = ptf_archive_open_zip(m->file, &zip, m->err);
    if (status != PTF_OK)
        return status;
    status = read_members(m, &zip, &zip.arena);
    *arena = zip.arena;
    return status;
}

ptf_status ptf_npz_open(const ptf_file *file, const ptf_image_options *options,
                        ptf_arena *arena, ptf_samples *out, ptf_error *err)
{
    members m = {.file = file, .options = options, .err = err};
    ptf_status status = read_all(&m, arena);
    return status == PTF_OK ? choose(&m, out) : status;
}

ptf_status ptf_npz_parse(const ptf_file *file, ptf_arena *arena,
                         ptf_tensor **out, size_t *count, ptf_error *err)
{
    members m = {.file = file, .err = err};
    ptf_status status = read_all(&m, arena);
    *out = m.arrays;
    *count = m.count;
    return status;
}
