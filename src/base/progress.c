/*
 * Who is told how far long work is.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/base.h"

/* Of each thread, so that libraries in one process do not meet here. */
static _Thread_local struct {
    ptf_progress_function *call;
    void *to;
} watcher;

void ptf_set_progress(ptf_progress_function *progress, void *to)
{
    watcher.call = progress;
    watcher.to = to;
}

void ptf_report(const char *what, uint64_t done, uint64_t total)
{
    if (watcher.call != NULL && total > 0)
        watcher.call(watcher.to, what, done < total ? done : total, total);
}
