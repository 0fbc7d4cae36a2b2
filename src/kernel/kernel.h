/*
 * kernel: pointers and sizes in, numbers out.  ref.c defines every bit; the
 * other instruction sets must give the same bits and are chosen from one
 * table.  A kernel never sees a tensor, allocates nothing and cannot fail.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_KERNEL_H
#define PTF_KERNEL_H

#include "base/base.h"

#endif
