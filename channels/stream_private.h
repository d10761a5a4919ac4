/* stream_private: what stream.c (the bytes, the end) and stream_open.c (the beginning)
 * share. Nobody else includes it. */
#ifndef CHANNELS_STREAM_PRIVATE_H
#define CHANNELS_STREAM_PRIVATE_H

#include <netinet/in.h>
#include <uv.h>

#include "base/buf.h"
#include "channels/stream.h"

/* What an owner that ignores stream_pending() may let pend. */
enum { STREAM_PENDING_MAX = 64 * 1024 * 1024 };

enum stream_tls_state { STREAM_CLEAR, STREAM_HANDSHAKE, STREAM_TLS, STREAM_TLS_FAILED };

struct stream {
    struct worker *worker;
    struct stream_events ev;
    void *arg;

    union {
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe; /* a Unix socket */
    } uv;
    bool is_pipe;
    uv_timer_t timer;
    uv_idle_t turn; /* on while something is to be done in the next turn of the loop */
    unsigned handles_open;
    uv_connect_t connect_req;
    uv_write_t write_req;
    uv_shutdown_t shutdown_req;

    struct buf out;     /* plain bytes to be encrypted once TLS is established */
    struct buf wire;    /* bytes to be sent as they are */
    struct buf sending; /* lent to write_req */
    struct buf plain;   /* decrypted, not yet given to the owner */

    enum stream_tls_state tls;
    bool tls_was_established;
    struct tls_filter *filter;

    bool connecting, reading, paused;
    bool writing;     /* write_req is in use */
    bool broken;      /* nothing can be sent any more */
    bool read_over;   /* the peer's side has ended */
    bool drain_due;   /* on_drained is owed when nothing is pending */
    bool tls_due;     /* on_tls(false) is owed */
    bool ended;       /* on_end was called */
    bool end_at_once; /* tell the end even to an owner that paused */
    bool closing, shut_sent, finished, silent;
    const char *end_reason; /* owed or told; NULL: none */
    char reason_text[288];

    char peer_ip[INET6_ADDRSTRLEN], local_ip[INET6_ADDRSTRLEN];
    unsigned peer_port, local_port;
};

/* Something is to be done that must not happen inside the present call. */
void stream_schedule(struct stream *s);
/* Tells the owner what is owed, in order. Only from the loop. */
void stream_deliver(struct stream *s);
/* Closes the handles; stream.c frees it when they are closed. */
void stream_finish(struct stream *s);
/* The deadline has passed, or the time to linger. */
void stream_on_timer(uv_timer_t *t);
/* The words for a code of libuv. */
const char *stream_reason(int code);

#endif
