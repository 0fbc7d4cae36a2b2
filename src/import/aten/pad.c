/*
 * Pads.  They are counted from the last axis on, so a batch in front changes
 * nothing.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"

/* The list, whose name differs; those of the first axis may be padded only
 * where it is no batch. */
static ptf_status read_pads(ptf_lowering *l, ptf_pads *out)
{
    const char *name =
        ptf_program_argument(l->call, "pad") != NULL ? "pad" : "padding";
    const ptf_argument *a = ptf_program_argument(l->call, name);
    int64_t sizes[PTF_LOWER_LIST];
    int rank;
    ptf_status status = ptf_lower_sizes(l, "self", sizes, &rank);
    if (status != PTF_OK)
        return status;
    if (a == NULL || a->kind != PTF_ARGUMENT_INTS || a->count > 2 * rank ||
        a->count > (int)PTF_ARRAY_SIZE(out->at))
        return ptf_lower_refuse(l,
                                "expected two pads for each of at most %d "
                                "axes",
                                rank < PTF_SHAPE_MAX ? rank : PTF_SHAPE_MAX);
    out->count = a->count;
    if (out->count > 0)
        status = ptf_lower_ints(l, name, out->count, out->at);
    bool first = out->count == 2 * rank && rank > 0 &&
                 (out->at[2 * rank - 1] != 0 || out->at[2 * rank - 2] != 0);
    return status == PTF_OK && first ? ptf_lower_whole(l) : status;
}

static ptf_status read_mode(ptf_lowering *l, double *out)
{
    static const char *const modes[] = {
        [PTF_PAD_CONSTANT] = "constant",
        [PTF_PAD_REFLECT] = "reflect",
        [PTF_PAD_REPLICATE] = "replicate",
        [PTF_PAD_CIRCULAR] = "circular",
    };
    const ptf_argument *a = ptf_program_argument(l->call, "mode");
    const char *text =
        a != NULL && a->kind == PTF_ARGUMENT_TEXT ? a->text : "constant";
    for (size_t i = 0; i < PTF_ARRAY_SIZE(modes); i++) {
        if (strcmp(text, modes[i]) == 0) {
            *out = (double)i;
            return PTF_OK;
        }
    }
    return ptf_lower_refuse(l,
                            "pads in the mode '%.40s', which PyTorch has "
                            "not",
                            text);
}

/* True where zeros or other constants leave no position of an axis. */
static bool leaves_nothing(const ptf_attrs *a, int64_t *sizes, int rank)
{
    bool none = false;
    for (int i = 0; i < a->pads.count / 2; i++) {
        int64_t pads = a->pads.at[2 * i] + a->pads.at[2 * i + 1];
        sizes[rank - 1 - i] += pads;
        none = none || (sizes[rank - 1 - i] == 0 && pads < 0);
    }
    return none && (ptf_pad_mode)a->p[1] == PTF_PAD_CONSTANT;
}

static ptf_status give_pad(ptf_lowering *l, ptf_attrs *a)
{
    int64_t sizes[PTF_LOWER_LIST];
    int rank, input;
    const char *wrong = ptf_op_settle(PTF_OP_PAD, a);
    if (wrong != NULL)
        return ptf_lower_refuse(l, "has %s", wrong);
    ptf_status status = ptf_lower_sizes(l, "self", sizes, &rank);
    if (status == PTF_OK && leaves_nothing(a, sizes, rank)) {
        status = ptf_lower_whole(l);
        return status == PTF_OK ? ptf_lower_give_filled(l, sizes, rank, 0)
                                : status;
    }
    if (status == PTF_OK)
        status = ptf_lower_node(l, "self", &input);
    return status == PTF_OK ? ptf_lower_give_node(l, PTF_OP_PAD, a, input, NULL)
                            : status;
}

/* aten.pad says in which mode, and its value may be None. */
static ptf_status lower_pad(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    ptf_attrs a = ptf_lower_defaults(PTF_OP_PAD);
    ptf_status status = read_pads(l, &a.pads);
    if (status == PTF_OK)
        status = read_mode(l, &a.p[1]);
    if (status == PTF_OK && !ptf_lower_is_none(l, "value"))
        status = ptf_lower_number(l, "value", &a.p[0]);
    return status == PTF_OK ? give_pad(l, &a) : status;
}

static ptf_status give_mode(ptf_lowering *l, ptf_pad_mode mode)
{
    ptf_attrs a = ptf_lower_defaults(PTF_OP_PAD);
    a.p[1] = (double)mode;
    ptf_status status = read_pads(l, &a.pads);
    return status == PTF_OK ? give_pad(l, &a) : status;
}

static ptf_status lower_reflection(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    return give_mode(l, PTF_PAD_REFLECT);
}

static ptf_status lower_replication(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    return give_mode(l, PTF_PAD_REPLICATE);
}

const ptf_aten_row ptf_aten_pad[] = {
    {"aten.pad.default", lower_pad, .op = PTF_OP_PAD},
    {"aten.constant_pad_nd.default", lower_pad, .op = PTF_OP_PAD},
    {"aten.reflection_pad1d.default", lower_reflection, .op = PTF_OP_PAD},
    {"aten.reflection_pad2d.default", lower_reflection, .op = PTF_OP_PAD},
    {"aten.reflection_pad3d.default", lower_reflection, .op = PTF_OP_PAD},
    {"aten.replication_pad1d.default", lower_replication, .op = PTF_OP_PAD},
    {"aten.replication_pad2d.default", lower_replication, .op = PTF_OP_PAD},
    {"aten.replication_pad3d.default", lower_replication, .op = PTF_OP_PAD},
    {0},
};
