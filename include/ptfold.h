/*
 * ptfold: read PyTorch checkpoints, rewrite the network, run it, and say with
 * evidence whether the outputs are still identical.
 *
 * The header reads in the order in which the data flows:
 *
 *     checkpoint -> net -> rewrite -> plan -> outputs -> verdict
 *
 * Conventions.  A function that can fail returns a ptf_status and takes a
 * ptf_error last; NULL is allowed there.  An object is read-only once it is
 * made, so threads may share it (a plan is the exception: it owns a
 * workspace).  What is reached through an object is borrowed and dies with
 * it.  An object keeps alive what it was made from: a net its checkpoint, a
 * plan its net; so they may be freed in any order.  The library never prints
 * unless it is given a FILE, never exits, and never aborts on input.
 *
 * Options may be NULL, which is all zero: the defaults.  'size' is sizeof the
 * struct, so that later versions may add members; 0 stands for those that
 * version 0.2 has.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTFOLD_H
#define PTFOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PTF_API __attribute__((visibility("default")))

/* ------------------------------------------------------------------ errors */

typedef enum ptf_status {
    PTF_OK,
    PTF_IO,          /* a file cannot be opened, read or written */
    PTF_MEMORY,      /* out of memory */
    PTF_FORMAT,      /* damaged or hostile input */
    PTF_UNSUPPORTED, /* sound, but not something that ptfold handles */
    PTF_ARGUMENT,    /* the caller asked for something that cannot be */
} ptf_status;

/*
 * What went wrong.  'message' is one line without a newline, complete as it
 * stands: "FILE: ENTRY@OFFSET: expected X, got Y", where the offset counts
 * bytes from the start of the entry (of the file when there is no entry).
 * In what it quotes of the input, bytes that could steer a terminal are escaped
 * (\xNN), and of what would be longer the middle is left out.
 */
enum { PTF_MESSAGE_SIZE = 280 };

typedef struct ptf_error {
    ptf_status status;
    char message[PTF_MESSAGE_SIZE];
} ptf_error;

/*
 * Fills 'err' (NULL is fine) with a text of the caller's own, made such a
 * line; returns 'status'.
 */
PTF_API ptf_status ptf_error_set(ptf_error *err, ptf_status status,
                                 const char *message);

/* "1.0.0"; the version of the library that is running. */
PTF_API const char *ptf_version(void);

/* --------------------------------------------------------------- long work */

/*
 * For a signal handler that ends the process: removes the temporary files of
 * outputs that are being written.  They are short-lived, except on file
 * systems without nameless files.  No other function of the library may be
 * called afterwards, except ptf_mapping_fault().
 */
PTF_API void ptf_remove_temporaries(void);

/*
 * For a handler of SIGBUS.  Files are used where they are mapped, and whoever
 * reads a page after the end of one that was cut meanwhile gets that signal,
 * with the address in si_addr; so does whose disk fails.  The library installs
 * no handler: the process is yours.  When 'address' lies in a file that the
 * library has mapped, true is returned, and 'text' gets "FILE: was truncated
 * while it was in use", or what else happened, cut to 'size' bytes.  The
 * thread cannot go on; end the process, as the programs do, with
 * ptf_remove_temporaries() and _exit().
 */
PTF_API bool ptf_mapping_fault(const void *address, char *text, size_t size);

/* ----------------------------------------------------------------- tensors */

#define PTF_MAX_RANK 9

typedef enum ptf_dtype {
    PTF_DTYPE_F32,
    PTF_DTYPE_F64,
    PTF_DTYPE_F16,
    PTF_DTYPE_BF16,
    PTF_DTYPE_I8,
    PTF_DTYPE_I16,
    PTF_DTYPE_I32,
    PTF_DTYPE_I64,
    PTF_DTYPE_U8,
    PTF_DTYPE_U16,
    PTF_DTYPE_U32,
    PTF_DTYPE_U64,
    PTF_DTYPE_BOOL,
    PTF_DTYPE_C32, /* complex numbers: two halves, floats, doubles */
    PTF_DTYPE_C64,
    PTF_DTYPE_C128,
    PTF_DTYPE_F8_E4M3FN,
    PTF_DTYPE_F8_E5M2,
    PTF_DTYPE_F8_E4M3FNUZ,
    PTF_DTYPE_F8_E5M2FNUZ,
    PTF_DTYPE_F8_E8M0FNU,
    PTF_DTYPE_F4_E2M1FN_X2, /* two numbers in a byte */
    PTF_DTYPE_BITS1X8,      /* bits without a meaning of PyTorch's */
    PTF_DTYPE_BITS2X4,
    PTF_DTYPE_BITS4X2,
    PTF_DTYPE_BITS8,
    PTF_DTYPE_BITS16,
    PTF_DTYPE_COUNT,
} ptf_dtype;

/* "float32" and so on, as PyTorch prints it after "torch.". */
PTF_API const char *ptf_dtype_name(ptf_dtype dtype);

/* Bytes of one element. */
PTF_API size_t ptf_dtype_size(ptf_dtype dtype);

/*
 * A named array.  Strides count elements and are never negative; dimensions
 * of size 1 may carry any stride, and stride 0 repeats an element.  'data'
 * points at the first element; it is borrowed from the object through which
 * the tensor was reached and may be unaligned.  Every element that shape and
 * strides can reach has been checked to lie inside the storage.
 */
typedef struct ptf_tensor {
    const char *name; /* the state dict's key, UTF-8 */
    ptf_dtype dtype;
    int rank;
    int64_t shape[PTF_MAX_RANK];
    int64_t stride[PTF_MAX_RANK];
    const void *data;
    const struct ptf_storage *storage; /* where the data lies; NULL if made */
} ptf_tensor;

/* Number of elements, 1 for rank 0.  Cannot overflow for a checked tensor. */
PTF_API int64_t ptf_tensor_numel(const ptf_tensor *tensor);

/*
 * Writes all elements to 'out' in C order, converted to f32 with one rounding
 * (to nearest even).  Complex and 8-bit float tensors are PTF_UNSUPPORTED.
 */
PTF_API ptf_status ptf_tensor_read_f32(const ptf_tensor *tensor, float *out,
                                       ptf_error *err);

/* The same as doubles; exact except for 64-bit integers. */
PTF_API ptf_status ptf_tensor_read_f64(const ptf_tensor *tensor, double *out,
                                       ptf_error *err);

/* -------------------------------------------------------------- checkpoint */

typedef struct ptf_checkpoint ptf_checkpoint;

/* A tensor that a network takes from a checkpoint: ptf_net_parameters(). */
typedef struct ptf_parameter {
    const char *name;
    int rank;
    int64_t shape[PTF_MAX_RANK];
    bool optional; /* num_batches_tracked */
} ptf_parameter;

/* Options of ptf_checkpoint_open(). */
typedef struct ptf_open_options {
    size_t size; /* sizeof(ptf_open_options), or 0 */
    /*
     * Which state dict to read when the file holds several, as a dotted path
     * ("model_state_dict", "ema.state_dict").  NULL: the one that fits the
     * parameters below, else the only one there is.
     * "": all tensors of the file, under their full dotted names.
     */
    const char *key;
    /* Keep prefixes that all keys share ("module.", "_orig_mod."). */
    bool keep_prefix;
    /*
     * What a network wants, if it is known.  Where one place in the file has
     * all of these tensors and no others, they are taken, whatever stands
     * before their names and whatever lies beside; they get the names given
     * here.  Where several do, the caller must choose (PTF_ARGUMENT).
     */
    const ptf_parameter *parameters;
    size_t parameter_count;
} ptf_open_options;

/*
 * Opens the checkpoint at 'path' and finds the tensors in it.  Nothing in the
 * file is executed: objects that are not tensors or plain containers stay
 * opaque, and a tensor that depends on one is refused by name.  'options' may
 * be NULL.
 *
 * An index of shards (model.safetensors.index.json) opens as one checkpoint
 * with the tensors of all its files, which must lie beside it and have just
 * the tensors that it names.
 *
 * Tensor data is used in place from the mapped file, which must not change
 * while it is open; only compressed or byte-swapped storages are copied.  To
 * tell when it did: ptf_checkpoint_verify(), ptf_checkpoint_unchanged() and,
 * for one that was cut, ptf_mapping_fault().  The directory and the pickle are
 * checked in full; the checksums of the tensor data are not, because that
 * would read all of it: see ptf_checkpoint_verify().
 *
 * On success *out is released with ptf_checkpoint_close().  On failure it is
 * NULL.  Errors: PTF_IO, PTF_MEMORY, PTF_FORMAT, PTF_UNSUPPORTED, and
 * PTF_ARGUMENT when options->key names nothing.
 */
PTF_API ptf_status ptf_checkpoint_open(const char *path,
                                       const ptf_open_options *options,
                                       ptf_checkpoint **out, ptf_error *err);

/*
 * The same for a file that is already in memory.  'data' is borrowed until
 * the checkpoint is closed; 'name' stands in messages for the file name.
 */
PTF_API ptf_status ptf_checkpoint_open_memory(const void *data, size_t size,
                                              const char *name,
                                              const ptf_open_options *options,
                                              ptf_checkpoint **out,
                                              ptf_error *err);

/* Releases everything that was reached through the checkpoint; NULL is fine. */
PTF_API void ptf_checkpoint_close(ptf_checkpoint *ckpt);

/*
 * Reads all tensor data once and compares it with the checksums on file.  Data
 * without one is given a checksum the first time, against which the next calls
 * and ptf_net_save() hold it: PTF_IO when it was changed meanwhile.  Not while
 * other threads use the checkpoint.
 */
PTF_API ptf_status ptf_checkpoint_verify(ptf_checkpoint *ckpt, ptf_error *err);

/*
 * PTF_IO when one of the files has another size or time of writing than when
 * it was opened, so that what was worked out from it may be of two files.
 */
PTF_API ptf_status ptf_checkpoint_unchanged(const ptf_checkpoint *ckpt,
                                            ptf_error *err);

/* The tensors, in the order of the file. */
PTF_API size_t ptf_checkpoint_tensor_count(const ptf_checkpoint *ckpt);
PTF_API const ptf_tensor *ptf_checkpoint_tensor(const ptf_checkpoint *ckpt,
                                                size_t index);

/* The tensor of that name, or NULL. */
PTF_API const ptf_tensor *ptf_checkpoint_find(const ptf_checkpoint *ckpt,
                                              const char *name);

/*
 * A text that the file carries beside its tensors: "architecture", "graph"
 * and so on in files that ptfold wrote (see ptf_net_save()), or any entry of
 * a safetensors file's __metadata__.  NULL when there is none.
 */
PTF_API const char *ptf_checkpoint_metadata(const ptf_checkpoint *ckpt,
                                            const char *key);

/*
 * Writes all tensors of 'ckpt' under their names to 'path', bit for bit, and
 * with them the texts of its metadata.  The ending decides the format, as in
 * ptf_net_save(), and the file is complete or absent.  The checksums on file
 * are compared meanwhile; where one differs no file appears (PTF_FORMAT).
 *
 * Tensors that share memory still do in a .pt file.  Safetensors has no room
 * for that: each gets a copy, and the metadata says so under "shared_memory"
 * (a JSON object: name to the name of the first of them).  Other values than
 * tensors are left out.
 *
 * PTF_UNSUPPORTED, with the tensor's name, for a dtype that the format lacks
 * and for quantized tensors.
 */
PTF_API ptf_status ptf_checkpoint_save(const ptf_checkpoint *ckpt,
                                       const char *path, ptf_error *err);

/* ----------------------------------------------------------------- program */

/*
 * What torch.export.save() wrote (.pt2): the calls of PyTorch's operators
 * that a model makes, with its parameters.
 */
typedef struct ptf_program ptf_program;

typedef struct ptf_program_options {
    size_t size;       /* sizeof(ptf_program_options), or 0 */
    const char *model; /* of an archive with several; NULL: the only one */
} ptf_program_options;

/*
 * Opens a .pt2 of PyTorch 2.5 or later.  'options' may be NULL.  Parameters
 * stay where they are in the file.
 */
PTF_API ptf_status ptf_program_open(const char *path,
                                    const ptf_program_options *options,
                                    ptf_program **out, ptf_error *err);
/* The same of memory, which must live as long; 'name' is for messages. */
PTF_API ptf_status ptf_program_open_memory(const void *data, size_t size,
                                           const char *name,
                                           const ptf_program_options *options,
                                           ptf_program **out, ptf_error *err);
PTF_API void ptf_program_close(ptf_program *program);

/* --------------------------------------------------------------------- net */

enum { PTF_SHAPE_MAX = PTF_MAX_RANK - 1 }; /* the batch is one more */

/*
 * A shape without the batch dimension: (features), (channels, length),
 * (channels, height, width), or whatever values inside a graph have.
 */
typedef struct ptf_shape {
    int rank;
    int64_t dim[PTF_SHAPE_MAX];
} ptf_shape;

/* The number of elements. */
PTF_API int64_t ptf_shape_numel(const ptf_shape *shape);

typedef struct ptf_net ptf_net;

/*
 * Options of ptf_net_open and ptf_net_make; all zero but 'size' means the
 * defaults.
 */
typedef struct ptf_net_options {
    size_t size; /* sizeof(ptf_net_options), or 0 */
    /*
     * The caller's word that forward() of every class in the text runs each
     * module once, as printed, with nothing between them.
     */
    bool in_order;
    const ptf_shape *input; /* the shape of its one input, where neither the
                               text nor the file says it; NULL: not known */
    /* The rest is for ptf_net_open() alone. */
    bool unverified;       /* leave the checksums of the tensor data alone */
    const char *text;      /* print(model), for a state dict; NULL: the text in
                              the file, or the built-in one that fits */
    const char *text_name; /* for messages, "net.txt"; NULL: "the text" */
    const char *key;       /* see ptf_open_options */
    const char *model;     /* see ptf_program_options */
} ptf_net_options;

/*
 * Opens the network in a file of any kind that ptfold reads: an exported
 * program (.pt2), a whole model, what ptf_net_save() wrote, or a state dict
 * with a text that says what its tensors are for.  'options' may be NULL.
 * Checksums are compared, which reads the file once.
 *
 * Errors are those of ptf_program_open() and ptf_net_from_program(), or of
 * ptf_checkpoint_open() and ptf_net_make(); an option
 * that does not apply to the file is PTF_ARGUMENT.
 */
PTF_API ptf_status ptf_net_open(const char *path,
                                const ptf_net_options *options, ptf_net **out,
                                ptf_error *err);

/*
 * Makes a net from the text that Python's print(model) prints.  'text_name'
 * stands in messages for the text's file.  Lines that start with '#' are
 * comments; "# input: 3x32x32" names the usual input.  A text that begins with
 * "ptfold graph" is that of a graph: see ptf_net_print_graph().
 *
 * With 'text' NULL the checkpoint says itself what it is: by a text that
 * ptf_net_save() left in its metadata, or as a whole model (torch.save(model)),
 * whose attributes say the same as a text.
 *
 * A text shows modules, not forward().  It is the network when every class in
 * it that has children is nn.Sequential (or one of PyTorch's own that does the
 * same), when it is that of a built-in network, and when it ends with the
 * forward() that torch.fx generated.  Anything else is PTF_UNSUPPORTED, unless
 * options->in_order is set or the file was saved with that word given:
 * ptf_net_assumption() then tells it.  'options' may be NULL.
 *
 * A whole model with forward hooks, a forward() of its own set on a module, or
 * reparametrized weights is PTF_UNSUPPORTED, with 'text' too.
 *
 * 'ckpt' gives the parameters; every key and shape must agree, and the error
 * lists each one that does not.  With NULL the net has no numbers: it can be
 * printed and counted, not run.  The net uses the checkpoint's tensors in
 * place, and keeps it.
 *
 * Anything in the text that is not understood is refused by name and line
 * (PTF_UNSUPPORTED, or PTF_FORMAT when it is no such text at all); a
 * checkpoint that does not fit is PTF_ARGUMENT.
 */
PTF_API ptf_status ptf_net_make(const char *text, const char *text_name,
                                const ptf_checkpoint *ckpt,
                                const ptf_net_options *options, ptf_net **out,
                                ptf_error *err);
/*
 * The net of a program that torch.export wrote: its whole graph, so that
 * nothing is assumed.  It keeps the program.  PTF_UNSUPPORTED names the
 * first call that ptfold does not compute, with its node and module.
 */
PTF_API ptf_status ptf_net_from_program(const ptf_program *program,
                                        ptf_net **out, ptf_error *err);

PTF_API void ptf_net_free(ptf_net *net);

/*
 * What was taken on trust about the trained network: "FNet.forward() runs its
 * modules in the printed order", or NULL when the source says all of it.
 * Rewrites and saved files carry it on; a verdict holds if it does.
 */
PTF_API const char *ptf_net_assumption(const ptf_net *net);

/*
 * What the net takes from a checkpoint, for ptf_open_options; it lives as long
 * as the net.
 */
PTF_API const ptf_parameter *ptf_net_parameters(const ptf_net *net,
                                                size_t *count);

/* An input or output of a net. */
typedef struct ptf_port {
    const char *name;  /* "image", "boxes.0"; "" where an input has none */
    const char *alias; /* another name for the same, or NULL */
    ptf_dtype dtype;   /* of the arrays that PyTorch has; ptfold computes f32 */
    bool has_shape;    /* of an input: the source says its shape, */
    bool fixed;        /* and the net runs for no other */
    ptf_shape shape;
    const ptf_tensor *sample; /* of an input: the array that the program was
                                 exported with, as the file has it; or NULL */
} ptf_port;

/*
 * The inputs and outputs by number, in the order of forward(); false after the
 * last.  One value may be several outputs, and an input may be one.
 */
PTF_API size_t ptf_net_input_count(const ptf_net *net);
PTF_API size_t ptf_net_output_count(const ptf_net *net);
PTF_API bool ptf_net_input(const ptf_net *net, size_t index, ptf_port *out);
PTF_API bool ptf_net_output(const ptf_net *net, size_t index, ptf_port *out);

/* The number of the one with that name or alias. */
PTF_API bool ptf_net_find_input(const ptf_net *net, const char *name,
                                size_t *index);
PTF_API bool ptf_net_find_output(const ptf_net *net, const char *name,
                                 size_t *index);

/* Of the model: the class name of its root, "smallNetTrain". */
PTF_API const char *ptf_net_name(const ptf_net *net);

/* What a layer is, as far as the rewrites and the tables tell layers apart. */
typedef enum ptf_layer_kind {
    PTF_LAYER_OTHER,
    PTF_LAYER_CONVOLUTION, /* transposed ones too */
    PTF_LAYER_LINEAR,
    PTF_LAYER_BATCH_NORM,
    PTF_LAYER_SOFTMAX,
    PTF_LAYER_VIEW, /* Flatten, Dropout, permute: moves numbers or keeps them */
} ptf_layer_kind;

/* One layer as a table would show it. */
typedef struct ptf_layer {
    const char *name; /* dotted path, "conv1.0"; "" for an implied one */
    const char *op;   /* class name as PyTorch prints it, "Conv2d" */
    ptf_layer_kind kind;
    const char *text;   /* "Conv2d(3, 16, kernel_size=(3, 3), ...)" */
    int64_t parameters; /* trainable numbers (running statistics not) */
} ptf_layer;

/* The layers in the order in which they run. */
PTF_API size_t ptf_net_layer_count(const ptf_net *net);
PTF_API void ptf_net_layer(const ptf_net *net, size_t index, ptf_layer *out);

/* The parameters and buffers in state dict order. */
PTF_API size_t ptf_net_tensor_count(const ptf_net *net);
PTF_API const ptf_tensor *ptf_net_tensor(const ptf_net *net, size_t index);

/*
 * The text of the graph, one line per value: see docs/graph.md.  It says all of
 * the net but the numbers of its tensors, and ptf_net_make() reads it back.
 * PTF_MEMORY is all that can go wrong; errors of writing are the FILE's.
 */
PTF_API ptf_status ptf_net_print_graph(const ptf_net *net, FILE *out,
                                       ptf_error *err);

/* A text of a file's metadata. */
typedef struct ptf_metadata {
    const char *key, *value;
} ptf_metadata;

/*
 * Writes the net's state dict to 'path'.  The ending decides the format:
 * ".pt" and ".pth" give a file for torch.load(weights_only=True) and
 * load_state_dict(); ".bin" and ".safetensors" a safetensors file whose
 * __metadata__ carries "architecture" (the text of a chain of modules) or
 * "graph" (that of any other net, as ptf_net_print_graph() has it), "assumes"
 * (ptf_net_assumption(), or nothing), "rewrites" and, when 'source' is not
 * NULL, "source_sha256".  'notes', which a row without key ends, go there too;
 * NULL: none.  ".pt2" gives the program that the net was made from, changed
 * only as its rewrites say, without notes; of any other
 * net, and where a rewrite changes more than calls of their own, a program of
 * the net's ops, for inputs of the shapes that the net knows and for any batch.
 * The file is read again and must give this net; what it cannot say is
 * PTF_UNSUPPORTED.  Anything else is PTF_ARGUMENT.
 *
 * The file is complete or absent: it is written beside the target under
 * another name, synced, and renamed.  'path' must not be a file that 'source'
 * is mapped from; the checksums in that file are compared meanwhile, and where
 * one differs no file appears (PTF_FORMAT).  Equal input gives equal bytes.
 */
PTF_API ptf_status ptf_net_save(const ptf_net *net, const char *path,
                                const ptf_checkpoint *source,
                                const ptf_metadata *notes, ptf_error *err);

/* ----------------------------------------------------------------- rewrite */

/* A rewrite requires the same bits, or the same function up to rounding. */
typedef enum ptf_promise {
    PTF_PROMISE_EXACT,
    PTF_PROMISE_ROUNDS,
} ptf_promise;

typedef struct ptf_rewrite {
    const char *name;
    ptf_promise promise;
    const char *summary; /* one line */
} ptf_rewrite;

/* The table of rewrites, by number until NULL, or by name (NULL if none). */
PTF_API const ptf_rewrite *ptf_rewrite_at(size_t index);
PTF_API const ptf_rewrite *ptf_rewrite_find(const char *name);

/*
 * Applies 'rewrite' wherever it is possible and gives a new net, which uses
 * the old one and keeps it.  'inputs' are the shapes that the net is meant for;
 * only rewrites that depend on feature map sizes (linear_to_conv) need it,
 * others take NULL.
 *
 * A batch norm that cannot be moved (after a ReLU, before all convolutions,
 * without running statistics, ...) stays in the new net, which computes the
 * same all the same: ptf_net_remark() lists it.  PTF_UNSUPPORTED, with the
 * layers and the reasons, when nothing can be rewritten, and when a layer
 * stands in the way of linear_to_conv.  PTF_FORMAT for numbers that no trained
 * net has (negative or non-finite variance, NaN).
 */
PTF_API ptf_status ptf_net_rewrite(const ptf_net *net,
                                   const ptf_rewrite *rewrite,
                                   const ptf_shape *inputs, ptf_net **out,
                                   ptf_error *err);

/* What the last rewrite of a net says of one of the layers before it. */
typedef struct ptf_remark {
    const char *layer; /* as in ptf_layer; layers may have other names now */
    const char *op;
    const char *text; /* "follows 1 (ReLU), expected ..." */
    bool left;        /* it should have been rewritten, and stays as it was */
} ptf_remark;

/* By number, in the order of the layers; false after the last. */
PTF_API bool ptf_net_remark(const ptf_net *net, size_t index, ptf_remark *out);

/* ------------------------------------------------------------------- counts */

/* Arithmetic operations; formulas are in src/count/formulas.c. */
typedef struct ptf_operations {
    int64_t macs;            /* a weight times a value, added to a sum */
    int64_t multiplications; /* those of the multiply-adds included */
    int64_t additions;       /* likewise, and subtractions */
    int64_t others;          /* comparisons, divisions, exp, log */
} ptf_operations;

/* What a tool counts as an operation. */
typedef struct ptf_convention {
    const char *name; /* "torchinfo" */
    const char *unit; /* what the tool calls it: "mult-adds" */
    const char *summary;
} ptf_convention;

/*
 * The conventions, by number until NULL, or by name (NULL if none).  The first
 * one, "macs", counts multiply-adds of convolutions, linear layers and
 * matrix products.
 */
PTF_API const ptf_convention *ptf_convention_at(size_t index);
PTF_API const ptf_convention *ptf_convention_find(const char *name);

/*
 * The counts of one layer, or of a whole net, for a batch in evaluation.
 * Bytes are those of f32.  A sum over a window counts all of its terms, those
 * in the padding too.
 */
typedef struct ptf_count {
    const char *name; /* as in ptf_layer; of a net, its class */
    const char *op;   /* "" of a net */
    ptf_layer_kind kind;
    ptf_shape input;  /* of the first operand; of rank 0 where there is none */
    ptf_shape output; /* of a net, both are the first ones */
    int64_t parameters;   /* trainable numbers */
    int64_t weight_bytes; /* of these, and of running statistics */
    int64_t input_bytes;  /* both 0 where the output is the input in another */
    int64_t output_bytes; /* shape (Flatten) or as it is (Dropout, Identity) */
    int64_t conventional; /* operations by the convention that was asked for */
    ptf_operations forward;
    ptf_operations input_gradient; /* 0 where nobody asks for it */
    ptf_operations parameter_gradient;
} ptf_count;

/* Options of ptf_net_count(). */
typedef struct ptf_count_options {
    size_t size;                      /* sizeof(ptf_count_options), or 0 */
    int64_t batch;                    /* 0: 1 */
    const ptf_convention *convention; /* of 'conventional'; NULL: "macs" */
    /*
     * Also the gradient with respect to the net's input.  Without it, layers
     * that have no parameters before them need no input gradient.
     */
    bool input_gradient;
} ptf_count_options;

/*
 * Counts 'net' for inputs of these shapes; no numbers are needed.  'layers'
 * has room for ptf_net_layer_count() counts; *total is their sum.  Both borrow
 * names from the net.
 *
 * PTF_ARGUMENT for a shape that does not fit, and for counts beyond 63 bits.
 */
PTF_API ptf_status ptf_net_count(const ptf_net *net, const ptf_shape *inputs,
                                 const ptf_count_options *options,
                                 ptf_count *layers, ptf_count *total,
                                 ptf_error *err);

/* -------------------------------------------------------------------- plan */

typedef struct ptf_plan ptf_plan;

/* Options of ptf_plan_make(). */
typedef struct ptf_plan_options {
    size_t size;         /* sizeof(ptf_plan_options), or 0 */
    int threads;         /* 0: the CPUs that this process may use */
    const char *isa;     /* "ref", "avx2", "avx512", "neon"; NULL: best */
    size_t memory_limit; /* bytes of ptf_plan_memory(); 0: the machine's */
    bool keep;           /* every layer's output, for ptf_plan_layer() */
    int runs;            /* how many there will be at least; 0: not known */
    bool inspect;        /* every layer's output, for ptf_plan_not_finite() */
} ptf_plan_options;

/*
 * Prepares 'net' to run on batches of up to 'batch' samples, whose inputs have
 * these shapes, as many as the net has inputs: checks all shapes, chooses
 * kernels, packs weights where that pays.  Here and wherever a net's inputs
 * have shapes, NULL stands for those that its source says.  The result is the
 * same bits whatever the options say.  One plan is for one thread at a time.
 *
 * Weights of a layer beyond 128 MB are used where they are, unless there will
 * be so many runs that a second copy, which each run reads faster, pays for
 * its making; ptf_plan_memory() then counts it.
 *
 * A memory limit makes the plan run a batch in parts and an image in stripes
 * of rows; PTF_MEMORY when even that takes more.  Images whose feature maps
 * are large are run in stripes also without a limit.
 */
PTF_API ptf_status ptf_plan_make(const ptf_net *net, const ptf_shape *inputs,
                                 int64_t batch, const ptf_plan_options *options,
                                 ptf_plan **out, ptf_error *err);
PTF_API void ptf_plan_free(ptf_plan *plan);

/* The shape of one sample of an output, by number. */
PTF_API ptf_shape ptf_plan_output(const ptf_plan *plan, size_t index);

/*
 * Runs 'count' samples (at most the plan's batch).  in[k] is count x input k,
 * out[k] count x output k, all f32 in C order and not overlapping.
 */
PTF_API ptf_status ptf_plan_run_all(ptf_plan *plan, const float *const *in,
                                    int64_t count, float *const *out,
                                    ptf_error *err);

/* The same for a net of one input and one output; others: PTF_UNSUPPORTED. */
PTF_API ptf_status ptf_plan_run(ptf_plan *plan, const float *in, int64_t count,
                                float *out, ptf_error *err);

/*
 * What layer 'index' (as ptf_net_layer() counts) gave in the last run: so many
 * inputs x '*shape'.  Without options->keep, and before a run, it is NULL.
 * The numbers may be those of the run's own inputs and outputs (the last
 * layer's are), and are gone with these or with the next run.
 */
PTF_API const float *ptf_plan_layer(const ptf_plan *plan, size_t index,
                                    ptf_shape *shape);

/*
 * The name of the first layer that gave NaN or infinity in the last run, or
 * that of an input which had one ("" where it has none); NULL when all numbers
 * were finite, and without options->inspect.  A ReLU or a pool may hide such a
 * number from the outputs.  Other than options->keep this needs no room for all
 * layers, and an image may run in stripes; numbers that no later layer reads
 * are then not computed, and not looked at.
 */
PTF_API const char *ptf_plan_not_finite(const ptf_plan *plan);

/*
 * Images that are too large to be held, and outputs that are used up row by
 * row, can be run in stripes of output rows by the caller.
 *
 * ptf_plan_stripe() is the most rows of output that fit the plan's memory at
 * once, or 0 when the net has a layer that needs the whole image (Linear,
 * Flatten, adaptive pooling), or several inputs or
 * outputs.  ptf_plan_rows() gives the rows of the input
 * that output rows first .. first + count - 1 depend on.
 * ptf_plan_run_rows() computes these output rows of one image: 'in' is
 * channels x *in_count x width, those rows of the input; 'out' is channels x
 * count x width.  The bits are those of ptf_plan_run() on the whole image.
 */
PTF_API int64_t ptf_plan_stripe(const ptf_plan *plan);
PTF_API ptf_status ptf_plan_rows(ptf_plan *plan, int64_t first, int64_t count,
                                 int64_t *in_first, int64_t *in_count,
                                 ptf_error *err);
PTF_API ptf_status ptf_plan_run_rows(ptf_plan *plan, int64_t first,
                                     int64_t count, const float *in, float *out,
                                     ptf_error *err);

/* Bytes that the plan allocated: buffers, packed weights, scratch. */
PTF_API size_t ptf_plan_memory(const ptf_plan *plan);

/* The instruction set that plans use by default, after PTF_ISA. */
PTF_API const char *ptf_isa_name(void);

/* ------------------------------------------------------------------ images */

/*
 * Images in files, as a net wants them.  Files are told apart by their first
 * bytes: PNG, JPEG, PPM and PGM (8-bit channels of 0 to 255; 16 bits lose the
 * low byte, alpha is dropped, palettes are resolved), NumPy's .npy and .npz,
 * CIFAR-10's binary files and its Python batches.
 *
 * A PNG or JPEG is turned as its orientation says (EXIF, or without it XMP),
 * as by Pillow's ImageOps.exif_transpose().  What must be held in memory as a
 * whole (interlaced, progressive, turned) may take 192 MiB.
 */
typedef struct ptf_images ptf_images;

/* How pixels are resized: Pillow's filters of these names. */
typedef enum ptf_filter {
    PTF_FILTER_BILINEAR,
    PTF_FILTER_BICUBIC,
} ptf_filter;

/* What happens to an image, in this order. */
typedef struct ptf_image_options {
    size_t size;        /* sizeof(ptf_image_options), or 0 */
    int rank;           /* dimensions of one input in an array; 0: 3 */
    bool channels_last; /* arrays are height x width x channels */
    const char *array;  /* which array of an .npz; NULL: the only one fit */
    int64_t channels;   /* 1: grey, 3: RGB, as Pillow converts; 0: as it is */
    int64_t resize[2];  /* height, width; {n, 0}: the shorter side; {0, 0} */
    ptf_filter filter;
    int64_t crop[2]; /* height, width of the middle; {0, 0}: all */
    float scale;     /* divides the numbers; 0: 255 for bytes, else 1 */
    int mean_count, std_count; /* 0, 1 or one for each channel */
    const float *mean, *std;   /* (x - mean) / std */
} ptf_image_options;

/*
 * Lists the images of 'count' files and folders; "-" is stdin.  A folder has
 * images, or a folder for each class, which are numbered in the order of
 * their names, and then labels in files do not count.  Hidden files and files
 * of other kinds in a folder are left out, and so are damaged ones, so that one
 * does not end the run of thousands: pictures in folders are decoded once when
 * they are listed.  'options' may be NULL, and is copied.
 *
 * Resizing has the bits of Pillow's filters, and dividing, mean and std those
 * of torchvision's ToTensor and Normalize.
 *
 * The list is for one thread at a time.  Release it with ptf_images_close().
 * Errors: PTF_IO, PTF_MEMORY, PTF_FORMAT for damaged files, PTF_UNSUPPORTED
 * for unknown ones, PTF_ARGUMENT when nothing is found or options clash.
 */
PTF_API ptf_status ptf_images_open(const char *const *paths, size_t count,
                                   const ptf_image_options *options,
                                   ptf_images **out, ptf_error *err);
PTF_API void ptf_images_close(ptf_images *images);

PTF_API int64_t ptf_images_count(const ptf_images *images);

typedef struct ptf_image_info {
    ptf_shape shape;  /* with the options applied */
    int64_t label;    /* -1 when unknown */
    const char *name; /* "cat.png", "batch.bin[17]"; until the next call */
} ptf_image_info;

PTF_API ptf_status ptf_images_info(ptf_images *images, int64_t index,
                                   ptf_image_info *out, ptf_error *err);

/* The whole image, in C order of its shape. */
PTF_API ptf_status ptf_images_read(ptf_images *images, int64_t index,
                                   float *out, ptf_error *err);

/*
 * The arrays of a NumPy file as tensors: all of a .npz under the names that
 * numpy.load() gives them, or the one of a .npy, whose name is "".  They lie
 * in the file's mapping where they can.
 */
typedef struct ptf_arrays ptf_arrays;

PTF_API ptf_status ptf_arrays_open(const char *path, ptf_arrays **out,
                                   ptf_error *err);
PTF_API void ptf_arrays_close(ptf_arrays *arrays);

/* All of them, one after the other. */
PTF_API const ptf_tensor *ptf_arrays_tensors(const ptf_arrays *arrays,
                                             size_t *count);

/*
 * Writes arrays for numpy.load(): a .npz ('zip') under their names, which must
 * differ, or the one of a .npy.  The file is complete or absent, and equal
 * arrays give equal bytes.
 */
PTF_API ptf_status ptf_arrays_save(const char *path, const ptf_tensor *arrays,
                                   size_t count, bool zip, ptf_error *err);

/* --------------------------------------------------------------- gradients */

/*
 * Gradients by convolution: a run forward, then one back, which gives the
 * derivatives of sum(cotangent * output) with respect to the input and the
 * parameters.  The gradient of a convolution's input is a transposed
 * convolution of the cotangent, that of its weights a convolution with the
 * cotangent as the filter; no matrix of a convolution is formed, and memory
 * grows as the layers' sizes do.  docs/gradients.md derives it and states the
 * order of every sum: the result is the same bits whatever the options say.
 */
typedef struct ptf_gradient ptf_gradient;

/* What to differentiate by; 0 stands for both. */
enum { PTF_WRT_INPUT = 1, PTF_WRT_PARAMETERS = 2 };

/* Options of ptf_gradient_make(). */
typedef struct ptf_gradient_options {
    size_t size; /* sizeof(ptf_gradient_options), or 0 */
    unsigned by;
    int threads; /* these three as in ptf_plan_options */
    const char *isa;
    int runs; /* a second copy of weights serves the runs forward alone */
} ptf_gradient_options;

/*
 * Prepares runs of up to 'batch' samples of these inputs.  The net is that of
 * evaluation: batch norms use their running statistics,
 * and dropout passes everything.  'options' may be NULL.  Errors are those of
 * ptf_plan_make().  One object is for one thread at a time.
 */
PTF_API ptf_status ptf_gradient_make(const ptf_net *net,
                                     const ptf_shape *inputs, int64_t batch,
                                     const ptf_gradient_options *options,
                                     ptf_gradient **out, ptf_error *err);
PTF_API void ptf_gradient_free(ptf_gradient *gradient);

/* The shape of one sample of an output. */
PTF_API ptf_shape ptf_gradient_output(const ptf_gradient *gradient,
                                      size_t index);

/*
 * Runs 'count' samples forward: 'out' gets the bits of ptf_plan_run_all().
 * All of 'in' and 'out' is read again on the way back and must stay until then.
 */
PTF_API ptf_status ptf_gradient_run_all(ptf_gradient *gradient,
                                        const float *const *in, int64_t count,
                                        float *const *out, ptf_error *err);

/* The same for a net of one input and one output; others: PTF_UNSUPPORTED. */
PTF_API ptf_status ptf_gradient_run(ptf_gradient *gradient, const float *in,
                                    int64_t count, float *out, ptf_error *err);

/*
 * Runs back what was run last, as often as one likes; cotangents[k] is that
 * count x output k.  PTF_ARGUMENT when nothing was run.
 */
PTF_API ptf_status ptf_gradient_back_all(ptf_gradient *gradient,
                                         const float *const *cotangents,
                                         ptf_error *err);

/* The same for a net of one input and one output. */
PTF_API ptf_status ptf_gradient_back(ptf_gradient *gradient,
                                     const float *cotangent, ptf_error *err);

/*
 * The gradients that the last run back left, valid until the next.  By an
 * input, by number: count x input in C order, NULL unless asked for, and where
 * it is of integers or bools.  By the
 * parameters: tensors under the parameters' names, f32, in state dict order;
 * those of several inputs are added up.  A graph's constants of floating-point
 * numbers are parameters.
 */
PTF_API const float *ptf_gradient_input(const ptf_gradient *gradient,
                                        size_t index);
PTF_API size_t ptf_gradient_tensor_count(const ptf_gradient *gradient);
PTF_API const ptf_tensor *ptf_gradient_tensor(const ptf_gradient *gradient,
                                              size_t index);

/*
 * Writes them to a file, whose ending decides the format as in
 * ptf_net_save(); an input's gradient is called "input", and where there are
 * several "input.NAME".
 */
PTF_API ptf_status ptf_gradient_save(const ptf_gradient *gradient,
                                     const char *path, ptf_error *err);

/* -------------------------------------------------------------- enclosures */

/*
 * A second evaluation of a net, in double and apart from plans, that carries
 * a rigorous bound: the outputs of the net as a real function of its
 * parameters and of the given input lie within 'radius' of 'value'.
 */
typedef struct ptf_enclosure ptf_enclosure;

/*
 * Prepares 'net' for inputs of these shapes.  The enclosure copies the net's
 * parameters; it is for one thread at a time.  PTF_ARGUMENT for
 * a net without numbers or a shape that does not fit.
 */
PTF_API ptf_status ptf_enclosure_make(const ptf_net *net,
                                      const ptf_shape *inputs,
                                      ptf_enclosure **out, ptf_error *err);
PTF_API void ptf_enclosure_free(ptf_enclosure *enclosure);

PTF_API ptf_shape ptf_enclosure_output(const ptf_enclosure *enclosure,
                                       size_t index);

/*
 * in[k] is count x input k; value[k] and radius[k] are count x output k.  Where
 * a number overflows or is not finite nothing is known: that image's values are
 * NaN and its radii infinite, and ptf_enclosure_undecided() names the layer
 * ("": the input; of the last such image of the last run; NULL when there was
 * none).
 */
PTF_API ptf_status ptf_enclosure_run_all(ptf_enclosure *enclosure,
                                         const float *const *in, int64_t count,
                                         double *const *value,
                                         double *const *radius, ptf_error *err);

/* The same for a net of one input and one output; others: PTF_UNSUPPORTED. */
PTF_API ptf_status ptf_enclosure_run(ptf_enclosure *enclosure, const float *in,
                                     int64_t count, double *value,
                                     double *radius, ptf_error *err);
PTF_API const char *ptf_enclosure_undecided(const ptf_enclosure *enclosure);

/* ------------------------------------------------------------- fixed point */

/*
 * A third evaluation of a net, in fixed point of as many bits as are asked for,
 * apart from plans and enclosures of doubles: sums of products are exact, and
 * what the few cuts of each layer can come to is known.  See
 * docs/equivalence.md.
 */
typedef struct ptf_exact ptf_exact;

enum { PTF_EXACT_BITS_MOST = 510 };

/*
 * Prepares 'net' for inputs of these shapes, to be evaluated with at least
 * 'bits' bits, 1 to PTF_EXACT_BITS_MOST; 'threads' 0 is all.  It borrows the
 * net and is for one thread at a time.  PTF_UNSUPPORTED for parameters that no
 * such number holds.
 */
PTF_API ptf_status ptf_exact_make(const ptf_net *net, const ptf_shape *inputs,
                                  int bits, int threads, ptf_exact **out,
                                  ptf_error *err);
PTF_API void ptf_exact_free(ptf_exact *exact);
/* Takes as many bits from now on; what does not depend on them stays. */
PTF_API ptf_status ptf_exact_set_bits(ptf_exact *exact, int bits,
                                      ptf_error *err);
/* Those that are used: the next multiple of 51. */
PTF_API int ptf_exact_bits(const ptf_exact *exact);
PTF_API ptf_shape ptf_exact_output(const ptf_exact *exact, size_t index);

/*
 * Evaluates one sample: in[k] is input k; value[k] and radius[k] are output k:
 * the net's exact output, as a real function, is within the radius of the
 * value, which is a double.  Where a number is not finite or beyond 2^200,
 * nothing is known: values are NaN, radii infinite, and
 * ptf_exact_undecided() names the layer ("": the input; NULL: none).
 * PTF_UNSUPPORTED names a layer that is not evaluated in fixed point.
 */
PTF_API ptf_status ptf_exact_run(ptf_exact *exact, const float *const *in,
                                 double *const *value, double *const *radius,
                                 ptf_error *err);
PTF_API const char *ptf_exact_undecided(const ptf_exact *exact);

/*
 * Of the last sample, number i of an output: the f32 nearest to the exact
 * number (ties to even) is *low or *high, which are the same when the bits were
 * enough to tell, or -infinity and infinity where nothing is known.
 */
PTF_API void ptf_exact_rounded(const ptf_exact *exact, size_t index, int64_t i,
                               float *low, float *high);

/*
 * The largest radius of an output of the last sample around the number of all
 * its bits, of which ptf_exact_run() gives a double.
 */
PTF_API double ptf_exact_radius(const ptf_exact *exact, size_t index);

/* ----------------------------------------------------------------- softmax */

/*
 * The smooth maximum of n logits at the inverse temperature beta,
 *
 *     nu = log(sum of exp(beta * x_i)) / beta,
 *
 * and its gradient, the softmax exp(beta * x_i) / sum of exp(beta * x_j).
 * max x <= nu <= max x + log(n) / beta.
 *
 * 'beta' is a number from 1e-30 to 1e30, or infinity or 0 for the limits from
 * below and above: at infinity nu is the largest logit, and those equal to it
 * share equally; at 0 nu diverges to +infinity as soon as two logits are
 * above -infinity, and all such logits share equally.
 *
 * A logit of -infinity has no part in either.  Where the largest logit is
 * itself infinite, nu is that infinity, and those equal to it share equally.
 * A NaN anywhere makes all results NaN.  No numbers, and any other beta, are
 * PTF_ARGUMENT.
 *
 * The error of nu is below 0.51 units in its last place plus 2^-90 |max x|:
 * the terms of nu may cancel.  Every share is within one unit in its last
 * place, subnormal ones too, and with beta 1 has the bits of a Softmax layer.
 * 'out' and 'x' must not overlap.
 */
PTF_API ptf_status ptf_log_sum_exp(double beta, const float *x, size_t n,
                                   double *nu, ptf_error *err);
PTF_API ptf_status ptf_softmax(double beta, const float *x, size_t n,
                               float *out, ptf_error *err);

/* ------------------------------------------------------------------ verify */

/* From strong to weak; see docs/equivalence.md. */
typedef enum ptf_level {
    PTF_LEVEL_BITWISE,    /* all output bits equal */
    PTF_LEVEL_CERTIFIED,  /* all of the difference is proved to be rounding */
    PTF_CERTIFIED_WITHIN, /* the same, but that B's parameters are up to n units
                             in the last place from the ideal ones */
    PTF_LEVEL_SAME_PREDICTIONS, /* within tolerance, and every arg max agrees */
    PTF_LEVEL_WITHIN_TOLERANCE, /* |a - b| <= atol + rtol * sample's max|a| */
    PTF_LEVEL_DIFFERENT,
    PTF_LEVEL_UNDECIDED, /* nothing compared, or NaN or infinity in a run */
} ptf_level;

/* "BITWISE" and so on; the n of PTF_CERTIFIED_WITHIN is in ptf_certificate. */
PTF_API const char *ptf_level_name(ptf_level level);

/*
 * The comparison of two runs on the same inputs, row by row.
 */
typedef struct ptf_verdict {
    double atol, rtol;

    int64_t samples;          /* rows compared */
    int64_t outputs;          /* numbers compared */
    int64_t unequal_bits;     /* numbers whose bits differ */
    int64_t beyond_tolerance; /* numbers outside atol + rtol * max|ref| */
    int64_t not_finite;       /* numbers that are NaN or infinite in either */
    int64_t argmax_equal;     /* rows with the same arg max */
    int64_t argmax_undecided; /* rows that differ within the tolerance */
    int64_t argmax_different; /* rows that truly differ */
    double max_abs;           /* largest |a - b| */
    int64_t worst_sample;     /* where, and the two values */
    int64_t worst_output;
    float worst_a, worst_b;
    double max_ref;           /* largest |a| */
    double sum_squares;       /* sum of (a - b)^2 over all numbers */
    double max_group_squares; /* the same per group of 100 rows: the largest */
    double group_squares;     /* of the group that is being filled */
} ptf_verdict;

/*
 * Distances in units in the last place: 0, 1, 2, up to 4, 8, 16, 256, 65536,
 * and beyond (or NaN or infinite on one side).
 */
#define PTF_ULP_BINS 9

/* The comparison of two arrays, number by number. */
typedef struct ptf_difference {
    double atol, rtol;

    int64_t count;
    int64_t unequal_bits;
    int64_t not_finite;       /* NaN or infinite in either */
    int64_t beyond_tolerance; /* |a - b| > atol + rtol * max|a| of its call */
    int64_t ulps[PTF_ULP_BINS];
    double max_abs; /* largest |a - b| */
    int64_t worst;  /* where: counts all numbers added so far */
    float worst_a, worst_b;
    double max_ref;     /* largest |a| */
    double sum_squares; /* of a - b */
} ptf_difference;

/* ------------------------------------------------------------------ checks */

/*
 * A network against another that should compute the same: the original A and
 * B, a rewrite of it or anything else with the same inputs and outputs.
 * Layers are paired by what they read and do, whatever their names and order.
 *
 * Between them stands the ideal I: B's graph with A's parameters, folded where
 * B has them folded, but not rounded.  That I is A is shown layer by layer, for
 * all inputs; then both nets run in f32, each layer's numbers are held against
 * the bounds on rounding, and A and B are enclosed.  See docs/equivalence.md.
 */
typedef struct ptf_check ptf_check;

typedef struct ptf_check_options {
    size_t size;       /* sizeof(ptf_check_options), or 0 */
    int threads;       /* 0: the CPUs that this process may use */
    double atol, rtol; /* for WITHIN TOLERANCE */
    int64_t max_ulps;  /* for CERTIFIED_WITHIN; 0: no parameter may be off */
    bool layers;       /* figures for each layer too */
    bool bisect;       /* B's layers on A's values too */
    /* How far exact outputs may be from the known ones, over the largest of
     * them, on all inputs; 0: PTF_BOUND, on one of the inputs that balls of
     * doubles are too wide for. */
    double bound;
    /* Of fixed point, on all inputs; 0: balls of doubles, and as many bits as
     * it takes where they are too wide. */
    int bits;
} ptf_check_options;

#define PTF_BOUND 0x1p-20

/*
 * 'options' may be NULL: all zero.  PTF_ARGUMENT when the nets cannot take
 * inputs of these shapes, or differ in inputs, outputs, or the numbers that
 * these have.
 */
PTF_API ptf_status ptf_check_make(const ptf_net *a, const ptf_net *b,
                                  const ptf_shape *inputs,
                                  const ptf_check_options *options,
                                  ptf_check **out, ptf_error *err);
PTF_API void ptf_check_free(ptf_check *check);

/* Adds 'count' samples: in[k] is count x input k, f32 in C order. */
PTF_API ptf_status ptf_check_run(ptf_check *check, const float *const *in,
                                 int64_t count, ptf_error *err);

/*
 * The prediction of one sample is the largest number of its output, the first
 * of them where several are.  With several outputs each has one, and the sample
 * is of the weakest kind that they give.
 */
typedef enum ptf_prediction {
    PTF_PREDICTION_CERTIFIED, /* both runs agree, and it is proved that both
                                 real functions do so too */
    PTF_PREDICTION_EQUAL,     /* both runs agree, without that proof */
    PTF_PREDICTION_UNDECIDED, /* they differ, by nothing but rounding */
    PTF_PREDICTION_DIFFERENT, /* they differ, and B is another function */
} ptf_prediction;

/* "certified" and so on. */
PTF_API const char *ptf_prediction_name(ptf_prediction prediction);

/*
 * What a certificate rests on, over all inputs so far.  It has three parts: the
 * rewrite is right, for all inputs; the runs are right, on these inputs; how
 * far outputs can be from the exact ones.  It holds when the first two do.
 */
typedef struct ptf_certificate {
    bool holds;
    const char *reason; /* why it does not; NULL when it does */
    const char *layer;  /* of B, where that happens; NULL: none in particular */
    int part;           /* 1 or 2, which fails; 0: neither, or there was nothing
                           to judge */
    bool within;        /* it holds, or all that it lacks are parameters that
                           are up to 'ulps' from the ideal ones, and that is at
                           most max_ulps of the options */
    bool another;       /* some are further off, though each layer has its
                           counterpart: B's numbers are not those of a rewrite
                           of A */

    /* 1. Parameters of B against the ideal ones. */
    int64_t parameters;
    int64_t parameters_open;   /* too near to a tie to say which f32 is right */
    int64_t parameters_wrong;  /* not the f32 nearest to the ideal */
    int64_t parameters_beyond; /* of them, surely more than max_ulps off */
    int64_t max_ulps;          /* as in the options */
    int64_t ulps;              /* how far the worst parameter is off, */
    const char *ulps_name;     /* its tensor in B (NULL: none is off), */
    int64_t ulps_at;           /* and its place there, */
    bool ulps_of_terms;        /* in units of the largest term of a bias */

    /* 2. Layers' runs against the f32 bounds on the inputs that they had. */
    int64_t runs;        /* numbers held against their bounds */
    int64_t runs_beyond; /* outside */

    /*
     * 3. The exact outputs are within r_A of m_A and r_B of m_B: balls of
     * doubles, or of fixed point.
     */
    int64_t bounded;         /* inputs with such bounds */
    int64_t bounded_fixed;   /* of them, those in fixed point */
    int bits;                /* the most that one of those took */
    const char *unbounded;   /* why there is no fixed point; NULL: there is, or
                                none was asked for */
    double radius;           /* largest r_A + r_B */
    double relative;         /* the same over the largest |m_A| of its input */
    double goal;             /* as in the options */
    double largest;          /* largest |m_A| */
    double parameter_effect; /* largest |m_B - m_A|: what B's parameters did */
    double evaluation_a;     /* largest |run of A - m_A| */
    double evaluation_b;

    int64_t predictions[PTF_PREDICTION_DIFFERENT + 1]; /* inputs of each kind */
} ptf_certificate;

PTF_API void ptf_check_certificate(const ptf_check *check,
                                   ptf_certificate *out);

/*
 * The inputs whose predictions are not certified, by number: 'index' counts
 * them, *sample counts all inputs.  False after the last.
 */
PTF_API bool ptf_check_uncertified(const ptf_check *check, size_t index,
                                   int64_t *sample, ptf_prediction *kind);

/*
 * The outputs' comparison, and the strongest level that holds.  BITWISE is
 * about the outputs alone: ask the certificate whether parameters and layers
 * are what they should be.  UNDECIDED also where a layer gave NaN or infinity
 * that the outputs do not show.
 */
PTF_API const ptf_verdict *ptf_check_verdict(const ptf_check *check);
/* The same comparison of each output by itself: as many as the nets have. */
PTF_API const ptf_verdict *ptf_check_outputs(const ptf_check *check);
PTF_API ptf_level ptf_check_level(const ptf_check *check);

/*
 * One parameter of B against the ideal.  'wrong' are the numbers that are not
 * the ideal one rounded, or of which more than two f32 could be that; 'open'
 * those that lie next to a tie, and may be either.  Distances count units in
 * the last place of the ideal number, but of a bias that batch norms are folded
 * into those of the largest term of its sum, which may cancel.  None is given
 * as less than it can be.
 */
typedef struct ptf_parameter_check {
    const char *name; /* of B's tensor */
    int64_t count, open, wrong;
    int64_t beyond;             /* more than max_ulps off */
    int64_t ulps[PTF_ULP_BINS]; /* how many are how far off */
    int64_t worst;              /* the first of those that are furthest off */
    int64_t worst_ulps;         /* INT64_MAX: a NaN */
    bool ulps_of_terms;         /* a folded bias: the units are those of the
                                   largest term of each, where that is larger */
    double worst_ideal;
    float worst_found;
} ptf_parameter_check;

/* By number; false after the last. */
PTF_API bool ptf_check_parameter(const ptf_check *check, size_t index,
                                 ptf_parameter_check *out);

/*
 * One layer of B beside its counterpart.  'difference' is that of the values
 * that the runs had there; it is the sum of three parts and of what
 * evaluation rounded in A, each given by its largest magnitude.
 */
typedef struct ptf_layer_check {
    const char *name_a; /* the layer of A whose value it is */
    const char *name_b;
    const char *op;
    ptf_difference difference;
    double radius;           /* largest r_A + r_B of balls through the nets */
    double growth;           /* how many times wider, over its largest number,
                                B's ball is than those that the layer reads; 0:
                                they are points */
    int64_t function_apart;  /* numbers in which A and I are proved to differ,
                                on inputs that no layer before it chose */
    double parameter_effect; /* on the inputs that B's layer had */
    double evaluation_a;
    double evaluation_b;
    double inherited;    /* from different inputs of the layer */
    int64_t runs_beyond; /* outside of the f32 bound, in A or B */
    int64_t ulps;        /* how far its worst parameter is off */
    bool broken; /* no certificate, because of this layer as a function */
    bool plain;  /* it has no parameters */

    /* With options->bisect: B's layer on the values that A's had, against what
     * A's gives. */
    double own;        /* largest difference of the two as real functions */
    double own_bound;  /* the most that rounding in both can be */
    int64_t own_apart; /* numbers in which they differ by more than rounding */
    ptf_level level;   /* BITWISE, CERTIFIED, WITHIN TOLERANCE, ... */
} ptf_layer_check;

/* With options->layers: by number in B's order; false after the last. */
PTF_API bool ptf_check_layer(const ptf_check *check, size_t index,
                             ptf_layer_check *out);

/*
 * Fills 'out' with numbers in [0, 1) that depend only on (seed, index) and
 * the position, so that sample 'index' is the same in every run and batch.
 */
PTF_API void ptf_random_fill(uint64_t seed, uint64_t index, float *out,
                             size_t n);

/* -------------------------------------------------------- recorded outputs */

/*
 * Is this net the one that PyTorch ran?  Its run is held against outputs that
 * PyTorch gave for the same inputs.
 *
 * Nobody guesses a tolerance: a number is inside when it is within 16 times
 * the largest error that the net's own run in f32 has here against its run in
 * double, and at least 16 units in the last place of the largest output.  See
 * docs/equivalence.md.
 */
typedef struct ptf_expect ptf_expect;

/*
 * Prepares 'net' for samples of these inputs, and finds out whose outputs the
 * arrays are by their names: the net's own outputs under theirs, those of a
 * layer under its dotted path; that of a net with one output also under
 * "output", "outputs" or "y", or under any name when there is one array alone.
 * Arrays that are called as an input is, or "x", "input" or "inputs", are left
 * out, if no output or layer is.
 *
 * An array is samples x output in C order; sizes of 1 do not count.  It has
 * f32, f64, the dtype of that output, or f16, whose own rounding is then
 * allowed for.  'source' stands in
 * messages for their file.  Arrays and 'source' are borrowed.  'threads'
 * 0: the CPUs that this process may use.
 *
 * PTF_ARGUMENT for an unknown name, another shape, and when an output of the
 * net is not among the arrays; PTF_UNSUPPORTED for another dtype.
 */
PTF_API ptf_status ptf_expect_make(const ptf_net *net, const ptf_shape *inputs,
                                   int64_t samples, const char *source,
                                   const ptf_tensor *arrays, size_t count,
                                   int threads, ptf_expect **out,
                                   ptf_error *err);
PTF_API void ptf_expect_free(ptf_expect *expect);

/* The next 'count' samples: in[k] is count x input k, f32 in C order. */
PTF_API ptf_status ptf_expect_run(ptf_expect *expect, const float *const *in,
                                  int64_t count, ptf_error *err);

typedef enum ptf_agreement {
    PTF_AGREEMENT_AGREES,
    PTF_AGREEMENT_DIFFERS,   /* a number is outside of the limit */
    PTF_AGREEMENT_UNDECIDED, /* numbers that say nothing, or inputs not run */
} ptf_agreement;

/* "AGREES" and so on. */
PTF_API const char *ptf_agreement_name(ptf_agreement agreement);

/* What one array says. */
typedef struct ptf_expect_result {
    const char *name;  /* the array's */
    const char *layer; /* whose output it is; "" for an implied one */
    bool output;       /* that is the net's, too */
    ptf_dtype dtype;
    int64_t numbers, inside;
    int64_t not_finite; /* recorded NaN or infinities: inside when the run has
                           the same ones */
    double largest;     /* magnitude of the run's numbers */
    double spread;      /* by which one differs most between inputs */
    double error;       /* largest distance of the run from that in double */
    double limit;
    double allowed;  /* the limit, and what f16 rounds where that is recorded */
    double distance; /* largest of a recorded number from the run's; infinite
                        where one of them is finite and the other is not */
    int64_t worst_sample, worst_number; /* where, and the two */
    double worst_expected;
    float worst_got;
    double proved; /* every finite recorded number is within this of the net's
                      output as a real function; infinite: nothing is proved */
    ptf_agreement agreement;
    const char *reason; /* why it is not known; NULL when it is */
} ptf_expect_result;

/*
 * The arrays in the order of the layers, when all inputs were run; false
 * after the last.  The first one that differs tells where the nets part.
 */
PTF_API bool ptf_expect_at(const ptf_expect *expect, size_t index,
                           ptf_expect_result *out);

/*
 * Of all: DIFFERS when an array does, and otherwise what those of the net's
 * outputs say.
 */
PTF_API ptf_agreement ptf_expect_agreement(const ptf_expect *expect);

#ifdef __cplusplus
}
#endif

#endif
