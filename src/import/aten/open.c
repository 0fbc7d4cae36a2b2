/*
 * A network out of any file that has one.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/import.h"

static ptf_status fail(const char *path, ptf_status status, ptf_error *err,
                       const char *message)
{
    ptf_origin origin = {path, NULL};
    return ptf_fail(err, status, &origin, PTF_NO_OFFSET, "%s", message);
}

/* A program has its own graph, and a verdict on another one were worthless. */
static ptf_status open_program(const char *path, const ptf_net_options *o,
                               ptf_net **out, ptf_error *err)
{
    const ptf_program_options options = {sizeof(options), o->model};
    ptf_program *program;
    if (o->text != NULL || o->key != NULL || o->in_order)
        return fail(path, PTF_ARGUMENT, err,
                    "an exported program has its own graph; a text, a key and "
                    "in_order are for state dicts");
    ptf_status status = ptf_program_open(path, &options, &program, err);
    if (status == PTF_OK && !o->unverified)
        status = ptf_program_verify(program, err);
    if (status == PTF_OK)
        status = ptf_net_from_program(program, out, err);
    if (status != PTF_OK && program != NULL &&
        ptf_program_unchanged(program, err) != PTF_OK)
        status = PTF_IO; /* it is not damaged */
    ptf_program_close(program);
    return status;
}

/* The text that is given, or the built-in one that fits; NULL: the file's. */
static ptf_status find_text(const ptf_checkpoint *ckpt,
                            const ptf_net_options *o, const char **text,
                            const char **name, ptf_error *err)
{
    *text = o->text;
    *name = o->text_name != NULL ? o->text_name : "the text";
    if (o->text != NULL || ptf_checkpoint_has_model(ckpt) ||
        ptf_checkpoint_metadata(ckpt, "architecture") != NULL ||
        ptf_checkpoint_metadata(ckpt, "graph") != NULL)
        return PTF_OK;
    ptf_status status = ptf_arch_recognise(ckpt, name, err);
    *text = status == PTF_OK ? ptf_arch_text(*name) : NULL;
    return status;
}

static ptf_status open_checkpoint(ptf_checkpoint *ckpt,
                                  const ptf_net_options *o, ptf_net **out,
                                  ptf_error *err)
{
    const char *text, *name;
    ptf_status status =
        o->unverified ? PTF_OK : ptf_checkpoint_verify(ckpt, err);
    if (status == PTF_OK)
        status = find_text(ckpt, o, &text, &name, err);
    if (status == PTF_OK)
        status = ptf_net_make(text, name, ckpt, o, out, err);
    if (status != PTF_OK && ptf_checkpoint_unchanged(ckpt, err) != PTF_OK)
        status = PTF_IO; /* it is not damaged */
    return status;
}

/* The net of the text alone: its parameters choose among what a file holds. */
static ptf_net *read_text(const ptf_net_options *o)
{
    const ptf_net_options in_order = {.size = sizeof(in_order),
                                      .in_order = true};
    ptf_net *net = NULL;
    if (o->text != NULL)
        ptf_net_make(o->text, "", NULL, &in_order, &net, NULL);
    return net; /* NULL: ptf_net_make() says why when there is a file */
}

ptf_status ptf_net_open(const char *path, const ptf_net_options *options,
                        ptf_net **out, ptf_error *err)
{
    ptf_net_options all;
    ptf_options_read(options, &all, sizeof(all));
    ptf_open_options open = {.key = all.key};
    ptf_checkpoint *ckpt;
    *out = NULL;
    ptf_net *wanted = read_text(&all);
    if (wanted != NULL)
        open.parameters = ptf_net_parameters(wanted, &open.parameter_count);
    ptf_status status = ptf_checkpoint_open(path, &open, &ckpt, err);
    ptf_net_free(wanted);
    if (status == PTF_UNSUPPORTED && ptf_program_is(path))
        return open_program(path, &all, out, err);
    if (status != PTF_OK)
        return status;
    if (all.model != NULL)
        status = fail(path, PTF_ARGUMENT, err,
                      "expected an exported program to take a model from, got "
                      "a state dict");
    else
        status = open_checkpoint(ckpt, &all, out, err);
    ptf_checkpoint_close(ckpt);
    return status;
}
