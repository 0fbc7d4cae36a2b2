/*
 * plan: a net and an input shape become steps with chosen kernels, packed
 * weights and shared buffers.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_PLAN_H
#define PTF_PLAN_H

#include "kernel/kernel.h"
#include "net/net.h"

#endif
