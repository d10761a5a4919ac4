/* run_transcripts: plays every test/smtp/<name>.smtp (or those given) against the server
 * machine in process, once with whole packets and then cut into small ones. TAP. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"
#include "test/smtp/machine_host.h"
#include "test/smtp/transcript.h"

enum { FILE_MAX = 64 * 1024 };

struct machine_peer {
    struct machine_host host;
    size_t piece;
    size_t read; /* of host.replies */
};

static void peer_send(void *arg, str bytes)
{
    struct machine_peer *p = arg;
    machine_host_feed(&p->host, bytes.ptr, bytes.len,
                      p->piece > 0 ? p->piece : bytes.len);
}

static bool peer_receive(void *arg, str *line)
{
    struct machine_peer *p = arg;
    str rest = str_from_pos(buf_slice(&p->host.replies), p->read);
    ptrdiff_t end = str_find(rest, '\n');
    if (end < 1) {
        return false;
    }
    check(rest.ptr[end - 1] == '\r');
    *line = str_sub(rest, 0, (size_t)end - 1);
    p->read += (size_t)end + 1;
    return true;
}

static bool peer_start_tls(void *arg)
{
    struct machine_peer *p = arg;
    if (smtp_server_ask(p->host.m) != ASK_TLS) {
        return false;
    }
    smtp_server_tls_started(p->host.m, &p->host.tls_policy);
    p->host.step = smtp_server_feed(p->host.m, NULL, 0);
    return true;
}

static bool peer_closed(void *arg)
{
    struct machine_peer *p = arg;
    return p->host.step == STEP_CLOSE;
}

static str play(struct arena *a, const struct transcript *t, size_t piece)
{
    struct machine_peer p = {.piece = piece};
    struct smtp_server_policy policy = {
        .local_name = STR("mx.example"),
        .tls = t->tls,
        .injection = t->ignore_injection ? TLS_INJECTION_IGNORE : TLS_INJECTION_REJECT,
        .size_limit_bytes = t->size_limit_bytes,
        .recipient_limit = 100,
        .limits = t->limits};
    struct transcript_peer peer = {&p, peer_send, peer_receive, peer_start_tls,
                                   peer_closed};
    machine_host_init(&p.host, &policy);
    p.host.tls_policy.tls = t->tls_after;
    p.host.hold_tls = true;
    if (t->implicit_tls) {
        smtp_server_tls_implicit(p.host.m);
    }
    str wrong = transcript_run(a, t, &peer);
    machine_host_free(&p.host);
    return wrong;
}

static bool read_file(const char *path, struct buf *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    char *to = buf_reserve(out, FILE_MAX);
    ssize_t got = fd >= 0 ? read(fd, to, FILE_MAX) : -1;
    if (fd >= 0) {
        close(fd);
    }
    out->len += got > 0 ? (size_t)got : 0;
    return got > 0 && got < FILE_MAX;
}

static str run_file(struct arena *a, const char *path)
{
    static const size_t pieces[] = {0, 1, 2, 3, 7, 64};
    struct buf text;
    str wrong = STR("cannot be read");
    buf_init(&text, FILE_MAX);
    if (read_file(path, &text)) {
        struct transcript *t = transcript_parse(a, buf_slice(&text), &wrong);
        size_t runs = t == NULL          ? 0
                      : t->whole_packets ? 1
                                         : sizeof pieces / sizeof pieces[0];
        wrong = t == NULL ? wrong : STR("");
        for (size_t i = 0; i < runs && wrong.len == 0; i++) {
            wrong = play(a, t, pieces[i]);
            if (wrong.len > 0) {
                wrong =
                    arena_printf(a, "%.*s (packets of %zu)", STR_ARG(wrong), pieces[i]);
            }
        }
    }
    buf_free(&text);
    return wrong;
}

static int is_transcript(const struct dirent *entry)
{
    return str_iends(str_from(entry->d_name), STR(".smtp"));
}

static bool report(const char *path, unsigned number)
{
    struct arena *a = arena_new();
    str wrong = run_file(a, path);
    printf("%sok %u - %s\n", wrong.len > 0 ? "not " : "", number, path);
    if (wrong.len > 0) {
        printf("# %s:%.*s\n", path, STR_ARG(wrong));
    }
    arena_free(&a);
    return wrong.len == 0;
}

static bool run_folder(unsigned *number)
{
    const char *top = getenv("top_srcdir");
    char folder[4000], path[4096];
    struct dirent **entries;
    bool ok = true;
    snprintf(folder, sizeof folder, "%s/test/smtp", top != NULL ? top : ".");
    int n = scandir(folder, &entries, is_transcript, alphasort);
    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s/%.90s", folder, entries[i]->d_name);
        ok &= report(path, ++*number);
        free(entries[i]);
    }
    if (n >= 0) {
        free(entries);
    }
    return ok && n > 0;
}

int main(int argc, char **argv)
{
    unsigned number = 0;
    bool ok = true;
    for (int i = 1; i < argc; i++) {
        ok &= report(argv[i], ++number);
    }
    if (argc < 2) {
        ok = run_folder(&number);
    }
    printf("1..%u\n", number);
    return ok ? 0 : 1;
}
