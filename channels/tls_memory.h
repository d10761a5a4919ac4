/* tls_memory: what TLS with next hops was like lately (`tlsremember`): it worked, or it
 * was broken. One for all workers, handed on when the configuration is loaded again; not
 * kept on disk. Bounded: what was noted longest ago goes first. */
#ifndef CHANNELS_TLS_MEMORY_H
#define CHANNELS_TLS_MEMORY_H

#include <stdint.h>

#include "base/str.h"

enum { TLS_MEMORY_MAX = 16384 };

enum tls_memory_kind {
    TLS_MEMORY_WORKED, /* a message was handed over, or refused, under TLS */
    TLS_MEMORY_BROKEN  /* STARTTLS was refused, or the handshake failed */
};

/* A host is a name, or an address where there is none, in any case of letters; broken is
 * a fact of one address of it under one profile, too. */
struct tls_memory_host {
    enum tls_memory_kind kind;
    str name;
    unsigned port;
    str ip, profile; /* BROKEN only */
};

struct tls_memory;

/* Empty, with one reference; never NULL. The last reference frees it; *m is cleared. */
struct tls_memory *tls_memory_new(void);
struct tls_memory *tls_memory_ref(struct tls_memory *m);
void tls_memory_unref(struct tls_memory **m);
/* It is so now. Any thread. */
void tls_memory_note(struct tls_memory *m, const struct tls_memory_host *h);
/* Seconds since it was so; -1: nothing is known. Any thread. */
int64_t tls_memory_age_s(struct tls_memory *m, const struct tls_memory_host *h);
/* Moves its clock forward; for tests. */
void tls_memory_age(struct tls_memory *m, int64_t seconds);

#endif
