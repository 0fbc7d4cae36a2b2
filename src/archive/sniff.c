/*
 * What kind of file is it?  The first bytes decide; file names mean nothing.
 * Wrong files are the usual trouble in practice, so each gets its name and
 * a way out.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "archive/archive.h"

/* A file that is not ours: bytes at an offset, its name, what to do. */
typedef struct signature {
    size_t offset;
    size_t size;
    const char *bytes;
    const char *what;
    const char *advice;
} signature;

#define BYTES(offset, text) offset, sizeof(text) - 1, text

static const signature signatures[] = {
    {BYTES(0, "version https://git-lfs"), "a git-lfs pointer",
     "run 'git lfs pull' to fetch the file it stands for"},
    {BYTES(0, "<!DO"), "an HTML page", "download the file itself"},
    {BYTES(0, "<!do"), "an HTML page", "download the file itself"},
    {BYTES(0, "<htm"), "an HTML page", "download the file itself"},
    {BYTES(0, "<HTM"), "an HTML page", "download the file itself"},
    {BYTES(0, "<?xml"), "an XML page", "download the file itself"},
    {BYTES(0, "\x1f\x8b"), "gzip data", "unpack it with gunzip"},
    {BYTES(0, "7z\xbc\xaf\x27\x1c"), "a 7z archive", "unpack it with 7z"},
    {BYTES(0, "BZh"), "bzip2 data", "unpack it with bunzip2"},
    {BYTES(0, "\xfd"
              "7zXZ"),
     "xz data", "unpack it with unxz"},
    {BYTES(0, "\x28\xb5\x2f\xfd"), "zstd data", "unpack it with unzstd"},
    {BYTES(0, "Rar!"), "a rar archive", "unpack it with unrar"},
    {BYTES(0, "\x89HDF"), "an HDF5 file (Keras?)",
     "save the weights from PyTorch"},
    {BYTES(0, "\x89PNG"), "a PNG image", "give the checkpoint"},
    {BYTES(0, "\xff\xd8\xff"), "a JPEG image", "give the checkpoint"},
    {BYTES(0, "\x93NUMPY"), "a NumPy array",
     "save a state dict with torch.save()"},
    {BYTES(0, "GGUF"), "a GGUF model", "give the PyTorch checkpoint"},
    {BYTES(0, "ggml"), "a GGML model", "give the PyTorch checkpoint"},
    {BYTES(0, "PYTORCH1"), "an archive of a PyTorch 1.0 preview",
     "save it again with a released PyTorch"},
    {BYTES(4, "PTMF"), "a PyTorch Mobile flatbuffer",
     "save the state dict with torch.save()"},
    {BYTES(4, "TFL3"), "a TensorFlow Lite model",
     "give the PyTorch checkpoint"},
    {BYTES(0, "\x7f"
              "ELF"),
     "a program", "give the checkpoint"},
    {BYTES(0, "%PDF"), "a PDF document", "give the checkpoint"},
    {BYTES(0, "PK\5\6"), "an empty zip archive", "give the checkpoint"},
    {BYTES(0, "PK\7\x8"), "one part of a split zip archive",
     "join its parts first"},
};

/*
 * The magic number 0x1950a86a20f9469cfc6c as the pickle protocols write it:
 * a long of ten bytes after the protocol and, since 4, a frame; text before
 * protocol 2.  Only these spellings count: a pickle that computes the number
 * is an attack on scanners.
 */
static const char magic_long[] = "\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8"
                                 "\x50\x19.";
static const char magic_text[] = "L119547037146038801333356L\n.";
static const char magic_frame[] = "\x95\x0d\0\0\0\0\0\0\0";

static bool has_bytes(const ptf_file *file, size_t offset, const char *bytes,
                      size_t size)
{
    return offset <= file->size && file->size - offset >= size &&
           memcmp(file->data + offset, bytes, size) == 0;
}

static size_t skip_bytes(const ptf_file *file, size_t offset, const char *bytes,
                         size_t size)
{
    return has_bytes(file, offset, bytes, size) ? offset + size : offset;
}

/*
 * ONNX has no magic number.  A ModelProto starts with its ir_version, a small
 * number that grows by the year, and then has a length or the opset's version
 * for one of its other fields: producer, domain, documentation, graph, opset.
 */
static bool is_onnx(const ptf_file *file)
{
    static const char next[] = "\x12\x1a\x22\x28\x32\x3a\x42";
    return file->size >= 4 && file->data[0] == 8 && file->data[1] > 0 &&
           file->data[1] < 128 &&
           memchr(next, file->data[2], sizeof(next) - 1) != NULL &&
           !has_bytes(file, 7, "\0{", 2); /* safetensors */
}

/* The length of the magic number's pickle, 0 when the file has none. */
static size_t legacy_magic(const ptf_file *file)
{
    size_t at = skip_bytes(file, 0, magic_text, sizeof(magic_text) - 1);
    if (at > 0)
        return at;
    if (file->size < 2 || file->data[0] != 0x80 || file->data[1] > 5)
        return 0;
    at = skip_bytes(file, 2, magic_frame, sizeof(magic_frame) - 1);
    size_t end = skip_bytes(file, at, magic_long, sizeof(magic_long) - 1);
    return end > at ? end : 0;
}

/* An object as text; the size in front of a safetensors header has zeros. */
static bool is_json(const ptf_file *file)
{
    size_t reach = file->size < 8 ? file->size : 8;
    size_t at = 0;
    while (at < reach && strchr(" \t\r\n", file->data[at]) != NULL)
        at++;
    return at < reach && file->data[at] == '{' &&
           memchr(file->data, '\0', reach) == NULL;
}

/* Lines, as those of print(model): nothing that does not belong in a text. */
static bool is_text(const ptf_file *file)
{
    enum { LEAST = 8, REACH = 256 };
    size_t reach = file->size < REACH ? file->size : REACH;
    for (size_t i = 0; i < reach; i++) {
        if ((file->data[i] < ' ' && strchr("\t\r\n", file->data[i]) == NULL) ||
            file->data[i] == '\0' || file->data[i] > '~')
            return false;
    }
    return reach >= LEAST;
}

static ptf_status refuse_unknown(const ptf_file *file, ptf_error *err)
{
    ptf_origin origin = {file->name, NULL};
    const uint8_t *d = file->data;
    if (is_text(file))
        return ptf_fail(err, PTF_UNSUPPORTED, &origin, PTF_NO_OFFSET,
                        "expected a PyTorch checkpoint, got a text; the text "
                        "of print(model) is for --arch");
    if (file->size >= 2 && d[0] == 0x80 && d[1] >= 2 && d[1] <= 5)
        return ptf_fail(
            err, PTF_UNSUPPORTED, &origin, 0,
            "expected a PyTorch checkpoint, got a bare Python pickle; "
            "save a state dict with torch.save()");
    char start[4 * 3 + 1] = "";
    for (size_t i = 0; i < 4 && i < file->size; i++)
        snprintf(start + i * 3, 4, " %02x", d[i]);
    return ptf_fail(err, PTF_FORMAT, &origin, 0,
                    "expected a PyTorch checkpoint or safetensors, got "
                    "something else (it starts with%s)",
                    start);
}

ptf_status ptf_sniff(const ptf_file *file, ptf_sniffed *out, size_t *start,
                     ptf_error *err)
{
    ptf_origin origin = {file->name, NULL};
    *start = 0;
    if (file->size == 0)
        return ptf_fail(err, PTF_FORMAT, &origin, 0, "the file is empty");
    *out = PTF_SNIFFED_ZIP;
    if (has_bytes(file, 0, "PK\3\4", 4))
        return PTF_OK;
    *out = PTF_SNIFFED_LEGACY;
    *start = legacy_magic(file);
    if (*start > 0)
        return PTF_OK;
    for (size_t i = 0; i < PTF_ARRAY_SIZE(signatures); i++) {
        const signature *s = &signatures[i];
        if (has_bytes(file, s->offset, s->bytes, s->size))
            return ptf_fail(err, PTF_UNSUPPORTED, &origin, PTF_NO_OFFSET,
                            "expected a PyTorch checkpoint, got %s; %s",
                            s->what, s->advice);
    }
    if (is_onnx(file))
        return ptf_fail(err, PTF_UNSUPPORTED, &origin, 0,
                        "expected a PyTorch checkpoint, got an ONNX model; "
                        "give the PyTorch checkpoint");
    *out = PTF_SNIFFED_TAR;
    if (has_bytes(file, 257, "ustar", 5))
        return PTF_OK;
    *out = PTF_SNIFFED_JSON;
    if (is_json(file))
        return PTF_OK;
    *out = PTF_SNIFFED_SAFETENSORS;
    return has_bytes(file, 8, "{", 1) ? PTF_OK : refuse_unknown(file, err);
}
