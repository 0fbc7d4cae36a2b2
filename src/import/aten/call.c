/*
 * A call of a program: its arguments as a net needs them, and its refusal.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"

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

bool ptf_lower_is_tensor(const ptf_lowering *l, const char *name)
{
    const ptf_argument *a = find(l, name);
    return a != NULL && a->kind == PTF_ARGUMENT_VALUE &&
           ptf_lower_value(l, a->value)->kind == PTF_PROGRAM_TENSOR;
}

ptf_status ptf_lower_known(ptf_lowering *l, const ptf_argument *a,
                           ptf_lowered_number *out)
{
    *out = (ptf_lowered_number){.known = true};
    if (a->kind == PTF_ARGUMENT_INT)
        out->whole = a->integer;
    else if (a->kind == PTF_ARGUMENT_BOOL)
        out->whole = a->truth;
    else if (a->kind == PTF_ARGUMENT_FLOAT) {
        out->is_real = true;
        out->real = a->number;
    } else if (a->kind != PTF_ARGUMENT_VALUE)
        return ptf_lower_refuse(l, "expected a number");
    else
        *out = l->values[a->value].number;
    return out->known
               ? PTF_OK
               : ptf_lower_refuse(l,
                                  "reads '%s', which is no number that the "
                                  "sizes of the inputs decide",
                                  ptf_lower_value(l, a->value)->name);
}

/* What sizes decide; a number of the batch's size is for its axis alone. */
static ptf_status number_of(ptf_lowering *l, int value, bool leads,
                            ptf_lowered_number *out)
{
    const ptf_argument a = {.kind = PTF_ARGUMENT_VALUE, .value = value};
    ptf_status status = ptf_lower_known(l, &a, out);
    if (status != PTF_OK || !out->of_batch ||
        (leads && !out->is_real && out->whole == l->batch))
        return status;
    l->mixes = true;
    return ptf_lower_refuse(l,
                            "reads '%s', which depends on the size of the "
                            "batch",
                            ptf_lower_value(l, value)->name);
}

static ptf_status integer_of(ptf_lowering *l, int value, bool leads,
                             int64_t *out)
{
    ptf_lowered_number n;
    ptf_status status = number_of(l, value, leads, &n);
    *out = n.whole;
    return status == PTF_OK && n.is_real
               ? ptf_lower_refuse(l, "expected integers")
               : status;
}

ptf_status ptf_lower_element(ptf_lowering *l, const ptf_argument_int *n,
                             bool leads, int64_t *out)
{
    *out = n->number;
    return n->value < 0 ? PTF_OK : integer_of(l, n->value, leads, out);
}

ptf_status ptf_lower_int(ptf_lowering *l, const char *name, int64_t *out)
{
    const ptf_argument *a = find(l, name);
    *out = 0;
    if (a != NULL && a->kind == PTF_ARGUMENT_VALUE)
        return integer_of(l, a->value, false, out);
    if (a == NULL || a->kind != PTF_ARGUMENT_INT)
        return ptf_lower_refuse(l, "expected an integer as %s", name);
    *out = a->integer;
    return PTF_OK;
}

ptf_status ptf_lower_ints(ptf_lowering *l, const char *name, int count,
                          int64_t *out)
{
    const ptf_argument *a = find(l, name);
    bool one = a != NULL && a->kind == PTF_ARGUMENT_INTS && a->count == 1;
    if (a == NULL || a->kind != PTF_ARGUMENT_INTS ||
        (!one && a->count != count))
        return ptf_lower_refuse(l, "expected %d integers as %s", count, name);
    ptf_status status = PTF_OK;
    for (int i = 0; i < count && status == PTF_OK; i++)
        status =
            ptf_lower_element(l, &a->integers[one ? 0 : i], false, &out[i]);
    return status;
}

ptf_status ptf_lower_list(ptf_lowering *l, const char *name,
                          int64_t out[PTF_LOWER_LIST], int *count)
{
    const ptf_argument *a = find(l, name);
    *count = 0;
    if (a == NULL ||
        (a->kind != PTF_ARGUMENT_INTS && a->kind != PTF_ARGUMENT_INT))
        return ptf_lower_refuse(l, "expected integers as %s", name);
    if (a->kind == PTF_ARGUMENT_INT) {
        out[(*count)++] = a->integer;
        return PTF_OK;
    }
    if (a->count > PTF_LOWER_LIST)
        return ptf_lower_refuse(l, "expected at most %d integers as %s, got %d",
                                PTF_LOWER_LIST, name, a->count);
    ptf_status status = PTF_OK;
    for (; *count < a->count && status == PTF_OK; (*count)++)
        status = ptf_lower_element(l, &a->integers[*count], *count == 0,
                                   &out[*count]);
    return status;
}

/* A number that sizes decide, or one of a constant. */
static ptf_status known_number(ptf_lowering *l, int value, double *out)
{
    const ptf_lowered *v = &l->values[value];
    const float *number;
    ptf_lowered_number n;
    if (v->tensor == NULL || ptf_tensor_numel(v->tensor) != 1) {
        ptf_status status = number_of(l, value, false, &n);
        *out = n.is_real ? n.real : (double)n.whole;
        return status;
    }
    ptf_status status = ptf_lower_floats(l, v->tensor, &number);
    *out = status == PTF_OK ? (double)*number : 0;
    return status;
}

bool ptf_lower_leads_with_number(const ptf_lowering *l,
                                 const ptf_argument *list)
{
    return l->sizes->is_free && list != NULL &&
           list->kind == PTF_ARGUMENT_INTS && list->count > 0 &&
           list->integers[0].value < 0 && list->integers[0].number != -1;
}

ptf_status ptf_lower_number(ptf_lowering *l, const char *name, double *out)
{
    const ptf_argument *a = find(l, name);
    if (a != NULL && a->kind == PTF_ARGUMENT_VALUE)
        return known_number(l, a->value, out);
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

const ptf_tensor *ptf_lower_raw(const ptf_lowering *l, const char *name)
{
    const ptf_argument *a = find(l, name);
    return a != NULL && a->kind == PTF_ARGUMENT_VALUE
               ? l->values[a->value].tensor
               : NULL;
}

ptf_status ptf_lower_tensor(ptf_lowering *l, const char *name,
                            const ptf_tensor **out)
{
    const ptf_argument *a = find(l, name);
    *out = NULL;
    if (ptf_lower_is_none(l, name))
        return PTF_OK;
    if (a->kind != PTF_ARGUMENT_VALUE)
        return ptf_lower_refuse(l, "expected a tensor as %s", name);
    const ptf_lowered *v = &l->values[a->value];
    if (v->tensor != NULL)
        *out = v->tensor;
    else if (v->node >= 0)
        *out = l->net->nodes[v->node].op == PTF_OP_CONSTANT
                   ? l->net->nodes[v->node].tensors[PTF_ROLE_WEIGHT]
                   : NULL;
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

/* A dimension of 'rank' counted from the front. */
ptf_status ptf_lower_dim(ptf_lowering *l, const char *name, int rank, int *out)
{
    int64_t dim = 0;
    ptf_status status = ptf_lower_int(l, name, &dim);
    if (status == PTF_OK && (dim < -rank || dim >= rank))
        status = ptf_lower_refuse(l,
                                  "expected a dimension of %d, got number "
                                  "%lld",
                                  rank, (long long)dim);
    *out = (int)(dim < 0 ? dim + rank : dim);
    return status;
}
