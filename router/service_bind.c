/* service_bind: from the services of a snapshot to bound, listening sockets. Runs on
 * the main thread, at start (perhaps as root) and at reload; what fails here is a
 * message about the service's line and leaves the running sockets alone. */
#include "router/service.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/check.h"

bool endpoint_same(const struct endpoint *a, const struct endpoint *b)
{
    if (a->address.any.sa_family != b->address.any.sa_family) {
        return false;
    }
    if (a->address.any.sa_family == AF_INET) {
        return a->address.v4.sin_port == b->address.v4.sin_port &&
               a->address.v4.sin_addr.s_addr == b->address.v4.sin_addr.s_addr;
    }
    return a->address.v6.sin6_port == b->address.v6.sin6_port &&
           a->address.v6.sin6_scope_id == b->address.v6.sin6_scope_id &&
           memcmp(&a->address.v6.sin6_addr, &b->address.v6.sin6_addr, 16) == 0;
}

void endpoint_text(const struct endpoint *e, char out[ENDPOINT_TEXT_MAX])
{
    char host[64], port[8];
    int rc = getnameinfo(&e->address.any, e->address_size, host, sizeof host, port,
                         sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
    check(rc == 0);
    bool v6 = e->address.any.sa_family == AF_INET6;
    snprintf(out, ENDPOINT_TEXT_MAX, v6 ? "[%s]:%s" : "%s:%s", host, port);
}

const char *endpoint_tls(const struct endpoint *e)
{
    if (e->service->implicit_tls) {
        return "implicit";
    }
    return e->service->channel->opts.tls_server == TLS_LEVEL_NO ? "none" : "starttls";
}

void endpoints_log(const struct endpoints *e, struct log *log)
{
    for (unsigned i = 0; i < e->count; i++) {
        char text[ENDPOINT_TEXT_MAX];
        struct log_line line;
        if (e->at[i].kept) {
            continue;
        }
        endpoint_text(&e->at[i], text);
        log_begin(&line, log, LOG_LISTEN);
        log_str(&line, "service", e->at[i].service->name);
        log_cstr(&line, "address", text);
        log_str(&line, "channel", e->at[i].service->channel->name);
        log_cstr(&line, "tls", endpoint_tls(&e->at[i]));
        log_end(&line);
    }
}

static void close_fds(struct endpoint *p, unsigned workers)
{
    for (unsigned i = 0; p->fds != NULL && i < workers; i++) {
        if (p->fds[i] >= 0) {
            close(p->fds[i]);
            p->fds[i] = -1;
        }
    }
}

void endpoints_free(struct endpoints **e)
{
    struct endpoints *gone = *e;
    *e = NULL;
    if (gone == NULL) {
        return;
    }
    for (unsigned i = 0; i < gone->count; i++) {
        close_fds(&gone->at[i], gone->workers);
        free(gone->at[i].fds);
    }
    snapshot_unref(&gone->snapshot);
    free(gone->at);
    free(gone);
}

/* Reports that a service's endpoint cannot be had. */
static struct diag *diag_endpoint(struct diags *d, const struct endpoint *p,
                                  const char *why, const char *hint)
{
    char text[ENDPOINT_TEXT_MAX];
    endpoint_text(p, text);
    return diag_error(d, p->service->span, "listen",
                      "service %.*s cannot listen on %s: %s%s", STR_ARG(p->service->name),
                      text, why, hint);
}

static const char *bind_hint(int error)
{
    switch (error) {
    case EADDRINUSE:
        return "; another program has this port (ss -ltnp names it)";
    case EACCES:
        return "; ports below 1024 can be opened only when started as root";
    case EADDRNOTAVAIL:
        return "; this host does not have that address";
    default:
        return "";
    }
}

/* A bound socket for p, or -errno. shared: several workers may bind the same. */
static int bind_socket(const struct endpoint *p, bool shared)
{
    int family = p->address.any.sa_family, on = 1;
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -errno;
    }
    bool good = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0;
    if (shared) {
        good = good && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0;
    }
    if (family == AF_INET6) {
        good = good && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0;
    }
    if (!good || bind(fd, &p->address.any, p->address_size) != 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

static bool is_wildcard(const struct endpoint *p)
{
    if (p->address.any.sa_family == AF_INET) {
        return p->address.v4.sin_addr.s_addr == htonl(INADDR_ANY);
    }
    return IN6_IS_ADDR_UNSPECIFIED(&p->address.v6.sin6_addr);
}

/* sin_port and sin6_port lie at the same place (RFC 3493 3.3 keeps them so on Linux),
 * but each is read through its own type. */
static in_port_t endpoint_port(const struct endpoint *p)
{
    return p->address.any.sa_family == AF_INET ? p->address.v4.sin_port
                                               : p->address.v6.sin6_port;
}

/* Do we ourselves hold a socket that makes the kernel say "in use" for p, which
 * SO_REUSEPORT then allows: the wildcard beside one address of the same port? */
static bool overlaps_own(const struct endpoint *p, const struct endpoints *old)
{
    for (unsigned i = 0; old != NULL && i < old->count; i++) {
        const struct endpoint *o = &old->at[i];
        if (o->address.any.sa_family == p->address.any.sa_family &&
            endpoint_port(o) == endpoint_port(p) && (is_wildcard(o) || is_wildcard(p))) {
            return true;
        }
    }
    return false;
}

/* SO_REUSEPORT would let us share a port with another process of the same user and get
 * half of its clients; so first see, without it, whether the port is free. */
static int probe(const struct endpoint *p, const struct endpoints *old)
{
    int fd = bind_socket(p, false);
    if (fd < 0) {
        return fd == -EADDRINUSE && overlaps_own(p, old) ? 0 : fd;
    }
    int rc = listen(fd, 1) == 0 ? 0 : -errno;
    close(fd);
    return rc;
}

/* SO_REUSEPORT is for sockets of one user: those opened as root allow no others. */
static const char own_hint[] = "; the daemon itself has this port on another address: "
                               "start it again to have both";

static void report_failure(struct endpoint *p, const struct endpoints *old, int error,
                           struct diags *d)
{
    bool own = error == -EADDRINUSE && overlaps_own(p, old);
    diag_endpoint(d, p, strerror(-error), own ? own_hint : bind_hint(-error));
}

/* 0 or -errno. */
static int open_endpoint(struct endpoint *p, unsigned workers)
{
    int error = 0;
    for (unsigned i = 0; error == 0 && i < workers; i++) {
        int fd = bind_socket(p, true);
        if (fd < 0) {
            error = fd;
            break;
        }
        p->fds[i] = fd;
        if (listen(fd, (int)p->service->backlog) != 0) {
            error = -errno;
        }
    }
    if (error != 0) {
        close_fds(p, workers);
    }
    return error;
}

/* True when this host can have IPv6 sockets at all. */
static bool has_ipv6(void)
{
    struct endpoint p = {0};
    p.address.v6.sin6_family = AF_INET6;
    p.address_size = sizeof p.address.v6;
    int fd = bind_socket(&p, false);
    if (fd >= 0) {
        close(fd);
    }
    return fd >= 0;
}

/* Adds the endpoint of s at this address literal, unless two services want it. */
static void add_endpoint(struct endpoints *e, const struct service *s,
                         const char *literal, struct diags *d)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE,
                             .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    char port[8];
    snprintf(port, sizeof port, "%u", s->port);
    if (getaddrinfo(literal, port, &hints, &found) != 0) {
        diag_error(d, s->span, "listen", "service %.*s: '%s' is not an IP address",
                   STR_ARG(s->name), literal);
        return;
    }
    struct endpoint *p = &e->at[e->count];
    check(found->ai_addrlen <= sizeof p->address);
    memcpy(&p->address, found->ai_addr, found->ai_addrlen);
    p->address_size = found->ai_addrlen;
    p->service = s;
    freeaddrinfo(found);
    for (unsigned i = 0; i < e->count; i++) {
        if (endpoint_same(p, &e->at[i])) {
            struct diag *m = diag_endpoint(d, p, "another service has this address", "");
            diag_note(d, m, e->at[i].service->span, "service %.*s is here",
                      STR_ARG(e->at[i].service->name));
            return;
        }
    }
    p->fds = malloc(e->workers * sizeof *p->fds);
    check(p->fds != NULL);
    for (unsigned i = 0; i < e->workers; i++) {
        p->fds[i] = -1;
    }
    e->count++;
}

static const struct channel_kind *find_kind(const struct channel_kind *const *kinds,
                                            const struct channel *c)
{
    while (*kinds != NULL && (*kinds)->type != c->type) {
        kinds++;
    }
    return *kinds;
}

static void add_service(struct endpoints *e, const struct service *s,
                        const struct channel_kind *const *kinds, bool ipv6,
                        struct diags *d)
{
    const struct channel_kind *kind = find_kind(kinds, s->channel);
    if (kind == NULL || kind->accept == NULL) {
        diag_error(
            d, s->span, "service-channel",
            "service %.*s: channel '%.*s' cannot serve clients, a tcp_* channel can",
            STR_ARG(s->name), STR_ARG(s->channel->name));
        return;
    }
    if (str_empty(s->interface_address)) {
        add_endpoint(e, s, "0.0.0.0", d);
        if (ipv6) {
            add_endpoint(e, s, "::", d);
        }
        return;
    }
    char literal[80];
    snprintf(literal, sizeof literal, "%.*s", STR_ARG(s->interface_address));
    add_endpoint(e, s, literal, d);
}

struct endpoints *endpoints_new(struct snapshot *s,
                                const struct channel_kind *const *kinds, unsigned workers,
                                struct diags *diags)
{
    check(workers > 0);
    if (s->service_count == 0) {
        diag_error(diags, SPAN_NONE, "no-service",
                   "no service is configured: dispatcher.cnf needs a section "
                   "[SERVICE=SMTP] with PORT= and PARAMETER=CHANNEL=name");
        return NULL;
    }
    struct endpoints *e = calloc(1, sizeof *e);
    check(e != NULL);
    e->snapshot = snapshot_ref(s);
    e->workers = workers;
    /* at most two for each service, and room for one that turns out a duplicate */
    e->at = calloc(2 * (size_t)s->service_count + 1, sizeof *e->at);
    check(e->at != NULL);
    unsigned errors = diags_errors(diags);
    bool ipv6 = has_ipv6();
    for (unsigned i = 0; i < s->service_count; i++) {
        add_service(e, &s->services[i], kinds, ipv6, diags);
    }
    if (diags_errors(diags) > errors) {
        endpoints_free(&e);
    }
    return e;
}

static bool is_open(const struct endpoint *p, const struct endpoints *old)
{
    for (unsigned i = 0; old != NULL && i < old->count; i++) {
        if (endpoint_same(p, &old->at[i])) {
            return true;
        }
    }
    return false;
}

bool endpoints_open(struct endpoints *e, const struct endpoints *old, struct diags *diags)
{
    unsigned errors = diags_errors(diags);
    /* All are probed before one is opened: they may overlap each other. */
    for (unsigned i = 0; i < e->count; i++) {
        e->at[i].kept = is_open(&e->at[i], old);
        int error = e->at[i].kept ? 0 : probe(&e->at[i], old);
        if (error != 0) {
            report_failure(&e->at[i], old, error, diags);
        }
    }
    for (unsigned i = 0; diags_errors(diags) == errors && i < e->count; i++) {
        int error = e->at[i].kept ? 0 : open_endpoint(&e->at[i], e->workers);
        if (error != 0) {
            report_failure(&e->at[i], old, error, diags);
        }
    }
    return diags_errors(diags) == errors;
}
