/*
 * A norm by the sample, or a reduction in double, after an input.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "norms.h"

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

static void set_tensor(layer *l, int i, ptf_role role)
{
    ptf_node *node = &l->c.nodes[1];
    ptf_tensor *t = &l->tensors[i];
    *t = (ptf_tensor){.name = ptf_role_name(role), .dtype = PTF_DTYPE_F32};
    assert_true(
        ptf_op_parameter(node->op, &node->attrs, role, &t->rank, t->shape));
    int64_t stride = 1;
    for (int d = t->rank - 1; d >= 0; stride *= t->shape[d--])
        t->stride[d] = stride;
    assert_in_range(ptf_tensor_numel(t), 1, WEIGHTS);
    t->data = i == 0 ? l->w : l->b;
    node->tensors[role] = l->list[i] = t;
    l->c.net.tensors = l->list;
    l->c.net.tensor_count++;
}

void norms_make(layer *l, ptf_op op, const ptf_attrs *attrs,
                const ptf_shape *in)
{
    ptf_attrs settled = *attrs;
    assert_null(ptf_op_settle(op, &settled));
    start(&l->c, in);
    add(&l->c, op, &settled);
    if (attrs->affine)
        set_tensor(l, 0, PTF_ROLE_WEIGHT);
    if (attrs->affine && attrs->has_bias && op != PTF_OP_RMS_NORM)
        set_tensor(l, 1, PTF_ROLE_BIAS);
}

float *norms_run(const layer *l, const float *in, const char *isa, int threads,
                 int64_t images)
{
    ptf_plan_options options = {.threads = threads, .isa = isa};
    ptf_plan *plan;
    ptf_error err;
    float *out = floats(images * ptf_shape_numel(last(&l->c)));
    if (ptf_plan_make(&l->c.net, &l->c.shapes[0], images, &options, &plan,
                      &err) ||
        ptf_plan_run(plan, in, images, out, &err))
        fail_msg("%s", err.message);
    ptf_plan_free(plan);
    return out;
}

/* ------------------------------------------------------------- by position */

belonging norms_belonging(const layer *l, int64_t i)
{
    const ptf_node *node = &l->c.nodes[1];
    const ptf_shape *in = &l->c.shapes[0];
    int64_t at[PTF_SHAPE_MAX], of = 1;
    const ptf_attrs *a = &node->attrs;
    if (ptf_op_is(node->op, PTF_FAMILY_REDUCE))
        return (belonging){target(node, in, i), 0};
    if (node->op == PTF_OP_LAYER_NORM || node->op == PTF_OP_RMS_NORM) {
        for (int d = 0; d < a->size.count; d++)
            of *= a->size.at[d];
        return (belonging){i / of, i % of};
    }
    positions(i, in, at);
    int64_t own = node->op == PTF_OP_GROUP_NORM ? in->dim[0] / a->groups : 1;
    return (belonging){at[0] / own, at[0]};
}

double norms_weight(const layer *l, int64_t i)
{
    return l->c.nodes[1].attrs.affine ? (double)l->w[i] : 1.0;
}

bool norms_centred(const layer *l)
{
    ptf_op op = l->c.nodes[1].op;
    return op != PTF_OP_RMS_NORM && op != PTF_OP_VECTOR_NORM;
}

/* ---------------------------------------------------------------- at random */

static void draw_norm(layer *l, ptf_shape *shape)
{
    static const ptf_op ops[] = {PTF_OP_LAYER_NORM,      PTF_OP_LAYER_NORM,
                                 PTF_OP_GROUP_NORM,      PTF_OP_RMS_NORM,
                                 PTF_OP_INSTANCE_NORM1D, PTF_OP_INSTANCE_NORM2D,
                                 PTF_OP_INSTANCE_NORM3D};
    int which = (int)between(0, PTF_ARRAY_SIZE(ops) - 1);
    ptf_attrs attrs;
    ptf_attrs_default(ops[which], &attrs);
    if (which >= 4)
        shape->rank = which - 2;
    for (int d = 0; d < shape->rank; d++)
        shape->dim[d] = between(1, d > 3 ? 2 : 5);
    attrs.affine = between(0, 2) > 0;
    attrs.has_bias = between(0, 2) > 0;
    attrs.track_running_stats = false;
    attrs.eps = between(0, 1) == 0 ? 1e-5 : 0.125;
    attrs.in_channels = shape->dim[0];
    attrs.groups = shape->dim[0] == 4 ? 2 : between(0, 1) ? shape->dim[0] : 1;
    attrs.size.count = (int)between(1, shape->rank < 2 ? shape->rank : 2);
    for (int d = 0; d < attrs.size.count; d++)
        attrs.size.at[d] = shape->dim[shape->rank - attrs.size.count + d];
    norms_make(l, ops[which], &attrs, shape);
}

static void draw_moments(layer *l, const ptf_shape *shape)
{
    static const ptf_op ops[] = {PTF_OP_VAR, PTF_OP_STD, PTF_OP_VECTOR_NORM};
    ptf_op op = ops[between(0, PTF_ARRAY_SIZE(ops) - 1)];
    ptf_attrs attrs;
    ptf_attrs_default(op, &attrs);
    attrs.dims = (ptf_list){1, {between(1, shape->rank)}};
    if (shape->rank > 1 && between(0, 1) == 1)
        attrs.dims = (ptf_list){2, {shape->rank, shape->rank - 1}};
    attrs.p[0] = between(0, 1) == 0 ? 0.5 : 0.0;
    attrs.keepdim = between(0, 1) == 1;
    attrs.affine = false;
    norms_make(l, op, &attrs, shape);
}

void norms_draw(layer *l, uint64_t seed)
{
    memset(l, 0, sizeof(*l));
    draws = seed;
    ptf_shape shape = some_shape();
    while (ptf_shape_numel(&shape) > GROUPS / 2)
        shape = some_shape();
    if (between(0, 2) == 0)
        draw_moments(l, &shape);
    else
        draw_norm(l, &shape);
    fill(l->w, WEIGHTS, 0);
    fill(l->b, WEIGHTS, 0);
}
