/*
 * Numbers that the sizes of the inputs decide, and what is computed of them;
 * assertions.  A number that is read out of a tensor (item) is a node of the
 * net; of these only integers are computed with, which f32 holds exactly.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"
#include "program/arithmetic.h"

#include <math.h>

static ptf_status give_number(ptf_lowering *l, const ptf_lowered_number *number)
{
    int result = l->call->result_count > 0 ? l->call->results[0] : -1;
    if (result >= 0)
        l->values[result].number = *number;
    return PTF_OK;
}

static ptf_status give_size(ptf_lowering *l, int64_t size, bool of_batch)
{
    return give_number(l, &(ptf_lowered_number){.known = true,
                                                .of_batch = of_batch,
                                                .whole = size});
}

static ptf_status lower_size(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    int64_t sizes[PTF_LOWER_LIST], dim;
    int rank;
    ptf_status status = ptf_lower_sizes(l, "self", sizes, &rank);
    if (status == PTF_OK)
        status = ptf_lower_int(l, "dim", &dim);
    if (status != PTF_OK)
        return status;
    dim += dim < 0 ? rank : 0;
    if (dim < 0 || dim >= rank)
        return ptf_lower_refuse(l, "expected a dimension of %d", rank);
    return give_size(l, sizes[dim], l->batched && dim == 0);
}

static ptf_status lower_numel(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    int64_t sizes[PTF_LOWER_LIST], n = 1;
    int rank;
    ptf_status status = ptf_lower_sizes(l, "self", sizes, &rank);
    for (int d = 0; d < rank && status == PTF_OK; d++) {
        if (!ptf_mul_i64(n, sizes[d], &n))
            status = ptf_lower_refuse(l, "has too many elements");
    }
    return status == PTF_OK ? give_size(l, n, l->batched) : status;
}

/* ----------------------------------------------------------- known numbers */

static bool negate(int64_t a, int64_t b, int64_t *out)
{
    return ptf_integer_subtract(b, a, out); /* there is no b: it is 0 */
}

static bool both(int64_t a, int64_t b, int64_t *out)
{
    *out = a & b;
    return true;
}

static bool either(int64_t a, int64_t b, int64_t *out)
{
    *out = a | b;
    return true;
}

static bool invert(int64_t a, int64_t b, int64_t *out)
{
    *out = a == b;
    return true;
}

static bool same(int64_t a, int64_t b, int64_t *out)
{
    return ptf_integer_add(a, b, out);
}

static double add_real(double a, double b)
{
    return a + b;
}

static double subtract_real(double a, double b)
{
    return a - b;
}

static double negate_real(double a, double b)
{
    return b - a;
}

static double multiply_real(double a, double b)
{
    return a * b;
}

static double divide_real(double a, double b)
{
    return a / b;
}

static double root_real(double a, double b)
{
    return sqrt(a + b);
}

static double largest_real(double a, double b)
{
    return a > b ? a : b;
}

static double least_real(double a, double b)
{
    return a < b ? a : b;
}

enum { LESS = 1, EQUAL = 2, MORE = 4 };

/* What an operator does with one number or two, as Python has it. */
typedef struct arithmetic {
    const char *target;
    int count;
    bool (*whole)(int64_t a, int64_t b, int64_t *out); /* false: no result */
    double (*real)(double a, double b); /* of floats, or without 'whole' */
    double (*round)(double a);          /* of a float, to an integer */
    int order;     /* of a comparison: those that it is true for */
    bool is_exact; /* of integers that f32 holds, in f32 */
} arithmetic;

static const arithmetic operators[] = {
    {"_operator.add", 2, ptf_integer_add, add_real, .is_exact = true},
    {"_operator.sub", 2, ptf_integer_subtract, subtract_real, .is_exact = true},
    {"_operator.mul", 2, ptf_integer_multiply, multiply_real, .is_exact = true},
    {"_operator.truediv", 2, .real = divide_real},
    {"_operator.floordiv", 2, .whole = ptf_integer_divide},
    {"_operator.mod", 2, .whole = ptf_integer_modulo},
    {"_operator.pow", 2, ptf_integer_power, .real = pow},
    {"_operator.eq", 2, .order = EQUAL, .is_exact = true},
    {"_operator.ne", 2, .order = LESS | MORE, .is_exact = true},
    {"_operator.lt", 2, .order = LESS, .is_exact = true},
    {"_operator.le", 2, .order = LESS | EQUAL, .is_exact = true},
    {"_operator.gt", 2, .order = MORE, .is_exact = true},
    {"_operator.ge", 2, .order = EQUAL | MORE, .is_exact = true},
    {"_operator.and_", 2, both, .is_exact = true},
    {"_operator.or_", 2, either, .is_exact = true},
    {"_operator.neg", 1, negate, negate_real, .is_exact = true},
    {"torch.sym_max", 2, ptf_integer_largest, largest_real, .is_exact = true},
    {"torch.sym_min", 2, ptf_integer_least, least_real, .is_exact = true},
    {"torch.sym_not", 1, invert, .is_exact = true},
    {"torch.sym_float", 1, .real = add_real},
    {"torch.sym_int", 1, same, .round = trunc},
    {"math.trunc", 1, same, .round = trunc},
    {"math.floor", 1, same, .round = floor},
    {"math.ceil", 1, same, .round = ceil},
    {"torch.sym_sqrt", 1, .real = root_real},
    {"torch._sym_sqrt", 1, .real = root_real},
};

static const arithmetic *find_arithmetic(const char *target)
{
    size_t i = 0;
    while (strcmp(operators[i].target, target) != 0)
        i++;
    return &operators[i];
}

static double real_of(const ptf_lowered_number *n)
{
    return n->is_real ? n->real : (double)n->whole;
}

/* An integer that a double holds, or a float. */
static bool is_double(const ptf_lowered_number *n)
{
    return n->is_real ||
           (n->whole >= -(INT64_C(1) << 53) && n->whole <= INT64_C(1) << 53);
}

static bool compute(const arithmetic *op, const ptf_lowered_number *a,
                    const ptf_lowered_number *b, ptf_lowered_number *out)
{
    double x = real_of(a), y = real_of(b);
    if (op->whole != NULL && !a->is_real && !b->is_real)
        return op->whole(a->whole, b->whole, &out->whole);
    if (!is_double(a) || !is_double(b))
        return false;
    if (op->order != 0) {
        int found = x < y ? LESS : x > y ? MORE : EQUAL;
        out->whole = (op->order & found) != 0;
        return !isnan(x) && !isnan(y);
    }
    double real = op->round != NULL  ? op->round(x)
                  : op->real != NULL ? op->real(x, y)
                                     : (double)NAN;
    if (op->round == NULL) {
        out->is_real = true;
        out->real = real;
        return isfinite(real);
    }
    bool fits = fabs(real) <= 0x1p53;
    out->whole = fits ? (int64_t)real : 0;
    return fits;
}

/* -------------------------------------------- numbers that tensors decide */

/* f32 holds all integers up to this. */
static const int64_t exact = INT64_C(1) << 24;

/* A number that is a node. */
static bool is_node(const ptf_lowering *l, const ptf_argument *a)
{
    return a->kind == PTF_ARGUMENT_VALUE && l->values[a->value].node >= 0 &&
           ptf_lower_value(l, a->value)->kind != PTF_PROGRAM_TENSOR &&
           !l->values[a->value].number.known;
}

static ptf_status number_node(ptf_lowering *l, const ptf_argument *a, int *out)
{
    ptf_lowered_number n;
    if (is_node(l, a)) {
        *out = l->values[a->value].node;
        return ptf_lower_value(l, a->value)->kind != PTF_PROGRAM_FLOAT
                   ? PTF_OK
                   : ptf_lower_refuse(l,
                                      "computes with '%s', which is no "
                                      "integer",
                                      ptf_lower_value(l, a->value)->name);
    }
    ptf_status status = ptf_lower_known(l, a, &n);
    if (status == PTF_OK && (n.is_real || n.whole < -exact || n.whole > exact))
        status = ptf_lower_refuse(l, "expected integers up to 2^24");
    return status == PTF_OK ? ptf_lower_scalar(l, (double)n.whole, out)
                            : status;
}

/* A node as the result that is a number. */
static ptf_status give_node(ptf_lowering *l, int node)
{
    int result = l->call->result_count > 0 ? l->call->results[0] : -1;
    ptf_status status = PTF_OK;
    if (result < 0)
        return PTF_OK;
    ptf_program_kind kind = ptf_lower_value(l, result)->kind;
    if (kind != PTF_PROGRAM_INT && kind != PTF_PROGRAM_BOOL)
        return ptf_lower_refuse(l, "reads a number out of a tensor that is no "
                                   "integer");
    if (kind == PTF_PROGRAM_INT)
        status = ptf_lower_check_integer(l, node);
    l->values[result].node = node;
    return status;
}

/* What f32 computes exactly of integers. */
static ptf_status compute_node(ptf_lowering *l, ptf_op op, bool is_exact)
{
    ptf_attrs a = ptf_lower_defaults(op);
    int in[2], node, count = l->call->argument_count;
    if (!is_exact)
        return ptf_lower_refuse(l, "computes with a number out of a tensor");
    l->batched = false;
    ptf_status status = PTF_OK;
    for (int i = 0; i < count && status == PTF_OK; i++)
        status = number_node(l, &l->call->arguments[i], &in[i]);
    if (status == PTF_OK)
        status = ptf_lower_add(l, op, &a, count, in, NULL, &node);
    return status == PTF_OK ? give_node(l, node) : status;
}

/* _operator.add and its like. */
static ptf_status lower_arithmetic(ptf_lowering *l, const ptf_aten_row *row)
{
    ptf_lowered_number x[2] = {{0}}, number = {.known = true};
    const arithmetic *op = find_arithmetic(row->target);
    bool nodes = false;
    if (l->call->argument_count != op->count)
        return ptf_lower_refuse(l, "expected %d number%s", op->count,
                                op->count == 1 ? "" : "s");
    for (int i = 0; i < op->count; i++)
        nodes = nodes || is_node(l, &l->call->arguments[i]);
    if (nodes)
        return compute_node(l, row->op, op->is_exact);
    for (int i = 0; i < op->count; i++) {
        ptf_status status = ptf_lower_known(l, &l->call->arguments[i], &x[i]);
        if (status != PTF_OK)
            return status;
    }
    number.of_batch = x[0].of_batch || x[1].of_batch;
    return compute(op, &x[0], &x[1], &number)
               ? give_number(l, &number)
               : ptf_lower_refuse(l, "has no result");
}

/* torch.sym_ite(b, t, f): t where b is true. */
static ptf_status lower_choice(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    const ptf_argument *a = l->call->arguments;
    ptf_attrs attrs = ptf_lower_defaults(PTF_OP_WHERE);
    ptf_lowered_number b, n;
    int in[3], node;
    if (l->call->argument_count != 3)
        return ptf_lower_refuse(l, "expected three numbers");
    ptf_status status = PTF_OK;
    if (!is_node(l, &a[0])) {
        status = ptf_lower_known(l, &a[0], &b);
        const ptf_argument *taken =
            status == PTF_OK && b.whole != 0 ? &a[1] : &a[2];
        if (status == PTF_OK)
            status = ptf_lower_known(l, taken, &n);
        if (status != PTF_OK)
            return status;
        n.of_batch = n.of_batch || b.of_batch;
        return give_number(l, &n);
    }
    l->batched = false;
    for (int i = 0; i < 3 && status == PTF_OK; i++)
        status = number_node(l, &a[i], &in[i]);
    if (status == PTF_OK)
        status = ptf_lower_add(l, PTF_OP_WHERE, &attrs, 3, in, NULL, &node);
    return status == PTF_OK ? give_node(l, node) : status;
}

/* The only element of a tensor, without axes. */
static ptf_status only_element(ptf_lowering *l, int *out)
{
    const ptf_shape scalar = {.rank = 0};
    ptf_status status = ptf_lower_whole(l);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "self", out);
    if (status != PTF_OK)
        return status;
    return ptf_shape_numel(&l->shapes[*out]) == 1
               ? ptf_lower_reshape(l, *out, &scalar, out)
               : ptf_lower_refuse(l, "expected a tensor of one element");
}

/* What a node that is a constant says. */
static bool read_constant(const ptf_lowering *l, int node, float *out)
{
    const ptf_node *n = &l->net->nodes[node];
    if (n->op != PTF_OP_CONSTANT)
        return false;
    return ptf_tensor_read_f32(n->tensors[PTF_ROLE_WEIGHT], out, NULL) ==
           PTF_OK;
}

/* --------------------------------------------------------------- assertions */

/*
 * The outputs are multiplied by t / t, where t is whether the node is not 0:
 * by 1, which changes none, or by NaN.
 */
static ptf_status demand(ptf_lowering *l, int node)
{
    void *demands = l->demands;
    ptf_attrs ne = ptf_lower_defaults(PTF_OP_NE);
    ptf_attrs div = ptf_lower_defaults(PTF_OP_DIV);
    int in[2] = {node};
    ptf_status status = ptf_lower_scalar(l, 0, &in[1]);
    if (status == PTF_OK)
        status = ptf_lower_add(l, PTF_OP_NE, &ne, 2, in, NULL, &in[0]);
    in[1] = in[0];
    if (status == PTF_OK)
        status = ptf_lower_add(l, PTF_OP_DIV, &div, 2, in, NULL, &node);
    if (status != PTF_OK)
        return status;
    if (!ptf_arena_grow(&l->net->arena, &demands, l->demand_count,
                        &l->demand_capacity, sizeof(*l->demands)))
        return ptf_fail_memory(l->err);
    l->demands = demands;
    l->demands[l->demand_count++] = (ptf_lowered_demand){node, l->call};
    return PTF_OK;
}

static ptf_status refuse_assertion(ptf_lowering *l)
{
    const ptf_argument *text = ptf_program_argument(l->call, "assert_msg");
    bool told = text != NULL && text->kind == PTF_ARGUMENT_TEXT;
    return ptf_lower_refuse(l, "its assertion fails%s%.150s", told ? ": " : "",
                            told ? text->text : "");
}

static ptf_status assert_node(ptf_lowering *l, int node)
{
    float x;
    if (!read_constant(l, node, &x))
        return demand(l, node);
    return x > 0 || x < 0 ? PTF_OK : refuse_assertion(l);
}

/* A number that is not 0, or a tensor of one. */
static ptf_status lower_assert(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    ptf_lowered_number n;
    int node;
    ptf_status status = PTF_OK;
    const ptf_argument *self = ptf_program_argument(l->call, "self");
    if (ptf_lower_is_tensor(l, "self")) {
        status = only_element(l, &node);
        return status == PTF_OK ? assert_node(l, node) : status;
    }
    if (self != NULL && is_node(l, self))
        return assert_node(l, l->values[self->value].node);
    if (self == NULL)
        return ptf_lower_refuse(l, "expected a number");
    status = ptf_lower_known(l, self, &n);
    if (status != PTF_OK)
        return status;
    bool holds = n.is_real ? n.real > 0 || n.real < 0 : n.whole != 0;
    return holds ? PTF_OK : refuse_assertion(l);
}

/* A number from min to max, as far as these are said. */
static ptf_status lower_range(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    static const struct {
        const char *name;
        const char *target;
        ptf_op op;
    } bounds[] = {{"min", "_operator.ge", PTF_OP_GE},
                  {"max", "_operator.le", PTF_OP_LE}};
    const ptf_argument *size = ptf_program_argument(l->call, "size");
    ptf_status status = PTF_OK;
    for (int i = 0; i < 2 && size != NULL && status == PTF_OK; i++) {
        const ptf_argument *bound =
            ptf_program_argument(l->call, bounds[i].name);
        ptf_attrs a = ptf_lower_defaults(bounds[i].op);
        ptf_lowered_number n, limit, holds = {0};
        int in[2];
        if (bound == NULL || bound->kind != PTF_ARGUMENT_INT)
            continue;
        if (is_node(l, size)) {
            l->batched = false;
            status = number_node(l, size, &in[0]);
            if (status == PTF_OK)
                status = number_node(l, bound, &in[1]);
            if (status == PTF_OK)
                status =
                    ptf_lower_add(l, bounds[i].op, &a, 2, in, NULL, &in[0]);
            if (status == PTF_OK)
                status = assert_node(l, in[0]);
            continue;
        }
        status = ptf_lower_known(l, size, &n);
        if (status == PTF_OK)
            status = ptf_lower_known(l, bound, &limit);
        if (status == PTF_OK &&
            (!compute(find_arithmetic(bounds[i].target), &n, &limit, &holds) ||
             holds.whole == 0))
            status =
                ptf_lower_refuse(l, "expected a number of at %s %lld, got %lld",
                                 i == 0 ? "least" : "most",
                                 (long long)limit.whole, (long long)n.whole);
    }
    return status;
}

/* What is said of a tensor without reading it. */
static ptf_status lower_metadata(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    int64_t sizes[PTF_LOWER_LIST], want[PTF_LOWER_LIST];
    int rank, count;
    const ptf_argument *a = ptf_program_argument(l->call, "a");
    const ptf_argument *dtype = ptf_program_argument(l->call, "dtype");
    ptf_status status = ptf_lower_sizes(l, "a", sizes, &rank);
    if (status != PTF_OK)
        return status;
    if (dtype != NULL && dtype->kind == PTF_ARGUMENT_DTYPE &&
        dtype->dtype != ptf_lower_value(l, a->value)->dtype)
        return ptf_lower_refuse(
            l, "its assertion fails: expected %s, got %s",
            ptf_dtype_name(dtype->dtype),
            ptf_dtype_name(ptf_lower_value(l, a->value)->dtype));
    if (ptf_lower_is_none(l, "size"))
        return PTF_OK;
    status = ptf_lower_list(l, "size", want, &count);
    bool same = count == rank;
    for (int d = 0; d < rank && same; d++)
        same = want[d] == sizes[d];
    return status != PTF_OK || same ? status : refuse_assertion(l);
}

#define ARITHMETIC(name, id)                                \
    {                                                       \
        .target = name, .lower = lower_arithmetic, .op = id \
    }

const ptf_aten_row ptf_aten_symbols[] = {
    {.target = "aten.sym_size.int", .lower = lower_size},
    {.target = "aten.sym_numel.default", .lower = lower_numel},
    {.target = "aten._assert_scalar.default", .lower = lower_assert},
    {.target = "aten._assert_async.default", .lower = lower_assert},
    {.target = "aten._assert_async.msg", .lower = lower_assert},
    {.target = "aten._assert_tensor_metadata.default", .lower = lower_metadata},
    {.target = "aten.sym_constrain_range.default", .lower = lower_range},
    {.target = "aten.sym_constrain_range_for_size.default",
     .lower = lower_range},
    {.target = "torch.sym_ite", .lower = lower_choice},
    ARITHMETIC("_operator.add", PTF_OP_ADD),
    ARITHMETIC("_operator.sub", PTF_OP_SUB),
    ARITHMETIC("_operator.mul", PTF_OP_MUL),
    ARITHMETIC("_operator.eq", PTF_OP_EQ),
    ARITHMETIC("_operator.ne", PTF_OP_NE),
    ARITHMETIC("_operator.lt", PTF_OP_LT),
    ARITHMETIC("_operator.le", PTF_OP_LE),
    ARITHMETIC("_operator.gt", PTF_OP_GT),
    ARITHMETIC("_operator.ge", PTF_OP_GE),
    ARITHMETIC("_operator.and_", PTF_OP_LOGICAL_AND),
    ARITHMETIC("_operator.or_", PTF_OP_LOGICAL_OR),
    ARITHMETIC("_operator.neg", PTF_OP_NEG),
    ARITHMETIC("torch.sym_max", PTF_OP_MAXIMUM),
    ARITHMETIC("torch.sym_min", PTF_OP_MINIMUM),
    ARITHMETIC("torch.sym_not", PTF_OP_LOGICAL_NOT),
    /* Of numbers that sizes decide alone: */
    ARITHMETIC("_operator.truediv", PTF_OP_DIV),
    ARITHMETIC("_operator.floordiv", PTF_OP_FLOOR_DIVIDE),
    ARITHMETIC("_operator.mod", PTF_OP_REMAINDER),
    ARITHMETIC("_operator.pow", PTF_OP_POW),
    ARITHMETIC("torch.sym_float", PTF_OP_MUL),
    ARITHMETIC("torch.sym_int", PTF_OP_TRUNC),
    ARITHMETIC("math.trunc", PTF_OP_TRUNC),
    ARITHMETIC("math.floor", PTF_OP_FLOOR),
    ARITHMETIC("math.ceil", PTF_OP_CEIL),
    ARITHMETIC("torch.sym_sqrt", PTF_OP_SQRT),
    ARITHMETIC("torch._sym_sqrt", PTF_OP_SQRT),
    {0},
};
