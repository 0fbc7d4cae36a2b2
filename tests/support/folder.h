/*
 * A folder of its own for a test, and system calls that fail on demand.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_TEST_FOLDER_H
#define PTF_TEST_FOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Makes a fresh folder, and removes it with all files; cmocka fixtures. */
int folder_setup(void **state);
int folder_teardown(void **state);

/* The path of 'name' in the folder; valid until the fourth call from now. */
const char *in_folder(const char *name);

/* Files in the folder, hidden ones too. */
int folder_count(void);

/* A whole file, to be freed; *size is its size.  The test fails without. */
uint8_t *file_read(const char *path, size_t *size);
void file_write(const char *path, const void *data, size_t size);

/*
 * The system as the library sees it through the wrapped calls (see
 * tests/meson.build).  All false: as it is.
 */
typedef struct system_faults {
    bool no_nameless;  /* the file system has no O_TMPFILE */
    bool no_copying;   /* copy_file_range() is not supported */
    bool short_writes; /* write() takes 1000 bytes and is interrupted */
    bool sync_fails;   /* fsync() says EIO, as a bad disk does */
    bool link_fails;   /* linkat() says EPERM */
    bool no_keeping;   /* renameat2() knows no flags */
    bool no_links;     /* link() says EPERM: there are no hard links */
    int signal;        /* a signal comes right after linkat(); 0: none */
    /*
     * Called before and after each call that copies out of a file, as another
     * program that writes to the file at that moment; NULL: there is none.
     */
    void (*other)(bool before);
} system_faults;

extern system_faults faults;

#endif
