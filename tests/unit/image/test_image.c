/*
 * Images and arrays in files: the pixels of Pillow, the values of NumPy, and
 * damaged files.  The argument is a folder that tests/images/make.py made; a
 * second one chooses tests.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "folder.h"
#include "image/image.h"

#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const char *folder;
static ptf_error err;

static void must(ptf_status status)
{
    if (status != PTF_OK)
        fail_msg("%s", err.message);
}

static const char *path_of(const char *name)
{
    static char text[4][512];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(text[turn], sizeof(text[turn]), "%s/%s", folder, name);
    return text[turn];
}

static ptf_images *open_one(const char *path, const ptf_image_options *options)
{
    ptf_images *images;
    must(ptf_images_open(&path, 1, options, &images, &err));
    return images;
}

/* All images of the list one after the other, to be freed. */
static float *read_all(ptf_images *images, size_t *numbers)
{
    ptf_image_info info;
    must(ptf_images_info(images, 0, &info, &err));
    size_t n = (size_t)ptf_shape_numel(&info.shape);
    int64_t count = ptf_images_count(images);
    float *out = malloc((size_t)count * n * sizeof(*out));
    assert_non_null(out);
    for (int64_t i = 0; i < count; i++)
        must(ptf_images_read(images, i, out + (size_t)i * n, &err));
    *numbers = (size_t)count * n;
    return out;
}

/* ------------------------------------------------------------------- cases */

static void parse_pair(const char *text, int64_t out[2])
{
    char *end;
    out[0] = strtol(text, &end, 10);
    assert_int_equal(*end, 'x');
    out[1] = strtol(end + 1, NULL, 10);
}

/* One line of cases.tsv: see tests/images/make.py. */
static void check_case(char *line)
{
    enum {
        FILE_NAME,
        RANK,
        CHANNELS,
        RESIZE,
        CROP,
        LAYOUT,
        EXPECTED,
        FILTER,
        FIELDS
    };
    const char *field[FIELDS];
    for (int i = 0; i < FIELDS; i++) {
        field[i] = strsep(&line, "\t\n");
        assert_non_null(field[i]);
    }
    ptf_image_options options = {
        .rank = (int)strtol(field[RANK], NULL, 10),
        .channels = strtol(field[CHANNELS], NULL, 10),
        .channels_last = strcmp(field[LAYOUT], "nhwc") == 0,
        .filter = strcmp(field[FILTER], "bicubic") == 0 ? PTF_FILTER_BICUBIC
                                                        : PTF_FILTER_BILINEAR,
    };
    parse_pair(field[RESIZE], options.resize);
    parse_pair(field[CROP], options.crop);
    ptf_images *images = open_one(path_of(field[FILE_NAME]), &options);
    size_t found, expected;
    float *numbers = read_all(images, &found);
    size_t size;
    uint8_t *npy = file_read(path_of(field[EXPECTED]), &size);
    ptf_origin origin = {field[EXPECTED], NULL};
    ptf_arena arena = {0};
    ptf_tensor t;
    must(ptf_npy_parse(npy, size, &origin, &arena, &t, &err));
    expected = (size_t)ptf_tensor_numel(&t);
    if (found != expected ||
        memcmp(numbers, t.data, found * sizeof(float)) != 0)
        fail_msg("%s is not %s", field[FILE_NAME], field[EXPECTED]);
    ptf_arena_free(&arena);
    free(npy);
    free(numbers);
    ptf_images_close(images);
}

static void images_are_what_pillow_and_numpy_say(void **state)
{
    (void)state;
    FILE *f = fopen(path_of("cases.tsv"), "re");
    assert_non_null(f);
    char line[512];
    int cases = 0;
    for (; fgets(line, sizeof(line), f) != NULL; cases++)
        check_case(line);
    fclose(f);
    assert_true(cases >= 30);
}

/* ------------------------------------------------------------------ reading */

static void rows_in_pieces_are_the_rows_of_the_whole(void **state)
{
    (void)state;
    ptf_image_options options = {.resize = {20, 17}, .crop = {13, 12}};
    ptf_images *images = open_one(path_of("rgb.png"), &options);
    size_t n;
    float *whole = read_all(images, &n);
    float rows[3 * 4 * 12];
    static const int64_t order[] = {0, 4, 9, 2}; /* forwards, then back */
    for (int i = 0; i < 4; i++) {
        must(ptf_images_read_rows(images, 0, order[i], 4, rows, &err));
        for (int c = 0; c < 3; c++)
            assert_memory_equal(rows + c * 4 * 12,
                                whole + (c * 13 + order[i]) * 12,
                                4 * 12 * sizeof(float));
    }
    assert_int_equal(ptf_images_read_rows(images, 0, 10, 4, rows, &err),
                     PTF_ARGUMENT);
    free(whole);
    ptf_images_close(images);
}

static void numbers_are_divided_then_normalised(void **state)
{
    (void)state;
    const float mean[] = {0.5F, 0.25F, 0.125F}, std[] = {0.1F};
    ptf_image_options options = {.scale = 128.0F,
                                 .mean = mean,
                                 .std = std,
                                 .mean_count = 3,
                                 .std_count = 1};
    ptf_image_options plain = {.scale = 1.0F};
    ptf_images *a = open_one(path_of("rgb.png"), &options);
    ptf_images *b = open_one(path_of("rgb.png"), &plain);
    size_t n, m;
    float *scaled = read_all(a, &n), *bytes = read_all(b, &m);
    assert_int_equal(n, m);
    for (size_t i = 0; i < n; i++) {
        float value = (bytes[i] / 128.0F - mean[i / (n / 3)]) / 0.1F;
        assert_memory_equal(&scaled[i], &value, sizeof(value));
    }
    free(scaled);
    free(bytes);
    ptf_images_close(a);
    ptf_images_close(b);
    options.mean_count = 2;
    const char *path = path_of("rgb.png");
    ptf_image_info info;
    must(ptf_images_open(&path, 1, &options, &a, &err));
    assert_int_equal(ptf_images_info(a, 0, &info, &err), PTF_ARGUMENT);
    ptf_images_close(a);
}

static void labels_and_names_come_from_the_file(void **state)
{
    (void)state;
    const char *paths[] = {path_of("cifar.bin"), path_of("batch"),
                           path_of("rgb.png")};
    ptf_images *images;
    ptf_image_info info;
    must(ptf_images_open(paths, 2, NULL, &images, &err));
    assert_int_equal(ptf_images_count(images), 4);
    static const int64_t labels[] = {7, 9, 7, 9};
    for (int i = 0; i < 4; i++) {
        must(ptf_images_info(images, i, &info, &err));
        assert_int_equal(info.label, labels[i]);
    }
    assert_non_null(strstr(info.name, "batch[1]"));
    assert_string_equal(ptf_images_class(images, 9), "truck");
    assert_null(ptf_images_class(images, 10));
    assert_null(ptf_images_class(images, -1));
    ptf_images_close(images);

    must(ptf_images_open(paths, 3, NULL, &images, &err));
    must(ptf_images_info(images, 4, &info, &err));
    assert_int_equal(info.label, -1);
    assert_null(ptf_images_class(images, 9)); /* not all are CIFAR-10's */
    assert_string_equal(ptf_images_class(NULL, 9), "truck");
    assert_null(ptf_images_class(NULL, 10));
    assert_int_equal(ptf_images_info(images, 5, &info, &err), PTF_ARGUMENT);
    ptf_images_close(images);

    images = open_one(path_of("stored.npz"), NULL);
    must(ptf_images_info(images, 1, &info, &err));
    assert_int_equal(info.label, 1);
    ptf_images_close(images);
}

static void copy_to(const char *name, const char *to)
{
    size_t size;
    uint8_t *data = file_read(path_of(name), &size);
    file_write(in_folder(to), data, size);
    free(data);
}

static void folders_of_classes_give_labels(void **state)
{
    (void)state;
    assert_int_equal(mkdir(in_folder("b"), 0777), 0);
    assert_int_equal(mkdir(in_folder("a"), 0777), 0);
    copy_to("rgb.png", "b/1.png");
    copy_to("rgb.jpg", "a/2.jpg");
    copy_to("rgb.ppm", "a/1.ppm");
    file_write(in_folder("a/notes.txt"), "text", 4);
    file_write(in_folder(".hidden"), "text", 4);
    ptf_images *images = open_one(in_folder("."), NULL);
    assert_int_equal(ptf_images_count(images), 3);
    assert_int_equal(ptf_images_skipped(images), 1);
    assert_string_equal(ptf_images_class(images, 0), "a");
    assert_string_equal(ptf_images_class(images, 1), "b");
    static const struct {
        int64_t label;
        const char *name;
    } expected[] = {{0, "a/1.ppm"}, {0, "a/2.jpg"}, {1, "b/1.png"}};
    for (int i = 0; i < 3; i++) {
        ptf_image_info info;
        must(ptf_images_info(images, i, &info, &err));
        assert_int_equal(info.label, expected[i].label);
        assert_non_null(strstr(info.name, expected[i].name));
    }
    ptf_images_close(images);
    static const char *const files[] = {"b/1.png", "a/2.jpg", "a/1.ppm",
                                        "a/notes.txt"};
    for (size_t i = 0; i < PTF_ARRAY_SIZE(files); i++)
        assert_int_equal(unlink(in_folder(files[i])), 0);
    assert_int_equal(rmdir(in_folder("a")) + rmdir(in_folder("b")), 0);
}

static void a_pipe_is_read_whole(void **state)
{
    (void)state;
    int fd[2];
    size_t n, size;
    char path[40];
    uint8_t *data = file_read(path_of("rgb.png"), &size);
    assert_int_equal(pipe(fd), 0);
    assert_int_equal(write(fd[1], data, size), size);
    close(fd[1]);
    snprintf(path, sizeof(path), "/dev/fd/%d", fd[0]); /* as shells do */
    ptf_images *piped = open_one(path, NULL);
    close(fd[0]);
    ptf_images *plain = open_one(path_of("rgb.png"), NULL);
    float *a = read_all(piped, &n), *b = read_all(plain, &size);
    assert_int_equal(n, size);
    assert_memory_equal(a, b, n * sizeof(float));
    free(a);
    free(b);
    free(data);
    ptf_images_close(piped);
    ptf_images_close(plain);
}

static void a_fifo_is_refused_and_not_waited_for(void **state)
{
    (void)state;
    ptf_images *images;
    const char *path = in_folder("fifo");
    assert_int_equal(mkfifo(path, 0666), 0);
    assert_int_equal(ptf_images_open(&path, 1, NULL, &images, &err), PTF_IO);
}

/* ------------------------------------------------------------------ damage */

/* A new file is cheaper than one cut short, which ext4 writes to disk. */
static void write_fresh(const char *name, const void *data, size_t size)
{
    unlink(in_folder(name));
    file_write(in_folder(name), data, size);
}

/* Reads all of what may be damaged; it must end in an error or in numbers. */
static ptf_status try_read(const char *path)
{
    ptf_images *images;
    ptf_image_options options = {.channels = 0};
    ptf_status status = ptf_images_open(&path, 1, &options, &images, &err);
    int64_t count = status == PTF_OK ? ptf_images_count(images) : 0;
    for (int64_t i = 0; i < count && i < 4 && status == PTF_OK; i++) {
        ptf_image_info info;
        status = ptf_images_info(images, i, &info, &err);
        if (status != PTF_OK)
            break;
        size_t n = (size_t)ptf_shape_numel(&info.shape);
        float *out = malloc(n * sizeof(*out));
        assert_non_null(out);
        status = ptf_images_read(images, i, out, &err);
        free(out);
    }
    ptf_images_close(images);
    return status;
}

static const char *const kinds[] = {
    "rgb.png", "palette.png",  "rgb.jpg",    "progressive.jpg", "rgb.ppm",
    "f8.npy",  "deflated.npz", "stored.npz", "cifar.bin",       "batch",
};

static void files_that_end_early_are_refused(void **state)
{
    (void)state;
    for (size_t k = 0; k < PTF_ARRAY_SIZE(kinds); k++) {
        size_t size;
        uint8_t *data = file_read(path_of(kinds[k]), &size);
        size_t step = size > 2000 ? 97 : 1;
        for (size_t n = 0; n < size; n += step) {
            if (strcmp(kinds[k], "cifar.bin") == 0 && n % 3073 == 0 && n > 0)
                continue;
            write_fresh("short", data, n);
            ptf_status status = try_read(in_folder("short"));
            if (status != PTF_FORMAT && status != PTF_UNSUPPORTED)
                fail_msg("%s cut to %zu bytes: status %d", kinds[k], n,
                         (int)status);
            assert_non_null(strstr(err.message, "short"));
        }
        free(data);
    }
}

static void no_changed_byte_does_harm(void **state)
{
    (void)state;
    uint64_t random = 1;
    for (size_t k = 0; k < PTF_ARRAY_SIZE(kinds); k++) {
        size_t size;
        uint8_t *data = file_read(path_of(kinds[k]), &size);
        for (int i = 0; i < 300; i++) {
            random = random * 6364136223846793005U + 1442695040888963407U;
            size_t range = i % 2 == 0 && size > 128 ? 128 : size;
            size_t at = (size_t)(random >> 33) % range;
            uint8_t before = data[at];
            data[at] ^= (uint8_t)(1U << (random >> 60 & 7));
            write_fresh("changed", data, size);
            try_read(in_folder("changed"));
            data[at] = before;
        }
        free(data);
    }
}

static void expect_refusal(const char *bytes, size_t size, ptf_status status,
                           const char *what)
{
    write_fresh("bad.bin", bytes, size);
    assert_int_equal(try_read(in_folder("bad.bin")), status);
    if (strstr(err.message, what) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", err.message, what);
}

static void sizes_that_cannot_be_are_refused(void **state)
{
    (void)state;
#define REFUSE(bytes, status, what) \
    expect_refusal(bytes, sizeof(bytes) - 1, status, what)
    REFUSE("P6\n0 5\n255\n", PTF_UNSUPPORTED, "0 x 5");
    REFUSE("P6\n16384 16385\n255\n", PTF_UNSUPPORTED, "16384 x 16385");
    REFUSE("P6\n16384 16384\n255\n", PTF_FORMAT, "only 19 bytes");
    REFUSE("P5\n99999999999 1\n255\n", PTF_FORMAT, "@12: expected a width");
    REFUSE("P5\n2 2\n0\n1234", PTF_FORMAT, "got 0");
    REFUSE("P5\n2 2\n255\n123", PTF_FORMAT, "a row of pixels");
    REFUSE("plain text", PTF_FORMAT, "CIFAR-10 records of 3073 bytes");
#define NPY(header, data) "\x93NUMPY\1\0" header data
    REFUSE(NPY("\x3f\0", "{'descr': '<f4', 'fortran_order': False, 'shape': "
                         "(99999999999,),}"),
           PTF_FORMAT, "expected a size");
    REFUSE(NPY("\x43\0", "{'descr': '<f4', 'fortran_order': False, 'shape': "
                         "(1,2,2,9999), }   "),
           PTF_FORMAT, "bytes of elements, got 1");
    REFUSE(NPY("\x11\0", "{'descr': '<f4',}"), PTF_FORMAT, "fortran_order");
    REFUSE(NPY("\x11\0", "{'descr': '|O8',}"), PTF_UNSUPPORTED, "dtype");
    REFUSE(NPY("\x11\0", "{'descr': [('a',}"), PTF_UNSUPPORTED, "structures");
    char records[2 * 3073] = {0};
    records[3073] = 10;
    expect_refusal(records, sizeof(records), PTF_FORMAT,
                   "@3073: expected a label from 0 to 9, got 10");
}

static void arrays_of_another_rank_are_refused(void **state)
{
    (void)state;
    assert_int_equal(try_read(path_of("rows.npy")), PTF_ARGUMENT);
    const char *path = path_of("stored.npz");
    ptf_image_options options = {.array = "z"};
    ptf_images *images;
    assert_int_equal(ptf_images_open(&path, 1, &options, &images, &err),
                     PTF_ARGUMENT);
    assert_non_null(strstr(err.message, "'x' [2, 3, 4, 5], 'y' [2]"));
    options = (ptf_image_options){.crop = {40, 40}};
    path = path_of("rgb.png");
    must(ptf_images_open(&path, 1, &options, &images, &err));
    ptf_image_info info;
    assert_int_equal(ptf_images_info(images, 0, &info, &err), PTF_ARGUMENT);
    ptf_images_close(images);
}

static void running_out_of_memory_leaves_nothing_after(void **state)
{
    (void)state;
    static const char *const some[] = {"rgb.png", "rgb.jpg", "deflated.npz",
                                       "batch"};
    for (size_t k = 0; k < PTF_ARRAY_SIZE(some); k++) {
        const char *path = path_of(some[k]);
        ptf_status status = PTF_MEMORY;
        for (long n = 0; status == PTF_MEMORY; n++) {
            assert_true(n < 500);
            ptf_alloc_fail_after(n);
            status = try_read(path);
            ptf_alloc_fail_after(-1);
        }
        must(status);
    }
}

/* ------------------------------------------------------------------ writing */

static void arrays_that_are_written_are_read_back(void **state)
{
    (void)state;
    float numbers[2 * 3 * 4 * 5];
    ptf_random_fill(1, 0, numbers, PTF_ARRAY_SIZE(numbers));
    const int64_t shape[] = {2, 3, 4, 5};
    ptf_sink *sink;
    const char *path = in_folder("out.npy");
    must(ptf_npy_create(path, 4, shape, &sink, &err));
    must(ptf_sink_write_at(sink, 40, numbers + 40, 80 * sizeof(float), &err));
    must(ptf_sink_write_at(sink, 0, numbers, 40 * sizeof(float), &err));
    assert_int_equal(ptf_sink_write(sink, numbers, 4, &err), PTF_ARGUMENT);
    must(ptf_sink_commit(sink, &err));
    ptf_images *images = open_one(path, NULL);
    size_t n;
    float *back = read_all(images, &n);
    assert_int_equal(n, PTF_ARRAY_SIZE(numbers));
    assert_memory_equal(back, numbers, sizeof(numbers));
    free(back);
    ptf_images_close(images);

    must(ptf_npy_create(in_folder("half.npy"), 4, shape, &sink, &err));
    must(ptf_sink_write(sink, numbers, 400, &err));
    assert_int_equal(ptf_sink_commit(sink, &err), PTF_ARGUMENT);
    assert_int_equal(folder_count(), 1);
}

static void check_picture(const char *name)
{
    enum { W = 7, H = 5 };
    uint8_t pixels[H * W * 3];
    for (size_t i = 0; i < sizeof(pixels); i++)
        pixels[i] = (uint8_t)(i * 37);
    ptf_sink *sink;
    const char *path = in_folder(name);
    must(ptf_picture_create(path, W, H, &sink, &err));
    assert_int_equal(ptf_sink_write(sink, pixels, 4, &err), PTF_ARGUMENT);
    must(ptf_sink_write(sink, pixels, sizeof(pixels), &err));
    must(ptf_sink_commit(sink, &err));
    ptf_image_options options = {.scale = 1.0F};
    ptf_images *images = open_one(path, &options);
    size_t n;
    float *back = read_all(images, &n);
    assert_int_equal(n, sizeof(pixels));
    for (size_t i = 0; i < n; i++)
        assert_int_equal((int)back[i], pixels[i % (W * H) * 3 + i / (W * H)]);
    free(back);
    ptf_images_close(images);
}

static void pictures_that_are_written_are_read_back(void **state)
{
    (void)state;
    check_picture("out.png");
    check_picture("out.ppm");
    ptf_sink *sink;
    must(ptf_picture_create(in_folder("not.png"), 3, 3, &sink, &err));
    ptf_sink_abort(sink);
    assert_int_equal(folder_count(), 2);
}

/* Writes noise as a picture, an array or a text where there is no room. */
static ptf_status write_without_room(const char *name)
{
    enum { SIDE = 100 };
    static float noise[SIDE * SIDE];
    const int64_t shape[] = {SIDE, SIDE};
    const char *path = in_folder(name);
    bool array = strstr(name, ".npy") != NULL;
    ptf_sink *sink;
    ptf_random_fill(1, 0, noise, SIDE * SIDE);
    if (strstr(name, ".txt") != NULL)
        return ptf_text_save(path, (const char *)noise, sizeof(noise), &err);
    ptf_status status = array
                            ? ptf_npy_create(path, 2, shape, &sink, &err)
                            : ptf_picture_create(path, SIDE, SIDE, &sink, &err);
    if (status != PTF_OK)
        return status;
    size_t size = array ? sizeof(noise) : (size_t)3 * SIDE * SIDE;
    status = ptf_sink_write(sink, noise, size, &err);
    if (status == PTF_OK)
        return ptf_sink_commit(sink, &err);
    ptf_sink_abort(sink);
    return status;
}

static void a_full_disk_is_an_error_without_a_trace(void **state)
{
    (void)state;
    static const char *const names[] = {"x.npy", "x.ppm", "x.png", "x.txt"};
    static const rlim_t room[] = {0, 1, 40, 5000, 20000};
    struct rlimit old, limit;
    getrlimit(RLIMIT_FSIZE, &old);
    limit = old;
    signal(SIGXFSZ, SIG_IGN);
    for (size_t i = 0; i < PTF_ARRAY_SIZE(names); i++) {
        for (size_t k = 0; k < PTF_ARRAY_SIZE(room); k++) {
            limit.rlim_cur = room[k];
            setrlimit(RLIMIT_FSIZE, &limit);
            ptf_status status = write_without_room(names[i]);
            setrlimit(RLIMIT_FSIZE, &old);
            assert_int_equal(status, PTF_IO);
            assert_non_null(strstr(err.message, "cannot write"));
            assert_int_equal(folder_count(), 0);
        }
        must(write_without_room(names[i]));
        assert_int_equal(unlink(in_folder(names[i])), 0);
    }
    signal(SIGXFSZ, SIG_DFL);
}

static void targets_of_no_size_are_refused(void **state)
{
    (void)state;
    static const int64_t sides[] = {0, -1, (int64_t)1 << 40};
    ptf_sink *sink;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(sides); i++) {
        assert_int_equal(
            ptf_picture_create(in_folder("x.png"), sides[i], 5, &sink, &err),
            PTF_ARGUMENT);
        assert_int_equal(
            ptf_picture_create(in_folder("x.ppm"), 5, sides[i], &sink, &err),
            PTF_ARGUMENT);
    }
    const int64_t huge[] = {(int64_t)1 << 40, (int64_t)1 << 40};
    assert_int_equal(ptf_npy_create(in_folder("x.npy"), 2, huge, &sink, &err),
                     PTF_ARGUMENT);
    for (int i = 0; i < 3; i++)
        assert_int_equal((i == 0 ? ptf_picture_create(in_folder("no/x.png"), 5,
                                                      5, &sink, &err)
                          : i == 1 ? ptf_picture_create(in_folder("no/x.ppm"),
                                                        5, 5, &sink, &err)
                                   : ptf_npy_create(in_folder("no/x.npy"), 1,
                                                    &sides[2], &sink, &err)),
                         PTF_IO);
    assert_int_equal(folder_count(), 0);
}

int main(int argc, char **argv)
{
    folder = argc > 1 ? argv[1] : "tests/images";
#define IN_FOLDER(test) \
    cmocka_unit_test_setup_teardown(test, folder_setup, folder_teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(images_are_what_pillow_and_numpy_say),
        cmocka_unit_test(rows_in_pieces_are_the_rows_of_the_whole),
        cmocka_unit_test(numbers_are_divided_then_normalised),
        cmocka_unit_test(labels_and_names_come_from_the_file),
        IN_FOLDER(folders_of_classes_give_labels),
        IN_FOLDER(a_pipe_is_read_whole),
        IN_FOLDER(a_fifo_is_refused_and_not_waited_for),
        IN_FOLDER(files_that_end_early_are_refused),
        IN_FOLDER(no_changed_byte_does_harm),
        IN_FOLDER(sizes_that_cannot_be_are_refused),
        cmocka_unit_test(arrays_of_another_rank_are_refused),
        cmocka_unit_test(running_out_of_memory_leaves_nothing_after),
        IN_FOLDER(arrays_that_are_written_are_read_back),
        IN_FOLDER(pictures_that_are_written_are_read_back),
        IN_FOLDER(a_full_disk_is_an_error_without_a_trace),
        IN_FOLDER(targets_of_no_size_are_refused),
    };
    if (argc > 2)
        cmocka_set_test_filter(argv[2]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
