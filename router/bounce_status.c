/* bounce_status: the part for programs (RFC 3464): message/delivery-status, or where an
 * address is not ASCII, message/global-delivery-status (RFC 6533 4). The latter may be
 * quoted-printable, so that every next hop takes it. */
#include "base/clock.h"
#include "base/check.h"
#include "router/bounce_private.h"
#include "router/dsn.h"

/* --- small parts --- */

/* The octets of the character beyond ASCII at the front; 0: it is none, or a control. */
static size_t utf8_length(str s)
{
    uint32_t code;
    size_t n = str_utf8(s, &code);
    return n > 1 && code >= 0xa0 ? n : 0;
}

bool bounce_put_clean(struct buf *out, str text, bool utf8)
{
    bool ok = true;
    while (ok && text.len > 0) {
        char c = text.ptr[0];
        size_t n = utf8 ? utf8_length(text) : 0;
        if (n > 0) {
            ok = buf_append(out, text.ptr, n);
        } else {
            ok = buf_putc(out, c >= ' ' && c <= '~' ? c : '?');
            n = 1;
        }
        text = str_from_pos(text, n);
    }
    return ok;
}

bool bounce_put_lines(struct buf *out, str text, bool utf8)
{
    bool ok = true;
    while (ok && text.len > 0) {
        ptrdiff_t lf = str_find(text, '\n');
        size_t end = lf < 0 ? text.len : (size_t)lf;
        str line = str_sub(text, 0, end);
        line.len -= line.len > 0 && line.ptr[line.len - 1] == '\r';
        ok = bounce_put_clean(out, line, utf8) && buf_puts(out, "\r\n");
        text = str_from_pos(text, lf < 0 ? end : end + 1);
    }
    return ok;
}

bool bounce_put_phrase(struct buf *out, str text)
{
    bool ok = buf_putc(out, '"');
    for (size_t i = 0; ok && i < text.len; i++) {
        char c = text.ptr[i];
        ok = (c != '"' && c != '\\') || buf_putc(out, '\\');
        ok = ok && buf_putc(out, c >= ' ' && c <= '~' ? c : '?');
    }
    return ok && buf_putc(out, '"');
}

static bool put_field(struct buf *out, const char *name, str value)
{
    return buf_puts(out, name) && bounce_put_clean(out, value, false) &&
           buf_puts(out, "\r\n");
}

static bool put_time(struct buf *out, const char *name, int64_t ms)
{
    char text[40];
    clock_rfc5322(ms, text, sizeof text);
    return buf_printf(out, "%s%s\r\n", name, text);
}

void bounce_status(const struct outcome *o, enum bounce_action action, unsigned status[3])
{
    for (unsigned i = 0; i < 3; i++) {
        status[i] = o->enhanced[i];
    }
    unsigned own = status[0], usual = 2;
    bool good = own == 2;
    if (action == BOUNCE_FAILED) {
        usual = o->code >= 400 && o->code < 500 ? 4 : 5;
        good = own == 4 || own == 5;
    } else if (action == BOUNCE_DELAYED) {
        usual = 4;
        good = own == 4;
    }
    if (!good) {
        status[0] = usual;
        status[1] = status[2] = 0;
    }
}

bool bounce_put_reply(struct buf *out, const struct outcome *o)
{
    bool ok = true;
    if (o->code != 0) {
        ok = buf_printf(out, "%u ", o->code);
        if (o->enhanced[0] != 0) {
            ok = ok && buf_printf(out, "%u.%u.%u ", o->enhanced[0], o->enhanced[1],
                                  o->enhanced[2]);
        }
    }
    return ok && bounce_put_clean(out, str_from(o->text), false);
}

/* --- addresses --- */

static bool is_ascii(str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((unsigned char)s.ptr[i] >= 0x80) {
            return false;
        }
    }
    return true;
}

static bool is_utf8_type(str type)
{
    return str_ieq(type, STR("utf-8"));
}

/* ORCPT divided: false where it is none. */
static bool orcpt_split(str orcpt, str *type, str *address)
{
    ptrdiff_t semicolon = orcpt.ptr != NULL ? str_find(orcpt, ';') : -1;
    if (semicolon < 0) {
        return false;
    }
    *type = str_sub(orcpt, 0, (size_t)semicolon);
    *address = str_from_pos(orcpt, (size_t)semicolon + 1);
    return true;
}

bool bounce_international(const struct bounce *b)
{
    for (unsigned i = 0; i < b->count; i++) {
        str type, address;
        const struct bounce_recipient *r = &b->recipients[i];
        if (!is_ascii(r->address) ||
            (orcpt_split(r->orcpt, &type, &address) && is_utf8_type(type))) {
            return true;
        }
    }
    return false;
}

/* The original address, decoded. */
static str orcpt_address(str type, str address, char *decoded)
{
    struct buf out;
    buf_init(&out, DSN_ORCPT_MAX);
    bool ok = is_utf8_type(type) ? dsn_utf8_xtext_decode(address, &out)
                                 : dsn_xtext_decode(address, &out);
    str text = ok ? buf_slice(&out) : address;
    check(text.len <= DSN_ORCPT_MAX);
    memcpy(decoded, text.ptr, text.len);
    buf_free(&out);
    return str_n(decoded, text.len);
}

str bounce_shown_recipient(const struct bounce *b, const struct bounce_recipient *r,
                           char *decoded)
{
    str type, address;
    if (b->hide_final && orcpt_split(r->orcpt, &type, &address)) {
        return orcpt_address(type, address, decoded);
    }
    return r->address;
}

/* "type; address": the type is that of the address, which stays as it is beyond ASCII. */
static bool put_address(struct buf *out, const char *name, str type, str address)
{
    return buf_puts(out, name) &&
           bounce_put_clean(out, is_ascii(address) ? type : STR("utf-8"), false) &&
           buf_puts(out, "; ") && bounce_put_clean(out, address, true) &&
           buf_puts(out, "\r\n");
}

static bool put_recipient_names(struct buf *out, const struct bounce *b,
                                const struct bounce_recipient *r)
{
    char decoded[DSN_ORCPT_MAX];
    str type, address;
    bool known = orcpt_split(r->orcpt, &type, &address);
    if (!known) {
        return put_address(out, "\r\nFinal-Recipient: ", STR("rfc822"), r->address);
    }
    str original = orcpt_address(type, address, decoded);
    return put_address(out, "\r\nOriginal-Recipient: ", type, original) &&
           put_address(out, "Final-Recipient: ", b->hide_final ? type : STR("rfc822"),
                       b->hide_final ? original : r->address);
}

/* --- the fields --- */

static const char *action_name(enum bounce_action action)
{
    static const char *const names[] = {"failed", "delayed", "delivered", "relayed",
                                        "expanded"};
    return names[action];
}

/* Who said what. A list or alias that was reached has no more to say. */
static bool put_diagnostic(struct buf *out, const struct bounce_recipient *r)
{
    const struct outcome *o = r->outcome;
    bool ok = true;
    if (r->remote.len > 0) {
        ok = put_field(out, "Remote-MTA: dns; ", r->remote);
    }
    if (o->code == 0 && o->class == OUTCOME_DELIVERED) {
        return ok;
    }
    ok =
        ok && buf_printf(out, "Diagnostic-Code: %s; ", o->code != 0 ? "smtp" : "x-local");
    return ok && bounce_put_reply(out, o) && buf_puts(out, "\r\n");
}

static bool put_recipient(struct buf *out, const struct bounce *b,
                          const struct bounce_recipient *r)
{
    unsigned status[3];
    bounce_status(r->outcome, r->action, status);
    bool ok = put_recipient_names(out, b, r);
    ok = ok && buf_printf(out, "Action: %s\r\n", action_name(r->action));
    ok = ok && buf_printf(out, "Status: %u.%u.%u\r\n", status[0], status[1], status[2]);
    ok = ok && put_diagnostic(out, r);
    ok = ok && put_time(out, "Last-Attempt-Date: ", b->now_ms);
    ok = ok && put_field(out, "Final-Log-ID: ", b->message_id);
    if (r->action == BOUNCE_DELAYED && b->until_ms > 0) {
        ok = ok && put_time(out, "Will-Retry-Until: ", b->until_ms);
    }
    return ok;
}

static bool put_envelope_id(struct buf *out, str envid)
{
    struct buf decoded;
    buf_init(&decoded, DSN_ENVID_TEXT_MAX);
    bool ok = buf_puts(out, "Original-Envelope-Id: ");
    ok = ok &&
         bounce_put_clean(
             out, dsn_xtext_decode(envid, &decoded) ? buf_slice(&decoded) : envid, false);
    buf_free(&decoded);
    return ok && buf_puts(out, "\r\n");
}

bool bounce_put_status(struct buf *out, const struct bounce *b)
{
    bool ok = b->envid.ptr == NULL || put_envelope_id(out, b->envid);
    ok = ok && put_field(out, "Reporting-MTA: dns; ", b->local_host);
    ok = ok && put_time(out, "Arrival-Date: ", b->arrived_ms);
    for (unsigned i = 0; ok && i < b->count; i++) {
        ok = put_recipient(out, b, &b->recipients[i]);
    }
    return ok;
}
