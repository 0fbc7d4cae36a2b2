/*
 * scene: balls, a real point in each of them, and parameters, for tests of
 * enclosures.  Included by one file of a program.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef SCENE_H
#define SCENE_H

#include "enclose/enclose.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 4096 };

static uint64_t state = 1;

static double draw(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (double)(float)((double)(state >> 11) * 0x1p-52 - 1.0);
}

/* All f32 but the points. */
typedef struct scene {
    double value[MOST], radius[MOST], point[MOST];
    float narrow[MOST]; /* the weights */
    double weights[MOST], bias[MOST], scale[MOST], shift[MOST];
    double none[MOST], norms[MOST], out_value[MOST], out_radius[MOST];
} scene;

static void fill(scene *s, double radius)
{
    for (int i = 0; i < MOST; i++) {
        s->value[i] = draw();
        s->radius[i] = radius;
        s->point[i] = s->value[i] + (draw() > 0 ? radius : -radius);
        s->weights[i] = draw();
        s->narrow[i] = (float)s->weights[i];
        s->bias[i] = draw();
        s->scale[i] = draw();
        s->shift[i] = draw();
    }
}

static ptf_balls before(scene *s)
{
    return (ptf_balls){s->value, s->radius};
}

static ptf_balls after(scene *s)
{
    return (ptf_balls){s->out_value, s->out_radius};
}

#endif
