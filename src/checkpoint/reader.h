/*
 * The checkpoint's insides, shared by the files that read one.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#ifndef PTF_READER_H
#define PTF_READER_H

#include "archive/archive.h"
#include "checkpoint/checkpoint.h"
#include "pickle/pickle.h"

/* A storage and what the pickle says it holds. */
typedef struct ptf_held_storage {
    ptf_storage bytes; /* first: a tensor's storage points here */
    ptf_dtype dtype;
    bool quantized; /* integers that stand for scaled numbers */
    int64_t numel;
    bool loaded;
} ptf_held_storage;

struct ptf_checkpoint {
    ptf_users *users, counted;
    ptf_file file;
    ptf_arena arena;
    ptf_archive archive;
    ptf_pickle pickle; /* root is NULL in safetensors */
    bool big_endian;
    ptf_text_table storages; /* ptf_held_storage by key */
    ptf_text_table views;    /* of a legacy file: their ids by key */
    ptf_tensor *tensors;     /* an array in the arena */
    size_t count;
    ptf_text_table by_name;
    size_t name_bytes; /* spent on names of tensors */
    size_t walked;     /* values looked at on the way to tensors */
    size_t made_bytes; /* spent on storages that are not in the file */
    ptf_metadata *metadata;
    size_t metadata_count;
    ptf_text_table metadata_by_key; /* its texts */
    const ptf_object *selected;     /* what has the tensors; NULL if unknown */
    const char *place;              /* the key of the state dict, "" for all */
    size_t left_out;                /* tensors that lie elsewhere */
    const char *left_name;          /* one of them */
    bool as_they_are;               /* all names, by the caller's wish */
    const char **opaque; /* globals that are not understood, sorted */
    size_t opaque_count;
    size_t closed_count;     /* objects with tensors, not looked into */
    ptf_storage **learnt;    /* whose checksum the file does not state */
    size_t learnt_count;     /* 0 until they are verified */
    ptf_checkpoint **shards; /* the files of an index, else none */
    size_t shard_count;
    bool is_shard; /* named by an index */
};

/* ---------------------------------------------------------------- storages */

/* What a persistent id stands for: a storage, or a part of one. */
typedef struct ptf_storage_view {
    const ptf_held_storage *storage;
    int64_t offset, numel; /* in elements of the storage's dtype */
    bool untyped;          /* plain bytes: the tensor gives the dtype */
} ptf_storage_view;

/*
 * Reads every persistent id of the pickle; in zips also finds and checks the
 * bytes.  An id that is no storage, an unknown class, and one key with two
 * sizes are refused.
 */
ptf_status ptf_storages_load(ptf_checkpoint *ckpt, ptf_error *err);

/* The storage of a persistent id that ptf_storages_load() has seen. */
ptf_status ptf_storage_find(const ptf_checkpoint *ckpt, const ptf_object *value,
                            ptf_storage_view *out, ptf_error *err);

/* Sets what a storage class (torch.FloatStorage) says of its elements. */
ptf_status ptf_storage_find_class(const ptf_checkpoint *ckpt,
                                  const ptf_object *value,
                                  ptf_held_storage *out, ptf_error *err);

/*
 * A storage of 'size' fresh bytes in the checkpoint's arena.  Together they
 * may not be out of proportion to the file.
 */
ptf_status ptf_storage_make(ptf_checkpoint *ckpt, size_t size,
                            ptf_held_storage **out, ptf_error *err);

/* Lists the globals of the pickle that mean nothing to the reader. */
ptf_status ptf_opaque_list(ptf_checkpoint *ckpt, ptf_error *err);

/* Where values stand in messages. */
ptf_origin ptf_object_origin(const ptf_checkpoint *ckpt);

/* ----------------------------------------------------------------- tensors */

/* True for an object that stands for a tensor, readable or not. */
bool ptf_object_is_tensor(const ptf_object *value);

/* True for an object that stands for a NumPy array or scalar. */
bool ptf_object_is_array(const ptf_object *value);

/* True for either: what ptf_pickle_read() has to look for. */
static inline bool ptf_object_is_numbers(const ptf_object *object)
{
    return ptf_object_is_tensor(object) || ptf_object_is_array(object);
}

/* Fills 'out' from such an object; 'name' is the tensor's, for messages. */
ptf_status ptf_tensor_rebuild(ptf_checkpoint *ckpt, const ptf_object *value,
                              const char *name, ptf_tensor *out,
                              ptf_error *err);
ptf_status ptf_array_rebuild(ptf_checkpoint *ckpt, const ptf_object *value,
                             const char *name, ptf_tensor *out, ptf_error *err);

/*
 * Dequantises: 'params' is what _rebuild_qtensor gets.  'raw' has the
 * integers and is replaced by f32 numbers.
 */
ptf_status ptf_tensor_dequantize(ptf_checkpoint *ckpt, const ptf_object *params,
                                 ptf_tensor *raw, ptf_error *err);

/*
 * Reads a tuple of non-negative integers into 'out'; their number into
 * '*rank'.  Fails for more than PTF_MAX_RANK.
 */
ptf_status ptf_read_dims(const ptf_checkpoint *ckpt, const ptf_object *tuple,
                         const char *name, const char *what, int64_t *out,
                         int *rank, ptf_error *err);

/*
 * Checks that shape and strides of 'out' reach nothing outside 'view', from
 * element 'offset' on, and sets the data pointer.
 */
ptf_status ptf_tensor_place(const ptf_checkpoint *ckpt,
                            const ptf_storage_view *view, int64_t offset,
                            ptf_tensor *out, ptf_error *err);

/* ----------------------------------------------------------------- finding */

/* Why a tensor cannot have the name that its keys give. */
typedef struct ptf_name_problem {
    ptf_status status;
    const char *text;
} ptf_name_problem;

/*
 * What names its tensors: a dict, a list, or a whole module with all that is
 * below it.  Those directly in it are of it; the first of them tells where
 * it lies.
 */
typedef struct ptf_owner {
    ptf_object *value;
    size_t first;  /* of the leaves */
    size_t prefix; /* bytes of names before the owner's own, with the dot */
    size_t count;
    bool is_module;
    bool has_layers;  /* "conv.weight" */
    bool has_weight;  /* "weight" ... */
    bool has_partner; /* ... beside "bias" and the like: one layer */
} ptf_owner;

/* A tensor under its dotted name, not yet rebuilt. */
typedef struct ptf_leaf {
    const char *name; /* first: see select.c */
    const ptf_object *value;
    const ptf_name_problem *problem; /* or NULL */
    size_t owner;                    /* number */
} ptf_leaf;

typedef struct ptf_leaves {
    ptf_leaf *items;
    size_t count, capacity;
    ptf_owner *owners;
    size_t owner_count, owner_capacity;
    size_t closed_count;      /* objects with tensors, not looked into */
    const ptf_object *closed; /* one of them */
} ptf_leaves;

void ptf_leaves_free(ptf_leaves *leaves);

ptf_status ptf_leaf_rebuild(ptf_checkpoint *ckpt, const ptf_leaf *leaf,
                            ptf_tensor *out, ptf_error *err);

/*
 * True for a module, a TorchScript object, and what extends a dict or list:
 * the objects that are looked into.
 */
bool ptf_object_is_open(const ptf_object *object);

/*
 * A dict's key as part of a name, as Python's str() gives it; false for what
 * is neither text, integer, truth value nor None.  '*out' is the key's own
 * text, or lies in 'number'.
 */
bool ptf_key_text(const ptf_object *key, char number[24], ptf_text_span *out);

/*
 * Lists the tensors (with 'arrays', the NumPy arrays) below 'from', with
 * 'training' also those of optimizers and their like.  Release with
 * ptf_leaves_free().
 */
ptf_status ptf_leaves_collect(ptf_checkpoint *ckpt, ptf_object *from,
                              bool arrays, bool training, ptf_leaves *out,
                              ptf_error *err);

/*
 * True for what serves training and is no network, by its form: the state of
 * an optimizer, a loss.
 */
bool ptf_object_is_training(const ptf_object *value);

/* True for a member of 'dict' that serves training, by both their names. */
bool ptf_member_is_training(const ptf_object *dict, const ptf_object *key);

/* True when 'name' can be a tensor of a layer: "weight", "running_mean". */
bool ptf_name_is_layer_s(const char *name, size_t size);

/*
 * The one owner that can be meant, of leaves that are some; notes its place
 * and what lies elsewhere.  PTF_ARGUMENT when there are several.
 */
ptf_status ptf_owner_choose(ptf_checkpoint *ckpt, const ptf_leaves *leaves,
                            const ptf_owner **out, ptf_error *err);

/* Chooses the state dict that the options mean, and lists it. */
ptf_status ptf_leaves_select(ptf_checkpoint *ckpt,
                             const ptf_open_options *options, ptf_leaves *out,
                             ptf_error *err);

/* ---------------------------------------------------------------- matching */

/* A tensor's name; the part before 'own' is the place of its state dict. */
typedef struct ptf_found_name {
    const char *name; /* NULL: left out */
    size_t own;
} ptf_found_name;

/* Names of a file, and how to look at the tensors that they stand for. */
typedef struct ptf_found_names {
    ptf_found_name *items;
    size_t count;
    bool (*has_shape)(const void *of, size_t index,
                      const ptf_parameter *wanted);
    const void *of;
} ptf_found_names;

enum { PTF_PLACES_SHOWN = 16 }; /* more than a message has room for */

/* Where in the file a network's tensors are; "" is everywhere. */
typedef struct ptf_places {
    const char *names[PTF_PLACES_SHOWN]; /* of the first ones, in the arena */
    size_t counts[PTF_PLACES_SHOWN];     /* tensors below each */
    size_t count;                        /* of all */
} ptf_places;

/*
 * Finds the places that have all the parameters, and no other tensors, under
 * their names; then under their names without what wrappers put in front.
 * When there is one, its names become the parameters', others NULL.
 */
ptf_status ptf_names_match(ptf_arena *arena, ptf_found_names *names,
                           const ptf_parameter *wanted, size_t count,
                           ptf_places *out, ptf_error *err);

/* PTF_ARGUMENT: these could all be meant. */
ptf_status ptf_places_fail(const ptf_checkpoint *ckpt, const ptf_places *places,
                           ptf_error *err);

/*
 * Keeps of the checkpoint's own tensors what the options mean: for files that
 * hold one flat list of names.
 */
ptf_status ptf_tensors_select(ptf_checkpoint *ckpt,
                              const ptf_open_options *options, ptf_error *err);

/* -------------------------------------------------------------- file kinds */

/* The pickles and storages of a legacy stream. */
ptf_status ptf_legacy_read(ptf_checkpoint *ckpt, ptf_error *err);

/* The three parts of a tar. */
ptf_status ptf_tar_read(ptf_checkpoint *ckpt, ptf_error *err);

/* The header and tensors of a safetensors file. */
ptf_status ptf_safetensors_read(ptf_checkpoint *ckpt, ptf_error *err);

/* An index and the tensors of the files that it names. */
ptf_status ptf_shards_read(ptf_checkpoint *ckpt, ptf_error *err);

/* A file that an index names; all tensors under their full names. */
ptf_status ptf_checkpoint_open_shard(const char *path, ptf_checkpoint **out,
                                     ptf_error *err);

/* -------------------------------------------------------------------- JSON */

struct json_t;

/*
 * Parses a JSON object of at most 'most' values, in which no key occurs twice.
 * *out is jansson's, NULL on failure.
 */
ptf_status ptf_json_parse(const ptf_origin *origin, const void *text,
                          size_t size, size_t most, struct json_t **out,
                          ptf_error *err);
/*
 * Parses an entry that must be a JSON object without a key twice.  *out is
 * jansson's, NULL on failure.
 */
ptf_status ptf_json_read(const ptf_checkpoint *ckpt, const ptf_entry *entry,
                         struct json_t **out, ptf_error *err);
void ptf_json_free(struct json_t *root);

/*
 * Takes an object of texts as the checkpoint's metadata.  Values that are no
 * texts are left out with 'others', else refused.
 */
ptf_status ptf_json_read_metadata(ptf_checkpoint *ckpt, const ptf_entry *entry,
                                  struct json_t *object, bool others,
                                  ptf_error *err);

/* PTF_FORMAT: "FILE: ENTRY: 'name': text". */
ptf_status ptf_json_fail(const ptf_checkpoint *ckpt, const ptf_entry *entry,
                         const char *name, const char *text, ptf_error *err);

#endif
