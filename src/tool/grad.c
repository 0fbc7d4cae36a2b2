/*
 * ptfold grad: the derivatives of one output of a network.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/common/image_options.h"

static const char help[] =
    "usage: ptfold grad [options] CHECKPOINT INPUT\n"
    "\n"
    "How one output of a network depends on each number of an image (PNG,\n"
    "JPEG, PPM, .npy, ...) as the network gets it, and on each parameter.\n"
    "\n"
    "  --output I        which output (default: the largest); where the\n"
    "                    output is a map, the sum of channel I\n"
    "  --wrt LIST        input, params or input,params (default: input)\n"
    "  -o, --out FILE    write the gradients (.safetensors or .pt); the\n"
    "                    input's is called \"input\"\n"
    "  --saliency FILE   a picture (.png, .ppm) of each pixel's largest\n"
    "                    derivative over its channels; white is the largest;\n"
    "                    an image below 256 pixels is enlarged\n"
    "  --index N         which image of INPUT, when it has several (0)\n"
    "  --arch FILE|NAME  the text of print(model), or a built-in network\n" TOOL_IN_ORDER_HELP
    "  --input CxHxW     shape of one input; default: what the text says\n"
    "  --key PATH        the state dict inside the file\n"
    "  --strict          exit with 1, and write no file, where weights, layers or\n"
    "                    derivatives are NaN or infinite (without it: a warning)\n"
    "  --force           replace outputs that exist\n"
    "  --threads N       default: the CPUs that this process may use\n"
    "  --json            the report as JSON\n"
    "  -v, --verbose     list all tensors that do not fit, not only the first\n"
    "  --help, --version\n"
    "\n" IMAGE_HELP "\n"
    "Example: ptfold grad --saliency cat-saliency.png alexnet.pt cat.png\n";

typedef struct options {
    tool_source source;
    const char *image, *wrt, *out, *saliency;
    ptf_image_options how; /* the image is read */
    int64_t output, index, threads;
    bool force, json, strict;
} options;

typedef struct gradient {
    const options *options;
    ptf_gradient *g;
    ptf_shape input, output;
    float *in, *out, *cotangent;
    int64_t which; /* the output that is differentiated */
    double value;
    tool_finite finite;
} gradient;

/* True when the files are given up. */
static bool is_void(const gradient *d)
{
    return d->options->strict && !tool_finite_all(&d->finite);
}

/* ------------------------------------------------------------------ options */

/* Which gradients the list names, or 0 when it is none. */
static unsigned parse_wrt(const char *text)
{
    unsigned by = 0;
    while (*text != '\0') {
        size_t size = strcspn(text, ",");
        if (size == 5 && strncmp(text, "input", size) == 0)
            by |= PTF_WRT_INPUT;
        else if (size == 6 && strncmp(text, "params", size) == 0)
            by |= PTF_WRT_PARAMETERS;
        else
            return 0;
        text += size + (text[size] == ',');
    }
    return by;
}

/* ---------------------------------------------------------------- gradients */

static ptf_status read_input(gradient *d, const tool_net *net, ptf_error *err)
{
    const options *o = d->options;
    tool_inputs inputs;
    ptf_status status = tool_inputs_open(o->image, net, &o->how, &inputs, err);
    if (status != PTF_OK)
        return status;
    d->input = inputs.shape;
    d->in = calloc((size_t)ptf_shape_numel(&d->input), sizeof(float));
    if (o->index >= inputs.count)
        status = tool_error(
            err, PTF_ARGUMENT, "%s: expected --index below %lld, got %lld",
            o->image, (long long)inputs.count, (long long)o->index);
    else if (d->in == NULL)
        status = tool_error(err, PTF_MEMORY, "out of memory");
    else
        status = tool_inputs_get(&inputs, o->index, d->in, err);
    tool_inputs_free(&inputs);
    return status;
}

/* The sum over channel 'c' of the output. */
static double channel_sum(const gradient *d, int64_t c)
{
    int64_t pixels = ptf_shape_numel(&d->output) / d->output.dim[0];
    double sum = 0;
    for (int64_t i = 0; i < pixels; i++)
        sum += (double)d->out[c * pixels + i];
    return sum;
}

static int64_t largest_output(const gradient *d)
{
    int64_t best = 0;
    for (int64_t c = 1; c < d->output.dim[0]; c++) {
        if (channel_sum(d, c) > channel_sum(d, best))
            best = c;
    }
    return best;
}

/* Forward, the choice of an output, and back. */
static ptf_status differentiate(gradient *d, ptf_error *err)
{
    int64_t channels = d->output.dim[0];
    int64_t pixels = ptf_shape_numel(&d->output) / channels;
    d->out = calloc((size_t)(channels * pixels), sizeof(float));
    d->cotangent = calloc((size_t)(channels * pixels), sizeof(float));
    if (d->out == NULL || d->cotangent == NULL)
        return tool_error(err, PTF_MEMORY, "out of memory");
    ptf_status status = ptf_gradient_run(d->g, d->in, 1, d->out, err);
    if (status != PTF_OK)
        return status;
    d->which = d->options->output;
    if (d->which >= channels)
        return tool_error(err, PTF_ARGUMENT,
                          "--output: expected one of the outputs 0 to %lld, "
                          "got %lld",
                          (long long)channels - 1, (long long)d->which);
    if (d->which < 0)
        d->which = largest_output(d);
    d->value = channel_sum(d, d->which);
    for (int64_t i = 0; i < pixels; i++)
        d->cotangent[d->which * pixels + i] = 1.0F;
    return ptf_gradient_back(d->g, d->cotangent, err);
}

static bool all_finite(const float *x, int64_t count)
{
    for (int64_t i = 0; x != NULL && i < count; i++) {
        if (!isfinite(x[i]))
            return false;
    }
    return true;
}

/* Warns of weights, layers and derivatives that are not finite. */
static ptf_status inspect(gradient *d, const ptf_net *net, ptf_error *err)
{
    ptf_plan *plan = NULL;
    ptf_plan_options how = {.threads = (int)d->options->threads,
                            .inspect = true};
    ptf_status status = tool_finite_weights(&d->finite, net, err);
    if (status == PTF_OK)
        status = ptf_plan_make(net, &d->input, 1, &how, &plan, err);
    if (status == PTF_OK)
        status = ptf_plan_run(plan, d->in, 1, d->out, err);
    if (status == PTF_OK)
        tool_finite_layer(&d->finite, ptf_plan_not_finite(plan));
    ptf_plan_free(plan);
    bool finite =
        all_finite(ptf_gradient_input(d->g, 0), ptf_shape_numel(&d->input));
    for (size_t i = 0; i < ptf_gradient_tensor_count(d->g); i++) {
        const ptf_tensor *t = ptf_gradient_tensor(d->g, i);
        finite = finite && all_finite(t->data, ptf_tensor_numel(t));
    }
    if (status == PTF_OK && !finite)
        tool_finite_derivatives(&d->finite);
    return status;
}

/* ----------------------------------------------------------------- saliency */

/* The largest derivative by a channel of pixel i, without its sign. */
static float salience(const float *g, int64_t channels, int64_t plane,
                      int64_t i)
{
    float most = 0.0F;
    for (int64_t c = 0; c < channels; c++) {
        float size = fabsf(g[c * plane + i]);
        most = size > most ? size : most;
    }
    return most;
}

static ptf_status paint(const gradient *d, int64_t scale, ptf_sink *sink,
                        unsigned char *row, ptf_error *err)
{
    int64_t width = d->input.dim[2], plane = d->input.dim[1] * width;
    size_t side = (size_t)(3 * scale); /* bytes of a row of a pixel */
    const float *g = ptf_gradient_input(d->g, 0);
    float most = 0.0F;
    for (int64_t i = 0; i < plane; i++)
        most = fmaxf(most, salience(g, d->input.dim[0], plane, i));
    ptf_status status = PTF_OK;
    for (int64_t i = 0; i < plane && status == PTF_OK; i++) {
        float size = salience(g, d->input.dim[0], plane, i);
        float grey = isfinite(most) && most > 0 ? 255.0F * (size / most) : 0;
        memset(row + side * (size_t)(i % width), (int)(grey + 0.5F), side);
        for (int64_t y = 0; (i + 1) % width == 0 && y < scale; y++) {
            if (status == PTF_OK)
                status = ptf_sink_write(sink, row, side * (size_t)width, err);
        }
    }
    return status;
}

static ptf_status save_saliency(const gradient *d, const char *path,
                                ptf_error *err)
{
    if (d->input.rank != 3)
        return tool_error(err, PTF_ARGUMENT,
                          "--saliency: the input is no image");
    ptf_sink *sink;
    int64_t height = d->input.dim[1], width = d->input.dim[2];
    int64_t scale = tool_picture_scale(height, width);
    unsigned char *row = calloc((size_t)(width * scale), 3);
    if (row == NULL)
        return tool_error(err, PTF_MEMORY, "out of memory");
    ptf_status status =
        ptf_picture_create(path, width * scale, height * scale, &sink, err);
    if (status == PTF_OK) {
        status = paint(d, scale, sink, row, err);
        if (status == PTF_OK)
            status = ptf_sink_commit(sink, err);
        else
            ptf_sink_abort(sink);
    }
    free(row);
    return status;
}

/* ------------------------------------------------------------------- report */

/* Largest magnitude (NaN if there is one) and Euclidean norm. */
typedef struct size {
    double largest, norm;
} size;

static size size_of(const float *g, int64_t n)
{
    size s = {0, 0};
    for (int64_t i = 0; i < n; i++) {
        double x = fabs((double)g[i]);
        s.largest = x > s.largest || isnan(x) ? x : s.largest;
        s.norm += x * x;
    }
    s.norm = sqrt(s.norm);
    return s;
}

static void print_one(const char *name, const float *g, int64_t n,
                      tool_json *json)
{
    size s = size_of(g, n);
    if (json == NULL) {
        printf("  %-32s %12lld  %12.6g  %12.6g\n", name, (long long)n,
               s.largest, s.norm);
        return;
    }
    json_open(json, NULL, '{');
    json_text(json, "name", name);
    json_int(json, "numbers", n);
    json_number(json, "largest", s.largest);
    json_number(json, "norm", s.norm);
    json_close(json, '}');
}

static void print_all(const gradient *d, tool_json *json)
{
    const float *input = ptf_gradient_input(d->g, 0);
    if (input != NULL)
        print_one("input", input, ptf_shape_numel(&d->input), json);
    for (size_t i = 0; i < ptf_gradient_tensor_count(d->g); i++) {
        const ptf_tensor *t = ptf_gradient_tensor(d->g, i);
        print_one(t->name, t->data, ptf_tensor_numel(t), json);
    }
}

static void print_text(const gradient *d, const tool_net *net)
{
    printf(
        "output %lld is %.9g; its derivatives with respect to\n\n  %-32s %12s  %12s  "
        "%12s\n",
        (long long)d->which, d->value, "", "numbers", "largest", "norm");
    print_all(d, NULL);
    const char *files[] = {d->options->out, d->options->saliency};
    for (int i = 0; i < 2; i++) {
        if (files[i] != NULL)
            printf("\n%s: %s", files[i],
                   is_void(d) ? "not written (--strict)" : "written");
    }
    if (files[0] != NULL || files[1] != NULL)
        putchar('\n');
    tool_print_assumption(net->net, NULL, stdout);
}

static void print_json(const gradient *d, const tool_net *net)
{
    char text[TOOL_SHAPE_TEXT];
    tool_json j = {.out = stdout};
    json_open(&j, NULL, '{');
    json_text(&j, "program", "ptfold grad");
    json_text(&j, "version", ptf_version());
    json_text(&j, "checkpoint", d->options->source.path);
    json_text(&j, "key", ptf_net_key(net->net, NULL, NULL));
    json_text(&j, "network", ptf_net_name(net->net));
    tool_json_assumption(&j, net->net, NULL);
    json_text(&j, "image", d->options->image);
    json_text(&j, "input", tool_shape_text(&d->input, text));
    json_int(&j, "output", d->which);
    json_number(&j, "value", d->value);
    json_open(&j, "gradients", '[');
    print_all(d, &j);
    json_close(&j, ']');
    tool_json_finite(&j, &d->finite);
    json_bool(&j, "derivatives_not_finite", d->finite.in_derivatives);
    json_close(&j, '}');
}

/* ------------------------------------------------------------------ command */

static ptf_status run(gradient *d, const tool_net *net, unsigned by,
                      ptf_error *err)
{
    const options *o = d->options;
    ptf_gradient_options how = {.by = by, .threads = (int)o->threads};
    ptf_status status = read_input(d, net, err);
    if (status == PTF_OK)
        status = ptf_gradient_make(net->net, &d->input, 1, &how, &d->g, err);
    status = tool_inputs_explain(o->image, &d->input, net, status, err);
    if (status != PTF_OK)
        return status;
    d->output = ptf_gradient_output(d->g, 0);
    status = differentiate(d, err);
    if (status == PTF_OK)
        status = inspect(d, net->net, err);
    status = tool_net_unchanged(net, status, err);
    if (status == PTF_OK && o->out != NULL && !is_void(d))
        status = ptf_gradient_save(d->g, o->out, err);
    if (status == PTF_OK && o->saliency != NULL && !is_void(d))
        status = save_saliency(d, o->saliency, err);
    if (status == PTF_OK && o->json)
        print_json(d, net);
    else if (status == PTF_OK)
        print_text(d, net);
    return status;
}

static ptf_status check_targets(const options *o, ptf_error *err)
{
    const char *const read[] = {o->source.path, o->source.arch, o->image};
    const char *const written[] = {o->out, o->saliency};
    ptf_status status = tool_check_targets(TOOL_PATHS(read),
                                           TOOL_PATHS(written), o->force, err);
    return status == PTF_OK ? tool_check_picture(o->saliency, err) : status;
}

static ptf_status grad(const options *o, unsigned by, int *code, ptf_error *err)
{
    tool_net net;
    ptf_status status = check_targets(o, err);
    if (status == PTF_OK)
        status = tool_net_open(&o->source, &net, err);
    if (status != PTF_OK)
        return status;
    gradient d = {.options = o};
    status = run(&d, &net, by, err);
    *code = tool_finite_code(&d.finite, o->strict);
    ptf_gradient_free(d.g);
    free(d.in);
    free(d.out);
    free(d.cotangent);
    status = tool_net_unchanged(&net, status, err);
    tool_net_close(&net);
    return status;
}

int tool_grad(int argc, char **argv)
{
    options o = {.wrt = "input", .output = -1};
    image_texts texts = IMAGE_NONE_GIVEN;
    const tool_option table[] = {
        IMAGE_OPTIONS(&texts),
        {"arch", 0, OPTION_TEXT, &o.source.arch, 0, 0},
        {"force", 0, OPTION_FLAG, &o.force, 0, 0},
        {"index", 0, OPTION_COUNT, &o.index, 0, INT64_MAX},
        {"in-order", 0, OPTION_FLAG, &o.source.in_order, 0, 0},
        {"input", 0, OPTION_TEXT, &o.source.input, 0, 0},
        {"json", 0, OPTION_FLAG, &o.json, 0, 0},
        {"key", 0, OPTION_TEXT, &o.source.key, 0, 0},
        {"out", 'o', OPTION_TEXT, &o.out, 0, 0},
        {"output", 0, OPTION_COUNT, &o.output, 0, INT64_MAX},
        {"saliency", 0, OPTION_TEXT, &o.saliency, 0, 0},
        {"strict", 0, OPTION_FLAG, &o.strict, 0, 0},
        {"threads", 0, OPTION_COUNT, &o.threads, 1, 1024},
        {"wrt", 0, OPTION_TEXT, &o.wrt, 0, 0},
        {0},
    };
    char **operands;
    int code = tool_parse(argc, argv, help, table, 2, &operands);
    if (code == TOOL_GO_ON)
        code = image_options_read(&texts, &o.how);
    if (code != TOOL_GO_ON)
        return code;
    unsigned by = parse_wrt(o.wrt);
    if (by == 0)
        return tool_usage_error("--wrt: expected input, params or both with a "
                                "comma, got \"%s\"",
                                o.wrt);
    if (o.saliency != NULL)
        by |= PTF_WRT_INPUT;
    o.source.path = operands[0];
    o.image = operands[1];
    static ptf_error err;
    ptf_status status = grad(&o, by, &code, &err);
    return status == PTF_OK ? tool_finish(code) : tool_fail(&err);
}
