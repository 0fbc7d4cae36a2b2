/*
 * A hash table from text to pointers, with open addressing.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "base/base.h"

static struct ptf_text_slot *slot_of(const ptf_text_table *table,
                                     const char *key)
{
    size_t at = ptf_hash(key, strlen(key)) & (table->capacity - 1);
    while (table->slots[at].key != NULL &&
           strcmp(table->slots[at].key, key) != 0)
        at = (at + 1) & (table->capacity - 1);
    return &table->slots[at];
}

static bool enlarge(ptf_text_table *table)
{
    ptf_text_table larger = {NULL, table->count,
                             table->capacity > 0 ? 2 * table->capacity : 64};
    larger.slots = ptf_alloc(larger.capacity * sizeof(*larger.slots));
    if (larger.slots == NULL)
        return false;
    for (size_t i = 0; i < table->capacity; i++) {
        if (table->slots[i].key != NULL)
            *slot_of(&larger, table->slots[i].key) = table->slots[i];
    }
    ptf_free(table->slots);
    *table = larger;
    return true;
}

bool ptf_text_table_add(ptf_text_table *table, const char *key, void *value)
{
    if (2 * table->count >= table->capacity && !enlarge(table))
        return false;
    *slot_of(table, key) = (struct ptf_text_slot){key, value};
    table->count++;
    return true;
}

void *ptf_text_table_find(const ptf_text_table *table, const char *key)
{
    return table->capacity > 0 ? slot_of(table, key)->value : NULL;
}

void ptf_text_table_free(ptf_text_table *table)
{
    ptf_free(table->slots);
    *table = (ptf_text_table){NULL, 0, 0};
}
