/*
 * checkpoint: the named tensors of a file, and the texts and modules that it
 * has beside them.  The type and most functions are public (ptfold.h); this
 * is what only the library uses.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_CHECKPOINT_H
#define PTF_CHECKPOINT_H

#include "tensor/tensor.h"

/* Who use a checkpoint: its opener, and the nets made from it. */
ptf_users *ptf_checkpoint_users(const ptf_checkpoint *ckpt);

/* The mapped file behind a checkpoint. */
const ptf_file *ptf_checkpoint_file(const ptf_checkpoint *ckpt);

/*
 * Refuses an output that cannot be replaced, or that is one of the files of
 * 'ckpt'.
 */
ptf_status ptf_checkpoint_check_output(const ptf_checkpoint *ckpt,
                                       const char *path, ptf_error *err);

/*
 * Compares the data with the checksums on file, and with those that
 * ptf_checkpoint_verify() has made where there are none.
 */
ptf_status ptf_checkpoint_compare(const ptf_checkpoint *ckpt, ptf_error *err);

/* Of a whole file. */
void ptf_file_sha256(const ptf_file *file, char hex[65]);

/* ptf_file_release() of all its files. */
void ptf_checkpoint_release(const ptf_checkpoint *ckpt);

/* All texts that the file has as metadata. */
const ptf_metadata *ptf_checkpoint_texts(const ptf_checkpoint *ckpt,
                                         size_t *count);

/* The zip entry with metadata, a JSON object of strings. */
#define PTF_METADATA_ENTRY "extra/ptfold.json"

/* ------------------------------------------------------------ whole models */

/* A pickled nn.Module; it lives as long as the checkpoint. */
typedef struct ptf_module ptf_module;

/* The module that the checkpoint's tensors are the state dict of, or NULL. */
const ptf_module *ptf_checkpoint_module(const ptf_checkpoint *ckpt);

/*
 * Hands every module to 'visit' that the tensors may be of: that one, or those
 * in the lists and dicts that were chosen.  False as soon as it does, and for
 * more values than anybody saves.
 */
bool ptf_checkpoint_visit_modules(const ptf_checkpoint *ckpt,
                                  bool (*visit)(void *to,
                                                const ptf_module *module),
                                  void *to);

/* True when its class comes from that package; '*name' is the class's. */
bool ptf_module_is(const ptf_module *module, const char *package,
                   const char **name);

/* Its children in order; NULL for one that is no module, such as None. */
size_t ptf_module_child_count(const ptf_module *module);
const ptf_module *ptf_module_child(const ptf_module *module, size_t index,
                                   ptf_text_span *name);

/* The names of all its attributes; false after the last. */
bool ptf_module_attribute(const ptf_module *module, size_t index,
                          ptf_text_span *name);

/* True when the parameter is there and not None. */
bool ptf_module_has_parameter(const ptf_module *module, const char *name);
/* The same of a buffer. */
bool ptf_module_has_buffer(const ptf_module *module, const char *name);

/*
 * The one child that a module of that class calls with its own input, for
 * what PyTorch puts around a network to train it; NULL for any other class.
 */
const char *ptf_wrapped_child(ptf_text_span class_name);

/* True for the name of such a child. */
bool ptf_is_wrapped_child(ptf_text_span key);

/* ---------------------------------------------------------- known networks */

/* A checkpoint's tensors under the names that a network has for them. */
typedef struct ptf_fitted {
    const ptf_tensor *tensors;
    size_t count;
    const char *key; /* see ptf_checkpoint_key() */
    size_t left_out;
    const char *left_name; /* of one of them */
    const char *beside;    /* a module's, in the same state dict, or NULL */
} ptf_fitted;

/*
 * Where one place among the tensors has all that is wanted and nothing else
 * (see ptf_open_options), those; elsewhere all of them as they are.  What is
 * made lies in 'arena'.  PTF_ARGUMENT when several places do.
 */
ptf_status ptf_checkpoint_fit(const ptf_checkpoint *ckpt, ptf_arena *arena,
                              const ptf_parameter *wanted, size_t count,
                              ptf_fitted *out, ptf_error *err);

enum { PTF_MODULE_VALUE_TEXT = 128 };

/*
 * The attribute as Python prints it: numbers, True, None, lower case words
 * without quotes, rows of them as tuples, "{}".  False for anything else, and
 * when there is no such attribute.
 */
bool ptf_module_value(const ptf_module *module, const char *name,
                      char text[PTF_MODULE_VALUE_TEXT]);

#endif
