/*
 * net: texts in and out, shapes, and tensors that fit or do not.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "net/net.h"

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

/* What the net prints, as a string to free(). */
static char *text_of(const ptf_net *net)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    ptf_net_print_text(net, out);
    fclose(out);
    return text;
}

static void built_in_texts_print_as_they_were_read(void **state)
{
    (void)state;
    size_t count = 0;
    for (; ptf_arch_name(count) != NULL; count++) {
        const char *name = ptf_arch_name(count);
        ptf_error err;
        ptf_net *net;
        ptf_status status =
            ptf_net_make(ptf_arch_text(name), name, NULL, &net, &err);
        if (status != PTF_OK)
            fail_msg("%s", err.message);
        char *text = text_of(net);
        assert_string_equal(text, ptf_arch_text(name));
        assert_string_equal(ptf_net_name(net), name);
        free(text);
        ptf_net_free(net);
    }
    assert_int_equal(count, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(built_in_texts_print_as_they_were_read),
    };
    return cmocka_run_group_tests_name("net", tests, NULL, NULL);
}
