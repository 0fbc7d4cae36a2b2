/*
 * oracle: what libtorch makes of a net.  Nothing of ptfold's arithmetic or of
 * its reading of attributes has a part in it: layers are read from their
 * printed texts here, and run by PyTorch's own operators.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_TOOL_ORACLE_H
#define PTF_TOOL_ORACLE_H

#include "ptfold_tool.h"

#include <ltc_load.h>

/*
 * Loads the module: the file that the environment variable PTF_ORACLE names,
 * the installed one, or that of the build folder in which the program lies.
 * PTF_UNSUPPORTED, with what to install, when there is none.
 */
ptf_status oracle_open(ltc_api *out, ptf_error *err);

/*
 * Runs 'count' inputs of shape 'input' through libtorch's operators in
 * 'dtype'.  'value' and 'bound' have room for 'room' numbers, which must be
 * the number of all outputs.
 *
 * 'bound' (may be NULL) is an a-priori bound, layer by layer, of what rounding
 * can do to any evaluation in that dtype, whatever its order of summation:
 * libtorch's and ptfold's are both within it of the exact output.  Infinite
 * where nothing is known.
 *
 * PTF_UNSUPPORTED for a layer that is not in the oracle's table and for what
 * libtorch refuses, with its words.
 */
ptf_status oracle_run(const ltc_api *torch, const ptf_net *net,
                      const ptf_shape *input, const float *in, int64_t count,
                      ltc_dtype dtype, double *value, double *bound,
                      int64_t room, ptf_error *err);

/*
 * Autograd's gradients of sum(output * cotangent) in double, for 'count'
 * inputs at once: in_grad is count x input; parameter_grads[i] has room for
 * tensor i of the net (ptf_net_tensor()), or is NULL where none is wanted.
 */
ptf_status oracle_grad(const ltc_api *torch, const ptf_net *net,
                       const ptf_shape *input, const float *in, int64_t count,
                       const float *cotangent, double *in_grad,
                       double *const *parameter_grads, ptf_error *err);

#endif
