/*
 * NaN and infinity in what a command reads and computes: never silence.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/common/tool.h"

typedef ptf_status check_function(const ptf_net *net, ptf_error *err);

static ptf_status check(tool_finite *f, const ptf_net *net,
                        check_function *function, ptf_error *err)
{
    static ptf_error found;
    ptf_status status = function(net, &found);
    if (status != PTF_FORMAT) {
        if (status != PTF_OK && err != NULL)
            *err = found;
        return status;
    }
    snprintf(f->weights, sizeof(f->weights), "%.299s", found.message);
    tool_warn("%s", f->weights);
    return PTF_OK;
}

ptf_status tool_finite_weights(tool_finite *f, const ptf_net *net,
                               ptf_error *err)
{
    return check(f, net, ptf_net_check_numbers, err);
}

ptf_status tool_finite_hidden(tool_finite *f, const ptf_net *net,
                              ptf_error *err)
{
    f->net = net;
    return check(f, net, ptf_net_check_hidden, err);
}

ptf_status tool_finite_layer(tool_finite *f, const char *layer, ptf_error *err)
{
    if (layer == NULL || f->in_layer)
        return PTF_OK;
    ptf_status status = PTF_OK;
    if (f->weights[0] == '\0')
        status = tool_finite_weights(f, f->net, err);
    f->in_layer = true;
    snprintf(f->layer, sizeof(f->layer), "%.255s", layer);
    if (layer[0] == '\0')
        tool_warn("an input has NaN or infinity");
    else
        tool_warn("layer %s gives NaN or infinity", f->layer);
    return status;
}

void tool_finite_derivatives(tool_finite *f)
{
    if (!f->in_derivatives)
        tool_warn("the derivatives have NaN or infinity");
    f->in_derivatives = true;
}

bool tool_finite_all(const tool_finite *f)
{
    return f->weights[0] == '\0' && !f->in_layer && !f->in_derivatives;
}

int tool_finite_code(const tool_finite *f, bool strict)
{
    return strict && !tool_finite_all(f) ? EXIT_NOT_EQUIVALENT
                                         : EXIT_EQUIVALENT;
}

void tool_json_finite(tool_json *j, const tool_finite *f)
{
    tool_json_not_finite(j, f->in_layer ? f->layer : NULL);
    json_text(j, "parameter_not_finite",
              f->weights[0] != '\0' ? f->weights : NULL);
}
