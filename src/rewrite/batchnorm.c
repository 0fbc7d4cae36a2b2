/*
 * Reading batch norms with suspicion, and finding the layers before them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "rewrite/batchnorm.h"

#include <math.h>

/* ----------------------------------------------------------------- numbers */

static ptf_status check_finite(const ptf_node *node, ptf_role role,
                               const double *numbers, ptf_error *err)
{
    for (int64_t i = 0; i < node->attrs.out_channels; i++) {
        if (!isfinite(numbers[i]))
            return ptf_node_fail(err, PTF_FORMAT, node,
                                 "%s[%lld] is %g, expected a finite number",
                                 ptf_role_name(role), (long long)i, numbers[i]);
    }
    return PTF_OK;
}

/* gamma and var become the scale, in place of gamma. */
static ptf_status settle_scale(const ptf_node *node, double *gamma,
                               const double *var, ptf_error *err)
{
    double eps = node->attrs.eps;
    for (int64_t i = 0; i < node->attrs.out_channels; i++) {
        if (var[i] < 0)
            return ptf_node_fail(
                err, PTF_FORMAT, node,
                "running_var[%lld] is %g, expected no negative "
                "variance",
                (long long)i, var[i]);
        if (!(var[i] + eps > 0))
            return ptf_node_fail(err, PTF_FORMAT, node,
                                 "running_var[%lld] + eps is %g, which cannot "
                                 "be divided by",
                                 (long long)i, var[i] + eps);
        gamma[i] /= sqrt(var[i] + eps);
    }
    return PTF_OK;
}

bool ptf_norm_moves(const ptf_node *node)
{
    return ptf_op_is(node->op, PTF_FAMILY_AFFINE) &&
           node->attrs.track_running_stats;
}

ptf_status ptf_norm_read(ptf_arena *arena, const ptf_node *node, ptf_norm *out,
                         ptf_error *err)
{
    ptf_norm_numbers n;
    ptf_status status = ptf_norm_numbers_read(arena, node, &n, err);
    if (status == PTF_OK)
        status = check_finite(node, PTF_ROLE_WEIGHT, n.gamma, err);
    if (status == PTF_OK)
        status = check_finite(node, PTF_ROLE_BIAS, n.beta, err);
    if (status == PTF_OK)
        status = check_finite(node, PTF_ROLE_RUNNING_MEAN, n.mean, err);
    if (status == PTF_OK)
        status = check_finite(node, PTF_ROLE_RUNNING_VAR, n.var, err);
    if (status != PTF_OK)
        return status;
    *out = (ptf_norm){node->attrs.out_channels, n.mean, n.gamma, n.beta};
    return settle_scale(node, n.gamma, n.var, err);
}

/* --------------------------------------------------------------- constants */

static bool is_constant(const ptf_net_edit *edit, int node)
{
    return edit->nodes[node].op == PTF_OP_CONSTANT;
}

/* Which operand is not the constant, or -1: there is no such thing. */
static int moving_of(const ptf_net_edit *edit, const ptf_node *node)
{
    typedef enum place { NONE, FIRST, ANY } place;
    static const place takes[PTF_OP_COUNT] = {
        [PTF_OP_ADD] = ANY,
        [PTF_OP_SUB] = ANY,
        [PTF_OP_MUL] = ANY,
        [PTF_OP_DIV] = FIRST,
    };
    if (takes[node->op] == NONE || is_constant(edit, node->inputs[0]) ==
                                       is_constant(edit, node->inputs[1]))
        return -1;
    int moving = is_constant(edit, node->inputs[0]) ? 1 : 0;
    return takes[node->op] == FIRST && moving == 1 ? -1 : moving;
}

/* The constant's numbers, of a value of that shape, or 0. */
static int64_t count_scales(const ptf_shape *constant, const ptf_shape *value)
{
    int64_t count = ptf_shape_numel(constant);
    if (count == 1)
        return 1;
    bool channels = constant->rank == value->rank && value->rank > 0 &&
                    constant->dim[0] == count && value->dim[0] == count;
    return channels ? count : 0;
}

void ptf_find_scales(const ptf_net_edit *edit, const ptf_shape *shapes,
                     int64_t *channels)
{
    for (int i = edit->net->input_count; i < edit->net->node_count; i++) {
        const ptf_node *node = &edit->nodes[i];
        int moving = moving_of(edit, node);
        channels[i] = 0;
        if (moving < 0)
            continue;
        const ptf_shape *value = &shapes[node->inputs[moving]];
        bool same = value->rank == shapes[i].rank &&
                    memcmp(value->dim, shapes[i].dim,
                           (size_t)value->rank * sizeof(*value->dim)) == 0;
        if (same)
            channels[i] =
                count_scales(&shapes[node->inputs[1 - moving]], value);
    }
}

/* y = (x - mean) * scale + beta */
static void set_scale(const ptf_node *node, bool first, double c, ptf_norm *out,
                      int64_t i)
{
    bool less = node->op == PTF_OP_SUB;
    out->mean[i] = less && !first ? c : 0;
    out->scale[i] = less && first ? -1 : 1;
    out->beta[i] = (less && first) || node->op == PTF_OP_ADD ? c : 0;
    if (node->op == PTF_OP_MUL)
        out->scale[i] = c;
    if (node->op == PTF_OP_DIV)
        out->scale[i] = 1 / c;
}

ptf_status ptf_scale_read(ptf_net_edit *edit, int index, int64_t count,
                          ptf_norm *out, ptf_error *err)
{
    ptf_arena *arena = &edit->net->arena;
    const ptf_node *node = &edit->nodes[index];
    int moving = moving_of(edit, node);
    const ptf_tensor *constant =
        edit->nodes[node->inputs[1 - moving]].tensors[PTF_ROLE_WEIGHT];
    size_t own = (size_t)ptf_tensor_numel(constant), n = (size_t)count;
    double *numbers = ptf_arena_array(arena, own, sizeof(double));
    *out = (ptf_norm){count, ptf_arena_array(arena, n, sizeof(double)),
                      ptf_arena_array(arena, n, sizeof(double)),
                      ptf_arena_array(arena, n, sizeof(double))};
    if (numbers == NULL || out->mean == NULL || out->scale == NULL ||
        out->beta == NULL)
        return ptf_fail_memory(err);
    ptf_status status = ptf_tensor_read_f64(constant, numbers, err);
    for (int64_t i = 0; status == PTF_OK && i < count; i++) {
        set_scale(node, moving == 1, numbers[own == 1 ? 0 : i], out, i);
        if (!isfinite(out->scale[i]) || !isfinite(out->mean[i] + out->beta[i]))
            return ptf_node_fail(err, PTF_UNSUPPORTED, node,
                                 "has a constant that is no finite scale or "
                                 "shift");
    }
    return status;
}

int ptf_scale_source(const ptf_net_edit *edit, int index)
{
    const ptf_node *node = &edit->nodes[index];
    return node->inputs[moving_of(edit, node) == 1 ? 1 : 0];
}

void ptf_drop_constants(const ptf_net_edit *edit)
{
    for (int i = 0; i < edit->net->node_count; i++) {
        bool read = false, left = ptf_net_is_output(edit->net, i);
        for (int k = i + 1; is_constant(edit, i) && k < edit->net->node_count;
             k++)
            for (int j = 0; j < edit->nodes[k].input_count; j++) {
                bool reads = edit->nodes[k].inputs[j] == i;
                read = read || reads;
                left = left || (reads && !edit->dead[k]);
            }
        edit->dead[i] = edit->dead[i] || (read && !left);
    }
}

int64_t ptf_mover_channels(const ptf_movers *m, int node)
{
    const ptf_node *n = &m->edit->nodes[node];
    if (ptf_norm_moves(n))
        return m->norms ? n->attrs.in_channels : 0;
    return m->scales != NULL ? m->scales[node] : 0;
}

ptf_status ptf_mover_read(const ptf_movers *m, int node, int64_t count,
                          ptf_norm *out, ptf_error *err)
{
    const ptf_node *n = &m->edit->nodes[node];
    return ptf_norm_moves(n) ? ptf_norm_read(&m->edit->net->arena, n, out, err)
                             : ptf_scale_read(m->edit, node, count, out, err);
}

/* -------------------------------------------------------------- neighbours */

/*
 * What the batch norm's value comes from, and in *shared the node on the way
 * whose value others read too (-1: none).
 */
static int find_source(const ptf_net_edit *edit, int norm, bool between,
                       int *shared)
{
    int at = norm;
    *shared = -1;
    do {
        at = edit->nodes[at].inputs[0];
        if (ptf_net_consumers(edit->net, at) > 1)
            *shared = at;
    } while (at > 0 && ((between && ptf_op_is_alias(edit->nodes[at].op)) ||
                        edit->dead[at]));
    return at;
}

enum { WHY = 256 };

/* Why it is not folded into what is before it. */
static void say_before(const ptf_net_edit *edit, int norm, bool between,
                       const bool *flat, char text[WHY])
{
    int shared;
    int source = find_source(edit, norm, between, &shared);
    const ptf_node *before = &edit->nodes[source];
    const char *name = before->implied ? "an implied layer" : before->name;
    const char *class_name = before->class_name;
    if (source < edit->net->input_count)
        snprintf(text, WHY,
                 "expected a convolution or linear layer before it, got none");
    else if (!ptf_op_is(before->op, PTF_FAMILY_PRODUCT))
        snprintf(text, WHY,
                 "follows %s (%s), expected a convolution or linear layer%s",
                 name, class_name,
                 ptf_op_is_identity(before->op)
                     ? " directly before it (drop_identity helps)"
                     : "");
    else if (shared >= 0)
        snprintf(text, WHY,
                 "the output of %s (%s) is used %d times, expected this batch "
                 "norm alone to read it",
                 edit->nodes[shared].name, edit->nodes[shared].class_name,
                 ptf_net_consumers(edit->net, shared));
    else if (before->attrs.out_channels != edit->nodes[norm].attrs.in_channels)
        snprintf(text, WHY,
                 "%s (%s) before it has %lld channels, this batch norm %lld",
                 name, class_name, (long long)before->attrs.out_channels,
                 (long long)edit->nodes[norm].attrs.in_channels);
    else if (!ptf_norm_fits(before, flat[source], &edit->nodes[norm]))
        snprintf(text, WHY,
                 "%s (%s) before it works on the last axis, and this batch "
                 "norm on the first",
                 name, class_name);
    else
        snprintf(text, WHY, "%s (%s) before it has a scale and a shift already",
                 name, class_name);
}

/* Why it is not folded into what reads it. */
static void say_after(const ptf_net_edit *edit, const ptf_forward *f,
                      char text[WHY])
{
    const ptf_node *who = &edit->nodes[f->who];
    text[0] = '\0';
    if (f->why == PTF_FORWARD_OUTPUT)
        snprintf(text, WHY, "; it is an output");
    else if (f->why == PTF_FORWARD_OTHER)
        snprintf(text, WHY, "; read by %s (%s)", who->name, who->class_name);
    else if (f->why == PTF_FORWARD_ROWS)
        snprintf(text, WHY, "; read by %s (%s), which works on the last axis",
                 who->name, who->class_name);
    else if (f->why == PTF_FORWARD_PADS)
        snprintf(text, WHY,
                 "; read by %s (%s), which has zeros where the shift would be",
                 who->name, who->class_name);
}

/* Why it stays, where numbers are not the reason. */
static ptf_status remark_place(ptf_net_edit *edit, int norm, bool between,
                               const bool *flat, const ptf_forward *forward,
                               ptf_error *err)
{
    char before[WHY], after[WHY] = "";
    say_before(edit, norm, between, flat, before);
    if (forward != NULL)
        say_after(edit, &forward[norm], after);
    return ptf_net_edit_remark(edit, norm, true, err, "%s%s", before, after);
}

ptf_status ptf_remark_scales(const ptf_movers *m,
                             const ptf_too_large *too_large,
                             const ptf_forward *forward, ptf_error *err)
{
    ptf_status status = PTF_OK;
    for (int i = 1; status == PTF_OK && i < m->edit->net->node_count; i++) {
        char why[WHY];
        if (m->edit->dead[i] || ptf_mover_channels(m, i) == 0)
            continue;
        say_after(m->edit, &forward[i], why);
        if (too_large[i].what != NULL)
            snprintf(why, sizeof(why),
                     "; it would make the %s of output channel %lld too large "
                     "for a float",
                     too_large[i].what, (long long)too_large[i].channel);
        status = ptf_net_edit_remark(m->edit, i, true, err,
                                     "is not after a layer that it alone "
                                     "reads%s",
                                     why);
    }
    return status;
}

ptf_status ptf_remark_leftovers(ptf_net_edit *edit, bool between,
                                const bool *flat,
                                const ptf_too_large *too_large,
                                const ptf_forward *forward, ptf_error *err)
{
    ptf_status status = PTF_OK;
    for (int i = 1; status == PTF_OK && i < edit->net->node_count; i++) {
        const ptf_node *node = &edit->nodes[i];
        if (edit->dead[i] || !ptf_op_is(node->op, PTF_FAMILY_AFFINE))
            continue;
        if (!ptf_norm_moves(node))
            status = ptf_net_edit_remark(edit, i, true, err,
                                         "keeps no running statistics, so what "
                                         "it computes depends on the batch");
        else if (too_large[i].what != NULL)
            status = ptf_net_edit_remark(
                edit, i, true, err,
                "would make the %s of output channel %lld too large for a "
                "float",
                too_large[i].what, (long long)too_large[i].channel);
        else
            status = remark_place(edit, i, between, flat, forward, err);
    }
    return status;
}

/* ----------------------------------------------------------------- tensors */

ptf_tensor *ptf_tensor_new(ptf_arena *arena, int rank, const int64_t *shape,
                           float **data)
{
    size_t count = 1;
    ptf_tensor *tensor = ptf_arena_alloc(arena, sizeof(*tensor));
    if (tensor == NULL)
        return NULL;
    *tensor = (ptf_tensor){.dtype = PTF_DTYPE_F32, .rank = rank};
    for (int d = rank - 1; d >= 0; d--) {
        tensor->shape[d] = shape[d];
        tensor->stride[d] = (int64_t)count;
        count *= (size_t)shape[d]; /* ptf_net_check() saw that it fits */
    }
    *data = ptf_arena_array(arena, count, sizeof(float));
    tensor->data = *data;
    return *data != NULL ? tensor : NULL;
}
