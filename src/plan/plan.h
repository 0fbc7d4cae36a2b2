/*
 * plan: a net and an input shape become steps with chosen kernels, packed
 * weights and shared buffers.
 *
 * Steps run in segments.  Light steps, whose feature maps outweigh their
 * parameters, run on a few images at a time, so that the maps stay in the
 * caches; where there are images enough, each thread takes its own.  Heavy
 * ones run on the whole batch, so that the weights are read once.  Which is
 * which changes no bit.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_PLAN_H
#define PTF_PLAN_H

#include "kernel/kernel.h"
#include "net/net.h"

/* Runs in which a copy of weights that are read once each pays. */
enum { PTF_PACK_FROM = 8 };

/* Floats that a thread pads before it reads them, where it may be so many. */
enum { PTF_PADDED_AT_ONCE = 8192 };

/*
 * Buffers by number, those that the caller brings as inputs and outputs, and a
 * constant's numbers, which are the same for every image.
 */
enum { PTF_BUFFER_IN = -1, PTF_BUFFER_OUT = -2, PTF_BUFFER_CONSTANT = -3 };

/* Rows first .. end - 1; none where end <= first. */
typedef struct ptf_rows {
    int64_t first, end;
} ptf_rows;

/*
 * What lies in memory of an image's value: all of it, or a stripe of rows
 * (one row where there are no rows).  A value that is another one in another
 * shape lies where that one, its root, does.
 */
typedef struct ptf_plan_value {
    ptf_shape shape; /* whole */
    int64_t first, rows;
    int64_t numel;    /* of these rows */
    int root;         /* the value that the step with this node gives */
    ptf_rows need[2]; /* see stripes.c */

    /* The rest is of roots alone. */
    int alike; /* the first of the values that always have the same rows */
    int reads; /* of that one: how often other steps than those which give
                  such values read one of them, and once as the output */
    int maker; /* the step that gives it, or -1 */
    int buffer;
    const float *constant;
    bool whole;   /* holds the batch, not only a segment's group */
    int last_use; /* the last step that reads it */
    bool is_output;
    int port; /* which input or output its buffer is */
} ptf_plan_value;

/* What a thread did of a step in the last run. */
typedef struct ptf_thread_stats {
    double seconds;
    bool not_finite;      /* it saw NaN or infinity, */
    bool norm_not_finite; /* or after the norm alone */
    bool looked;          /* it has just found some */
    bool bad_index;       /* an index that names no position: this one */
    float index;
} ptf_thread_stats;

/* What the caller brings: an array for each input and each output. */
typedef struct ptf_buffers {
    const float **in;
    float **out;
} ptf_buffers;

typedef struct ptf_step ptf_step;
typedef struct ptf_piece ptf_piece;

/*
 * The outputs of a transposed convolution that are a stride apart: they read
 * the same taps, so that they are a convolution of stride 1; see transposed.c.
 */
typedef struct ptf_phase {
    int64_t first[PTF_MAP_AXES], count[PTF_MAP_AXES]; /* of the outputs */
    int64_t terms;
    const float *weights, *panels;
    const int32_t *taps, *ends;
} ptf_phase;

/* Runs one step on the images of a piece. */
typedef void ptf_step_run(const ptf_plan *plan, const ptf_step *step,
                          const ptf_piece *piece);

struct ptf_step {
    const ptf_node *node;
    const char *kernel; /* for the print: "gemm", "gemv", ... */
    ptf_step_run *run;
    const int *in; /* values, as it reads them */
    int in_count;
    int out;
    bool weight_bound;
    int first, last; /* steps of its segment */
    int64_t group;   /* images of a piece */
    bool per_thread; /* each piece is one thread's */

    /* products */
    ptf_conv conv;   /* a linear layer is a convolution of 1x1 maps */
    bool packs;      /* panels are of use to it */
    bool contiguous; /* the terms of a pixel lie so; no taps, 1x1 output */
    const float *weights;
    const float *panels;
    int32_t *taps;
    int64_t taps_plane; /* floats between channels that taps are made for */
    /* The padded input, and what of it is in front; all 0: not padded. */
    int64_t padded[PTF_MAP_AXES], before[PTF_MAP_AXES];
    int64_t runs[PTF_MAP_AXES]; /* of it, as in ptf_padding */
    int64_t by_groups; /* a thread pads so many groups at a time, or fewer;
                          0: all are padded first */
    ptf_phase *phases; /* of a transposed convolution; NULL: ref runs it */
    int phase_count;
    int64_t phase_floats;  /* of the largest, before they go where they belong;
                             0: there is one, which is there */
    ptf_epilogue epilogue; /* of a norm of its own scale and shift: weight and
                              bias, each NULL where there is none */
    const ptf_node *norm;  /* whose scale and shift the epilogue has, or NULL */

    /* softmax */
    int64_t outer, count, inner;

    /* pads and resizes: of a whole sample */
    ptf_tapping *tapping;

    ptf_thread_stats *shares; /* by thread */
};

/* Memory for values, some of which each thread has for itself. */
typedef struct ptf_region {
    float *data;
    size_t floats,
        thread_stride;   /* in all, and between what two threads have */
    int written, needed; /* of a buffer: the last step that writes it, and the
                             last one at which a value in it is needed */
} ptf_region;

struct ptf_plan {
    ptf_arena arena;
    const ptf_net *net;
    const ptf_kernels *kernels;
    int threads;
    bool keep;      /* every node has a step and a buffer of its own */
    bool inspect;   /* what a step gives is looked at, before its ReLU */
    int runs;       /* that its maker expects; 0: not known */
    int64_t most;   /* images of a run */
    int64_t batch;  /* of these at a time, because memory is limited */
    double ran;     /* images of the last run, */
    bool has_run;   /* there was one, on what 'at' says */
    int not_finite; /* the first input of it that has NaN or infinity, or -1 */
    size_t memory_limit;
    size_t memory; /* planned: weights, taps, buffers and scratch */

    ptf_step *steps;
    int step_count;
    ptf_plan_value *values; /* of the nodes, and of copies after them */
    int value_count;
    int *outputs;        /* values */
    ptf_buffers at;      /* where the images of the run are */
    ptf_buffers stripes; /* or the stripes cut from them */

    ptf_region *buffers;
    int buffer_count;
    ptf_region padded; /* inputs of the convolutions that run, with zeros */
    ptf_region phased; /* what one phase of a transposed one gives */
    char *scratch;     /* scratch_size of the kernels for each thread */

    bool by_rows;     /* each output row depends on some input rows only */
    int64_t stripe;   /* output rows at a time; 0: the image at once */
    float *stripe_in; /* what stripes.in has, to be written */
    size_t stripe_floats[2]; /* rows cut from and put into images */
    int64_t shown[2]; /* output rows that values are set to: first, count */

    void **blocks; /* what ptf_plan_free() releases */
    int block_count;
};

enum { PTF_ALL_THREADS = -1 };

/* Images first .. first + count - 1 of a run, and the thread that has them. */
struct ptf_piece {
    const ptf_buffers *at;
    int64_t first, count;
    int thread;
};

/* The value whose memory this one has. */
static inline ptf_plan_value *ptf_plan_root(const ptf_plan *plan, int value)
{
    return &plan->values[plan->values[value].root];
}

/* Where image 'n' (counted in the run) of a step's value goes. */
float *ptf_plan_at(const ptf_plan *plan, const ptf_piece *piece, int value,
                   int64_t n);
/* Where that of a value lies that a step reads. */
const float *ptf_plan_read(const ptf_plan *plan, const ptf_piece *piece,
                           int value, int64_t n);

/* What the piece's thread has of a buffer. */
float *ptf_plan_own(const ptf_region *buffer, const ptf_piece *piece);

/* What a task needs of a step that runs on a piece. */
typedef struct ptf_step_piece {
    const ptf_plan *plan;
    const ptf_step *step;
    const ptf_piece *piece;
} ptf_step_piece;

/* ptf_each() with the piece's threads. */
void ptf_piece_each(const ptf_plan *plan, const ptf_piece *piece, int64_t count,
                    ptf_task *task, void *context);

/*
 * One loop for each axis of a value, for steps that go through their operands
 * position by position: array 0 is written, the others are read.
 */
enum { PTF_NEST_ARRAYS = 4, PTF_NEST_AXES = 2 + PTF_SHAPE_MAX };

typedef struct ptf_axis {
    int64_t size;
    int64_t step[PTF_NEST_ARRAYS]; /* floats to the next position */
} ptf_axis;

typedef struct ptf_nest {
    ptf_binary_kernel *kernel;
    ptf_where_kernel *where; /* in its place, for three arrays that are read */
    ptf_plan_value over;     /* whose positions are gone through */
    int count;
    ptf_axis axes[PTF_NEST_AXES]; /* the first is that of the images */
    float *y;
    const float *in[PTF_NEST_ARRAYS]; /* by array; 0 has none */
} ptf_nest;

/* Over the positions of 'over' in all images of the piece. */
ptf_nest ptf_nest_over(const ptf_plan_value *over, const ptf_piece *piece,
                       ptf_binary_kernel *kernel);
/*
 * The array is laid out as 'value', whose images are 'image' floats apart; it
 * is the same along axes that 'over' has and it has not.  Where the first
 * position lies, counted from the value's first number.
 */
int64_t ptf_nest_lay(ptf_nest *nest, int array, const ptf_plan_value *value,
                     int64_t image);
/* Arrays that are values of the plan. */
void ptf_nest_write(ptf_nest *nest, const ptf_plan *plan,
                    const ptf_piece *piece, int value);
void ptf_nest_read(ptf_nest *nest, int array, const ptf_plan *plan,
                   const ptf_piece *piece, int value);
void ptf_nest_run(ptf_nest *nest, const ptf_plan *plan, const ptf_piece *piece);

/* For a nest that moves array 1 to array 0. */
ptf_binary_kernel ptf_nest_copy;

/* Aligned memory that the plan owns and counts; NULL when out of memory. */
void *ptf_plan_alloc(ptf_plan *plan, size_t size);

/* PTF_MEMORY when 'more' bytes would go beyond the limit. */
ptf_status ptf_plan_reserve(const ptf_plan *plan, size_t more, ptf_error *err);

/*
 * Fills the step of a node from its attributes, and chooses how it runs: by
 * the family of its op, ptf_plan_pool() in pool.c and so on.
 */
typedef ptf_status ptf_plan_family(ptf_plan *plan, ptf_step *step,
                                   ptf_error *err);
#define FAMILY(id, name) ptf_plan_family ptf_plan_##name;
#include "op/families.inc"
#undef FAMILY

/* What pads and resizes share. */
ptf_status ptf_plan_taps(ptf_plan *plan, ptf_step *step, ptf_error *err);

/* Which nodes one step does, beginning with the node whose step it is. */
typedef struct ptf_fused {
    bool needed;          /* by an output, or as every node is */
    int reads;            /* by nodes that are needed, and as outputs */
    int root;             /* the node whose value this node's is */
    bool flat;            /* its value is a list of features */
    bool open;            /* nobody else reads a value between the two */
    bool copied;          /* a constant that is copied for each image */
    const ptf_node *norm; /* of a root: the batch norm after it */
    bool relu;            /* of a root */
} ptf_fused;

/*
 * Fills nodes[node_count], whose 'flat' is set; 'all': every node is needed,
 * and each that computes is a step; 'inspect': what a step does can be seen.
 */
void ptf_plan_fuse(const ptf_net *net, bool all, bool inspect,
                   ptf_fused *nodes);

/* Weights, bias and so on as f32 in C order: in place where they are so. */
ptf_status ptf_plan_f32(ptf_plan *plan, const ptf_tensor *tensor,
                        const float **out, ptf_error *err);
/* A batch norm's scale and shift. */
ptf_status ptf_plan_batch_norm(ptf_plan *plan, const ptf_node *norm,
                               ptf_epilogue *epilogue, ptf_error *err);
/* Packs the weights of the product, or of its phases, once, where that pays and
 * memory is left. */
void ptf_plan_pack(ptf_plan *plan, ptf_step *step);

int64_t ptf_conv_weights(const ptf_conv *conv);
/*
 * Rows of an image that a linear layer's step takes, each like an image of its
 * own; 1 for other products.
 */
int64_t ptf_step_rows(const ptf_plan *plan, const ptf_step *step);

/* What a product step runs: of all its outputs, or those of one phase. */
typedef struct ptf_product_run {
    const ptf_plan *plan;
    const ptf_step *step;
    const ptf_piece *piece;
    const float *weights, *panels;
    const int32_t *taps, *ends;
    int64_t terms;
    int64_t out[PTF_MAP_AXES]; /* sizes of the output */
    int64_t stride[PTF_MAP_AXES];
    float *y;
} ptf_product_run;

/* Copies the operand with its padding, if the step wants it so. */
void ptf_product_pad(ptf_product_run *run);
/* Groups of channels and slices of depth, with gemm(). */
void ptf_product_groups(ptf_product_run *run);
/* One image after the other as ref.c defines them. */
ptf_step_run ptf_product_ref;

/* The phases of a transposed convolution, if they are worth it. */
ptf_status ptf_plan_transposed(ptf_plan *plan, ptf_step *step, ptf_error *err);

/*
 * What lies in memory of the one operand of a step and of its result, as
 * shapes: of a stripe so many rows.  Where these rows depend on the same rows
 * of the operand, the two have the same ones.
 */
void ptf_step_shapes(const ptf_plan *plan, const ptf_step *step, ptf_shape *in,
                     ptf_shape *out);

/* The value, or the stripe of it that is in memory, as a map. */
ptf_map ptf_map_of(const ptf_plan_value *value);
ptf_window ptf_window_of(const ptf_attrs *attrs);

/* Neighbours that are alike in weight become one segment. */
void ptf_plan_segments(ptf_plan *plan);

/*
 * Gives every value a buffer, and sets the sizes of all buffers; their bytes.
 */
size_t ptf_plan_assign(ptf_plan *plan);

/* Chooses batch and stripe so that memory suffices, and allocates. */
ptf_status ptf_plan_layout(ptf_plan *plan, ptf_error *err);

/* Turns a step to the rows that its values have: maps and padding, ... */
void ptf_step_fit(const ptf_plan *plan, ptf_step *step);
/* ... and a product's taps. */
void ptf_step_taps(ptf_step *step);
/* PTF_UNSUPPORTED when the taps would be too large for their type. */
ptf_status ptf_step_check(const ptf_step *step, ptf_error *err);

/* Begins the account of a run of so many images. */
void ptf_plan_start(ptf_plan *plan, double images);
/* Looks at an input of it, where that was asked for. */
void ptf_plan_look(ptf_plan *plan, int input, const float *in, int64_t floats);
/* 'count' (at most batch) whole images, in stripes if the plan says so. */
void ptf_plan_run_images(ptf_plan *plan, const ptf_buffers *at, int64_t count);
/* All steps on count images or one stripe, as values and steps are set. */
void ptf_plan_run_steps(ptf_plan *plan, const ptf_buffers *at, int64_t count);

#endif
