/*
 * bad_folds: nets, and folds of their batch norms that go wrong in one known
 * way.  Numbers are folded by code of bad_folds.c, not by ptfold.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef BAD_FOLDS_H
#define BAD_FOLDS_H

#include "fixture.h"

/* Three layers with batch norms, and one without. */
extern const char misfold_original[];

/* Its folded form, in parts that a fault may exchange. */
#define FOLDED(activation, pool, second)                                  \
    "# input: 2x6x6\n"                                                    \
    "Planted(\n"                                                          \
    "  (0): Conv2d(2, 4, kernel_size=(3, 3), stride=(1, 1), padding=(1, " \
    "1))\n"                                                               \
    "  (1): ReLU()\n"                                                     \
    "  (2): " second "\n"                                                 \
    "  (3): " activation "\n"                                             \
    "  (4): " pool "\n"                                                   \
    "  (5): Linear(in_features=12, out_features=6, bias=True)\n"          \
    "  (6): ReLU()\n"                                                     \
    "  (7): Linear(in_features=6, out_features=5, bias=True)\n"           \
    ")\n"
#define CONV_2 "Conv2d(4, 3, kernel_size=(3, 3), stride=(1, 1))"
#define POOL_2                                                   \
    "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, " \
    "ceil_mode=False)"

/* What a fold may do wrong. */
typedef enum mistake {
    NONE,
    WRONG_EPS,
    NO_EPS,
    EPS_OUTSIDE_ROOT,
    NO_GAMMA,
    NO_GAMMA_ON_BIAS,
    NO_BETA,
    NO_MEAN,
    MEAN_NOT_SCALED,
    NO_OLD_BIAS,
    NO_ROOT,
    UNBIASED_VARIANCE,
    NEXT_CHANNEL,
    FOLDED_TWICE,
    IN_F32,
    SCALE_ROUNDED_FIRST,
} mistake;

/* 'b' becomes the folded 'a', with a mistake in fold 'at', 0 to 2. */
void misfold(fixture *a, fixture *b, int at, mistake mistake);

/* Other nets, and what they become. */
extern const char norm_first_text[], norm_last_text[], norm_gone_text[];
extern const char shared_text[], shared_folded_text[];

/* Into the convolution after it, as if the padding had been normalised too. */
void fold_through_padding(fixture *a, fixture *b);
void fold_through_relu(fixture *a, fixture *b);

/* Both layers have the same weights; folding works on them in place. */
void fold_shared(fixture *a, fixture *b);
void fold_shared_twice(fixture *a, fixture *b);
void fold_shared_once(fixture *a, fixture *b);

#endif
