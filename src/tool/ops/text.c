/*
 * Counts for people: tables and bars of at most 80 columns.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/ops/ops.h"

#include <langinfo.h>
#include <locale.h>
#include <unistd.h>

/* ------------------------------------------------------------------- cells */

enum { NAME_WIDTH = 16, BAR_WIDTH = 36 };

/* The name's end where it is too long. */
static void print_name(const char *name)
{
    size_t size = strlen(name);
    if (size > NAME_WIDTH)
        printf("..%-*s", NAME_WIDTH - 2, name + size - (NAME_WIDTH - 2));
    else
        printf("%-*s", NAME_WIDTH, name);
}

static void print_count(int width, int64_t n)
{
    char text[32];
    printf(" %*s", width, n != 0 ? tool_count_text(n, text) : "-");
}

/* Three or four digits and a decimal prefix: "774.4 kB". */
static const char *bytes_text(int64_t bytes, char text[32])
{
    static const char *const units[] = {"B",  "kB", "MB", "GB",
                                        "TB", "PB", "EB"};
    double value = (double)bytes;
    size_t unit = 0;
    for (; value >= 999.95; unit++)
        value /= 1000.0;
    snprintf(text, 32, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
    return text;
}

static void print_bytes(int width, int64_t bytes)
{
    char text[32];
    printf(" %*s", width, bytes != 0 ? bytes_text(bytes, text) : "-");
}

/* ------------------------------------------------------------------- tables */

typedef void row_printer(const ops_report *report, const ops_net *net,
                         const char *label, const ptf_count *count);

static void print_operations(const ops_report *report, const ops_net *net,
                             const char *label, const ptf_count *c)
{
    (void)report;
    (void)net;
    char shape[TOOL_SHAPE_TEXT];
    print_name(label);
    printf(" %-12s", tool_shape_text(&c->output, shape));
    print_count(13, c->parameters);
    print_count(17, c->forward.multiplications);
    print_count(17, c->forward.additions);
    putchar('\n');
}

static void print_memory(const ops_report *report, const ops_net *net,
                         const char *label, const ptf_count *c)
{
    (void)report;
    print_name(label);
    print_count(17, c->conventional);
    printf(" %6.2f %%", ops_percent(c->conventional, net->total.conventional));
    print_bytes(12, c->output_bytes);
    print_bytes(12, c->weight_bytes);
    printf(" %9.2f\n", ptf_count_intensity(c));
}

/* Of layers with weights; the others' are in the JSON. */
static void print_gradients(const ops_report *report, const ops_net *net,
                            const char *label, const ptf_count *c)
{
    (void)report;
    (void)net;
    if (c->forward.macs == 0)
        return;
    print_name(label);
    print_count(17, c->forward.macs);
    print_count(20, c->input_gradient.macs);
    print_count(20, c->parameter_gradient.macs);
    putchar('\n');
}

static void print_table(const ops_report *report, const ops_net *net,
                        row_printer *print)
{
    for (size_t i = 0; i < net->count; i++) {
        if (ops_is_shown(net, i))
            print(report, net, ops_label(&net->layers[i]), &net->layers[i]);
    }
    print(report, net, "total", &net->total);
}

/* --------------------------------------------------------------------- bars */

typedef struct style {
    bool blocks, colour;
} style;

/* Blocks where the locale has them, colour on a terminal without NO_COLOR. */
static style find_style(void)
{
    const char *no_color = getenv("NO_COLOR");
    setlocale(LC_CTYPE, "");
    return (style){
        .blocks = strcmp(nl_langinfo(CODESET), "UTF-8") == 0,
        .colour = (no_color == NULL || no_color[0] == '\0') &&
                  isatty(STDOUT_FILENO) != 0,
    };
}

static void print_bar(style s, ops_class of, double percent)
{
    static const char *const colours[OPS_CLASSES] = {"\33[34m", "\33[33m",
                                                     "\33[90m"};
    static const char *const parts[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    int eighths = (int)(percent / 100.0 * BAR_WIDTH * 8 + 0.5);
    int cells = s.blocks ? eighths / 8 : (eighths + 4) / 8;
    if (cells + eighths % 8 == 0)
        return;
    printf(" %s", s.colour ? colours[of] : "");
    for (int i = 0; i < cells; i++)
        fputs(s.blocks ? "█" : "#", stdout);
    printf("%s%s", s.blocks ? parts[eighths % 8] : "",
           s.colour ? "\33[0m" : "");
}

static void print_share(style s, ops_class of, int64_t part, int64_t whole)
{
    double percent = ops_percent(part, whole);
    printf("  %-14s", ops_class_names[of]);
    print_count(17, part);
    printf(" %6.2f %%", percent);
    print_bar(s, of, percent);
    putchar('\n');
}

static void print_shares(const ops_report *report, const ops_net *net)
{
    style s = find_style();
    puts("\nparameters");
    for (int i = 0; i < OPS_CLASSES; i++)
        print_share(s, (ops_class)i, net->classes[i].parameters,
                    net->total.parameters);
    printf("%s (%s)\n", report->convention->unit, report->convention->name);
    for (int i = 0; i < OPS_CLASSES; i++)
        print_share(s, (ops_class)i, net->classes[i].conventional,
                    net->total.conventional);
    if (!report->backward)
        return;
    puts("multiply-adds of the gradients");
    for (int i = 0; i < OPS_CLASSES; i++)
        print_share(s, (ops_class)i, ops_gradient_macs(&net->classes[i]),
                    ops_gradient_macs(&net->total));
}

/* -------------------------------------------------------------------- whole */

static void print_title(const ops_report *report, const ops_net *net)
{
    char shape[TOOL_SHAPE_TEXT];
    tool_print_file(net->source);
    printf("%s, input %s, batch %lld\n", net->total.name,
           tool_shape_text(&net->total.input, shape), (long long)report->batch);
    tool_print_assumption(net->net.net, NULL, stdout);
}

static void print_backward(const ops_report *report, const ops_net *net)
{
    printf("\n%-*s %17s %20s %20s\n", NAME_WIDTH, "multiply-adds", "forward",
           "input gradient", "parameter gradient");
    print_table(report, net, print_gradients);
    if (net->total.forward.macs > 0)
        printf("gradients take %.3f times the multiply-adds of the forward "
               "pass\n",
               (double)ops_gradient_macs(&net->total) /
                   (double)net->total.forward.macs);
}

void ops_print_text(const ops_report *report)
{
    const ops_net *net = &report->nets[0];
    char all[32], most[32];
    print_title(report, net);
    printf("\n%-*s %-12s %13s %17s %17s\n", NAME_WIDTH, "layer", "output",
           "parameters", "multiplications", "additions");
    print_table(report, net, print_operations);
    printf("\n%-*s %17s %8s %12s %12s %9s\n", NAME_WIDTH, "layer",
           report->convention->unit, "share", "activations", "weights",
           "ops/byte");
    print_table(report, net, print_memory);
    printf("activations: %s in all, at most %s at a layer (input and output)\n",
           bytes_text(net->total.output_bytes, all),
           bytes_text(net->most_bytes, most));
    if (report->backward)
        print_backward(report, net);
    print_shares(report, net);
}

/* --------------------------------------------------------------- comparison */

static void print_change(const char *what, int64_t before, int64_t after)
{
    printf("%-*s", NAME_WIDTH + 8, what);
    print_count(17, before);
    print_count(17, after);
    if (before == after)
        printf(" %11s", "same");
    else if (before > 0)
        printf(" %+9.2f %%",
               100.0 * ((double)after - (double)before) / (double)before);
    putchar('\n');
}

static int64_t count_shown(const ops_net *net)
{
    int64_t count = 0;
    for (size_t i = 0; i < net->count; i++)
        count += ops_is_shown(net, i);
    return count;
}

static void compare_totals(const ops_report *report)
{
    const ops_net *nets = report->nets;
    const ptf_count *a = &nets[0].total, *b = &nets[1].total;
    printf("\n%-*s %17s %17s %11s\n", NAME_WIDTH + 8, "", "first", "second",
           "change");
    print_change("layers", count_shown(&nets[0]), count_shown(&nets[1]));
    print_change("parameters", a->parameters, b->parameters);
    print_change("multiplications", a->forward.multiplications,
                 b->forward.multiplications);
    print_change("additions", a->forward.additions, b->forward.additions);
    print_change("other operations", a->forward.others, b->forward.others);
    print_change(report->convention->unit, a->conventional, b->conventional);
    for (int i = 0; i < OPS_CLASSES; i++) {
        char what[64];
        snprintf(what, sizeof(what), "  of %s", ops_class_names[i]);
        print_change(what, nets[0].classes[i].conventional,
                     nets[1].classes[i].conventional);
    }
    print_change("activation bytes", a->output_bytes, b->output_bytes);
    print_change("  at most at a layer", nets[0].most_bytes,
                 nets[1].most_bytes);
    print_change("weight bytes", a->weight_bytes, b->weight_bytes);
    if (report->backward)
        print_change("multiply-adds, gradients", ops_gradient_macs(a),
                     ops_gradient_macs(b));
}

/* What rewrites remove; the layers around it have to find each other. */
static bool is_removable(const ptf_count *layer)
{
    return layer->kind == PTF_LAYER_BATCH_NORM || layer->kind == PTF_LAYER_VIEW;
}

static bool is_counterpart(const ptf_count *a, const ptf_count *b)
{
    return strcmp(a->op, b->op) == 0 ||
           (a->weight_bytes > 0 && b->weight_bytes > 0 && !is_removable(a) &&
            !is_removable(b));
}

static void compare_layer(const ptf_count *a, const ptf_count *b)
{
    const ptf_count *const sides[] = {a, b};
    print_name(ops_label(a != NULL ? a : b));
    for (int i = 0; i < 2; i++) {
        printf(" | %-11.11s", sides[i] != NULL ? sides[i]->op : "");
        print_count(15, sides[i] != NULL ? sides[i]->conventional : 0);
    }
    putchar('\n');
}

/* The next layer that is shown, or NULL. */
static const ptf_count *next_layer(const ops_net *net, size_t *at)
{
    while (*at < net->count && !ops_is_shown(net, *at))
        ++*at;
    return *at < net->count ? &net->layers[*at] : NULL;
}

static void compare_layers(const ops_report *report)
{
    const char *unit = report->convention->unit;
    printf("\n%-*s | %-11s %15s | %-11s %15s\n", NAME_WIDTH, "layer", "first",
           unit, "second", unit);
    size_t i = 0, j = 0;
    for (;;) {
        const ptf_count *a = next_layer(&report->nets[0], &i);
        const ptf_count *b = next_layer(&report->nets[1], &j);
        if (a == NULL && b == NULL)
            return;
        if (a != NULL && b != NULL && !is_counterpart(a, b)) {
            if (is_removable(b) && !is_removable(a))
                a = NULL;
            else
                b = NULL;
        }
        compare_layer(a, b);
        i += a != NULL;
        j += b != NULL;
    }
}

void ops_print_comparison(const ops_report *report)
{
    for (int i = 0; i < 2; i++) {
        fputs(i == 0 ? "first   " : "second  ", stdout);
        print_title(report, &report->nets[i]);
    }
    compare_totals(report);
    compare_layers(report);
}
