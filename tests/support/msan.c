/*
 * MemorySanitizer knows what instrumented code writes.  libzip, jansson and
 * libcrypto are not instrumented.  These wrappers (see msan.sh) keep it from
 * judging what the libraries do inside, and mark what they hand over as
 * written at each place where the reader takes it.  zlib's results need no
 * mark: ptf_alloc() gives zeroed memory.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/base.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <sanitizer/msan_interface.h>
#include <zip.h>

/*
 * WRAP(type, function, (parameters), (arguments), mark) defines the function
 * that the linker puts in the place of another, which it calls __real_...;
 * 'mark' says what 'result' has written.
 */
#define WRAP(type, function, parameters, arguments, mark) \
    type __real_##function parameters;                    \
    type __wrap_##function parameters;                    \
    type __wrap_##function parameters                     \
    {                                                     \
        __msan_scoped_disable_interceptor_checks();       \
        type result = __real_##function arguments;        \
        __msan_scoped_enable_interceptor_checks();        \
        mark;                                             \
        return result;                                    \
    }

static void written_text(const char *text)
{
    if (text != NULL)
        __msan_unpoison_string(text);
}

static void written_stat(int result, zip_stat_t *st)
{
    __msan_unpoison(st, sizeof(*st));
    if (result == 0)
        written_text(st->name);
}

static void written_digest(unsigned char *sum, unsigned *size)
{
    if (size != NULL)
        __msan_unpoison(size, sizeof(*size));
    __msan_unpoison(sum, 32);
}

WRAP(zip_source_t *, zip_source_buffer_create,
     (const void *data, zip_uint64_t size, int freep, zip_error_t *error),
     (data, size, freep, error), __msan_unpoison(error, sizeof(*error)))
WRAP(zip_t *, zip_open_from_source,
     (zip_source_t * source, int flags, zip_error_t *error),
     (source, flags, error), __msan_unpoison(error, sizeof(*error)))
WRAP(zip_int64_t, zip_get_num_entries, (zip_t * zip, zip_flags_t flags),
     (zip, flags), (void)result)
WRAP(int, zip_stat_index,
     (zip_t * zip, zip_uint64_t index, zip_flags_t flags, zip_stat_t *out),
     (zip, index, flags, out), written_stat(result, out))
WRAP(const char *, zip_error_strerror, (zip_error_t * error), (error),
     written_text(result))
WRAP(int, zip_error_code_zip, (const zip_error_t *error), (error), (void)result)
WRAP(json_t *, json_loadb,
     (const char *data, size_t size, size_t flags, json_error_t *error),
     (data, size, flags, error), __msan_unpoison(error, sizeof(*error)))
WRAP(int, EVP_Digest,
     (const void *data, size_t count, unsigned char *sum, unsigned *size,
      const EVP_MD *type, ENGINE *engine),
     (data, count, sum, size, type, engine), written_digest(sum, size))
WRAP(EVP_MD_CTX *, EVP_MD_CTX_new, (void), (), (void)result)
WRAP(int, EVP_DigestInit_ex,
     (EVP_MD_CTX * context, const EVP_MD *type, ENGINE *engine),
     (context, type, engine), (void)result)
WRAP(int, EVP_DigestFinal_ex,
     (EVP_MD_CTX * context, unsigned char *sum, unsigned *size),
     (context, sum, size), written_digest(sum, size))

/* jansson's values are read by its macros, so they must live in our memory. */
__attribute__((constructor)) static void give_memory(void)
{
    json_set_alloc_funcs(ptf_alloc, ptf_free);
}
