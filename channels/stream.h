/* stream: one TCP connection, or one to a Unix socket, on one worker: read, write,
 * deadline, backpressure, close, with an optional TLS filter. Knows nothing of SMTP. One
 * timer. Freed in one place: when its libuv handles are closed. */
#ifndef CHANNELS_STREAM_H
#define CHANNELS_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

#include "base/str.h"
#include "router/worker.h"

struct stream;
struct tls_context;
struct tls_facts;
struct tls_wish;

/* All on the worker's loop, never inside the call that caused them. None comes after
 * stream_close() but on_closed. */
struct stream_events {
    /* Plain bytes (already decrypted), borrowed for the call. */
    void (*on_data)(struct stream *s, const char *data, size_t len, void *arg);
    /* The peer ended its side (TLS: close_notify or EOF), or the connection broke, or
     * the deadline passed: reason is constant text ("eof", "timeout", "reset", "tls:
     * ..."). Nothing more is read; the owner writes what it likes and closes. */
    void (*on_end)(struct stream *s, const char *reason, void *arg);
    /* Everything given to stream_write() has been taken by the kernel. */
    void (*on_drained)(struct stream *s, void *arg);
    /* stream_connect(): established. (A failure comes as on_end.) */
    void (*on_connected)(struct stream *s, void *arg);
    /* stream_start_tls() ended, once. On failure (the handshake's, but also when the
     * peer goes or the deadline passes during it) error says why, on_end does not come
     * any more and the stream is dead: close it. */
    void (*on_tls)(struct stream *s, bool ok, const char *error, void *arg);
    /* Last call: the stream is gone after it. */
    void (*on_closed)(struct stream *s, void *arg);
};

/* A stream on an accepted socket; reading starts with stream_resume(). Takes fd. NULL on
 * failure (fd closed). */
struct stream *stream_accept(struct worker *w, int fd, const struct stream_events *ev,
                             void *arg);
/* Begins to connect; bind_ip empty: any source address, else of the same family as to.
 * To a Unix socket (sockaddr_un, its path ending with a 0) bind_ip means nothing.
 * Reading starts by itself. timeout_ms 0: as long as the kernel tries. NULL with *error
 * (libuv code) when it cannot even begin. */
struct stream *stream_connect(struct worker *w, const struct sockaddr *to, str bind_ip,
                              unsigned timeout_ms, const struct stream_events *ev,
                              void *arg, int *error);
/* Nothing is read until it is resumed. */
void stream_pause(struct stream *s);
void stream_resume(struct stream *s);
/* Copies data; encrypts when TLS is on. Order is kept; what one turn of the loop writes
 * leaves in one piece. Ignored after on_end with a broken connection. The owner waits for
 * on_drained when stream_pending() grows: past 64 MiB the connection is given up. */
void stream_write(struct stream *s, const char *data, size_t len);
/* Bytes written but not yet taken by the kernel. */
size_t stream_pending(const struct stream *s);
/* Starts TLS after what was written has been sent; as client or server by its context;
 * wish as for tls_filter_new(). Plain bytes already read but not delivered are dropped,
 * never decrypted or delivered. What is written from now on is sent under TLS or never.
 */
void stream_start_tls(struct stream *s, struct tls_context *ctx,
                      const struct tls_wish *wish);
/* Restarts the deadline: ms from now until on_end("timeout"); 0 stops it. */
void stream_deadline(struct stream *s, unsigned ms);
/* NULL before TLS is established. */
const struct tls_facts *stream_tls(const struct stream *s);
/* The same as far as is known when a handshake failed; NULL before one began. */
const struct tls_facts *stream_tls_attempt(const struct stream *s);
/* Sends what is pending (at most linger_ms), close_notify under TLS, closes; then reads
 * and drops what the peer still sends for at most a second, so that our last reply is not
 * lost to a reset. 0: closes at once. Idempotent. */
void stream_close(struct stream *s, unsigned linger_ms);
/* Printed peer and local addresses: "192.0.2.1", and their ports; of a Unix socket empty
 * and 0. */
str stream_peer_ip(const struct stream *s);
unsigned stream_peer_port(const struct stream *s);
str stream_local_ip(const struct stream *s);
unsigned stream_local_port(const struct stream *s);

#endif
