/* tls_log: what event `tls` and others of the log tell of a session, for both sides. */
#ifndef CHANNELS_TLS_LOG_H
#define CHANNELS_TLS_LOG_H

#include "base/log.h"
#include "channels/tls.h"

/* Protocol, cipher, group, bits, whether it was resumed, and how long the handshake took
 * (docs/log.md, tls). */
void tls_log_facts(struct log_line *line, const struct tls_facts *f);

#endif
