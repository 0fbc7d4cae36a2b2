/*
 * Einstein's sums of two operands, as a product of matrices.  For
 *
 *     b h i d, b h j d -> b h i j
 *
 * b and h are in both operands and the result (shared), d in both operands
 * alone (summed), i in the first one and j in the second one (own).  So
 * the first is permuted to shared, own, summed, the second to shared, summed,
 * own, axes of a kind are joined, and what matmul gives is permuted to the
 * result.  One operand is permuted and then summed.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"

enum { LETTERS = 52, TERMS = 2 };

/* Letters as numbers. */
typedef struct word {
    int count, letter[PTF_LOWER_LIST];
} word;

typedef struct sum {
    word in[TERMS], out;
    int count; /* operands */
    int node[TERMS];
    int64_t size[LETTERS];
} sum;

typedef enum role { SHARED, OWN, SUMMED } role;

static bool has(const word *w, int letter)
{
    for (int i = 0; i < w->count; i++) {
        if (w->letter[i] == letter)
            return true;
    }
    return false;
}

static bool take_letter(char c, word *to)
{
    int letter = c >= 'a' && c <= 'z'   ? c - 'a'
                 : c >= 'A' && c <= 'Z' ? c - 'A' + 26
                                        : -1;
    if (letter < 0 || to->count == PTF_LOWER_LIST || has(to, letter))
        return false;
    to->letter[to->count++] = letter;
    return true;
}

/* Without an arrow: the letters that occur once, in the alphabet's order. */
static void find_result(sum *s)
{
    for (int i = 0; i < LETTERS; i++) {
        int letter = i < 26 ? i + 26 : i - 26; /* capitals come first */
        if (has(&s->in[0], letter) != has(&s->in[1], letter) &&
            s->out.count < PTF_LOWER_LIST)
            s->out.letter[s->out.count++] = letter;
    }
}

/* NULL, or what is wrong with the equation. */
static const char *parse(const char *text, sum *s)
{
    bool arrow = false;
    s->count = 1;
    for (; *text != '\0'; text++) {
        word *to = arrow ? &s->out : &s->in[s->count - 1];
        if (*text == ' ')
            continue;
        if (*text == '.')
            return "has '...', which ptfold does not read";
        if (*text == ',' && !arrow && s->count < TERMS)
            s->count++;
        else if (text[0] == '-' && text[1] == '>' && !arrow)
            arrow = ++text != NULL;
        else if (!take_letter(*text, to))
            return "is no sum of one or two operands that have each letter "
                   "once";
    }
    if (!arrow)
        find_result(s);
    for (int i = 0; i < s->out.count; i++) {
        if (!has(&s->in[0], s->out.letter[i]) &&
            !has(&s->in[1], s->out.letter[i]))
            return "has a letter in its result that no operand has";
    }
    return NULL;
}

/* -------------------------------------------------------------------- forms */

/*
 * Each sample by itself when the batch is the first axis of what is computed
 * and of the result, and of no constant.
 */
static ptf_status choose_form(ptf_lowering *l, const ptf_argument *tensors,
                              const sum *s)
{
    bool each = s->out.count > 0;
    for (int k = 0; k < s->count && each; k++) {
        const ptf_lowered *v = &l->values[tensors->values[k]];
        bool constant =
            v->node < 0 || l->net->nodes[v->node].op == PTF_OP_CONSTANT;
        each = constant ? !has(&s->in[k], s->out.letter[0])
                        : s->in[k].count > 0 &&
                              s->in[k].letter[0] == s->out.letter[0];
    }
    return each ? PTF_OK : ptf_lower_whole(l);
}

/* The operand as a node: constants with all their axes, as they are. */
static ptf_status find_operand(ptf_lowering *l, int value, int k, sum *s)
{
    const ptf_lowered *v = &l->values[value];
    bool batched = l->batched;
    bool constant = v->node < 0 || l->net->nodes[v->node].op == PTF_OP_CONSTANT;
    if (constant)
        l->batched = false;
    ptf_status status = ptf_lower_value_node(l, value, &s->node[k]);
    l->batched = batched;
    if (status != PTF_OK)
        return status;
    word *w = &s->in[k];
    const ptf_shape *shape = &l->shapes[s->node[k]];
    if (batched && !constant && w->count > 0) /* the letter of the batch goes */
        memmove(w->letter, w->letter + 1,
                (size_t)--w->count * sizeof(*w->letter));
    if (w->count != shape->rank)
        return ptf_lower_refuse(l, "operand %d has %d axes, expected %d", k,
                                shape->rank, w->count);
    for (int d = 0; d < w->count; d++) {
        int64_t *size = &s->size[w->letter[d]];
        if (*size != 0 && *size != shape->dim[d])
            return ptf_lower_refuse(l,
                                    "a letter stands for axes of %lld and "
                                    "%lld",
                                    (long long)*size, (long long)shape->dim[d]);
        *size = shape->dim[d];
    }
    return PTF_OK;
}

static ptf_status find_operands(ptf_lowering *l, sum *s)
{
    const ptf_argument *equation = ptf_program_argument(l->call, "equation");
    const ptf_argument *tensors = ptf_program_argument(l->call, "tensors");
    if (equation == NULL || equation->kind != PTF_ARGUMENT_TEXT ||
        tensors == NULL || tensors->kind != PTF_ARGUMENT_VALUES)
        return ptf_lower_refuse(l, "expected an equation and tensors");
    const char *wrong = parse(equation->text, s);
    if (wrong != NULL)
        return ptf_lower_refuse(l, "its equation '%.80s' %s", equation->text,
                                wrong);
    if (tensors->count != s->count)
        return ptf_lower_refuse(l, "expected %d tensors, got %d", s->count,
                                tensors->count);
    for (int k = 0; k < s->count; k++) {
        if (tensors->values[k] < 0)
            return ptf_lower_refuse(l, "tensor %d is None", k);
    }
    ptf_status status = choose_form(l, tensors, s);
    for (int k = 0; k < s->count && status == PTF_OK; k++)
        status = find_operand(l, tensors->values[k], k, s);
    if (status == PTF_OK && l->batched)
        memmove(s->out.letter, s->out.letter + 1,
                (size_t)--s->out.count * sizeof(*s->out.letter));
    return status;
}

/* ---------------------------------------------------------------- one step */

/* The node, whose axes are 'from', with the axes 'to'. */
static ptf_status permute(ptf_lowering *l, int node, const word *from,
                          const word *to, int *out)
{
    ptf_attrs attrs = ptf_lower_defaults(PTF_OP_PERMUTE);
    bool same = true;
    attrs.dims.count = to->count;
    for (int d = 0; d < to->count; d++) {
        int at = 0;
        while (from->letter[at] != to->letter[d])
            at++;
        attrs.dims.at[d] = at + 1;
        same = same && at == d;
    }
    *out = node;
    return same ? PTF_OK
                : ptf_lower_add_one(l, PTF_OP_PERMUTE, &attrs, node, out);
}

/* Axes that are in no result and in no other operand. */
static ptf_status sum_alone(ptf_lowering *l, sum *s, int k)
{
    ptf_attrs attrs = ptf_lower_defaults(PTF_OP_SUM);
    word left = {0}, *w = &s->in[k];
    for (int d = 0; d < w->count; d++) {
        bool other = s->count > 1 && has(&s->in[1 - k], w->letter[d]);
        if (other || has(&s->out, w->letter[d]))
            left.letter[left.count++] = w->letter[d];
        else
            attrs.dims.at[attrs.dims.count++] = d + 1;
    }
    *w = left;
    return attrs.dims.count == 0 ? PTF_OK
                                 : ptf_lower_add_one(l, PTF_OP_SUM, &attrs,
                                                     s->node[k], &s->node[k]);
}

static role role_of(const sum *s, int letter)
{
    if (!has(&s->out, letter))
        return SUMMED;
    return has(&s->in[0], letter) && has(&s->in[1], letter) ? SHARED : OWN;
}

static int64_t add_axes(const sum *s, const word *from, role which, word *to)
{
    int64_t n = 1;
    for (int d = 0; d < from->count; d++) {
        if (role_of(s, from->letter[d]) != which)
            continue;
        to->letter[to->count++] = from->letter[d];
        n *= s->size[from->letter[d]];
    }
    return n;
}

/* An operand as matrices: shared, then the two kinds; *own is the size of OWN.
 * What is shared, and summed, is in the first operand's order. */
static ptf_status make_matrices(ptf_lowering *l, sum *s, int k, int64_t *own)
{
    word to = {0};
    int64_t shared = add_axes(s, &s->in[0], SHARED, &to), summed;
    ptf_shape shape = {3, {shared}};
    if (k == 0) {
        *own = add_axes(s, &s->in[0], OWN, &to);
        summed = add_axes(s, &s->in[0], SUMMED, &to);
    } else {
        summed = add_axes(s, &s->in[0], SUMMED, &to);
        *own = add_axes(s, &s->in[1], OWN, &to);
    }
    shape.dim[1] = k == 0 ? *own : summed;
    shape.dim[2] = k == 0 ? summed : *own;
    ptf_status status = permute(l, s->node[k], &s->in[k], &to, &s->node[k]);
    return status == PTF_OK
               ? ptf_lower_reshape(l, s->node[k], &shape, &s->node[k])
               : status;
}

static ptf_status multiply(ptf_lowering *l, sum *s, int *out)
{
    word to = {0};
    ptf_shape shape = {0, {0}};
    int64_t own[2];
    ptf_status status = make_matrices(l, s, 0, &own[0]);
    if (status == PTF_OK)
        status = make_matrices(l, s, 1, &own[1]);
    if (status == PTF_OK)
        status = ptf_lower_matmul(l, s->node[0], s->node[1], out);
    add_axes(s, &s->in[0], SHARED, &to);
    add_axes(s, &s->in[0], OWN, &to);
    add_axes(s, &s->in[1], OWN, &to);
    if (status == PTF_OK && to.count > PTF_SHAPE_MAX)
        status = ptf_lower_refuse(l,
                                  "its result has %d axes; at most %d can "
                                  "be",
                                  to.count, PTF_SHAPE_MAX);
    for (int d = 0; d < to.count && status == PTF_OK; d++)
        shape.dim[shape.rank++] = s->size[to.letter[d]];
    if (status == PTF_OK)
        status = ptf_lower_reshape(l, *out, &shape, out);
    return status == PTF_OK ? permute(l, *out, &to, &s->out, out) : status;
}

static ptf_status lower_einsum(ptf_lowering *l, const ptf_aten_row *row)
{
    sum s = {.count = 0};
    int node = -1;
    (void)row;
    ptf_status status = find_operands(l, &s);
    for (int k = 0; k < s.count && status == PTF_OK; k++)
        status = sum_alone(l, &s, k);
    if (status == PTF_OK && s.count == TERMS)
        status = multiply(l, &s, &node);
    else if (status == PTF_OK)
        status = permute(l, s.node[0], &s.in[0], &s.out, &node);
    return status == PTF_OK ? ptf_lower_give(l, node) : status;
}

const ptf_aten_row ptf_aten_einsum[] = {
    {.target = "aten.einsum.default", .lower = lower_einsum},
    {0},
};
