/*
 * Rewrites by their names: what they would do, and doing it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/info/rewrites.h"

static ptf_level owed(ptf_promise promise)
{
    return promise == PTF_PROMISE_EXACT ? PTF_LEVEL_BITWISE
                                        : PTF_LEVEL_CERTIFIED;
}

/* ------------------------------------------------------------ what they do */

/* Layers of one net that the other has not: their number, and the first. */
typedef struct gone {
    size_t count;
    char first[64];
} gone;

/* Rewrites keep the order of layers, so that one walk tells. */
static gone find_gone(const ptf_net *before, const ptf_net *after, bool changed)
{
    gone out = {0};
    size_t k = 0, count = ptf_net_layer_count(after);
    for (size_t i = 0; i < ptf_net_layer_count(before); i++) {
        ptf_layer old, new;
        ptf_net_layer(before, i, &old);
        size_t at = k;
        while (at < count && (ptf_net_layer(after, at, &new),
                              strcmp(old.name, new.name) != 0))
            at++;
        bool found = at < count;
        k = found ? at + 1 : k;
        bool counts =
            changed ? found && strcmp(old.text, new.text) != 0 : !found;
        if (counts && out.count++ == 0)
            snprintf(out.first, sizeof(out.first), "%s", old.name);
    }
    return out;
}

static void print_gone(const gone *g, const char *what)
{
    if (g->count == 0)
        return;
    tool_line line = {stdout, printf("    %zu %s,", g->count, what)};
    tool_print_words(&line, g->count > 1 ? "the first:" : "it is");
    tool_print_wrapped(&line, g->first);
    putchar('\n');
}

static void json_gone(tool_json *j, const char *key, const gone *g)
{
    json_open(j, key, '{');
    json_int(j, "count", (int64_t)g->count);
    json_text(j, "first", g->count > 0 ? g->first : NULL);
    json_close(j, '}');
}

static void print_remarks(const ptf_net *net)
{
    size_t left = 0;
    ptf_remark remark;
    for (size_t i = 0; ptf_net_remark(net, i, &remark); i++) {
        if (!remark.left || left++ > 0)
            continue;
        tool_line line = {stdout, printf("    stays:")};
        tool_print_wrapped(&line, remark.layer);
        tool_print_words(&line, remark.text);
        putchar('\n');
    }
    if (left > 1)
        printf("    and %zu more stay\n", left - 1);
}

static void print_one(const tool_net *net, const ptf_rewrite *rewrite,
                      const ptf_net *after, const char *why)
{
    printf("%-22s requires %-10s %s\n", rewrite->name,
           ptf_level_name(owed(rewrite->promise)),
           after != NULL ? "applies" : "does not apply");
    if (after == NULL) {
        const char *reason = strstr(why, "nothing to rewrite: ");
        tool_line line = {stdout, printf("   ")};
        tool_print_words(&line, reason != NULL ? reason + 20 : why);
        putchar('\n');
        return;
    }
    gone g = find_gone(net->net, after, false);
    gone c = find_gone(net->net, after, true);
    print_gone(&g, g.count > 1 ? "layers go" : "layer goes");
    print_gone(&c,
               c.count > 1 ? "layers become others" : "layer becomes another");
    print_remarks(after);
}

static void json_one(tool_json *j, const tool_net *net,
                     const ptf_rewrite *rewrite, const ptf_net *after,
                     const char *why)
{
    json_open(j, NULL, '{');
    json_text(j, "rewrite", rewrite->name);
    json_text(j, "summary", rewrite->summary);
    json_text(j, "requires", ptf_level_name(owed(rewrite->promise)));
    json_bool(j, "applies", after != NULL);
    json_text(j, "reason", after != NULL ? NULL : why);
    if (after != NULL) {
        gone g = find_gone(net->net, after, false);
        gone c = find_gone(net->net, after, true);
        json_gone(j, "gone", &g);
        json_gone(j, "changed", &c);
        tool_json_remarks(j, after);
    }
    json_close(j, '}');
}

ptf_status tool_print_rewrites(const tool_net *net, bool json, ptf_error *err)
{
    const ptf_rewrite *rewrite;
    tool_json j = {.out = stdout};
    ptf_status status = PTF_OK;
    if (json)
        json_open(&j, NULL, '[');
    for (size_t i = 0;
         status == PTF_OK && (rewrite = ptf_rewrite_at(i)) != NULL; i++) {
        ptf_net *after = NULL;
        status =
            ptf_net_rewrite(net->net, rewrite,
                            net->has_input ? net->inputs : NULL, &after, err);
        if (status == PTF_MEMORY)
            return status;
        status = PTF_OK; /* the reason is printed */
        if (json)
            json_one(&j, net, rewrite, after, err->message);
        else
            print_one(net, rewrite, after, err->message);
        ptf_net_free(after);
    }
    if (json)
        json_close(&j, ']');
    return status;
}

/* ---------------------------------------------------------------- doing it */

enum { MOST = 16, NAME = 32 };

typedef struct rewriting {
    const tool_rewriting *how;
    tool_net net;
    const ptf_rewrite *rewrites[MOST];
    ptf_net *nets[MOST]; /* one after each */
    const ptf_net *last;
    int count, rounds; /* how many of them round */
    char verdict[64];
} rewriting;

static ptf_status find_one(const char *name, size_t size,
                           const ptf_rewrite **out, ptf_error *err)
{
    char text[NAME + 1], all[256];
    size_t used = 0;
    const ptf_rewrite *r;
    snprintf(text, sizeof(text), "%.*s", (int)size, name);
    *out = size <= NAME ? ptf_rewrite_find(text) : NULL;
    if (*out != NULL)
        return PTF_OK;
    for (size_t i = 0; (r = ptf_rewrite_at(i)) != NULL && used < sizeof(all);
         i++)
        used += (size_t)snprintf(all + used, sizeof(all) - used, "%s%s",
                                 i > 0 ? ", " : "", r->name);
    return tool_error(err, PTF_ARGUMENT,
                      "--rewrites: expected some of %s, got "
                      "\"%s\"",
                      all, text);
}

/* All names are known before the first rewrite. */
static ptf_status find_all(rewriting *r, ptf_error *err)
{
    ptf_status status = PTF_OK;
    const char *at = r->how->names;
    for (bool more = true; status == PTF_OK && more;) {
        size_t size = strcspn(at, ",");
        if (r->count == MOST)
            return tool_error(err, PTF_ARGUMENT,
                              "--rewrites: expected at most %d names", MOST);
        status = find_one(at, size, &r->rewrites[r->count], err);
        r->count += status == PTF_OK;
        more = at[size] == ',';
        at += size + more;
    }
    return status;
}

static ptf_status apply_all(rewriting *r, ptf_error *err)
{
    ptf_status status = PTF_OK;
    const ptf_shape *inputs = r->net.has_input ? r->net.inputs : NULL;
    r->last = r->net.net;
    for (int i = 0; status == PTF_OK && i < r->count; i++) {
        status =
            ptf_net_rewrite(r->last, r->rewrites[i], inputs, &r->nets[i], err);
        r->rounds += r->rewrites[i]->promise == PTF_PROMISE_ROUNDS;
        r->last = status == PTF_OK ? r->nets[i] : r->last;
    }
    return status;
}

/* What they owe together: each that rounds may add to what is off. */
static bool is_reached(const rewriting *r, ptf_level level,
                       const ptf_certificate *c)
{
    return r->rounds > 1   ? c->within
           : r->rounds > 0 ? c->holds
                           : c->holds && level == PTF_LEVEL_BITWISE;
}

static void required_text(const rewriting *r, char text[64])
{
    ptf_level level = r->rounds > 1   ? PTF_CERTIFIED_WITHIN
                      : r->rounds > 0 ? PTF_LEVEL_CERTIFIED
                                      : PTF_LEVEL_BITWISE;
    tool_level_text(level, TOOL_MAX_ULPS, text);
}

/* The result against the net, on the inputs in the file or random ones. */
static ptf_status judge(rewriting *r, bool *reached, ptf_error *err)
{
    const tool_choice choice = {.usual = 4, .seed = -1};
    ptf_check_options how = {.atol = TOOL_ATOL,
                             .rtol = TOOL_RTOL,
                             .max_ulps = TOOL_MAX_ULPS,
                             .bound = TOOL_BOUND};
    tool_inputs inputs = {0};
    ptf_check *check = NULL;
    ptf_status status = ptf_net_check_numbers(r->net.net, err);
    if (status == PTF_OK)
        status =
            tool_inputs_choose(&choice, &r->net, r->how->source, &inputs, err);
    if (status == PTF_OK)
        status =
            tool_check_make(r->net.net, r->last, &inputs, &how, &check, err);
    if (status == PTF_OK)
        status = tool_check(check, &inputs, err);
    if (status == PTF_OK) {
        ptf_level level = ptf_check_level(check);
        ptf_certificate certificate;
        ptf_check_certificate(check, &certificate);
        tool_level_text(level, certificate.ulps, r->verdict);
        *reached = is_reached(r, level, &certificate);
    }
    ptf_check_free(check);
    tool_inputs_free(&inputs);
    return status;
}

static void print_result(const rewriting *r, bool reached)
{
    const char *out = r->how->out;
    char level[64];
    required_text(r, level);
    if (r->how->json) {
        tool_json j = {.out = stdout};
        json_open(&j, NULL, '{');
        json_text(&j, "input", r->how->source->path);
        json_text(&j, "output", reached ? out : NULL);
        json_text(&j, "rewrites", r->how->names);
        json_text(&j, "verdict", r->verdict);
        json_text(&j, "required", level);
        tool_json_remarks(&j, r->last);
        json_close(&j, '}');
        return;
    }
    tool_print_remarks(r->last, stdout);
    printf("verdict: %s", r->verdict);
    tool_print_if(r->net.net, NULL, stdout);
    printf(" (required: %s)\n", level);
    tool_print_file(out);
    puts(reached ? "written" : "not written");
}

ptf_status tool_rewrite(const tool_rewriting *how, bool *reached,
                        ptf_error *err)
{
    rewriting r = {.how = how};
    *reached = false;
    ptf_status status = tool_net_open(how->source, &r.net, err);
    if (status == PTF_OK)
        status = find_all(&r, err);
    if (status == PTF_OK)
        status = apply_all(&r, err);
    if (status == PTF_OK)
        status = judge(&r, reached, err);
    if (status == PTF_OK && *reached)
        status = ptf_net_save(r.last, how->out, r.net.ckpt, NULL, err);
    if (status == PTF_OK)
        print_result(&r, *reached);
    for (int i = r.count - 1; i >= 0; i--)
        ptf_net_free(r.nets[i]);
    tool_net_close(&r.net);
    return status;
}
