/*
 * export: between the files that write nets.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_EXPORT_H
#define PTF_EXPORT_H

#include "export/draft_edit.h"
#include "net/net.h"

/* Makes the changes to a program's draft that the net's rewrites made. */
ptf_status ptf_draft_rewrite(ptf_draft *draft, const ptf_net *net,
                             ptf_error *err);

/*
 * Reads a program that was written and compares its net with this one: the
 * same ops, attributes, ports, and numbers bit for bit; names may differ.
 * PTF_UNSUPPORTED where it is another network.
 */
ptf_status ptf_net_check_written(const ptf_net *net, const char *path,
                                 ptf_error *err);

#endif
