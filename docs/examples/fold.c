/*
 * Folds the batch norms of a network, proves on eight random inputs that it is
 * still the network that was trained, saves it, and runs it on one of them.
 *
 *     cc fold.c -o fold $(pkg-config --cflags --libs ptfold)
 *     ./fold NETWORK.pt2 FOLDED.safetensors
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <ptfold.h>
#include <stdlib.h>

enum { SAMPLES = 8 };

static ptf_status fold(const ptf_net *net, const char *path, ptf_error *err)
{
    ptf_net *folded = NULL;
    ptf_check *check = NULL;
    ptf_plan *plan = NULL;
    float *x = NULL, *y = NULL;
    ptf_port image;
    ptf_net_input(net, 0, &image);
    size_t size = (size_t)ptf_shape_numel(&image.shape);
    ptf_status status = ptf_net_rewrite(net, ptf_rewrite_find("fold_batchnorm"),
                                        NULL, &folded, err);
    if (status == PTF_OK)
        status = ptf_check_make(net, folded, NULL, NULL, &check, err);
    if (status == PTF_OK)
        status = ptf_plan_make(folded, NULL, 1, NULL, &plan, err);
    if (status == PTF_OK) {
        ptf_shape scores = ptf_plan_output(plan, 0);
        x = calloc(SAMPLES * size, sizeof(*x));
        y = calloc((size_t)ptf_shape_numel(&scores), sizeof(*y));
        if (x == NULL || y == NULL)
            status = ptf_error_set(err, PTF_MEMORY, "out of memory");
    }
    for (size_t i = 0; status == PTF_OK && i < SAMPLES; i++)
        ptf_random_fill(1, i, x + i * size, size);
    if (status == PTF_OK)
        status = ptf_check_run(check, (const float *[]){x}, SAMPLES, err);
    if (status == PTF_OK && ptf_check_level(check) > PTF_LEVEL_CERTIFIED)
        status = ptf_error_set(err, PTF_UNSUPPORTED, "not certified");
    if (status == PTF_OK)
        status = ptf_net_save(folded, path, NULL, NULL, err);
    if (status == PTF_OK)
        status = ptf_plan_run(plan, x, 1, y, err);
    if (status == PTF_OK)
        printf("%s, output 0: %.9g\n", ptf_level_name(ptf_check_level(check)),
               (double)y[0]);
    free(x);
    free(y);
    ptf_plan_free(plan);
    ptf_check_free(check);
    ptf_net_free(folded);
    return status;
}

int main(int argc, char **argv)
{
    ptf_error err;
    ptf_net *net;
    if (argc != 3)
        return 2;
    ptf_status status = ptf_net_open(argv[1], NULL, &net, &err);
    if (status == PTF_OK)
        status = fold(net, argv[2], &err);
    if (status != PTF_OK)
        fprintf(stderr, "%s\n", err.message);
    ptf_net_free(net);
    return status == PTF_OK ? 0 : 1;
}
