/*
 * oracle_check: "ptfold check NET --oracle libtorch".
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_TOOL_ORACLE_CHECK_H
#define PTF_TOOL_ORACLE_CHECK_H

#include "tool/common/tool.h"

/*
 * Runs all inputs through ptfold and through libtorch in f32 and in double,
 * and prints whether every output is where the others' bounds say it must be:
 * libtorch's within its a-priori bound of the enclosure, ptfold's within that
 * of libtorch's in double.  *agrees only when all are, and none is undecided.
 * PTF_UNSUPPORTED, with what to install, without libtorch.
 */
ptf_status oracle_check_net(const tool_net *net, const tool_inputs *inputs,
                            int threads, bool json, bool *agrees,
                            ptf_error *err);

#endif
