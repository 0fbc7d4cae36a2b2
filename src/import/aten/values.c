/*
 * What a program's values become: nodes, their two forms, and results.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"
#include "import/text.h"
#include "net/graph.h"

static ptf_shape without_first(ptf_shape shape)
{
    shape.rank--;
    memmove(shape.dim, shape.dim + 1, (size_t)shape.rank * sizeof(*shape.dim));
    return shape;
}

/* With an axis of size 1 in front. */
static ptf_status add_first(ptf_lowering *l, ptf_shape *shape)
{
    if (shape->rank == PTF_SHAPE_MAX)
        return ptf_lower_refuse_rank(l, shape->rank + 1, PTF_SHAPE_MAX);
    memmove(shape->dim + 1, shape->dim,
            (size_t)shape->rank * sizeof(*shape->dim));
    shape->dim[0] = 1;
    shape->rank++;
    return PTF_OK;
}

static bool same_shape(const ptf_shape *a, const ptf_shape *b)
{
    return a->rank == b->rank &&
           memcmp(a->dim, b->dim, (size_t)a->rank * sizeof(*a->dim)) == 0;
}

/* ------------------------------------------------------------------- nodes */

/*
 * The module's path where the node is the module (its class is the op's), so
 * that names are those of the state dict; else the call's own name.
 */
static const char *name_of(const ptf_lowering *l, ptf_op op)
{
    const ptf_program_node *call = l->call;
    const char *class_name = ptf_op_info(op)->class_name;
    if (call == NULL)
        return "output";
    bool is_module = call->module != NULL && call->module[0] != '\0' &&
                     call->class != NULL && class_name[0] != '\0' &&
                     strcmp(ptf_path_last(call->class), class_name) == 0;
    return is_module && ptf_text_table_find(&l->names, call->module) == NULL
               ? call->module
               : call->name;
}

/* Names differ: one that is taken gets a number. */
static const char *take_name(ptf_lowering *l, const char *name)
{
    int number = l->net->node_count;
    while (name != NULL && ptf_text_table_find(&l->names, name) != NULL)
        name = ptf_arena_printf(&l->net->arena, "%s.%d", name, number++);
    bool ok = name != NULL && ptf_text_table_add(&l->names, name, l);
    return ok ? name : NULL;
}

static bool make_room(ptf_lowering *l)
{
    ptf_net *net = l->net;
    void *nodes = net->nodes, *shapes = l->shapes;
    bool ok = ptf_arena_grow(&net->arena, &nodes, net->node_count,
                             &l->node_capacity, sizeof(*net->nodes)) &&
              ptf_arena_grow(&net->arena, &shapes, net->node_count,
                             &l->shape_capacity, sizeof(*l->shapes));
    net->nodes = nodes;
    l->shapes = shapes;
    return ok;
}

/* Adds it with its shape; names and texts are for people. */
ptf_status ptf_lower_append(ptf_lowering *l, const ptf_node *node,
                            const ptf_shape *shape, int *out)
{
    ptf_net *net = l->net;
    if (net->node_count >= PTF_GRAPH_NODES_MAX)
        return ptf_lower_refuse(l, "the net has more than %d nodes",
                                PTF_GRAPH_NODES_MAX);
    if (!make_room(l))
        return ptf_fail_memory(l->err);
    ptf_node *n = &net->nodes[net->node_count];
    const ptf_op_row *row = ptf_op_info(node->op);
    *n = *node;
    n->container = -1;
    n->call = l->call_number;
    n->file = l->program->file.name;
    n->class_name = row->class_name[0] != '\0' ? row->class_name : row->name;
    n->text = row->class_name[0] != '\0'
                  ? ptf_op_text(&net->arena, n->op, &n->attrs)
                  : row->name;
    n->name = take_name(l, n->name);
    if (n->text == NULL || n->name == NULL)
        return ptf_fail_memory(l->err);
    l->shapes[net->node_count] = *shape;
    *out = net->node_count++;
    return PTF_OK;
}

ptf_attrs ptf_lower_defaults(ptf_op op)
{
    ptf_attrs attrs;
    ptf_attrs_default(op, &attrs);
    attrs.ceil_mode_unspecified = attrs.count_include_pad_unspecified = false;
    return attrs;
}

static ptf_status check_shape(ptf_lowering *l, ptf_node *node, ptf_shape *out)
{
    int count = node->input_count;
    ptf_shape *in = ptf_alloc((size_t)count * sizeof(*in));
    if (in == NULL)
        return ptf_fail_memory(l->err);
    for (int i = 0; i < count; i++)
        in[i] = l->shapes[node->inputs[i]];
    const char *wrong = ptf_op_settle(node->op, &node->attrs);
    if (wrong == NULL)
        wrong = ptf_op_shape(node->op, &node->attrs, in, count, out);
    if (wrong == NULL && !ptf_shape_is_sane(out))
        wrong = "its output is too large";
    char text[PTF_REFUSAL_TEXT];
    ptf_status status = PTF_OK;
    if (wrong != NULL)
        status = ptf_lower_refuse(
            l, "%s", ptf_op_refusal(wrong, &node->attrs, in[0].dim[0], text));
    ptf_free(in);
    return status;
}

/* "5x3x3x3", for messages. */
static void sizes_text(const int64_t *sizes, int rank,
                       char text[PTF_SHAPE_TEXT])
{
    ptf_shape shape = {.rank = rank < PTF_SHAPE_MAX ? rank : PTF_SHAPE_MAX};
    memcpy(shape.dim, sizes, (size_t)shape.rank * sizeof(*sizes));
    ptf_shape_text(&shape, text);
}

/* Parameters have the shapes that the op's attributes and inputs ask for. */
static ptf_status check_parameters(ptf_lowering *l, const ptf_node *node)
{
    for (int role = 0; role < PTF_ROLE_COUNT; role++) {
        const ptf_tensor *t = node->tensors[role];
        char want[PTF_SHAPE_TEXT], got[PTF_SHAPE_TEXT];
        int64_t shape[PTF_MAX_RANK];
        int rank;
        if (t == NULL || !ptf_op_parameter(node->op, &node->attrs,
                                           (ptf_role)role, &rank, shape))
            continue;
        if (t->rank == rank &&
            memcmp(t->shape, shape, (size_t)rank * sizeof(*shape)) == 0)
            continue;
        sizes_text(shape, rank, want);
        sizes_text(t->shape, t->rank, got);
        return ptf_lower_refuse(l, "expected a %s of %s, got %s",
                                ptf_role_name((ptf_role)role), want, got);
    }
    return PTF_OK;
}

ptf_status ptf_lower_add(ptf_lowering *l, ptf_op op, const ptf_attrs *attrs,
                         int count, const int *inputs,
                         const ptf_tensor *const tensors[PTF_ROLE_COUNT],
                         int *out)
{
    ptf_node node = {.op = op, .attrs = *attrs, .name = name_of(l, op)};
    ptf_shape shape;
    if (!ptf_node_read(&l->net->arena, &node, count, inputs))
        return ptf_fail_memory(l->err);
    ptf_status status = check_shape(l, &node, &shape);
    if (status == PTF_OK && tensors != NULL)
        memcpy(node.tensors, tensors, sizeof(node.tensors));
    if (status == PTF_OK)
        status = check_parameters(l, &node);
    if (status == PTF_OK &&
        (ptf_shape_numel(&shape) == 0 || ptf_lower_reads_nothing(l, &node)))
        return ptf_lower_add_of_nothing(l, &node, &shape, out);
    if (status == PTF_OK)
        status = ptf_lower_append(l, &node, &shape, out);
    if (status == PTF_OK && ptf_lower_is_constant(l, *out))
        status = ptf_lower_evaluate(l, *out);
    return status;
}

ptf_status ptf_lower_add_one(ptf_lowering *l, ptf_op op, const ptf_attrs *attrs,
                             int input, int *out)
{
    return ptf_lower_add(l, op, attrs, 1, &input, NULL, out);
}

ptf_status ptf_lower_reshape(ptf_lowering *l, int input, const ptf_shape *shape,
                             int *out)
{
    if (same_shape(&l->shapes[input], shape)) {
        *out = input;
        return PTF_OK;
    }
    ptf_attrs a = ptf_lower_defaults(PTF_OP_RESHAPE);
    a.size.count = shape->rank;
    memcpy(a.size.at, shape->dim, (size_t)shape->rank * sizeof(*shape->dim));
    return ptf_lower_add_one(l, PTF_OP_RESHAPE, &a, input, out);
}

/* --------------------------------------------------------------- constants */

/* A node of a tensor, with all its axes in the shape. */
static ptf_status add_constant(ptf_lowering *l, const ptf_tensor *tensor,
                               int *out)
{
    ptf_tensor *own = ptf_arena_alloc(&l->net->arena, sizeof(*own));
    ptf_shape shape = {.rank = tensor->rank};
    if (own == NULL)
        return ptf_fail_memory(l->err);
    *own = *tensor;
    if (own->rank > PTF_SHAPE_MAX)
        return ptf_lower_refuse(l, "a constant has %d axes; at most %d can be",
                                own->rank, PTF_SHAPE_MAX);
    memcpy(shape.dim, own->shape, (size_t)own->rank * sizeof(*shape.dim));
    ptf_node node = {.op = PTF_OP_CONSTANT, .name = "constant"};
    if (own->name != NULL && own->name[0] != '\0')
        node.name = own->name;
    node.tensors[PTF_ROLE_WEIGHT] = own;
    ptf_status status = ptf_lower_append(l, &node, &shape, out);
    if (status == PTF_OK)
        own->name = l->net->nodes[*out].name;
    return status;
}

ptf_status ptf_lower_constant(ptf_lowering *l, const float *data,
                              const ptf_shape *shape, int *out)
{
    const ptf_tensor *tensor = ptf_lower_tensor_of(l, data, shape);
    return tensor != NULL ? add_constant(l, tensor, out)
                          : ptf_fail_memory(l->err);
}

ptf_status ptf_lower_scalar(ptf_lowering *l, double number, int *out)
{
    const ptf_shape shape = {.rank = 0};
    return ptf_lower_filled(l, &shape, number, out);
}

static bool is_expanded(const ptf_tensor *t)
{
    bool some = false;
    for (int d = 0; d < t->rank; d++)
        some = some || (t->stride[d] == 0 && t->shape[d] > 1);
    return some;
}

/* A tensor as a node: in place where it is f32 and not expanded. */
static ptf_status node_of_tensor(ptf_lowering *l, const ptf_tensor *tensor,
                                 int *out)
{
    const float *data = NULL;
    ptf_shape shape = {.rank = tensor->rank};
    if ((tensor->dtype == PTF_DTYPE_F32 && !is_expanded(tensor)) ||
        tensor->rank > PTF_SHAPE_MAX)
        return add_constant(l, tensor, out);
    memcpy(shape.dim, tensor->shape, (size_t)tensor->rank * sizeof(*shape.dim));
    ptf_status status = ptf_lower_floats(l, tensor, &data);
    if (status != PTF_OK)
        return status;
    ptf_tensor *own = ptf_lower_tensor_of(l, data, &shape);
    if (own == NULL)
        return ptf_fail_memory(l->err);
    own->name = tensor->name;
    return add_constant(l, own, out);
}

/* The state dict's name goes to what is read in its place. */
static ptf_status swap_names(ptf_lowering *l, int a, int b)
{
    ptf_node *nodes[2] = {&l->net->nodes[a], &l->net->nodes[b]};
    const char *const names[2] = {nodes[1]->name, nodes[0]->name};
    for (int i = 0; i < 2; i++) {
        const ptf_tensor *t = nodes[i]->tensors[PTF_ROLE_WEIGHT];
        ((ptf_tensor *)(uintptr_t)t)->name = nodes[i]->name = names[i];
    }
    return PTF_OK;
}

static ptf_tensor first_row(const ptf_tensor *tensor)
{
    ptf_tensor t = *tensor;
    t.rank--;
    memmove(t.shape, t.shape + 1, (size_t)t.rank * sizeof(*t.shape));
    memmove(t.stride, t.stride + 1, (size_t)t.rank * sizeof(*t.stride));
    return t;
}

/*
 * The same for each sample: PyTorch aligns shapes at their ends, so a constant
 * of the rank of batched operands has a batch axis too, of size 1 or with
 * equal numbers all along it.
 */
static ptf_status drop_batch(ptf_lowering *l, int constant, int *out)
{
    const ptf_node *node = &l->net->nodes[constant];
    ptf_tensor t = first_row(node->tensors[PTF_ROLE_WEIGHT]);
    int64_t samples = node->tensors[PTF_ROLE_WEIGHT]->shape[0];
    if (samples != 1 && l->sizes->is_free) {
        l->mixes = true;
        return ptf_lower_refuse(l, "a constant is for a batch of %lld",
                                (long long)samples);
    }
    if (samples != 1 && samples != l->batch)
        return ptf_lower_refuse(
            l, "expected a constant for a batch of %lld, got one of %lld",
            (long long)l->batch, (long long)samples);
    const float *all = NULL;
    ptf_status status = PTF_OK;
    if (samples > 1) {
        status = ptf_lower_floats(l, node->tensors[PTF_ROLE_WEIGHT], &all);
        size_t bytes = (size_t)ptf_tensor_numel(&t) * sizeof(float);
        for (int64_t i = 1; status == PTF_OK && i < samples; i++) {
            const float *row = all + i * ptf_tensor_numel(&t);
            if (memcmp(all, row, bytes) != 0) {
                l->mixes = true;
                status = ptf_lower_refuse(l, "a constant has other numbers for "
                                             "each sample of the batch");
            }
        }
    }
    status = status == PTF_OK ? add_constant(l, &t, out) : status;
    return status == PTF_OK ? swap_names(l, constant, *out) : status;
}

/* What was expanded to a batch of any size, by the name that it has where that
 * is all of it. */
static ptf_status drop_repeats(ptf_lowering *l, int value, int *out)
{
    ptf_tensor t = first_row(l->values[value].tensor);
    int of = l->storage != NULL ? l->storage[value].of : -1;
    const ptf_tensor *whole = of >= 0 ? l->values[of].tensor : NULL;
    if (whole != NULL && ptf_tensor_numel(whole) == ptf_tensor_numel(&t))
        t.name = whole->name;
    return node_of_tensor(l, &t, out);
}

/* ------------------------------------------------------------------- forms */

bool ptf_lower_is_computed(const ptf_lowering *l, const ptf_lowered *v)
{
    return v->node >= 0 && l->net->nodes[v->node].op != PTF_OP_CONSTANT;
}

static int rank_of(const ptf_lowering *l, const ptf_lowered *v)
{
    if (v->node >= 0)
        return l->shapes[v->node].rank + v->batched;
    return v->tensor != NULL ? v->tensor->rank : 0;
}

/* Sees that the call's form is one that all its operands can have. */
static void see_operand(ptf_lowering *l, int value, bool *some, bool *all)
{
    if (value < 0)
        return;
    const ptf_lowered *v = &l->values[value];
    int rank = rank_of(l, v);
    l->rank = rank > l->rank ? rank : l->rank;
    if (ptf_lower_is_computed(l, v)) {
        *some = true;
        *all = *all && v->batched;
    }
}

void ptf_lower_begin(ptf_lowering *l, const ptf_program_node *call)
{
    bool some = false, all = true;
    l->call = call;
    if (l->graph == &l->program->graph) /* a branch is its call's */
        l->call_number = (int)(call - l->graph->nodes);
    l->rank = 0;
    l->first_node = l->net->node_count;
    for (int i = 0; i < call->argument_count; i++) {
        const ptf_argument *a = &call->arguments[i];
        if (a->kind == PTF_ARGUMENT_VALUE)
            see_operand(l, a->value, &some, &all);
        for (int k = 0; a->kind == PTF_ARGUMENT_VALUES && k < a->count; k++)
            see_operand(l, a->values[k], &some, &all);
    }
    l->batched = some && all;
}

ptf_status ptf_lower_whole(ptf_lowering *l)
{
    if (l->batched && l->batch != 1) {
        l->mixes = true;
        return ptf_lower_refuse(l, "mixes the samples of a batch");
    }
    if (l->batched && l->mixer == NULL)
        l->mixer = l->call;
    l->batched = false;
    return PTF_OK;
}

ptf_status ptf_lower_broadcast(ptf_lowering *l)
{
    bool aligned = true;
    for (int i = 0; i < l->call->argument_count; i++) {
        const ptf_argument *a = &l->call->arguments[i];
        const ptf_lowered *v =
            a->kind == PTF_ARGUMENT_VALUE ? &l->values[a->value] : NULL;
        if (v != NULL && ptf_lower_is_computed(l, v))
            aligned = aligned && rank_of(l, v) == l->rank;
    }
    return aligned ? PTF_OK : ptf_lower_whole(l);
}

ptf_status ptf_lower_axis(ptf_lowering *l, int rank, int64_t dim, int *out)
{
    int64_t axis = dim < 0 ? dim + (rank > 0 ? rank : 1) : dim;
    if (axis < 0 || axis >= (rank > 0 ? rank : 1))
        return ptf_lower_refuse(l,
                                "expected a dimension of %d, got number %lld",
                                rank, (long long)dim);
    ptf_status status = axis == 0 ? ptf_lower_whole(l) : PTF_OK;
    *out = ptf_lower_net_axis(l, (int)axis);
    return status;
}

/* The value in its other form, a reshape that is made once. */
static ptf_status turn(ptf_lowering *l, ptf_lowered *v, int *out)
{
    ptf_shape shape = l->shapes[v->node];
    if (v->other >= 0) {
        *out = v->other;
        return PTF_OK;
    }
    ptf_status status = add_first(l, &shape);
    if (status == PTF_OK)
        status = ptf_lower_reshape(l, v->node, &shape, out);
    v->other = *out;
    return status;
}

/* A value as a node in the call's form. */
ptf_status ptf_lower_value_node(ptf_lowering *l, int value, int *out)
{
    ptf_lowered *v = &l->values[value];
    ptf_status status = PTF_OK;
    if (v->node < 0 && v->tensor == NULL)
        return ptf_lower_refuse(l, "reads '%s', which ptfold does not compute",
                                ptf_lower_value(l, value)->name);
    if (v->node < 0) {
        status = node_of_tensor(l, v->tensor, &v->node);
        if (v->memory > 0)
            l->memories[v->memory].in_use = true;
    }
    *out = v->node;
    if (status != PTF_OK)
        return status;
    if (v->batched && !l->batched)
        return turn(l, v, out);
    bool constant = l->net->nodes[v->node].op == PTF_OP_CONSTANT;
    if (l->batched && constant && rank_of(l, v) == l->rank && l->rank > 0) {
        if (v->other < 0)
            status = v->tensor != NULL && v->tensor->stride[0] == 0
                         ? drop_repeats(l, value, &v->other)
                         : drop_batch(l, v->node, &v->other);
        *out = v->other;
    }
    return status;
}

ptf_status ptf_lower_whole_value(ptf_lowering *l, int value, int *out)
{
    bool batched = l->batched;
    l->batched = false;
    ptf_status status = ptf_lower_value_node(l, value, out);
    l->batched = batched;
    return status;
}

ptf_status ptf_lower_node(ptf_lowering *l, const char *name, int *out)
{
    const ptf_argument *a = ptf_program_argument(l->call, name);
    *out = -1;
    if (a == NULL || a->kind != PTF_ARGUMENT_VALUE)
        return ptf_lower_refuse(l, "expected a tensor as %s", name);
    return ptf_lower_value_node(l, a->value, out);
}

ptf_status ptf_lower_nodes(ptf_lowering *l, const char *name, int **out,
                           int *count)
{
    const ptf_argument *a = ptf_program_argument(l->call, name);
    if (a == NULL || a->kind != PTF_ARGUMENT_VALUES || a->count == 0)
        return ptf_lower_refuse(l, "expected tensors as %s", name);
    *out = ptf_arena_array(&l->net->arena, (size_t)a->count, sizeof(**out));
    *count = a->count;
    ptf_status status = *out != NULL ? PTF_OK : ptf_fail_memory(l->err);
    for (int i = 0; i < a->count && status == PTF_OK; i++) {
        if (a->values[i] < 0)
            return ptf_lower_refuse(l, "element %d of %s is None", i, name);
        status = ptf_lower_value_node(l, a->values[i], &(*out)[i]);
    }
    return status;
}

ptf_status ptf_lower_sizes(ptf_lowering *l, const char *name,
                           int64_t out[PTF_LOWER_LIST], int *rank)
{
    const ptf_argument *a = ptf_program_argument(l->call, name);
    if (a == NULL || a->kind != PTF_ARGUMENT_VALUE)
        return ptf_lower_refuse(l, "expected a tensor as %s", name);
    const ptf_lowered *v = &l->values[a->value];
    if (v->node < 0 && v->tensor == NULL)
        return ptf_lower_refuse(l, "reads '%s', which ptfold does not compute",
                                ptf_lower_value(l, a->value)->name);
    ptf_lower_value_sizes(l, a->value, out, rank);
    return *rank <= PTF_LOWER_LIST
               ? PTF_OK
               : ptf_lower_refuse_rank(l, *rank, PTF_LOWER_LIST);
}

void ptf_lower_value_sizes(const ptf_lowering *l, int value,
                           int64_t out[PTF_LOWER_LIST], int *rank)
{
    const ptf_lowered *v = &l->values[value];
    const int64_t *dim =
        v->node >= 0 ? l->shapes[v->node].dim : v->tensor->shape;
    *rank = rank_of(l, v);
    out[0] = l->batch;
    for (int d = v->batched; d < *rank && d < PTF_LOWER_LIST; d++)
        out[d] = dim[d - v->batched];
}

/* ----------------------------------------------------------------- results */

/* "[2, 64, 56, 56]" into 'text'. */
static void recorded_text(const ptf_program_value *v, char text[256])
{
    size_t used = 1;
    snprintf(text, 256, "[");
    for (int d = 0; d < v->rank && used < 200; d++)
        used +=
            (size_t)snprintf(text + used, 256 - used, "%s%lld",
                             d > 0 ? ", " : "", (long long)v->sizes[d].value);
    snprintf(text + used, 256 - used, "]");
}

/* What was recorded is not believed, but must be what the rules give. */
static ptf_status check_recorded(ptf_lowering *l, const ptf_program_value *v,
                                 const ptf_shape *shape)
{
    int more = l->batched;
    bool same = v->rank == shape->rank + more;
    for (int d = 0; same && d < v->rank; d++) {
        const ptf_program_size *size = &v->sizes[d];
        int64_t want = d < more ? l->batch : shape->dim[d - more], recorded;
        bool known = ptf_sizes_recorded(l->sizes, size, &recorded);
        bool open = size->expr != NULL ? !known : l->sizes->moved;
        same = open || (known && recorded == want);
    }
    if (same)
        return PTF_OK;
    char recorded[256], want[PTF_SHAPE_TEXT];
    recorded_text(v, recorded);
    ptf_shape_text(shape, want);
    return ptf_lower_refuse(l,
                            "expected %s%s from its inputs, got a recorded "
                            "shape of %s",
                            more ? "a batch of " : "", want, recorded);
}

/* Bools are 0 and 1, and integers f32 that hold them exactly. */
static ptf_status check_dtype(ptf_lowering *l, const ptf_program_value *v,
                              int node)
{
    if (v->layout != PTF_PROGRAM_STRIDED)
        return ptf_lower_refuse(l, "expected a strided result, got a recorded "
                                   "layout of another kind");
    if (ptf_dtype_is_integer(v->dtype))
        return ptf_lower_check_integer(l, node);
    return v->dtype == PTF_DTYPE_F32 || v->dtype == PTF_DTYPE_BOOL
               ? PTF_OK
               : ptf_lower_refuse(l,
                                  "computes in %s; ptfold computes in "
                                  "float32",
                                  ptf_dtype_name(v->dtype));
}

/* What was evaluated may be seen by views, and written to. */
static ptf_status keep_constant(ptf_lowering *l, ptf_lowered *v)
{
    const ptf_tensor *t = l->net->nodes[v->node].tensors[PTF_ROLE_WEIGHT];
    float *data = (float *)(uintptr_t)t->data;
    v->tensor = t;
    if (v->node < l->first_node) /* another value's */
        return PTF_OK;
    ptf_status status =
        ptf_lower_remember(l, data, ptf_tensor_numel(t), &v->memory);
    if (status == PTF_OK)
        l->memories[v->memory].in_use = true;
    return status;
}

ptf_status ptf_lower_become(ptf_lowering *l, ptf_lowered *v, int node)
{
    ptf_shape shape = l->shapes[node];
    v->node = node;
    v->batched = l->batched;
    if (l->net->nodes[node].op == PTF_OP_CONSTANT)
        return keep_constant(l, v);
    /* A first axis of size 1 is the batch of a program of one sample. */
    if (l->batched || l->batch != 1 || shape.rank == 0 || shape.dim[0] != 1)
        return PTF_OK;
    shape = without_first(shape);
    v->other = node;
    v->batched = true;
    return ptf_lower_reshape(l, node, &shape, &v->node);
}

ptf_status ptf_lower_give_at(ptf_lowering *l, int index, int node)
{
    const ptf_program_node *call = l->call;
    int result = index < call->result_count ? call->results[index] : -1;
    if (result < 0)
        return PTF_OK;
    const ptf_program_value *recorded = ptf_lower_value(l, result);
    ptf_shape shape = l->shapes[node];
    bool constant = l->net->nodes[node].op == PTF_OP_CONSTANT;
    ptf_lowered *v = &l->values[result];
    if (constant && l->batched)
        return ptf_lower_refuse(l, "a constant in place of a batch");
    ptf_status status = check_recorded(l, recorded, &shape);
    if (status == PTF_OK)
        status = check_dtype(l, recorded, node);
    return status == PTF_OK ? ptf_lower_become(l, v, node) : status;
}

ptf_status ptf_lower_give(ptf_lowering *l, int node)
{
    return ptf_lower_give_at(l, 0, node);
}

ptf_status ptf_lower_give_node(ptf_lowering *l, ptf_op op,
                               const ptf_attrs *attrs, int input,
                               const ptf_tensor *const *tensors)
{
    int node;
    ptf_status status = ptf_lower_add(l, op, attrs, 1, &input, tensors, &node);
    return status == PTF_OK ? ptf_lower_give(l, node) : status;
}

ptf_status ptf_lower_give_view(ptf_lowering *l, int index, ptf_tensor *view)
{
    const ptf_argument *self = ptf_program_argument(l->call, "self");
    int result = index < l->call->result_count ? l->call->results[index] : -1;
    if (result < 0)
        return PTF_OK;
    const ptf_tensor *whole = l->values[self->value].tensor;
    if (ptf_tensor_numel(view) != ptf_tensor_numel(whole))
        view->name = ptf_lower_value(l, result)->name; /* a part of it */
    l->values[result].tensor = view;
    l->values[result].memory = l->values[self->value].memory;
    return PTF_OK;
}

ptf_status ptf_lower_give_constant(ptf_lowering *l, float *data,
                                   const ptf_shape *shape)
{
    int result = l->call->result_count > 0 ? l->call->results[0] : -1;
    const ptf_tensor *tensor = ptf_lower_tensor_of(l, data, shape);
    if (tensor == NULL)
        return ptf_fail_memory(l->err);
    l->batched = false;
    if (result < 0)
        return PTF_OK;
    l->values[result].tensor = tensor;
    const ptf_program_value *recorded = ptf_lower_value(l, result);
    ptf_status status = check_recorded(l, recorded, shape);
    if (status == PTF_OK)
        status = ptf_lower_check_made(l, recorded->dtype, tensor);
    if (status == PTF_OK)
        status = ptf_lower_remember(l, data, ptf_shape_numel(shape),
                                    &l->values[result].memory);
    return status;
}

ptf_status ptf_lower_same(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    const ptf_argument *a = &l->call->arguments[0];
    if (l->call->argument_count < 1 || a->kind != PTF_ARGUMENT_VALUE)
        return ptf_lower_refuse(l, "expected a tensor as its first argument");
    int result = l->call->result_count > 0 ? l->call->results[0] : -1;
    if (result >= 0)
        l->values[result] = l->values[a->value];
    return PTF_OK;
}

/* -------------------------------------------------------- sample by sample */

/* The op on one position of the first axis of a whole value. */
static ptf_status at_position(ptf_lowering *l, ptf_op op,
                              const ptf_attrs *attrs, int input,
                              int64_t position,
                              const ptf_tensor *const tensors[PTF_ROLE_COUNT],
                              int *out)
{
    ptf_attrs a = ptf_lower_defaults(PTF_OP_SLICE);
    ptf_shape shape = l->shapes[input];
    bool one = shape.dim[0] == 1;
    a.dim = a.length = 1;
    a.start = position;
    ptf_status status =
        one ? PTF_OK : ptf_lower_add_one(l, PTF_OP_SLICE, &a, input, &input);
    shape = without_first(shape);
    if (status == PTF_OK)
        status = ptf_lower_reshape(l, input, &shape, &input);
    if (status == PTF_OK)
        status = ptf_lower_add(l, op, attrs, 1, &input, tensors, out);
    if (status != PTF_OK)
        return status;
    shape = l->shapes[*out];
    status = add_first(l, &shape);
    return status == PTF_OK ? ptf_lower_reshape(l, *out, &shape, out) : status;
}

/* What the op gives for samples, of which there are none. */
static ptf_status no_position(ptf_lowering *l, ptf_op op,
                              const ptf_attrs *attrs, int input, int *out)
{
    ptf_node node = {.op = op, .attrs = *attrs, .name = ""};
    ptf_shape shape = without_first(l->shapes[input]);
    int sample;
    ptf_status status = ptf_lower_filled(l, &shape, 0, &sample);
    if (status == PTF_OK && !ptf_node_read(&l->net->arena, &node, 1, &sample))
        status = ptf_fail_memory(l->err);
    if (status == PTF_OK)
        status = check_shape(l, &node, &shape);
    if (status == PTF_OK)
        status = add_first(l, &shape);
    shape.dim[0] = 0;
    return status == PTF_OK ? ptf_lower_filled(l, &shape, 0, out) : status;
}

static ptf_status each_position(ptf_lowering *l, ptf_op op,
                                const ptf_attrs *attrs, int input,
                                const ptf_tensor *const tensors[PTF_ROLE_COUNT],
                                int *out)
{
    ptf_attrs a = ptf_lower_defaults(PTF_OP_CONCAT);
    int64_t count = l->shapes[input].dim[0];
    if (count > PTF_OPERANDS_MAX)
        return ptf_lower_refuse(l,
                                "works on %lld samples of its own, more "
                                "than %d",
                                (long long)count, PTF_OPERANDS_MAX);
    if (count == 0)
        return no_position(l, op, attrs, input, out);
    int *parts = ptf_alloc((size_t)count * sizeof(*parts));
    ptf_status status = parts != NULL ? PTF_OK : ptf_fail_memory(l->err);
    for (int64_t i = 0; i < count && status == PTF_OK; i++)
        status = at_position(l, op, attrs, input, i, tensors, &parts[i]);
    a.dim = 1;
    if (status == PTF_OK && count == 1)
        *out = parts[0];
    else if (status == PTF_OK)
        status =
            ptf_lower_add(l, PTF_OP_CONCAT, &a, (int)count, parts, NULL, out);
    ptf_free(parts);
    return status;
}

ptf_status ptf_lower_samples(ptf_lowering *l, ptf_op op, const ptf_attrs *attrs,
                             const char *operand, int axes,
                             const ptf_tensor *const tensors[PTF_ROLE_COUNT])
{
    int64_t sizes[PTF_LOWER_LIST];
    int rank, input, node = -1;
    ptf_status status = ptf_lower_sizes(l, operand, sizes, &rank);
    if (status == PTF_OK && rank != axes && rank != axes + 1)
        return ptf_lower_refuse(l, "expected %d or %d axes, got %d", axes,
                                axes + 1, rank);
    if (status == PTF_OK && rank == axes)
        status = ptf_lower_whole(l);
    if (status == PTF_OK)
        status = ptf_lower_node(l, operand, &input);
    if (status != PTF_OK)
        return status;
    if (rank == axes || l->batched)
        status = ptf_lower_add(l, op, attrs, 1, &input, tensors, &node);
    else
        status = each_position(l, op, attrs, input, tensors, &node);
    return status == PTF_OK ? ptf_lower_give(l, node) : status;
}
