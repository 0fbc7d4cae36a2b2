/*
 * Options from a table, through getopt_long().
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/common/tool.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>

enum {
    MAX_OPTIONS = 40,
    FIRST_VALUE = 256,
    VALUE_HELP = 1024,
    VALUE_VERSION,
    VALUE_VERBOSE
};

/* The table in getopt's terms: option i has the value FIRST_VALUE + i. */
static void make_long(const tool_option *options, struct option *out)
{
    for (; options->name != NULL; options++, out++)
        *out = (struct option){options->name,
                               options->kind == OPTION_FLAG ? no_argument
                                                            : required_argument,
                               NULL, 0};
    *out++ = (struct option){"help", no_argument, NULL, VALUE_HELP};
    *out++ = (struct option){"version", no_argument, NULL, VALUE_VERSION};
    *out++ = (struct option){"verbose", no_argument, NULL, VALUE_VERBOSE};
    *out = (struct option){0};
}

static void make_short(const tool_option *options, char *out)
{
    *out++ = 'h';
    *out++ = 'v';
    for (; options->name != NULL; options++) {
        if (options->letter == 0)
            continue;
        *out++ = options->letter;
        if (options->kind != OPTION_FLAG)
            *out++ = ':';
    }
    *out = '\0';
}

static bool refuse_number(const tool_option *option, const char *text)
{
    tool_usage_error("--%s: expected a number from %lld to %lld, got \"%s\"",
                     option->name, (long long)option->least,
                     (long long)option->most, text);
    return false;
}

static bool set_count(const tool_option *option, const char *text)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < option->least ||
        value > option->most)
        return refuse_number(option, text);
    *(int64_t *)option->target = value;
    return true;
}

static bool set_real(const tool_option *option, const char *text)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= (double)option->least) ||
        (isfinite(value) && value > (double)option->most))
        return refuse_number(option, text);
    *(double *)option->target = value;
    return true;
}

static bool set_option(const tool_option *option, const char *text)
{
    switch (option->kind) {
    case OPTION_FLAG: *(bool *)option->target = true; return true;
    case OPTION_TEXT: *(const char **)option->target = text; return true;
    case OPTION_COUNT: return set_count(option, text);
    case OPTION_AUTO:
        *(int64_t *)option->target = 0;
        return strcmp(text, "auto") == 0 || set_count(option, text);
    case OPTION_REAL: return set_real(option, text);
    }
    return false;
}

static const tool_option *find_option(const tool_option *options, int value)
{
    for (int i = 0; options[i].name != NULL; i++) {
        if (value == FIRST_VALUE + i || value == options[i].letter)
            return &options[i];
    }
    return NULL;
}

/* getopt stopped at the word before 'optind', or inside it. */
static int refuse_option(char *const *argv, const tool_option *options)
{
    char text[128];
    const char *given = argv[optind - 1];
    size_t size = strcspn(given, "=");
    tool_suggestion s = {.word = given + 2, .prefix = "--"};
    if (strncmp(given, "--", 2) != 0 || given[size] == '=')
        return tool_usage_error("%s: unknown option or missing value", given);
    for (; options->name != NULL; options++) {
        if (strcmp(options->name, given + 2) == 0)
            return tool_usage_error("%s: expected a value", given);
        tool_suggest(&s, options->name);
    }
    return tool_usage_error("%s: unknown option%s", given,
                            tool_suggestion_text(&s, text));
}

static int check_count(int found, int count)
{
    int least = count < 0 ? -count : count;
    if (count < 0 ? found >= least : found == least)
        return TOOL_GO_ON;
    return tool_usage_error("expected %s%d file name%s, got %d",
                            count < 0 ? "at least " : "", least,
                            least == 1 ? "" : "s", found);
}

int tool_check_bound(double *bound)
{
    bool given = *bound >= 0;
    if (given && !(*bound >= 1e-14 && *bound <= 1))
        return tool_usage_error("--bound: expected a number from 1e-14 to 1");
    *bound = given ? *bound : 0;
    return TOOL_GO_ON;
}

int tool_parse(int argc, char **argv, const char *help,
               const tool_option *options, int count, char ***operands)
{
    struct option long_options[MAX_OPTIONS + 4];
    char short_options[2 * MAX_OPTIONS + 3];
    make_long(options, long_options);
    make_short(options, short_options);
    for (int i = 0; options[i].name != NULL; i++)
        long_options[i].val = FIRST_VALUE + i;

    int value;
    opterr = 0;
    while ((value = getopt_long(argc, argv, short_options, long_options,
                                NULL)) != -1) {
        if (value == VALUE_HELP || value == 'h') {
            fputs(help, stdout);
            return tool_finish(EXIT_EQUIVALENT);
        }
        if (value == VALUE_VERSION) {
            printf("ptfold %s\n", ptf_version());
            return tool_finish(EXIT_EQUIVALENT);
        }
        if (value == VALUE_VERBOSE || value == 'v') {
            tool_be_verbose();
            continue;
        }
        const tool_option *option = find_option(options, value);
        if (option == NULL)
            return refuse_option(argv, options);
        if (!set_option(option, optarg))
            return EXIT_USAGE;
    }
    *operands = argv + optind;
    return check_count(argc - optind, count);
}
