/* admission: see admission.h. */
#include "router/admission.h"

#include <stdio.h>

/* --- effects --- */

void admission_init(struct admission *m, struct arena *a)
{
    *m = (struct admission){.arena = a};
    buf_init(&m->header, ADMISSION_HEADER_MAX);
}

void admission_free(struct admission *m)
{
    buf_free(&m->header);
}

void admission_command(struct admission *m)
{
    m->delay_once_ms = 0;
}

/* The longest delay counts. */
void admission_delay(struct admission *m, const struct access_verdict *v)
{
    unsigned ms = (unsigned)(v->delay_cs < 0 ? -v->delay_cs : v->delay_cs) * 10;
    unsigned *to = v->delay_cs < 0 ? &m->delay_once_ms : &m->delay_ms;
    *to = ms > *to ? ms : *to;
}

/* The smaller one; 0 is none. */
static void limit(uint64_t *now, uint64_t more)
{
    if (more > 0 && (*now == 0 || more < *now)) {
        *now = more;
    }
}

static const char *reason(struct admission *m, const struct snapshot *s,
                          const struct access_verdict *v)
{
    str at = snapshot_where(m->arena, s, v->entry);
    return arena_printf(m->arena, "%s, %.*s", access_table_name(v->table), STR_ARG(at))
        .ptr;
}

/* A line that several recipients ask for is added once. */
static void add_header(struct admission *m, str text)
{
    str have = buf_slice(&m->header), line;
    while (str_split(&have, '\n', &line)) {
        if (str_eq(str_trim(line), str_trim(text))) {
            return;
        }
    }
    buf_printf(&m->header, "%.*s\r\n", STR_ARG(text));
}

void admission_take(struct admission *m, const struct snapshot *s,
                    const struct access_verdict *v)
{
    if (v->answer == ACCESS_REJECT || v->answer == ACCESS_FAULT) {
        return;
    }
    if (v->hold && m->hold == NULL) {
        m->hold = reason(m, s, v);
    }
    if ((v->discard_all || (v->discard && v->table == ACCESS_FROM)) &&
        m->discard == NULL) {
        m->discard = reason(m, s, v);
    }
    if (v->header.len > 0) {
        add_header(m, v->header);
    }
    limit(&m->limits.blocks, v->limits.blocks);
    limit(&m->limits.recipients, v->limits.recipients);
    limit(&m->limits.cutoff, v->limits.cutoff);
}

bool admission_recipient(struct admission *m)
{
    m->offered++;
    return m->limits.recipients == 0 || m->taken < m->limits.recipients;
}

bool admission_cutoff(const struct admission *m)
{
    return m->limits.cutoff > 0 && m->offered > m->limits.cutoff;
}

bool admission_too_large(const struct admission *m, const struct snapshot *s,
                         uint64_t bytes)
{
    return m->limits.blocks > 0 && bytes > m->limits.blocks * s->options.block_size;
}

/* --- the log --- */

static const char *result_name(const struct access_verdict *v)
{
    if (v->answer == ACCESS_REJECT) {
        return "refused";
    }
    if (v->discard_all || (v->discard && v->table == ACCESS_FROM)) {
        return "message discarded";
    }
    if (v->skip) {
        return "skipped";
    }
    if (v->replace_ip.len > 0) {
        return "replaced";
    }
    return v->discard                   ? "discarded"
           : v->hold                    ? "held"
           : v->new_sender              ? "sender replaced"
           : v->channel != NULL         ? "switched"
           : v->answer == ACCESS_ACCEPT ? "accepted"
                                        : "none";
}

bool admission_worth_telling(const struct access_verdict *v)
{
    return v->answer == ACCESS_FAULT || v->answer == ACCESS_REJECT || v->hold ||
           v->discard || v->discard_all || v->new_sender || v->log_match.len > 0 ||
           v->skip || v->replace_ip.len > 0;
}

static void log_some(struct log_line *line, const char *key, str value)
{
    if (value.len > 0) {
        log_str(line, key, value);
    }
}

static void log_place(struct log_line *line, const struct admission_place *p)
{
    log_some(line, "session", p->session);
    log_cstr(line, "id", p->id);
    log_some(line, "channel", p->channel);
    log_some(line, "peer", p->peer);
}

static void log_fault(const struct admission_place *p, const struct access_verdict *v,
                      str at)
{
    struct log_line line;
    log_begin(&line, p->log, LOG_ERROR);
    log_cstr(&line, "what", "access table");
    log_cstr(&line, "table", access_table_name(v->table));
    log_str(&line, "reason", v->fault);
    log_str(&line, "file", at);
    log_place(&line, p);
    log_str(&line, "probe", v->probe);
    log_end(&line);
}

void admission_log(const struct admission_place *p, const struct access_verdict *v)
{
    struct log_line line;
    struct arena *a = arena_new();
    str at = snapshot_where(a, p->snapshot, v->entry);
    if (v->answer == ACCESS_FAULT) {
        log_fault(p, v, at);
    } else if (admission_worth_telling(v)) {
        bool refused = v->answer == ACCESS_REJECT;
        log_begin(&line, p->log, LOG_ACCESS);
        log_place(&line, p);
        log_cstr(&line, "table", access_table_name(v->table));
        log_str(&line, "rule", at);
        log_cstr(&line, "result", result_name(v));
        log_some(&line, "from", p->from);
        log_some(&line, "to", p->to);
        log_some(&line, "text", v->log_match);
        log_some(&line, "refusal", refused ? v->log_reject : STR(""));
        log_some(&line, "tag", refused ? v->log_tag : STR(""));
        log_some(&line, "reason", v->table == ACCESS_IP ? v->text : STR(""));
        log_some(&line, "address", v->replace_ip);
        log_str(&line, "probe", v->probe);
        log_end(&line);
    }
    arena_free(&a);
}
