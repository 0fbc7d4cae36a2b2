/*
 * Masks of -infinity before a softmax.
 *
 * masked_fill(-inf), where(mask, x, -inf) and a mask that is added hide
 * positions: their exponential is 0 whatever the numbers there were.  So it is
 * with the least finite number, of which bounds can be computed, and which no
 * check for NaN and infinity has to leave out.
 *
 * It is the same only while each row has a larger number in a position that is
 * not hidden: of a row without any PyTorch's softmax is NaN.  So the mask must
 * be a constant that leaves some, and what it is laid over made of products,
 * which are nowhere near that number; another mask, computed from the input,
 * may hide the rest with just it.  Other infinities stay as they are.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"

typedef struct walk {
    ptf_lowering *l;
    int *reads;  /* per node: how often its value is read */
    bool *masks; /* per node: one that lays a mask over scores */
} walk;

/* A mask over scores: where 'condition' is 'when' (-1: everywhere), 'mask'. */
typedef struct overlay {
    int condition, when, mask, scores;
} overlay;

/* The constant's numbers, or NULL. */
static const float *numbers_of(const ptf_lowering *l, int node)
{
    const ptf_node *n = &l->net->nodes[node];
    const ptf_tensor *t = n->tensors[PTF_ROLE_WEIGHT];
    bool usable =
        n->op == PTF_OP_CONSTANT && t != NULL && ptf_tensor_is_contiguous(t);
    return usable ? ptf_tensor_f32(t) : NULL;
}

/* The numbers of a constant of -infinity and numbers that hide nothing. */
static const float *infinite(const ptf_lowering *l, int node)
{
    const float *x = numbers_of(l, node);
    bool some = false;
    for (int64_t i = 0; x != NULL && i < ptf_shape_numel(&l->shapes[node]);
         i++) {
        bool hides = ptf_mask_hides(x[i]);
        if (!hides && !(fabsf(x[i]) < PTF_MASK_VISIBLE))
            return NULL;
        some = some || hides;
    }
    return some ? x : NULL;
}

/* ------------------------------------------------------------------- scores */

enum { MOST_DEPTH = 16 };

/* A constant that moves no score to where the hidden ones are. */
static bool is_moderate(const ptf_lowering *l, int node)
{
    const float *x = numbers_of(l, node);
    int64_t i = 0, count = ptf_shape_numel(&l->shapes[node]);
    while (x != NULL && i < count && fabsf(x[i]) < PTF_MASK_VISIBLE)
        i++;
    return x != NULL && i == count;
}

/* Products, moved about, and with constants scaled, shifted and so on. */
static bool are_scores(const ptf_lowering *l, int at, int depth)
{
    const ptf_node *node = &l->net->nodes[at];
    bool product = ptf_op_is(node->op, PTF_FAMILY_PRODUCT) ||
                   ptf_op_is(node->op, PTF_FAMILY_MATMUL);
    bool moves = ptf_op_is(node->op, PTF_FAMILY_VIEW) ||
                 ptf_op_is(node->op, PTF_FAMILY_BINARY);
    if (product || !moves || depth == MOST_DEPTH)
        return product;
    for (int k = 0; k < node->input_count; k++) {
        if (!is_moderate(l, node->inputs[k]) &&
            !are_scores(l, node->inputs[k], depth + 1))
            return false;
    }
    return true;
}

/* -------------------------------------------------------------------- masks */

/* Whether the node lays a mask of -infinity over scores, and which. */
static bool find_overlay(const ptf_lowering *l, const ptf_node *node,
                         overlay *out)
{
    bool where = node->op == PTF_OP_WHERE, add = node->op == PTF_OP_ADD;
    int first = where ? 1 : 0; /* the operands are this and the next */
    if ((!where && !add) || (where && numbers_of(l, node->inputs[0]) == NULL))
        return false;
    for (int k = 0; k < 2; k++) {
        *out = (overlay){.condition = where ? node->inputs[0] : -1,
                         .when = k == 0,
                         .mask = node->inputs[first + k],
                         .scores = node->inputs[first + 1 - k]};
        if (infinite(l, out->mask) != NULL)
            return are_scores(l, out->scores, 0);
    }
    return false;
}

/* The number of a constant that is broadcast to 'shape', at a place there. */
static float number_at(const ptf_lowering *l, int node, const ptf_shape *shape,
                       int64_t at)
{
    const ptf_shape *from = &l->shapes[node];
    int64_t place = 0, step = 1;
    for (int d = shape->rank - 1, k = from->rank - 1; k >= 0; d--, k--) {
        place += from->dim[k] > 1 ? at % shape->dim[d] * step : 0;
        step *= from->dim[k];
        at /= shape->dim[d];
    }
    return numbers_of(l, node)[place];
}

static bool is_hidden(const ptf_lowering *l, const overlay *o,
                      const ptf_shape *shape, int64_t at)
{
    if (o->condition >= 0 &&
        (fabsf(number_at(l, o->condition, shape, at)) > 0) != (o->when != 0))
        return false;
    return ptf_mask_hides(number_at(l, o->mask, shape, at));
}

/* Each row along an axis has a position that is not hidden. */
static bool leaves_some(const ptf_lowering *l, const overlay *o,
                        const ptf_shape *shape, int axis)
{
    int64_t inner = 1, size = shape->dim[axis];
    for (int d = axis + 1; d < shape->rank; d++)
        inner *= shape->dim[d];
    for (int64_t i = 0; i < ptf_shape_numel(shape); i++) {
        int64_t k = 0;
        if (i / inner % size != 0)
            continue;
        while (k < size && is_hidden(l, o, shape, i + k * inner))
            k++;
        if (k == size)
            return false;
    }
    return true;
}

static bool lays_mask(const walk *w, const ptf_node *softmax)
{
    const ptf_lowering *l = w->l;
    int at = softmax->inputs[0];
    const ptf_shape *shape = &l->shapes[at];
    int axis = ptf_softmax_axis(&softmax->attrs, shape->rank + 1) - 1;
    overlay o;
    return w->reads[at] == 1 && find_overlay(l, &l->net->nodes[at], &o) &&
           leaves_some(l, &o, shape, axis);
}

/* Nobody reads the constant but as a mask. */
static bool is_mask(const walk *w, int constant)
{
    const ptf_net *net = w->l->net;
    overlay o;
    bool only = !ptf_net_is_output(net, constant);
    for (int i = constant + 1; only && i < net->node_count; i++) {
        const ptf_node *node = &net->nodes[i];
        for (int k = 0; only && k < node->input_count; k++)
            only = w->reads[i] == 0 || node->inputs[k] != constant ||
                   (w->masks[i] && find_overlay(w->l, node, &o) &&
                    o.mask == constant);
    }
    return only;
}

static ptf_status make_finite(walk *w, int constant, const float *x)
{
    ptf_lowering *l = w->l;
    ptf_node *node = &l->net->nodes[constant];
    int64_t count = ptf_shape_numel(&l->shapes[constant]);
    ptf_tensor *copy = ptf_arena_alloc(&l->net->arena, sizeof(*copy));
    float *data;
    ptf_status status = copy != NULL ? ptf_lower_room(l, count, &data)
                                     : ptf_fail_memory(l->err);
    if (status != PTF_OK)
        return status;
    for (int64_t i = 0; i < count; i++)
        data[i] = ptf_mask_hides(x[i]) ? PTF_HIDDEN : x[i];
    *copy = *node->tensors[PTF_ROLE_WEIGHT];
    copy->data = data;
    copy->storage = NULL;
    node->tensors[PTF_ROLE_WEIGHT] = copy;
    return PTF_OK;
}

static ptf_status hide(walk *w)
{
    const ptf_net *net = w->l->net;
    ptf_status status = PTF_OK;
    ptf_net_count_reads(net, w->reads);
    for (int i = 0; i < net->node_count; i++) {
        const ptf_node *node = &net->nodes[i];
        if (node->op == PTF_OP_SOFTMAX && w->reads[i] > 0 && lays_mask(w, node))
            w->masks[node->inputs[0]] = true;
    }
    for (int i = 0; i < net->node_count && status == PTF_OK; i++) {
        const float *x = w->reads[i] > 0 ? infinite(w->l, i) : NULL;
        if (x != NULL && is_mask(w, i))
            status = make_finite(w, i, x);
    }
    return status;
}

ptf_status ptf_lower_hide(ptf_lowering *l)
{
    size_t count = (size_t)l->net->node_count + 1;
    walk w = {.l = l,
              .reads = ptf_alloc(count * sizeof(*w.reads)),
              .masks = ptf_alloc(count)};
    ptf_status status =
        w.reads != NULL && w.masks != NULL ? PTF_OK : ptf_fail_memory(l->err);
    if (status == PTF_OK)
        status = hide(&w);
    ptf_free(w.reads);
    ptf_free(w.masks);
    return status;
}
