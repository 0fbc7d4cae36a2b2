/*
 * What each of several outputs says in a report, and how inputs are named.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/common/tool.h"

void tool_print_outputs(const ptf_net *net, const ptf_verdict *each, FILE *out)
{
    size_t count = ptf_net_output_count(net);
    char n[32];
    if (count < 2)
        return;
    fprintf(out, "  %-24s %-18s %10s %9s %12s\n", "output", "verdict",
            "numbers", "max |A-B|", "unequal");
    for (size_t k = 0; k < count; k++) {
        const ptf_verdict *v = &each[k];
        ptf_port port;
        ptf_net_output(net, k, &port);
        fputs("  ", out);
        tool_print_name(out, port.name, 24);
        fprintf(out, " %-18s %10s %9.2e", ptf_level_name(ptf_verdict_level(v)),
                tool_count_text(v->outputs, n), v->max_abs);
        fprintf(out, " %12s\n", tool_count_text(v->unequal_bits, n));
    }
}

void tool_json_outputs(tool_json *j, const char *key, const ptf_net *net,
                       const ptf_verdict *each)
{
    json_open(j, key, '[');
    for (size_t k = 0; k < ptf_net_output_count(net); k++) {
        ptf_port port;
        ptf_net_output(net, k, &port);
        json_open(j, NULL, '{');
        json_text(j, "name", port.name);
        tool_json_verdict(j, "verdict", &each[k],
                          ptf_level_name(ptf_verdict_level(&each[k])));
        json_close(j, '}');
    }
    json_close(j, ']');
}

const char *tool_inputs_shape_text(const tool_inputs *inputs,
                                   char text[TOOL_SHAPES_TEXT])
{
    const ptf_shape *shapes = tool_inputs_shapes(inputs);
    char one[TOOL_SHAPE_TEXT];
    size_t at = 0;
    text[0] = '\0';
    for (size_t k = 0; k < inputs->input_count; k++) {
        tool_shape_text(&shapes[k], one);
        if (at + strlen(one) + 8 > TOOL_SHAPES_TEXT) {
            snprintf(text + at, TOOL_SHAPES_TEXT - at, ", ...");
            break;
        }
        at += (size_t)snprintf(text + at, TOOL_SHAPES_TEXT - at, "%s%s",
                               k > 0 ? ", " : "", one);
    }
    return text;
}

void tool_json_rounded(tool_json *j, const char *key, const ptf_net *net)
{
    const char *first;
    json_open(j, key, '{');
    json_int(j, "count", (int64_t)tool_net_rounded(net, &first));
    json_text(j, "first", first);
    json_close(j, '}');
}
