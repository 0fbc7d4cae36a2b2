/*
 * Numbers in programs that are lowered for another size than their example's.
 * All of it does nothing where the example's own size is meant.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_ATEN_LITERALS_H
#define PTF_ATEN_LITERALS_H

#include "import/aten/aten.h"

/*
 * Replaces the sizes into which 'count' axes of 'self' from 'first' on are put
 * by what they mean for this size: 'rank' of them, from the argument 'list'.
 */
ptf_status ptf_lower_read_view(ptf_lowering *l, const ptf_argument *list,
                               int first, int count, int64_t *sizes, int rank);

/* The same of sizes to which 'self' is expanded, aligned at their ends. */
void ptf_lower_follow(ptf_lowering *l, const ptf_argument *list, int64_t *sizes,
                      int count);

/*
 * Refuses the first call that is lowered ('live'), of 'count', with a number
 * that may have been computed from a size.
 */
ptf_status ptf_lower_check_literals(ptf_lowering *l, const bool *live,
                                    int count);

#endif
