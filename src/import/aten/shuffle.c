/*
 * Channels that become pixels, and channels in another order.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"

/*
 * Reshapes to 'sizes', permutes by 'from' and reshapes to 'last', on the last
 * axes of a value whose first 'lead' axes stay.
 */
typedef struct shuffle {
    int64_t sizes[6], last[3];
    int from[6], count, last_count;
} shuffle;

static ptf_status give_shuffled(ptf_lowering *l, const shuffle *s,
                                const int64_t *old, int lead)
{
    int64_t sizes[2 * PTF_LOWER_LIST];
    ptf_attrs a = ptf_lower_defaults(PTF_OP_PERMUTE);
    int node;
    if (lead + s->count > PTF_SHAPE_MAX + l->batched)
        return ptf_lower_refuse_rank(l, lead + s->count, PTF_SHAPE_MAX);
    ptf_status status = lead == 0 ? ptf_lower_whole(l) : PTF_OK;
    if (status == PTF_OK)
        status = ptf_lower_node(l, "self", &node);
    memcpy(sizes, old, (size_t)lead * sizeof(*sizes));
    memcpy(sizes + lead, s->sizes, (size_t)s->count * sizeof(*sizes));
    if (status == PTF_OK)
        status = ptf_lower_resize(l, node, sizes, lead + s->count, &node);
    for (int d = l->batched; d < lead + s->count; d++)
        a.dims.at[a.dims.count++] =
            ptf_lower_net_axis(l, d < lead ? d : lead + s->from[d - lead]);
    if (status == PTF_OK)
        status = ptf_lower_add_one(l, PTF_OP_PERMUTE, &a, node, &node);
    memcpy(sizes + lead, s->last, (size_t)s->last_count * sizeof(*sizes));
    if (status == PTF_OK)
        status = ptf_lower_resize(l, node, sizes, lead + s->last_count, &node);
    return status == PTF_OK ? ptf_lower_give(l, node) : status;
}

/* [C r r, H, W] to [C, H r, W r], and back for a factor named downscale. */
static ptf_status lower_pixel_shuffle(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    bool down = ptf_program_argument(l->call, "downscale_factor") != NULL;
    int64_t old[PTF_LOWER_LIST], r;
    int rank;
    ptf_status status = ptf_lower_sizes(l, "self", old, &rank);
    if (status == PTF_OK)
        status =
            ptf_lower_int(l, down ? "downscale_factor" : "upscale_factor", &r);
    if (status != PTF_OK)
        return status;
    const int64_t *s = old + rank - 3; /* channels, height, width */
    if (rank < 3 || r < 1 || r > INT32_MAX ||
        (down ? s[1] % r != 0 || s[2] % r != 0 : s[0] % (r * r) != 0))
        return ptf_lower_refuse(l, "expected sizes that its factor divides");
    shuffle up_ = {{s[0] / (r * r), r, r, s[1], s[2]},
                   {s[0] / (r * r), s[1] * r, s[2] * r},
                   {0, 3, 1, 4, 2},
                   5,
                   3};
    shuffle down_ = {{s[0], s[1] / r, r, s[2] / r, r},
                     {s[0] * r * r, s[1] / r, s[2] / r},
                     {0, 2, 4, 1, 3},
                     5,
                     3};
    return give_shuffled(l, down ? &down_ : &up_, old, rank - 3);
}

static ptf_status lower_channel_shuffle(ptf_lowering *l,
                                        const ptf_aten_row *row)
{
    (void)row;
    int64_t old[PTF_LOWER_LIST], groups, rest = 1;
    int rank;
    ptf_status status = ptf_lower_sizes(l, "self", old, &rank);
    if (status == PTF_OK)
        status = ptf_lower_int(l, "groups", &groups);
    if (status != PTF_OK)
        return status;
    if (rank < 3 || groups < 1 || old[1] % groups != 0)
        return ptf_lower_refuse(l, "expected channels that its groups divide");
    for (int d = 2; d < rank; d++)
        rest *= old[d];
    shuffle s = {
        {groups, old[1] / groups, rest}, {old[1], rest}, {1, 0, 2}, 3, 2};
    if (rank == 4) {
        s.last[1] = old[2];
        s.last[2] = old[3];
        s.last_count = 3;
    } else if (rank != 3) {
        return ptf_lower_refuse(l, "expected 3 or 4 axes, got %d", rank);
    }
    return give_shuffled(l, &s, old, 1);
}

const ptf_aten_row ptf_aten_shuffle[] = {
    {.target = "aten.pixel_shuffle.default", .lower = lower_pixel_shuffle},
    {.target = "aten.pixel_unshuffle.default", .lower = lower_pixel_shuffle},
    {.target = "aten.channel_shuffle.default", .lower = lower_channel_shuffle},
    {.target = "aten.native_channel_shuffle.default",
     .lower = lower_channel_shuffle},
    {0},
};
