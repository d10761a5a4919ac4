/* Fuzzes the rewriting of headers. The first octet chooses the channels, the rest is a
 * header. What must hold is checked: fields and items put together are what they were
 * taken from; what is made ends in no empty line that was not there, has no control
 * character more than what it was made of, stays as it is when it comes by again, and is,
 * but for addresses and blanks, what it was. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/check.h"
#include "router/header_addresses.h"
#include "router/header_fields.h"
#include "router/header_rewrite.h"
#include "test/config/memory_loader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MADE_MAX = 2 * HEADER_PROCESSED_MAX };

static const char CONFIG[] = "inside.test  $U%$D@in-daemon\n"
                             ".inside.test $U%company.test@in-daemon\n"
                             "old.test     $U%new.test@tcp-daemon\n"
                             "routed.test  $U@routed.test@hop.test@tcp-daemon\n"
                             "export.test  $U%$D@export-daemon\n"
                             "back.test    $U%front.test@tcp-daemon$R\n"
                             "bad.test     $?no\n"
                             ".            $U%$H@tcp-daemon\n"
                             "\n"
                             "l\n"
                             "gate.test\n"
                             "\n"
                             "tcp_local smtp\n"
                             "tcp-daemon\n"
                             "\n"
                             "tcp_in smtp dropblank bangoverpercent\n"
                             "in-daemon public.test\n"
                             "\n"
                             "tcp_export smtp exproute remotehost percentonly\n"
                             "export-daemon\n"
                             "\n"
                             "tcp_improute smtp improute header_733 maxheaderaddrs 2\n"
                             "improute-daemon\n"
                             "\n"
                             "tcp_uucp smtp header_uucp maxheaderchars 40\n"
                             "uucp-daemon\n"
                             "\n"
                             "tcp_lines smtp headerlinelength 30 headerlabelalign 12\n"
                             "lines-daemon\n"
                             "\n"
                             "tcp_path smtp addreturnpath maxprocchars 100\n"
                             "path-daemon\n"
                             "!== mappings\n"
                             "REVERSE\n"
                             "\n"
                             "  *@hidden.test   $Y$0@company.test\n"
                             "  \"*\"@shy.test  $Y$0@company.test\n"
                             "  *@shy.test      $Y$0\n"
                             "!== reverse\n"
                             "ann@home.test    \"Ann Example\"@company.test\n";

/* Made once: the same for all inputs. */
static struct snapshot *snapshot(void)
{
    static struct snapshot *made;
    if (made == NULL) {
        struct memory_loader loader;
        struct arena *a = arena_new();
        struct diags *diags;
        bool unreadable;
        memory_loader_init(&loader, str_from(CONFIG));
        struct snapshot_request req = {.path = str_from(MEMORY_LOADER_MAIN),
                                       .loader = &loader.loader};
        made = snapshot_load(&req, a, &diags, &unreadable);
        check(made != NULL);
        arena_free(&a);
    }
    return made;
}

static void check_items(str value, struct arena *a)
{
    struct header_items items;
    size_t at = 0;
    if (!header_addresses(value, a, &items)) {
        return;
    }
    check(items.list.n > 0 && items.list.n <= HEADER_ITEMS_MAX);
    for (size_t i = 0; i < items.list.n; i++) {
        const struct header_item *item = &items.list.at[i];
        check(item->raw.ptr == value.ptr + at);
        at += item->raw.len;
        check((item->end == '\0') == (i + 1 == items.list.n));
        if (item->end != '\0') {
            check(value.ptr[at++] == item->end);
        }
        if (item->spot.ptr != NULL) {
            check(item->spot.ptr >= item->raw.ptr &&
                  item->spot.ptr + item->spot.len <= item->raw.ptr + item->raw.len);
            check(item->address.local.len > 0);
        }
    }
    check(at == value.len);
}

static void check_parts(str header, struct arena *a)
{
    str rest = header;
    struct header_field f;
    size_t at = 0;
    while (header_field_next(&rest, &f)) {
        check(f.raw.ptr == header.ptr + at && f.raw.len > 0);
        at += f.raw.len;
        struct arena_mark mark = arena_mark(a);
        check_items(f.value, a);
        arena_reset(a, mark);
    }
    check(at == header.len && header_length(header) <= header.len);
}

/* Where a line begins that is empty, or -1. */
static ptrdiff_t empty_line(str header)
{
    size_t len = header_length(header);
    return len == header.len ? -1 : (ptrdiff_t)len;
}

static size_t controls(str text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        n += c == 0x7f || (c < ' ' && c != '\t' && c != '\r' && c != '\n');
    }
    return n;
}

/* --- what stays, whatever becomes of the addresses --- */

static void put_solid(struct buf *out, str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (memchr(" \t\r\n", text.ptr[i], 4) == NULL) {
            check(buf_putc(out, text.ptr[i]));
        }
    }
}

/* What stands around the addresses of a list, without blanks and empty elements. */
static void put_frame(struct buf *out, str value, struct arena *a)
{
    struct header_items items;
    if (!header_addresses(value, a, &items)) {
        put_solid(out, value);
        return;
    }
    for (size_t i = 0; i < items.list.n; i++) {
        const struct header_item *item = &items.list.at[i];
        str raw = item->raw, spot = item->spot;
        if (spot.ptr != NULL) {
            size_t before = (size_t)(spot.ptr - raw.ptr);
            put_solid(out, str_sub(raw, 0, before - item->angle));
            check(buf_putc(out, '@'));
            put_solid(out, str_from_pos(raw, before + spot.len + item->angle));
        } else if (str_trim(raw).len == 0 && (item->end == ',' || item->end == '\0')) {
            continue;
        } else {
            put_solid(out, raw);
        }
        if (item->end != '\0') {
            check(buf_putc(out, item->end));
        }
    }
    if (out->len > 0 && out->data[out->len - 1] == ',') {
        out->len--;
    }
}

static bool same_by(void (*put)(struct buf *, str, struct arena *), str x, str y)
{
    struct buf a, b;
    struct arena *arena = arena_new();
    buf_init(&a, 2 * MADE_MAX);
    buf_init(&b, 2 * MADE_MAX);
    put(&a, x, arena);
    put(&b, y, arena);
    bool same = str_eq(buf_slice(&a), buf_slice(&b));
    buf_free(&a);
    buf_free(&b);
    arena_free(&arena);
    return same;
}

static void put_all(struct buf *out, str value, struct arena *a)
{
    (void)a;
    put_solid(out, value);
}

/* Field by field: the same name, and the same text but for addresses and blanks. */
static void check_frames(str before, str after)
{
    struct header_field x, y;
    while (header_field_next(&before, &x)) {
        check(header_field_next(&after, &y));
        check(str_eq(x.name, y.name));
        bool named = x.name.len > 0;
        str from = named ? x.value : x.raw, to = named ? y.value : y.raw;
        check(same_by(put_all, from, to) || (named && same_by(put_frame, from, to)));
    }
    check(!header_field_next(&after, &y));
}

static enum header_verdict rewrite(const struct header_context *c, str header,
                                   struct buf *out)
{
    unsigned work = HEADER_WORK_MAX;
    struct reversal reversal = {.work = REVERSE_WORK_MAX};
    struct header_context with = *c;
    struct arena *a = arena_new();
    with.reversal = &reversal;
    buf_init(out, MADE_MAX);
    enum header_verdict v = header_rewrite(&with, header, &work, a, out);
    check(v == HEADER_CHANGED || out->len == 0);
    arena_free(&a);
    return v;
}

static void check_rewrite(const struct header_context *c, str header)
{
    struct buf once, twice;
    if (rewrite(c, header, &once) == HEADER_CHANGED) {
        str made = buf_slice(&once);
        check(empty_line(header) >= 0 || empty_line(made) < 0);
        check(controls(made) <= controls(header));
        check(!str_eq(made, header));
        const struct channel_opts *o = &c->destination->opts;
        if (o->maxheaderaddrs == 0 && o->maxheaderchars == 0 && !o->add_return_path &&
            !c->source->opts.drop_blank) {
            check_frames(header, made);
        }
        bool form_822 = c->destination->opts.header_form == ADDRESS_FORM_822;
        if (rewrite(c, made, &twice) == HEADER_CHANGED && form_822) {
            /* other forms may be data to the source, and be completed again */
            check(twice.len <= once.len + once.len / 2 + 64);
        }
        buf_free(&twice);
    }
    buf_free(&once);
}

/* A header has no empty line in it, but fuzzers do not know. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct snapshot *s = snapshot();
    if (size == 0) {
        return 0;
    }
    str header = str_n((const char *)data + 1, size - 1);
    struct header_context c = {
        .snapshot = s,
        .source = s->channels[data[0] % s->channel_count],
        .destination = s->channels[data[0] / 16 % s->channel_count],
        .bare_domain = STR("bare.test"),
        .sender = STR("sender@x.test"),
    };
    struct arena *a = arena_new();
    check_parts(header, a);
    arena_free(&a);
    check_rewrite(&c, header);
    return 0;
}
