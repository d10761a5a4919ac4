/* tls_fixture: certificates and keys made for one test run, in a folder of its own. */
#ifndef TEST_UNIT_TLS_FIXTURE_H
#define TEST_UNIT_TLS_FIXTURE_H

#include "channels/tls.h"

struct tls_fixture {
    char folder[64];
    char cert[128], key[128];   /* a pair that is in order */
    struct tls_profile profile; /* [*], which names that pair */
    struct tls_item cert_item, key_item;
    const struct tls_profile *profiles[1];
    struct snapshot snapshot; /* only its tls part is filled */
    struct tls_contexts *contexts;
    struct tls_context *server, *client;
};

/* A snapshot with the profile of a fixture; cert and key may be NULL. */
void tls_fixture_snapshot(struct tls_fixture *f, const char *cert, const char *key);
/* Makes folder, pair and both contexts; false with a message on standard error. */
bool tls_fixture_init(struct tls_fixture *f);
/* Removes all again. */
void tls_fixture_free(struct tls_fixture *f);

/* Writes a new self-signed certificate valid from now + from_s to now + to_s and its
 * key, encrypted if a passphrase is given; either path may be NULL. */
bool tls_fixture_pair(const char *cert, const char *key, long from_s, long to_s,
                      const char *passphrase);
/* The same for a host; rsa: with an RSA key, else EC. usage: its extended key usage, as
 * "clientAuth"; NULL: none is said. */
bool tls_fixture_host(const char *cert, const char *key, const char *host, bool rsa,
                      const char *usage);

#endif
