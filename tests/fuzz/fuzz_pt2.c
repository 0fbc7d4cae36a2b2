/*
 * Fuzzes programs, and the nets that are made of them: the input is the JSON of
 * a graph and, after a zero byte, that of its weights, which have 64 bytes.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "make_program.h"
#include "program/program.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Reads what the tensors say they have, as far as it is little. */
static void read_tensors(const ptf_program *program)
{
    enum { MOST = 1 << 16 };
    for (int i = 0; i < program->input_count; i++) {
        const ptf_tensor *t = program->inputs[i].tensor;
        uint8_t *out = t != NULL && ptf_tensor_bytes(t) <= MOST
                           ? ptf_alloc(ptf_tensor_bytes(t))
                           : NULL;
        if (out != NULL)
            ptf_tensor_read_bytes(t, out);
        ptf_free(out);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char none[] = "{\"config\": {}}";
    const char *graph = (const char *)data;
    const char *cut = size > 0 ? memchr(graph, '\0', size) : NULL;
    size_t graph_size = cut != NULL ? (size_t)(cut - graph) : size;
    const char *weights = cut != NULL ? cut + 1 : none;
    size_t weights_size =
        cut != NULL ? size - graph_size - 1 : sizeof(none) - 1;
    ptf_buffer zip;
    ptf_program *program = NULL;
    ptf_net *net = NULL;
    ptf_error err;
    make_program(graph, graph_size, weights, weights_size, &zip);
    FILE *null = fopen("/dev/null", "w");
    if (null != NULL &&
        ptf_program_open_memory(zip.data, zip.size, "fuzz", NULL, &program,
                                &err) == PTF_OK) {
        ptf_program_print(program, null);
        ptf_program_print_graph(program, true, null);
        read_tensors(program);
        if (ptf_net_from_program(program, &net, &err) == PTF_OK)
            ptf_net_print(net, null);
    }
    ptf_net_free(net);
    ptf_program_close(program);
    if (null != NULL)
        fclose(null);
    ptf_buffer_free(&zip);
    return 0;
}
