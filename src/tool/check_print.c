/*
 * The report of ptfold check as a text.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/check.h"

#include <math.h>

static const char *named(const char *name)
{
    return name == NULL ? "-" : name[0] != '\0' ? name : "(flatten)";
}

/* Parts of a difference, each by its largest magnitude. */
static void print_layers(const ptf_check *check, FILE *out)
{
    ptf_layer_check l;
    char n[32];
    fprintf(out, "%-16s %-16s %9s %9s %10s %9s %9s %9s %9s %9s\n", "layer",
            "verdict", "max |A-B|", "of max", "unequal", "weights", "run of A",
            "run of B", "inherited", "radius");
    for (size_t i = 0; ptf_check_layer(check, i, &l); i++) {
        const ptf_difference *d = &l.difference;
        double of_max = d->max_ref > 0 ? d->max_abs / d->max_ref : 0;
        fprintf(out,
                "%-16s %-16s %9.2e %9.2e %10s %9.2e %9.2e %9.2e %9.2e %9.2e\n",
                named(l.name_b), ptf_level_name(l.level), d->max_abs, of_max,
                tool_count_text(d->unequal_bits, n), l.weight_rounding,
                l.evaluation_a, l.evaluation_b, l.inherited, l.radius);
    }
}

static void print_bins(FILE *out, const int64_t ulps[PTF_ULP_BINS])
{
    char n[32];
    for (int i = 0; i < PTF_ULP_BINS; i++)
        fprintf(out, " %11s", tool_count_text(ulps[i], n));
    fputc('\n', out);
}

static void print_bin_labels(FILE *out, const char *what)
{
    fprintf(out, "\n%-24s", what);
    for (int i = 0; i < PTF_ULP_BINS; i++)
        fprintf(out, " %11s", ptf_ulp_label(i));
    fputc('\n', out);
}

/* Distances in ULPs, and the number that is furthest off. */
static void print_distances(const ptf_check *check, FILE *out)
{
    ptf_layer_check l;
    print_bin_labels(out, "ULPs between A and B");
    for (size_t i = 0; ptf_check_layer(check, i, &l); i++) {
        fprintf(out, "%-24s", named(l.name_b));
        print_bins(out, l.difference.ulps);
    }
    int64_t samples = ptf_check_verdict(check)->samples;
    fprintf(out, "\nfurthest apart\n");
    for (size_t i = 0; ptf_check_layer(check, i, &l); i++) {
        const ptf_difference *d = &l.difference;
        int64_t size = d->count / samples;
        if (d->max_abs > 0)
            fprintf(out, "  %-16s sample %lld, number %lld: A %a, B %a\n",
                    named(l.name_b), (long long)(d->worst / size),
                    (long long)(d->worst % size), (double)d->worst_a,
                    (double)d->worst_b);
    }
}

static void print_parameters(const ptf_check *check, FILE *out)
{
    ptf_parameter_check p;
    print_bin_labels(out, "ULPs from the ideal");
    for (size_t i = 0; ptf_check_parameter(check, i, &p); i++) {
        fprintf(out, "%-24s", p.name);
        print_bins(out, p.ulps);
    }
    for (size_t i = 0; ptf_check_parameter(check, i, &p); i++) {
        if (p.wrong > 0)
            fprintf(out, "  %s[%lld]: ideal %a, found %a\n", p.name,
                    (long long)p.worst, p.worst_ideal, (double)p.worst_found);
    }
}

static void print_first(const ptf_check *check, FILE *out)
{
    check_first first = check_find_first(check);
    fprintf(out,
            "\nfirst layer with another bit %s, beyond what is proved %s, "
            "beyond the tolerance %s\n",
            named(first.bit), named(first.bound), named(first.tolerance));
}

static void print_evidence(const check_report *r, FILE *out)
{
    const check_evidence *e = &r->evidence;
    char shape[64], n[32];
    fprintf(out, "\nevidence\n");
    fprintf(out, "  A        %s %s\n", e->sha256_a, e->path_a);
    fprintf(out, "  B        %s %s\n", e->sha256_b, e->path_b);
    fprintf(out, "  inputs   %s %s", e->sha256_inputs,
            tool_count_text(e->samples, n));
    fprintf(out, " x %s, ", tool_shape_text(&e->input, shape));
    if (e->data != NULL)
        fprintf(out, "%s\n", e->data);
    else
        fprintf(out, "random, seed %lld\n", (long long)e->seed);
    fprintf(out,
            "  ptfold %s, %s, %lld threads, atol %g, rtol %g, pairs by %s\n",
            ptf_version(), ptf_isa_name(), (long long)e->threads, e->atol,
            e->rtol, r->from_log ? "B's log" : "order, kind and shape");
}

void check_print_text(const check_report *r, FILE *out)
{
    const ptf_verdict *v = ptf_check_verdict(r->check);
    print_layers(r->check, out);
    print_distances(r->check, out);
    print_parameters(r->check, out);
    print_first(r->check, out);
    fprintf(out, "\noutputs\n");
    tool_print_verdict(v, out);
    fprintf(out, "  smallest tolerance    atol %.3e with rtol 0\n", v->max_abs);
    tool_print_certificate(r->check, out);
    print_evidence(r, out);
    fprintf(out, "\nverdict: %s, required: %s: %s\n",
            ptf_level_name(ptf_check_level(r->check)),
            check_require_name(r->require), r->met ? "met" : "NOT MET");
}
