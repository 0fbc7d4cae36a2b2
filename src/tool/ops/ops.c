/*
 * ptfold ops: how many operations and how much memory a network takes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/ops/ops.h"

static const char help[] =
    "usage: ptfold ops [options] NETWORK\n"
    "\n"
    "Counts parameters, operations and memory, layer by layer.  NETWORK is a\n"
    "checkpoint, the text of print(model), or a built-in network: AlexNet,\n"
    "Net1, Net2, smallNetTrain, smallNetTest.  No weights are needed.\n"
    "\n"
    "  --input CxHxW      default: what the architecture's text says\n"
    "  --batch N          inputs (1)\n"
    "  --backward         the operations of gradients, too\n"
    "  --convention NAME  what counts as an operation: macs (default), flops,\n"
    "                     torchinfo, thop, fvcore, ptflops, ptflops-aten\n"
    "  --compare OTHER    a second network beside the first\n"
    "  --json, --csv, --md\n"
    "  --arch FILE|NAME   of a checkpoint: the text of print(model), or a\n"
    "                     built-in network\n"
    "  --in-order         forward() runs each module of the text once, as\n"
    "                     printed: your word for a class that is not\n"
    "                     nn.Sequential; all results carry it\n"
    "  --key PATH         the state dict inside the file\n"
    "  --model NAME       of a .pt2 with several programs: which one\n"
    "  --model-b NAME     the same of OTHER\n"
    "  -v, --verbose     list all tensors that do not fit, not only the first\n"
    "  --help, --version\n"
    "\n"
    "Example: ptfold ops AlexNet --convention torchinfo\n";

typedef struct options {
    tool_source source;
    const char *convention, *compare, *model_b;
    int64_t batch;
    bool backward, json, csv, md;
} options;

/* ----------------------------------------------------------------- counting */

const char *const ops_class_names[OPS_CLASSES] = {
    [OPS_CONV] = "convolutions",
    [OPS_LINEAR] = "linear layers",
    [OPS_OTHER] = "other layers",
};

static ops_class class_of(ptf_layer_kind kind)
{
    if (kind == PTF_LAYER_CONVOLUTION)
        return OPS_CONV;
    return kind == PTF_LAYER_LINEAR ? OPS_LINEAR : OPS_OTHER;
}

bool ops_is_shown(const ops_net *net, size_t layer)
{
    const ptf_count *l = &net->layers[layer];
    return net->count == 1 || l->name[0] != '\0';
}

const char *ops_label(const ptf_count *layer)
{
    return layer->name[0] != '\0' ? layer->name : layer->op;
}

int64_t ops_gradient_macs(const ptf_count *count)
{
    return count->input_gradient.macs + count->parameter_gradient.macs;
}

double ops_percent(int64_t part, int64_t whole)
{
    return whole > 0 ? 100.0 * (double)part / (double)whole : 0.0;
}

/* The library saw that all sums fit. */
static void sum_classes(ops_net *net)
{
    for (size_t i = 0; i < net->count; i++) {
        const ptf_count *l = &net->layers[i];
        ptf_count *sum = &net->classes[class_of(l->kind)];
        sum->parameters += l->parameters;
        sum->conventional += l->conventional;
        sum->input_gradient.macs += l->input_gradient.macs;
        sum->parameter_gradient.macs += l->parameter_gradient.macs;
        if (l->input_bytes + l->output_bytes > net->most_bytes)
            net->most_bytes = l->input_bytes + l->output_bytes;
    }
}

static ptf_status count_net(const ops_report *report, ops_net *net,
                            ptf_error *err)
{
    const ptf_count_options how = {.batch = report->batch,
                                   .convention = report->convention};
    if (!net->net.has_input)
        return tool_error(err, PTF_ARGUMENT,
                          "%s: the architecture does not say its input; give "
                          "--input CxHxW",
                          net->source);
    net->count = ptf_net_layer_count(net->net.net);
    net->layers = calloc(net->count, sizeof(*net->layers));
    if (net->layers == NULL)
        return tool_error(err, PTF_MEMORY, "out of memory");
    ptf_status status = ptf_net_count(net->net.net, net->net.inputs, &how,
                                      net->layers, &net->total, err);
    if (status == PTF_OK)
        sum_classes(net);
    return status;
}

static ptf_status add_net(ops_report *report, const tool_source *source,
                          ptf_error *err)
{
    ops_net *net = &report->nets[report->net_count++];
    net->source = source->path;
    ptf_status status = tool_net_find(source, &net->net, err);
    return status == PTF_OK ? count_net(report, net, err) : status;
}

/* ------------------------------------------------------------------ command */

static void print(const options *o, const ops_report *report)
{
    if (o->json)
        ops_print_json(report);
    else if (o->csv)
        ops_print_csv(report);
    else if (o->md)
        ops_print_md(report);
    else if (report->net_count > 1)
        ops_print_comparison(report);
    else
        ops_print_text(report);
}

static int run(const options *o, const ptf_convention *convention)
{
    static ptf_error err;
    ops_report report = {
        .convention = convention, .batch = o->batch, .backward = o->backward};
    ptf_status status = add_net(&report, &o->source, &err);
    if (status == PTF_OK && o->compare != NULL) {
        tool_source other = {.path = o->compare,
                             .model = o->model_b,
                             .input = o->source.input,
                             .in_order = o->source.in_order};
        status = add_net(&report, &other, &err);
    }
    if (status == PTF_OK)
        print(o, &report);
    for (int i = 0; i < report.net_count; i++) {
        free(report.nets[i].layers);
        tool_net_close(&report.nets[i].net);
    }
    return status == PTF_OK ? tool_finish(EXIT_EQUIVALENT) : tool_fail(&err);
}

static int refuse_convention(const char *name)
{
    char text[128];
    tool_suggestion s = {.word = name, .prefix = ""};
    const ptf_convention *c;
    for (size_t i = 0; (c = ptf_convention_at(i)) != NULL; i++)
        tool_suggest(&s, c->name);
    return tool_usage_error("--convention: there is no \"%s\"%s", name,
                            tool_suggestion_text(&s, text));
}

int tool_ops(int argc, char **argv)
{
    options o = {.convention = "macs", .batch = 1};
    const tool_option table[] = {
        {"arch", 0, OPTION_TEXT, &o.source.arch, 0, 0},
        {"backward", 0, OPTION_FLAG, &o.backward, 0, 0},
        {"batch", 0, OPTION_COUNT, &o.batch, 1, INT64_MAX},
        {"compare", 0, OPTION_TEXT, &o.compare, 0, 0},
        {"convention", 0, OPTION_TEXT, &o.convention, 0, 0},
        {"csv", 0, OPTION_FLAG, &o.csv, 0, 0},
        {"in-order", 0, OPTION_FLAG, &o.source.in_order, 0, 0},
        {"input", 0, OPTION_TEXT, &o.source.input, 0, 0},
        {"json", 0, OPTION_FLAG, &o.json, 0, 0},
        {"key", 0, OPTION_TEXT, &o.source.key, 0, 0},
        {"md", 0, OPTION_FLAG, &o.md, 0, 0},
        {"model", 0, OPTION_TEXT, &o.source.model, 0, 0},
        {"model-b", 0, OPTION_TEXT, &o.model_b, 0, 0},
        {0},
    };
    char **operands;
    int code = tool_parse(argc, argv, help, table, 1, &operands);
    if (code != TOOL_GO_ON)
        return code;
    if (o.json + o.csv + o.md > 1)
        return tool_usage_error("--json, --csv, --md: expected one of them");
    const ptf_convention *convention = ptf_convention_find(o.convention);
    if (convention == NULL)
        return refuse_convention(o.convention);
    o.source.path = operands[0];
    return run(&o, convention);
}
