/*
 * Opening a network as the options say.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tool/common/tool.h"

#include <ctype.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_TEXT = 1 << 22 }; /* a graph may have as many */

ptf_status tool_read_text(const char *path, const char *what, char **out,
                          ptf_error *err)
{
    int fd;
    ptf_status status = ptf_input_open(path, &fd, err);
    FILE *f = status == PTF_OK ? fdopen(fd, "r") : NULL;
    if (status == PTF_OK && f == NULL)
        return tool_error(err, PTF_MEMORY, "out of memory");
    if (status != PTF_OK)
        return status;
    char *text = malloc(MAX_TEXT + 1);
    size_t size = text != NULL ? fread(text, 1, MAX_TEXT + 1, f) : 0;
    if (text == NULL)
        status = tool_error(err, PTF_MEMORY, "out of memory");
    else if (ferror(f))
        status = tool_error(err, PTF_IO, "%s: cannot read: %s", path,
                            strerror(errno));
    else if (size > MAX_TEXT || memchr(text, '\0', size) != NULL)
        status = tool_error(err, PTF_FORMAT,
                            "%s: expected %s, got a binary file", path, what);
    fclose(f);
    if (status != PTF_OK) {
        free(text);
        return status;
    }
    text[size] = '\0';
    *out = text;
    return PTF_OK;
}

/* Neither a built-in network nor a file; 'option' is "" for an operand. */
static ptf_status refuse_arch(const char *arch, const char *option,
                              ptf_error *err)
{
    char text[128], names[256] = "", prefix[32];
    size_t size = 0;
    tool_suggestion s = {.word = arch, .prefix = prefix};
    snprintf(prefix, sizeof(prefix), "%s%s", option,
             *option != '\0' ? " " : "");
    for (size_t i = 0; ptf_arch_name(i) != NULL; i++) {
        tool_suggest(&s, ptf_arch_name(i));
        size += (size_t)snprintf(names + size, sizeof(names) - size, "%s%s",
                                 i > 0 ? ", " : "", ptf_arch_name(i));
    }
    return tool_error(
        err, PTF_IO, "%s: cannot open: %s; the built-in networks are %s%s",
        arch, strerror(errno), names, tool_suggestion_text(&s, text));
}

static const char *arch_option(const tool_source *source)
{
    return source->arch_option != NULL ? source->arch_option : "--arch";
}

/*
 * The architecture's text and a name for it in messages.  No text: the
 * checkpoint says itself what it is.  Of a failure the text of the network that
 * is nearest, or NULL.
 */
static ptf_status find_text(const tool_source *source, tool_net *net,
                            const char **text, const char **name,
                            ptf_error *err)
{
    const char *arch = source->arch;
    *name = arch;
    *text = NULL;
    if (arch != NULL) {
        *text = ptf_arch_text(arch);
        if (*text == NULL)
            *text = net->text; /* that is read already */
        if (*text != NULL)
            return PTF_OK;
        if (access(arch, F_OK) != 0)
            return refuse_arch(arch, arch_option(source), err);
        ptf_status status =
            tool_read_text(arch, "the text of print(model)", &net->text, err);
        *text = net->text;
        return status;
    }
    if (ptf_checkpoint_metadata(net->ckpt, "architecture") != NULL ||
        ptf_checkpoint_metadata(net->ckpt, "graph") != NULL ||
        ptf_checkpoint_has_model(net->ckpt))
        return PTF_OK;
    ptf_status status = ptf_arch_recognise(net->ckpt, name, err);
    if (*name != NULL)
        *text = ptf_arch_text(*name);
    if (status == PTF_UNSUPPORTED && source->arch_option != NULL)
        return tool_error(err, status,
                          "%s: the tensors are not those of a built-in "
                          "network; give the text of print(model) with %s",
                          source->path, source->arch_option);
    return status;
}

static ptf_status find_input(const tool_source *source, tool_net *net,
                             ptf_error *err)
{
    const char *input = source->input;
    size_t inputs = ptf_net_input_count(net->net);
    net->inputs = calloc(inputs + 1, sizeof(*net->inputs));
    if (net->inputs == NULL)
        return tool_error(err, PTF_MEMORY, "out of memory");
    net->has_input = true;
    for (size_t i = 0; i < inputs; i++) {
        ptf_port port;
        ptf_net_input(net->net, i, &port);
        net->has_input = net->has_input && port.has_shape;
        net->inputs[i] = port.shape;
    }
    if (input != NULL && inputs != 1)
        return tool_error(err, PTF_ARGUMENT,
                          "--input: %s has %zu inputs, and says their shapes",
                          source->path, inputs);
    if (input != NULL && !ptf_shape_parse(input, &net->inputs[0]))
        return tool_error(err, PTF_ARGUMENT,
                          "--input: expected CxHxW (3x32x32), got \"%s\"",
                          input);
    net->has_input = net->has_input || input != NULL;
    net->input = net->inputs[0];
    return PTF_OK;
}

/* Takes the place of the net for the example's sizes. */
static ptf_status fit(tool_net *net, const ptf_tensor *const *inputs,
                      size_t count, ptf_error *err)
{
    ptf_net *fitted;
    ptf_port port;
    ptf_status status =
        ptf_net_from_program_for(net->program, inputs, count, &fitted, err);
    if (status != PTF_OK)
        return status;
    ptf_net_free(net->net);
    net->net = fitted;
    for (size_t i = 0; i < count && ptf_net_input(net->net, i, &port); i++)
        net->inputs[i] = port.shape;
    net->input = net->inputs[0];
    return PTF_OK;
}

ptf_status tool_net_fit(tool_net *net, const ptf_shape *input, int64_t count,
                        ptf_error *err)
{
    if (net->program == NULL || ptf_net_input_count(net->net) != 1)
        return PTF_OK;
    int batch = ptf_net_is_whole(net->net) ? 0 : 1;
    ptf_tensor given = {.rank = input->rank + batch, .shape = {count}};
    const ptf_tensor *inputs[] = {&given};
    memcpy(given.shape + batch, input->dim,
           (size_t)input->rank * sizeof(*input->dim));
    return fit(net, inputs, 1, err);
}

ptf_status tool_net_fit_arrays(tool_net *net, const char *path, ptf_error *err)
{
    struct stat st;
    ptf_arrays *file;
    size_t count, found = 0, inputs;
    if (net->program == NULL || stat(path, &st) != 0 || !S_ISREG(st.st_mode) ||
        ptf_arrays_open(path, &file, NULL) != PTF_OK)
        return PTF_OK; /* who reads it says what is wrong */
    inputs = ptf_net_input_count(net->net);
    const ptf_tensor *arrays = ptf_arrays_tensors(file, &count);
    const ptf_tensor **at = calloc(inputs + 1, sizeof(*at));
    ptf_status status =
        at != NULL ? PTF_OK : tool_error(err, PTF_MEMORY, "out of memory");
    for (size_t k = 0; status == PTF_OK && k < inputs; k++) {
        ptf_port port;
        ptf_net_input(net->net, k, &port);
        at[k] = tool_find_array(net->net, &port, arrays, count);
        found += at[k] != NULL;
    }
    if (status == PTF_OK && found == inputs && inputs > 0)
        status = fit(net, at, inputs, err);
    free(at);
    ptf_arrays_close(file);
    return status;
}

/* The net of what 'source' names, with the checkpoint that is open, if any. */
static ptf_status make_net(const tool_source *source, tool_net *out,
                           ptf_error *err)
{
    ptf_shape input;
    ptf_net_options options = {.size = sizeof(options),
                               .in_order = source->in_order};
    const char *text, *name;
    if (source->input != NULL && ptf_shape_parse(source->input, &input))
        options.input = &input;
    ptf_status status = find_text(source, out, &text, &name, err);
    if (status == PTF_OK)
        status = ptf_net_make(text, name, out->ckpt, &options, &out->net, err);
    if (status != PTF_OK && tool_is_verbose() && out->ckpt != NULL)
        ptf_net_print_mismatch(text, name, out->ckpt, stderr, NULL);
    if (status == PTF_OK)
        status = find_input(source, out, err);
    if (status == PTF_OK)
        tool_warn_of_order(source, out->net);
    return status;
}

ptf_status tool_need_input(const tool_net *net, const tool_source *source,
                           ptf_error *err)
{
    if (net->has_input)
        return PTF_OK;
    return tool_error(err, PTF_ARGUMENT,
                      "%s: the architecture does not say its input's shape; "
                      "give --input CxHxW",
                      source->path);
}

ptf_status tool_need_single(const tool_net *net, const tool_source *source,
                            const char *wants, ptf_error *err)
{
    size_t inputs = ptf_net_input_count(net->net);
    size_t outputs = ptf_net_output_count(net->net);
    if (inputs == 1 && outputs == 1)
        return PTF_OK;
    return tool_error(err, PTF_UNSUPPORTED,
                      "%s: expected a network of one input and one output for "
                      "%s, got %zu and %zu; ptfold run --data takes them",
                      source->path, wants, inputs, outputs);
}

/* Offers each part of a tensor's name that ends before a dot. */
static void suggest_keys(tool_suggestion *s, const char *name)
{
    char key[sizeof(s->best)];
    for (const char *dot = strchr(name, '.'); dot != NULL;
         dot = strchr(dot + 1, '.')) {
        size_t size = (size_t)(dot - name);
        if (size >= sizeof(key))
            return;
        memcpy(key, name, size);
        key[size] = '\0';
        tool_suggest(s, key);
    }
}

ptf_status tool_checkpoint_open(const char *path,
                                const ptf_open_options *options,
                                ptf_checkpoint **out, ptf_error *err)
{
    const ptf_open_options all = {.key = "", .keep_prefix = true};
    tool_suggestion s = {.word = options->key, .prefix = "--key "};
    ptf_checkpoint *ckpt;
    char text[128];
    ptf_status status = ptf_checkpoint_open(path, options, out, err);
    if (status != PTF_ARGUMENT || options->key == NULL ||
        ptf_checkpoint_open(path, &all, &ckpt, NULL) != PTF_OK)
        return status;
    for (size_t i = 0; i < ptf_checkpoint_tensor_count(ckpt); i++)
        suggest_keys(&s, ptf_checkpoint_tensor(ckpt, i)->name);
    ptf_checkpoint_close(ckpt);
    const ptf_error cause = *err;
    return tool_error(err, status, "%s%s", cause.message,
                      tool_suggestion_text(&s, text));
}

/*
 * The net of --arch without numbers: its parameters choose among what a
 * checkpoint holds.  NULL when there is none; make_net() says why.
 */
static ptf_net *read_arch(const char *arch, tool_net *out)
{
    const ptf_net_options in_order = {.size = sizeof(in_order),
                                      .in_order = true};
    ptf_net *net = NULL;
    const char *text = arch != NULL ? ptf_arch_text(arch) : NULL;
    if (arch != NULL && text == NULL &&
        tool_read_text(arch, "a text", &out->text, &(ptf_error){0}) == PTF_OK)
        text = out->text; /* once: it may come through a pipe */
    if (text != NULL)
        ptf_net_make(text, arch, NULL, &in_order, &net, NULL);
    return net;
}

/* A reader of results should know that the file has more than one thing. */
static void tell_choice(const tool_source *source, const tool_net *net)
{
    size_t left_out;
    const char *example;
    const char *key = ptf_net_key(net->net, &left_out, &example);
    if (source->key == NULL && left_out > 0)
        tool_note("%s: the network is %s%.100s; %zu other tensor%s, such as "
                  "'%.60s', left out",
                  source->path, key[0] != '\0' ? "--key " : "what its text has",
                  key, left_out, left_out == 1 ? "" : "s", example);
}

size_t tool_net_rounded(const ptf_net *net, const char **first)
{
    size_t count = 0;
    *first = NULL;
    for (size_t i = 0; i < ptf_net_tensor_count(net); i++) {
        const ptf_tensor *t = ptf_net_tensor(net, i);
        if (t->data == NULL || !ptf_tensor_rounds(t))
            continue;
        *first = count++ == 0 ? t->name : *first;
    }
    return count;
}

/* A reader of results should know that the network had more digits. */
static void tell_rounding(const tool_source *source, const tool_net *net)
{
    const char *first;
    size_t count = tool_net_rounded(net->net, &first);
    if (count > 0)
        tool_note("%s: %zu tensor%s of float64 %s rounded to float32, the "
                  "first: '%.100s'",
                  source->path, count, count == 1 ? "" : "s",
                  count == 1 ? "is" : "are", first);
}

/* A .pt2 says itself all that there is to say about the network. */
static ptf_status open_program(const tool_source *source, tool_net *out,
                               ptf_error *err)
{
    const struct {
        const char *option;
        bool given;
    } useless[] = {
        {"--arch", source->arch != NULL},
        {"--key", source->key != NULL},
        {"--in-order", source->in_order},
    };
    for (size_t i = 0; i < sizeof(useless) / sizeof(useless[0]); i++) {
        if (useless[i].given)
            return tool_error(err, PTF_ARGUMENT,
                              "%s: %s is for state dicts; an exported program "
                              "has its own graph",
                              source->path, useless[i].option);
    }
    const ptf_program_options options = {sizeof(options), source->model};
    ptf_status status =
        ptf_program_open(source->path, &options, &out->program, err);
    if (status == PTF_OK && !source->unverified)
        status = ptf_program_verify(out->program, err);
    if (status == PTF_OK)
        status = ptf_net_from_program(out->program, &out->net, err);
    if (status == PTF_OK)
        status = find_input(source, out, err);
    if (status == PTF_OK && source->input != NULL)
        status = tool_net_fit(out, &out->input, -1, err);
    status = status != PTF_OK ? tool_net_unchanged(out, status, err) : status;
    if (status == PTF_OK)
        tell_rounding(source, out);
    else
        tool_net_close(out);
    return status;
}

ptf_status tool_net_open(const tool_source *source, tool_net *out,
                         ptf_error *err)
{
    *out = (tool_net){0};
    ptf_net *wanted = read_arch(source->arch, out);
    ptf_open_options options = {.key = source->key};
    if (wanted != NULL)
        options.parameters =
            ptf_net_parameters(wanted, &options.parameter_count);
    ptf_status status =
        tool_checkpoint_open(source->path, &options, &out->ckpt, err);
    ptf_net_free(wanted);
    if (status == PTF_UNSUPPORTED && ptf_program_is(source->path)) {
        tool_net_close(out);
        return open_program(source, out, err);
    }
    if (status == PTF_OK && source->model != NULL)
        status = tool_error(err, PTF_ARGUMENT,
                            "%s: expected a torch.export archive (.pt2) for "
                            "--model",
                            source->path);
    if (status == PTF_OK && !source->unverified)
        status = ptf_checkpoint_verify(out->ckpt, err);
    if (status == PTF_OK)
        status = make_net(source, out, err);
    status = status != PTF_OK ? tool_net_unchanged(out, status, err) : status;
    if (status == PTF_OK) {
        tell_choice(source, out);
        tell_rounding(source, out);
    } else {
        tool_net_close(out);
    }
    return status;
}

/*
 * A text begins with a comment or a class name and has no control characters;
 * checkpoints of every kind have some, or begin with a brace, at once.
 */
static bool is_text_file(const char *path)
{
    unsigned char head[16];
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return false; /* whoever opens it says what it is */
    FILE *f = fopen(path, "rbe");
    size_t size = f != NULL ? fread(head, 1, sizeof(head), f) : 0;
    if (f != NULL)
        fclose(f);
    bool text = size > 0 && (head[0] == '#' || isalpha(head[0]));
    for (size_t i = 0; i < size; i++)
        text = text && (head[i] >= ' ' || isspace(head[i]));
    return text;
}

ptf_status tool_net_find(const tool_source *source, tool_net *out,
                         ptf_error *err)
{
    tool_source unread = *source;
    unread.unverified = true;
    *out = (tool_net){0};
    if (access(source->path, F_OK) != 0 && ptf_arch_text(source->path) == NULL)
        return refuse_arch(source->path, "", err);
    if (ptf_arch_text(source->path) == NULL && !is_text_file(source->path))
        return tool_net_open(&unread, out, err);
    unread.arch = source->path;
    ptf_status status = make_net(&unread, out, err);
    if (status != PTF_OK)
        tool_net_close(out);
    return status;
}

ptf_status tool_net_unchanged(const tool_net *net, ptf_status status,
                              ptf_error *err)
{
    static ptf_error changed;
    ptf_status now = PTF_OK;
    if (net->ckpt != NULL)
        now = ptf_checkpoint_unchanged(net->ckpt, &changed);
    if (net->program != NULL)
        now = ptf_program_unchanged(net->program, &changed);
    if (now == PTF_OK)
        return status;
    *err = changed;
    return err->status;
}

ptf_status tool_net_sha256(const tool_net *net, char hex[65], ptf_error *err)
{
    if (net->program == NULL)
        return ptf_checkpoint_sha256(net->ckpt, hex, err);
    ptf_program_sha256(net->program, hex);
    return PTF_OK;
}

void tool_net_close(tool_net *net)
{
    fflush(stdout); /* giving back a large file takes as long as reading it */
    ptf_net_free(net->net);
    ptf_checkpoint_close(net->ckpt);
    ptf_program_close(net->program);
    free(net->text);
    free(net->inputs);
    *net = (tool_net){0};
}
