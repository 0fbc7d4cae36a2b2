/*
 * What the library does for the programs beside it, and for nobody else: it is
 * not installed, and may change with every version.  In the order of ptfold.h.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTFOLD_TOOL_H
#define PTFOLD_TOOL_H

#include "ptfold.h"

/* ------------------------------------------------------------------ errors */

/*
 * Writes 'text' with \xNN escapes for the bytes of control characters, of what
 * is no UTF-8, and of characters that are not seen or change how others are
 * (zero width, direction of writing, line separators): texts out of files must
 * neither steer a terminal nor look like other texts.
 */
PTF_API void ptf_print_escaped(FILE *out, const char *text, size_t size);

/*
 * The first character of 'text', for whoever writes other escapes: the number
 * of its bytes, its code point (-1: one byte that is no UTF-8), and whether
 * ptf_print_escaped() shows it as it is.  'size' is not 0.
 */
PTF_API size_t ptf_character(const char *text, size_t size, int32_t *code,
                             bool *shown);

/*
 * The first character of 'text' as it stands in a JSON string, escaped where
 * ptf_print_escaped() does: the number of its bytes.  'out' gets a text.
 */
PTF_API size_t ptf_json_character(const char *text, size_t size, char out[16]);

/*
 * Opens a file that is read from its beginning to its end, once, and may come
 * through a pipe of the shell, as in <(...).  All else, a FIFO or device among
 * it, is refused at once and not waited for.  Close '*fd'.
 */
PTF_API ptf_status ptf_input_open(const char *path, int *fd, ptf_error *err);

/* --------------------------------------------------------------- long work */

/*
 * "verifying" or "writing" (constants of the library): 'done' of 'total'
 * bytes.  It must return soon and call nothing of the library.
 */
typedef void ptf_progress_function(void *to, const char *what, uint64_t done,
                                   uint64_t total);

/*
 * From now on, functions that this thread calls and that take long tell
 * 'progress' how far they are, in this thread, as far as it has a part in the
 * work; NULL: nobody.  'to' is handed on, and must live as long.
 */
PTF_API void ptf_set_progress(ptf_progress_function *progress, void *to);

/*
 * With 'keep', functions that this thread calls refuse (PTF_ARGUMENT) to
 * write a file whose name is taken, also when that happens while they write.
 * At first they replace it.
 */
PTF_API void ptf_keep_files(bool keep);

/* ----------------------------------------------------------------- tensors */

/* True when that rounds a number: of tensors of f64. */
PTF_API bool ptf_tensor_rounds(const ptf_tensor *tensor);

/* Where a tensor's bytes lie. */
typedef struct ptf_location {
    size_t size;         /* bytes of all elements */
    const char *storage; /* the storage's key in the file; "" without one */
    size_t storage_size; /* bytes */
    size_t offset;       /* of the first element in the storage, in bytes */
    const char *file;    /* NULL when the bytes are not in a file as they are
                            (compressed, big-endian, dequantized) */
    uint64_t file_offset;
} ptf_location;

/* Tensors that share memory have the same 'storage' pointer. */
PTF_API void ptf_tensor_locate(const ptf_tensor *tensor, ptf_location *out);

/*
 * SHA-256 of all elements in C order, least significant byte first, as 64
 * hexadecimal digits and a zero: the same for every layout and file format.
 */
PTF_API ptf_status ptf_tensor_sha256(const ptf_tensor *tensor, char hex[65],
                                     ptf_error *err);

/* -------------------------------------------------------------- checkpoint */

/*
 * The key under which the tensors were found, "" for the whole file.  When
 * the file has other tensors (no optimizer's), *left_out is their number and
 * *example the name of one; both may be NULL.
 */
PTF_API const char *ptf_checkpoint_key(const ptf_checkpoint *ckpt,
                                       size_t *left_out, const char **example);

/* The texts' keys, by number until NULL. */
PTF_API const char *ptf_checkpoint_metadata_key(const ptf_checkpoint *ckpt,
                                                size_t index);

/* What a checkpoint says about its container. */
typedef struct ptf_checkpoint_info {
    const char *kind;      /* "torch zip", "legacy torch stream", ... */
    const char *root;      /* the zip's folder, "" in other kinds */
    const char *byteorder; /* of tensors in the file: "little" or "big" */
    int version;           /* the format's own number, 0 without one */
    size_t size;           /* bytes, of all files */
    size_t entry_count;
    size_t file_count; /* an index counts with its shards */
    /*
     * Objects in the chosen state dict that hold tensors or arrays but are no
     * modules or containers.  They are not looked into, so what is in them is
     * not among the tensors.
     */
    size_t closed_count;
    /*
     * Constants of a TorchScript file's code, which have no names and are not
     * among the tensors.  torch.jit.freeze() makes weights such.
     */
    size_t constant_count;
} ptf_checkpoint_info;

PTF_API void ptf_checkpoint_describe(const ptf_checkpoint *ckpt,
                                     ptf_checkpoint_info *out);

/* A named part of a file: an entry of a zip, the header of safetensors. */
typedef struct ptf_file_entry {
    const char *file, *name;
    uint64_t offset; /* of its bytes in the file */
    size_t size;     /* of the plain bytes */
    size_t packed;   /* of the bytes in the file */
    uint32_t crc;    /* CRC-32 of the plain bytes, when has_crc */
    bool has_crc;
} ptf_file_entry;

/* The entries in the order of the file; false after the last. */
PTF_API bool ptf_checkpoint_entry(const ptf_checkpoint *ckpt, size_t index,
                                  ptf_file_entry *out);

/*
 * Classes and functions ("argparse.Namespace") that the file mentions and
 * that mean nothing to the reader, by number until NULL.  What depends on
 * them is not looked into, and never run.
 */
PTF_API const char *ptf_checkpoint_opaque(const ptf_checkpoint *ckpt,
                                          size_t index);

/*
 * True when the file holds a whole model (torch.save(model)), so that
 * ptf_net_make() needs no text.
 */
PTF_API bool ptf_checkpoint_has_model(const ptf_checkpoint *ckpt);

/* The stages of reading that can print themselves. */
typedef enum ptf_stage {
    PTF_STAGE_ARCHIVE, /* kind, root, entries with sizes and offsets */
    PTF_STAGE_VALUES,  /* the unpickled value tree */
    PTF_STAGE_TENSORS, /* one line per tensor, then globals left opaque */
} ptf_stage;

PTF_API void ptf_checkpoint_print(const ptf_checkpoint *ckpt, ptf_stage stage,
                                  FILE *out);

/*
 * SHA-256 of the whole file as 64 hexadecimal digits and a zero; of an index,
 * that of the index and its files one after the other, in the order in which
 * it first names them.
 */
PTF_API ptf_status ptf_checkpoint_sha256(const ptf_checkpoint *ckpt,
                                         char hex[65], ptf_error *err);

/* ----------------------------------------------------------------- program */

/*
 * True when the file is such an archive, whether ptfold can read it or not;
 * false for all others, and for what cannot be opened.
 */
PTF_API bool ptf_program_is(const char *path);

/* Compares all data with the checksums on file. */
PTF_API ptf_status ptf_program_verify(const ptf_program *program,
                                      ptf_error *err);

/* The SHA-256 of the file in hexadecimal. */
PTF_API void ptf_program_sha256(const ptf_program *program, char hex[65]);

/* PTF_IO when the file was written to since it was opened. */
PTF_API ptf_status ptf_program_unchanged(const ptf_program *program,
                                         ptf_error *err);

/*
 * Writes the program to 'path' as PyTorch 2.13 lays it out, whatever release
 * wrote it: torch.export.load() takes the file.  Graph, names, stack traces,
 * signature, parameters, example and extra files stay as they are; of several
 * models in the archive the one that was opened is written, under the name
 * "model".  The file is complete or absent, and equal input gives equal bytes.
 */
PTF_API ptf_status ptf_program_save(const ptf_program *program,
                                    const char *path, ptf_error *err);

/* Inputs, outputs, operators with how often they are called, parameters. */
PTF_API void ptf_program_print(const ptf_program *program, FILE *out);

/*
 * One line per input, constant, call and output.  With 'defaults' calls show
 * all their arguments, else those that the file has.
 */
PTF_API void ptf_program_print_graph(const ptf_program *program, bool defaults,
                                     FILE *out);

/* --------------------------------------------------------------------- net */

/* Reads "3x32x32"; false when 'text' is not a shape. */
PTF_API bool ptf_shape_parse(const char *text, ptf_shape *out);

/*
 * The architectures that are compiled in: smallNetTrain, smallNetTest, Net1,
 * Net2, AlexNet.  ptf_arch_name() counts from 0 and ends with NULL;
 * ptf_arch_text() gives the text, or NULL for an unknown name.
 */
PTF_API const char *ptf_arch_name(size_t index);
PTF_API const char *ptf_arch_text(const char *name);

/*
 * The one built-in architecture whose parameters are exactly the tensors of
 * 'ckpt', in names and shapes; *name is static.  PTF_UNSUPPORTED when none
 * fits; *name is then the nearest one, or NULL.
 */
PTF_API ptf_status ptf_arch_recognise(const ptf_checkpoint *ckpt,
                                      const char **name, ptf_error *err);

/*
 * Writes how the layers of a text and the tensors of 'ckpt' disagree, a line
 * for each that does not: "missing NAME SHAPE", "unexpected NAME SHAPE", or
 * "NAME: expected X, got Y".  The first of them is what ptf_net_make() says.
 */
PTF_API ptf_status ptf_net_print_mismatch(const char *text,
                                          const char *text_name,
                                          const ptf_checkpoint *ckpt, FILE *out,
                                          ptf_error *err);

/*
 * The same for inputs of other sizes than the example's: 'inputs' are arrays of
 * these shapes, one for each of the net's inputs, with all their axes; only
 * their shapes are looked at, and -1 stands for the example's size.  Sizes that
 * the exporter left open may be any within their bounds (PTF_ARGUMENT names the
 * one that is not, or the program's condition that does not hold).  Others may
 * be those for which the net is proved to be the same function; PTF_UNSUPPORTED
 * names the call that fixes them.
 */
PTF_API ptf_status ptf_net_from_program_for(const ptf_program *program,
                                            const ptf_tensor *const *inputs,
                                            size_t count, ptf_net **out,
                                            ptf_error *err);

/*
 * Two lines that say for which batches a program runs, and for which sizes, as
 * far as some are tried, or which call fixes them.
 */
PTF_API void ptf_program_print_sizes(const ptf_program *program, FILE *out);

/*
 * The operators of ATen that programs are known to call, in the order of their
 * names, by number until NULL: "aten.add.Tensor".  Of those that are supported
 * a net can be made; where a call of one is refused, the message says why.
 */
PTF_API const char *ptf_operator_name(size_t index);
PTF_API bool ptf_operator_is_supported(const char *name);

/*
 * Writes the families of ops in Markdown: the ops of each, their classes of
 * torch.nn, and the operators of ATen that they are read from.
 */
PTF_API void ptf_ops_print(FILE *out);

/*
 * Signs that the assumption is wrong, by number until NULL: "conv1 and conv2
 * have no activation between them".  None for a net without an assumption,
 * after a rewrite, and out of a saved file.
 */
PTF_API const char *ptf_net_doubt(const ptf_net *net, size_t index);

/*
 * The key under which the checkpoint had the net's parameters, and what other
 * tensors it has, as ptf_checkpoint_key() gives them: now that the network is
 * known.  "" also without a checkpoint.
 */
PTF_API const char *ptf_net_key(const ptf_net *net, size_t *left_out,
                                const char **example);

/*
 * An array for an input, as f32 numbers: floats are rounded once, but integers
 * that f32 does not have are PTF_ARGUMENT, and so are floats for an input of
 * integers.
 */
PTF_API ptf_status ptf_net_read_input(const ptf_net *net, size_t index,
                                      const ptf_tensor *array, float *out,
                                      ptf_error *err);

/*
 * 'count' numbers of an output as it is in PyTorch: integers and bool where it
 * has these, else f32.  '*dtype' tells; 'out' has room for 8 bytes a number.
 */
PTF_API ptf_status ptf_net_write_output(const ptf_net *net, size_t index,
                                        const float *in, int64_t count,
                                        ptf_dtype *dtype, void *out,
                                        ptf_error *err);

/*
 * True when no axis of the inputs and outputs is a batch: their shapes are all
 * there is of them, and a run has one sample.
 */
PTF_API bool ptf_net_is_whole(const ptf_net *net);

/*
 * True when such a net is of one sample, so that others are runs of their own:
 * the first axis of the inputs, which is 1, and of outputs that have it, is
 * where samples lie side by side.
 */
PTF_API bool ptf_net_stacks(const ptf_net *net);

/*
 * Reads all parameters and buffers: PTF_FORMAT names the first one that has a
 * NaN or an infinity, which no comparison of outputs could see through.
 */
PTF_API ptf_status ptf_net_check_numbers(const ptf_net *net, ptf_error *err);

/*
 * The same of what runs may hide, which is little beside the rest: not of the
 * weights of convolutions and linear layers.  Those are finite when a run of a
 * plan that inspects has ptf_plan_not_finite() say NULL.
 */
PTF_API ptf_status ptf_net_check_hidden(const ptf_net *net, ptf_error *err);

/*
 * True for a chain of modules, of which the text of print(model) says all;
 * other nets have a text of their graph only.
 */
PTF_API bool ptf_net_is_chain(const ptf_net *net);

/*
 * The architecture as print(model) would print it, plus the input comment: of a
 * chain of modules.
 */
PTF_API void ptf_net_print_text(const ptf_net *net, FILE *out);

/*
 * How a convolutional net moves over an image larger than 'window', the shape
 * that it was made for: output (i, j) of the large map belongs to the crop
 * whose corner is pixel (i * stride[0], j * stride[1]).
 *
 * 'blocker' is NULL when every window equals the net on its crop.  Otherwise
 * it names the first layer for which that is not so (of those that take one
 * size only, where there are some), and 'reason' says why:
 * zero padding (a crop sees zeros where the image goes on), pooling whose
 * windows depend on the map's size, or a layer that takes one size only.
 *
 * 'any_size' is true where the net runs on larger images all the same.  When
 * only padding and cut windows stand in the way of crops, the features of a
 * window differ from its crop's within 'border' pixels (rows, columns) of the
 * window's edges.  Where a number is made of all of the image and goes into
 * every position, as a gate does, they 'differ' everywhere.
 */
typedef struct ptf_slide {
    int64_t stride[2];
    const char *blocker;
    const char *reason;
    bool any_size, differs;
    int64_t border[2];
} ptf_slide;

PTF_API ptf_status ptf_net_slide(const ptf_net *net, ptf_slide *out,
                                 ptf_error *err);

/*
 * The same of each layer's map (as ptf_net_layer() counts): its positions are
 * 'stride' pixels apart, and those within 'edge' rows and columns of a window's
 * edges, or all where they 'differ', are not what the layer gives for the crop;
 * every other one is.  A value that does not 'move' is no map, or is there once
 * for the whole image.
 */
typedef struct ptf_slide_layer {
    int64_t stride[2], edge[2];
    bool differs, moves;
} ptf_slide_layer;

PTF_API ptf_status ptf_net_slide_layers(const ptf_net *net,
                                        ptf_slide_layer *out, ptf_error *err);

/* The graph: one line per node with inputs, attributes and parameters. */
PTF_API void ptf_net_print(const ptf_net *net, FILE *out);

/* The graph as the source of a picture. */
typedef enum ptf_drawing {
    PTF_DRAWING_DOT,     /* of Graphviz */
    PTF_DRAWING_MERMAID, /* of Mermaid, which Markdown viewers draw */
} ptf_drawing;

PTF_API ptf_status ptf_net_draw(const ptf_net *net, ptf_drawing kind, FILE *out,
                                ptf_error *err);

/* ------------------------------------------------------------------- counts */

/*
 * Multiplications and additions of the forward pass for each byte of input,
 * output and weights, each moved once: the arithmetic intensity of the
 * roofline model (Williams, Waterman, Patterson, CACM 52(4), 2009).
 */
PTF_API double ptf_count_intensity(const ptf_count *count);

/* -------------------------------------------------------------------- plan */

/* The steps with shapes, kernels and buffers, and the memory planned. */
PTF_API void ptf_plan_print(const ptf_plan *plan, FILE *out);

/* What one step of a plan did in the last run. */
typedef struct ptf_step_info {
    const char *name;    /* of the layer */
    const char *kernel;  /* "product", "gemv", "pool", ... */
    double seconds;      /* in the last run */
    double flops;        /* multiplications and additions of weights, and */
    double weight_bytes; /* the bytes of these weights, as that run had them */
} ptf_step_info;

PTF_API size_t ptf_plan_step_count(const ptf_plan *plan);
PTF_API void ptf_plan_step(const ptf_plan *plan, size_t index,
                           ptf_step_info *out);

/*
 * What the machine can do at most, measured here and now: fused
 * multiply-adds in registers, counted as two operations, with the best
 * instruction set; and bytes read from memory.  Each is the best of some
 * short runs, together about a tenth of a second.  The second needs 256 MB
 * and gives 0 when it cannot have them.
 */
PTF_API double ptf_measure_flops(int threads);
PTF_API double ptf_measure_bandwidth(int threads);

/* CPUs that this process may use: affinity and cgroup limits. */
PTF_API int ptf_thread_count(void);

/* ------------------------------------------------------------------ images */

/* Files in folders that were left out because they are no images. */
PTF_API int64_t ptf_images_skipped(const ptf_images *images);

/*
 * Files in folders that were left out because they cannot be read: damaged
 * ones, and images of a kind that is not read.  Each with its error, "FILE:
 * ..."; NULL after the last.
 */
PTF_API const char *ptf_images_left_out(const ptf_images *images, size_t index);

/*
 * The name of a class, from its folder or CIFAR-10's; NULL when unknown.  With
 * NULL for the images: CIFAR-10's.
 */
PTF_API const char *ptf_images_class(const ptf_images *images, int64_t label);

/*
 * Rows first .. first + count - 1 of every channel: channels x count x width.
 * Read from the top downwards, an image is decoded once and needs the memory
 * of a few rows (of all of it when it is interlaced or resized in height).
 */
PTF_API ptf_status ptf_images_read_rows(ptf_images *images, int64_t index,
                                        int64_t first, int64_t count,
                                        float *out, ptf_error *err);

/* PTF_IO when the file was written to since it was opened. */
PTF_API ptf_status ptf_arrays_check(const ptf_arrays *arrays, ptf_error *err);

/*
 * A file of results, written in order; it is complete or absent, as in
 * ptf_net_save().  'shape' has 'rank' numbers.
 */
typedef struct ptf_sink ptf_sink;

/* An array of f32 for numpy.load(); ptf_sink_write() takes floats. */
PTF_API ptf_status ptf_npy_create(const char *path, int rank,
                                  const int64_t *shape, ptf_sink **out,
                                  ptf_error *err);

/*
 * An RGB picture, PNG, or PPM when the name ends in ".ppm"; ptf_sink_write()
 * takes whole rows of bytes.
 */
PTF_API ptf_status ptf_picture_create(const char *path, int64_t width,
                                      int64_t height, ptf_sink **out,
                                      ptf_error *err);

PTF_API ptf_status ptf_sink_write(ptf_sink *sink, const void *data, size_t size,
                                  ptf_error *err);

/* For arrays: the bytes go where element 'at' lies. */
PTF_API ptf_status ptf_sink_write_at(ptf_sink *sink, int64_t at,
                                     const void *data, size_t size,
                                     ptf_error *err);

/*
 * Both release 'sink'.  PTF_ARGUMENT when a commit comes before all numbers
 * are written.
 */
PTF_API ptf_status ptf_sink_commit(ptf_sink *sink, ptf_error *err);
PTF_API void ptf_sink_abort(ptf_sink *sink);

/* Writes 'size' bytes of text; the file is complete or absent, too. */
PTF_API ptf_status ptf_text_save(const char *path, const char *text,
                                 size_t size, ptf_error *err);

/* ------------------------------------------------------------------ verify */

PTF_API void ptf_verdict_init(ptf_verdict *verdict, double atol, double rtol);

/*
 * Adds 'rows' rows of 'columns' numbers from the original (a) and the
 * rewritten net (b).  The arg max of a row is its first largest number; the
 * row is 'undecided' when a's two candidates are closer than the tolerance.
 */
PTF_API void ptf_verdict_add(ptf_verdict *verdict, const float *a,
                             const float *b, int64_t rows, int64_t columns);

/*
 * The same of nets with several outputs, which lie one after the other in a
 * row: output k has columns[k] numbers, whose own largest one scales rtol.
 * The arg max of a row agrees when that of each of its outputs does.
 */
PTF_API void ptf_verdict_add_outputs(ptf_verdict *verdict, const float *a,
                                     const float *b, int64_t rows,
                                     const int64_t *columns, int outputs);

/*
 * The strongest level that holds; never CERTIFIED, which numbers alone cannot
 * show: see ptf_check_level().
 */
PTF_API ptf_level ptf_verdict_level(const ptf_verdict *verdict);

/* The label of a bin: "0", "3-4". */
PTF_API const char *ptf_ulp_label(int bin);

/*
 * Adds the 'count' pairs of one sample, whose largest |a| scales rtol, as in a
 * ptf_verdict; start with atol and rtol set and the rest zero.
 */
PTF_API void ptf_difference_add(ptf_difference *difference, const float *a,
                                const float *b, int64_t count);

#endif
