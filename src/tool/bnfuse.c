/*
 * bnfuse: fold the batch norms of a checkpoint into the layers around them,
 * verify, write.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/common/expect.h"

static const char help[] =
    "usage: bnfuse [options] CHECKPOINT OUTPUT\n"
    "\n"
    "Folds every batch norm of the network in CHECKPOINT into the layer before\n"
    "it, or else into the layers that read it, runs the original and the folded\n"
    "network side by side, and writes OUTPUT only if they agree.  One that cannot\n"
    "be folded (between a pool and a ReLU, before a convolution that pads, ...)\n"
    "stays, and is listed with the reason.\n"
    "\n"
    "OUTPUT's ending decides the format: .pt or .pth for PyTorch, .bin or\n"
    ".safetensors for a safetensors file that carries its architecture, .pt2 for\n"
    "torch.export.load().\n"
    "\n"
    "  --fold weights    change weights and biases, in double, rounded once to\n"
    "                    f32; the verdict must be CERTIFIED (default)\n"
    "  --fold epilogue   keep a scale and a shift per channel after the sum;\n"
    "                    outputs must be equal bit for bit (BITWISE)\n"
    "  --merge-branches  first make one convolution of several that read the same\n"
    "                    value and are added (RepVGG, MobileOne, ...), with the\n"
    "                    value itself and averages of it; the verdict must be\n"
    "                    CERTIFIED\n"
    "  --arch FILE|NAME  the text of print(model), or a built-in network;\n"
    "                    default: the built-in whose keys and shapes fit\n" TOOL_IN_ORDER_HELP
    "  --key PATH        the state dict inside the file (model_state_dict)\n" TOOL_MODEL_HELP
    "  --input CxHxW     shape of one input; default: what the text says\n"
    "  --check N         compare on N random inputs (default: the sample inputs in\n"
    "                    a .pt2, or else 8)\n"
    "  --seed S          where the random inputs start (default 1)\n"
    "  --data FILE       compare on images: a file (PNG, JPEG, PPM, .npy, .npz,\n"
    "                    CIFAR-10) or a folder of them; several inputs are a .npz\n"
    "                    with their names\n"
    "  --expect FILE     outputs that PyTorch gave for --data (.npy, or .npz by\n"
    "                    their names): OUTPUT is written only if the original\n"
    "                    network gives them, up to 16 times its own rounding\n" TOOL_BOUND_HELP
    "  --no-check        write without comparing\n"
    "  --force           replace OUTPUT if it exists\n"
    "  --threads N       default: the CPUs that this process may use\n"
    "  --json            the report as JSON\n"
    "  -q, --quiet       no progress\n"
    "  -v, --verbose     list all tensors that do not fit, not only the first\n"
    "  --help, --version\n"
    "\n"
    "Exit status: 0 equivalent, 1 not equivalent, 2 usage, 3 unsupported,\n"
    "4 damaged input, 5 I/O or memory.\n"
    "\n"
    "Example: bnfuse smallNetSaved out.bin\n";

typedef struct options {
    tool_source source;
    tool_choice inputs;
    const char *output, *expect;
    const ptf_rewrite *rewrite;
    int64_t threads, bits;
    double bound;
    bool merge, no_check, force, quiet, json;
} options;

static const ptf_rewrite *find_fold(const char *text)
{
    if (strcmp(text, "weights") == 0)
        return ptf_rewrite_find("fold_batchnorm");
    if (strcmp(text, "epilogue") == 0)
        return ptf_rewrite_find("batchnorm_to_epilogue");
    return NULL;
}

/* Returns TOOL_GO_ON or the code to exit with. */
static int parse(int argc, char **argv, options *o)
{
    *o = (options){.inputs = {.usual = 8, .seed = -1}, .bound = TOOL_BOUND};
    const char *fold = "weights";
    const tool_option table[] = {
        {"arch", 0, OPTION_TEXT, &o->source.arch, 0, 0},
        {"bits", 0, OPTION_AUTO, &o->bits, 1, PTF_EXACT_BITS_MOST},
        {"bound", 0, OPTION_REAL, &o->bound, 0, 1},
        {"check", 0, OPTION_COUNT, &o->inputs.random, 1, 1000000},
        {"data", 0, OPTION_TEXT, &o->inputs.data, 0, 0},
        {"expect", 0, OPTION_TEXT, &o->expect, 0, 0},
        {"fold", 0, OPTION_TEXT, &fold, 0, 0},
        {"force", 0, OPTION_FLAG, &o->force, 0, 0},
        {"in-order", 0, OPTION_FLAG, &o->source.in_order, 0, 0},
        {"input", 0, OPTION_TEXT, &o->source.input, 0, 0},
        {"json", 0, OPTION_FLAG, &o->json, 0, 0},
        {"key", 0, OPTION_TEXT, &o->source.key, 0, 0},
        {"merge-branches", 0, OPTION_FLAG, &o->merge, 0, 0},
        {"model", 0, OPTION_TEXT, &o->source.model, 0, 0},
        {"no-check", 0, OPTION_FLAG, &o->no_check, 0, 0},
        {"quiet", 'q', OPTION_FLAG, &o->quiet, 0, 0},
        {"seed", 0, OPTION_COUNT, &o->inputs.seed, 0, INT64_MAX},
        {"threads", 0, OPTION_COUNT, &o->threads, 1, 1024},
        {0},
    };
    char **operands;
    int code = tool_parse(argc, argv, help, table, 2, &operands);
    if (code != TOOL_GO_ON)
        return code;
    if (o->quiet)
        tool_progress_quiet();
    o->inputs.recorded = o->expect != NULL;
    o->source.path = operands[0];
    o->source.unverified = o->no_check;
    o->output = operands[1];
    o->rewrite = find_fold(fold);
    if (o->rewrite == NULL)
        return tool_usage_error("--fold: expected weights or epilogue, got "
                                "\"%s\"",
                                fold);
    return tool_check_bound(&o->bound);
}

/* ---------------------------------------------------------------- checking */

/* Makes a check of the folded net and runs it. */
static ptf_status compare(const options *o, const tool_net *net,
                          const ptf_net *folded, const tool_inputs *inputs,
                          ptf_check **check, ptf_error *err)
{
    ptf_check_options how = {.threads = (int)o->threads,
                             .atol = TOOL_ATOL,
                             .rtol = TOOL_RTOL,
                             .max_ulps = TOOL_MAX_ULPS,
                             .bound = o->bound,
                             .bits = (int)o->bits};
    ptf_status status =
        tool_check_make(net->net, folded, inputs, &how, check, err);
    status = tool_inputs_explain(o->inputs.data, inputs, net, status, err);
    return status == PTF_OK ? tool_check(*check, inputs, err) : status;
}

/* Merging rounds, whatever folding does. */
static bool is_exact(const options *o)
{
    return !o->merge && o->rewrite->promise == PTF_PROMISE_EXACT;
}

/* What the rewrites owe. */
static ptf_level owed(const options *o)
{
    return is_exact(o) ? PTF_LEVEL_BITWISE : PTF_LEVEL_CERTIFIED;
}

/*
 * Merges, where that is asked for, and folds; one of them may have nothing to
 * do.
 */
static ptf_status rewrite(const options *o, const ptf_net *net, ptf_net **out,
                          ptf_error *err)
{
    ptf_net *merged = NULL;
    ptf_status status = PTF_OK;
    if (o->merge)
        status = ptf_net_rewrite(net, ptf_rewrite_find("merge_branches"), NULL,
                                 &merged, err);
    if (status != PTF_OK && status != PTF_UNSUPPORTED)
        return status;
    status = ptf_net_rewrite(merged != NULL ? merged : net, o->rewrite, NULL,
                             out, err);
    if (status == PTF_UNSUPPORTED && merged != NULL) {
        *out = merged;
        return PTF_OK;
    }
    ptf_net_free(merged);
    return status;
}

/* ------------------------------------------------------------------ report */

typedef struct report {
    const ptf_net *before, *after;
    ptf_check *check; /* NULL: none was made */
    tool_inputs inputs;
    tool_expect expect; /* with --expect */
    char verdict[64];
    bool reached; /* what the rewrite owes, or nothing was asked */
} report;

/* The one result that texts, file and exit status go by. */
static void find_result(const options *o, report *r)
{
    r->reached = o->expect == NULL || tool_expect_agrees(&r->expect);
    if (r->check == NULL)
        return;
    ptf_level level = ptf_check_level(r->check);
    ptf_certificate certificate;
    ptf_check_certificate(r->check, &certificate);
    tool_level_text(level, certificate.ulps, r->verdict);
    r->reached = owed(o) == PTF_LEVEL_BITWISE ? level == PTF_LEVEL_BITWISE
                                              : certificate.holds;
}

static void print_check(const options *o, const report *r)
{
    char n[32];
    const ptf_verdict *verdict = ptf_check_verdict(r->check);
    printf("\n%s%s on %s %s\n", o->merge ? "merge_branches, " : "",
           o->rewrite->name, tool_count_text(verdict->samples, n),
           tool_inputs_kind(&r->inputs));
    tool_print_outputs(r->before, ptf_check_outputs(r->check), stdout);
    tool_print_verdict(verdict, stdout);
    tool_print_certificate(r->check, stdout);
    printf("verdict: %s", r->verdict);
    tool_print_if(r->before, NULL, stdout);
    printf("%s(required: %s, since the rewrite %s)\n",
           ptf_net_assumption(r->before) != NULL ? "\n  " : " ",
           ptf_level_name(owed(o)),
           is_exact(o) ? "is exact" : "rounds weights");
}

static void print_rounded(const ptf_net *net)
{
    const char *first;
    size_t count = tool_net_rounded(net, &first);
    if (count > 0)
        tool_print_row(stdout, "rounded to float32",
                       "%zu tensor%s of float64, the first: %s", count,
                       count == 1 ? "" : "s", first);
}

static void print_text(const options *o, const report *r)
{
    char n[32];
    tool_print_file(o->source.path);
    printf("%s, %s tensors\n\n", ptf_net_name(r->before),
           tool_count_text((int64_t)ptf_net_tensor_count(r->before), n));
    print_rounded(r->before);
    tool_print_layers(r->before, r->after, stdout);
    tool_print_remarks(r->after, stdout);
    if (o->expect != NULL) {
        printf("\noriginal against ");
        tool_expect_print(&r->expect, stdout);
    }
    if (r->check != NULL)
        print_check(o, r);
    else if (o->no_check)
        printf("\nnot checked (--no-check)\n");
    if (r->check == NULL)
        tool_print_assumption(r->before, NULL, stdout);
    tool_print_file(o->output);
    puts(r->reached ? "written" : "not written");
}

static void print_json(const options *o, const report *r)
{
    tool_json j = {.out = stdout};
    json_open(&j, NULL, '{');
    json_text(&j, "program", "bnfuse");
    json_text(&j, "version", ptf_version());
    json_text(&j, "checkpoint", o->source.path);
    json_text(&j, "key", ptf_net_key(r->before, NULL, NULL));
    json_text(&j, "network", ptf_net_name(r->before));
    tool_json_assumption(&j, r->before, NULL);
    tool_json_rounded(&j, "rounded_to_float32", r->before);
    json_text(&j, "rewrite", o->rewrite->name);
    json_bool(&j, "merge_branches", o->merge);
    json_text(&j, "output", r->reached ? o->output : NULL);
    json_bool(&j, "checked", r->check != NULL);
    json_bool(&j, "equivalent", r->check != NULL && r->reached);
    json_text(&j, "inputs", tool_inputs_source(&r->inputs, o->inputs.data));
    json_int(&j, "seed", (int64_t)r->inputs.seed);
    json_text(&j, "isa", ptf_isa_name());
    tool_json_layers(&j, "before", r->before);
    tool_json_layers(&j, "after", r->after);
    tool_json_remarks(&j, r->after);
    if (o->expect != NULL)
        tool_expect_json(&j, "recorded", &r->expect);
    if (r->check != NULL) {
        tool_json_verdict(&j, "verdict", ptf_check_verdict(r->check),
                          r->verdict);
        tool_json_outputs(&j, "outputs", r->before,
                          ptf_check_outputs(r->check));
        tool_json_certificate(&j, "certificate", r->check);
    }
    json_close(&j, '}');
}

/*
 * The original against what was recorded, then, if it agrees, the folded net
 * against the original.
 */
static ptf_status judge(const options *o, const tool_net *net, report *r,
                        ptf_error *err)
{
    bool agrees = true;
    ptf_status status = ptf_net_check_numbers(net->net, err);
    if (status == PTF_OK)
        status =
            tool_inputs_choose(&o->inputs, net, &o->source, &r->inputs, err);
    if (status == PTF_OK && o->expect != NULL) {
        status = tool_expect_run(o->expect, net->net, &r->inputs,
                                 (int)o->threads, &r->expect, err);
        status =
            tool_inputs_explain(o->inputs.data, &r->inputs, net, status, err);
        agrees = status == PTF_OK && tool_expect_agrees(&r->expect);
    }
    if (status == PTF_OK && agrees && !o->no_check)
        status = compare(o, net, r->after, &r->inputs, &r->check, err);
    return status;
}

static ptf_status convert(const options *o, const tool_net *net,
                          const ptf_net *folded, bool *reached, ptf_error *err)
{
    report r = {.before = net->net, .after = folded};
    ptf_status status = PTF_OK;
    if (!o->no_check || o->expect != NULL)
        status = judge(o, net, &r, err);
    if (status == PTF_OK)
        find_result(o, &r);
    if (status == PTF_OK && r.reached)
        status = ptf_net_save(folded, o->output, net->ckpt,
                              tool_expect_metadata(&r.expect), err);
    if (status == PTF_OK)
        (o->json ? print_json : print_text)(o, &r);
    *reached = r.reached;
    tool_expect_free(&r.expect);
    ptf_check_free(r.check);
    tool_inputs_free(&r.inputs);
    return status;
}

int main(int argc, char **argv)
{
    tool_start("bnfuse");
    options o;
    int code = parse(argc, argv, &o);
    if (code != TOOL_GO_ON)
        return code;

    static ptf_error err;
    tool_net net = {0};
    ptf_net *folded = NULL;
    bool reached = false;
    const char *const read[] = {o.source.path, o.source.arch, o.inputs.data,
                                o.expect};
    const char *const written[] = {o.output};
    ptf_status status = tool_check_targets(TOOL_PATHS(read),
                                           TOOL_PATHS(written), o.force, &err);
    if (status == PTF_OK)
        status = tool_net_open(&o.source, &net, &err);
    if (status == PTF_OK)
        status = rewrite(&o, net.net, &folded, &err);
    if (status == PTF_OK)
        status = convert(&o, &net, folded, &reached, &err);
    if (status != PTF_OK || !reached)
        status = tool_net_unchanged(&net, status, &err);
    ptf_net_free(folded);
    tool_net_close(&net);
    if (status != PTF_OK)
        return tool_fail(&err);
    return tool_finish(reached ? EXIT_EQUIVALENT : EXIT_NOT_EQUIVALENT);
}
