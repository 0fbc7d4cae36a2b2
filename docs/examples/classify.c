/*
 * Classifies an image with a network that torch.export.save() wrote, whose
 * input is a square of RGB pixels as torchvision prepares them for ImageNet.
 *
 *     cc classify.c -o classify $(pkg-config --cflags --libs ptfold)
 *     ./classify model.pt2 cat.jpg
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <ptfold.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    static const float mean[] = {0.485F, 0.456F, 0.406F};
    static const float std[] = {0.229F, 0.224F, 0.225F};
    if (argc != 3)
        return 2;
    const char *path = argv[2];
    ptf_error err;
    ptf_net *net;
    ptf_images *images = NULL;
    ptf_plan *plan = NULL;
    ptf_port port = {0};
    ptf_image_info image;
    ptf_status status = ptf_net_open(argv[1], NULL, &net, &err);
    if (status == PTF_OK) {
        ptf_net_input(net, 0, &port);
        int64_t side = port.shape.dim[1]; /* 224, of 256 after resizing */
        ptf_image_options how = {.rank = 3,
                                 .channels = 3,
                                 .resize = {side * 8 / 7},
                                 .crop = {side, side},
                                 .mean_count = 3,
                                 .std_count = 3,
                                 .mean = mean,
                                 .std = std};
        status = ptf_images_open(&path, 1, &how, &images, &err);
    }
    if (status == PTF_OK)
        status = ptf_images_info(images, 0, &image, &err);
    if (status == PTF_OK &&
        ptf_shape_numel(&image.shape) != ptf_shape_numel(&port.shape))
        status = ptf_error_set(&err, PTF_ARGUMENT, "expected a square of RGB");
    if (status == PTF_OK)
        status = ptf_plan_make(net, NULL, 1, NULL, &plan, &err);
    ptf_shape scores = plan != NULL ? ptf_plan_output(plan, 0) : port.shape;
    int64_t classes = ptf_shape_numel(&scores), best = 0;
    float *in = calloc((size_t)ptf_shape_numel(&port.shape), sizeof(*in));
    float *out = calloc((size_t)classes, sizeof(*out));
    if (status == PTF_OK && (in == NULL || out == NULL))
        status = ptf_error_set(&err, PTF_MEMORY, "out of memory");
    if (status == PTF_OK)
        status = ptf_images_read(images, 0, in, &err);
    if (status == PTF_OK)
        status = ptf_plan_run(plan, in, 1, out, &err);
    for (int64_t k = 1; status == PTF_OK && k < classes; k++)
        best = out[k] > out[best] ? k : best;
    if (status == PTF_OK)
        printf("class %lld: %.9g\n", (long long)best, (double)out[best]);
    else
        fprintf(stderr, "%s\n", err.message);
    free(in);
    free(out);
    ptf_plan_free(plan);
    ptf_images_close(images);
    ptf_net_free(net);
    return status == PTF_OK ? 0 : 1;
}
