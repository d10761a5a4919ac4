/* control_tls: what is said of certificates by `tls contexts` and in `status`, for people
 * and as fields. Reads only. */
#ifndef ROUTER_CONTROL_TLS_H
#define ROUTER_CONTROL_TLS_H

#include "base/buf.h"
#include "router/renewal.h"

enum { CONTROL_TLS_MAX = 256 * 1024 };

/* Appends lines to text and the JSON member `contexts`, with a comma before it, to
 * fields. What does not fit is left out, and counted in `contexts_left_out`. */
void control_tls(const struct renewal *r, int64_t now_ms, struct buf *text,
                 struct buf *fields);
/* For `status`: what could not be read, and what expires: members certificate_error (with
 * certificate_error_s, its age) and certificates_expiring, the latter always there. */
void control_tls_status(const struct renewal *r, int64_t now_ms, struct buf *text,
                        struct buf *fields);

#endif
