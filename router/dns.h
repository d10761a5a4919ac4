/* dns: asynchronous MX and address answers by libunbound. One resolver context per
 * distinct server list and trust anchor, in one owner shared by all workers; answers
 * are posted to the asking worker. Never blocks. */
#ifndef ROUTER_DNS_H
#define ROUTER_DNS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/str.h"
#include "parser/keywords.h"
#include "router/worker.h"
#include "tables/snapshot.h"

enum { DNS_MX_MAX = 32, DNS_ADDRESS_MAX = 32 };

enum dns_status {
    DNS_OK,
    DNS_NONE,      /* the name does not exist, or has no such record: permanent */
    DNS_NULL_MX,   /* RFC 7505: takes no mail */
    DNS_TEMPORARY, /* SERVFAIL, timeout, bogus: try later */
};

/* Whom a question is asked for: how long it may take, and whose share of the open ones it
 * counts in. */
enum dns_purpose {
    DNS_FOR_DELIVERY, /* 30 s */
    DNS_FOR_CLIENT,   /* a client waits: DNS_CLIENT_TIMEOUT_MS; at most half of all */
    DNS_PURPOSES
};
enum { DNS_CLIENT_TIMEOUT_MS = 2500 };

struct dns_mx {
    char name[256]; /* lower case, no trailing dot */
    unsigned preference;
};
struct dns_answer {
    enum dns_status status;
    bool secure;      /* all of it validated by DNSSEC (only with an anchor) */
    char reason[160]; /* for NONE and TEMPORARY */
    /* dns_mx(): sorted by preference, equal ones in the order received: the caller
     * shuffles. No MX record but an existing name gives DNS_NONE: the caller then uses
     * the name itself. */
    struct dns_mx mx[DNS_MX_MAX];
    unsigned mx_count;
    /* dns_addresses(): IPv6 and IPv4 in turn (RFC 8305 4), port 0 */
    struct sockaddr_storage address[DNS_ADDRESS_MAX];
    unsigned address_count;
    char name[256]; /* dns_reverse(): lower case, no trailing dot */
    bool nxdomain;  /* with DNS_NONE: the name itself does not exist */
};

/* Starts the owner (a thread with its own loop). NULL with a reason. */
struct dns *dns_start(struct log *log, char *reason, size_t reason_size);
/* Before the first question only: how long one for a delivery may take, how many may be
 * open at once (default 4096); more are answered TEMPORARY at once. */
void dns_set_limits(struct dns *d, unsigned timeout_ms, unsigned open_max);
/* Stops it; open questions are answered TEMPORARY first: the answers are posted, so stop
 * it before the workers' loops. Clears *d. */
void dns_stop(struct dns **d);

struct dns_servers {
    const struct nameserver *list; /* copied */
    unsigned count;                /* 0: the system's (resolv.conf) */
    str anchor_file;               /* empty: no validation */
    bool hosts_only;               /* addresses from /etc/hosts, nothing is asked */
    enum dns_purpose purpose;
};
struct dns_query;
typedef void (*dns_cb)(struct worker *w, const struct dns_answer *answer, void *arg);
/* Ask; cb comes once on w's loop, never inside the call, in the time of its purpose.
 * The answer is valid during the callback, the query until it. Names are taken in any
 * case, with or without a trailing dot; what is no host name gives NONE. An address
 * literal, plain or in brackets, is its own address. */
struct dns_query *dns_mx(struct dns *d, struct worker *w,
                         const struct dns_servers *servers, str name, dns_cb cb,
                         void *arg);
struct dns_query *dns_addresses(struct dns *d, struct worker *w,
                                const struct dns_servers *servers, str name, dns_cb cb,
                                void *arg);
/* The name of an IP address, IPv4 or IPv6 as text (RFC 1035 3.5, RFC 3596 2.5). Of
 * several the first that is a host name; one that is none, or that looks like an address,
 * is as good as none. Not checked in any way: it is whatever the owner of the address
 * says. */
struct dns_query *dns_reverse(struct dns *d, struct worker *w,
                              const struct dns_servers *servers, str ip, dns_cb cb,
                              void *arg);
/* Brings the hosts of equal preference in a sorted list into a random order, as RFC 5321
 * 5.1 asks for. */
void dns_mx_shuffle(struct dns_mx *mx, unsigned count);
/* Reads the file of DNSSEC_ANCHOR, if there is one, as a question would; what is wrong is
 * an error naming file and reason. Without it the first sign would be a queue that does
 * not move. */
bool dns_check_anchor(const struct snapshot *s, struct diags *d);

/* The callback will not come. Call on w's loop; *q is cleared. */
void dns_cancel(struct dns_query **q);

#endif
