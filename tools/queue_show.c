/* queue_show: all that is known of messages: envelope, entries, history. */
#include "base/clock.h"
#include "tables/retry.h"
#include "tools/queue_tool.h"
#include "tools/text.h"

static const char *priority_name(int priority)
{
    switch (priority) {
    case RETRY_NORMAL:
        return "normal";
    case RETRY_URGENT:
        return "urgent";
    case RETRY_NONURGENT:
        return "non-urgent";
    default:
        return "unknown";
    }
}

static const char *ret_name(enum queue_ret ret)
{
    return ret == QUEUE_RET_FULL ? "FULL" : ret == QUEUE_RET_HDRS ? "HDRS" : NULL;
}

/* ---- text ---------------------------------------------------------------------- */

struct showing {
    struct queueing *q;
    const struct queue_story *m;
};

static str plain(const struct showing *s, str text)
{
    return text_plain(s->q->arena, text);
}

static void show_envelope(const struct showing *s)
{
    const struct queue_story *m = s->m;
    char at[QUEUE_TIME_MAX], age[QUEUE_TIME_MAX];

    clock_rfc3339(m->created_ms, at, sizeof at);
    clock_age(s->q->now_ms - m->created_ms, age, sizeof age);
    printf("message      %s\n", m->id);
    printf("arrived      %s, %s ago, on %.*s\n", at, age,
           STR_ARG(plain(s, m->source_channel)));
    printf("sender       <%.*s>\n", STR_ARG(plain(s, m->sender)));
    printf("size         %lld octets%s, ", (long long)m->size,
           m->eight_bit ? ", eight-bit" : "");
    if (m->body_file.ptr) {
        printf("in bodies/%.*s\n", STR_ARG(plain(s, m->body_file)));
    } else {
        puts("in the store");
    }
    if (m->envid.ptr) {
        printf("ENVID        %.*s\n", STR_ARG(plain(s, m->envid)));
    }
    if (ret_name(m->ret)) {
        printf("RET          %s\n", ret_name(m->ret));
    }
}

static void show_recipients(const struct showing *s, const struct queue_story_entry *e)
{
    for (unsigned i = 0; i < e->recipient_count; i++) {
        const struct queue_recipient *r = &e->recipients[i];
        printf("  to         %.*s", STR_ARG(plain(s, r->address)));
        if (r->notify != 0) {
            printf("  NOTIFY=%s", dsn_notify_print(r->notify));
        }
        if (r->orcpt.ptr) {
            printf("  ORCPT=%.*s", STR_ARG(plain(s, r->orcpt)));
        }
        putchar('\n');
    }
}

static void show_attempts(const struct showing *s, unsigned position)
{
    for (size_t i = 0; i < s->m->attempt_count; i++) {
        const struct queue_story_attempt *t = &s->m->attempts[i];
        char at[QUEUE_TIME_MAX];
        if (t->position != position) {
            continue;
        }
        clock_rfc3339(t->at_ms, at, sizeof at);
        printf("  attempt %-3u %s  %u delivered, %u deferred, %u failed\n", t->attempt,
               at, t->delivered, t->deferred, t->failed);
        if (t->peer.len > 0 || t->tls.len > 0) {
            printf("    %.*s%s%.*s\n", STR_ARG(plain(s, t->peer)),
                   t->peer.len > 0 && t->tls.len > 0 ? ", " : "",
                   STR_ARG(plain(s, t->tls)));
        }
        if (t->outcome.len > 0) {
            printf("    %.*s\n", STR_ARG(plain(s, t->outcome)));
        }
    }
}

static void show_state(const struct showing *s, const struct queue_story_entry *e)
{
    const char *ordered = queue_ordered_text(e->seen.ordered);
    char due[QUEUE_TIME_MAX];

    printf("  state      %s", queue_state_name(e->seen.state));
    if (e->seen.state == QUEUE_WAITING) {
        queue_due_text(e->seen.next_try_ms, s->q->now_ms, due, sizeof due);
        printf(", attempt %u %s", e->seen.attempts + 1, due);
    }
    printf("; priority %s, %u warning%s sent\n", priority_name(e->seen.priority),
           e->notices, e->notices == 1 ? "" : "s");
    if (e->seen.reason.ptr) {
        printf("  why        %.*s\n", STR_ARG(plain(s, e->seen.reason)));
    }
    if (ordered) {
        printf("  ordered    %s\n", ordered);
    }
}

static void show_entry(const struct showing *s, const struct queue_story_entry *e)
{
    printf("\nentry %-6u %.*s", e->seen.position, STR_ARG(plain(s, e->seen.channel)));
    if (e->seen.host.len > 0) {
        printf(", next hop %.*s%s", STR_ARG(plain(s, e->seen.host)),
               e->seen.redirected ? " (by an operator)" : "");
    }
    putchar('\n');
    show_state(s, e);
    if (e->sender.ptr) {
        printf("  leaves as  <%.*s>\n", STR_ARG(plain(s, e->sender)));
    }
    if (e->returns.ptr) {
        printf("  reports to <%.*s>\n", STR_ARG(plain(s, e->returns)));
    }
    if (e->own_header) {
        puts("  header     as its channel wants it");
    }
    show_recipients(s, e);
    show_attempts(s, e->seen.position);
}

/* Is the entry at that position still there? */
static bool entry_waits(const struct queue_story *m, unsigned position)
{
    for (size_t i = 0; i < m->entry_count; i++) {
        if (m->entries[i].seen.position == position) {
            return true;
        }
    }
    return false;
}

static void show_text(struct queueing *q, const struct queue_story *m)
{
    const struct showing s = {q, m};

    show_envelope(&s);
    for (size_t i = 0; i < m->entry_count; i++) {
        show_entry(&s, &m->entries[i]);
    }
    for (size_t i = 0; i < m->attempt_count; i++) {
        const struct queue_story_attempt *t = &m->attempts[i];
        if (!entry_waits(m, t->position) &&
            (i == 0 || m->attempts[i - 1].position != t->position)) {
            printf("\nentry %-6u %.*s: done\n", t->position,
                   STR_ARG(plain(&s, t->channel)));
            show_attempts(&s, t->position);
        }
    }
}

/* ---- JSON ---------------------------------------------------------------------- */

static void put_recipients(struct record *out, const struct queue_story_entry *e)
{
    record_open(out, "recipients", '[');
    for (unsigned i = 0; i < e->recipient_count; i++) {
        const struct queue_recipient *r = &e->recipients[i];
        record_open(out, NULL, '{');
        record_str(out, "address", r->address);
        record_str(out, "notify",
                   r->notify ? str_from(dsn_notify_print(r->notify)) : STR_NONE);
        record_str(out, "orcpt", r->orcpt);
        record_close(out, '}');
    }
    record_close(out, ']');
}

static void put_entry(struct record *out, const struct queue_story_entry *e)
{
    const struct queue_seen *seen = &e->seen;

    record_open(out, NULL, '{');
    record_uint(out, "entry", seen->position);
    record_str(out, "channel", seen->channel);
    record_str(out, "host", seen->host);
    record_bool(out, "redirected", seen->redirected);
    record_str(out, "state", str_from(queue_state_name(seen->state)));
    record_uint(out, "attempts", seen->attempts);
    queue_record_time(out, "next_try",
                      seen->state == QUEUE_WAITING ? seen->next_try_ms : 0);
    record_str(out, "reason", seen->reason);
    record_str(out, "ordered", str_from(queue_ordered_text(seen->ordered)));
    record_str(out, "priority", str_from(priority_name(seen->priority)));
    record_uint(out, "warnings", e->notices);
    record_str(out, "leaves_as", e->sender);
    record_str(out, "reports_to", e->returns);
    record_bool(out, "own_header", e->own_header);
    put_recipients(out, e);
    record_close(out, '}');
}

static void put_attempt(struct record *out, const struct queue_story_attempt *t)
{
    record_open(out, NULL, '{');
    record_uint(out, "entry", t->position);
    record_uint(out, "attempt", t->attempt);
    queue_record_time(out, "at", t->at_ms);
    record_str(out, "channel", t->channel);
    record_str(out, "host", t->host);
    record_str(out, "peer", t->peer);
    record_str(out, "tls", t->tls);
    record_str(out, "outcome", t->outcome);
    record_uint(out, "delivered", t->delivered);
    record_uint(out, "deferred", t->deferred);
    record_uint(out, "failed", t->failed);
    record_close(out, '}');
}

static void show_json(const struct queueing *q, const struct queue_story *m)
{
    struct record out;

    record_begin(&out);
    record_str(&out, "id", str_from(m->id));
    queue_record_time(&out, "created", m->created_ms);
    record_uint(&out, "age_s", queue_seconds_since(m->created_ms, q->now_ms));
    record_str(&out, "source_channel", m->source_channel);
    record_str(&out, "sender", m->sender);
    record_uint(&out, "size", (uint64_t)m->size);
    record_bool(&out, "eight_bit", m->eight_bit);
    record_str(&out, "body_file", m->body_file);
    record_str(&out, "envid", m->envid);
    record_str(&out, "ret", str_from(ret_name(m->ret)));
    record_open(&out, "entries", '[');
    for (size_t i = 0; i < m->entry_count; i++) {
        put_entry(&out, &m->entries[i]);
    }
    record_close(&out, ']');
    record_open(&out, "history", '[');
    for (size_t i = 0; i < m->attempt_count; i++) {
        put_attempt(&out, &m->attempts[i]);
    }
    record_close(&out, ']');
    record_print(&out);
}

/* ---- the command --------------------------------------------------------------- */

static int show_one(struct queueing *q, const char *word)
{
    struct queue_story m;
    uint64_t number;
    char reason[QUEUE_REASON_MAX];

    if (!queue_id_word(q, word, &number)) {
        return TOOL_USAGE;
    }
    if (!queue_story_read(q->directory, number, q->arena, &m, reason, sizeof reason)) {
        return queue_complain(q, reason);
    }
    if (!m.found) {
        fprintf(stderr, "pointsman: %s: %s is not in the queue\n", q->name, m.id);
        return TOOL_NO;
    }
    if (q->in->options.json) {
        show_json(q, &m);
    } else {
        show_text(q, &m);
    }
    return TOOL_OK;
}

int queue_show(struct queueing *q)
{
    int code = TOOL_OK;

    for (int i = 0; i < q->word_count && code != TOOL_USAGE; i++) {
        if (i > 0 && !q->in->options.json) {
            putchar('\n');
        }
        int one = show_one(q, q->words[i]);
        code = one > code ? one : code;
    }
    return code;
}
