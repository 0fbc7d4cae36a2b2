/*
 * ptfold info: what is in a checkpoint, stage by stage.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/tool.h"

static const char help[] =
    "usage: ptfold info [options] CHECKPOINT\n"
    "\n"
    "Shows what is in a checkpoint.  Nothing in the file is executed.\n"
    "\n"
    "  --stage archive   kind, root and entries of the file\n"
    "  --stage values    the unpickled values\n"
    "  --stage tensors   one line per tensor (default)\n"
    "  --stage net       the network as a graph\n"
    "  --stage text      the network as print(model) prints it\n"
    "  --arch FILE|NAME  for the last two: the text of print(model), or a\n"
    "                    built-in network; default: the built-in that fits\n"
    "  --key PATH        the state dict inside the file (model_state_dict)\n"
    "  --verify          read all tensor data and compare the checksums\n"
    "  --json            tensors, file digest and metadata as JSON\n"
    "  --help, --version\n"
    "\n"
    "Example: ptfold info --stage archive net1.pt\n";

typedef struct options {
    tool_source source;
    const char *stage;
    bool verify, json;
} options;

static ptf_status print_net(const options *o, ptf_error *err)
{
    tool_net net;
    ptf_status status = tool_net_open(&o->source, &net, err);
    if (status != PTF_OK)
        return status;
    if (strcmp(o->stage, "net") == 0)
        ptf_net_print(net.net, stdout);
    else
        ptf_net_print_text(net.net, stdout);
    tool_net_close(&net);
    return PTF_OK;
}

static void json_tensor(tool_json *j, const ptf_tensor *t)
{
    json_open(j, NULL, '{');
    json_string(j, "name", t->name);
    json_string(j, "dtype", ptf_dtype_name(t->dtype));
    json_open(j, "shape", '[');
    for (int i = 0; i < t->rank; i++)
        json_int(j, NULL, t->shape[i]);
    json_close(j, ']');
    json_open(j, "stride", '[');
    for (int i = 0; i < t->rank; i++)
        json_int(j, NULL, t->stride[i]);
    json_close(j, ']');
    json_close(j, '}');
}

static ptf_status print_json(const options *o, const ptf_checkpoint *ckpt,
                             ptf_error *err)
{
    char sha256[65];
    ptf_status status = ptf_checkpoint_sha256(ckpt, sha256, err);
    if (status != PTF_OK)
        return status;
    tool_json j = {.out = stdout};
    json_open(&j, NULL, '{');
    json_string(&j, "file", o->source.path);
    json_string(&j, "sha256", sha256);
    json_open(&j, "tensors", '[');
    for (size_t i = 0; i < ptf_checkpoint_tensor_count(ckpt); i++)
        json_tensor(&j, ptf_checkpoint_tensor(ckpt, i));
    json_close(&j, ']');
    json_close(&j, '}');
    return PTF_OK;
}

static ptf_status print_checkpoint(const options *o, ptf_stage stage,
                                   ptf_error *err)
{
    ptf_checkpoint *ckpt;
    ptf_open_options open = {.key = o->source.key};
    ptf_status status = ptf_checkpoint_open(o->source.path, &open, &ckpt, err);
    if (status == PTF_OK && o->verify)
        status = ptf_checkpoint_verify(ckpt, err);
    if (status == PTF_OK && o->json)
        status = print_json(o, ckpt, err);
    else if (status == PTF_OK)
        ptf_checkpoint_print(ckpt, stage, stdout);
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

static ptf_status print_stage(const options *o, ptf_error *err)
{
    for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++) {
        if (strcmp(o->stage, stages[i].name) == 0)
            return print_checkpoint(o, stages[i].stage, err);
    }
    if (strcmp(o->stage, "net") == 0 || strcmp(o->stage, "text") == 0)
        return print_net(o, err);
    return tool_error(err, PTF_ARGUMENT,
                      "--stage: expected archive, values, tensors, net or "
                      "text, found \"%s\"",
                      o->stage);
}

int tool_info(int argc, char **argv)
{
    options o = {.stage = "tensors"};
    const tool_option table[] = {
        {"arch", 0, OPTION_TEXT, &o.source.arch, 0, 0},
        {"json", 0, OPTION_FLAG, &o.json, 0, 0},
        {"key", 0, OPTION_TEXT, &o.source.key, 0, 0},
        {"stage", 0, OPTION_TEXT, &o.stage, 0, 0},
        {"verify", 0, OPTION_FLAG, &o.verify, 0, 0},
        {0},
    };
    char **operands;
    int code = tool_parse(argc, argv, help, table, 1, &operands);
    if (code != TOOL_GO_ON)
        return code;
    o.source.path = operands[0];
    static ptf_error err;
    ptf_status status = print_stage(&o, &err);
    return status == PTF_OK ? tool_finish(EXIT_EQUIVALENT) : tool_fail(&err);
}
