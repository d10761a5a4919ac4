/* list_access: see list_access.h. */
#include "tables/list_access.h"

#include "tables/access.h"
#include "tables/mapping.h"

/* '*' is any text, '%' one character; case-blind. */
static bool name_matches(str pattern, str name)
{
    size_t p = 0, n = 0, star = SIZE_MAX, mark = 0;
    while (n < name.len) {
        char c = p < pattern.len ? ascii_lower(pattern.ptr[p]) : '\0';
        if (c == '*') {
            star = p++;
            mark = n;
        } else if (p < pattern.len && (c == '%' || c == ascii_lower(name.ptr[n]))) {
            p++;
            n++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            n = ++mark;
        } else {
            return false;
        }
    }
    while (p < pattern.len && pattern.ptr[p] == '*') {
        p++;
    }
    return p == pattern.len;
}

static bool channels_name(str patterns, const struct channel *c)
{
    str pattern;
    while (str_word(&patterns, &pattern)) {
        if (name_matches(pattern, c->name)) {
            return true;
        }
    }
    return false;
}

static bool senders_name(const struct snapshot *s, const struct alias_file *f, str sender,
                         struct arena *a)
{
    struct address addr;
    if (address_parse(sender, &addr) != NULL || addr.local.len == 0) {
        return false;
    }
    return map_get(f->mailboxes, alias_mailbox(a, &addr, s->local_host)) != NULL;
}

/* Does the clause name this sender? Not known: *why is set. */
static bool clause_names(const struct snapshot *s, const struct alias_clause *clause,
                         const struct channel *source, str sender, struct arena *a,
                         str *why)
{
    struct mapping_input in = {.snapshot = s, .probe = access_escape(s, a, sender)};
    struct mapping_output out;
    switch (clause->kind) {
    case ALIAS_CLAUSE_CHANNELS:
        return channels_name(clause->channels, source);
    case ALIAS_CLAUSE_SENDERS:
        if (clause->file->missing.ptr != NULL) {
            *why =
                arena_printf(a, "cannot read '%.*s': %.*s", STR_ARG(clause->file->name),
                             STR_ARG(clause->file->missing));
            return false;
        }
        return senders_name(s, clause->file, sender, a);
    case ALIAS_CLAUSE_TABLE:
        break;
    }
    bool matched = mapping_run(clause->table, &in, a, &out);
    if (out.fault != NULL) {
        *why = arena_printf(a, "mapping %.*s: %s", STR_ARG(mapping_name(clause->table)),
                            out.fault);
    }
    uint64_t yes = mapping_flag('Y') | mapping_flag('T'), no = mapping_flag('N');
    return matched && (out.flags & yes) != 0 && (out.flags & no) == 0;
}

enum list_verdict list_access(const struct snapshot *s, const struct alias *alias,
                              const struct channel *source, str sender, struct arena *a,
                              struct span *at, str *why)
{
    bool may = true;
    *at = alias->at;
    *why = STR_NONE;
    if (alias->closed.len > 0) {
        return LIST_MAY_NOT;
    }
    for (unsigned i = 0; i < alias->clause_count; i++) {
        const struct alias_clause *clause = &alias->clauses[i];
        bool holds = clause_names(s, clause, source, sender, a, why) != clause->cant;
        if (why->ptr != NULL) {
            *at = clause->at;
            return LIST_UNKNOWN;
        }
        bool now = i == 0 ? holds : clause->either ? may || holds : may && holds;
        if (may && !now) {
            *at = clause->at;
        }
        may = now;
    }
    return may ? LIST_MAY : LIST_MAY_NOT;
}
