/*
 * A net on its way through libtorch, and the layers that the oracle knows.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_TOOL_ORACLE_LAYERS_H
#define PTF_TOOL_ORACLE_LAYERS_H

#include "tool/oracle/oracle.h"

#include <stdlib.h>
#include <string.h>

enum { ORACLE_RANK = 4 };

/* A value as libtorch has it, and its numbers on our side. */
typedef struct oracle_value {
    ltc_tensor *tensor;
    int rank;
    int64_t shape[ORACLE_RANK]; /* with the batch */
    int64_t count;
    double *numbers;
    double *bound; /* how far each is from the exact one, at most */
} oracle_value;

typedef struct oracle_walk {
    const ltc_api *torch;
    const ptf_net *net;
    ltc_dtype dtype;
    bool record; /* parameters are kept, for gradients */
    ltc_tensor **parameters, **magnitudes; /* per tensor of the net, if made */
    ptf_layer layer;                       /* the one that is running */
    ptf_error *err;
} oracle_walk;

/* PTF_OK, or an error with the layer's name and libtorch's words. */
ptf_status oracle_check(const oracle_walk *walk, int status);
/* An error with the layer's name. */
ptf_status oracle_fail(const oracle_walk *walk, ptf_status status,
                       const char *what);

/*
 * The parameter 'role' of the running layer, NULL when it has none; with
 * 'magnitude' without signs and in double.  It belongs to the walk.
 */
ptf_status oracle_parameter(oracle_walk *walk, const char *role, bool magnitude,
                            ltc_tensor **out);
/* Its numbers, to be freed; NULL when there is none. */
ptf_status oracle_numbers(oracle_walk *walk, const char *role, double **out);

/* One row of the table of layers. */
typedef struct oracle_row {
    const char *class_name;
    /*
     * The layer.  With 'magnitude' it takes and gives magnitudes, in double:
     * parameters count without sign, and nothing is added to the sums.
     */
    ptf_status (*run)(oracle_walk *walk, const ltc_tensor *x, bool magnitude,
                      ltc_tensor **out);
    /* Fills out->bound; the rest of both values is there. */
    ptf_status (*bound)(oracle_walk *walk, const oracle_value *in,
                        oracle_value *out);
} oracle_row;

/* NULL when there is no such layer. */
const oracle_row *oracle_row_find(const char *class_name);

/* The bounds of oracle_bound.c. */
ptf_status oracle_bound_sum(oracle_walk *walk, const oracle_value *in,
                            oracle_value *out);
ptf_status oracle_bound_norm(oracle_walk *walk, const oracle_value *in,
                             oracle_value *out);
ptf_status oracle_bound_mean(oracle_walk *walk, const oracle_value *in,
                             oracle_value *out);
ptf_status oracle_bound_choice(oracle_walk *walk, const oracle_value *in,
                               oracle_value *out);
ptf_status oracle_bound_pointwise(oracle_walk *walk, const oracle_value *in,
                                  oracle_value *out);
ptf_status oracle_bound_softplus(oracle_walk *walk, const oracle_value *in,
                                 oracle_value *out);
ptf_status oracle_bound_softmax(oracle_walk *walk, const oracle_value *in,
                                oracle_value *out);

/* ------------------------------------------------- the texts of the layers */

/*
 * What stands after "name=" in a layer's text: one or two integers (None is
 * -1; one number stands for both), True or False, a number.  'otherwise' is
 * the value when the text does not say.
 */
void oracle_pair(const char *text, const char *name, int64_t otherwise,
                 int64_t out[2]);
bool oracle_flag(const char *text, const char *name, bool otherwise);
double oracle_number(const char *text, const char *name, double otherwise);

/* The dimension, with the batch, over which a Softmax runs. */
int oracle_softmax_axis(const char *text, int rank);

#endif
