/*
 * Folds the batch norms of a checkpoint and runs both networks on one image, in
 * 40 lines.
 *
 *     cc fold.c -o fold $(pkg-config --cflags --libs ptfold)
 *     ./fold CHECKPOINT ARCHITECTURE        (the text of print(model))
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <ptfold.h>

enum { ROOM = 1 << 20 };
static char text[ROOM];
static float image[ROOM], before[ROOM], after[ROOM];

/* Runs 'net' on a random image; the number of outputs, or 0 with 'err'. */
static int64_t run(const ptf_net *net, float *out, ptf_error *err)
{
    ptf_plan *plan;
    ptf_shape input = {3, {3, 32, 32}};
    ptf_port port;
    if (ptf_net_input(net, 0, &port) && port.has_shape)
        input = port.shape; /* where the text says another size */
    if (ptf_plan_make(net, &input, 1, NULL, &plan, err) != PTF_OK)
        return 0;
    ptf_shape shape = ptf_plan_output(plan, 0);
    int64_t numbers = ptf_shape_numel(&input);
    bool done = numbers <= ROOM && ptf_shape_numel(&shape) <= ROOM;
    ptf_random_fill(1, 0, image, done ? (size_t)numbers : 0);
    done = done && ptf_plan_run(plan, image, 1, out, err) == PTF_OK;
    ptf_plan_free(plan);
    return done ? ptf_shape_numel(&shape) : 0;
}

int main(int argc, char **argv)
{
    FILE *file = argc == 3 ? fopen(argv[2], "r") : NULL;
    if (file == NULL || fread(text, 1, sizeof(text) - 1, file) == 0)
        return 2;
    const ptf_rewrite *fold = ptf_rewrite_find("fold_batchnorm");
    ptf_checkpoint *ckpt = NULL;
    ptf_net *net = NULL, *folded = NULL;
    ptf_error err = {PTF_ARGUMENT, "inputs or outputs of more than 2^20"};
    int64_t n = 0;
    if (ptf_checkpoint_open(argv[1], NULL, &ckpt, &err) == PTF_OK &&
        ptf_net_make(text, argv[2], ckpt, NULL, &net, &err) == PTF_OK &&
        ptf_net_rewrite(net, fold, NULL, &folded, &err) == PTF_OK &&
        run(net, before, &err) > 0 && (n = run(folded, after, &err)) > 0)
        printf("output 0: %.9g, folded: %.9g\n", before[0], after[0]);
    else
        fprintf(stderr, "%s\n", err.message);
    ptf_net_free(folded); /* before what it was made from */
    ptf_net_free(net);
    ptf_checkpoint_close(ckpt);
    return n > 0 ? 0 : 1;
}
