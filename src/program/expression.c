/*
 * Both languages are Python's expressions of integers, so one parser reads
 * them: by descent, with a bound on its depth.
 *
 *     condition   comparisons with and, or, not
 *     comparison  sum < sum <= sum ...
 *     sum         product + product - ...
 *     product     factor * factor // factor % ...
 *     factor      -factor, +factor, power
 *     power       atom ** factor
 *     atom        number, (condition), name, name(arguments), L['x'].size()[n]
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "program/expression.h"
#include "program/arithmetic.h"

#include <ctype.h>
#include <stdlib.h>

enum { MOST_DEEP = 200, MOST_NAME = 256 };

typedef struct parser {
    const char *at;
    const ptf_expression_names *names;
    int depth;
} parser;

static bool read_condition(parser *p, int64_t *out);

static void skip_space(parser *p)
{
    while (*p->at == ' ')
        p->at++;
}

/* The sign or word, if it comes next. */
static bool take(parser *p, const char *word)
{
    size_t size = strlen(word);
    skip_space(p);
    bool letters = strchr("abcdefghijklmnopqrstuvwxyz", word[0]) != NULL;
    if (strncmp(p->at, word, size) != 0 ||
        (letters &&
         (isalnum((unsigned char)p->at[size]) != 0 || p->at[size] == '_')))
        return false;
    p->at += size;
    return true;
}

/* ------------------------------------------------------------- arithmetic */

static bool divide_up(int64_t a, int64_t b, int64_t *out)
{
    bool ok = b != 0 && a != INT64_MIN;
    *out = ok ? a / b + (a % b != 0 && (a < 0) == (b < 0)) : 0;
    return ok;
}

/* Where nothing is left. */
static bool divide_exactly(int64_t a, int64_t b, int64_t *out)
{
    return ptf_integer_divide(a, b, out) && a % b == 0;
}

static bool equal(int64_t a, int64_t b, int64_t *out)
{
    *out = a == b;
    return true;
}

static bool unequal(int64_t a, int64_t b, int64_t *out)
{
    *out = a != b;
    return true;
}

static bool less(int64_t a, int64_t b, int64_t *out)
{
    *out = a < b;
    return true;
}

static bool at_most(int64_t a, int64_t b, int64_t *out)
{
    *out = a <= b;
    return true;
}

static bool more(int64_t a, int64_t b, int64_t *out)
{
    return less(b, a, out);
}

static bool at_least(int64_t a, int64_t b, int64_t *out)
{
    return at_most(b, a, out);
}

static bool both(int64_t a, int64_t b, int64_t *out)
{
    *out = a != 0 && b != 0;
    return true;
}

static bool either(int64_t a, int64_t b, int64_t *out)
{
    *out = a != 0 || b != 0;
    return true;
}

/* ---------------------------------------------------------------- functions */

/* Of two arguments, or of any number of them from left to right. */
static const struct {
    const char *name;
    bool (*compute)(int64_t a, int64_t b, int64_t *out);
    bool any;
} functions[] = {
    {"Add", ptf_integer_add, true},
    {"Mul", ptf_integer_multiply, true},
    {"Max", ptf_integer_largest, true},
    {"Min", ptf_integer_least, true},
    {"max", ptf_integer_largest, true},
    {"min", ptf_integer_least, true},
    {"And", both, true},
    {"Or", either, true},
    {"Pow", ptf_integer_power, false},
    {"PowByNatural", ptf_integer_power, false},
    {"FloorDiv", ptf_integer_divide, false},
    {"CleanDiv", divide_exactly, false},
    {"CeilDiv", divide_up, false},
    {"Mod", ptf_integer_modulo, false},
    {"PythonMod", ptf_integer_modulo, false},
    {"Eq", equal, false},
    {"Equality", equal, false},
    {"Ne", unequal, false},
    {"Unequality", unequal, false},
    {"StrictLessThan", less, false},
    {"LessThan", at_most, false},
    {"StrictGreaterThan", more, false},
    {"GreaterThan", at_least, false},
};

static bool read_arguments(parser *p, const char *name, int64_t *out)
{
    size_t f = 0;
    int64_t next = 0;
    int count = 1;
    while (f < PTF_ARRAY_SIZE(functions) &&
           strcmp(functions[f].name, name) != 0)
        f++;
    bool one = strcmp(name, "Integer") == 0, not = strcmp(name, "Not") == 0;
    if (f == PTF_ARRAY_SIZE(functions) && !one && !not )
        return false;
    bool ok = read_condition(p, out);
    while (ok && !one && !not &&take(p, ",")) {
        ok = read_condition(p, &next) && functions[f].compute(*out, next, out);
        count++;
    }
    if (not )
        *out = *out == 0;
    return ok && take(p, ")") && (one || not || count == 2 || functions[f].any);
}

/* 'text' in quotes. */
static bool read_text(parser *p, char out[MOST_NAME])
{
    skip_space(p);
    if (*p->at != '\'')
        return false;
    size_t size = strcspn(p->at + 1, "'\\");
    if (size >= MOST_NAME || p->at[size + 1] != '\'')
        return false;
    memcpy(out, p->at + 1, size);
    out[size] = '\0';
    p->at += size + 2;
    return true;
}

/* Symbol('s77', positive=True, integer=True): what is said of it is known. */
static bool read_symbol(parser *p, int64_t *out)
{
    char name[MOST_NAME];
    if (!read_text(p, name))
        return false;
    size_t rest = strcspn(p->at, "()");
    if (p->at[rest] != ')')
        return false;
    p->at += rest + 1;
    return p->names->symbol(p->names->names, name, out);
}

static bool read_index(parser *p, int64_t *out)
{
    skip_space(p);
    size_t digits = strspn(p->at, "0123456789");
    if (digits == 0 || digits > 18)
        return false;
    *out = strtoll(p->at, NULL, 10);
    p->at += digits;
    return true;
}

/* L['boxes'][0].size()[2], from the first bracket on. */
static bool read_input(parser *p, int64_t *out)
{
    char name[2 * MOST_NAME] = "", key[MOST_NAME];
    int64_t index;
    size_t used = 0;
    while (take(p, "[")) {
        if (!read_text(p, key)) {
            if (!read_index(p, &index))
                return false;
            snprintf(key, sizeof(key), "%lld", (long long)index);
        }
        used += (size_t)snprintf(name + used, sizeof(name) - used, "%s%s",
                                 used > 0 ? "." : "", key);
        if (used >= sizeof(name) || !take(p, "]"))
            return false;
    }
    return take(p, ".size()") && take(p, "[") && read_index(p, &index) &&
           take(p, "]") && p->names->size(p->names->names, name, index, out);
}

/* -------------------------------------------------------------- expressions */

static bool read_atom(parser *p, int64_t *out)
{
    char name[MOST_NAME];
    skip_space(p);
    if (*p->at >= '0' && *p->at <= '9')
        return read_index(p, out) && *p->at != '.';
    if (take(p, "("))
        return read_condition(p, out) && take(p, ")");
    size_t size = 0;
    while (isalnum((unsigned char)p->at[size]) != 0 || p->at[size] == '_')
        size++;
    if (size == 0 || size >= MOST_NAME)
        return false;
    memcpy(name, p->at, size);
    name[size] = '\0';
    p->at += size;
    if (strcmp(name, "L") == 0 && *p->at == '[')
        return read_input(p, out);
    if (!take(p, "("))
        return p->names->symbol(p->names->names, name, out);
    return strcmp(name, "Symbol") == 0 ? read_symbol(p, out)
                                       : read_arguments(p, name, out);
}

static bool read_factor(parser *p, int64_t *out)
{
    int64_t exponent;
    bool ok;
    if (++p->depth > MOST_DEEP)
        return false;
    if (take(p, "-"))
        ok = read_factor(p, out) && ptf_integer_multiply(*out, -1, out);
    else
        ok = read_atom(p, out) &&
             (!take(p, "**") || (read_factor(p, &exponent) &&
                                 ptf_integer_power(*out, exponent, out)));
    p->depth--;
    return ok;
}

/* Signs between operands, from left to right; longer signs first. */
typedef struct infix {
    const char *sign;
    bool (*compute)(int64_t a, int64_t b, int64_t *out);
} infix;

static const infix products[] = {{"//", ptf_integer_divide},
                                 {"*", ptf_integer_multiply},
                                 {"%", ptf_integer_modulo}};
static const infix comparisons[] = {{"==", equal},   {"!=", unequal},
                                    {"<=", at_most}, {">=", at_least},
                                    {"<", less},     {">", more}};

static const infix *take_any(parser *p, const infix *signs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (take(p, signs[i].sign))
            return &signs[i];
    }
    return NULL;
}

static bool read_product(parser *p, int64_t *out)
{
    const infix *sign;
    int64_t next;
    bool ok = read_factor(p, out);
    while (ok &&
           (sign = take_any(p, products, PTF_ARRAY_SIZE(products))) != NULL)
        ok = read_factor(p, &next) && sign->compute(*out, next, out);
    return ok;
}

static bool read_sum(parser *p, int64_t *out)
{
    int64_t next;
    bool ok = read_product(p, out), minus = false;
    while (ok && ((minus = take(p, "-")) || take(p, "+")))
        ok = read_product(p, &next) &&
             (!minus || ptf_integer_multiply(next, -1, &next)) &&
             ptf_integer_add(*out, next, out);
    return ok;
}

/* a < b < c: each beside the next. */
static bool read_comparison(parser *p, int64_t *out)
{
    const infix *sign;
    int64_t left, right, holds = 1, here;
    bool ok = read_sum(p, &left), some = false;
    while (ok && (sign = take_any(p, comparisons,
                                  PTF_ARRAY_SIZE(comparisons))) != NULL) {
        ok = read_sum(p, &right) && sign->compute(left, right, &here);
        holds = ok && holds != 0 && here != 0;
        left = right;
        some = true;
    }
    *out = some ? holds : left;
    return ok;
}

static bool read_negation(parser *p, int64_t *out)
{
    bool odd = false, some = false;
    while (take(p, "not")) {
        odd = !odd;
        some = true;
    }
    if (!read_comparison(p, out))
        return false;
    if (some)
        *out = (*out != 0) != odd;
    return true;
}

static bool read_conjunction(parser *p, int64_t *out)
{
    int64_t next;
    bool ok = read_negation(p, out);
    while (ok && take(p, "and"))
        ok = read_negation(p, &next) && both(*out, next, out);
    return ok;
}

static bool read_condition(parser *p, int64_t *out)
{
    int64_t next;
    if (++p->depth > MOST_DEEP)
        return false;
    bool ok = read_conjunction(p, out);
    while (ok && take(p, "or"))
        ok = read_conjunction(p, &next) && either(*out, next, out);
    p->depth--;
    return ok;
}

bool ptf_expression_value(const char *text, const ptf_expression_names *names,
                          int64_t *out)
{
    parser p = {text, names, 0};
    *out = 0;
    if (!read_condition(&p, out))
        return false;
    skip_space(&p);
    return *p.at == '\0';
}
