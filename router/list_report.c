/* list_report: see list_report.h. */
#include "router/list_report.h"

#include "base/map.h"
#include "base/vec.h"
#include "router/bounce.h"
#include "router/report_envelope.h"
#include "router/report_style.h"

/* What one owner is told. */
struct told {
    str owner, list;
    VEC(struct bounce_recipient) members;
    unsigned more;
    const struct queue_message *report; /* NULL: none was made */
};

/* What the log is told. */
struct logged {
    str list, member, at;
    const struct outcome *why;
};

struct list_report {
    struct arena *arena;
    str session;
    struct map *by_owner;
    struct map *seen; /* members, by place and text */
    VEC(struct logged) logged;
};

struct list_report *list_report_new(struct arena *a, str session)
{
    struct list_report *r = arena_new_of(a, struct list_report);
    r->arena = a;
    r->session = session;
    r->seen = map_new(a, MAP_CASE);
    r->by_owner = map_new(a, MAP_NOCASE);
    return r;
}

static str owner_of(const struct expand_node *n)
{
    const struct alias *list = n->list;
    return list == NULL           ? STR("postmaster")
           : list->owner.len > 0  ? list->owner
           : list->sender.len > 0 ? list->sender
                                  : STR("postmaster");
}

/* The alias in whose value, or list file, it stands. */
static str holder_of(const struct expand_node *n)
{
    for (n = n->parent; n != NULL; n = n->parent) {
        if (n->kind == EXPAND_ALIAS) {
            return n->alias->name;
        }
    }
    return STR("");
}

static void log_member(const struct list_report *r, struct worker *w, const char *id,
                       const struct logged *m)
{
    struct log_line line;
    log_begin(&line, w->daemon->log, LOG_MEMBER);
    log_str(&line, "session", r->session);
    log_cstr(&line, "id", id);
    log_str(&line, "list", m->list);
    log_str(&line, "member", m->member);
    log_str(&line, "at", m->at);
    log_fmt(&line, "status", "%u.%u.%u", m->why->enhanced[0], m->why->enhanced[1],
            m->why->enhanced[2]);
    log_cstr(&line, "reason", m->why->text);
    log_end(&line);
}

/* The number of those that are not named. */
static void log_more(const struct list_report *r, struct worker *w, const char *id)
{
    struct log_line line;
    size_t more = map_count(r->seen) - r->logged.n;
    if (more > 0) {
        log_begin(&line, w->daemon->log, LOG_MEMBER);
        log_str(&line, "session", r->session);
        log_cstr(&line, "id", id);
        log_int(&line, "more", (int64_t)more);
        log_end(&line);
    }
}

static struct told *told_of(struct list_report *r, const struct expand_node *n)
{
    str owner = owner_of(n);
    struct told *t = map_get(r->by_owner, owner);
    if (t == NULL) {
        t = arena_new_of(r->arena, struct told);
        t->owner = arena_str(r->arena, owner);
        t->list = arena_str(r->arena, holder_of(n));
        map_add(r->by_owner, t->owner, t);
    }
    return t;
}

/* False when it was seen before. */
static bool is_new(struct list_report *r, const struct expand_node *n)
{
    str key = arena_printf(r->arena, "%u.%u %.*s", (unsigned)n->at.source,
                           (unsigned)n->at.offset, STR_ARG(n->text));
    size_t before = map_count(r->seen);
    map_add(r->seen, key, r);
    return map_count(r->seen) > before;
}

void list_report_add(struct list_report *r, const struct snapshot *s,
                     const struct expand_node *n, const struct outcome *why)
{
    if (!is_new(r, n)) {
        return;
    }
    struct told *t = told_of(r, n);
    bool named = t->members.n < LIST_REPORT_NAMED_MAX;
    bool logged = r->logged.n < LIST_REPORT_LOGGED_MAX;
    t->more += !named;
    if (!named && !logged) {
        return;
    }
    struct outcome *kept = arena_new_of(r->arena, struct outcome);
    *kept = *why;
    str member = arena_str(r->arena, str_sub(n->text, 0, LIST_REPORT_TEXT_MAX));
    if (named) {
        *vec_add(r->arena, &t->members) = (struct bounce_recipient){
            .address = member, .remote = STR(""), .outcome = kept};
    }
    if (logged) {
        *vec_add(r->arena, &r->logged) = (struct logged){
            holder_of(n), member, snapshot_where(r->arena, s, n->at), kept};
    }
}

/* --- making them --- */

static void log_lost(struct worker *w, const struct queue_message *m,
                     const struct told *t, const char *why)
{
    struct log_line line;
    log_begin(&line, w->daemon->log, LOG_ERROR);
    log_cstr(&line, "what", "nobody to tell of bad members");
    log_cstr(&line, "id", m->id);
    log_str(&line, "list", t->list);
    log_cstr(&line, "reason", why);
    log_end(&line);
}

/* The text, in memory: it is bounded by what is named and by the header. */
static struct body *text_make(struct worker *w, const struct told *t,
                              const struct snapshot *s, str to, str header,
                              const struct queue_message *m, struct queue_message *report)
{
    struct body *body = NULL;
    struct buf text;
    struct bounce b = {
        .message_id = str_from(m->id),
        .sender = to,
        .arrived_ms = m->created_ms,
        .now_ms = report->created_ms,
        .recipients = t->members.at,
        .count = (unsigned)t->members.n,
        .list = t->list,
        .more = t->more,
    };
    report_style(&b, report, s, snapshot_channel(s, m->source_channel));
    if (header.ptr != NULL) {
        b.header =
            bounce_header(str_sub(header, 0, LIST_REPORT_HEADER_MAX), &b.header_cut);
        b.header_cut = header.len > LIST_REPORT_HEADER_MAX;
    }
    report_words(&b, s, m->source_channel, false, w, report->arena);
    buf_init(&text, BOUNCE_MAX);
    if (bounce_write(&b, &text)) {
        report_headers(report, s, buf_slice(&text));
        body = body_from_memory(text.data, text.len);
    }
    buf_free(&text);
    return body;
}

static void report_make(struct worker *w, const struct snapshot *s, struct told *t,
                        str header, struct queue_message *m)
{
    struct queue_message *report = queue_message_new(w->daemon->queue, m->created_ms);
    str postmaster =
        arena_printf(report->arena, "postmaster@%.*s", STR_ARG(s->local_host));
    char why[200] = "its text is too long";
    str to = t->owner;
    if (str_find(to, '@') < 0) {
        to =
            arena_printf(report->arena, "%.*s@%.*s", STR_ARG(to), STR_ARG(s->local_host));
    }
    bool good = report_envelope(report, s, to, why, sizeof why);
    if (!good) {
        log_lost(w, m, t, why);
        to = postmaster;
        good = report_envelope(report, s, to, why, sizeof why);
    }
    report->body = good ? text_make(w, t, s, to, header, m, report) : NULL;
    if (report->body == NULL) {
        log_lost(w, m, t, why);
        queue_message_free(&report);
        return;
    }
    t->report = report;
    report->report = m->report;
    m->report = report;
}

void list_report_make(struct list_report *r, struct worker *w, const struct snapshot *s,
                      str header, struct queue_message *m)
{
    for (size_t i = 0; i < map_count(r->by_owner); i++) {
        report_make(w, s, map_at(r->by_owner, i, NULL), header, m);
    }
}

static void log_report(struct worker *w, const struct queue_message *m,
                       const struct told *t)
{
    const struct queue_message *report = t->report;
    struct log_line line;
    log_begin(&line, w->daemon->log, LOG_BOUNCE);
    log_cstr(&line, "id", report->id);
    log_cstr(&line, "for", m->id);
    log_str(&line, "to", report->entries[0].recipients[0].address);
    log_str(&line, "channel", report->entries[0].channel);
    log_int(&line, "recipients", (int64_t)(t->members.n + t->more));
    log_str(&line, "list", t->list);
    log_end(&line);
}

void list_report_stored(const struct list_report *r, struct worker *w,
                        const struct queue_message *m)
{
    for (size_t i = 0; i < r->logged.n; i++) {
        log_member(r, w, m->id, &r->logged.at[i]);
    }
    log_more(r, w, m->id);
    for (size_t i = 0; i < map_count(r->by_owner); i++) {
        const struct told *t = map_at(r->by_owner, i, NULL);
        if (t->report != NULL) {
            log_report(w, m, t);
        }
    }
}
