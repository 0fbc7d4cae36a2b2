/*
 * From objects to tensors: the functions by which PyTorch rebuilds tensors,
 * read as descriptions.  Their arguments are those of torch/_utils.py and
 * torch/_tensor.py.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "checkpoint/reader.h"

/* What is being rebuilt, passed along. */
typedef struct rebuild {
    ptf_checkpoint *ckpt;
    const char *name;
    int depth; /* of wrappers */
    ptf_tensor *out;
    ptf_error *err;
} rebuild;

typedef ptf_status rebuild_function(rebuild *r, const ptf_object *args,
                                    const ptf_object *state);

static rebuild_function rebuild_v1, rebuild_v2, rebuild_v3,
    rebuild_first_argument, rebuild_with_state, rebuild_parameter,
    rebuild_from_cpu, rebuild_from_type, rebuild_quantized;

/* The functions; what cannot be read has a reason instead. */
static const struct {
    const char *module, *name;
    rebuild_function *run;
    const char *refusal;
} functions[] = {
    {"torch._utils", "_rebuild_tensor", rebuild_v1, NULL},
    {"torch._utils", "_rebuild_tensor_v2", rebuild_v2, NULL},
    {"torch._utils", "_rebuild_tensor_v3", rebuild_v3, NULL},
    {"torch._utils", "_rebuild_parameter", rebuild_first_argument, NULL},
    {"torch._utils", "_rebuild_parameter_with_state", rebuild_with_state, NULL},
    {"torch._utils", "_rebuild_device_tensor_from_cpu_tensor", rebuild_from_cpu,
     NULL},
    {"torch.nn.parameter", "Parameter", rebuild_parameter, NULL},
    {"torch.nn.parameter", "Buffer", rebuild_parameter, NULL},
    {"torch.autograd.variable", "Variable", rebuild_parameter, NULL},
    {"torch._tensor", "_rebuild_from_type_v2", rebuild_from_type, NULL},
    {"torch._utils", "_rebuild_qtensor", rebuild_quantized, NULL},
    {"torch._utils", "_rebuild_sparse_tensor", NULL, "is sparse"},
    {"torch._utils", "_rebuild_sparse_csr_tensor", NULL, "is sparse"},
    {"torch._utils", "_rebuild_nested_tensor", NULL, "is nested"},
    {"torch._utils", "_rebuild_meta_tensor_no_storage", NULL,
     "has no data (meta device)"},
    {"torch.nn.parameter", "UninitializedParameter", NULL,
     "has no data (lazy module)"},
    {"torch.nn.parameter", "UninitializedBuffer", NULL,
     "has no data (lazy module)"},
    {"torch._utils", "_rebuild_wrapper_subclass", NULL,
     "is of a tensor subclass"},
    {"torch._utils", "_rebuild_device_tensor_from_numpy", NULL,
     "was pickled through NumPy by a device"},
    {"torch._utils", "_rebuild_xla_tensor", NULL,
     "was pickled through NumPy by a device"},
    {"torch._tensor", "_rebuild_from_type", NULL, "is of a tensor subclass"},
    {"torch.storage", "_load_from_bytes", NULL,
     "is a pickle inside the pickle"},
    {"torch.distributed.tensor", "DTensor", NULL, "is distributed"},
    {"torch.distributed._shard.sharded_tensor.api", "ShardedTensor", NULL,
     "is distributed"},
};

static ptf_status fail(const rebuild *r, ptf_status status, const char *text)
{
    ptf_origin origin = ptf_object_origin(r->ckpt);
    return ptf_fail(r->err, status, &origin, PTF_NO_OFFSET, "tensor '%s': %s",
                    r->name, text);
}

/* The classes among them; many modules of PyTorch have their names, too. */
static bool is_class(size_t function)
{
    return strcmp(functions[function].module, "torch.nn.parameter") == 0 ||
           functions[function].run == rebuild_parameter;
}

static bool is_alias(size_t function, const ptf_object *callee)
{
    if (callee->kind != PTF_OBJECT_GLOBAL || !is_class(function))
        return false;
    const ptf_global *g = callee->global;
    const char *dot = strrchr(g->name, '.');
    return strcmp(dot != NULL ? dot + 1 : g->name, functions[function].name) ==
               0 &&
           (strcmp(g->module, "torch") == 0 ||
            strncmp(g->module, "torch.", 6) == 0);
}

static int find_function(const ptf_object *callee)
{
    for (size_t i = 0; i < PTF_ARRAY_SIZE(functions); i++) {
        if (ptf_object_is_global(callee, functions[i].module,
                                 functions[i].name) ||
            is_alias(i, callee))
            return (int)i;
    }
    return -1;
}

/*
 * The "Float" of torch.FloatTensor, a class whose state is a storage and a
 * place in it: how the first versions pickled tensors.  torch.Tensor is that
 * one.  NULL for what is no such class.
 */
static const char *element_of(const ptf_object *callee, size_t *size)
{
    const ptf_global *g =
        callee->kind == PTF_OBJECT_GLOBAL ? callee->global : NULL;
    if (g == NULL || (strcmp(g->module, "torch") != 0 &&
                      strcmp(g->module, "torch.cuda") != 0))
        return NULL;
    size_t all = strlen(g->name), ending = strlen("Tensor");
    if (all < ending || strcmp(g->name + all - ending, "Tensor") != 0)
        return NULL;
    *size = all > ending ? all - ending : strlen("Float");
    return all > ending ? g->name : "Float";
}

/* Whoever gets a storage, as argument or state, makes a tensor of it. */
static bool takes_storage(const ptf_object *args)
{
    const ptf_object *first =
        args != NULL && args->kind == PTF_OBJECT_TUPLE && args->count > 0
            ? args->items[0]
            : NULL;
    const ptf_object *id = first != NULL && first->kind == PTF_OBJECT_PERSISTENT
                               ? first->items[0]
                               : NULL;
    return id != NULL && id->kind == PTF_OBJECT_TUPLE && id->count > 0 &&
           ptf_object_is(id->items[0], "storage");
}

bool ptf_object_is_tensor(const ptf_object *value)
{
    if (value->kind != PTF_OBJECT_INSTANCE)
        return false;
    const ptf_object *callee = value->items[PTF_INSTANCE_CALLEE];
    size_t size;
    if (takes_storage(value->items[PTF_INSTANCE_ARGS]) ||
        takes_storage(value->items[PTF_INSTANCE_STATE]))
        return true;
    return callee->kind == PTF_OBJECT_GLOBAL &&
           (find_function(callee) >= 0 || element_of(callee, &size) != NULL ||
            (strcmp(callee->global->module, "torch._utils") == 0 &&
             strncmp(callee->global->name, "_rebuild", 8) == 0));
}

/*
 * A parameter's state is its flags, or begins with the tensor.  Nothing else
 * is saved with a state that way, and PyTorch would take the elements from it.
 */
static bool takes_state(int function)
{
    return functions[function].run == rebuild_parameter;
}

static ptf_status rebuild_typed(rebuild *r, const ptf_object *callee,
                                const ptf_object *state);

/* Of a subclass's own tensors the first argument is the class. */
static ptf_status refuse(const rebuild *r, const ptf_object *callee,
                         const ptf_object *args, const char *why)
{
    static const char distributed[] = "torch.distributed";
    ptf_origin origin = ptf_object_origin(r->ckpt);
    if (args->count > 0 && args->items[0]->kind == PTF_OBJECT_GLOBAL)
        callee = args->items[0];
    const ptf_global *class = callee->global;
    bool shard = strncmp(class->module, distributed, strlen(distributed)) == 0;
    return ptf_fail(r->err, PTF_UNSUPPORTED, &origin, PTF_NO_OFFSET,
                    "tensor '%s' %s (%s), %s", r->name, why, class->name,
                    shard ? "a part of one; save whole tensors: full_tensor() "
                            "of each, or full_state_dict=True"
                          : "which ptfold does not read");
}

static ptf_status call(rebuild *r, const ptf_object *callee,
                       const ptf_object *args, const ptf_object *state)
{
    ptf_origin origin = ptf_object_origin(r->ckpt);
    int i = find_function(callee);
    if (++r->depth > 8)
        return fail(r, PTF_FORMAT,
                    "expected a tensor, got wrappers without "
                    "end");
    if (i >= 0 && state != NULL && !takes_state(i))
        return fail(r, PTF_UNSUPPORTED,
                    "is changed after it was made (BUILD), which ptfold does "
                    "not read");
    if (i >= 0 && functions[i].run != NULL)
        return functions[i].run(r, args, state);
    if (i >= 0)
        return refuse(r, callee, args, functions[i].refusal);
    if (args->count == 0 && state != NULL)
        return rebuild_typed(r, callee, state);
    bool global = callee->kind == PTF_OBJECT_GLOBAL;
    return ptf_fail(r->err, PTF_UNSUPPORTED, &origin, PTF_NO_OFFSET,
                    "tensor '%s' is made by %s%s%s, which ptfold does not "
                    "know and does not run",
                    r->name, global ? callee->global->module : "",
                    global ? "." : "",
                    global ? callee->global->name : "a computed function");
}

static ptf_status call_object(rebuild *r, const ptf_object *value)
{
    if (value == NULL || value->kind != PTF_OBJECT_INSTANCE)
        return fail(r, PTF_FORMAT, "expected a tensor, got something else");
    int i = find_function(value->items[PTF_INSTANCE_CALLEE]);
    if (value->created && i >= 0 && !is_class((size_t)i))
        return fail(r, PTF_FORMAT,
                    "expected its rebuild function to be called, got it "
                    "taken for a class (NEWOBJ)");
    return call(r, value->items[PTF_INSTANCE_CALLEE],
                value->items[PTF_INSTANCE_ARGS],
                value->items[PTF_INSTANCE_STATE]);
}

ptf_status ptf_tensor_rebuild(ptf_checkpoint *ckpt, const ptf_object *value,
                              const char *name, ptf_tensor *out, ptf_error *err)
{
    rebuild r = {ckpt, name, 0, out, err};
    *out = (ptf_tensor){.name = name};
    return call_object(&r, value);
}

/* ------------------------------------------------------------------- forms */

/* The arguments that all forms begin with: storage, offset, size, stride;
 * there are 'least' to 'most' in all.  'dtype' is NULL for the storage's. */
static ptf_status rebuild_strided(rebuild *r, const ptf_object *args,
                                  uint32_t least, uint32_t most,
                                  const ptf_dtype *dtype, bool quantized)
{
    if (args->count < least || args->count > most)
        return fail(r, PTF_FORMAT,
                    "expected as many arguments as its rebuild function "
                    "takes");
    ptf_storage_view view;
    ptf_status status =
        ptf_storage_find(r->ckpt, args->items[0], &view, r->err);
    if (status != PTF_OK)
        return status;
    if (view.storage->quantized != quantized || view.untyped != (dtype != NULL))
        return fail(r, PTF_FORMAT,
                    "expected a storage of the class that its "
                    "rebuild function needs");
    if (args->items[1]->kind != PTF_OBJECT_INT)
        return fail(r, PTF_FORMAT, "expected an integer for its offset");
    int strides = 0;
    r->out->dtype = dtype != NULL ? *dtype : view.storage->dtype;
    status = ptf_read_dims(r->ckpt, args->items[2], r->name, "size",
                           r->out->shape, &r->out->rank, r->err);
    if (status == PTF_OK)
        status = ptf_read_dims(r->ckpt, args->items[3], r->name, "stride",
                               r->out->stride, &strides, r->err);
    if (status == PTF_OK && strides != r->out->rank)
        status = fail(r, PTF_FORMAT, "expected as many strides as dimensions");
    return status == PTF_OK
               ? ptf_tensor_place(r->ckpt, &view, args->items[1]->integer,
                                  r->out, r->err)
               : status;
}

/* Flags such as {'conj': True} change what the numbers mean; PyTorch looks
 * only at their names. */
static ptf_status check_flags(rebuild *r, const ptf_object *args, uint32_t at)
{
    const ptf_object *flags = args->count > at ? args->items[at] : NULL;
    if (flags == NULL || flags->kind == PTF_OBJECT_NONE)
        return PTF_OK;
    if (flags->kind != PTF_OBJECT_DICT)
        return fail(r, PTF_FORMAT, "expected a dict of flags");
    return flags->count == 0
               ? PTF_OK
               : fail(r, PTF_UNSUPPORTED, "is marked as conjugated or negated");
}

static ptf_status rebuild_v1(rebuild *r, const ptf_object *args,
                             const ptf_object *state)
{
    (void)state;
    return rebuild_strided(r, args, 4, 4, NULL, false);
}

static ptf_status rebuild_v2(rebuild *r, const ptf_object *args,
                             const ptf_object *state)
{
    (void)state;
    ptf_status status = rebuild_strided(r, args, 6, 7, NULL, false);
    return status == PTF_OK ? check_flags(r, args, 6) : status;
}

static ptf_status rebuild_v3(rebuild *r, const ptf_object *args,
                             const ptf_object *state)
{
    (void)state;
    ptf_dtype dtype = PTF_DTYPE_F32;
    const ptf_object *name = args->count > 6 ? args->items[6] : NULL;
    if (name == NULL || name->kind != PTF_OBJECT_GLOBAL ||
        strcmp(name->global->module, "torch") != 0)
        return fail(r, PTF_FORMAT,
                    "expected a dtype for its rebuild "
                    "function");
    if (!ptf_dtype_find(name->global->name, &dtype))
        return fail(r, PTF_UNSUPPORTED,
                    "has a dtype that ptfold does not "
                    "know");
    if (r->ckpt->big_endian && ptf_dtype_size(dtype) > 1)
        return fail(r, PTF_UNSUPPORTED,
                    "has plain bytes of a big-endian machine, whose order "
                    "PyTorch does not mend");
    ptf_status status = rebuild_strided(r, args, 7, 8, &dtype, false);
    return status == PTF_OK ? check_flags(r, args, 7) : status;
}

static ptf_status rebuild_first_argument(rebuild *r, const ptf_object *args,
                                         const ptf_object *state)
{
    (void)state;
    return call_object(r, args->count > 0 ? args->items[0] : NULL);
}

/* The first versions' (storage, offset, size, stride). */
static ptf_status rebuild_typed(rebuild *r, const ptf_object *callee,
                                const ptf_object *state)
{
    size_t size = 0;
    const char *element = element_of(callee, &size);
    if (element == NULL || state->kind != PTF_OBJECT_TUPLE || state->count != 4)
        return fail(r, PTF_FORMAT, "expected a storage and a place in it");
    ptf_status status = rebuild_strided(r, state, 4, 4, NULL, false);
    if (status != PTF_OK)
        return status;
    const char *class = state->items[0]->items[0]->items[1]->global->name;
    return strncmp(class, element, size) == 0 &&
                   strcmp(class + size, "Storage") == 0
               ? PTF_OK
               : fail(r, PTF_FORMAT, "expected a storage of its own class");
}

/* Attributes by which PyTorch would put other numbers into the tensor. */
static bool sets_numbers(const ptf_object *state)
{
    static const char *const names[] = {"data", "real", "imag"};
    enum { MANY = 2 * 1000 }; /* attributes: more are not searched */
    if (state->kind == PTF_OBJECT_INSTANCE &&
        state->items[PTF_INSTANCE_PAIRS] != NULL)
        state = state->items[PTF_INSTANCE_PAIRS];
    bool found = state->kind == PTF_OBJECT_DICT && state->count > MANY;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(names); i++)
        found = found || ptf_dict_find(state, names[i]) != NULL;
    return found;
}

/* A state is a dict of attributes, or two: those of __slots__ after. */
static ptf_status check_attributes(rebuild *r, const ptf_object *state)
{
    bool found = sets_numbers(state);
    if (state->kind == PTF_OBJECT_TUPLE && state->count == 2)
        found = sets_numbers(state->items[0]) || sets_numbers(state->items[1]);
    return found ? fail(r, PTF_UNSUPPORTED,
                        "has an attribute that replaces its numbers")
                 : PTF_OK;
}

/* (tensor, requires_grad, hooks, state) */
static ptf_status rebuild_with_state(rebuild *r, const ptf_object *args,
                                     const ptf_object *state)
{
    if (args->count != 4)
        return fail(r, PTF_FORMAT, "expected a parameter and its state");
    ptf_status status = check_attributes(r, args->items[3]);
    return status == PTF_OK ? rebuild_first_argument(r, args, state) : status;
}

/* (tensor, dtype, device, requires_grad): PyTorch would convert it. */
static ptf_status rebuild_from_cpu(rebuild *r, const ptf_object *args,
                                   const ptf_object *state)
{
    ptf_dtype dtype;
    ptf_status status = rebuild_first_argument(r, args, state);
    if (status != PTF_OK)
        return status;
    const ptf_object *name = args->count == 4 ? args->items[1] : NULL;
    bool same = name != NULL && name->kind == PTF_OBJECT_GLOBAL &&
                strcmp(name->global->module, "torch") == 0 &&
                ptf_dtype_find(name->global->name, &dtype) &&
                dtype == r->out->dtype;
    return same ? PTF_OK
                : fail(r, PTF_UNSUPPORTED, "is to become of another dtype");
}

/*
 * Parameter(tensor, requires_grad).  Its state, if it has one, is of the form
 * (requires_grad, volatile, hooks), or (tensor, gradient, hooks,
 * requires_grad, volatile), whose tensor takes the place of the first.
 */
static ptf_status rebuild_parameter(rebuild *r, const ptf_object *args,
                                    const ptf_object *state)
{
    enum { FLAGS = 3, TENSOR_AND_FLAGS = 5 };
    const ptf_object *made = args->count > 0 ? args->items[0] : NULL;
    if (state == NULL)
        return call_object(r, made);
    uint32_t count = state->kind == PTF_OBJECT_TUPLE ? state->count : 0;
    if (count == FLAGS && state->items[0]->kind == PTF_OBJECT_BOOL)
        return call_object(r, made);
    if (count == TENSOR_AND_FLAGS && state->items[3]->kind == PTF_OBJECT_BOOL)
        return call_object(r, state->items[0]);
    return fail(r, PTF_FORMAT,
                "expected flags for its state, with the tensor in front or "
                "without");
}

/* (function, type, arguments, state): the type only adds methods. */
static ptf_status rebuild_from_type(rebuild *r, const ptf_object *args,
                                    const ptf_object *state)
{
    (void)state;
    if (args->count != 4 || args->items[2]->kind != PTF_OBJECT_TUPLE)
        return fail(r, PTF_FORMAT, "expected a function and its arguments");
    ptf_status status = check_attributes(r, args->items[3]);
    return status == PTF_OK ? call(r, args->items[0], args->items[2], NULL)
                            : status;
}

static ptf_status rebuild_quantized(rebuild *r, const ptf_object *args,
                                    const ptf_object *state)
{
    (void)state;
    ptf_status status = rebuild_strided(r, args, 7, 7, NULL, true);
    return status == PTF_OK
               ? ptf_tensor_dequantize(r->ckpt, args->items[4], r->out, r->err)
               : status;
}
