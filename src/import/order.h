/*
 * order: whether modules run in the order in which a text names them.  The
 * text of print(model) and the attributes of a pickle show modules, not the
 * forward() that calls them; this is what is known of it all the same.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_ORDER_H
#define PTF_ORDER_H

#include "import/import.h"
#include "import/text.h"

enum { PTF_ORDER_KEYS = 4 }; /* first children that tell classes apart */

/*
 * Why modules of that class never run their children in order, or NULL; the
 * first children have these keys.  Such classes are refused whatever the
 * caller says: what is recognised are those of torch, torchvision and timm,
 * not those of somebody's own that have the name.
 */
const char *ptf_order_refusal(const char *class_name, const ptf_text_span *keys,
                              size_t count);

/* True for a name that such a class has. */
bool ptf_order_is_block(const char *class_name);

/* True for ModuleList and ModuleDict: the module around them runs theirs. */
bool ptf_order_is_list(const char *class_name);

/*
 * False unless the class is nn.Sequential, or one of PyTorch's own that runs
 * its children in order and may have 'child' at that index; with NULL, unless
 * 'index' children are all that it has.
 */
bool ptf_order_takes(const char *class_name, int index, const ptf_item *child);

/* True for a class of PyTorch's that runs its children in order. */
bool ptf_order_knows(const char *class_name);

/* The first container that is not known to run its children in order, or -1. */
int ptf_order_unknown(const ptf_net *net);

/* PTF_UNSUPPORTED with that container's class and the ways out. */
ptf_status ptf_order_fail(const ptf_net *net, int container,
                          const ptf_reading *how, const char *text_name,
                          ptf_error *err);

/*
 * Notes what a file says that its network rests on, word for word; of no bytes
 * nothing.
 */
ptf_status ptf_order_take(ptf_net *net, const char *assumes, size_t size,
                          const char *text_name, ptf_error *err);

/*
 * The last step of reading a net: refuses a forward() that is not known, or
 * notes what is assumed of it.
 */
ptf_status ptf_order_settle(ptf_net *net, const ptf_reading *how,
                            const char *text_name, ptf_error *err);

/* Lists the signs that the assumption is wrong. */
ptf_status ptf_order_doubt(ptf_net *net, ptf_error *err);

/*
 * Reads the forward() that torch.fx prints after a module's text, which must
 * be the lines from 'first' on.  It must run the layers of the net one after
 * the other, as the text has them.
 */
ptf_status ptf_code_check(const ptf_net *net, const ptf_text *text, int first,
                          ptf_error *err);

#endif
