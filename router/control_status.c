/* control_status: see control_status.h. Many services may not fit: then the rest is left
 * out and said to be so; what is written is always whole. */
#include "router/control_status.h"

#include <stdio.h>
#include <unistd.h>

#include "base/json.h"
#include "router/control_tls.h"

enum { LABEL_WIDTH = 38, SERVICES_ROOM = 4096 /* a service and what follows it */ };

struct status {
    struct buf *text, *fields;
};

static void put_integer(struct status *s, const char *field, const char *label,
                        int64_t value)
{
    buf_printf(s->text, "%-*s %lld\n", LABEL_WIDTH, label, (long long)value);
    buf_printf(s->fields, ",\"%s\":%lld", field, (long long)value);
}

static void put_string(struct buf *fields, const char *field, str value)
{
    buf_printf(fields, ",\"%s\":", field);
    json_put_string(fields, value);
}

static void put_head(struct status *s, const struct control_setup *setup)
{
    const struct endpoints *e = reload_endpoints(setup->reload);
    int64_t now_ms = worker_now_ms(setup->main);
    int64_t up_ms = now_ms - setup->started_ms;
    char up[40], loaded[40];
    clock_age(up_ms, up, sizeof up);
    clock_age(now_ms - reload_loaded_ms(setup->reload), loaded, sizeof loaded);
    buf_printf(s->text, "pointsmand %s, process %ld, up %s, %u worker%s\n",
               setup->version, (long)getpid(), up, setup->main->daemon->worker_count,
               setup->main->daemon->worker_count == 1 ? "" : "s");
    buf_printf(s->text, "%.*s, loaded %s ago\n\n", STR_ARG(e->snapshot->main_file),
               loaded);
    put_string(s->fields, "version", str_from(setup->version));
    buf_printf(s->fields, ",\"pid\":%ld,\"uptime_s\":%lld,\"workers\":%u", (long)getpid(),
               (long long)(up_ms / 1000), setup->main->daemon->worker_count);
    put_string(s->fields, "config", e->snapshot->main_file);
    buf_printf(s->fields, ",\"config_age_s\":%lld",
               (long long)((now_ms - reload_loaded_ms(setup->reload)) / 1000));
}

/* A refused configuration, certificates that could not be taken or that expire: what
 * wants somebody's attention stands above all numbers. */
static void put_trouble(struct status *s, const struct control_setup *setup)
{
    int64_t now_ms = worker_now_ms(setup->main), since_ms;
    size_t before = s->text->len;
    str trouble = reload_trouble(setup->reload, &since_ms);
    if (trouble.len > 0) {
        char age[40];
        clock_age(now_ms - since_ms, age, sizeof age);
        buf_printf(s->text, "new configuration refused %s ago: %.*s\n", age,
                   STR_ARG(trouble));
        put_string(s->fields, "reload_error", trouble);
        buf_printf(s->fields, ",\"reload_error_s\":%lld",
                   (long long)((now_ms - since_ms) / 1000));
    }
    control_tls_status(setup->renewal, now_ms, s->text, s->fields);
    if (s->text->len > before) {
        buf_puts(s->text, "\n");
    }
}

static int64_t counter_sum(const struct daemon *d, size_t offset)
{
    int64_t sum = 0;
    for (unsigned i = 0; i < d->worker_count; i++) {
        const char *at = (const char *)&d->workers[i].counters + offset;
        sum += atomic_load_explicit((const _Atomic int64_t *)at, memory_order_relaxed);
    }
    return sum;
}

static void put_counters(struct status *s, const struct daemon *d)
{
#define COUNTER_LINE(field, name)                                                        \
    put_integer(s, #field, name, counter_sum(d, offsetof(struct worker_counters, field)));
    WORKER_COUNTERS(COUNTER_LINE)
#undef COUNTER_LINE
}

static void put_queue(struct status *s, const struct queue_counts *q, const char *reason,
                      int64_t now_ms)
{
    buf_puts(s->text, "\n");
    if (q == NULL) {
        buf_printf(s->text, "the queue cannot be read: %s\n", reason);
        put_string(s->fields, "queue_error", str_from(reason));
        return;
    }
    put_integer(s, "queue_messages", "messages in the queue", q->messages);
    put_integer(s, "queue_entries", "  deliveries to make", q->entries);
    put_integer(s, "queue_deferred", "  of these waiting for a new attempt", q->deferred);
    put_integer(s, "queue_held", "  of these held", q->held);
    int64_t age_ms = q->oldest_ms > 0 ? now_ms - q->oldest_ms : 0;
    if (q->oldest_ms > 0) {
        char age[40];
        clock_age(age_ms, age, sizeof age);
        buf_printf(s->text, "%-*s %s\n", LABEL_WIDTH, "oldest message", age);
    }
    buf_printf(s->fields, ",\"queue_oldest_s\":%lld", (long long)(age_ms / 1000));
}

static void put_services(struct status *s, const struct endpoints *e)
{
    buf_puts(s->text, "\n");
    buf_puts(s->fields, ",\"services\":[");
    for (unsigned i = 0; i < e->count; i++) {
        const struct endpoint *p = &e->at[i];
        char address[ENDPOINT_TEXT_MAX];
        if (s->text->max - s->text->len < SERVICES_ROOM ||
            s->fields->max - s->fields->len < SERVICES_ROOM) {
            buf_printf(s->text, "and %u more services\n", e->count - i);
            break;
        }
        endpoint_text(p, address);
        buf_printf(s->text, "listening  %.*s %s  channel %.*s  tls %s\n",
                   STR_ARG(p->service->name), address, STR_ARG(p->service->channel->name),
                   endpoint_tls(p));
        buf_puts(s->fields, i > 0 ? ",{\"name\":" : "{\"name\":");
        json_put_string(s->fields, p->service->name);
        put_string(s->fields, "address", str_from(address));
        put_string(s->fields, "channel", p->service->channel->name);
        put_string(s->fields, "tls", str_from(endpoint_tls(p)));
        buf_puts(s->fields, "}");
    }
    buf_puts(s->fields, "]");
}

void control_status(const struct control_setup *setup, const struct queue_counts *counts,
                    const char *reason, struct buf *text, struct buf *fields)
{
    struct status s = {.text = text, .fields = fields};
    put_head(&s, setup);
    put_trouble(&s, setup);
    put_counters(&s, setup->main->daemon);
    put_queue(&s, counts, reason, worker_now_ms(setup->main));
    put_services(&s, reload_endpoints(setup->reload));
}
