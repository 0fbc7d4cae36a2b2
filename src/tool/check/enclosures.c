/*
 * ptfold check --enclosures: what a certificate rests on, for programs that
 * judge it by themselves (tests/support/exact.c).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/check/check.h"

/* One input through one net's enclosure, a line for each output. */
static ptf_status write_input(ptf_enclosure *enclosure, const char *side,
                              int64_t sample, const float *in, double *balls,
                              FILE *out, ptf_error *err)
{
    ptf_shape shape = ptf_enclosure_output(enclosure, 0);
    int64_t outputs = ptf_shape_numel(&shape);
    ptf_status status =
        ptf_enclosure_run(enclosure, in, 1, balls, balls + outputs, err);
    for (int64_t k = 0; status == PTF_OK && k < outputs; k++)
        fprintf(out, "%s %lld %lld %a %a\n", side, (long long)sample,
                (long long)k, balls[k], balls[outputs + k]);
    return status;
}

static ptf_status write_net(const ptf_net *net, const char *side,
                            const tool_inputs *inputs, FILE *out,
                            ptf_error *err)
{
    ptf_enclosure *enclosure;
    ptf_status status =
        ptf_enclosure_make(net, &inputs->shape, &enclosure, err);
    if (status != PTF_OK)
        return status;
    ptf_shape shape = ptf_enclosure_output(enclosure, 0);
    float *in = calloc((size_t)ptf_shape_numel(&inputs->shape), sizeof(*in));
    double *balls = calloc((size_t)ptf_shape_numel(&shape), 2 * sizeof(*balls));
    if (in == NULL || balls == NULL)
        status = tool_error(err, PTF_MEMORY, "out of memory");
    for (int64_t i = 0; status == PTF_OK && i < inputs->count; i++) {
        status = tool_inputs_get(inputs, i, in, err);
        if (status == PTF_OK)
            status = write_input(enclosure, side, i, in, balls, out, err);
    }
    free(in);
    free(balls);
    ptf_enclosure_free(enclosure);
    return status;
}

ptf_status check_write_enclosures(const ptf_net *a, const ptf_net *b,
                                  const tool_inputs *inputs, const char *path,
                                  ptf_error *err)
{
    tool_text text;
    ptf_status status = tool_text_open(&text, err);
    if (status != PTF_OK)
        return status;
    fprintf(text.out, "# net sample output value radius\n");
    status = write_net(a, "A", inputs, text.out, err);
    if (status == PTF_OK)
        status = write_net(b, "B", inputs, text.out, err);
    if (status == PTF_OK)
        return tool_text_save(&text, path, err);
    tool_text_drop(&text);
    return status;
}
