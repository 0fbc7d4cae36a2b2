/*
 * Nets in fixed point.  The programs of the folder that is given have layers of
 * all families: four digits more move no output by more than the radius says,
 * and every instruction set and number of threads gives the same bits.  Sums of
 * products are held against rationals.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "exact/exact.h"
#include "ports.h"

#include <gmp.h>
#include <math.h>
#include <setjmp.h>
#include <stdio.h>
// clang-format off
#include <cmocka.h>
// clang-format on

static const char *folder;
static uint64_t state = 7;

/* -2 .. 2, and no more than 20 bits. */
static float draw(void)
{
    state = state * 6364136223846793005 + 1442695040888963407;
    return (float)((int64_t)(state >> 44) - (1 << 19)) * 0x1p-18f;
}

/* ------------------------------------------------------------ programs */

typedef struct program {
    ptf_program *file;
    ptf_net *net;
    ptf_shape shapes[8];
    float *in[8];
    size_t outputs;
} program;

static void open_program(const char *name, program *p)
{
    static char path[512];
    ptf_error err;
    snprintf(path, sizeof(path), "%s/%s.pt2", folder, name);
    assert_int_equal(ptf_program_open(path, NULL, &p->file, &err), PTF_OK);
    assert_int_equal(ptf_net_from_program(p->file, &p->net, &err), PTF_OK);
    p->outputs = ptf_net_output_count(p->net);
    for (size_t k = 0; k < ptf_net_input_count(p->net); k++) {
        ptf_port port;
        ptf_net_input(p->net, k, &port);
        p->shapes[k] = port.shape;
        int64_t count = ptf_shape_numel(&port.shape);
        p->in[k] = malloc((size_t)(count + 1) * sizeof(float));
        for (int64_t i = 0; i < count; i++)
            p->in[k][i] = port.dtype == PTF_DTYPE_I64 ? 1.0f : draw();
    }
}

static void close_program(program *p)
{
    for (size_t k = 0; k < ptf_net_input_count(p->net); k++)
        free(p->in[k]);
    ptf_net_free(p->net);
    ptf_program_close(p->file);
}

/* NULL where a layer is refused, as the message says. */
static ptf_exact *evaluate(const program *p, int bits, int threads)
{
    ptf_exact *exact;
    ptf_error err;
    double *value[8], *radius[8];
    ptf_status status =
        ptf_exact_make(p->net, p->shapes, bits, threads, &exact, &err);
    assert_int_equal(status, PTF_OK);
    for (size_t k = 0; k < p->outputs; k++) {
        ptf_shape shape = ptf_exact_output(exact, k);
        size_t size = (size_t)ptf_shape_numel(&shape) + 1;
        value[k] = malloc(size * sizeof(double));
        radius[k] = malloc(size * sizeof(double));
    }
    status =
        ptf_exact_run(exact, (const float *const *)p->in, value, radius, &err);
    for (size_t k = 0; k < p->outputs; k++) {
        free(value[k]);
        free(radius[k]);
    }
    if (status == PTF_OK)
        return exact;
    assert_int_equal(status, PTF_UNSUPPORTED);
    assert_non_null(strstr(err.message, "is not evaluated in fixed point"));
    ptf_exact_free(exact);
    return NULL;
}

static const ptf_fixed *output(const ptf_exact *exact, size_t k)
{
    return &exact->values[exact->root[exact->net->outputs[k].node]];
}

/* x 2^exponent */
static void scale_by(mpq_t x, int exponent)
{
    if (exponent >= 0)
        mpq_mul_2exp(x, x, (mp_bitcnt_t)exponent);
    else
        mpq_div_2exp(x, x, (mp_bitcnt_t)-exponent);
}

static void number(mpq_t x, const ptf_fixed *v, int n, int64_t i)
{
    mpz_t z;
    mpz_init(z);
    for (int l = n - 1; l >= 0; l--) {
        int64_t d = v->digits[l * v->room + i];
        mpz_mul_2exp(z, z, PTF_DIGIT_BITS);
        if (d < 0)
            mpz_sub_ui(z, z, (unsigned long)-d);
        else
            mpz_add_ui(z, z, (unsigned long)d);
    }
    mpq_set_z(x, z);
    scale_by(x, v->exponent - PTF_DIGIT_BITS * n);
    mpz_clear(z);
}

/* Whether x is no further from number i than its radius, which is infinite
 * where nothing is known. */
static bool within(const mpq_t x, const ptf_fixed *v, int n, int64_t i)
{
    mpq_t m, r;
    mpq_inits(m, r, NULL);
    number(m, v, n, i);
    mpq_sub(m, m, x);
    mpq_abs(m, m);
    bool yes = true;
    if (isfinite(v->radius[i])) {
        mpq_set_d(r, v->radius[i]);
        scale_by(r, -PTF_DIGIT_BITS * n);
        yes = mpq_cmp(m, r) <= 0;
    }
    mpq_clears(m, r, NULL);
    return yes;
}

/* True where the radii are those of n digits, and not of doubles. */
static void more_digits(const char *name, bool in_digits)
{
    program p;
    open_program(name, &p);
    ptf_exact *few = evaluate(&p, 102, 2), *many = evaluate(&p, 306, 2);
    mpq_t x;
    mpq_init(x);
    assert_int_equal(few == NULL, many == NULL);
    for (size_t k = 0; few != NULL && k < p.outputs; k++) {
        const ptf_fixed *a = output(few, k), *b = output(many, k);
        for (int64_t i = 0; few->bad < 0 && i < a->count; i++) {
            number(x, b, many->n, i);
            assert_true(within(x, a, few->n, i));
            double r = ldexp(b->radius[i], -51 * many->n);

            if (in_digits)
                assert_true(r < 0x1p-240);
        }
    }
    mpq_clear(x);
    ptf_exact_free(few);
    ptf_exact_free(many);
    close_program(&p);
}

static const struct row {
    const char *name;
    bool in_digits;
} programs[] = {
    {"branches", false}, {"choices", false}, {"counted", true},
    {"dynamic", false},  {"lookup", false},  {"moments", false},
    {"moves", false},    {"padded", true},   {"ports", false},
    {"residual", true},  {"rows", true},     {"slides", false},
    {"tokens", false},   {"twice", false},   {"windows", true},
    {"norms", true},     {"causal", false},  {"masked", false},
};

static void more_digits_stay_within(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(programs); i++)
        more_digits(programs[i].name, programs[i].in_digits);
}

static void same(const ptf_exact *a, const ptf_exact *b, const program *p)
{
    for (size_t k = 0; k < p->outputs; k++) {
        const ptf_fixed *x = output(a, k), *y = output(b, k);
        assert_int_equal(x->exponent, y->exponent);
        for (int l = 0; l < a->n; l++)
            assert_memory_equal(x->digits + l * x->room,
                                y->digits + l * y->room,
                                (size_t)x->count * sizeof(int64_t));
        /* layer norms are summed in double, as each machine does best */
        for (int64_t i = 0; i < x->count; i++)
            assert_true(
                !(fabs(x->radius[i] - y->radius[i]) > 0x1p-20 * x->radius[i]));
    }
}

static void same_bits_everywhere(void **unused)
{
    static const char *const isas[] = {"ref", "avx2", "avx512", "neon"};
    (void)unused;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(programs); i++) {
        program p;
        open_program(programs[i].name, &p);
        ptf_exact *best = evaluate(&p, 150, 1);
        for (size_t k = 0; best != NULL && k < PTF_ARRAY_SIZE(isas); k++) {
            setenv("PTF_ISA", isas[k], 1);
            ptf_exact *other = evaluate(&p, 150, 3);
            unsetenv("PTF_ISA");
            same(best, other, &p);
            ptf_exact_free(other);
        }
        ptf_exact_free(best);
        close_program(&p);
    }
}

/* ------------------------------------------------------------ rationals */

/* A net of one product, whose weights differ by up to 2^80 in a row. */
typedef struct layer {
    ptf_net net;
    ptf_node nodes[2];
    ptf_tensor tensors[2];
    float weights[512], bias[16], in[512];
    int from, inputs[1];
} layer;

static void make_layer(layer *l, ptf_op op, const ptf_attrs *attrs,
                       const ptf_shape *in)
{
    *l = (layer){
        .net = {.nodes = l->nodes, .node_count = 2, .has_tensors = true}};
    l->nodes[0] = (ptf_node){
        .op = PTF_OP_INPUT, .name = "", .class_name = "", .container = -1};
    l->nodes[1] = (ptf_node){.op = op,
                             .name = "product",
                             .class_name = "",
                             .container = -1,
                             .input_count = 1,
                             .inputs = l->inputs,
                             .attrs = *attrs};
    float *data[2] = {l->weights, l->bias};
    for (int role = 0; role < 2; role++) {
        ptf_tensor *t = &l->tensors[role];
        *t = (ptf_tensor){
            .name = "t", .dtype = PTF_DTYPE_F32, .data = data[role]};
        assert_true(
            ptf_op_parameter(op, attrs, (ptf_role)role, &t->rank, t->shape));
        int64_t stride = 1;
        for (int d = t->rank - 1; d >= 0; stride *= t->shape[d--])
            t->stride[d] = stride;
        assert_true(stride <= 512);
        for (int64_t i = 0; i < stride; i++)
            data[role][i] = draw() * (i % 7 == 3 ? 0x1p-80f : 1.0f);
        l->nodes[1].tensors[role] = t;
    }
    for (int64_t i = 0; i < ptf_shape_numel(in); i++)
        l->in[i] = draw();
    give_input(&l->net, in);
    give_output(&l->net, 1);
}

static void add_product(mpq_t sum, double a, double b)
{
    mpq_t p, q;
    mpq_inits(p, q, NULL);
    mpq_set_d(p, a);
    mpq_set_d(q, b);
    mpq_mul(p, p, q);
    mpq_add(sum, sum, p);
    mpq_clears(p, q, NULL);
}

/* Whether input position 'at' and output position 'to' of an axis meet at a
 * tap, by definition: an input of a transposed convolution goes to outputs. */
static bool meet(const layer *l, int axis, int64_t at, int64_t to, int64_t tap)
{
    const ptf_attrs *a = &l->nodes[1].attrs;
    bool turned = ptf_op_is_transposed(l->nodes[1].op);
    int64_t whole = turned ? at : to, other = turned ? to : at;
    return whole * a->stride[axis] - a->padding[axis] +
               tap * a->dilation[axis] ==
           other;
}

/* All that input channel k gives to output (c, y, x). */
static void add_channel(mpq_t sum, const layer *l, const ptf_shape *in,
                        int64_t k, int64_t c, int64_t y, int64_t x)
{
    const ptf_attrs *a = &l->nodes[1].attrs;
    int64_t own = a->out_channels / a->groups, map = in->dim[1] * in->dim[2];
    int64_t each = a->in_channels / a->groups;
    int64_t taps = a->kernel[1] * a->kernel[2];
    for (int64_t i = 0; i < map * taps; i++) {
        int64_t at = i / taps, t = i % taps;
        int64_t w = ptf_op_is_transposed(l->nodes[1].op) ? k * own + c % own
                                                         : c * each + k % each;
        if (meet(l, 1, at / in->dim[2], y, t / a->kernel[2]) &&
            meet(l, 2, at % in->dim[2], x, t % a->kernel[2]))
            add_product(sum, (double)l->weights[w * taps + t],
                        (double)l->in[k * map + at]);
    }
}

static void conv_at(mpq_t sum, const layer *l, const ptf_shape *in, int64_t c,
                    int64_t y, int64_t x)
{
    const ptf_attrs *a = &l->nodes[1].attrs;
    int64_t own = a->out_channels / a->groups;
    int64_t each = a->in_channels / a->groups;
    mpq_set_d(sum, (double)l->bias[c]);
    for (int64_t k = c / own * each; k < (c / own + 1) * each; k++)
        add_channel(sum, l, in, k, c, y, x);
}

static void hold_conv(ptf_op op, const ptf_attrs *attrs, int bits)
{
    static layer l;
    ptf_shape in = {3, {attrs->in_channels, 5, 6}};
    ptf_error err;
    ptf_exact *exact;
    make_layer(&l, op, attrs, &in);
    assert_int_equal(ptf_exact_make(&l.net, &in, bits, 2, &exact, &err),
                     PTF_OK);
    ptf_shape out = ptf_exact_output(exact, 0);
    int64_t count = ptf_shape_numel(&out), map = out.dim[1] * out.dim[2];
    double *value = malloc((size_t)count * 2 * sizeof(double));
    double *radius = value + count;
    const float *from = l.in;
    assert_int_equal(ptf_exact_run(exact, &from, &value, &radius, &err),
                     PTF_OK);
    mpq_t x;
    mpq_init(x);
    for (int64_t i = 0; i < count; i++) {
        conv_at(x, &l, &in, i / map, i % map / out.dim[2], i % out.dim[2]);
        assert_true(within(x, output(exact, 0), exact->n, i));
        assert_true(fabs(mpq_get_d(x) - value[i]) <= radius[i]);
        float low, high;
        ptf_exact_rounded(exact, 0, i, &low, &high);
        /* sums of a few terms may be ties, which no digits decide */
        double y = mpq_get_d(x);
        assert_true((double)nextafterf(low, -HUGE_VALF) < y);
        assert_true((double)nextafterf(high, HUGE_VALF) > y);
        assert_true(bits < 200 || nextafterf(low, high) >= high);
    }
    mpq_clear(x);
    free(value);
    ptf_exact_free(exact);
    ptf_arena_free(&l.net.arena);
}

/* The attributes of drawing i: groups, strides, dilations, paddings. */
static ptf_attrs draw_attrs(ptf_op op, int i)
{
    ptf_attrs a;
    ptf_attrs_default(op, &a);
    a.groups = 1 + i / 2 % 3;
    a.in_channels = a.groups * (1 + i % 3);
    a.out_channels = a.groups * (1 + i / 3 % 3);
    for (int d = 1; d < PTF_MAP_AXES; d++) {
        a.kernel[d] = 1 + (i + d) % 3;
        a.stride[d] = 1 + i / 4 % 3;
        a.dilation[d] = 1 + i / 8 % 2;
        a.padding[d] = i % 2;
    }
    return a;
}

static void sums_are_exact(void **unused)
{
    static const ptf_op ops[] = {PTF_OP_CONV2D, PTF_OP_CONV_TRANSPOSE2D};
    (void)unused;
    for (int i = 0; i < 32; i++) {
        ptf_attrs a = draw_attrs(ops[i % 2], i);
        hold_conv(ops[i % 2], &a, 51 * (1 + i % 4));
    }
}

/* ------------------------------------------------------------ norms */

/* y = W x by the definition, or with 'back' x = W^T y. */
static void apply(const layer *l, const ptf_shape *in, const ptf_shape *out,
                  bool back, double *x, double *y)
{
    const ptf_attrs *a = &l->nodes[1].attrs;
    int64_t own = a->out_channels / a->groups, map = in->dim[1] * in->dim[2];
    int64_t each = a->in_channels / a->groups, width = out->dim[2];
    int64_t taps = a->kernel[1] * a->kernel[2], to = out->dim[1] * width;
    bool turned = ptf_op_is_transposed(l->nodes[1].op);
    memset(back ? x : y, 0,
           (size_t)ptf_shape_numel(back ? in : out) * sizeof(double));
    for (int64_t i = 0; i < a->out_channels * to * each * map * taps; i++) {
        int64_t t = i % taps, at = i / taps % map, k = i / taps / map % each;
        int64_t o = i / taps / map / each, c = o / to;
        int64_t from = c / own * each + k;
        int64_t w = turned ? from * own + c % own : c * each + k;
        if (!meet(l, 1, at / in->dim[2], o % to / width, t / a->kernel[2]) ||
            !meet(l, 2, at % in->dim[2], o % width, t % a->kernel[2]))
            continue;
        double v = (double)l->weights[w * taps + t];
        if (back)
            x[from * map + at] += v * y[o];
        else
            y[o] += v * x[from * map + at];
    }
}

static double size_of(const double *x, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += x[i] * x[i];
    return sqrt(sum);
}

/* The power method on the map itself: from below. */
static double attack(const layer *l, const ptf_shape *in, const ptf_shape *out)
{
    static double x[2048], y[2048];
    int64_t count = ptf_shape_numel(in);
    double most = 0;
    assert_true(count <= 2048 && ptf_shape_numel(out) <= 2048);
    for (int64_t i = 0; i < count; i++)
        x[i] = (double)draw();
    for (int step = 0; step < 12; step++) {
        double size = size_of(x, count);
        for (int64_t i = 0; i < count; i++)
            x[i] = size > 0 ? x[i] / size : 0;
        apply(l, in, out, false, x, y);
        most = fmax(most, size_of(y, ptf_shape_numel(out)));
        apply(l, in, out, true, x, y);
    }
    return most;
}

/* Bounds are above what an attack finds, and not far above. */
static void norms_are_bounds(void **unused)
{
    static const ptf_op ops[] = {PTF_OP_CONV2D, PTF_OP_CONV_TRANSPOSE2D};
    static layer l;
    double far = 0;
    (void)unused;
    for (int i = 0; i < 48; i++) {
        ptf_attrs a = draw_attrs(ops[i % 2], i);
        ptf_shape in = {3, {a.in_channels, 5, 6}}, out;
        ptf_error err;
        ptf_exact *exact;
        make_layer(&l, ops[i % 2], &a, &in);
        assert_int_equal(ptf_exact_make(&l.net, &in, 51, 1, &exact, &err),
                         PTF_OK);
        out = ptf_exact_output(exact, 0);
        double bound = exact->numbers[1].lipschitz,
               found = attack(&l, &in, &out);
        assert_true(isfinite(bound) && bound >= found);
        far = fmax(far, bound / found);
        ptf_exact_free(exact);
        ptf_arena_free(&l.net.arena);
    }
    assert_true(far < 6);
}

/* ------------------------------------------------------------ rounding */

/* (value, radius) in units of 2^-102 to f32. */
static void round_one(double m, double r, float *low, float *high)
{
    int64_t digits[2 * PTF_LANES] = {0}, own[2];
    double radius[PTF_LANES] = {ldexp(r, 102)};
    bool exact = true;
    ptf_fixed v = {.count = 1,
                   .room = PTF_LANES,
                   .exponent = 10,
                   .digits = digits,
                   .radius = radius};
    ptf_digits_of(m, v.exponent, 2, own, &exact);
    digits[0] = own[0];
    digits[PTF_LANES] = own[1];
    *low = -HUGE_VALF;
    *high = HUGE_VALF;
    ptf_fixed_round(&v, 2, 0, low, high);
}

static void rounds_once(void **unused)
{
    static const struct {
        double m, r;
        float low, high;
    } rows[] = {
        {0, 0, 0.0f, 0.0f},
        {1, 0, 1.0f, 1.0f},
        {-1.5, 0x1p-60, -1.5f, -1.5f},
        {1 + 0x1p-24, 0, 1.0f, 1.0f}, /* a tie, to even */
        {1 + 0x1p-24, 0x1p-80, 1.0f, 1 + 0x1p-23f},
        {1 + 0x1p-23 + 0x1p-24, 0, 1 + 0x1p-22f, 1 + 0x1p-22f},
        {-(1 + 0x1p-24 + 0x1p-50), 0, -(1 + 0x1p-23f), -(1 + 0x1p-23f)},
        {-(1 + 0x1p-24 - 0x1p-50), 0x1p-70, -1.0f, -1.0f},
        {0x1p-80, 0x1p-79, -0x1p-80f, 0x1.8p-79f},
        {100, 300, -HUGE_VALF, HUGE_VALF}, /* beyond the grid's 512 */
    };
    (void)unused;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(rows); i++) {
        float low, high;
        round_one(rows[i].m, rows[i].r, &low, &high);
        assert_true(low >= rows[i].low && low <= rows[i].low);
        assert_true(high >= rows[i].high && high <= rows[i].high);
    }
}

static void refuses(void **unused)
{
    program p;
    ptf_exact *exact;
    ptf_error err;
    (void)unused;
    open_program("residual", &p);
    assert_int_equal(ptf_exact_make(p.net, p.shapes, 0, 1, &exact, &err),
                     PTF_ARGUMENT);
    assert_null(exact);
    assert_int_equal(ptf_exact_make(p.net, p.shapes, 511, 1, &exact, &err),
                     PTF_ARGUMENT);
    p.in[0][3] = NAN;
    exact = evaluate(&p, 51, 1);
    assert_string_equal(ptf_exact_undecided(exact), "x");
    float low, high;
    ptf_exact_rounded(exact, 0, 0, &low, &high);
    assert_true(isinf(low) && isinf(high));
    assert_true(isinf(ptf_exact_radius(exact, 0)));
    ptf_exact_free(exact);
    close_program(&p);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(more_digits_stay_within),
        cmocka_unit_test(same_bits_everywhere),
        cmocka_unit_test(sums_are_exact),
        cmocka_unit_test(norms_are_bounds),
        cmocka_unit_test(rounds_once),
        cmocka_unit_test(refuses),
    };
    folder = argc > 1 ? argv[1] : ".";
    return cmocka_run_group_tests(tests, NULL, NULL);
}
