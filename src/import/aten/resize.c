/*
 * Maps of another size.  Each mode has two operators: .vec, which has a size or
 * factors, and .default, which has a size and may have factors besides.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"

typedef struct kind {
    const char *prefix;
    ptf_upsample_mode mode;
    int axes; /* after the channels */
    bool antialias;
} kind;

static const kind kinds[] = {
    {"aten.upsample_nearest1d.", PTF_UPSAMPLE_NEAREST, 1, false},
    {"aten.upsample_nearest2d.", PTF_UPSAMPLE_NEAREST, 2, false},
    {"aten.upsample_nearest3d.", PTF_UPSAMPLE_NEAREST, 3, false},
    {"aten._upsample_nearest_exact1d.", PTF_UPSAMPLE_NEAREST_EXACT, 1, false},
    {"aten._upsample_nearest_exact2d.", PTF_UPSAMPLE_NEAREST_EXACT, 2, false},
    {"aten._upsample_nearest_exact3d.", PTF_UPSAMPLE_NEAREST_EXACT, 3, false},
    {"aten.upsample_linear1d.", PTF_UPSAMPLE_LINEAR, 1, false},
    {"aten.upsample_bilinear2d.", PTF_UPSAMPLE_BILINEAR, 2, false},
    {"aten.upsample_trilinear3d.", PTF_UPSAMPLE_TRILINEAR, 3, false},
    {"aten.upsample_bicubic2d.", PTF_UPSAMPLE_BICUBIC, 2, false},
    {"aten._upsample_bilinear2d_aa.", PTF_UPSAMPLE_BILINEAR, 2, true},
    {"aten._upsample_bicubic2d_aa.", PTF_UPSAMPLE_BICUBIC, 2, true},
};

static const kind *kind_of(const char *target)
{
    const kind *k = kinds;
    while (strncmp(target, k->prefix, strlen(k->prefix)) != 0)
        k++; /* each row has one */
    return k;
}

/* scale_factors of .vec; scales, or scales_d, scales_h, scales_w. */
static ptf_status read_factors(ptf_lowering *l, int axes, ptf_factors *out)
{
    static const char *const names[] = {"scales_d", "scales_h", "scales_w"};
    const ptf_argument *a = ptf_program_argument(l->call, "scale_factors");
    if (a != NULL && a->kind == PTF_ARGUMENT_FLOATS) {
        if (a->count != axes)
            return ptf_lower_refuse(l, "expected %d scale_factors, got %d",
                                    axes, a->count);
        out->count = axes;
        memcpy(out->at, a->numbers, (size_t)axes * sizeof(*out->at));
        return PTF_OK;
    }
    ptf_status status = PTF_OK;
    for (int d = 0; d < axes && status == PTF_OK; d++) {
        const char *name =
            axes == 1 ? "scales" : names[d + PTF_MAP_AXES - axes];
        if (!ptf_lower_is_none(l, name))
            status = ptf_lower_number(l, name, &out->at[out->count++]);
    }
    if (status == PTF_OK && out->count > 0 && out->count < axes)
        status = ptf_lower_refuse(l, "expected a scale for each axis or for "
                                     "none");
    return status;
}

static ptf_status lower_upsample(ptf_lowering *l, const ptf_aten_row *row)
{
    const kind *k = kind_of(row->target);
    ptf_attrs a = ptf_lower_defaults(PTF_OP_UPSAMPLE);
    const char *input =
        ptf_program_argument(l->call, "input") != NULL ? "input" : "self";
    a.p[0] = (double)k->mode;
    a.antialias = k->antialias;
    a.align_corners = ptf_lower_is_true(l, "align_corners");
    a.align_corners_unspecified = k->mode <= PTF_UPSAMPLE_NEAREST_EXACT;
    ptf_status status = read_factors(l, k->axes, &a.scale);
    if (status == PTF_OK && !ptf_lower_is_none(l, "output_size")) {
        a.size.count = k->axes;
        status = ptf_lower_ints(l, "output_size", k->axes, a.size.at);
    }
    a.recompute_scale_factor_unspecified = a.size.count > 0;
    const char *wrong =
        status == PTF_OK ? ptf_op_settle(PTF_OP_UPSAMPLE, &a) : NULL;
    if (wrong != NULL)
        status = ptf_lower_refuse(l, "has %s", wrong);
    return status == PTF_OK ? ptf_lower_samples(l, PTF_OP_UPSAMPLE, &a, input,
                                                k->axes + 1, NULL)
                            : status;
}

#define ROW(name)                                           \
    {                                                       \
        "aten." name, lower_upsample, .op = PTF_OP_UPSAMPLE \
    }

/* clang-format off */
#define BOTH(name) ROW(name ".vec"), ROW(name ".default")
/* clang-format on */

const ptf_aten_row ptf_aten_resize[] = {
    BOTH("upsample_nearest1d"),
    BOTH("upsample_nearest2d"),
    BOTH("upsample_nearest3d"),
    BOTH("_upsample_nearest_exact1d"),
    BOTH("_upsample_nearest_exact2d"),
    BOTH("_upsample_nearest_exact3d"),
    BOTH("upsample_linear1d"),
    BOTH("upsample_bilinear2d"),
    BOTH("upsample_trilinear3d"),
    BOTH("upsample_bicubic2d"),
    BOTH("_upsample_bilinear2d_aa"),
    BOTH("_upsample_bicubic2d_aa"),
    {0},
};
