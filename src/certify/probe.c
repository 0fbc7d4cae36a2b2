/*
 * Layers by themselves: A and I on numbers that no layer before them chose.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "certify/check.h"

#include <math.h>

/* Numbers from -REACH to REACH, so that both sides of zero are met. */
enum { PROBES = 4, REACH = 32, SEED = 1 };

/* The subtraction itself rounds. */
bool ptf_check_apart(ptf_balls a, ptf_balls ideal, int64_t k)
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
    const ptf_net *net = c->sides[PTF_SIDE_A].net;
    int64_t least = 0;
    for (int i = value + 1; i < net->node_count; i++) {
        const ptf_node *node = &net->nodes[i];
        if (!ptf_op_is(node->op, PTF_FAMILY_GATHER) || node->inputs[1] != value)
            continue;
        ptf_gather g = ptf_op_gather(
            node->op, &node->attrs,
            ptf_enclosure_shape(c->enclosures[PTF_SIDE_A], node->inputs[0]),
            ptf_enclosure_shape(c->enclosures[PTF_SIDE_A], value));
        least = least == 0 ? g.positions : ptf_min_i64(least, g.positions);
    }
    return least;
}

/*
 * Numbers for 'node' of A, the same ones whatever in B has them; indices are
 * some of the positions that there are.
 */
static float *draw(const ptf_check *c, ptf_arena *arena, int node,
                   int64_t count)
{
    int64_t positions = positions_of(c, node);
    float *x = ptf_arena_array(arena, (size_t)count, sizeof(*x));
    if (x == NULL)
        return NULL;
    ptf_random_fill(SEED, (uint64_t)node, x, (size_t)count);
    for (int64_t i = 0; i < count; i++)
        x[i] = positions > 0 ? floorf(x[i] * (float)positions)
                             : (2 * x[i] - 1) * REACH;
    return x;
}

/*
 * Every value that has a counterpart becomes such numbers, constants too, but
 * for those inside of what B has folded.  Each has its own, so that a layer
 * which reads another value than its counterpart is seen here as well.
 */
static ptf_status set_taps(ptf_check *c, ptf_arena *arena, int64_t count,
                           const float **a, const float **ideal, ptf_error *err)
{
    for (int i = 0; i < c->sides[PTF_SIDE_B].net->node_count; i++) {
        int value = c->pairs[i].value;
        if (value < 0 || c->sides[PTF_SIDE_A].inside[value])
            continue;
        int64_t size = ptf_shape_numel(
            ptf_enclosure_shape(c->enclosures[PTF_SIDE_A], value));
        if (a[value] == NULL)
            a[value] = draw(c, arena, value, count * size);
        if (a[value] == NULL)
            return ptf_fail_memory(err);
        ideal[i] = a[value];
    }
    return PTF_OK;
}

/*
 * Where a layer bends can lie beyond all numbers, or between two of them; so
 * what says where is compared itself.
 */
static bool bend_alike(const ptf_node *a, const ptf_node *b)
{
    return a->op != b->op || !ptf_op_is(a->op, PTF_FAMILY_UNARY) ||
           memcmp(a->attrs.p, b->attrs.p, sizeof(a->attrs.p)) == 0;
}

/* No certificate, and the layer is to blame: the first one is named. */
static void break_layer(ptf_check *c, ptf_layer_check *layer,
                        const char *reason)
{
    layer->broken = true;
    if (c->broken.reason == NULL)
        c->broken = (ptf_pair_mismatch){reason, layer->name_b};
}

static void compare(ptf_check *c, int node, int64_t count)
{
    ptf_layer_check *layer = &c->layers[node];
    int value = c->pairs[node].value;
    if (!bend_alike(&c->sides[PTF_SIDE_A].net->nodes[value],
                    &c->sides[PTF_SIDE_B].net->nodes[node]))
        break_layer(c, layer, "has another slope, beta or threshold");
    int64_t size =
        ptf_shape_numel(ptf_enclosure_shape(c->enclosures[PTF_SIDE_I], node));
    for (int64_t n = 0; n < count; n++) {
        ptf_balls a = ptf_enclosure_node(c->enclosures[PTF_SIDE_A], value, n);
        ptf_balls ideal =
            ptf_enclosure_node(c->enclosures[PTF_SIDE_I], node, n);
        if (ptf_balls_first_bad(a, size) >= 0 ||
            ptf_balls_first_bad(ideal, size) >= 0)
            break_layer(c, layer, "overflows: its exact value is not known");
        else if (!ptf_balls_sharp(a, ideal, size))
            break_layer(c, layer, "has radii so wide that a fault could hide");
        for (int64_t k = 0; k < size; k++)
            layer->function_apart += ptf_check_apart(a, ideal, k);
    }
}

static ptf_status probe(ptf_check *c, ptf_arena *arena, ptf_error *err)
{
    int64_t count = ptf_min_i64(c->group, PROBES);
    const ptf_net *a = c->sides[PTF_SIDE_A].net, *b = c->sides[PTF_SIDE_B].net;
    const float **taps_a =
        ptf_arena_array(arena, (size_t)a->node_count, sizeof(*taps_a));
    const float **taps_i =
        ptf_arena_array(arena, (size_t)b->node_count, sizeof(*taps_i));
    if (taps_a == NULL || taps_i == NULL)
        return ptf_fail_memory(err);
    ptf_status status = set_taps(c, arena, count, taps_a, taps_i, err);
    if (status == PTF_OK)
        status = ptf_enclosure_run_taps(c->enclosures[PTF_SIDE_A], taps_a,
                                        count, false, err);
    if (status == PTF_OK)
        status = ptf_enclosure_run_taps(c->enclosures[PTF_SIDE_I], taps_i,
                                        count, false, err);
    for (int i = b->input_count; status == PTF_OK && i < b->node_count; i++) {
        if (c->pairs[i].value >= 0)
            compare(c, i, count);
    }
    return status;
}

ptf_status ptf_check_probe(ptf_check *c, ptf_error *err)
{
    ptf_arena arena = {NULL};
    ptf_status status = probe(c, &arena, err);
    ptf_arena_free(&arena);
    return status;
}
