/* control_tls: see control_tls.h. */
#include "router/control_tls.h"

#include "base/clock.h"
#include "base/json.h"

/* What one entry may need, several times over. */
enum { ENTRY_ROOM = 24 * 1024, EXPIRING_MAX = 20 };

struct telling {
    struct buf *text, *fields;
    int64_t now_ms;
    unsigned told, left_out;
};

static void put_string(struct buf *fields, const char *field, str value)
{
    buf_printf(fields, "\"%s\":", field);
    json_put_string(fields, value);
}

static const char *role_of(const struct tls_view *v)
{
    return v->server ? "server" : "client";
}

/* "in 3 d 4 h", or how long ago. */
static void put_end(struct buf *text, int64_t left_ms)
{
    char age[40];
    clock_age(left_ms < 0 ? -left_ms : left_ms, age, sizeof age);
    buf_printf(text, left_ms <= 0 ? "EXPIRED %s ago" : "expires in %s", age);
}

/* --- contexts --- */

static void put_certificate(struct telling *t, const struct tls_view_certificate *c)
{
    char until[40], from[40];
    clock_rfc3339(c->not_after_ms, until, sizeof until);
    clock_rfc3339(c->not_before_ms, from, sizeof from);
    buf_printf(t->text, "  %.*s%s%.*s\n", STR_ARG(c->file),
               c->sni.len > 0 ? "  for " : "", STR_ARG(c->sni));
    buf_printf(t->text, "    subject      %.*s\n", STR_ARG(c->subject));
    if (c->names.len > 0) {
        buf_printf(t->text, "    names        %.*s\n", STR_ARG(c->names));
    }
    buf_printf(t->text, "    fingerprint  %.*s\n    ", STR_ARG(c->fingerprint));
    put_end(t->text, c->not_after_ms - t->now_ms);
    buf_printf(t->text, ", %.19sZ\n", until);
    buf_puts(t->fields, "{");
    put_string(t->fields, "file", c->file);
    buf_puts(t->fields, ",");
    put_string(t->fields, "sni", c->sni);
    buf_puts(t->fields, ",");
    put_string(t->fields, "subject", c->subject);
    buf_puts(t->fields, ",");
    put_string(t->fields, "names", c->names);
    buf_puts(t->fields, ",");
    put_string(t->fields, "fingerprint", c->fingerprint);
    buf_printf(t->fields,
               ",\"not_before\":\"%s\",\"not_after\":\"%s\",\"expires_s\":%lld}", from,
               until, (long long)((c->not_after_ms - t->now_ms) / 1000));
}

static bool has_room(const struct telling *t)
{
    return t->text->max - t->text->len >= ENTRY_ROOM &&
           t->fields->max - t->fields->len >= ENTRY_ROOM;
}

static void put_context(const struct tls_view *v, void *arg)
{
    struct telling *t = arg;
    char age[40];
    if (!has_room(t)) {
        t->left_out++;
        return;
    }
    clock_age(t->now_ms - v->loaded_ms, age, sizeof age);
    buf_printf(t->text, "profile %.*s, %s%s: read %s ago, %u session%s%s\n",
               STR_ARG(v->profile), role_of(v), v->in_force ? "" : ", replaced", age,
               v->sessions, v->sessions == 1 ? "" : "s",
               v->count == 0 ? ", no certificate" : "");
    buf_puts(t->fields, t->told++ > 0 ? ",{" : "{");
    put_string(t->fields, "profile", v->profile);
    buf_printf(t->fields,
               ",\"role\":\"%s\",\"in_force\":%s,\"age_s\":%lld,\"sessions\":%u,"
               "\"certificates\":[",
               role_of(v), v->in_force ? "true" : "false",
               (long long)((t->now_ms - v->loaded_ms) / 1000), v->sessions);
    for (unsigned i = 0; i < v->count; i++) {
        if (!has_room(t)) {
            buf_printf(t->text, "  and %u more certificates\n", v->count - i);
            t->left_out += v->count - i;
            break;
        }
        buf_puts(t->fields, i > 0 ? "," : "");
        put_certificate(t, &v->certificates[i]);
    }
    buf_puts(t->fields, "]}");
}

void control_tls(const struct renewal *r, int64_t now_ms, struct buf *text,
                 struct buf *fields)
{
    struct telling t = {.text = text, .fields = fields, .now_ms = now_ms};
    buf_puts(fields, ",\"contexts\":[");
    renewal_view(r, put_context, &t);
    buf_printf(fields, "],\"contexts_left_out\":%u", t.left_out);
    if (t.left_out > 0) {
        buf_printf(text, "%u more are left out\n", t.left_out);
    }
}

/* --- status --- */

static void put_expiring(const struct tls_view *v, void *arg)
{
    struct telling *t = arg;
    for (unsigned i = 0; i < v->count && v->in_force; i++) {
        const struct tls_view_certificate *c = &v->certificates[i];
        if (tls_view_step(c->not_before_ms, c->not_after_ms, t->now_ms) < 0) {
            continue;
        }
        if (t->told >= EXPIRING_MAX) {
            t->left_out++;
            continue;
        }
        buf_printf(t->text, "certificate  %.*s  profile %.*s, %s: ", STR_ARG(c->file),
                   STR_ARG(v->profile), role_of(v));
        put_end(t->text, c->not_after_ms - t->now_ms);
        buf_puts(t->text, "\n");
        buf_puts(t->fields, t->told++ > 0 ? ",{" : "{");
        put_string(t->fields, "file", c->file);
        buf_puts(t->fields, ",");
        put_string(t->fields, "profile", v->profile);
        buf_printf(t->fields, ",\"role\":\"%s\",\"expires_s\":%lld}", role_of(v),
                   (long long)((c->not_after_ms - t->now_ms) / 1000));
    }
}

static void put_trouble(const struct renewal *r, const struct telling *t)
{
    int64_t since_ms;
    char age[40];
    str trouble = renewal_trouble(r, &since_ms);
    if (trouble.len == 0) {
        return;
    }
    clock_age(t->now_ms - since_ms, age, sizeof age);
    buf_printf(t->text, "certificates not all renewed %s ago: %.*s\n", age,
               STR_ARG(trouble));
    buf_puts(t->fields, ",");
    put_string(t->fields, "certificate_error", trouble);
    buf_printf(t->fields, ",\"certificate_error_s\":%lld",
               (long long)((t->now_ms - since_ms) / 1000));
}

void control_tls_status(const struct renewal *r, int64_t now_ms, struct buf *text,
                        struct buf *fields)
{
    struct telling t = {.text = text, .fields = fields, .now_ms = now_ms};
    put_trouble(r, &t);
    buf_puts(fields, ",\"certificates_expiring\":[");
    renewal_view(r, put_expiring, &t);
    buf_puts(fields, "]");
    if (t.left_out > 0) {
        buf_printf(text, "and %u more certificates expire; see pointsman tls contexts\n",
                   t.left_out);
    }
}
