/*
 * A third of a program's JSON is stack traces, which only people read: where in
 * whose source a call came from.  jansson takes its time for every character,
 * so it gets the JSON without them.
 *
 * A text is left out where it is the value of a key "stack_trace" and cannot
 * be wrong: printable ASCII, with escapes that JSON has.  What is left is JSON
 * exactly where the whole was, so that nothing passes that would not have.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "program/reader.h"

/* The end of the string that begins after a quote, NULL where it has none;
 * 'plain' where nothing can be wrong with it. */
static const char *string_end(const char *at, const char *end, bool *plain)
{
    for (*plain = true; at < end && *at != '"'; at++) {
        bool escape = *at == '\\' && at + 1 < end;
        at += escape;
        *plain = *plain &&
                 (escape ? strchr("\"\\/bfnrt", *at) != NULL
                         : *at >= ' ' && *at < 0x7f && *at != '\\') &&
                 *at != '\0';
    }
    return at < end ? at : NULL;
}

/* From a key's end to the quote of the text that is its value, or NULL. */
static const char *text_of_key(const char *at, const char *end)
{
    while (at < end && *at == ' ')
        at++;
    if (at == end || *at++ != ':')
        return NULL;
    while (at < end && *at == ' ')
        at++;
    return at < end && *at == '"' ? at : NULL;
}

/* Copies 'from' to 'to' without them; the new end. */
static char *leave_out(const char *from, const char *end, char *to)
{
    static const char key[] = "stack_trace";
    const char *copied = from, *quote, *close, *text;
    bool plain;
    while ((quote = memchr(from, '"', (size_t)(end - from))) != NULL &&
           (close = string_end(quote + 1, end, &plain)) != NULL) {
        from = close + 1;
        if ((size_t)(close - quote) != sizeof(key) ||
            memcmp(quote + 1, key, sizeof(key) - 1) != 0 ||
            (text = text_of_key(from, end)) == NULL ||
            (close = string_end(text + 1, end, &plain)) == NULL || !plain)
            continue;
        memcpy(to, copied, (size_t)(text + 1 - copied));
        to += text + 1 - copied;
        copied = close;
        from = close + 1;
    }
    memcpy(to, copied, (size_t)(end - copied));
    return to + (end - copied);
}

/* What is wrong is said by its place in the whole. */
ptf_status ptf_program_parse(const ptf_origin *origin, const ptf_entry *entry,
                             size_t most, json_t **out, ptf_error *err)
{
    char *brief = ptf_alloc(entry->size + 1);
    if (brief == NULL)
        return ptf_fail_memory(err);
    const char *text = (const char *)entry->data;
    char *end = leave_out(text, text + entry->size, brief);
    ptf_status status =
        ptf_json_parse(origin, brief, (size_t)(end - brief), most, out, NULL);
    ptf_free(brief);
    return status == PTF_OK
               ? PTF_OK
               : ptf_json_parse(origin, text, entry->size, most, out, err);
}
