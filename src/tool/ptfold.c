/*
 * ptfold: one program, several commands; each is a file of its own.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/common/tool.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} commands[] = {
    {"bench", tool_bench,
     "how fast a network runs, beside the machine's limits"},
    {"check", tool_check_nets,
     "compare a network with its rewritten version, and say what is proved"},
    {"convert", tool_convert, "write the tensors in another file format"},
    {"grad", tool_grad,
     "derivatives of an output with respect to input and parameters"},
    {"info", tool_info, "show what is in a checkpoint, stage by stage"},
    {"ops", tool_ops, "count operations and memory, layer by layer"},
    {"run", tool_run, "run a network on images"},
};

static void print_help(FILE *out)
{
    fputs("usage: ptfold COMMAND [options] ...\n\n", out);
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].summary);
    fputs("\n\"ptfold COMMAND --help\" tells more.  See also bnfuse and "
          "lnin-convert.\n\nExample: ptfold info net1.pt\n",
          out);
}

static int unknown_command(const char *name)
{
    char text[128];
    tool_suggestion s = {.word = name, .prefix = "ptfold "};
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        tool_suggest(&s, commands[i].name);
    return tool_usage_error("unknown command \"%s\"%s", name,
                            tool_suggestion_text(&s, text));
}

static int run_command(int argc, char **argv)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strcmp(argv[0], commands[i].name) == 0) {
            tool_command(commands[i].name);
            return commands[i].run(argc, argv);
        }
    }
    return unknown_command(argv[0]);
}

/* "ptfold help COMMAND"; of "help" itself there is no more to say. */
static int help(int argc, char **argv)
{
    if (argc == 0 || strcmp(argv[0], "help") == 0 ||
        strcmp(argv[0], "--help") == 0) {
        print_help(stdout);
        return tool_finish(EXIT_EQUIVALENT);
    }
    char option[] = "--help";
    char *words[] = {argv[0], option, NULL};
    return run_command(2, words);
}

int main(int argc, char **argv)
{
    tool_start("ptfold");
    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        print_help(stdout);
        return tool_finish(EXIT_EQUIVALENT);
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("ptfold %s\n", ptf_version());
        return tool_finish(EXIT_EQUIVALENT);
    }
    if (strcmp(argv[1], "help") == 0) /* as other programs have it */
        return help(argc - 2, argv + 2);
    return run_command(argc - 1, argv + 1);
}
