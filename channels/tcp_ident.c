/* tcp_ident: see tcp_ident.h. Two steps, name and check, each known or not; at most one
 * question is outstanding. */
#include "channels/tcp_ident.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "router/dns.h"

struct tcp_ident {
    struct worker *worker;
    struct runtime *runtime; /* whose name servers are asked; only while something is */
    const struct channel *channel;
    struct dns_query *query;
    bool want_check, name_known, check_known, confirmed;
    char ip[64], name[256], trouble[160];
    tcp_ident_cb cb;
    void *arg;
};

struct tcp_ident *tcp_ident_new(struct worker *w, str ip, tcp_ident_cb cb, void *arg)
{
    struct tcp_ident *i = calloc(1, sizeof *i);
    check(i);
    i->worker = w;
    snprintf(i->ip, sizeof i->ip, "%.*s", STR_ARG(ip));
    i->cb = cb;
    i->arg = arg;
    return i;
}

void tcp_ident_free(struct tcp_ident **ip)
{
    struct tcp_ident *i = *ip;
    *ip = NULL;
    if (!i) {
        return;
    }
    dns_cancel(&i->query);
    runtime_unref(&i->runtime);
    free(i);
}

bool tcp_ident_known(const struct tcp_ident *i, bool checked)
{
    return i->name_known && (!checked || i->check_known);
}

const char *tcp_ident_name(const struct tcp_ident *i)
{
    return i->name;
}

bool tcp_ident_confirmed(const struct tcp_ident *i)
{
    return i->confirmed;
}

const char *tcp_ident_trouble(const struct tcp_ident *i)
{
    return i->trouble;
}

/* --- the two questions --- */

static void name_is(struct tcp_ident *i, const char *name)
{
    i->name_known = true;
    snprintf(i->name, sizeof i->name, "%s", name);
    i->check_known = name[0] == '\0'; /* nothing to check */
}

/* What is known without asking. */
static bool know_loopback(struct tcp_ident *i, const struct channel *c)
{
    if (strcmp(i->ip, "127.0.0.1") == 0 || strcmp(i->ip, "::1") == 0) {
        name_is(i, "localhost");
        i->check_known = i->confirmed = true;
        return true;
    }
    if (strncmp(i->ip, "127.", 4) == 0 && c->opts.nameserver_count == 0) {
        name_is(i, "");
        return true;
    }
    return false;
}

static bool is_address(const struct sockaddr_storage *a, const char *ip)
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)a;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)a;
    unsigned char bytes[sizeof(struct in6_addr)];
    if (inet_pton(a->ss_family, ip, bytes) != 1) {
        return false;
    }
    return a->ss_family == AF_INET
               ? memcmp(&v4->sin_addr, bytes, sizeof v4->sin_addr) == 0
               : memcmp(&v6->sin6_addr, bytes, sizeof v6->sin6_addr) == 0;
}

static bool ident_advance(struct tcp_ident *i);

static void ident_go_on(struct tcp_ident *i, const struct dns_answer *a)
{
    if (a->status != DNS_OK) {
        memcpy(i->trouble, a->reason, sizeof i->trouble);
    }
    if (ident_advance(i)) {
        runtime_unref(&i->runtime);
        i->cb(i->arg);
    }
}

static void on_name(struct worker *w, const struct dns_answer *a, void *arg)
{
    struct tcp_ident *i = arg;
    (void)w;
    i->query = NULL;
    name_is(i, a->status == DNS_OK ? a->name : "");
    ident_go_on(i, a);
}

static void on_addresses(struct worker *w, const struct dns_answer *a, void *arg)
{
    struct tcp_ident *i = arg;
    (void)w;
    i->query = NULL;
    i->check_known = true;
    for (unsigned n = 0; n < a->address_count && a->status == DNS_OK; n++) {
        i->confirmed = i->confirmed || is_address(&a->address[n], i->ip);
    }
    if (!i->confirmed) {
        snprintf(i->trouble, sizeof i->trouble, "the name does not have this address");
    }
    ident_go_on(i, a);
}

/* Asks the next question; true when none is left. */
static bool ident_advance(struct tcp_ident *i)
{
    struct dns *dns = i->worker->daemon->dns;
    struct dns_servers servers = {
        .list = i->channel->opts.nameservers,
        .count = i->channel->opts.nameserver_count,
        .anchor_file = i->runtime->snapshot->options.dnssec_anchor,
        .purpose = DNS_FOR_CLIENT,
    };
    if (!i->name_known) {
        i->query = dns_reverse(dns, i->worker, &servers, str_from(i->ip), on_name, i);
        return false;
    }
    if (i->want_check && !i->check_known) {
        i->query =
            dns_addresses(dns, i->worker, &servers, str_from(i->name), on_addresses, i);
        return false;
    }
    return true;
}

bool tcp_ident_want(struct tcp_ident *i, struct runtime *r, const struct channel *c,
                    bool checked)
{
    i->want_check = i->want_check || checked;
    if (tcp_ident_known(i, checked) || (!i->name_known && know_loopback(i, c))) {
        return true;
    }
    if (!i->query) {
        i->runtime = runtime_ref(r);
        i->channel = c;
        ident_advance(i);
    }
    return false;
}
