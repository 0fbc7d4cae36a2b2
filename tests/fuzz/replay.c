/*
 * Runs a fuzz target on files and on the files of folders, once each: how
 * the corpus becomes an ordinary test.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/base.h"

#include <dirent.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* On a copy of just the file's size, so that a sanitizer sees the end. */
static int run_file(const char *path)
{
    ptf_file file;
    ptf_error err;
    if (ptf_file_open(path, &file, &err) != PTF_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    uint8_t *copy = malloc(file.size);
    if (copy != NULL) {
        memcpy(copy, file.data, file.size);
        LLVMFuzzerTestOneInput(copy, file.size);
    }
    free(copy);
    ptf_file_close(&file);
    return copy == NULL;
}

static int run_folder(const char *folder, int *count)
{
    DIR *dir = opendir(folder);
    if (dir == NULL)
        return 1;
    int failures = 0;
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        char path[4096];
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
        failures += run_file(path);
        ++*count;
    }
    closedir(dir);
    return failures;
}

int main(int argc, char **argv)
{
    int failures = 0, count = 0;
    for (int i = 1; i < argc; i++)
        failures += run_folder(argv[i], &count);
    printf("%d inputs, %d failures\n", count, failures);
    return failures > 0 || count == 0;
}
