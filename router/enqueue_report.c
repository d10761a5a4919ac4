/* enqueue_report: the report about recipients that are lists, or aliases for several
 * addresses, whose sender wants to know of success (RFC 3461 5.2.7): what the request is
 * about is done when the message is stored, so the report is stored with it. */
#include "router/bounce.h"
#include "router/enqueue_state.h"
#include "router/report_envelope.h"
#include "router/report_style.h"

/* Does the message go to any that it stands for? Not to those that do not take one so
 * large: they fail at once, and their sender is told so. */
static bool reached(const struct expanded *x)
{
    bool over = x->groups.n > 0;
    for (size_t i = 0; i < x->groups.n; i++) {
        over = over && x->groups.at[i]->over != NULL;
    }
    return !over;
}

/* Returns how many there are. */
static unsigned list_recipients(struct enqueue *e, struct bounce_recipient *list)
{
    struct outcome *done = arena_new_of(e->arena, struct outcome);
    unsigned n = 0;
    outcome_set(done, OUTCOME_DELIVERED, 0, 2, 0, 0, "sent on");
    for (size_t i = 0; i < e->expanded.n; i++) {
        const struct expanded *x = &e->expanded.at[i];
        if (!reached(x)) {
            continue;
        }
        list[n++] = (struct bounce_recipient){.address = x->address,
                                              .outcome = done,
                                              .action = x->list ? BOUNCE_DELIVERED
                                                                : BOUNCE_EXPANDED,
                                              .orcpt = x->orcpt};
    }
    return n;
}

/* In memory: what it names and returns is bounded. */
static struct body *text_make(struct enqueue *e, str header, struct queue_message *report,
                              const struct bounce_recipient *list, unsigned count)
{
    const struct queue_message *m = e->message;
    const struct snapshot *s = e->runtime->snapshot;
    struct body *body = NULL;
    struct buf text;
    struct bounce b = {.message_id = str_from(m->id),
                       .sender = m->sender,
                       .arrived_ms = m->created_ms,
                       .now_ms = report->created_ms,
                       .recipients = list,
                       .count = count,
                       .envid = m->envid};
    report_style(&b, report, s, e->session.source);
    if (header.ptr != NULL) {
        b.header =
            bounce_header(str_sub(header, 0, LIST_REPORT_HEADER_MAX), &b.header_cut);
        b.header_cut = header.len > LIST_REPORT_HEADER_MAX;
    }
    report_words(&b, s, m->source_channel, true, e->worker, e->arena);
    buf_init(&text, BOUNCE_MAX);
    if (bounce_write(&b, &text)) {
        report_headers(report, s, buf_slice(&text));
        body = body_from_memory(text.data, text.len);
    }
    buf_free(&text);
    return body;
}

static void log_lost(struct enqueue *e, const char *why)
{
    struct log_line line;
    log_begin(&line, e->worker->daemon->log, LOG_ERROR);
    log_cstr(&line, "what", "no report of success");
    log_cstr(&line, "id", e->id);
    log_cstr(&line, "reason", why);
    log_end(&line);
}

void enqueue_report_make(struct enqueue *e, str header)
{
    struct queue_message *m = e->message;
    char why[200] = "its text is too long";
    struct bounce_recipient *list =
        arena_array(e->arena, struct bounce_recipient, e->expanded.n);
    unsigned count = e->told_expanded = list_recipients(e, list);
    if (count == 0 || m->sender.len == 0 || e->hold != NULL) {
        return;
    }
    struct queue_message *report =
        queue_message_new(e->worker->daemon->queue, m->created_ms);
    bool good = report_envelope(report, e->runtime->snapshot, m->sender, why, sizeof why);
    report->body = good ? text_make(e, header, report, list, count) : NULL;
    if (report->body == NULL) {
        log_lost(e, why);
        queue_message_free(&report);
        return;
    }
    report_schedule(report, e->worker, true);
    report->report = m->report;
    m->report = e->report = report;
}

void enqueue_report_stored(const struct enqueue *e)
{
    const struct queue_message *report = e->report;
    struct log_line line;
    if (report == NULL) {
        return;
    }
    log_begin(&line, e->worker->daemon->log, LOG_BOUNCE);
    log_cstr(&line, "id", report->id);
    log_cstr(&line, "for", e->id);
    log_cstr(&line, "what", "success");
    log_str(&line, "to", report->entries[0].recipients[0].address);
    log_str(&line, "channel", report->entries[0].channel);
    log_int(&line, "recipients", e->told_expanded);
    log_end(&line);
}
