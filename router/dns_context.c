/* dns_context: making, finding and dropping libunbound contexts. libunbound resolves in
 * a thread of its own per context and tells us through a descriptor that is polled. */
#include "router/dns_context.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/check.h"

enum {
    DNS_CONTEXTS_MAX = 32,
    DNS_CONTEXT_IDLE_MS = 10 * 60 * 1000,
    DNS_SETUP_MAX = 8192
};

#define DNS_RESOLV_CONF "/etc/resolv.conf"
#define DNS_HOSTS       "/etc/hosts"

/* The library is tuned for a stub resolver: few ports, small caches, 15 minutes of
 * silence towards a server that was down. A mail router asks much and often has one
 * server only, so it must notice soon that it is back. Later versions may drop a
 * setting of the second kind: that is no error. */
static const struct {
    const char *name, *value;
    bool required;
} dns_settings[] = {
    {"do-not-query-localhost:", "no", true}, /* a server on 127.0.0.1 is usual */
    {"outgoing-range:", "256", false},
    {"outgoing-num-tcp:", "16", false},
    {"num-queries-per-thread:", "4096", false},
    {"msg-cache-size:", "4m", false},
    {"rrset-cache-size:", "8m", false},
    {"infra-cache-numhosts:", "10000", false},
    {"infra-host-ttl:", "60", false},
    {"infra-cache-max-rtt:", "10000", false},
    {"infra-keep-probing:", "yes", false},
    {"rrset-roundrobin:", "no", false}, /* nonrandommx: as the server sent them */
    /* without it the names of private addresses do not exist (RFC 6303) */
    {"unblock-lan-zones:", "yes", true},
};

/* --- setup --- */

/* Appends to out what fits; returns the length it would have. */
static size_t setup_append(char *out, size_t size, size_t at, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
static size_t setup_append(char *out, size_t size, size_t at, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(at < size ? out + at : NULL, at < size ? size - at : 0, fmt, ap);
    va_end(ap);
    return at + (size_t)n;
}

size_t dns_setup_print(const struct dns_servers *servers, bool hosts, char *out,
                       size_t size)
{
    size_t at = 0;
    for (unsigned i = 0; i < servers->count; i++) {
        const struct nameserver *ns = &servers->list[i];
        at = setup_append(out, size, at, "%s%.*s@%u", i > 0 ? "," : "", STR_ARG(ns->ip),
                          ns->port);
    }
    if (servers->count == 0) {
        at = setup_append(out, size, at, "%s", hosts ? "system+hosts" : "system");
    }
    return setup_append(out, size, at, "|%.*s", STR_ARG(servers->anchor_file));
}

static bool setup_is_system(const char *setup)
{
    return strncmp(setup, "system", 6) == 0;
}

static long long file_date(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        return 0;
    }
    return (long long)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
}

/* Adds the dates of the files that setup depends on: a changed file, another context. */
static bool setup_date(const char *setup, char *out, size_t size)
{
    const char *anchor = strchr(setup, '|');
    check(anchor != NULL);
    bool system = setup_is_system(setup);
    int n = snprintf(out, size, "%s|%lld|%lld|%lld", setup,
                     anchor[1] != '\0' ? file_date(anchor + 1) : 0,
                     system ? file_date(DNS_RESOLV_CONF) : 0,
                     system ? file_date(DNS_HOSTS) : 0);
    return n > 0 && (size_t)n < size;
}

static int context_set_system(struct ub_ctx *ub, bool hosts)
{
    /* Without the file the server is this machine (resolv.conf(5)). */
    int err = access(DNS_RESOLV_CONF, F_OK) == 0 ? ub_ctx_resolvconf(ub, DNS_RESOLV_CONF)
                                                 : ub_ctx_set_fwd(ub, "127.0.0.1");
    if (err == 0 && hosts && access(DNS_HOSTS, R_OK) == 0) {
        err = ub_ctx_hosts(ub, DNS_HOSTS);
    }
    return err;
}

static int context_set_servers(struct ub_ctx *ub, const char *setup)
{
    const char *end = strchr(setup, '|');
    if (setup_is_system(setup)) {
        return context_set_system(ub, strncmp(setup, "system+hosts|", 13) == 0);
    }
    int err = 0;
    for (const char *at = setup; at < end && err == 0;) {
        char server[128];
        size_t len = strcspn(at, ",|");
        if (len >= sizeof server) {
            return UB_SYNTAX;
        }
        memcpy(server, at, len);
        server[len] = '\0';
        err = ub_ctx_set_fwd(ub, server);
        at += len + 1;
    }
    return err;
}

static bool context_set_anchor(struct ub_ctx *ub, const char *setup, char *reason,
                               size_t reason_size)
{
    const char *anchor = strchr(setup, '|') + 1;
    if (*anchor == '\0') {
        return true; /* the library validates nothing without an anchor */
    }
    /* Not the self-updating kind: when that cannot write its file it ends the process. */
    FILE *f = fopen(anchor, "re");
    if (f == NULL) {
        snprintf(reason, reason_size, "trust anchor %s: %s", anchor, strerror(errno));
        return false;
    }
    fclose(f);
    int err = ub_ctx_add_ta_file(ub, anchor);
    if (err != 0) {
        snprintf(reason, reason_size, "trust anchor %s: %s", anchor, ub_strerror(err));
    }
    return err == 0;
}

/* Domains that the library answers with "does not exist" without asking (RFC 6761,
 * RFC 8375): sites do use them inside, so their name server decides. From here on the
 * context's configuration is complete; a bad trust anchor shows here. */
static int context_unblock(struct ub_ctx *ub, const char *setup)
{
    /* the last one only where the site named the servers: those may know, others not */
    static const char *const zones[] = {"test.", "home.arpa.", "127.in-addr.arpa."};
    size_t count = sizeof zones / sizeof *zones - (setup_is_system(setup) ? 1 : 0);
    int err = 0;
    for (size_t i = 0; i < count && err == 0; i++) {
        err = ub_ctx_zone_remove(ub, zones[i]);
    }
    return err;
}

static bool context_configure(struct ub_ctx *ub, const char *setup, char *reason,
                              size_t reason_size)
{
    ub_ctx_debugout(ub, NULL); /* it would write to standard error */
    int err = ub_ctx_async(ub, 1);
    for (size_t i = 0; i < sizeof dns_settings / sizeof *dns_settings; i++) {
        int said = ub_ctx_set_option(ub, dns_settings[i].name, dns_settings[i].value);
        if (dns_settings[i].required && err == 0) {
            err = said;
        }
    }
    if (err == 0) {
        err = context_set_servers(ub, setup);
    }
    if (err != 0) {
        snprintf(reason, reason_size, "name servers %.*s: %s", (int)strcspn(setup, "|"),
                 setup, ub_strerror(err));
        return false;
    }
    if (!context_set_anchor(ub, setup, reason, reason_size)) {
        return false;
    }
    err = context_unblock(ub, setup);
    if (err != 0) {
        const char *anchor = strchr(setup, '|') + 1;
        const char *what = *anchor == '\0' ? "resolver context" : "trust anchor ";
        snprintf(reason, reason_size, "%s%s: %s%s", what, anchor, ub_strerror(err),
                 *anchor != '\0' ? "; it must hold DS or DNSKEY records" : "");
    }
    return err == 0;
}

bool dns_check_anchor(const struct snapshot *s, struct diags *d)
{
    const struct site_options *o = &s->options;
    char setup[PATH_MAX + 32], reason[PATH_MAX + 160];
    if (str_empty(o->dnssec_anchor)) {
        return true;
    }
    int n = snprintf(setup, sizeof setup, "127.0.0.1@53|%.*s", STR_ARG(o->dnssec_anchor));
    struct ub_ctx *ub = ub_ctx_create();
    bool good = false;
    if (n < 0 || (size_t)n >= sizeof setup) {
        snprintf(reason, sizeof reason, "trust anchor: the path is too long");
    } else if (ub == NULL) {
        snprintf(reason, sizeof reason, "no resolver context: %s", strerror(errno));
    } else {
        good = context_configure(ub, setup, reason, sizeof reason);
    }
    if (ub != NULL) {
        ub_ctx_delete(ub);
    }
    if (!good) {
        diag_error(d, o->dnssec_anchor_at, "dnssec-anchor", "%s", reason);
    }
    return good;
}

/* --- life --- */

static void on_context_closed(uv_handle_t *h)
{
    struct dns_context *c = h->data;
    free(c->setup);
    free(c);
}

/* Takes *at out of the list and ends it. Not from inside ub_process(). */
static void context_drop(struct dns_contexts *all, struct dns_context **at)
{
    struct dns_context *c = *at;
    *at = c->next;
    all->count--;
    uv_close((uv_handle_t *)&c->poll, on_context_closed); /* before its descriptor goes */
    ub_ctx_delete(c->ub);
}

static void on_context_readable(uv_poll_t *poll, int status, int events)
{
    (void)status; /* an error shows in ub_process() too, and questions time out */
    (void)events;
    struct dns_context *c = poll->data;
    ub_process(c->ub);
}

/* Drops what is idle for long, and the longest idle one when there are too many. */
static void contexts_tidy(struct dns_contexts *all)
{
    struct dns_context **oldest = NULL;
    uint64_t now_ms = uv_now(all->loop);
    for (struct dns_context **at = &all->first; *at != NULL;) {
        if ((*at)->open > 0) {
            at = &(*at)->next;
        } else if (now_ms - (*at)->used_ms > DNS_CONTEXT_IDLE_MS) {
            context_drop(all, at);
            oldest = NULL; /* may have pointed into what is gone */
        } else {
            oldest = oldest == NULL || (*at)->used_ms < (*oldest)->used_ms ? at : oldest;
            at = &(*at)->next;
        }
    }
    if (all->count >= DNS_CONTEXTS_MAX && oldest != NULL) {
        context_drop(all, oldest);
    }
}

static struct dns_context *context_new(struct dns_contexts *all, const char *setup,
                                       char *reason, size_t reason_size)
{
    struct dns_context *c = calloc(1, sizeof *c);
    check(c != NULL);
    c->ub = ub_ctx_create();
    if (c->ub == NULL) {
        snprintf(reason, reason_size, "no resolver context: %s", strerror(errno));
        free(c);
        return NULL;
    }
    int err = 0;
    if (!context_configure(c->ub, setup, reason, reason_size) ||
        (err = uv_poll_init(all->loop, &c->poll, ub_fd(c->ub))) != 0) {
        if (err != 0) {
            snprintf(reason, reason_size, "no resolver context: %s", uv_strerror(err));
        }
        ub_ctx_delete(c->ub);
        free(c);
        return NULL;
    }
    c->poll.data = c;
    uv_poll_start(&c->poll, UV_READABLE, on_context_readable);
    return c;
}

struct dns_context *dns_context_get(struct dns_contexts *all, const char *setup,
                                    char *reason, size_t reason_size)
{
    char dated[DNS_SETUP_MAX];
    if (!setup_date(setup, dated, sizeof dated)) {
        snprintf(reason, reason_size, "the list of name servers is too long");
        return NULL;
    }
    struct dns_context *c = all->first;
    while (c != NULL && strcmp(c->setup, dated) != 0) {
        c = c->next;
    }
    if (c == NULL) {
        contexts_tidy(all);
        if (all->count >= DNS_CONTEXTS_MAX) {
            snprintf(reason, reason_size, "too many lists of name servers in use");
            return NULL;
        }
        c = context_new(all, setup, reason, reason_size);
        if (c == NULL) {
            return NULL;
        }
        c->setup = strdup(dated);
        check(c->setup != NULL);
        c->next = all->first;
        all->first = c;
        all->count++;
    }
    c->used_ms = uv_now(all->loop);
    return c;
}

void dns_contexts_free(struct dns_contexts *all)
{
    while (all->first != NULL) {
        context_drop(all, &all->first);
    }
}
