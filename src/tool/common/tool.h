/*
 * tool: what the programs share.  They see the library
 * through ptfold.h and ptfold_tool.h only.
 *
 * Results go to stdout, everything else to stderr; a program ends with the
 * status of tool_exit_code().
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_TOOL_H
#define PTF_TOOL_H

#include "ptfold_tool.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* ------------------------------------------------------ commands of ptfold */

/* Each takes its name as argv[0] and returns the code to exit with. */
int tool_bench(int argc, char **argv);
int tool_check_nets(int argc, char **argv);
int tool_convert(int argc, char **argv);
int tool_grad(int argc, char **argv);
int tool_info(int argc, char **argv);
int tool_ops(int argc, char **argv);
int tool_run(int argc, char **argv);

/* ------------------------------------------------------------ exit and fail */

enum {
    EXIT_EQUIVALENT = 0,
    EXIT_NOT_EQUIVALENT = 1,
    EXIT_USAGE = 2,
    EXIT_UNSUPPORTED = 3,
    EXIT_DAMAGED = 4,
    EXIT_SYSTEM = 5, /* I/O or memory */
};

int tool_exit_code(ptf_status status);

/* From now on stderr also gets the lists of which a message names one item. */
void tool_be_verbose(void);
bool tool_is_verbose(void);

/*
 * Call first: lets a full disk be an error instead of a signal, removes what
 * is unfinished when a signal ends the program, shows progress.
 */
void tool_start(const char *program);

/* Its name, for messages. */
const char *tool_program(void);

/* The command that runs, for the pointer to its --help. */
void tool_command(const char *name);

/* "PROGRAM: MESSAGE" on stderr; returns the exit code for it. */
int tool_fail(const ptf_error *err);

/* "PROGRAM: note: TEXT" on stderr: what a reader of the result must know. */
void tool_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The same of something that may be wrong: "PROGRAM: warning: MESSAGE". */
void tool_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Fills 'err' as the library does and returns 'status'. */
ptf_status tool_error(ptf_error *err, ptf_status status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#ifdef __clang_analyzer__ /* reads one file at a time: say what comes back */
#define tool_error(err, status, ...) \
    (tool_error(err, status, __VA_ARGS__), status)
#endif

/* A usage error: the message and a pointer to --help; returns EXIT_USAGE. */
int tool_usage_error(const char *fmt, ...)
    __attribute__((format(printf, 1, 2)));

/* Flushes stdout; a result that could not be written is EXIT_SYSTEM. */
int tool_finish(int code);

/* ---------------------------------------------------------------- arguments */

typedef enum tool_option_kind {
    OPTION_FLAG,  /* bool: given or not */
    OPTION_TEXT,  /* const char *: the value */
    OPTION_COUNT, /* int64_t: a number in [least, most] */
    OPTION_AUTO,  /* the same, or "auto", which is 0 */
    OPTION_REAL,  /* double: any number from least to most, or infinity */
} tool_option_kind;

/* One row of a program's table of options, which a row without name ends. */
typedef struct tool_option {
    const char *name; /* without the dashes */
    char letter;      /* its short form, or 0 */
    tool_option_kind kind;
    void *target; /* what it sets, of the kind's type */
    int64_t least, most;
} tool_option;

/* The lines about an option that every command with a network has. */
#define TOOL_IN_ORDER_HELP                                                  \
    "  --in-order        forward() runs each module of the text once, as\n" \
    "                    printed: your word for a class that is not\n"      \
    "                    nn.Sequential; all results carry it\n"
/* How far the outputs of two networks can be from the exact ones. */
#define TOOL_BOUND_HELP                                                 \
    "  --bound R         all exact outputs known to R of the largest\n" \
    "                    (default: 1e-6, and of one input where it\n"   \
    "                    takes fixed point)\n"                          \
    "  --bits auto|N     of fixed point for that; N: for all inputs\n"
#define TOOL_MODEL_HELP \
    "  --model NAME      of a .pt2 with several programs: which one\n"

enum { TOOL_GO_ON = -1 };

/*
 * Sets what the arguments say; *operands are the others, with NULL after
 * them: 'count' of them, or at least -count when it is negative.  Sees to
 * --help, --version and --verbose itself.  Returns TOOL_GO_ON or the code to
 * exit with.
 */
int tool_parse(int argc, char **argv, const char *help,
               const tool_option *options, int count, char ***operands);

/*
 * Looks for the known word that an unknown one was meant to be: set 'word'
 * and 'prefix', offer every known word, then take the text, which is empty or
 * "; did you mean PREFIXWORD?".
 */
typedef struct tool_suggestion {
    const char *word, *prefix;
    char best[64]; /* longer words are not proposed */
    int distance;
} tool_suggestion;

void tool_suggest(tool_suggestion *suggestion, const char *known);
const char *tool_suggestion_text(const tool_suggestion *suggestion,
                                 char text[128]);

/* Names of files and folders; NULL is an option that was not given. */
typedef struct tool_paths {
    const char *const *path;
    size_t count;
} tool_paths;

/* All of an array. */
#define TOOL_PATHS(array) \
    ((tool_paths){(array), sizeof(array) / sizeof((array)[0])})

/*
 * Call before anything is written, with all that the command reads and
 * writes.  PTF_ARGUMENT when a file that would be written is also read, by
 * whatever name or out of a folder of images; when two that would be written
 * are one; or when one is there and 'force' is not set.  'force' then also
 * holds for all that this thread writes: it sets ptf_keep_files(!force), so
 * that a file which appears meanwhile is not replaced either.
 */
ptf_status tool_check_targets(tool_paths read, tool_paths written, bool force,
                              ptf_error *err);

/* PTF_ARGUMENT unless 'path' names a kind of picture, or is NULL. */
ptf_status tool_check_picture(const char *path, ptf_error *err);

/* Pixels along a side of each number, so that a small picture can be seen. */
int64_t tool_picture_scale(int64_t height, int64_t width);

/* A report that becomes a file when it is whole. */
typedef struct tool_text {
    FILE *out; /* into memory */
    char *text;
    size_t size;
} tool_text;

ptf_status tool_text_open(tool_text *text, ptf_error *err);

/* Both release 'text'. */
ptf_status tool_text_save(tool_text *text, const char *path, ptf_error *err);
void tool_text_drop(tool_text *text);

/* ----------------------------------------------------------------- progress */

/*
 * Long work, as stderr shows it.  Call at() as often as is handy: between two
 * calls a thread keeps up what is shown.
 */
typedef struct tool_progress {
    const char *what, *unit; /* "comparing", "images" */
    int64_t done, total;
    double start, last, next; /* last: when 'done' was said */
    bool terminal, shown, kept_up;
    pthread_t keeper;
} tool_progress;

void tool_progress_start(tool_progress *progress, const char *what,
                         const char *unit, int64_t total);
void tool_progress_at(tool_progress *progress, int64_t done);
void tool_progress_end(tool_progress *progress);

/* What that thread does when it wakes, for a test without it. */
void tool_progress_show(tool_progress *progress);

/* What the library reports of its own long work is shown from now on. */
void tool_progress_watch(void);

/* Leaves the line of a bar that is shown; a signal handler may call it. */
void tool_progress_break(void);

/* No progress from now on. */
void tool_progress_quiet(void);

/* Seconds on a clock that only goes forward. */
double tool_now(void);

/* ----------------------------------------------------------------- networks */

/*
 * A whole text file of up to a megabyte, to be freed; 'what' says in messages
 * what it should hold.
 */
ptf_status tool_read_text(const char *path, const char *what, char **out,
                          ptf_error *err);

/* Which network a command works on, as its options say. */
typedef struct tool_source {
    const char *path;
    const char *arch;        /* --arch FILE|NAME, or NULL */
    const char *key;         /* --key, or NULL */
    const char *input;       /* --input CxHxW, or NULL */
    const char *model;       /* --model: of an archive of programs, or NULL */
    bool in_order;           /* --in-order: forward() runs modules as printed */
    bool unverified;         /* leave the checksums of the tensor data alone */
    const char *arch_option; /* what gives 'arch'; NULL: --arch */
} tool_source;

/* An open checkpoint, or an exported program, and its net. */
typedef struct tool_net {
    ptf_checkpoint *ckpt; /* NULL: it is a program, or has no numbers */
    ptf_program *program;
    ptf_net *net;
    bool has_input;    /* the shapes of all inputs are known: */
    ptf_shape *inputs; /* these */
    ptf_shape input;   /* the first of them */
    char *text;        /* of an --arch file */
} tool_net;

/* ptf_checkpoint_open(); of a key that is not there it says the nearest. */
ptf_status tool_checkpoint_open(const char *path,
                                const ptf_open_options *options,
                                ptf_checkpoint **out, ptf_error *err);

/*
 * Opens the checkpoint, verifies its checksums (unless told not to), finds
 * the architecture (the option, the text or the model in the file, or the
 * built-in that fits), and makes the net.  What speaks against --in-order is
 * warned of on stderr.
 */
ptf_status tool_net_open(const tool_source *source, tool_net *out,
                         ptf_error *err);
/*
 * A program is lowered again for 'count' samples (-1: as many as its example
 * has) of one input of that shape, or for the arrays in a file, if that is what
 * they are and there is one for each input; nothing else changes.
 */
ptf_status tool_net_fit(tool_net *net, const ptf_shape *input, int64_t count,
                        ptf_error *err);
ptf_status tool_net_fit_arrays(tool_net *net, const char *path, ptf_error *err);
/* How many of its tensors float32 does not hold, and the first one's name. */
size_t tool_net_rounded(const ptf_net *net, const char **first);
/* The SHA-256 of its file. */
ptf_status tool_net_sha256(const tool_net *net, char hex[65], ptf_error *err);
/*
 * The same for a command that needs no numbers: the path may also be the name
 * of a built-in network, or a file with the text of print(model); then there
 * is no checkpoint.  Checksums are not read.
 */
ptf_status tool_net_find(const tool_source *source, tool_net *out,
                         ptf_error *err);
/*
 * What was worked out from a file that was written to meanwhile is of no file:
 * that, as PTF_IO, or else 'status' with its error.
 */
ptf_status tool_net_unchanged(const tool_net *net, ptf_status status,
                              ptf_error *err);
void tool_net_close(tool_net *net);

/* PTF_ARGUMENT when neither the text nor --input says the input's shape. */
ptf_status tool_need_input(const tool_net *net, const tool_source *source,
                           ptf_error *err);

/* PTF_UNSUPPORTED, with who 'wants' it, unless it has one input and output. */
ptf_status tool_need_single(const tool_net *net, const tool_source *source,
                            const char *wants, ptf_error *err);

/* ------------------------------------------------------------------- inputs */

/*
 * Samples of all inputs of a net: drawn from a seed, images from files, or
 * arrays.  'shapes' of an image and of one drawn input is NULL.
 */
typedef struct tool_inputs {
    int64_t count;
    ptf_shape shape;         /* of the first input; all of them: */
    const ptf_shape *shapes; /* see tool_inputs_shapes() */
    size_t input_count;      /* of the net */
    uint64_t seed;
    ptf_images *images; /* or NULL */
    float *numbers;     /* of arrays: the first input's, then the next's */
    bool sampled;       /* they are the example in a program's file */
    ptf_shape *own;     /* where 'shapes' are, if they are to be freed */
} tool_inputs;

/* Where a command's inputs come from, as its options say. */
typedef struct tool_choice {
    const char *data;             /* --data, or NULL */
    const ptf_image_options *how; /* images are read, or NULL */
    int64_t random;               /* so many are to be drawn; 0: not said */
    int64_t usual;                /* number of those that are drawn then, */
    int64_t seed;                 /* from this one on; -1: not said */
    bool recorded; /* they are to be those that --expect was recorded for */
} tool_choice;

/*
 * What the options say; without them the program's own example, or else drawn
 * ones, for which nothing was recorded (PTF_ARGUMENT).  Free them.
 */
ptf_status tool_inputs_choose(const tool_choice *choice, const tool_net *net,
                              const tool_source *source, tool_inputs *out,
                              ptf_error *err);

/* 'count' random samples of one input of that shape; nothing to be freed. */
tool_inputs tool_inputs_random(int64_t count, uint64_t seed, ptf_shape shape);

/*
 * The same of all inputs of the net; PTF_ARGUMENT when a shape is not known,
 * or an input is of integers.
 */
ptf_status tool_inputs_draw(int64_t count, uint64_t seed, const tool_net *net,
                            const tool_source *source, tool_inputs *out,
                            ptf_error *err);

/* The example that a program was exported with; PTF_ARGUMENT without one. */
ptf_status tool_inputs_sample(const tool_net *net, const tool_source *source,
                              tool_inputs *out, ptf_error *err);

/* Neither integers nor bools. */
bool tool_is_float(ptf_dtype dtype);

/* No input is of integers or bools, which cannot be drawn. */
bool tool_inputs_are_floats(const ptf_net *net);

/* True when tool_inputs_sample() has one. */
bool tool_has_sample(const tool_net *net);

/* The arrays of a file, by the inputs' names; the only one may have any. */
ptf_status tool_inputs_arrays(const char *path, const tool_net *net,
                              tool_inputs *out, ptf_error *err);

/* The array of an input's name or alias; the only one may have any. */
const ptf_tensor *tool_find_array(const ptf_net *net, const ptf_port *port,
                                  const ptf_tensor *arrays, size_t count);

/* Sets the shape of an array of 'count' samples of that shape. */
void tool_set_shape(const ptf_net *net, const ptf_shape *sample, int64_t count,
                    ptf_tensor *t);

/* The rank of arrays, and whether pictures become grey or RGB. */
void tool_fit_images(const tool_net *net, ptf_image_options *image);

/*
 * All images of a file or folder, of the first one's shape, made fit for the
 * net; arrays for a net of several inputs, of integers, or without a batch.
 * 'how' may be NULL.
 */
ptf_status tool_inputs_open(const char *path, const tool_net *net,
                            const ptf_image_options *how, tool_inputs *out,
                            ptf_error *err);
void tool_inputs_free(tool_inputs *inputs);

/* One for each input. */
const ptf_shape *tool_inputs_shapes(const tool_inputs *inputs);

/* The samples of input k of arrays, one after the other. */
const float *tool_inputs_numbers(const tool_inputs *inputs, size_t k);

/* "random inputs", "images" and so on; of what --data does not say, for JSON:
 * "random", "sample". */
const char *tool_inputs_kind(const tool_inputs *inputs);
const char *tool_inputs_source(const tool_inputs *inputs, const char *data);

/* The files of folders that cannot be read as images; NULL has none. */
int64_t tool_left_out(const ptf_images *images);
/* On stderr: what in folders is not among the images, and why. */
void tool_report_left_out(const ptf_images *images);

/*
 * Adds to a failure with PTF_ARGUMENT that the images in the file 'path' are
 * of another shape than the net's usual input, if they are; returns 'status'.
 */
ptf_status tool_inputs_explain(const char *path, const tool_inputs *inputs,
                               const tool_net *net, ptf_status status,
                               ptf_error *err);

/*
 * Sample 'index' in C order, input k to out[k].  PTF_ARGUMENT when it has
 * another shape.
 */
ptf_status tool_inputs_get(const tool_inputs *inputs, int64_t index,
                           float *const *out, ptf_error *err);

/* Arrays for 'count' samples of each shape; free them with tool_room_free(). */
float **tool_room(const ptf_shape *shapes, size_t shape_count, int64_t count);
void tool_room_free(float **room, size_t shape_count);

/* Samples index .. index + count - 1, one after the other for each input. */
ptf_status tool_inputs_fill(const tool_inputs *inputs, int64_t index,
                            int64_t count, float *const *out, ptf_error *err);

/* Hands all samples to 'run', a batch at a time, with progress. */
typedef ptf_status tool_batch_function(void *to, const float *const *in,
                                       int64_t count, ptf_error *err);
ptf_status tool_inputs_each(const tool_inputs *inputs, const char *what,
                            tool_batch_function *run, void *to, ptf_error *err);

/* "3x32x32", or "3x32x32, 4" of several. */
enum { TOOL_SHAPES_TEXT = 256 };
const char *tool_inputs_shape_text(const tool_inputs *inputs,
                                   char text[TOOL_SHAPES_TEXT]);

/* SHA-256 of all samples as f32 in C order, input after input. */
ptf_status tool_inputs_sha256(const tool_inputs *inputs, char hex[65],
                              ptf_error *err);

/* --------------------------------------------------------------- comparison */

/*
 * Runs both nets on all samples and adds each output to the verdict of its
 * number.  Threads: 0 for the default.
 */
ptf_status tool_compare(const ptf_net *a, const ptf_net *b,
                        const tool_inputs *inputs, int threads,
                        ptf_verdict *verdicts, ptf_error *err);

/*
 * The name of the first layer that gives NaN or infinity on a sample, borrowed
 * from the net, "" when the sample has such a number, or NULL.
 */
ptf_status tool_find_not_finite(const ptf_net *net, const tool_inputs *inputs,
                                int threads, const char **layer,
                                ptf_error *err);

/* ptf_check_make(), which works long on large nets, with progress. */
ptf_status tool_check_make(const ptf_net *a, const ptf_net *b,
                           const tool_inputs *inputs,
                           const ptf_check_options *options, ptf_check **check,
                           ptf_error *err);

/* Runs 'check' on all samples, a batch at a time. */
ptf_status tool_check(ptf_check *check, const tool_inputs *inputs,
                      ptf_error *err);

/*
 * Runs 'slid' on images of shape 'large' and 'net' on every crop of the shape
 * 'window' at multiples of slide->stride; adds each window's outputs.
 */
ptf_status tool_compare_crops(const ptf_net *net, const ptf_net *slid,
                              const ptf_slide *slide, const ptf_shape *window,
                              const tool_inputs *large, int threads,
                              ptf_verdict *verdict, ptf_error *err);

/* Copies the window at (top, left) of a C x H x W image. */
void tool_crop(const float *image, const ptf_shape *large, int64_t top,
               int64_t left, const ptf_shape *window, float *out);

/* What of a layer's map of a window is that of its crop. */
typedef struct tool_inside {
    ptf_shape map;            /* of a crop; rank 0: it is none */
    int64_t size[2];          /* rows, columns in its middle */
    int64_t numbers, unequal; /* that were compared */
} tool_inside;

/*
 * The same layer by layer, of the slid net alone, into inside[layers], which
 * are zero: the numbers that ptf_net_slide_layers() says are equal.
 */
ptf_status tool_compare_inside(const ptf_net *net, const ptf_slide *slide,
                               const ptf_slide_layer *layers,
                               const ptf_shape *window,
                               const tool_inputs *large, int threads,
                               tool_inside *inside, ptf_error *err);

/* ------------------------------------------------------------------- output */

/* 12345678 as "12,345,678". */
const char *tool_count_text(int64_t n, char text[32]);

bool tool_same_shape(const ptf_shape *a, const ptf_shape *b);

/* "2x3x224x224", of an array with its batch. */
const char *tool_array_shape(const ptf_tensor *array, char text[192]);

/* "3x32x32"; "one number" of no axes. */
enum { TOOL_SHAPE_TEXT = 22 * PTF_SHAPE_MAX };
const char *tool_shape_text(const ptf_shape *shape, char text[TOOL_SHAPE_TEXT]);

/* A terminal's width, which no line of a report passes without need. */
enum { TOOL_COLUMNS = 80 };

/* How many columns a text takes when its control characters are escaped. */
int tool_width(const char *text);

/*
 * A text so, in at most that many columns: of a longer one without its middle.
 * The second fills the columns with spaces.
 */
void tool_print_short(FILE *out, const char *text, int columns);
void tool_print_name(FILE *out, const char *text, int columns);

/* The name of a file on stdout, in half of a line, and ": ". */
void tool_print_file(const char *path);

/* A line, 'used' columns long, that goes on in the next one when it is full. */
typedef struct tool_line {
    FILE *out;
    int used;
} tool_line;

/* The text whole; or a sentence of ours, word by word. */
void tool_print_wrapped(tool_line *line, const char *text);
void tool_print_words(tool_line *line, const char *text);

/* Layers by kind and parameters, before and after, as a table. */
void tool_print_layers(const ptf_net *before, const ptf_net *after, FILE *out);

/* What decides whether outputs agree that need not be equal bit for bit. */
#define TOOL_ATOL 1e-6
#define TOOL_RTOL 1e-5

/* --bound where it is not given, which becomes the library's, 0; balls of
 * doubles cannot be narrower than what is refused. */
#define TOOL_BOUND (-1.0)
int tool_check_bound(double *bound);

/* How far the parameters of another tool's fold may be off. */
#define TOOL_MAX_ULPS 4

/* ptf_level_name() with the number of units in the last place. */
const char *tool_level_text(ptf_level level, int64_t ulps, char text[64]);

/* Of what the units are in which parameters are off, for JSON. */
const char *tool_ulps_unit(bool of_terms);

/*
 * A row of a report, "  LABEL    TEXT", with the text in column 24: broken at
 * its newlines, and at spaces where it would be wider than 80 columns.  A word
 * that is too long for that starts further left.
 */
void tool_print_row(FILE *out, const char *label, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* What a rewrite left as it was, and what else it says of layers. */
void tool_print_remarks(const ptf_net *net, FILE *out);

/* The figures of a verdict, indented by two. */
void tool_print_verdict(const ptf_verdict *verdict, FILE *out);

/* A row for each of several outputs; nothing for one. */
void tool_print_outputs(const ptf_net *net, const ptf_verdict *each, FILE *out);

/* The figures of a certificate, indented by two. */
void tool_print_certificate(const ptf_check *check, FILE *out);

/*
 * A writer for JSON objects: it places the commas and the indentation.  'key'
 * is NULL inside arrays.
 */
typedef struct tool_json {
    FILE *out;
    int depth;
    bool first;
} tool_json;

void json_open(tool_json *json, const char *key, char bracket);
void json_close(tool_json *json, char bracket);
void json_text(tool_json *json, const char *key, const char *value);
void json_int(tool_json *json, const char *key, int64_t value);
void json_number(tool_json *json, const char *key, double value);
void json_bool(tool_json *json, const char *key, bool value);

/* As C writes it in hexadecimal, so that no bit is lost. */
void json_hex(tool_json *json, const char *key, double value);

/* 'level' names the verdict's own or, with a certificate, the check's. */
void tool_json_verdict(tool_json *json, const char *key,
                       const ptf_verdict *verdict, const char *level);
/* {"count": 2, "first": "fc.weight"}, of tool_net_rounded(). */
void tool_json_rounded(tool_json *json, const char *key, const ptf_net *net);
/* An array with the verdict of each output. */
void tool_json_outputs(tool_json *json, const char *key, const ptf_net *net,
                       const ptf_verdict *each);
void tool_json_certificate(tool_json *json, const char *key,
                           const ptf_check *check);
void tool_json_layers(tool_json *json, const char *key, const ptf_net *net);
void tool_json_remarks(tool_json *json, const ptf_net *net);

enum { TOOL_ASSUMPTION = 1200 };

/*
 * What a result about one net or two (NULL: one) rests on when forward() was
 * not seen, "FNet.forward() runs its modules in the printed order"; or NULL.
 */
const char *tool_assumption(const ptf_net *a, const ptf_net *b,
                            char text[TOOL_ASSUMPTION]);

/* What speaks against --in-order, on stderr. */
void tool_warn_of_order(const tool_source *source, const ptf_net *net);

/* " if ..." after a verdict, or nothing. */
void tool_print_if(const ptf_net *a, const ptf_net *b, FILE *out);

/* A line "assumes ...", or nothing. */
void tool_print_assumption(const ptf_net *a, const ptf_net *b, FILE *out);

/* "assumes", null for nothing. */
void tool_json_assumption(tool_json *json, const ptf_net *a, const ptf_net *b);

/* A field of CSV on stdout, in quotes where it has to be (RFC 4180). */
void tool_csv_text(const char *text);
/* The field "assumes", empty for nothing. */
void tool_csv_assumption(const ptf_net *net);

/* What tool_find_not_finite() found. */
void tool_print_not_finite(const char *layer);
void tool_json_not_finite(tool_json *json, const char *layer);

/*
 * NaN and infinity in a run that goes on with them: each kind is warned of
 * once, on stderr.  Zero it before.
 */
typedef struct tool_finite {
    const ptf_net *net;  /* of tool_finite_hidden() */
    char weights[300];   /* what the first such parameter is; "" for none */
    char layer[256];     /* the first layer that gave one, */
    bool in_layer;       /* if one did; "" is the input */
    bool in_derivatives; /* (of ptfold grad) */
} tool_finite;

/* Reads all parameters and buffers. */
ptf_status tool_finite_weights(tool_finite *finite, const ptf_net *net,
                               ptf_error *err);
/* Reads those which a run may hide, the others when a layer is not finite. */
ptf_status tool_finite_hidden(tool_finite *finite, const ptf_net *net,
                              ptf_error *err);
/* 'layer' is what ptf_plan_not_finite() gives. */
ptf_status tool_finite_layer(tool_finite *finite, const char *layer,
                             ptf_error *err);
void tool_finite_derivatives(tool_finite *finite);
/* Nothing was warned of. */
bool tool_finite_all(const tool_finite *finite);
/* EXIT_NOT_EQUIVALENT when something was and 'strict' is set. */
int tool_finite_code(const tool_finite *finite, bool strict);
void tool_json_finite(tool_json *json, const tool_finite *finite);

#endif
