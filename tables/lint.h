/* lint: the parts of lint_snapshot(), what is said when everything is known. All of them
 * are linear in the size of the configuration. Internal to tables/. */
#ifndef TABLES_LINT_H
#define TABLES_LINT_H

#include "tables/compile.h"
#include "tables/leads.h"

/* Rules that lead nowhere, or never apply. */
void lint_rules(struct compile *c);
/* Repeat rules that lead to each other. */
void lint_loops(struct compile *c);
/* Switches that lead nowhere, and TLS without a certificate. */
void lint_tls(struct compile *c, const struct reach *reach);
/* Certificates of clients that nobody can verify, or that nobody asks for. */
void lint_tls_peers(struct compile *c, const struct reach *reach);
/* tls_access_check.c: entries of TLS_PEER_ACCESS that no handshake comes to, and switches
 * of both tables that lead to channels which only send. */
void lint_tls_access(struct compile *c, const struct reach *reach);
/* Channels that nothing leads to, that nothing serves, or that are open to the world. */
void lint_channels(struct compile *c, const struct leads *leads);

#endif
