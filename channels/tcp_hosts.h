/* tcp_hosts: the addresses of a next hop, one after another, as far as IP_ACCESS lets
 * them be tried: literal, Unix socket, MX hosts by preference, or the name itself (RFC
 * 5321 5.1, RFC 7505); then the channel's `lastresort` host. Asks the DNS only for what
 * is tried. Ourselves in an MX list ends the list there, and so does any answer for good
 * (no such domain, no address, null MX): `lastresort` is a further MX host, for mail that
 * would only have to wait. */
#ifndef CHANNELS_TCP_HOSTS_H
#define CHANNELS_TCP_HOSTS_H

#include <stdbool.h>
#include <sys/socket.h>

#include "router/outcome.h"
#include "router/worker.h"
#include "tables/snapshot.h"

struct tcp_hosts;

/* The next address to try: `name` is its host name ("" for a literal), address has the
 * channel's port set. NULL address: there is no (further) one; *why says what an
 * attempt that had no address at all comes to. Borrowed for the call. */
typedef void (*tcp_hosts_cb)(const struct sockaddr *address, const char *name,
                             const struct outcome *why, void *arg);

/* snapshot and channel are borrowed until tcp_hosts_free(); host is copied. */
struct tcp_hosts *tcp_hosts_new(struct worker *w, const struct snapshot *s,
                                const struct channel *c, str host);
/* Cancels what is outstanding; no callback comes any more. Clears *h. */
void tcp_hosts_free(struct tcp_hosts **h);
/* Asks for the next address; cb comes once, never inside the call. */
void tcp_hosts_next(struct tcp_hosts *h, tcp_hosts_cb cb, void *arg);
/* True when a host was passed over because its addresses cannot be looked up now: it
 * might have taken the message. */
bool tcp_hosts_left_out(const struct tcp_hosts *h);
/* True when IP_ACCESS ended the walk: then *why counts, whatever other addresses said. */
bool tcp_hosts_ended(const struct tcp_hosts *h);
/* Passes over all that is left before the host of `lastresort`, which counts as left out;
 * false, and nothing is passed over, if there is none or it has been asked for. */
bool tcp_hosts_skip_to_last(struct tcp_hosts *h);
/* True when what was asked for last is of the host of `lastresort`. */
bool tcp_hosts_at_last(const struct tcp_hosts *h);

/* The domain the hosts are for, when DNSSEC has proven that they are: then their
 * certificates may be for it, too. "" otherwise. */
const char *tcp_hosts_secure_domain(const struct tcp_hosts *h);

#endif
