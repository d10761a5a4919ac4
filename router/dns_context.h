/* dns_context: libunbound resolver contexts, one per distinct server list and trust
 * anchor, kept and reused. Belongs to the thread of the owner in dns.c. */
#ifndef ROUTER_DNS_CONTEXT_H
#define ROUTER_DNS_CONTEXT_H

#include <stdbool.h>
#include <unbound.h>
#include <uv.h>

#include "router/dns.h"

/* How names are resolved is one string, so that it can be compared and copied:
 * SERVERS "|" ANCHOR-FILE, where SERVERS is "IP@port,IP@port", "system" (resolv.conf) or
 * "system+hosts" (/etc/hosts first) and no anchor file means no validation. */
struct dns_context {
    struct ub_ctx *ub;
    uv_poll_t poll;
    char *setup;      /* and the dates of the files it was made from */
    unsigned open;    /* questions being asked */
    uint64_t used_ms; /* loop time of the last question */
    struct dns_context *next;
};

struct dns_contexts {
    uv_loop_t *loop;
    struct dns_context *first;
    unsigned count;
};

/* Prints that string; returns its length. Without servers of their own names are resolved
 * as the system does, with hosts by /etc/hosts first: that file knows addresses only, and
 * libunbound would say of its names that they have no MX. */
size_t dns_setup_print(const struct dns_servers *servers, bool hosts, char *out,
                       size_t size);

/* The context for setup, made if there is none; its answers are processed by the loop.
 * NULL with a reason: no such anchor file, too many contexts, out of descriptors. */
struct dns_context *dns_context_get(struct dns_contexts *all, const char *setup,
                                    char *reason, size_t reason_size);
/* Ends all: callbacks of open questions do not come any more. The handles close in the
 * next turns of the loop. */
void dns_contexts_free(struct dns_contexts *all);

#endif
