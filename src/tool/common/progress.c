/*
 * Progress of long work on stderr: a bar on a terminal, else a line every ten
 * seconds; nothing for work that is over before anyone could wonder.  A thread
 * keeps it up while a single step takes long.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/common/tool.h"

#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

/* Seconds: until the first sign, and between two of them. */
static const double patience = 0.5, frame = 0.1, silence = 10.0;

/* Columns of a line and the terminal's last one; those of the bar. */
enum { COLUMNS = 80, BAR = 20 };

static bool quiet;
static atomic_bool bar_shown; /* asked by signal handlers of any thread */

void tool_progress_quiet(void)
{
    quiet = true;
}

double tool_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool is_terminal(void)
{
    const char *term = getenv("TERM");
    return isatty(STDERR_FILENO) && term != NULL && strcmp(term, "dumb") != 0;
}

static void start(tool_progress *p, const char *what, const char *unit,
                  int64_t total)
{
    double now = tool_now();
    *p = (tool_progress){.what = what,
                         .unit = unit,
                         .total = total,
                         .start = now,
                         .last = now,
                         .terminal = is_terminal()};
    p->next = now + (p->terminal ? patience : silence);
}

/* "1:02:03" or "0:07" */
static const char *duration(double seconds, char text[32])
{
    long s = seconds < 1e6 ? (long)(seconds + 0.5) : 999999;
    if (s >= 3600)
        snprintf(text, 32, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(text, 32, "%ld:%02ld", s / 60, s % 60);
    return text;
}

/* Adds to a line, which is cut where there is no room. */
__attribute__((format(printf, 2, 3))) static void add(char line[COLUMNS],
                                                      const char *format, ...)
{
    size_t size = strlen(line);
    va_list args;
    va_start(args, format);
    vsnprintf(line + size, COLUMNS - size, format, args);
    va_end(args);
}

/* Bytes come in large numbers. */
static void add_rate(char line[COLUMNS], double rate, const char *unit)
{
    if (strcmp(unit, "bytes") == 0)
        add(line, "%.4g MB/s", 1e-6 * rate);
    else
        add(line, "%.4g %s/s", rate, unit);
}

static void add_bar(char line[COLUMNS], double share)
{
    char bar[BAR + 1];
    int full = (int)(share * BAR);
    for (int i = 0; i < BAR; i++)
        bar[i] = i < full ? '#' : '.';
    bar[BAR] = '\0';
    add(line, "[%s] ", bar);
}

/* "5 images/s, 1:30 left", by the steps until now; "0:20 so far" without. */
static void add_pace(char line[COLUMNS], const tool_progress *p, double now)
{
    char text[32];
    if (p->done == 0) {
        add(line, "%s so far", duration(now - p->start, text));
        return;
    }
    double rate = (double)p->done / (p->last - p->start);
    double left = (double)(p->total - p->done) / rate - (now - p->last);
    add_rate(line, rate, p->unit);
    add(line, ", %s left", duration(left > 0.0 ? left : 0.0, text));
}

/* The terminal's, as far as a line has use for them. */
static int columns(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return COLUMNS;
    return size.ws_col < COLUMNS ? size.ws_col : COLUMNS;
}

static void show(tool_progress *p)
{
    double now = tool_now();
    if (quiet || now < p->next || p->total < 1)
        return;
    char line[COLUMNS] = "";
    double share = (double)p->done / (double)p->total;
    if (p->terminal)
        add_bar(line, share);
    add(line, "%s: %3.0f %%, ", p->what, 100.0 * share);
    add_pace(line, p, now);
    p->shown = p->terminal;
    bar_shown = p->terminal;
    if (p->terminal) /* a line that wraps could not be taken back */
        fprintf(stderr, "\r\033[K%.*s", columns() - 1, line);
    else
        fprintf(stderr, "%s\n", line);
    p->next = now + (p->terminal ? frame : silence);
}

static void at(tool_progress *p, int64_t done)
{
    p->done =
        done < p->total ? done : p->total; /* a wrong guess of the whole */
    p->last = tool_now();
    show(p);
}

static void end(tool_progress *p)
{
    if (p->shown)
        fputs("\r\033[K", stderr);
    p->shown = false;
    bar_shown = false;
}

/* ------------------------------------------------------------- in the tools */

/* Of what is shown, and of all that a thread reads or changes. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t ended = PTHREAD_COND_INITIALIZER;

void tool_progress_show(tool_progress *p)
{
    pthread_mutex_lock(&lock);
    show(p);
    pthread_mutex_unlock(&lock);
}

static void *keep_up(void *progress)
{
    tool_progress *p = progress;
    pthread_mutex_lock(&lock);
    while (p->kept_up) {
        show(p);
        struct timespec until = {.tv_sec = (time_t)p->next};
        until.tv_nsec = (long)(1e9 * (p->next - (double)until.tv_sec));
        pthread_cond_clockwait(&ended, &lock, CLOCK_MONOTONIC, &until);
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

/* Signals are for the threads that work. */
static void start_keeper(tool_progress *p)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &old);
    p->kept_up = true;
    if (pthread_create(&p->keeper, NULL, keep_up, p) != 0)
        p->kept_up = false;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
}

void tool_progress_start(tool_progress *p, const char *what, const char *unit,
                         int64_t total)
{
    start(p, what, unit, total);
    if (!quiet && total > 0)
        start_keeper(p);
}

void tool_progress_at(tool_progress *p, int64_t done)
{
    pthread_mutex_lock(&lock);
    at(p, done);
    pthread_mutex_unlock(&lock);
}

void tool_progress_end(tool_progress *p)
{
    bool join = p->kept_up;
    pthread_mutex_lock(&lock);
    p->kept_up = false;
    end(p);
    pthread_cond_broadcast(&ended);
    pthread_mutex_unlock(&lock);
    if (join)
        pthread_join(p->keeper, NULL);
}

void tool_progress_break(void)
{
    if (atomic_exchange(&bar_shown, false))
        (void)!write(STDERR_FILENO, "\n", 1);
}

/* ----------------------------------------------------------- in the library */

/*
 * Of one kind of work at a time; the next one begins where one ends.  The
 * library reports often enough without a thread.
 */
static void on_report(void *to, const char *what, uint64_t done, uint64_t total)
{
    tool_progress *p = to;
    if (p->what != what || p->total != (int64_t)total)
        start(p, what, "bytes", (int64_t)total);
    at(p, (int64_t)done);
    if (done >= total) {
        end(p);
        p->what = NULL;
    }
}

void tool_progress_watch(void)
{
    static tool_progress watched;
    ptf_set_progress(on_report, &watched);
}
