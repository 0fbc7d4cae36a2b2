/*
 * The graph as a picture's source: Graphviz and Mermaid.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "net/graph.h"

/* What the two languages have for the same. */
typedef struct language {
    const char *head, *tail;
    const char *value[2];  /* around the label of an op */
    const char *source[2]; /* of an input, a constant, the output */
    const char *newline, *backslash;
    const char *edge, *edge_end;
    const char *escapes[5]; /* each begins with the character it is for */
} language;

static const language languages[] = {
    [PTF_DRAWING_DOT] =
        {
            .head = "digraph {\n"
                    "    node [shape=box, style=rounded, fontname=sans];\n",
            .tail = "}\n",
            .value = {" [label=\"", "\"];\n"},
            .source = {" [shape=ellipse, label=\"", "\"];\n"},
            .newline = "\\n",
            .backslash = "\\\\",
            .edge = " -> ",
            .edge_end = ";\n",
            .escapes = {"\"\\\"", "\\\\\\", "&&amp;"},
        },
    [PTF_DRAWING_MERMAID] =
        {
            .head = "flowchart TD\n",
            .tail = "",
            .value = {"[\"", "\"]\n"},
            .source = {"([\"", "\"])\n"},
            .newline = "<br/>",
            .backslash = "\\",
            .edge = " --> ",
            .edge_end = "\n",
            .escapes = {"\"#quot;", "##35;", "<#lt;", ">#gt;", "&#amp;"},
        },
};

/* Texts out of files look like themselves and like nothing else. */
static void put_text(const language *l, FILE *out, const char *text)
{
    for (size_t left = strlen(text), n; left > 0; text += n, left -= n) {
        int32_t code;
        bool shown;
        const char *escape = NULL;
        n = ptf_character(text, left, &code, &shown);
        for (size_t i = 0; i < PTF_ARRAY_SIZE(l->escapes); i++) {
            const char *e = l->escapes[i];
            escape = e != NULL && e[0] == *text ? e + 1 : escape;
        }
        if (escape != NULL)
            fputs(escape, out);
        else if (shown)
            fwrite(text, 1, n, out);
        for (size_t i = 0; !shown && i < n; i++)
            fprintf(out, "%sx%02x", l->backslash, (unsigned char)text[i]);
    }
}

typedef struct drawing {
    const language *l;
    const ptf_net *net;
    ptf_arena scratch;
    const ptf_shape *shapes; /* NULL where the input's is not known */
    FILE *out;
} drawing;

static void put_shape(const drawing *d, int index)
{
    char text[PTF_SHAPE_TEXT];
    if (d->shapes == NULL)
        return;
    ptf_shape_text(&d->shapes[index], text);
    fprintf(d->out, "%s%s", d->l->newline, text);
}

static bool put_node(drawing *d, int index)
{
    const ptf_node *node = &d->net->nodes[index];
    bool source = ptf_op_is(node->op, PTF_FAMILY_SOURCE);
    const char *const *around = source ? d->l->source : d->l->value;
    char *attributes = ptf_graph_attributes(&d->scratch, node);
    if (attributes == NULL)
        return false;
    fprintf(d->out, "    n%d%s", index, around[0]);
    put_text(d->l, d->out, node->name);
    fputs(node->name[0] != '\0' ? d->l->newline : "", d->out);
    fputs(ptf_op_info(node->op)->name, d->out);
    put_text(d->l, d->out, attributes);
    put_shape(d, index);
    fputs(around[1], d->out);
    for (int k = 0; k < node->input_count; k++)
        fprintf(d->out, "    n%d%sn%d%s", node->inputs[k], d->l->edge, index,
                d->l->edge_end);
    return true;
}

static void put_output(const drawing *d, int index)
{
    const ptf_output *o = &d->net->outputs[index];
    bool alone = d->net->output_count == 1 && o->name == NULL;
    fprintf(d->out, "    output%d%s", index, d->l->source[0]);
    put_text(d->l, d->out, alone ? "output" : ptf_net_output_name(d->net, o));
    fprintf(d->out, "%s    n%d%soutput%d%s", d->l->source[1], o->node,
            d->l->edge, index, d->l->edge_end);
}

static bool draw(drawing *d)
{
    fputs(d->l->head, d->out);
    for (int i = 0; i < d->net->node_count; i++) {
        if (!put_node(d, i))
            return false;
    }
    for (int i = 0; i < d->net->output_count; i++)
        put_output(d, i);
    fputs(d->l->tail, d->out);
    return true;
}

ptf_status ptf_net_draw(const ptf_net *net, ptf_drawing kind, FILE *out,
                        ptf_error *err)
{
    drawing d = {.l = &languages[kind], .net = net, .out = out};
    ptf_shape *shapes =
        ptf_arena_array(&d.scratch, (size_t)net->node_count, sizeof(*shapes));
    if (shapes != NULL && ptf_net_own_shapes(net, shapes) &&
        ptf_net_shapes(net, shapes, shapes, NULL) == PTF_OK)
        d.shapes = shapes;
    bool ok = shapes != NULL && draw(&d);
    ptf_arena_free(&d.scratch);
    return ok ? PTF_OK : ptf_fail_memory(err);
}
