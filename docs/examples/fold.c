/*
 * Folds the batch norms of a checkpoint, runs both networks on one image, and
 * says how far their outputs are apart.
 *
 *     cc fold.c -o fold $(pkg-config --cflags --libs ptfold)
 *     ./fold CHECKPOINT ARCHITECTURE        (the text of print(model))
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <ptfold.h>

enum { MOST = 1 << 20 };
static char text[MOST];
static float image[MOST], before[MOST], after[MOST];

static ptf_status run(const ptf_net *net, float *out, ptf_shape *shape,
                      ptf_error *err)
{
    ptf_plan *plan;
    ptf_shape input = {3, {3, 32, 32}};
    ptf_net_input(net, &input); /* where the text says another size */
    ptf_status status = ptf_plan_make(net, &input, 1, NULL, &plan, err);
    if (status != PTF_OK)
        return status;
    *shape = ptf_plan_output(plan);
    ptf_random_fill(1, 0, image, (size_t)ptf_shape_numel(&input));
    status = ptf_plan_run(plan, image, 1, out, err);
    ptf_plan_free(plan);
    return status;
}

int main(int argc, char **argv)
{
    FILE *file = argc == 3 ? fopen(argv[2], "r") : NULL;
    if (file == NULL || fread(text, 1, MOST - 1, file) == 0)
        return 2;
    fclose(file);

    ptf_error err;
    ptf_shape shape;
    ptf_checkpoint *ckpt = NULL;
    ptf_net *net = NULL, *folded = NULL;
    ptf_status status = ptf_checkpoint_open(argv[1], NULL, &ckpt, &err);
    if (status == PTF_OK)
        status = ptf_net_make(text, argv[2], ckpt, &net, &err);
    if (status == PTF_OK)
        status = ptf_net_rewrite(net, ptf_rewrite_find("fold_batchnorm"), NULL,
                                 &folded, &err);
    if (status == PTF_OK)
        status = run(net, before, &shape, &err);
    if (status == PTF_OK)
        status = run(folded, after, &shape, &err);
    if (status == PTF_OK) {
        ptf_verdict verdict;
        ptf_verdict_init(&verdict, 0, 1e-5);
        ptf_verdict_add(&verdict, before, after, 1, ptf_shape_numel(&shape));
        printf("%s, largest difference %.3g\n",
               ptf_level_name(ptf_verdict_level(&verdict)), verdict.max_abs);
    } else {
        fprintf(stderr, "%s\n", err.message);
    }
    ptf_net_free(folded); /* before what it was made from */
    ptf_net_free(net);
    ptf_checkpoint_close(ckpt);
    return status == PTF_OK ? 0 : 1;
}
