/* dns_hosts: addresses from a hosts file (hosts(5)), for channels that ask no name
 * server. Belongs to the thread of the owner in dns.c. */
#ifndef ROUTER_DNS_HOSTS_H
#define ROUTER_DNS_HOSTS_H

#include "router/dns.h"

#define DNS_HOSTS_FILE "/etc/hosts"

/* Fills a with the addresses that the lines of the file at path give to name (in lower
 * case; compared case-blind, also with the aliases), in file order. None: DNS_NONE with
 * nxdomain; a file that cannot be read: TEMPORARY; no file: as an empty one. The part of
 * a line beyond 4,095 octets is not read. */
void dns_hosts_answer(const char *path, const char *name, struct dns_answer *a);

#endif
