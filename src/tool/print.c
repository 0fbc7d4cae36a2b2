/*
 * Tables and JSON.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/tool.h"

#include <math.h>
#include <stdarg.h>

const char *tool_count_text(int64_t n, char text[32])
{
    char digits[24];
    int size = snprintf(digits, sizeof(digits), "%lld", (long long)n);
    char *p = text;
    for (int i = 0; i < size; i++) {
        *p++ = digits[i];
        if ((size - i) % 3 == 1 && i + 1 < size && digits[i] != '-')
            *p++ = ',';
    }
    *p = '\0';
    return text;
}

bool tool_same_shape(const ptf_shape *a, const ptf_shape *b)
{
    bool same = a->rank == b->rank;
    for (int i = 0; i < a->rank && same; i++)
        same = a->dim[i] == b->dim[i];
    return same;
}

const char *tool_shape_text(const ptf_shape *shape, char text[64])
{
    int n = 0;
    for (int i = 0; i < shape->rank; i++)
        n += snprintf(text + n, 64 - (size_t)n, "%s%lld", i > 0 ? "x" : "",
                      (long long)shape->dim[i]);
    return text;
}

int64_t tool_picture_scale(int64_t height, int64_t width)
{
    enum { SEEN = 256 };
    int64_t side = height > width ? height : width;
    return side < SEEN ? SEEN / side : 1;
}

/* ------------------------------------------------------------------ layers */

/* Those of one kind; with NULL for it, all. */
static int64_t count_layers(const ptf_net *net, const char *op)
{
    int64_t count = 0;
    for (size_t i = 0; i < ptf_net_layer_count(net); i++) {
        ptf_layer layer;
        ptf_net_layer(net, i, &layer);
        count +=
            layer.name[0] != '\0' && (op == NULL || strcmp(layer.op, op) == 0);
    }
    return count;
}

static int64_t count_parameters(const ptf_net *net)
{
    int64_t count = 0;
    for (size_t i = 0; i < ptf_net_layer_count(net); i++) {
        ptf_layer layer;
        ptf_net_layer(net, i, &layer);
        count += layer.parameters;
    }
    return count;
}

static void print_row(FILE *out, const char *indent, const char *name,
                      int64_t before, int64_t after)
{
    char a[32], b[32];
    fprintf(out, "%s%-*s %14s %14s\n", indent, 20 - (int)strlen(indent), name,
            tool_count_text(before, a), tool_count_text(after, b));
}

/* Each kind of layer once, in the order of its first use in 'net'. */
static void print_kinds(const ptf_net *net, const ptf_net *skip,
                        const ptf_net *before, const ptf_net *after, FILE *out)
{
    for (size_t i = 0; i < ptf_net_layer_count(net); i++) {
        ptf_layer layer, earlier;
        ptf_net_layer(net, i, &layer);
        bool seen = layer.name[0] == '\0' ||
                    (skip != NULL && count_layers(skip, layer.op) > 0);
        for (size_t j = 0; j < i && !seen; j++) {
            ptf_net_layer(net, j, &earlier);
            seen = earlier.name[0] != '\0' && strcmp(earlier.op, layer.op) == 0;
        }
        if (!seen)
            print_row(out, "  ", layer.op, count_layers(before, layer.op),
                      count_layers(after, layer.op));
    }
}

void tool_print_layers(const ptf_net *before, const ptf_net *after, FILE *out)
{
    fprintf(out, "%-20s %14s %14s\n", "", "before", "after");
    print_row(out, "", "layers", count_layers(before, NULL),
              count_layers(after, NULL));
    print_kinds(before, NULL, before, after, out);
    print_kinds(after, before, before, after, out);
    print_row(out, "", "parameters", count_parameters(before),
              count_parameters(after));
    print_row(out, "", "tensors", (int64_t)ptf_net_tensor_count(before),
              (int64_t)ptf_net_tensor_count(after));
}

/* -------------------------------------------------------------------- rows */

void tool_print_row(FILE *out, const char *label, const char *fmt, ...)
{
    enum { COLUMN = 24, WIDTH = 80, MARGIN = 4 };
    char text[2048];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    fprintf(out, "  %-*s", COLUMN - 2, label);
    size_t column = COLUMN;
    const char *p = text;
    while (*p != '\0') {
        size_t word = strcspn(p, " \n");
        size_t margin = word > WIDTH - COLUMN ? MARGIN : COLUMN;
        bool first = p == text;
        bool fits = column + !first + word <= WIDTH;
        if (!fits || (!first && p[-1] == '\n')) {
            fprintf(out, "\n%*s", (int)margin, "");
            column = margin;
        } else if (!first) {
            putc(' ', out);
            column++;
        }
        ptf_print_escaped(out, p, word);
        column += word;
        p += word + (p[word] != '\0');
    }
    putc('\n', out);
}

void tool_print_name(FILE *out, const char *name, int width)
{
    int size = (int)strlen(name);
    const char *cut = "";
    if (size > width) {
        cut = "...";
        name += size - (width - 3);
        while (((unsigned char)*name & 0xc0) == 0x80) /* inside a character */
            name++;
        size = (int)strlen(name);
    }
    fputs(cut, out);
    ptf_print_escaped(out, name, (size_t)size);
    fprintf(out, "%*s", width - size - (int)strlen(cut), "");
}

const char *tool_level_text(ptf_level level, int64_t ulps, char text[64])
{
    if (level == PTF_CERTIFIED_WITHIN)
        snprintf(text, 64, "CERTIFIED WITHIN %lld ULP", (long long)ulps);
    else
        snprintf(text, 64, "%s", ptf_level_name(level));
    return text;
}

/* ----------------------------------------------------------------- remarks */

static void print_remarks(const ptf_net *net, bool left, const char *title,
                          FILE *out)
{
    char label[512];
    ptf_remark r;
    for (size_t i = 0; ptf_net_remark(net, i, &r); i++) {
        if (r.left != left)
            continue;
        if (title != NULL)
            fprintf(out, "\n%s\n", title);
        title = NULL;
        snprintf(label, sizeof(label), "%.400s (%s)", r.layer, r.op);
        bool wide = strlen(label) > 21;
        if (wide)
            fprintf(out, "  %s\n", label);
        tool_print_row(out, wide ? "" : label, "%s", r.text);
    }
}

void tool_print_remarks(const ptf_net *net, FILE *out)
{
    print_remarks(net, true, "left as they were", out);
    print_remarks(net, false, "note", out);
}

/* ----------------------------------------------------------------- verdict */

/* What the course allows per 100 images. */
static const double course_bar = 1e-8;

void tool_print_verdict(const ptf_verdict *v, FILE *out)
{
    char text[32];
    tool_print_row(out, "outputs compared", "%s",
                   tool_count_text(v->outputs, text));
    tool_print_row(out, "unequal bits", "%s",
                   tool_count_text(v->unequal_bits, text));
    if (v->not_finite > 0)
        tool_print_row(out, "NaN or infinite", "%s",
                       tool_count_text(v->not_finite, text));
    if (v->max_abs > 0)
        tool_print_row(out, "largest difference",
                       "%.3e at sample %lld, output %lld:\n%.9g (%a), %.9g "
                       "(%a)",
                       v->max_abs, (long long)v->worst_sample,
                       (long long)v->worst_output, (double)v->worst_a,
                       (double)v->worst_a, (double)v->worst_b,
                       (double)v->worst_b);
    else
        tool_print_row(out, "largest difference", "0");
    if (v->max_abs > 0 && v->max_ref > 0)
        tool_print_row(out, "of the largest output", "%.3e (%.6g)",
                       v->max_abs / v->max_ref, v->max_ref);
    tool_print_row(out, "most ||difference||^2",
                   "%.3e per 100 samples (%s the course's 1e-08)",
                   v->max_group_squares,
                   v->max_group_squares < course_bar ? "below" : "above");
    char undecided[48] = "", different[48] = "";
    if (v->argmax_undecided > 0)
        snprintf(undecided, sizeof(undecided), ", %lld undecided",
                 (long long)v->argmax_undecided);
    if (v->argmax_different > 0)
        snprintf(different, sizeof(different), ", %lld different",
                 (long long)v->argmax_different);
    tool_print_row(out, "arg max", "%lld of %lld agree%s%s",
                   (long long)v->argmax_equal, (long long)v->samples, undecided,
                   different);
}

/* "c1.weight[12], 2 ULP" or so: which of B's parameters is furthest off. */
static const char *worst_text(const ptf_certificate *c, char text[512])
{
    char n[32];
    if (c->ulps == INT64_MAX)
        snprintf(text, 512, "%.400s[%lld], without bound", c->ulps_name,
                 (long long)c->ulps_at);
    else
        snprintf(text, 512, "%.400s[%lld], %s ULP", c->ulps_name,
                 (long long)c->ulps_at, tool_count_text(c->ulps, n));
    return text;
}

static void print_reason(const ptf_certificate *c, FILE *out)
{
    char worst[512], n[32], m[32];
    tool_print_row(out, "no certificate", "%s%s%s",
                   c->layer != NULL ? c->layer : "",
                   c->layer != NULL ? " " : "", c->reason);
    if (c->within)
        tool_print_row(out, "but certified within",
                       "%lld ULP: all else holds; the worst is %s",
                       (long long)c->ulps, worst_text(c, worst));
    else if (c->another)
        tool_print_row(out, "another network",
                       "B's parameters are not those of a rewrite of A: %s of "
                       "%s are more than %lld ULP off, the worst %s",
                       tool_count_text(c->parameters_beyond, n),
                       tool_count_text(c->parameters, m),
                       (long long)c->max_ulps, worst_text(c, worst));
}

/* How many predictions of each kind, and which inputs are not certified. */
static void print_predictions(const ptf_check *check, const ptf_certificate *c,
                              FILE *out)
{
    enum { MOST = 8 };
    char n[32], text[MOST * 48] = "";
    int size = 0;
    for (int kind = 0; kind <= PTF_PREDICTION_DIFFERENT; kind++)
        size += snprintf(text + size, sizeof(text) - (size_t)size, "%s%s %s",
                         kind == 0 ? "" : ", ",
                         tool_count_text(c->predictions[kind], n),
                         ptf_prediction_name((ptf_prediction)kind));
    tool_print_row(out, "predictions", "%s", text);
    ptf_prediction kind;
    int64_t sample;
    size = 0;
    for (size_t i = 0; i <= MOST && ptf_check_open(check, i, &sample, &kind);
         i++) {
        if (i == MOST)
            snprintf(text + size, sizeof(text) - (size_t)size, ", ...");
        else
            size += snprintf(text + size, sizeof(text) - (size_t)size,
                             "%s%lld (%s)", i == 0 ? "samples " : ", ",
                             (long long)sample, ptf_prediction_name(kind));
    }
    if (size > 0)
        tool_print_row(out, "not certified", "%s", text);
}

void tool_print_certificate(const ptf_check *check, FILE *out)
{
    char n[32], m[32], open[64] = "";
    ptf_certificate certificate, *c = &certificate;
    ptf_check_certificate(check, c);
    if (c->parameters_open > 0)
        snprintf(open, sizeof(open), ",\n%s of them next to a tie",
                 tool_count_text(c->parameters_open, n));
    tool_print_row(out, "parameters", "%s of %s are the ideal ones rounded%s",
                   tool_count_text(c->parameters - c->parameters_wrong, n),
                   tool_count_text(c->parameters, m), open);
    tool_print_row(out, "original and ideal",
                   "%.3e apart as real functions, known to %.3e",
                   c->function_gap, c->radius);
    tool_print_row(
        out, c->parameters_wrong > 0 ? "B's parameters" : "rounding of weights",
        "moved the function by %.3e", c->parameter_effect);
    tool_print_row(out, "rounding in the runs",
                   "moved outputs by %.3e (original), %.3e", c->evaluation_a,
                   c->evaluation_b);
    tool_print_row(out, "layers' numbers", "%s of %s within their f32 bounds",
                   tool_count_text(c->runs - c->runs_beyond, n),
                   tool_count_text(c->runs, m));
    print_predictions(check, c, out);
    if (!c->holds)
        print_reason(c, out);
}

void tool_print_not_finite(const char *layer)
{
    if (layer != NULL && layer[0] == '\0')
        printf("\nan input has NaN or infinity\n");
    else if (layer != NULL)
        printf("\n%s gives NaN or infinity\n", layer);
}

/* -------------------------------------------------------------------- JSON */

/*
 * Controls are escaped, the 8-bit ones too: they steer terminals.  Nobody else
 * writes to 'out' meanwhile, and a lock for each byte would take half the time
 * of a long listing.
 */
static void put_string(FILE *out, const char *text)
{
    putc('"', out);
    for (const unsigned char *p = (const unsigned char *)text; *p != '\0';
         p++) {
        bool c1 = p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0;
        if (*p == '"' || *p == '\\')
            fprintf(out, "\\%c", *p);
        else if (*p < 0x20 || *p == 0x7f)
            fprintf(out, "\\u%04x", (unsigned)*p);
        else if (c1)
            fprintf(out, "\\u%04x", (unsigned)*++p);
        else
            putc_unlocked(*p, out);
    }
    putc('"', out);
}

/* The comma, the new line, and the key of the next member. */
static void put_member(tool_json *j, const char *key)
{
    if (j->depth > 0)
        fprintf(j->out, "%s\n%*s", j->first ? "" : ",", 2 * j->depth, "");
    j->first = false;
    if (key != NULL) {
        put_string(j->out, key);
        fputs(": ", j->out);
    }
}

void json_open(tool_json *j, const char *key, char bracket)
{
    put_member(j, key);
    putc(bracket, j->out);
    j->depth++;
    j->first = true;
}

void json_close(tool_json *j, char bracket)
{
    j->depth--;
    if (!j->first)
        fprintf(j->out, "\n%*s", 2 * j->depth, "");
    j->first = false;
    putc(bracket, j->out);
    if (j->depth == 0)
        putc('\n', j->out);
}

void json_text(tool_json *j, const char *key, const char *value)
{
    put_member(j, key);
    if (value == NULL)
        fputs("null", j->out);
    else
        put_string(j->out, value);
}

void json_int(tool_json *j, const char *key, int64_t value)
{
    put_member(j, key);
    fprintf(j->out, "%lld", (long long)value);
}

/* JSON has no NaN and no infinity; both become null. */
void json_number(tool_json *j, const char *key, double value)
{
    put_member(j, key);
    if (isfinite(value))
        fprintf(j->out, "%.17g", value);
    else
        fputs("null", j->out);
}

void json_bool(tool_json *j, const char *key, bool value)
{
    put_member(j, key);
    fputs(value ? "true" : "false", j->out);
}

static void json_predictions(tool_json *j, const ptf_check *check,
                             const ptf_certificate *c)
{
    for (int kind = 0; kind <= PTF_PREDICTION_DIFFERENT; kind++)
        json_int(j, ptf_prediction_name((ptf_prediction)kind),
                 c->predictions[kind]);
    ptf_prediction kind;
    int64_t sample;
    json_open(j, "not_certified", '[');
    for (size_t i = 0; ptf_check_open(check, i, &sample, &kind); i++) {
        json_open(j, NULL, '{');
        json_int(j, "sample", sample);
        json_text(j, "prediction", ptf_prediction_name(kind));
        json_close(j, '}');
    }
    json_close(j, ']');
}

void tool_json_certificate(tool_json *j, const char *key,
                           const ptf_check *check)
{
    ptf_certificate certificate, *c = &certificate;
    ptf_check_certificate(check, c);
    json_open(j, key, '{');
    json_bool(j, "holds", c->holds);
    json_text(j, "reason", c->reason);
    json_text(j, "layer", c->layer);
    json_bool(j, "within", c->within);
    json_bool(j, "another_network", c->another);
    json_int(j, "max_ulps", c->max_ulps);
    json_int(j, "ulps", c->ulps);
    json_text(j, "ulps_parameter", c->ulps_name);
    json_int(j, "ulps_at", c->ulps_at);
    json_int(j, "parameters", c->parameters);
    json_int(j, "parameters_open", c->parameters_open);
    json_int(j, "parameters_wrong", c->parameters_wrong);
    json_int(j, "parameters_beyond", c->parameters_beyond);
    json_number(j, "radius", c->radius);
    json_number(j, "function_gap", c->function_gap);
    json_int(j, "function_apart", c->function_apart);
    json_number(j, "parameter_effect", c->parameter_effect);
    json_number(j, "evaluation_a", c->evaluation_a);
    json_number(j, "evaluation_b", c->evaluation_b);
    json_int(j, "runs", c->runs);
    json_int(j, "runs_beyond", c->runs_beyond);
    json_predictions(j, check, c);
    json_close(j, '}');
}

void tool_json_verdict(tool_json *j, const char *key, const ptf_verdict *v,
                       const char *level)
{
    json_open(j, key, '{');
    json_text(j, "level", level);
    json_int(j, "samples", v->samples);
    json_int(j, "outputs", v->outputs);
    json_int(j, "unequal_bits", v->unequal_bits);
    json_int(j, "not_finite", v->not_finite);
    json_number(j, "max_abs", v->max_abs);
    json_number(j, "max_ref", v->max_ref);
    json_int(j, "worst_sample", v->worst_sample);
    json_int(j, "worst_output", v->worst_output);
    json_number(j, "worst_a", (double)v->worst_a);
    json_number(j, "worst_b", (double)v->worst_b);
    json_number(j, "max_squares_per_100", v->max_group_squares);
    json_int(j, "argmax_equal", v->argmax_equal);
    json_int(j, "argmax_undecided", v->argmax_undecided);
    json_int(j, "argmax_different", v->argmax_different);
    json_number(j, "atol", v->atol);
    json_number(j, "rtol", v->rtol);
    json_close(j, '}');
}

void tool_json_layers(tool_json *j, const char *key, const ptf_net *net)
{
    json_open(j, key, '[');
    for (size_t i = 0; i < ptf_net_layer_count(net); i++) {
        ptf_layer layer;
        ptf_net_layer(net, i, &layer);
        json_open(j, NULL, '{');
        json_text(j, "name", layer.name);
        json_text(j, "layer", layer.text);
        json_int(j, "parameters", layer.parameters);
        json_close(j, '}');
    }
    json_close(j, ']');
}

void tool_json_remarks(tool_json *j, const ptf_net *net)
{
    ptf_remark r;
    json_open(j, "remarks", '[');
    for (size_t i = 0; ptf_net_remark(net, i, &r); i++) {
        json_open(j, NULL, '{');
        json_text(j, "layer", r.layer);
        json_text(j, "op", r.op);
        json_bool(j, "left", r.left);
        json_text(j, "text", r.text);
        json_close(j, '}');
    }
    json_close(j, ']');
}

void tool_json_not_finite(tool_json *j, const char *layer)
{
    bool input = layer != NULL && layer[0] == '\0';
    json_bool(j, "input_not_finite", input);
    json_text(j, "not_finite_layer", input ? NULL : layer);
}
