#include "bench/bench_peer.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

void peer_begin(struct peer *p, int fd)
{
    int one = 1;
    p->fd = fd;
    p->ssl = NULL;
    p->n = p->at = 0;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
}

void peer_end(struct peer *p)
{
    if (p->ssl != NULL) {
        SSL_shutdown(p->ssl);
        SSL_free(p->ssl);
    }
    close(p->fd);
}

void peer_tls(struct peer *p, SSL_CTX *ctx)
{
    p->n = p->at = 0;
    p->ssl = SSL_new(ctx);
    if (p->ssl == NULL || SSL_set_fd(p->ssl, p->fd) != 1) {
        peer_failed(p, "cannot begin TLS");
    }
    int ok = SSL_is_server(p->ssl) ? SSL_accept(p->ssl) : SSL_connect(p->ssl);
    if (ok != 1) {
        peer_failed(p, "TLS failed");
    }
}

void peer_say(struct peer *p, const char *text, size_t n)
{
    while (n > 0) {
        ssize_t sent = p->ssl != NULL ? SSL_write(p->ssl, text, (int)n)
                                      : send(p->fd, text, n, MSG_NOSIGNAL);
        if (sent <= 0) {
            peer_failed(p, "the connection was lost");
        }
        text += sent;
        n -= (size_t)sent;
    }
}

int peer_octet(struct peer *p)
{
    if (p->at == p->n) {
        ssize_t got = p->ssl != NULL ? SSL_read(p->ssl, p->buffer, sizeof p->buffer)
                                     : recv(p->fd, p->buffer, sizeof p->buffer, 0);
        if (got <= 0) {
            peer_failed(p, "the connection was lost");
        }
        p->n = (size_t)got;
        p->at = 0;
    }
    return (unsigned char)p->buffer[p->at++];
}

void peer_line(struct peer *p, char *line, size_t size)
{
    size_t n = 0;
    int c;
    while ((c = peer_octet(p)) != '\n') {
        if (c != '\r' && n < size - 1) {
            line[n++] = (char)c;
        }
    }
    line[n] = '\0';
}
