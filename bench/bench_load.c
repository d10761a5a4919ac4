/* bench_load: sends messages as fast as they are taken:
 *   bench_load [-t] [-m PER-SESSION] [-z OCTETS] PORT CONNECTIONS MESSAGES ADDRESS...
 * So many connections at a time, each with PER-SESSION messages (by default its share of
 * all), to the addresses in turn; -t: under STARTTLS. Each message has its number in the
 * field X-Bench, from 0, for bench_sink. Prints the seconds it took, and the median and
 * the 99th percentile of the milliseconds that a client waited for the last reply. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bench/bench_peer.h"

static struct {
    unsigned port, messages, per_session;
    bool tls;
    char **addresses;
    unsigned address_count;
    char *text; /* of each message, behind its number */
    size_t text_size;
    double *waited_ms; /* by message */
    SSL_CTX *ctx;
} load;
static atomic_uint next_message;

static _Noreturn void die(const char *what)
{
    fprintf(stderr, "bench_load: %s\n", what);
    exit(1);
}

void peer_failed(struct peer *p, const char *why)
{
    (void)p;
    die(why);
}

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Waits for one reply whose code begins with that digit. */
static void want(struct peer *p, char digit)
{
    char line[512];
    do {
        peer_line(p, line, sizeof line);
    } while (line[0] != '\0' && line[3] == '-');
    if (line[0] != digit) {
        die(line);
    }
}

static void say(struct peer *p, const char *text, char digit)
{
    peer_say(p, text, strlen(text));
    want(p, digit);
}

static void greet(struct peer *p)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)load.port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        die("cannot connect");
    }
    peer_begin(p, fd);
    want(p, '2');
    say(p, "EHLO bench.test\r\n", '2');
    if (load.tls) {
        say(p, "STARTTLS\r\n", '2');
        peer_tls(p, load.ctx);
        say(p, "EHLO bench.test\r\n", '2');
    }
}

static void send_message(struct peer *p, unsigned number)
{
    char text[512];
    say(p, "MAIL FROM:<bench@bench.test>\r\n", '2');
    snprintf(text, sizeof text, "RCPT TO:<%s>\r\n",
             load.addresses[number % load.address_count]);
    say(p, text, '2');
    say(p, "DATA\r\n", '3');
    snprintf(text, sizeof text, "X-Bench: %u\r\n", number);
    double began = now_ms();
    peer_say(p, text, strlen(text));
    peer_say(p, load.text, load.text_size);
    want(p, '2');
    load.waited_ms[number] = now_ms() - began;
}

/* Session after session, until there is no message left. */
static void *run(void *arg)
{
    struct peer *p = malloc(sizeof *p);
    unsigned number = atomic_fetch_add(&next_message, 1);
    (void)arg;
    if (p == NULL) {
        die("out of memory");
    }
    while (number < load.messages) {
        greet(p);
        for (unsigned i = 0; i < load.per_session && number < load.messages; i++) {
            send_message(p, number);
            number = atomic_fetch_add(&next_message, 1);
        }
        say(p, "QUIT\r\n", '2');
        peer_end(p);
    }
    free(p);
    return NULL;
}

/* A header and lines of text, the end of the message included. */
static void make_text(size_t size)
{
    static const char head[] = "Subject: bench\r\n\r\n";
    static const char line[] =
        "A line of text such as many messages have, seventy octets in all ..\r\n";
    load.text = malloc(size + sizeof head + sizeof line + 8);
    if (load.text == NULL) {
        die("out of memory");
    }
    char *to = stpcpy(load.text, head);
    do {
        to = stpcpy(to, line);
    } while ((size_t)(to - load.text) < size);
    to = stpcpy(to, ".\r\n");
    load.text_size = (size_t)(to - load.text);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void read_options(int argc, char **argv, unsigned *connections)
{
    size_t size = 100;
    int option;
    while ((option = getopt(argc, argv, "tm:z:")) != -1) {
        if (option == 't') {
            load.tls = true;
        } else if (option == 'm') {
            load.per_session = (unsigned)strtoul(optarg, NULL, 10);
        } else if (option == 'z') {
            size = strtoul(optarg, NULL, 10);
        } else {
            exit(2);
        }
    }
    if (argc - optind < 4) {
        die("usage: bench_load [-t] [-m PER-SESSION] [-z OCTETS] PORT CONNECTIONS "
            "MESSAGES ADDRESS...");
    }
    load.port = (unsigned)strtoul(argv[optind], NULL, 10);
    *connections = (unsigned)strtoul(argv[optind + 1], NULL, 10);
    load.messages = (unsigned)strtoul(argv[optind + 2], NULL, 10);
    load.addresses = argv + optind + 3;
    load.address_count = (unsigned)(argc - optind - 3);
    if (*connections == 0 || load.messages == 0) {
        die("nothing to do");
    }
    if (load.per_session == 0) {
        load.per_session = (load.messages + *connections - 1) / *connections;
    }
    make_text(size);
}

int main(int argc, char **argv)
{
    unsigned connections;
    read_options(argc, argv, &connections);
    pthread_t *threads = calloc(connections, sizeof *threads);
    load.waited_ms = calloc(load.messages, sizeof *load.waited_ms);
    load.ctx = SSL_CTX_new(TLS_client_method());
    if (threads == NULL || load.waited_ms == NULL || load.ctx == NULL) {
        die("out of memory");
    }
    double began = now_ms();
    for (unsigned i = 0; i < connections; i++) {
        if (pthread_create(&threads[i], NULL, run, NULL) != 0) {
            die("cannot start a thread");
        }
    }
    for (unsigned i = 0; i < connections; i++) {
        pthread_join(threads[i], NULL);
    }
    double took = now_ms() - began;
    qsort(load.waited_ms, load.messages, sizeof *load.waited_ms, by_size);
    printf("%.3f %.2f %.2f\n", took / 1e3, load.waited_ms[load.messages / 2],
           load.waited_ms[(size_t)(load.messages * 0.99)]);
    free(threads);
    free(load.waited_ms);
    free(load.text);
    SSL_CTX_free(load.ctx);
    return 0;
}
