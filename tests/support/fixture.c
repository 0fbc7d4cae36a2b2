/*
 * Checkpoints in memory, as safetensors.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "fixture.h"

const ptf_net_options fixture_in_order = {.size = sizeof(fixture_in_order),
                                          .in_order = true};

static float next_number(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return (float)(*state >> 8) / (float)(1 << 23) - 1.0f;
}

static void fill(fixture_entry *e, bool is_variance, uint32_t *state)
{
    float *numbers = e->data;
    for (size_t i = 0; i < e->size / sizeof(float); i++) {
        float x = next_number(state);
        numbers[i] = is_variance ? 1.0f + x / 2 : x;
    }
}

static void add_entry(fixture *f, const ptf_node *node, ptf_role role,
                      uint32_t *state)
{
    fixture_entry *e = &f->entries[f->count];
    char room[PTF_PARAMETER_NAME];
    if (!ptf_node_parameter(node, role, &e->rank, e->shape))
        return;
    snprintf(e->name, sizeof(e->name), "%s",
             ptf_node_tensor_name(node, role, room));
    for (int i = 0; i < f->count; i++) {
        if (strcmp(f->entries[i].name, e->name) == 0)
            return; /* of several layers */
    }
    assert_true(f->count++ < FIXTURE_MAX);
    bool counts = role == PTF_ROLE_NUM_BATCHES;
    e->dtype = counts ? "I64" : "F32";
    e->size = counts ? 8 : 4;
    for (int d = 0; d < e->rank; d++)
        e->size *= (size_t)e->shape[d];
    e->data = calloc(1, e->size);
    if (!counts)
        fill(e, role == PTF_ROLE_RUNNING_VAR, state);
}

void fixture_init(fixture *f, const char *text)
{
    *f = (fixture){.text = text};
    ptf_net *net = fixture_net(text);
    uint32_t state = 1;
    for (int i = 1; i < net->node_count; i++) {
        for (int role = 0; role < PTF_ROLE_COUNT; role++)
            add_entry(f, &net->nodes[i], (ptf_role)role, &state);
    }
    ptf_net_free(net);
}

void fixture_free(fixture *f)
{
    ptf_net_free(f->net);
    ptf_checkpoint_close(f->ckpt);
    for (int i = 0; i < f->count; i++)
        free(f->entries[i].data);
    free(f->bytes);
}

fixture_entry *fixture_entry_of(fixture *f, const char *name)
{
    for (int i = 0; i < f->count; i++) {
        if (strcmp(f->entries[i].name, name) == 0)
            return &f->entries[i];
    }
    fail_msg("the fixture has no %s", name);
    return NULL;
}

float *fixture_numbers(fixture *f, const char *name)
{
    return fixture_entry_of(f, name)->data;
}

void fixture_remove(fixture *f, const char *name)
{
    fixture_entry *e = fixture_entry_of(f, name);
    free(e->data);
    *e = f->entries[--f->count];
}

/* ----------------------------------------------------------------- writing */

static void write_header(const fixture *f, FILE *out)
{
    size_t offset = 0;
    fprintf(out, "{");
    for (int i = 0; i < f->count; i++) {
        const fixture_entry *e = &f->entries[i];
        fprintf(out, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[", i > 0 ? "," : "",
                e->name, e->dtype);
        for (int d = 0; d < e->rank; d++)
            fprintf(out, "%s%lld", d > 0 ? "," : "", (long long)e->shape[d]);
        fprintf(out, "],\"data_offsets\":[%zu,%zu]}", offset, offset + e->size);
        offset += e->size;
    }
    fprintf(out, "}");
}

void fixture_open(fixture *f)
{
    char *header = NULL, *all = NULL;
    size_t header_size = 0, size = 0;
    FILE *out = open_memstream(&header, &header_size);
    write_header(f, out);
    fclose(out);
    out = open_memstream(&all, &size);
    uint64_t padded = (header_size + 7) / 8 * 8;
    fwrite(&padded, 8, 1, out);
    fprintf(out, "%-*s", (int)padded, header);
    for (int i = 0; i < f->count; i++)
        fwrite(f->entries[i].data, 1, f->entries[i].size, out);
    fclose(out);
    free(header);
    f->bytes = (unsigned char *)all;
    ptf_error err;
    if (ptf_checkpoint_open_memory(f->bytes, size, "made.safetensors", NULL,
                                   &f->ckpt, &err) != PTF_OK)
        fail_msg("%s", err.message);
}

void fixture_make(fixture *f)
{
    ptf_error err;
    fixture_open(f);
    if (ptf_net_make(f->text, "text", f->ckpt, &fixture_in_order, &f->net,
                     &err) != PTF_OK)
        fail_msg("%s", err.message);
}

void fixture_build(fixture *f, const char *text)
{
    fixture_init(f, text);
    fixture_make(f);
}

/* -------------------------------------------------------------------- nets */

ptf_net *fixture_net(const char *text)
{
    ptf_net *net;
    ptf_error err;
    if (ptf_net_make(text, "text", NULL, &fixture_in_order, &net, &err) !=
        PTF_OK)
        fail_msg("%s", err.message);
    return net;
}

char *fixture_text(const ptf_net *net)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    ptf_net_print_text(net, out);
    fclose(out);
    return text;
}

ptf_net *fixture_rewrite(const ptf_net *net, const char *rewrite,
                         const char *input)
{
    ptf_net *out;
    ptf_error err;
    ptf_shape shape;
    if (input != NULL)
        assert_true(ptf_shape_parse(input, &shape));
    if (ptf_net_rewrite(net, ptf_rewrite_find(rewrite),
                        input != NULL ? &shape : NULL, &out, &err) != PTF_OK)
        fail_msg("%s", err.message);
    return out;
}

const char fixture_small[] =
    "# input: 2x6x5\n"
    "Small(\n"
    "  (conv): Sequential(\n"
    "    (0): " CONV(
        2,
        3) "\n"
           "    (1): " BN2(
               3) "\n"
                  "    (2): ReLU()\n"
                  "  )\n"
                  "  (fc1): Sequential(\n"
                  "    (0): Linear(in_features=36, out_features=5, bias=False)\n"
                  "    (1): Dropout(p=0.5, inplace=False)\n"
                  "    (2): " BN1(
                      5) "\n"
                         "    (3): ReLU()\n"
                         "  )\n"
                         "  (fc2): Linear(in_features=5, out_features=4, bias=True)\n"
                         "  (probability): Softmax(dim=1)\n"
                         ")\n";

const char fixture_mixed[] =
    "# input: 4x21x18\n"
    "Sequential(\n"
    "  (0): Conv2d(4, 8, kernel_size=(3, 2), stride=(2, 1), padding=(1, 0), "
    "groups=2, bias=False)\n"
    "  (1): " BN2(
        8) "\n"
           "  (2): LeakyReLU(negative_slope=0.1)\n"
           "  (3): AvgPool2d(kernel_size=2, stride=2, padding=0, ceil_mode=False)\n"
           "  (4): Conv2d(8, 6, kernel_size=(1, 1), stride=(1, 1))\n"
           "  (5): BatchNorm2d(6, eps=1e-05, momentum=0.1, affine=False, "
           "track_running_stats=True)\n"
           "  (6): Sigmoid()\n"
           "  (7): MaxPool2d(kernel_size=3, stride=2, padding=1, dilation=1, "
           "ceil_mode=False)\n"
           "  (8): Tanh()\n"
           "  (9): AdaptiveAvgPool2d(output_size=(2, 3))\n"
           "  (10): Dropout(p=0.5, inplace=False)\n"
           "  (11): Flatten(start_dim=1, end_dim=-1)\n"
           "  (12): Linear(in_features=36, out_features=7, bias=False)\n"
           "  (13): " BN1(
               7) "\n"
                  "  (14): ReLU()\n"
                  "  (15): Linear(in_features=7, out_features=5, bias=True)\n"
                  "  (16): Softmax(dim=1)\n"
                  ")\n";

float *fixture_run(const ptf_net *net, const char *input, int count,
                   int64_t *numel)
{
    ptf_plan *plan;
    ptf_error err;
    ptf_shape shape;
    assert_true(ptf_shape_parse(input, &shape));
    if (ptf_plan_make(net, &shape, count, NULL, &plan, &err) != PTF_OK)
        fail_msg("%s", err.message);
    ptf_shape out_shape = ptf_plan_output(plan, 0);
    *numel = count * ptf_shape_numel(&out_shape);
    size_t in_size = (size_t)(count * ptf_shape_numel(&shape));
    float *in = malloc(in_size * sizeof(float));
    float *out = malloc((size_t)*numel * sizeof(float));
    ptf_random_fill(3, 0, in, in_size);
    if (ptf_plan_run(plan, in, count, out, &err) != PTF_OK)
        fail_msg("%s", err.message);
    free(in);
    ptf_plan_free(plan);
    return out;
}

void fixture_same_bits(const ptf_net *a, const ptf_net *b, const char *input)
{
    int64_t a_count, b_count;
    float *x = fixture_run(a, input, 7, &a_count),
          *y = fixture_run(b, input, 7, &b_count);
    assert_int_equal(a_count, b_count);
    assert_memory_equal(x, y, (size_t)a_count * sizeof(float));
    free(x);
    free(y);
}

const ptf_tensor *fixture_tensor(const ptf_net *net, const char *name)
{
    for (size_t i = 0; i < ptf_net_tensor_count(net); i++) {
        if (strcmp(ptf_net_tensor(net, i)->name, name) == 0)
            return ptf_net_tensor(net, i);
    }
    fail_msg("the net has no %s", name);
    return NULL;
}
