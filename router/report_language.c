/* report_language: see report_language.h. */
#include "router/report_language.h"

#include "parser/keyword_value.h"
#include "router/header_fields.h"
#include "tables/access.h"
#include "tables/mapping.h"

/* --- what it is about --- */

static bool timed_out(const struct bounce_recipient *r)
{
    const unsigned char *e = r->outcome->enhanced;
    return r->outcome->code == 0 && e[0] == 4 && e[1] == 4 && e[2] == 7;
}

static enum report_text_kind kind_of(const struct report_language *q,
                                     const struct bounce_recipient *r)
{
    if (q->members) {
        return REPORT_TEXT_MEMBERS;
    }
    switch (r->action) {
    case BOUNCE_FAILED:
        return q->returned    ? REPORT_TEXT_BOUNCED
               : timed_out(r) ? REPORT_TEXT_TIMEDOUT
                              : REPORT_TEXT_FAILED;
    case BOUNCE_DELAYED:
        return REPORT_TEXT_DELAYED;
    case BOUNCE_RELAYED:
        return REPORT_TEXT_FORWARDED;
    case BOUNCE_DELIVERED:
    case BOUNCE_EXPANDED:
        break;
    }
    return REPORT_TEXT_DELIVERED;
}

/* All kinds, in the order of enum report_text_kind. */
static unsigned kinds_of(const struct report_language *q)
{
    unsigned kinds = 0;
    for (unsigned i = 0; i < q->count; i++) {
        kinds |= 1u << kind_of(q, &q->recipients[i]);
    }
    return kinds;
}

static str kinds_text(unsigned kinds, struct arena *a)
{
    str text = STR("");
    for (unsigned kind = 0; kind < REPORT_TEXT_KINDS; kind++) {
        if ((kinds & 1u << kind) != 0) {
            text = arena_printf(a, "%.*s%s%s", STR_ARG(text), text.len > 0 ? "," : "",
                                report_text_name(kind));
        }
    }
    return text;
}

/* --- the language --- */

/* The first tag of a list: letters, digits and hyphens. What else stands there is written
 * by anybody, and is no language. */
static str first_tag(str value)
{
    value = str_trim(value);
    size_t n = 0;
    while (n < value.len && (ascii_is_alnum(value.ptr[n]) || value.ptr[n] == '-')) {
        n++;
    }
    return n <= LANGUAGE_TAG_MAX ? str_sub(value, 0, n) : STR("");
}

/* What its header says, else what the channel has for its mail. */
static str language_of(const struct report_language *q)
{
    static const char *const fields[] = {"Accept-Language", "Preferred-Language",
                                         "X-Accept-Language"};
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        struct header_field f;
        str rest = q->header;
        while (header_field_next(&rest, &f)) {
            str tag = str_ieq(f.name, str_from(fields[i])) ? first_tag(f.value) : STR("");
            if (tag.len > 0) {
                return tag;
            }
        }
    }
    const struct channel *c = snapshot_channel(q->snapshot, q->source_channel);
    return c != NULL ? c->opts.language : STR("");
}

/* --- asking --- */

str report_language_probe(const struct report_language *q, struct arena *a)
{
    const struct snapshot *s = q->snapshot;
    return arena_printf(a, "%.*s|%.*s|%.*s|%.*s|%.*s",
                        STR_ARG(kinds_text(kinds_of(q), a)),
                        STR_ARG(access_escape(s, a, q->source_channel)),
                        STR_ARG(language_of(q)), STR_ARG(access_escape(s, a, q->sender)),
                        STR_ARG(access_escape(s, a, q->recipients[0].address)));
}

static str ask(const struct report_language *q, struct arena *a, const char **why)
{
    const struct mapping *t = mapping_find(q->snapshot, STR("NOTIFICATION_LANGUAGE"));
    struct mapping_output out;
    if (t == NULL) {
        return STR("");
    }
    struct mapping_input in = {.snapshot = q->snapshot,
                               .probe = report_language_probe(q, a)};
    bool matched = mapping_run(t, &in, a, &out);
    *why = out.fault;
    bool chosen = matched && (out.flags & mapping_flag('I')) != 0 &&
                  (out.flags & mapping_flag('N')) == 0;
    return chosen ? out.text : STR("");
}

const struct report_text *report_language_text(const struct report_language *q,
                                               struct arena *a, const char **why)
{
    *why = NULL;
    str folder = ask(q, a, why);
    unsigned kinds = kinds_of(q);
    enum report_text_kind kind = 0;
    while ((kinds & 1u << kind) == 0) {
        kind++;
    }
    const char *unknown;
    const struct report_text *t = report_text_find(q->snapshot, folder, kind, &unknown);
    *why = *why != NULL ? *why : unknown;
    return t;
}
