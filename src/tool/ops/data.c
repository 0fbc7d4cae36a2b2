/*
 * Counts as JSON, CSV and Markdown: every number in full.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/ops/ops.h"

#include <stddef.h>

/* The numbers of a count, in the order of the columns. */
static const struct {
    const char *name;
    size_t at;
} columns[] = {
    {"parameters", offsetof(ptf_count, parameters)},
    {"multiplications", offsetof(ptf_count, forward.multiplications)},
    {"additions", offsetof(ptf_count, forward.additions)},
    {"others", offsetof(ptf_count, forward.others)},
    {"macs", offsetof(ptf_count, forward.macs)},
    {"conventional", offsetof(ptf_count, conventional)},
    {"input_bytes", offsetof(ptf_count, input_bytes)},
    {"output_bytes", offsetof(ptf_count, output_bytes)},
    {"weight_bytes", offsetof(ptf_count, weight_bytes)},
    {"input_gradient_multiplications",
     offsetof(ptf_count, input_gradient.multiplications)},
    {"input_gradient_additions", offsetof(ptf_count, input_gradient.additions)},
    {"input_gradient_others", offsetof(ptf_count, input_gradient.others)},
    {"input_gradient_macs", offsetof(ptf_count, input_gradient.macs)},
    {"parameter_gradient_multiplications",
     offsetof(ptf_count, parameter_gradient.multiplications)},
    {"parameter_gradient_additions",
     offsetof(ptf_count, parameter_gradient.additions)},
    {"parameter_gradient_macs", offsetof(ptf_count, parameter_gradient.macs)},
};

enum { COLUMNS = sizeof(columns) / sizeof(columns[0]) };

static int64_t number(const ptf_count *count, size_t column)
{
    int64_t value;
    memcpy(&value, (const char *)count + columns[column].at, sizeof(value));
    return value;
}

/* --------------------------------------------------------------------- JSON */

static void json_numbers(tool_json *j, const ptf_count *count)
{
    char shape[TOOL_SHAPE_TEXT];
    json_text(j, "input", tool_shape_text(&count->input, shape));
    json_text(j, "output", tool_shape_text(&count->output, shape));
    for (size_t i = 0; i < COLUMNS; i++)
        json_int(j, columns[i].name, number(count, i));
    json_number(j, "operations_per_byte", ptf_count_intensity(count));
}

static void json_classes(tool_json *j, const ops_net *net)
{
    json_open(j, "shares", '[');
    for (int i = 0; i < OPS_CLASSES; i++) {
        const ptf_count *c = &net->classes[i];
        json_open(j, NULL, '{');
        json_text(j, "of", ops_class_names[i]);
        json_int(j, "parameters", c->parameters);
        json_number(j, "parameters_percent",
                    ops_percent(c->parameters, net->total.parameters));
        json_int(j, "conventional", c->conventional);
        json_number(j, "conventional_percent",
                    ops_percent(c->conventional, net->total.conventional));
        json_int(j, "gradient_macs", ops_gradient_macs(c));
        json_close(j, '}');
    }
    json_close(j, ']');
}

static void json_net(tool_json *j, const ops_net *net)
{
    json_open(j, NULL, '{');
    json_text(j, "source", net->source);
    json_text(j, "network", net->total.name);
    tool_json_assumption(j, net->net.net, NULL);
    json_open(j, "layers", '[');
    for (size_t i = 0; i < net->count; i++) {
        if (!ops_is_shown(net, i))
            continue;
        json_open(j, NULL, '{');
        json_text(j, "name", net->layers[i].name);
        json_text(j, "op", net->layers[i].op);
        json_numbers(j, &net->layers[i]);
        json_close(j, '}');
    }
    json_close(j, ']');
    json_open(j, "total", '{');
    json_numbers(j, &net->total);
    json_int(j, "most_bytes_of_a_layer", net->most_bytes);
    json_close(j, '}');
    json_classes(j, net);
    json_close(j, '}');
}

void ops_print_json(const ops_report *report)
{
    tool_json j = {.out = stdout};
    json_open(&j, NULL, '{');
    json_text(&j, "program", "ptfold ops");
    json_text(&j, "version", ptf_version());
    json_text(&j, "convention", report->convention->name);
    json_text(&j, "unit", report->convention->unit);
    json_int(&j, "batch", report->batch);
    json_open(&j, "networks", '[');
    for (int i = 0; i < report->net_count; i++)
        json_net(&j, &report->nets[i]);
    json_close(&j, ']');
    json_close(&j, '}');
}

/* ---------------------------------------------------------------------- CSV */

static void csv_row(const ops_net *net, const char *label,
                    const ptf_count *count)
{
    char input[TOOL_SHAPE_TEXT], output[TOOL_SHAPE_TEXT];
    tool_csv_text(net->source);
    putchar(',');
    tool_csv_text(label);
    printf(",%s,%s,%s", count->op, tool_shape_text(&count->input, input),
           tool_shape_text(&count->output, output));
    for (size_t i = 0; i < COLUMNS; i++)
        printf(",%lld", (long long)number(count, i));
    printf(",%.6g,", ptf_count_intensity(count));
    tool_csv_assumption(net->net.net);
    putchar('\n');
}

void ops_print_csv(const ops_report *report)
{
    printf("network,layer,op,input,output");
    for (size_t i = 0; i < COLUMNS; i++)
        printf(",%s", columns[i].name);
    printf(",operations_per_byte,assumes\n");
    for (int n = 0; n < report->net_count; n++) {
        const ops_net *net = &report->nets[n];
        for (size_t i = 0; i < net->count; i++) {
            if (ops_is_shown(net, i))
                csv_row(net, ops_label(&net->layers[i]), &net->layers[i]);
        }
        csv_row(net, "total", &net->total);
    }
}

/* ----------------------------------------------------------------- Markdown */

static void md_row(const ops_report *report, const char *label,
                   const ptf_count *c)
{
    char shape[TOOL_SHAPE_TEXT];
    const int64_t forward[] = {c->parameters,        c->forward.multiplications,
                               c->forward.additions, c->conventional,
                               c->output_bytes,      c->weight_bytes};
    printf("| %s | %s |", label, tool_shape_text(&c->output, shape));
    for (size_t i = 0; i < sizeof(forward) / sizeof(forward[0]); i++) {
        char text[32];
        printf(" %s |", tool_count_text(forward[i], text));
    }
    printf(" %.2f |", ptf_count_intensity(c));
    if (report->backward) {
        char input[32], parameter[32];
        printf(" %s | %s |", tool_count_text(c->input_gradient.macs, input),
               tool_count_text(c->parameter_gradient.macs, parameter));
    }
    putchar('\n');
}

static void md_shares(const ops_report *report, const ops_net *net)
{
    printf("\n| | parameters | | %s | |\n|---|--:|--:|--:|--:|\n",
           report->convention->unit);
    for (int i = 0; i < OPS_CLASSES; i++) {
        const ptf_count *c = &net->classes[i];
        char parameters[32], operations[32];
        printf("| %s | %s | %.2f %% | %s | %.2f %% |\n", ops_class_names[i],
               tool_count_text(c->parameters, parameters),
               ops_percent(c->parameters, net->total.parameters),
               tool_count_text(c->conventional, operations),
               ops_percent(c->conventional, net->total.conventional));
    }
}

void ops_print_md(const ops_report *report)
{
    for (int n = 0; n < report->net_count; n++) {
        const ops_net *net = &report->nets[n];
        char shape[TOOL_SHAPE_TEXT];
        printf("%s%s, input %s, batch %lld, convention %s\n\n",
               n > 0 ? "\n" : "", net->source,
               tool_shape_text(&net->total.input, shape),
               (long long)report->batch, report->convention->name);
        tool_print_assumption(net->net.net, NULL, stdout);
        printf("| layer | output | parameters | multiplications | additions | "
               "%s | activation bytes | weight bytes | operations per byte |",
               report->convention->unit);
        puts(report->backward ? " input gradient | parameter gradient |" : "");
        printf("|---|---|--:|--:|--:|--:|--:|--:|--:|");
        puts(report->backward ? "--:|--:|" : "");
        for (size_t i = 0; i < net->count; i++) {
            if (ops_is_shown(net, i))
                md_row(report, ops_label(&net->layers[i]), &net->layers[i]);
        }
        md_row(report, "total", &net->total);
        md_shares(report, net);
    }
}
