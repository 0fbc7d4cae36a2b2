/*
 * A call of a program: its arguments as a net needs them, and its refusal.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten.h"

ptf_status(ptf_lower_refuse)(ptf_lowering *l, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    return ptf_program_fail(l->program, l->call, l->err, PTF_UNSUPPORTED, "%s",
                            text);
}

/* --------------------------------------------------------------- arguments */

static const ptf_argument *find(const ptf_lowering *l, const char *name)
{
    return ptf_program_argument(l->call, name);
}

bool ptf_lower_is_none(const ptf_lowering *l, const char *name)
{
    const ptf_argument *a = find(l, name);
    return a == NULL || a->kind == PTF_ARGUMENT_NONE ||
           (a->kind == PTF_ARGUMENT_INTS && a->count == 0);
}

bool ptf_lower_is_true(const ptf_lowering *l, const char *name)
{
    const ptf_argument *a = find(l, name);
    return a != NULL && a->kind == PTF_ARGUMENT_BOOL && a->truth;
}

/* A number of the call, or one that sizes decide and that is known. */
static bool known_int(const ptf_lowering *l, const ptf_argument_int *n,
                      int64_t *out)
{
    *out = n->value < 0 ? n->number : l->values[n->value].number;
    return n->value < 0 || *out >= 0;
}

ptf_status ptf_lower_int(ptf_lowering *l, const char *name, int64_t *out)
{
    const ptf_argument *a = find(l, name);
    if (a != NULL && a->kind == PTF_ARGUMENT_INT) {
        *out = a->integer;
        return PTF_OK;
    }
    return ptf_lower_refuse(l, "expected a number as %s", name);
}

ptf_status ptf_lower_ints(ptf_lowering *l, const char *name, int count,
                          int64_t *out)
{
    const ptf_argument *a = find(l, name);
    bool one = a != NULL && a->kind == PTF_ARGUMENT_INTS && a->count == 1;
    if (a == NULL || a->kind != PTF_ARGUMENT_INTS ||
        (!one && a->count != count))
        return ptf_lower_refuse(l, "expected %d numbers as %s", count, name);
    for (int i = 0; i < count; i++) {
        if (!known_int(l, &a->integers[one ? 0 : i], &out[i]))
            return ptf_lower_refuse(
                l, "its %s depends on the size of the batch", name);
    }
    return PTF_OK;
}

ptf_status ptf_lower_number(ptf_lowering *l, const char *name, double *out)
{
    const ptf_argument *a = find(l, name);
    if (a != NULL && a->kind == PTF_ARGUMENT_FLOAT)
        *out = a->number;
    else if (a != NULL && a->kind == PTF_ARGUMENT_INT)
        *out = (double)a->integer;
    else if (a != NULL && a->kind == PTF_ARGUMENT_BOOL)
        *out = a->truth;
    else
        return ptf_lower_refuse(l, "expected a number as %s", name);
    return PTF_OK;
}

ptf_status ptf_lower_tensor(ptf_lowering *l, const char *name,
                            const ptf_tensor **out)
{
    const ptf_argument *a = find(l, name);
    *out = NULL;
    if (ptf_lower_is_none(l, name))
        return PTF_OK;
    if (a->kind == PTF_ARGUMENT_VALUE)
        *out = l->values[a->value].tensor;
    if (*out == NULL)
        return ptf_lower_refuse(l,
                                "its %s is computed from the input; expected a "
                                "parameter or constant",
                                name);
    return ptf_dtype_is_float((*out)->dtype)
               ? PTF_OK
               : ptf_lower_refuse(l,
                                  "its %s is %s; expected numbers of "
                                  "floating point",
                                  name, ptf_dtype_name((*out)->dtype));
}

/* A value as a node; constants are for values of 'rank' with the batch. */
static ptf_status node_of(ptf_lowering *l, int value, int rank, int *out)
{
    const ptf_lowered *v = &l->values[value];
    *out = v->node;
    if (v->node >= 0)
        return PTF_OK;
    if (v->tensor != NULL)
        return ptf_lower_constant(l, v->tensor, rank, out);
    return ptf_lower_refuse(l, "reads '%s', which ptfold does not compute",
                            ptf_lower_value(l, value)->name);
}

ptf_status ptf_lower_node(ptf_lowering *l, const char *name, int *out)
{
    const ptf_argument *a = find(l, name);
    if (a == NULL || a->kind != PTF_ARGUMENT_VALUE)
        return ptf_lower_refuse(l, "expected a tensor as %s", name);
    return node_of(l, a->value, ptf_lower_value(l, l->call->results[0])->rank,
                   out);
}

ptf_status ptf_lower_nodes(ptf_lowering *l, const char *name, int **out,
                           int *count)
{
    const ptf_argument *a = find(l, name);
    if (a == NULL || a->kind != PTF_ARGUMENT_VALUES || a->count == 0)
        return ptf_lower_refuse(l, "expected tensors as %s", name);
    *out = ptf_arena_array(&l->net->arena, (size_t)a->count, sizeof(**out));
    *count = a->count;
    ptf_status status = *out != NULL ? PTF_OK : ptf_fail_memory(l->err);
    for (int i = 0; i < a->count && status == PTF_OK; i++) {
        if (a->values[i] < 0)
            return ptf_lower_refuse(l, "element %d of %s is None", i, name);
        status =
            node_of(l, a->values[i],
                    ptf_lower_value(l, l->call->results[0])->rank, &(*out)[i]);
    }
    return status;
}
