/*
 * Heap memory with a test hook, and arenas.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/base.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

static atomic_long allocations_left = -1;

void ptf_alloc_fail_after(long n)
{
    atomic_store(&allocations_left, n);
}

static bool allocation_fails(void)
{
    long left = atomic_load(&allocations_left);
    if (left > 0)
        atomic_fetch_sub(&allocations_left, 1);
    return left == 0;
}

enum { LARGE_PAGE = 2 << 20 };

/*
 * Asks for large pages, which spare page faults, and misses of the address
 * caches: 100 inputs of a linear layer lie in 100 small pages.  Only advice:
 * what the system does with it changes nothing else.
 */
static void *prefer_large_pages(void *block, size_t size)
{
    if (block == NULL || size < LARGE_PAGE)
        return block;
    size_t head = (size_t)(-(uintptr_t)block % PTF_PAGE);
    madvise((char *)block + head, (size - head) / PTF_PAGE * PTF_PAGE,
            MADV_HUGEPAGE);
    return block;
}

void *ptf_alloc(size_t size)
{
    if (allocation_fails())
        return NULL;
    return prefer_large_pages(calloc(1, size > 0 ? size : 1), size);
}

void *ptf_realloc(void *block, size_t size)
{
    return allocation_fails() ? NULL : realloc(block, size > 0 ? size : 1);
}

void *ptf_alloc_aligned(size_t size, size_t alignment)
{
    void *block = NULL;
    if (size >= LARGE_PAGE && alignment < LARGE_PAGE)
        alignment = LARGE_PAGE;
    if (allocation_fails() ||
        posix_memalign(&block, alignment, size > 0 ? size : 1) != 0)
        return NULL;
    return prefer_large_pages(block, size);
}

void ptf_free(void *block)
{
    free(block);
}

/* ------------------------------------------------------------------ arenas */

enum { ARENA_ALIGNMENT = 16, ARENA_BLOCK_SIZE = 16384 };

struct ptf_arena_block {
    struct ptf_arena_block *next;
    size_t size; /* of the bytes after the header */
    size_t used;
    size_t unused_pad; /* keeps the bytes aligned */
};

static void *block_take(struct ptf_arena_block *block, size_t size)
{
    if (block == NULL || block->size - block->used < size)
        return NULL;
    void *p = (char *)(block + 1) + block->used;
    block->used += size;
    return p;
}

void *ptf_arena_alloc(ptf_arena *arena, size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    size = (size + ARENA_ALIGNMENT - 1) & ~(size_t)(ARENA_ALIGNMENT - 1);
    void *p = block_take(arena->blocks, size);
    if (p != NULL)
        return p;

    bool large = size > ARENA_BLOCK_SIZE / 4;
    size_t block_size = large ? size : ARENA_BLOCK_SIZE;
    struct ptf_arena_block *block = ptf_alloc(sizeof(*block) + block_size);
    if (block == NULL)
        return NULL;
    block->size = block_size;
    if (large && arena->blocks != NULL) { /* keep filling the small one */
        block->next = arena->blocks->next;
        arena->blocks->next = block;
    } else {
        block->next = arena->blocks;
        arena->blocks = block;
    }
    return block_take(block, size);
}

void *ptf_arena_array(ptf_arena *arena, size_t count, size_t size)
{
    size_t bytes;
    if (!ptf_mul_size(count, size, &bytes))
        return NULL;
    return ptf_arena_alloc(arena, bytes);
}

bool ptf_arena_grow(ptf_arena *arena, void **array, int count, int *capacity,
                    size_t size)
{
    enum { FIRST = 16 };
    if (count < *capacity)
        return true;
    int wanted = *capacity > 0 ? 2 * *capacity : FIRST;
    void *larger = ptf_arena_array(arena, (size_t)wanted, size);
    if (larger == NULL)
        return false;
    if (count > 0)
        memcpy(larger, *array, (size_t)count * size);
    *array = larger;
    *capacity = wanted;
    return true;
}

char *ptf_arena_copy(ptf_arena *arena, const char *text, size_t size)
{
    char *copy = size < SIZE_MAX ? ptf_arena_alloc(arena, size + 1) : NULL;
    if (copy != NULL)
        memcpy(copy, text, size);
    return copy;
}

char *ptf_arena_printf(ptf_arena *arena, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int size = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *text = ptf_arena_alloc(arena, (size_t)size + 1);
    if (text == NULL)
        return NULL;
    va_start(args, fmt);
    vsnprintf(text, (size_t)size + 1, fmt, args);
    va_end(args);
    return text;
}

void ptf_arena_free(ptf_arena *arena)
{
    while (arena->blocks != NULL) {
        struct ptf_arena_block *next = arena->blocks->next;
        ptf_free(arena->blocks);
        arena->blocks = next;
    }
}

/* ------------------------------------------------------------------- users */

ptf_users *ptf_users_init(ptf_users *users, void *object,
                          void (*destroy)(void *object))
{
    atomic_init(&users->others, 0);
    users->object = object;
    users->destroy = destroy;
    return users;
}

ptf_users *ptf_users_add(ptf_users *users)
{
    if (users != NULL)
        atomic_fetch_add(&users->others, 1);
    return users;
}

void ptf_users_drop(ptf_users *users)
{
    if (users != NULL && atomic_fetch_sub(&users->others, 1) == 0)
        users->destroy(users->object);
}
