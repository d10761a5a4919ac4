/* dns_fixture: see the header. Answers the first question of a packet. */
#include "test/unit/dns_fixture.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    TYPE_A = 1,
    TYPE_CNAME = 5,
    TYPE_SOA = 6,
    TYPE_PTR = 12,
    TYPE_MX = 15,
    TYPE_AAAA = 28
};
enum { NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, SILENT };

/* A record, or (data NULL) what every question of that type for name gets; type 0: any
 * type. Of one name and type all records are sent in this order. */
static const struct {
    const char *name;
    int type;
    const char *data;
    int rcode;
} zone[] = {
    {"order.test", TYPE_MX, "20 C.Partner.Test", 0},
    {"order.test", TYPE_MX, "10 b.partner.test", 0},
    {"order.test", TYPE_MX, "5 first.partner.test", 0},
    {"equal.test", TYPE_MX, "10 a.test", 0},
    {"equal.test", TYPE_MX, "10 b.test", 0},
    {"equal.test", TYPE_MX, "10 c.test", 0},
    {"null.test", TYPE_MX, "0 .", 0},
    {"mixed.test", TYPE_MX, "0 .", 0},
    {"mixed.test", TYPE_MX, "10 192.0.2.1", 0},
    {"mixed.test", TYPE_MX, "10 a b.test", 0},
    {"mixed.test", TYPE_MX, "20 good.test", 0},
    {"useless.test", TYPE_MX, "10 192.0.2.1", 0},
    {"useless.test", TYPE_MX, "10 x\ny.test", 0},
    {"alias.test", TYPE_CNAME, "order.test", 0},
    {"none.test", 0, NULL, NOERROR},
    {"gone.test", 0, NULL, NXDOMAIN},
    {"fail.test", 0, NULL, SERVFAIL},
    {"refused.test", 0, NULL, REFUSED},
    {"silent.test", 0, NULL, SILENT},
    {"host.test", TYPE_A, "192.0.2.1", 0},
    {"host.test", TYPE_A, "192.0.2.2", 0},
    {"host.test", TYPE_A, "192.0.2.3", 0},
    {"host.test", TYPE_AAAA, "2001:db8::1", 0},
    {"v4.test", TYPE_A, "192.0.2.4", 0},
    {"v6.test", TYPE_AAAA, "2001:db8::6", 0},
    {"half.test", TYPE_A, "192.0.2.5", 0},
    {"half.test", TYPE_AAAA, NULL, SERVFAIL},
    {"doubt.test", TYPE_A, NULL, SERVFAIL},
    {"doubt.test", TYPE_AAAA, NULL, NOERROR},
    {"nick.test", TYPE_CNAME, "host.test", 0},
    {"10.0.0.127.in-addr.arpa", TYPE_PTR, "Client.Test", 0},
    {"11.0.0.127.in-addr.arpa", TYPE_PTR, "bad(name).test", 0},
    {"11.0.0.127.in-addr.arpa", TYPE_PTR, "192.0.2.1", 0},
    {"11.0.0.127.in-addr.arpa", TYPE_PTR, "second.test", 0},
    {"12.0.0.127.in-addr.arpa", TYPE_PTR, "x y.test", 0},
    {"13.0.0.127.in-addr.arpa", 0, NULL, NOERROR},
    {"14.0.0.127.in-addr.arpa", 0, NULL, SERVFAIL},
    {"15.0.0.127.in-addr.arpa", 0, NULL, SILENT},
    {"16.0.0.127.in-addr.arpa", TYPE_CNAME, "16.0-31.0.0.127.in-addr.arpa", 0},
    {"16.0-31.0.0.127.in-addr.arpa", TYPE_PTR, "delegated.test", 0},
    {"7.0.168.192.in-addr.arpa", TYPE_PTR, "inside.test", 0},
    {"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", TYPE_PTR,
     "six.test", 0},
};

struct packet {
    unsigned char at[4096];
    size_t len;
};

static void put8(struct packet *p, unsigned v)
{
    if (p->len < sizeof p->at) {
        p->at[p->len++] = (unsigned char)v;
    }
}

static void put16(struct packet *p, unsigned v)
{
    put8(p, v >> 8);
    put8(p, v & 0xff);
}

static void put_name(struct packet *p, const char *name)
{
    while (*name != '\0' && strcmp(name, ".") != 0) {
        size_t label = strcspn(name, ".");
        put8(p, (unsigned)label);
        for (size_t i = 0; i < label; i++) {
            put8(p, (unsigned char)name[i]);
        }
        name += label + (name[label] == '.');
    }
    put8(p, 0);
}

static void put_rdata(struct packet *p, int type, const char *data)
{
    unsigned char ip[16];
    if (type == TYPE_A || type == TYPE_AAAA) {
        inet_pton(type == TYPE_A ? AF_INET : AF_INET6, data, ip);
        for (int i = 0; i < (type == TYPE_A ? 4 : 16); i++) {
            put8(p, ip[i]);
        }
    } else if (type == TYPE_CNAME || type == TYPE_PTR) {
        put_name(p, data);
    } else if (type == TYPE_MX) {
        unsigned preference = 0;
        int skip = 0;
        sscanf(data, "%u %n", &preference, &skip);
        put16(p, preference);
        /* 192.0.2.1 is four labels, as a careless administrator writes it. */
        put_name(p, data + skip);
    } else {
        put_name(p, "ns.test");
        put_name(p, "root.test");
        for (int i = 0; i < 5; i++) {
            put16(p, 0);
            put16(p, 60);
        }
    }
}

static void put_record(struct packet *p, const char *name, int type, const char *data)
{
    put_name(p, name);
    put16(p, (unsigned)type);
    put16(p, 1);
    put16(p, 0);
    put16(p, 300);
    size_t length_at = p->len;
    put16(p, 0);
    put_rdata(p, type, data);
    size_t length = p->len - length_at - 2;
    p->at[length_at] = (unsigned char)(length >> 8);
    p->at[length_at + 1] = (unsigned char)length;
}

/* Adds the answers to one question; returns the rcode. */
static int answer(struct packet *p, const char *name, int type, unsigned *count)
{
    int rcode = NXDOMAIN;
    if (strcasecmp(name, "many.test") == 0 && type == TYPE_MX) {
        for (int i = 0; i < 40; i++) {
            char mx[64];
            snprintf(mx, sizeof mx, "%d m%d.many.test", 100 - i, i);
            put_record(p, name, TYPE_MX, mx);
            ++*count;
        }
        return NOERROR;
    }
    for (size_t i = 0; i < sizeof zone / sizeof *zone; i++) {
        if (strcasecmp(zone[i].name, name) != 0) {
            continue;
        }
        if (zone[i].data == NULL && (zone[i].type == 0 || zone[i].type == type)) {
            return zone[i].rcode;
        }
        rcode = NOERROR;
        if (zone[i].type == type || zone[i].type == TYPE_CNAME) {
            put_record(p, name, zone[i].type, zone[i].data);
            ++*count;
        }
        if (zone[i].type == TYPE_CNAME) {
            return answer(p, zone[i].data, type, count);
        }
    }
    return rcode;
}

/* Reads the question; false if it is none we understand. */
static bool read_question(const unsigned char *in, size_t len, char *name, int *type,
                          size_t *end)
{
    size_t at = 12, n = 0;
    name[0] = '\0';
    while (at < len && in[at] != 0) {
        size_t label = in[at++];
        if (label > 63 || at + label > len || n + label + 2 > 255) {
            return false;
        }
        if (n > 0) {
            name[n++] = '.';
        }
        memcpy(name + n, in + at, label);
        n += label;
        at += label;
        name[n] = '\0';
    }
    if (at + 5 > len) {
        return false;
    }
    *type = in[at + 1] << 8 | in[at + 2];
    *end = at + 5;
    return true;
}

static void serve(struct dns_fixture *f)
{
    unsigned char in[4096];
    struct sockaddr_storage from;
    socklen_t from_len = sizeof from;
    ssize_t len = recvfrom(f->fd, in, sizeof in, 0, (struct sockaddr *)&from, &from_len);
    char name[256];
    int type;
    size_t end;
    if (len < 12 || !read_question(in, (size_t)len, name, &type, &end)) {
        return;
    }
    atomic_fetch_add(&f->asked, 1);
    struct packet p = {.len = end};
    memcpy(p.at, in, end);
    unsigned answers = 0, soa = 0;
    int rcode = answer(&p, name, type, &answers);
    if (rcode == SILENT) {
        return;
    }
    if (answers == 0 && (rcode == NOERROR || rcode == NXDOMAIN)) {
        put_record(&p, "test", TYPE_SOA, "");
        soa = 1;
    }
    p.at[2] = 0x85; /* an answer, authoritative, recursion desired */
    p.at[3] = (unsigned char)(0x80 | rcode);
    p.at[4] = 0;
    p.at[5] = 1;
    p.at[6] = (unsigned char)(answers >> 8);
    p.at[7] = (unsigned char)answers;
    p.at[8] = 0;
    p.at[9] = (unsigned char)soa;
    p.at[10] = p.at[11] = 0; /* without EDNS */
    (void)!sendto(f->fd, p.at, p.len, 0, (struct sockaddr *)&from, from_len);
}

static void run(void *arg)
{
    struct dns_fixture *f = arg;
    for (;;) {
        struct pollfd fds[] = {{.fd = f->fd, .events = POLLIN},
                               {.fd = f->stop[0], .events = POLLIN}};
        if (poll(fds, 2, -1) < 0 || fds[1].revents != 0) {
            return;
        }
        serve(f);
    }
}

bool dns_fixture_init(struct dns_fixture *f, const char *ip)
{
    memset(f, 0, sizeof *f);
    struct sockaddr_storage at = {0};
    bool six = strchr(ip, ':') != NULL;
    if (six) {
        uv_ip6_addr(ip, 0, (struct sockaddr_in6 *)&at);
    } else {
        uv_ip4_addr(ip, 0, (struct sockaddr_in *)&at);
    }
    socklen_t len = six ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    f->fd = socket(at.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (f->fd < 0 || bind(f->fd, (struct sockaddr *)&at, len) != 0 ||
        getsockname(f->fd, (struct sockaddr *)&at, &len) != 0 || pipe(f->stop) != 0) {
        if (f->fd >= 0) {
            close(f->fd);
        }
        return false;
    }
    f->port = ntohs(six ? ((struct sockaddr_in6 *)&at)->sin6_port
                        : ((struct sockaddr_in *)&at)->sin_port);
    return uv_thread_create(&f->thread, run, f) == 0;
}

void dns_fixture_free(struct dns_fixture *f)
{
    close(f->stop[1]);
    uv_thread_join(&f->thread);
    close(f->stop[0]);
    close(f->fd);
}
