/*
 * Another program that cuts a file while one of ours uses it: linked into the
 * programs (see meson.build), it comes right after the call that PTF_CUT_AT
 * names, and cuts the file PTF_CUT_FILE to PTF_CUT_TO bytes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/base.h"
#include "plan/plan.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static void cut(const char *moment)
{
    const char *at = getenv("PTF_CUT_AT"), *file = getenv("PTF_CUT_FILE");
    const char *size = getenv("PTF_CUT_TO");
    if (at == NULL || strcmp(at, moment) != 0 || file == NULL || size == NULL)
        return;
    if (truncate(file, atol(size)) != 0)
        abort();
    unsetenv("PTF_CUT_AT"); /* it comes once */
}

/* Calls the function that was meant, and then the other program. */
#define WRAP(type, name, parameters, arguments) \
    WRAP_WHEN(true, type, name, parameters, arguments)
#define WRAP_WHEN(condition, type, name, parameters, arguments) \
    type __real_##name parameters;                              \
    type __wrap_##name parameters;                              \
    type __wrap_##name parameters                               \
    {                                                           \
        type result = __real_##name arguments;                  \
        if (condition)                                          \
            cut(#name);                                         \
        return result;                                          \
    }

WRAP(void *, mmap64,
     (void *at, size_t size, int protection, int flags, int fd, off_t offset),
     (at, size, protection, flags, fd, offset))
WRAP(ptf_status, ptf_checkpoint_open,
     (const char *path, const ptf_open_options *options, ptf_checkpoint **out,
      ptf_error *err),
     (path, options, out, err))
WRAP(ptf_status, ptf_checkpoint_verify, (ptf_checkpoint * ckpt, ptf_error *err),
     (ckpt, err))
/* Before the checkpoint is open it is made without, to learn its parameters. */
WRAP_WHEN(ckpt != NULL, ptf_status, ptf_net_make,
          (const char *text, const char *name, const ptf_checkpoint *ckpt,
           const ptf_net_options *options, ptf_net **out, ptf_error *err),
          (text, name, ckpt, options, out, err))
WRAP(ptf_status, ptf_output_open,
     (const char *path, const ptf_file *source, ptf_output **out,
      ptf_error *err),
     (path, source, out, err))
WRAP(ssize_t, copy_file_range,
     (int in, off_t *from, int out, off_t *to, size_t size, unsigned flags),
     (in, from, out, to, size, flags))
