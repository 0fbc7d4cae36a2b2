/*
 * Output files: complete or absent, whatever happens on the way.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/base.h"
#include "folder.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { LARGE = 300000 };

static void fill(uint8_t *data)
{
    for (size_t i = 0; i < LARGE; i++)
        data[i] = (uint8_t)(i * 2654435761u >> 11);
}

static void assert_file(const char *path, const void *data, size_t size)
{
    size_t found;
    uint8_t *bytes = file_read(path, &found);
    assert_int_equal(found, size);
    assert_memory_equal(bytes, data, size);
    free(bytes);
}

/* Writes "new" to 'path'; the status of the step that failed, or PTF_OK. */
static ptf_status write_new(const char *path, const ptf_file *source,
                            ptf_error *err)
{
    ptf_output *out;
    ptf_status status = ptf_output_open(path, source, &out, err);
    if (status != PTF_OK)
        return status;
    status = ptf_output_write(out, "new", 3, err);
    if (status == PTF_OK)
        return ptf_output_commit(out, err);
    ptf_output_abort(out);
    return status;
}

static void a_file_appears_on_commit_only(void **state)
{
    (void)state;
    ptf_error err;
    ptf_output *out;
    const char *path = in_folder("x");
    assert_int_equal(ptf_output_open(path, NULL, &out, &err), PTF_OK);
    assert_int_equal(ptf_output_write(out, "abc", 3, &err), PTF_OK);
    assert_int_equal(ptf_output_offset(out), 3);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(ptf_output_commit(out, &err), PTF_OK);
    assert_file(path, "abc", 3);
    assert_int_equal(folder_count(), 1);
}

static void a_named_temporary_file_serves_as_well(void **state)
{
    faults.no_nameless = true;
    a_file_appears_on_commit_only(state);
}

/* Whatever the file system can do: nameless files, flags of renames, links. */
static void a_file_that_appears_meanwhile_is_kept(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        ptf_error err;
        ptf_output *out;
        faults = (system_faults){
            .no_nameless = i > 0, .no_keeping = i > 1, .no_links = i > 2};
        ptf_keep_files(true);
        assert_int_equal(ptf_output_open(in_folder("x"), NULL, &out, &err),
                         PTF_OK);
        ptf_keep_files(i == 4); /* what counts was said at first */
        assert_int_equal(ptf_output_write(out, "new", 3, &err), PTF_OK);
        file_write(in_folder("x"), "another's", 9);
        assert_int_equal(ptf_output_commit(out, &err), PTF_ARGUMENT);
        assert_non_null(strstr(err.message, "exists by now"));
        assert_file(in_folder("x"), "another's", 9);
        assert_int_equal(folder_count(), 1);
        ptf_keep_files(true);
        assert_int_equal(write_new(in_folder("x"), NULL, &err), PTF_ARGUMENT);
        assert_int_equal(unlink(in_folder("x")), 0);
        assert_int_equal(write_new(in_folder("x"), NULL, &err), PTF_OK);
        assert_file(in_folder("x"), "new", 3);
        assert_int_equal(folder_count(), 1);
        ptf_keep_files(false);
        assert_int_equal(write_new(in_folder("x"), NULL, &err), PTF_OK);
        assert_int_equal(unlink(in_folder("x")), 0);
    }
}

static void the_usual_mode_is_given(void **state)
{
    (void)state;
    mode_t mask = umask(027);
    for (int i = 0; i < 2; i++) {
        struct stat st;
        faults.no_nameless = i == 1;
        assert_int_equal(write_new(in_folder("x"), NULL, NULL), PTF_OK);
        assert_int_equal(stat(in_folder("x"), &st), 0);
        assert_int_equal(st.st_mode & 0777, 0640);
    }
    umask(mask);
}

static void abort_leaves_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        ptf_output *out;
        faults.no_nameless = i == 1;
        assert_int_equal(ptf_output_open(in_folder("x"), NULL, &out, NULL),
                         PTF_OK);
        assert_int_equal(ptf_output_write(out, "abc", 3, NULL), PTF_OK);
        ptf_output_abort(out);
        assert_int_equal(folder_count(), 0);
    }
    ptf_output_abort(NULL);
}

static void what_a_handler_removes(void **state)
{
    (void)state;
    ptf_output *out, *other;
    faults.no_nameless = true;
    assert_int_equal(write_new(in_folder("x"), NULL, NULL), PTF_OK);
    assert_int_equal(ptf_output_open(in_folder("y"), NULL, &out, NULL), PTF_OK);
    assert_int_equal(ptf_output_open(in_folder("z"), NULL, &other, NULL),
                     PTF_OK);
    assert_int_equal(folder_count(), 3);
    ptf_remove_temporaries();
    assert_int_equal(folder_count(), 1); /* x was finished */
    ptf_output_abort(out);
    ptf_output_abort(other);
}

static void end(int number)
{
    (void)number;
    ptf_remove_temporaries();
    _exit(0);
}

/*
 * A process that a signal ends while it gives its file a name.  In its way
 * are the target and, with 'taken', the first temporary name.
 */
static void end_while_naming(bool nameless, bool taken)
{
    char name[400];
    pid_t child = fork();
    if (child == 0) {
        alarm(20); /* rather than to wait for ever */
        signal(SIGTERM, end);
        if (taken) {
            snprintf(name, sizeof(name), "%s.%06u", in_folder("x"),
                     (unsigned)getpid() % 1000000);
            file_write(name, "another's", 9);
        }
        faults = (system_faults){.no_nameless = !nameless, .signal = SIGTERM};
        write_new(in_folder("x"), NULL, NULL);
        raise(SIGTERM); /* without nameless files nothing is linked */
        _exit(1);
    }
    int result = 0;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_int_equal(result, 0);
    assert_file(in_folder("x"), "new", 3);
    assert_int_equal(folder_count(), 1 + taken);
    if (taken) {
        snprintf(name, sizeof(name), "%s.%06u", in_folder("x"),
                 (unsigned)child % 1000000);
        assert_file(name, "another's", 9);
        assert_int_equal(unlink(name), 0);
    }
}

static void a_signal_while_naming_leaves_whole_files(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        file_write(in_folder("x"), "old", 3);
        end_while_naming(i < 2, i == 1);
    }
}

static void a_signal_while_writing_leaves_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        pid_t child = fork();
        if (child == 0) {
            ptf_output *out;
            faults.no_nameless = i == 1;
            alarm(20);
            signal(SIGTERM, end);
            if (ptf_output_open(in_folder("x"), NULL, &out, NULL) == PTF_OK)
                ptf_output_write(out, "abc", 3, NULL);
            raise(SIGTERM);
            _exit(1);
        }
        int result = 0;
        assert_int_equal(waitpid(child, &result, 0), child);
        assert_int_equal(result, 0);
        assert_int_equal(folder_count(), 0);
    }
}

typedef struct heard {
    int calls;
    uint64_t done, total;
} heard;

static void hear(void *to, const char *what, uint64_t done, uint64_t total)
{
    heard *h = to;
    assert_string_equal(what, "writing");
    assert_true(done >= h->done);
    *h = (heard){h->calls + 1, done, total};
}

static void a_watcher_hears_of_every_step(void **state)
{
    (void)state;
    static uint8_t data[LARGE];
    heard h = {0};
    ptf_output *out;
    assert_int_equal(ptf_output_open(in_folder("x"), NULL, &out, NULL), PTF_OK);
    ptf_set_progress(hear, &h);
    assert_int_equal(ptf_output_write(out, data, 100, NULL), PTF_OK);
    assert_int_equal(h.calls, 0); /* of how many? */
    ptf_output_expect(out, LARGE);
    for (int i = 0; i < 3; i++)
        assert_int_equal(ptf_output_write(out, data, LARGE / 3, NULL), PTF_OK);
    ptf_set_progress(NULL, NULL);
    assert_int_equal(ptf_output_write(out, data, 100, NULL), PTF_OK);
    assert_int_equal(h.calls, 3);
    assert_int_equal(h.done, LARGE); /* never more */
    assert_int_equal(h.total, LARGE);
    ptf_output_abort(out);
}

static void an_old_file_is_replaced_whole(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        faults.no_nameless = i == 1;
        file_write(in_folder("x"), "old content", 11);
        assert_int_equal(write_new(in_folder("x"), NULL, NULL), PTF_OK);
        assert_file(in_folder("x"), "new", 3);
        assert_int_equal(folder_count(), 1);
    }
}

static void a_link_is_followed_not_replaced(void **state)
{
    (void)state;
    struct stat st;
    file_write(in_folder("real"), "old", 3);
    assert_int_equal(symlink("real", in_folder("link")), 0);
    assert_int_equal(write_new(in_folder("link"), NULL, NULL), PTF_OK);
    assert_int_equal(lstat(in_folder("link"), &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_file(in_folder("real"), "new", 3);
}

static void the_input_is_refused_under_any_name(void **state)
{
    (void)state;
    static const char *const names[] = {"in", "hard", "soft", "./in"};
    ptf_file source;
    file_write(in_folder("in"), "input", 5);
    assert_int_equal(link(in_folder("in"), in_folder("hard")), 0);
    assert_int_equal(symlink("in", in_folder("soft")), 0);
    assert_int_equal(ptf_file_open(in_folder("in"), &source, NULL), PTF_OK);
    for (size_t i = 0; i < PTF_ARRAY_SIZE(names); i++) {
        ptf_error err;
        assert_int_equal(write_new(in_folder(names[i]), &source, &err),
                         PTF_ARGUMENT);
        assert_non_null(strstr(err.message, "is the input itself"));
    }
    ptf_file_close(&source);
    assert_file(in_folder("in"), "input", 5);
    assert_int_equal(folder_count(), 3);
}

static void what_cannot_be_a_target_is_refused(void **state)
{
    (void)state;
    assert_int_equal(mkdir(in_folder("dir"), 0777), 0);
    assert_int_equal(write_new(in_folder("dir"), NULL, NULL), PTF_IO);
    assert_int_equal(write_new(in_folder("none/x"), NULL, NULL), PTF_IO);
    assert_int_equal(write_new("/dev/full", NULL, NULL), PTF_IO);
    assert_int_equal(write_new("", NULL, NULL), PTF_IO);
    assert_int_equal(symlink("none", in_folder("link")), 0);
    assert_int_equal(write_new(in_folder("link"), NULL, NULL), PTF_IO);
    assert_int_equal(symlink("loop", in_folder("loop")), 0);
    assert_int_equal(write_new(in_folder("loop"), NULL, NULL), PTF_IO);
    assert_int_equal(folder_count(), 3);
}

static void a_disk_that_fails_leaves_the_old_file(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        ptf_error err;
        faults = (system_faults){.no_nameless = i == 1, .sync_fails = i < 2};
        faults.link_fails = i == 2;
        file_write(in_folder("x"), "old", 3);
        assert_int_equal(write_new(in_folder("x"), NULL, &err), PTF_IO);
        assert_non_null(strstr(err.message, "cannot write"));
        assert_file(in_folder("x"), "old", 3);
        assert_int_equal(folder_count(), 1);
    }
}

static void a_full_disk_is_an_error_without_a_trace(void **state)
{
    (void)state;
    static uint8_t data[LARGE];
    struct rlimit old, limit;
    getrlimit(RLIMIT_FSIZE, &old);
    limit = old;
    limit.rlim_cur = 100000;
    signal(SIGXFSZ, SIG_IGN);
    for (int i = 0; i < 4; i++) {
        ptf_error err;
        ptf_output *out;
        faults.no_nameless = (i & 1) != 0;
        assert_int_equal(ptf_output_open(in_folder("x"), NULL, &out, NULL),
                         PTF_OK);
        setrlimit(RLIMIT_FSIZE, &limit);
        if ((i & 2) != 0)
            ptf_output_expect(out, LARGE);
        ptf_status status = ptf_output_write(out, data, LARGE, &err);
        setrlimit(RLIMIT_FSIZE, &old);
        assert_int_equal(status, PTF_IO);
        assert_non_null(strstr(err.message, "cannot write"));
        ptf_output_abort(out);
        assert_int_equal(folder_count(), 0);
    }
    signal(SIGXFSZ, SIG_DFL);
}

static void a_killed_process_leaves_nothing(void **state)
{
    (void)state;
    int fd = open(in_folder("."), O_TMPFILE | O_WRONLY, 0600);
    if (fd < 0)
        skip(); /* this file system needs a temporary name */
    close(fd);
    pid_t child = fork();
    if (child == 0) {
        ptf_output *out;
        if (ptf_output_open(in_folder("x"), NULL, &out, NULL) == PTF_OK)
            ptf_output_write(out, "abc", 3, NULL);
        kill(getpid(), SIGKILL);
        _exit(0);
    }
    int result = 0;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFSIGNALED(result));
    assert_int_equal(folder_count(), 0);
}

static void short_and_interrupted_writes_go_on(void **state)
{
    (void)state;
    static uint8_t data[LARGE];
    ptf_output *out;
    fill(data);
    faults.short_writes = true;
    assert_int_equal(ptf_output_open(in_folder("x"), NULL, &out, NULL), PTF_OK);
    assert_int_equal(ptf_output_write(out, data, LARGE, NULL), PTF_OK);
    faults.short_writes = false;
    assert_int_equal(ptf_output_commit(out, NULL), PTF_OK);
    assert_file(in_folder("x"), data, LARGE);
}

/* Copies parts of a file to every position in a page. */
static void copy_parts(bool copying, size_t head)
{
    static const size_t parts[][2] = {
        {0, LARGE}, {1, 5000}, {4096, 4096}, {100, 10}, {LARGE - 1, 1}, {5, 0},
    };
    static uint8_t data[LARGE], expected[2 * LARGE];
    ptf_file source;
    ptf_output *out;
    fill(data);
    file_write(in_folder("in"), data, LARGE);
    faults.no_copying = !copying;
    assert_int_equal(ptf_file_open(in_folder("in"), &source, NULL), PTF_OK);
    assert_int_equal(ptf_output_open(in_folder("x"), &source, &out, NULL),
                     PTF_OK);
    ptf_output_expect(out, 3 * LARGE); /* too much: cut at the end */
    assert_int_equal(ptf_output_write(out, data, head, NULL), PTF_OK);
    memcpy(expected, data, head);
    size_t size = head;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(parts); i++) {
        assert_int_equal(ptf_output_copy(out, &source,
                                         source.data + parts[i][0], parts[i][1],
                                         NULL),
                         PTF_OK);
        memcpy(expected + size, data + parts[i][0], parts[i][1]);
        size += parts[i][1];
        assert_int_equal(ptf_output_offset(out), size);
    }
    assert_int_equal(ptf_output_commit(out, NULL), PTF_OK);
    ptf_file_close(&source);
    assert_file(in_folder("x"), expected, size);
    struct stat st;
    assert_int_equal(stat(in_folder("x"), &st), 0);
    assert_in_range(st.st_blocks * 512, 0, size + 65536);
}

static void parts_of_a_file_are_copied_by_the_kernel(void **state)
{
    (void)state;
    copy_parts(true, 0);
    copy_parts(true, 1);
    copy_parts(true, 4095);
}

static void parts_of_a_file_are_written_where_it_cannot(void **state)
{
    (void)state;
    copy_parts(false, 0);
    copy_parts(false, 4097);
}

static void memory_running_out_is_an_error_without_a_trace(void **state)
{
    (void)state;
    for (long n = 0; n < 6; n++) {
        ptf_error err;
        ptf_alloc_fail_after(n);
        ptf_status status = write_new(in_folder("x"), NULL, &err);
        ptf_alloc_fail_after(-1);
        if (n < 4) /* the object and three texts */
            assert_int_equal(status, PTF_MEMORY);
        assert_int_equal(folder_count(), status == PTF_OK);
        if (status == PTF_OK)
            assert_int_equal(unlink(in_folder("x")), 0);
    }
}

static void a_file_that_cannot_be_mapped_is_refused(void **state)
{
    (void)state;
    ptf_file file;
    ptf_error err;
    assert_int_equal(ptf_file_open(in_folder("none"), &file, &err), PTF_IO);
    assert_non_null(strstr(err.message, "cannot open: No such file"));
    assert_int_equal(ptf_file_open(in_folder("."), &file, &err), PTF_IO);
    assert_int_equal(ptf_file_open("/dev/null", &file, &err), PTF_IO);
    file_write(in_folder("empty"), "", 0);
    assert_int_equal(ptf_file_open(in_folder("empty"), &file, &err),
                     PTF_FORMAT);
}

#define TEST(name) \
    cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_file_appears_on_commit_only),
        TEST(a_named_temporary_file_serves_as_well),
        TEST(a_file_that_appears_meanwhile_is_kept),
        TEST(the_usual_mode_is_given),
        TEST(abort_leaves_nothing),
        TEST(what_a_handler_removes),
        TEST(a_signal_while_naming_leaves_whole_files),
        TEST(a_signal_while_writing_leaves_nothing),
        TEST(a_watcher_hears_of_every_step),
        TEST(an_old_file_is_replaced_whole),
        TEST(a_link_is_followed_not_replaced),
        TEST(the_input_is_refused_under_any_name),
        TEST(what_cannot_be_a_target_is_refused),
        TEST(a_disk_that_fails_leaves_the_old_file),
        TEST(a_full_disk_is_an_error_without_a_trace),
        TEST(a_killed_process_leaves_nothing),
        TEST(short_and_interrupted_writes_go_on),
        TEST(parts_of_a_file_are_copied_by_the_kernel),
        TEST(parts_of_a_file_are_written_where_it_cannot),
        TEST(memory_running_out_is_an_error_without_a_trace),
        TEST(a_file_that_cannot_be_mapped_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
