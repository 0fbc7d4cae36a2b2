/*
 * tool/progress: what is shown of long work, on a terminal and elsewhere.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/base.h"
#include "tool/common/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/*
 * Seconds; the clock stands unless a test moves it, and there is no thread
 * that keeps up what is shown, unless both are to be real.
 */
static double now;
static bool real;

int __real_clock_gettime(clockid_t clock, struct timespec *t);
int __wrap_clock_gettime(clockid_t clock, struct timespec *t);
int __wrap_clock_gettime(clockid_t clock, struct timespec *t)
{
    if (real)
        return __real_clock_gettime(clock, t);
    t->tv_sec = (time_t)now;
    t->tv_nsec = (long)(1e9 * (now - (double)t->tv_sec));
    return 0;
}

typedef void *thread_function(void *);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          thread_function *function, void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          thread_function *function, void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          thread_function *function, void *argument)
{
    return real ? __real_pthread_create(thread, attributes, function, argument)
                : EAGAIN;
}

/* Runs 'work' with the file 'fd' as stderr. */
static void with_stderr(int fd, void (*work)(void))
{
    int old = dup(STDERR_FILENO);
    fflush(stderr);
    assert_int_equal(dup2(fd, STDERR_FILENO), STDERR_FILENO);
    now = 1000;
    work();
    fflush(stderr);
    assert_int_equal(dup2(old, STDERR_FILENO), STDERR_FILENO);
    close(old);
}

static int watched; /* what the terminal shows can be read there */

static char said[16384];

static void read_said(int fd)
{
    size_t size = 0;
    ssize_t n;
    while ((n = read(fd, said + size, sizeof(said) - 1 - size)) > 0)
        size += (size_t)n;
    said[size] = '\0'; /* a terminal that is closed ends with an error */
}

static void run_in_file(void (*work)(void))
{
    FILE *f = tmpfile();
    assert_non_null(f);
    with_stderr(fileno(f), work);
    assert_int_equal(lseek(fileno(f), 0, SEEK_SET), 0);
    read_said(fileno(f));
    fclose(f);
}

/* False where there are no terminals. */
static bool run_on_terminal(const char *term, void (*work)(void))
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0 || grantpt(master) != 0 || unlockpt(master) != 0)
        return false;
    int terminal = open(ptsname(master), O_RDWR | O_NOCTTY);
    assert_true(terminal >= 0);
    setenv("TERM", term, 1);
    watched = master;
    with_stderr(terminal, work);
    close(terminal);
    read_said(master);
    close(master);
    return true;
}

/* A hundred images, five in five seconds. */
static void images(void)
{
    tool_progress p;
    tool_progress_start(&p, "running", "images", 100);
    for (int i = 5; i <= 100; i += 5) {
        now += 5;
        tool_progress_at(&p, i);
    }
    tool_progress_end(&p);
}

static int count(const char *text)
{
    int n = 0;
    for (const char *p = said; (p = strstr(p, text)) != NULL; p++)
        n++;
    return n;
}

static void a_file_gets_a_line_every_ten_seconds(void **state)
{
    (void)state;
    run_in_file(images);
    assert_int_equal(count("\n"), 10);
    assert_int_equal(count("\r"), 0);
    assert_int_equal(
        strncmp(said, "running:  10 %, 1 images/s, 1:30 left\n", 38), 0);
    assert_non_null(strstr(said, "running: 100 %, 1 images/s, 0:00 left\n"));
}

static void a_terminal_gets_a_bar(void **state)
{
    (void)state;
    if (!run_on_terminal("xterm", images))
        skip();
    assert_int_equal(count("\r\033[K["), 20);
    assert_non_null(strstr(said,
                           "[#####...............] running:  25 %, 1 images/s, "
                           "1:15 left"));
    assert_string_equal(said + strlen(said) - 4, "\r\033[K"); /* gone */
    assert_true(run_on_terminal("dumb", images));
    assert_int_equal(count("\r\033"), 0);
    assert_int_equal(count("left"), 10);
}

static void too_many(void)
{
    tool_progress p;
    tool_progress_start(&p, "sliding", "rows", 20);
    now += 20;
    tool_progress_at(&p, 21);
    tool_progress_end(&p);
}

static void there_is_no_more_than_all(void **state)
{
    (void)state;
    run_in_file(too_many);
    assert_string_equal(said, "sliding: 100 %, 1 rows/s, 0:00 left\n");
}

/* Four steps, of which each takes forty seconds. */
static void slow_steps(void)
{
    tool_progress p;
    tool_progress_start(&p, "sliding", "rows", 4);
    for (int i = 1; i <= 4; i++) {
        for (int second = 0; second < 40; second++) {
            now += 1;
            tool_progress_show(&p);
        }
        tool_progress_at(&p, i);
    }
    tool_progress_end(&p);
}

static void a_long_step_is_shown_meanwhile(void **state)
{
    (void)state;
    run_in_file(slow_steps);
    assert_int_equal(count("\n"), 16);
    assert_int_equal(strncmp(said,
                             "sliding:   0 %, 0:10 so far\n"
                             "sliding:   0 %, 0:20 so far\n",
                             56),
                     0);
    assert_non_null(strstr(said, "sliding:  50 %, 0.025 rows/s, 1:10 left\n"
                                 "sliding:  50 %, 0.025 rows/s, 1:00 left\n"));
    if (!run_on_terminal("xterm", slow_steps))
        skip();
    assert_int_equal(count("so far"), 40);
    assert_int_equal(count("left"), 120);
}

/* No step at all, until something is shown or a minute is over. */
static void one_step(void)
{
    struct pollfd shown = {.fd = watched, .events = POLLIN};
    tool_progress p;
    tool_progress_start(&p, "sliding", "rows", 4);
    poll(&shown, 1, 60000);
    tool_progress_end(&p);
}

static void a_thread_shows_it(void **state)
{
    (void)state;
    real = true;
    bool ran = run_on_terminal("xterm", one_step);
    real = false;
    if (!ran)
        skip();
    assert_non_null(strstr(said, "] sliding:   0 %, 0:"));
    assert_string_equal(said + strlen(said) - 4, "\r\033[K");
}

/* The longest words, a step in forty seconds, and a day to go. */
static void long_line(void)
{
    tool_progress p;
    tool_progress_start(&p, "comparing windows", "rows", 9000);
    now += 39.81;
    tool_progress_at(&p, 1);
    tool_progress_end(&p);
}

static unsigned short narrow; /* columns, or 0 */

static void long_line_there(void)
{
    struct winsize size = {.ws_row = 24, .ws_col = narrow};
    assert_int_equal(ioctl(STDERR_FILENO, TIOCSWINSZ, &size), 0);
    long_line();
}

/* The last column stays free: a terminal wraps a line that fills it. */
static void a_bar_fits_into_a_line(void **state)
{
    (void)state;
    narrow = 0;
    if (!run_on_terminal("xterm", long_line_there))
        skip();
    const char bar[] = "[....................] comparing windows:   0 %, "
                       "0.02512 rows/s, 99:30:50 left";
    assert_in_range(strlen(bar), 0, 79);
    assert_int_equal(count(bar), 1);
    narrow = 40;
    assert_true(run_on_terminal("xterm", long_line_there));
    assert_int_equal(strlen(said), 4 + 39 + 4);
    assert_int_equal(strncmp(said + 4, bar, 39), 0);
}

static void quick(void)
{
    tool_progress p;
    tool_progress_start(&p, "running", "images", 3);
    for (int i = 1; i <= 3; i++) {
        now += 0.1;
        tool_progress_at(&p, i);
    }
    tool_progress_end(&p);
}

static void quick_work_is_not_shown(void **state)
{
    (void)state;
    run_in_file(quick);
    assert_string_equal(said, "");
    if (!run_on_terminal("xterm", quick))
        skip();
    assert_string_equal(said, "");
}

/* What the library says of its own work: 3 GB in a minute. */
static void library(void)
{
    tool_progress_watch();
    for (uint64_t i = 0; i <= 12; i++) {
        now += 5;
        ptf_report("writing", i * 250000000, 3000000000);
    }
    for (uint64_t i = 1; i <= 5; i++) { /* and now something else */
        now += 5;
        ptf_report("verifying", i, 5);
    }
    ptf_set_progress(NULL, NULL);
}

static void what_the_library_does_is_shown(void **state)
{
    (void)state;
    run_in_file(library);
    assert_int_equal(count("\n"), 8);
    assert_non_null(strstr(said, "writing:  50 %, 50 MB/s, 0:30 left\n"));
    if (!run_on_terminal("xterm", library))
        skip();
    assert_int_equal(count("writing"), 12);
    assert_int_equal(count("verifying"), 4);
    assert_string_equal(said + strlen(said) - 4, "\r\033[K");
}

static void interrupted(void)
{
    tool_progress p;
    tool_progress_start(&p, "running", "images", 3);
    now += 20000;
    tool_progress_at(&p, 1);
    tool_progress_break();
    tool_progress_break();
}

static void a_bar_that_is_left_keeps_its_line(void **state)
{
    (void)state;
    if (!run_on_terminal("xterm", interrupted))
        skip();
    assert_non_null(strstr(said, "11:06:40 left\r\n"));
    assert_int_equal(count("\n"), 1);
}

static void nobody_hears_a_quiet_program(void **state)
{
    (void)state;
    tool_progress_quiet();
    run_in_file(images);
    assert_string_equal(said, "");
    if (!run_on_terminal("xterm", images))
        skip();
    assert_string_equal(said, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_gets_a_line_every_ten_seconds),
        cmocka_unit_test(a_terminal_gets_a_bar),
        cmocka_unit_test(there_is_no_more_than_all),
        cmocka_unit_test(a_long_step_is_shown_meanwhile),
        cmocka_unit_test(a_thread_shows_it),
        cmocka_unit_test(a_bar_fits_into_a_line),
        cmocka_unit_test(quick_work_is_not_shown),
        cmocka_unit_test(what_the_library_does_is_shown),
        cmocka_unit_test(a_bar_that_is_left_keeps_its_line),
        cmocka_unit_test(nobody_hears_a_quiet_program), /* the last one */
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
