/*
 * Tables and JSON.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/common/tool.h"

#include <math.h>

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

const char *tool_shape_text(const ptf_shape *shape, char text[TOOL_SHAPE_TEXT])
{
    int n = 0;
    snprintf(text, TOOL_SHAPE_TEXT, "one number");
    for (int i = 0; i < shape->rank; i++)
        n += snprintf(text + n, TOOL_SHAPE_TEXT - (size_t)n, "%s%lld",
                      i > 0 ? "x" : "", (long long)shape->dim[i]);
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

/* -------------------------------------------------------------------- JSON */

/*
 * Nobody else writes to 'out' meanwhile, and a lock for each byte would take
 * half the time of a long listing.
 */
static void put_string(FILE *out, const char *text)
{
    size_t size = strlen(text);
    putc('"', out);
    for (size_t i = 0; i < size;) {
        char piece[16];
        unsigned char c = (unsigned char)text[i];
        if (c >= ' ' && c < 0x7f && c != '"' && c != '\\') {
            putc_unlocked(c, out);
            i++;
            continue;
        }
        i += ptf_json_character(text + i, size - i, piece);
        fputs(piece, out);
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

void json_hex(tool_json *j, const char *key, double value)
{
    char text[48];
    snprintf(text, sizeof(text), "%a", value);
    json_text(j, key, text);
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
    for (size_t i = 0; ptf_check_uncertified(check, i, &sample, &kind); i++) {
        json_open(j, NULL, '{');
        json_int(j, "sample", sample);
        json_text(j, "prediction", ptf_prediction_name(kind));
        json_close(j, '}');
    }
    json_close(j, ']');
}

const char *tool_ulps_unit(bool of_terms)
{
    return of_terms ? "largest term" : "parameter";
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
    json_int(j, "part", c->part);
    json_bool(j, "within", c->within);
    json_bool(j, "another_network", c->another);
    json_int(j, "max_ulps", c->max_ulps);
    json_int(j, "ulps", c->ulps);
    json_text(j, "ulps_parameter", c->ulps_name);
    json_int(j, "ulps_at", c->ulps_at);
    json_text(j, "ulps_unit", tool_ulps_unit(c->ulps_of_terms));
    json_int(j, "parameters", c->parameters);
    json_int(j, "parameters_open", c->parameters_open);
    json_int(j, "parameters_wrong", c->parameters_wrong);
    json_int(j, "parameters_beyond", c->parameters_beyond);
    json_int(j, "runs", c->runs);
    json_int(j, "runs_beyond", c->runs_beyond);
    json_int(j, "bounded", c->bounded);
    json_int(j, "bounded_in_fixed_point", c->bounded_fixed);
    json_int(j, "bits", c->bits);
    json_text(j, "no_fixed_point_because", c->unbounded);
    json_number(j, "radius", c->radius);
    json_number(j, "radius_of_largest", c->relative);
    json_number(j, "bound_wanted", c->goal);
    json_number(j, "largest", c->largest);
    json_number(j, "parameter_effect", c->parameter_effect);
    json_number(j, "evaluation_a", c->evaluation_a);
    json_number(j, "evaluation_b", c->evaluation_b);
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
