/* fuzz_words: small languages that clients, operators and senders write in. The first
 * octet says which, the rest is the text.
 *   c  an order over the control socket, with its action in the second octet
 *   i  an id of a message
 *   q  a pattern of the queue tool, and in the next line the text it is to match
 *   d  the parameters of MAIL and RCPT about reports
 *   h  a header, of which the fields are read that say when and how to deliver
 *   t  a time: an ISO 8601 period, a duration, a date */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/clock.h"
#include "channels/smtp_syntax.h"
#include "router/control_queue.h"
#include "router/dsn.h"
#include "router/report_language.h"
#include "router/urgency.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX = 1 << 16, PATTERN_MAX = 12, MATCHED_MAX = 16 };

/* ---- orders ------------------------------------------------------------------------ */

static void check_same_text(str a, str b)
{
    check((a.ptr == NULL) == (b.ptr == NULL) && str_eq(a, b));
}

/* What was read and is written again reads as the same. */
static void check_order(const struct queue_order *o, struct queue_cursor at,
                        struct arena *a)
{
    struct queue_order again = {.action = o->action};
    struct queue_cursor at_again;
    struct json_object object;
    const char *reason;
    struct buf line;
    buf_init(&line, TEXT_MAX * 8);
    check(buf_puts(&line, "{\"v\":1") && control_order_write(&line, o, at) &&
          buf_puts(&line, "}"));
    check(json_parse(a, buf_slice(&line), &object, &reason));
    check(control_order_read(&object, &again, &at_again) == NULL);
    const struct queue_filter *f = &o->filter, *g = &again.filter;
    check(f->number == g->number && f->either == g->either && f->held == g->held);
    check(f->created_before_ms == g->created_before_ms && o->all == again.all);
    check(o->dry_run == again.dry_run);
    check_same_text(f->channel, g->channel);
    check_same_text(f->host, g->host);
    check_same_text(f->from, g->from);
    check_same_text(f->to, g->to);
    check_same_text(o->channel, again.channel);
    check_same_text(o->host, again.host);
    check(at.position == -1 ||
          (at.number == at_again.number && at.position == at_again.position));
    buf_free(&line);
}

static void match_entries(const struct queue_filter *f)
{
    const str to[] = {STR("bob@far.test"), STR("\"o b\"@here.test")};
    const struct queue_filter_entry entries[] = {
        {.number = 7, .created_ms = 1, .channel = STR("tcp_local"), .sender = STR("")},
        {.number = f->number,
         .held = true,
         .created_ms = f->created_before_ms - 1,
         .channel = f->channel,
         .host = f->host,
         .sender = STR("sue@far.test"),
         .recipients = to,
         .recipient_count = 2}};
    struct queue_filter named = *f;
    queue_filter_matches(f, &entries[0]);
    queue_filter_matches(f, &entries[1]);
    named.from = named.to = STR_NONE;
    check(queue_filter_matches(&named, &entries[1]));
}

static void fuzz_order(str text, struct arena *a)
{
    struct queue_order order = {.action = QUEUE_HOLD};
    struct queue_cursor at;
    struct json_object object;
    const char *reason;
    if (text.len > 0) {
        unsigned action = (unsigned char)text.ptr[0] % QUEUE_ACTIONS;
        order.action = (enum queue_action)action;
    }
    if (text.len < TEXT_MAX && json_parse(a, str_from_pos(text, 1), &object, &reason) &&
        control_order_read(&object, &order, &at) == NULL) {
        check_order(&order, at, a);
        match_entries(&order.filter);
    }
}

/* ---- the queue tool ---------------------------------------------------------------- */

static void fuzz_id(str text)
{
    uint64_t number, again;
    char printed[QUEUE_ID_MAX];
    if (queue_id_parse(text, &number)) {
        queue_id_print(number, printed);
        check(queue_id_parse(str_from(printed), &again) && again == number);
        check(strlen(printed) <= text.len);
    }
}

/* The same by trying everything. */
static bool matches(str pattern, str text)
{
    if (pattern.len == 0) {
        return text.len == 0;
    }
    if (pattern.ptr[0] == '*') {
        return matches(str_from_pos(pattern, 1), text) ||
               (text.len > 0 && matches(pattern, str_from_pos(text, 1)));
    }
    return text.len > 0 &&
           (pattern.ptr[0] == '?' ||
            ascii_lower(pattern.ptr[0]) == ascii_lower(text.ptr[0])) &&
           matches(str_from_pos(pattern, 1), str_from_pos(text, 1));
}

static void fuzz_pattern(str text)
{
    str pattern = STR("");
    str_split(&text, '\n', &pattern);
    bool found = queue_pattern(pattern, text);
    if (pattern.len <= PATTERN_MAX && text.len <= MATCHED_MAX) {
        check(found == matches(pattern, text));
    }
}

/* ---- what is asked for about reports ----------------------------------------------- */

static void check_envid(str value, struct arena *a)
{
    struct buf out;
    buf_init(&out, DSN_ENVID_MAX);
    if (dsn_envid_flaw(value) == NULL) {
        check(dsn_xtext_decode(value, &out) && out.len > 0);
        str again = dsn_xtext_encode(a, buf_slice(&out));
        check(dsn_envid_flaw(again) == NULL && again.len <= value.len);
    }
    buf_free(&out);
}

static void check_orcpt(str value)
{
    struct buf out;
    buf_init(&out, DSN_ORCPT_MAX);
    if (dsn_orcpt_flaw(value) == NULL) {
        str type, rest = value;
        check(value.len <= DSN_ORCPT_MAX && str_split(&rest, ';', &type));
        bool utf8 = str_ieq(type, STR("utf-8"));
        check(utf8 ? dsn_utf8_xtext_decode(rest, &out) : dsn_xtext_decode(rest, &out));
        for (str left = buf_slice(&out); left.len > 0;) {
            size_t n = str_utf8(left, NULL);
            check(n > 0 && (unsigned char)left.ptr[0] >= ' ');
            left = str_from_pos(left, n);
        }
    }
    buf_free(&out);
}

static void check_notify(str value)
{
    unsigned set, again;
    enum queue_ret ret;
    if (dsn_notify_parse(value, &set) == NULL) {
        check(dsn_notify_parse(str_from(dsn_notify_print(set)), &again) == NULL);
        check(again == set);
        check(dsn_notify_stored(set, false) == set);
        check((dsn_notify_stored(set | QUEUE_NOTIFY_EXPANDED, false) &
               QUEUE_NOTIFY_SUCCESS) == 0);
    }
    if (dsn_ret_parse(value, &ret) == NULL) {
        check(ret != QUEUE_RET_NONE);
    }
}

static void fuzz_parameters(str rest, struct arena *a)
{
    struct smtp_param p;
    str orcpt = dsn_orcpt_make(a, rest);
    check(orcpt.ptr == NULL || rest.len == 0 || dsn_orcpt_flaw(orcpt) == NULL);
    while (smtp_param_take(&rest, &p) == SMTP_PARAM_GOOD) {
        check(p.keyword.len > 0);
        check_envid(p.value, a);
        check_orcpt(p.value);
        check_notify(p.value);
    }
}

/* ---- headers ----------------------------------------------------------------------- */

static void fuzz_header_fields(str header, struct arena *a)
{
    struct snapshot s = {0};
    struct outcome o;
    outcome_init(&o);
    struct bounce_recipient r = {.address = STR("bob@far.test"), .outcome = &o};
    struct report_language q = {.snapshot = &s,
                                .source_channel = STR("tcp_local"),
                                .sender = STR("sue@far.test"),
                                .header = header,
                                .recipients = &r,
                                .count = 1};
    check(urgency_of_header(header) <= URGENCY_URGENT);
    deferred_delivery_ms(header);
    str probe = report_language_probe(&q, a);
    unsigned bars = 0;
    for (size_t i = 0; i < probe.len; i++) {
        check(probe.ptr[i] >= ' ' && probe.ptr[i] <= '~');
        bars += probe.ptr[i] == '|';
    }
    check(bars == 4);
}

/* ---- times ------------------------------------------------------------------------- */

static void fuzz_time(str text)
{
    const int64_t minute = 60000, max = INT64_C(1) << 45;
    int64_t ms, again;
    char printed[40];
    if (clock_period_ms(text, &ms)) {
        check(ms >= 0);
    }
    if (clock_duration_ms(text, minute, max, &ms)) {
        check(ms >= 0 && ms <= max);
        clock_duration_print(ms, printed, sizeof printed);
        check(clock_duration_ms(str_from(printed), minute, max, &again) && again == ms);
    }
    if (clock_rfc5322_read(text, &ms)) {
        clock_rfc5322(ms, printed, sizeof printed);
        check(clock_rfc5322_read(str_from(printed), &again));
        check(llabs(again - ms) < 1000);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new();
    str rest = size > 0 ? str_n((const char *)data + 1, size - 1) : STR("");
    switch (size > 0 ? data[0] : 0) {
    case 'c':
        fuzz_order(rest, a);
        break;
    case 'i':
        fuzz_id(rest);
        break;
    case 'q':
        fuzz_pattern(rest);
        break;
    case 'd':
        fuzz_parameters(rest, a);
        break;
    case 'h':
        fuzz_header_fields(rest, a);
        break;
    case 't':
        fuzz_time(rest);
        break;
    default:
        break;
    }
    arena_free(&a);
    return 0;
}
