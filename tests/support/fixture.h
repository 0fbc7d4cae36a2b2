/*
 * fixture: checkpoints made in memory to fit a print(model) text.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef FIXTURE_H
#define FIXTURE_H

#include "net/net.h"

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

enum { FIXTURE_MAX = 128 };

typedef struct fixture_entry {
    char name[128];
    const char *dtype; /* as safetensors writes it */
    int rank;
    int64_t shape[PTF_MAX_RANK];
    size_t size; /* bytes */
    void *data;
} fixture_entry;

typedef struct fixture {
    const char *text;
    fixture_entry entries[FIXTURE_MAX];
    int count;
    unsigned char *bytes;
    ptf_checkpoint *ckpt;
    ptf_net *net;
} fixture;

/* Texts of tests are networks as they stand, whatever their classes. */
extern const ptf_net_options fixture_in_order;

/*
 * Every parameter that the text asks for, with numbers in [-1, 1), variances
 * in [0.5, 1.5); the same ones in every run.
 */
void fixture_init(fixture *f, const char *text);
void fixture_free(fixture *f);

/* Numbers of a parameter, to be changed before it is opened. */
float *fixture_numbers(fixture *f, const char *name);
fixture_entry *fixture_entry_of(fixture *f, const char *name);
void fixture_remove(fixture *f, const char *name);

/* Writes the checkpoint and opens it. */
void fixture_open(fixture *f);

/* Opens it and makes the net; the test fails with the message if it cannot. */
void fixture_make(fixture *f);

/* fixture_init() and fixture_make(). */
void fixture_build(fixture *f, const char *text);

/* A net without numbers. */
ptf_net *fixture_net(const char *text);

/* What a net prints, to be freed. */
char *fixture_text(const ptf_net *net);

/* Applies a rewrite that must succeed. */
ptf_net *fixture_rewrite(const ptf_net *net, const char *rewrite,
                         const char *input);

/* Layers in the words of PyTorch. */
#define BN1(n)                                                   \
    "BatchNorm1d(" #n ", eps=1e-05, momentum=0.1, affine=True, " \
    "track_running_stats=True)"
#define BN2(n)                                                   \
    "BatchNorm2d(" #n ", eps=1e-05, momentum=0.1, affine=True, " \
    "track_running_stats=True)"
#define CONV(in, out) \
    "Conv2d(" #in ", " #out ", kernel_size=(3, 3), stride=(1, 1))"

/* A small smallNet: convolutions with batch norm, then linear with one. */
extern const char fixture_small[];

/* Every kind of layer in two dimensions, with strides, groups and padding. */
extern const char fixture_mixed[];

/* Outputs for 'count' made-up inputs, to be freed. */
float *fixture_run(const ptf_net *net, const char *input, int count,
                   int64_t *numel);

/* Both nets give the same bits on the same inputs. */
void fixture_same_bits(const ptf_net *a, const ptf_net *b, const char *input);

/* The net's tensor of that name. */
const ptf_tensor *fixture_tensor(const ptf_net *net, const char *name);

#endif
