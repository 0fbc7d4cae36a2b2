/*
 * Programs that were exported in training mode.  No flag in the file says so:
 * it shows in calls that drop numbers at random or move running statistics.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "program/program.h"

static bool is_true(const ptf_program_node *node, const char *name)
{
    const ptf_argument *a = ptf_program_argument(node, name);
    return a != NULL && a->kind == PTF_ARGUMENT_BOOL && a->truth;
}

/* Dropout of some numbers, also as a random leaky ReLU or in attention. */
static bool drops(const ptf_program_node *node)
{
    static const char *const shares[] = {"p", "dropout_p", "upper"};
    bool some = false;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(shares); i++) {
        const ptf_argument *a = ptf_program_argument(node, shares[i]);
        some = some ||
               (a != NULL && a->kind == PTF_ARGUMENT_FLOAT && a->number > 0);
    }
    bool always = ptf_program_argument(node, "dropout_p") != NULL;
    return some &&
           (always || is_true(node, "train") || is_true(node, "training"));
}

/* A norm without running statistics uses the input's in evaluation, too. */
static bool moves_statistics(const ptf_program_node *node)
{
    const ptf_argument *a = ptf_program_argument(node, "running_mean");
    bool norm = is_true(node, "training") || is_true(node, "train");
    return norm && a != NULL && a->kind == PTF_ARGUMENT_VALUE;
}

const ptf_program_node *ptf_program_training(const ptf_program *program)
{
    const ptf_program_graph *g = &program->graph;
    for (int i = 0; i < g->node_count; i++) {
        if (drops(&g->nodes[i]) || moves_statistics(&g->nodes[i]))
            return &g->nodes[i];
    }
    return NULL;
}
