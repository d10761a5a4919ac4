/* tls: OpenSSL contexts made from a snapshot's files, and TLS as a byte filter over
 * memory buffers. One context per profile and role, shared by all workers; when files
 * have changed new ones take their places, old sessions finish with theirs. TLS 1.2 and
 * 1.3 only; no renegotiation, no compression (RFC 9325). */
#ifndef CHANNELS_TLS_H
#define CHANNELS_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/diag.h"
#include "router/tls_view.h"
#include "tables/snapshot.h"

struct tls_context;  /* of one profile and role; counted */
struct tls_contexts; /* all of one configuration */

/* What of the files that the profiles name is looked at. */
enum tls_files {
    TLS_FILES_ALL,   /* all must be in order */
    TLS_FILES_CHECK, /* as ALL, but a key that this user may not read is only a warning */
    TLS_FILES_NONE   /* none: for a machine that has none */
};

/* Opens what the profiles of the snapshot name and builds their contexts; reports all
 * faults with their places. before: those of the configuration in force, from which is
 * taken over what a profile that is the same still may use; NULL: there are none. NULL
 * after errors. */
struct tls_contexts *tls_contexts_new(const struct snapshot *s,
                                      const struct tls_contexts *before, struct diags *d);
void tls_contexts_free(struct tls_contexts **c);
/* A new reference to what is in force now; any thread. server: NULL when the profile has
 * no certificate. */
struct tls_context *tls_contexts_server(const struct tls_contexts *c,
                                        const struct tls_profile *p);
struct tls_context *tls_contexts_client(const struct tls_contexts *c,
                                        const struct tls_profile *p);
/* Has the profile groups_retry? */
bool tls_context_has_other_groups(const struct tls_context *c);
bool tls_context_is_server(const struct tls_context *c);
/* Would what a session of this context of the profile has proven be proven now? Yes, if
 * all that the profile says is the same, and its CAs are; our own certificate as a server
 * does not matter. Any thread. */
bool tls_contexts_alike(const struct tls_contexts *c, const struct tls_profile *p,
                        const struct tls_context *used);
/* Has the profile a certificate for clients? */
bool tls_contexts_serves(const struct tls_contexts *c, const struct tls_profile *p);

/* The next two from one thread at a time.
 * Called about once a second; true when files have changed since they were read, and then
 * did not change for a call, or do so all the time. Folders count as changed when files
 * come or go; stores behind a URI other than "file:" and the CAs of the system never. */
bool tls_contexts_tend(struct tls_contexts *c);
/* Builds each context anew from its files; s is the snapshot they were made from. One
 * that has a fault, which is reported, stays as it was: false. */
bool tls_contexts_renew(struct tls_contexts *c, const struct snapshot *s,
                        struct diags *d);
/* Tells of those of c, by profile, then of others that sessions still have. Any thread.
 */
void tls_contexts_each(const struct tls_contexts *c, tls_view_cb *each, void *arg);

/* One more reference, and one fewer; the last one frees. Clears *c. Any thread. */
struct tls_context *tls_context_ref(struct tls_context *c);
void tls_context_unref(struct tls_context **c);

/* For `pointsman check`: builds and drops the contexts. False after errors. */
bool tls_check(const struct snapshot *s, enum tls_files files, struct diags *d);

/* --- the filter --- */
struct tls_filter;
enum tls_step { TLS_STEP_MORE, TLS_STEP_DONE, TLS_STEP_CLOSED, TLS_STEP_FAILED };

enum {
    TLS_NAMES_MAX = 2,
    TLS_NAME_MAX = 1024 /* bytes of a name in a certificate that are kept */
};

/* What is wanted of a session. */
struct tls_wish {
    str host; /* client: for SNI; empty or an address: none */
    /* Of the peer's certificate. A server says NO or CA: then it asks for a certificate,
     * and goes on whatever comes; the facts tell. Such a session is not resumed, so that
     * they are always those of today. */
    enum tls_verify verify;
    /* Names the certificate may be for (TRY, HOST); or an address, which stands alone. */
    str names[TLS_NAMES_MAX];
    bool other_groups; /* client: offer those of groups_retry, if the profile has them */
};

/* What is known of a session; texts are "" where there is nothing. Those of the peer may
 * hold any bytes but NUL. */
struct tls_facts {
    char version[16]; /* "TLSv1.3" */
    char cipher[64];  /* "TLS_AES_256_GCM_SHA384" */
    char group[32];   /* of the key exchange */
    int bits;         /* of the cipher, those that count ... */
    int bits_alg;     /* ... and those its algorithm has */
    bool pq;          /* the group withstands quantum computers */
    bool resumed;
    bool answered;            /* client: a ServerHello came */
    uint64_t handshake_ns;    /* how long it took */
    char sni[256];            /* client: what we asked for; server: what was asked for */
    enum tls_verify verified; /* what is proven of the peer: NO, CA, HOST or FP */
    char verify_error[256];   /* why not, where something was wanted */
    char subject[TLS_NAME_MAX], issuer[TLS_NAME_MAX]; /* of the peer's certificate, RFC
                                                         4514 */
    bool names_cut;                                   /* one of them is longer */
    char spki[72];                                    /* "sha256:..." of its public key */
};

/* A session, client or server as the context is. The wish is copied; a server may do
 * without (NULL). */
struct tls_filter *tls_filter_new(struct tls_context *c, const struct tls_wish *wish);
void tls_filter_free(struct tls_filter **f);
/* Gives encrypted bytes from the peer (len 0: just go on). Appends bytes to send to
 * `wire` and decrypted ones to `plain`. MORE: handshake or session goes on; DONE: the
 * handshake was completed by this call; CLOSED: close_notify came; FAILED: see
 * tls_filter_error(). */
enum tls_step tls_filter_in(struct tls_filter *f, const char *data, size_t len,
                            struct buf *wire, struct buf *plain);
/* Encrypts; only after DONE. */
enum tls_step tls_filter_out(struct tls_filter *f, const char *data, size_t len,
                             struct buf *wire);
/* Appends close_notify. */
void tls_filter_shut(struct tls_filter *f, struct buf *wire);
const char *tls_filter_error(const struct tls_filter *f); /* one line, for the log */
/* Complete after DONE; after FAILED what was known by then. */
const struct tls_facts *tls_filter_facts(const struct tls_filter *f);

#endif
