/* tcp_hosts: see tcp_hosts.h. A walk over three lists: MX hosts, their addresses, and
 * (with one element) a literal or a host that is not looked up as MX. */
#include "channels/tcp_hosts.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/check.h"
#include "router/admission.h"
#include "router/dns.h"
#include "tables/route.h"

struct tcp_hosts {
    struct worker *worker;
    const struct snapshot *snapshot;
    const struct channel *channel;
    struct dns_servers servers;
    char host[256];
    bool started;
    struct dns_mx mx[DNS_MX_MAX];
    unsigned mx_count, mx_at;         /* mx_at: the next one to look up */
    bool mx_secure;                   /* the list was validated by DNSSEC */
    bool last_resort, at_last_resort; /* still to be tried after the others */
    struct sockaddr_storage address[DNS_ADDRESS_MAX];
    unsigned address_count, address_at;
    char name[256]; /* whose addresses these are */
    struct outcome why;
    bool ended;    /* by IP_ACCESS */
    bool left_out; /* a host, because its addresses cannot be looked up now */
    struct dns_query *query;
    struct task task; /* for answers that need no DNS */
    bool task_posted, freed;
    tcp_hosts_cb cb;
    void *arg;
};

struct tcp_hosts *tcp_hosts_new(struct worker *w, const struct snapshot *s,
                                const struct channel *c, str host)
{
    struct tcp_hosts *h = calloc(1, sizeof *h);
    check(h);
    h->worker = w;
    h->snapshot = s;
    h->channel = c;
    h->servers.list = c->opts.nameservers;
    h->servers.count = c->opts.nameserver_count;
    h->servers.anchor_file = s->options.dnssec_anchor;
    h->servers.hosts_only = c->opts.mx == MX_MODE_HOSTS;
    h->last_resort = c->opts.lastresort.len > 0;
    snprintf(h->host, sizeof h->host, "%.*s", STR_ARG(host));
    outcome_init(&h->why);
    outcome_set(&h->why, OUTCOME_DEFERRED, 0, 4, 4, 1, "no address of %s could be tried",
                h->host);
    return h;
}

void tcp_hosts_free(struct tcp_hosts **hp)
{
    struct tcp_hosts *h = *hp;
    *hp = NULL;
    if (!h) {
        return;
    }
    if (h->query) {
        dns_cancel(&h->query);
    }
    h->freed = true;
    if (!h->task_posted) {
        free(h);
    }
}

static void set_port(struct sockaddr_storage *a, uint16_t port)
{
    if (a->ss_family == AF_UNIX) {
        return;
    }
    if (a->ss_family == AF_INET6) {
        ((struct sockaddr_in6 *)a)->sin6_port = htons(port);
    } else {
        ((struct sockaddr_in *)a)->sin_port = htons(port);
    }
}

/* "[192.0.2.1]", "[IPv6:2001:db8::1]" and plain addresses (as `daemon` may give). */
static bool parse_literal(const char *host, struct sockaddr_storage *out)
{
    char text[64];
    size_t n = strlen(host);
    memset(out, 0, sizeof *out);
    if (n > 2 && host[0] == '[' && host[n - 1] == ']') {
        host++;
        n -= 2;
    }
    if (str_istarts(str_n(host, n), STR("IPv6:"))) {
        host += 5;
        n -= 5;
    }
    if (n >= sizeof text) {
        return false;
    }
    memcpy(text, host, n);
    text[n] = '\0';
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        out->ss_family = AF_INET;
        return true;
    }
    if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        out->ss_family = AF_INET6;
        return true;
    }
    return false;
}

/* "unix:/path", which only `daemon` can say. */
static bool parse_socket(const char *host, struct sockaddr_storage *out)
{
    struct sockaddr_un *to = (struct sockaddr_un *)out;
    str path;
    _Static_assert(sizeof to->sun_path > SOCKET_PATH_MAX, "a path and its end fit");
    if (!socket_host_ok(str_from(host), &path)) {
        return false;
    }
    memset(out, 0, sizeof *out);
    to->sun_family = AF_UNIX;
    memcpy(to->sun_path, path.ptr, path.len);
    return true;
}

/* From an address of one family there is no way to one of the other. */
static bool family_fits(const struct tcp_hosts *h, const struct sockaddr_storage *a)
{
    if (a->ss_family == AF_UNIX) {
        return true;
    }
    str from = h->channel->opts.interfaceaddress;
    bool from_ipv6 = str_find(from, ':') >= 0;
    return str_empty(from) || from_ipv6 == (a->ss_family == AF_INET6);
}

static void print_ip(const struct sockaddr_storage *a, char ip[INET6_ADDRSTRLEN])
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)a;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)a;
    bool six = a->ss_family == AF_INET6;
    ip[0] = '\0';
    inet_ntop(a->ss_family,
              six ? (const void *)&v6->sin6_addr : (const void *)&v4->sin_addr, ip,
              INET6_ADDRSTRLEN);
}

/* Nothing else is tried; why has been set. */
static void end_walk(struct tcp_hosts *h)
{
    h->ended = true;
    h->address_at = h->address_count;
    h->mx_at = h->mx_count;
    h->last_resort = false;
}

/* The text of IP_ACCESS is for the log only. */
static bool obey(struct tcp_hosts *h, const struct access_verdict *v,
                 struct sockaddr_storage *address)
{
    if (v->answer == ACCESS_REJECT || v->answer == ACCESS_FAULT) {
        bool fault = v->answer == ACCESS_FAULT;
        outcome_set(&h->why, fault ? OUTCOME_DEFERRED : OUTCOME_FAILED, 0, v->status[0],
                    v->status[1], v->status[2],
                    fault ? "it cannot be decided now whether %s may be connected to"
                          : "mail is not sent to host %s",
                    h->name[0] != '\0' ? h->name : h->host);
        end_walk(h);
        return false;
    }
    if (v->skip) {
        outcome_set(&h->why, OUTCOME_DEFERRED, 0, 4, 4, 1,
                    "no address of %s may be connected to (IP_ACCESS)", h->host);
        return false;
    }
    if (v->replace_ip.len > 0) {
        char text[INET6_ADDRSTRLEN];
        snprintf(text, sizeof text, "%.*s", STR_ARG(v->replace_ip));
        return parse_literal(text, address) && family_fits(h, address);
    }
    return true;
}

/* May this address be tried, and is it this one? IP_ACCESS is not asked for sockets. */
static bool may_try(struct tcp_hosts *h, struct sockaddr_storage *address)
{
    if (address->ss_family == AF_UNIX) {
        return true;
    }
    char ip[INET6_ADDRSTRLEN];
    struct access_verdict v;
    struct arena *a = arena_new();
    str literal = h->at_last_resort ? h->channel->opts.lastresort : str_from(h->host);
    print_ip(address, ip);
    struct access_question q = {
        .snapshot = h->snapshot,
        .table = ACCESS_IP,
        .source = h->channel,
        .ip = str_from(ip),
        .host = h->name[0] != '\0' ? str_from(h->name) : literal,
        .address_count = h->address_count,
        .address_index = h->address_at,
    };
    access_ask(&q, a, &v);
    struct admission_place place = {.log = h->worker->daemon->log,
                                    .snapshot = h->snapshot,
                                    .channel = h->channel->name};
    admission_log(&place, &v);
    bool may = obey(h, &v, address);
    arena_free(&a);
    return may;
}

/* The next one of the addresses at hand; those of further hosts are looked up. */
static void answer(struct tcp_hosts *h)
{
    bool any = h->address_at < h->address_count;
    struct sockaddr_storage *a = NULL;
    while (a == NULL && h->address_at < h->address_count) {
        a = &h->address[h->address_at++];
        a = may_try(h, a) ? a : NULL;
    }
    if (a == NULL && any && !h->ended) {
        tcp_hosts_next(h, h->cb, h->arg);
        return;
    }
    tcp_hosts_cb cb = h->cb;
    h->cb = NULL;
    if (a == NULL) {
        cb(NULL, "", &h->why, h->arg);
        return;
    }
    set_port(a, h->channel->opts.port);
    cb((const struct sockaddr *)a, h->name, &h->why, h->arg);
}

static void on_answer_task(struct worker *w, struct task *t)
{
    struct tcp_hosts *h =
        (struct tcp_hosts *)((char *)t - offsetof(struct tcp_hosts, task));
    (void)w;
    h->task_posted = false;
    if (h->freed) {
        free(h);
    } else {
        answer(h);
    }
}

/* Callbacks never come inside the call that asked. */
static void answer_later(struct tcp_hosts *h)
{
    h->task.run = on_answer_task;
    h->task_posted = true;
    worker_post(h->worker, &h->task);
}

static bool is_ourselves(const struct tcp_hosts *h, const char *name)
{
    str n = str_from(name);
    return str_ieq(n, h->snapshot->local_host) ||
           str_ieq(n, channel_local_name(h->snapshot, h->channel));
}

/* RFC 5321 5.1: if we are in the list, we and all of equal or higher preference value
 * are not tried: the mail would come back. */
static void drop_ourselves(struct tcp_hosts *h)
{
    for (unsigned i = 0; i < h->mx_count; i++) {
        if (!is_ourselves(h, h->mx[i].name)) {
            continue;
        }
        while (i > 0 && h->mx[i - 1].preference == h->mx[i].preference) {
            i--;
        }
        h->mx_count = i;
        h->last_resort = false; /* it comes behind us */
        if (i == 0) {
            outcome_set(&h->why, OUTCOME_FAILED, 0, 5, 4, 6,
                        "mail for %s loops back to this system: it is its best mail "
                        "exchanger, but no rule delivers it here",
                        h->host);
        }
        return;
    }
}

/* Drops the addresses that interfaceaddress does not lead to; false if that is all. */
static bool keep_reachable(struct tcp_hosts *h)
{
    str from = h->channel->opts.interfaceaddress;
    unsigned kept = 0;
    for (unsigned i = 0; i < h->address_count; i++) {
        if (family_fits(h, &h->address[i])) {
            h->address[kept++] = h->address[i];
        }
    }
    h->address_count = kept;
    if (kept == 0) {
        outcome_set(&h->why, OUTCOME_DEFERRED, 0, 4, 4, 1,
                    "%s has no address that interfaceaddress %.*s can connect to",
                    h->name[0] != '\0' ? h->name : h->host, STR_ARG(from));
    }
    return kept > 0;
}

static void on_addresses(struct worker *w, const struct dns_answer *a, void *arg)
{
    struct tcp_hosts *h = arg;
    (void)w;
    h->query = NULL;
    if (a->status == DNS_OK) {
        memcpy(h->address, a->address, sizeof h->address);
        h->address_count = a->address_count;
        h->address_at = 0;
        if (keep_reachable(h)) {
            answer(h);
        } else {
            tcp_hosts_next(h, h->cb, h->arg);
        }
        return;
    }
    /* A single dead name among several is not final: only when all are gone for good. */
    bool only_host = h->mx_count == 1;
    h->left_out = h->left_out || a->status == DNS_TEMPORARY;
    if (h->at_last_resort) {
        /* why none of the others could be tried says more */
    } else if (a->status == DNS_TEMPORARY || !only_host) {
        outcome_set(&h->why, OUTCOME_DEFERRED, 0, 4, 4, 3, "address of %s: %s", h->name,
                    a->reason);
    } else {
        outcome_set(&h->why, OUTCOME_FAILED, 0, 5, 1, 2, "host %s has no address: %s",
                    h->name, a->reason);
        h->last_resort = false;
    }
    tcp_hosts_next(h, h->cb, h->arg);
}

static void use_host_itself(struct tcp_hosts *h)
{
    h->mx_count = 1;
    snprintf(h->mx[0].name, sizeof h->mx[0].name, "%s", h->host);
    h->mx[0].preference = 0;
}

static void on_mx(struct worker *w, const struct dns_answer *a, void *arg)
{
    struct tcp_hosts *h = arg;
    (void)w;
    h->query = NULL;
    switch (a->status) {
    case DNS_OK:
        h->mx_count = a->mx_count;
        h->mx_secure = a->secure;
        memcpy(h->mx, a->mx, sizeof h->mx);
        if (h->channel->opts.mx != MX_MODE_IN_ORDER) {
            dns_mx_shuffle(h->mx, h->mx_count);
        }
        drop_ourselves(h);
        break;
    case DNS_NONE:
        if (a->nxdomain) {
            h->last_resort = false;
            outcome_set(&h->why, OUTCOME_FAILED, 0, 5, 1, 2, "domain %s does not exist",
                        h->host);
        } else {
            use_host_itself(h);
        }
        break;
    case DNS_NULL_MX:
        h->last_resort = false;
        outcome_set(&h->why, OUTCOME_FAILED, 556, 5, 1, 10,
                    "domain %s accepts no mail (null MX)", h->host);
        break;
    case DNS_TEMPORARY:
        outcome_set(&h->why, OUTCOME_DEFERRED, 0, 4, 4, 3, "mail exchangers of %s: %s",
                    h->host, a->reason);
        break;
    }
    tcp_hosts_next(h, h->cb, h->arg);
}

static void start(struct tcp_hosts *h)
{
    h->started = true;
    if (parse_literal(h->host, &h->address[0]) || parse_socket(h->host, &h->address[0])) {
        h->address_count = 1;
        keep_reachable(h);
        answer_later(h);
    } else if (route_wants_mx(h->channel)) {
        h->query = dns_mx(h->worker->daemon->dns, h->worker, &h->servers,
                          str_from(h->host), on_mx, h);
    } else {
        use_host_itself(h);
        tcp_hosts_next(h, h->cb, h->arg);
    }
}

static void ask_addresses(struct tcp_hosts *h)
{
    h->address_count = h->address_at = 0;
    h->query = dns_addresses(h->worker->daemon->dns, h->worker, &h->servers,
                             str_from(h->name), on_addresses, h);
}

/* The host of `lastresort`, of which only the addresses are looked up. */
static void start_last_resort(struct tcp_hosts *h)
{
    h->last_resort = false;
    h->at_last_resort = true;
    snprintf(h->name, sizeof h->name, "%.*s", STR_ARG(h->channel->opts.lastresort));
    h->address_count = h->address_at = 0;
    if (parse_literal(h->name, &h->address[0])) {
        h->name[0] = '\0';
        h->address_count = 1;
        keep_reachable(h);
        answer_later(h);
    } else if (is_ourselves(h, h->name)) {
        answer_later(h);
    } else {
        ask_addresses(h);
    }
}

void tcp_hosts_next(struct tcp_hosts *h, tcp_hosts_cb cb, void *arg)
{
    h->cb = cb;
    h->arg = arg;
    if (!h->started) {
        start(h);
    } else if (h->address_at < h->address_count) {
        answer_later(h);
    } else if (h->mx_at < h->mx_count) {
        memcpy(h->name, h->mx[h->mx_at++].name, sizeof h->name);
        ask_addresses(h);
    } else if (h->last_resort) {
        start_last_resort(h);
    } else {
        h->address_count = h->address_at = 0;
        answer_later(h);
    }
}

bool tcp_hosts_ended(const struct tcp_hosts *h)
{
    return h->ended;
}

bool tcp_hosts_left_out(const struct tcp_hosts *h)
{
    return h->left_out;
}

bool tcp_hosts_skip_to_last(struct tcp_hosts *h)
{
    if (!h->last_resort) {
        return false;
    }
    h->left_out = true;
    h->address_at = h->address_count;
    h->mx_at = h->mx_count;
    return true;
}

bool tcp_hosts_at_last(const struct tcp_hosts *h)
{
    return h->at_last_resort;
}

const char *tcp_hosts_secure_domain(const struct tcp_hosts *h)
{
    return h->mx_secure && !h->at_last_resort ? h->host : "";
}
