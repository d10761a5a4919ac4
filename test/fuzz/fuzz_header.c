/* Fuzzes the rewriting of headers. The first octet chooses the channels, the rest is a
 * header. What must hold: fields put together are the header; what is said to be the same
 * is not written; what changes is still fields, and no field without a name becomes one.
 */
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "router/header_fields.h"
#include "router/header_rewrite.h"
#include "test/config/memory_loader.h"

enum { OUT_MAX = 4 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char CONFIG[] =
    "old.test  $U%new.test@tcp-daemon\n"
    ".in.test  $U%$H$D@in-daemon\n"
    "mask.test $R$U%company.test@tcp-daemon\n"
    "hop.test  $U@hop.test@gate.test@tcp-daemon\n"
    ".         $U%$H@tcp-daemon\n"
    "\n"
    "l\ngate.test\n\n"
    "tcp_local smtp\ntcp-daemon\n\n"
    "tcp_in smtp exproute defaulthost in.test\nin-daemon\n\n"
    "tcp_im smtp improute maxheaderaddrs 2 headerlinelength 40\nim-daemon public.test\n\n"
    "tcp_733 smtp header_733 headerlabelalign 12 maxheaderchars 30\nb733-daemon\n\n"
    "tcp_bang smtp header_uucp dropblank\nbang-daemon\n\n"
    "tcp_proc smtp maxprocchars 60 addreturnpath\nproc-daemon\n\n";

/* Loaded once: the rules are not what is fuzzed here. */
static const struct snapshot *configuration(void)
{
    static struct snapshot *s;
    if (s == NULL) {
        static struct memory_loader loader;
        struct snapshot_request request = {.path = STR(MEMORY_LOADER_MAIN)};
        struct arena *a = arena_new();
        struct diags *diags;
        bool unreadable;
        memory_loader_init(&loader, str_from(CONFIG));
        request.loader = &loader.loader;
        s = snapshot_load(&request, a, &diags, &unreadable);
        check(s != NULL);
        arena_free(&a);
    }
    return s;
}

/* Fields with a name; their raw texts must be the header. */
static unsigned count_fields(str header)
{
    struct header_field f;
    unsigned named = 0;
    const char *at = header.ptr;
    str rest = header;
    while (header_field_next(&rest, &f)) {
        check(f.raw.ptr == at && f.raw.len > 0);
        at += f.raw.len;
        named += f.name.len > 0;
    }
    check(at == header.ptr + header.len);
    return named;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct snapshot *s = configuration();
    struct arena *a = arena_new();
    struct buf out;
    unsigned work = 2000;
    buf_init(&out, OUT_MAX);
    if (size > 0) {
        str message = str_n((const char *)data + 1, size - 1);
        str header = str_sub(message, 0, header_length(message));
        struct header_context c = {
            .snapshot = s,
            .source = s->channels[data[0] % s->channel_count],
            .destination = s->channels[data[0] / s->channel_count % s->channel_count],
            .bare_domain = STR("bare.test"),
            .sender = STR("ann@a.test")};
        count_fields(header);
        enum header_verdict v = header_rewrite(&c, header, &work, a, &out);
        check(v == HEADER_CHANGED || out.len == 0);
        count_fields(buf_slice(&out));
    }
    buf_free(&out);
    arena_free(&a);
    return 0;
}
