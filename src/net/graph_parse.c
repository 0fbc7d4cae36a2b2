/*
 * The text of a graph read back.  A line names only what lines before it
 * define, so nothing can be circular.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "net/graph.h"

/* What a name stands for: a node's value, or a tensor, or both. */
typedef struct symbol {
    int node;                 /* of constants too, until the end */
    const ptf_tensor *tensor; /* of constants */
    bool is_parameter, is_read;
} symbol;

typedef struct operand {
    symbol *what;   /* NULL: none */
    const char *at; /* where it stands */
} operand;

typedef struct parser {
    ptf_scan s;
    ptf_net *net;
    ptf_arena scratch;
    ptf_text_table names;
    symbol **unnamed; /* %0, %1, ... */
    int unnamed_count, unnamed_capacity;
    symbol **of_node; /* as many as nodes */
    int node_capacity;
    int op_count, operand_count;
    operand *operands; /* of the line */
    int count, capacity;
    bool sized; /* an input has said whether there is a batch */
} parser;

static ptf_status expect(parser *p, char mark)
{
    const char what[] = {'\'', mark, '\'', '\0'};
    if (!ptf_scan_is(&p->s, mark))
        return ptf_scan_expected(&p->s, what);
    return ptf_scan_next(&p->s);
}

static bool at_line_end(const parser *p)
{
    return p->s.token.kind == PTF_TOKEN_NEWLINE ||
           p->s.token.kind == PTF_TOKEN_END;
}

static ptf_status expect_line_end(parser *p)
{
    return at_line_end(p) ? PTF_OK
                          : ptf_scan_expected(&p->s, "the end of the line");
}

static bool is_name(const parser *p)
{
    return p->s.token.kind == PTF_TOKEN_WORD ||
           (p->s.token.kind == PTF_TOKEN_QUOTED && p->s.token.name[0] != '\0');
}

static ptf_status take_name(parser *p, const char **out)
{
    if (!is_name(p))
        return ptf_scan_expected(&p->s, "a name");
    *out = p->s.token.name;
    return ptf_scan_next(&p->s);
}

static bool is_word(const parser *p, const char *word)
{
    return p->s.token.kind == PTF_TOKEN_WORD &&
           ptf_span_is(p->s.token.raw, word);
}

static ptf_status expect_word(parser *p, const char *word, const char *what)
{
    return is_word(p, word) ? ptf_scan_next(&p->s)
                            : ptf_scan_expected(&p->s, what);
}

/* ------------------------------------------------------------------ symbols */

/* "%3" is the fourth value without a name. */
static ptf_status define_number(parser *p, const ptf_token *token, symbol *what)
{
    void *unnamed = p->unnamed;
    if (token->number != p->unnamed_count)
        return ptf_scan_fail(&p->s, PTF_FORMAT, token->raw.text,
                             "expected %%%d, the next number of a value "
                             "without a name, got '%.*s'",
                             p->unnamed_count, (int)token->raw.size,
                             token->raw.text);
    if (!ptf_arena_grow(&p->scratch, &unnamed, p->unnamed_count,
                        &p->unnamed_capacity, sizeof(*p->unnamed)))
        return ptf_fail_memory(p->s.err);
    p->unnamed = unnamed;
    p->unnamed[p->unnamed_count++] = what;
    return PTF_OK;
}

static ptf_status define(parser *p, const ptf_token *token, symbol *what)
{
    if (token->kind == PTF_TOKEN_NUMBER)
        return define_number(p, token, what);
    if (ptf_text_table_find(&p->names, token->name) != NULL)
        return ptf_scan_fail(&p->s, PTF_FORMAT, token->raw.text,
                             "expected a name of its own, got a second '%.60s'",
                             token->name);
    return ptf_text_table_add(&p->names, token->name, what)
               ? PTF_OK
               : ptf_fail_memory(p->s.err);
}

/* What the token names, which a line above must define. */
static ptf_status find(parser *p, symbol **out)
{
    const ptf_token *token = &p->s.token;
    *out = NULL;
    if (token->kind == PTF_TOKEN_NUMBER && token->number < p->unnamed_count)
        *out = p->unnamed[token->number];
    else if (is_name(p))
        *out = ptf_text_table_find(&p->names, token->name);
    return *out != NULL ? PTF_OK
                        : ptf_scan_expected(&p->s, "a value of a line above");
}

/* -------------------------------------------------------------------- nodes */

/* Adds it with the name that 'token' is, none for numbers. */
static ptf_status add_node(parser *p, const ptf_token *token, ptf_node *node,
                           const ptf_tensor *tensor)
{
    ptf_net *net = p->net;
    symbol *what = ptf_arena_alloc(&p->scratch, sizeof(*what));
    void *nodes = net->nodes, *symbols = p->of_node;
    int capacity = p->node_capacity;
    if (what == NULL ||
        !ptf_arena_grow(&net->arena, &nodes, net->node_count, &p->node_capacity,
                        sizeof(*node)) ||
        !ptf_arena_grow(&p->scratch, &symbols, net->node_count, &capacity,
                        sizeof(*p->of_node)))
        return ptf_fail_memory(p->s.err);
    net->nodes = nodes;
    p->of_node = symbols;
    bool is_named = token->kind != PTF_TOKEN_NUMBER;
    node->name = is_named ? token->name : "";
    node->implied = !is_named && node->op != PTF_OP_INPUT;
    node->container = -1;
    node->file = p->s.file;
    node->class_name = ptf_op_class(node->op);
    bool is_class = ptf_op_info(node->op)->class_name[0] != '\0';
    node->text = is_class ? ptf_op_text(&net->arena, node->op, &node->attrs)
                          : node->class_name;
    if (node->text == NULL)
        return ptf_fail_memory(p->s.err);
    *what = (symbol){.node = net->node_count, .tensor = tensor};
    p->of_node[net->node_count] = what;
    net->nodes[net->node_count++] = *node;
    return define(p, token, what);
}

/* ----------------------------------------------------- inputs and constants */

static ptf_status take_size(parser *p, int64_t *out)
{
    const ptf_text_span raw = p->s.token.raw;
    int64_t size = 0;
    bool ok = p->s.token.kind == PTF_TOKEN_WORD;
    for (size_t i = 0; ok && i < raw.size; i++) {
        ok = raw.text[i] >= '0' && raw.text[i] <= '9' && size <= INT32_MAX;
        size = 10 * size + (raw.text[i] - '0');
    }
    if (!ok || size > INT32_MAX)
        return ptf_scan_expected(&p->s, "a size of 0 to 2147483647");
    *out = size;
    return ptf_scan_next(&p->s);
}

/*
 * "[64,3,7,7]", or "[N,3,7,7]" where there may be a batch, 'N'; then there is a
 * comma before all sizes.
 */
static ptf_status take_sizes(parser *p, bool *batch, ptf_shape *out)
{
    out->rank = 0;
    ptf_status status = expect(p, '[');
    *batch = *batch && status == PTF_OK && is_word(p, "N");
    if (*batch)
        status = ptf_scan_next(&p->s);
    while (status == PTF_OK && !ptf_scan_is(&p->s, ']')) {
        if (out->rank == PTF_SHAPE_MAX)
            return ptf_scan_expected(&p->s, "']': a shape has at most 8 sizes");
        if (*batch || out->rank > 0)
            status = expect(p, ',');
        if (status == PTF_OK)
            status = take_size(p, &out->dim[out->rank++]);
    }
    return status == PTF_OK ? ptf_scan_next(&p->s) : status;
}

static ptf_status take_dtype(parser *p, ptf_dtype *out)
{
    if (p->s.token.kind != PTF_TOKEN_WORD ||
        !ptf_dtype_find_short(p->s.token.raw, out))
        return ptf_scan_expected(&p->s, "a dtype such as f32");
    return ptf_scan_next(&p->s);
}

/* "[N,3,32,32] fixed"; all inputs that say have a batch, or none has. */
static ptf_status take_input_shape(parser *p, const ptf_token *name,
                                   ptf_input *out)
{
    bool batch = true;
    ptf_status status = take_sizes(p, &batch, &out->shape);
    if (status != PTF_OK)
        return status;
    if (p->sized && batch == p->net->whole)
        return ptf_scan_fail(&p->s, PTF_FORMAT, name->raw.text,
                             "expected the batch 'N' in the shapes of all "
                             "inputs, or of none");
    p->sized = out->has_shape = true;
    p->net->whole = !batch;
    out->fixed = is_word(p, "fixed");
    return out->fixed ? ptf_scan_next(&p->s) : PTF_OK;
}

/* "also NAME" where it is there. */
static ptf_status take_alias(parser *p, const char **out)
{
    if (!is_word(p, "also"))
        return PTF_OK;
    ptf_status status = ptf_scan_next(&p->s);
    return status == PTF_OK ? take_name(p, out) : status;
}

static ptf_status parse_input(parser *p)
{
    const ptf_token token = p->s.token;
    ptf_node node = {.op = PTF_OP_INPUT};
    ptf_input input = {.has_shape = false};
    if (p->net->node_count > p->net->input_count)
        return ptf_scan_fail(&p->s, PTF_FORMAT, token.raw.text,
                             "expected inputs before all other values");
    if (p->net->input_count == PTF_GRAPH_PORTS_MAX)
        return ptf_scan_fail(&p->s, PTF_UNSUPPORTED, token.raw.text,
                             "more than %d inputs", PTF_GRAPH_PORTS_MAX);
    if (!is_name(p) && token.kind != PTF_TOKEN_NUMBER)
        return ptf_scan_expected(&p->s, "the name of the input");
    ptf_status status = add_node(p, &token, &node, NULL);
    if (status == PTF_OK)
        status = ptf_scan_next(&p->s);
    if (status == PTF_OK)
        status = take_dtype(p, &input.dtype);
    if (status == PTF_OK && !at_line_end(p) && !is_word(p, "also"))
        status = take_input_shape(p, &token, &input);
    if (status == PTF_OK)
        status = take_alias(p, &input.alias);
    if (status == PTF_OK && !ptf_net_add_input(p->net, &input))
        status = ptf_fail_memory(p->s.err);
    return status;
}

static ptf_status parse_const(parser *p)
{
    const ptf_token token = p->s.token;
    ptf_node node = {.op = PTF_OP_CONSTANT};
    ptf_tensor *tensor = ptf_arena_alloc(&p->net->arena, sizeof(*tensor));
    ptf_shape shape;
    bool batch = false;
    size_t bytes;
    if (tensor == NULL)
        return ptf_fail_memory(p->s.err);
    if (p->net->node_count - p->op_count >= PTF_GRAPH_TENSORS_MAX)
        return ptf_scan_fail(&p->s, PTF_UNSUPPORTED, token.raw.text,
                             "more than %d constants", PTF_GRAPH_TENSORS_MAX);
    ptf_status status = take_name(p, &tensor->name);
    if (status == PTF_OK)
        status = take_dtype(p, &tensor->dtype);
    if (status == PTF_OK)
        status = take_sizes(p, &batch, &shape);
    if (status != PTF_OK)
        return status;
    tensor->rank = shape.rank;
    memcpy(tensor->shape, shape.dim, sizeof(shape.dim));
    if (!ptf_tensor_measure(tensor, &bytes))
        return ptf_scan_fail(&p->s, PTF_UNSUPPORTED, token.raw.text,
                             "expected a tensor whose bytes can be counted");
    ptf_tensor_set_strides(tensor);
    node.tensors[PTF_ROLE_WEIGHT] = tensor;
    return add_node(p, &token, &node, tensor);
}

/* -------------------------------------------------------------------- calls */

static ptf_status add_operand(parser *p)
{
    void *operands = p->operands;
    if (++p->operand_count > PTF_GRAPH_OPERANDS_MAX)
        return ptf_scan_fail(&p->s, PTF_UNSUPPORTED, p->s.token.raw.text,
                             "more than %d operands", PTF_GRAPH_OPERANDS_MAX);
    if (!ptf_arena_grow(&p->scratch, &operands, p->count, &p->capacity,
                        sizeof(*p->operands)))
        return ptf_fail_memory(p->s.err);
    p->operands = operands;
    operand *o = &p->operands[p->count++];
    *o = (operand){NULL, p->s.token.raw.text};
    ptf_status status = PTF_OK;
    if (!is_word(p, "none"))
        status = find(p, &o->what);
    return status == PTF_OK ? ptf_scan_next(&p->s) : status;
}

/* "(x, conv1.weight, none)" */
static ptf_status parse_operands(parser *p)
{
    p->count = 0;
    ptf_status status = expect(p, '(');
    while (status == PTF_OK && !ptf_scan_is(&p->s, ')')) {
        if (p->count > 0)
            status = expect(p, ',');
        if (status == PTF_OK)
            status = add_operand(p);
    }
    return status == PTF_OK ? ptf_scan_next(&p->s) : status;
}

/* The first of the operands are values. */
static ptf_status take_values(parser *p, int count, ptf_node *node)
{
    int *inputs =
        ptf_arena_array(&p->net->arena, (size_t)count, sizeof(*inputs));
    if (inputs == NULL)
        return ptf_fail_memory(p->s.err);
    for (int k = 0; k < count; k++) {
        symbol *what = p->operands[k].what;
        if (what == NULL)
            return ptf_scan_fail(&p->s, PTF_FORMAT, p->operands[k].at,
                                 "expected a value, got none");
        what->is_read = true;
        inputs[k] = what->node;
    }
    node->inputs = inputs;
    node->input_count = count;
    return PTF_OK;
}

/* The operands from 'first' on are its parameters in the order of roles. */
static ptf_status take_parameters(parser *p, int first, ptf_node *node)
{
    unsigned roles = ptf_op_roles(node->op);
    int k = first;
    for (int r = 0; r < PTF_ROLE_COUNT && k < p->count; r++) {
        if ((roles >> r & 1) == 0)
            continue;
        symbol *what = p->operands[k].what;
        if (what != NULL && what->tensor == NULL)
            return ptf_scan_fail(&p->s, PTF_FORMAT, p->operands[k].at,
                                 "expected a const or none for the %s",
                                 ptf_role_name((ptf_role)r));
        if (what != NULL) {
            what->is_parameter = true;
            node->tensors[r] = what->tensor;
        }
        k++;
    }
    return PTF_OK;
}

/* The values that an op with parameters reads. */
static int value_count(ptf_op op)
{
    int count = 0;
    while (!ptf_op_takes(op, count))
        count++;
    return count;
}

static ptf_status split_operands(parser *p, const char *at, ptf_node *node)
{
    int roles = __builtin_popcount(ptf_op_roles(node->op));
    int values = roles > 0 ? value_count(node->op) : p->count;
    if (p->count < values || p->count > values + roles ||
        !ptf_op_takes(node->op, values))
        return ptf_scan_fail(&p->s, PTF_FORMAT, at,
                             "expected as many operands as %s takes, got %d",
                             ptf_op_info(node->op)->name, p->count);
    ptf_status status = take_values(p, values, node);
    return status == PTF_OK ? take_parameters(p, values, node) : status;
}

/* "stride=[2,2] groups=4", with the names and values in 'out'. */
static ptf_status parse_attributes(parser *p, ptf_attr_text *out, int *count)
{
    ptf_status status = PTF_OK;
    for (*count = 0; status == PTF_OK && !at_line_end(p); ++*count) {
        if (*count == PTF_GRAPH_ATTRS_MAX)
            return ptf_scan_expected(&p->s, "fewer attributes");
        out[*count].name = p->s.token.raw;
        if (p->s.token.kind != PTF_TOKEN_WORD)
            return ptf_scan_expected(&p->s, "an attribute");
        status = ptf_scan_next(&p->s);
        if (status == PTF_OK && !ptf_scan_is(&p->s, '='))
            status = ptf_scan_expected(&p->s, "'=' and a value");
        if (status == PTF_OK)
            status = ptf_scan_value(&p->s, &out[*count].value);
    }
    return status;
}

/* The attributes, with what the parameters tell. */
static ptf_status settle_attributes(parser *p, const char *at, ptf_node *node)
{
    ptf_attr_text texts[PTF_GRAPH_ATTRS_MAX];
    ptf_shape room[PTF_ROLE_COUNT];
    const ptf_shape *shapes[PTF_ROLE_COUNT] = {NULL};
    int count, wrong_at;
    char message[256];
    ptf_status status = parse_attributes(p, texts, &count);
    if (status != PTF_OK)
        return status;
    for (int r = 0; r < PTF_ROLE_COUNT; r++) {
        const ptf_tensor *tensor = node->tensors[r];
        if (tensor == NULL)
            continue;
        room[r].rank = tensor->rank;
        memcpy(room[r].dim, tensor->shape, sizeof(room[r].dim));
        shapes[r] = &room[r];
    }
    const char *wrong = ptf_attrs_graph_parse(node->op, texts, count, shapes,
                                              &node->attrs, &wrong_at, message);
    if (wrong == NULL)
        return PTF_OK;
    if (wrong_at < count)
        at = texts[wrong_at].name.text;
    return ptf_scan_fail(&p->s, PTF_UNSUPPORTED, at, "%s", wrong);
}

/* Of a count of batches only that it is one number. */
static bool fits(const ptf_tensor *tensor, ptf_role role, int rank,
                 const int64_t *shape)
{
    if (role == PTF_ROLE_NUM_BATCHES)
        return tensor == NULL || ptf_tensor_numel(tensor) == 1;
    return tensor != NULL && tensor->rank == rank &&
           memcmp(tensor->shape, shape, (size_t)rank * sizeof(*shape)) == 0;
}

static ptf_status check_parameters(parser *p, const char *at,
                                   const ptf_node *node)
{
    for (int r = 0; r < PTF_ROLE_COUNT; r++) {
        ptf_role role = (ptf_role)r;
        const ptf_tensor *tensor = node->tensors[r];
        ptf_tensor wanted = {.rank = 0};
        char want[192], have[192] = "none";
        bool takes = ptf_op_parameter(node->op, &node->attrs, role,
                                      &wanted.rank, wanted.shape);
        if (takes ? fits(tensor, role, wanted.rank, wanted.shape)
                  : tensor == NULL)
            continue;
        ptf_tensor_shape_text(&wanted, want);
        if (tensor != NULL)
            ptf_tensor_shape_text(tensor, have);
        return ptf_scan_fail(&p->s, PTF_FORMAT, at,
                             "%s with these attributes: expected a %s of %s, "
                             "got %s",
                             ptf_op_info(node->op)->name, ptf_role_name(role),
                             takes ? want : "no shape", have);
    }
    return PTF_OK;
}

/* "conv1 = conv2d(x, conv1.weight) padding=[1,1]" after the '='. */
static ptf_status parse_call(parser *p, const ptf_token *name)
{
    ptf_node node = {.op = PTF_OP_INPUT};
    const char *at = p->s.token.raw.text;
    if (p->s.token.kind != PTF_TOKEN_WORD)
        return ptf_scan_expected(&p->s, "an op");
    if (!ptf_op_find_name(p->s.token.raw, &node.op))
        return ptf_scan_fail(&p->s, PTF_UNSUPPORTED, at,
                             "expected an op that ptfold has, got '%.60s'",
                             p->s.token.name);
    if (p->net->input_count == 0)
        return ptf_scan_fail(&p->s, PTF_FORMAT, name->raw.text,
                             "expected an input before all other values");
    if (++p->op_count >= PTF_GRAPH_NODES_MAX)
        return ptf_scan_fail(&p->s, PTF_UNSUPPORTED, at, "more than %d values",
                             PTF_GRAPH_NODES_MAX);
    ptf_status status = ptf_scan_next(&p->s);
    if (status == PTF_OK)
        status = parse_operands(p);
    if (status == PTF_OK)
        status = split_operands(p, at, &node);
    if (status == PTF_OK)
        status = settle_attributes(p, at, &node);
    if (status == PTF_OK)
        status = check_parameters(p, at, &node);
    return status == PTF_OK ? add_node(p, name, &node, NULL) : status;
}

/* -------------------------------------------------------------------- lines */

/* "i64 also argmax" after a named output's value. */
static ptf_status take_output_rest(parser *p, ptf_output *out)
{
    ptf_status status = PTF_OK;
    if (!at_line_end(p) && !is_word(p, "also"))
        status = take_dtype(p, &out->dtype);
    return status == PTF_OK ? take_alias(p, &out->alias) : status;
}

/* "output logits linear_1 ...", or "output linear_1" */
static ptf_status parse_output(parser *p)
{
    symbol *what;
    ptf_output out = {.name = NULL};
    if (p->net->output_count == PTF_GRAPH_PORTS_MAX)
        return ptf_scan_fail(&p->s, PTF_UNSUPPORTED, p->s.token.raw.text,
                             "more than %d outputs", PTF_GRAPH_PORTS_MAX);
    ptf_scan ahead = p->s;
    ahead.err = NULL;
    bool named = is_name(p) && ptf_scan_next(&ahead) == PTF_OK &&
                 ahead.token.kind != PTF_TOKEN_NEWLINE &&
                 ahead.token.kind != PTF_TOKEN_END;
    ptf_status status = named ? take_name(p, &out.name) : PTF_OK;
    if (status == PTF_OK)
        status = find(p, &what);
    if (status != PTF_OK)
        return status;
    what->is_read = true;
    out.node = what->node;
    status = ptf_scan_next(&p->s);
    if (status == PTF_OK && named)
        status = take_output_rest(p, &out);
    if (status == PTF_OK && !ptf_net_add_output(p->net, &out))
        status = ptf_fail_memory(p->s.err);
    return status;
}

static ptf_status parse_net_name(parser *p)
{
    if (p->net->name != NULL)
        return ptf_scan_expected(&p->s, "one name of the net");
    return take_name(p, &p->net->name);
}

static const struct {
    const char *word;
    ptf_status (*parse)(parser *p);
} lines[] = {
    {"net", parse_net_name},
    {"input", parse_input},
    {"const", parse_const},
    {"output", parse_output},
};

/* A line that is a word of these alone defines a value of that name. */
static ptf_status parse_line(parser *p)
{
    static const char what[] = "net, input, const, output, or a value and '='";
    const ptf_token first = p->s.token;
    if (!is_name(p) && first.kind != PTF_TOKEN_NUMBER)
        return ptf_scan_expected(&p->s, what);
    ptf_status status = ptf_scan_next(&p->s);
    if (status != PTF_OK)
        return status;
    if (ptf_scan_is(&p->s, '=')) {
        status = ptf_scan_next(&p->s);
        return status == PTF_OK ? parse_call(p, &first) : status;
    }
    for (size_t i = 0; i < PTF_ARRAY_SIZE(lines); i++) {
        if (first.kind == PTF_TOKEN_WORD &&
            ptf_span_is(first.raw, lines[i].word))
            return lines[i].parse(p);
    }
    p->s.token = first;
    return ptf_scan_expected(&p->s, what);
}

static ptf_status parse_version(parser *p)
{
    char version[16];
    snprintf(version, sizeof(version), "%d", PTF_GRAPH_VERSION);
    ptf_status status = expect_word(p, "ptfold", "'ptfold graph 1'");
    if (status == PTF_OK)
        status = expect_word(p, "graph", "'graph'");
    if (status != PTF_OK)
        return status;
    if (p->s.token.kind == PTF_TOKEN_WORD && !is_word(p, version))
        return ptf_scan_fail(&p->s, PTF_UNSUPPORTED, p->s.token.raw.text,
                             "expected version %s of the text, got '%.60s'; a "
                             "newer ptfold may read it",
                             version, p->s.token.name);
    return expect_word(p, version, "the version of the text");
}

static ptf_status parse_lines(parser *p)
{
    ptf_status status = ptf_scan_next(&p->s);
    while (status == PTF_OK && p->s.token.kind == PTF_TOKEN_NEWLINE)
        status = ptf_scan_next(&p->s);
    if (status == PTF_OK)
        status = parse_version(p);
    if (status == PTF_OK)
        status = expect_line_end(p);
    while (status == PTF_OK && p->s.token.kind != PTF_TOKEN_END) {
        if (p->s.token.kind == PTF_TOKEN_NEWLINE) {
            status = ptf_scan_next(&p->s);
            continue;
        }
        status = parse_line(p);
        if (status == PTF_OK)
            status = expect_line_end(p);
    }
    if (status == PTF_OK && p->net->output_count == 0)
        return ptf_scan_expected(&p->s, "the output");
    p->net->whole = p->net->whole || p->net->input_count == 0;
    return status;
}

/* --------------------------------------------------------------- whole nets */

/* Constants that only layers have are no nodes. */
static ptf_status drop_parameters(parser *p)
{
    ptf_net *net = p->net;
    int kept = 0;
    for (int i = 0; i < net->node_count; i++) {
        symbol *s = p->of_node[i];
        ptf_node *node = &net->nodes[i];
        if (s->is_parameter && !s->is_read)
            continue;
        for (int k = 0; k < node->input_count; k++)
            node->inputs[k] = p->of_node[node->inputs[k]]->node;
        s->node = kept;
        net->nodes[kept++] = *node;
    }
    for (int i = 0; i < net->output_count; i++)
        net->outputs[i].node = p->of_node[net->outputs[i].node]->node;
    net->node_count = kept;
    ptf_origin origin = {p->s.file, NULL};
    return kept <= PTF_GRAPH_NODES_MAX
               ? PTF_OK
               : ptf_fail(p->s.err, PTF_UNSUPPORTED, &origin, PTF_NO_OFFSET,
                          "more than %d values", PTF_GRAPH_NODES_MAX);
}

/* What does not fit in a net that is read is no mistake of the caller's. */
static ptf_status check(const ptf_net *net, ptf_error *err)
{
    ptf_status status = ptf_net_check(net, err);
    if (status != PTF_ARGUMENT)
        return status;
    if (err != NULL)
        err->status = PTF_FORMAT;
    return PTF_FORMAT;
}

static ptf_status parse_text(parser *p, const char *text)
{
    ptf_origin origin = {p->s.file, NULL};
    if (strnlen(text, PTF_GRAPH_TEXT_MAX + 1) > PTF_GRAPH_TEXT_MAX)
        return ptf_fail(p->s.err, PTF_FORMAT, &origin, PTF_NO_OFFSET,
                        "more than %d bytes of text", PTF_GRAPH_TEXT_MAX);
    p->s.at = p->s.line_start = text;
    ptf_status status = parse_lines(p);
    if (status == PTF_OK)
        status = drop_parameters(p);
    if (status == PTF_OK)
        status = check(p->net, p->s.err);
    return status == PTF_OK ? ptf_net_list_parameters(p->net, p->s.err)
                            : status;
}

/* "word" and spaces off the front. */
static bool take(const char **text, const char *word)
{
    size_t size = strlen(word);
    size_t spaces =
        strncmp(*text, word, size) == 0 ? strspn(*text + size, " \t") : 0;
    *text += spaces > 0 ? size + spaces : 0;
    return spaces > 0;
}

bool ptf_graph_is(const char *text)
{
    for (;;) {
        text += strspn(text, " \t\r\n");
        if (*text != '#')
            return take(&text, "ptfold") && take(&text, "graph");
        text += strcspn(text, "\n");
    }
}

ptf_status ptf_graph_parse(const char *text, const char *text_name,
                           ptf_net **out, ptf_error *err)
{
    *out = NULL;
    ptf_net *net = ptf_net_new();
    if (net == NULL)
        return ptf_fail_memory(err);
    parser p = {.net = net};
    p.s = (ptf_scan){.line = 1, .arena = &net->arena, .err = err};
    p.s.file = ptf_arena_copy(&net->arena, text_name, strlen(text_name));
    ptf_status status =
        p.s.file != NULL ? parse_text(&p, text) : ptf_fail_memory(err);
    ptf_text_table_free(&p.names);
    ptf_arena_free(&p.scratch);
    if (status != PTF_OK) {
        ptf_net_free(net);
        return status;
    }
    *out = net;
    return PTF_OK;
}
