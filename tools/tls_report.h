/* tls_report: the commands of `pointsman tls` that need no daemon. Each returns the exit
 * code. */
#ifndef TOOLS_TLS_REPORT_H
#define TOOLS_TLS_REPORT_H

#include "tools/tool.h"

/* The policy for an address or a channel, each field with its place. */
int tls_explain(const struct invocation *in);
/* The weakest that each channel, or mail for a domain, can get. */
int tls_audit(const struct invocation *in);
/* What a host offers now. */
int tls_probe(const struct invocation *in);

#endif
