/* access: asking a table, and reading its answer: which flags are set, and the arguments
 * they take from the text in the order of their rows (access_flags.c). */
#include "tables/access.h"

#include "base/check.h"
#include "tables/access_flags.h"
#include "tables/mapping_table.h"
#include "tables/pattern.h"

static const char *const names[ACCESS_TABLES] = {
    [ACCESS_PORT] = "PORT_ACCESS",
    [ACCESS_FROM] = "FROM_ACCESS",
    [ACCESS_ORIG_SEND] = "ORIG_SEND_ACCESS",
    [ACCESS_ORIG_MAIL] = "ORIG_MAIL_ACCESS",
    [ACCESS_SEND] = "SEND_ACCESS",
    [ACCESS_MAIL] = "MAIL_ACCESS",
    [ACCESS_IP] = "IP_ACCESS",
    [ACCESS_TLS] = "TLS_ACCESS",
    [ACCESS_TLS_PEER] = "TLS_PEER_ACCESS",
};

const char *access_table_name(enum access_table t)
{
    check(t < ACCESS_TABLES);
    return names[t];
}

struct reading {
    const struct access_question *q;
    struct arena *arena;
    struct access_verdict *out;
    str rest;    /* of the output */
    bool status; /* $X came with a code */
};

static bool about_tls(enum access_table t)
{
    return t == ACCESS_TLS || t == ACCESS_TLS_PEER;
}

static bool has(const struct access_verdict *v, char letter)
{
    return (v->flags & mapping_flag(letter)) != 0;
}

/* The first fault counts. */
static void fault(struct reading *r, const char *what, str text)
{
    if (r->out->fault.len == 0) {
        r->out->fault =
            arena_printf(r->arena, "%s: '%.*s'", what, STR_ARG(str_sub(text, 0, 200)));
    }
}

/* --- arguments --- */

static void read_sender(struct reading *r, str text)
{
    struct address *sender = &r->out->sender;
    bool angle = text.len >= 2 && text.ptr[0] == '<' && text.ptr[text.len - 1] == '>';
    str bare = angle ? str_sub(text, 1, text.len - 2) : text;
    const char *bad = bare.len == 0 && !angle ? "is empty" : address_parse(bare, sender);
    if (bad == NULL && sender->local.len > 0 && sender->domain.len == 0) {
        bad = "has no domain";
    }
    if (bad != NULL || text.len > ADDRESS_PATH_MAX) {
        fault(r, "$J is no address", text);
        return;
    }
    r->out->new_sender = true;
}

static void read_delay(struct reading *r, str text)
{
    uint64_t number;
    bool minus = text.len > 0 && text.ptr[0] == '-';
    if (!str_u64(str_from_pos(text, minus), UINT32_MAX, &number)) {
        fault(r, "$D is no number of hundredths of a second", text);
        return;
    }
    int delay = number > ACCESS_DELAY_MAX_CS ? ACCESS_DELAY_MAX_CS : (int)number;
    r->out->delay_cs = minus ? -delay : delay;
}

/* "Name: text" (RFC 5322 2.2), one line. */
static void read_header(struct reading *r, str text)
{
    ptrdiff_t colon = str_find(text, ':');
    bool good = colon > 0 && text.len <= ACCESS_HEADER_MAX;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        good = good && c >= ' ' && c <= '~' && (c != ' ' || (ptrdiff_t)i > colon);
    }
    if (!good) {
        fault(r, "$A is no header line", text);
        return;
    }
    r->out->header = text;
}

/* blocks,recipients,cutoff; what is left out or 0 is no limit. */
static void read_limits(struct reading *r, str text)
{
    struct access_limits *l = &r->out->limits;
    uint64_t *const fields[] = {&l->blocks, &l->recipients, &l->cutoff};
    str rest = text, part;
    size_t i = 0;
    bool good = true;
    while (good && str_split(&rest, ',', &part)) {
        part = str_trim(part);
        good = i < 3 && (part.len == 0 || str_u64(part, INT32_MAX, fields[i]));
        i++;
    }
    if (!good) {
        fault(r, "$S has no limits BLOCKS,RECIPIENTS,CUTOFF", text);
    }
}

/* A status code of a refusal, 4.y.z or 5.y.z (RFC 3463). */
static bool parse_status(str text, unsigned status[3])
{
    str rest = text, part;
    uint64_t n[3] = {0};
    size_t i = 0;
    while (str_split(&rest, '.', &part)) {
        if (i == 3 || part.len > 3 || !str_u64(part, 255, &n[i++])) {
            return false;
        }
    }
    if (i != 3 || (n[0] != 4 && n[0] != 5)) {
        return false;
    }
    for (i = 0; i < 3; i++) {
        status[i] = (unsigned)n[i];
    }
    return true;
}

static void read_status(struct reading *r, str text)
{
    r->status = parse_status(text, r->out->status);
    if (!r->status) {
        fault(r, "$X is no status code of class 4 or 5", text);
    }
}

static void read_ip(struct reading *r, str text)
{
    bool brackets = text.len > 2 && text.ptr[0] == '[' && text.ptr[text.len - 1] == ']';
    str ip = brackets ? str_sub(text, 1, text.len - 2) : text, literal;
    if (str_istarts(ip, STR("IPv6:"))) {
        ip = str_from_pos(ip, 5);
    }
    if (!literal_from_ip(r->arena, ip, &literal)) {
        fault(r, "$A is no IP address", text);
        return;
    }
    r->out->replace_ip = ip;
}

/* A session can be on channels for SMTP only. */
static void read_channel(struct reading *r, str text)
{
    r->out->channel_name = str_trim(text);
    r->out->channel = snapshot_channel(r->q->snapshot, r->out->channel_name);
    if (r->out->channel == NULL || r->out->channel->type != CHANNEL_TCP) {
        r->out->channel = NULL;
        fault(r, "$S names no channel that sessions can be on", text);
    }
}

static void read_argument(struct reading *r, const struct access_flag *f, str text)
{
    switch (f->argument) {
    case ACCESS_ARG_SENDER:
        read_sender(r, text);
        break;
    case ACCESS_ARG_LOG_MATCH:
        r->out->log_match = text;
        break;
    case ACCESS_ARG_LOG_REJECT:
        r->out->log_reject = text;
        break;
    case ACCESS_ARG_DELAY:
        read_delay(r, text);
        break;
    case ACCESS_ARG_HEADER:
        read_header(r, text);
        break;
    case ACCESS_ARG_LIMITS:
        read_limits(r, text);
        break;
    case ACCESS_ARG_STATUS:
        read_status(r, text);
        break;
    case ACCESS_ARG_REASON:
        r->out->text = text;
        break;
    case ACCESS_ARG_LOG_TAG:
        r->out->log_tag = text;
        break;
    case ACCESS_ARG_IP:
        read_ip(r, text);
        break;
    case ACCESS_ARG_CHANNEL:
        read_channel(r, text);
        break;
    case ACCESS_ARG_NONE:
    case ACCESS_ARG_LOST:
        break;
    }
}

/* $N and $F are one. */
static bool is_set(const struct reading *r, const struct access_flag *f)
{
    return has(r->out, f->letter) && !(f->letter == 'F' && has(r->out, 'N'));
}

/* Does a set flag behind f take an argument? */
static bool is_last(const struct reading *r, const struct access_flag *f)
{
    while ((f = access_flag_next(r->q->table, f)) != NULL) {
        if (f->pieces > 0 && is_set(r, f)) {
            return false;
        }
    }
    return true;
}

/* Takes the pieces of one flag off the rest; the last flag gets all of it, so that a text
 * may have a '|' in it. */
static str take(struct reading *r, const struct access_flag *f)
{
    str text = STR(""), piece;
    if (is_last(r, f)) {
        text = r->rest.ptr != NULL ? r->rest : text;
        r->rest = STR_NONE;
        return text;
    }
    for (unsigned i = 0; i < f->pieces; i++) {
        if (str_split(&r->rest, '|', &piece)) {
            text = piece;
        }
    }
    return text;
}

static void read_arguments(struct reading *r)
{
    const struct access_flag *f = NULL;
    while ((f = access_flag_next(r->q->table, f)) != NULL) {
        if (!is_set(r, f)) {
            continue;
        }
        if (f->status == KEYWORD_RESTRICTS) {
            fault(r, "a flag that cannot be honoured", str_n(&f->letter, 1));
        }
        if (f->pieces > 0) {
            read_argument(r, f, take(r, f));
        }
    }
}

/* --- replies --- */

static void set_reply(struct access_verdict *v, unsigned code, unsigned x, unsigned y,
                      unsigned z)
{
    v->code = code;
    v->status[0] = x;
    v->status[1] = y;
    v->status[2] = z;
}

/* As if nobody knew the host (PMDF 7.3, ACCESS_ERRORS). */
static str hiding_text(const struct reading *r)
{
    const struct address *given = r->q->given;
    const char *words = r->q->snapshot->options.dialect == DIALECT_IMTA
                            ? "unknown host or domain"
                            : "illegal host/domain specified";
    return given == NULL || given->domain.len == 0
               ? str_from(words)
               : arena_printf(r->arena, "%s: '%.*s'", words, STR_ARG(given->domain));
}

/* The text for a refusal that brings none of its own. */
static void default_text(struct reading *r)
{
    struct access_verdict *v = r->out;
    bool recipient = v->table >= ACCESS_ORIG_SEND && v->table <= ACCESS_MAIL;
    if (about_tls(v->table)) {
        v->text = STR("TLS Negotiation failed.");
    } else if (v->table == ACCESS_PORT) {
        v->text = STR("you may not connect to this system");
    } else if (v->table == ACCESS_FROM) {
        v->text = STR("you may not send from this address");
    } else if (r->q->snapshot->options.access_errors == 0 && recipient) {
        v->text = hiding_text(r);
    } else {
        v->text = STR("you may not send to this address");
    }
    if (recipient && r->q->snapshot->options.access_errors == 0 && !r->status) {
        v->status[1] = 1;
        v->status[2] = 2;
    }
}

/* A text for PORT_ACCESS may begin with the codes themselves: "421 4.7.0 too busy". PMDF
 * sends it as it is. */
static void port_reply(struct reading *r)
{
    struct access_verdict *v = r->out;
    uint64_t code;
    str rest = v->text, word;
    set_reply(v, 554, 5, 7, 1);
    if (!str_word(&rest, &word) || word.len != 3 || !str_u64(word, 999, &code)) {
        return;
    }
    if (code < 400 || code > 599) {
        fault(r, "the reply code of a refusal is 4xx or 5xx", word);
        return;
    }
    set_reply(v, (unsigned)code, (unsigned)code / 100, 7, code < 500 ? 0 : 1);
    v->text = str_trim(rest);
    if (str_word(&rest, &word) && word.ptr[0] == '0' + (char)(code / 100) &&
        parse_status(word, v->status)) {
        v->text = str_trim(rest);
    }
}

/* '~' begins a new line of the reply. */
static void port_lines(struct reading *r)
{
    char *lines = arena_strndup(r->arena, r->out->text.ptr, r->out->text.len);
    for (size_t i = 0; i < r->out->text.len; i++) {
        lines[i] = lines[i] == '~' ? '\n' : lines[i];
    }
    r->out->text = str_n(lines, r->out->text.len);
}

static void reject(struct reading *r)
{
    struct access_verdict *v = r->out;
    v->answer = ACCESS_REJECT;
    if (v->table == ACCESS_PORT) {
        port_reply(r);
        port_lines(r);
    } else if (v->table == ACCESS_IP) {
        set_reply(v, 550, 5, 4, 4);
        return; /* its text is for the log, and may be empty */
    } else if (about_tls(v->table)) {
        if (!r->status) {
            set_reply(v, 421, 4, 7, 0);
        }
        v->code = v->status[0] == 4 ? 421 : 554;
        v->no_fallback = has(v, 'F');
    } else if (r->status) {
        v->code = v->status[0] == 4 ? 450 : 550;
    } else {
        set_reply(v, 550, 5, 7, 1);
    }
    if (str_trim(v->text).len == 0) {
        default_text(r);
    }
}

/* Says what is told for a table that cannot be used. */
static void answer_fault(struct access_verdict *v)
{
    v->answer = ACCESS_FAULT;
    set_reply(v, v->table == ACCESS_PORT || about_tls(v->table) ? 421 : 451, 4, 3, 5);
    v->text = STR("access cannot be decided now, try again later");
    v->hold = v->discard = v->discard_all = v->decides = v->new_sender = v->skip = false;
    v->header = v->replace_ip = STR("");
    v->channel = NULL;
    v->stays = false;
    v->no_fallback = true;
    v->limits = (struct access_limits){0};
    v->delay_cs = 0;
}

/* --- asking --- */

static uint64_t input_flags(const struct access_question *q)
{
    const struct access_peer *p = q->peer;
    uint64_t flags = 0;
    bool message = q->table >= ACCESS_FROM && q->table <= ACCESS_MAIL;
    bool recipient = message && q->table != ACCESS_FROM;
    const struct {
        bool set;
        char letter;
    } all[] = {
        {message && p->sasl, 'A'},
        {message && p->tls, 'T'},
        {recipient && p->esmtp, 'E'},
        {recipient && p->lmtp, 'L'},
        {recipient && p->notify_delay, 'D'},
        {recipient && p->notify_failure, 'F'},
        {recipient && p->notify_success, 'S'},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        flags |= all[i].set ? mapping_flag(all[i].letter) : 0;
    }
    return flags;
}

uint64_t access_recipient_flags(const struct access_peer *p)
{
    struct access_question q = {.table = ACCESS_SEND, .peer = p};
    return input_flags(&q);
}

/* A session that is refused goes nowhere. */
static void read_effects(struct access_verdict *v, bool no)
{
    bool tls = about_tls(v->table);
    v->channel = no ? NULL : v->channel;
    v->stays = tls && !no && has(v, 'B');
    v->discard = !tls && !no && has(v, 'B') && access_flag_find(v->table, 'B') != NULL;
    v->hold = !no && has(v, 'H') && access_flag_find(v->table, 'H') != NULL;
    v->discard_all =
        !no && (has(v, 'V') || has(v, 'Z')) && access_flag_find(v->table, 'V') != NULL;
    v->skip = v->table == ACCESS_IP && !no && has(v, 'I');
}

static void read_output(struct reading *r)
{
    struct access_verdict *v = r->out;
    r->rest = v->output;
    bool no = has(v, 'N') || (has(v, 'F') && v->table != ACCESS_IP);
    if (v->table == ACCESS_PORT && !no) { /* text for the connection log is behind "||" */
        const char *note = memmem(v->output.ptr, v->output.len, "||", 2);
        if (note != NULL) {
            r->rest = str_sub(v->output, 0, (size_t)(note - v->output.ptr));
            v->connection_note = str_from_pos(v->output, r->rest.len + 2);
        }
    }
    read_arguments(r);
    read_effects(v, no);
    if (no) {
        reject(r);
    } else if (has(v, 'Y') || v->discard || v->hold || v->discard_all ||
               v->channel != NULL) {
        v->answer = ACCESS_ACCEPT;
    }
    v->decides = v->table >= ACCESS_ORIG_SEND && v->table <= ACCESS_MAIL &&
                 v->answer != ACCESS_SILENT;
}

void access_read(const struct access_question *q, struct arena *a,
                 struct access_verdict *v)
{
    struct reading r = {.q = q, .arena = a, .out = v};
    read_output(&r);
    if (v->fault.len > 0) {
        answer_fault(v);
    }
}

/* Names that were cut could be those of somebody else. */
static bool names_cut(const struct access_question *q)
{
    return about_tls(q->table) && q->tls->verified && q->tls->names_cut;
}

void access_ask(const struct access_question *q, struct arena *a,
                struct access_verdict *out)
{
    const struct mapping *t =
        mapping_find(q->snapshot, str_from(access_table_name(q->table)));
    struct mapping_output answer;
    *out = (struct access_verdict){.table = q->table, .asked = t != NULL};
    if (t == NULL) {
        return;
    }
    out->probe = access_probe(q, a);
    struct mapping_input in = {
        .snapshot = q->snapshot, .probe = out->probe, .flags = input_flags(q)};
    out->matched = mapping_run(t, &in, a, &answer);
    if (names_cut(q) || answer.fault != NULL) {
        out->entry = t->at;
        out->fault = names_cut(q) ? STR("the names in the certificate are too long")
                                  : str_from(answer.fault);
        answer_fault(out);
    } else if (out->matched) {
        out->entry = answer.entry;
        out->output = answer.text;
        out->flags = answer.flags;
        access_read(q, a, out);
    }
}
