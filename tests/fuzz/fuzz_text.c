/*
 * Fuzzes the reader of print(model) texts and the rewrites of graphs without
 * numbers.  What a net prints must read back and print the same again.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "net/graph.h"
#include "ports.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX = 1 << 20 };

/* NULL when it is longer than a text may be. */
static char *print(const ptf_net *net)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL)
        abort();
    ptf_net_print_text(net, out);
    fclose(out);
    if (size <= TEXT_MAX)
        return text;
    free(text);
    return NULL;
}

/* Half of the inputs have classes whose forward() is not known. */
static const ptf_net_options in_order = {.size = sizeof(in_order),
                                         .in_order = true};

static void check_round_trip(const ptf_net *net)
{
    char *text = print(net);
    if (text == NULL)
        return;
    ptf_net *again;
    ptf_error err;
    if (ptf_net_make(text, "again", NULL, &in_order, &again, &err) != PTF_OK) {
        fprintf(stderr, "%s\n%s", err.message, text);
        abort();
    }
    char *same = print(again);
    if (same == NULL || strcmp(text, same) != 0)
        abort();
    free(same);
    free(text);
    ptf_net_free(again);
}

/* The same net as a graph, but for what only modules have. */
static void check_graph(const ptf_net *net)
{
    char *text = NULL;
    size_t size = 0;
    ptf_net *again;
    ptf_error err = {PTF_OK, ""};
    FILE *out = open_memstream(&text, &size);
    if (out == NULL || ptf_net_print_graph(net, out, &err) != PTF_OK)
        abort();
    fclose(out);
    if (ptf_graph_parse(text, "graph", &again, &err) != PTF_OK) {
        fprintf(stderr, "%s\n%s", err.message, text);
        abort();
    }
    if (again->node_count != net->node_count ||
        output_of(again) != output_of(net))
        abort();
    free(text);
    ptf_net_free(again);
}

static void check_rewrites(const ptf_net *net)
{
    for (size_t i = 0; ptf_rewrite_at(i) != NULL; i++) {
        ptf_net *out;
        if (ptf_net_rewrite(net, ptf_rewrite_at(i), NULL, &out, NULL) == PTF_OK)
            check_round_trip(out);
        ptf_net_free(out);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = calloc(1, size + 1);
    if (text == NULL)
        return 0;
    if (size > 0)
        memcpy(text, data, size);
    ptf_net *net;
    ptf_net_make(text, "fuzz", NULL, NULL, &net, NULL);
    ptf_net_free(net);
    if (ptf_net_make(text, "fuzz", NULL, &in_order, &net, NULL) == PTF_OK) {
        check_round_trip(net);
        check_graph(net);
        check_rewrites(net);
    }
    ptf_net_free(net);
    free(text);
    return 0;
}
