/* tls_view: what a driver tells of the certificates it uses, for `pointsman tls
 * contexts`, `pointsman status` and the warnings before they expire. */
#ifndef ROUTER_TLS_VIEW_H
#define ROUTER_TLS_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* Times are milliseconds since 1970. */
struct tls_view_certificate {
    str file;        /* path, or URI without what may be a PIN */
    str sni;         /* the name it is shown for; empty: it is for all others */
    str subject;     /* RFC 4514 */
    str names;       /* "DNS:mail.example.com, IP:192.0.2.1"; empty: none */
    str fingerprint; /* "sha256:..." of the certificate */
    int64_t not_before_ms, not_after_ms;
};

/* One profile in one role. */
struct tls_view {
    str profile;       /* "*" for the one under all */
    bool server;       /* shown to clients; else to next hops */
    bool in_force;     /* new sessions get it; else old ones still have it */
    unsigned sessions; /* that have it now */
    int64_t loaded_ms; /* when its files were read */
    const struct tls_view_certificate *certificates;
    unsigned count;
};

/* Borrowed for the call, in which nothing else of the driver may be asked. */
typedef void tls_view_cb(const struct tls_view *v, void *arg);

/* The step of the warnings that a certificate has reached: 30, 14, 7, 3 or 1 days that
 * are left at most, 0 when it has expired; -1 while there is time. A step longer than a
 * third of its life does not count: a certificate of six days always is within a week. */
int tls_view_step(int64_t not_before_ms, int64_t not_after_ms, int64_t now_ms);

#endif
