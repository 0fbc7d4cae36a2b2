/*
 * lnin-convert: turn the fully connected tail of a network into convolutions,
 * verify bit for bit, write.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/common/expect.h"

static const char help[] =
    "usage: lnin-convert [options] CHECKPOINT\n"
    "\n"
    "Turns the Linear layers after the feature maps into convolutions, so that\n"
    "the network takes larger images and gives one output per window; a mean of\n"
    "all of the map before them becomes an average over windows of its size.  No\n"
    "number moves: a weight keeps its bytes and gets another shape.  The result\n"
    "is written only if its outputs are equal bit for bit, on inputs of the\n"
    "original size and, window by window, on a larger image.  Where padding\n"
    "inside the network makes windows differ from crops, it lists how much of\n"
    "each layer's map is equal, and compares that.\n"
    "\n"
    "  -o, --output FILE default: CHECKPOINT's name ending in .net2.pt\n"
    "                    (.pt or .pth for PyTorch, .bin, .safetensors or .pt2)\n"
    "  --input CxHxW     shape of one input; default: what the text says\n"
    "  --arch FILE|NAME  the text of print(model), or a built-in network;\n"
    "                    default: the built-in whose keys and shapes fit\n" TOOL_IN_ORDER_HELP
    "  --key PATH        the state dict inside the file (model_state_dict)\n" TOOL_MODEL_HELP
    "  --check N         compare on N random inputs of each size (default: the\n"
    "                    sample inputs in a .pt2, or else 2)\n"
    "  --seed S          where the random inputs start (default 1)\n"
    "  --data FILE       compare on images instead: a file (PNG, JPEG, PPM, .npy,\n"
    "                    .npz, CIFAR-10) or a folder of them; the larger ones stay\n"
    "                    random; several inputs are a .npz with their names\n"
    "  --expect FILE     outputs that PyTorch gave for --data (.npy, or .npz by\n"
    "                    their names): FILE is written only if the original\n"
    "                    network gives them, up to 16 times its own rounding\n"
    "  --no-check        write without comparing\n"
    "  --force           replace FILE if it exists\n"
    "  --threads N       default: the CPUs that this process may use\n"
    "  --json            the report as JSON\n"
    "  -q, --quiet       no progress\n"
    "  -v, --verbose     list all tensors that do not fit, not only the first\n"
    "  --help, --version\n"
    "\n"
    "Exit status: 0 equivalent, 1 not equivalent, 2 usage, 3 unsupported,\n"
    "4 damaged input, 5 I/O or memory.\n"
    "\n"
    "Example: lnin-convert net1.pt\n";

/* The larger image shows this many windows more in each direction; fewer
 * where all layers of each crop are compared. */
enum { MORE_ROWS = 4, MORE_COLUMNS = 6, FEW_ROWS = 1, FEW_COLUMNS = 2 };

typedef struct options {
    tool_source source;
    tool_choice inputs;
    const char *output, *expect;
    char *default_output; /* to be freed */
    int64_t threads;
    bool no_check, force, quiet, json;
} options;

/* "dir/net1.pt" gives "dir/net1.net2.pt"; a name without ending gets one. */
static char *default_output(const char *path)
{
    static const char ending[] = ".net2.pt";
    const char *slash = strrchr(path, '/');
    const char *base = slash != NULL ? slash + 1 : path;
    const char *dot = strrchr(base, '.');
    size_t stem =
        dot != NULL && dot != base ? (size_t)(dot - path) : strlen(path);
    char *output = malloc(stem + sizeof(ending));
    if (output != NULL) {
        memcpy(output, path, stem);
        memcpy(output + stem, ending, sizeof(ending));
    }
    return output;
}

/* Returns TOOL_GO_ON or the code to exit with. */
static int parse(int argc, char **argv, options *o)
{
    *o = (options){.inputs = {.usual = 2, .seed = -1}};
    const tool_option table[] = {
        {"arch", 0, OPTION_TEXT, &o->source.arch, 0, 0},
        {"check", 0, OPTION_COUNT, &o->inputs.random, 1, 1000000},
        {"data", 0, OPTION_TEXT, &o->inputs.data, 0, 0},
        {"expect", 0, OPTION_TEXT, &o->expect, 0, 0},
        {"force", 0, OPTION_FLAG, &o->force, 0, 0},
        {"in-order", 0, OPTION_FLAG, &o->source.in_order, 0, 0},
        {"input", 0, OPTION_TEXT, &o->source.input, 0, 0},
        {"json", 0, OPTION_FLAG, &o->json, 0, 0},
        {"key", 0, OPTION_TEXT, &o->source.key, 0, 0},
        {"model", 0, OPTION_TEXT, &o->source.model, 0, 0},
        {"no-check", 0, OPTION_FLAG, &o->no_check, 0, 0},
        {"quiet", 'q', OPTION_FLAG, &o->quiet, 0, 0},
        {"output", 'o', OPTION_TEXT, &o->output, 0, 0},
        {"seed", 0, OPTION_COUNT, &o->inputs.seed, 0, INT64_MAX},
        {"threads", 0, OPTION_COUNT, &o->threads, 1, 1024},
        {0},
    };
    char **operands;
    int code = tool_parse(argc, argv, help, table, 1, &operands);
    if (code != TOOL_GO_ON)
        return code;
    if (o->quiet)
        tool_progress_quiet();
    o->inputs.recorded = o->expect != NULL;
    o->source.path = operands[0];
    o->source.unverified = o->no_check;
    o->default_output = default_output(o->source.path);
    if (o->output == NULL)
        o->output = o->default_output;
    return TOOL_GO_ON;
}

/* ---------------------------------------------------------------- checking */

typedef struct report {
    const tool_net *before;
    const ptf_net *after;
    ptf_slide slide;
    ptf_shape large;
    tool_inputs inputs;
    ptf_verdict *same;      /* of each output, on inputs of the original size */
    ptf_verdict slid;       /* window by window on a larger image */
    const char *not_finite; /* of tool_find_not_finite() */
    tool_expect expect;     /* with --expect */
    /* Layer by layer, where windows are no crops: */
    ptf_slide_layer *layers;
    tool_inside *inside;
    bool checked, windows_checked, inside_checked, reached;
} report;

/* Nothing is decided by runs in which a layer gave NaN or infinity. */
static ptf_level level_of(const report *r, const ptf_verdict *v)
{
    return r->not_finite != NULL ? PTF_LEVEL_UNDECIDED : ptf_verdict_level(v);
}

/* The weakest level of all outputs. */
static ptf_level same_level(const report *r)
{
    ptf_level weakest = PTF_LEVEL_BITWISE;
    for (size_t k = 0; k < ptf_net_output_count(r->after); k++) {
        ptf_level level = level_of(r, &r->same[k]);
        weakest = level > weakest ? level : weakest;
    }
    return weakest;
}

static bool inside_is_equal(const report *r)
{
    int64_t unequal = 0;
    for (size_t i = 0; i < ptf_net_layer_count(r->after); i++)
        unequal += r->inside_checked ? r->inside[i].unequal : 0;
    return unequal == 0;
}

static ptf_status compare(const options *o, report *r, ptf_error *err)
{
    const tool_net *net = r->before;
    const tool_choice *c = &o->inputs;
    int threads = (int)o->threads;
    tool_inputs large =
        tool_inputs_random(c->random > 0 ? c->random : c->usual,
                           c->seed >= 0 ? (uint64_t)c->seed : 1, r->large);
    ptf_status status =
        tool_compare(net->net, r->after, &r->inputs, threads, r->same, err);
    if (status == PTF_OK)
        status = tool_find_not_finite(net->net, &r->inputs, threads,
                                      &r->not_finite, err);
    if (status == PTF_OK && r->windows_checked && r->not_finite == NULL)
        status = tool_find_not_finite(r->after, &large, threads, &r->not_finite,
                                      err);
    if (status == PTF_OK && r->windows_checked)
        status = tool_compare_crops(net->net, r->after, &r->slide, &net->input,
                                    &large, threads, &r->slid, err);
    large.count = 1;
    if (status == PTF_OK && r->inside_checked)
        status =
            tool_compare_inside(r->after, &r->slide, r->layers, &net->input,
                                &large, threads, r->inside, err);
    r->reached =
        same_level(r) == PTF_LEVEL_BITWISE && inside_is_equal(r) &&
        (!r->windows_checked || level_of(r, &r->slid) == PTF_LEVEL_BITWISE);
    return status;
}

/* The original against what was recorded, then, if it agrees, the two nets. */
static ptf_status judge(const options *o, report *r, ptf_error *err)
{
    const tool_net *net = r->before;
    ptf_status status = ptf_net_check_numbers(net->net, err);
    if (status == PTF_OK)
        status =
            tool_inputs_choose(&o->inputs, net, &o->source, &r->inputs, err);
    if (status == PTF_OK && o->expect != NULL) {
        status = tool_expect_run(o->expect, net->net, &r->inputs,
                                 (int)o->threads, &r->expect, err);
        r->reached = status == PTF_OK && tool_expect_agrees(&r->expect);
    }
    if (status == PTF_OK && r->reached && r->checked)
        status = compare(o, r, err);
    return tool_inputs_explain(o->inputs.data, &r->inputs, net, status, err);
}

/* What is told of each layer where windows are not equal to crops. */
static ptf_status plan_inside(report *r, ptf_error *err)
{
    size_t count = ptf_net_layer_count(r->after);
    r->layers = calloc(count, sizeof(*r->layers));
    r->inside = calloc(count, sizeof(*r->inside));
    if (r->layers == NULL || r->inside == NULL)
        return tool_error(err, PTF_MEMORY, "out of memory");
    return ptf_net_slide_layers(r->after, r->layers, err);
}

/* Sliding is checked for images; its larger size follows from the stride. */
static ptf_status plan_windows(report *r, ptf_error *err)
{
    r->large = r->before->input;
    if (ptf_net_input_count(r->after) > 1 || ptf_net_output_count(r->after) > 1)
        return PTF_OK;
    ptf_status status = ptf_net_slide(r->after, &r->slide, err);
    bool compares = r->checked && r->large.rank == 3;
    r->windows_checked = compares && r->slide.blocker == NULL;
    r->inside_checked =
        compares && r->slide.blocker != NULL && r->slide.any_size;
    if (status == PTF_OK && r->inside_checked)
        status = plan_inside(r, err);
    if (r->large.rank != 3)
        return status;
    r->large.dim[1] +=
        (r->inside_checked ? FEW_ROWS : MORE_ROWS) * r->slide.stride[0];
    r->large.dim[2] +=
        (r->inside_checked ? FEW_COLUMNS : MORE_COLUMNS) * r->slide.stride[1];
    return status;
}

/* ------------------------------------------------------------------ report */

/* The next layer from *index on that has numbers; false after the last. */
static bool next_with_numbers(const ptf_net *net, size_t *index, ptf_layer *out)
{
    while (*index < ptf_net_layer_count(net)) {
        ptf_net_layer(net, (*index)++, out);
        if (out->parameters > 0)
            return true;
    }
    return false;
}

/*
 * Layers with numbers stay as many and in order; names may change where a
 * Flatten before them went away.
 */
static void print_conversions(const report *r)
{
    ptf_layer before, after;
    size_t i = 0, k = 0;
    while (next_with_numbers(r->before->net, &i, &before) &&
           next_with_numbers(r->after, &k, &after)) {
        if (before.kind != PTF_LAYER_LINEAR || after.kind == PTF_LAYER_LINEAR)
            continue;
        tool_line line = {stdout, printf("  %s:", before.name)};
        tool_print_wrapped(&line, before.text);
        printf("\n    -> ");
        if (strcmp(before.name, after.name) != 0)
            printf("%s: ", after.name);
        printf("%s\n", after.text);
    }
}

static void print_level(const report *r, ptf_level level)
{
    printf("verdict: %s", ptf_level_name(level));
    tool_print_if(r->before->net, NULL, stdout);
    putchar('\n');
}

/* Inputs of the original size. */
static void print_same(const char *data, const report *r)
{
    char n[32], shapes[TOOL_SHAPES_TEXT];
    size_t outputs = ptf_net_output_count(r->after);
    printf("\n%s %sinputs %s%s: original against converted\n",
           tool_count_text(r->same[0].samples, n),
           r->inputs.sampled ? "sample " : "", data != NULL ? "of " : "",
           data != NULL ? data : tool_inputs_shape_text(&r->inputs, shapes));
    if (outputs > 1)
        tool_print_outputs(r->after, r->same, stdout);
    else
        tool_print_verdict(&r->same[0], stdout);
    print_level(r, same_level(r));
}

/* Layers of one size and border are told as one, those of none as another. */
static bool is_like(const tool_inside *a, const tool_inside *b)
{
    bool none = a->size[0] == 0 && b->size[0] == 0;
    return none ||
           (a->size[0] == b->size[0] && a->size[1] == b->size[1] &&
            a->map.dim[1] == b->map.dim[1] && a->map.dim[2] == b->map.dim[2]);
}

/* "112 x 112" */
static void print_size(int64_t rows, int64_t columns)
{
    char text[48];
    snprintf(text, sizeof(text), "%lld x %lld", (long long)rows,
             (long long)columns);
    printf("  %-15s", text);
}

static void print_inside(const report *r)
{
    enum { NAME = 40 };
    char shape[TOOL_SHAPE_TEXT], n[32];
    const tool_inside *last = NULL;
    int64_t numbers = 0, unequal = 0;
    printf("\nwindows of a larger image %s: how much of a map, in its\n"
           "middle, is that of the crop, from which layer on\n",
           tool_shape_text(&r->large, shape));
    for (size_t i = 0; i < ptf_net_layer_count(r->after); i++) {
        const tool_inside *in = &r->inside[i];
        ptf_layer layer;
        ptf_net_layer(r->after, i, &layer);
        numbers += in->numbers;
        unequal += in->unequal;
        if (in->map.rank != 3 || (last != NULL && is_like(in, last)))
            continue;
        last = in;
        print_size(in->map.dim[1], in->map.dim[2]);
        if (in->size[0] > 0)
            print_size(in->size[0], in->size[1]);
        else
            printf("  %-15s", "nothing");
        printf("  ");
        tool_print_short(stdout, layer.name, NAME);
        putchar('\n');
    }
    printf("  compared: %s numbers of all layers, ",
           tool_count_text(numbers, n));
    printf("%s unequal\n", tool_count_text(unequal, n));
}

static void print_windows(const report *r)
{
    char n[32], shape[TOOL_SHAPE_TEXT];
    if (r->windows_checked) {
        printf("\n%s windows on larger images %s: original on each crop "
               "against converted\n",
               tool_count_text(r->slid.samples, n),
               tool_shape_text(&r->large, shape));
        tool_print_verdict(&r->slid, stdout);
        print_level(r, level_of(r, &r->slid));
    } else if (r->slide.blocker != NULL) {
        tool_line line = {stdout, printf("\nlarger images:") - 1};
        tool_print_words(&line, "windows are not equal to crops, because");
        tool_print_wrapped(&line, r->slide.blocker);
        tool_print_words(&line, r->slide.reason);
        putchar('\n');
        if (r->inside_checked && r->not_finite == NULL)
            print_inside(r);
    } else {
        printf("\nlarger inputs: not compared (not one image)\n");
    }
    tool_print_not_finite(r->not_finite);
}

static void print_text(const options *o, const report *r)
{
    tool_print_file(o->source.path);
    printf("%s\n", ptf_net_name(r->before->net));
    if (!r->checked)
        tool_print_assumption(r->before->net, NULL, stdout);
    print_conversions(r);
    if (o->expect != NULL) {
        printf("\noriginal against ");
        tool_expect_print(&r->expect, stdout);
    }
    if (r->same[0].samples > 0) {
        print_same(o->inputs.data, r);
        print_windows(r);
    } else if (!r->checked) {
        printf("\nnot checked (--no-check)\n");
    }
    tool_print_file(o->output);
    puts(r->reached ? "written" : "not written");
}

static void json_inside(tool_json *j, const report *r)
{
    json_open(j, "inside", '[');
    for (size_t i = 0; i < ptf_net_layer_count(r->after); i++) {
        const tool_inside *in = &r->inside[i];
        ptf_layer layer;
        ptf_net_layer(r->after, i, &layer);
        if (in->map.rank != 3)
            continue;
        json_open(j, NULL, '{');
        json_text(j, "layer", layer.name);
        json_int(j, "rows", in->map.dim[1]);
        json_int(j, "columns", in->map.dim[2]);
        json_int(j, "equal_rows", in->size[0]);
        json_int(j, "equal_columns", in->size[1]);
        json_int(j, "numbers", in->numbers);
        json_int(j, "unequal", in->unequal);
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void print_json(const options *o, const report *r)
{
    char shape[TOOL_SHAPE_TEXT];
    tool_json j = {.out = stdout};
    json_open(&j, NULL, '{');
    json_text(&j, "program", "lnin-convert");
    json_text(&j, "version", ptf_version());
    json_text(&j, "checkpoint", o->source.path);
    json_text(&j, "key", ptf_net_key(r->before->net, NULL, NULL));
    json_text(&j, "network", ptf_net_name(r->before->net));
    tool_json_assumption(&j, r->before->net, NULL);
    tool_json_rounded(&j, "rounded_to_float32", r->before->net);
    json_text(&j, "rewrite", "linear_to_conv");
    json_text(&j, "output", r->reached ? o->output : NULL);
    json_bool(&j, "checked", r->same[0].samples > 0);
    json_bool(&j, "equivalent", r->checked && r->reached);
    json_text(&j, "inputs", tool_inputs_source(&r->inputs, o->inputs.data));
    json_int(&j, "seed", (int64_t)r->inputs.seed);
    json_text(&j, "isa", ptf_isa_name());
    json_text(&j, "input", tool_shape_text(&r->before->input, shape));
    tool_json_layers(&j, "before", r->before->net);
    tool_json_layers(&j, "after", r->after);
    json_text(&j, "windows_blocked_by", r->slide.blocker);
    json_text(&j, "windows_blocked_because", r->slide.reason);
    tool_json_not_finite(&j, r->not_finite);
    if (r->inside_checked)
        json_inside(&j, r);
    if (o->expect != NULL)
        tool_expect_json(&j, "recorded", &r->expect);
    if (r->same[0].samples > 0) {
        if (ptf_net_output_count(r->after) == 1)
            tool_json_verdict(&j, "same_size", &r->same[0],
                              ptf_level_name(same_level(r)));
        tool_json_outputs(&j, "outputs", r->after, r->same);
    }
    if (r->slid.samples > 0) {
        json_text(&j, "large", tool_shape_text(&r->large, shape));
        tool_json_verdict(&j, "windows", &r->slid,
                          ptf_level_name(level_of(r, &r->slid)));
    }
    json_close(&j, '}');
}

static ptf_status convert(const options *o, report *r, ptf_error *err)
{
    size_t outputs = ptf_net_output_count(r->after);
    r->same = calloc(outputs, sizeof(*r->same));
    if (r->same == NULL)
        return tool_error(err, PTF_MEMORY, "out of memory");
    ptf_status status = plan_windows(r, err);
    for (size_t k = 0; k < outputs; k++)
        ptf_verdict_init(&r->same[k], 0, 0);
    ptf_verdict_init(&r->slid, 0, 0);
    r->reached = true;
    if (status == PTF_OK && (r->checked || o->expect != NULL))
        status = judge(o, r, err);
    if (status == PTF_OK && r->reached)
        status = ptf_net_save(r->after, o->output, r->before->ckpt,
                              tool_expect_metadata(&r->expect), err);
    if (status == PTF_OK)
        (o->json ? print_json : print_text)(o, r);
    tool_expect_free(&r->expect);
    tool_inputs_free(&r->inputs);
    free(r->layers);
    free(r->inside);
    free(r->same);
    return status;
}

/* Convolutions, and any size of image, where that is to be had. */
static ptf_status rewrite(const tool_net *net, ptf_net **out, ptf_error *err)
{
    ptf_net *converted = NULL;
    ptf_status status =
        ptf_net_rewrite(net->net, ptf_rewrite_find("linear_to_conv"),
                        net->inputs, &converted, err);
    if (status != PTF_OK)
        return status;
    status = ptf_net_rewrite(converted, ptf_rewrite_find("any_size"), NULL, out,
                             err);
    if (status != PTF_UNSUPPORTED) {
        ptf_net_free(converted);
        return status;
    }
    *out = converted;
    return PTF_OK;
}

static ptf_status run(const options *o, bool *reached, ptf_error *err)
{
    tool_net net = {0};
    ptf_net *converted = NULL;
    const char *const read[] = {o->source.path, o->source.arch, o->inputs.data,
                                o->expect};
    const char *const written[] = {o->output};
    ptf_status status = tool_check_targets(TOOL_PATHS(read),
                                           TOOL_PATHS(written), o->force, err);
    if (status == PTF_OK)
        status = tool_net_open(&o->source, &net, err);
    if (status == PTF_OK)
        status = tool_need_input(&net, &o->source, err);
    if (status == PTF_OK)
        status = rewrite(&net, &converted, err);
    report r = {.before = &net, .after = converted, .checked = !o->no_check};
    if (status == PTF_OK)
        status = convert(o, &r, err);
    if (status != PTF_OK || !r.reached)
        status = tool_net_unchanged(&net, status, err);
    *reached = r.reached;
    ptf_net_free(converted);
    tool_net_close(&net);
    return status;
}

int main(int argc, char **argv)
{
    tool_start("lnin-convert");
    options o;
    int code = parse(argc, argv, &o);
    if (code != TOOL_GO_ON)
        return code;

    static ptf_error err;
    bool reached = false;
    ptf_status status = o.output != NULL
                            ? run(&o, &reached, &err)
                            : tool_error(&err, PTF_MEMORY, "out of memory");
    free(o.default_output);
    if (status != PTF_OK)
        return tool_fail(&err);
    return tool_finish(reached ? EXIT_EQUIVALENT : EXIT_NOT_EQUIVALENT);
}
