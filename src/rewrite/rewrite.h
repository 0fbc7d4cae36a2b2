/*
 * rewrite: net to net, one file per rewrite, all in the table of rewrite.c.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_REWRITE_H
#define PTF_REWRITE_H

#include "net/net.h"

/*
 * A pass gets a copy of the net to edit.  It returns PTF_OK with *changed
 * telling how many layers it rewrote, or refuses with the reason.  'input' may
 * be NULL unless the pass needs it.
 */
typedef ptf_status ptf_pass(ptf_net_edit *edit, const ptf_shape *input,
                            int *changed, ptf_error *err);

ptf_pass ptf_pass_fold_batchnorm;
ptf_pass ptf_pass_batchnorm_to_epilogue;
ptf_pass ptf_pass_linear_to_conv;
ptf_pass ptf_pass_drop_identity;
ptf_pass ptf_pass_merge_branches;
ptf_pass ptf_pass_any_size;
ptf_pass ptf_pass_fold_scale;
ptf_pass ptf_pass_dead_code;

#endif
