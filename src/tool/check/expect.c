/*
 * ptfold check NET --expect: a network against recorded outputs.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/check/check.h"

static void print_text(const check_expect_options *o, const tool_net *net,
                       const tool_expect *e, const check_exact *exact)
{
    tool_print_file(o->network);
    printf("%s\n", ptf_net_name(net->net));
    if (o->exact)
        check_exact_print(exact, stdout);
    tool_expect_print(e, stdout);
}

static void print_json(const check_expect_options *o, const tool_net *net,
                       const tool_expect *e, const check_exact *exact)
{
    tool_json j = {.out = stdout};
    json_open(&j, NULL, '{');
    json_text(&j, "program", "ptfold check");
    json_text(&j, "version", ptf_version());
    json_text(&j, "checkpoint", o->network);
    json_text(&j, "network", ptf_net_name(net->net));
    tool_json_assumption(&j, net->net, NULL);
    json_text(&j, "inputs", o->data);
    json_text(&j, "isa", ptf_isa_name());
    json_bool(&j, "met", tool_expect_agrees(e));
    tool_expect_json(&j, "recorded", e);
    if (o->exact)
        check_exact_json(&j, exact);
    json_close(&j, '}');
}

/* One test for each array; without agreement one at least fails. */
static void print_junit(const tool_expect *e, FILE *out)
{
    ptf_expect_result r;
    char message[512];
    int tests = 0, failures = 0;
    for (size_t i = 0; ptf_expect_at(e->expect, i, &r); i++) {
        tests++;
        failures += tool_expect_fails(&r);
    }
    check_put_suite(out, tests, failures, e->net, NULL, NULL);
    for (size_t i = 0; ptf_expect_at(e->expect, i, &r); i++) {
        snprintf(message, sizeof(message),
                 "%s: %lld of %lld recorded outputs inside the limit %.3e, "
                 "largest distance %.3e%s%s",
                 ptf_agreement_name(r.agreement), (long long)r.inside,
                 (long long)r.numbers, r.limit, r.distance,
                 r.reason != NULL ? ": " : "",
                 r.reason != NULL ? r.reason : "");
        check_put_case(out, r.output ? "outputs" : r.layer,
                       tool_expect_fails(&r), message);
    }
    fputs("</testsuite>\n", out);
}

static ptf_status write_junit(const tool_expect *e, const char *path,
                              ptf_error *err)
{
    tool_text text;
    ptf_status status = tool_text_open(&text, err);
    if (status != PTF_OK)
        return status;
    print_junit(e, text.out);
    return tool_text_save(&text, path, err);
}

ptf_status check_expect(const check_expect_options *o, const tool_net *net,
                        const tool_inputs *inputs, bool *agrees, ptf_error *err)
{
    tool_expect e = {0};
    check_exact exact = {.known = {.bits = 0}};
    ptf_status status =
        tool_expect_run(o->expect, net->net, inputs, o->threads, &e, err);
    if (status == PTF_OK && o->exact)
        status = check_exact_run(o, &e, inputs, &exact, err);
    status = tool_net_unchanged(net, status, err);
    if (status == PTF_OK && o->junit != NULL)
        status = write_junit(&e, o->junit, err);
    if (status == PTF_OK) {
        *agrees = tool_expect_agrees(&e);
        (o->json ? print_json : print_text)(o, net, &e, &exact);
    }
    tool_expect_free(&e);
    return status;
}
