/* Fuzzes access tables and what peers say together. The input is a mapping file; behind
 * the line "!== peer" stand, one a line: flags (letters of A T E L, V: a verified
 * certificate, C: of which the names are cut), the name in EHLO, also the subject,
 * the sender, the recipient. Every table is asked, and what must hold of probes and
 * verdicts is checked: a peer shifts no field, a refusal has codes that fit together, a
 * fault has no effects, and what goes into replies, headers and connections is what it
 * should be. */
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "tables/pattern.h"
#include "tables/recipient.h"
#include "test/fuzz/load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char config[] =
    "far.test $U%$D@tcp-far\n. $U%$H@tcp-daemon\n\nl\nhere.test\n\n"
    "tcp_local smtp mx\ntcp-daemon\n\ntcp_far smtp\ntcp-far\n"
    "!== mappings\n";

static unsigned bars(str text)
{
    unsigned n = 0;
    for (size_t i = 0; i < text.len; i++) {
        check(text.ptr[i] >= ' ' && text.ptr[i] <= '~');
        n += text.ptr[i] == '|';
    }
    return n;
}

static void check_codes(const struct access_verdict *v)
{
    bool fault = v->answer == ACCESS_FAULT;
    check(v->status[0] == 4 || v->status[0] == 5);
    check(v->status[0] == v->code / 100);
    check(v->status[1] <= 255 && v->status[2] <= 255);
    check(!fault || v->status[0] == 4);
    check(fault == (v->fault.len > 0));
    check(v->text.len > 0 || v->table == ACCESS_IP || v->table == ACCESS_PORT);
}

static void check_effects(const struct access_verdict *v)
{
    struct address again;
    str literal;
    struct arena *a = arena_new();
    bool fault = v->answer == ACCESS_FAULT;
    bool any = v->hold || v->discard || v->discard_all || v->skip || v->new_sender ||
               v->header.len > 0 || v->replace_ip.len > 0 || v->delay_cs != 0 ||
               v->channel != NULL || v->stays;
    check(!fault || (!any && !v->decides));
    check(v->channel == NULL || v->channel->type == CHANNEL_TCP);
    check(v->answer != ACCESS_REJECT || (v->channel == NULL && !v->stays));
    check(v->answer != ACCESS_REJECT || (!v->hold && !v->discard && !v->discard_all));
    check(v->delay_cs >= -ACCESS_DELAY_MAX_CS && v->delay_cs <= ACCESS_DELAY_MAX_CS);
    check(v->header.len <= ACCESS_HEADER_MAX);
    for (size_t i = 0; i < v->header.len; i++) {
        check(v->header.ptr[i] >= ' ' && v->header.ptr[i] <= '~');
    }
    check(v->replace_ip.len == 0 || literal_from_ip(a, v->replace_ip, &literal));
    if (v->new_sender) {
        str printed = address_print(a, &v->sender);
        check(address_parse(printed, &again) == NULL && address_eq(&again, &v->sender));
    }
    arena_free(&a);
}

static void check_verdict(const struct access_verdict *v)
{
    static const unsigned count[ACCESS_TABLES] = {
        [ACCESS_PORT] = 4, [ACCESS_FROM] = 9,       [ACCESS_ORIG_SEND] = 3,
        [ACCESS_SEND] = 3, [ACCESS_ORIG_MAIL] = 10, [ACCESS_MAIL] = 10,
        [ACCESS_IP] = 4,   [ACCESS_TLS] = 9,        [ACCESS_TLS_PEER] = 8,
    };
    if (!v->asked) {
        check(v->answer == ACCESS_SILENT && !v->matched);
        return;
    }
    check(bars(v->probe) == count[v->table]);
    check(v->matched || v->answer == ACCESS_SILENT || v->answer == ACCESS_FAULT);
    check(v->answer == ACCESS_SILENT || v->entry.source > 0);
    if (v->answer == ACCESS_REJECT || v->answer == ACCESS_FAULT) {
        check_codes(v);
    }
    check_effects(v);
}

static void ask_all(struct access_question *q, struct arena *a)
{
    struct access_verdict v;
    for (q->table = 0; q->table < ACCESS_TABLES; q->table++) {
        access_ask(q, a, &v);
        check_verdict(&v);
    }
}

/* All of them in their order: nobody gets through whom the relay rule would refuse,
 * unless a table said something. */
static void resolve(const struct recipient_request *q, struct arena *a)
{
    struct recipient_answer r;
    enum recipient_verdict v = recipient_resolve(q, a, &r);
    bool decides = false;
    for (const struct recipient_access *x = r.access; x != NULL; x = x->next) {
        check_verdict(&x->verdict);
        decides |= x->verdict.decides;
    }
    check(r.decided ? decides : true);
    check(v != RECIPIENT_TAKEN || r.leaf_count > 0);
    check(v != RECIPIENT_TAKEN || decides || r.route.channel->final);
    check(v == RECIPIENT_TAKEN || r.reply.code / 100 == r.reply.status[0]);
}

static void run(const struct snapshot *s, str words, struct arena *a)
{
    str flags = STR(""), helo = STR(""), from = STR(""), to = STR("");
    struct address sender = {0}, recipient, seen;
    str_split(&words, '\n', &flags);
    str_split(&words, '\n', &helo);
    str_split(&words, '\n', &from);
    str_split(&words, '\n', &to);
    struct access_peer peer = {.server_ip = STR("192.0.2.1"),
                               .server_port = 25,
                               .client_ip = STR("2001:db8::7"),
                               .client_port = 4711,
                               .helo = str_sub(helo, 0, 255),
                               .sasl = str_find(flags, 'A') >= 0,
                               .tls = str_find(flags, 'T') >= 0,
                               .esmtp = str_find(flags, 'E') >= 0,
                               .lmtp = str_find(flags, 'L') >= 0};
    const struct channel *source = snapshot_channel(s, STR("tcp_local"));
    if (address_parse(from, &sender) != NULL || address_parse(to, &recipient) != NULL ||
        to.len == 0) {
        return;
    }
    access_sender(s, source, &sender, a, &seen);
    struct access_tls tls = {.group = STR("X25519"),
                             .sni = str_sub(from, 0, 255),
                             .verified = str_find(flags, 'V') >= 0,
                             .subject = str_sub(helo, 0, 1023),
                             .issuer = str_sub(to, 0, 1023),
                             .spki = STR("sha256:ab"),
                             .names_cut = str_find(flags, 'C') >= 0};
    struct access_question q = {.snapshot = s,
                                .tls = &tls,
                                .peer = &peer,
                                .source = source,
                                .sender = &seen,
                                .destination = source,
                                .to = &recipient,
                                .given = &recipient,
                                .ip = STR("192.0.2.7"),
                                .host = str_sub(helo, 0, 255),
                                .address_count = 2,
                                .address_index = 1};
    ask_all(&q, a);
    struct recipient_request request = {
        .snapshot = s, .source = source, .to = recipient, .sender = seen, .peer = &peer};
    resolve(&request, a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str words, text = fuzz_cut(data, size, "\n!== peer\n", &words);
    struct arena *a = arena_new();
    struct snapshot *s = NULL;
    if (fuzz_is_one_file(text)) {
        s = fuzz_load(arena_printf(a, "%s%.*s", config, STR_ARG(text)), a);
    }
    if (s != NULL) {
        run(s, words, a);
        snapshot_unref(&s);
    }
    arena_free(&a);
    return 0;
}
