/*
 * ptfold bench: how fast a network runs, beside what the machine could do.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/common/tool.h"

#include <time.h>

static const char help[] =
    "usage: ptfold bench [options] CHECKPOINT\n"
    "\n"
    "Runs a network on random inputs and shows the least and the median time,\n"
    "and how near it comes to the fused multiply-adds and the memory reads\n"
    "per second that are measured in the same run.\n"
    "\n"
    "  --batch LIST      inputs per run (1,10,100; 1 where nothing is a batch)\n"
    "  --data FILE       inputs: an image, a .npy, a .npz by names; a program of\n"
    "                    integers runs on the example in its file without it\n"
    "  --threads LIST    default: the CPUs that this process may use\n"
    "  --input CxHxW     default: what the architecture's text says\n"
    "  --slide           turn linear layers into convolutions first, for the\n"
    "                    usual input, so that --input may be larger\n"
    "  --per-layer       a line for each step, too\n"
    "  --repeat N        runs of each kind (9)\n"
    "  --runs N          what the plan is made for (1000); with 1, weights\n"
    "                    beyond 128 MB are not copied\n"
    "  --format text|md|csv|json\n"
    "  --arch FILE|NAME  the text of print(model), or a built-in network\n" TOOL_IN_ORDER_HELP
    "  --key PATH        the state dict inside the file\n" TOOL_MODEL_HELP
    "  -v, --verbose     list all tensors that do not fit, not only the first\n"
    "  --help, --version\n"
    "\n"
    "Example: ptfold bench --batch 1,10 --threads 1,2 net1.pt\n";

typedef struct options {
    tool_source source;
    const char *batch, *threads, *input, *data, *format;
    bool slide, per_layer;
    int64_t repeat, runs;
} options;

enum { LIST = 16, MOST_RUNS = 1000, MOST_DRAWN = 1 << 20 };

/* One line of the table: the whole net, or one step of it. */
typedef struct line {
    const char *layer, *kernel; /* "" for the whole net */
    int64_t batch, threads;
    double least, median; /* seconds */
    double flops, weight_bytes;
    size_t plan_bytes;      /* that the plan holds; 0 for a step */
    double peak, bandwidth; /* of the machine with these threads */
} line;

typedef struct bench {
    const options *options;
    const ptf_net *net;
    tool_inputs inputs; /* of which a batch takes as many as it has */
    double bandwidth;   /* with as many threads as now */
    tool_json json;
    bool begun; /* the table */
} bench;

/* ------------------------------------------------------------------ options */

/* "1,10,100" into out; the count, or 0 when it is no such list. */
static int parse_list(const char *text, int64_t least, int64_t out[LIST])
{
    int count = 0;
    while (count < LIST) {
        char *end;
        out[count] = strtoll(text, &end, 10);
        if (end == text || out[count] < least || out[count] > 1 << 20)
            return 0;
        count++;
        if (*end == '\0')
            return count;
        if (*end != ',')
            return 0;
        text = end + 1;
    }
    return 0;
}

/* -------------------------------------------------------------------- lines */

static double share(double part, double whole)
{
    return whole > 0.0 ? 100.0 * part / whole : 0.0;
}

static void print_md(const line *l)
{
    printf("| %5lld | %d | %-16s | %-11s | %9.3f | %9.3f | %7.1f | %5.1f %% | "
           "%5.1f %% | %7.1f |\n",
           (long long)l->batch, (int)l->threads,
           l->layer[0] != '\0' ? l->layer : "all", l->kernel, 1e3 * l->least,
           1e3 * l->median, 1e-9 * l->flops / l->median,
           share(l->flops / l->median, l->peak),
           share(l->weight_bytes / l->median, l->bandwidth),
           1e-6 * (double)l->plan_bytes);
}

enum { LAYER = 19, KERNEL = 12 }; /* columns of the text */

static void print_text(const line *l)
{
    char net[64];
    if (l->layer[0] == '\0') {
        snprintf(net, sizeof(net), "batch %lld, %d thread%s, %.1f MB",
                 (long long)l->batch, (int)l->threads,
                 l->threads == 1 ? "" : "s", 1e-6 * (double)l->plan_bytes);
        tool_print_name(stdout, net, LAYER + KERNEL);
    } else {
        tool_print_name(stdout, l->layer, LAYER);
        printf(" %-*s", KERNEL - 1, l->kernel);
    }
    printf(" %9.3f %10.3f %8.1f %7.1f %% %6.1f %%\n", 1e3 * l->least,
           1e3 * l->median, 1e-9 * l->flops / l->median,
           share(l->flops / l->median, l->peak),
           share(l->weight_bytes / l->median, l->bandwidth));
}

static void print_csv(const bench *b, const line *l)
{
    printf("%lld,%d,%s,%s,%.9f,%.9f,%.0f,%.0f,%.0f,%.0f,%zu,",
           (long long)l->batch, (int)l->threads, l->layer, l->kernel, l->least,
           l->median, l->flops, l->weight_bytes, l->peak, l->bandwidth,
           l->plan_bytes);
    tool_csv_assumption(b->net);
    printf("\n");
}

static void print_json(bench *b, const line *l)
{
    tool_json *j = &b->json;
    json_open(j, NULL, '{');
    tool_json_assumption(j, b->net, NULL);
    json_int(j, "batch", l->batch);
    json_int(j, "threads", l->threads);
    json_text(j, "layer", l->layer);
    json_text(j, "kernel", l->kernel);
    json_number(j, "least_seconds", l->least);
    json_number(j, "median_seconds", l->median);
    json_number(j, "flops", l->flops);
    json_number(j, "weight_bytes", l->weight_bytes);
    json_number(j, "peak_flops_per_second", l->peak);
    json_number(j, "read_bytes_per_second", l->bandwidth);
    json_int(j, "plan_bytes", (int64_t)l->plan_bytes);
    json_close(j, '}');
}

static void print_line(bench *b, const line *l)
{
    if (strcmp(b->options->format, "csv") == 0)
        print_csv(b, l);
    else if (strcmp(b->options->format, "json") == 0)
        print_json(b, l);
    else if (strcmp(b->options->format, "md") == 0)
        print_md(l);
    else
        print_text(l);
}

/* Once, when there is a line to follow. */
static void print_head(bench *b)
{
    if (b->begun)
        return;
    b->begun = true;
    if (strcmp(b->options->format, "csv") == 0) {
        puts("batch,threads,layer,kernel,least_seconds,median_seconds,flops,"
             "weight_bytes,peak_flops_per_second,read_bytes_per_second,"
             "plan_bytes,assumes");
    } else if (strcmp(b->options->format, "json") == 0) {
        b->json.out = stdout;
        json_open(&b->json, NULL, '[');
    } else if (strcmp(b->options->format, "text") == 0) {
        printf("%-*s %-*s %9s %10s %8s %9s %8s\n", LAYER, "layer", KERNEL - 1,
               "kernel", "least ms", "median ms", "GFLOP/s", "of FMA",
               "of reads");
    } else {
        puts("| batch | threads | layer | kernel | least ms | median ms | "
             "GFLOP/s | of FMA peak | of read bandwidth | plan MB |\n"
             "|--:|--:|---|---|--:|--:|--:|--:|--:|--:|");
    }
}

static void print_limits(const bench *b, int64_t threads)
{
    if (strcmp(b->options->format, "text") == 0 ||
        strcmp(b->options->format, "md") == 0)
        fprintf(stderr,
                "%d thread%s, %s: %.1f GFLOP/s of FMA, %.1f GB/s of reads\n",
                (int)threads, threads == 1 ? "" : "s", ptf_isa_name(),
                1e-9 * ptf_measure_flops((int)threads), 1e-9 * b->bandwidth);
}

/* ------------------------------------------------------------------ running */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* A batch of all inputs and outputs. */
typedef struct room {
    float **in, **out;
} room;

static void free_room(const bench *b, room *r)
{
    tool_room_free(r->in, ptf_net_input_count(b->net));
    tool_room_free(r->out, ptf_net_output_count(b->net));
}

/* Fills a batch with the samples there are, over and over again. */
static ptf_status make_room(const bench *b, const ptf_plan *plan, int64_t batch,
                            room *r, ptf_error *err)
{
    const ptf_shape *in = tool_inputs_shapes(&b->inputs);
    size_t inputs = ptf_net_input_count(b->net);
    size_t outputs = ptf_net_output_count(b->net);
    ptf_shape *out = calloc(outputs, sizeof(*out));
    float **at = calloc(inputs + 1, sizeof(*at));
    for (size_t k = 0; out != NULL && k < outputs; k++)
        out[k] = ptf_plan_output(plan, k);
    r->in = tool_room(in, inputs, batch);
    r->out = out != NULL ? tool_room(out, outputs, batch) : NULL;
    ptf_status status = r->in != NULL && r->out != NULL && at != NULL
                            ? PTF_OK
                            : tool_error(err, PTF_MEMORY, "out of memory");
    for (int64_t i = 0; status == PTF_OK && i < batch; i++) {
        for (size_t k = 0; k < inputs; k++)
            at[k] = r->in[k] + i * ptf_shape_numel(&in[k]);
        status = tool_inputs_get(&b->inputs, i % b->inputs.count, at, err);
    }
    free(out);
    free(at);
    return status;
}

/*
 * Row 0 of 'times' is the whole net's, row 1 + i step i's, and the last one the
 * machine's peak just before each run: clocks rise and fall.
 */
static ptf_status run_all(const bench *b, ptf_plan *plan, const line *l,
                          double *times, ptf_error *err)
{
    int64_t batch = l->batch, steps = (int64_t)ptf_plan_step_count(plan);
    room r = {0};
    ptf_status status = make_room(b, plan, batch, &r, err);
    const float *const *in = (const float *const *)r.in;
    if (status == PTF_OK)
        status = ptf_plan_run_all(plan, in, batch, r.out, err);
    int64_t runs = b->options->repeat;
    for (int64_t i = 0; i < runs && status == PTF_OK; i++) {
        times[(steps + 1) * runs + i] = ptf_measure_flops((int)l->threads);
        double before = now();
        status = ptf_plan_run_all(plan, in, batch, r.out, err);
        times[i] = now() - before;
        for (int64_t s = 0; s < steps; s++) {
            ptf_step_info info;
            ptf_plan_step(plan, (size_t)s, &info);
            times[(s + 1) * runs + i] = info.seconds;
        }
    }
    free_room(b, &r);
    return status;
}

static double median(double *times, int64_t runs)
{
    qsort(times, (size_t)runs, sizeof(double), compare);
    return times[runs / 2];
}

static void set_times(line *l, double *times, int64_t runs)
{
    l->median = median(times, runs);
    l->least = times[0];
}

static void print_plan(bench *b, const ptf_plan *plan, line l, double *times)
{
    int64_t runs = b->options->repeat;
    int64_t steps = (int64_t)ptf_plan_step_count(plan);
    l.peak = median(times + (steps + 1) * runs, runs);
    line all = l;
    all.layer = all.kernel = "";
    all.plan_bytes = ptf_plan_memory(plan);
    for (int64_t i = 0; i < steps; i++) {
        ptf_step_info info;
        ptf_plan_step(plan, (size_t)i, &info);
        l.layer = info.name;
        l.kernel = info.kernel;
        l.flops = info.flops;
        l.weight_bytes = info.weight_bytes;
        all.flops += info.flops;
        all.weight_bytes += info.weight_bytes;
        set_times(&l, times + (i + 1) * runs, runs);
        if (b->options->per_layer)
            print_line(b, &l);
    }
    set_times(&all, times, runs);
    print_line(b, &all);
    fflush(stdout);
}

static ptf_status bench_one(bench *b, int64_t batch, int64_t threads,
                            ptf_error *err)
{
    ptf_plan_options how = {.threads = (int)threads,
                            .runs = (int)b->options->runs};
    ptf_plan *plan;
    ptf_status status = ptf_plan_make(b->net, tool_inputs_shapes(&b->inputs),
                                      batch, &how, &plan, err);
    if (status != PTF_OK)
        return status;
    size_t rows = ptf_plan_step_count(plan) + 2;
    double *times = calloc(rows * (size_t)b->options->repeat, sizeof(double));
    line l = {.batch = batch, .threads = threads, .bandwidth = b->bandwidth};
    if (times == NULL)
        status = tool_error(err, PTF_MEMORY, "out of memory");
    else
        status = run_all(b, plan, &l, times, err);
    if (status == PTF_OK) {
        print_head(b);
        print_plan(b, plan, l, times);
    }
    free(times);
    ptf_plan_free(plan);
    return status;
}

static ptf_status bench_all(bench *b, ptf_error *err)
{
    int64_t batches[LIST], threads[LIST] = {ptf_thread_count()};
    bool whole = ptf_net_is_whole(b->net); /* it has no batch */
    const char *usual = whole ? "1" : "1,10,100";
    int batch_count = parse_list(
        b->options->batch != NULL ? b->options->batch : usual, 1, batches);
    int thread_count = 1;
    if (b->options->threads != NULL)
        thread_count = parse_list(b->options->threads, 1, threads);
    if (batch_count == 0 || thread_count == 0)
        return tool_error(err, PTF_ARGUMENT,
                          "--batch, --threads: expected numbers with commas "
                          "between them");
    ptf_status status = PTF_OK;
    for (int t = 0; t < thread_count && status == PTF_OK; t++) {
        b->bandwidth = ptf_measure_bandwidth((int)threads[t]);
        print_limits(b, threads[t]);
        for (int i = 0; i < batch_count && status == PTF_OK; i++)
            status = bench_one(b, batches[i], threads[t], err);
    }
    if (b->json.out != NULL)
        json_close(&b->json, ']');
    else if (strcmp(b->options->format, "csv") != 0)
        tool_print_assumption(b->net, NULL, stdout);
    return status;
}

/* ------------------------------------------------------------------ command */

/* Of a program of integers its own example, and drawn ones elsewhere. */
static ptf_status open_inputs(bench *b, const tool_net *net, ptf_error *err)
{
    const options *o = b->options;
    const tool_choice choice = {
        .data = o->data, .random = MOST_DRAWN, .seed = 1};
    ptf_shape shape = {0};
    if (o->input != NULL) {
        ptf_status status = tool_need_single(net, &o->source, "--input", err);
        if (status == PTF_OK && !ptf_shape_parse(o->input, &shape))
            status = tool_error(err, PTF_ARGUMENT,
                                "--input: expected CxHxW (3x32x32), got \"%s\"",
                                o->input);
        b->inputs = tool_inputs_random(MOST_DRAWN, 1, shape);
        return status;
    }
    if (o->data == NULL && !tool_inputs_are_floats(net->net) &&
        tool_has_sample(net))
        return tool_inputs_sample(net, &o->source, &b->inputs, err);
    return tool_inputs_choose(&choice, net, &o->source, &b->inputs, err);
}

/* The net to run: as it is, or slid; frees nothing of 'net'. */
static ptf_status prepare(bench *b, const tool_net *net, ptf_net **slid,
                          ptf_error *err)
{
    const options *o = b->options;
    ptf_status status = PTF_OK;
    b->net = net->net;
    if (o->slide) {
        status = tool_need_single(net, &o->source, "--slide", err);
        if (status != PTF_OK)
            return status;
        const ptf_rewrite *rewrite = ptf_rewrite_find("linear_to_conv");
        status = ptf_net_rewrite(net->net, rewrite, &net->input, slid, err);
        if (status != PTF_OK)
            return status;
        b->net = *slid;
    }
    return open_inputs(b, net, err);
}

/* A program is lowered again for the sizes of what is given. */
static ptf_status fit(const options *o, tool_net *net, ptf_error *err)
{
    ptf_shape shape;
    if (o->data != NULL)
        return tool_net_fit_arrays(net, o->data, err);
    return o->input != NULL && ptf_shape_parse(o->input, &shape)
               ? tool_net_fit(net, &shape, -1, err)
               : PTF_OK;
}

static bool known_format(const char *format)
{
    return strcmp(format, "text") == 0 || strcmp(format, "md") == 0 ||
           strcmp(format, "csv") == 0 || strcmp(format, "json") == 0;
}

int tool_bench(int argc, char **argv)
{
    options o = {.format = "text", .repeat = 9, .runs = MOST_RUNS};
    const tool_option table[] = {
        {"arch", 0, OPTION_TEXT, &o.source.arch, 0, 0},
        {"batch", 0, OPTION_TEXT, &o.batch, 0, 0},
        {"data", 0, OPTION_TEXT, &o.data, 0, 0},
        {"format", 0, OPTION_TEXT, &o.format, 0, 0},
        {"in-order", 0, OPTION_FLAG, &o.source.in_order, 0, 0},
        {"input", 0, OPTION_TEXT, &o.input, 0, 0},
        {"key", 0, OPTION_TEXT, &o.source.key, 0, 0},
        {"model", 0, OPTION_TEXT, &o.source.model, 0, 0},
        {"per-layer", 0, OPTION_FLAG, &o.per_layer, 0, 0},
        {"repeat", 0, OPTION_COUNT, &o.repeat, 1, MOST_RUNS},
        {"runs", 0, OPTION_COUNT, &o.runs, 1, MOST_RUNS},
        {"slide", 0, OPTION_FLAG, &o.slide, 0, 0},
        {"threads", 0, OPTION_TEXT, &o.threads, 0, 0},
        {0},
    };
    char **operands;
    int code = tool_parse(argc, argv, help, table, 1, &operands);
    if (code != TOOL_GO_ON)
        return code;
    if (!known_format(o.format))
        return tool_usage_error(
            "--format: expected text, md, csv or json, got \"%s\"", o.format);
    o.source.path = operands[0];
    o.source.unverified = true;
    static ptf_error err;
    tool_net net;
    ptf_status status = tool_net_open(&o.source, &net, &err);
    if (status != PTF_OK)
        return tool_fail(&err);
    bench b = {.options = &o};
    ptf_net *slid = NULL;
    tool_finite finite = {.in_layer = false};
    status = tool_finite_weights(&finite, net.net, &err);
    if (status == PTF_OK && !o.slide)
        status = fit(&o, &net, &err);
    if (status == PTF_OK)
        status = prepare(&b, &net, &slid, &err);
    if (status == PTF_OK)
        status = bench_all(&b, &err);
    ptf_net_free(slid);
    tool_inputs_free(&b.inputs);
    tool_net_close(&net);
    return status == PTF_OK ? tool_finish(EXIT_EQUIVALENT) : tool_fail(&err);
}
