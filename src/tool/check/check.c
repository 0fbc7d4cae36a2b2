/*
 * ptfold check: a network against a rewrite of it, layer by layer.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/check/check.h"
#include "tool/common/expect.h"
#include "tool/oracle/check.h"

#include <math.h>

static const char help[] =
    "usage: ptfold check [options] A B\n"
    "       ptfold check [options] NET --data X.npy --expect Y.npy\n"
    "       ptfold check [options] NET --invariance\n"
    "       ptfold check [options] NET --oracle libtorch\n"
    "\n"
    "Runs the original A and B, which should compute the same, on the same\n"
    "inputs, and says layer by layer what differs, what of it is rounding and\n"
    "how much is proved.  B may come from ptfold or from any other tool.\n"
    "\n"
    "  --require bitwise|certified|argmax|tolerance\n"
    "                    what B must reach for exit status 0 (certified)\n"
    "  --max-ulps N      call B CERTIFIED WITHIN n ULP when all that it lacks is\n"
    "                    that parameters are n units in the last place off, n <= N\n"
    "                    (default 4); if given, certified accepts that, too\n"
    "  --atol X, --rtol X\n"
    "                    tolerance (default 1e-6, 1e-5)\n" TOOL_BOUND_HELP
    "  --bisect          also run B's layers on A's values, and name the first one\n"
    "                    that by itself differs by more than rounding\n"
    "  --data PATH       compare on images: a file or a folder; several inputs,\n"
    "                    or integers: a .npz with the inputs' names, or a .npy\n"
    "  --expect FILE     hold one network against the outputs that PyTorch gave\n"
    "                    for --data, or for the sample inputs in a .pt2: a .npy,\n"
    "                    or a .npz by names (of outputs, output, y; of layers for\n"
    "                    theirs); 1 if outside of 16 times the network's own\n"
    "                    rounding\n"
    "  --exact           with --expect: also ULPs from the exact outputs\n"
    "  --random N        compare on N random inputs (default: the sample inputs in\n"
    "                    a .pt2, or else 8); there are none of integers\n"
    "  --seed S          where the random inputs start (default 1)\n"
    "  --input CxHxW     shape of one input; default: what A's text says\n"
    "  --arch FILE|NAME, --arch-b FILE|NAME\n"
    "                    the text of print(model), or a built-in network;\n"
    "                    default: the text in the file, or the built-in that\n"
    "                    fits\n" TOOL_IN_ORDER_HELP
    "  --key PATH, --key-b PATH\n"
    "                    the state dict inside the file (model_state_dict)\n"
    "  --model NAME, --model-b NAME\n"
    "                    of a .pt2 with several programs: which one\n"
    "  --threads N       default: the CPUs that this process may use\n"
    "  --json            the report as JSON\n"
    "  --junit FILE      also write a JUnit report for a CI server\n"
    "  --enclosures FILE also write the balls that hold the exact outputs\n"
    "  --force           replace those files if they exist\n"
    "  --invariance      run one network with every instruction set, with several\n"
    "                    numbers of threads and batch sizes, and slid over larger\n"
    "                    images where it can be; all bits must be equal\n"
    "  --oracle libtorch run one network also with PyTorch's own operators, in\n"
    "                    f32 and in double; all outputs must be where rounding\n"
    "                    can explain them\n"
    "  -q, --quiet       no progress\n"
    "  -v, --verbose     list all tensors that do not fit, not only the first\n"
    "  --help, --version\n"
    "\n"
    "bitwise: all output bits are equal.  certified: A and B with unrounded\n"
    "parameters are the same function, layer by layer and for all inputs, each\n"
    "parameter of B is the f32 nearest to the ideal one, and each number of both\n"
    "runs is within the bound on f32 rounding.  tolerance: |A - B| <= atol +\n"
    "rtol * the largest |A| of the input.  argmax: that, and the largest output\n"
    "is the same one for all inputs.  NaN, infinity and no input at all are\n"
    "UNDECIDED, which satisfies no requirement.\n"
    "\n"
    "Exit status: 0 the requirement holds, 1 it does not, 2 usage,\n"
    "3 unsupported, 4 damaged input, 5 I/O or memory.\n"
    "\n"
    "Example: ptfold check smallNetSaved out.bin --require certified\n";

typedef struct options {
    tool_source a, b;
    tool_choice inputs;
    const char *expect, *junit, *enclosures, *oracle;
    check_require require;
    int64_t threads, bits, max_ulps; /* max_ulps: -1 if not given */
    double atol, rtol, bound;
    bool json, bisect, invariance, exact, force, quiet;
} options;

static const char *const require_names[REQUIRE_COUNT] = {
    [REQUIRE_BITWISE] = "bitwise",
    [REQUIRE_CERTIFIED] = "certified",
    [REQUIRE_ARGMAX] = "argmax",
    [REQUIRE_TOLERANCE] = "tolerance",
};

const char *check_require_name(check_require require)
{
    return require_names[require];
}

static int set_require(const char *text, check_require *out)
{
    for (int i = 0; i < REQUIRE_COUNT; i++) {
        if (strcmp(text, require_names[i]) == 0) {
            *out = (check_require)i;
            return TOOL_GO_ON;
        }
    }
    return tool_usage_error("--require: expected bitwise, certified, argmax or "
                            "tolerance, got \"%s\"",
                            text);
}

/* One network with an option that is about one, else two. */
static int take_operands(char *const *operands, options *o)
{
    bool alone = o->expect != NULL || o->invariance || o->oracle != NULL;
    int count = 0, wanted = alone ? 1 : 2;
    while (operands[count] != NULL)
        count++;
    if (count != wanted)
        return tool_usage_error("expected %d network%s, got %d", wanted,
                                alone ? "" : "s", count);
    o->a.path = operands[0];
    o->b.path = alone ? NULL : operands[1];
    return TOOL_GO_ON;
}

/* What goes with what. */
static int check_options(options *o)
{
    bool alone = o->b.path == NULL;
    if ((o->expect != NULL) + o->invariance + (o->oracle != NULL) > 1)
        return tool_usage_error("expected one of --expect, --invariance and "
                                "--oracle, got more");
    if (o->oracle != NULL && strcmp(o->oracle, "libtorch") != 0)
        return tool_usage_error("--oracle: expected libtorch, got \"%s\"",
                                o->oracle);
    if (alone && o->bisect)
        return tool_usage_error("--bisect is for two networks");
    if (alone && o->enclosures != NULL)
        return tool_usage_error("--enclosures is for two networks");
    if (alone && o->junit != NULL && o->expect == NULL)
        return tool_usage_error("--junit is for two networks, or --expect");
    o->inputs.recorded = o->expect != NULL;
    if (isinf(o->atol) || isinf(o->rtol))
        return tool_usage_error("an infinite tolerance checks nothing");
    if (o->exact && o->expect == NULL)
        return tool_usage_error("--exact: expected --expect, too");
    if (alone && ((o->bits > 0 && !o->exact) || o->bound >= 0))
        return tool_usage_error("--bound and --bits are for two networks");
    return tool_check_bound(&o->bound);
}

/* Returns TOOL_GO_ON or the code to exit with. */
static int parse(int argc, char **argv, options *o)
{
    *o = (options){.b.arch_option = "--arch-b",
                   .inputs = {.usual = 8, .seed = -1},
                   .max_ulps = -1,
                   .atol = TOOL_ATOL,
                   .rtol = TOOL_RTOL,
                   .bound = TOOL_BOUND};
    const char *require = "certified";
    const tool_option table[] = {
        {"arch", 0, OPTION_TEXT, &o->a.arch, 0, 0},
        {"arch-b", 0, OPTION_TEXT, &o->b.arch, 0, 0},
        {"atol", 0, OPTION_REAL, &o->atol, 0, INT64_MAX},
        {"bits", 0, OPTION_AUTO, &o->bits, 1, PTF_EXACT_BITS_MOST},
        {"bisect", 0, OPTION_FLAG, &o->bisect, 0, 0},
        {"bound", 0, OPTION_REAL, &o->bound, 0, 1},
        {"data", 0, OPTION_TEXT, &o->inputs.data, 0, 0},
        {"enclosures", 0, OPTION_TEXT, &o->enclosures, 0, 0},
        {"exact", 0, OPTION_FLAG, &o->exact, 0, 0},
        {"expect", 0, OPTION_TEXT, &o->expect, 0, 0},
        {"force", 0, OPTION_FLAG, &o->force, 0, 0},
        {"in-order", 0, OPTION_FLAG, &o->a.in_order, 0, 0},
        {"input", 0, OPTION_TEXT, &o->a.input, 0, 0},
        {"invariance", 0, OPTION_FLAG, &o->invariance, 0, 0},
        {"json", 0, OPTION_FLAG, &o->json, 0, 0},
        {"junit", 0, OPTION_TEXT, &o->junit, 0, 0},
        {"key", 0, OPTION_TEXT, &o->a.key, 0, 0},
        {"key-b", 0, OPTION_TEXT, &o->b.key, 0, 0},
        {"model", 0, OPTION_TEXT, &o->a.model, 0, 0},
        {"model-b", 0, OPTION_TEXT, &o->b.model, 0, 0},
        {"max-ulps", 0, OPTION_COUNT, &o->max_ulps, 0, 65536},
        {"oracle", 0, OPTION_TEXT, &o->oracle, 0, 0},
        {"quiet", 'q', OPTION_FLAG, &o->quiet, 0, 0},
        {"random", 0, OPTION_COUNT, &o->inputs.random, 1, 1000000},
        {"require", 0, OPTION_TEXT, &require, 0, 0},
        {"rtol", 0, OPTION_REAL, &o->rtol, 0, INT64_MAX},
        {"seed", 0, OPTION_COUNT, &o->inputs.seed, 0, INT64_MAX},
        {"threads", 0, OPTION_COUNT, &o->threads, 1, 1024},
        {0},
    };
    char **operands;
    int code = tool_parse(argc, argv, help, table, -1, &operands);
    if (code == TOOL_GO_ON)
        code = take_operands(operands, o);
    if (code != TOOL_GO_ON)
        return code;
    if (o->quiet)
        tool_progress_quiet();
    o->b.in_order = o->a.in_order;
    code = check_options(o);
    return code == TOOL_GO_ON ? set_require(require, &o->require) : code;
}

/* ------------------------------------------------------------------ results */

static check_first find_first(const ptf_check *check)
{
    check_first first = {NULL, NULL, NULL, {.own = 0}};
    ptf_layer_check layer;
    for (size_t i = 0; ptf_check_layer(check, i, &layer); i++) {
        if (first.bit == NULL && layer.difference.unequal_bits > 0)
            first.bit = layer.name_b;
        if (first.bound == NULL && layer.level > PTF_LEVEL_CERTIFIED)
            first.bound = layer.name_b;
        if (first.tolerance == NULL && layer.difference.beyond_tolerance > 0)
            first.tolerance = layer.name_b;
        if (first.own.name_b == NULL && layer.own_apart > 0)
            first.own = layer;
    }
    return first;
}

/*
 * A certificate says nothing about the tolerance and, of predictions that are
 * nearer to each other than rounding, nothing about which is the larger: the
 * last two ask the outputs themselves.
 */
static bool is_met(const check_report *r)
{
    const check_result *found = &r->result;
    ptf_level outputs = ptf_verdict_level(ptf_check_verdict(r->check));
    if (found->level == PTF_LEVEL_UNDECIDED)
        return false;
    switch (r->require) {
    case REQUIRE_BITWISE: return found->level == PTF_LEVEL_BITWISE;
    case REQUIRE_CERTIFIED:
        return found->certificate.holds ||
               (r->allow_ulps && found->certificate.within);
    case REQUIRE_ARGMAX: return outputs <= PTF_LEVEL_SAME_PREDICTIONS;
    case REQUIRE_TOLERANCE: return outputs <= PTF_LEVEL_WITHIN_TOLERANCE;
    case REQUIRE_COUNT: break;
    }
    return false;
}

static void find_result(check_report *r)
{
    check_result *found = &r->result;
    found->level = ptf_check_level(r->check);
    ptf_check_certificate(r->check, &found->certificate);
    tool_level_text(found->level, found->certificate.ulps, found->verdict);
    found->first = find_first(r->check);
    found->met = is_met(r);
}

static ptf_status fill_evidence(const options *o, const tool_net *a,
                                const tool_net *b, const tool_inputs *inputs,
                                check_evidence *e, ptf_error *err)
{
    *e = (check_evidence){
        .path_a = o->a.path,
        .path_b = o->b.path,
        .key_a = ptf_net_key(a->net, NULL, NULL),
        .key_b = ptf_net_key(b->net, NULL, NULL),
        .data = o->inputs.data,
        .from = tool_inputs_source(inputs, o->inputs.data),
        .samples = inputs->count,
        .left_out = tool_left_out(inputs->images),
        .seed = (int64_t)inputs->seed,
        .threads = o->threads > 0 ? o->threads : ptf_thread_count(),
        .atol = o->atol,
        .rtol = o->rtol,
    };
    tool_inputs_shape_text(inputs, e->shapes);
    tool_progress progress;
    tool_progress_start(&progress, "hashing", "files", 2);
    ptf_status status = tool_net_sha256(a, e->sha256_a, err);
    tool_progress_at(&progress, 1);
    if (status == PTF_OK)
        status = tool_net_sha256(b, e->sha256_b, err);
    tool_progress_end(&progress);
    if (status == PTF_OK)
        status = tool_inputs_sha256(inputs, e->sha256_inputs, err);
    status = tool_net_unchanged(a, status, err);
    return status == PTF_OK ? tool_net_unchanged(b, status, err) : status;
}

static ptf_status write_junit(const check_report *r, const char *path,
                              ptf_error *err)
{
    tool_text text;
    ptf_status status = tool_text_open(&text, err);
    if (status != PTF_OK)
        return status;
    check_print_junit(r, text.out);
    return tool_text_save(&text, path, err);
}

static ptf_status report(const options *o, check_report *r, ptf_error *err)
{
    if (o->junit != NULL) {
        ptf_status status = write_junit(r, o->junit, err);
        if (status != PTF_OK)
            return status;
    }
    (o->json ? check_print_json : check_print_text)(r, stdout);
    return PTF_OK;
}

static ptf_status compare(const options *o, const tool_net *a,
                          const tool_net *b, const tool_inputs *inputs,
                          bool *met, ptf_error *err)
{
    check_report r = {.bisect = o->bisect,
                      .a = a->net,
                      .b = b->net,
                      .require = o->require,
                      .allow_ulps = o->max_ulps >= 0};
    ptf_check *check = NULL;
    ptf_check_options how = {.threads = (int)o->threads,
                             .atol = o->atol,
                             .rtol = o->rtol,
                             .max_ulps =
                                 o->max_ulps >= 0 ? o->max_ulps : TOOL_MAX_ULPS,
                             .bound = o->bound,
                             .bits = (int)o->bits,
                             .layers = true,
                             .bisect = o->bisect};
    ptf_status status =
        tool_check_make(a->net, b->net, inputs, &how, &check, err);
    if (status == PTF_OK)
        status = tool_check(check, inputs, err);
    if (status == PTF_OK)
        status = fill_evidence(o, a, b, inputs, &r.evidence, err);
    if (status == PTF_OK && o->enclosures != NULL)
        status =
            check_write_enclosures(a->net, b->net, inputs, o->enclosures, err);
    if (status == PTF_OK) {
        r.check = check;
        find_result(&r);
        *met = r.result.met;
        status = report(o, &r, err);
    }
    ptf_check_free(check);
    return status;
}

/* ---------------------------------------------------------------------- run */

/* No file that is written is one that is read, or there without --force. */
static ptf_status check_targets(const options *o, ptf_error *err)
{
    const char *const read[] = {o->a.path, o->a.arch,      o->b.path,
                                o->b.arch, o->inputs.data, o->expect};
    const char *const written[] = {o->junit, o->enclosures};
    return tool_check_targets(TOOL_PATHS(read), TOOL_PATHS(written), o->force,
                              err);
}

static ptf_status expect(const options *o, const tool_net *net,
                         const tool_inputs *inputs, bool *met, ptf_error *err)
{
    const check_expect_options how = {
        .network = o->a.path,
        .data = tool_inputs_source(inputs, o->inputs.data),
        .expect = o->expect,
        .junit = o->junit,
        .threads = (int)o->threads,
        .bits = (int)o->bits,
        .json = o->json,
        .exact = o->exact};
    return check_expect(&how, net, inputs, met, err);
}

static ptf_status ask_oracle(const options *o, const tool_net *net,
                             const tool_inputs *inputs, bool *met,
                             ptf_error *err)
{
    ptf_status status = tool_need_single(net, &o->a, "--oracle", err);
    return status == PTF_OK ? oracle_check_net(net, inputs, (int)o->threads,
                                               o->json, met, err)
                            : status;
}

/* Programs are lowered again for the sizes of what is given. */
static ptf_status choose_inputs(const options *o, tool_net *a, tool_net *b,
                                tool_inputs *inputs, ptf_error *err)
{
    tool_net *const nets[] = {a, b};
    ptf_status status = PTF_OK;
    for (int i = 0; i < 2 && o->inputs.data != NULL && status == PTF_OK; i++)
        status = tool_net_fit_arrays(nets[i], o->inputs.data, err);
    if (status == PTF_OK)
        status = tool_inputs_choose(&o->inputs, a, &o->a, inputs, err);
    for (int i = 0; i < 2 && inputs->images != NULL && status == PTF_OK; i++)
        status = tool_net_fit(nets[i], &inputs->shape, inputs->count, err);
    if (status == PTF_OK && o->a.input != NULL)
        status = tool_net_fit(b, &inputs->shape, -1, err);
    return status;
}

/* Opens what the command works on, and closes it. */
static ptf_status run(const options *o, int *code, ptf_error *err)
{
    tool_net a = {0}, b = {0};
    tool_inputs inputs = {0};
    bool met = false;
    ptf_status status = check_targets(o, err);
    if (status == PTF_OK)
        status = tool_net_open(&o->a, &a, err);
    if (status == PTF_OK && o->b.path != NULL)
        status = tool_net_open(&o->b, &b, err);
    if (status == PTF_OK)
        status = ptf_net_check_numbers(a.net, err);
    if (status == PTF_OK && b.net != NULL)
        status = ptf_net_check_numbers(b.net, err);
    if (status == PTF_OK)
        status = choose_inputs(o, &a, &b, &inputs, err);
    if (status == PTF_OK && o->expect != NULL)
        status = expect(o, &a, &inputs, &met, err);
    else if (status == PTF_OK && o->invariance)
        status = check_invariance(&a, &inputs, o->json, &met, err);
    else if (status == PTF_OK && o->oracle != NULL)
        status = ask_oracle(o, &a, &inputs, &met, err);
    else if (status == PTF_OK)
        status = compare(o, &a, &b, &inputs, &met, err);
    status = tool_inputs_explain(o->inputs.data, &inputs, &a, status, err);
    if (status != PTF_OK || b.net == NULL)
        status = tool_net_unchanged(&a, status, err);
    *code = met ? EXIT_EQUIVALENT : EXIT_NOT_EQUIVALENT;
    tool_inputs_free(&inputs);
    tool_net_close(&b);
    tool_net_close(&a);
    return status;
}

int tool_check_nets(int argc, char **argv)
{
    options o;
    int code = parse(argc, argv, &o);
    if (code != TOOL_GO_ON)
        return code;
    static ptf_error err;
    ptf_status status = run(&o, &code, &err);
    return status == PTF_OK ? tool_finish(code) : tool_fail(&err);
}
