/*
 * Signals, exit codes and messages.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/common/tool.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <unistd.h>

static const char *program_name = "ptfold";
static const char *command_name = ""; /* with a space before it */
static bool verbose;

/*
 * Where LLVM's OpenMP, which clang brings, registers the process: a file that
 * only exit() removes, so that a killed process leaves it to the next one of
 * its number.  That one would read it; of an empty or half written one it dies
 * by SIGBUS or abort().
 */
static char registration[64];

/* Before OpenMP comes what is there is another's. */
static void remove_old_registration(void)
{
    snprintf(registration, sizeof(registration),
             "/dev/shm/__KMP_REGISTERED_LIB_%d_%d", (int)getpid(),
             (int)getuid());
    unlink(registration);
}

/* Whoever waits for the program sees that the signal ended it. */
static void on_signal(int number)
{
    unlink(registration);
    ptf_remove_temporaries();
    tool_progress_break();
    raise(number);
}

/* What was there before: a sanitizer's, or the default. */
static struct sigaction old_bus_action;
static atomic_flag bus_seen = ATOMIC_FLAG_INIT;

/*
 * A file that was cut while it was in use ends the program as any other I/O
 * error does.  Calls nothing that a signal handler may not call.
 */
static void on_bus(int number, siginfo_t *info, void *context)
{
    (void)context;
    char line[4400] = "", fault[4096];
    unlink(registration);
    if (info->si_code <= 0 ||
        !ptf_mapping_fault(info->si_addr, fault, sizeof(fault))) {
        sigaction(SIGBUS, &old_bus_action, NULL);
        if (info->si_code <= 0)
            raise(number); /* else the same instruction faults again */
        return;
    }
    while (atomic_flag_test_and_set(&bus_seen))
        pause(); /* all threads may fault: the first one speaks */
    ptf_remove_temporaries();
    tool_progress_break();
    stpcpy(stpcpy(stpcpy(stpcpy(line, program_name), ": "), fault), "\n");
    (void)!write(STDERR_FILENO, line, strlen(line));
    _exit(EXIT_SYSTEM);
}

static void handle_bus_errors(void)
{
    struct sigaction action = {.sa_sigaction = on_bus, .sa_flags = SA_SIGINFO};
    sigaction(SIGBUS, &action, &old_bus_action);
}

void tool_start(const char *program)
{
    program_name = program;
    remove_old_registration();
    signal(SIGXFSZ, SIG_IGN);
    handle_bus_errors();
    static const int signals[] = {SIGHUP, SIGINT, SIGTERM};
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
        struct sigaction action = {.sa_handler = on_signal,
                                   .sa_flags = (int)SA_RESETHAND};
        struct sigaction old;
        if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaction(signals[i], &action, NULL); /* nohup stays nohup */
    }
    tool_progress_watch();
}

const char *tool_program(void)
{
    return program_name;
}

void tool_command(const char *name)
{
    static char text[32];
    snprintf(text, sizeof(text), " %s", name);
    command_name = text;
}

enum { MOST_TEXT = 4096 }; /* of a message before it is shortened */

void tool_be_verbose(void)
{
    verbose = true;
}

bool tool_is_verbose(void)
{
    return verbose;
}

int tool_exit_code(ptf_status status)
{
    switch (status) {
    case PTF_OK: return EXIT_EQUIVALENT;
    case PTF_ARGUMENT: return EXIT_USAGE;
    case PTF_UNSUPPORTED: return EXIT_UNSUPPORTED;
    case PTF_FORMAT: return EXIT_DAMAGED;
    case PTF_IO:
    case PTF_MEMORY: return EXIT_SYSTEM;
    }
    return EXIT_SYSTEM;
}

int tool_fail(const ptf_error *err)
{
    tool_progress_break();
    fprintf(stderr, "%s: %s\n", program_name, err->message);
    return tool_exit_code(err->status);
}

/* "PROGRAM: KIND: MESSAGE" */
static void __attribute__((format(printf, 2, 0)))
say(const char *kind, const char *fmt, va_list args)
{
    char text[MOST_TEXT];
    vsnprintf(text, sizeof(text), fmt, args);
    tool_progress_break();
    fprintf(stderr, "%s: %s: ", program_name, kind);
    ptf_print_escaped(stderr, text, strlen(text));
    fputc('\n', stderr);
}

void tool_note(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    say("note", fmt, args);
    va_end(args);
}

void tool_warn(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    say("warning", fmt, args);
    va_end(args);
}

ptf_status(tool_error)(ptf_error *err, ptf_status status, const char *fmt, ...)
{
    char text[MOST_TEXT];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    return ptf_error_set(err, status, text);
}

int tool_usage_error(const char *fmt, ...)
{
    char text[MOST_TEXT];
    ptf_error err;
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    tool_error(&err, PTF_ARGUMENT, "%s; see %s%s --help", text, program_name,
               command_name);
    return tool_fail(&err);
}

int tool_finish(int code)
{
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "%s: stdout: cannot write: %s\n", program_name,
                strerror(errno));
        return EXIT_SYSTEM;
    }
    return code;
}
