/*
 * base: what every folder needs.  Errors with a place, arenas, checked sizes,
 * a cursor over hostile bytes, mapped files, atomic output files, and what
 * the machine can do.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_BASE_H
#define PTF_BASE_H

#include "ptfold_tool.h"

#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>

/* Of a feature map: depth, height, width.  Those it has not are of size 1. */
enum { PTF_MAP_AXES = 3 };

#define PTF_ARRAY_SIZE(a)     (sizeof(a) / sizeof((a)[0]))
#define PTF_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))

/* ------------------------------------------------------------------ errors */

/* Where bytes come from: names for messages.  'entry' may be NULL. */
typedef struct ptf_origin {
    const char *file;
    const char *entry;
} ptf_origin;

#define PTF_NO_OFFSET UINT64_MAX

/*
 * Fills 'err' (NULL is fine) with "FILE: ENTRY@OFFSET: MESSAGE" and returns
 * 'status', so that a fault is one statement: return ptf_fail(...).  Control
 * characters are escaped.  'origin' may be NULL and 'offset' PTF_NO_OFFSET.
 */
ptf_status ptf_fail(ptf_error *err, ptf_status status, const ptf_origin *origin,
                    uint64_t offset, const char *fmt, ...) PTF_PRINTF(5, 6);

/* The usual failure without a place: out of memory. */
ptf_status ptf_fail_memory(ptf_error *err);

/* PTF_IO with strerror(errno): "FILE: cannot VERB: reason". */
ptf_status ptf_fail_errno(ptf_error *err, const char *file, const char *verb);

#ifdef __clang_analyzer__ /* reads one file at a time: say what comes back */
#define ptf_fail(err, status, ...) (ptf_fail(err, status, __VA_ARGS__), status)
#define ptf_fail_memory(err)       (ptf_fail_memory(err), PTF_MEMORY)
#define ptf_fail_errno(...)        (ptf_fail_errno(__VA_ARGS__), PTF_IO)
#endif

/* ----------------------------------------------------------- checked sizes */

/* Each returns false, leaving *out alone, when the result does not fit. */
static inline bool ptf_add_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

static inline bool ptf_mul_size(size_t a, size_t b, size_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

static inline bool ptf_add_i64(int64_t a, int64_t b, int64_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}

static inline bool ptf_mul_i64(int64_t a, int64_t b, int64_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}

static inline int64_t ptf_min_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t ptf_max_i64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* a / b, rounded up; both positive. */
static inline int64_t ptf_ceil_div(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* The greatest common divisor, 0 or more. */
static inline int64_t ptf_gcd(int64_t a, int64_t b)
{
    while (b != 0) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a < 0 ? -a : a;
}

/* True when no number is NaN or infinity. */
static inline bool ptf_all_finite(const float *x, int64_t count)
{
    int wrong = 0;
    for (int64_t i = 0; i < count; i++)
        wrong |= !__builtin_isfinite(x[i]);
    return wrong == 0;
}

/* ------------------------------------------------------------------ memory */

/* All heap memory goes through these, so that tests can make them fail. */
void *ptf_alloc(size_t size);                /* zeroed; NULL when out */
void *ptf_realloc(void *block, size_t size); /* not zeroed */
void ptf_free(void *block);
void *ptf_alloc_aligned(size_t size, size_t alignment); /* ptf_free() it */

/*
 * Test hook: the n-th allocation from now on fails, and all later ones.
 * Negative: never.
 */
void ptf_alloc_fail_after(long n);

/*
 * The count of those who use an object: who makes it, and each object that
 * borrows from it.  It lies in the object, which is destroyed when the last of
 * them lets go: so they may be freed in any order, by any thread.
 */
typedef struct ptf_users {
    atomic_int others; /* beside the first one */
    void *object;
    void (*destroy)(void *object);
} ptf_users;

/* Sets the count of a new object to its maker alone; returns 'users'. */
ptf_users *ptf_users_init(ptf_users *users, void *object,
                          void (*destroy)(void *object));
/* One more; returns 'users'.  NULL, here and below, is nobody's object. */
ptf_users *ptf_users_add(ptf_users *users);
/* One less. */
void ptf_users_drop(ptf_users *users);

/*
 * What the caller asks for in options, as this library knows them: 'out' gets
 * as many of its 'size' bytes as the caller's own 'size', the first member,
 * says; the others, and all of them for NULL, are zero.
 */
void ptf_options_read(const void *options, void *out, size_t size);

/* Memory that is released all at once. */
typedef struct ptf_arena {
    struct ptf_arena_block *blocks;
} ptf_arena;

/* Zeroed, aligned to 16; NULL when out of memory. */
void *ptf_arena_alloc(ptf_arena *arena, size_t size);
/* The same for 'count' elements; NULL on overflow too. */
void *ptf_arena_array(ptf_arena *arena, size_t count, size_t size);
/*
 * Makes room for one more element after 'count'.  The array moves when it is
 * full, to twice the capacity; the old one stays in the arena.  False when out
 * of memory.
 */
bool ptf_arena_grow(ptf_arena *arena, void **array, int count, int *capacity,
                    size_t size);
/* A copy of 'size' bytes with a zero after. */
char *ptf_arena_copy(ptf_arena *arena, const char *text, size_t size);
char *ptf_arena_printf(ptf_arena *arena, const char *fmt, ...) PTF_PRINTF(2, 3);
void ptf_arena_free(ptf_arena *arena);

/* ------------------------------------------------------------------ buffer */

/*
 * Bytes that grow at their end.  When memory runs out, 'failed' is set and
 * later additions do nothing: look at it once, when all is added.  Starts as
 * {0}.
 */
typedef struct ptf_buffer {
    uint8_t *data;
    size_t size, capacity;
    bool failed;
} ptf_buffer;

void ptf_buffer_add(ptf_buffer *buffer, const void *data, size_t size);
void ptf_buffer_add_text(ptf_buffer *buffer, const char *text);
/* The low 'width' (1 to 8) bytes of 'value', the lowest first. */
void ptf_buffer_add_int(ptf_buffer *buffer, uint64_t value, int width);
void ptf_buffer_printf(ptf_buffer *buffer, const char *fmt, ...)
    PTF_PRINTF(2, 3);
void ptf_buffer_free(ptf_buffer *buffer);

/* ------------------------------------------------------------------ cursor */

/*
 * The only way to read hostile bytes.  Every take function checks what is
 * left, and on failure says what it expected and where.
 */
typedef struct ptf_cursor {
    const uint8_t *data;
    size_t size;
    size_t pos;
    ptf_origin origin;
    ptf_error *err;
} ptf_cursor;

/* Each returns PTF_OK or fails with PTF_FORMAT; 'what' names the thing. */
ptf_status ptf_take(ptf_cursor *c, size_t size, const uint8_t **out,
                    const char *what);
ptf_status ptf_take_u8(ptf_cursor *c, uint8_t *out, const char *what);
ptf_status ptf_take_u16(ptf_cursor *c, uint16_t *out, const char *what);
ptf_status ptf_take_u32(ptf_cursor *c, uint32_t *out, const char *what);
ptf_status ptf_take_u64(ptf_cursor *c, uint64_t *out, const char *what);
/* Up to and over the next newline, which is not part of *out. */
ptf_status ptf_take_line(ptf_cursor *c, const char **out, size_t *size,
                         const char *what);

static inline size_t ptf_cursor_left(const ptf_cursor *c)
{
    return c->size - c->pos;
}

static inline uint16_t ptf_get_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t ptf_get_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
           (uint32_t)p[3] << 24;
}

static inline uint64_t ptf_get_u64(const uint8_t *p)
{
    return (uint64_t)ptf_get_u32(p) | (uint64_t)ptf_get_u32(p + 4) << 32;
}

/* True when the bytes are UTF-8 without zero bytes and control characters. */
bool ptf_is_printable(const char *text, size_t size);

/* A piece of text without a zero at its end. */
typedef struct ptf_text_span {
    const char *text;
    size_t size;
} ptf_text_span;

static inline bool ptf_span_is(ptf_text_span span, const char *text)
{
    return span.size == strlen(text) && memcmp(span.text, text, span.size) == 0;
}
/* And without invisible characters, so that messages show it as it is. */
bool ptf_is_shown(const char *text, size_t size);

/* ------------------------------------------------------------------- files */

/*
 * A file mapped for reading, or borrowed memory (then fd is -1).
 *
 * Others may write to the file meanwhile.  Where that must not pass unseen,
 * what is used is compared with a checksum, and ptf_file_check() is called at
 * the end.  Pages after the end of a file that was cut raise SIGBUS, which a
 * program can have told apart: see ptf_mapping_fault().
 */
typedef struct ptf_file {
    const char *name;
    const uint8_t *data;
    size_t size;
    int fd;
    struct ptf_mapping *mapping; /* NULL for memory */
} ptf_file;

/* False when nothing has that name, or what is no regular file. */
bool ptf_file_is_there(const char *path);

/* Refuses at once what is no regular file; 'path' lives as long as 'out'. */
ptf_status ptf_file_open(const char *path, ptf_file *out, ptf_error *err);
void ptf_file_close(ptf_file *file);
/* PTF_IO when the file was written to since it was opened. */
ptf_status ptf_file_check(const ptf_file *file, ptf_error *err);
/* That error, for who has seen other bytes than before. */
ptf_status ptf_file_fail_changed(const ptf_file *file, ptf_error *err);
/*
 * Copies bytes at 'data', which points into the mapping, by reading: there is
 * no SIGBUS, and the copy does not change any more.
 */
ptf_status ptf_file_copy(const ptf_file *file, const void *data, size_t size,
                         void *out, ptf_error *err);
/*
 * Takes the pages out of this process, which close would have to do; they
 * come back from the page cache when they are read again.
 */
void ptf_file_release(const ptf_file *file);

/*
 * A file that appears under its name complete or not at all.  It is written
 * without a name where the file system can do that, so that even a killed
 * process leaves nothing behind, and else beside the target under a
 * temporary name.  Commit syncs it and puts it in the target's place; abort
 * removes it.
 */
typedef struct ptf_output ptf_output;

/*
 * Refuses a target that is the same file as 'source' (may be NULL), and one
 * that exists and is not a regular file.  A symbolic link is followed; one
 * that leads to no file is refused.
 */
ptf_status ptf_output_open(const char *path, const ptf_file *source,
                           ptf_output **out, ptf_error *err);
/* Only those refusals: for a source in several files. */
ptf_status ptf_output_check(const char *path, const ptf_file *source,
                            ptf_error *err);
/* Says how large the file will be at least; a hint, which cannot fail. */
void ptf_output_expect(ptf_output *out, uint64_t size);
ptf_status ptf_output_write(ptf_output *out, const void *data, size_t size,
                            ptf_error *err);
/*
 * Writes bytes that lie inside 'source' (data points into its mapping),
 * letting the kernel copy them, or share them where the file system can and
 * data lies in its page as the output's offset does: see PTF_PAGE.
 */
ptf_status ptf_output_copy(ptf_output *out, const ptf_file *source,
                           const void *data, size_t size, ptf_error *err);
/*
 * Writes at a place of the file, which grows to hold it; gaps are zeros.  The
 * two above go on where they were, so after them it is for changes only.
 */
ptf_status ptf_output_write_at(ptf_output *out, uint64_t offset,
                               const void *data, size_t size, ptf_error *err);
/* The checksum of bytes that were written, read back from the file. */
ptf_status ptf_output_crc32(const ptf_output *out, uint64_t offset,
                            uint64_t size, uint32_t *crc, ptf_error *err);
/*
 * A name by which what was written can be opened before it is committed; where
 * the file has none, one is made in 'room'.
 */
enum { PTF_OUTPUT_NAME = 40 };
const char *ptf_output_name(const ptf_output *out, char room[PTF_OUTPUT_NAME]);
/* File systems share bytes in units of this size. */
enum { PTF_PAGE = 4096 };
uint64_t ptf_output_offset(const ptf_output *out);
/*
 * Starts what is not yet on its way to the disk, and does not wait for it:
 * for who has something else to do before ptf_output_commit().
 */
void ptf_output_flush(ptf_output *out);
/* Both release 'out'. */
ptf_status ptf_output_commit(ptf_output *out, ptf_error *err);
void ptf_output_abort(ptf_output *out);

/*
 * Between these two calls no signal comes to this thread, and no handler of
 * another one that calls them is between them: for lists that signal handlers
 * read.  They leave errno alone.  Do not touch mapped files in between.
 */
void ptf_signals_hold(sigset_t *old);
void ptf_signals_release(const sigset_t *old);

/* "text" with escapes as in messages, cut to 'size'; for signal handlers. */
void ptf_escape(char *out, size_t size, const char *text);

/* Tells the watcher of this thread, if it has one; see ptf_set_progress(). */
void ptf_report(const char *what, uint64_t done, uint64_t total);

/* CRC-32 as zip has it, of 'size' more bytes after 'crc' (0 at the start). */
uint32_t ptf_crc32(uint32_t crc, const void *data, size_t size);
/* The same, of large data on all threads. */
uint32_t ptf_crc32_parallel(uint32_t crc, const void *data, size_t size);

/*
 * A hash of bytes for tables, under a key that is drawn once per process: the
 * order of a table's slots differs from run to run and decides nothing.
 */
uint64_t ptf_hash(const void *data, size_t size);
/* Test hook: takes this key from now on. */
void ptf_hash_set_key(uint64_t k0, uint64_t k1);

/* ----------------------------------------------------------------- threads */

typedef void ptf_task(void *context, int64_t i, int thread);

/*
 * Runs task(context, i, thread) for i in 0 .. count - 1, some neighbours at a
 * time on one thread, of which there are at most 'threads'.  Tasks have IEEE
 * 754's default arithmetic, whatever the caller's is.
 */
void ptf_each(int threads, int64_t count, ptf_task *task, void *context);

/* work(context, err) on this thread, with the arithmetic that tasks have. */
typedef ptf_status ptf_work(void *context, ptf_error *err);
ptf_status ptf_call_ieee(ptf_work *work, void *context, ptf_error *err);

/* ----------------------------------------------------------------- machine */

/* Instruction sets with kernels, from plain to best. */
typedef enum ptf_isa {
    PTF_ISA_REF,
    PTF_ISA_NEON,
    PTF_ISA_AVX2,
    PTF_ISA_AVX512,
    PTF_ISA_COUNT,
} ptf_isa;

const char *ptf_isa_text(ptf_isa isa);
/* True when this machine can run it, whatever PTF_ISA says. */
bool ptf_isa_here(ptf_isa isa);
/* The best one here, lowered by the environment variable PTF_ISA. */
ptf_isa ptf_isa_default(void);
bool ptf_isa_parse(const char *text, ptf_isa *out);

/*
 * The CPUs that a control group grants, rounded up, or 'most' where there is
 * no lower limit.  The file holds "QUOTA PERIOD" in microseconds, as version
 * 2's cpu.max does.
 */
int ptf_cgroup_limit(const char *path, int most);
/* Bytes of the machine's memory, or SIZE_MAX where it cannot be asked. */
size_t ptf_machine_memory(void);

/* ------------------------------------------------------------- text tables */

/* A hash table from text to pointers. */
typedef struct ptf_text_table {
    struct ptf_text_slot {
        const char *key;
        void *value;
    } * slots;
    size_t count, capacity; /* a power of two, or 0 */
} ptf_text_table;

/* Adds a key that is not there yet; false when out of memory. */
bool ptf_text_table_add(ptf_text_table *table, const char *key, void *value);
void *ptf_text_table_find(const ptf_text_table *table, const char *key);
void ptf_text_table_free(ptf_text_table *table);

#endif
