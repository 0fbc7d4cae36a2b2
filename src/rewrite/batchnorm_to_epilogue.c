/*
 * batchnorm_to_epilogue: a batch norm becomes the scale and shift after the
 * sum of the layer before it.  The numbers are those that the batch norm has
 * when it runs alone, so no bit of the output changes:
 *
 *     scale = gamma / sqrt(var + eps),  shift = beta - mean * scale
 *
 * in double, each rounded once to f32.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "rewrite/batchnorm.h"

#include <math.h>

/* Sets the layer's scale and shift, or *too_large. */
static ptf_status make_numbers(ptf_arena *arena, const ptf_node *norm_node,
                               ptf_node *layer, ptf_too_large *too_large,
                               ptf_error *err)
{
    ptf_norm norm;
    ptf_status status = ptf_norm_read(arena, norm_node, &norm, err);
    if (status != PTF_OK)
        return status;
    float *scale = NULL, *shift = NULL;
    ptf_tensor *scales = ptf_tensor_new(arena, 1, &norm.channels, &scale);
    ptf_tensor *shifts = ptf_tensor_new(arena, 1, &norm.channels, &shift);
    if (scales == NULL || shifts == NULL)
        return ptf_fail_memory(err);
    for (int64_t c = 0; c < norm.channels; c++) {
        scale[c] = (float)norm.scale[c];
        shift[c] = (float)(norm.beta[c] - norm.mean[c] * norm.scale[c]);
        if (!isfinite(scale[c]) || !isfinite(shift[c])) {
            *too_large = (ptf_too_large){"scale or shift", c};
            return PTF_OK;
        }
    }
    layer->tensors[PTF_ROLE_SCALE] = scales;
    layer->tensors[PTF_ROLE_SHIFT] = shifts;
    return PTF_OK;
}

ptf_status ptf_pass_batchnorm_to_epilogue(ptf_net_edit *edit,
                                          const ptf_shape *input, int *changed,
                                          ptf_error *err)
{
    (void)input;
    ptf_arena *arena = &edit->net->arena;
    ptf_too_large *too_large = ptf_arena_array(
        arena, (size_t)edit->net->node_count, sizeof(*too_large));
    bool *flat =
        ptf_arena_array(arena, (size_t)edit->net->node_count, sizeof(*flat));
    if (too_large == NULL || flat == NULL)
        return ptf_fail_memory(err);
    ptf_net_find_flat(edit->net, flat);
    for (int i = 1; i < edit->net->node_count; i++) {
        ptf_node *layer = &edit->nodes[i];
        int next = ptf_net_only_consumer(edit->net, i);
        if (!ptf_op_is(layer->op, PTF_FAMILY_PRODUCT) ||
            layer->attrs.scale_shift || next < 0 ||
            !ptf_norm_moves(&edit->nodes[next]) ||
            !ptf_norm_fits(layer, flat[i], &edit->nodes[next]))
            continue;
        ptf_status status = PTF_OK;
        if (edit->net->has_tensors)
            status = make_numbers(arena, &edit->nodes[next], layer,
                                  &too_large[next], err);
        if (status != PTF_OK)
            return status;
        if (too_large[next].what != NULL)
            continue;
        layer->attrs.scale_shift = true;
        layer->text = NULL;
        edit->dead[next] = true;
        (*changed)++;
    }
    return ptf_remark_leftovers(edit, false, flat, too_large, NULL, err);
}
