/*
 * A net as the text of its graph.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "net/graph.h"

/* -------------------------------------------------------------------- names */

bool ptf_graph_is_plain(const char *name)
{
    size_t size = strlen(name), i = 0;
    while (i < size && ptf_graph_is_word(name[i]))
        i++;
    return size > 0 && i == size && strcmp(name, "none") != 0;
}

void ptf_graph_print_name(FILE *out, const char *name)
{
    if (ptf_graph_is_plain(name)) {
        fputs(name, out);
        return;
    }
    fputc('"', out);
    for (size_t left = strlen(name), n; left > 0; name += n, left -= n) {
        int32_t code;
        bool shown;
        n = ptf_character(name, left, &code, &shown);
        if (code == '"' || code == '\\')
            fprintf(out, "\\%c", (char)code);
        else if (shown)
            fwrite(name, 1, n, out);
        for (size_t i = 0; !shown && i < n; i++)
            fprintf(out, "\\x%02x", (unsigned char)name[i]);
    }
    fputc('"', out);
}

/* --------------------------------------------------------------- parameters */

/* The shapes of a node's parameters, and which it has. */
typedef struct shapes {
    ptf_shape room[PTF_ROLE_COUNT];
    const ptf_shape *of[PTF_ROLE_COUNT];
    int end; /* after the last that it has */
} shapes;

/* Of those that a layer need not have, only what is there. */
static void find_shapes(const ptf_node *node, shapes *out)
{
    *out = (shapes){.end = 0};
    for (int r = 0; r < PTF_ROLE_COUNT; r++) {
        int64_t dims[PTF_MAX_RANK];
        ptf_shape *shape = &out->room[r];
        const ptf_tensor *t = node->tensors[r];
        if (!ptf_node_parameter(node, (ptf_role)r, &shape->rank, dims) ||
            (t == NULL && r == PTF_ROLE_NUM_BATCHES))
            continue;
        if (t != NULL)
            shape->rank = t->rank;
        memcpy(shape->dim, t != NULL ? t->shape : dims, sizeof(shape->dim));
        out->of[r] = shape;
        out->end = r + 1;
    }
}

char *ptf_graph_attributes(ptf_arena *arena, const ptf_node *node)
{
    shapes s;
    find_shapes(node, &s);
    return ptf_attrs_graph(arena, node->op, &node->attrs, s.of);
}

/* ----------------------------------------------------------------- printing */

typedef struct printer {
    const ptf_net *net;
    FILE *out;
    ptf_arena scratch;
    const char **names;   /* of the nodes; "%0" where they have none */
    ptf_text_table known; /* the tensors that have a line */
} printer;

static void print_dims(const ptf_shape *shape, bool batch, FILE *out)
{
    fputs(batch ? "[N" : "[", out);
    for (int d = 0; d < shape->rank; d++)
        fprintf(out, "%s%lld", batch || d > 0 ? "," : "",
                (long long)shape->dim[d]);
    fputs("]", out);
}

/* Values without names are numbered. */
static bool name_nodes(printer *p)
{
    const ptf_net *net = p->net;
    int unnamed = 0;
    p->names = ptf_arena_array(&p->scratch, (size_t)net->node_count,
                               sizeof(*p->names));
    for (int i = 0; p->names != NULL && i < net->node_count; i++) {
        p->names[i] = net->nodes[i].name;
        if (p->names[i][0] == '\0')
            p->names[i] = ptf_arena_printf(&p->scratch, "%%%d", unnamed++);
        if (p->names[i] == NULL)
            return false;
    }
    return p->names != NULL;
}

static void print_value(const printer *p, int node)
{
    if (p->net->nodes[node].name[0] == '\0')
        fputs(p->names[node], p->out);
    else
        ptf_graph_print_name(p->out, p->names[node]);
}

/* A line for a tensor that has none yet. */
static bool print_const(printer *p, const char *name, const ptf_tensor *tensor,
                        ptf_role role, const ptf_shape *shape)
{
    if (ptf_text_table_find(&p->known, name) != NULL)
        return true;
    bool counts = role == PTF_ROLE_NUM_BATCHES;
    ptf_dtype dtype = counts ? PTF_DTYPE_I64 : PTF_DTYPE_F32;
    char *key = ptf_arena_copy(&p->scratch, name, strlen(name));
    if (key == NULL || !ptf_text_table_add(&p->known, key, key))
        return false;
    fputs("const ", p->out);
    ptf_graph_print_name(p->out, name);
    fprintf(p->out, " %s ",
            ptf_dtype_short(tensor != NULL ? tensor->dtype : dtype));
    print_dims(shape, false, p->out);
    fputc('\n', p->out);
    return true;
}

static void print_operands(const printer *p, const ptf_node *node,
                           const shapes *s)
{
    const char *comma = "";
    for (int k = 0; k < node->input_count; k++, comma = ", ") {
        fputs(comma, p->out);
        print_value(p, node->inputs[k]);
    }
    unsigned roles = ptf_op_roles(node->op);
    for (int r = 0; r < s->end; r++) {
        char room[PTF_PARAMETER_NAME];
        if ((roles >> r & 1) == 0)
            continue;
        fputs(", ", p->out);
        if (s->of[r] == NULL)
            fputs("none", p->out);
        else
            ptf_graph_print_name(p->out,
                                 ptf_node_tensor_name(node, (ptf_role)r, room));
    }
}

static bool print_op(printer *p, int index, const shapes *s)
{
    const ptf_node *node = &p->net->nodes[index];
    char *attributes =
        ptf_attrs_graph(&p->scratch, node->op, &node->attrs, s->of);
    if (attributes == NULL)
        return false;
    print_value(p, index);
    fprintf(p->out, " = %s(", ptf_op_info(node->op)->name);
    print_operands(p, node, s);
    fprintf(p->out, ")%s\n", attributes);
    return true;
}

/* A node's line, after those of its parameters. */
static bool print_node(printer *p, int index)
{
    const ptf_node *node = &p->net->nodes[index];
    shapes s;
    find_shapes(node, &s);
    if (node->op == PTF_OP_CONSTANT)
        return s.of[PTF_ROLE_WEIGHT] == NULL ||
               print_const(p, p->names[index], node->tensors[PTF_ROLE_WEIGHT],
                           PTF_ROLE_WEIGHT, s.of[PTF_ROLE_WEIGHT]);
    for (int r = 0; r < s.end; r++) {
        char room[PTF_PARAMETER_NAME];
        const char *name = ptf_node_tensor_name(node, (ptf_role)r, room);
        if (s.of[r] != NULL &&
            !print_const(p, name, node->tensors[r], (ptf_role)r, s.of[r]))
            return false;
    }
    return print_op(p, index, &s);
}

static void print_alias(const printer *p, const char *alias)
{
    if (alias == NULL)
        return;
    fputs(" also ", p->out);
    ptf_graph_print_name(p->out, alias);
}

static void print_input(const printer *p, int index)
{
    const ptf_input *in = &p->net->inputs[index];
    fputs("input ", p->out);
    print_value(p, index);
    fprintf(p->out, " %s", ptf_dtype_short(in->dtype));
    if (in->has_shape) {
        fputc(' ', p->out);
        print_dims(&in->shape, !p->net->whole, p->out);
    }
    if (in->fixed)
        fputs(" fixed", p->out);
    print_alias(p, in->alias);
    fputc('\n', p->out);
}

/* A name that says more than the value's; always one before a dtype or alias,
 * so that the line is clear. */
static void print_output(const printer *p, int index)
{
    const ptf_output *o = &p->net->outputs[index];
    bool more = o->dtype != PTF_DTYPE_F32 || o->alias != NULL;
    fputs("output ", p->out);
    if (o->name != NULL || more) {
        ptf_graph_print_name(p->out, ptf_net_output_name(p->net, o));
        fputc(' ', p->out);
    }
    print_value(p, o->node);
    if (o->dtype != PTF_DTYPE_F32)
        fprintf(p->out, " %s", ptf_dtype_short(o->dtype));
    print_alias(p, o->alias);
    fputc('\n', p->out);
}

static void print_head(const printer *p)
{
    const ptf_net *net = p->net;
    const char *name =
        net->container_count > 0 ? net->containers[0].class_name : net->name;
    fprintf(p->out, "ptfold graph %d\n", PTF_GRAPH_VERSION);
    if (name != NULL) {
        fputs("net ", p->out);
        ptf_graph_print_name(p->out, name);
        fputc('\n', p->out);
    }
    for (int i = 0; i < net->input_count; i++)
        print_input(p, i);
}

static bool print_all(printer *p)
{
    if (!name_nodes(p))
        return false;
    print_head(p);
    for (int i = p->net->input_count; i < p->net->node_count; i++) {
        if (!print_node(p, i))
            return false;
    }
    for (int i = 0; i < p->net->output_count; i++)
        print_output(p, i);
    return true;
}

ptf_status ptf_net_print_graph(const ptf_net *net, FILE *out, ptf_error *err)
{
    printer p = {.net = net, .out = out};
    bool ok = print_all(&p);
    ptf_text_table_free(&p.known);
    ptf_arena_free(&p.scratch);
    return ok ? PTF_OK : ptf_fail_memory(err);
}
