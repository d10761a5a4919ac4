/* bench_sink: next hops for the benchmarks:
 *   bench_sink [-t CERTIFICATE KEY] [-n MESSAGES] ADDRESS PORT good|slow|tarpit
 * good takes everything; slow reads messages at one octet a second; tarpit sends its
 * greeting at one octet a second and never ends it. -t: offers STARTTLS. -n: ends when it
 * has each of so many messages of bench_load, or at SIGTERM, and prints how many it has,
 * how many of them came again, and how many connections it took. A thread serves a
 * connection. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench/bench_peer.h"

static enum { GOOD, SLOW, TARPIT } mode;
static SSL_CTX *tls;

/* What -n counts, under the lock. */
static struct {
    pthread_mutex_t lock;
    unsigned wanted, have, again, sessions;
    unsigned char *seen; /* by number */
} count = {.lock = PTHREAD_MUTEX_INITIALIZER};

void peer_failed(struct peer *p, const char *why)
{
    (void)why;
    peer_end(p);
    free(p);
    pthread_exit(NULL);
}

static void say(struct peer *p, const char *text)
{
    peer_say(p, text, strlen(text));
}

/* Tells what was counted, and ends; under the lock. */
static _Noreturn void tell(void)
{
    printf("%u %u %u\n", count.have, count.again, count.sessions);
    fflush(stdout);
    _exit(0);
}

static void arrived(unsigned number)
{
    pthread_mutex_lock(&count.lock);
    if (number < count.wanted) {
        count.have += count.seen[number] == 0;
        count.again += count.seen[number] != 0;
        count.seen[number] = 1;
    }
    pthread_mutex_unlock(&count.lock);
}

/* To the line with a single dot. Returns the message's number, UINT_MAX if it has none.
 */
static unsigned message(struct peer *p)
{
    static const char field[] = "X-Bench: ";
    unsigned number = (unsigned)-1;
    char line[128];
    if (mode == SLOW) {
        for (;;) {
            peer_octet(p);
            sleep(1);
        }
    }
    for (;;) {
        peer_line(p, line, sizeof line);
        if (strcmp(line, ".") == 0) {
            return number;
        }
        if (strncmp(line, field, sizeof field - 1) == 0) {
            number = (unsigned)strtoul(line + sizeof field - 1, NULL, 10);
        }
    }
}

static void take_message(struct peer *p)
{
    say(p, "354 go on\r\n");
    unsigned number = message(p);
    if (count.wanted > 0) {
        arrived(number);
    }
    say(p, "250 ok\r\n");
    pthread_mutex_lock(&count.lock);
    if (count.wanted > 0 && count.have == count.wanted) {
        tell();
    }
    pthread_mutex_unlock(&count.lock);
}

static void session(struct peer *p)
{
    char line[512];
    say(p, "220 sink\r\n");
    for (;;) {
        peer_line(p, line, sizeof line);
        if (strncasecmp(line, "DATA", 4) == 0) {
            take_message(p);
        } else if (strncasecmp(line, "QUIT", 4) == 0) {
            say(p, "221 bye\r\n");
            return;
        } else if (strncasecmp(line, "STARTTLS", 8) == 0 && tls != NULL) {
            say(p, "220 go on\r\n");
            peer_tls(p, tls);
        } else if (strncasecmp(line, "EHLO", 4) == 0) {
            say(p, tls != NULL && p->ssl == NULL
                       ? "250-sink\r\n250-STARTTLS\r\n250 PIPELINING\r\n"
                       : "250-sink\r\n250 PIPELINING\r\n");
        } else {
            say(p, "250 ok\r\n");
        }
    }
}

static void *serve(void *arg)
{
    struct peer *p = arg;
    if (mode == TARPIT) {
        say(p, "220-");
        for (;;) {
            say(p, "x");
            sleep(1);
        }
    }
    session(p);
    peer_end(p);
    free(p);
    return NULL;
}

/* SIGTERM comes to this thread alone. */
static void *until_told(void *arg)
{
    int number;
    sigwait(arg, &number);
    pthread_mutex_lock(&count.lock);
    tell();
}

static _Noreturn void usage(void)
{
    fprintf(stderr, "usage: bench_sink [-t CERTIFICATE KEY] [-n MESSAGES] ADDRESS PORT "
                    "good|slow|tarpit\n");
    exit(2);
}

static void load_tls(const char *certificate, const char *key)
{
    tls = SSL_CTX_new(TLS_server_method());
    if (tls == NULL || SSL_CTX_use_certificate_chain_file(tls, certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM) != 1) {
        fprintf(stderr, "bench_sink: cannot load the certificate\n");
        exit(1);
    }
}

/* Returns the index of the first word behind the options. */
static int read_options(int argc, char **argv)
{
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "-t") == 0 && i + 2 < argc) {
            load_tls(argv[i + 1], argv[i + 2]);
            i += 2;
        } else if (strcmp(argv[i], "-n") == 0 && i + 1 < argc) {
            count.wanted = (unsigned)strtoul(argv[++i], NULL, 10);
            count.seen = calloc(count.wanted, 1);
        } else {
            usage();
        }
    }
    return i;
}

static int listening(const char *address, const char *port)
{
    struct sockaddr_in at = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)atoi(port))};
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    if (inet_pton(AF_INET, address, &at.sin_addr) != 1) {
        usage();
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) != 0 || listen(fd, 500) != 0) {
        perror("bench_sink");
        exit(1);
    }
    return fd;
}

int main(int argc, char **argv)
{
    static sigset_t ends;
    pthread_t thread;
    int first = read_options(argc, argv);
    if (argc - first != 3) {
        usage();
    }
    int fd = listening(argv[first], argv[first + 1]);
    mode = strcmp(argv[first + 2], "slow") == 0     ? SLOW
           : strcmp(argv[first + 2], "tarpit") == 0 ? TARPIT
                                                    : GOOD;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ends, NULL);
    signal(SIGPIPE, SIG_IGN);
    if (pthread_create(&thread, NULL, until_told, &ends) != 0) {
        return 1;
    }
    for (;;) {
        struct peer *p = malloc(sizeof *p);
        int got = accept(fd, NULL, NULL);
        if (p == NULL || got < 0) {
            return 1;
        }
        peer_begin(p, got);
        pthread_mutex_lock(&count.lock);
        count.sessions++;
        pthread_mutex_unlock(&count.lock);
        if (pthread_create(&thread, NULL, serve, p) != 0) {
            return 1;
        }
        pthread_detach(thread);
    }
}
