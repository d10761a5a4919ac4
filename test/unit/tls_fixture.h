/* tls_fixture: certificates and keys made for one test run, in a folder of its own. */
#ifndef TEST_UNIT_TLS_FIXTURE_H
#define TEST_UNIT_TLS_FIXTURE_H

#include "channels/tls.h"

struct tls_fixture {
    char folder[64];
    char cert[128], key[128]; /* a pair that is in order */
    struct snapshot snapshot; /* names that pair; only its tls part is filled */
    struct tls_context *server, *client;
};

/* Makes folder, pair and both contexts; false with a message on standard error. */
bool tls_fixture_init(struct tls_fixture *f);
/* Removes all again. */
void tls_fixture_free(struct tls_fixture *f);

/* Writes a new self-signed certificate valid from now + from_s to now + to_s and its
 * key, encrypted if a passphrase is given; either path may be NULL. */
bool tls_fixture_pair(const char *cert, const char *key, long from_s, long to_s,
                      const char *passphrase);

#endif
