/*
 * batchnorm_to_epilogue: a batch norm becomes the scale and shift behind the
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

static ptf_status make_numbers(ptf_arena *arena, const ptf_node *norm_node,
                               const ptf_norm *norm, ptf_node *layer,
                               ptf_error *err)
{
    float *scale = NULL, *shift = NULL;
    ptf_tensor *scales = ptf_tensor_new(arena, 1, &norm->channels, &scale);
    ptf_tensor *shifts = ptf_tensor_new(arena, 1, &norm->channels, &shift);
    if (scales == NULL || shifts == NULL)
        return ptf_fail_memory(err);
    for (int64_t c = 0; c < norm->channels; c++) {
        scale[c] = (float)norm->scale[c];
        shift[c] = (float)(norm->beta[c] - norm->mean[c] * norm->scale[c]);
        if (!isfinite(scale[c]) || !isfinite(shift[c]))
            return ptf_node_fail(err, PTF_UNSUPPORTED, norm_node,
                                 "the scale or shift of channel %lld is too "
                                 "large for a float",
                                 (long long)c);
    }
    layer->tensors[PTF_SCALE] = scales;
    layer->tensors[PTF_SHIFT] = shifts;
    return PTF_OK;
}

ptf_status ptf_pass_batchnorm_to_epilogue(ptf_net_edit *edit,
                                          const ptf_shape *input, int *changed,
                                          ptf_error *err)
{
    (void)input;
    ptf_arena *arena = &edit->net->arena;
    for (int i = 1; i < edit->net->node_count; i++) {
        ptf_node *layer = &edit->nodes[i];
        int next = ptf_net_only_consumer(edit->net, i);
        if (!ptf_op_info(layer->op)->weighted || layer->attrs.scale_shift ||
            next < 0 || !ptf_op_info(edit->nodes[next].op)->norm)
            continue;
        ptf_norm norm;
        ptf_status status = ptf_norm_check(&edit->nodes[next], err);
        if (status == PTF_OK && edit->net->has_tensors)
            status = ptf_norm_read(arena, &edit->nodes[next], &norm, err);
        if (status == PTF_OK && edit->net->has_tensors)
            status = make_numbers(arena, &edit->nodes[next], &norm, layer, err);
        if (status != PTF_OK)
            return status;
        layer->attrs.scale_shift = true;
        layer->text = NULL;
        edit->dead[next] = true;
        (*changed)++;
    }
    return ptf_refuse_leftovers(edit, false, err);
}
