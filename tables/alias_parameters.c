/* alias_parameters: the named parameters of lists. */
#include "tables/alias_compile.h"
#include "tables/mapping.h"

enum parameter_kind {
    PARAMETER_AND,
    PARAMETER_OR,
    PARAMETER_CHANNELS,
    PARAMETER_SENDERS,
    PARAMETER_TABLE,
    PARAMETER_BLOCKS,
    PARAMETER_LINES,
    PARAMETER_SENDER,
    PARAMETER_OWNER,
    PARAMETER_LOST,
    PARAMETER_CLOSES
};

struct parameter_row {
    const char *name;
    enum parameter_kind kind;
    const char *text;
};

static const struct parameter_row rows[] = {
#define PARAMETER(name, kind, text) {#name, PARAMETER_##kind, text},
#include "tables/alias_parameters.def"
};
enum { ROW_COUNT = sizeof rows / sizeof *rows, SUGGEST_DISTANCE = 3 };

static const struct parameter_row *row_find(str name)
{
    for (size_t i = 0; i < ROW_COUNT; i++) {
        if (str_ieq(name, str_from(rows[i].name))) {
            return &rows[i];
        }
    }
    return NULL;
}

bool alias_parameter_is_file(str name)
{
    const struct parameter_row *row = row_find(name);
    return row != NULL && row->kind == PARAMETER_SENDERS;
}

/* A slip in a parameter that restricts would open the list. */
static void unknown(struct alias_compile *k, str name, struct span at)
{
    const char *near = NULL;
    unsigned best = SUGGEST_DISTANCE + 1;
    for (size_t i = 0; i < ROW_COUNT; i++) {
        unsigned distance = str_distance(name, str_from(rows[i].name), SUGGEST_DISTANCE);
        if (distance < best) {
            best = distance;
            near = rows[i].name;
        }
    }
    diag_error(k->c->diags, at, "alias-parameter", "there is no parameter [%.*s]%s%s%s",
               STR_ARG(name), near != NULL ? "; did you mean [" : "",
               near != NULL ? near : "", near != NULL ? "]?" : "");
}

static struct alias_clause *clause_add(struct alias_compile *k,
                                       const struct parameter_row *row,
                                       enum alias_clause_kind kind, struct span at)
{
    struct alias_clause *clause = vec_add(k->c->arena, &k->clauses);
    *clause = (struct alias_clause){.kind = kind,
                                    .cant = str_starts(str_from(row->name), STR("CANT_")),
                                    .either = k->either,
                                    .name = str_from(row->name),
                                    .at = at};
    return clause;
}

static void closes(struct alias_compile *k, const struct parameter_row *row, str why,
                   struct span at)
{
    k->alias->closed = str_from(row->name);
    diag_warning(k->c->diags, at, "list-closed",
                 "[%s] is not honoured: %.*s; '%.*s' takes no mail while it stands here",
                 row->name, STR_ARG(why), STR_ARG(k->alias->name));
}

static void read_senders(struct alias_compile *k, const struct parameter_row *row,
                         str value, struct span at)
{
    if (alias_is_url(value)) {
        closes(k, row, STR("there are no directory look-ups"), at);
        return;
    }
    const struct alias_file *file = alias_file_compile(k, value, at, true);
    clause_add(k, row, ALIAS_CLAUSE_SENDERS, at)->file = file;
}

static void read_table(struct alias_compile *k, const struct parameter_row *row,
                       str value, struct span at)
{
    const struct mapping *table = mapping_find(k->c->s, value);
    if (table == NULL) {
        str near = nearest_key(k->c->s->mappings, value, &k->c->nearest);
        diag_error(k->c->diags, at, "alias-parameter",
                   "there is no mapping table '%.*s'%s%.*s%s", STR_ARG(value),
                   near.len > 0 ? "; did you mean '" : "", STR_ARG(near),
                   near.len > 0 ? "'?" : "");
        return;
    }
    clause_add(k, row, ALIAS_CLAUSE_TABLE, at)->table = table;
}

static void read_limit(struct alias_compile *k, const struct parameter_row *row,
                       str value, struct span at, unsigned *out)
{
    uint64_t number;
    if (!str_u64(value, INT32_MAX, &number)) {
        diag_error(k->c->diags, at, "alias-parameter", "[%s] needs a number from 0 to %d",
                   row->name, INT32_MAX);
        return;
    }
    *out = (unsigned)number;
}

static void read_owner(struct alias_compile *k, str value, struct span at)
{
    struct address addr;
    const char *reason = alias_address_read(k->c->arena, value, &addr);
    if (reason != NULL) {
        diag_error(k->c->diags, at, "alias-address", "the address '%.*s' %s",
                   STR_ARG(value), reason);
        return;
    }
    k->alias->owner = address_print(k->c->arena, &addr);
}

void alias_sender_read(struct alias_compile *k, str text, struct span at)
{
    struct address addr;
    if (str_eq(text, STR("/"))) {
        return; /* the sender stays */
    }
    if (str_eq(text, STR("<>"))) {
        k->alias->sender = STR("");
        return;
    }
    const char *reason = alias_address_read(k->c->arena, text, &addr);
    if (reason != NULL) {
        diag_error(k->c->diags, at, "alias-address", "the address '%.*s' %s",
                   STR_ARG(text), reason);
        return;
    }
    if (addr.domain.len == 0) {
        addr.domain = k->c->s->local_host;
    }
    k->alias->sender = address_print(k->c->arena, &addr);
}

static bool has_value(const struct parameter_row *row)
{
    return row->kind != PARAMETER_AND && row->kind != PARAMETER_OR &&
           row->kind != PARAMETER_LOST && row->kind != PARAMETER_CLOSES;
}

static void apply(struct alias_compile *k, const struct parameter_row *row, str value,
                  struct span at)
{
    switch (row->kind) {
    case PARAMETER_AND:
    case PARAMETER_OR:
        k->either = row->kind == PARAMETER_OR;
        break;
    case PARAMETER_CHANNELS:
        clause_add(k, row, ALIAS_CLAUSE_CHANNELS, at)->channels = value;
        break;
    case PARAMETER_SENDERS:
        read_senders(k, row, value, at);
        break;
    case PARAMETER_TABLE:
        read_table(k, row, value, at);
        break;
    case PARAMETER_BLOCKS:
        read_limit(k, row, value, at, &k->alias->block_limit);
        break;
    case PARAMETER_LINES:
        read_limit(k, row, value, at, &k->alias->line_limit);
        break;
    case PARAMETER_SENDER:
        alias_sender_read(k, value, at);
        break;
    case PARAMETER_OWNER:
        read_owner(k, value, at);
        break;
    case PARAMETER_LOST:
        diag_warning(k->c->diags, at, "unhonoured-parameter", "[%s] is not honoured: %s",
                     row->name, row->text);
        break;
    case PARAMETER_CLOSES:
        closes(k, row, str_from(row->text), at);
        break;
    }
}

/* May it be given more than once? Clauses may, each holds. */
static bool repeats(const struct parameter_row *row)
{
    return row->kind <= PARAMETER_TABLE;
}

void alias_parameter_read(struct alias_compile *k, const struct alias_item *item,
                          struct span at)
{
    const struct parameter_row *row = row_find(item->name);
    if (row == NULL) {
        unknown(k, item->name, at);
        return;
    }
    if (has_value(row) && item->value.len == 0) {
        diag_error(k->c->diags, at, "alias-parameter", "[%s] needs a value: %s",
                   row->name, row->text);
        return;
    }
    str name = str_from(row->name);
    if (map_get(k->given, name) != NULL && !repeats(row)) {
        diag_error(k->c->diags, at, "alias-parameter", "[%s] was given before",
                   row->name);
        return;
    }
    map_add(k->given, name, k);
    k->alias->list = true;
    apply(k, row, item->value, at);
}
