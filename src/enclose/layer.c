/*
 * One node of a net on balls.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "enclose/walk.h"

static const ptf_enclose_family *const families[PTF_FAMILY_COUNT] = {
#define FAMILY(id, name) [PTF_FAMILY_##id] = &ptf_enclose_family_##name,
#include "op/families.inc"
#undef FAMILY
};

const ptf_enclose_family *ptf_enclose_family_of(const ptf_node *node)
{
    return families[ptf_op_info(node->op)->family];
}

/* A max pool does not: where a window lies in the padding alone it is -inf. */
static bool keeps_finite(const ptf_node *node)
{
    return node->op == PTF_OP_RELU || ptf_op_is_alias(node->op);
}

void ptf_enclose_note(void *context, int64_t n, int thread)
{
    const ptf_enclose_step *s = context;
    int *bad = &s->enc->bad[s->first + n];
    (void)thread;
    if (*bad < 0 &&
        ptf_balls_first_bad(ptf_enclose_out(s, n), s->enc->sizes[s->node]) >= 0)
        *bad = s->node;
}

/* A layer and, while its balls are in the thread's cache, what they say. */
static void run_image(void *context, int64_t n, int thread)
{
    const ptf_enclose_step *s = context;
    const ptf_node *node = ptf_enclose_node_of(s);
    ptf_enclose_family_of(node)->image(s, n);
    if (!keeps_finite(node))
        ptf_enclose_note(context, n, thread);
}

ptf_status ptf_enclose_run_step(ptf_enclose_step *s, ptf_error *err)
{
    const ptf_enclose_family *family =
        ptf_enclose_family_of(ptf_enclose_node_of(s));
    bool whole = family->step != NULL;
    ptf_status status = whole ? family->step(s, err) : PTF_OK;
    if (status == PTF_OK)
        ptf_each(s->pass->threads, s->pass->images,
                 whole ? ptf_enclose_note : run_image, s);
    return status;
}
