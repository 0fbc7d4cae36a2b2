/*
 * For which batches and sizes a program runs: said of what is tried.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"

/* "'view' (aten.view.default)", within the width of a terminal. */
static void print_call(const ptf_program_node *call, FILE *out)
{
    const char *name = call->name != NULL ? call->name : "";
    fputc('\'', out);
    for (int i = 0; i < 30 && name[i] != '\0'; i++)
        fputc(name[i] >= ' ' && name[i] < 0x7f ? name[i] : '?', out);
    fprintf(out, "'\n");
}

static void print_batch(const ptf_sizes *s, const ptf_net *net,
                        const ptf_lower_outcome *outcome, FILE *out)
{
    bool whole = ptf_net_is_whole(net);
    fputs("batch       ", out);
    if (s->batch == 0)
        fputs("none: its inputs have no first axis in common\n", out);
    else if (s->is_free && !whole)
        fputs("any within the bounds of its symbol\n", out);
    else if (s->is_free)
        fputs("any within the bounds of its symbol, all at once\n", out);
    else if (outcome->mixer == NULL)
        fputs("any\n", out);
    else if (s->batch == 1) {
        fputs("any, each sample by itself; they may be mixed by ", out);
        print_call(outcome->mixer, out);
    } else {
        fprintf(out, "%lld, fixed by ", (long long)s->batch);
        print_call(outcome->mixer, out);
    }
}

/* Whether the inputs may be larger by so much along all axes after the
 * channels. */
static bool try_size(const ptf_program *p, int64_t more, ptf_tensor *given,
                     const ptf_tensor **inputs, ptf_lower_outcome *outcome)
{
    ptf_sizes s;
    ptf_net *net = NULL;
    size_t count = 0;
    for (int i = 0; i < p->input_count; i++) {
        if (p->inputs[i].kind != PTF_PROGRAM_USER || p->inputs[i].value < 0)
            continue;
        const ptf_program_value *v = &p->graph.values[p->inputs[i].value];
        ptf_tensor *t = &given[count];
        *t = (ptf_tensor){.rank = v->rank, .shape = {-1, -1}};
        for (int d = 2; d < v->rank && d < PTF_MAX_RANK; d++)
            t->shape[d] = v->sizes[d].value + more;
        inputs[count++] = t;
    }
    *outcome = (ptf_lower_outcome){NULL, NULL};
    ptf_status status = ptf_sizes_open(&s, p, inputs, count, NULL);
    if (status == PTF_OK)
        status = ptf_lower_program(&s, &net, outcome, NULL);
    bool other = s.other;
    ptf_sizes_close(&s);
    ptf_net_free(net);
    return status == PTF_OK && other;
}

static void print_sizes(const ptf_program *p, ptf_tensor *given,
                        const ptf_tensor **inputs, FILE *out)
{
    ptf_lower_outcome outcome = {NULL, NULL};
    bool found = false;
    int64_t more = 1;
    for (; !found && more <= 64; more += more)
        found = try_size(p, more, given, inputs, &outcome);
    fputs("size        ", out);
    if (found) {
        fprintf(out, "others too, such as those of the example plus %lld\n",
                (long long)(more / 2));
    } else if (outcome.failed != NULL) {
        fputs("the example's, fixed by ", out);
        print_call(outcome.failed, out);
    } else
        fputs("the example's\n", out);
}

void ptf_program_print_sizes(const ptf_program *program, FILE *out)
{
    size_t most = (size_t)program->input_count + 1;
    ptf_tensor *given = ptf_alloc(most * sizeof(*given));
    const ptf_tensor **inputs = ptf_alloc(most * sizeof(*inputs));
    ptf_lower_outcome outcome = {NULL, NULL};
    ptf_net *net = NULL;
    ptf_sizes s;
    ptf_status status = ptf_sizes_open(&s, program, NULL, 0, NULL);
    if (status == PTF_OK)
        status = ptf_lower_program(&s, &net, &outcome, NULL);
    if (given == NULL || inputs == NULL || status == PTF_MEMORY) {
        fputs("batch       not known\n", out);
    } else if (status != PTF_OK) {
        fputs("refused     ", out);
        if (outcome.failed != NULL) {
            fputs("at the call ", out);
            print_call(outcome.failed, out);
        } else
            fputs("as a network\n", out);
    } else {
        print_batch(&s, net, &outcome, out);
        print_sizes(program, given, inputs, out);
    }
    ptf_sizes_close(&s);
    ptf_net_free(net);
    ptf_free(given);
    ptf_free(inputs);
}
