/*
 * ptfold check --enclosures: what a certificate rests on, for programs that
 * judge it by themselves (tests/support/exact.c).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/check/check.h"

/* A net's enclosure, and room for one sample of all inputs and outputs. */
typedef struct balls {
    ptf_enclosure *enclosure;
    size_t input_count, output_count;
    float **in;
    double *numbers; /* values, then radii, of one output after the other */
    double **value, **radius;
    int64_t total;
} balls;

static ptf_status make_balls(const ptf_net *net, const ptf_shape *inputs,
                             balls *b, ptf_error *err)
{
    ptf_status status = ptf_enclosure_make(net, inputs, &b->enclosure, err);
    if (status != PTF_OK)
        return status;
    b->input_count = ptf_net_input_count(net);
    b->output_count = ptf_net_output_count(net);
    for (size_t k = 0; k < b->output_count; k++) {
        ptf_shape shape = ptf_enclosure_output(b->enclosure, k);
        b->total += ptf_shape_numel(&shape);
    }
    b->in = tool_room(inputs, b->input_count, 1);
    b->numbers = calloc((size_t)b->total, 2 * sizeof(*b->numbers));
    b->value = calloc(b->output_count, sizeof(*b->value));
    b->radius = calloc(b->output_count, sizeof(*b->radius));
    if (!b->in || !b->numbers || !b->value || !b->radius)
        return tool_error(err, PTF_MEMORY, "out of memory");
    double *at = b->numbers;
    for (size_t k = 0; k < b->output_count; k++) {
        ptf_shape shape = ptf_enclosure_output(b->enclosure, k);
        b->value[k] = at;
        b->radius[k] = at + b->total;
        at += ptf_shape_numel(&shape);
    }
    return PTF_OK;
}

static void free_balls(balls *b)
{
    tool_room_free(b->in, b->input_count);
    free(b->numbers);
    free(b->value);
    free(b->radius);
    ptf_enclosure_free(b->enclosure);
}

/* One sample through a net's enclosure, a line for each number it gives. */
static ptf_status write_sample(balls *b, const char *side, int64_t sample,
                               FILE *out, ptf_error *err)
{
    ptf_status status = ptf_enclosure_run_all(
        b->enclosure, (const float *const *)b->in, 1, b->value, b->radius, err);
    for (int64_t k = 0; status == PTF_OK && k < b->total; k++)
        fprintf(out, "%s %lld %lld %a %a\n", side, (long long)sample,
                (long long)k, b->numbers[k], b->numbers[b->total + k]);
    return status;
}

static ptf_status write_net(const ptf_net *net, const char *side,
                            const tool_inputs *inputs, FILE *out,
                            ptf_error *err)
{
    balls b = {0};
    ptf_status status = make_balls(net, tool_inputs_shapes(inputs), &b, err);
    for (int64_t i = 0; status == PTF_OK && i < inputs->count; i++) {
        status = tool_inputs_get(inputs, i, b.in, err);
        if (status == PTF_OK)
            status = write_sample(&b, side, i, out, err);
    }
    free_balls(&b);
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
