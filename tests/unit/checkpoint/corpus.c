/*
 * Reads checkpoints that other people's software wrote, and damaged ones,
 * from the folder ../shared (or PTF_SHARED), and compares with what stands
 * in its tables: the digest of every tensor, and who must be refused.
 * Without the folder the test says so and is skipped.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tensor/tensor.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <unistd.h>

enum { SKIPPED = 77, MAX_COLUMNS = 8 };

static int failures;

static void complain(const char *file, const char *what, const char *detail)
{
    fprintf(stderr, "FAIL %s: %s: %s\n", file, what, detail);
    failures++;
}

/* Splits a line of a table in place. */
static int split(char *line, char *columns[MAX_COLUMNS])
{
    int n = 0;
    line[strcspn(line, "\r\n")] = '\0';
    while (line != NULL && n < MAX_COLUMNS)
        columns[n++] = strsep(&line, "\t");
    return n;
}

static const char *short_dtype(ptf_dtype dtype)
{
    static const char *const names[PTF_DTYPE_COUNT] = {
        [PTF_DTYPE_F32] = "F32",   [PTF_DTYPE_F64] = "F64",
        [PTF_DTYPE_F16] = "F16",   [PTF_DTYPE_I8] = "I8",
        [PTF_DTYPE_I16] = "I16",   [PTF_DTYPE_I32] = "I32",
        [PTF_DTYPE_I64] = "I64",   [PTF_DTYPE_U8] = "U8",
        [PTF_DTYPE_BOOL] = "BOOL", [PTF_DTYPE_C64] = "C64",
        [PTF_DTYPE_C128] = "C128", [PTF_DTYPE_BF16] = "BF16",
    };
    return names[dtype] != NULL ? names[dtype] : "?";
}

/* "16x3x3" of shape or strides. */
static void join_numbers(const int64_t *numbers, int count, char text[256])
{
    size_t at = 0;
    text[0] = '\0';
    for (int i = 0; i < count; i++)
        at += (size_t)snprintf(text + at, 256 - at, "%s%lld", i > 0 ? "x" : "",
                               (long long)numbers[i]);
}

static void digest_tensor(const ptf_tensor *t, char hex[65])
{
    size_t size = ptf_tensor_bytes(t);
    unsigned char digest[EVP_MAX_MD_SIZE];
    void *bytes = malloc(size + 1);
    ptf_tensor_read_bytes(t, bytes);
    EVP_Digest(bytes, size, digest, NULL, EVP_sha256(), NULL);
    free(bytes);
    for (size_t i = 0; i < 32; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

/* Columns: file, tensor, dtype, shape, stride, offset, digest. */
static void check_tensor(const ptf_tensor *t, char *const columns[])
{
    char shape[256], stride[256], hex[65], where[1024];
    join_numbers(t->shape, t->rank, shape);
    join_numbers(t->stride, t->rank, stride);
    digest_tensor(t, hex);
    snprintf(where, sizeof(where), "%s: '%s'", columns[0], t->name);
    if (strcmp(t->name, columns[1]) != 0)
        complain(where, "expected the name", columns[1]);
    if (strcmp(short_dtype(t->dtype), columns[2]) != 0)
        complain(where, "expected the dtype", columns[2]);
    if (strcmp(shape, columns[3]) != 0)
        complain(where, "expected the shape", columns[3]);
    if (strcmp(stride, columns[4]) != 0)
        complain(where, "expected the strides", columns[4]);
    if (strcmp(hex, columns[6]) != 0)
        complain(where, "expected the digest", columns[6]);
}

static ptf_checkpoint *open_all(const char *path)
{
    ptf_open_options options = {.key = "", .keep_prefix = true};
    ptf_checkpoint *ckpt;
    ptf_error err;
    if (ptf_checkpoint_open(path, &options, &ckpt, &err) != PTF_OK)
        complain(path, "expected to open", err.message);
    else if (ptf_checkpoint_verify(ckpt, &err) != PTF_OK)
        complain(path, "expected sound checksums", err.message);
    return ckpt;
}

/* Rows of one file stand together, in the order of its tensors. */
static size_t check_golden(const char *folder)
{
    char path[4096], line[4096], name[1024] = "";
    snprintf(path, sizeof(path), "%s/wild/GOLDEN.tsv", folder);
    FILE *table = fopen(path, "r");
    ptf_checkpoint *ckpt = NULL;
    size_t checked = 0, next = 0;
    while (table != NULL && fgets(line, sizeof(line), table) != NULL) {
        char *columns[MAX_COLUMNS];
        if (split(line, columns) != 7 || strcmp(columns[0], "file") == 0)
            continue;
        if (strcmp(name, columns[0]) != 0) {
            if (ckpt != NULL && next != ptf_checkpoint_tensor_count(ckpt))
                complain(name, "found more tensors than expected", "");
            ptf_checkpoint_close(ckpt);
            snprintf(name, sizeof(name), "%s", columns[0]);
            snprintf(path, sizeof(path), "%s/wild/%s", folder, name);
            ckpt = open_all(path);
            next = 0;
        }
        if (ckpt == NULL)
            continue;
        if (next >= ptf_checkpoint_tensor_count(ckpt)) {
            complain(name, "missing tensor", columns[1]);
            continue;
        }
        check_tensor(ptf_checkpoint_tensor(ckpt, next++), columns);
        checked++;
    }
    ptf_checkpoint_close(ckpt);
    if (table != NULL)
        fclose(table);
    return checked;
}

/* The digest of a sound file; a "hostile" copy of it proves nothing. */
static void digest_control(const char *folder, char hex[65])
{
    char path[4096];
    ptf_checkpoint *ckpt;
    hex[0] = '\0';
    snprintf(path, sizeof(path), "%s/hostile/000_control_ok.pt", folder);
    if (ptf_checkpoint_open(path, NULL, &ckpt, NULL) == PTF_OK)
        ptf_checkpoint_sha256(ckpt, hex, NULL);
    ptf_checkpoint_close(ckpt);
}

static void check_verdict(char *const columns[], const char *path,
                          const char *control)
{
    char hex[65] = "";
    ptf_checkpoint *ckpt;
    ptf_error err = {PTF_OK, ""};
    ptf_status status = ptf_checkpoint_open(path, NULL, &ckpt, &err);
    if (status == PTF_OK)
        ptf_checkpoint_sha256(ckpt, hex, NULL);
    if (status == PTF_OK)
        status = ptf_checkpoint_verify(ckpt, &err);
    ptf_checkpoint_close(ckpt);
    if (getenv("PTF_SHOW") != NULL)
        printf("%s: %d %s\n", columns[0], (int)status, err.message);
    bool refuse = strcmp(columns[2], "REFUSE") == 0;
    if (refuse && strcmp(hex, control) == 0)
        printf("%s is a copy of the sound file: skipped\n", columns[0]);
    else if (refuse && status == PTF_OK)
        complain(columns[0], "expected to be refused", columns[3]);
    if (strncmp(columns[2], "ACCEPT", 6) == 0 && status != PTF_OK)
        complain(columns[0], "expected to be read", err.message);
}

/* Columns: file, bytes, ACCEPT or REFUSE or either, why. */
static size_t check_hostile(const char *folder)
{
    char path[4096], line[4096], control[65];
    digest_control(folder, control);
    snprintf(path, sizeof(path), "%s/hostile/EXPECT.tsv", folder);
    FILE *table = fopen(path, "r");
    size_t checked = 0;
    while (table != NULL && fgets(line, sizeof(line), table) != NULL) {
        char *columns[MAX_COLUMNS];
        if (split(line, columns) < 4 || strcmp(columns[0], "file") == 0)
            continue;
        snprintf(path, sizeof(path), "%s/hostile/%s", folder, columns[0]);
        check_verdict(columns, path, control);
        checked++;
    }
    if (table != NULL)
        fclose(table);
    return checked;
}

int main(int argc, char **argv)
{
    const char *folder = getenv("PTF_SHARED");
    if (folder == NULL && argc > 1)
        folder = argv[1];
    if (folder == NULL || access(folder, R_OK) != 0) {
        printf("no folder ../shared: skipped\n");
        return SKIPPED;
    }
    size_t golden = check_golden(folder), hostile = check_hostile(folder);
    printf("%zu tensors of the wild, %zu hostile files, %d failures\n", golden,
           hostile, failures);
    return failures > 0 || golden == 0 || hostile == 0;
}
