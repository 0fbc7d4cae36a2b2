/*
 * build: the steps of making a net that its files share.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_BUILD_H
#define PTF_BUILD_H

#include "net/net.h"

/* ptf_net_make() without a checkpoint. */
ptf_status ptf_net_parse(const char *text, const char *text_name, ptf_net **out,
                         ptf_error *err);

/* The same from the whole model that the checkpoint holds. */
ptf_status ptf_net_parse_model(const ptf_checkpoint *ckpt, ptf_net **out,
                               ptf_error *err);

/* Gives each layer its tensors, or says everything that does not agree. */
ptf_status ptf_net_bind(ptf_net *net, const ptf_checkpoint *ckpt,
                        ptf_error *err);

/*
 * How the net and the checkpoint disagree: the number of mismatches, of
 * parameters that agree, and the list "missing A; unexpected B; ...".
 */
typedef struct ptf_mismatch {
    size_t count;
    size_t agreeing;
    size_t shown; /* of 'count' */
    size_t used;  /* bytes of 'text' */
    char text[15000];
} ptf_mismatch;

/* Does not touch the net when 'bind' is false. */
ptf_status ptf_net_compare(ptf_net *net, const ptf_checkpoint *ckpt, bool bind,
                           ptf_mismatch *out, ptf_error *err);

/* What is known of the input's value. */
ptf_kind ptf_net_input_kind(const ptf_net *net);

/* Lists the tensors of all nodes in net->tensors. */
ptf_status ptf_net_collect(ptf_net *net, ptf_error *err);

#endif
