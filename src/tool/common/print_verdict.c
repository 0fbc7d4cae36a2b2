/*
 * Rows of a report, and what verdicts and certificates say in them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/common/tool.h"

#include <stdarg.h>

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
        snprintf(text, 512, "%.400s[%lld], %s ULP%s", c->ulps_name,
                 (long long)c->ulps_at, tool_count_text(c->ulps, n),
                 c->ulps_of_terms ? " of its largest term" : "");
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
    for (size_t i = 0;
         i <= MOST && ptf_check_uncertified(check, i, &sample, &kind); i++) {
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

/* "1.2e-09 (1 of 8 inputs; fixed point of 153 bits)" and so on. */
static void print_known(const ptf_certificate *c, int64_t samples, FILE *out)
{
    char of[64] = "", bits[64] = "", n[32], m[32];
    if (c->bounded < samples)
        snprintf(of, sizeof(of), "%s of %s inputs",
                 tool_count_text(c->bounded, n), tool_count_text(samples, m));
    if (c->bounded_fixed > 0)
        snprintf(bits, sizeof(bits), "%s%sfixed point of %d bits",
                 c->bounded_fixed < c->bounded
                     ? tool_count_text(c->bounded_fixed, n)
                     : "",
                 c->bounded_fixed < c->bounded ? " in " : "", c->bits);
    bool both = of[0] != '\0' && bits[0] != '\0';
    bool any = of[0] != '\0' || bits[0] != '\0';
    tool_print_row(out, "exact outputs", "known to %.3e%s%s%s%s%s", c->radius,
                   any ? " (" : "", of, both ? "; " : "", bits, any ? ")" : "");
    if (c->relative > c->goal)
        tool_print_row(out, "bound", "%.3e of the largest output; wanted %.3e",
                       c->relative, c->goal);
}

/* How far outputs can be from the exact ones. */
static void print_bounds(const ptf_certificate *c, int64_t samples, FILE *out)
{
    bool wide = c->bounded == 0 || !(c->radius <= c->largest);
    if (wide && c->unbounded != NULL)
        tool_print_row(out, "exact outputs", "not bounded: %s", c->unbounded);
    else if (wide)
        tool_print_row(out, "exact outputs",
                       "not bounded: after so many layers the bounds on "
                       "rounding say nothing");
    if (wide)
        return;
    print_known(c, samples, out);
    tool_print_row(
        out, c->parameters_wrong > 0 ? "B's parameters" : "rounding of weights",
        "moved the function by %.3e", c->parameter_effect);
    tool_print_row(out, "rounding in the runs",
                   "moved outputs by %.3e (original), %.3e", c->evaluation_a,
                   c->evaluation_b);
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
    tool_print_row(out, "layers' numbers", "%s of %s within their f32 bounds",
                   tool_count_text(c->runs - c->runs_beyond, n),
                   tool_count_text(c->runs, m));
    print_bounds(c, ptf_check_verdict(check)->samples, out);
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
