/*
 * Fuzzes the reader of graphs' texts, and shapes and rewrites of what it reads.
 * What a net prints must read back as the same net, and print the same again.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "net/graph.h"
#include "ports.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *print(const ptf_net *net)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL || ptf_net_print_graph(net, out, NULL) != PTF_OK)
        abort();
    fclose(out);
    return text;
}

static void check_same(const ptf_net *a, const ptf_net *b)
{
    bool same = a->node_count == b->node_count && output_of(a) == output_of(b);
    for (int i = 0; same && i < a->node_count; i++) {
        const ptf_node *x = &a->nodes[i], *y = &b->nodes[i];
        same = x->op == y->op && strcmp(x->name, y->name) == 0 &&
               x->input_count == y->input_count;
        for (int k = 0; same && k < x->input_count; k++)
            same = x->inputs[k] == y->inputs[k];
    }
    if (!same)
        abort();
}

/* Escapes and sizes stated in full may make a text longer than it may be. */
static void check_round_trip(const ptf_net *net)
{
    char *text = print(net);
    ptf_net *again;
    ptf_error err;
    if (strlen(text) > PTF_GRAPH_TEXT_MAX) {
        free(text);
        return;
    }
    if (ptf_graph_parse(text, "again", &again, &err) != PTF_OK) {
        fprintf(stderr, "%s\n%s", err.message, text);
        abort();
    }
    char *same = print(again);
    if (strcmp(text, same) != 0)
        abort();
    check_same(net, again);
    free(same);
    free(text);
    ptf_net_free(again);
}

static void check_pictures(const ptf_net *net)
{
    for (int kind = 0; kind <= PTF_DRAWING_MERMAID; kind++) {
        char *text = NULL;
        size_t size = 0;
        FILE *out = open_memstream(&text, &size);
        if (out == NULL ||
            ptf_net_draw(net, (ptf_drawing)kind, out, NULL) != PTF_OK)
            abort();
        fclose(out);
        for (char *line = strtok(text, "\n"); line != NULL;
             line = strtok(NULL, "\n")) {
            if (!ptf_is_shown(line, strlen(line)))
                abort();
        }
        free(text);
    }
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
    ptf_net *net;
    if (text == NULL)
        return 0;
    if (size > 0)
        memcpy(text, data, size);
    if (ptf_graph_parse(text, "fuzz", &net, NULL) == PTF_OK) {
        check_round_trip(net);
        check_pictures(net);
        check_rewrites(net);
    }
    ptf_net_free(net);
    free(text);
    return 0;
}
