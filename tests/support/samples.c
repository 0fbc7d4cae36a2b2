/*
 * Samples of functions of one number.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "samples.h"

#include <math.h>
#include <stdlib.h>

static inline long double sq(long double x)
{
    return x * x;
}

/* Twice what GELU takes the tanh of. */
static inline long double gelu_u2(long double x)
{
    return 2 * sqrtl(2 / M_PIl) * (x + 0.044715L * x * x * x);
}

static inline long double gelu_u2_slope(long double x)
{
    return 2 * sqrtl(2 / M_PIl) * (1 + 3 * 0.044715L * x * x);
}

#define SAMPLE(id, attributes, low, high)
#define POINT(id, attributes, x, value, slope)
#define EXACT(id, value, slope)                                        \
    static long double value_##id(long double x, const long double *p) \
    {                                                                  \
        (void)x, (void)p;                                              \
        return (value);                                                \
    }                                                                  \
    static long double slope_##id(long double x, const long double *p) \
    {                                                                  \
        (void)x, (void)p;                                              \
        return (slope);                                                \
    }
#include "samples.inc"
#undef EXACT

static const struct {
    long double (*value)(long double x, const long double *p);
    long double (*slope)(long double x, const long double *p);
} exact[PTF_OP_COUNT] = {
#define EXACT(id, value, slope) [PTF_OP_##id] = {value_##id, slope_##id},
#include "samples.inc"
#undef EXACT
};

#define EXACT(id, value, slope)
#undef SAMPLE
#define SAMPLE(id, attributes, low, high) {PTF_OP_##id, attributes, low, high},
const sample samples[] = {
#include "samples.inc"
    {.attributes = NULL},
};
#undef SAMPLE
#define SAMPLE(id, attributes, low, high)
#undef POINT
#define POINT(id, attributes, x, value, slope) \
    {PTF_OP_##id, attributes, (float)(x), (float)(value), (float)(slope)},
const sample_point sample_points[] = {
#include "samples.inc"
    {.attributes = NULL},
};

void sample_parameters(ptf_op op, const char *attributes, double p[3])
{
    ptf_attrs attrs;
    char message[256];
    if (ptf_attrs_parse(op, "", attributes, strlen(attributes), &attrs,
                        message) != NULL) {
        fprintf(stderr, "sample: %s\n", message);
        exit(2);
    }
    memcpy(p, attrs.p, sizeof(attrs.p));
}

long double sample_value(ptf_op op, long double x, const double p[3])
{
    const long double wide[3] = {(long double)p[0], (long double)p[1],
                                 (long double)p[2]};
    return exact[op].value != NULL ? exact[op].value(x, wide)
                                   : (long double)NAN;
}

long double sample_slope(ptf_op op, long double x, const double p[3])
{
    const long double wide[3] = {(long double)p[0], (long double)p[1],
                                 (long double)p[2]};
    return exact[op].slope != NULL ? exact[op].slope(x, wide)
                                   : (long double)NAN;
}

static bool is_layer(const sample *s)
{
    return ptf_op_info(s->op)->class_name[0] != '\0';
}

void sample_layer(size_t index, char text[128])
{
    size_t layers = 0;
    for (const sample *s = samples; s->attributes != NULL; s++)
        layers += is_layer(s);
    const sample *s = samples;
    for (size_t left = index % layers; left > 0 || !is_layer(s); s++)
        left -= is_layer(s);
    snprintf(text, 128, "%s(%s)", ptf_op_info(s->op)->class_name,
             s->attributes);
}
