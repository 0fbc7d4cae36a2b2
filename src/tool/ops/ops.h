/*
 * What ptfold ops has counted, and the ways to show it.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_TOOL_OPS_H
#define PTF_TOOL_OPS_H

#include "tool/common/tool.h"

/* Layers whose shares are shown. */
typedef enum ops_class {
    OPS_CONV,
    OPS_LINEAR,
    OPS_OTHER,
    OPS_CLASSES,
} ops_class;

/* A network with its counts. */
typedef struct ops_net {
    const char *source; /* as the user named it */
    tool_net net;
    ptf_count *layers;
    size_t count;
    ptf_count total;
    ptf_count classes[OPS_CLASSES];
    int64_t most_bytes; /* the largest input and output of one layer */
} ops_net;

typedef struct ops_report {
    const ptf_convention *convention;
    int64_t batch;
    bool backward;
    ops_net nets[2];
    int net_count;
} ops_report;

extern const char *const ops_class_names[OPS_CLASSES];

/* False for the flatten that a text does not show. */
bool ops_is_shown(const ops_net *net, size_t layer);
/* Its name; its class where the whole network is one layer. */
const char *ops_label(const ptf_count *layer);
/* Multiply-adds of both gradients. */
int64_t ops_gradient_macs(const ptf_count *count);
double ops_percent(int64_t part, int64_t whole);

void ops_print_text(const ops_report *report);
void ops_print_comparison(const ops_report *report);
void ops_print_json(const ops_report *report);
void ops_print_csv(const ops_report *report);
void ops_print_md(const ops_report *report);

#endif
