/*
 * The names of classes, and which class an image is said to have.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/run/run.h"

const char *run_name(const run_names *names, int64_t label, char text[24])
{
    const char *known = NULL;
    if (names->names != NULL)
        known = label >= 0 && label < names->count ? names->names[label] : NULL;
    else if (names->images != NULL)
        known = ptf_images_class(names->images, label);
    if (known != NULL)
        return known;
    snprintf(text, 24, "%lld", (long long)label);
    return text;
}

/* ----------------------------------------------------------------- --labels */

/* Cuts a text into its lines, in place; an empty last one is none. */
static const char **split_lines(char *text, int64_t *count)
{
    *count = 1;
    for (const char *p = text; *p != '\0'; p++)
        *count += *p == '\n';
    const char **lines = calloc((size_t)*count, sizeof(*lines));
    if (lines == NULL)
        return NULL;
    for (int64_t i = 0; i < *count; i++) {
        lines[i] = text;
        text += strcspn(text, "\n");
        if (text > lines[i] && text[-1] == '\r')
            text[-1] = '\0';
        *text++ = '\0';
    }
    while (*count > 0 && lines[*count - 1][0] == '\0')
        --*count;
    return lines;
}

static ptf_status cifar10_names(run_names *names, ptf_error *err)
{
    while (ptf_images_class(NULL, names->count) != NULL)
        names->count++;
    names->names = calloc((size_t)names->count, sizeof(*names->names));
    if (names->names == NULL)
        return tool_error(err, PTF_MEMORY, "out of memory");
    for (int64_t i = 0; i < names->count; i++)
        names->names[i] = ptf_images_class(NULL, i);
    return PTF_OK;
}

/* Those that lie in 'table', which the program has. */
static ptf_status copy_names(const char *const *table, int64_t count,
                             run_names *names, ptf_error *err)
{
    names->count = count;
    names->names = calloc((size_t)count, sizeof(*names->names));
    if (names->names == NULL)
        return tool_error(err, PTF_MEMORY, "out of memory");
    memcpy(names->names, table, (size_t)count * sizeof(*names->names));
    return PTF_OK;
}

/* Without --labels those of the images that a preset is for. */
static ptf_status suppose_names(run_names *names, int64_t outputs,
                                ptf_error *err)
{
    bool imagenet = names->preset != NULL &&
                    strcmp(names->preset, "imagenet") == 0 &&
                    outputs == RUN_IMAGENET && names->names == NULL;
    return imagenet ? copy_names(run_imagenet, RUN_IMAGENET, names, err)
                    : PTF_OK;
}

ptf_status run_names_read(const char *path, run_names *names, ptf_error *err)
{
    if (strcmp(path, "cifar10") == 0)
        return cifar10_names(names, err);
    if (strcmp(path, "imagenet") == 0)
        return copy_names(run_imagenet, RUN_IMAGENET, names, err);
    ptf_status status =
        tool_read_text(path, "names, one a line", &names->text, err);
    if (status != PTF_OK)
        return status;
    for (char *p = names->text; *p != '\0'; p++) {
        if ((unsigned char)*p < ' ' && *p != '\n' && *p != '\r')
            *p = '?'; /* nothing that a terminal would obey */
    }
    names->names = split_lines(names->text, &names->count);
    return names->names != NULL ? PTF_OK
                                : tool_error(err, PTF_MEMORY, "out of memory");
}

void run_names_free(run_names *names)
{
    free(names->class_of);
    free(names->names);
    free(names->text);
}

/* --------------------------------------------------- classes of the images */

int64_t run_label(const run_names *names, int64_t label)
{
    if (names->unlabelled)
        return -1;
    if (names->class_of == NULL || label < 0)
        return label;
    return label < names->known ? names->class_of[label] : -1;
}

static int64_t find_name(const run_names *names, const char *name)
{
    for (int64_t k = 0; k < names->count; k++) {
        if (strcmp(names->names[k], name) == 0)
            return k;
    }
    return -1;
}

static ptf_status refuse_class(const run_names *names, const char *name,
                               ptf_error *err)
{
    char text[128];
    tool_suggestion s = {.word = name, .prefix = ""};
    for (int64_t k = 0; k < names->count; k++)
        tool_suggest(&s, names->names[k]);
    return tool_error(err, PTF_ARGUMENT,
                      "folder \"%s\": no class of --labels has its name%s",
                      name, tool_suggestion_text(&s, text));
}

static void leave_out(run_names *names, int64_t outputs, bool quiet)
{
    if (!quiet)
        fprintf(stderr,
                "ptfold: classes of the images: %lld, of the network: %lld; "
                "labels are left out%s\n",
                (long long)names->known, (long long)outputs,
                names->names == NULL ? "; --labels FILE names the network's"
                                     : ", as none has a name of --labels");
    names->unlabelled = true;
    names->images = NULL;
}

/*
 * Classes are told by their names where --labels has them: a set of images
 * need not have all.  Without such names they must be as many as the outputs,
 * and so must those of CIFAR-10's files, which many call by other names.
 */
static ptf_status match(run_names *names, int64_t outputs, bool quiet,
                        ptf_error *err)
{
    int64_t found = 0;
    const ptf_images *images = names->images;
    while (ptf_images_class(images, names->known) != NULL)
        names->known++;
    if (names->known == 0)
        return PTF_OK;
    names->class_of = calloc((size_t)names->known, sizeof(*names->class_of));
    if (names->class_of == NULL)
        return tool_error(err, PTF_MEMORY, "out of memory");
    for (int64_t k = 0; k < names->known; k++) {
        names->class_of[k] = find_name(names, ptf_images_class(images, k));
        found += names->class_of[k] >= 0;
    }
    if (found == names->known)
        return PTF_OK;
    bool folders = ptf_images_class(images, 0) != ptf_images_class(NULL, 0);
    for (int64_t k = 0; k < names->known && found > 0 && folders; k++) {
        if (names->class_of[k] < 0)
            return refuse_class(names, ptf_images_class(images, k), err);
    }
    free(names->class_of);
    names->class_of = NULL;
    if (names->known != outputs)
        leave_out(names, outputs, quiet);
    return PTF_OK;
}

ptf_status run_names_match(run_names *names, int64_t outputs, bool quiet,
                           ptf_error *err)
{
    ptf_status status = suppose_names(names, outputs, err);
    if (status != PTF_OK)
        return status;
    if (names->names == NULL || names->count == outputs)
        return match(names, outputs, quiet, err);
    return tool_error(err, PTF_ARGUMENT,
                      "--labels: expected %lld names, one for each output, "
                      "got %lld",
                      (long long)outputs, (long long)names->count);
}
