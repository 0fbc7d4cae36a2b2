/*
 * ptfold convert: a checkpoint's tensors, or an exported program, into a file
 * of another format.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/info/describe.h"
#include "tool/info/rewrites.h"

static const char help[] =
    "usage: ptfold convert [options] IN OUT\n"
    "\n"
    "Writes the tensors of a checkpoint to OUT, bit for bit and under the same\n"
    "names.  OUT ends in .pt or .pth (for PyTorch), or in .safetensors or .bin\n"
    "(safetensors).  IN is anything that ptfold reads, also an index of several\n"
    "files.  OUT appears complete or not at all.\n"
    "\n"
    "Checksums in IN are verified.  Tensors that share memory still do in .pt;\n"
    "safetensors gets copies and a note.  Other values than tensors are left\n"
    "out.\n"
    "\n"
    "With OUT.pt2 the network in IN becomes a program for torch.export.load(),\n"
    "with the names of its state dict: for any batch, and for inputs of the size\n"
    "that IN or --input states.  It is read back before it appears, and must be\n"
    "the same network.\n"
    "\n"
    "An exported program (.pt2) becomes one as PyTorch 2.13 writes it, whatever\n"
    "release wrote IN, when OUT ends in .pt2.  Graph, names, stack traces,\n"
    "signature, example and extra files stay as they are.  As safetensors it\n"
    "carries the text of its graph, and as .pt the network's parameters.\n"
    "\n"
    "With --rewrites the network is rewritten on the way, and OUT is written only\n"
    "if the verdict that they require is reached; ptfold info --rewrites IN\n"
    "lists them.\n"
    "\n"
    "  --rewrites A,B,C  apply these, one after the other\n"
    "  --any-size        the same as any_size at their end: images of any size,\n"
    "                    where no layer depends on it (not for OUT.pt2)\n"
    "  --arch FILE|NAME  for OUT.pt2: the text of print(model) or of a graph, or\n"
    "                    a built-in network; default: what IN says\n"
    "  --in-order        forward() runs each module of the text once, as printed\n"
    "  --input CxHxW     shape of one input, where no text says it\n"
    "  --key PATH        the state dict inside the file (model_state_dict);\n"
    "                    '' for all tensors under their full names\n"
    "  --model NAME      which of several programs in IN\n"
    "  --strip-prefix    leave out 'module.' where every name has it\n"
    "  --force           replace OUT if it exists\n"
    "  --json            what was done, as JSON\n"
    "  -q, --quiet       no progress\n"
    "  --help, --version\n"
    "\n"
    "Example: ptfold convert net1.pt net1.safetensors\n";

typedef struct options {
    const char *in, *out, *key, *model, *arch, *input, *rewrites;
    bool in_order, strip, force, json, quiet, any_size;
} options;

typedef struct figures {
    size_t tensors, shared;
    int64_t bytes;
} figures;

static ptf_status count(const ptf_checkpoint *ckpt, figures *out,
                        ptf_error *err)
{
    tool_relation *relations = tool_relations(ckpt);
    if (relations == NULL)
        return tool_error(err, PTF_MEMORY, "out of memory");
    *out = (figures){ptf_checkpoint_tensor_count(ckpt), 0, 0};
    for (size_t i = 0; i < out->tensors; i++) {
        ptf_location place;
        ptf_tensor_locate(ptf_checkpoint_tensor(ckpt, i), &place);
        out->bytes += (int64_t)place.size;
        out->shared += relations[i].with != NULL;
    }
    free(relations);
    return PTF_OK;
}

static void print_text(const options *o, const ptf_checkpoint *ckpt,
                       const figures *f)
{
    char text[32];
    const char *name;
    tool_print_file(o->out);
    printf("written, %zu tensors, %s bytes\n", f->tensors,
           tool_count_text(f->bytes, text));
    if (f->shared > 0)
        printf("%zu of them share memory with others\n", f->shared);
    for (size_t i = 0; (name = ptf_checkpoint_opaque(ckpt, i)) != NULL; i++) {
        fputs("left out: objects of ", stdout);
        ptf_print_escaped(stdout, name, strlen(name));
        putchar('\n');
    }
}

static void print_json(const options *o, const ptf_checkpoint *ckpt,
                       const figures *f)
{
    const char *name;
    tool_json j = {.out = stdout};
    json_open(&j, NULL, '{');
    json_text(&j, "input", o->in);
    json_text(&j, "output", o->out);
    json_int(&j, "tensors", (int64_t)f->tensors);
    json_int(&j, "bytes", f->bytes);
    json_int(&j, "sharing_memory", (int64_t)f->shared);
    json_open(&j, "left_out", '[');
    for (size_t i = 0; (name = ptf_checkpoint_opaque(ckpt, i)) != NULL; i++)
        json_text(&j, NULL, name);
    json_close(&j, ']');
    json_close(&j, '}');
}

static bool makes_program(const options *o)
{
    const char *dot = strrchr(o->out, '.');
    return dot != NULL && strcmp(dot, ".pt2") == 0;
}

/* As a program, or what is left of one as a net. */
static ptf_status save_program(const options *o, const ptf_program *program,
                               ptf_error *err)
{
    ptf_net *net = NULL;
    if (makes_program(o))
        return ptf_program_save(program, o->out, err);
    ptf_status status = ptf_net_from_program(program, &net, err);
    if (status == PTF_OK)
        status = ptf_net_save(net, o->out, NULL, NULL, err);
    ptf_net_free(net);
    return status;
}

static void print_written(const options *o)
{
    if (!o->json) {
        tool_print_file(o->out);
        puts("written");
        return;
    }
    tool_json j = {.out = stdout};
    json_open(&j, NULL, '{');
    json_text(&j, "input", o->in);
    json_text(&j, "output", o->out);
    json_close(&j, '}');
}

static ptf_status convert_program(const options *o, ptf_error *err)
{
    const ptf_program_options open = {sizeof(open), o->model};
    ptf_program *program = NULL;
    if (o->key != NULL || o->strip)
        return tool_error(err, PTF_ARGUMENT,
                          "%s: --key and --strip-prefix are for state dicts; "
                          "an exported program has its own graph",
                          o->in);
    ptf_status status = ptf_program_open(o->in, &open, &program, err);
    if (status == PTF_OK)
        status = ptf_program_verify(program, err);
    if (status == PTF_OK)
        status = save_program(o, program, err);
    ptf_program_close(program);
    if (status == PTF_OK)
        print_written(o);
    return status;
}

/* The network of a checkpoint as a program. */
static ptf_status convert_net(const options *o, ptf_error *err)
{
    const tool_source source = {.path = o->in,
                                .arch = o->arch,
                                .key = o->key,
                                .input = o->input,
                                .in_order = o->in_order};
    tool_net net;
    ptf_status status = tool_net_open(&source, &net, err);
    if (status != PTF_OK)
        return status;
    status = ptf_net_save(net.net, o->out, net.ckpt, NULL, err);
    tool_net_close(&net);
    if (status == PTF_OK)
        print_written(o);
    return status;
}

static ptf_status convert_checkpoint(const options *o, ptf_error *err)
{
    ptf_checkpoint *ckpt = NULL;
    figures f = {0};
    ptf_open_options open = {.key = o->key, .keep_prefix = !o->strip};
    ptf_status status = tool_checkpoint_open(o->in, &open, &ckpt, err);
    if (status == PTF_UNSUPPORTED && ptf_program_is(o->in))
        return convert_program(o, err);
    if (status == PTF_OK && o->model != NULL)
        status = tool_error(err, PTF_ARGUMENT,
                            "--model: expected an exported program (.pt2), got "
                            "%s",
                            o->in);
    if (status == PTF_OK)
        status = count(ckpt, &f, err);
    if (status == PTF_OK)
        status = ptf_checkpoint_save(ckpt, o->out, err);
    if (status == PTF_OK && o->json)
        print_json(o, ckpt, &f);
    else if (status == PTF_OK)
        print_text(o, ckpt, &f);
    ptf_checkpoint_close(ckpt);
    return status;
}

/* The options that say which network a checkpoint is of. */
static ptf_status check_net_options(const options *o, bool is_net,
                                    ptf_error *err)
{
    const struct {
        const char *option;
        bool given;
    } useless[] = {
        {"--arch", o->arch != NULL},
        {"--in-order", o->in_order},
        {"--input", o->input != NULL},
    };
    for (size_t i = 0; i < sizeof(useless) / sizeof(useless[0]) && !is_net;
         i++) {
        if (useless[i].given)
            return tool_error(err, PTF_ARGUMENT,
                              "%s: %s is for a checkpoint that becomes a .pt2",
                              o->in, useless[i].option);
    }
    return PTF_OK;
}

/* The network, rewritten. */
static ptf_status convert_rewritten(const options *o, bool *reached,
                                    ptf_error *err)
{
    const tool_source source = {.path = o->in,
                                .arch = o->arch,
                                .key = o->key,
                                .model = o->model,
                                .input = o->input,
                                .in_order = o->in_order};
    char names[512];
    int size = snprintf(names, sizeof(names), "%s%s%s",
                        o->rewrites != NULL ? o->rewrites : "",
                        o->rewrites != NULL && o->any_size ? "," : "",
                        o->any_size ? "any_size" : "");
    if (size >= (int)sizeof(names))
        return tool_error(err, PTF_ARGUMENT,
                          "--rewrites: expected fewer names");
    if (strstr(names, "any_size") != NULL && makes_program(o))
        return tool_error(err, PTF_ARGUMENT,
                          "%s: a .pt2 states one size of its inputs; write "
                          ".safetensors",
                          o->out);
    const tool_rewriting how = {&source, names, o->out, o->json};
    return tool_rewrite(&how, reached, err);
}

static ptf_status convert(const options *o, bool *reached, ptf_error *err)
{
    const char *const read[] = {o->in, o->arch}, *const written[] = {o->out};
    bool is_net =
        makes_program(o) && !ptf_program_is(o->in) && o->model == NULL;
    ptf_status status = tool_check_targets(TOOL_PATHS(read),
                                           TOOL_PATHS(written), o->force, err);
    *reached = true;
    if (status == PTF_OK && (o->rewrites != NULL || o->any_size))
        return convert_rewritten(o, reached, err);
    if (status == PTF_OK)
        status = check_net_options(o, is_net, err);
    if (status != PTF_OK)
        return status;
    return is_net ? convert_net(o, err) : convert_checkpoint(o, err);
}

int tool_convert(int argc, char **argv)
{
    options o = {0};
    const tool_option table[] = {
        {"any-size", 0, OPTION_FLAG, &o.any_size, 0, 0},
        {"arch", 0, OPTION_TEXT, &o.arch, 0, 0},
        {"force", 0, OPTION_FLAG, &o.force, 0, 0},
        {"in-order", 0, OPTION_FLAG, &o.in_order, 0, 0},
        {"input", 0, OPTION_TEXT, &o.input, 0, 0},
        {"json", 0, OPTION_FLAG, &o.json, 0, 0},
        {"key", 0, OPTION_TEXT, &o.key, 0, 0},
        {"model", 0, OPTION_TEXT, &o.model, 0, 0},
        {"quiet", 'q', OPTION_FLAG, &o.quiet, 0, 0},
        {"rewrites", 0, OPTION_TEXT, &o.rewrites, 0, 0},
        {"strip-prefix", 0, OPTION_FLAG, &o.strip, 0, 0},
        {0},
    };
    char **operands;
    int code = tool_parse(argc, argv, help, table, 2, &operands);
    if (code != TOOL_GO_ON)
        return code;
    if (o.quiet)
        tool_progress_quiet();
    o.in = operands[0];
    o.out = operands[1];
    static ptf_error err;
    bool reached = false;
    ptf_status status = convert(&o, &reached, &err);
    if (status != PTF_OK)
        return tool_fail(&err);
    return tool_finish(reached ? EXIT_EQUIVALENT : EXIT_NOT_EQUIVALENT);
}
