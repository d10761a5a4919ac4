/* One side of an SMTP connection, as the programs of the benchmarks speak: blocking, in a
 * thread of its own, in clear or under TLS. What goes wrong ends the program (the load)
 * or the connection (the sink): see peer_failed. */
#ifndef POINTSMAN_BENCH_PEER_H
#define POINTSMAN_BENCH_PEER_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/ssl.h>

struct peer {
    int fd;
    SSL *ssl; /* NULL: in clear */
    size_t n, at;
    char buffer[65536];
};

/* The program says what happens when a connection fails; it does not return. */
_Noreturn void peer_failed(struct peer *p, const char *why);

/* Takes the descriptor over. */
void peer_begin(struct peer *p, int fd);
void peer_end(struct peer *p);

/* Turns TLS on, as the server or as the client the context is for. What came in clear
 * behind the command is not read any more. */
void peer_tls(struct peer *p, SSL_CTX *ctx);

void peer_say(struct peer *p, const char *text, size_t n);
int peer_octet(struct peer *p);

/* Reads a line, without its end; what does not fit is left out. */
void peer_line(struct peer *p, char *line, size_t size);

#endif
