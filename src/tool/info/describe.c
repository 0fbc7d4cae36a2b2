/*
 * What is in a checkpoint, for people and as JSON.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/info/describe.h"

#include <stdarg.h>

/* ------------------------------------------------------------------ sharing */

typedef struct shared {
    const ptf_tensor *tensor;
    size_t index;
} shared;

static int compare_pointers(const void *a, const void *b)
{
    return ((uintptr_t)a > (uintptr_t)b) - ((uintptr_t)a < (uintptr_t)b);
}

/* 0 for tensors that are the same elements. */
static int compare_elements(const ptf_tensor *a, const ptf_tensor *b)
{
    size_t bytes = (size_t)a->rank * sizeof(a->shape[0]);
    int order = compare_pointers(a->storage, b->storage);
    if (order == 0)
        order = compare_pointers(a->data, b->data);
    if (order == 0)
        order = (a->dtype > b->dtype) - (a->dtype < b->dtype);
    if (order == 0)
        order = a->rank - b->rank;
    if (order == 0)
        order = memcmp(a->shape, b->shape, bytes);
    return order == 0 ? memcmp(a->stride, b->stride, bytes) : order;
}

static int compare_shared(const void *a, const void *b)
{
    const shared *x = a, *y = b;
    int order = compare_elements(x->tensor, y->tensor);
    return order != 0 ? order : (x->index > y->index) - (x->index < y->index);
}

/*
 * The tensors from 'first' on that have one storage.  Equal ones stand
 * together, the earliest first; the others go with the earliest of all.
 */
static size_t relate_group(const shared *sorted, size_t first, size_t count,
                           tool_relation *out)
{
    size_t end = first + 1, earliest = first, equal = first;
    for (; end < count &&
           sorted[end].tensor->storage == sorted[first].tensor->storage;
         end++) {
        if (sorted[end].index < sorted[earliest].index)
            earliest = end;
    }
    for (size_t i = first; i < end; i++) {
        bool tied = i > equal && compare_elements(sorted[equal].tensor,
                                                  sorted[i].tensor) == 0;
        if (!tied)
            equal = i;
        size_t with = tied ? equal : earliest;
        if (with != i)
            out[sorted[i].index] = (tool_relation){sorted[with].tensor, tied};
    }
    return end;
}

tool_relation *tool_relations(const ptf_checkpoint *ckpt)
{
    size_t count = ptf_checkpoint_tensor_count(ckpt);
    tool_relation *out = calloc(count + 1, sizeof(*out));
    shared *sorted = calloc(count + 1, sizeof(*sorted));
    if (out == NULL || sorted == NULL) {
        free(out);
        free(sorted);
        return NULL;
    }
    for (size_t i = 0; i < count; i++)
        sorted[i] = (shared){ptf_checkpoint_tensor(ckpt, i), i};
    qsort(sorted, count, sizeof(*sorted), compare_shared);
    for (size_t i = 0; i < count;)
        i = relate_group(sorted, i, count, out);
    free(sorted);
    return out;
}

/* --------------------------------------------------------------------- text */

static void put_text(const char *text)
{
    ptf_print_escaped(stdout, text, strlen(text));
}

/* A part of a line, which goes on in the next one when it is full. */
static void __attribute__((format(printf, 2, 3)))
put(tool_line *line, const char *fmt, ...)
{
    char text[256];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    tool_print_wrapped(line, text);
}

static void print_facts(const ptf_checkpoint *ckpt, const char *path)
{
    enum { PATH = 48 };
    ptf_checkpoint_info f;
    char text[32];
    ptf_checkpoint_describe(ckpt, &f);
    int width = tool_width(path);
    tool_print_short(stdout, path, PATH);
    tool_line line = {stdout, (width < PATH ? width : PATH) + 1};
    putchar(':');
    put(&line, "%s,", f.kind);
    if (f.version > 0)
        put(&line, "format %d,", f.version);
    put(&line, "%s-endian,", f.byteorder);
    if (f.root[0] != '\0')
        put(&line, "root '%.100s',", f.root);
    if (f.file_count > 1)
        put(&line, "%zu files,", f.file_count);
    put(&line, "%zu entries,", f.entry_count);
    put(&line, "%s bytes", tool_count_text((int64_t)f.size, text));
    putchar('\n');
}

static void print_totals(const ptf_checkpoint *ckpt)
{
    int64_t elements = 0, bytes = 0;
    size_t counts[PTF_DTYPE_COUNT] = {0}, left;
    char text[32];
    size_t count = left = ptf_checkpoint_tensor_count(ckpt);
    for (size_t i = 0; i < count; i++) {
        ptf_location place;
        const ptf_tensor *t = ptf_checkpoint_tensor(ckpt, i);
        ptf_tensor_locate(t, &place);
        elements += ptf_tensor_numel(t);
        bytes += (int64_t)place.size;
        counts[t->dtype]++;
    }
    tool_line line = {stdout, 0};
    put(&line, "%zu tensors,", count);
    put(&line, "%s elements,", tool_count_text(elements, text));
    put(&line, "%s bytes%s", tool_count_text(bytes, text),
        count > 0 ? ":" : "");
    for (int d = 0; d < PTF_DTYPE_COUNT; d++) {
        left -= counts[d];
        if (counts[d] > 0)
            put(&line, "%zu %s%s", counts[d], ptf_dtype_name((ptf_dtype)d),
                left > 0 ? "," : "");
    }
    putchar('\n');
}

/* What no net has as it is in the file. */
static size_t count_rounded(const ptf_checkpoint *ckpt, const char **first)
{
    size_t count = 0;
    *first = NULL;
    for (size_t i = 0; i < ptf_checkpoint_tensor_count(ckpt); i++) {
        const ptf_tensor *t = ptf_checkpoint_tensor(ckpt, i);
        if (ptf_tensor_rounds(t))
            *first = count++ == 0 ? t->name : *first;
    }
    return count;
}

static void print_rounded(const ptf_checkpoint *ckpt)
{
    const char *first;
    size_t count = count_rounded(ckpt, &first);
    if (count == 0)
        return;
    tool_line line = {stdout, 0};
    put(&line, "a network rounds %zu of float64 to float32, the first:", count);
    tool_print_wrapped(&line, first);
    putchar('\n');
}

static void print_relations(const ptf_checkpoint *ckpt,
                            const tool_relation *relations)
{
    for (size_t i = 0; i < ptf_checkpoint_tensor_count(ckpt); i++) {
        if (relations[i].with == NULL)
            continue;
        tool_line line = {stdout, 0};
        put(&line, "%s", relations[i].tied ? "tied:" : "shares memory:");
        tool_print_wrapped(&line, ptf_checkpoint_tensor(ckpt, i)->name);
        put(&line, "%s", relations[i].tied ? "is" : "with");
        tool_print_wrapped(&line, relations[i].with->name);
        putchar('\n');
    }
}

static void print_texts(const ptf_checkpoint *ckpt)
{
    enum { SHOWN = 70 };
    const char *key, *name;
    for (size_t i = 0; (key = ptf_checkpoint_metadata_key(ckpt, i)) != NULL;
         i++) {
        const char *value = ptf_checkpoint_metadata(ckpt, key);
        size_t size = strlen(value);
        tool_line line = {stdout, 0};
        put(&line, "metadata:");
        tool_print_wrapped(&line, key);
        if (size > SHOWN) {
            put(&line, "(%zu bytes)", size);
        } else {
            put(&line, "=");
            tool_print_wrapped(&line, value);
        }
        putchar('\n');
    }
    for (size_t i = 0; (name = ptf_checkpoint_opaque(ckpt, i)) != NULL; i++) {
        fputs("opaque: ", stdout);
        put_text(name);
        putchar('\n');
    }
    ptf_checkpoint_info f;
    ptf_checkpoint_describe(ckpt, &f);
    if (f.closed_count > 0)
        printf("not looked into: %zu objects of such classes, sets, and keys "
               "that hold tensors\n",
               f.closed_count);
    if (f.constant_count > 0)
        printf("constants of the code, without names: %zu (torch.jit.freeze() "
               "puts\nweights there: save the state dict before)\n",
               f.constant_count);
}

/* Where in the file the tensors are, and what is not among them. */
static void print_place(const ptf_checkpoint *ckpt)
{
    size_t left_out;
    const char *example, *key = ptf_checkpoint_key(ckpt, &left_out, &example);
    if (key[0] == '\0')
        return;
    fputs("key: ", stdout);
    put_text(key);
    putchar('\n');
    if (left_out == 0)
        return;
    printf("left out: %zu tensor%s elsewhere, such as ", left_out,
           left_out == 1 ? "" : "s");
    put_text(example);
    putchar('\n');
}

static void put_dims(tool_line *line, const char *what, const int64_t *dims,
                     int rank)
{
    char text[192] = "";
    size_t size = 0;
    for (int i = 0; i < rank; i++)
        size += (size_t)snprintf(text + size, sizeof(text) - size, "%s%lld",
                                 i > 0 ? ", " : "", (long long)dims[i]);
    put(line, "%s [%s],", what, text);
}

static ptf_status print_tensor(const ptf_tensor *t, bool sha256, ptf_error *err)
{
    ptf_location place;
    char digest[65] = "";
    ptf_tensor_locate(t, &place);
    if (sha256) {
        ptf_status status = ptf_tensor_sha256(t, digest, err);
        if (status != PTF_OK)
            return status;
    }
    put_text(t->name);
    fputs("\n   ", stdout);
    tool_line line = {stdout, 3};
    put_dims(&line, ptf_dtype_name(t->dtype), t->shape, t->rank);
    put_dims(&line, "strides", t->stride, t->rank);
    put(&line, "%zu bytes at %zu of storage", place.size, place.offset);
    tool_print_wrapped(&line, place.storage);
    putchar('\n');
    if (sha256)
        printf("    sha256 %s\n", digest);
    return PTF_OK;
}

ptf_status tool_describe(const ptf_checkpoint *ckpt, const char *path,
                         const tool_description *what, ptf_error *err)
{
    tool_relation *relations = tool_relations(ckpt);
    if (relations == NULL)
        return tool_error(err, PTF_MEMORY, "out of memory");
    print_facts(ckpt, path);
    print_totals(ckpt);
    print_rounded(ckpt);
    print_place(ckpt);
    print_relations(ckpt, relations);
    free(relations);
    print_texts(ckpt);
    ptf_status status = PTF_OK;
    if (!what->tensors)
        return status;
    for (size_t i = 0;
         i < ptf_checkpoint_tensor_count(ckpt) && status == PTF_OK; i++)
        status =
            print_tensor(ptf_checkpoint_tensor(ckpt, i), what->sha256, err);
    return status;
}

/* --------------------------------------------------------------------- JSON */

static void json_dims(tool_json *j, const char *key, const int64_t *dims,
                      int rank)
{
    json_open(j, key, '[');
    for (int i = 0; i < rank; i++)
        json_int(j, NULL, dims[i]);
    json_close(j, ']');
}

static ptf_status json_tensor(tool_json *j, const ptf_tensor *t,
                              const tool_relation *relation, bool sha256,
                              ptf_error *err)
{
    ptf_location place;
    char digest[65];
    ptf_tensor_locate(t, &place);
    json_open(j, NULL, '{');
    json_text(j, "name", t->name);
    json_text(j, "dtype", ptf_dtype_name(t->dtype));
    json_dims(j, "shape", t->shape, t->rank);
    json_dims(j, "stride", t->stride, t->rank);
    json_text(j, "storage", place.storage);
    json_int(j, "offset", (int64_t)(place.offset / ptf_dtype_size(t->dtype)));
    json_int(j, "bytes", (int64_t)place.size);
    if (place.file != NULL) {
        json_text(j, "file", place.file);
        json_int(j, "file_offset", (int64_t)place.file_offset);
    }
    if (relation->with != NULL)
        json_text(j, relation->tied ? "tied_to" : "shares_memory_with",
                  relation->with->name);
    ptf_status status = sha256 ? ptf_tensor_sha256(t, digest, err) : PTF_OK;
    if (sha256 && status == PTF_OK)
        json_text(j, "sha256", digest);
    json_close(j, '}');
    return status;
}

static void json_entries(tool_json *j, const ptf_checkpoint *ckpt)
{
    ptf_file_entry s;
    json_open(j, "entries", '[');
    for (size_t i = 0; ptf_checkpoint_entry(ckpt, i, &s); i++) {
        char crc[16];
        snprintf(crc, sizeof(crc), "%08x", (unsigned)s.crc);
        json_open(j, NULL, '{');
        json_text(j, "file", s.file);
        json_text(j, "name", s.name);
        json_int(j, "offset", (int64_t)s.offset);
        json_int(j, "bytes", (int64_t)s.size);
        json_int(j, "packed", (int64_t)s.packed);
        json_text(j, "crc32", s.has_crc ? crc : NULL);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void json_texts(tool_json *j, const ptf_checkpoint *ckpt)
{
    const char *text;
    json_open(j, "metadata", '{');
    for (size_t i = 0; (text = ptf_checkpoint_metadata_key(ckpt, i)) != NULL;
         i++)
        json_text(j, text, ptf_checkpoint_metadata(ckpt, text));
    json_close(j, '}');
    json_open(j, "opaque", '[');
    for (size_t i = 0; (text = ptf_checkpoint_opaque(ckpt, i)) != NULL; i++)
        json_text(j, NULL, text);
    json_close(j, ']');
}

static void json_facts(tool_json *j, const ptf_checkpoint *ckpt,
                       const char *path)
{
    ptf_checkpoint_info f;
    ptf_checkpoint_describe(ckpt, &f);
    json_text(j, "file", path);
    json_text(j, "kind", f.kind);
    json_int(j, "version", f.version);
    json_text(j, "byteorder", f.byteorder);
    json_text(j, "root", f.root);
    json_int(j, "bytes", (int64_t)f.size);
    json_int(j, "closed_objects", (int64_t)f.closed_count);
    json_int(j, "constants", (int64_t)f.constant_count);
    size_t left_out;
    const char *key = ptf_checkpoint_key(ckpt, &left_out, NULL);
    json_text(j, "key", key);
    json_int(j, "left_out", (int64_t)left_out);
    const char *first;
    json_int(j, "rounded_to_float32", (int64_t)count_rounded(ckpt, &first));
    json_text(j, "first_rounded", first);
}

ptf_status tool_describe_json(const ptf_checkpoint *ckpt, const char *path,
                              const tool_description *what, ptf_error *err)
{
    char digest[65];
    tool_relation *relations = tool_relations(ckpt);
    ptf_status status = relations == NULL
                            ? tool_error(err, PTF_MEMORY, "out of memory")
                            : PTF_OK;
    if (status == PTF_OK && what->sha256)
        status = ptf_checkpoint_sha256(ckpt, digest, err);
    tool_json j = {.out = stdout};
    if (status == PTF_OK) {
        json_open(&j, NULL, '{');
        json_facts(&j, ckpt, path);
        if (what->sha256)
            json_text(&j, "sha256", digest);
        json_entries(&j, ckpt);
        json_texts(&j, ckpt);
        json_open(&j, "tensors", '[');
    }
    for (size_t i = 0;
         status == PTF_OK && i < ptf_checkpoint_tensor_count(ckpt); i++)
        status = json_tensor(&j, ptf_checkpoint_tensor(ckpt, i), &relations[i],
                             what->sha256, err);
    if (status == PTF_OK) {
        json_close(&j, ']');
        json_close(&j, '}');
    }
    free(relations);
    return status;
}
