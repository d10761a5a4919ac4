/* access_check: what is said of the tables that decide about access when they are
 * compiled: flags that mean nothing there or are not honoured, patterns that no probe can
 * match, and channels there are none of. */
#include "tables/access_flags.h"
#include "tables/compile.h"
#include "tables/mapping_table.h"
#include "tables/nearest.h"
#include "tables/tls_access.h"

/* How many '|' a probe has, ACCESS_ORCPT included where it can be. */
static const unsigned bars[ACCESS_TABLES] = {
    [ACCESS_PORT] = 4, [ACCESS_FROM] = 9,       [ACCESS_ORIG_SEND] = 4,
    [ACCESS_SEND] = 4, [ACCESS_ORIG_MAIL] = 11, [ACCESS_MAIL] = 11,
    [ACCESS_IP] = 4,   [ACCESS_TLS] = 9,        [ACCESS_TLS_PEER] = 8,
};

static void check_flag(struct compile *c, enum access_table t,
                       const struct mapping_op *op)
{
    const char *table = access_table_name(t);
    char letter = op->written.ptr[op->written.len - 1];
    const struct access_flag *f = access_flag_find(t, letter);
    if (f == NULL) {
        diag_warning(c->diags, op->at, "access-flag", "'%.*s' means nothing in %s",
                     STR_ARG(op->written), table);
    } else if (f->status == KEYWORD_RESTRICTS) {
        compile_restriction(c, op->at, "'%.*s' in %s is not honoured: %s",
                            STR_ARG(op->written), table, f->text);
    } else if (f->status != KEYWORD_HONOURED) {
        diag_warning(c->diags, op->at, "access-flag", "'%.*s' in %s is not honoured: %s",
                     STR_ARG(op->written), table, f->text);
    }
}

static void check_flags(struct compile *c, enum access_table t,
                        const struct mapping_template *template)
{
    for (unsigned i = 0; i < template->count; i++) {
        const struct mapping_op *op = &template->ops[i];
        if (op->kind == MAPPING_OP_FLAG) {
            check_flag(c, t, op);
        }
        check_flags(c, t, &op->argument);
    }
}

/* The '|' that stand for themselves: not those in $[...]. */
static unsigned count_bars(str pattern)
{
    return mapping_fields(pattern, NULL, 0) - 1;
}

static bool has_part(str text, str part)
{
    while (text.len >= part.len && !str_istarts(text, part)) {
        text = str_from_pos(text, 1);
    }
    return text.len >= part.len;
}

/* A pattern that matches nothing lets through what it was to keep out. */
static void check_pattern(struct compile *c, enum access_table t,
                          const struct mapping_entry *e)
{
    bool transport =
        t == ACCESS_FROM || t == ACCESS_ORIG_MAIL || t == ACCESS_MAIL || t == ACCESS_TLS;
    bool exact = t == ACCESS_TLS || t == ACCESS_TLS_PEER; /* whatever the option says */
    unsigned found = count_bars(e->pattern_text);
    if (found > bars[t] && (exact || c->s->options.mapping_paranoia != '\0')) {
        diag_warning(c->diags, e->at, "access-pattern",
                     "this never matches: it has %u '|', and what %s is asked for has at "
                     "most %u",
                     found, access_table_name(t), bars[t]);
    } else if (transport && has_part(e->pattern_text, STR("|SMTP|"))) {
        diag_warning(
            c->diags, e->at, "access-pattern",
            "this never matches: the field is SMTP/ and the name that the client "
            "gave, as in Messaging Server; write SMTP*");
    }
}

/* Field n of a pattern, counted from 0, if it is plain text; else empty. */
static str plain_field(str pattern, unsigned n)
{
    str field = STR("");
    for (unsigned i = 0; i <= n; i++) {
        if (!str_split(&pattern, '|', &field)) {
            return STR("");
        }
    }
    for (size_t i = 0; i < field.len; i++) {
        if (strchr("$*%", field.ptr[i]) != NULL) {
            return STR("");
        }
    }
    return field;
}

static void check_channel(struct compile *c, const struct mapping_entry *e, unsigned n)
{
    str name = plain_field(e->pattern_text, n);
    if (name.len == 0 || snapshot_channel(c->s, name) != NULL) {
        return;
    }
    str near = nearest_key(c->s->channels_by_name, name, &c->nearest);
    struct span at = e->at;
    at.offset += (uint32_t)(name.ptr - e->pattern_text.ptr);
    at.length = (uint32_t)name.len;
    diag_warning(c->diags, at, "access-channel",
                 "there is no channel '%.*s', and the entry matches nothing%s%.*s%s",
                 STR_ARG(name), near.len > 0 ? "; did you mean '" : "", STR_ARG(near),
                 near.len > 0 ? "'?" : "");
}

/* Which fields hold channels, where as many '|' are written as there are in a probe: a
 * wildcard can stand for several fields. The first field of all is certain anyway. */
static void check_channels(struct compile *c, enum access_table t,
                           const struct mapping_entry *e)
{
    unsigned found = count_bars(e->pattern_text);
    switch (t) {
    case ACCESS_ORIG_SEND:
    case ACCESS_SEND:
        check_channel(c, e, 0);
        if (found == 3) {
            check_channel(c, e, 2);
        }
        break;
    case ACCESS_ORIG_MAIL:
    case ACCESS_MAIL:
        if (found == 10) {
            check_channel(c, e, 7);
            check_channel(c, e, 9);
        }
        break;
    case ACCESS_FROM:
        if (found == 9) {
            check_channel(c, e, 7);
        }
        break;
    case ACCESS_IP:
    case ACCESS_TLS_PEER:
        check_channel(c, e, 0);
        break;
    case ACCESS_TLS:
        if (found == bars[t]) {
            check_channel(c, e, TLS_ACCESS_CHANNEL);
        }
        break;
    case ACCESS_PORT:
    case ACCESS_TABLES:
        break;
    }
}

bool access_check(struct compile *c, const struct mapping *table)
{
    for (enum access_table t = 0; t < ACCESS_TABLES; t++) {
        if (!str_ieq(table->name, str_from(access_table_name(t)))) {
            continue;
        }
        for (unsigned i = 0; i < table->count; i++) {
            check_pattern(c, t, &table->entries[i]);
            check_channels(c, t, &table->entries[i]);
            check_flags(c, t, &table->entries[i].template);
            if (t == ACCESS_TLS || t == ACCESS_TLS_PEER) {
                tls_access_check(c, t, &table->entries[i]);
            }
        }
        return true;
    }
    return false;
}
