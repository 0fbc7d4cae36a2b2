/*
 * ptfold run --data: inputs and outputs as arrays, by name.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/common/exact.h"
#include "tool/run/run.h"

#include <sys/stat.h>

enum { BATCH = 32 };

/* Arrays of all samples. */
typedef struct data_job {
    const run_options *o;
    const ptf_net *net;
    ptf_plan *plan;
    tool_inputs from_file;
    size_t inputs, outputs;
    int64_t count, batch;    /* samples */
    const ptf_shape *shapes; /* of the inputs, without the batch */
    float **out;
    const float **from; /* those of a batch */
    float **to;
    ptf_tensor *arrays; /* the outputs under all their names */
    size_t array_count;
    tool_finite *finite;
    tool_exact exact; /* of --exact */
} data_job;

static ptf_status out_of_memory(ptf_error *err)
{
    return tool_error(err, PTF_MEMORY, "out of memory");
}

/* ------------------------------------------------------------------ running */

static ptf_status prepare(data_job *j, ptf_error *err)
{
    ptf_plan_options how = {.threads = (int)j->o->threads, .inspect = true};
    int64_t most = j->o->batch > 0 ? j->o->batch : BATCH;
    j->batch = j->count < most ? j->count : most;
    ptf_status status =
        ptf_plan_make(j->net, j->shapes, j->batch, &how, &j->plan, err);
    for (size_t k = 0; k < j->outputs && status == PTF_OK; k++) {
        ptf_shape shape = ptf_plan_output(j->plan, k);
        int64_t size = ptf_shape_numel(&shape);
        j->out[k] = calloc((size_t)(j->count * size) + 1, sizeof(float));
        if (j->out[k] == NULL)
            status = out_of_memory(err);
    }
    return status;
}

static ptf_status run_batches(data_job *j, ptf_error *err)
{
    ptf_status status = PTF_OK;
    tool_progress progress;
    tool_progress_start(&progress, "running", "samples", j->count);
    for (int64_t n = 0; n < j->count && status == PTF_OK; n += j->batch) {
        int64_t left = j->count - n;
        for (size_t k = 0; k < j->inputs; k++)
            j->from[k] = tool_inputs_numbers(&j->from_file, k) +
                         n * ptf_shape_numel(&j->shapes[k]);
        for (size_t k = 0; k < j->outputs; k++) {
            ptf_shape shape = ptf_plan_output(j->plan, k);
            j->to[k] = j->out[k] + n * ptf_shape_numel(&shape);
        }
        status = ptf_plan_run_all(
            j->plan, j->from, left < j->batch ? left : j->batch, j->to, err);
        if (status == PTF_OK)
            status =
                tool_finite_layer(j->finite, ptf_plan_not_finite(j->plan), err);
        tool_progress_at(&progress, n + j->batch);
    }
    tool_progress_end(&progress);
    return status;
}

/* ------------------------------------------------------------------ outputs */

/* An array of an output's dtype, in place of its f32 numbers. */
static ptf_status make_array(data_job *j, size_t k, ptf_error *err)
{
    ptf_port port;
    ptf_shape shape = ptf_plan_output(j->plan, k);
    int64_t numbers = j->count * ptf_shape_numel(&shape);
    ptf_net_output(j->net, k, &port);
    ptf_tensor t = {.name = port.name};
    tool_set_shape(j->net, &shape, j->count, &t);
    int64_t stride = 1;
    for (int d = t.rank - 1; d >= 0; stride *= t.shape[d--])
        t.stride[d] = stride;
    void *data = calloc((size_t)numbers + 1, 8); /* of the largest dtype */
    if (data == NULL)
        return out_of_memory(err);
    ptf_status status = ptf_net_write_output(j->net, k, j->out[k], numbers,
                                             &t.dtype, data, err);
    free(j->out[k]);
    j->out[k] = data;
    t.data = data;
    j->arrays[j->array_count++] = t;
    t.name = port.alias;
    if (port.alias != NULL && j->o->npz != NULL &&
        strcmp(port.alias, port.name) != 0)
        j->arrays[j->array_count++] = t;
    return status;
}

/* What the numbers are; an output that goes by two names has a row each. */
static void print_arrays(const data_job *j)
{
    printf("%-32s %-8s %s\n", "output", "dtype", "shape");
    for (size_t i = 0; i < j->array_count; i++) {
        char shape[192];
        tool_array_shape(&j->arrays[i], shape);
        tool_print_name(stdout, j->arrays[i].name, 32);
        printf(" %-8s %s\n", ptf_dtype_name(j->arrays[i].dtype), shape);
    }
}

static void print_json(const data_job *j)
{
    tool_json json = {.out = stdout};
    json_open(&json, NULL, '{');
    json_text(&json, "program", "ptfold run");
    json_text(&json, "version", ptf_version());
    json_text(&json, "checkpoint", j->o->source.path);
    json_text(&json, "network", ptf_net_name(j->net));
    tool_json_assumption(&json, j->net, NULL);
    json_text(&json, "data", tool_inputs_source(&j->from_file, j->o->data));
    json_int(&json, "samples", j->count);
    json_open(&json, "outputs", '[');
    for (size_t i = 0; i < j->array_count; i++) {
        char shape[192];
        tool_array_shape(&j->arrays[i], shape);
        json_open(&json, NULL, '{');
        json_text(&json, "name", j->arrays[i].name);
        json_text(&json, "dtype", ptf_dtype_name(j->arrays[i].dtype));
        json_text(&json, "shape", shape);
        json_close(&json, '}');
    }
    json_close(&json, ']');
    if (j->o->exact) {
        json_open(&json, "exact", '{');
        json_int(&json, "bits", j->exact.bits);
        json_number(&json, "radius", j->exact.radius);
        json_int(&json, "not_decided", j->exact.unknown);
        json_text(&json, "not_finite_layer", j->exact.layer);
        json_close(&json, '}');
    }
    tool_json_finite(&json, j->finite);
    json_close(&json, '}');
}

/*
 * Only ptf_arrays_save() pads an entry NAME.npy as torch.save() pads its own:
 * with a field "FB" right after the name.
 */
bool run_data_wrote(const char *path)
{
    enum { NAME_SIZE = 26, NAME = 30, MOST = 256 };
    static const char end[] = ".npyFB";
    const size_t end_size = sizeof(end) - 1;
    unsigned char header[NAME + MOST];
    struct stat st; /* opening a pipe would wait */
    bool regular = stat(path, &st) == 0 && S_ISREG(st.st_mode);
    FILE *file = regular ? fopen(path, "rbe") : NULL;
    size_t size = file != NULL ? fread(header, 1, sizeof(header), file) : 0;
    if (file != NULL)
        fclose(file);
    if (size < NAME + end_size || memcmp(header, "PK\3\4", 4) != 0)
        return false;
    size_t name = header[NAME_SIZE] | (size_t)header[NAME_SIZE + 1] << 8;
    size_t to = NAME + name + 2;
    return to >= NAME + end_size && to <= size &&
           memcmp(header + to - end_size, end, end_size) == 0;
}

static ptf_status give_outputs(data_job *j, const tool_net *net, ptf_error *err)
{
    const run_options *o = j->o;
    ptf_status status = PTF_OK;
    for (size_t k = 0; k < j->outputs && status == PTF_OK; k++)
        status = make_array(j, k, err);
    status = tool_net_unchanged(net, status, err);
    bool gives_up = o->strict && !tool_finite_all(j->finite);
    const char *path = o->npz != NULL ? o->npz : o->npy;
    if (status == PTF_OK && path != NULL && !gives_up)
        status = ptf_arrays_save(path, j->arrays, j->array_count,
                                 o->npz != NULL, err);
    if (status == PTF_OK)
        (o->json ? print_json : print_arrays)(j);
    if (status == PTF_OK && !o->json && o->exact)
        tool_exact_print(&j->exact, stdout);
    return status;
}

/* --------------------------------------------------------------------- all */

static ptf_status read_inputs(data_job *j, const tool_net *net, ptf_error *err)
{
    const run_options *o = j->o;
    ptf_status status =
        o->sample ? tool_inputs_sample(net, &o->source, &j->from_file, err)
                  : tool_inputs_arrays(o->data, net, &j->from_file, err);
    j->count = j->from_file.count;
    j->shapes = j->from_file.shapes;
    return status;
}

static ptf_status allocate(data_job *j, ptf_error *err)
{
    j->from = calloc(j->inputs + 1, sizeof(*j->from));
    j->out = calloc(j->outputs, sizeof(*j->out));
    j->to = calloc(j->outputs, sizeof(*j->to));
    j->arrays = calloc(2 * j->outputs, sizeof(*j->arrays));
    bool ok =
        j->from != NULL && j->out != NULL && j->to != NULL && j->arrays != NULL;
    return ok ? PTF_OK : out_of_memory(err);
}

static void release(data_job *j)
{
    tool_inputs_free(&j->from_file);
    for (size_t k = 0; j->out != NULL && k < j->outputs; k++)
        free(j->out[k]);
    free(j->from);
    free(j->out);
    free(j->to);
    free(j->arrays);
    ptf_plan_free(j->plan);
}

ptf_status run_data(const run_options *o, const tool_net *net, int *code,
                    ptf_error *err)
{
    tool_finite finite = {.in_layer = false};
    data_job j = {.o = o,
                  .net = net->net,
                  .finite = &finite,
                  .inputs = ptf_net_input_count(net->net),
                  .outputs = ptf_net_output_count(net->net)};
    ptf_status status = o->exact ? tool_finite_weights(&finite, net->net, err)
                                 : tool_finite_hidden(&finite, net->net, err);
    if (status == PTF_OK && o->npy != NULL && j.outputs > 1)
        status = tool_error(err, PTF_ARGUMENT,
                            "%s: expected --npz for %zu outputs, got --npy",
                            o->source.path, j.outputs);
    if (status == PTF_OK)
        status = allocate(&j, err);
    if (status == PTF_OK)
        status = read_inputs(&j, net, err);
    if (status == PTF_OK)
        status = prepare(&j, err);
    if (status == PTF_OK)
        status = o->exact
                     ? tool_exact_run(net->net, &j.from_file, (int)o->bits,
                                      (int)o->threads, j.out, &j.exact, err)
                     : run_batches(&j, err);
    if (status == PTF_OK)
        status = give_outputs(&j, net, err);
    if (status == PTF_OK && !o->json)
        tool_print_assumption(net->net, NULL, stdout);
    *code = tool_finite_code(&finite, o->strict);
    release(&j);
    return status;
}
