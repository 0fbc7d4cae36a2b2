/*
 * The page of ops and operators, out of the tables: docs/ops.md.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "import/aten/aten.h"

enum { MOST_COLUMNS = 80 };

/* Words after "- WHAT: ", in lines that fit. */
typedef struct list {
    FILE *out;
    const char *what;
    int column; /* 0: there is no word yet */
} list;

static void add(list *l, const char *word)
{
    int size = (int)strlen(word);
    if (l->column == 0)
        l->column = fprintf(l->out, "- %s:", l->what);
    else
        l->column += fprintf(l->out, ",");
    if (l->column + size + 2 > MOST_COLUMNS) {
        fprintf(l->out, "\n ");
        l->column = 1;
    }
    l->column += fprintf(l->out, " %s", word);
}

static void end(const list *l)
{
    if (l->column > 0)
        fprintf(l->out, "\n");
}

static void print_ops(size_t family, FILE *out)
{
    list ops = {out, "ops", 0}, classes = {out, "torch.nn", 0};
    for (int op = 0; op < PTF_OP_COUNT; op++) {
        const ptf_op_row *row = ptf_op_info((ptf_op)op);
        if (row->family == (ptf_family)family)
            add(&ops, row->name);
    }
    end(&ops);
    for (int op = PTF_OP_INPUT + 1; op < PTF_OP_COUNT; op++) {
        const ptf_op_row *row = ptf_op_info((ptf_op)op);
        if (row->family == (ptf_family)family && row->class_name[0] != '\0')
            add(&classes, row->class_name);
    }
    end(&classes);
}

void ptf_ops_print(FILE *out)
{
    fprintf(out, "# Ops and operators\n\n"
                 "Written by `ptfold info --supported ops`, from the tables "
                 "that the library is\nmade of. A family is a file of that "
                 "name in each folder of `src/`. Operators that\nare made of "
                 "several ops stand in tables of their own, at the end.\n");
    for (size_t t = 0; t < (size_t)PTF_ATEN_TABLES; t++) {
        list targets = {out, "ATen", 0};
        fprintf(out, "\n## %s\n\n", ptf_aten_tables[t].name);
        if (t < PTF_FAMILY_COUNT)
            print_ops(t, out);
        for (const ptf_aten_row *r = ptf_aten_tables[t].rows; r->target != NULL;
             r++)
            add(&targets, strncmp(r->target, "aten.", 5) == 0 ? r->target + 5
                                                              : r->target);
        end(&targets);
    }
}
