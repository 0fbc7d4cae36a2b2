/*
 * Progress of long work on stderr: a bar on a terminal, else a line every ten
 * seconds; nothing for work that is over before anyone could wonder.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/tool.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

/* Seconds: until the first sign, and between two of them. */
static const double patience = 0.5, frame = 0.1, silence = 10.0;

static bool quiet;
static volatile sig_atomic_t bar_shown;

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

void tool_progress_start(tool_progress *p, const char *what, const char *unit,
                         int64_t total)
{
    *p = (tool_progress){.what = what,
                         .unit = unit,
                         .total = total,
                         .start = tool_now(),
                         .terminal = is_terminal()};
    p->next = p->start + (p->terminal ? patience : silence);
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

/* Bytes come in large numbers. */
static void print_rate(double rate, const char *unit)
{
    if (strcmp(unit, "bytes") == 0)
        fprintf(stderr, "%.4g MB/s", 1e-6 * rate);
    else
        fprintf(stderr, "%.4g %s/s", rate, unit);
}

static void print_bar(double share)
{
    enum { WIDTH = 24 };
    char bar[WIDTH + 1];
    int full = (int)(share * WIDTH);
    for (int i = 0; i < WIDTH; i++)
        bar[i] = i < full ? '#' : '.';
    bar[WIDTH] = '\0';
    fprintf(stderr, "\r\033[K[%s] ", bar);
}

void tool_progress_show(tool_progress *p)
{
    if (quiet || !p->terminal)
        return;
    print_bar(0);
    fprintf(stderr, "%s:   0 %%", p->what);
    fflush(stderr);
    p->shown = true;
    bar_shown = true;
}

void tool_progress_at(tool_progress *p, int64_t done)
{
    double now = tool_now();
    if (quiet || now < p->next || p->total < 1)
        return;
    if (done > p->total)
        done = p->total; /* a wrong guess of the whole */
    char left[32];
    double spent = now - p->start, share = (double)done / (double)p->total;
    double rate = (double)done / spent;
    if (p->terminal)
        print_bar(share);
    fprintf(stderr, "%s: %3.0f %%, ", p->what, 100.0 * share);
    print_rate(rate, p->unit);
    fprintf(stderr, ", %s left%s",
            duration(rate > 0 ? (double)(p->total - done) / rate : 0.0, left),
            p->terminal ? "" : "\n");
    fflush(stderr);
    p->shown = p->terminal;
    bar_shown = p->terminal;
    p->next = now + (p->terminal ? frame : silence);
}

void tool_progress_end(tool_progress *p)
{
    if (p->shown)
        fputs("\r\033[K", stderr);
    p->shown = false;
    bar_shown = 0;
}

void tool_progress_break(void)
{
    if (bar_shown)
        (void)!write(STDERR_FILENO, "\n", 1);
    bar_shown = 0;
}

/* Of one kind of work at a time; the next one begins where one ends. */
static void on_report(void *to, const char *what, uint64_t done, uint64_t total)
{
    tool_progress *p = to;
    if (p->what != what || p->total != (int64_t)total)
        tool_progress_start(p, what, "bytes", (int64_t)total);
    tool_progress_at(p, (int64_t)done);
    if (done >= total) {
        tool_progress_end(p);
        p->what = NULL;
    }
}

void tool_progress_watch(void)
{
    static tool_progress watched;
    ptf_watch(on_report, &watched);
}
