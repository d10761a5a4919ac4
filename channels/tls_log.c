/* tls_log: see tls_log.h. */
#include "channels/tls_log.h"

void tls_log_facts(struct log_line *line, const struct tls_facts *f)
{
    log_cstr(line, "version", f->version);
    log_cstr(line, "cipher", f->cipher);
    log_int(line, "bits", f->bits);
    log_int(line, "bits_alg", f->bits_alg);
    log_cstr(line, "group", f->group[0] ? f->group : NULL);
    log_cstr(line, "pq", f->pq ? "yes" : "no");
    log_cstr(line, "resumed", f->resumed ? "yes" : "no");
    log_duration_ms(line, "handshake_ms", f->handshake_ns);
}
