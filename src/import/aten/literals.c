/*
 * Numbers in a program that was exported for one size, when it is lowered for
 * another.  The exporter writes what Python computed from a size like any other
 * number: 7 may be a window of 7, or the height of a map.  A program is the
 * same function at another size where no number can be a size.
 *
 * An axis has moved when it has another size than in the example.  The sizes
 * that moved axes had there, and the products of two beside each other, are
 * what a number may stand for.  So:
 *
 *   - Sizes of a view are read in every way that leaves the number of elements
 *     as it is: each as a number, or as the axes of the operand with that size.
 *     One way is a proof; several are none.
 *   - Settings of PyTorch's own modules are numbers, as their attributes are.
 *   - Of all other numbers, those that may be a size are refused, and those
 *     that mean a place or a length along a moved axis whatever they are.  What
 *     may be a size has its limits: nobody divides a height by 19 and adds 3.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/literals.h"

#include <math.h>

#define WAY_OUT "; export with dynamic shapes (torch.export.Dim.AUTO)"

/* -------------------------------------------------------------- moved axes */

/* An axis as it was recorded, and as it is. */
typedef struct axis {
    int64_t was, is;
} axis;

static int axes_of_value(const ptf_lowering *l, int value,
                         axis out[PTF_LOWER_LIST])
{
    const ptf_program_value *v = ptf_lower_value(l, value);
    const ptf_lowered *x = &l->values[value];
    int64_t sizes[PTF_LOWER_LIST];
    int rank;
    if (v->kind != PTF_PROGRAM_TENSOR || (x->node < 0 && x->tensor == NULL))
        return 0;
    ptf_lower_value_sizes(l, value, sizes, &rank);
    if (rank != v->rank || rank > PTF_LOWER_LIST)
        return 0;
    for (int d = 0; d < rank; d++)
        out[d] = (axis){v->sizes[d].expr == NULL ? v->sizes[d].value : sizes[d],
                        sizes[d]};
    return rank;
}

static int axes_of(const ptf_lowering *l, const char *name,
                   axis out[PTF_LOWER_LIST])
{
    const ptf_argument *a = ptf_program_argument(l->call, name);
    return a != NULL && a->kind == PTF_ARGUMENT_VALUE
               ? axes_of_value(l, a->value, out)
               : 0;
}

static bool has_moved(const axis *a)
{
    return a->was != a->is;
}

/* ----------------------------------------------------------- sizes of views */

enum { MOST_READINGS = 8, MOST_WAYS = 10000 };

typedef struct readings {
    const int64_t *sizes; /* as they stand there; -1: one that follows */
    int rank;
    int64_t numel;
    int64_t of[PTF_LOWER_LIST][MOST_READINGS]; /* what each may mean */
    int count[PTF_LOWER_LIST];
    int64_t now[PTF_LOWER_LIST], found[PTF_LOWER_LIST];
    int ways;    /* that were tried */
    int results; /* different ones; 2: or more */
} readings;

static void add_reading(readings *r, int d, int64_t size)
{
    bool known = false;
    for (int i = 0; i < r->count[d]; i++)
        known = known || r->of[d][i] == size;
    if (!known && r->count[d] < MOST_READINGS)
        r->of[d][r->count[d]++] = size;
    else if (!known)
        r->ways = MOST_WAYS;
}

/* As a number, and as each run of axes that had this size and has moved. */
static void find_readings(readings *r, int d, const axis *axes, int rank)
{
    add_reading(r, d, r->sizes[d]);
    for (int first = 0; first < rank; first++) {
        int64_t was = 1, is = 1;
        for (int last = first; last < rank; last++) {
            if (!ptf_mul_i64(was, axes[last].was, &was) ||
                !ptf_mul_i64(is, axes[last].is, &is))
                break;
            if (was == r->sizes[d])
                add_reading(r, d, is);
        }
    }
}

/* All axes have a size: a result, if the elements fill it. */
static void take_result(readings *r, int64_t known, int open)
{
    if (open >= 0 ? known > 0 && r->numel % known != 0 : known != r->numel)
        return;
    if (open >= 0)
        r->now[open] = r->numel / known;
    size_t bytes = (size_t)r->rank * sizeof(*r->now);
    if (r->results > 0 && memcmp(r->now, r->found, bytes) == 0)
        return;
    memcpy(r->found, r->now, bytes);
    r->results += r->results < 2;
}

static void try_readings(readings *r, int d, int64_t known, int open)
{
    if (++r->ways > MOST_WAYS || r->results > 1)
        return;
    if (d == r->rank) {
        take_result(r, known, open);
        return;
    }
    if (r->sizes[d] == -1) {
        try_readings(r, d + 1, known, d);
        return;
    }
    for (int i = 0; i < r->count[d]; i++) {
        int64_t next;
        r->now[d] = r->of[d][i];
        if (ptf_mul_i64(known, r->now[d], &next) && next <= r->numel)
            try_readings(r, d + 1, next, open);
    }
}

/* "[1, 64, 49]" */
static void list_text(const int64_t *sizes, int rank, char text[128])
{
    size_t used = (size_t)snprintf(text, 128, "[");
    for (int d = 0; d < rank && used < 100; d++)
        used += (size_t)snprintf(text + used, 128 - used, "%s%lld",
                                 d > 0 ? ", " : "", (long long)sizes[d]);
    snprintf(text + used, 128 - used, "]");
}

ptf_status ptf_lower_read_view(ptf_lowering *l, const ptf_argument *list,
                               int first, int count, int64_t *sizes, int rank)
{
    axis axes[PTF_LOWER_LIST] = {{0, 0}};
    readings r = {.sizes = sizes, .rank = rank, .numel = 1};
    int from = axes_of(l, "self", axes);
    if (!l->sizes->moved || from == 0)
        return PTF_OK;
    from = first + count < from ? first + count : from;
    for (int d = first; d < from; d++) {
        if (!ptf_mul_i64(r.numel, axes[d].is, &r.numel))
            return PTF_OK; /* which is refused elsewhere */
    }
    for (int d = 0; d < rank; d++) {
        bool batch =
            d == 0 && first == 0 && l->batch > 0 && sizes[0] == l->batch;
        if (batch || list->kind != PTF_ARGUMENT_INTS ||
            list->integers[d].value >= 0)
            add_reading(&r, d, sizes[d]);
        else if (sizes[d] != -1)
            find_readings(&r, d, axes + first, from - first);
    }
    try_readings(&r, 0, 1, -1);
    char text[128];
    list_text(sizes, rank, text);
    if (r.results == 0 && r.ways <= MOST_WAYS)
        return ptf_lower_refuse(l, "%s fixes the size of its input" WAY_OUT,
                                text);
    if (r.results != 1 || r.ways > MOST_WAYS)
        return ptf_lower_refuse(l,
                                "%s can be meant in several ways for another "
                                "size" WAY_OUT,
                                text);
    memcpy(sizes, r.found, (size_t)rank * sizeof(*sizes));
    return PTF_OK;
}

void ptf_lower_follow(ptf_lowering *l, const ptf_argument *list, int64_t *sizes,
                      int count)
{
    axis axes[PTF_LOWER_LIST];
    int rank = axes_of(l, "self", axes);
    for (int d = 0; l->sizes->moved && d < count; d++) {
        int from = d - (count - rank);
        bool literal =
            list->kind == PTF_ARGUMENT_INTS && list->integers[d].value < 0;
        if (literal && from >= 0 && has_moved(&axes[from]) &&
            axes[from].was == sizes[d])
            sizes[d] = axes[from].is;
    }
}

/* ------------------------------------------------------ what may be a size */

typedef struct numbers {
    int64_t *at;
    int count, capacity;
} numbers;

/* Sizes of moved axes in the example, and products with those beside them. */
typedef struct moves {
    ptf_lowering *l;
    numbers sizes, areas;
} moves;

static bool is_in(const numbers *all, int64_t number)
{
    bool found = false;
    for (int i = 0; i < all->count; i++)
        found = found || all->at[i] == number;
    return found;
}

static ptf_status add_size(moves *m, numbers *all, int64_t size)
{
    void *at = all->at;
    if (is_in(all, size))
        return PTF_OK;
    if (all->count >= 4096)
        return ptf_lower_refuse(m->l, "has more sizes than can be told apart");
    if (!ptf_arena_grow(&m->l->net->arena, &at, all->count, &all->capacity,
                        sizeof(*all->at)))
        return ptf_fail_memory(m->l->err);
    all->at = at;
    all->at[all->count++] = size;
    return PTF_OK;
}

/* All runs of axes beside each other, of which one has moved. */
static ptf_status add_axes(moves *m, const axis *axes, int rank)
{
    ptf_status status = PTF_OK;
    for (int first = 0; first < rank && status == PTF_OK; first++) {
        int64_t size = 1;
        bool moved = false;
        for (int d = first; d < rank && status == PTF_OK; d++) {
            moved = moved || has_moved(&axes[d]);
            if (!ptf_mul_i64(size, axes[d].was, &size))
                break;
            if (moved)
                status = add_size(m, d == first ? &m->sizes : &m->areas, size);
        }
    }
    return status;
}

static ptf_status find_moves(moves *m)
{
    ptf_status status = PTF_OK;
    for (int v = 0; v < m->l->graph->value_count && status == PTF_OK; v++) {
        axis axes[PTF_LOWER_LIST];
        status = add_axes(m, axes, axes_of_value(m->l, v, axes));
    }
    return status;
}

/* 1 is in every program, and says nothing. */
static bool is_size(const moves *m, int64_t number)
{
    return number > 1 && (is_in(&m->sizes, number) || is_in(&m->areas, number));
}

static bool is_near(double a, double b)
{
    return fabs(a - b) <= 1e-6 * fabs(b) && !(fabs(a - 1) <= 1e-6);
}

/* A factor, a limit: also what is computed of a size, as mostly is. */
static bool is_of_size(const moves *m, double number)
{
    double a = fabs(number), forms[] = {a, 1 / a, a * a, 1 / (a * a)};
    bool found = false;
    for (size_t f = 0; f < PTF_ARRAY_SIZE(forms) && a > 0; f++) {
        for (int i = 0; i < m->sizes.count; i++) {
            double s = (double)m->sizes.at[i];
            found = found || is_near(forms[f], s) || is_near(forms[f], s - 1) ||
                    is_near(forms[f], s + 1) || is_near(forms[f], s / 2) ||
                    is_near(forms[f], (s - 1) / 2);
        }
        for (int i = 0; i < m->areas.count; i++)
            found = found || is_near(forms[f], (double)m->areas.at[i]);
    }
    return found;
}

static ptf_status refuse_number(moves *m, const char *name, double number)
{
    return ptf_lower_refuse(
        m->l, "its %s, %g, may be a size of the example" WAY_OUT, name, number);
}

/* ---------------------------------------------------------------- arguments */

/* Names of dimensions, and of what no size is computed for. */
static bool is_plain(const char *name)
{
    static const char *const names[] = {
        "dim",        "dims",       "dim0",        "dim1",
        "axis0",      "axis1",      "start_dim",   "end_dim",
        "dimension",  "source",     "destination", "normalized_shape",
        "eps",        "momentum",   "p",           "negative_slope",
        "correction", "ord",        "N",           "C",
        "HxW",        "padding_idx"};
    for (size_t i = 0; i < PTF_ARRAY_SIZE(names); i++) {
        if (strcmp(names[i], name) == 0)
            return true;
    }
    return false;
}

static ptf_status check_argument(moves *m, const ptf_argument *a,
                                 ptf_schema_type type)
{
    if (is_plain(a->name))
        return PTF_OK;
    if (a->kind == PTF_ARGUMENT_FLOAT && is_of_size(m, a->number))
        return refuse_number(m, a->name, a->number);
    if (a->kind == PTF_ARGUMENT_INT &&
        (type == PTF_SCHEMA_INT ? is_size(m, a->integer)
                                : is_of_size(m, (double)a->integer)))
        return refuse_number(m, a->name, (double)a->integer);
    for (int i = 0; a->kind == PTF_ARGUMENT_INTS && i < a->count; i++) {
        if (a->integers[i].value < 0 && is_size(m, a->integers[i].number))
            return refuse_number(m, a->name, (double)a->integers[i].number);
    }
    return PTF_OK;
}

static ptf_status check_arguments(moves *m)
{
    const ptf_program_node *call = m->l->call;
    ptf_status status = PTF_OK;
    for (int i = 0; i < call->argument_count && status == PTF_OK; i++)
        status = check_argument(m, &call->arguments[i],
                                call->schema != NULL
                                    ? call->schema->arguments[i].type
                                    : PTF_SCHEMA_SCALAR);
    return status;
}

/* ------------------------------------------------------------------- rules */

/* What was read in one way has no size among its other numbers. */
static ptf_status check_view(moves *m)
{
    static const char *const names[] = {"shape", "size", "sizes"};
    ptf_lowering *l = m->l;
    int result = l->call->result_count > 0 ? l->call->results[0] : -1, dim = 0;
    axis axes[PTF_LOWER_LIST], self[PTF_LOWER_LIST];
    int rank = result >= 0 ? axes_of_value(l, result, axes) : 0;
    const ptf_argument *list = NULL;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(names) && list == NULL; i++)
        list = ptf_program_argument(l->call, names[i]);
    if (list == NULL || list->kind != PTF_ARGUMENT_INTS)
        return check_arguments(m);
    int from = axes_of(l, "self", self);
    if (ptf_program_argument(l->call, "dim") != NULL &&
        ptf_lower_dim(l, "dim", from, &dim) != PTF_OK)
        return PTF_UNSUPPORTED;
    for (int d = 0; d < list->count && dim + d < rank; d++) {
        int64_t number = list->integers[d].number;
        if (list->integers[d].value < 0 && axes[dim + d].is == number &&
            is_size(m, number) && !(d == 0 && number == l->batch))
            return refuse_number(m, list->name, (double)number);
    }
    return PTF_OK;
}

/* What is made of nothing has sizes and limits of its own. */
static ptf_status check_source(moves *m)
{
    const ptf_program_node *call = m->l->call;
    for (int i = 0; i < call->argument_count; i++) {
        const ptf_argument *a = &call->arguments[i];
        bool large = a->kind == PTF_ARGUMENT_INT && a->integer > 1;
        for (int k = 0; a->kind == PTF_ARGUMENT_INTS && k < a->count; k++)
            large = large ||
                    (a->integers[k].value < 0 && a->integers[k].number > 1);
        if (large && strcmp(a->name, "fill_value") != 0)
            return ptf_lower_refuse(m->l,
                                    "its %s may be a size of the "
                                    "example" WAY_OUT,
                                    a->name);
    }
    return check_arguments(m);
}

/* Pads of axes that stay are numbers; those of moved ones may be computed. */
static ptf_status check_pad(moves *m)
{
    axis axes[PTF_LOWER_LIST];
    int rank = axes_of(m->l, "self", axes);
    const ptf_argument *pads = ptf_program_argument(m->l->call, "pad");
    if (pads == NULL)
        pads = ptf_program_argument(m->l->call, "padding");
    bool stays = false, goes = false;
    for (int i = 0; pads != NULL && pads->kind == PTF_ARGUMENT_INTS &&
                    i < pads->count && i / 2 < rank;
         i++) {
        bool moved = has_moved(&axes[rank - 1 - i / 2]);
        bool pad = pads->integers[i].number != 0;
        stays = stays || (!moved && pad);
        goes = goes || (moved && pad);
    }
    return goes || !stays
               ? ptf_lower_refuse(m->l, "its pads may be computed from the "
                                        "size of its input" WAY_OUT)
               : check_arguments(m);
}

/* Both ends of a moved axis, and what lies beside them, are where they were. */
static ptf_status check_places(moves *m)
{
    static const char *const names[] = {"start", "end", "index"};
    ptf_lowering *l = m->l;
    axis axes[PTF_LOWER_LIST];
    int rank = axes_of(l, "self", axes), dim;
    if (rank == 0)
        return PTF_OK;
    ptf_status status = ptf_lower_dim(l, "dim", rank, &dim);
    if (status != PTF_OK || !has_moved(&axes[dim]))
        return status == PTF_OK ? check_arguments(m) : status;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(names); i++) {
        const ptf_argument *a = ptf_program_argument(l->call, names[i]);
        if (a != NULL && a->kind == PTF_ARGUMENT_INT &&
            a->integer != INT64_MAX && (a->integer < -1 || a->integer > 1))
            return ptf_lower_refuse(l,
                                    "its %s, %lld, may be computed from the "
                                    "size of its input" WAY_OUT,
                                    names[i], (long long)a->integer);
    }
    return PTF_OK;
}

/* Lengths along an axis that has moved. */
static ptf_status check_lengths(moves *m)
{
    static const char *const names[] = {"dim", "dims", "dimension"};
    axis axes[PTF_LOWER_LIST];
    int rank = axes_of(m->l, "self", axes);
    bool moved = false, all = true;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(names) && rank > 0; i++) {
        const ptf_argument *a = ptf_program_argument(m->l->call, names[i]);
        int64_t dims[PTF_LOWER_LIST];
        int count;
        if (a == NULL || ptf_lower_is_none(m->l, names[i]))
            continue;
        all = false;
        ptf_status status = ptf_lower_list(m->l, names[i], dims, &count);
        if (status != PTF_OK)
            return status;
        for (int k = 0; k < count; k++) {
            int64_t d = dims[k] + (dims[k] < 0 ? rank : 0);
            moved = moved || (d >= 0 && d < rank && has_moved(&axes[d]));
        }
    }
    for (int d = 0; d < rank && all; d++)
        moved = moved || has_moved(&axes[d]);
    return moved
               ? ptf_lower_refuse(m->l, "its lengths may be computed from the "
                                        "size of its input" WAY_OUT)
               : check_arguments(m);
}

static ptf_status check_upsample(moves *m)
{
    return ptf_lower_is_none(m->l, "output_size")
               ? check_arguments(m)
               : ptf_lower_refuse(m->l, "its output_size may be a size of the "
                                        "example" WAY_OUT);
}

/* An eighth of the size or more, rounded down or up. */
static bool is_part(const axis *a, int64_t number)
{
    bool found = false;
    for (int part = 1; part <= 8 && has_moved(a); part++)
        found = found || a->was / part == number ||
                (a->was + part - 1) / part == number;
    return found;
}

/* Numbers above 'least' that are a part of a moved size may come of it. */
static ptf_status check_parts(moves *m, const char *name, int64_t least)
{
    axis axes[PTF_LOWER_LIST];
    int rank = axes_of(m->l, "self", axes);
    const ptf_argument *a = ptf_program_argument(m->l->call, name);
    int count = a != NULL && a->kind == PTF_ARGUMENT_INTS ? a->count : 0;
    for (int i = 0; i < count; i++) {
        int64_t number = a->integers[i].number;
        for (int d = 0; d < rank && number > least; d++) {
            if (is_part(&axes[d], number))
                return refuse_number(m, name, (double)number);
        }
    }
    return check_arguments(m);
}

/* Windows of 2 and 3 are what they are. */
static ptf_status check_pool(moves *m)
{
    return check_parts(m, "kernel_size", 3);
}

static ptf_status check_adaptive(moves *m)
{
    return check_parts(m, "output_size", 1);
}

static ptf_status check_nothing(moves *m)
{
    (void)m;
    return PTF_OK;
}

static ptf_status refuse_branch(moves *m)
{
    return ptf_lower_refuse(m->l, "has branches that may be exported for one "
                                  "size" WAY_OUT);
}

/* By the beginning of the target; what has no row: check_arguments(). */
static const struct {
    const char *prefix;
    ptf_status (*check)(moves *m);
    bool of_modules; /* numbers of PyTorch's own modules are checked too */
} rules[] = {
    {"aten.view.", check_view, true},
    {"aten.reshape.", check_view, true},
    {"aten._unsafe_view.", check_view, true},
    {"aten.view_copy.", check_view, true},
    {"aten.unflatten.", check_view, true},
    {"aten.expand.", check_view, true},
    {"aten.broadcast_to.", check_view, true},
    {"aten.repeat.", check_arguments, true},
    {"aten.tile.", check_arguments, true},
    {"aten.conv", check_nothing, false},
    {"aten.pad.", check_pad, false},
    {"aten.constant_pad_nd.", check_pad, false},
    {"aten.reflection_pad", check_pad, false},
    {"aten.replication_pad", check_pad, false},
    {"aten.slice.", check_places, true},
    {"aten.select.", check_places, true},
    {"aten.narrow.", check_lengths, true},
    {"aten.split", check_lengths, true},
    {"aten.tensor_split.indices", check_lengths, true},
    {"aten.unfold.", check_lengths, true},
    {"aten.roll.", check_lengths, true},
    {"aten.as_strided", check_lengths, true},
    {"aten.upsample_", check_upsample, false},
    {"aten._upsample_", check_upsample, false},
    {"aten.max_pool", check_pool, false},
    {"aten.avg_pool", check_pool, false},
    {"aten.adaptive_", check_adaptive, false},
    {"aten._adaptive_", check_adaptive, false},
    {"aten.sym_", check_nothing, false},
    {"aten._assert", check_nothing, false},
    {"higher_order.", refuse_branch, true},
};

/* Called by one of torch.nn's own modules: its settings are attributes. */
static bool is_torch_module(const ptf_program_node *call)
{
    static const char prefix[] = "torch.nn.modules.";
    return call->class != NULL &&
           strncmp(call->class, prefix, sizeof(prefix) - 1) == 0;
}

static ptf_status check_call(moves *m, const ptf_program_node *call)
{
    m->l->call = call;
    if (ptf_aten_is_made(call->target))
        return check_source(m);
    for (size_t i = 0; i < PTF_ARRAY_SIZE(rules); i++) {
        if (strncmp(call->target, rules[i].prefix, strlen(rules[i].prefix)) !=
            0)
            continue;
        return is_torch_module(call) && !rules[i].of_modules
                   ? PTF_OK
                   : rules[i].check(m);
    }
    return is_torch_module(call) ? PTF_OK : check_arguments(m);
}

static ptf_status refuse_constant(moves *m, const char *name, double number)
{
    ptf_origin origin = {m->l->program->file.name, NULL};
    return ptf_fail(m->l->err, PTF_UNSUPPORTED, &origin, PTF_NO_OFFSET,
                    "the constant '%.80s' has %g, which may be a size of the "
                    "example" WAY_OUT,
                    name, number);
}

/* torch.tensor(x.shape[2]) in forward() is a constant of the file. */
static ptf_status check_constant(moves *m, const ptf_program_input *input)
{
    const float *x;
    const ptf_tensor *t = input->tensor;
    ptf_status status = ptf_lower_floats(m->l, t, &x);
    for (int64_t i = 0; status == PTF_OK && i < ptf_tensor_numel(t); i++) {
        if (is_of_size(m, (double)x[i]))
            return refuse_constant(m, input->name, (double)x[i]);
    }
    for (int d = 0; status == PTF_OK && d < t->rank; d++) {
        if (is_size(m, t->shape[d]))
            return refuse_constant(m, input->name, (double)t->shape[d]);
    }
    return status;
}

ptf_status ptf_lower_check_literals(ptf_lowering *l, const bool *live,
                                    int count)
{
    const ptf_program *p = l->program;
    moves m = {.l = l};
    if (!l->sizes->moved)
        return PTF_OK;
    ptf_status status = find_moves(&m);
    for (int i = 0; i < count && status == PTF_OK; i++) {
        if (live[i])
            status = check_call(&m, &l->graph->nodes[i]);
    }
    for (int i = 0; i < p->input_count && status == PTF_OK; i++) {
        const ptf_program_input *input = &p->inputs[i];
        if (input->kind == PTF_PROGRAM_CONSTANT && input->tensor != NULL &&
            input->value >= 0)
            status = check_constant(&m, input);
    }
    return status;
}
