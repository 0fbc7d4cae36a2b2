/*
 * A network that slides over a larger image: rows of the image come in, rows
 * of scores go out, and neither is ever held as a whole.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/run/map.h"

#include <errno.h>
#include <math.h>

static ptf_status fail_memory(ptf_error *err)
{
    return tool_error(err, PTF_MEMORY, "out of memory");
}

/* ------------------------------------------------------------------ the net */

static bool has_linear(const ptf_net *net)
{
    bool found = false;
    for (size_t i = 0; i < ptf_net_layer_count(net); i++) {
        ptf_layer layer;
        ptf_net_layer(net, i, &layer);
        found = found || layer.kind == PTF_LAYER_LINEAR;
    }
    return found;
}

static ptf_status check_slide(const map_job *j, ptf_error *err)
{
    const run_options *o = j->run->options;
    const ptf_slide *s = &j->slide;
    if (!s->any_size)
        return tool_error(err, PTF_UNSUPPORTED,
                          "%s: cannot run on a larger image: layer %s %s; "
                          "give --resize or --crop",
                          o->source.path, s->blocker, s->reason);
    if (s->differs && !o->allow_border)
        return tool_error(
            err, PTF_UNSUPPORTED,
            "%s: windows would differ from crops, because a number that is "
            "made of all of the image goes into them (%s %s first); give "
            "--allow-border to accept that",
            o->source.path, s->blocker, s->reason);
    if (s->blocker != NULL && !o->allow_border)
        return tool_error(
            err, PTF_UNSUPPORTED,
            "%s: windows would differ from crops within %lld rows "
            "and %lld columns of their edges, because %s %s; give "
            "--allow-border to accept that",
            o->source.path, (long long)s->border[0], (long long)s->border[1],
            s->blocker, s->reason);
    return PTF_OK;
}

/* The net with which the plan works; its usual input is the window. */
static ptf_status find_net(map_job *j, const ptf_net **net, ptf_error *err)
{
    const tool_net *given = j->run->net;
    *net = given->net;
    if (!given->has_input || given->input.rank != 3)
        return tool_error(err, PTF_ARGUMENT,
                          "%s: the architecture does not say the size of a "
                          "window; give --input CxHxW",
                          j->run->options->source.path);
    ptf_status status = PTF_OK;
    if (has_linear(given->net))
        status = ptf_net_rewrite(given->net, ptf_rewrite_find("linear_to_conv"),
                                 &given->input, &j->slid, err);
    if (status != PTF_OK)
        return status;
    *net = j->slid != NULL ? j->slid : given->net;
    if (ptf_net_rewrite(*net, ptf_rewrite_find("any_size"), NULL, &j->freed,
                        NULL) == PTF_OK)
        *net = j->freed;
    status = ptf_net_slide(*net, &j->slide, err);
    return status == PTF_OK ? check_slide(j, err) : status;
}

static ptf_status find_class(map_job *j, ptf_error *err)
{
    const char *wanted = j->run->options->map_class;
    char text[24], hint[128];
    int64_t classes = j->output.dim[0];
    j->class = -1;
    if (wanted == NULL)
        return PTF_OK;
    tool_suggestion s = {.word = wanted, .prefix = "--class "};
    for (int64_t k = 0; k < classes; k++) {
        const char *name = run_name(j->run->names, k, text);
        char number[24];
        snprintf(number, sizeof(number), "%lld", (long long)k);
        if (strcmp(wanted, name) == 0 || strcmp(wanted, number) == 0)
            j->class = k;
        if (name != text)
            tool_suggest(&s, name);
    }
    if (j->class >= 0)
        return PTF_OK;
    return tool_error(err, PTF_ARGUMENT,
                      "--class: expected a class's name or its number below "
                      "%lld, got \"%s\"%s",
                      (long long)classes, wanted,
                      tool_suggestion_text(&s, hint));
}

static ptf_status find_image(map_job *j, ptf_error *err)
{
    ptf_image_info info;
    const ptf_shape *window = &j->run->net->input;
    if (ptf_images_count(j->run->images) != 1)
        return tool_error(err, PTF_ARGUMENT,
                          "--map, --slide: expected one image, got %lld",
                          (long long)ptf_images_count(j->run->images));
    ptf_status status = ptf_images_info(j->run->images, 0, &info, err);
    if (status != PTF_OK)
        return status;
    j->image = info.shape;
    for (int d = 0; d < 3; d++) {
        bool fits = d == 0 ? info.shape.dim[0] == window->dim[0]
                           : info.shape.dim[d] >= window->dim[d];
        if (!fits || info.shape.rank != 3) {
            char found[TOOL_SHAPE_TEXT], least[TOOL_SHAPE_TEXT];
            return tool_error(err, PTF_ARGUMENT,
                              "%s: expected an image of at least %s, got %s",
                              info.name, tool_shape_text(window, least),
                              tool_shape_text(&info.shape, found));
        }
    }
    return PTF_OK;
}

static ptf_status prepare(map_job *j, ptf_error *err)
{
    const ptf_net *net;
    ptf_plan_options how = {.threads = (int)j->run->options->threads,
                            .inspect = true};
    ptf_status status = find_net(j, &net, err);
    if (status == PTF_OK)
        status = find_image(j, err);
    if (status == PTF_OK)
        status = ptf_plan_make(net, &j->image, 1, &how, &j->plan, err);
    if (status != PTF_OK)
        return status;
    j->output = ptf_plan_output(j->plan, 0);
    j->by_rows = ptf_plan_stripe(j->plan) > 0;
    if (j->output.rank != 3)
        return tool_error(
            err, PTF_UNSUPPORTED,
            "%s: expected a network that gives a map on a larger "
            "image, got one that does not; give --resize or --crop",
            j->run->options->source.path);
    status = run_names_match(j->run->names, j->output.dim[0],
                             j->run->options->quiet, err);
    return status == PTF_OK ? find_class(j, err) : status;
}

/* ----------------------------------------------------------- rows of images */

/*
 * Keeps the rows that stripes share, and reads the others: afterwards rows
 * 'first' .. 'first + count - 1' are held.
 */
static ptf_status hold_rows(map_job *j, int64_t first, int64_t count,
                            ptf_error *err)
{
    int64_t channels = j->image.dim[0], width = j->image.dim[2];
    int64_t end = j->first + j->count;
    int64_t kept = end > first ? end - first : 0;
    if (count > j->room) {
        float *rows = realloc(j->rows, (size_t)(channels * count * width) * 4);
        float *fresh =
            realloc(j->fresh, (size_t)(channels * count * width) * 4);
        j->rows = rows != NULL ? rows : j->rows;
        j->fresh = fresh != NULL ? fresh : j->fresh;
        if (rows == NULL || fresh == NULL)
            return fail_memory(err);
        j->room = count;
    }
    /* New places: 'fresh' gets the kept rows, then the two change roles. */
    for (int64_t c = 0; c < channels && kept > 0; c++)
        memcpy(j->fresh + c * count * width,
               j->rows + (c * j->count + first - j->first) * width,
               (size_t)(kept * width) * sizeof(float));
    float *old = j->rows;
    j->rows = j->fresh;
    j->fresh = old;
    int64_t more = count - kept;
    ptf_status status = ptf_images_read_rows(j->run->images, 0, first + kept,
                                             more, j->fresh, err);
    for (int64_t c = 0; c < channels && status == PTF_OK; c++)
        memcpy(j->rows + (c * count + kept) * width,
               j->fresh + c * more * width,
               (size_t)(more * width) * sizeof(float));
    j->first = first;
    j->count = count;
    return status;
}

/* ---------------------------------------------------------- rows of scores */

/* Notes the classes' scores in a window; the class that the picture shows. */
static int64_t count_window(map_job *j, const float *at, int64_t plane,
                            int64_t row, int64_t column)
{
    int64_t best = 0;
    for (int64_t k = 0; k < j->output.dim[0]; k++) {
        map_peak *p = &j->peaks[k];
        if (run_better(at[k * plane], p->score)) {
            p->score = at[k * plane];
            p->row = row;
            p->column = column;
        }
        if (run_better(at[k * plane], at[best * plane]))
            best = k;
    }
    j->peaks[best].won++;
    return j->class >= 0 ? j->class : best;
}

/* What the picture shows of a class: its score, or with --beta its share. */
static ptf_status find_value(map_job *j, const float *at, int64_t plane,
                             int64_t class, float *out, ptf_error *err)
{
    int64_t classes = j->output.dim[0];
    *out = at[class * plane];
    if (!j->run->options->has_beta)
        return PTF_OK;
    for (int64_t k = 0; k < classes; k++)
        j->window[k] = at[k * plane];
    ptf_status status = ptf_softmax(j->run->options->beta, j->window,
                                    (size_t)classes, j->window + classes, err);
    *out = j->window[classes + class];
    return status;
}

static void widen_range(const float *values, int64_t count, double *low,
                        double *high)
{
    for (int64_t i = 0; i < count; i++) {
        double v = (double)values[i];
        if (!isfinite(v))
            continue;
        *low = v < *low ? v : *low;
        *high = v > *high ? v : *high;
    }
}

static ptf_status keep_values(map_job *j, ptf_error *err)
{
    size_t n = (size_t)j->output.dim[2];
    double low = j->picture.low, high = j->picture.high;
    widen_range(j->best, j->output.dim[2], &low, &high);
    j->picture.low = low;
    j->picture.high = high;
    if (fwrite(j->best, sizeof(float), n, j->values) != n)
        return tool_error(err, PTF_IO, "cannot write a temporary file: %s",
                          strerror(errno));
    return PTF_OK;
}

static ptf_status write_npy(map_job *j, int64_t row, int64_t stripe,
                            ptf_error *err)
{
    int64_t columns = j->output.dim[2], n = stripe * columns;
    ptf_status status = PTF_OK;
    for (int64_t k = 0; k < j->output.dim[0] && status == PTF_OK; k++)
        status = ptf_sink_write_at(
            j->npy, (k * j->output.dim[1] + row) * columns, j->scores + k * n,
            (size_t)n * sizeof(float), err);
    return status;
}

/* Row 'y' of the stripe in j->scores, which is row 'row' of the map. */
static ptf_status take_row(map_job *j, int64_t row, int64_t y, int64_t stripe,
                           ptf_error *err)
{
    int64_t columns = j->output.dim[2], plane = stripe * columns;
    ptf_status status = PTF_OK;
    for (int64_t x = 0; x < columns && status == PTF_OK; x++) {
        const float *at = j->scores + y * columns + x;
        int64_t class = count_window(j, at, plane, row, x);
        status = find_value(j, at, plane, class, &j->best[x], err);
    }
    return status == PTF_OK ? keep_values(j, err) : status;
}

/* The scores of these rows, or of all. */
static ptf_status score_rows(map_job *j, int64_t row, int64_t stripe,
                             ptf_error *err)
{
    int64_t first = 0, count = j->image.dim[1];
    ptf_status status = PTF_OK;
    if (j->by_rows)
        status = ptf_plan_rows(j->plan, row, stripe, &first, &count, err);
    if (status == PTF_OK)
        status = hold_rows(j, first, count, err);
    if (status != PTF_OK)
        return status;
    return j->by_rows ? ptf_plan_run_rows(j->plan, row, stripe, j->rows,
                                          j->scores, err)
                      : ptf_plan_run(j->plan, j->rows, 1, j->scores, err);
}

static ptf_status run_stripe(map_job *j, int64_t row, int64_t stripe,
                             ptf_error *err)
{
    ptf_status status = score_rows(j, row, stripe, err);
    if (status == PTF_OK)
        status = tool_finite_layer(j->run->finite, ptf_plan_not_finite(j->plan),
                                   err);
    if (status == PTF_OK && j->npy != NULL)
        status = write_npy(j, row, stripe, err);
    for (int64_t y = 0; y < stripe && status == PTF_OK; y++)
        status = take_row(j, row + y, y, stripe, err);
    return status;
}

/* Enough stripes to show progress, and to stop soon when interrupted. */
static int64_t stripe_rows(const map_job *j)
{
    enum { STRIPES = 50 };
    if (!j->by_rows)
        return j->output.dim[1];
    int64_t most = ptf_plan_stripe(j->plan);
    int64_t want = j->output.dim[1] / STRIPES;
    want = want < j->slide.stride[0] ? j->slide.stride[0] : want;
    int64_t window = j->run->net->input.dim[1] / j->slide.stride[0] + 1;
    want = want < window ? window : want; /* or they share too many rows */
    return want < most ? want : most;
}

static ptf_status allocate(map_job *j, int64_t stripe, ptf_error *err)
{
    size_t columns = (size_t)j->output.dim[2];
    size_t classes = (size_t)j->output.dim[0];
    j->scores = calloc(classes * (size_t)stripe * columns, sizeof(float));
    j->best = calloc(columns, sizeof(float));
    j->window = calloc(2 * classes, sizeof(float));
    j->peaks = calloc(classes, sizeof(*j->peaks));
    j->values = tmpfile();
    if (j->values == NULL)
        return tool_error(err, PTF_IO, "cannot make a temporary file: %s",
                          strerror(errno));
    if (j->scores == NULL || j->best == NULL || j->window == NULL ||
        j->peaks == NULL)
        return fail_memory(err);
    for (size_t k = 0; k < classes; k++)
        j->peaks[k].score = NAN;
    return PTF_OK;
}

static ptf_status run_rows(map_job *j, ptf_error *err)
{
    int64_t height = j->output.dim[1], stripe = stripe_rows(j);
    stripe = stripe < height ? stripe : height;
    j->picture = (run_picture){.rows = height,
                               .columns = j->output.dim[2],
                               .low = HUGE_VAL,
                               .high = -HUGE_VAL,
                               .image = j->image};
    for (int d = 0; d < 2; d++) {
        j->picture.window[d] = j->run->net->input.dim[d + 1];
        j->picture.stride[d] = j->slide.stride[d];
    }
    ptf_status status = allocate(j, stripe, err);
    tool_progress progress;
    tool_progress_start(&progress, "sliding", "rows", height);
    for (int64_t row = 0; row < height && status == PTF_OK; row += stripe) {
        int64_t left = height - row, count = left < stripe ? left : stripe;
        status = run_stripe(j, row, count, err);
        tool_progress_at(&progress, row + count);
    }
    tool_progress_end(&progress);
    j->picture.values = j->values;
    return status;
}

/* ------------------------------------------------------------------ command */

static ptf_status finish(map_job *j, ptf_error *err)
{
    if (!isfinite(j->picture.low)) /* not one number */
        j->picture.low = j->picture.high = 0;
    bool keeps = !run_is_void(j->run);
    ptf_status status = tool_net_unchanged(j->run->net, PTF_OK, err);
    if (status == PTF_OK && j->run->options->map != NULL && keeps)
        status = run_paint(j->run, &j->picture, err);
    if (status == PTF_OK && j->npy != NULL && keeps) {
        status = ptf_sink_commit(j->npy, err);
        j->npy = NULL;
    }
    if (status == PTF_OK)
        (j->run->options->json ? map_print_json : map_print_text)(j);
    return status;
}

ptf_status run_map(const run *r, ptf_error *err)
{
    map_job j = {.run = r};
    ptf_status status = prepare(&j, err);
    if (status == PTF_OK && r->options->npy != NULL)
        status = ptf_npy_create(r->options->npy, 3, j.output.dim, &j.npy, err);
    if (status == PTF_OK)
        status = run_rows(&j, err);
    if (status == PTF_OK)
        status = finish(&j, err);
    ptf_sink_abort(j.npy);
    ptf_plan_free(j.plan);
    ptf_net_free(j.freed);
    ptf_net_free(j.slid);
    if (j.values != NULL)
        fclose(j.values);
    free(j.rows);
    free(j.fresh);
    free(j.scores);
    free(j.best);
    free(j.window);
    free(j.peaks);
    return status;
}
