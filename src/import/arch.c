/*
 * The architectures that are compiled in, and which of them a checkpoint is.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/arch.h"
#include "import/import.h"

static size_t arch_count(void)
{
    size_t count = 0;
    while (ptf_arch_table[count].name != NULL)
        count++;
    return count;
}

const char *ptf_arch_name(size_t index)
{
    return index < arch_count() ? ptf_arch_table[index].name : NULL;
}

const char *ptf_arch_text(const char *name)
{
    const ptf_arch *arch = ptf_arch_table;
    while (arch->name != NULL && strcmp(arch->name, name) != 0)
        arch++;
    return arch->text;
}

static ptf_status compare_arch(const ptf_arch *arch, const ptf_checkpoint *ckpt,
                               ptf_key_mismatch *out, ptf_error *err)
{
    const ptf_reading trusted = {.assumes = ""};
    ptf_net *net;
    ptf_status status =
        ptf_net_parse(arch->text, arch->name, &trusted, &net, err);
    if (status == PTF_OK)
        status = ptf_net_compare(net, ckpt, false, out, err);
    ptf_net_free(net);
    return status;
}

static bool is_torchscript(const ptf_checkpoint *ckpt)
{
    static const char kind[] = "TorchScript";
    ptf_checkpoint_info facts;
    ptf_checkpoint_describe(ckpt, &facts);
    return strncmp(facts.kind, kind, strlen(kind)) == 0;
}

static ptf_status fail_unknown(const ptf_checkpoint *ckpt,
                               const ptf_arch *nearest,
                               const ptf_key_mismatch *m, ptf_error *err)
{
    static const char advice[] =
        "give the text of print(model) with --arch, or "
        "the model as torch.export.save() writes it";
    const ptf_origin file = {ptf_checkpoint_file(ckpt)->name, NULL};
    const ptf_origin *origin = &file;
    if (is_torchscript(ckpt))
        return ptf_fail(err, PTF_UNSUPPORTED, origin, PTF_NO_OFFSET,
                        "TorchScript's graph is not read, only its tensors; "
                        "export the model before torch.jit with "
                        "torch.export.save(), or give its print(model) with "
                        "--arch");
    if (ptf_checkpoint_tensor_count(ckpt) == 0)
        return ptf_fail(err, PTF_UNSUPPORTED, origin, PTF_NO_OFFSET,
                        "expected the tensors of a network, got none");
    if (nearest == NULL)
        return ptf_fail(err, PTF_UNSUPPORTED, origin, PTF_NO_OFFSET,
                        "the tensors are not those of a built-in network; %s",
                        advice);
    if (m->count == 0)
        return ptf_fail(err, PTF_UNSUPPORTED, origin, PTF_NO_OFFSET,
                        "%s is there, but beside it is '%.60s', and what "
                        "forward() does with both is not known; give --key "
                        "%.100s to take %s alone, or %s",
                        nearest->name, m->beside, m->place, nearest->name,
                        advice);
    return ptf_fail(err, PTF_UNSUPPORTED, origin, PTF_NO_OFFSET,
                    "the tensors are not those of a built-in network (of the "
                    "nearest, %s, %zu of %zu match; --verbose lists the "
                    "others); %s",
                    nearest->name, m->agreeing, m->wanted, advice);
}

/* One comparison at a time, and the best one so far. */
typedef struct search {
    const ptf_arch *nearest;
    size_t fitting;
    ptf_key_mismatch best, current;
} search;

static ptf_status search_all(search *s, const ptf_checkpoint *ckpt,
                             ptf_error *err)
{
    for (const ptf_arch *arch = ptf_arch_table; arch->name != NULL; arch++) {
        ptf_status status = compare_arch(arch, ckpt, &s->current, err);
        if (status != PTF_OK)
            return status;
        /* as a part of something larger it is not known what happens to it */
        s->fitting += s->current.count == 0 && s->current.beside[0] == '\0';
        bool nearer = s->nearest == NULL || s->current.count < s->best.count;
        if (s->current.agreeing == 0 || !nearer)
            continue;
        s->nearest = arch;
        s->best = s->current;
    }
    return PTF_OK;
}

ptf_status ptf_arch_recognise(const ptf_checkpoint *ckpt, const char **name,
                              ptf_error *err)
{
    *name = NULL;
    ptf_origin origin = {ptf_checkpoint_file(ckpt)->name, NULL};
    search *s = ptf_alloc(sizeof(*s));
    if (s == NULL)
        return ptf_fail_memory(err);
    ptf_status status = ptf_net_need_tensors(ckpt, err);
    if (status == PTF_OK)
        status = search_all(s, ckpt, err);
    if (status == PTF_OK && s->fitting == 1) {
        *name = s->nearest->name;
    } else if (status == PTF_OK && s->fitting > 1) {
        status = ptf_fail(err, PTF_UNSUPPORTED, &origin, PTF_NO_OFFSET,
                          "the tensors fit %zu built-in architectures; choose "
                          "one with --arch",
                          s->fitting);
    } else if (status == PTF_OK) {
        *name = s->nearest != NULL ? s->nearest->name : NULL;
        status = fail_unknown(ckpt, s->nearest, &s->best, err);
    }
    ptf_free(s);
    return status;
}
