/*
 * exact: what a network's outputs are in rational arithmetic, and whether
 * they lie in the enclosures that "ptfold check --enclosures" wrote.
 *
 *     exact NET.safetensors INPUTS.npy ENCLOSURES A|B
 *
 * A judge must be simple, and must not be the accused: this program shares no
 * code with the library.  It reads safetensors with the architecture in its
 * metadata and float32 .npy files, knows few layers, and computes with GMP's
 * rationals, as slowly as that is.
 *
 * Everything is exact but 1 / sqrt(var + eps), of which it takes 1000 bits
 * after the point; what that can do to an output is far below 2^-500, and
 * every ball is taken smaller by that.  For each number it prints the distance
 * from the ball's centre, rounded up, so that one can see how small the ball
 * could be.  Exit status: 0 all inside, 1 some outside, 2 not understood.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <gmp.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROOT_BITS = 1000, SLACK_BITS = 500, DEPTH = 8 };

__attribute__((noreturn, format(printf, 1, 2))) static void stop(
    const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fputs("exact: ", stderr);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
    exit(2);
}

static char *read_file(const char *path, size_t *size)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL || fseek(f, 0, SEEK_END) != 0)
        stop("%s: cannot read", path);
    *size = (size_t)ftell(f);
    rewind(f);
    char *data = calloc(1, *size + 1);
    if (data == NULL || fread(data, 1, *size, f) != *size)
        stop("%s: cannot read", path);
    fclose(f);
    return data;
}

/* ------------------------------------------------------------- safetensors */

static char *header;
static const char *payload;

/* The architecture of the metadata, its escapes undone. */
static char *architecture(void)
{
    static const char key[] = "\"architecture\":";
    const char *at = strstr(header, key);
    if (at == NULL)
        stop("no architecture in the metadata");
    at = strchr(at + strlen(key), '"') + 1;
    char *text = calloc(1, strlen(at) + 1), *to = text;
    for (; *at != '"'; at++) {
        if (*at == '\\' && *++at == 'n')
            *to++ = '\n';
        else
            *to++ = *at;
    }
    return text;
}

/* A float32 tensor, or NULL when there is none of that name. */
static const char *tensor(const char *prefix, const char *role)
{
    char key[256];
    long begin, end;
    snprintf(key, sizeof(key), "\"%s.%s\":", prefix, role);
    const char *at = strstr(header, key);
    if (at == NULL)
        return NULL;
    const char *close = strchr(at, '}');
    const char *offsets = strstr(at, "\"data_offsets\":");
    const char *dtype = strstr(at, "\"F32\"");
    if (offsets == NULL || offsets > close || dtype == NULL || dtype > close ||
        sscanf(strchr(offsets, '['), "[%ld,%ld]", &begin, &end) != 2)
        stop("%s is not understood", key);
    return payload + begin;
}

static double element(const char *data, long i)
{
    float x;
    memcpy(&x, data + 4 * i, sizeof(x));
    if (!isfinite(x))
        stop("a number is not finite");
    return (double)x;
}

/* ------------------------------------------------------------------- values */

typedef struct value {
    long c, h, w;
    mpq_t *x;
} value;

static value new_value(long c, long h, long w)
{
    value v = {c, h, w, malloc((size_t)(c * h * w) * sizeof(mpq_t))};
    for (long i = 0; i < c * h * w; i++)
        mpq_init(v.x[i]);
    return v;
}

static void replace(value *old, value by)
{
    for (long i = 0; i < old->c * old->h * old->w; i++)
        mpq_clear(old->x[i]);
    free(old->x);
    *old = by;
}

/* sum += x y */
static void add_product(mpq_t sum, double x, const mpq_t y)
{
    mpq_t p;
    mpq_init(p);
    mpq_set_d(p, x);
    mpq_mul(p, p, y);
    mpq_add(sum, sum, p);
    mpq_clear(p);
}

/* ------------------------------------------------------------------- layers */

/* The numbers after "key=" in a layer's text, or 'otherwise'. */
static void pair(const char *text, const char *key, long otherwise, long out[2])
{
    char find[64];
    snprintf(find, sizeof(find), "%s=", key);
    const char *at = strstr(text, find);
    out[0] = out[1] = otherwise;
    if (at == NULL)
        return;
    at += strlen(find);
    int found = sscanf(at, *at == '(' ? "(%ld, %ld" : "%ld", &out[0], &out[1]);
    if (found == 1)
        out[1] = out[0];
}

static double real(const char *text, const char *key)
{
    const char *at = strstr(text, key);
    if (at == NULL)
        stop("%s: no %s", text, key);
    return strtod(at + strlen(key), NULL);
}

typedef struct window {
    long kernel[2], stride[2], padding[2], dilation[2];
} window;

static window read_window(const char *text)
{
    window w;
    pair(text, "kernel_size", 1, w.kernel);
    pair(text, "stride", 1, w.stride);
    pair(text, "padding", 0, w.padding);
    pair(text, "dilation", 1, w.dilation);
    return w;
}

static long places(const window *w, int axis, long size)
{
    return (size + 2 * w->padding[axis] -
            w->dilation[axis] * (w->kernel[axis] - 1) - 1) /
               w->stride[axis] +
           1;
}

/* The number under tap (i, k) of the window at (y, x), NULL in the padding. */
static mpq_t *under(const value *v, const window *w, long c, const long at[2],
                    const long tap[2])
{
    long size[2] = {v->h, v->w}, place[2];
    for (int i = 0; i < 2; i++) {
        place[i] =
            at[i] * w->stride[i] - w->padding[i] + tap[i] * w->dilation[i];
        if (place[i] < 0 || place[i] >= size[i])
            return NULL;
    }
    return &v->x[(c * v->h + place[0]) * v->w + place[1]];
}

static void convolve(value *v, const char *name, const char *text)
{
    long in, out, groups[2], t[2];
    window w = read_window(text);
    pair(text, "groups", 1, groups);
    const char *weight = tensor(name, "weight"), *bias = tensor(name, "bias");
    if (weight == NULL ||
        sscanf(strchr(text, '('), "(%ld, %ld", &in, &out) != 2)
        stop("%s: no weight", name);
    long each = in / groups[0], area = w.kernel[0] * w.kernel[1];
    value y = new_value(out, places(&w, 0, v->h), places(&w, 1, v->w));
    for (long i = 0; i < out * y.h * y.w; i++) {
        long o = i / (y.h * y.w), at[2] = {i / y.w % y.h, i % y.w};
        long first = o / (out / groups[0]) * each;
        for (long k = 0; k < each * area; k++) {
            t[0] = k % area / w.kernel[1];
            t[1] = k % w.kernel[1];
            mpq_t *x = under(v, &w, first + k / area, at, t);
            if (x != NULL)
                add_product(y.x[i], element(weight, o * each * area + k), *x);
        }
        mpq_t b;
        mpq_init(b);
        mpq_set_d(b, bias != NULL ? element(bias, o) : 0);
        mpq_add(y.x[i], y.x[i], b);
        mpq_clear(b);
    }
    replace(v, y);
}

/* A linear layer is a convolution of the whole map with itself. */
static void multiply(value *v, const char *name, const char *text)
{
    char same[128];
    long n = v->c * v->h * v->w;
    *v = (value){n, 1, 1, v->x};
    snprintf(same, sizeof(same), "Conv2d(%ld, %ld, kernel_size=(1, 1))", n,
             (long)real(text, "out_features="));
    convolve(v, name, same);
}

/* The root of q, of which ROOT_BITS after the point are right. */
static void set_root(mpq_t q)
{
    mpz_t n;
    mpz_init(n);
    mpq_mul_2exp(q, q, 2 * ROOT_BITS);
    mpz_tdiv_q(n, mpq_numref(q), mpq_denref(q));
    mpz_sqrt(n, n);
    mpq_set_z(q, n);
    mpq_div_2exp(q, q, ROOT_BITS);
    mpz_clear(n);
}

static void normalise(value *v, const char *name, const char *text)
{
    const char *mean = tensor(name, "running_mean");
    const char *var = tensor(name, "running_var");
    const char *gamma = tensor(name, "weight"), *beta = tensor(name, "bias");
    double eps = real(text, "eps=");
    mpq_t root, n;
    mpq_inits(root, n, NULL);
    for (long i = 0; i < v->c * v->h * v->w; i++) {
        long c = i / (v->h * v->w);
        mpq_set_d(root, element(var, c));
        mpq_set_d(n, eps);
        mpq_add(root, root, n);
        set_root(root);
        mpq_set_d(n, element(mean, c));
        mpq_sub(v->x[i], v->x[i], n);
        mpq_div(v->x[i], v->x[i], root);
        mpq_set_d(n, gamma != NULL ? element(gamma, c) : 1);
        mpq_mul(v->x[i], v->x[i], n);
        mpq_set_d(n, beta != NULL ? element(beta, c) : 0);
        mpq_add(v->x[i], v->x[i], n);
    }
    mpq_clears(root, n, NULL);
}

static void rectify(value *v, double slope)
{
    mpq_t s;
    mpq_init(s);
    mpq_set_d(s, slope);
    for (long i = 0; i < v->c * v->h * v->w; i++)
        if (mpq_sgn(v->x[i]) < 0)
            mpq_mul(v->x[i], v->x[i], s);
    mpq_clear(s);
}

/* The largest number of each window, or the mean of those inside. */
static void pool(value *v, const char *text, int largest)
{
    window w = read_window(text);
    if (strstr(text, "ceil_mode=True") || w.padding[0] || w.padding[1])
        stop("%s is not known here", text);
    value y = new_value(v->c, places(&w, 0, v->h), places(&w, 1, v->w));
    long area = w.kernel[0] * w.kernel[1];
    for (long i = 0; i < y.c * y.h * y.w; i++) {
        long at[2] = {i / y.w % y.h, i % y.w};
        for (long k = 0; k < area; k++) {
            long t[2] = {k / w.kernel[1], k % w.kernel[1]};
            mpq_t *x = under(v, &w, i / (y.h * y.w), at, t);
            if (!largest)
                mpq_add(y.x[i], y.x[i], *x);
            else if (k == 0 || mpq_cmp(*x, y.x[i]) > 0)
                mpq_set(y.x[i], *x);
        }
        mpz_mul_ui(mpq_denref(y.x[i]), mpq_denref(y.x[i]),
                   largest ? 1 : (unsigned long)area);
        mpq_canonicalize(y.x[i]);
    }
    replace(v, y);
}

static int is(const char *text, const char *class_name)
{
    size_t size = strlen(class_name);
    return strncmp(text, class_name, size) == 0 && text[size] == '(';
}

static void run_layer(value *v, const char *name, const char *text)
{
    if (is(text, "Conv2d"))
        convolve(v, name, text);
    else if (is(text, "Linear"))
        multiply(v, name, text);
    else if (is(text, "BatchNorm1d") || is(text, "BatchNorm2d"))
        normalise(v, name, text);
    else if (is(text, "ReLU"))
        rectify(v, 0);
    else if (is(text, "LeakyReLU"))
        rectify(v, real(text, "negative_slope="));
    else if (is(text, "MaxPool2d") || is(text, "AvgPool2d"))
        pool(v, text, text[0] == 'M');
    else if (!is(text, "Flatten") && !is(text, "Dropout"))
        stop("%s is not known here", text);
}

/* All layers of the text in their order; names are those of the containers. */
static void run_net(value *v, char *text)
{
    char names[DEPTH + 1][256] = {""};
    int depth = -1;
    for (char *line = strtok(text, "\n"); line != NULL;
         line = strtok(NULL, "\n")) {
        line += strspn(line, " ");
        if (*line == '#')
            continue;
        if (*line == ')') {
            depth--;
            continue;
        }
        char name[128] = "", *class_name = line;
        if (sscanf(line, "(%127[^)])", name) == 1)
            class_name = strchr(line, ':') + 2;
        const char *above = depth >= 0 ? names[depth] : "";
        char full[256];
        snprintf(full, sizeof(full), "%.120s%s%.120s", above,
                 *above != '\0' ? "." : "", name);
        if (line[strlen(line) - 1] == '(') {
            if (++depth == DEPTH)
                stop("containers are too deep");
            strcpy(names[depth], full);
        } else {
            run_layer(v, full, class_name);
        }
    }
}

/* ---------------------------------------------------------------- the judge */

/* |x - m|, rounded up, and whether it is within r and the slack. */
static int inside(const mpq_t x, double m, double r, double *distance)
{
    mpq_t d, limit, slack;
    mpq_inits(d, limit, slack, NULL);
    mpq_set_d(d, m);
    mpq_sub(d, x, d);
    mpq_abs(d, d);
    mpq_set_d(slack, 1);
    mpq_div_2exp(slack, slack, SLACK_BITS);
    mpq_add(d, d, slack);
    mpq_set_d(limit, r);
    int yes = mpq_cmp(d, limit) <= 0 || (!(r > 0) && mpq_cmp(d, slack) == 0);
    *distance = nextafter(mpq_get_d(d), HUGE_VAL);
    mpq_clears(d, limit, slack, NULL);
    return yes;
}

/* Sample n of a .npy of float32, [samples][c][h][w]. */
static value read_sample(const char *npy, size_t size, long n)
{
    long all, c = 1, h = 1, w = 1;
    const char *shape = strstr(npy + 10, "'shape': (");
    if (shape == NULL || strstr(npy + 10, "'<f4'") == NULL ||
        sscanf(shape, "'shape': (%ld, %ld, %ld, %ld)", &all, &c, &h, &w) < 4)
        stop("expected float32 of four dimensions");
    value v = new_value(c, h, w);
    const char *data = npy + size - 4 * all * c * h * w;
    for (long i = 0; i < c * h * w; i++)
        mpq_set_d(v.x[i], element(data, n * c * h * w + i));
    return v;
}

int main(int argc, char **argv)
{
    if (argc != 5)
        stop("usage: exact NET.safetensors INPUTS.npy ENCLOSURES A|B");
    size_t size, npy_size;
    char *file = read_file(argv[1], &size),
         *npy = read_file(argv[2], &npy_size);
    uint64_t header_size;
    memcpy(&header_size, file, 8);
    header = strndup(file + 8, header_size);
    payload = file + 8 + header_size;
    FILE *f = fopen(argv[3], "r");
    if (f == NULL)
        stop("%s: cannot read", argv[3]);
    char line[512], side;
    long sample, output, now = -1, count = 0, outside = 0;
    double m, r, distance;
    value v = {0, 0, 0, NULL};
    while (fgets(line, sizeof(line), f) != NULL) {
        if (line[0] == '#' || line[0] != argv[4][0])
            continue;
        if (sscanf(line, "%c %ld %ld %lf %lf", &side, &sample, &output, &m,
                   &r) != 5 ||
            !isfinite(m) || !isfinite(r))
            stop("%s: not understood: %s", argv[3], line);
        if (sample != now) {
            char *text = architecture();
            replace(&v, read_sample(npy, npy_size, now = sample));
            run_net(&v, text);
            free(text);
        }
        if (output >= v.c * v.h * v.w)
            stop("output %ld of %ld", output, v.c * v.h * v.w);
        int yes = inside(v.x[output], m, r, &distance);
        printf("%c %ld %ld %a %a%s\n", side, sample, output, m, distance,
               yes ? "" : " OUTSIDE");
        count++;
        outside += !yes;
    }
    if (count == 0)
        stop("%s: no enclosures of %s", argv[3], argv[4]);
    replace(&v, (value){0, 0, 0, NULL});
    fclose(f);
    free(header);
    free(npy);
    free(file);
    return outside > 0;
}
