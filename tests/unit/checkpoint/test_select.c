/*
 * Which state dict is meant: layouts of checkpoints as training frameworks
 * write them, in a short notation, with and without a known network.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "make_checkpoint.h"
#include "tensor/tensor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MESSAGE_SIZE = sizeof((ptf_error){0}.message) };

/* ---------------------------------------------------------------- notation */

/*
 * {key=value key=value} is a dict, [value value] a list, <Class key=value>
 * a module of that class with these children and parameters, 2x3 a tensor of
 * that shape, . one without dimensions, # the number 3.
 */
typedef struct writer {
    const char *at;
    char bytes[32768];
    size_t size;
} writer;

static void put(writer *w, const void *data, size_t size)
{
    assert_true(w->size + size <= sizeof(w->bytes));
    memcpy(w->bytes + w->size, data, size);
    w->size += size;
}

#define PUT(w, text) put(w, text, sizeof(text) - 1)

static void put_text(writer *w, const char *text, size_t size)
{
    uint8_t length[4];
    forge_put(length, size, 4);
    PUT(w, "X");
    put(w, length, sizeof(length));
    put(w, text, size);
}

static void put_tensor(writer *w)
{
    char size[64] = "(", stride[64] = "(";
    size_t at = 1;
    for (; *w->at >= '0' && *w->at <= '9'; w->at += *w->at == 'x') {
        size[at] = stride[at] = 'K';
        size[at + 1] = (char)strtol(w->at, (char **)(uintptr_t)&w->at, 10);
        stride[at + 1] = 0;
        at += 2;
    }
    w->at += *w->at == '.';
    size[at] = stride[at] = 't';
    PUT(w, "ctorch._utils\n_rebuild_tensor_v2\n(" FORGE_STORAGE(
               "FloatStorage", "0", "\6") "K\0");
    put(w, size, at + 1);
    put(w, stride, at + 1);
    PUT(w, "\x89" FORGE_ORDERED "tR");
}

static void put_value(writer *w);

static void put_pairs(writer *w, char end)
{
    PUT(w, "}(");
    while (*w->at != end) {
        size_t size = strcspn(w->at, "=");
        put_text(w, w->at, size);
        w->at += size + 1;
        put_value(w);
        w->at += *w->at == ' ';
    }
    PUT(w, "u");
    w->at++;
}

/* All in _modules: the reader does not care what a child is. */
static void put_module(writer *w)
{
    size_t size = strcspn(w->at, " ");
    PUT(w, "c");
    put(w, w->at, size);
    PUT(w, "\n)\x81}(");
    put_text(w, "_modules", 8);
    w->at += size + 1;
    put_pairs(w, '>');
    PUT(w, "ub");
}

static void put_value(writer *w)
{
    switch (*w->at++) {
    case '{': put_pairs(w, '}'); break;
    case '<': put_module(w); break;
    case '#': PUT(w, "K\3"); break;
    case '[':
        PUT(w, "](");
        while (*w->at != ']') {
            put_value(w);
            w->at += *w->at == ' ';
        }
        PUT(w, "e");
        w->at++;
        break;
    default: w->at--; put_tensor(w);
    }
}

/* "0.weight:2x3 0.bias:2", with ? after the name of an optional one. */
static size_t read_parameters(const char *text, ptf_parameter out[8],
                              char names[8][64])
{
    size_t count = 0;
    while (*text != '\0') {
        size_t size = strcspn(text, ":?");
        ptf_parameter *p = &out[count];
        memcpy(names[count], text, size);
        names[count][size] = '\0';
        *p = (ptf_parameter){.name = names[count],
                             .optional = text[size] == '?'};
        count++;
        text += size + 1 + (text[size] == '?');
        for (; *text >= '0' && *text <= '9'; text += *text == 'x')
            p->shape[p->rank++] = strtol(text, (char **)(uintptr_t)&text, 10);
        text += *text == ' ';
    }
    return count;
}

/* "PLACE: name name +LEFT_OUT", or the message. */
static void select_in(const char *layout, const char *key,
                      const char *parameters, ptf_status *status,
                      char found[MESSAGE_SIZE])
{
    static forge_zip zip;
    static writer w;
    ptf_parameter wanted[8];
    char names[8][64];
    w = (writer){.at = layout};
    PUT(&w, "\x80\2");
    put_value(&w);
    PUT(&w, ".");
    forge_make_checkpoint(w.bytes, w.size, forge_numbers, sizeof(forge_numbers),
                          &zip);
    ptf_open_options options = {.key = key, .parameters = wanted};
    options.parameter_count = read_parameters(parameters, wanted, names);
    ptf_checkpoint *ckpt;
    ptf_error err;
    *status = ptf_checkpoint_open_memory(zip.bytes, zip.size, "f", &options,
                                         &ckpt, &err);
    if (*status != PTF_OK) {
        snprintf(found, MESSAGE_SIZE, "%s", err.message);
        return;
    }
    size_t left_out;
    const char *example;
    const char *place = ptf_checkpoint_key(ckpt, &left_out, &example);
    int at = snprintf(found, MESSAGE_SIZE, "%s:", place);
    for (size_t i = 0; i < ptf_checkpoint_tensor_count(ckpt); i++)
        at += snprintf(found + at, MESSAGE_SIZE - (size_t)at, " %s",
                       ptf_checkpoint_tensor(ckpt, i)->name);
    if (left_out > 0)
        snprintf(found + at, MESSAGE_SIZE - (size_t)at, " +%zu %s", left_out,
                 example);
    ptf_checkpoint_close(ckpt);
}

/* ------------------------------------------------------------------ layouts */

#define NET   "{0.weight=2x3 0.bias=2}"
#define OPT   "{state={a={m=2x3}} param_groups=[]}"
#define WANT  "0.weight:2x3 0.bias:2"
#define LIGHT "pytorch-lightning_version=# "
#define TWO   "got 2, with so many tensors: "

static const struct layout {
    const char *layout, *key, *parameters;
    ptf_status status;
    const char *text;
} layouts[] = {
    /* nothing is known of the network */
    {NET, NULL, "", PTF_OK, ": 0.weight 0.bias"},
    {"{epoch=# state_dict=" NET "}", NULL, "", PTF_OK,
     "state_dict: 0.weight 0.bias"},
    {"{state_dict=" NET " best_acc1=.}", NULL, "", PTF_OK,
     "state_dict: 0.weight 0.bias +1 best_acc1"},
    {"{rng_state=6 model=" NET " cuda=[6 6]}", NULL, "", PTF_OK,
     "model: 0.weight 0.bias +3 rng_state"},
    {"{model=" NET " normalizer={mean=3 std=3}}", NULL, "", PTF_OK,
     "model: 0.weight 0.bias +2 normalizer.mean"},
    {"{model=" NET " class_weights=3 metric={best=. last.ckpt=.}}", NULL, "",
     PTF_OK, "model: 0.weight 0.bias +3 class_weights"},
    {"[# [" OPT " " OPT "] " NET "]", NULL, "", PTF_OK, "2: 0.weight 0.bias"},
    {"{model=" NET " opts=[" OPT " " OPT "] o={g=" OPT " d=" OPT "}}", NULL, "",
     PTF_OK, "model: 0.weight 0.bias"},
    {"{model=" NET " criterion={weight=3}}", NULL, "", PTF_OK,
     "model: 0.weight 0.bias +1 criterion.weight"},
    {"{model=" NET " criterion={weight=3 pos_weight=3}}", NULL, "", PTF_OK,
     "model: 0.weight 0.bias +2 criterion.weight"},
    {"{model=" NET " loss=<torch.nn.modules.loss\nCrossEntropyLoss weight=3>}",
     NULL, "", PTF_OK, "model: 0.weight 0.bias"},
    {"{model=" NET " ema={decay=# shadow_params=[2x3 2]}}", NULL, "", PTF_OK,
     "model: 0.weight 0.bias +2 ema.shadow_params.0"},
    {"{" LIGHT "state_dict=" NET " callbacks={EMA={w=" NET "}} loops={f=" NET
     "} hyper_parameters={net=<a\nNet 0.weight=2x3>} optimizer_states=[" OPT
     "]}",
     NULL, "", PTF_OK, "state_dict: 0.weight 0.bias"},
    {"{state_dict=" NET " callbacks=" NET "}", NULL, "", PTF_ARGUMENT,
     TWO "'state_dict' (2), 'callbacks' (2); choose one with --key"},
    {"{model={weight=2x3 bias=2} sizes=[2 3]}", NULL, "", PTF_OK,
     "model: weight bias +2 sizes.0"},
    {"{a=[2] b={w=3}}", NULL, "", PTF_ARGUMENT, TWO "'a' (1), 'b' (1)"},
    {"{opt=" OPT "}", NULL, "", PTF_OK, ": opt.state.a.m"},
    /* two that may be meant: none is preferred */
    {"{netG=" NET " netD=" NET " best=.}", NULL, "", PTF_ARGUMENT,
     TWO "'netG' (2), 'netD' (2); choose one with --key"},
    {"{state={model=" NET "} ema={shadow=" NET "}}", NULL, "", PTF_ARGUMENT,
     TWO "'state.model' (2), 'ema.shadow' (2)"},
    {"{model=<a\nNet 0.weight=2x3 0.bias=2> ema=<a\nNet 0.weight=2x3>}", NULL,
     "", PTF_ARGUMENT, TWO "'model' (2), 'ema' (1)"},
    {"{model=" NET " model_ema={module.0.weight=2x3 module.0.bias=2 n=.}}",
     NULL, WANT, PTF_ARGUMENT, TWO "'model' (2), 'model_ema.module' (2)"},
    {"{state_dict={0.module.weight=2x3 0.module.bias=2} ema=" NET "}", NULL,
     WANT, PTF_ARGUMENT, TWO "'state_dict' (2), 'ema' (2)"},
    {"{encoder_q.0.weight=2x3 encoder_q.0.bias=2 encoder_k.0.weight=2x3 "
     "encoder_k.0.bias=2 queue=4x4}",
     NULL, WANT, PTF_ARGUMENT, TWO "'encoder_q' (2), 'encoder_k' (2)"},
    {"{student={module.backbone.0.weight=2x3 module.backbone.0.bias=2} "
     "teacher={backbone.0.weight=2x3 backbone.0.bias=2}}",
     NULL, WANT, PTF_ARGUMENT,
     TWO "'student.module.backbone' (2), 'teacher.backbone' (2)"},
    {"{student={module.backbone.0.weight=2x3 module.backbone.0.bias=2} "
     "teacher={backbone.0.weight=2x3 backbone.0.bias=2}}",
     "student.module.backbone", WANT, PTF_OK,
     "student.module.backbone: 0.weight 0.bias"},
    /* the network decides */
    {"{netG=" NET " netD={0.weight=1x2 0.bias=1}}", NULL, WANT, PTF_OK,
     "netG: 0.weight 0.bias +2 netD.0.weight"},
    {"{netG={0.weight=2x2 0.bias=2 1.weight=2} netD=" NET "}", NULL, WANT,
     PTF_OK, "netD: 0.weight 0.bias +3 netG.0.weight"},
    {"{state_dict={model.0.weight=2x3 model.0.bias=2 criterion.weight=3}}",
     NULL, WANT, PTF_OK,
     "state_dict.model: 0.weight 0.bias +1 state_dict.criterion.weight"},
    {"{state_dict={model.0.weight=2x3 model.0.bias=2}}", "state_dict", WANT,
     PTF_OK, "state_dict.model: 0.weight 0.bias"},
    {"{n_averaged=. module.0.weight=2x3 module.0.bias=2}", NULL, WANT, PTF_OK,
     "module: 0.weight 0.bias +1 n_averaged"},
    {"{_orig_mod.module.0.weight=2x3 _orig_mod.module.0.bias=2}", NULL, WANT,
     PTF_OK, "_orig_mod.module: 0.weight 0.bias"},
    {"{a._orig_mod.0.weight=2x3 a._orig_mod.0.bias=2}", NULL,
     "a.0.weight:2x3 a.0.bias:2", PTF_OK, ": a.0.weight a.0.bias"},
    {"{a.0.weight=2x3 a.0.bias=2}", NULL,
     "a.module.0.weight:2x3 a.module.0.bias:2", PTF_OK,
     ": a.module.0.weight a.module.0.bias"},
    {"{module={a.module.0.weight=2x3 a.module.0.bias=2} rng=6}", NULL,
     "a.0.weight:2x3 a.0.bias:2", PTF_OK, "module: a.0.weight a.0.bias +1 rng"},
    {"{model=" NET "}", NULL, "model.0.weight:2x3 model.0.bias:2", PTF_OK,
     ": model.0.weight model.0.bias"},
    {"{net=" NET "}", NULL, "model.0.weight:2x3 model.0.bias:2", PTF_OK,
     "net: model.0.weight model.0.bias"},
    {"{0.weight=2x3 0.bias=2 0.total_ops=1 total_params=1}", NULL, WANT, PTF_OK,
     ": 0.weight 0.bias +2 0.total_ops"},
    {"{0.weight=2x3 0.bias=2 0.num_batches_tracked=.}", NULL,
     WANT " 0.num_batches_tracked?:", PTF_OK,
     ": 0.weight 0.bias 0.num_batches_tracked"},
    {"{m=" NET "}", NULL, WANT " 0.num_batches_tracked?:", PTF_OK,
     "m: 0.weight 0.bias"},
    /* what does not fit is left for the comparison to tell */
    {"{0.weight=2x3 0.bias=2 extra.weight=3}", NULL, WANT, PTF_OK,
     ": 0.weight 0.bias extra.weight"},
    {"{decoder.0.weight=2x3 decoder.0.bias=2}", NULL,
     "encoder.0.weight:2x3 encoder.0.bias:2", PTF_OK,
     ": decoder.0.weight decoder.0.bias"},
    {"{model={0.weight=2x3 0.bias=3}}", NULL, "0.weight:9x9 1.bias:3", PTF_OK,
     "model: 0.weight 0.bias"},
    {"{a.0.weight=2x3 module.a.0.weight=2x3 a.0.bias=2}", NULL,
     "a.module.0.weight:2x3 a.module.0.bias:2", PTF_OK,
     ": a.0.weight module.a.0.weight a.0.bias"},
    {"{model=" NET " rng=6}", "", WANT, PTF_OK,
     ": model.0.weight model.0.bias rng"},
};

static void the_state_dict_that_is_meant_is_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(layouts); i++) {
        const struct layout *l = &layouts[i];
        char found[MESSAGE_SIZE];
        ptf_status status;
        select_in(l->layout, l->key, l->parameters, &status, found);
        bool same = status == PTF_OK ? strcmp(found, l->text) == 0
                                     : strstr(found, l->text) != NULL;
        if (status != l->status || !same)
            fail_msg("%s\nexpected %d '%s'\ngot %d '%s'", l->layout,
                     (int)l->status, l->text, (int)status, found);
        assert_true(status == PTF_OK || strlen(found) <= 300);
    }
}

/* The first of two tensors must not stand in for both. */
static void long_names_do_not_make_long_messages(void **state)
{
    (void)state;
    char layout[8192] = "{", found[MESSAGE_SIZE];
    ptf_status status;
    for (int i = 0; i < 40; i++) {
        size_t at = strlen(layout);
        snprintf(layout + at, sizeof(layout) - at, "%080d=" NET " ", i);
    }
    strcat(layout, "}");
    select_in(layout, NULL, "", &status, found);
    assert_int_equal(status, PTF_ARGUMENT);
    assert_non_null(strstr(found, "got 40"));
    assert_non_null(strstr(found, ", ...; choose one"));
    assert_true(strlen(found) <= 400);
}

/* Alike by their names, told apart by shapes: however many there are. */
static void any_number_of_places_is_told_apart(void **state)
{
    (void)state;
    char layout[4096], found[MESSAGE_SIZE];
    ptf_status status;
    for (int fitting = 0; fitting < 3; fitting++) {
        snprintf(layout, sizeof(layout), "{");
        for (int i = 0; i < 40; i++) {
            size_t at = strlen(layout);
            snprintf(layout + at, sizeof(layout) - at, "m%d=%s ", i,
                     i % 20 == 7 && i / 20 < fitting
                         ? NET
                         : "{0.weight=3x2 0.bias=3}");
        }
        strcat(layout, "}");
        select_in(layout, NULL, WANT, &status, found);
        const char *words[] = {
            "got 40,",
            "m7: 0.weight 0.bias +78 m0.0.weight",
            TWO "'m7' (2), 'm27' (2); choose one with --key",
        };
        assert_int_equal(status, fitting == 1 ? PTF_OK : PTF_ARGUMENT);
        if (strstr(found, words[fitting]) == NULL)
            fail_msg("expected '%s', got '%s'", words[fitting], found);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_state_dict_that_is_meant_is_found),
        cmocka_unit_test(long_names_do_not_make_long_messages),
        cmocka_unit_test(any_number_of_places_is_told_apart),
    };
    return cmocka_run_group_tests_name("select", tests, NULL, NULL);
}
