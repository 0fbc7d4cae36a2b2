/*
 * Maps at positions that a grid says: a sum of neighbours, each of which is
 * gathered by its number and weighted by how far it is.
 *
 *     grid_sample(map [N, C, H, W], grid [N, h, w, 2]) -> [N, C, h, w]
 *
 * The coordinates of a grid are from -1 to 1, the last axis of the map first.
 * All that is computed of them has the shape [1, h * w], or with the samples in
 * front, so that it broadcasts over the channels.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"

enum { NEIGHBOURS = 4 };

typedef enum sample_mode { BILINEAR, NEAREST, BICUBIC } sample_mode;
typedef enum sample_padding { ZEROS, BORDER, REFLECTION } sample_padding;

typedef struct sampler {
    sample_mode mode;
    sample_padding padding;
    bool corners; /* -1 and 1 are the middles of the outermost pixels */
    int axes, neighbours;
    int64_t size[PTF_MAP_AXES];
    int at[PTF_MAP_AXES][NEIGHBOURS], inside[PTF_MAP_AXES][NEIGHBOURS];
    int weight[PTF_MAP_AXES][NEIGHBOURS]; /* or -1: it is 1 */
    int map;                              /* [C, H * W] */
    ptf_shape index, shape;               /* [1, h * w], [C, h * w] */
} sampler;

static ptf_status with(ptf_lowering *l, ptf_op op, int *node, double number)
{
    int scalar;
    ptf_status status = ptf_lower_scalar(l, number, &scalar);
    return status == PTF_OK ? ptf_lower_add_two(l, op, *node, scalar, node)
                            : status;
}

static ptf_status choose(ptf_lowering *l, int condition, int yes, double no,
                         int *out)
{
    ptf_attrs a = ptf_lower_defaults(PTF_OP_WHERE);
    int in[3] = {condition, yes, -1};
    ptf_status status = ptf_lower_scalar(l, no, &in[2]);
    return status == PTF_OK
               ? ptf_lower_add(l, PTF_OP_WHERE, &a, 3, in, NULL, out)
               : status;
}

/* -------------------------------------------------------------- coordinates */

/* What is beyond the edges comes back, as often as it takes. */
static ptf_status reflect(ptf_lowering *l, const sampler *s, int axis,
                          int *node)
{
    double low = s->corners ? 0 : -0.5;
    double twice = 2.0 * (double)(s->size[axis] - s->corners);
    int whole, back, span;
    ptf_status status = with(l, PTF_OP_SUB, node, low);
    if (status == PTF_OK)
        status = ptf_lower_add_plain(l, PTF_OP_ABS, *node, node);
    whole = *node;
    if (status == PTF_OK)
        status = with(l, PTF_OP_DIV, &whole, twice);
    if (status == PTF_OK)
        status = ptf_lower_add_plain(l, PTF_OP_TRUNC, whole, &whole);
    if (status == PTF_OK)
        status = with(l, PTF_OP_MUL, &whole, twice);
    if (status == PTF_OK)
        status = ptf_lower_add_two(l, PTF_OP_SUB, *node, whole, node);
    if (status == PTF_OK)
        status = ptf_lower_scalar(l, twice, &span);
    if (status == PTF_OK)
        status = ptf_lower_add_two(l, PTF_OP_SUB, span, *node, &back);
    if (status == PTF_OK)
        status = ptf_lower_add_two(l, PTF_OP_MINIMUM, *node, back, node);
    return status == PTF_OK ? with(l, PTF_OP_ADD, node, low) : status;
}

/* Where a coordinate must be inside, NaN is 0. */
static ptf_status pad(ptf_lowering *l, const sampler *s, int axis, int *node)
{
    ptf_attrs a = ptf_lower_defaults(PTF_OP_CLAMP);
    int number;
    if (s->padding == ZEROS)
        return PTF_OK;
    ptf_status status =
        s->padding == REFLECTION ? reflect(l, s, axis, node) : PTF_OK;
    if (status == PTF_OK)
        status = ptf_lower_add_plain(l, PTF_OP_ISNAN, *node, &number);
    if (status == PTF_OK)
        status = ptf_lower_add_plain(l, PTF_OP_LOGICAL_NOT, number, &number);
    if (status == PTF_OK)
        status = choose(l, number, *node, 0, node);
    a.p[0] = 0;
    a.p[1] = (double)(s->size[axis] - 1);
    return status == PTF_OK
               ? ptf_lower_add_one(l, PTF_OP_CLAMP, &a, *node, node)
               : status;
}

/* A grid's coordinate of an axis, in pixels. */
static ptf_status locate(ptf_lowering *l, const sampler *s, int grid, int axis,
                         int *out)
{
    int rank = l->shapes[grid].rank;
    double half = (double)(s->size[axis] - s->corners) / 2;
    ptf_status status =
        ptf_lower_add_slice(l, grid, rank, s->axes - 1 - axis, 1, 1, out);
    if (status == PTF_OK)
        status = ptf_lower_reshape(l, *out, &s->index, out);
    if (status == PTF_OK)
        status = with(l, PTF_OP_ADD, out, 1);
    if (status == PTF_OK)
        status = with(l, PTF_OP_MUL, out, half);
    if (status == PTF_OK && !s->corners)
        status = with(l, PTF_OP_SUB, out, 0.5);
    return status == PTF_OK && s->mode != BICUBIC ? pad(l, s, axis, out)
                                                  : status;
}

/* --------------------------------------------------------------- neighbours */

/* A polynomial of four coefficients, the highest power first. */
static ptf_status polynomial(ptf_lowering *l, int x, const double c[4],
                             int *out)
{
    *out = x;
    ptf_status status = with(l, PTF_OP_MUL, out, c[0]);
    for (int i = 1; i < 4 && status == PTF_OK; i++) {
        if (i > 1)
            status = ptf_lower_add_two(l, PTF_OP_MUL, *out, x, out);
        if (status == PTF_OK)
            status = with(l, PTF_OP_ADD, out, c[i]);
    }
    return status;
}

/* Of four neighbours, by the distance of the second one. */
static ptf_status weigh(ptf_lowering *l, int distance, int weight[NEIGHBOURS])
{
    static const double a = -0.75;
    static const double near[] = {a + 2, -a - 3, 0, 1};
    static const double far[] = {a, -5 * a, 8 * a, -4 * a};
    ptf_status status = PTF_OK;
    for (int i = 0; i < NEIGHBOURS && status == PTF_OK; i++) {
        int x = distance; /* to this one: x + 1, x, 1 - x, 2 - x */
        if (i >= 2)
            status = ptf_lower_add_plain(l, PTF_OP_NEG, x, &x);
        if (status == PTF_OK && i != 1)
            status = with(l, PTF_OP_ADD, &x, i == 3 ? 2 : 1);
        if (status == PTF_OK)
            status =
                polynomial(l, x, i == 1 || i == 2 ? near : far, &weight[i]);
    }
    return status;
}

/* Those of an axis; limits are between integers. */
static ptf_status find_neighbours(ptf_lowering *l, sampler *s, int axis,
                                  int coordinate)
{
    int *at = s->at[axis], *weight = s->weight[axis], first, distance, upper;
    ptf_op op = s->mode == NEAREST ? PTF_OP_ROUND : PTF_OP_FLOOR;
    ptf_status status = ptf_lower_add_plain(l, op, coordinate, &first);
    weight[0] = -1;
    if (status == PTF_OK && s->mode != NEAREST)
        status = ptf_lower_add_two(l, PTF_OP_SUB, coordinate, first, &distance);
    if (status == PTF_OK && s->mode == BILINEAR) {
        weight[1] = distance;
        status = ptf_lower_add_plain(l, PTF_OP_NEG, distance, &weight[0]);
        if (status == PTF_OK)
            status = with(l, PTF_OP_ADD, &weight[0], 1);
    } else if (status == PTF_OK && s->mode == BICUBIC)
        status = weigh(l, distance, weight);
    for (int i = 0; i < s->neighbours && status == PTF_OK; i++) {
        int move = i - (s->mode == BICUBIC), *inside = &s->inside[axis][i];
        at[i] = first;
        if (move != 0)
            status = with(l, PTF_OP_ADD, &at[i], move);
        if (status == PTF_OK && s->mode == BICUBIC)
            status = pad(l, s, axis, &at[i]);
        *inside = upper = at[i];
        if (status == PTF_OK)
            status = with(l, PTF_OP_GT, inside, -0.5);
        if (status == PTF_OK)
            status = with(l, PTF_OP_LT, &upper, (double)s->size[axis] - 0.5);
        if (status == PTF_OK)
            status = ptf_lower_add_two(l, PTF_OP_LOGICAL_AND, *inside, upper,
                                       inside);
    }
    return status;
}

/* ------------------------------------------------------------------ the sum */

/* The numbers of one neighbour; 0 where it is outside. */
static ptf_status take(ptf_lowering *l, const sampler *s, int index, int inside,
                       int *out)
{
    ptf_attrs a = ptf_lower_defaults(PTF_OP_GATHER);
    ptf_attrs expand = ptf_lower_defaults(PTF_OP_EXPAND);
    ptf_status status = choose(l, inside, index, 0, &index);
    expand.size.count = s->shape.rank;
    memcpy(expand.size.at, s->shape.dim,
           (size_t)s->shape.rank * sizeof(*s->shape.dim));
    a.dim = s->shape.rank;
    if (status == PTF_OK)
        status = ptf_lower_add_one(l, PTF_OP_EXPAND, &expand, index, &index);
    if (status == PTF_OK)
        status = ptf_lower_add(l, PTF_OP_GATHER, &a, 2,
                               (const int[]){s->map, index}, NULL, out);
    return status == PTF_OK ? choose(l, inside, *out, 0, out) : status;
}

/* Of the neighbours that have a number along the axes before. */
static ptf_status add_up(ptf_lowering *l, const sampler *s, int axis,
                         int number, int known, int *out)
{
    ptf_status status = PTF_OK;
    if (axis == s->axes || axis == PTF_MAP_AXES)
        return take(l, s, number, known, out);
    if (axis > 0)
        status = with(l, PTF_OP_MUL, &number, (double)s->size[axis]);
    for (int i = 0; i < s->neighbours && status == PTF_OK; i++) {
        int at = s->at[axis][i], inside = s->inside[axis][i], part = -1;
        if (axis > 0)
            status = ptf_lower_add_two(l, PTF_OP_ADD, number, at, &at);
        if (status == PTF_OK && axis > 0)
            status = ptf_lower_add_two(l, PTF_OP_LOGICAL_AND, known, inside,
                                       &inside);
        if (status == PTF_OK)
            status = add_up(l, s, axis + 1, at, inside, &part);
        if (status == PTF_OK && s->weight[axis][i] >= 0)
            status = ptf_lower_add_two(l, PTF_OP_MUL, part, s->weight[axis][i],
                                       &part);
        if (status == PTF_OK && i > 0)
            status = ptf_lower_add_two(l, PTF_OP_ADD, *out, part, out);
        else
            *out = part;
    }
    return status;
}

static ptf_status read_modes(ptf_lowering *l, sampler *s, int rank)
{
    static const int neighbours[] = {2, 1, NEIGHBOURS};
    int64_t mode, padding;
    ptf_status status = ptf_lower_int(l, "interpolation_mode", &mode);
    if (status == PTF_OK)
        status = ptf_lower_int(l, "padding_mode", &padding);
    if (status != PTF_OK)
        return status;
    s->axes = rank - 2;
    if (mode < BILINEAR || mode > BICUBIC || padding < ZEROS ||
        padding > REFLECTION || s->axes < 2 || s->axes > 3 ||
        (mode == BICUBIC && s->axes == 3))
        return ptf_lower_refuse(l,
                                "samples maps of %d axes in the mode %lld with "
                                "padding %lld",
                                s->axes, (long long)mode, (long long)padding);
    s->mode = (sample_mode)mode;
    s->padding = (sample_padding)padding;
    s->neighbours = neighbours[mode];
    s->corners = ptf_lower_is_true(l, "align_corners");
    return PTF_OK;
}

/* The map as rows, and the shapes of what is computed. */
static ptf_status read_map(ptf_lowering *l, sampler *s, int *grid)
{
    ptf_status status = ptf_lower_node(l, "input", &s->map);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "grid", grid);
    if (status != PTF_OK)
        return status;
    const ptf_shape map = l->shapes[s->map], *g = &l->shapes[*grid];
    int first = map.rank - s->axes; /* of the map's own axes */
    ptf_shape rows = {.rank = first + 1};
    int64_t pixels = 1;
    bool fits = g->rank == map.rank && g->dim[g->rank - 1] == s->axes &&
                (first == 1 || g->dim[0] == map.dim[0]);
    memcpy(rows.dim, map.dim, (size_t)first * sizeof(*map.dim));
    s->shape = s->index = rows;
    for (int d = 0; d < s->axes && fits; d++) {
        s->size[d] = map.dim[first + d];
        pixels *= g->dim[first - 1 + d];
    }
    if (!fits)
        return ptf_lower_refuse(l,
                                "expected a grid of %d coordinates for each "
                                "sample of the input",
                                s->axes);
    s->shape.dim[first] = s->index.dim[first] = pixels;
    s->index.dim[first - 1] = 1;
    rows.dim[first] =
        ptf_shape_numel(&map) /
        ptf_max_i64(1, first == 1 ? map.dim[0] : map.dim[0] * map.dim[1]);
    return ptf_lower_reshape(l, s->map, &rows, &s->map);
}

static ptf_status lower_sampler(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    int64_t sizes[PTF_LOWER_LIST];
    sampler s = {.map = -1};
    int rank, grid, coordinate, node = -1;
    ptf_status status = ptf_lower_sizes(l, "input", sizes, &rank);
    if (status == PTF_OK)
        status = read_modes(l, &s, rank);
    if (status == PTF_OK)
        status = read_map(l, &s, &grid);
    for (int d = 0; d < s.axes && status == PTF_OK; d++) {
        status = locate(l, &s, grid, d, &coordinate);
        if (status == PTF_OK)
            status = find_neighbours(l, &s, d, coordinate);
    }
    if (status == PTF_OK)
        status = add_up(l, &s, 0, -1, -1, &node);
    if (status != PTF_OK)
        return status;
    ptf_shape shape = l->shapes[grid];
    int first = shape.rank - s.axes - 1; /* 1 with the samples, or 0 */
    memmove(shape.dim + first + 1, shape.dim + first,
            (size_t)s.axes * sizeof(*shape.dim));
    shape.dim[first] = s.shape.dim[first];
    status = ptf_lower_reshape(l, node, &shape, &node);
    return status == PTF_OK ? ptf_lower_give(l, node) : status;
}

/* --------------------------------------------------------------- the grids */

/* -1 to 1 in equal steps, from the edges or the middles of the outermost. */
static double step_at(int64_t i, int64_t size, bool corners)
{
    if (corners)
        return size > 1 ? 2 * (double)i / (double)(size - 1) - 1 : 0;
    return (2 * (double)i + 1) / (double)size - 1;
}

/* The coordinates of each pixel and 1. */
static ptf_status add_base(ptf_lowering *l, const int64_t *size, int axes,
                           int *out)
{
    bool corners = ptf_lower_is_true(l, "align_corners");
    int64_t pixels = ptf_lower_count(size, axes);
    ptf_shape shape = {2, {pixels, axes + 1}};
    float *data;
    if (pixels < 0 || !ptf_shape_is_sane(&shape))
        return ptf_lower_refuse(l, "its output is too large");
    ptf_status status = ptf_lower_room(l, pixels * (axes + 1), &data);
    for (int64_t i = 0; i < pixels && status == PTF_OK; i++) {
        float *to = data + i * (axes + 1);
        int64_t rest = i;
        for (int d = axes - 1; d >= 0; rest /= size[d--])
            *to++ = (float)step_at(rest % size[d], size[d], corners);
        *to = 1;
    }
    return status == PTF_OK ? ptf_lower_constant(l, data, &shape, out) : status;
}

static ptf_status lower_affine(ptf_lowering *l, const ptf_aten_row *row)
{
    (void)row;
    ptf_attrs a = ptf_lower_defaults(PTF_OP_PERMUTE);
    int64_t size[PTF_LOWER_LIST];
    int count, theta, base, node;
    ptf_status status = ptf_lower_list(l, "size", size, &count);
    if (status == PTF_OK)
        status = ptf_lower_node(l, "theta", &theta);
    if (status != PTF_OK)
        return status;
    ptf_shape shape = l->shapes[theta];
    int axes = count - 2, first = shape.rank - 2;
    if (axes < 2 || axes > 3 || first != !l->batched ||
        shape.dim[first] != axes || shape.dim[first + 1] != axes + 1)
        return ptf_lower_refuse(l, "expected a matrix for each sample, of as "
                                   "many rows as a map has axes");
    a.dims.count = shape.rank;
    for (int d = 0; d < shape.rank; d++)
        a.dims.at[d] = d < first ? d + 1 : 2 * first + 2 - d;
    status = ptf_lower_add_one(l, PTF_OP_PERMUTE, &a, theta, &theta);
    if (status == PTF_OK)
        status = add_base(l, size + 2, axes, &base);
    if (status == PTF_OK)
        status = ptf_lower_matmul(l, base, theta, &node);
    shape.rank = first + axes + 1;
    memcpy(shape.dim + first, size + 2, (size_t)axes * sizeof(*size));
    shape.dim[first + axes] = axes;
    if (status == PTF_OK)
        status = ptf_lower_reshape(l, node, &shape, &node);
    return status == PTF_OK ? ptf_lower_give(l, node) : status;
}

const ptf_aten_row ptf_aten_sample[] = {
    {.target = "aten.grid_sampler.default", .lower = lower_sampler},
    {.target = "aten.grid_sampler_2d.default", .lower = lower_sampler},
    {.target = "aten.grid_sampler_3d.default", .lower = lower_sampler},
    {.target = "aten.affine_grid_generator.default", .lower = lower_affine},
    {0},
};
