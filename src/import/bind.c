/*
 * Layers and the tensors of a checkpoint find each other by name.  A message
 * names the first of each kind that does not agree; a list has all of them.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/import.h"

#include <stdlib.h>

/* ------------------------------------------------------- the list of faults */

static void PTF_PRINTF(3, 4)
    add_mismatch(ptf_key_mismatch *m, bool stray, const char *fmt, ...)
{
    char item[2048];
    char *first = stray ? m->stray : m->layer;
    va_list args;
    va_start(args, fmt);
    vsnprintf(item, sizeof(item), fmt, args);
    va_end(args);
    if (first[0] == '\0')
        snprintf(first, sizeof(m->layer), "%.*s", (int)sizeof(m->layer) - 1,
                 item);
    m->count++;
    if (m->list != NULL) {
        ptf_print_escaped(m->list, item, strlen(item));
        fputc('\n', m->list);
    }
}

/* --------------------------------------------------------- tensors by name */

typedef struct by_name {
    const ptf_tensor **sorted;
    bool *used;
    size_t count;
} by_name;

static int compare_tensors(const void *a, const void *b)
{
    const ptf_tensor *const *x = a, *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static ptf_status by_name_init(by_name *out, const ptf_fitted *fitted,
                               ptf_error *err)
{
    size_t count = fitted->count;
    *out = (by_name){
        .sorted = ptf_alloc(count * sizeof(*out->sorted)),
        .used = ptf_alloc(count * sizeof(*out->used)),
        .count = count,
    };
    if (out->sorted == NULL || out->used == NULL)
        return ptf_fail_memory(err);
    for (size_t i = 0; i < count; i++)
        out->sorted[i] = &fitted->tensors[i];
    qsort(out->sorted, count, sizeof(*out->sorted), compare_tensors);
    return PTF_OK;
}

static void by_name_free(by_name *index)
{
    ptf_free(index->sorted);
    ptf_free(index->used);
}

/* Finds a tensor and notes that a layer asked for it. */
static const ptf_tensor *by_name_take(by_name *index, const char *name)
{
    ptf_tensor key = {.name = name};
    const ptf_tensor *wanted = &key;
    const ptf_tensor **found = bsearch(&wanted, index->sorted, index->count,
                                       sizeof(*index->sorted), compare_tensors);
    if (found == NULL)
        return NULL;
    index->used[found - index->sorted] = true;
    return *found;
}

/* -------------------------------------------------------------- comparison */

/* Of PyTorch 0.3 and of other writers: one number in a row. */
static bool is_one_number(const ptf_tensor *tensor)
{
    return tensor->rank <= 1 && (tensor->rank == 0 || tensor->shape[0] == 1);
}

/* A tensor that agrees with what the layer wants; else NULL and a mismatch. */
static const ptf_tensor *match(const ptf_tensor *found,
                               const ptf_parameter *parameter, bool counts,
                               ptf_key_mismatch *out)
{
    ptf_tensor wanted = {.rank = parameter->rank};
    memcpy(wanted.shape, parameter->shape, sizeof(wanted.shape));
    char want[192], have[192];
    ptf_tensor_shape_text(&wanted, want);
    if (found == NULL) {
        add_mismatch(out, false, "missing %s %s", parameter->name, want);
        return NULL;
    }
    ptf_tensor_shape_text(found, have);
    if (counts ? !is_one_number(found)
               : found->rank != wanted.rank ||
                     memcmp(found->shape, wanted.shape,
                            (size_t)wanted.rank * sizeof(int64_t)) != 0) {
        add_mismatch(out, false, "%s: expected shape %s, got %s",
                     parameter->name, want, have);
        return NULL;
    }
    /* of the count nothing is used: PyTorch, too, takes any type for it */
    if (!counts && !ptf_dtype_is_float(found->dtype)) {
        add_mismatch(out, false, "%s: expected floating point, got %s",
                     parameter->name, ptf_dtype_name(found->dtype));
        return NULL;
    }
    out->agreeing++;
    return found;
}

static void compare_node(ptf_node *node, bool bind, by_name *index,
                         ptf_key_mismatch *out)
{
    for (int r = 0; r < PTF_ROLE_COUNT; r++) {
        char room[PTF_PARAMETER_NAME];
        ptf_parameter p = {.optional = r == PTF_ROLE_NUM_BATCHES};
        if (!ptf_node_parameter(node, (ptf_role)r, &p.rank, p.shape))
            continue;
        p.name = ptf_node_tensor_name(node, (ptf_role)r, room);
        const ptf_tensor *found = by_name_take(index, p.name);
        bool is_left = found == NULL && p.optional;
        if (!is_left) { /* PyTorch counts batches since 0.4.1 only */
            out->wanted++;
            found = match(found, &p, p.optional, out);
        }
        if (bind)
            node->tensors[r] = found;
    }
}

static ptf_status compare_names(ptf_net *net, const ptf_fitted *fitted,
                                bool bind, ptf_key_mismatch *out,
                                ptf_error *err)
{
    by_name index;
    ptf_status status = by_name_init(&index, fitted, err);
    if (status == PTF_OK) {
        for (int i = 1; i < net->node_count; i++)
            compare_node(&net->nodes[i], bind, &index, out);
        for (size_t i = 0; i < index.count; i++) {
            char shape[192];
            ptf_tensor_shape_text(index.sorted[i], shape);
            if (!index.used[i])
                add_mismatch(out, true, "unexpected %s %s",
                             index.sorted[i]->name, shape);
        }
    }
    by_name_free(&index);
    return status;
}

/* Where the parameters were, as long as the net lives. */
static ptf_status note_place(ptf_net *net, const ptf_fitted *fitted,
                             ptf_error *err)
{
    const char *left = fitted->left_out > 0 ? fitted->left_name : "";
    net->key = ptf_arena_copy(&net->arena, fitted->key, strlen(fitted->key));
    net->left_name = ptf_arena_copy(&net->arena, left, strlen(left));
    net->left_out = fitted->left_out;
    return net->key != NULL && net->left_name != NULL ? PTF_OK
                                                      : ptf_fail_memory(err);
}

ptf_status ptf_net_compare(ptf_net *net, const ptf_checkpoint *ckpt, bool bind,
                           ptf_key_mismatch *out, ptf_error *err)
{
    ptf_fitted fitted;
    *out = (ptf_key_mismatch){.list = out->list};
    ptf_status status = ptf_checkpoint_fit(ckpt, &net->arena, net->parameters,
                                           net->parameter_count, &fitted, err);
    if (status == PTF_OK)
        status = compare_names(net, &fitted, bind, out, err);
    if (status == PTF_OK && fitted.beside != NULL) {
        snprintf(out->place, sizeof(out->place), "%s", fitted.key);
        snprintf(out->beside, sizeof(out->beside), "%s", fitted.beside);
    }
    if (status == PTF_OK && bind)
        status = note_place(net, &fitted, err);
    return status;
}

static ptf_status fail_mismatch(const ptf_net *net, const ptf_checkpoint *ckpt,
                                const ptf_key_mismatch *m, ptf_error *err)
{
    ptf_origin origin = {ptf_checkpoint_file(ckpt)->name, NULL};
    bool both = m->layer[0] != '\0' && m->stray[0] != '\0';
    size_t more = m->count - 1 - both;
    char rest[64] = "";
    if (more > 0)
        snprintf(rest, sizeof(rest), "; %zu more with --verbose", more);
    return ptf_fail(err, PTF_ARGUMENT, &origin, PTF_NO_OFFSET,
                    "the checkpoint does not fit %s: %zu of %zu tensors match; "
                    "%s%s%s%s",
                    ptf_net_name(net), m->agreeing, m->wanted, m->layer,
                    both ? "; " : "", m->stray, rest);
}

ptf_status ptf_net_print_mismatch(const char *text, const char *text_name,
                                  const ptf_checkpoint *ckpt, FILE *out,
                                  ptf_error *err)
{
    ptf_net *net;
    ptf_key_mismatch *m = ptf_alloc(sizeof(*m));
    if (m == NULL)
        return ptf_fail_memory(err);
    m->list = out;
    ptf_status status = ptf_net_read(text, text_name, ckpt, true, &net, err);
    if (status == PTF_OK)
        status = ptf_net_compare(net, ckpt, false, m, err);
    ptf_net_free(net);
    ptf_free(m);
    return status;
}

ptf_status ptf_net_need_tensors(const ptf_checkpoint *ckpt, ptf_error *err)
{
    ptf_origin origin = {ptf_checkpoint_file(ckpt)->name, NULL};
    ptf_checkpoint_info facts;
    ptf_checkpoint_describe(ckpt, &facts);
    if (ptf_checkpoint_tensor_count(ckpt) > 0 || facts.constant_count == 0)
        return PTF_OK;
    return ptf_fail(err, PTF_UNSUPPORTED, &origin, PTF_NO_OFFSET,
                    "expected named tensors, got %zu constants of TorchScript "
                    "code; torch.jit.freeze() took their names: save the "
                    "model's state_dict() before it",
                    facts.constant_count);
}

ptf_status ptf_net_bind(ptf_net *net, const ptf_checkpoint *ckpt,
                        ptf_error *err)
{
    ptf_key_mismatch *m = ptf_alloc(sizeof(*m));
    if (m == NULL)
        return ptf_fail_memory(err);
    ptf_status status = ptf_net_need_tensors(ckpt, err);
    if (status == PTF_OK)
        status = ptf_net_compare(net, ckpt, true, m, err);
    if (status == PTF_OK && m->count > 0)
        status = fail_mismatch(net, ckpt, m, err);
    ptf_free(m);
    if (status != PTF_OK)
        return status;
    net->has_tensors = true;
    for (int i = 0; i < net->node_count; i++)
        net->nodes[i].file = ptf_checkpoint_file(ckpt)->name;
    return ptf_net_collect(net, err);
}
