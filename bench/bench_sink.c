/* bench_sink: next hops for bench_queue.py, each on an address of its own: `bench_sink
 * ADDRESS PORT good|slow|tarpit`. good takes everything; slow reads messages at one octet
 * a second; tarpit sends its greeting at one octet a second and never ends it. A thread
 * serves a connection. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static enum { GOOD, SLOW, TARPIT } mode;

struct session {
    int fd;
    size_t n, at;
    char buffer[65536];
};

static void end(struct session *s)
{
    close(s->fd);
    free(s);
    pthread_exit(NULL);
}

static void say(struct session *s, const char *text)
{
    if (send(s->fd, text, strlen(text), MSG_NOSIGNAL) < 0) {
        end(s);
    }
}

static int octet(struct session *s)
{
    if (s->at == s->n) {
        ssize_t got = recv(s->fd, s->buffer, sizeof s->buffer, 0);
        if (got <= 0) {
            end(s);
        }
        s->n = (size_t)got;
        s->at = 0;
    }
    return (unsigned char)s->buffer[s->at++];
}

/* To the line with a single dot. */
static void message(struct session *s)
{
    static const char last[] = "\r\n.\r\n";
    size_t matched = 2;
    while (matched < sizeof last - 1) {
        int c = octet(s);
        matched = c == last[matched] ? matched + 1 : c == '\r' ? 1 : 0;
        if (mode == SLOW) {
            sleep(1);
        }
    }
}

static void *serve(void *arg)
{
    struct session *s = arg;
    char verb[5];
    if (mode == TARPIT) {
        say(s, "220-");
        for (;;) {
            say(s, "x");
            sleep(1);
        }
    }
    say(s, "220 sink\r\n");
    for (;;) {
        size_t n = 0;
        int c;
        while ((c = octet(s)) != '\n') {
            if (n < sizeof verb - 1) {
                verb[n++] = (char)c;
            }
        }
        verb[n] = '\0';
        if (strcmp(verb, "DATA") == 0) {
            say(s, "354 go on\r\n");
            message(s);
        } else if (strcmp(verb, "QUIT") == 0) {
            say(s, "221 bye\r\n");
            end(s);
        }
        say(s,
            strcmp(verb, "EHLO") == 0 ? "250-sink\r\n250 PIPELINING\r\n" : "250 ok\r\n");
    }
    return NULL;
}

int main(int argc, char **argv)
{
    struct sockaddr_in at = {.sin_family = AF_INET};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    if (argc != 4 || inet_pton(AF_INET, argv[1], &at.sin_addr) != 1) {
        fprintf(stderr, "usage: bench_sink ADDRESS PORT good|slow|tarpit\n");
        return 2;
    }
    at.sin_port = htons((uint16_t)atoi(argv[2]));
    mode = strcmp(argv[3], "slow") == 0     ? SLOW
           : strcmp(argv[3], "tarpit") == 0 ? TARPIT
                                            : GOOD;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 500) != 0) {
        perror("bench_sink");
        return 1;
    }
    for (;;) {
        struct session *s = malloc(sizeof *s);
        pthread_t thread;
        if (s == NULL || (s->fd = accept(fd, NULL, NULL)) < 0) {
            return 1;
        }
        s->n = s->at = 0;
        setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (pthread_create(&thread, NULL, serve, s) != 0) {
            return 1;
        }
        pthread_detach(thread);
    }
}
