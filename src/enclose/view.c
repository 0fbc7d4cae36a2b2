/*
 * Views: their balls are those of their inputs, or copies.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/walk.h"

static void image(const ptf_enclose_step *s, int64_t n)
{
    ptf_balls_copy(s->enc->sizes[s->node], ptf_enclose_in(s, 0, n),
                   ptf_enclose_out(s, n));
}

const ptf_enclose_family ptf_enclose_family_view = {.image = image,
                                                    .passes_on = true};
