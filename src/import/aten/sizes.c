/*
 * The sizes that a program's inputs have in a lowering: those of its example,
 * or others.  What the exporter left open are symbols: each is as large as the
 * inputs make it, within its bounds, and where the program's conditions hold.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/sizes.h"

#include "program/expression.h"

/* Nobody has that many: a search through all of them stays a short one. */
enum { MOST_SYMBOLS = 1000 };

/* ------------------------------------------------------------------- inputs */

/* The value of the k-th input that the caller brings; NULL after the last. */
static const ptf_program_value *user_value(const ptf_program *p, size_t k,
                                           const char **name)
{
    for (int i = 0; i < p->input_count; i++) {
        if (p->inputs[i].kind != PTF_PROGRAM_USER || p->inputs[i].value < 0 ||
            k-- > 0)
            continue;
        *name = p->inputs[i].name;
        return &p->graph.values[p->inputs[i].value];
    }
    return NULL;
}

static ptf_status fail(const ptf_sizes *s, ptf_status status, const char *fmt,
                       ...) PTF_PRINTF(3, 4);
static ptf_status fail(const ptf_sizes *s, ptf_status status, const char *fmt,
                       ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    ptf_origin origin = {s->program->file.name, NULL};
    return ptf_fail(s->err, status, &origin, PTF_NO_OFFSET, "%s", text);
}

/* -------------------------------------------------------------- expressions */

static bool symbol_value(const void *names, const char *name, int64_t *out)
{
    const ptf_sizes *s = names;
    for (int i = 0; i < s->program->symbol_count; i++) {
        if (strcmp(s->program->symbols[i].name, name) == 0 && s->bound[i]) {
            *out = s->symbols[i];
            return true;
        }
    }
    return false;
}

static bool input_size(const void *names, const char *input, int64_t axis,
                       int64_t *out)
{
    const ptf_sizes *s = names;
    const ptf_program_value *v;
    const char *name;
    for (size_t k = 0; (v = user_value(s->program, k, &name)) != NULL; k++) {
        if (strcmp(name, input) != 0 || axis >= v->rank)
            continue;
        *out = ptf_sizes_of(s, k, v, (int)axis);
        return true;
    }
    return false;
}

static bool value_of(const ptf_sizes *s, const char *text, int64_t *out)
{
    const ptf_expression_names names = {symbol_value, input_size, s};
    return ptf_expression_value(text, &names, out);
}

bool ptf_sizes_recorded(const ptf_sizes *s, const ptf_program_size *size,
                        int64_t *out)
{
    *out = size->value;
    if (size->expr == NULL || !s->other)
        return size->known;
    if (size->symbol >= 0 && s->bound[size->symbol]) {
        *out = s->symbols[size->symbol];
        return true;
    }
    return value_of(s, size->expr, out);
}

int64_t ptf_sizes_of(const ptf_sizes *s, size_t input,
                     const ptf_program_value *v, int axis)
{
    int64_t given = s->given != NULL ? s->given[input]->shape[axis] : -1;
    return given >= 0 ? given : v->sizes[axis].value;
}

/* ------------------------------------------------------------------ symbols */

static ptf_status bind_symbol(ptf_sizes *s, const char *input, int axis,
                              int symbol, int64_t size)
{
    if (s->bound[symbol] && s->symbols[symbol] != size)
        return fail(s, PTF_ARGUMENT,
                    "input '%s': expected %lld for axis %d, as of another "
                    "axis (%s), got %lld",
                    input, (long long)s->symbols[symbol], axis,
                    s->program->symbols[symbol].name, (long long)size);
    s->bound[symbol] = true;
    s->symbols[symbol] = size;
    return PTF_OK;
}

/* The one symbol of the expression that is not known yet, or -1. */
static int open_symbol(const ptf_sizes *s, const char *text)
{
    int found = -1;
    for (int i = 0; i < s->program->symbol_count; i++) {
        const char *name = s->program->symbols[i].name;
        char quoted[128];
        int n = snprintf(quoted, sizeof(quoted), "'%s'", name);
        if (n < (int)sizeof(quoted) && !s->bound[i] &&
            strstr(text, quoted) != NULL) {
            if (found >= 0)
                return -1;
            found = i;
        }
    }
    return found;
}

/* A size like 2 s + 1 says what s is. */
static ptf_status solve(ptf_sizes *s, const char *input, int axis,
                        const char *text, int64_t size)
{
    int64_t at[2] = {0}, found;
    int symbol = open_symbol(s, text);
    bool ok = symbol >= 0;
    for (int i = 0; i < 2 && ok; i++) {
        s->bound[symbol] = true;
        s->symbols[symbol] = i;
        ok = value_of(s, text, &at[i]);
    }
    int64_t slope = ok ? at[1] - at[0] : 0;
    ok = ok && slope > 0 && size >= at[0];
    if (ok)
        s->symbols[symbol] = (size - at[0]) / slope;
    if (symbol >= 0)
        s->bound[symbol] = ok;
    if (value_of(s, text, &found) && found == size)
        return PTF_OK;
    return fail(s, PTF_ARGUMENT,
                "input '%s': axis %d cannot be %lld: the program was exported "
                "for sizes of %.120s",
                input, axis, (long long)size, text);
}

/* First what is a symbol, then what has some. */
static ptf_status bind_inputs(ptf_sizes *s, bool symbols)
{
    const ptf_program_value *v;
    const char *name;
    ptf_status status = PTF_OK;
    for (size_t k = 0; (v = user_value(s->program, k, &name)) != NULL; k++) {
        for (int d = 0; d < v->rank && status == PTF_OK; d++) {
            const ptf_program_size *size = &v->sizes[d];
            int64_t given = ptf_sizes_of(s, k, v, d);
            if (size->expr == NULL || (size->symbol >= 0) != symbols)
                continue;
            status = symbols ? bind_symbol(s, name, d, size->symbol, given)
                             : solve(s, name, d, size->expr, given);
        }
    }
    return status;
}

/* The first input and axis with that size, for a message. */
static const char *axis_of(const ptf_sizes *s, int symbol, int64_t size,
                           int *axis)
{
    const ptf_program_value *v;
    const char *name;
    for (size_t k = 0; (v = user_value(s->program, k, &name)) != NULL; k++) {
        for (*axis = 0; *axis < v->rank; (*axis)++) {
            const ptf_program_size *at = &v->sizes[*axis];
            if (at->symbol == symbol || (at->symbol < 0 && at->expr != NULL &&
                                         ptf_sizes_of(s, k, v, *axis) == size))
                return name;
        }
    }
    return NULL;
}

/*
 * PyTorch lets a size be 0 or 1 where the exporter only assumed that it is
 * larger, which a lower bound of 2 stands for.
 */
static ptf_status check_ranges(const ptf_sizes *s)
{
    const ptf_program *p = s->program;
    for (int i = 0; i < p->symbol_count; i++) {
        const ptf_program_symbol *symbol = &p->symbols[i];
        int64_t size;
        int axis;
        char most[32] = "any";
        if (!value_of(s, symbol->name, &size) ||
            ((symbol->least <= 2 || size >= symbol->least) &&
             size <= symbol->most))
            continue;
        const char *input = axis_of(s, i, size, &axis);
        if (symbol->most != INT64_MAX)
            snprintf(most, sizeof(most), "%lld", (long long)symbol->most);
        if (input == NULL)
            return fail(s, PTF_ARGUMENT,
                        "expected %s from %lld to %s, got %lld", symbol->name,
                        (long long)symbol->least, most, (long long)size);
        return fail(s, PTF_ARGUMENT,
                    "input '%s': expected a size from %lld to %s for axis %d "
                    "(%s), got %lld",
                    input, (long long)symbol->least, most, axis, symbol->name,
                    (long long)size);
    }
    return PTF_OK;
}

static ptf_status check_guards(const ptf_sizes *s)
{
    for (int i = 0; i < s->program->guard_count; i++) {
        const char *guard = s->program->guards[i];
        int64_t holds;
        if (!value_of(s, guard, &holds))
            return fail(s, PTF_UNSUPPORTED,
                        "the condition %.150s cannot be judged for other sizes "
                        "than the example's",
                        guard);
        if (holds == 0)
            return fail(s, PTF_ARGUMENT,
                        "an input of these sizes does not meet the program's "
                        "condition %.150s",
                        guard);
    }
    return PTF_OK;
}

/* ------------------------------------------------------------- other sizes */

/* What is given fits as far as ranks go, and differs from the example. */
static ptf_status compare(ptf_sizes *s, size_t count)
{
    const ptf_program_value *v;
    const char *name;
    size_t k = 0;
    for (; (v = user_value(s->program, k, &name)) != NULL && k < count; k++) {
        const ptf_tensor *given = s->given[k];
        if (given->rank != v->rank)
            return fail(s, PTF_ARGUMENT,
                        "input '%s': expected %d axes with the batch, got %d",
                        name, v->rank, given->rank);
        for (int d = 0; d < v->rank; d++) {
            bool same =
                given->shape[d] < 0 ||
                (v->sizes[d].known && v->sizes[d].value == given->shape[d]);
            s->other = s->other || !same;
            s->moved = s->moved || (!same && v->sizes[d].expr == NULL &&
                                    (d > 0 || s->batch == 0));
        }
    }
    return v == NULL && k == count
               ? PTF_OK
               : fail(s, PTF_ARGUMENT, "expected another number of inputs");
}

/* An array without elements has no samples. */
static bool is_empty(const ptf_sizes *s, size_t input,
                     const ptf_program_value *v)
{
    bool empty = false;
    for (int d = 0; d < v->rank; d++)
        empty = empty || (v->sizes[d].known && v->sizes[d].value == 0) ||
                (s->given != NULL && d < s->given[input]->rank &&
                 s->given[input]->shape[d] == 0);
    return empty;
}

/* The size that all inputs have in front, or 0. */
static void find_batch(ptf_sizes *s, size_t count)
{
    const ptf_program_value *v, *first = NULL;
    const char *name;
    s->is_free = true;
    for (size_t k = 0; (v = user_value(s->program, k, &name)) != NULL; k++) {
        bool batch = v->rank > 0 && v->sizes[0].known &&
                     (s->given == NULL || k < count) && !is_empty(s, k, v);
        first = k == 0 ? v : first;
        if (!batch || first->rank == 0 ||
            v->sizes[0].value != first->sizes[0].value)
            s->batch = -1;
        else if (s->batch == 0)
            s->batch = v->sizes[0].value;
        s->is_free = s->is_free && batch && v->sizes[0].symbol >= 0 &&
                     v->sizes[0].symbol == first->sizes[0].symbol;
    }
    s->batch = s->batch < 0 ? 0 : s->batch;
    s->is_free = s->is_free && s->batch > 0;
}

ptf_status ptf_sizes_open(ptf_sizes *s, const ptf_program *program,
                          const ptf_tensor *const *inputs, size_t count,
                          ptf_error *err)
{
    size_t symbols = (size_t)program->symbol_count;
    *s = (ptf_sizes){.program = program, .given = inputs, .err = err};
    find_batch(s, count);
    if (inputs == NULL)
        return PTF_OK;
    ptf_status status = compare(s, count);
    if (status != PTF_OK || !s->other)
        return status;
    if (symbols > MOST_SYMBOLS)
        return fail(s, PTF_UNSUPPORTED, "expected at most %d symbols, got %zu",
                    MOST_SYMBOLS, symbols);
    s->symbols = ptf_alloc((symbols + 1) * sizeof(*s->symbols));
    s->bound = ptf_alloc(symbols + 1);
    if (s->symbols == NULL || s->bound == NULL)
        return ptf_fail_memory(err);
    status = bind_inputs(s, true);
    if (status == PTF_OK)
        status = bind_inputs(s, false);
    if (status == PTF_OK)
        status = check_ranges(s);
    return status == PTF_OK ? check_guards(s) : status;
}

void ptf_sizes_close(ptf_sizes *s)
{
    ptf_free(s->symbols);
    ptf_free(s->bound);
}
