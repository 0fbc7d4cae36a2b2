/*
 * The lock of the lists that signal handlers read.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/base.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>

/* Who has it gets no signals, so that a handler waits for other threads only.
 */
static atomic_flag lock = ATOMIC_FLAG_INIT;

void ptf_signals_hold(sigset_t *old)
{
    int reason = errno;
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, old);
    while (atomic_flag_test_and_set(&lock))
        poll(NULL, 0, 1); /* handlers may call it */
    errno = reason;
}

void ptf_signals_release(const sigset_t *old)
{
    int reason = errno;
    atomic_flag_clear(&lock);
    pthread_sigmask(SIG_SETMASK, old, NULL);
    errno = reason;
}
