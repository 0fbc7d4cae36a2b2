/*
 * The table of ops, from ops.inc and families.inc.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "op/attrs.h"
#include "op/rules.h"

static const ptf_rules *const rules[] = {
#define FAMILY(id, name) [PTF_FAMILY_##id] = &ptf_rules_##name,
#include "op/families.inc"
#undef FAMILY
};

static const ptf_op_row rows[PTF_OP_COUNT] = {
#define OP(id, name, class_name, family, attributes) \
    [PTF_OP_##id] = {name, class_name, PTF_FAMILY_##family},
#include "op/ops.inc"
#undef OP
};

const ptf_op_row *ptf_op_info(ptf_op op)
{
    return &rows[op];
}

/* Classes that are an op of the table under another name, and the attributes
 * that they imply. */
static const struct {
    const char *class_name;
    ptf_op op;
    const char *implied;
} aliases[] = {
    {"Dropout1d", PTF_OP_DROPOUT, ""},
    {"Dropout2d", PTF_OP_DROPOUT, ""},
    {"SyncBatchNorm", PTF_OP_BATCHNORM2D, ""}, /* or 1d, 3d: ptf_op_fit() */
    {"ZeroPad1d", PTF_OP_PAD, ""},
    {"ZeroPad2d", PTF_OP_PAD, ""},
    {"ZeroPad3d", PTF_OP_PAD, ""},
    {"ConstantPad1d", PTF_OP_PAD, ""},
    {"ConstantPad2d", PTF_OP_PAD, ""},
    {"ConstantPad3d", PTF_OP_PAD, ""},
    {"ReflectionPad1d", PTF_OP_PAD, "mode=reflect"},
    {"ReflectionPad2d", PTF_OP_PAD, "mode=reflect"},
    {"ReflectionPad3d", PTF_OP_PAD, "mode=reflect"},
    {"ReplicationPad1d", PTF_OP_PAD, "mode=replicate"},
    {"ReplicationPad2d", PTF_OP_PAD, "mode=replicate"},
    {"ReplicationPad3d", PTF_OP_PAD, "mode=replicate"},
    {"CircularPad1d", PTF_OP_PAD, "mode=circular"},
    {"CircularPad2d", PTF_OP_PAD, "mode=circular"},
    {"CircularPad3d", PTF_OP_PAD, "mode=circular"},
    {"UpsamplingNearest2d", PTF_OP_UPSAMPLE, ""},
    {"UpsamplingBilinear2d", PTF_OP_UPSAMPLE, "align_corners=True"},
};

static bool name_is(const char *name, const char *text, size_t size)
{
    return size > 0 && strlen(name) == size && memcmp(name, text, size) == 0;
}

bool ptf_op_find(const char *class_name, size_t size, ptf_op *out)
{
    if (size == 0) /* ops that are no class have it */
        return false;
    for (int op = PTF_OP_INPUT + 1; op < PTF_OP_COUNT; op++) {
        if (name_is(rows[op].class_name, class_name, size)) {
            *out = (ptf_op)op;
            return true;
        }
    }
    for (size_t i = 0; i < PTF_ARRAY_SIZE(aliases); i++) {
        if (name_is(aliases[i].class_name, class_name, size)) {
            *out = aliases[i].op;
            return true;
        }
    }
    return false;
}

const char *ptf_op_implied(const char *class_name, size_t size)
{
    for (size_t i = 0; i < PTF_ARRAY_SIZE(aliases); i++) {
        if (name_is(aliases[i].class_name, class_name, size))
            return aliases[i].implied;
    }
    return "";
}

bool ptf_op_find_name(ptf_text_span name, ptf_op *out)
{
    for (int op = 0; op < PTF_OP_COUNT; op++) {
        if (rows[op].family == PTF_FAMILY_SOURCE ||
            !ptf_span_is(name, rows[op].name))
            continue;
        *out = (ptf_op)op;
        return true;
    }
    return false;
}

/* Their number stands at the end of its name. */
int ptf_op_map_axes(ptf_op op)
{
    const char *name = rows[op].name;
    size_t n = strlen(name);
    bool is_number =
        n > 2 && name[n - 1] == 'd' && name[n - 2] >= '1' && name[n - 2] <= '3';
    return is_number ? name[n - 2] - '0' : 0;
}

const char *ptf_op_class(ptf_op op)
{
    return rows[op].class_name[0] != '\0' ? rows[op].class_name : rows[op].name;
}

ptf_layer_kind ptf_op_kind(ptf_op op)
{
    static const ptf_layer_kind of_family[PTF_FAMILY_COUNT] = {
        [PTF_FAMILY_PRODUCT] = PTF_LAYER_CONVOLUTION,
        [PTF_FAMILY_AFFINE] = PTF_LAYER_BATCH_NORM,
        [PTF_FAMILY_VIEW] = PTF_LAYER_VIEW,
    };
    static const ptf_layer_kind of_op[PTF_OP_COUNT] = {
        [PTF_OP_LINEAR] = PTF_LAYER_LINEAR,
        [PTF_OP_SOFTMAX] = PTF_LAYER_SOFTMAX,
    };
    return of_op[op] != PTF_LAYER_OTHER ? of_op[op]
                                        : of_family[rows[op].family];
}

/*
 * In evaluation SyncBatchNorm is a batch norm of any rank, and so is an
 * instance norm that has running statistics.
 */
ptf_op ptf_op_fit(ptf_op op, const char *class_name, size_t size,
                  const ptf_attrs *attrs, int rank)
{
    static const ptf_op batch_norms[PTF_OP_COUNT] = {
        [PTF_OP_INSTANCE_NORM1D] = PTF_OP_BATCHNORM1D,
        [PTF_OP_INSTANCE_NORM2D] = PTF_OP_BATCHNORM2D,
        [PTF_OP_INSTANCE_NORM3D] = PTF_OP_BATCHNORM3D,
    };
    if (name_is("SyncBatchNorm", class_name, size))
        return ptf_batch_norm_of(rank);
    if (batch_norms[op] != 0 && attrs->track_running_stats)
        return batch_norms[op];
    return op;
}

ptf_op ptf_batch_norm_of(int rank)
{
    return rank == 2 || rank == 3 ? PTF_OP_BATCHNORM1D
           : rank == 5            ? PTF_OP_BATCHNORM3D
                                  : PTF_OP_BATCHNORM2D;
}

static const char *const role_names[PTF_ROLE_COUNT] = {
    [PTF_ROLE_WEIGHT] = "weight",
    [PTF_ROLE_BIAS] = "bias",
    [PTF_ROLE_SCALE] = "scale",
    [PTF_ROLE_SHIFT] = "shift",
    [PTF_ROLE_RUNNING_MEAN] = "running_mean",
    [PTF_ROLE_RUNNING_VAR] = "running_var",
    [PTF_ROLE_NUM_BATCHES] = "num_batches_tracked",
};

const char *ptf_role_name(ptf_role role)
{
    return role_names[role];
}

/* ------------------------------------------------------------------- rules */

static const ptf_rules *rules_of(ptf_op op)
{
    return rules[rows[op].family];
}

const char *ptf_op_settle(ptf_op op, ptf_attrs *attrs)
{
    const ptf_rules *r = rules_of(op);
    return r->settle != NULL ? r->settle(op, attrs) : NULL;
}

bool ptf_op_takes(ptf_op op, int count)
{
    const ptf_rules *r = rules_of(op);
    int least = r->most == 0 ? 1 : r->least, most = r->most == 0 ? 1 : r->most;
    return !ptf_op_is(op, PTF_FAMILY_SOURCE) && count >= least && count <= most;
}

const char *ptf_op_shape(ptf_op op, const ptf_attrs *attrs, const ptf_shape *in,
                         int count, ptf_shape *out)
{
    const ptf_rules *r = rules_of(op);
    *out = *in;
    return r->shape != NULL ? r->shape(op, attrs, in, count, out) : NULL;
}

const char *ptf_op_partial_shape(ptf_op op, const ptf_attrs *attrs,
                                 ptf_partial_shape in, ptf_partial_shape *out)
{
    const ptf_rules *r = rules_of(op);
    *out = r->most == 0 ? in : (ptf_partial_shape){0, 0};
    return r->partial != NULL ? r->partial(op, attrs, in, out) : NULL;
}

bool ptf_op_parameter(ptf_op op, const ptf_attrs *attrs, ptf_role role,
                      int *rank, int64_t shape[PTF_MAX_RANK])
{
    const ptf_rules *r = rules_of(op);
    return r->parameter != NULL && r->parameter(op, attrs, role, rank, shape);
}

void ptf_op_infer(ptf_op op, const ptf_shape *const shapes[PTF_ROLE_COUNT],
                  ptf_attrs *attrs)
{
    const ptf_rules *r = rules_of(op);
    ptf_attrs usual;
    ptf_attrs_default(op, &usual);
    for (const ptf_field *f = ptf_op_fields[op]; f->name != NULL; f++) {
        if ((f->flags & PTF_FIELD_TOLD) != 0)
            ptf_field_copy(f, &usual, attrs);
    }
    if (r->infer != NULL)
        r->infer(op, shapes, attrs);
}

unsigned ptf_op_roles(ptf_op op)
{
    ptf_attrs all;
    unsigned roles = 0;
    ptf_attrs_default(op, &all); /* a bias, statistics */
    all.scale_shift = true;
    for (int role = 0; role < PTF_ROLE_COUNT; role++) {
        int rank;
        int64_t shape[PTF_MAX_RANK];
        if (ptf_op_parameter(op, &all, (ptf_role)role, &rank, shape))
            roles |= 1U << role;
    }
    return roles;
}

ptf_reach ptf_op_reach(ptf_op op, const ptf_attrs *attrs, int rank, int axis)
{
    return rules_of(op)->reach(op, attrs, rank, axis);
}

const char *ptf_op_refusal(const char *wrong, const ptf_attrs *attrs,
                           int64_t got, char text[PTF_REFUSAL_TEXT])
{
    if (wrong != ptf_not_channels && wrong != ptf_not_features)
        return wrong;
    snprintf(text, PTF_REFUSAL_TEXT,
             "expected %lld input %s, got %lld; check the input's size, and "
             "that forward() calls each module once, in this order, with "
             "nothing between",
             (long long)attrs->in_channels, wrong, (long long)got);
    return text;
}
