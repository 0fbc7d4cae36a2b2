/*
 * CIFAR-10 in its two forms: records of bytes, and Python's pickles.  An
 * image is three planes of 32 x 32 bytes: red, green, blue.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "checkpoint/numpy.h"
#include "image/image.h"

enum { SIDE = 32, PLANE = SIDE * SIDE, PIXELS = 3 * PLANE, CLASSES = 10 };
enum { RECORD = 1 + PIXELS };

/* Images of bytes that start 'step' bytes apart. */
static ptf_tensor images_at(const uint8_t *data, int64_t count, int64_t step)
{
    return (ptf_tensor){.name = "data",
                        .dtype = PTF_DTYPE_U8,
                        .rank = 4,
                        .shape = {count, 3, SIDE, SIDE},
                        .stride = {step, PLANE, SIDE, 1},
                        .data = data};
}

/* ----------------------------------------------------------------- records */

static size_t first_wrong_label(const ptf_file *file)
{
    size_t at = 0;
    while (at < file->size && file->data[at] < CLASSES)
        at += RECORD;
    return at;
}

bool ptf_is_cifar(const ptf_file *file)
{
    return file->size > 0 && file->size % RECORD == 0 &&
           first_wrong_label(file) >= file->size;
}

ptf_status ptf_cifar_open(const ptf_file *file,
                          const ptf_image_options *options, ptf_arena *arena,
                          ptf_samples *out, ptf_error *err)
{
    (void)options;
    (void)arena;
    ptf_origin origin = {file->name, NULL};
    if (file->size == 0 || file->size % RECORD != 0)
        return ptf_fail(err, PTF_FORMAT, &origin,
                        file->size - file->size % RECORD,
                        "expected CIFAR-10 records of %d bytes, got a file "
                        "of %zu bytes",
                        RECORD, file->size);
    size_t wrong = first_wrong_label(file);
    if (wrong < file->size)
        return ptf_fail(err, PTF_FORMAT, &origin, wrong,
                        "expected a label from 0 to %d, got %d", CLASSES - 1,
                        file->data[wrong]);
    int64_t count = (int64_t)(file->size / RECORD);
    out->images = images_at(file->data + 1, count, RECORD);
    out->labels = (ptf_tensor){.name = "labels",
                               .dtype = PTF_DTYPE_U8,
                               .rank = 1,
                               .shape = {count},
                               .stride = {RECORD},
                               .data = file->data};
    out->has_labels = out->cifar10 = true;
    return PTF_OK;
}

/* ----------------------------------------------------------------- pickles */

typedef struct batch {
    const ptf_file *file;
    ptf_arena *arena;
    ptf_samples *out;
    int64_t count;
    ptf_error *err;
} batch;

static ptf_status fail(const batch *b, const char *what)
{
    ptf_origin origin = {b->file->name, NULL};
    return ptf_fail(b->err, PTF_FORMAT, &origin, PTF_NO_OFFSET,
                    "expected a CIFAR-10 batch with %s", what);
}

/* The state of an array of bytes, N x 3072 in C order, or NULL. */
static const ptf_object *find_state(const ptf_object *array)
{
    ptf_dtype dtype;
    bool swap;
    const ptf_object *state = array->kind == PTF_OBJECT_INSTANCE
                                  ? array->items[PTF_INSTANCE_STATE]
                                  : NULL;
    if (state == NULL || state->kind != PTF_OBJECT_TUPLE || state->count != 5)
        return NULL;
    const ptf_object *shape = state->items[1], *order = state->items[3];
    bool whole = shape->kind == PTF_OBJECT_TUPLE && shape->count == 2 &&
                 shape->items[0]->kind == PTF_OBJECT_INT &&
                 shape->items[1]->kind == PTF_OBJECT_INT &&
                 shape->items[1]->integer == PIXELS;
    bool fortran = order->kind == PTF_OBJECT_BOOL
                       ? order->boolean
                       : order->kind != PTF_OBJECT_INT || order->integer != 0;
    return whole && !fortran &&
                   ptf_array_dtype(state->items[2], &dtype, &swap) &&
                   dtype == PTF_DTYPE_U8
               ? state
               : NULL;
}

static ptf_status read_images(batch *b, const ptf_object *root)
{
    ptf_origin origin = {b->file->name, NULL};
    const ptf_object *array =
        root->kind == PTF_OBJECT_DICT ? ptf_dict_find(root, "data") : NULL;
    if (array == NULL)
        return ptf_fail(b->err, PTF_UNSUPPORTED, &origin, 0,
                        "expected a CIFAR-10 batch, got another pickle");
    const ptf_object *state = find_state(array);
    if (state == NULL)
        return fail(b, "the array 'data', N x 3072 bytes");
    b->count = state->items[1]->items[0]->integer;
    if (b->count < 1 || b->count > PTF_PICKLE_MAX_SIZE / PIXELS)
        return fail(b, "a number of images that a pickle can hold");
    size_t size = (size_t)b->count * PIXELS;
    uint8_t *data = ptf_arena_alloc(b->arena, size);
    if (data == NULL)
        return ptf_fail_memory(b->err);
    if (!ptf_array_bytes(state->items[4], data, size))
        return fail(b, "as many bytes in 'data' as its shape says");
    b->out->images = images_at(data, b->count, PIXELS);
    return PTF_OK;
}

static ptf_status read_labels(batch *b, const ptf_object *root)
{
    const ptf_object *list = ptf_dict_find(root, "labels");
    b->out->cifar10 = list != NULL;
    if (list == NULL)
        list = ptf_dict_find(root, "fine_labels"); /* of CIFAR-100 */
    if (list == NULL)
        return PTF_OK;
    if (list->kind != PTF_OBJECT_LIST || list->count != b->count)
        return fail(b, "a list of one label for each image");
    int64_t *labels =
        ptf_arena_array(b->arena, (size_t)b->count, sizeof(*labels));
    if (labels == NULL)
        return ptf_fail_memory(b->err);
    for (uint32_t i = 0; i < list->count; i++) {
        if (list->items[i]->kind != PTF_OBJECT_INT)
            return fail(b, "whole numbers as labels");
        labels[i] = list->items[i]->integer;
    }
    b->out->has_labels = true;
    b->out->labels = (ptf_tensor){.name = "labels",
                                  .dtype = PTF_DTYPE_I64,
                                  .rank = 1,
                                  .shape = {b->count},
                                  .stride = {1},
                                  .data = labels};
    return PTF_OK;
}

static bool marks_nothing(const ptf_object *object)
{
    (void)object;
    return false;
}

ptf_status ptf_cifar_pickle_open(const ptf_file *file,
                                 const ptf_image_options *options,
                                 ptf_arena *arena, ptf_samples *out,
                                 ptf_error *err)
{
    (void)options;
    ptf_origin origin = {file->name, NULL};
    ptf_arena tree = {0};
    ptf_pickle pickle;
    batch b = {file, arena, out, 0, err};
    ptf_status status = ptf_pickle_read(file->data, file->size, &origin,
                                        marks_nothing, &tree, &pickle, err);
    if (status == PTF_OK)
        status = read_images(&b, pickle.root);
    if (status == PTF_OK)
        status = read_labels(&b, pickle.root);
    ptf_arena_free(&tree);
    return status;
}
