/*
 * What a call's arguments say of its results' dtypes, held against what is
 * recorded: PyTorch computes by what it has, the importer by the record, so
 * that "add" of a record that says bool would become "or".
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"

/* The kinds of which PyTorch takes the highest among operands. */
typedef enum kind { TRUTH, INTEGER, REAL } kind;

static kind kind_of(ptf_dtype dtype)
{
    if (dtype == PTF_DTYPE_BOOL)
        return TRUTH;
    return ptf_dtype_is_integer(dtype) ? INTEGER : REAL;
}

static kind kind_of_value(const ptf_lowering *l, int value)
{
    static const kind kinds[] = {[PTF_PROGRAM_INT] = INTEGER,
                                 [PTF_PROGRAM_BOOL] = TRUTH,
                                 [PTF_PROGRAM_FLOAT] = REAL,
                                 [PTF_PROGRAM_OBJECT] = REAL};
    const ptf_program_value *v = ptf_lower_value(l, value);
    return v->kind == PTF_PROGRAM_TENSOR ? kind_of(v->dtype) : kinds[v->kind];
}

/* Of what the operators compute; those of other ops are not known here. */
typedef enum rule {
    UNKNOWN,
    ASKS,     /* bools */
    PROMOTES, /* the highest kind of the operands */
} rule;

static const rule rules[PTF_OP_COUNT] = {
    [PTF_OP_EQ] = ASKS,          [PTF_OP_NE] = ASKS,
    [PTF_OP_LT] = ASKS,          [PTF_OP_LE] = ASKS,
    [PTF_OP_GT] = ASKS,          [PTF_OP_GE] = ASKS,
    [PTF_OP_ISNAN] = ASKS,       [PTF_OP_ISINF] = ASKS,
    [PTF_OP_ADD] = PROMOTES,     [PTF_OP_SUB] = PROMOTES,
    [PTF_OP_MUL] = PROMOTES,     [PTF_OP_MAXIMUM] = PROMOTES,
    [PTF_OP_MINIMUM] = PROMOTES, [PTF_OP_REMAINDER] = PROMOTES,
    [PTF_OP_FMOD] = PROMOTES,    [PTF_OP_RELU] = PROMOTES,
    [PTF_OP_ABS] = PROMOTES,     [PTF_OP_NEG] = PROMOTES,
    [PTF_OP_SIGN] = PROMOTES,    [PTF_OP_FLOOR] = PROMOTES,
    [PTF_OP_LOGICAL_AND] = ASKS, [PTF_OP_LOGICAL_OR] = ASKS,
    [PTF_OP_LOGICAL_XOR] = ASKS, [PTF_OP_LOGICAL_NOT] = ASKS,
};

/* Whether the argument is one whose dtype counts, and then its kind. */
static bool counts(const ptf_lowering *l, const ptf_argument *a, kind *out)
{
    if (strcmp(a->name, "self") != 0 && strcmp(a->name, "other") != 0)
        return false;
    if (a->kind == PTF_ARGUMENT_VALUE && a->value >= 0)
        *out = kind_of_value(l, a->value);
    else if (a->kind == PTF_ARGUMENT_BOOL)
        *out = TRUTH;
    else if (a->kind == PTF_ARGUMENT_INT)
        *out = INTEGER;
    else
        *out = REAL;
    return true;
}

static ptf_status check_kind(ptf_lowering *l, rule how)
{
    kind most = TRUTH, here;
    const ptf_program_node *call = l->call;
    for (int i = 0; i < call->argument_count && how == PROMOTES; i++) {
        if (counts(l, &call->arguments[i], &here) && here > most)
            most = here;
    }
    ptf_dtype recorded = ptf_lower_result_dtype(l);
    static const char *const names[] = {"bools", "integers", "real numbers"};
    return kind_of(recorded) == most
               ? PTF_OK
               : ptf_lower_refuse(l,
                                  "gives %s for its arguments, got a recorded "
                                  "dtype of %s",
                                  names[most], ptf_dtype_name(recorded));
}

/* The operators that give a lower kind than their first tensor has, beside
 * those of 'rules'. */
static const char *const lower[] = {
    "all",       "any",           "argmax",   "argmin",     "argsort",
    "bucketize", "count_nonzero", "equal",    "is_nonzero", "isclose",
    "isfinite",  "isin",          "isneginf", "isposinf",   "isreal",
    "nonzero",   "searchsorted",  "signbit",  "type_as",
};

/* Whether the target is "aten.NAME.overload" or "aten.NAME_.overload". */
static bool is_called(const char *target, const char *name)
{
    size_t size = strlen(name);
    if (strncmp(target, "aten.", 5) != 0 ||
        strncmp(target + 5, name, size) != 0)
        return false;
    target += 5 + size;
    return *target == '.' || (target[0] == '_' && target[1] == '.');
}

/* The number of the first tensor that is computed with; -1: there is none. */
static int first_tensor(const ptf_lowering *l)
{
    for (int i = 0; i < l->call->argument_count; i++) {
        const ptf_argument *a = &l->call->arguments[i];
        int value = a->kind == PTF_ARGUMENT_VALUE ? a->value : -1;
        if (a->kind == PTF_ARGUMENT_VALUES && a->count > 0)
            value = a->values[0];
        if (value >= 0 && strcmp(a->name, "condition") != 0 &&
            ptf_lower_value(l, value)->kind == PTF_PROGRAM_TENSOR)
            return value;
    }
    return -1;
}

static ptf_status check_first(ptf_lowering *l)
{
    int first = first_tensor(l);
    ptf_dtype recorded = ptf_lower_result_dtype(l);
    if (first < 0 || kind_of_value(l, first) <= kind_of(recorded))
        return PTF_OK;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(lower); i++) {
        if (is_called(l->call->target, lower[i]))
            return PTF_OK;
    }
    const ptf_program_value *v = ptf_lower_value(l, first);
    return ptf_lower_refuse(l,
                            "computes with '%.60s', which is %s, got a "
                            "recorded dtype of %s",
                            v->name, ptf_dtype_name(v->dtype),
                            ptf_dtype_name(recorded));
}

/* The argument whose storage the result shares, as the schema says, or NULL. */
static const ptf_argument *shared(const ptf_program_node *call)
{
    const ptf_schema *s = call->schema;
    char alias = s->result_count > 0 ? s->results[0].alias : '\0';
    for (int i = 0; i < s->argument_count && alias != '\0'; i++) {
        const ptf_argument *a = &call->arguments[i];
        if (s->arguments[i].alias == alias && a->kind == PTF_ARGUMENT_VALUE)
            return a;
    }
    return NULL;
}

/* To a dtype that is given, or that of another tensor. */
static bool converts(const ptf_program_node *call)
{
    bool dtype = is_called(call->target, "to") && call->argument_count > 1 &&
                 strcmp(call->arguments[1].name, "other") == 0;
    for (int i = 0; i < call->argument_count; i++)
        dtype = dtype || call->arguments[i].kind == PTF_ARGUMENT_DTYPE;
    return dtype;
}

ptf_status ptf_lower_check_promoted(ptf_lowering *l)
{
    return check_kind(l, PROMOTES);
}

ptf_status ptf_lower_check_dtypes(ptf_lowering *l, const ptf_aten_row *row)
{
    const ptf_program_node *call = l->call;
    if (call->schema == NULL || call->result_count == 0 || converts(call))
        return PTF_OK;
    const ptf_argument *a = shared(call);
    const ptf_argument *self = ptf_program_argument(call, "self");
    bool is_tensor = self != NULL && self->kind == PTF_ARGUMENT_VALUE;
    rule how = is_tensor ? rules[row->op] : UNKNOWN;
    if (a == NULL && call->results[0] >= 0)
        return how == UNKNOWN ? check_first(l) : check_kind(l, how);
    if (a == NULL)
        return PTF_OK;
    ptf_dtype wanted = ptf_lower_value(l, a->value)->dtype;
    for (int i = 0; i < call->result_count; i++) {
        const ptf_program_value *v =
            call->results[i] >= 0 ? ptf_lower_value(l, call->results[i]) : NULL;
        if (v != NULL && v->kind == PTF_PROGRAM_TENSOR && v->dtype != wanted)
            return ptf_lower_refuse(l,
                                    "expected %s, as its '%s' is, got a "
                                    "recorded dtype of %s",
                                    ptf_dtype_name(wanted), a->name,
                                    ptf_dtype_name(v->dtype));
    }
    return PTF_OK;
}
