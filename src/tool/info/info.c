/*
 * ptfold info: what is in a checkpoint, described or stage by stage.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/info/describe.h"
#include "tool/info/rewrites.h"

static const char help[] =
    "usage: ptfold info [options] CHECKPOINT\n"
    "       ptfold info --graph|--dot|--mermaid [options] CHECKPOINT|TEXT|NAME\n"
    "       ptfold info --supported aten|ops\n"
    "\n"
    "Shows what is in a checkpoint, or in a program that torch.export.save()\n"
    "wrote (.pt2): its inputs, outputs, calls, and which batches and sizes it\n"
    "runs for.  Nothing in it is executed.\n"
    "\n"
    "  --tensors         also dtype, shape, strides, place of every tensor\n"
    "  --sha256          also the digest of every tensor's elements (C order,\n"
    "                    little-endian); implies --verify\n"
    "  --json            all of it as JSON\n"
    "  --key PATH        the state dict inside the file (model_state_dict);\n"
    "                    '' for all tensors under their full names\n"
    "  --keep-prefix     keep 'module.' where every name has it\n"
    "  --verify          read all tensor data and compare the checksums\n"
    "  --stage archive   instead: the entries of the file\n"
    "  --stage values    the unpickled values\n"
    "  --stage tensors   one line per tensor\n"
    "  --stage net       the network as a graph\n"
    "  --stage text      the network as print(model) prints it\n"
    "  --stage plan      how it runs: kernels, shapes, buffers, memory\n"
    "  --arch FILE|NAME  for the last three: the text of print(model), or a\n"
    "                    built-in network; default: the built-in that fits\n" TOOL_IN_ORDER_HELP
    "  --input CxHxW     for a plan; default: what the text says\n"
    "  --batch N         for a plan: inputs at a time (default 1)\n"
    "  --graph           the network, one line per value: a text that all of\n"
    "                    ptfold reads back; of a .pt2 its program\n"
    "  --dot, --mermaid  the network for Graphviz, for Mermaid\n"
    "  --model NAME      of a .pt2 with several programs: which one\n"
    "  --rewrites        what each rewrite would do to the network, what stays,\n"
    "                    and which verdict it requires\n"
    "  --supported       'aten': the operators that ptfold runs, an overload a\n"
    "                    line; 'ops': its ops, and what they are read from\n"
    "  -v, --verbose     list all tensors that do not fit, not only the first;\n"
    "                    with --graph show also arguments at their default\n"
    "  --help, --version\n"
    "\n"
    "Example: ptfold info --tensors --sha256 net1.pt\n";

typedef struct options {
    tool_source source;
    const char *stage; /* NULL: a description */
    int64_t batch;
    bool verify, json, keep_prefix, graph, dot, mermaid, supported, rewrites;
    tool_description what;
} options;

static ptf_status print_plan(const options *o, const tool_net *net,
                             ptf_error *err)
{
    ptf_plan *plan = NULL;
    ptf_status status = tool_need_input(net, &o->source, err);
    if (status == PTF_OK)
        status =
            ptf_plan_make(net->net, net->inputs, o->batch, NULL, &plan, err);
    if (status == PTF_OK)
        ptf_plan_print(plan, stdout);
    ptf_plan_free(plan);
    return status;
}

/* The text of print(model) is that of a chain of modules. */
static ptf_status print_text(const options *o, const tool_net *net,
                             ptf_error *err)
{
    if (!ptf_net_is_chain(net->net))
        return tool_error(err, PTF_UNSUPPORTED,
                          "%s: the network is no chain of modules, so "
                          "print(model) cannot show it; --graph does",
                          o->source.path);
    ptf_net_print_text(net->net, stdout);
    return PTF_OK;
}

static ptf_status print_net(const options *o, ptf_error *err)
{
    tool_net net;
    ptf_status status = tool_net_open(&o->source, &net, err);
    if (status != PTF_OK)
        return status;
    if (strcmp(o->stage, "plan") == 0)
        status = print_plan(o, &net, err);
    else if (strcmp(o->stage, "net") == 0)
        ptf_net_print(net.net, stdout);
    else
        status = print_text(o, &net, err);
    status = tool_net_unchanged(&net, status, err);
    tool_net_close(&net);
    return status;
}

/* Neither form of it needs the numbers. */
static ptf_status print_graph(const options *o, ptf_error *err)
{
    tool_net net;
    ptf_status status = tool_net_find(&o->source, &net, err);
    if (status != PTF_OK)
        return status;
    if (o->graph)
        status = ptf_net_print_graph(net.net, stdout, err);
    else
        status = ptf_net_draw(net.net,
                              o->dot ? PTF_DRAWING_DOT : PTF_DRAWING_MERMAID,
                              stdout, err);
    status = tool_net_unchanged(&net, status, err);
    tool_net_close(&net);
    return status;
}

/* Of a file in which several things may be meant, all is shown. */
static ptf_status open_any(const options *o, ptf_checkpoint **out,
                           ptf_error *err)
{
    ptf_open_options open = {.key = o->source.key,
                             .keep_prefix = o->keep_prefix};
    const ptf_open_options all = {.key = "", .keep_prefix = true};
    ptf_status status = tool_checkpoint_open(o->source.path, &open, out, err);
    if (status != PTF_ARGUMENT || open.key != NULL)
        return status;
    tool_note("%s", err->message);
    return tool_checkpoint_open(o->source.path, &all, out, err);
}

/* 'stage' is NULL for a description. */
static ptf_status print_checkpoint(const options *o, const ptf_stage *stage,
                                   ptf_error *err)
{
    ptf_checkpoint *ckpt;
    ptf_status status = open_any(o, &ckpt, err);
    if (status == PTF_OK && (o->verify || o->what.sha256))
        status = ptf_checkpoint_verify(ckpt, err);
    if (status == PTF_OK && stage != NULL)
        ptf_checkpoint_print(ckpt, *stage, stdout);
    else if (status == PTF_OK && o->json)
        status = tool_describe_json(ckpt, o->source.path, &o->what, err);
    else if (status == PTF_OK)
        status = tool_describe(ckpt, o->source.path, &o->what, err);
    status = tool_net_unchanged(&(tool_net){.ckpt = ckpt}, status, err);
    ptf_checkpoint_close(ckpt);
    return status;
}

static const struct {
    const char *name;
    ptf_stage stage;
} stages[] = {
    {"archive", PTF_STAGE_ARCHIVE},
    {"values", PTF_STAGE_VALUES},
    {"tensors", PTF_STAGE_TENSORS},
};

static ptf_status print_program(const options *o, ptf_error *err)
{
    ptf_program *program;
    if (o->dot || o->mermaid)
        return tool_error(err, PTF_UNSUPPORTED,
                          "%s: expected a network for --dot and --mermaid, got "
                          "a program; --graph shows it as text",
                          o->source.path);
    const ptf_program_options open = {sizeof(open), o->source.model};
    ptf_status status = ptf_program_open(o->source.path, &open, &program, err);
    if (status == PTF_OK && o->verify)
        status = ptf_program_verify(program, err);
    if (status == PTF_OK && o->graph)
        ptf_program_print_graph(program, tool_is_verbose(), stdout);
    else if (status == PTF_OK)
        ptf_program_print(program, stdout);
    if (status == PTF_OK && !o->graph)
        ptf_program_print_sizes(program, stdout);
    if (status == PTF_OK)
        status = ptf_program_unchanged(program, err);
    ptf_program_close(program);
    return status;
}

/* What only checkpoints, or only programs, can be asked. */
static ptf_status check_options(const options *o, bool program, ptf_error *err)
{
    bool others = o->stage != NULL || o->json || o->what.tensors ||
                  o->keep_prefix || o->source.key != NULL ||
                  o->source.arch != NULL || o->source.input != NULL ||
                  o->source.in_order || o->batch != 1;
    if (program && others)
        return tool_error(err, PTF_ARGUMENT,
                          "%s: expected --graph, --dot, --mermaid, --model or "
                          "--verify for a "
                          "torch.export archive, got options for checkpoints",
                          o->source.path);
    if (!program && o->source.model != NULL)
        return tool_error(err, PTF_ARGUMENT,
                          "%s: expected a torch.export archive (.pt2) for "
                          "--model",
                          o->source.path);
    return PTF_OK;
}

/* A checkpoint, or else a program. */
static ptf_status print_file(const options *o, ptf_error *err)
{
    ptf_status status = print_checkpoint(o, NULL, err);
    if (status != PTF_UNSUPPORTED || !ptf_program_is(o->source.path))
        return status;
    status = check_options(o, true, err);
    return status == PTF_OK ? print_program(o, err) : status;
}

static ptf_status print_stage(const options *o, ptf_error *err)
{
    int forms = o->graph + o->dot + o->mermaid + (o->stage != NULL);
    if (forms > 1)
        return tool_error(err, PTF_ARGUMENT,
                          "expected one of --graph, --dot, --mermaid and "
                          "--stage, got %d",
                          forms);
    bool drawn = o->graph || o->dot || o->mermaid;
    if (o->stage == NULL && !drawn && o->source.model == NULL)
        return print_file(o, err);
    bool program = ptf_program_is(o->source.path);
    ptf_status status = check_options(o, program, err);
    if (status != PTF_OK)
        return status;
    if (program && !o->dot && !o->mermaid)
        return print_program(o, err);
    if (drawn)
        return print_graph(o, err);
    for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++) {
        if (strcmp(o->stage, stages[i].name) == 0)
            return print_checkpoint(o, &stages[i].stage, err);
    }
    if (strcmp(o->stage, "net") == 0 || strcmp(o->stage, "text") == 0 ||
        strcmp(o->stage, "plan") == 0)
        return print_net(o, err);
    return tool_error(err, PTF_ARGUMENT,
                      "--stage: expected archive, values, tensors, net, "
                      "text or plan, got \"%s\"",
                      o->stage);
}

static ptf_status print_supported(const char *vocabulary, ptf_error *err)
{
    const char *name;
    if (strcmp(vocabulary, "ops") == 0) {
        ptf_ops_print(stdout);
        return PTF_OK;
    }
    if (strcmp(vocabulary, "aten") != 0)
        return tool_error(err, PTF_ARGUMENT,
                          "--supported: expected aten or ops, got \"%s\"",
                          vocabulary);
    for (size_t i = 0; (name = ptf_operator_name(i)) != NULL; i++) {
        if (ptf_operator_is_supported(name))
            printf("%s\n", name);
    }
    return PTF_OK;
}

static ptf_status print_rewrites(const options *o, ptf_error *err)
{
    tool_net net = {0};
    ptf_status status = tool_net_open(&o->source, &net, err);
    if (status == PTF_OK)
        status = tool_print_rewrites(&net, o->json, err);
    tool_net_close(&net);
    return status;
}

int tool_info(int argc, char **argv)
{
    options o = {.batch = 1};
    const tool_option table[] = {
        {"arch", 0, OPTION_TEXT, &o.source.arch, 0, 0},
        {"batch", 0, OPTION_COUNT, &o.batch, 1, 1 << 20},
        {"dot", 0, OPTION_FLAG, &o.dot, 0, 0},
        {"graph", 0, OPTION_FLAG, &o.graph, 0, 0},
        {"in-order", 0, OPTION_FLAG, &o.source.in_order, 0, 0},
        {"input", 0, OPTION_TEXT, &o.source.input, 0, 0},
        {"json", 0, OPTION_FLAG, &o.json, 0, 0},
        {"keep-prefix", 0, OPTION_FLAG, &o.keep_prefix, 0, 0},
        {"key", 0, OPTION_TEXT, &o.source.key, 0, 0},
        {"mermaid", 0, OPTION_FLAG, &o.mermaid, 0, 0},
        {"model", 0, OPTION_TEXT, &o.source.model, 0, 0},
        {"rewrites", 0, OPTION_FLAG, &o.rewrites, 0, 0},
        {"sha256", 0, OPTION_FLAG, &o.what.sha256, 0, 0},
        {"stage", 0, OPTION_TEXT, &o.stage, 0, 0},
        {"supported", 0, OPTION_FLAG, &o.supported, 0, 0},
        {"tensors", 0, OPTION_FLAG, &o.what.tensors, 0, 0},
        {"verify", 0, OPTION_FLAG, &o.verify, 0, 0},
        {0},
    };
    char **operands;
    int code = tool_parse(argc, argv, help, table, 1, &operands);
    if (code != TOOL_GO_ON)
        return code;
    o.source.path = operands[0];
    o.what.tensors = o.what.tensors || o.what.sha256;
    static ptf_error err;
    ptf_status status = o.supported  ? print_supported(o.source.path, &err)
                        : o.rewrites ? print_rewrites(&o, &err)
                                     : print_stage(&o, &err);
    return status == PTF_OK ? tool_finish(EXIT_EQUIVALENT) : tool_fail(&err);
}
