/*
 * One output for each class: which classes an image has, and, where the right
 * ones are known, how often the network finds them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/run/run.h"

#include <unistd.h>

enum { FEW = 4, MANY = 100, BATCH = 100, TOP = 5 };

/* How one class fared. */
typedef struct tally {
    int64_t images, right, predicted;
} tally;

typedef struct job {
    const run *run;
    ptf_plan *plan;
    ptf_sink *npy;
    ptf_shape input, output;
    int64_t count, batch, in_size, out_size;
    int64_t classes; /* 0: the output is a map */
    int64_t top;     /* rows for each image, 0: none */
    bool shares;     /* the outputs are not a softmax already */
    bool labelled;
    float *in, *out, *share;
    int64_t *order; /* the best classes of an image, the best first */
    tally *tallies;
    int64_t known, right, near; /* images: with label, first, in the best 5 */
    tool_json json;
} job;

/* ------------------------------------------------------------------ setting */

static bool ends_in_softmax(const ptf_net *net)
{
    ptf_layer last;
    ptf_net_layer(net, ptf_net_layer_count(net) - 1, &last);
    return last.kind == PTF_LAYER_SOFTMAX;
}

static ptf_status check_shape(const job *j, const ptf_image_info *info,
                              ptf_error *err)
{
    char expected[TOOL_SHAPE_TEXT], found[TOOL_SHAPE_TEXT];
    if (tool_same_shape(&info->shape, &j->input))
        return PTF_OK;
    return tool_error(err, PTF_ARGUMENT,
                      "%s: expected an input %s, got %s; give --resize or "
                      "--crop, or --slide for all windows of a larger image",
                      info->name, tool_shape_text(&j->input, expected),
                      tool_shape_text(&info->shape, found));
}

/* What is known of an image; its label is a class of the network. */
static ptf_status find_info(const job *j, int64_t index, ptf_image_info *out,
                            ptf_error *err)
{
    ptf_status status = ptf_images_info(j->run->images, index, out, err);
    if (status == PTF_OK)
        out->label = run_label(j->run->names, out->label);
    return status;
}

/* The net's usual input, or else what the first image is. */
static ptf_status find_input(job *j, ptf_error *err)
{
    ptf_image_info info;
    ptf_status status = ptf_images_info(j->run->images, 0, &info, err);
    if (status != PTF_OK)
        return status;
    j->input = j->run->net->has_input ? j->run->net->input : info.shape;
    return check_shape(j, &info, err);
}

static ptf_status find_output(job *j, ptf_error *err)
{
    char text[TOOL_SHAPE_TEXT];
    const run_options *o = j->run->options;
    j->output = ptf_plan_output(j->plan, 0);
    j->out_size = ptf_shape_numel(&j->output);
    if (j->out_size == j->output.dim[0]) {
        j->classes = j->out_size;
        return run_names_match(j->run->names, j->classes, o->quiet, err);
    }
    if (o->npy != NULL || o->expect != NULL)
        return PTF_OK;
    return tool_error(err, PTF_ARGUMENT,
                      "%s: expected an output for each class, got a map of "
                      "%s; give --npy FILE, or --slide",
                      o->source.path, tool_shape_text(&j->output, text));
}

static void choose_rows(job *j)
{
    const run_options *o = j->run->options;
    if (o->top > 0)
        j->top = o->top;
    else if (j->count <= MANY || o->json)
        j->top = j->count <= FEW ? TOP : 1;
    if (j->top > j->classes)
        j->top = j->classes;
}

static ptf_status allocate(job *j, ptf_error *err)
{
    size_t classes = (size_t)j->classes + 1;
    j->in = calloc((size_t)(j->batch * j->in_size), sizeof(float));
    j->out = calloc((size_t)(j->batch * j->out_size), sizeof(float));
    j->share = calloc(classes, sizeof(float));
    j->order = calloc(classes, sizeof(*j->order));
    j->tallies = calloc(classes, sizeof(*j->tallies));
    return j->in != NULL && j->out != NULL && j->share != NULL &&
                   j->order != NULL && j->tallies != NULL
               ? PTF_OK
               : tool_error(err, PTF_MEMORY, "out of memory");
}

static ptf_status create_npy(job *j, ptf_error *err)
{
    int64_t shape[PTF_SHAPE_MAX + 1] = {j->count};
    for (int d = 0; d < j->output.rank; d++)
        shape[d + 1] = j->output.dim[d];
    const char *path = j->run->options->npy;
    return path != NULL
               ? ptf_npy_create(path, j->output.rank + 1, shape, &j->npy, err)
               : PTF_OK;
}

static ptf_status prepare(job *j, ptf_error *err)
{
    const run_options *o = j->run->options;
    ptf_plan_options how = {.threads = (int)o->threads, .inspect = true};
    ptf_status status = find_input(j, err);
    if (status != PTF_OK)
        return status;
    j->count = ptf_images_count(j->run->images);
    j->batch = o->batch > 0 ? o->batch : BATCH;
    j->batch = j->count < j->batch ? j->count : j->batch;
    j->in_size = ptf_shape_numel(&j->input);
    j->shares = !ends_in_softmax(j->run->net->net) || o->has_beta;
    status = ptf_plan_make(j->run->net->net, &j->input, j->batch, &how,
                           &j->plan, err);
    if (status == PTF_OK)
        status = find_output(j, err);
    if (status != PTF_OK)
        return status;
    choose_rows(j);
    status = allocate(j, err);
    return status == PTF_OK ? create_npy(j, err) : status;
}

/* ------------------------------------------------------------------ ranking */

/* The best 'n' of j->order; equal scores keep the order of the classes. */
static void rank(job *j, const float *scores, int64_t n)
{
    for (int64_t k = 0; k < j->classes; k++)
        j->order[k] = k;
    for (int64_t i = 0; i < n; i++) {
        int64_t best = i;
        for (int64_t k = i + 1; k < j->classes; k++) {
            float a = scores[j->order[k]], b = scores[j->order[best]];
            if (run_better(a, b) ||
                (!run_better(b, a) && j->order[k] < j->order[best]))
                best = k;
        }
        int64_t class = j->order[best];
        memmove(&j->order[i + 1], &j->order[i],
                (size_t)(best - i) * sizeof(*j->order));
        j->order[i] = class;
    }
}

static ptf_status count_image(job *j, const ptf_image_info *info,
                              ptf_error *err)
{
    if (info->label < 0)
        return PTF_OK;
    if (info->label >= j->classes)
        return tool_error(
            err, PTF_ARGUMENT, "%s: expected a label below %lld, got %lld",
            info->name, (long long)j->classes, (long long)info->label);
    int64_t near = j->classes < TOP ? j->classes : TOP;
    for (int64_t i = 0; i < near; i++)
        j->near += j->order[i] == info->label;
    bool right = j->order[0] == info->label;
    j->known++;
    j->right += right;
    j->tallies[info->label].images++;
    j->tallies[info->label].right += right;
    j->tallies[j->order[0]].predicted++;
    return PTF_OK;
}

/* -------------------------------------------------------------------- text */

enum { LABEL_WIDTH = 12, CLASS_WIDTH = 16, SHARE_WIDTH = 10, NU_WIDTH = 14 };

/* What the other columns leave for the images' names. */
static int name_width(const job *j)
{
    enum { MOST = 30, RANK_AND_SCORE = 5 + CLASS_WIDTH + 1 + 12 };
    int room = TOOL_COLUMNS - 1 - RANK_AND_SCORE -
               (j->labelled ? LABEL_WIDTH + 1 : 0) -
               (j->shares ? SHARE_WIDTH + 1 : 0) -
               (j->run->options->has_beta ? NU_WIDTH + 1 : 0);
    return room < MOST ? room : MOST;
}

static void print_head(const job *j)
{
    printf("%-*s ", name_width(j), "image");
    if (j->labelled)
        printf("%-*s ", LABEL_WIDTH, "label");
    printf("%4s %-*s %12s", "rank", CLASS_WIDTH, "class", "score");
    if (j->shares)
        printf(" %*s", SHARE_WIDTH, "share");
    if (j->run->options->has_beta)
        printf(" %*s", NU_WIDTH, "nu");
    putchar('\n');
}

static void print_column(const char *name, int columns)
{
    tool_print_name(stdout, name, columns);
    putchar(' ');
}

/* Towards beta 0 nu grows without bound. */
static bool diverges(const job *j, double nu)
{
    return !(j->run->options->beta > 0) && isinf(nu) && nu > 0;
}

static void print_image(const job *j, const ptf_image_info *info,
                        const float *scores, double nu)
{
    char text[24];
    for (int64_t i = 0; i < j->top; i++) {
        int64_t class = j->order[i];
        print_column(i == 0 ? info->name : "", name_width(j));
        if (j->labelled)
            print_column(i > 0 ? ""
                         : info->label >= 0
                             ? run_name(j->run->names, info->label, text)
                             : "-",
                         LABEL_WIDTH);
        printf("%4lld ", (long long)i + 1);
        print_column(run_name(j->run->names, class, text), CLASS_WIDTH);
        printf("%12.6g", (double)scores[class]);
        if (j->shares)
            printf(" %*.6f", SHARE_WIDTH, (double)j->share[class]);
        if (j->run->options->has_beta && i == 0 && diverges(j, nu))
            printf(" %*s", NU_WIDTH, "diverges");
        else if (j->run->options->has_beta && i == 0)
            printf(" %*.9g", NU_WIDTH, nu);
        putchar('\n');
    }
}

static double percent(int64_t part, int64_t whole)
{
    return whole > 0 ? 100.0 * (double)part / (double)whole : 0.0;
}

static void print_accuracy(const job *j)
{
    char a[32], b[32], text[24];
    if (j->known == 0)
        return;
    printf("%s%s of %s images right: %.2f %%", j->top > 0 ? "\n" : "",
           tool_count_text(j->right, a), tool_count_text(j->known, b),
           percent(j->right, j->known));
    if (j->classes > TOP)
        printf(", among the best %d: %.2f %%", TOP, percent(j->near, j->known));
    printf("\n\n%-16s %9s %9s %9s %9s\n", "class", "images", "right", "%",
           "predicted");
    for (int64_t k = 0; k < j->classes; k++) {
        const tally *t = &j->tallies[k];
        if (t->images + t->predicted == 0)
            continue;
        print_column(run_name(j->run->names, k, text), CLASS_WIDTH);
        printf("%9lld %9lld %9.2f %9lld\n", (long long)t->images,
               (long long)t->right, percent(t->right, t->images),
               (long long)t->predicted);
    }
}

/* -------------------------------------------------------------------- JSON */

static void json_class(job *j, const char *key, int64_t class)
{
    char text[24], name[32];
    json_int(&j->json, key, class);
    snprintf(name, sizeof(name), "%s_name", key);
    const char *known = run_name(j->run->names, class, text);
    json_text(&j->json, name, known == text ? NULL : known);
}

static void json_image(job *j, const ptf_image_info *info, const float *scores,
                       double nu)
{
    tool_json *json = &j->json;
    json_open(json, NULL, '{');
    json_text(json, "image", info->name);
    if (info->label >= 0)
        json_class(j, "label", info->label);
    if (j->run->options->has_beta)
        json_number(json, "nu", nu);
    if (j->run->options->has_beta && diverges(j, nu))
        json_bool(json, "nu_diverges", true);
    json_open(json, "top", '[');
    for (int64_t i = 0; i < j->top; i++) {
        int64_t class = j->order[i];
        json_open(json, NULL, '{');
        json_class(j, "class", class);
        json_number(json, "score", (double)scores[class]);
        if (j->shares)
            json_number(json, "share", (double)j->share[class]);
        json_close(json, '}');
    }
    json_close(json, ']');
    json_close(json, '}');
}

static void json_start(job *j)
{
    const run_options *o = j->run->options;
    char shape[TOOL_SHAPE_TEXT];
    j->json.out = stdout;
    json_open(&j->json, NULL, '{');
    json_text(&j->json, "program", "ptfold run");
    json_text(&j->json, "version", ptf_version());
    json_text(&j->json, "checkpoint", o->source.path);
    json_text(&j->json, "key", ptf_net_key(j->run->net->net, NULL, NULL));
    json_text(&j->json, "network", ptf_net_name(j->run->net->net));
    tool_json_assumption(&j->json, j->run->net->net, NULL);
    json_text(&j->json, "input", tool_shape_text(&j->input, shape));
    json_text(&j->json, "output", tool_shape_text(&j->output, shape));
    json_text(&j->json, "isa", ptf_isa_name());
    if (o->has_beta)
        json_number(&j->json, "beta", o->beta);
    json_open(&j->json, "images", '[');
}

static void json_end(job *j)
{
    tool_json *json = &j->json;
    json_close(json, ']');
    if (j->known > 0) {
        json_int(json, "labelled", j->known);
        json_int(json, "right", j->right);
        json_int(json, "among_best_5", j->near);
        json_open(json, "classes", '[');
        for (int64_t k = 0; k < j->classes; k++) {
            json_open(json, NULL, '{');
            json_class(j, "class", k);
            json_int(json, "images", j->tallies[k].images);
            json_int(json, "right", j->tallies[k].right);
            json_int(json, "predicted", j->tallies[k].predicted);
            json_close(json, '}');
        }
        json_close(json, ']');
    }
    const char *message;
    json_open(json, "left_out", '[');
    for (size_t i = 0;
         (message = ptf_images_left_out(j->run->images, i)) != NULL; i++)
        json_text(json, NULL, message);
    json_close(json, ']');
    tool_json_finite(json, j->run->finite);
    json_text(json, "npy", run_is_void(j->run) ? NULL : j->run->options->npy);
    if (j->run->expect != NULL)
        tool_expect_json(json, "recorded", j->run->expect);
    json_close(json, '}');
}

/* ------------------------------------------------------------------ running */

/* Nothing is printed before the first images are known to be sound. */
static ptf_status start_report(job *j, ptf_error *err)
{
    ptf_image_info info;
    ptf_status status = find_info(j, 0, &info, err);
    if (status != PTF_OK)
        return status;
    j->labelled = info.label >= 0;
    if (j->run->options->json)
        json_start(j);
    else if (j->top > 0)
        print_head(j);
    return PTF_OK;
}

static ptf_status report_image(job *j, int64_t index, const float *scores,
                               ptf_error *err)
{
    ptf_image_info info;
    double nu = 0;
    ptf_status status = find_info(j, index, &info, err);
    if (status != PTF_OK || j->classes == 0)
        return status;
    int64_t best = j->classes < TOP ? j->classes : TOP;
    rank(j, scores, j->top > best ? j->top : best);
    status = count_image(j, &info, err);
    if (j->top == 0 || status != PTF_OK)
        return status;
    double beta = j->run->options->beta;
    status = ptf_softmax(beta, scores, (size_t)j->classes, j->share, err);
    if (status == PTF_OK)
        status = ptf_log_sum_exp(beta, scores, (size_t)j->classes, &nu, err);
    if (status == PTF_OK && j->json.out != NULL)
        json_image(j, &info, scores, nu);
    else if (status == PTF_OK)
        print_image(j, &info, scores, nu);
    return status;
}

static ptf_status read_batch(job *j, int64_t first, int64_t n, ptf_error *err)
{
    ptf_status status = PTF_OK;
    for (int64_t i = 0; i < n && status == PTF_OK; i++) {
        ptf_image_info info;
        status = ptf_images_info(j->run->images, first + i, &info, err);
        if (status == PTF_OK)
            status = check_shape(j, &info, err);
        if (status == PTF_OK)
            status = ptf_images_read(j->run->images, first + i,
                                     j->in + i * j->in_size, err);
    }
    return status;
}

static ptf_status run_batch(job *j, int64_t first, int64_t n, ptf_error *err)
{
    ptf_status status = read_batch(j, first, n, err);
    if (status == PTF_OK)
        status = ptf_plan_run(j->plan, j->in, n, j->out, err);
    if (status == PTF_OK)
        status = tool_finite_layer(j->run->finite, ptf_plan_not_finite(j->plan),
                                   err);
    if (status == PTF_OK && j->npy != NULL)
        status = ptf_sink_write(j->npy, j->out,
                                (size_t)(n * j->out_size) * sizeof(float), err);
    if (status == PTF_OK && first == 0)
        status = start_report(j, err);
    for (int64_t i = 0; i < n && status == PTF_OK; i++)
        status = report_image(j, first + i, j->out + i * j->out_size, err);
    return status;
}

/* Results going by on a terminal are progress enough: a bar would mar them. */
static bool shows_results(const job *j)
{
    return j->top > 0 && isatty(STDOUT_FILENO);
}

static ptf_status run_all(job *j, ptf_error *err)
{
    tool_progress progress;
    ptf_status status = PTF_OK;
    tool_progress_start(&progress, "running", "images",
                        shows_results(j) ? 0 : j->count);
    for (int64_t i = 0; i < j->count && status == PTF_OK; i += j->batch) {
        int64_t left = j->count - i;
        status = run_batch(j, i, left < j->batch ? left : j->batch, err);
        tool_progress_at(&progress, i + j->batch);
    }
    tool_progress_end(&progress);
    status = tool_net_unchanged(j->run->net, status, err);
    if (status == PTF_OK && j->npy != NULL && !run_is_void(j->run)) {
        status = ptf_sink_commit(j->npy, err);
        j->npy = NULL;
    }
    if (status != PTF_OK)
        return status;
    if (j->json.out != NULL)
        json_end(j);
    else
        print_accuracy(j);
    return PTF_OK;
}

ptf_status run_classify(const run *r, ptf_error *err)
{
    job j = {.run = r};
    ptf_status status = prepare(&j, err);
    if (status == PTF_OK)
        status = run_all(&j, err);
    ptf_sink_abort(j.npy);
    ptf_plan_free(j.plan);
    free(j.in);
    free(j.out);
    free(j.share);
    free(j.order);
    free(j.tallies);
    return status;
}
