/*
 * tool/common/tool: what a program leaves behind that a signal ends, or whose
 * file another one cuts.  The end itself is wrapped, so that the test lives.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/base.h"
#include "folder.h"
#include "tool/common/tool.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

/* ------------------------------------------------------- ends of programs */

static int raised, status;
static sigjmp_buf ended;

enum { EXITED = 1, PAUSED, FAULTED };

int __wrap_raise(int number);
int __wrap_raise(int number)
{
    raised = number;
    return 0;
}

void __wrap__exit(int code) __attribute__((noreturn));
void __wrap__exit(int code)
{
    status = code;
    siglongjmp(ended, EXITED);
}

int __wrap_pause(void);
int __wrap_pause(void)
{
    siglongjmp(ended, PAUSED);
}

/* A handler that was there before the program's own. */
static void old_handler(int number)
{
    (void)number;
    siglongjmp(ended, FAULTED);
}

static void start(void)
{
    raised = 0;
    signal(SIGBUS, old_handler);
    tool_start("program");
}

static bool is_handled(int number, void (*handler)(int))
{
    struct sigaction now;
    assert_int_equal(sigaction(number, NULL, &now), 0);
    return now.sa_handler == handler;
}

/* Where LLVM's OpenMP registers the process. */
static const char *registration(void)
{
    static char path[64];
    snprintf(path, sizeof(path), "/dev/shm/__KMP_REGISTERED_LIB_%d_%d",
             (int)getpid(), (int)getuid());
    return path;
}

/* ----------------------------------------------------------------- signals */

static void an_ending_signal_takes_unfinished_files_along(void **state)
{
    static const int signals[] = {SIGHUP, SIGINT, SIGTERM};
    (void)state;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(signals); i++) {
        ptf_output *out;
        start();
        file_write(registration(), "x", 1);
        faults.no_nameless = true;
        assert_int_equal(ptf_output_open(in_folder("x"), NULL, &out, NULL),
                         PTF_OK);
        assert_int_equal(folder_count(), 1);
        assert_int_equal(kill(getpid(), signals[i]), 0);
        assert_int_equal(raised, signals[i]);
        assert_true(is_handled(signals[i], SIG_DFL)); /* what was raised ends */
        assert_int_equal(folder_count(), 0);
        assert_int_not_equal(access(registration(), F_OK), 0);
        ptf_output_abort(out);
    }
}

static void what_was_ignored_stays_so(void **state)
{
    (void)state;
    signal(SIGHUP, SIG_IGN);
    start();
    assert_true(is_handled(SIGHUP, SIG_IGN));
    assert_false(is_handled(SIGTERM, SIG_DFL));
    assert_true(is_handled(SIGXFSZ, SIG_IGN)); /* writes fail instead */
    signal(SIGHUP, SIG_DFL);
}

static void what_another_process_left_is_removed_at_the_start(void **state)
{
    (void)state;
    file_write(registration(), "x", 1);
    start();
    assert_int_not_equal(access(registration(), F_OK), 0);
}

/* -------------------------------------------------------------- bus errors */

static void a_bus_error_that_was_sent_is_the_old_handler_s(void **state)
{
    (void)state;
    start();
    assert_int_equal(kill(getpid(), SIGBUS), 0);
    assert_int_equal(raised, SIGBUS);
    assert_true(is_handled(SIGBUS, old_handler));
}

/* Reads the first byte of what is mapped, and says how that ended. */
static int read_byte(const void *data)
{
    int how = sigsetjmp(ended, 1);
    if (how == 0) {
        char byte = *(const volatile char *)data;
        fail_msg("got %d", byte);
    }
    return how;
}

static void a_fault_elsewhere_is_the_old_handler_s(void **state)
{
    (void)state;
    file_write(in_folder("x"), "abc", 3);
    FILE *f = fopen(in_folder("x"), "r+");
    assert_non_null(f);
    void *data = mmap(NULL, 3, PROT_READ, MAP_PRIVATE, fileno(f), 0);
    assert_ptr_not_equal(data, MAP_FAILED);
    assert_int_equal(ftruncate(fileno(f), 0), 0);
    start();
    assert_int_equal(read_byte(data), FAULTED);
    assert_int_equal(raised, 0);
    munmap(data, 3);
    fclose(f);
}

/* Runs read_byte() with stderr in a file, whose text goes to 'said'. */
static int read_and_listen(const void *data, char said[256])
{
    FILE *f = tmpfile();
    assert_non_null(f);
    int old = dup(STDERR_FILENO);
    assert_int_equal(dup2(fileno(f), STDERR_FILENO), STDERR_FILENO);
    int how = read_byte(data);
    assert_int_equal(dup2(old, STDERR_FILENO), STDERR_FILENO);
    close(old);
    rewind(f);
    said[fread(said, 1, 255, f)] = '\0';
    fclose(f);
    return how;
}

static void a_file_that_is_cut_ends_the_program_with_one_line(void **state)
{
    (void)state;
    char said[256], line[256];
    ptf_file file;
    const char *path = in_folder("cut\n"); /* names are escaped */
    file_write(path, "abc", 3);
    assert_int_equal(ptf_file_open(path, &file, NULL), PTF_OK);
    assert_int_equal(truncate(path, 0), 0);
    start();
    assert_int_equal(read_and_listen(file.data, said), EXITED);
    assert_int_equal(status, EXIT_SYSTEM);
    snprintf(line, sizeof(line),
             "program: %.*s\\x0a: was truncated while it was "
             "in use\n",
             (int)strlen(path) - 1, path);
    assert_string_equal(said, line);
    /* Another thread that faults meanwhile waits for the end. */
    assert_int_equal(read_and_listen(file.data, said), PAUSED);
    assert_string_equal(said, "");
    ptf_file_close(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            an_ending_signal_takes_unfinished_files_along, folder_setup,
            folder_teardown),
        cmocka_unit_test(what_was_ignored_stays_so),
        cmocka_unit_test(what_another_process_left_is_removed_at_the_start),
        cmocka_unit_test(a_bus_error_that_was_sent_is_the_old_handler_s),
        cmocka_unit_test_setup_teardown(a_fault_elsewhere_is_the_old_handler_s,
                                        folder_setup, folder_teardown),
        cmocka_unit_test_setup_teardown(
            a_file_that_is_cut_ends_the_program_with_one_line, folder_setup,
            folder_teardown),
    };
    alarm(20); /* rather than to fault for ever */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
