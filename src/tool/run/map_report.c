/*
 * What is said of a heat map: where windows lie, what each class scored.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/run/map.h"

enum { CLASS = 20 }; /* columns for the name of a class */

static void print_peak(const map_job *j, int64_t k)
{
    char text[24], n[32], at[TOOL_SHAPE_TEXT];
    const map_peak *p = &j->peaks[k];
    tool_print_name(stdout, run_name(j->run->names, k, text), CLASS);
    snprintf(at, sizeof(at), "(%lld, %lld)", (long long)p->row,
             (long long)p->column);
    printf(" %11s %12.6g  %-14s x %lld, y %lld\n", tool_count_text(p->won, n),
           (double)p->score, at, (long long)(p->column * j->slide.stride[1]),
           (long long)(p->row * j->slide.stride[0]));
}

/* The classes that won windows, or else all when there are few. */
static bool is_shown(const map_job *j, int64_t k)
{
    enum { FEW = 20 };
    return j->output.dim[0] <= FEW || j->peaks[k].won > 0 || k == j->class;
}

static void print_border(const ptf_slide *slide)
{
    char text[128];
    tool_line line = {stdout, 0};
    tool_print_wrapped(&line, "windows are not equal to crops:");
    tool_print_wrapped(&line, slide->blocker);
    tool_print_words(&line, slide->reason);
    snprintf(text, sizeof(text),
             "(features differ within %lld rows and %lld columns of a window's "
             "edges)",
             (long long)slide->border[0], (long long)slide->border[1]);
    tool_print_words(&line, slide->differs ? "(they differ everywhere)" : text);
    putchar('\n');
}

/* What the picture shows, and how. */
static void print_picture(const map_job *j)
{
    const run_options *o = j->run->options;
    char text[24];
    tool_print_file(o->map);
    printf("the %s of ", o->has_beta ? "share" : "score");
    tool_print_short(stdout,
                     j->class < 0 ? "the best class"
                                  : run_name(j->run->names, j->class, text),
                     CLASS);
    printf("\n    colours from %.6g to %.6g", j->picture.low, j->picture.high);
    if (o->overlay > 0)
        printf(", over the image\n");
    else
        printf(", %lld x %lld pixels a window\n", (long long)j->picture.scale,
               (long long)j->picture.scale);
}

void map_print_text(const map_job *j)
{
    const run_options *o = j->run->options;
    char shape[TOOL_SHAPE_TEXT];
    const int64_t *s = j->slide.stride, *w = j->picture.window;
    tool_print_file(o->inputs[0]);
    printf("%s\n", tool_shape_text(&j->image, shape));
    printf("%lld x %lld windows of %lld x %lld pixels (width x height)\n"
           "window (row i, column j) begins at pixel x = %lld j, y = %lld i\n",
           (long long)j->output.dim[2], (long long)j->output.dim[1],
           (long long)w[1], (long long)w[0], (long long)s[1], (long long)s[0]);
    if (j->slide.blocker != NULL)
        print_border(&j->slide);
    printf("\n%-*s %11s %12s  %-14s at pixel\n", CLASS, "class", "windows won",
           "best score", "at window");
    for (int64_t k = 0; k < j->output.dim[0]; k++) {
        if (is_shown(j, k))
            print_peak(j, k);
    }
    if (o->map != NULL || o->npy != NULL)
        putchar('\n');
    if (run_is_void(j->run)) {
        printf("no file is written (--strict)\n");
        return;
    }
    if (o->map != NULL)
        print_picture(j);
    if (o->npy != NULL) {
        tool_print_file(o->npy);
        printf("%s\n", tool_shape_text(&j->output, shape));
    }
}

static void json_pair(tool_json *json, const char *key, int64_t y, int64_t x)
{
    json_open(json, key, '[');
    json_int(json, NULL, y);
    json_int(json, NULL, x);
    json_close(json, ']');
}

static void json_peaks(const map_job *j, tool_json *json)
{
    char text[24];
    json_open(json, "classes", '[');
    for (int64_t k = 0; k < j->output.dim[0]; k++) {
        const char *name = run_name(j->run->names, k, text);
        json_open(json, NULL, '{');
        json_int(json, "class", k);
        json_text(json, "class_name", name == text ? NULL : name);
        json_int(json, "windows_won", j->peaks[k].won);
        json_number(json, "best_score", (double)j->peaks[k].score);
        json_pair(json, "window", j->peaks[k].row, j->peaks[k].column);
        json_close(json, '}');
    }
    json_close(json, ']');
}

void map_print_json(const map_job *j)
{
    const run_options *o = j->run->options;
    char shape[TOOL_SHAPE_TEXT];
    tool_json json = {.out = stdout};
    json_open(&json, NULL, '{');
    json_text(&json, "program", "ptfold run");
    json_text(&json, "version", ptf_version());
    json_text(&json, "checkpoint", o->source.path);
    json_text(&json, "key", ptf_net_key(j->run->net->net, NULL, NULL));
    json_text(&json, "network", ptf_net_name(j->run->net->net));
    tool_json_assumption(&json, j->run->net->net, NULL);
    json_text(&json, "image", o->inputs[0]);
    json_text(&json, "input", tool_shape_text(&j->image, shape));
    json_text(&json, "output", tool_shape_text(&j->output, shape));
    json_text(&json, "isa", ptf_isa_name());
    json_pair(&json, "window", j->picture.window[0], j->picture.window[1]);
    json_pair(&json, "stride", j->slide.stride[0], j->slide.stride[1]);
    json_bool(&json, "windows_equal_crops", j->slide.blocker == NULL);
    json_text(&json, "windows_differ_because", j->slide.reason);
    json_pair(&json, "border", j->slide.border[0], j->slide.border[1]);
    json_peaks(j, &json);
    tool_json_finite(&json, j->run->finite);
    json_text(&json, "map", run_is_void(j->run) ? NULL : o->map);
    json_int(&json, "map_class", j->class);
    json_text(&json, "map_shows", o->has_beta ? "share" : "score");
    json_number(&json, "map_low", j->picture.low);
    json_number(&json, "map_high", j->picture.high);
    json_text(&json, "npy", run_is_void(j->run) ? NULL : o->npy);
    json_close(&json, '}');
}
