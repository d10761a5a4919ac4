/* enqueue_report: the report about recipients that are lists, or aliases for several
 * addresses, whose sender wants to know of success (RFC 3461 5.2.7): what the request is
 * about is done when the message is stored, so the report is stored with it. */
#include "router/bounce.h"
#include "router/enqueue_state.h"
#include "router/report_envelope.h"
#include "router/report_language.h"

static void list_recipients(struct enqueue *e, struct bounce_recipient *list)
{
    struct outcome *done = arena_new_of(e->arena, struct outcome);
    outcome_set(done, OUTCOME_DELIVERED, 0, 2, 0, 0, "sent on");
    for (size_t i = 0; i < e->expanded.n; i++) {
        const struct expanded *x = &e->expanded.at[i];
        list[i] = (struct bounce_recipient){.address = x->address,
                                            .outcome = done,
                                            .action = x->list ? BOUNCE_DELIVERED
                                                              : BOUNCE_EXPANDED,
                                            .orcpt = x->orcpt};
    }
}

/* In memory: what it names and returns is bounded. */
static struct body *text_make(struct enqueue *e, str header, struct queue_message *report)
{
    const struct queue_message *m = e->message;
    const struct snapshot *s = e->runtime->snapshot;
    struct bounce_recipient *list =
        arena_array(e->arena, struct bounce_recipient, e->expanded.n);
    struct body *body = NULL;
    struct buf text;
    list_recipients(e, list);
    struct bounce b = {.local_host = report_local_name(report, s),
                       .report_id = str_from(report->id),
                       .message_id = str_from(m->id),
                       .sender = m->sender,
                       .arrived_ms = m->created_ms,
                       .now_ms = report->created_ms,
                       .recipients = list,
                       .count = (unsigned)e->expanded.n,
                       .envid = m->envid,
                       .from_address = s->options.return_address,
                       .from_name = s->options.return_personal};
    if (header.ptr != NULL) {
        b.header =
            bounce_header(str_sub(header, 0, LIST_REPORT_HEADER_MAX), &b.header_cut);
        b.header_cut = header.len > LIST_REPORT_HEADER_MAX;
    }
    struct report_language q = {.snapshot = s,
                                .source_channel = m->source_channel,
                                .sender = m->sender,
                                .header = b.header,
                                .recipients = list,
                                .count = b.count};
    const char *why; /* what cannot be used is told with reports of deliveries */
    b.text = report_language_text(&q, e->arena, &why);
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
    if (e->expanded.n == 0 || m->sender.len == 0) {
        return;
    }
    struct queue_message *report =
        queue_message_new(e->worker->daemon->queue, m->created_ms);
    bool good = report_envelope(report, e->runtime->snapshot, m->sender, why, sizeof why);
    report->body = good ? text_make(e, header, report) : NULL;
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
    log_int(&line, "recipients", (int64_t)e->expanded.n);
    log_end(&line);
}
