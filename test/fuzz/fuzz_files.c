/* fuzz_files: files beside the main one, and what is made with them. The first octet says
 * which; the rest is the file. Of a configuration that loads, a dump must load to one
 * that dumps the same. p  the option file of a pipe; behind the line "!== mail" stand
 * recipient and sender, each a line: what programs are called with l  the option file of
 * a channel that speaks LMTP r  return_*.txt, each behind its line "!== NAME"; behind
 * "!== mail" the address and the reply of a recipient, and the header: a report in these
 * words t  words of a channel, such as backoff and notices: when things are due */
#include "base/address.h"
#include "base/check.h"
#include "channels/pipe_command.h"
#include "router/bounce.h"
#include "tables/dump.h"
#include "tables/report_texts.h"
#include "test/fuzz/load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DUMP_MAX = 1 << 22, REPORT_MAX = 8 << 20, LINE_MAX_OCTETS = 998 };

static const char head[] = "pipe.test $U%$D@pipe-daemon\nstore.test $U%$D@tcp-store\n"
                           ". $U%$H@tcp-daemon\n\nl\nhere.test\n\n";
static const char channels[] = "tcp_local smtp\ntcp-daemon\n\npipe\npipe-daemon\n\n"
                               "tcp_store lmtp port 24\ntcp-store\n";

static void check_dump(const struct snapshot *s, struct arena *a)
{
    struct buf first, second;
    buf_init(&first, DUMP_MAX);
    buf_init(&second, DUMP_MAX);
    dump_snapshot(s, &first);
    if (first.len < DUMP_MAX / 2) {
        struct snapshot *copy = fuzz_load(buf_slice(&first), a);
        check(copy != NULL);
        dump_snapshot(copy, &second);
        check(str_eq(buf_slice(&first), buf_slice(&second)));
        snapshot_unref(&copy);
    }
    buf_free(&first);
    buf_free(&second);
}

/* ---- programs ---------------------------------------------------------------------- */

static bool has_only(const char *word, const char *more)
{
    for (; *word != '\0'; word++) {
        if (!ascii_is_alnum(*word) && strchr(more, *word) == NULL) {
            return false;
        }
    }
    return true;
}

/* Words are as many as were written, none becomes an option, and what an address brings
 * into the environment is harmless. */
static void check_call(const struct pipe_command *p, const struct pipe_call *call)
{
    for (unsigned i = 0; i < p->count; i++) {
        check(call->argv[i] != NULL);
        check(call->argv[i][0] != '-' || p->words[i].ptr[0] == '-');
    }
    check(call->argv[p->count] == NULL && call->argv[0][0] == '/');
    for (char **e = call->envp; *e != NULL; e++) {
        const char *value = strchr(*e, '=');
        check(value != NULL && value[1] != '-' && has_only(value + 1, "+-._=@/:"));
    }
}

static void call_programs(const struct snapshot *s, str to, str sender, struct arena *a)
{
    const struct channel *pipe = snapshot_channel(s, STR("pipe"));
    struct address address;
    struct outcome out;
    str user;
    if (address_parse(to, &address) != NULL || pipe->pipe.commands == NULL ||
        !pipe_recipient_ok(&address, a, &user, &out)) {
        return;
    }
    pipe_options_find(&pipe->pipe, user, address.domain, a);
    for (size_t i = 0; i < map_count(pipe->pipe.commands); i++) {
        const struct pipe_command *p = map_at(pipe->pipe.commands, i, &to);
        struct pipe_envelope e = {.user = user,
                                  .domain = address.domain,
                                  .sender = sender,
                                  .queue_id = STR("7F3K2")};
        struct pipe_call call;
        if (pipe_call_make(p, &e, a, &call, &out)) {
            check_call(p, &call);
        } else {
            check(sender.len > PIPE_SENDER_MAX && out.class == OUTCOME_FAILED);
        }
    }
}

static void fuzz_pipe(const uint8_t *data, size_t size, struct arena *a)
{
    str mail, to, sender = STR(""), text = fuzz_cut(data, size, "\n!== mail\n", &mail);
    if (!fuzz_is_one_file(text)) {
        return;
    }
    struct snapshot *s = fuzz_load(
        arena_printf(a, "%s%s!== pipe_option\n%.*s", head, channels, STR_ARG(text)), a);
    if (s != NULL) {
        check_dump(s, a);
        str_split(&mail, '\n', &to);
        str_split(&mail, '\n', &sender);
        call_programs(s, to, sender, a);
        snapshot_unref(&s);
    }
}

static void fuzz_lmtp(str text, struct arena *a)
{
    if (!fuzz_is_one_file(text)) {
        return;
    }
    struct snapshot *s = fuzz_load(
        arena_printf(a, "%s%s!== tcp_store_option\n%.*s", head, channels, STR_ARG(text)),
        a);
    if (s != NULL) {
        check_dump(s, a);
        snapshot_unref(&s);
    }
}

/* ---- reports ----------------------------------------------------------------------- */

/* Lines end in CRLF, are not too long, and hold nothing that mail cannot have. */
static void check_mail(str text)
{
    str line;
    check(str_iends(text, STR("\r\n")));
    while (text.len > 0 && str_split(&text, '\n', &line)) {
        check(line.len > 0 && line.ptr[line.len - 1] == '\r');
        check(line.len - 1 <= LINE_MAX_OCTETS);
        for (size_t i = 0; i + 1 < line.len; i++) {
            unsigned char c = (unsigned char)line.ptr[i];
            check((c >= ' ' || c == '\t') && c < 0x7f);
        }
    }
}

static unsigned lines_that_begin(str text, str begin)
{
    unsigned n = 0;
    str line;
    while (str_split(&text, '\n', &line)) {
        n += str_starts(line, begin);
    }
    return n;
}

/* What is in a report cannot make parts or fields of its own. */
static void check_report(str report, unsigned parts)
{
    const char *end = memmem(report.ptr, report.len, "\r\n\r\n", 4);
    const char *name = memmem(report.ptr, report.len, "boundary=\"", 10);
    check_mail(report);
    check(end != NULL && name != NULL && name < end);
    str fields = str_n(report.ptr, (size_t)(end - report.ptr) + 2);
    check(lines_that_begin(fields, STR("")) == 10);
    str boundary = str_n(name + 10, (size_t)(end - name - 11));
    char mark[128] = "--";
    memcpy(mark + 2, boundary.ptr, boundary.len < 100 ? boundary.len : 100);
    check(lines_that_begin(report, str_from(mark)) == parts + 1);
}

static void write_report(const struct snapshot *s, enum report_text_kind kind, str words)
{
    static const enum bounce_action actions[REPORT_TEXT_KINDS] = {
        BOUNCE_FAILED,  BOUNCE_FAILED,    BOUNCE_FAILED,
        BOUNCE_DELAYED, BOUNCE_DELIVERED, BOUNCE_RELAYED};
    struct bounce_recipient r = {.remote = STR("mx.far.test"), .action = actions[kind]};
    struct outcome o;
    struct buf report;
    const char *why;
    str reply = STR("");
    str_split(&words, '\n', &r.address);
    str_split(&words, '\n', &reply);
    outcome_init(&o);
    outcome_set(&o, OUTCOME_FAILED, 550, 5, 1, 1, "%.*s", STR_ARG(reply));
    r.outcome = &o;
    struct bounce b = {.local_host = STR("here.test"),
                       .report_id = STR("7F3K9"),
                       .message_id = STR("7F3K2"),
                       .sender = STR("sue@far.test"),
                       .arrived_ms = 1795220000000,
                       .now_ms = 1795220530000,
                       .recipients = &r,
                       .count = 1,
                       .text = report_text_find(s, STR(""), kind, &why)};
    b.header = bounce_header(words, &b.header_cut);
    buf_init(&report, REPORT_MAX);
    if (bounce_write(&b, &report)) {
        check_report(buf_slice(&report), b.header.ptr != NULL ? 3 : 2);
    }
    buf_free(&report);
}

static void fuzz_report(const uint8_t *data, size_t size, struct arena *a)
{
    str mail, text = fuzz_cut(data, size, "\n!== mail\n", &mail);
    struct snapshot *s =
        fuzz_load(arena_printf(a, "%s%s%.*s", head, channels, STR_ARG(text)), a);
    if (s != NULL) {
        for (unsigned kind = 0; kind < REPORT_TEXT_KINDS; kind++) {
            write_report(s, (enum report_text_kind)kind, mail);
        }
        snapshot_unref(&s);
    }
}

/* ---- times ------------------------------------------------------------------------- */

static void check_times(const struct retry_policy *p)
{
    const int64_t created = 1795220000000, give_up = retry_give_up_ms(p);
    unsigned sent = 0, passed;
    check(p->backoff_count > 0 && p->notice_count > 0 && give_up > 0);
    for (unsigned i = 1; i <= 10; i++) {
        int64_t next = retry_next_try_ms(p, i, created, i * 429496729u);
        check(next >= created);
    }
    for (int64_t age = 0; age <= give_up; age += give_up / 20 + 1) {
        enum retry_notice due =
            retry_notice_due(p, created, created + age, sent, &passed);
        check(due != RETRY_NOTICE_RETURN || age >= give_up);
        if (due == RETRY_NOTICE_WARN) {
            check(passed > sent && passed < p->notice_count);
            sent = passed;
        }
    }
    check(retry_notice_due(p, created, created + give_up, sent, &passed) ==
          RETRY_NOTICE_RETURN);
}

static void fuzz_times(str words, struct arena *a)
{
    str line;
    if (!str_split(&words, '\n', &line) || !fuzz_is_one_file(line)) {
        return;
    }
    struct snapshot *s = fuzz_load(
        arena_printf(a, "%stcp_local smtp %.*s\ntcp-daemon\n", head, STR_ARG(line)), a);
    if (s != NULL) {
        check_dump(s, a);
        for (unsigned i = 0; i < s->channel_count; i++) {
            for (unsigned class = 0; class < RETRY_CLASSES; class ++) {
                check_times(&s->channels[i]->retry[class]);
            }
        }
        snapshot_unref(&s);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new();
    str rest = size > 0 ? str_n((const char *)data + 1, size - 1) : STR("");
    switch (size > 0 ? data[0] : 0) {
    case 'p':
        fuzz_pipe(data + 1, size - 1, a);
        break;
    case 'l':
        fuzz_lmtp(rest, a);
        break;
    case 'r':
        fuzz_report(data + 1, size - 1, a);
        break;
    case 't':
        fuzz_times(rest, a);
        break;
    default:
        break;
    }
    arena_free(&a);
    return 0;
}
