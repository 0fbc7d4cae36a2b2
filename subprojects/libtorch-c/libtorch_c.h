/*
 * libtorch-c: PyTorch's operators and autograd from C.
 *
 * Handles are opaque.  A function that can fail returns LTC_OK or an error
 * class, and ltc_last_error() says what was wrong.  What it gives through
 * 'out' belongs to the caller, and is NULL when it failed.  No C++ exception
 * passes this boundary.  Tensors live on the CPU; shapes include the batch.
 *
 * A program that must not depend on libtorch loads the module at run time:
 * see ltc_load.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef LIBTORCH_C_H
#define LIBTORCH_C_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LTC_API __attribute__((visibility("default")))

enum {
    LTC_OK = 0,
    LTC_ARGUMENT = 1, /* a null handle, a bad rank or dtype */
    LTC_TORCH = 2,    /* libtorch refused or failed */
    LTC_MEMORY = 3,
};

typedef enum ltc_dtype {
    LTC_F32,
    LTC_F64,
} ltc_dtype;

typedef struct ltc_tensor ltc_tensor;
typedef struct ltc_module ltc_module;

/* Changes when a function changes its meaning or its arguments. */
#define LTC_ABI 2
LTC_API int ltc_abi(void);

/* "1.13.0": the libtorch that the module was built against. */
LTC_API const char *ltc_torch_version(void);

/* What failed last in this thread; valid until its next call. */
LTC_API const char *ltc_last_error(void);

/* For the whole process: threads per operator, at least 1. */
LTC_API int ltc_set_threads(int threads);
/* For the whole process: oneDNN's kernels (as at the start), or ATen's own. */
LTC_API int ltc_set_mkldnn(int enabled);

/* ----------------------------------------------------------------- tensors */

/*
 * A tensor that holds a copy of the numbers at 'data', in C order.  With
 * 'requires_grad' autograd records what is done with it.
 */
LTC_API int ltc_tensor_make(const void *data, ltc_dtype dtype, int rank,
                            const int64_t *shape, int requires_grad,
                            ltc_tensor **out);
/* A tensor of the same shape and dtype, full of 'value'. */
LTC_API int ltc_full_like(const ltc_tensor *tensor, double value,
                          ltc_tensor **out);
LTC_API void ltc_tensor_free(ltc_tensor *tensor); /* NULL is fine */

LTC_API int ltc_tensor_rank(const ltc_tensor *tensor, int *out);
/* 'shape' has room for the tensor's rank. */
LTC_API int ltc_tensor_shape(const ltc_tensor *tensor, int64_t *shape);
/* Writes all numbers in C order, converted to 'dtype'; 'count' must match. */
LTC_API int ltc_tensor_read(const ltc_tensor *tensor, ltc_dtype dtype,
                            void *out, int64_t count);

/* --------------------------------------------------------------- operators */

/*
 * The geometry of a convolution or a pooling over 1 or 2 dimensions ('dims');
 * with 1, only index 0 of each pair is read.
 */
typedef struct ltc_window {
    int dims;
    int64_t kernel[2]; /* pools only */
    int64_t stride[2], padding[2], dilation[2];
    int64_t output_padding[2]; /* transposed convolution only */
    int64_t groups;
    int ceil_mode, count_include_pad;
} ltc_window;

/* 'bias' may be NULL. */
LTC_API int ltc_conv(const ltc_tensor *x, const ltc_tensor *weight,
                     const ltc_tensor *bias, const ltc_window *window,
                     ltc_tensor **out);
LTC_API int ltc_conv_transpose(const ltc_tensor *x, const ltc_tensor *weight,
                               const ltc_tensor *bias, const ltc_window *window,
                               ltc_tensor **out);
LTC_API int ltc_linear(const ltc_tensor *x, const ltc_tensor *weight,
                       const ltc_tensor *bias, ltc_tensor **out);
/* Evaluation mode; 'weight' and 'bias' may be NULL. */
LTC_API int ltc_batch_norm(const ltc_tensor *x, const ltc_tensor *weight,
                           const ltc_tensor *bias, const ltc_tensor *mean,
                           const ltc_tensor *var, double eps, ltc_tensor **out);
LTC_API int ltc_max_pool(const ltc_tensor *x, const ltc_window *window,
                         ltc_tensor **out);
LTC_API int ltc_avg_pool(const ltc_tensor *x, const ltc_window *window,
                         ltc_tensor **out);
LTC_API int ltc_adaptive_avg_pool2d(const ltc_tensor *x, int64_t height,
                                    int64_t width, ltc_tensor **out);

/*
 * 'parameters': the slope of leaky_relu, beta and threshold of softplus; the
 * others have none, and it may be NULL.
 */
typedef enum ltc_activation {
    LTC_RELU,
    LTC_LEAKY_RELU,
    LTC_SIGMOID,
    LTC_TANH,
    LTC_SOFTPLUS,
} ltc_activation;
LTC_API int ltc_activate(const ltc_tensor *x, ltc_activation function,
                         const double *parameters, ltc_tensor **out);
LTC_API int ltc_softmax(const ltc_tensor *x, int64_t dim, ltc_tensor **out);
LTC_API int ltc_log_sum_exp(const ltc_tensor *x, int64_t dim, ltc_tensor **out);
LTC_API int ltc_flatten(const ltc_tensor *x, int64_t start_dim, int64_t end_dim,
                        ltc_tensor **out);
LTC_API int ltc_add(const ltc_tensor *a, const ltc_tensor *b, ltc_tensor **out);

/* ---------------------------------------------------------------- gradients */

/*
 * The gradients of sum(y * cotangent) with respect to 'count' tensors that
 * were made with requires_grad and from which y was computed; fills
 * grads[count], with NULL when it fails.  Once for each y: libtorch frees
 * what it recorded.
 */
LTC_API int ltc_grad(const ltc_tensor *y, const ltc_tensor *cotangent,
                     ltc_tensor *const *inputs, int count, ltc_tensor **grads);

/* -------------------------------------------------- TorchScript and folding */

/* A TorchScript file, in evaluation mode.  It is code: load what you trust. */
LTC_API int ltc_module_load(const char *path, ltc_module **out);
LTC_API void ltc_module_free(ltc_module *module); /* NULL is fine */
/* Converts the parameters and buffers that are floating point. */
LTC_API int ltc_module_convert(ltc_module *module, ltc_dtype dtype);
/* Of a module with one tensor as input and one as output. */
LTC_API int ltc_module_forward(ltc_module *module, const ltc_tensor *x,
                               ltc_tensor **out);

/*
 * libtorch's own fold of a batch norm into a convolution, in the tensors'
 * dtype.  'bias', 'gamma' and 'beta' may be NULL.
 */
LTC_API int ltc_fold_conv_bn(const ltc_tensor *weight, const ltc_tensor *bias,
                             const ltc_tensor *mean, const ltc_tensor *var,
                             double eps, const ltc_tensor *gamma,
                             const ltc_tensor *beta, ltc_tensor **new_weight,
                             ltc_tensor **new_bias);

#ifdef __cplusplus
}
#endif

#endif
