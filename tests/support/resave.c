/*
 * resave CHECKPOINT OUTPUT: writes the checkpoint's tensors as they are.  For
 * tests that look at the output with other software, and for bench/.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "save/save.h"

#include <signal.h>
#include <stdlib.h>

static int finish(ptf_status status, const ptf_error *err)
{
    if (status != PTF_OK)
        fprintf(stderr, "resave: %s\n", err->message);
    return (int)status;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: resave CHECKPOINT OUTPUT\n");
        return 2;
    }
    static ptf_error err;
    ptf_checkpoint *ckpt;
    signal(SIGXFSZ, SIG_IGN);
    ptf_status status = ptf_checkpoint_open(argv[1], NULL, &ckpt, &err);
    if (status != PTF_OK)
        return finish(status, &err);
    size_t count = ptf_checkpoint_tensor_count(ckpt);
    const ptf_tensor **tensors = ptf_alloc(count * sizeof(*tensors));
    for (size_t i = 0; i < count; i++)
        tensors[i] = ptf_checkpoint_tensor(ckpt, i);
    ptf_metadata metadata[] = {
        {"made_by", "resave \"\\\n\t\x01 \xc2\x85 \xff"}};
    status = ptf_tensors_save(tensors, count, metadata, 1, argv[2], ckpt, &err);
    ptf_free(tensors);
    ptf_checkpoint_close(ckpt);
    return finish(status, &err);
}
