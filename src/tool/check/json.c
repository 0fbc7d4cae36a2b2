/*
 * The report of ptfold check as JSON and for CI servers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/check/check.h"

/* -------------------------------------------------------------------- JSON */

void check_json_ulps(tool_json *j, const int64_t ulps[PTF_ULP_BINS])
{
    json_open(j, "ulps", '{');
    for (int i = 0; i < PTF_ULP_BINS; i++)
        json_int(j, ptf_ulp_label(i), ulps[i]);
    json_close(j, '}');
}

static void json_layer(tool_json *j, const ptf_layer_check *l, bool bisect)
{
    const ptf_difference *d = &l->difference;
    char level[64];
    json_open(j, NULL, '{');
    json_text(j, "a", l->name_a);
    json_text(j, "b", l->name_b);
    json_text(j, "op", l->op);
    json_text(j, "level", tool_level_text(l->level, l->ulps, level));
    json_int(j, "numbers", d->count);
    json_int(j, "unequal_bits", d->unequal_bits);
    json_int(j, "not_finite", d->not_finite);
    json_int(j, "beyond_tolerance", d->beyond_tolerance);
    json_number(j, "max_abs", d->max_abs);
    json_number(j, "max_ref", d->max_ref);
    json_number(j, "sum_squares", d->sum_squares);
    check_json_ulps(j, d->ulps);
    json_int(j, "worst", d->worst);
    json_hex(j, "worst_a", (double)d->worst_a);
    json_hex(j, "worst_b", (double)d->worst_b);
    json_number(j, "radius", l->radius);
    json_number(j, "growth", l->growth);
    json_int(j, "function_apart", l->function_apart);
    json_int(j, "runs_beyond", l->runs_beyond);
    json_number(j, "parameter_effect", l->parameter_effect);
    json_number(j, "evaluation_a", l->evaluation_a);
    json_number(j, "evaluation_b", l->evaluation_b);
    json_number(j, "inherited", l->inherited);
    if (bisect) {
        json_number(j, "own", l->own);
        json_number(j, "own_bound", l->own_bound);
        json_int(j, "own_apart", l->own_apart);
    }
    json_close(j, '}');
}

static void json_parameter(tool_json *j, const ptf_parameter_check *p)
{
    json_open(j, NULL, '{');
    json_text(j, "name", p->name);
    json_int(j, "numbers", p->count);
    json_int(j, "open", p->open);
    json_int(j, "wrong", p->wrong);
    json_int(j, "beyond", p->beyond);
    check_json_ulps(j, p->ulps);
    json_int(j, "worst", p->worst);
    json_int(j, "worst_ulps", p->worst_ulps);
    json_text(j, "ulps_unit", tool_ulps_unit(p->ulps_of_terms));
    json_hex(j, "worst_ideal", p->worst_ideal);
    json_hex(j, "worst_found", (double)p->worst_found);
    json_close(j, '}');
}

static void json_evidence(tool_json *j, const check_report *r)
{
    const check_evidence *e = &r->evidence;
    json_open(j, "evidence", '{');
    json_text(j, "a", e->path_a);
    json_text(j, "a_sha256", e->sha256_a);
    json_text(j, "a_key", e->key_a);
    json_text(j, "b", e->path_b);
    json_text(j, "b_sha256", e->sha256_b);
    json_text(j, "b_key", e->key_b);
    tool_json_rounded(j, "a_rounded_to_float32", r->a);
    tool_json_rounded(j, "b_rounded_to_float32", r->b);
    json_text(j, "inputs", e->from);
    json_text(j, "inputs_sha256", e->sha256_inputs);
    json_text(j, "input", e->shapes);
    json_int(j, "samples", e->samples);
    json_int(j, "left_out", e->left_out);
    json_int(j, "seed", e->seed);
    json_number(j, "atol", e->atol);
    json_number(j, "rtol", e->rtol);
    json_text(j, "isa", ptf_isa_name());
    json_int(j, "threads", e->threads);
    json_text(j, "version", ptf_version());
    json_close(j, '}');
}

void check_print_json(const check_report *r, FILE *out)
{
    tool_json j = {.out = out};
    ptf_layer_check layer;
    ptf_parameter_check parameter;
    const check_first *first = &r->result.first;
    json_open(&j, NULL, '{');
    json_text(&j, "program", "ptfold check");
    json_text(&j, "required", check_require_name(r->require));
    json_bool(&j, "met", r->result.met);
    tool_json_assumption(&j, r->a, r->b);
    tool_json_verdict(&j, "verdict", ptf_check_verdict(r->check),
                      r->result.verdict);
    tool_json_outputs(&j, "outputs", r->a, ptf_check_outputs(r->check));
    tool_json_certificate(&j, "certificate", r->check);
    json_text(&j, "first_bit", first->bit);
    json_text(&j, "first_beyond_bound", first->bound);
    json_text(&j, "first_beyond_tolerance", first->tolerance);
    if (r->bisect)
        json_text(&j, "first_by_itself", first->own.name_b);
    json_open(&j, "layers", '[');
    for (size_t i = 0; ptf_check_layer(r->check, i, &layer); i++)
        json_layer(&j, &layer, r->bisect);
    json_close(&j, ']');
    json_open(&j, "parameters", '[');
    for (size_t i = 0; ptf_check_parameter(r->check, i, &parameter); i++)
        json_parameter(&j, &parameter);
    json_close(&j, ']');
    json_evidence(&j, r);
    json_close(&j, '}');
}

/* ------------------------------------------------------------------- JUnit */

/* XML has no controls, not even as references, and nothing but UTF-8. */
static void put_xml(FILE *out, const char *text)
{
    size_t size = text != NULL ? strlen(text) : 0;
    for (size_t i = 0, n; i < size; i += n) {
        int32_t code;
        bool shown;
        n = ptf_character(text + i, size - i, &code, &shown);
        if (code == '<' || code == '>' || code == '&' || code == '"' ||
            (!shown && code >= 0x80 && code != 0xfffe && code != 0xffff))
            fprintf(out, "&#%ld;", (long)code);
        else if (shown)
            fwrite(text + i, 1, n, out);
        else
            putc('?', out);
    }
}

static void put_property(FILE *out, const char *name, const char *value)
{
    fprintf(out, "    <property name=\"%s\" value=\"", name);
    put_xml(out, value);
    fputs("\"/>\n", out);
}

/* What is known of the outputs of two nets, beyond the verdict. */
static void put_bounds(FILE *out, const ptf_certificate *c)
{
    char text[64];
    for (int kind = 0; kind <= PTF_PREDICTION_DIFFERENT; kind++) {
        char name[64];
        snprintf(name, sizeof(name), "predictions.%s",
                 ptf_prediction_name((ptf_prediction)kind));
        snprintf(text, sizeof(text), "%lld", (long long)c->predictions[kind]);
        put_property(out, name, text);
    }
    snprintf(text, sizeof(text), "%lld", (long long)c->bounded);
    put_property(out, "bounded", text);
    snprintf(text, sizeof(text), "%.3e", c->relative);
    if (c->bounded > 0)
        put_property(out, "radius_of_largest", text);
}

void check_put_suite(FILE *out, int tests, int failures, const ptf_net *a,
                     const ptf_net *b, const ptf_certificate *certificate)
{
    char text[TOOL_ASSUMPTION];
    const char *assumption = tool_assumption(a, b, text);
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", out);
    fprintf(out,
            "<testsuite name=\"ptfold check\" tests=\"%d\" failures=\"%d\">\n",
            tests, failures);
    if (assumption == NULL && certificate == NULL)
        return;
    fputs("  <properties>\n", out);
    if (assumption != NULL)
        put_property(out, "assumes", assumption);
    if (certificate != NULL)
        put_bounds(out, certificate);
    fputs("  </properties>\n", out);
}

void check_put_case(FILE *out, const char *name, bool failed,
                    const char *message)
{
    fputs("  <testcase classname=\"ptfold.check\" name=\"", out);
    put_xml(out, name);
    if (!failed) {
        fputs("\"/>\n", out);
        return;
    }
    fputs("\"><failure message=\"", out);
    put_xml(out, message);
    fputs("\"/></testcase>\n", out);
}

/*
 * Where the outputs are not what they must be, a layer fails that is worse than
 * that, too.
 */
static bool layer_fails(const check_report *r, const ptf_layer_check *l)
{
    static const ptf_level most[REQUIRE_COUNT] = {
        [REQUIRE_BITWISE] = PTF_LEVEL_BITWISE,
        [REQUIRE_CERTIFIED] = PTF_LEVEL_CERTIFIED,
        [REQUIRE_ARGMAX] = PTF_LEVEL_WITHIN_TOLERANCE,
        [REQUIRE_TOLERANCE] = PTF_LEVEL_WITHIN_TOLERANCE,
    };
    bool allowed = l->level == PTF_CERTIFIED_WITHIN && r->allow_ulps;
    return !r->result.met && l->level > most[r->require] &&
           !(allowed && r->require == REQUIRE_CERTIFIED);
}

void check_print_junit(const check_report *r, FILE *out)
{
    const check_result *found = &r->result;
    const ptf_certificate *c = &found->certificate;
    ptf_layer_check layer;
    char message[512], level[64];
    int tests = 1, failures = !found->met;
    for (size_t i = 0; ptf_check_layer(r->check, i, &layer); i++) {
        tests++;
        failures += layer_fails(r, &layer);
    }
    check_put_suite(out, tests, failures, r->a, r->b, c);
    snprintf(message, sizeof(message), "verdict %s, required %s%s%s%s%s",
             found->verdict, check_require_name(r->require),
             c->reason != NULL ? ": " : "", c->layer != NULL ? c->layer : "",
             c->layer != NULL ? " " : "", c->reason != NULL ? c->reason : "");
    check_put_case(out, "outputs", !found->met, message);
    for (size_t i = 0; ptf_check_layer(r->check, i, &layer); i++) {
        const char *name = layer.name_b[0] != '\0' ? layer.name_b : "flatten";
        snprintf(message, sizeof(message), "%s, largest difference %.3e",
                 tool_level_text(layer.level, layer.ulps, level),
                 layer.difference.max_abs);
        check_put_case(out, name, layer_fails(r, &layer), message);
    }
    fputs("</testsuite>\n", out);
}
