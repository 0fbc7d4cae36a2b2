/*
 * Makes torch.export archives out of JSON.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "make_program.h"

static void add(ptf_buffer *out, uint64_t value, int width)
{
    ptf_buffer_add_int(out, value, width);
}

/* What the local header and the directory say alike. */
static void add_facts(ptf_buffer *out, const program_entry *e)
{
    add(out, 0, 2); /* flags */
    add(out, 0, 2); /* stored */
    add(out, 0, 4); /* time and date */
    add(out, ptf_crc32(0, e->data, e->size), 4);
    add(out, e->size, 4);
    add(out, e->size, 4);
    add(out, strlen(e->name), 2);
    add(out, 0, 2); /* extra fields */
}

void make_zip(const program_entry *entries, size_t count, ptf_buffer *out)
{
    ptf_buffer directory = {0};
    *out = (ptf_buffer){0};
    for (size_t i = 0; i < count; i++) {
        const program_entry *e = &entries[i];
        ptf_buffer_add(&directory, "PK\1\2\0\0\0\0", 8);
        add_facts(&directory, e);
        add(&directory, 0, 6); /* comment, disk, attributes */
        add(&directory, 0, 4);
        add(&directory, out->size, 4);
        ptf_buffer_add_text(&directory, e->name);
        ptf_buffer_add(out, "PK\3\4\0\0", 6);
        add_facts(out, e);
        ptf_buffer_add_text(out, e->name);
        ptf_buffer_add(out, e->data, e->size);
    }
    size_t start = out->size;
    ptf_buffer_add(out, directory.data, directory.size);
    ptf_buffer_add(out, "PK\5\6\0\0\0\0", 8);
    add(out, count, 2);
    add(out, count, 2);
    add(out, directory.size, 4);
    add(out, start, 4);
    add(out, 0, 2);
    ptf_buffer_free(&directory);
}

void make_program(const char *graph, size_t graph_size, const char *weights,
                  size_t weights_size, ptf_buffer *out)
{
    static const char none[] = "{\"config\": {}}";
    static const float data[16];
    const program_entry entries[] = {
        {"a/data/weights/weight_0", data, sizeof(data)},
        {"a/data/weights/model_weights_config.json", weights, weights_size},
        {"a/data/constants/model_constants_config.json", none,
         sizeof(none) - 1},
        {"a/models/model.json", graph, graph_size},
        {"a/archive_format", "pt2", 3},
        {"a/byteorder", "little", 6},
    };
    make_zip(entries, PTF_ARRAY_SIZE(entries), out);
}
