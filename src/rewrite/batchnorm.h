/*
 * batchnorm: what the two rewrites of batch norms share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_REWRITE_BATCHNORM_H
#define PTF_REWRITE_BATCHNORM_H

#include "rewrite/rewrite.h"

/*
 * A batch norm in evaluation is y = (x - mean) * scale + beta per channel,
 * with scale = gamma / sqrt(var + eps), in double.
 */
typedef struct ptf_norm {
    int64_t channels;
    double *mean, *scale, *beta;
} ptf_norm;

/*
 * Reads the norm of 'node' into 'arena'.  Refuses, naming the layer, numbers
 * that no trained net has: PTF_FORMAT.
 */
ptf_status ptf_norm_read(ptf_arena *arena, const ptf_node *node, ptf_norm *out,
                         ptf_error *err);

/* True for a batch norm that has running statistics. */
bool ptf_norm_moves(const ptf_node *node);

/*
 * Sums, differences, products and quotients with a constant of one number, or
 * of one for each channel, are the same with other numbers: into channels[i],
 * for each node, how many numbers, or 0 where it is none.  Shapes are those of
 * the nodes.
 */
void ptf_find_scales(const ptf_net_edit *edit, const ptf_shape *shapes,
                     int64_t *channels);

/* Its number as of 'count' channels. */
ptf_status ptf_scale_read(ptf_net_edit *edit, int node, int64_t count,
                          ptf_norm *out, ptf_error *err);

/* What it is done to: the operand that is not the constant; of others the
 * first one. */
int ptf_scale_source(const ptf_net_edit *edit, int node);

/* Constants that only what is gone has read go, too. */
void ptf_drop_constants(const ptf_net_edit *edit);

/*
 * Why a number cannot be written: NULL, or what it is of.  'channel' is that of
 * the output.
 */
typedef struct ptf_too_large {
    const char *what;
    int64_t channel;
} ptf_too_large;

/* Whether a value, times a scale and plus a shift, can go into its readers. */
typedef enum ptf_forward_why {
    PTF_FORWARD_FITS,
    PTF_FORWARD_UNREAD,
    PTF_FORWARD_OUTPUT, /* it is given out */
    PTF_FORWARD_OTHER,  /* one is no convolution or linear layer */
    PTF_FORWARD_ROWS,   /* one is linear on several rows */
    PTF_FORWARD_PADS,   /* one pads, and the shift is not 0 */
} ptf_forward_why;

typedef struct ptf_forward {
    bool goes; /* a batch norm that is folded into what reads it */
    bool maps; /* convolutions read it */
    int pads;  /* a reader that pads, or 0 */
    ptf_forward_why why;
    int who; /* what is in the way */
} ptf_forward;

/*
 * What is folded, per node of 'edit': a batch norm, or ptf_find_scales()'s
 * 'scales', which may be NULL: how many channels it has (1: any), or 0.
 */
typedef struct ptf_movers {
    ptf_net_edit *edit;
    bool norms; /* or scales alone */
    const int64_t *scales;
} ptf_movers;

int64_t ptf_mover_channels(const ptf_movers *movers, int node);
ptf_status ptf_mover_read(const ptf_movers *movers, int node, int64_t count,
                          ptf_norm *out, ptf_error *err);

/*
 * Per node, which of them can go forward: of batch norms and scales the batch
 * norms.  'taken' are those that go into the layer before them.
 */
ptf_status ptf_find_forward(const ptf_movers *movers, const bool *flat,
                            const bool *taken, ptf_forward *forward,
                            ptf_error *err);

/* Remarks on each scale that is alive why it stays. */
ptf_status ptf_remark_scales(const ptf_movers *movers,
                             const ptf_too_large *too_large,
                             const ptf_forward *forward, ptf_error *err);

/*
 * Remarks on each batch norm that is alive why it stays.  'between' says
 * whether Dropout and Identity may stand between it and its layer; 'flat' is
 * ptf_net_find_flat()'s; 'too_large', per node, what moving it would have made
 * of its layer.  'forward' is ptf_find_forward()'s, or NULL where none goes.
 */
ptf_status ptf_remark_leftovers(ptf_net_edit *edit, bool between,
                                const bool *flat,
                                const ptf_too_large *too_large,
                                const ptf_forward *forward, ptf_error *err);

/* A contiguous f32 tensor of new memory; NULL when there is none. */
ptf_tensor *ptf_tensor_new(ptf_arena *arena, int rank, const int64_t *shape,
                           float **data);

#endif
