/*
 * Archives of torch.export whose JSON tests change.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "program_source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

void program_source_open(const char *path, program_source *s)
{
    assert_int_equal(ptf_file_open(path, &s->file, NULL), PTF_OK);
    assert_int_equal(ptf_archive_open(&s->file, &s->archive, NULL), PTF_OK);
    assert_in_range(s->archive.count, 1, PROGRAM_SOURCE_ENTRIES);
    s->count = s->archive.count;
    for (size_t i = 0; i < s->count; i++) {
        ptf_entry *e = &s->archive.entries[i];
        assert_int_equal(ptf_archive_load(&s->archive, e, NULL), PTF_OK);
        snprintf(s->names[i], sizeof(s->names[i]), "a/%s", e->name);
        s->entries[i] = (program_entry){s->names[i], e->data, e->size};
        if (strcmp(e->name, "models/model.json") == 0)
            s->graph = i;
        if (strcmp(e->name, "data/weights/model_weights_config.json") == 0)
            s->weights = i;
    }
}

void program_source_close(program_source *s)
{
    ptf_archive_close(&s->archive);
    ptf_file_close(&s->file);
}

json_t *program_source_parse(const program_source *s, size_t entry)
{
    json_t *root =
        json_loadb(s->entries[entry].data, s->entries[entry].size, 0, NULL);
    assert_non_null(root);
    return root;
}

void program_source_change(const program_source *s, size_t entry,
                           const char *text, ptf_buffer *zip)
{
    program_entry entries[PROGRAM_SOURCE_ENTRIES];
    memcpy(entries, s->entries, sizeof(entries));
    entries[entry].data = text;
    entries[entry].size = strlen(text);
    make_zip(entries, s->count, zip);
}

json_t *program_substitute(int i)
{
    switch (i) {
    case 0: return json_null();
    case 1: return json_true();
    case 2: return json_integer(-1);
    case 3: return json_integer(INT64_MAX);
    case 4: return json_string("?");
    case 5: return json_array();
    case 6: return json_object();
    case 7: return json_real(1e308);
    case 8: return json_integer(5);   /* as a dtype: int64, */
    case 9: return json_integer(7);   /* float32, */
    case 10: return json_integer(8);  /* float64, */
    case 11: return json_integer(12); /* bool */
    default: return NULL;
    }
}
