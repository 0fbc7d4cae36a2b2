/*
 * ptfold grad: the derivatives of one output of a network.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/common/image_options.h"

static const char help[] =
    "usage: ptfold grad [options] CHECKPOINT [INPUT]\n"
    "\n"
    "How one output of a network depends on each number of an image (PNG,\n"
    "JPEG, PPM, .npy, ...) as the network gets it, and on each parameter.\n"
    "Several inputs are a .npz with their names.  Without INPUT it is the\n"
    "example in the file, which programs of torch.export have (.pt2).\n"
    "\n"
    "  --output I        which output (default: the largest); where the\n"
    "                    output is a map, the sum of channel I\n"
    "  --output NAME[:I] of several outputs (default: the first one)\n"
    "  --wrt LIST        input, params or input,params (default: input)\n"
    "  -o, --out FILE    write the gradients (.safetensors or .pt); the\n"
    "                    input's is called \"input\", of several \"input.NAME\"\n"
    "  --saliency FILE   a picture (.png, .ppm) of each pixel's largest\n"
    "                    derivative over its channels; white is the largest;\n"
    "                    an image below 256 pixels is enlarged\n"
    "  --index N         which sample of INPUT, when it has several (0)\n"
    "  --arch FILE|NAME  the text of print(model), or a built-in network\n" TOOL_IN_ORDER_HELP
    "  --input CxHxW     shape of one input; default: what the text says\n"
    "  --key PATH        the state dict inside the file\n" TOOL_MODEL_HELP
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
    const char *image, *wrt, *out, *saliency, *output; /* or NULL */
    ptf_image_options how;                             /* the image is read */
    int64_t index, threads;
    bool force, json, strict;
} options;

typedef struct gradient {
    const options *options;
    const ptf_net *net;
    ptf_gradient *g;
    tool_inputs inputs;
    ptf_shape *outputs;
    size_t input_count, output_count;
    float **in, **out, **cotangents; /* of one sample */
    size_t output;                   /* what is differentiated: the output, */
    int64_t which;                   /* and its channel */
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

static ptf_status out_of_memory(ptf_error *err)
{
    return tool_error(err, PTF_MEMORY, "out of memory");
}

static ptf_status read_input(gradient *d, const tool_net *net, ptf_error *err)
{
    const options *o = d->options;
    ptf_status status =
        o->image != NULL
            ? tool_inputs_open(o->image, net, &o->how, &d->inputs, err)
            : tool_inputs_sample(net, &o->source, &d->inputs, err);
    if (status != PTF_OK)
        return status;
    d->in = tool_room(tool_inputs_shapes(&d->inputs), d->input_count, 1);
    if (d->in == NULL)
        return out_of_memory(err);
    if (o->index >= d->inputs.count)
        return tool_error(err, PTF_ARGUMENT,
                          "%s: expected --index below %lld, got %lld",
                          o->image != NULL ? o->image : o->source.path,
                          (long long)d->inputs.count, (long long)o->index);
    return tool_inputs_get(&d->inputs, o->index, d->in, err);
}

/* Rooms for all outputs and what is put in their place on the way back. */
static ptf_status make_outputs(gradient *d, ptf_error *err)
{
    d->outputs = calloc(d->output_count, sizeof(*d->outputs));
    if (d->outputs == NULL)
        return out_of_memory(err);
    for (size_t k = 0; k < d->output_count; k++)
        d->outputs[k] = ptf_gradient_output(d->g, k);
    d->out = tool_room(d->outputs, d->output_count, 1);
    d->cotangents = tool_room(d->outputs, d->output_count, 1);
    return d->out != NULL && d->cotangents != NULL ? PTF_OK
                                                   : out_of_memory(err);
}

/* A single number is one channel. */
static int64_t channels_of(const gradient *d)
{
    const ptf_shape *shape = &d->outputs[d->output];
    return shape->rank > 0 ? shape->dim[0] : 1;
}

static int64_t pixels_of(const gradient *d)
{
    return ptf_shape_numel(&d->outputs[d->output]) / channels_of(d);
}

/* The sum over channel 'c' of the output. */
static double channel_sum(const gradient *d, int64_t c)
{
    int64_t pixels = pixels_of(d);
    double sum = 0;
    for (int64_t i = 0; i < pixels; i++)
        sum += (double)d->out[d->output][c * pixels + i];
    return sum;
}

static int64_t largest_channel(const gradient *d)
{
    int64_t best = 0;
    for (int64_t c = 1; c < channels_of(d); c++) {
        if (channel_sum(d, c) > channel_sum(d, best))
            best = c;
    }
    return best;
}

/* The channel that a text names; -1 when it is no number. */
static int64_t parse_channel(const char *text)
{
    char *end;
    long long channel = strtoll(text, &end, 10);
    return end != text && *end == '\0' && channel >= 0 ? channel : -1;
}

/* "I", "NAME" or "NAME:I"; *channel is -1 for the largest. */
static bool parse_output(const ptf_net *net, const char *text, size_t *output,
                         int64_t *channel)
{
    char name[512];
    const char *colon = strrchr(text, ':');
    size_t size = colon != NULL ? (size_t)(colon - text) : 0;
    *output = 0;
    *channel = colon != NULL ? -1 : parse_channel(text);
    if (*channel >= 0 && ptf_net_output_count(net) == 1)
        return true; /* though a layer may be called so */
    *channel = -1;
    if (ptf_net_find_output(net, text, output))
        return true;
    *channel = colon != NULL ? parse_channel(colon + 1) : -1;
    if (*channel < 0 || size >= sizeof(name))
        return false;
    memcpy(name, text, size);
    name[size] = '\0';
    return ptf_net_find_output(net, name, output);
}

static ptf_status find_output(gradient *d, ptf_error *err)
{
    const char *text = d->options->output;
    ptf_port port;
    d->which = -1;
    if (text != NULL && !parse_output(d->net, text, &d->output, &d->which)) {
        ptf_net_output(d->net, 0, &port);
        return tool_error(
            err, PTF_ARGUMENT,
            "--output: expected a number%s%.100s\", got \"%.60s\"",
            d->output_count == 1 ? ", or the name \""
                                 : " after a name, such as \"",
            port.name, text);
    }
    ptf_net_output(d->net, d->output, &port);
    if (tool_is_float(port.dtype))
        return PTF_OK;
    return tool_error(err, PTF_ARGUMENT,
                      "--output: '%s' is %s, which has no derivatives",
                      port.name, ptf_dtype_name(port.dtype));
}

/* Forward, the choice of an output, and back. */
static ptf_status differentiate(gradient *d, ptf_error *err)
{
    ptf_status status = find_output(d, err);
    if (status == PTF_OK)
        status = ptf_gradient_run_all(d->g, (const float *const *)d->in, 1,
                                      d->out, err);
    if (status != PTF_OK)
        return status;
    int64_t channels = channels_of(d), pixels = pixels_of(d);
    if (d->which >= channels)
        return tool_error(err, PTF_ARGUMENT,
                          "--output: expected one of the outputs 0 to %lld, "
                          "got %lld",
                          (long long)channels - 1, (long long)d->which);
    if (d->which < 0)
        d->which = largest_channel(d);
    d->value = channel_sum(d, d->which);
    for (int64_t i = 0; i < pixels; i++)
        d->cotangents[d->output][d->which * pixels + i] = 1.0F;
    return ptf_gradient_back_all(d->g, (const float *const *)d->cotangents,
                                 err);
}

static int64_t input_size(const gradient *d, size_t k)
{
    return ptf_shape_numel(&tool_inputs_shapes(&d->inputs)[k]);
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
    ptf_status status = tool_finite_hidden(&d->finite, net, err);
    if (status == PTF_OK)
        status = ptf_plan_make(net, tool_inputs_shapes(&d->inputs), 1, &how,
                               &plan, err);
    if (status == PTF_OK)
        status =
            ptf_plan_run_all(plan, (const float *const *)d->in, 1, d->out, err);
    if (status == PTF_OK)
        status = tool_finite_layer(&d->finite, ptf_plan_not_finite(plan), err);
    ptf_plan_free(plan);
    bool finite = true;
    for (size_t k = 0; k < d->input_count; k++)
        finite =
            finite && all_finite(ptf_gradient_input(d->g, k), input_size(d, k));
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
    const ptf_shape *image = &d->inputs.shape;
    int64_t width = image->dim[2], plane = image->dim[1] * width;
    size_t side = (size_t)(3 * scale); /* bytes of a row of a pixel */
    const float *g = ptf_gradient_input(d->g, 0);
    float most = 0.0F;
    for (int64_t i = 0; i < plane; i++)
        most = fmaxf(most, salience(g, image->dim[0], plane, i));
    ptf_status status = PTF_OK;
    for (int64_t i = 0; i < plane && status == PTF_OK; i++) {
        float size = salience(g, image->dim[0], plane, i);
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
    const ptf_shape *image = &d->inputs.shape;
    if (d->input_count > 1 || image->rank != 3)
        return tool_error(err, PTF_ARGUMENT,
                          "--saliency: the input is no image");
    ptf_sink *sink;
    int64_t height = image->dim[1], width = image->dim[2];
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
    char name[512];
    ptf_port port;
    for (size_t k = 0; ptf_net_input(d->net, k, &port); k++) {
        const float *input = ptf_gradient_input(d->g, k);
        bool several = d->input_count > 1;
        snprintf(name, sizeof(name), "input%s%.400s", several ? "." : "",
                 several ? port.name : "");
        if (input != NULL)
            print_one(name, input, input_size(d, k), json);
    }
    for (size_t i = 0; i < ptf_gradient_tensor_count(d->g); i++) {
        const ptf_tensor *t = ptf_gradient_tensor(d->g, i);
        print_one(t->name, t->data, ptf_tensor_numel(t), json);
    }
}

static void print_text(const gradient *d, const tool_net *net)
{
    ptf_port port;
    ptf_net_output(d->net, d->output, &port);
    fputs("output ", stdout);
    if (d->output_count > 1)
        printf("%s:", port.name);
    printf("%lld is %.9g%s; its derivatives with respect to\n\n",
           (long long)d->which, d->value,
           d->inputs.sampled ? " for the sample input" : "");
    printf("  %-32s %12s  %12s  %12s\n", "", "numbers", "largest", "norm");
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
    char text[TOOL_SHAPES_TEXT];
    ptf_port port;
    ptf_net_output(d->net, d->output, &port);
    tool_json j = {.out = stdout};
    json_open(&j, NULL, '{');
    json_text(&j, "program", "ptfold grad");
    json_text(&j, "version", ptf_version());
    json_text(&j, "checkpoint", d->options->source.path);
    json_text(&j, "key", ptf_net_key(net->net, NULL, NULL));
    json_text(&j, "network", ptf_net_name(net->net));
    tool_json_assumption(&j, net->net, NULL);
    json_text(&j, "image", tool_inputs_source(&d->inputs, d->options->image));
    json_text(&j, "input", tool_inputs_shape_text(&d->inputs, text));
    json_text(&j, "of", port.name);
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
        status = ptf_gradient_make(net->net, tool_inputs_shapes(&d->inputs), 1,
                                   &how, &d->g, err);
    status = tool_inputs_explain(o->image, &d->inputs, net, status, err);
    if (status == PTF_OK)
        status = make_outputs(d, err);
    if (status == PTF_OK)
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

static void release(gradient *d)
{
    ptf_gradient_free(d->g);
    tool_room_free(d->in, d->input_count);
    tool_room_free(d->out, d->output_count);
    tool_room_free(d->cotangents, d->output_count);
    tool_inputs_free(&d->inputs);
    free(d->outputs);
}

static ptf_status grad(const options *o, unsigned by, int *code, ptf_error *err)
{
    tool_net net;
    ptf_status status = check_targets(o, err);
    if (status == PTF_OK)
        status = tool_net_open(&o->source, &net, err);
    if (status != PTF_OK)
        return status;
    gradient d = {.options = o,
                  .net = net.net,
                  .input_count = ptf_net_input_count(net.net),
                  .output_count = ptf_net_output_count(net.net)};
    status = run(&d, &net, by, err);
    *code = tool_finite_code(&d.finite, o->strict);
    release(&d);
    status = tool_net_unchanged(&net, status, err);
    tool_net_close(&net);
    return status;
}

int tool_grad(int argc, char **argv)
{
    options o = {.wrt = "input"};
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
        {"model", 0, OPTION_TEXT, &o.source.model, 0, 0},
        {"out", 'o', OPTION_TEXT, &o.out, 0, 0},
        {"output", 0, OPTION_TEXT, &o.output, 0, 0},
        {"saliency", 0, OPTION_TEXT, &o.saliency, 0, 0},
        {"strict", 0, OPTION_FLAG, &o.strict, 0, 0},
        {"threads", 0, OPTION_COUNT, &o.threads, 1, 1024},
        {"wrt", 0, OPTION_TEXT, &o.wrt, 0, 0},
        {0},
    };
    char **operands;
    int code = tool_parse(argc, argv, help, table, -1, &operands);
    if (code == TOOL_GO_ON && operands[1] != NULL && operands[2] != NULL)
        return tool_usage_error("expected a network and an input, got more");
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
