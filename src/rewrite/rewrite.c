/*
 * The table of rewrites, and how one is applied.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "rewrite/rewrite.h"

static const struct {
    ptf_rewrite rewrite;
    ptf_pass *pass;
    const char *nothing; /* what the net lacks when nothing was changed */
} table[] = {
    {{"fold_batchnorm", PTF_PROMISE_ROUNDS,
      "multiply batch norms into the weights before them"},
     ptf_pass_fold_batchnorm,
     "no batch norm"},
    {{"batchnorm_to_epilogue", PTF_PROMISE_EXACT,
      "make batch norms the scale and shift of the layers before them"},
     ptf_pass_batchnorm_to_epilogue,
     "no batch norm"},
    {{"linear_to_conv", PTF_PROMISE_EXACT,
      "turn linear layers after a feature map into convolutions"},
     ptf_pass_linear_to_conv,
     "no linear layer after a flattened feature map"},
    {{"drop_identity", PTF_PROMISE_EXACT,
      "remove layers that do nothing in evaluation"},
     ptf_pass_drop_identity,
     "no Dropout, no Identity and no idle reshape"},
    {{"merge_branches", PTF_PROMISE_ROUNDS,
      "make one convolution of several whose results are added"},
     ptf_pass_merge_branches,
     "no convolutions of one value that are added"},
    {{"fold_scale", PTF_PROMISE_ROUNDS,
      "multiply constants into the layers beside them"},
     ptf_pass_fold_scale,
     "no sum or product with a constant beside a layer"},
    {{"dead_code", PTF_PROMISE_EXACT, "remove what no output comes of"},
     ptf_pass_dead_code,
     "nothing that no output comes of"},
    {{"any_size", PTF_PROMISE_EXACT,
      "let an exported network take images of any size"},
     ptf_pass_any_size,
     "no input of one size"},
};

const ptf_rewrite *ptf_rewrite_at(size_t index)
{
    return index < PTF_ARRAY_SIZE(table) ? &table[index].rewrite : NULL;
}

static size_t find(const char *name)
{
    size_t i = 0;
    while (i < PTF_ARRAY_SIZE(table) &&
           strcmp(table[i].rewrite.name, name) != 0)
        i++;
    return i;
}

const ptf_rewrite *ptf_rewrite_find(const char *name)
{
    return ptf_rewrite_at(find(name));
}

typedef struct call {
    size_t row;
    ptf_net_edit *edit;
    const ptf_shape *inputs; /* NULL: not all are known */
    int changed;
} call;

static ptf_status run_pass(void *context, ptf_error *err)
{
    call *c = context;
    return table[c->row].pass(c->edit, c->inputs, &c->changed, err);
}

/*
 * Why nothing was changed: there is no such layer, or none that could be, with
 * the reasons of the first one or two: a message is one line.
 */
static ptf_status refuse_nothing(const ptf_net *net, const ptf_net *edited,
                                 size_t row, ptf_error *err)
{
    const char *name = table[row].rewrite.name;
    ptf_remark remark;
    char list[240], more[48] = "";
    int size = 0, count = edited->remark_count, told = 0;
    if (count == 0)
        return ptf_net_fail(err, PTF_UNSUPPORTED, net,
                            "%s: nothing to rewrite: %s has %s", name,
                            ptf_net_name(net), table[row].nothing);
    for (; size < (int)sizeof(list) / 2 &&
           ptf_net_remark(edited, (size_t)told, &remark);
         told++)
        size += snprintf(list + size, sizeof(list) - (size_t)size,
                         "%slayer %s (%s): %s", told > 0 ? "; " : "",
                         remark.layer, remark.op, remark.text);
    if (told < count)
        snprintf(more, sizeof(more), "; %d more like this", count - told);
    return ptf_net_fail(err, PTF_UNSUPPORTED, net,
                        "%s: nothing to rewrite: %s%s", name, list, more);
}

ptf_status ptf_net_rewrite(const ptf_net *net, const ptf_rewrite *rewrite,
                           const ptf_shape *inputs, ptf_net **out,
                           ptf_error *err)
{
    *out = NULL;
    size_t row = find(rewrite->name);
    if (row == PTF_ARRAY_SIZE(table))
        return ptf_fail(err, PTF_ARGUMENT, NULL, PTF_NO_OFFSET,
                        "there is no rewrite '%s'", rewrite->name);
    ptf_net_edit edit;
    ptf_status status = ptf_net_edit_begin(net, &edit, err);
    if (status != PTF_OK)
        return status;
    ptf_shape *own = NULL;
    if (inputs == NULL)
        own = ptf_arena_array(&edit.net->arena, (size_t)net->input_count,
                              sizeof(*own));
    if (inputs == NULL && own == NULL) {
        ptf_net_edit_abort(&edit);
        return ptf_fail_memory(err);
    }
    if (own != NULL && ptf_net_own_shapes(net, own))
        inputs = own;
    call pass = {row, &edit, inputs, 0};
    status = ptf_call_ieee(run_pass, &pass, err);
    if (status == PTF_OK && pass.changed == 0)
        status = refuse_nothing(net, edit.net, row, err);
    if (status != PTF_OK) {
        ptf_net_edit_abort(&edit);
        return status;
    }
    return ptf_net_edit_finish(&edit, table[row].rewrite.name, out, err);
}
