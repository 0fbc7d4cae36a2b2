/*
 * What lies beside the network in a checkpoint, known by its form: names of
 * keys are a habit of each framework, the form of a state is PyTorch's.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "checkpoint/reader.h"

static bool is_optimizer(const ptf_object *value)
{
    return value->kind == PTF_OBJECT_DICT &&
           ptf_dict_find(value, "param_groups") != NULL &&
           ptf_dict_find(value, "state") != NULL;
}

/* A whole nn.CrossEntropyLoss(weight=...) and the like. */
static bool is_loss(const ptf_object *value)
{
    const ptf_object *callee = value->kind == PTF_OBJECT_INSTANCE
                                   ? value->items[PTF_INSTANCE_CALLEE]
                                   : NULL;
    return callee != NULL && callee->kind == PTF_OBJECT_GLOBAL &&
           strcmp(callee->global->module, "torch.nn.modules.loss") == 0;
}

bool ptf_object_is_training(const ptf_object *value)
{
    return is_optimizer(value) || is_loss(value);
}

/* Members of a dict that has the key 'sign'. */
static const struct {
    const char *sign, *member;
} members[] = {
    {"pytorch-lightning_version", "callbacks"},
    {"pytorch-lightning_version", "loops"},
    {"pytorch-lightning_version", "optimizer_states"},
    {"pytorch-lightning_version", "lr_schedulers"},
    {"pytorch-lightning_version", "hyper_parameters"},
    {"pytorch-lightning_version", "datamodule_hyper_parameters"},
};

bool ptf_member_is_training(const ptf_object *dict, const ptf_object *key)
{
    for (size_t i = 0; i < PTF_ARRAY_SIZE(members); i++) {
        if (ptf_object_is(key, members[i].member))
            return ptf_dict_find(dict, members[i].sign) != NULL;
    }
    return false;
}

/* ----------------------------------------------------------------- networks */

/* Names in torch.nn: of parameters, buffers, and what weight_norm makes. */
static const char *const layer_names[] = {
    "weight",         "bias",         "running_mean", "running_var",
    "weight_g",       "weight_v",     "weight_orig",  "original0",
    "in_proj_weight", "in_proj_bias", "weight_ih_l0", "weight_hh_l0",
};

bool ptf_name_is_layer_s(const char *name, size_t size)
{
    for (size_t i = 0; i < PTF_ARRAY_SIZE(layer_names); i++) {
        if (strlen(layer_names[i]) == size &&
            memcmp(layer_names[i], name, size) == 0)
            return true;
    }
    return false;
}
