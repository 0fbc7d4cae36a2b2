/*
 * Programs for people: what is in one, and its graph line by line.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "program/program.h"

#include <stdlib.h>

static void print_text(FILE *out, const char *text)
{
    ptf_print_escaped(out, text, strlen(text));
}

/* ------------------------------------------------------------------- shapes */

/* "64"; "s77" for a symbol; "~112" where an expression gave that once. */
static void print_size(const ptf_program *p, const ptf_program_size *size,
                       FILE *out)
{
    if (size->symbol >= 0)
        print_text(out, p->symbols[size->symbol].name);
    else if (size->known)
        fprintf(out, "%s%lld", size->expr != NULL ? "~" : "",
                (long long)size->value);
    else
        fputc('?', out);
}

static void print_value(const ptf_program *p, const ptf_program_value *v,
                        FILE *out)
{
    static const char *const kinds[] = {
        [PTF_PROGRAM_TENSOR] = "",       [PTF_PROGRAM_INT] = "int",
        [PTF_PROGRAM_BOOL] = "bool",     [PTF_PROGRAM_FLOAT] = "float",
        [PTF_PROGRAM_OBJECT] = "object",
    };
    if (v->kind != PTF_PROGRAM_TENSOR) {
        fputs(kinds[v->kind], out);
        return;
    }
    fprintf(out, "%s [", ptf_dtype_name(v->dtype));
    for (int i = 0; i < v->rank; i++) {
        fputs(i > 0 ? ", " : "", out);
        print_size(p, &v->sizes[i], out);
    }
    fputc(']', out);
}

/* ---------------------------------------------------------------- arguments */

static void print_value_name(const ptf_program_graph *g, int value, FILE *out)
{
    if (value == PTF_ABSENT)
        fputs("None", out);
    else
        print_text(out, g->values[value].name);
}

/* As Python writes it. */
static void print_number(double number, FILE *out)
{
    char text[32];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, number);
        if (strtod(text, NULL) >= number && strtod(text, NULL) <= number)
            break;
    }
    fputs(text, out);
    if (strspn(text, "-0123456789") == strlen(text))
        fputs(".0", out);
}

static void print_quoted(FILE *out, const char *text)
{
    fputc('\'', out);
    print_text(out, text);
    fputc('\'', out);
}

static void print_element(const ptf_program_graph *g, const ptf_argument *a,
                          int i, FILE *out)
{
    if (a->kind == PTF_ARGUMENT_VALUES)
        print_value_name(g, a->values[i], out);
    else if (a->kind == PTF_ARGUMENT_INTS && a->integers[i].value >= 0)
        print_value_name(g, a->integers[i].value, out);
    else if (a->kind == PTF_ARGUMENT_INTS)
        fprintf(out, "%lld", (long long)a->integers[i].number);
    else if (a->kind == PTF_ARGUMENT_FLOATS)
        print_number(a->numbers[i], out);
    else if (a->kind == PTF_ARGUMENT_BOOLS)
        fputs(a->truths[i] ? "True" : "False", out);
    else
        print_quoted(out, a->texts[i]);
}

static void print_list(const ptf_program_graph *g, const ptf_argument *a,
                       FILE *out)
{
    fputc('[', out);
    for (int i = 0; i < a->count; i++) {
        fputs(i > 0 ? ", " : "", out);
        print_element(g, a, i, out);
    }
    fputc(']', out);
}

static void print_argument(const ptf_program_graph *g, const ptf_argument *a,
                           FILE *out)
{
    static const char *const formats[] = {
        [PTF_MEMORY_CONTIGUOUS] = "contiguous",
        [PTF_MEMORY_CHANNELS_LAST] = "channels_last",
        [PTF_MEMORY_CHANNELS_LAST_3D] = "channels_last_3d",
        [PTF_MEMORY_PRESERVE] = "preserve",
    };
    switch (a->kind) {
    case PTF_ARGUMENT_NONE: fputs("None", out); break;
    case PTF_ARGUMENT_VALUE: print_value_name(g, a->value, out); break;
    case PTF_ARGUMENT_INT: fprintf(out, "%lld", (long long)a->integer); break;
    case PTF_ARGUMENT_FLOAT: print_number(a->number, out); break;
    case PTF_ARGUMENT_BOOL: fputs(a->truth ? "True" : "False", out); break;
    case PTF_ARGUMENT_COMPLEX:
        print_number(a->complex_number[0], out);
        fputs(" + 1j*", out);
        print_number(a->complex_number[1], out);
        break;
    case PTF_ARGUMENT_TEXT: print_quoted(out, a->text); break;
    case PTF_ARGUMENT_DTYPE: fputs(ptf_dtype_name(a->dtype), out); break;
    case PTF_ARGUMENT_DEVICE:
    case PTF_ARGUMENT_OTHER: print_text(out, a->text); break;
    case PTF_ARGUMENT_LAYOUT:
        fputs(a->layout == PTF_PROGRAM_STRIDED ? "strided" : "sparse", out);
        break;
    case PTF_ARGUMENT_MEMORY_FORMAT:
        fputs(formats[a->memory_format], out);
        break;
    case PTF_ARGUMENT_GRAPH: print_text(out, a->graph->name); break;
    case PTF_ARGUMENT_VALUES:
    case PTF_ARGUMENT_INTS:
    case PTF_ARGUMENT_FLOATS:
    case PTF_ARGUMENT_BOOLS:
    case PTF_ARGUMENT_TEXTS: print_list(g, a, out); break;
    }
}

/* -------------------------------------------------------------------- graph */

static const char *const input_words[] = {
    [PTF_PROGRAM_PARAMETER] = "parameter", [PTF_PROGRAM_BUFFER] = "buffer",
    [PTF_PROGRAM_CONSTANT] = "constant",   [PTF_PROGRAM_USER] = "input",
    [PTF_PROGRAM_LITERAL] = "input",       [PTF_PROGRAM_CUSTOM] = "object",
    [PTF_PROGRAM_TOKEN] = "token",
};

static const char *const output_words[] = {
    [PTF_PROGRAM_RESULT] = "output",
    [PTF_PROGRAM_LOSS] = "loss",
    [PTF_PROGRAM_PARAMETER_MUTATION] = "writes parameter",
    [PTF_PROGRAM_BUFFER_MUTATION] = "writes buffer",
    [PTF_PROGRAM_INPUT_MUTATION] = "writes input",
    [PTF_PROGRAM_PARAMETER_GRADIENT] = "gradient of parameter",
    [PTF_PROGRAM_INPUT_GRADIENT] = "gradient of input",
    [PTF_PROGRAM_OUTPUT_TOKEN] = "token",
};

static void print_input(const ptf_program *p, const ptf_program_input *input,
                        FILE *out)
{
    const ptf_program_graph *g = &p->graph;
    fprintf(out, "%s ", input_words[input->kind]);
    if (input->value >= 0) {
        print_text(out, g->values[input->value].name);
        fputc(' ', out);
        print_value(p, &g->values[input->value], out);
        if (strcmp(input->name, g->values[input->value].name) != 0) {
            fputs("  # ", out);
            print_text(out, input->name);
        }
    } else {
        print_text(out, input->name);
        fputs(" = ", out);
        print_argument(g, input->constant, out);
    }
    fputc('\n', out);
}

static void print_output(const ptf_program *p, const ptf_program_output *output,
                         FILE *out)
{
    fprintf(out, "%s ", output_words[output->kind]);
    print_text(out, output->target != NULL ? output->target : output->name);
    fputs(output->target != NULL || output->name[0] != '\0' ? " = " : "= ",
          out);
    print_argument(&p->graph, output->what, out);
    fputc('\n', out);
}

/* How a graph is printed. */
typedef struct style {
    bool defaults; /* also arguments that the file leaves out */
    int indent;
} style;

static void print_graph(const ptf_program_graph *g, style how, FILE *out);

static void print_call(const ptf_program_graph *g, const ptf_program_node *n,
                       style how, FILE *out)
{
    fprintf(out, "%*s", how.indent, "");
    for (int i = 0; i < n->result_count; i++) {
        fputs(i > 0 ? ", " : "", out);
        print_value_name(g, n->results[i], out);
    }
    fputs(n->result_count > 0 ? " = " : "", out);
    print_text(out, n->target);
    fputc('(', out);
    bool first = true;
    for (int i = 0; i < n->argument_count; i++) {
        const ptf_argument *a = &n->arguments[i];
        if (!a->given && !how.defaults)
            continue;
        fputs(first ? "" : ", ", out);
        first = false;
        print_text(out, a->name);
        fputs(a->name[0] != '\0' ? "=" : "", out);
        print_argument(g, a, out);
    }
    fputc(')', out);
    fputs(n->module[0] != '\0' ? "  # " : "", out);
    print_text(out, n->module);
    fputc('\n', out);
    for (int i = 0; i < n->argument_count; i++) {
        if (n->arguments[i].kind == PTF_ARGUMENT_GRAPH)
            print_graph(n->arguments[i].graph,
                        (style){how.defaults, how.indent + 4}, out);
    }
}

static void print_ports(const ptf_program_graph *g, const ptf_argument *ports,
                        int count, FILE *out)
{
    for (int i = 0; i < count; i++) {
        fputs(i > 0 ? ", " : "", out);
        print_argument(g, &ports[i], out);
    }
}

/* A graph that is an argument. */
static void print_graph(const ptf_program_graph *g, style how, FILE *out)
{
    fprintf(out, "%*sgraph ", how.indent, "");
    print_text(out, g->name);
    fputc('(', out);
    print_ports(g, g->inputs, g->input_count, out);
    fputs(")\n", out);
    how.indent += 4;
    for (int i = 0; i < g->node_count; i++)
        print_call(g, &g->nodes[i], how, out);
    fprintf(out, "%*sreturn ", how.indent, "");
    print_ports(g, g->outputs, g->output_count, out);
    fputc('\n', out);
}

void ptf_program_print_graph(const ptf_program *program, bool defaults,
                             FILE *out)
{
    const ptf_program_graph *g = &program->graph;
    for (int i = 0; i < program->input_count; i++)
        print_input(program, &program->inputs[i], out);
    for (int i = 0; i < g->node_count; i++)
        print_call(g, &g->nodes[i], (style){defaults, 0}, out);
    for (int i = 0; i < program->output_count; i++)
        print_output(program, &program->outputs[i], out);
}

/* ------------------------------------------------------------------ summary */

static void print_users_input(const ptf_program *p,
                              const ptf_program_input *input, FILE *out)
{
    fputs("input       ", out);
    print_text(out, input->name);
    fputs("  ", out);
    if (input->value >= 0)
        print_value(p, &p->graph.values[input->value], out);
    else
        print_argument(&p->graph, input->constant, out);
    fputc('\n', out);
}

static void print_users_output(const ptf_program *p,
                               const ptf_program_output *output, FILE *out)
{
    bool is_named = output->name[0] != '\0';
    fprintf(out, "%-11s ", is_named ? "output" : output_words[output->kind]);
    print_text(out, is_named ? output->name : output->target);
    fputs("  ", out);
    if (output->what->kind == PTF_ARGUMENT_VALUE)
        print_value(p, &p->graph.values[output->what->value], out);
    else
        print_argument(&p->graph, output->what, out);
    fputc('\n', out);
}

/* Those of one kind: how many, and how many numbers they are. */
static void print_tensors(const ptf_program *p, ptf_program_input_kind kind,
                          const char *what, FILE *out)
{
    int count = 0;
    int64_t numbers = 0;
    for (int i = 0; i < p->input_count; i++) {
        if (p->inputs[i].kind != kind)
            continue;
        count++;
        numbers += ptf_tensor_numel(p->inputs[i].tensor);
    }
    if (count > 0)
        fprintf(out, "%-11s %d, with %lld numbers\n", what, count,
                (long long)numbers);
}

/* Of what float32 does not hold: how many there are, and the first. */
static void print_rounded(const ptf_program *p, FILE *out)
{
    const char *first = NULL;
    int count = 0;
    for (int i = 0; i < p->input_count; i++) {
        const ptf_tensor *t = p->inputs[i].tensor;
        if (t == NULL || !ptf_tensor_rounds(t))
            continue;
        first = count++ == 0 ? p->inputs[i].name : first;
    }
    if (count == 0)
        return;
    fprintf(out, "rounded     %d of float64 to float32, the first: ", count);
    print_text(out, first);
    fputc('\n', out);
}

static void print_mode(const ptf_program *p, FILE *out)
{
    const ptf_program_node *node = ptf_program_training(p);
    if (node == NULL)
        return;
    fputs("mode        training: see ", out);
    print_text(out, node->name);
    fputs("; export after model.eval()\n", out);
}

static int compare_targets(const void *a, const void *b)
{
    const ptf_program_node *const *x = a, *const *y = b;
    return strcmp((*x)->target, (*y)->target);
}

/* Operators in the order of their names. */
static void print_operators(const ptf_program_graph *g, FILE *out)
{
    size_t count = (size_t)g->node_count;
    const ptf_program_node **nodes = ptf_alloc(count * sizeof(*nodes));
    fprintf(out, "calls       %d\n", g->node_count);
    if (nodes == NULL)
        return;
    for (size_t i = 0; i < count; i++)
        nodes[i] = &g->nodes[i];
    qsort(nodes, count, sizeof(*nodes), compare_targets);
    for (size_t i = 0, next; i < count; i = next) {
        for (next = i + 1; next < count; next++) {
            if (strcmp(nodes[next]->target, nodes[i]->target) != 0)
                break;
        }
        fprintf(out, "%9zu   ", next - i);
        print_text(out, nodes[i]->target);
        fputc('\n', out);
    }
    ptf_free(nodes);
}

static void print_bound(int64_t bound, const char *none, FILE *out)
{
    if (bound == INT64_MIN || bound == INT64_MAX)
        fputs(none, out);
    else
        fprintf(out, "%lld", (long long)bound);
}

void ptf_program_print(const ptf_program *program, FILE *out)
{
    const ptf_program *p = program;
    fputs("torch.export program", out);
    if (p->torch_version[0] != '\0') {
        fputs(" of PyTorch ", out);
        print_text(out, p->torch_version);
    }
    fprintf(out, ", schema %d.%d, dialect ", p->schema_major, p->schema_minor);
    print_text(out, p->dialect);
    fputc('\n', out);
    for (size_t i = 0; p->model_count > 1 && i < p->model_count; i++) {
        fputs("model       ", out);
        print_text(out, p->models[i]);
        fputs(p->models[i] == p->model ? "  (this one)\n" : "\n", out);
    }
    for (int i = 0; i < p->input_count; i++) {
        ptf_program_input_kind kind = p->inputs[i].kind;
        if (kind == PTF_PROGRAM_USER || kind == PTF_PROGRAM_LITERAL)
            print_users_input(p, &p->inputs[i], out);
    }
    for (int i = 0; i < p->output_count; i++)
        print_users_output(p, &p->outputs[i], out);
    for (int i = 0; i < p->symbol_count; i++) {
        fputs("symbol      ", out);
        print_text(out, p->symbols[i].name);
        fputs(" from ", out);
        print_bound(p->symbols[i].least, "any", out);
        fputs(" to ", out);
        print_bound(p->symbols[i].most, "any", out);
        fputc('\n', out);
    }
    print_mode(p, out);
    print_tensors(p, PTF_PROGRAM_PARAMETER, "parameters", out);
    print_tensors(p, PTF_PROGRAM_BUFFER, "buffers", out);
    print_tensors(p, PTF_PROGRAM_CONSTANT, "constants", out);
    print_rounded(p, out);
    for (size_t i = 0; i < p->extra_count; i++) {
        fputs("extra file  ", out);
        print_text(out, strchr(p->extras[i]->name, '/') + 1);
        fputc('\n', out);
    }
    print_operators(&p->graph, out);
}
