/* bench_load: sends messages as fast as they are taken: `bench_load PORT CONNECTIONS
 * MESSAGES ADDRESS...`. Each connection sends its share one after another, to the
 * addresses in turn. Prints the seconds it took. For bench_queue.py. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/socket.h>
#include <unistd.h>

struct load {
    unsigned port, messages, first;
    char **addresses;
    unsigned address_count;
    pthread_t thread;
};

static void die(const char *what)
{
    fprintf(stderr, "bench_load: %s\n", what);
    exit(1);
}

/* Waits for one reply whose code begins with that digit. */
static void want(int fd, char digit)
{
    char reply[4096];
    size_t n = 0;
    for (;;) {
        ssize_t got = recv(fd, reply + n, sizeof reply - n, 0);
        if (got <= 0) {
            die("the connection was lost");
        }
        n += (size_t)got;
        if (n < 5 || reply[n - 1] != '\n') {
            continue;
        }
        size_t line = n - 1;
        while (line > 0 && reply[line - 1] != '\n') {
            line--;
        }
        if (reply[line + 3] == '-') {
            continue;
        }
        if (reply[line] != digit) {
            fprintf(stderr, "%.*s", (int)n, reply);
            die("refused");
        }
        return;
    }
}

static void say(int fd, const char *text, char digit)
{
    if (send(fd, text, strlen(text), MSG_NOSIGNAL) != (ssize_t)strlen(text)) {
        die("cannot send");
    }
    want(fd, digit);
}

static void *run(void *arg)
{
    struct load *l = arg;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)l->port)};
    char text[512];
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
        die("cannot connect");
    }
    want(fd, '2');
    say(fd, "EHLO bench.test\r\n", '2');
    for (unsigned i = 0; i < l->messages; i++) {
        const char *address = l->addresses[(l->first + i) % l->address_count];
        snprintf(text, sizeof text, "RCPT TO:<%s>\r\n", address);
        say(fd, "MAIL FROM:<bench@bench.test>\r\n", '2');
        say(fd, text, '2');
        say(fd, "DATA\r\n", '3');
        say(fd,
            "Subject: bench\r\n\r\nA message of a size that many have: a line or "
            "two.\r\n.\r\n",
            '2');
    }
    say(fd, "QUIT\r\n", '2');
    close(fd);
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc < 5) {
        die("usage: bench_load PORT CONNECTIONS MESSAGES ADDRESS...");
    }
    unsigned connections = (unsigned)strtoul(argv[2], NULL, 10);
    unsigned messages = (unsigned)strtoul(argv[3], NULL, 10);
    struct load *loads = calloc(connections, sizeof *loads);
    struct timespec began, ended;
    if (loads == NULL || connections == 0) {
        die("usage");
    }
    clock_gettime(CLOCK_MONOTONIC, &began);
    for (unsigned i = 0; i < connections; i++) {
        loads[i] = (struct load){.port = (unsigned)strtoul(argv[1], NULL, 10),
                                 .messages = messages / connections +
                                             (i < messages % connections),
                                 .first = i,
                                 .addresses = argv + 4,
                                 .address_count = (unsigned)argc - 4};
        if (pthread_create(&loads[i].thread, NULL, run, &loads[i]) != 0) {
            die("cannot start a thread");
        }
    }
    for (unsigned i = 0; i < connections; i++) {
        pthread_join(loads[i].thread, NULL);
    }
    clock_gettime(CLOCK_MONOTONIC, &ended);
    printf("%.3f\n", (double)(ended.tv_sec - began.tv_sec) +
                         (double)(ended.tv_nsec - began.tv_nsec) / 1e9);
    free(loads);
    return 0;
}
