/* refusal: what a client is told when a recipient or a session is not taken. */
#ifndef ROUTER_REFUSAL_H
#define ROUTER_REFUSAL_H

#include "router/outcome.h"
#include "tables/recipient.h"

/* The text of the 530 5.7.0 to all who speak of mail before TLS on a channel that says
 * musttlsserver (RFC 3207 4). */
#define REFUSAL_WITHOUT_TLS         "Must issue a STARTTLS command first"
#define REFUSAL_WITHOUT_CERTIFICATE "A verified client certificate is required"

/* The reply to RCPT for a recipient that is not taken. */
void refusal_outcome(const struct recipient_reply *reply, struct outcome *out);

#endif
