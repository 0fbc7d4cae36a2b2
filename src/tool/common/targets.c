/*
 * What is written: never over an input, nor over what is there without a word.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/common/tool.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FOLDER_FLAGS = O_RDONLY | O_DIRECTORY | O_CLOEXEC };

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/*
 * Whether an open folder, which is closed, or one 'levels' below it has the
 * file.  Hidden entries are no inputs.
 */
static bool folder_has(int fd, const struct stat *file, int levels)
{
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    if (folder == NULL) {
        if (fd >= 0)
            close(fd);
        return false; /* nor can it be read */
    }
    bool found = false;
    const struct dirent *entry;
    while (!found && (entry = readdir(folder)) != NULL) {
        struct stat st;
        if (entry->d_name[0] == '.' || fstatat(fd, entry->d_name, &st, 0) != 0)
            continue;
        found = same_file(&st, file);
        if (!found && S_ISDIR(st.st_mode) && levels > 0)
            found = folder_has(openat(fd, entry->d_name, FOLDER_FLAGS), file,
                               levels - 1);
    }
    closedir(folder);
    return found;
}

/* PTF_ARGUMENT when 'input' is the file 'path', or a folder that has it. */
static ptf_status refuse_input(const char *path, const struct stat *file,
                               const char *input, ptf_error *err)
{
    enum { CLASSES = 1 }; /* a folder of images may have one for each class */
    struct stat st;
    if (input == NULL || stat(input, &st) != 0)
        return PTF_OK;
    if (same_file(&st, file))
        return tool_error(err, PTF_ARGUMENT,
                          "%s: the output is the input itself; give another "
                          "name",
                          path);
    if (S_ISDIR(st.st_mode) &&
        folder_has(open(input, FOLDER_FLAGS), file, CLASSES))
        return tool_error(err, PTF_ARGUMENT,
                          "%s: the output is a file of the input %s; give "
                          "another name",
                          path, input);
    return PTF_OK;
}

/* The folder that a name is in, and where in the name its own part begins. */
static bool find_folder(const char *path, struct stat *folder,
                        const char **name)
{
    const char *slash = strrchr(path, '/');
    *name = slash != NULL ? slash + 1 : path;
    if (slash == NULL)
        return stat(".", folder) == 0;
    char *text = strndup(path, (size_t)(slash + 1 - path));
    bool found = text != NULL && stat(text, folder) == 0;
    free(text);
    return found;
}

/* Files that are there, or two names of one that is not there yet. */
static bool same_target(const char *a, const char *b)
{
    struct stat of_a, of_b;
    const char *name_a, *name_b;
    if (stat(a, &of_a) == 0 && stat(b, &of_b) == 0)
        return same_file(&of_a, &of_b);
    return find_folder(a, &of_a, &name_a) && find_folder(b, &of_b, &name_b)
               ? same_file(&of_a, &of_b) && strcmp(name_a, name_b) == 0
               : strcmp(a, b) == 0;
}

/* One of the files that are written. */
static ptf_status check_target(const char *path, tool_paths read, bool force,
                               ptf_error *err)
{
    struct stat file;
    if (stat(path, &file) != 0 || !S_ISREG(file.st_mode))
        return PTF_OK; /* nothing is lost; writing says what is wrong */
    for (size_t i = 0; i < read.count; i++) {
        ptf_status status = refuse_input(path, &file, read.path[i], err);
        if (status != PTF_OK)
            return status;
    }
    if (force)
        return PTF_OK;
    return tool_error(err, PTF_ARGUMENT,
                      "%s: the output exists; give --force to replace it",
                      path);
}

ptf_status tool_check_targets(tool_paths read, tool_paths written, bool force,
                              ptf_error *err)
{
    ptf_keep_files(!force); /* nor is one replaced that appears meanwhile */
    ptf_status status = PTF_OK;
    for (size_t i = 0; status == PTF_OK && i < written.count; i++) {
        const char *path = written.path[i];
        for (size_t k = 0; path != NULL && k < i; k++) {
            if (written.path[k] != NULL && same_target(path, written.path[k]))
                return tool_error(err, PTF_ARGUMENT,
                                  "%s: two outputs are the same file; give "
                                  "each a name of its own",
                                  path);
        }
        if (path != NULL)
            status = check_target(path, read, force, err);
    }
    return status;
}

ptf_status tool_check_picture(const char *path, ptf_error *err)
{
    size_t size = path != NULL ? strlen(path) : 0;
    const char *end = size >= 4 ? path + size - 4 : "";
    if (path == NULL || strcmp(end, ".png") == 0 || strcmp(end, ".ppm") == 0)
        return PTF_OK;
    return tool_error(err, PTF_ARGUMENT,
                      "%s: expected a picture's name, which ends in .png or "
                      ".ppm",
                      path);
}

ptf_status tool_text_open(tool_text *text, ptf_error *err)
{
    *text = (tool_text){0};
    text->out = open_memstream(&text->text, &text->size);
    return text->out != NULL ? PTF_OK
                             : tool_error(err, PTF_MEMORY, "out of memory");
}

ptf_status tool_text_save(tool_text *text, const char *path, ptf_error *err)
{
    bool failed = ferror(text->out) != 0;
    failed |= fclose(text->out) != 0;
    ptf_status status = failed
                            ? tool_error(err, PTF_MEMORY, "out of memory")
                            : ptf_text_save(path, text->text, text->size, err);
    free(text->text);
    return status;
}

void tool_text_drop(tool_text *text)
{
    fclose(text->out);
    free(text->text);
}
