/*
 * The guard on part 1 of a certificate: layers by themselves, A's and I's, on
 * numbers that no layer before them chose.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "certify/check.h"

#include <math.h>

/* Numbers from -REACH to REACH, so that both sides of zero are met; a few
 * images where they are small. */
enum { PROBES = 4, ENOUGH = 1 << 16, REACH = 32, SEED = 1 };

/* The subtraction itself rounds. */
static bool are_apart(ptf_balls a, ptf_balls ideal, int64_t k)
{
    double gap = fabs(a.value[k] - ideal.value[k]);
    return !(gap * (1 - 4 * PTF_U) <= a.radius[k] + ideal.radius[k]);
}

/*
 * How many positions the value may name: of what the layers that read it as
 * indices take them from.  0: it is no index.
 */
static int64_t positions_of(const ptf_check *c, int value)
{
    const ptf_side *a = &c->sides[PTF_SIDE_A];
    int64_t least = 0;
    for (int i = value + 1; i < a->net->node_count; i++) {
        const ptf_node *node = &a->net->nodes[i];
        if (!ptf_op_is(node->op, PTF_FAMILY_GATHER) ||
            a->makers[node->inputs[1]] != value)
            continue;
        ptf_gather g =
            ptf_op_gather(node->op, &node->attrs, &a->shapes[node->inputs[0]],
                          &a->shapes[node->inputs[1]]);
        least = least == 0 ? g.positions : ptf_min_i64(least, g.positions);
    }
    return least;
}

/*
 * Numbers for a value of A, the same ones whatever in B has them; indices are
 * some of the positions that there are.
 */
static const float *draw(const ptf_check *c, ptf_arena *arena, int value,
                         int64_t count)
{
    int64_t positions = positions_of(c, value);
    float *x = ptf_arena_array(arena, (size_t)count, sizeof(*x));
    if (x == NULL)
        return NULL;
    ptf_random_fill(SEED, (uint64_t)value, x, (size_t)count);
    for (int64_t i = 0; i < count; i++)
        x[i] = positions > 0 ? floorf(x[i] * (float)positions)
                             : (2 * x[i] - 1) * REACH;
    return x;
}

/* A unit of A and the node of B that stands for it. */
typedef struct probe {
    int layer, value, node;
    int64_t images;
    ptf_arena arena; /* for numbers */
} probe;

/* What a node of A or B reads, and the numbers that it has there. */
typedef struct drawn {
    int value; /* of A */
    int64_t count;
    const float *numbers;
} drawn;

/* Those that the value has already, or new ones. */
static const float *find_numbers(const ptf_check *c, probe *p,
                                 const drawn *list, const drawn *wanted)
{
    for (; list < wanted; list++) {
        if (list->value == wanted->value && list->count == wanted->count &&
            list->numbers != NULL)
            return list->numbers;
    }
    return draw(c, &p->arena, wanted->value, wanted->count);
}

/* Numbers for what a node of A or B reads: operand 'from' of that side. */
static ptf_status set_tap(ptf_check *c, probe *p, bool of_a, int from,
                          drawn *list, drawn *next, ptf_error *err)
{
    const ptf_side *a = &c->sides[PTF_SIDE_A], *b = &c->sides[PTF_SIDE_B];
    const ptf_side *side = of_a ? a : b;
    const float **tap = &(of_a ? c->a_taps : c->taps)[from];
    int maker = side->makers[from];
    next->value = of_a ? maker : a->makers[c->pairs[maker].value];
    next->count = p->images * ptf_shape_numel(&side->shapes[from]);
    *tap = NULL;
    if (ptf_side_fixed(side, from))
        return PTF_OK;
    *tap = next->numbers = find_numbers(c, p, list, next);
    return *tap != NULL ? PTF_OK : ptf_fail_memory(err);
}

/* What both read: each value of A its own numbers, so that a layer which reads
 * another value than its counterpart is seen here as well.  Operands that are
 * inside of the unit get some too, which nobody reads. */
static ptf_status set_taps(ptf_check *c, probe *p, ptf_error *err)
{
    const ptf_net *a = c->sides[PTF_SIDE_A].net, *b = c->sides[PTF_SIDE_B].net;
    const ptf_node *of_b = &b->nodes[p->node];
    int nodes = ptf_unit_nodes(c, PTF_SIDE_A, p->value), all = 0;
    for (int i = 0; i < nodes; i++)
        all += a->nodes[c->chain[i]].input_count;
    drawn *list = ptf_arena_array(&p->arena, (size_t)(all + of_b->input_count),
                                  sizeof(*list));
    drawn *next = list;
    ptf_status status = list != NULL ? PTF_OK : ptf_fail_memory(err);
    for (int i = 0; i < nodes; i++) {
        const ptf_node *node = &a->nodes[c->chain[i]];
        for (int k = 0; status == PTF_OK && k < node->input_count; k++)
            status = set_tap(c, p, true, node->inputs[k], list, next++, err);
    }
    for (int k = 0; status == PTF_OK && k < of_b->input_count; k++)
        status = set_tap(c, p, false, of_b->inputs[k], list, next++, err);
    return status;
}

/* No certificate, and the layer is to blame: the first one is named. */
static void break_layer(ptf_check *c, ptf_layer_check *layer,
                        const char *reason)
{
    layer->broken = true;
    if (c->broken.reason == NULL)
        c->broken = (ptf_pair_mismatch){reason, layer->name_b};
}

/*
 * Where neither has parameters, structure has shown that they are the same, and
 * numbers on which one of them is not defined say nothing against it.
 */
static void compare(ptf_check *c, const probe *p, ptf_balls a, ptf_balls ideal)
{
    ptf_layer_check *layer = &c->layers[p->node];
    bool plain = c->layers[p->node].plain;
    int64_t size = ptf_balls_each(c->enclosures[PTF_SIDE_I], p->node);
    for (int64_t n = 0; n < p->images; n++) {
        ptf_balls x = {a.value + n * size, a.radius + n * size};
        ptf_balls y = {ideal.value + n * size, ideal.radius + n * size};
        bool bad = ptf_balls_first_bad(x, size) >= 0 ||
                   ptf_balls_first_bad(y, size) >= 0;
        if (bad && !plain)
            break_layer(c, layer, "overflows: its exact value is not known");
        else if (!bad && !plain && !ptf_balls_sharp(x, y, size))
            break_layer(c, layer, "has radii so wide that a fault could hide");
        for (int64_t k = 0; k < size && !(bad && plain); k++)
            layer->function_apart += are_apart(x, y, k);
    }
}

/* Numbers of what a node of A reads, for one image. */
static int64_t count_read(const ptf_check *c, int node)
{
    const ptf_node *reader = &c->sides[PTF_SIDE_A].net->nodes[node];
    int64_t numbers = 1;
    for (int k = 0; k < reader->input_count; k++)
        numbers += ptf_balls_each(c->enclosures[PTF_SIDE_A], reader->inputs[k]);
    return numbers;
}

static ptf_status probe_pair(ptf_check *c, int node, ptf_error *err)
{
    const ptf_pair *pair = &c->pairs[node];
    probe p = {pair->layer,
               pair->value,
               node,
               ENOUGH / count_read(c, pair->layer),
               {NULL}};
    p.images = ptf_max_i64(ptf_min_i64(p.images, PROBES), 1);
    ptf_unit of_a = {PTF_SIDE_A, PTF_SIDE_A, p.value, c->a_taps,
                     p.images,   false,      NULL};
    ptf_unit of_i = {PTF_SIDE_I, PTF_SIDE_B, p.node, c->taps,
                     p.images,   false,      NULL};
    ptf_balls a, ideal;
    ptf_status status = set_taps(c, &p, err);
    if (status == PTF_OK)
        status = ptf_unit_run(c, &of_a, &a, err);
    if (status == PTF_OK)
        status = ptf_unit_run(c, &of_i, &ideal, err);
    if (status == PTF_OK)
        compare(c, &p, a, ideal);
    ptf_arena_free(&p.arena);
    return status;
}

/* Layers that have a part in the outputs; structure has paired all of these. */
static bool is_probed(const ptf_check *c, const int *reads, int node)
{
    const ptf_side *b = &c->sides[PTF_SIDE_B];
    return reads[node] > 0 && c->pairs[node].value >= 0 &&
           !ptf_side_fixed(b, node) && !ptf_op_is_alias(b->net->nodes[node].op);
}

ptf_status ptf_check_probe(ptf_check *c, ptf_error *err)
{
    const ptf_net *b = c->sides[PTF_SIDE_B].net;
    int *reads = ptf_alloc((size_t)b->node_count * sizeof(*reads));
    ptf_status status = reads != NULL ? PTF_OK : ptf_fail_memory(err);
    if (status == PTF_OK)
        ptf_net_count_reads(b, reads);
    for (int i = b->input_count; status == PTF_OK && i < b->node_count; i++) {
        if (is_probed(c, reads, i))
            status = probe_pair(c, i, err);
    }
    ptf_free(reads);
    return status;
}
