/*
 * build: the steps of making a net that its files share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_IMPORT_H
#define PTF_IMPORT_H

#include "checkpoint/checkpoint.h"
#include "net/net.h"

/* Where a text comes from, as far as that decides what it is worth. */
typedef struct ptf_reading {
    bool in_order;       /* the caller's word: see ptf_net_options */
    const char *assumes; /* of a saved net: what it rests on, or "" */
    const char *model;   /* the file whose pickled model the text is of */
} ptf_reading;

/* ptf_net_make() without a checkpoint. */
ptf_status ptf_net_parse(const char *text, const char *text_name,
                         const ptf_reading *how, ptf_net **out, ptf_error *err);

/* The same from the whole model that the checkpoint holds. */
ptf_status ptf_net_parse_model(const ptf_checkpoint *ckpt, bool in_order,
                               ptf_net **out, ptf_error *err);

/* From the text that is given, or NULL: what the checkpoint says itself. */
ptf_status ptf_net_read(const char *text, const char *text_name,
                        const ptf_checkpoint *ckpt, bool in_order,
                        ptf_net **out, ptf_error *err);

/*
 * Refuses a whole model in which something beside the classes and numbers
 * decides what is computed; any other checkpoint is fine.
 */
ptf_status ptf_model_check(const ptf_checkpoint *ckpt, ptf_error *err);

/* Refuses it for the layer of that name: "the model's layer '3' ...". */
ptf_status ptf_model_fail(const ptf_checkpoint *ckpt, ptf_text_span name,
                          ptf_error *err, const char *fmt, ...)
    PTF_PRINTF(4, 5);

/* Gives each layer its tensors, or says what does not agree. */
ptf_status ptf_net_bind(ptf_net *net, const ptf_checkpoint *ckpt,
                        ptf_error *err);

/* How the net and the checkpoint disagree. */
typedef struct ptf_key_mismatch {
    size_t count;    /* of mismatches */
    size_t agreeing; /* parameters of layers, of 'wanted' */
    size_t wanted;
    FILE *list;      /* gets a line for each mismatch; or NULL */
    char layer[512]; /* the first parameter that has no such tensor, or "" */
    char stray[512]; /* the first tensor that no layer takes, or "" */
    /* where the net's tensors lie, and a module's that lies beside, or "" */
    char place[256], beside[256];
} ptf_key_mismatch;

/* Set out->list; nothing of the net changes when 'bind' is false. */
ptf_status ptf_net_compare(ptf_net *net, const ptf_checkpoint *ckpt, bool bind,
                           ptf_key_mismatch *out, ptf_error *err);

/* PTF_UNSUPPORTED for a file whose weights have no names any more. */
ptf_status ptf_net_need_tensors(const ptf_checkpoint *ckpt, ptf_error *err);

#endif
