/*
 * The report of ptfold check as a text, 80 columns wide.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/check/check.h"

#include <math.h>

enum { NAME = 24 }; /* the first column of each table */

static const char *named(const char *name)
{
    return name == NULL ? "-" : name[0] != '\0' ? name : "(flatten)";
}

/* Levels as they fit a column: what counts is how far a layer gets. */
static const char *short_level(const ptf_layer_check *l, char text[64])
{
    if (l->level == PTF_CERTIFIED_WITHIN)
        snprintf(text, 64, "WITHIN %lld ULP", (long long)l->ulps);
    else
        tool_level_text(l->level, 0, text);
    return text;
}

static void print_layers(const ptf_check *check, FILE *out)
{
    ptf_layer_check l;
    char n[32], level[64];
    fprintf(out, "%-*s %-18s %9s %9s %14s\n", NAME, "layer", "verdict",
            "max |A-B|", "of max", "unequal");
    for (size_t i = 0; ptf_check_layer(check, i, &l); i++) {
        const ptf_difference *d = &l.difference;
        tool_print_name(out, named(l.name_b), NAME);
        fprintf(out, " %-18s %9.2e %9.2e %14s\n", short_level(&l, level),
                d->max_abs, d->max_ref > 0 ? d->max_abs / d->max_ref : 0,
                tool_count_text(d->unequal_bits, n));
    }
}

/* Parts of a difference, each by its largest magnitude. */
static void print_parts(const ptf_check *check, FILE *out)
{
    ptf_layer_check l;
    fprintf(out, "\n%-*s %10s %10s %10s %10s %10s\n", NAME, "of it",
            "parameters", "run of A", "run of B", "inherited", "radius");
    for (size_t i = 0; ptf_check_layer(check, i, &l); i++) {
        tool_print_name(out, named(l.name_b), NAME);
        fprintf(out, " %10.2e %10.2e %10.2e %10.2e %10.2e\n",
                l.parameter_effect, l.evaluation_a, l.evaluation_b, l.inherited,
                l.radius);
    }
}

/* The layers behind which the bound is many times wider, over their numbers,
 * than before them. */
static void print_growth(const ptf_check *check, FILE *out)
{
    enum { MOST = 5 };
    ptf_layer_check l, most[MOST] = {{.growth = 0}};
    for (size_t i = 0; ptf_check_layer(check, i, &l); i++)
        for (int k = 0; k < MOST; k++)
            if (l.growth > most[k].growth && l.growth < HUGE_VAL) {
                ptf_layer_check next = most[k];
                most[k] = l;
                l = next;
            }
    if (!(most[0].growth > 1))
        return;
    fprintf(out, "\n%-*s %10s %10s\n", NAME, "bound grows most in", "times",
            "to");
    for (int k = 0; k < MOST && most[k].growth > 1; k++) {
        tool_print_name(out, named(most[k].name_b), NAME);
        fprintf(out, " %10.3g %10.2e\n", most[k].growth, most[k].radius);
    }
}

/* The bins of a distance in ULPs, some of them together. */
static const struct {
    const char *label;
    int last; /* bin */
} columns[] = {
    {"0", 0}, {"1", 1}, {"2", 2}, {"3-4", 3}, {"more", PTF_ULP_BINS - 1}};
enum { COLUMNS = sizeof(columns) / sizeof(columns[0]) };

void check_print_bins(FILE *out, const int64_t ulps[PTF_ULP_BINS])
{
    char n[32];
    for (int i = 0, bin = 0; i < COLUMNS; i++) {
        int64_t count = 0;
        for (; bin <= columns[i].last; bin++)
            count += ulps[bin];
        fprintf(out, " %10s", tool_count_text(count, n));
    }
    fputc('\n', out);
}

void check_print_bin_labels(FILE *out, const char *what)
{
    fprintf(out, "\n%-*s", NAME, what);
    for (int i = 0; i < COLUMNS; i++)
        fprintf(out, " %10s", columns[i].label);
    fputc('\n', out);
}

/* Distances in ULPs, and the number that is furthest off. */
static void print_distances(const ptf_check *check, FILE *out)
{
    ptf_layer_check l;
    check_print_bin_labels(out, "ULPs between A and B");
    for (size_t i = 0; ptf_check_layer(check, i, &l); i++) {
        tool_print_name(out, named(l.name_b), NAME);
        check_print_bins(out, l.difference.ulps);
    }
    int64_t samples = ptf_check_verdict(check)->samples;
    fprintf(out, "\n%-*s %8s %10s %17s %17s\n", NAME, "furthest apart",
            "sample", "number", "A", "B");
    for (size_t i = 0; ptf_check_layer(check, i, &l); i++) {
        const ptf_difference *d = &l.difference;
        int64_t size = d->count / samples;
        if (!(d->max_abs > 0))
            continue;
        tool_print_name(out, named(l.name_b), NAME);
        fprintf(out, " %8lld %10lld %17a %17a\n", (long long)(d->worst / size),
                (long long)(d->worst % size), (double)d->worst_a,
                (double)d->worst_b);
    }
}

static void print_parameters(const ptf_check *check, FILE *out)
{
    ptf_parameter_check p;
    bool of_terms = false;
    check_print_bin_labels(out, "ULPs from the ideal");
    for (size_t i = 0; ptf_check_parameter(check, i, &p); i++) {
        tool_print_name(out, p.name, NAME);
        check_print_bins(out, p.ulps);
        of_terms = of_terms || p.ulps_of_terms;
    }
    if (of_terms)
        fprintf(out,
                "  biases made of batch norms: ULPs of the largest term of "
                "each\n");
    for (size_t i = 0; ptf_check_parameter(check, i, &p); i++) {
        if (p.wrong > 0)
            fprintf(out, "  %s[%lld]:\n    ideal %a, got %a\n", p.name,
                    (long long)p.worst, p.worst_ideal, (double)p.worst_found);
    }
}

static void print_first(const check_first *first, bool bisect, FILE *out)
{
    fprintf(out, "\nfirst layer\n");
    tool_print_row(out, "with another bit", "%s", named(first->bit));
    tool_print_row(out, "that is not certified", "%s", named(first->bound));
    tool_print_row(out, "beyond the tolerance", "%s", named(first->tolerance));
    if (bisect && first->own.name_b == NULL)
        tool_print_row(out, "on A's values", "-");
    else if (bisect)
        tool_print_row(
            out, "on A's values", "%s: %.3e apart, where rounding allows %.3e",
            named(first->own.name_b), first->own.own, first->own.own_bound);
}

static void print_file(const char *which, const char *sha256, const char *path,
                       FILE *out)
{
    fprintf(out, "  %-8s ", which);
    ptf_print_escaped(out, path, strlen(path));
    fprintf(out, "\n           %s\n", sha256);
}

static void print_rounded(const ptf_net *net, FILE *out)
{
    const char *first;
    size_t count = tool_net_rounded(net, &first);
    if (count > 0)
        tool_print_row(out, "  rounded",
                       "%zu of float64 to float32, the first: %s", count,
                       first);
}

static void print_evidence(const check_report *r, FILE *out)
{
    const check_evidence *e = &r->evidence;
    char n[32];
    fprintf(out, "\nevidence\n");
    print_file("A", e->sha256_a, e->path_a, out);
    print_rounded(r->a, out);
    print_file("B", e->sha256_b, e->path_b, out);
    print_rounded(r->b, out);
    fprintf(out, "  inputs   %s x %s, ", tool_count_text(e->samples, n),
            e->shapes);
    if (e->data != NULL)
        ptf_print_escaped(out, e->data, strlen(e->data));
    else if (strcmp(e->from, "sample") == 0)
        fprintf(out, "the sample inputs in A");
    else
        fprintf(out, "random, seed %lld", (long long)e->seed);
    if (e->left_out > 0)
        fprintf(out, "; %lld left out", (long long)e->left_out);
    putc('\n', out);
    fprintf(out, "           %s\n", e->sha256_inputs);
    fprintf(out, "  ptfold %s, %s, %lld threads\n", ptf_version(),
            ptf_isa_name(), (long long)e->threads);
    fprintf(out,
            "  tolerance, of outputs and layers: %g + %g * largest |A| of an "
            "input\n",
            e->atol, e->rtol);
}

void check_print_text(const check_report *r, FILE *out)
{
    const ptf_verdict *v = ptf_check_verdict(r->check);
    const check_result *found = &r->result;
    print_layers(r->check, out);
    print_parts(r->check, out);
    print_growth(r->check, out);
    print_distances(r->check, out);
    print_parameters(r->check, out);
    print_first(&found->first, r->bisect, out);
    fprintf(out, "\noutputs\n");
    tool_print_outputs(r->a, ptf_check_outputs(r->check), out);
    tool_print_verdict(v, out);
    tool_print_row(out, "smallest tolerance", "atol %.3e with rtol 0",
                   v->max_abs);
    tool_print_certificate(r->check, out);
    print_evidence(r, out);
    fprintf(out, "\nverdict: %s", found->verdict);
    tool_print_if(r->a, r->b, out);
    fprintf(out, ", required: %s: %s\n", check_require_name(r->require),
            found->met ? "met" : "NOT MET");
}
