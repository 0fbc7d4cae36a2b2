/*
 * Folders that tools write in place of one checkpoint, and parts of such: each
 * gets its name and the way to a file that can be read.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "archive/archive.h"

#include <sys/stat.h>
#include <unistd.h>

#define DISTRIBUTED                                                     \
    "a distributed checkpoint; make one file of it: python -m "         \
    "torch.distributed.checkpoint.format_utils dcp_to_torch FOLDER OUT" \
    ".pt (dcp_to_torch_save() in Python)"

/* The first file that is there tells. */
static const struct {
    const char *file, *what;
} folders[] = {
    {".metadata", DISTRIBUTED},
    {"zero_to_fp32.py",
     "a DeepSpeed checkpoint; make one file of it: run its zero_to_fp32.py"},
    {"model.safetensors.index.json",
     "a folder; give the model.safetensors.index.json in it"},
    {"model.safetensors", "a folder; give the model.safetensors in it"},
    {"pytorch_model.bin.index.json",
     "a folder; give the pytorch_model.bin.index.json in it"},
    {"pytorch_model.bin", "a folder; give the pytorch_model.bin in it"},
    {"data.pkl",
     "an unpacked checkpoint; pack it again: zip -r -0 OUT.pt FOLDER"},
    {"saved_model.pb", "a TensorFlow model; save the weights from PyTorch"},
};

static bool has_file(const char *folder, const char *file)
{
    char path[4096];
    int size = snprintf(path, sizeof(path), "%s/%s", folder, file);
    return size > 0 && (size_t)size < sizeof(path) && access(path, F_OK) == 0;
}

static bool is_part(const char *path)
{
    static const char ending[] = ".distcp";
    size_t size = strlen(path), n = strlen(ending);
    return size > n && strcmp(path + size - n, ending) == 0;
}

ptf_status ptf_folder_refuse(const char *path, ptf_error *err)
{
    ptf_origin origin = {path, NULL};
    struct stat st;
    if (stat(path, &st) != 0)
        return PTF_OK; /* opening says why */
    if (S_ISREG(st.st_mode) && is_part(path))
        return ptf_fail(err, PTF_UNSUPPORTED, &origin, PTF_NO_OFFSET,
                        "expected a checkpoint, got a part of " DISTRIBUTED);
    for (size_t i = 0; S_ISDIR(st.st_mode) && i < PTF_ARRAY_SIZE(folders);
         i++) {
        if (has_file(path, folders[i].file))
            return ptf_fail(err, PTF_UNSUPPORTED, &origin, PTF_NO_OFFSET,
                            "expected a file, got %s", folders[i].what);
    }
    return PTF_OK;
}
