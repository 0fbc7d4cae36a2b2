/*
 * Einstein's sums, two operands at a time as a product of matrices.  For
 *
 *     b h i d, b h j d -> b h i j
 *
 * b and h are in both operands and the result (shared), d in both operands
 * alone (summed), i in the first one and j in the second one (own).  So
 * the first is permuted to shared, own, summed, the second to shared, summed,
 * own, axes of a kind are joined, and what matmul gives is permuted to the
 * result.  One operand is permuted and then summed; with a third one, the first
 * two are multiplied to what it and the result have letters for, and so on.
 *
 * "..." stands for letters of its own, aligned at their ends; an axis of size 1
 * where others are longer is none; and a letter twice in an operand is the
 * diagonal of its axes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"

enum {
    LETTERS = 52,
    DOTS = LETTERS,                     /* until the ranks are known */
    ALL = LETTERS + 1 + PTF_LOWER_LIST, /* with those of the dots */
    TERMS = 2,
    MOST = 16,
};

/* Letters as numbers. */
typedef struct word {
    int count, letter[PTF_LOWER_LIST];
} word;

typedef struct equation {
    word in[MOST], out;
    int count; /* operands */
} equation;

/* One step. */
typedef struct sum {
    word in[TERMS], out;
    int count; /* operands */
    int node[TERMS];
    int64_t size[ALL];
} sum;

typedef enum role { SHARED, OWN, SUMMED } role;

static int times(const word *w, int letter)
{
    int n = 0;
    for (int i = 0; i < w->count; i++)
        n += w->letter[i] == letter;
    return n;
}

static bool has(const word *w, int letter)
{
    return times(w, letter) > 0;
}

/* ------------------------------------------------------------------ parsing */

static bool add_letter(word *to, int letter)
{
    if (to->count == PTF_LOWER_LIST)
        return false;
    to->letter[to->count++] = letter;
    return true;
}

/* A letter or three dots at *text, which moves to its last character. */
static bool take_letter(const char **text, word *to)
{
    char c = **text;
    int letter = c >= 'a' && c <= 'z'   ? c - 'a'
                 : c >= 'A' && c <= 'Z' ? c - 'A' + 26
                                        : -1;
    if (strncmp(*text, "...", 3) == 0 && !has(to, DOTS)) {
        *text += 2;
        letter = DOTS;
    }
    return letter >= 0 && add_letter(to, letter);
}

/* Without an arrow: what the dots stand for, and the letters that occur once,
 * in the alphabet's order. */
static bool find_result(equation *e)
{
    bool fits = true, dots = false;
    for (int k = 0; k < e->count; k++)
        dots = dots || has(&e->in[k], DOTS);
    if (dots)
        fits = add_letter(&e->out, DOTS);
    for (int i = 0; i < LETTERS; i++) {
        int letter = i < 26 ? i + 26 : i - 26, n = 0; /* capitals come first */
        for (int k = 0; k < e->count; k++)
            n += times(&e->in[k], letter);
        if (n == 1)
            fits = fits && add_letter(&e->out, letter);
    }
    return fits;
}

/* NULL, or what is wrong with the equation. */
static const char *parse(const char *text, equation *e)
{
    static const char wrong[] = "is no sum of operands of at most 8 axes";
    bool arrow = false;
    e->count = 1;
    for (; *text != '\0'; text++) {
        word *to = arrow ? &e->out : &e->in[e->count - 1];
        if (*text == ' ')
            continue;
        if (*text == ',' && !arrow && e->count < MOST)
            e->count++;
        else if (text[0] == '-' && text[1] == '>' && !arrow)
            arrow = ++text != NULL;
        else if (!take_letter(&text, to))
            return wrong;
    }
    if (!arrow && !find_result(e))
        return wrong;
    for (int i = 0; i < e->out.count; i++) {
        int letter = e->out.letter[i], n = letter == DOTS;
        for (int k = 0; k < e->count; k++)
            n += times(&e->in[k], letter);
        if (n == 0 || times(&e->out, letter) > 1)
            return "has a letter in its result that no operand has, or twice";
    }
    return NULL;
}

/* So many letters in the place of the dots; the last one is always the same. */
static bool replace_dots(word *w, int count)
{
    word old = *w;
    bool fits = true;
    w->count = 0;
    for (int i = 0; i < old.count && fits; i++) {
        for (int d = 0; old.letter[i] == DOTS && d < count && fits; d++)
            fits = add_letter(w, DOTS + count - d);
        if (old.letter[i] != DOTS)
            fits = add_letter(w, old.letter[i]);
    }
    return fits;
}

/* The same of all, as the ranks of the operands say. */
static ptf_status settle_dots(ptf_lowering *l, const ptf_argument *tensors,
                              equation *e)
{
    int most = 0;
    bool fits = true;
    for (int k = 0; k < e->count && fits; k++) {
        const ptf_program_value *v = ptf_lower_value(l, tensors->values[k]);
        int count = v->rank - e->in[k].count + 1;
        if (!has(&e->in[k], DOTS))
            continue;
        fits = count >= 0 && replace_dots(&e->in[k], count);
        most = count > most ? count : most;
    }
    fits = fits && replace_dots(&e->out, most);
    return fits ? PTF_OK
                : ptf_lower_refuse(l,
                                   "expected operands and a result of at "
                                   "most %d axes",
                                   PTF_LOWER_LIST);
}

/* -------------------------------------------------------------------- forms */

static bool is_constant(const ptf_lowering *l, int value)
{
    const ptf_lowered *v = &l->values[value];
    return v->node < 0 || l->net->nodes[v->node].op == PTF_OP_CONSTANT;
}

/*
 * Each sample by itself when the batch is the first axis of what is computed
 * and of the result, and of no constant.
 */
static ptf_status choose_form(ptf_lowering *l, const ptf_argument *tensors,
                              const equation *e)
{
    bool each = e->out.count > 0;
    int batch = each ? e->out.letter[0] : -1;
    for (int k = 0; k < e->count && each; k++)
        each =
            is_constant(l, tensors->values[k])
                ? !has(&e->in[k], batch)
                : times(&e->in[k], batch) == 1 && e->in[k].letter[0] == batch;
    return each ? PTF_OK : ptf_lower_whole(l);
}

static void drop_first(word *w)
{
    memmove(w->letter, w->letter + 1, (size_t)--w->count * sizeof(*w->letter));
}

/* The operand as a node: constants with all their axes, as they are. */
static ptf_status find_operand(ptf_lowering *l, int value, word *w, int *node)
{
    bool constant = is_constant(l, value);
    ptf_status status = constant ? ptf_lower_whole_value(l, value, node)
                                 : ptf_lower_value_node(l, value, node);
    if (status != PTF_OK)
        return status;
    if (l->batched && !constant && w->count > 0) /* the batch's letter goes */
        drop_first(w);
    int rank = l->shapes[*node].rank;
    return w->count == rank ? PTF_OK
                            : ptf_lower_refuse(l,
                                               "an operand has %d axes, "
                                               "expected %d",
                                               rank, w->count);
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

/* --------------------------------------------------------------- all steps */

/* Two axes of one letter, as the last ones, to their diagonal. */
static ptf_status take_diagonal(ptf_lowering *l, int a, int b, word *w,
                                int *node)
{
    ptf_attrs attrs = ptf_lower_defaults(PTF_OP_PERMUTE);
    ptf_attrs cut = ptf_lower_defaults(PTF_OP_SLICE);
    int64_t size = l->shapes[*node].dim[a];
    word rest = {0};
    if (l->shapes[*node].dim[b] != size)
        return ptf_lower_refuse(l, "a letter stands for axes of %lld and %lld",
                                (long long)size,
                                (long long)l->shapes[*node].dim[b]);
    for (int d = 0; d < w->count; d++) {
        if (d == a || d == b)
            continue;
        attrs.dims.at[attrs.dims.count++] = d + 1;
        rest.letter[rest.count++] = w->letter[d];
    }
    rest.letter[rest.count++] = w->letter[a];
    attrs.dims.at[attrs.dims.count++] = a + 1;
    attrs.dims.at[attrs.dims.count++] = b + 1;
    *w = rest;
    ptf_status status =
        ptf_lower_add_one(l, PTF_OP_PERMUTE, &attrs, *node, node);
    if (status != PTF_OK)
        return status;
    ptf_shape shape = l->shapes[*node];
    shape.rank--;
    shape.dim[shape.rank - 1] = size * size;
    status = ptf_lower_reshape(l, *node, &shape, node);
    cut.dim = shape.rank;
    cut.step = size + 1;
    cut.length = size;
    return status == PTF_OK && size > 1
               ? ptf_lower_add_one(l, PTF_OP_SLICE, &cut, *node, node)
               : status;
}

static ptf_status take_diagonals(ptf_lowering *l, word *w, int *node)
{
    for (int a = 0; a < w->count; a++) {
        for (int b = a + 1; b < w->count; b++) {
            if (w->letter[a] != w->letter[b])
                continue;
            ptf_status status = take_diagonal(l, a, b, w, node);
            if (status != PTF_OK)
                return status;
            a = -1; /* the axes have moved */
            break;
        }
    }
    return PTF_OK;
}

/* What the letters stand for; those that are longer elsewhere go. */
static ptf_status settle_sizes(ptf_lowering *l, const word *w, int node,
                               int64_t size[ALL])
{
    for (int d = 0; d < w->count; d++) {
        int64_t *known = &size[w->letter[d]], own = l->shapes[node].dim[d];
        if (*known > 1 && own > 1 && *known != own)
            return ptf_lower_refuse(l,
                                    "a letter stands for axes of %lld and %lld",
                                    (long long)*known, (long long)own);
        *known = *known == 0 || *known == 1 ? own : *known;
    }
    return PTF_OK;
}

static ptf_status drop_ones(ptf_lowering *l, const int64_t size[ALL], word *w,
                            int *node)
{
    ptf_shape shape = {0, {0}};
    word rest = {0};
    for (int d = 0; d < w->count; d++) {
        int64_t own = l->shapes[*node].dim[d];
        if (own != size[w->letter[d]])
            continue;
        shape.dim[shape.rank++] = own;
        rest.letter[rest.count++] = w->letter[d];
    }
    *w = rest;
    return ptf_lower_reshape(l, *node, &shape, node);
}

/* The letters of a step that the result, or an operand after it, has. */
static bool find_needed(const equation *e, int next, sum *s)
{
    bool fits = true;
    if (next == e->count) {
        s->out = e->out;
        return true;
    }
    s->out.count = 0;
    for (int k = 0; k < s->count; k++) {
        for (int d = 0; d < s->in[k].count; d++) {
            int letter = s->in[k].letter[d];
            bool needed = has(&e->out, letter);
            for (int i = next; i < e->count; i++)
                needed = needed || has(&e->in[i], letter);
            if (needed && !has(&s->out, letter))
                fits = fits && add_letter(&s->out, letter);
        }
    }
    return fits;
}

/* A step gives its node as that of its first operand. */
static ptf_status do_step(ptf_lowering *l, sum *s)
{
    ptf_status status = PTF_OK;
    for (int k = 0; k < s->count && status == PTF_OK; k++)
        status = sum_alone(l, s, k);
    if (status == PTF_OK && s->count == TERMS)
        status = multiply(l, s, &s->node[0]);
    else if (status == PTF_OK)
        status = permute(l, s->node[0], &s->in[0], &s->out, &s->node[0]);
    s->in[0] = s->out;
    return status;
}

static ptf_status do_steps(ptf_lowering *l, const equation *e, const int *nodes,
                           sum *s)
{
    ptf_status status = PTF_OK;
    s->in[0] = e->in[0];
    s->node[0] = nodes[0];
    s->count = e->count > 1 ? TERMS : 1;
    for (int k = 1; status == PTF_OK; k++) {
        bool last = k >= e->count - 1;
        if (e->count > 1) {
            s->in[1] = e->in[k];
            s->node[1] = nodes[k];
        }
        if (!find_needed(e, last ? e->count : k + 1, s))
            return ptf_lower_refuse(l, "a step has more than %d axes",
                                    PTF_LOWER_LIST);
        status = do_step(l, s);
        if (last)
            break;
    }
    return status;
}

static ptf_status read_equation(ptf_lowering *l, const ptf_argument **tensors,
                                equation *e)
{
    const ptf_argument *text = ptf_program_argument(l->call, "equation");
    const ptf_argument *list = ptf_program_argument(l->call, "tensors");
    *tensors = list;
    if (text == NULL || text->kind != PTF_ARGUMENT_TEXT || list == NULL ||
        list->kind != PTF_ARGUMENT_VALUES)
        return ptf_lower_refuse(l, "expected an equation and tensors");
    const char *wrong = parse(text->text, e);
    if (wrong != NULL)
        return ptf_lower_refuse(l, "its equation '%.80s' %s", text->text,
                                wrong);
    if (list->count != e->count)
        return ptf_lower_refuse(l, "expected %d tensors, got %d", e->count,
                                list->count);
    for (int k = 0; k < e->count; k++) {
        if (list->values[k] < 0)
            return ptf_lower_refuse(l, "tensor %d is None", k);
    }
    return settle_dots(l, list, e);
}

static ptf_status lower_einsum(ptf_lowering *l, const ptf_aten_row *row)
{
    equation e = {.count = 0};
    sum s = {.count = 0};
    const ptf_argument *tensors;
    int nodes[MOST] = {0};
    (void)row;
    ptf_status status = read_equation(l, &tensors, &e);
    if (status == PTF_OK)
        status = choose_form(l, tensors, &e);
    for (int k = 0; k < e.count && status == PTF_OK; k++) {
        status = find_operand(l, tensors->values[k], &e.in[k], &nodes[k]);
        if (status == PTF_OK)
            status = take_diagonals(l, &e.in[k], &nodes[k]);
        if (status == PTF_OK)
            status = settle_sizes(l, &e.in[k], nodes[k], s.size);
    }
    for (int k = 0; k < e.count && status == PTF_OK; k++)
        status = drop_ones(l, s.size, &e.in[k], &nodes[k]);
    if (status == PTF_OK && l->batched)
        drop_first(&e.out);
    if (status == PTF_OK)
        status = do_steps(l, &e, nodes, &s);
    return status == PTF_OK ? ptf_lower_give(l, s.node[0]) : status;
}

const ptf_aten_row ptf_aten_einsum[] = {
    {.target = "aten.einsum.default", .lower = lower_einsum},
    {0},
};
