/*
 * ptfold check --invariance: one network, run in every way there is.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/check/check.h"

/* One way to run. */
typedef struct way {
    const char *isa;
    int threads;
    int64_t batch;
} way;

static const char *const isas[] = {"ref", "neon", "avx2", "avx512"};
static const int thread_counts[] = {1, 2, 3};

typedef struct matrix {
    const tool_net *net;
    const tool_inputs *inputs;
    const ptf_shape *shapes; /* of the inputs */
    size_t input_count, output_count;
    int64_t count;
    float **in, *out; /* all samples; all outputs one after the other */
    const float **from;
    float **to;             /* of a batch */
    int64_t numbers;        /* of all outputs of all samples */
    char first[65];         /* the first digest */
    const char *not_finite; /* of tool_find_not_finite() */
    bool same, json;
    bool undecided; /* NaN or infinity in a run */
    tool_json writer;
} matrix;

/* Points at sample 'first' of all inputs and outputs. */
static void aim(const matrix *m, const ptf_plan *plan, int64_t first)
{
    float *out = m->out;
    for (size_t k = 0; k < m->input_count; k++)
        m->from[k] = m->in[k] + first * ptf_shape_numel(&m->shapes[k]);
    for (size_t k = 0; k < m->output_count; k++) {
        ptf_shape shape = ptf_plan_output(plan, k);
        m->to[k] = out + first * ptf_shape_numel(&shape);
        out += m->count * ptf_shape_numel(&shape);
    }
}

/* All inputs through one plan, 'batch' at a time; the outputs' digest. */
static ptf_status run_way(const matrix *m, const way *w, ptf_plan *plan,
                          char hex[65], ptf_error *err)
{
    ptf_status status = PTF_OK;
    tool_progress progress;
    tool_progress_start(&progress, w->isa, "inputs", m->count);
    for (int64_t i = 0; status == PTF_OK && i < m->count; i += w->batch) {
        int64_t n = m->count - i < w->batch ? m->count - i : w->batch;
        aim(m, plan, i);
        status = ptf_plan_run_all(plan, m->from, n, m->to, err);
        tool_progress_at(&progress, i + n);
    }
    tool_progress_end(&progress);
    ptf_tensor tensor = {.name = "outputs",
                         .dtype = PTF_DTYPE_F32,
                         .rank = 1,
                         .shape = {m->numbers},
                         .stride = {1},
                         .data = m->out};
    return status == PTF_OK ? ptf_tensor_sha256(&tensor, hex, err) : status;
}

static void add_way(matrix *m, const way *w, const char *hex)
{
    if (m->first[0] == '\0')
        memcpy(m->first, hex, sizeof(m->first));
    bool same = strcmp(m->first, hex) == 0;
    m->same = m->same && same;
    if (!m->json) {
        printf("%-8s %7d %7lld  %.16s%s\n", w->isa, w->threads,
               (long long)w->batch, hex, same ? "" : "  DIFFERENT");
        return;
    }
    json_open(&m->writer, NULL, '{');
    json_text(&m->writer, "isa", w->isa);
    json_int(&m->writer, "threads", w->threads);
    json_int(&m->writer, "batch", w->batch);
    json_text(&m->writer, "outputs_sha256", hex);
    json_close(&m->writer, '}');
}

/* An instruction set that is not here is left out. */
static ptf_status try_way(matrix *m, const way *w, ptf_error *err)
{
    char hex[65];
    ptf_plan *plan = NULL;
    ptf_plan_options options = {.threads = w->threads, .isa = w->isa};
    ptf_status status =
        ptf_plan_make(m->net->net, m->shapes, w->batch, &options, &plan, err);
    if (status == PTF_ARGUMENT && strcmp(w->isa, "ref") != 0)
        return PTF_OK;
    if (status == PTF_OK)
        status = run_way(m, w, plan, hex, err);
    if (status == PTF_OK)
        add_way(m, w, hex);
    ptf_plan_free(plan);
    return status;
}

static ptf_status run_all(matrix *m, ptf_error *err)
{
    const bool whole = ptf_net_is_whole(m->net->net);
    const int64_t batches[] = {whole ? 1 : m->count, whole ? 0 : 1,
                               whole ? 0 : 3};
    enum { ISAS = sizeof(isas) / sizeof(isas[0]), THREADS = 3, BATCHES = 3 };
    ptf_status status = PTF_OK;
    for (int i = 0; status == PTF_OK && i < ISAS * THREADS * BATCHES; i++) {
        way w = {isas[i / (THREADS * BATCHES)],
                 thread_counts[i / BATCHES % THREADS], batches[i % BATCHES]};
        if (w.batch > 0 && w.batch <= m->count)
            status = try_way(m, &w, err);
    }
    return status;
}

static ptf_status open_matrix(matrix *m, ptf_error *err)
{
    ptf_plan *plan = NULL;
    ptf_status status =
        ptf_plan_make(m->net->net, m->shapes, 1, NULL, &plan, err);
    if (status != PTF_OK)
        return status;
    for (size_t k = 0; k < m->output_count; k++) {
        ptf_shape shape = ptf_plan_output(plan, k);
        m->numbers += m->count * ptf_shape_numel(&shape);
    }
    ptf_plan_free(plan);
    m->in = tool_room(m->shapes, m->input_count, m->count);
    m->out = calloc((size_t)m->numbers, sizeof(*m->out));
    m->from = calloc(m->input_count + 1, sizeof(*m->from));
    m->to = calloc(m->output_count, sizeof(*m->to));
    if (!m->in || !m->out || !m->from || !m->to)
        return tool_error(err, PTF_MEMORY, "out of memory");
    return tool_inputs_fill(m->inputs, 0, m->count, m->in, err);
}

static void close_matrix(matrix *m)
{
    tool_room_free(m->in, m->input_count);
    free(m->out);
    free(m->from);
    free(m->to);
}

/*
 * The net slid over larger images against each window run alone: bitwise
 * where no layer forbids it.
 */
static ptf_status check_windows(const tool_net *net, uint64_t seed,
                                ptf_slide *slide, ptf_verdict *verdict,
                                bool *undecided, ptf_error *err)
{
    ptf_net *slid = NULL;
    const char *not_finite = NULL; /* a name that goes with the net */
    const ptf_rewrite *rewrite = ptf_rewrite_find("linear_to_conv");
    ptf_verdict_init(verdict, 0, 0);
    *slide = (ptf_slide){.reason = "has no fully connected tail"};
    if (ptf_net_input_count(net->net) > 1 ||
        ptf_net_output_count(net->net) > 1 || net->input.rank != 3 ||
        ptf_net_rewrite(net->net, rewrite, &net->input, &slid, NULL) != PTF_OK)
        return PTF_OK;
    ptf_status status = ptf_net_slide(slid, slide, err);
    ptf_shape large = net->input;
    large.dim[1] += 2 * slide->stride[0];
    large.dim[2] += 3 * slide->stride[1];
    tool_inputs inputs = tool_inputs_random(1, seed, large);
    if (status == PTF_OK && slide->blocker == NULL)
        status = tool_compare_crops(net->net, slid, slide, &net->input, &inputs,
                                    0, verdict, err);
    if (status == PTF_OK && slide->blocker == NULL)
        status = tool_find_not_finite(slid, &inputs, 0, &not_finite, err);
    *undecided = *undecided || not_finite != NULL;
    slide->blocker = NULL; /* another */
    ptf_net_free(slid);
    return status;
}

static void print_windows(matrix *m, const ptf_slide *slide,
                          const ptf_verdict *v)
{
    ptf_level level = ptf_verdict_level(v);
    if (v->samples > 0) {
        m->same = m->same && level == PTF_LEVEL_BITWISE;
        m->undecided = m->undecided || level == PTF_LEVEL_UNDECIDED;
    }
    if (m->json) {
        json_int(&m->writer, "windows", v->samples);
        json_int(&m->writer, "windows_unequal_bits", v->unequal_bits);
        json_text(&m->writer, "windows_blocked_because",
                  v->samples > 0 ? NULL : slide->reason);
        return;
    }
    if (v->samples > 0)
        printf("\nslid over a larger image against %lld crops: %s\n",
               (long long)v->samples,
               level == PTF_LEVEL_BITWISE ? "equal bits"
                                          : ptf_level_name(level));
    else
        printf("\nslid over larger images: not compared: %s\n", slide->reason);
}

static void print_head(matrix *m)
{
    if (!m->json) {
        printf("%s on %lld inputs\n\n%-8s %7s %7s  %s\n",
               ptf_net_name(m->net->net), (long long)m->count, "isa", "threads",
               "batch", "SHA-256 of the outputs");
        return;
    }
    m->writer = (tool_json){.out = stdout};
    json_open(&m->writer, NULL, '{');
    json_text(&m->writer, "program", "ptfold check --invariance");
    json_text(&m->writer, "version", ptf_version());
    tool_json_assumption(&m->writer, m->net->net, NULL);
    json_open(&m->writer, "runs", '[');
}

static ptf_level level_of(const matrix *m)
{
    return m->undecided ? PTF_LEVEL_UNDECIDED
           : m->same    ? PTF_LEVEL_BITWISE
                        : PTF_LEVEL_DIFFERENT;
}

static void print_tail(matrix *m)
{
    ptf_level level = level_of(m);
    if (m->json) {
        json_bool(&m->writer, "same", m->same);
        tool_json_not_finite(&m->writer, m->not_finite);
        json_text(&m->writer, "level", ptf_level_name(level));
        json_close(&m->writer, '}');
        return;
    }
    tool_print_not_finite(m->not_finite);
    printf("\nverdict: %s", ptf_level_name(level));
    tool_print_if(m->net->net, NULL, stdout);
    putchar('\n');
}

ptf_status check_invariance(const tool_net *net, const tool_inputs *inputs,
                            bool json, bool *same, ptf_error *err)
{
    ptf_slide slide;
    ptf_verdict windows;
    tool_net here = *net;
    here.input = inputs->shape;
    matrix m = {.net = &here,
                .inputs = inputs,
                .shapes = tool_inputs_shapes(inputs),
                .input_count = inputs->input_count,
                .output_count = ptf_net_output_count(net->net),
                .count = inputs->count,
                .same = true,
                .json = json};
    ptf_status status = open_matrix(&m, err);
    if (status == PTF_OK)
        status = tool_find_not_finite(net->net, inputs, 0, &m.not_finite, err);
    m.undecided = m.not_finite != NULL;
    if (status == PTF_OK) {
        print_head(&m);
        status = run_all(&m, err);
    }
    if (status == PTF_OK && json)
        json_close(&m.writer, ']');
    if (status == PTF_OK)
        status = check_windows(&here, inputs->seed, &slide, &windows,
                               &m.undecided, err);
    if (status == PTF_OK) {
        print_windows(&m, &slide, &windows);
        print_tail(&m);
    }
    *same = level_of(&m) == PTF_LEVEL_BITWISE;
    close_matrix(&m);
    return status;
}
