/* Golden access tables: test/access/<name>.map is a mapping file (behind it, other files
 * may follow, each with "!== NAME" in front, as the memory loader reads them); the
 * questions of <name>.probes are asked, and the verdicts compared with what stands there.
 * A question is the name of a table and words of the form NAME=VALUE or NAME=<VALUE>:
 *   server, client   IP/PORT of both ends; helo, tls (VERSION:CIPHER), auth
 *   flags            letters of A T E L D F S
 *   src, dst         channels; from, to, given: addresses
 *   ip, host, at     (INDEX/COUNT) for IP_ACCESS
 * The verdict follows on a line of its own. Lines that begin with '#' and empty lines are
 * kept. UPDATE_GOLDEN=1 writes the verdicts into the files instead. Speaks TAP. */
#include <string.h>

#include "tables/access.h"
#include "tables/mapping.h"
#include "test/golden.h"

static const char config[] =
    ".friends.test $U%friends.test@friends-daemon\n. $U%$H@tcp-daemon\n\n"
    "l\nhere.test\n\ntcp_local smtp mx\ntcp-daemon\n\ntcp_inside smtp\ninside-daemon\n\n"
    "tcp_friends smtp\nfriends-daemon\nfriends.test\n!== mappings\n";

struct asking {
    const struct snapshot *s;
    struct arena *a;
    struct access_question q;
    struct access_peer peer;
    struct address from, to, given;
    const char *bad;
};

/* Takes NAME=VALUE off the line. */
static bool take_word(str *line, str *name, str *value)
{
    *line = str_trim(*line);
    if (!str_split(line, '=', name)) {
        return false;
    }
    if (line->len > 0 && line->ptr[0] == '<') {
        const char *end = memmem(line->ptr, line->len, "> ", 2);
        size_t n = end != NULL ? (size_t)(end - line->ptr) : line->len - 1;
        *value = str_sub(*line, 1, n - 1);
        *line = str_from_pos(*line, n + 1);
        return true;
    }
    return str_split(line, ' ', value);
}

static void read_end(struct asking *x, str value, str *ip, unsigned *port)
{
    uint64_t number = 0;
    str_split(&value, '/', ip);
    if (!str_u64(value, 65535, &number)) {
        x->bad = "bad port";
    }
    *port = (unsigned)number;
}

static void read_flags(struct asking *x, str value)
{
    struct access_peer *p = &x->peer;
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];
        p->sasl |= c == 'A';
        p->tls |= c == 'T';
        p->esmtp |= c == 'E';
        p->lmtp |= c == 'L';
        p->notify_delay |= c == 'D';
        p->notify_failure |= c == 'F';
        p->notify_success |= c == 'S';
    }
}

static const struct address *read_address(struct asking *x, str value,
                                          struct address *out)
{
    const char *bad = address_parse(value, out);
    x->bad = bad != NULL ? bad : x->bad;
    return out;
}

static void read_at(struct asking *x, str value)
{
    str index;
    uint64_t i = 0, count = 0;
    str_split(&value, '/', &index);
    if (!str_u64(index, 99, &i) || !str_u64(value, 99, &count)) {
        x->bad = "bad index";
    }
    x->q.address_index = (unsigned)i;
    x->q.address_count = (unsigned)count;
}

static void read_word(struct asking *x, str name, str value)
{
    str rest = value;
    if (str_eq(name, STR("server"))) {
        read_end(x, value, &x->peer.server_ip, &x->peer.server_port);
    } else if (str_eq(name, STR("client"))) {
        read_end(x, value, &x->peer.client_ip, &x->peer.client_port);
    } else if (str_eq(name, STR("helo"))) {
        x->peer.helo = value;
    } else if (str_eq(name, STR("auth"))) {
        x->peer.auth = value;
    } else if (str_eq(name, STR("tls"))) {
        str_split(&rest, ':', &x->peer.tls_version);
        x->peer.tls_cipher = rest;
        x->peer.tls = true;
    } else if (str_eq(name, STR("flags"))) {
        read_flags(x, value);
    } else if (str_eq(name, STR("src"))) {
        x->q.source = snapshot_channel(x->s, value);
    } else if (str_eq(name, STR("dst"))) {
        x->q.destination = snapshot_channel(x->s, value);
    } else if (str_eq(name, STR("from"))) {
        struct address given;
        read_address(x, value, &given);
        access_sender(x->s, x->q.source, &given, x->a, &x->from);
        x->q.sender = &x->from;
    } else if (str_eq(name, STR("to"))) {
        x->q.to = read_address(x, value, &x->to);
    } else if (str_eq(name, STR("given"))) {
        x->q.given = read_address(x, value, &x->given);
    } else if (str_eq(name, STR("ip"))) {
        x->q.ip = value;
    } else if (str_eq(name, STR("host"))) {
        x->q.host = value;
    } else if (str_eq(name, STR("at"))) {
        read_at(x, value);
    } else {
        x->bad = "bad word";
    }
}

static bool read_question(struct asking *x, str line)
{
    str table, name, value;
    str_word(&line, &table);
    while (x->q.table < ACCESS_TABLES &&
           !str_eq(table, str_from(access_table_name(x->q.table)))) {
        x->q.table++;
    }
    while (str_trim(line).len > 0 && take_word(&line, &name, &value)) {
        read_word(x, name, value);
    }
    bool message = x->q.table >= ACCESS_FROM && x->q.table <= ACCESS_MAIL;
    bool tls = x->q.table == ACCESS_TLS || x->q.table == ACCESS_TLS_PEER;
    if (x->q.table == ACCESS_TABLES || tls ||
        /* test/unit/test_tls_access.c */ (x->q.table != ACCESS_PORT && !x->q.source) ||
        (message && !x->q.sender) ||
        (message && x->q.table != ACCESS_FROM && (!x->q.destination || !x->q.to))) {
        x->bad = "something is missing";
    }
    return x->bad == NULL;
}

static void put_text(struct buf *out, const char *name, str text)
{
    if (text.len > 0) {
        buf_printf(out, "; %s \"%.*s\"", name, STR_ARG(text));
    }
}

static void put_effects(struct arena *a, const struct access_verdict *v, struct buf *out)
{
    const struct access_limits *l = &v->limits;
    buf_puts(out, v->decides ? "; decides" : "");
    buf_puts(out, v->hold ? "; hold" : "");
    buf_puts(out, v->discard ? "; discard" : "");
    buf_puts(out, v->discard_all ? "; discard all" : "");
    buf_puts(out, v->skip ? "; skip" : "");
    if (v->delay_cs != 0) {
        buf_printf(out, "; delay %d", v->delay_cs);
    }
    if (v->new_sender) {
        buf_printf(out, "; sender <%.*s>", STR_ARG(address_print(a, &v->sender)));
    }
    if (l->blocks != 0 || l->recipients != 0 || l->cutoff != 0) {
        buf_printf(out, "; limits %u,%u,%u", (unsigned)l->blocks, (unsigned)l->recipients,
                   (unsigned)l->cutoff);
    }
    put_text(out, "header", v->header);
    put_text(out, "replace", v->replace_ip);
    put_text(out, "log", v->log_match);
    put_text(out, "log rejected", v->log_reject);
    put_text(out, "tag", v->log_tag);
    put_text(out, "note", v->connection_note);
}

static void put_verdict(struct arena *a, const struct snapshot *s,
                        const struct access_verdict *v, struct buf *out)
{
    static const char *const answers[] = {"silent", "accept", "reject", "fault"};
    if (!v->asked) {
        buf_puts(out, "no such table");
        return;
    }
    buf_printf(out, "\"%.*s\" ", STR_ARG(v->probe));
    if (v->entry.source != 0) {
        buf_printf(out, "by %u: ", span_place(s->sources, v->entry).line);
    } else {
        buf_puts(out, "no match: ");
    }
    buf_puts(out, answers[v->answer]);
    if (v->answer == ACCESS_REJECT || v->answer == ACCESS_FAULT) {
        buf_printf(out, " %u %u.%u.%u", v->code, v->status[0], v->status[1],
                   v->status[2]);
        for (size_t i = 0; i < v->text.len; i++) {
            buf_puts(out, i == 0 ? " " : "");
            buf_putc(out, v->text.ptr[i] == '\n' ? '~' : v->text.ptr[i]);
        }
    }
    put_effects(a, v, out);
    put_text(out, "fault", v->fault);
}

static void answer(struct arena *a, const struct snapshot *s, str line, struct buf *out)
{
    struct asking x = {.s = s, .a = a};
    struct access_verdict v;
    x.q.snapshot = s;
    x.q.peer = &x.peer;
    x.q.given = &x.given;
    if (!read_question(&x, line)) {
        buf_printf(out, "  %s\n", x.bad);
        return;
    }
    access_ask(&x.q, a, &v);
    buf_puts(out, "  ");
    put_verdict(a, s, &v, out);
    buf_putc(out, '\n');
}

struct asked {
    struct arena *a;
    const struct snapshot *s;
};

/* The questions with their verdicts. */
static bool answer_all(str questions, struct buf *out, void *arg)
{
    struct asked *x = arg;
    str line;
    while (str_split(&questions, '\n', &line)) {
        if (line.len == 0 && questions.ptr == NULL) {
            break;
        }
        if (line.len > 0 && line.ptr[0] == ' ') {
            continue;
        }
        buf_printf(out, "%.*s\n", STR_ARG(line));
        if (line.len > 0 && line.ptr[0] != '#') {
            answer(x->a, x->s, line, out);
        }
    }
    return true;
}

static bool run_case(str path)
{
    struct arena *a = arena_new();
    str text = STR(""), reason;
    loader_files.read(&loader_files, a, path, &text, &reason);
    struct snapshot *s =
        golden_load(a, arena_printf(a, "%s%.*s", config, STR_ARG(text)), true);
    struct asked x = {a, s};
    bool good =
        s != NULL && golden_compare(a, golden_beside(a, path, "probes"), answer_all, &x);
    snapshot_unref(&s);
    arena_free(&a);
    return good;
}

int main(void)
{
    static const char *const patterns[] = {"test/access/*.map", NULL};
    return golden_main(patterns, run_case);
}
