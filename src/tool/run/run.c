/*
 * ptfold run: a network on images.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/run/run.h"
#include "tool/common/image_options.h"

#include <sys/stat.h>

static const char help[] =
    "usage: ptfold run [options] CHECKPOINT INPUT...\n"
    "       ptfold run [options] CHECKPOINT --data FILE | --sample\n"
    "\n"
    "Runs a network on images: PNG, JPEG, PPM, PGM, arrays (.npy, .npz),\n"
    "CIFAR-10 (binary files, Python batches), folders of these, - for stdin.\n"
    "Labels in a file, or a folder for each class, give the accuracy, too.\n"
    "Images in folders that cannot be read are named and left out.  Images are\n"
    "turned as their EXIF orientation says; alpha is dropped.\n"
    "\n"
    "  --top K           classes shown per image (default 5, or 1 for many)\n"
    "  --labels FILE     names of the classes, one a line; or cifar10 or imagenet\n"
    "                    (a file of that name: ./cifar10); with --preset imagenet\n"
    "                    1000 outputs have ImageNet's\n"
    "  --beta B          softmax(B x), and nu_B(x) = log(sum exp(B x)) / B;\n"
    "                    0, inf (the largest) or from 1e-30 to 1e30\n"
    "  --data FILE       the inputs as arrays: a .npy, or a .npz by their names;\n"
    "                    a .pt2 is made for their sizes\n"
    "  --sample          the inputs that a program was exported with, from its .pt2\n"
    "  --npy FILE        all outputs as an array\n"
    "  --npz FILE        with --data or --sample: the outputs by their names;\n"
    "                    what an earlier --npz wrote is replaced\n"
    "  --exact           with them: outputs of the network as a function of real\n"
    "                    numbers, each rounded once to f32\n"
    "  --bits N          of N bits, at most 510; default: as many as decide all\n"
    "  --expect FILE     hold the outputs against those that PyTorch gave: a .npy,\n"
    "                    or a .npz by names (output, y; layers for theirs); exit\n"
    "                    status 1 if outside of 16 times the network's rounding\n"
    "  --json            the report as JSON\n"
    "  --arch FILE|NAME  the text of print(model), or a built-in network\n" TOOL_IN_ORDER_HELP
    "  --key PATH        the state dict inside the file (model_state_dict)\n" TOOL_MODEL_HELP
    "  --input CxHxW     shape of one input; default: what the text says, or the\n"
    "                    example's of a .pt2\n"
    "  --batch N         images at once; --threads N\n"
    "  --verify          compare the checkpoint's checksums first\n"
    "  --strict          exit with 1, and write no file, where weights or layers\n"
    "                    give NaN or infinity (without it: a warning)\n"
    "  --force           replace outputs that exist\n"
    "  -q, --quiet       no progress\n"
    "  -v, --verbose     list all tensors that do not fit, not only the first\n"
    "  --help, --version\n"
    "\n" IMAGE_HELP "\n"
    "On a larger image, one output per window:\n"
    "  --slide           what each class scores best, and where; --npy: all\n"
    "                    scores\n"
    "  --map FILE        also a heat map (.png, .ppm) of scores, or of\n"
    "                    softmax's shares with --beta\n"
    "  --class NAME|N    of this class (default: the best of each window)\n"
    "  --overlay A       over the image, with weight A from 0 to 1\n"
    "  --allow-border    also where padding makes windows differ from crops\n"
    "\n"
    "Example: ptfold run --labels cifar10 --class cat --map map.png net2.pt "
    "big.png\n";

/* ------------------------------------------------------------------ options */

/* The library knows what beta may be. */
static int set_beta(const char *text, run_options *o)
{
    const float logit = 0;
    double nu;
    char *end = NULL;
    o->has_beta = text != NULL;
    o->beta = o->has_beta ? strtod(text, &end) : 1.0;
    if (o->has_beta &&
        (end == text || *end != '\0' ||
         ptf_log_sum_exp(o->beta, &logit, 1, &nu, NULL) != PTF_OK))
        return tool_usage_error("--beta: expected 0, inf or a number from "
                                "1e-30 to 1e30, got \"%s\"",
                                text);
    return TOOL_GO_ON;
}

/* What an overlay is painted over is read a second time. */
static int check_overlay(const run_options *o)
{
    struct stat st;
    const char *path = o->inputs[0];
    bool standard = strcmp(path, "-") == 0;
    if (standard ||
        (stat(path, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)))
        return tool_usage_error("--overlay: expected an image in a file, got "
                                "%s",
                                standard ? "stdin" : "a pipe");
    return TOOL_GO_ON;
}

/* Arrays are neither ranked, named nor painted. */
static int check_data(run_options *o, bool labels)
{
    bool arrays = o->data != NULL || o->sample;
    if (!arrays && o->npz != NULL)
        return tool_usage_error("--npz: expected --data or --sample, too");
    if (!arrays && o->exact)
        return tool_usage_error("--exact: expected --data or --sample, too");
    if (o->bits > 0 && !o->exact)
        return tool_usage_error("--bits: expected --exact, too");
    if (!arrays && o->input_count == 0)
        return tool_usage_error("expected images, --data FILE or --sample");
    if (!arrays)
        return TOOL_GO_ON;
    if ((o->input_count > 0) + (o->data != NULL) + o->sample > 1)
        return tool_usage_error("expected images, --data FILE or --sample, got "
                                "more than one of them");
    if (o->npy != NULL && o->npz != NULL)
        return tool_usage_error("expected --npy or --npz, got both");
    if (labels || o->has_beta || o->top > 0 || o->slide || o->expect != NULL)
        return tool_usage_error("--data, --sample: --labels, --beta, --top, "
                                "--slide, --map and --expect are for images; "
                                "ptfold check holds arrays against others");
    return TOOL_GO_ON;
}

static int check_options(run_options *o, bool labels)
{
    if (o->quiet)
        tool_progress_quiet();
    o->source.unverified = !o->verify;
    if (o->map == NULL && (o->map_class != NULL || o->overlay > 0))
        return tool_usage_error("--class and --overlay: expected --map, too");
    o->slide = o->slide || o->map != NULL;
    if (o->slide && o->expect != NULL)
        return tool_usage_error("--expect is for images of the network's own "
                                "size, without --map and --slide; for a larger "
                                "one there is ptfold check");
    for (o->input_count = 0; o->inputs[o->input_count] != NULL;)
        o->input_count++;
    int code = check_data(o, labels);
    return code == TOOL_GO_ON && o->overlay > 0 && o->inputs[0] != NULL
               ? check_overlay(o)
               : code;
}

/* Returns TOOL_GO_ON or the code to exit with. */
static int parse(int argc, char **argv, run_options *o, image_texts *t,
                 const char **labels)
{
    const char *beta = NULL;
    const tool_option table[] = {
        IMAGE_OPTIONS(t),
        {"allow-border", 0, OPTION_FLAG, &o->allow_border, 0, 0},
        {"arch", 0, OPTION_TEXT, &o->source.arch, 0, 0},
        {"batch", 0, OPTION_COUNT, &o->batch, 1, 1 << 20},
        {"beta", 0, OPTION_TEXT, &beta, 0, 0},
        {"bits", 0, OPTION_COUNT, &o->bits, 1, PTF_EXACT_BITS_MOST},
        {"class", 0, OPTION_TEXT, &o->map_class, 0, 0},
        {"data", 0, OPTION_TEXT, &o->data, 0, 0},
        {"exact", 0, OPTION_FLAG, &o->exact, 0, 0},
        {"expect", 0, OPTION_TEXT, &o->expect, 0, 0},
        {"force", 0, OPTION_FLAG, &o->force, 0, 0},
        {"in-order", 0, OPTION_FLAG, &o->source.in_order, 0, 0},
        {"input", 0, OPTION_TEXT, &o->source.input, 0, 0},
        {"json", 0, OPTION_FLAG, &o->json, 0, 0},
        {"key", 0, OPTION_TEXT, &o->source.key, 0, 0},
        {"labels", 0, OPTION_TEXT, labels, 0, 0},
        {"map", 0, OPTION_TEXT, &o->map, 0, 0},
        {"model", 0, OPTION_TEXT, &o->source.model, 0, 0},
        {"npy", 0, OPTION_TEXT, &o->npy, 0, 0},
        {"npz", 0, OPTION_TEXT, &o->npz, 0, 0},
        {"overlay", 0, OPTION_REAL, &o->overlay, 0, 1},
        {"quiet", 'q', OPTION_FLAG, &o->quiet, 0, 0},
        {"sample", 0, OPTION_FLAG, &o->sample, 0, 0},
        {"slide", 0, OPTION_FLAG, &o->slide, 0, 0},
        {"strict", 0, OPTION_FLAG, &o->strict, 0, 0},
        {"threads", 0, OPTION_COUNT, &o->threads, 1, 1024},
        {"top", 0, OPTION_COUNT, &o->top, 1, 1 << 20},
        {"verify", 0, OPTION_FLAG, &o->verify, 0, 0},
        {0},
    };
    char **operands;
    int code = tool_parse(argc, argv, help, table, -1, &operands);
    if (code != TOOL_GO_ON)
        return code;
    o->source.path = operands[0];
    o->inputs = operands + 1;
    code = set_beta(beta, o);
    if (code == TOOL_GO_ON)
        code = image_options_read(t, &o->image);
    return code == TOOL_GO_ON ? check_options(o, *labels != NULL) : code;
}

/* ------------------------------------------------------------------ running */

/* Before anything is read: what is written must not be there, nor an input. */
static ptf_status check_targets(const run_options *o, const char *labels,
                                ptf_error *err)
{
    const char *const written[] = {o->npy, o->npz, o->map};
    const char *const options[] = {o->source.path, o->source.arch, labels,
                                   o->expect, o->data};
    enum { OPTIONS = sizeof(options) / sizeof(options[0]) };
    tool_paths read = {.count = OPTIONS + o->input_count};
    const char **paths = calloc(read.count, sizeof(*paths));
    if (paths == NULL)
        return tool_error(err, PTF_MEMORY, "out of memory");
    memcpy(paths, options, sizeof(options));
    memcpy(paths + OPTIONS, o->inputs, o->input_count * sizeof(*paths));
    read.path = paths;
    bool replaces = o->force || (o->npz != NULL && run_data_wrote(o->npz));
    ptf_status status =
        tool_check_targets(read, TOOL_PATHS(written), replaces, err);
    free(paths);
    return status == PTF_OK ? tool_check_picture(o->map, err) : status;
}

bool run_is_void(const run *r)
{
    return r->options->strict && !tool_finite_all(r->finite);
}

/* Before anything is printed, so that the report knows. */
static ptf_status hold_against(run *r, tool_expect *expect, ptf_error *err)
{
    const run_options *o = r->options;
    tool_inputs inputs = {.count = ptf_images_count(r->images),
                          .input_count = 1,
                          .images = r->images};
    ptf_image_info info;
    ptf_status status = ptf_images_info(r->images, 0, &info, err);
    if (status != PTF_OK)
        return status;
    inputs.shape = r->net->has_input ? r->net->input : info.shape;
    r->expect = expect;
    return tool_expect_run(o->expect, r->net->net, &inputs, (int)o->threads,
                           expect, err);
}

static void report_expected(const tool_expect *expect, bool json, int *code)
{
    if (!tool_expect_agrees(expect))
        *code = EXIT_NOT_EQUIVALENT;
    if (json)
        return;
    putchar('\n');
    tool_expect_print(expect, stdout);
}

static ptf_status open_and_run(run_options *o, const tool_net *net,
                               run_names *names, int *code, ptf_error *err)
{
    tool_finite finite = {.in_layer = false};
    tool_expect expect = {0};
    run r = {.options = o, .net = net, .names = names, .finite = &finite};
    ptf_status status = tool_need_single(net, &o->source, "images", err);
    if (status != PTF_OK)
        return status;
    tool_fit_images(net, &o->image);
    status = ptf_images_open((const char *const *)o->inputs, o->input_count,
                             &o->image, &r.images, err);
    if (status != PTF_OK)
        return status;
    names->images = r.images;
    if (!o->quiet)
        tool_report_left_out(r.images);
    status = tool_finite_hidden(&finite, net->net, err);
    if (status == PTF_OK && o->expect != NULL)
        status = hold_against(&r, &expect, err);
    if (status == PTF_OK)
        status = o->slide ? run_map(&r, err) : run_classify(&r, err);
    if (status == PTF_OK && !o->json)
        tool_print_assumption(net->net, NULL, stdout);
    *code = tool_finite_code(&finite, o->strict);
    if (status == PTF_OK && o->expect != NULL)
        report_expected(&expect, o->json, code);
    tool_expect_free(&expect);
    ptf_images_close(r.images);
    return status;
}

int tool_run(int argc, char **argv)
{
    run_options o = {0};
    image_texts texts = IMAGE_NONE_GIVEN;
    const char *labels = NULL;
    int code = parse(argc, argv, &o, &texts, &labels);
    if (code != TOOL_GO_ON)
        return code;
    static ptf_error err;
    tool_net net = {0};
    run_names names = {.preset = texts.preset};
    ptf_status status = check_targets(&o, labels, &err);
    if (status == PTF_OK && labels != NULL)
        status = run_names_read(labels, &names, &err);
    if (status == PTF_OK)
        status = tool_net_open(&o.source, &net, &err);
    if (status == PTF_OK && o.data != NULL)
        status = tool_net_fit_arrays(&net, o.data, &err);
    if (status == PTF_OK)
        status = o.data != NULL || o.sample
                     ? run_data(&o, &net, &code, &err)
                     : open_and_run(&o, &net, &names, &code, &err);
    status = tool_net_unchanged(&net, status, &err);
    tool_net_close(&net);
    run_names_free(&names);
    return status == PTF_OK ? tool_finish(code) : tool_fail(&err);
}
