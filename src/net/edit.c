/*
 * Changing a graph: a copy, free to be written, and back to a checked net.
 * Strings and tensors that did not change are borrowed from the old net.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "net/net.h"

static void *copy_array(ptf_arena *arena, const void *from, int count,
                        size_t size)
{
    void *copy = ptf_arena_array(arena, (size_t)count, size);
    if (copy != NULL && count > 0)
        memcpy(copy, from, (size_t)count * size);
    return copy;
}

ptf_status ptf_net_edit_begin(const ptf_net *net, ptf_net_edit *out,
                              ptf_error *err)
{
    *out = (ptf_net_edit){NULL, NULL, NULL};
    ptf_net *copy = ptf_net_new();
    if (copy == NULL)
        return ptf_fail_memory(err);
    ptf_users *users = copy->users, counted = copy->counted;
    *copy = *net;
    copy->users = users;
    copy->counted = counted;
    ptf_users_add(net->users); /* it is the parent, and has the source */
    copy->parent = net;
    copy->source = NULL;
    copy->arena = (ptf_arena){NULL};
    ptf_arena *arena = &copy->arena;
    copy->nodes =
        copy_array(arena, net->nodes, net->node_count, sizeof(*net->nodes));
    copy->containers = copy_array(arena, net->containers, net->container_count,
                                  sizeof(*net->containers));
    copy->outputs = copy_array(arena, net->outputs, net->output_count,
                               sizeof(*net->outputs));
    copy->output_room = net->output_count;
    bool *dead = ptf_arena_array(arena, (size_t)net->node_count, sizeof(*dead));
    if (copy->nodes == NULL || copy->outputs == NULL ||
        copy->containers == NULL || dead == NULL) {
        ptf_net_free(copy);
        return ptf_fail_memory(err);
    }
    for (int i = 0; net->output_count > 1 && i < net->output_count; i++)
        copy->outputs[i].name = ptf_net_output_name(net, &net->outputs[i]);
    copy->remarks = NULL;
    copy->remark_count = 0;
    copy->doubt_count = 0; /* they are about the text */
    for (int i = 0; i < copy->node_count; i++) {
        ptf_node *node = &copy->nodes[i];
        node->origin = i;
        if (!ptf_node_read(arena, node, node->input_count, node->inputs)) {
            ptf_net_free(copy);
            return ptf_fail_memory(err);
        }
    }
    *out = (ptf_net_edit){copy, copy->nodes, dead};
    return PTF_OK;
}

void ptf_net_edit_abort(ptf_net_edit *edit)
{
    ptf_net_free(edit->net);
    *edit = (ptf_net_edit){NULL, NULL, NULL};
}

ptf_status ptf_net_edit_remark(ptf_net_edit *edit, int node, bool left,
                               ptf_error *err, const char *fmt, ...)
{
    ptf_net *net = edit->net;
    size_t count = (size_t)net->remark_count;
    ptf_remark *remarks = net->remarks;
    bool full = (count & (count - 1)) == 0; /* at 0, 1, 2, 4, 8, ... */
    if (full)
        remarks = ptf_arena_array(&net->arena, count > 0 ? 2 * count : 1,
                                  sizeof(*remarks));
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    const char *copy = ptf_arena_printf(&net->arena, "%s", text);
    if (remarks == NULL || copy == NULL)
        return ptf_fail_memory(err);
    if (full && count > 0)
        memcpy(remarks, net->remarks, count * sizeof(*remarks));
    const ptf_node *old = &net->parent->nodes[net->nodes[node].origin];
    remarks[count] = (ptf_remark){old->name, old->class_name, copy, left};
    net->remarks = remarks;
    net->remark_count++;
    return PTF_OK;
}

bool ptf_net_remark(const ptf_net *net, size_t index, ptf_remark *out)
{
    if (index >= (size_t)net->remark_count)
        return false;
    *out = net->remarks[index];
    return true;
}

/* --------------------------------------------------------------- new names */

/* What becomes of a container. */
typedef struct place {
    bool seen;     /* by the first walk */
    bool numbered; /* its children's keys are 0, 1, 2, ... */
    int children;  /* in the old net */
    int survivors; /* in the new one, so far */
    int index;     /* in the new net; -1: not there yet */
    const char *path;
} place;

typedef struct renaming {
    const ptf_net *net;
    ptf_arena *arena;
    place *places;
    ptf_container *containers; /* of the new net */
    int container_count;
} renaming;

/* First walk: which containers are numbered. */
static void see_child(renaming *r, int parent, const char *path)
{
    if (parent < 0)
        return;
    place *p = &r->places[parent];
    if (!p->seen) {
        p->seen = p->numbered = true;
        see_child(r, r->net->containers[parent].parent,
                  r->net->containers[parent].path);
    }
    char number[16];
    snprintf(number, sizeof(number), "%d", p->children++);
    p->numbered = p->numbered && strcmp(number, ptf_path_last(path)) == 0;
}

/* The new path of a child of a container that has its place. */
static const char *new_path(renaming *r, int parent, const char *path)
{
    if (parent < 0)
        return path;
    place *p = &r->places[parent];
    const char *dot = p->path[0] != '\0' ? "." : "";
    int number = p->survivors++;
    if (p->numbered)
        return ptf_arena_printf(r->arena, "%s%s%d", p->path, dot, number);
    return ptf_arena_printf(r->arena, "%s%s%s", p->path, dot,
                            ptf_path_last(path));
}

/* Second walk: places for the containers that still have a layer. */
static bool place_container(renaming *r, int container)
{
    if (container < 0 || r->places[container].index >= 0)
        return true;
    const ptf_container *old = &r->net->containers[container];
    if (!place_container(r, old->parent))
        return false;
    place *p = &r->places[container];
    p->path = new_path(r, old->parent, old->path);
    p->index = r->container_count++;
    ptf_container *new = &r->containers[p->index];
    *new = *old;
    new->path = p->path;
    new->parent = old->parent >= 0 ? r->places[old->parent].index : -1;
    return p->path != NULL;
}

static bool rename_node(renaming *r, ptf_node *node)
{
    if (node->implied || node->op == PTF_OP_INPUT)
        return true;
    int old = node->container;
    if (!place_container(r, old))
        return false;
    node->name = new_path(r, old, node->name);
    node->container = old >= 0 ? r->places[old].index : -1;
    return node->name != NULL;
}

static bool rename_all(ptf_net_edit *edit)
{
    ptf_net *net = edit->net;
    size_t count = (size_t)net->container_count;
    renaming r = {.net = net, .arena = &net->arena};
    r.places = ptf_arena_array(r.arena, count, sizeof(*r.places));
    r.containers = ptf_arena_array(r.arena, count, sizeof(*r.containers));
    if (r.places == NULL || r.containers == NULL)
        return false;
    for (size_t i = 0; i < count; i++)
        r.places[i].index = -1;
    for (int i = 1; i < net->node_count; i++) {
        if (!net->nodes[i].implied)
            see_child(&r, net->nodes[i].container, net->nodes[i].name);
    }
    for (int i = 1; i < net->node_count; i++) {
        if (!edit->dead[i] && !rename_node(&r, &net->nodes[i]))
            return false;
    }
    net->containers = r.containers;
    net->container_count = r.container_count;
    return true;
}

/* -------------------------------------------------------- nodes and tensors */

/* Consumers of a dead node read its first input. */
static int resolve(const ptf_net_edit *edit, int node)
{
    while (edit->dead[node])
        node = edit->nodes[node].inputs[0];
    return node;
}

static bool drop_dead(ptf_net_edit *edit)
{
    ptf_net *net = edit->net;
    int *moved =
        ptf_arena_array(&net->arena, (size_t)net->node_count, sizeof(*moved));
    if (moved == NULL)
        return false;
    int kept = 0;
    for (int i = 0; i < net->node_count; i++) {
        ptf_node *node = &edit->nodes[i];
        if (edit->dead[i])
            continue; /* its own input is needed until the end */
        moved[i] = kept++;
        for (int k = 0; k < node->input_count; k++)
            node->inputs[k] = moved[resolve(edit, node->inputs[k])];
    }
    for (int i = 0; i < net->output_count; i++) {
        int *node = &net->outputs[i].node;
        *node = moved[resolve(edit, *node)];
    }
    int to = 0;
    for (int i = 0; i < net->node_count; i++) {
        if (!edit->dead[i])
            net->nodes[to++] = net->nodes[i];
    }
    net->node_count = kept;
    return true;
}

static bool rename_tensor(ptf_arena *arena, ptf_node *node, ptf_role role)
{
    const ptf_tensor *old = node->tensors[role];
    if (old == NULL)
        return true;
    char name[PTF_PARAMETER_NAME];
    ptf_node_parameter_name(node, role, name);
    if (old->name != NULL && strcmp(old->name, name) == 0)
        return true;
    ptf_tensor *renamed = ptf_arena_alloc(arena, sizeof(*renamed));
    if (renamed == NULL)
        return false;
    *renamed = *old;
    renamed->name = ptf_arena_copy(arena, name, strlen(name));
    if (renamed->name == NULL)
        return false;
    node->tensors[role] = renamed;
    return true;
}

static bool renew_node(ptf_arena *arena, ptf_node *node)
{
    if (node->text == NULL) {
        node->class_name = ptf_op_class(node->op);
        node->text = ptf_op_text(arena, node->op, &node->attrs);
    }
    for (int role = 0; role < PTF_ROLE_COUNT; role++) {
        if (!rename_tensor(arena, node, (ptf_role)role))
            return false;
    }
    return node->text != NULL;
}

static bool note_rewrite(ptf_net *net, const char *rewrite)
{
    int count = net->rewrite_count;
    const char **names =
        ptf_arena_array(&net->arena, (size_t)count + 1, sizeof(*names));
    if (names == NULL)
        return false;
    for (int i = 0; i < count; i++)
        names[i] = net->rewrites[i];
    names[count] = rewrite;
    net->rewrites = names;
    net->rewrite_count = count + 1;
    return true;
}

static bool finish(ptf_net_edit *edit, const char *rewrite)
{
    ptf_net *net = edit->net;
    if (!rename_all(edit) || !drop_dead(edit) || !note_rewrite(net, rewrite))
        return false;
    for (int i = 1; i < net->node_count; i++) {
        if (!renew_node(&net->arena, &net->nodes[i]))
            return false;
    }
    return true;
}

ptf_status ptf_net_edit_finish(ptf_net_edit *edit, const char *rewrite,
                               ptf_net **out, ptf_error *err)
{
    *out = NULL;
    ptf_net *net = edit->net;
    ptf_status status = PTF_OK;
    if (!finish(edit, rewrite))
        status = ptf_fail_memory(err);
    if (status == PTF_OK)
        status = ptf_net_complete(net, err);
    if (status != PTF_OK) {
        ptf_net_edit_abort(edit);
        return status;
    }
    *edit = (ptf_net_edit){NULL, NULL, NULL};
    *out = net;
    return PTF_OK;
}
