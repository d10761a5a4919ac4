/* dns_answer: what comes out of the DNS is a peer's input: every name is checked, every
 * count bounded, before anything else sees it. */
#include "router/dns_answer.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

enum { DNS_MX_CONSIDERED = 256, DNS_LABEL_MAX = 63, DNS_NAME_MAX = 253 };

void dns_answer_fail(struct dns_answer *a, enum dns_status status, const char *fmt, ...)
{
    a->status = status;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(a->reason, sizeof a->reason, fmt, ap);
    va_end(ap);
    for (char *c = a->reason; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ' || (unsigned char)*c >= 0x7f) {
            *c = '?';
        }
    }
}

/* --- names --- */

static bool is_name_char(char c)
{
    return ascii_is_alnum(c) || c == '-' || c == '_';
}

bool dns_name_normalise(str name, char out[DNS_NAME_SIZE])
{
    if (name.len > 0 && name.ptr[name.len - 1] == '.') {
        name.len--;
    }
    if (name.len == 0 || name.len > DNS_NAME_MAX) {
        return false;
    }
    size_t label = 0;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (c == '.' ? label == 0 : !is_name_char(c) || ++label > DNS_LABEL_MAX) {
            return false;
        }
        label = c == '.' ? 0 : label;
        out[i] = ascii_lower(c);
    }
    out[name.len] = '\0';
    return label > 0;
}

/* Reads a name in network format, which must be all of data; "" for the root. Labels
 * are not printed with escapes: a name that would need them is of no use for mail. */
static bool name_from_wire(const char *data, size_t len, char out[DNS_NAME_SIZE])
{
    size_t at = 0, n = 0;
    out[0] = '\0';
    while (at < len && data[at] != 0) {
        size_t label = (unsigned char)data[at++];
        if (label > DNS_LABEL_MAX || label > len - at || n + label + 1 > DNS_NAME_MAX) {
            return false;
        }
        if (n > 0) {
            out[n++] = '.';
        }
        for (size_t i = 0; i < label; i++) {
            if (!is_name_char(data[at + i])) {
                return false;
            }
            out[n++] = ascii_lower(data[at + i]);
        }
        at += label;
        out[n] = '\0';
    }
    return at + 1 == len;
}

/* --- MX --- */

static bool mx_parse(const char *data, int len, struct dns_mx *mx)
{
    if (len < 3) {
        return false;
    }
    mx->preference = (unsigned)(unsigned char)data[0] << 8 | (unsigned char)data[1];
    return name_from_wire(data + 2, (size_t)len - 2, mx->name);
}

/* Of pointers into one array: equal preferences stay in its order. */
static int mx_order(const void *a, const void *b)
{
    const struct dns_mx *x = *(const struct dns_mx *const *)a;
    const struct dns_mx *y = *(const struct dns_mx *const *)b;
    if (x->preference != y->preference) {
        return x->preference > y->preference ? 1 : -1;
    }
    return (x > y) - (x < y);
}

static void mx_shuffle(struct dns_mx *mx, unsigned n)
{
    for (unsigned i = n; i > 1; i--) {
        uint32_t random = 0;
        if (getrandom(&random, sizeof random, GRND_NONBLOCK) != sizeof random) {
            return; /* early at boot: the order of the server will do */
        }
        unsigned j = random % i;
        struct dns_mx t = mx[i - 1];
        mx[i - 1] = mx[j];
        mx[j] = t;
    }
}

void dns_mx_shuffle(struct dns_mx *mx, unsigned count)
{
    for (unsigned from = 0, to; from < count; from = to) {
        for (to = from + 1; to < count && mx[to].preference == mx[from].preference;) {
            to++;
        }
        mx_shuffle(mx + from, to - from);
    }
}

/* "10 192.0.2.1." is a common slip; following it would let a zone aim our connections
 * at any address without any name to show for it (RFC 5321 5.1: a host name). */
static bool name_is_address(const char *name)
{
    unsigned char bytes[sizeof(struct in_addr)];
    return inet_pton(AF_INET, name, bytes) == 1;
}

/* The usable records of part into mx (room for DNS_MX_CONSIDERED). */
static unsigned mx_collect(const struct dns_part *part, struct dns_mx *mx)
{
    unsigned n = 0;
    for (unsigned i = 0; i < part->count && n < DNS_MX_CONSIDERED; i++) {
        /* "." beside others is a mistake (RFC 7505 3): left out. */
        if (mx_parse(part->rdata[i], part->rdata_len[i], &mx[n]) &&
            mx[n].name[0] != '\0' && !name_is_address(mx[n].name)) {
            n++;
        }
    }
    return n;
}

static bool part_is_null_mx(const struct dns_part *part)
{
    struct dns_mx mx;
    return part->count == 1 && mx_parse(part->rdata[0], part->rdata_len[0], &mx) &&
           mx.name[0] == '\0';
}

static void mx_take_best(struct dns_answer *a, const struct dns_mx *mx, unsigned n)
{
    const struct dns_mx *order[DNS_MX_CONSIDERED];
    for (unsigned i = 0; i < n; i++) {
        order[i] = &mx[i];
    }
    qsort(order, n, sizeof *order, mx_order);
    a->status = DNS_OK;
    a->mx_count = n < DNS_MX_MAX ? n : DNS_MX_MAX;
    for (unsigned i = 0; i < a->mx_count; i++) {
        a->mx[i] = *order[i];
    }
}

static void answer_mx_records(struct dns_answer *a, const char *name,
                              const struct dns_part *part)
{
    struct dns_mx *mx = calloc(DNS_MX_CONSIDERED, sizeof *mx);
    if (mx == NULL) {
        dns_answer_fail(a, DNS_TEMPORARY, "out of memory");
        return;
    }
    unsigned n = mx_collect(part, mx);
    if (n == 0) {
        dns_answer_fail(a, DNS_TEMPORARY, "no MX record of %s names a usable host", name);
    } else {
        mx_take_best(a, mx, n);
    }
    free(mx);
}

void dns_answer_mx(struct dns_answer *a, const char *name, const struct dns_part *part)
{
    a->secure = part->secure;
    a->nxdomain = part->nxdomain;
    if (part->status == DNS_TEMPORARY) {
        dns_answer_fail(a, DNS_TEMPORARY, "MX of %s: %s", name, part->why);
    } else if (part->nxdomain) {
        dns_answer_fail(a, DNS_NONE, "domain %s does not exist", name);
    } else if (part->count == 0) {
        dns_answer_fail(a, DNS_NONE, "%s has no MX record", name);
    } else if (part_is_null_mx(part)) {
        dns_answer_fail(a, DNS_NULL_MX, "%s accepts no mail (null MX)", name);
    } else {
        answer_mx_records(a, name, part);
    }
}

/* --- addresses --- */

static void answer_add_v4(struct dns_answer *a, const void *bytes)
{
    struct sockaddr_in *to = (struct sockaddr_in *)&a->address[a->address_count++];
    to->sin_family = AF_INET;
    memcpy(&to->sin_addr, bytes, sizeof to->sin_addr);
}

static void answer_add_v6(struct dns_answer *a, const void *bytes)
{
    struct sockaddr_in6 *to = (struct sockaddr_in6 *)&a->address[a->address_count++];
    to->sin6_family = AF_INET6;
    memcpy(&to->sin6_addr, bytes, sizeof to->sin6_addr);
}

void dns_answer_add(struct dns_answer *a, const void *bytes, size_t size)
{
    if (a->address_count == DNS_ADDRESS_MAX) {
        return;
    }
    if (size == sizeof(struct in_addr)) {
        answer_add_v4(a, bytes);
    } else {
        answer_add_v6(a, bytes);
    }
}

/* The next record of the right size at or after *at; NULL when none is left. */
static const char *part_next(const struct dns_part *part, unsigned *at, int size)
{
    while (*at < part->count) {
        unsigned i = (*at)++;
        if (part->rdata_len[i] == size) {
            return part->rdata[i];
        }
    }
    return NULL;
}

static void answer_mix(struct dns_answer *a, const struct dns_part *v6,
                       const struct dns_part *v4)
{
    unsigned at6 = 0, at4 = 0;
    bool more = true;
    while (more) {
        const char *six = part_next(v6, &at6, sizeof(struct in6_addr));
        if (six != NULL && a->address_count < DNS_ADDRESS_MAX) {
            answer_add_v6(a, six);
        }
        const char *four = part_next(v4, &at4, sizeof(struct in_addr));
        if (four != NULL && a->address_count < DNS_ADDRESS_MAX) {
            answer_add_v4(a, four);
        }
        more = (six != NULL || four != NULL) && a->address_count < DNS_ADDRESS_MAX;
    }
}

void dns_answer_addresses(struct dns_answer *a, const char *name,
                          const struct dns_part *v6, const struct dns_part *v4)
{
    a->secure = v6->secure && v4->secure;
    answer_mix(a, v6, v4);
    if (a->address_count > 0) {
        a->status = DNS_OK;
    } else if (v4->status == DNS_TEMPORARY || v6->status == DNS_TEMPORARY) {
        dns_answer_fail(a, DNS_TEMPORARY, "address of %s: %s", name,
                        v4->status == DNS_TEMPORARY ? v4->why : v6->why);
    } else if (v4->nxdomain || v6->nxdomain) {
        a->nxdomain = true;
        dns_answer_fail(a, DNS_NONE, "host %s does not exist", name);
    } else {
        dns_answer_fail(a, DNS_NONE, "%s has no address", name);
    }
}

bool dns_answer_literal(str text, struct dns_answer *a)
{
    bool bracketed = text.len >= 2 && text.ptr[0] == '[' && text.ptr[text.len - 1] == ']';
    if (bracketed) {
        text = str_sub(text, 1, text.len - 2);
    }
    if (bracketed && str_istarts(text, STR("IPv6:"))) {
        text = str_from_pos(text, 5);
    }
    char ip[INET6_ADDRSTRLEN];
    if (text.len == 0 || text.len >= sizeof ip) {
        return false;
    }
    memcpy(ip, text.ptr, text.len);
    ip[text.len] = '\0';
    unsigned char bytes[sizeof(struct in6_addr)];
    if (inet_pton(AF_INET, ip, bytes) == 1) {
        answer_add_v4(a, bytes);
    } else if (inet_pton(AF_INET6, ip, bytes) == 1) {
        answer_add_v6(a, bytes);
    } else {
        return false;
    }
    a->status = DNS_OK;
    return true;
}

/* --- names of addresses --- */

bool dns_reverse_name(str ip, char out[DNS_NAME_SIZE])
{
    char text[INET6_ADDRSTRLEN];
    unsigned char b[sizeof(struct in6_addr)];
    if (ip.len >= sizeof text) {
        return false;
    }
    memcpy(text, ip.ptr, ip.len);
    text[ip.len] = '\0';
    if (inet_pton(AF_INET, text, b) == 1) {
        snprintf(out, DNS_NAME_SIZE, "%u.%u.%u.%u.in-addr.arpa", b[3], b[2], b[1], b[0]);
        return true;
    }
    if (inet_pton(AF_INET6, text, b) != 1) {
        return false;
    }
    size_t n = 0;
    for (size_t i = sizeof b; i > 0; i--) {
        n += (size_t)snprintf(out + n, DNS_NAME_SIZE - n, "%x.%x.", b[i - 1] & 0xfu,
                              (unsigned)b[i - 1] >> 4);
    }
    snprintf(out + n, DNS_NAME_SIZE - n, "ip6.arpa");
    return true;
}

void dns_answer_name(struct dns_answer *a, const char *name, const struct dns_part *part)
{
    a->secure = part->secure;
    a->nxdomain = part->nxdomain;
    if (part->status == DNS_TEMPORARY) {
        dns_answer_fail(a, DNS_TEMPORARY, "name of %s: %s", name, part->why);
        return;
    }
    for (unsigned i = 0; i < part->count; i++) {
        size_t len = (size_t)part->rdata_len[i];
        if (name_from_wire(part->rdata[i], len, a->name) && a->name[0] != '\0' &&
            !name_is_address(a->name)) {
            a->status = DNS_OK;
            return;
        }
    }
    a->name[0] = '\0';
    dns_answer_fail(a, DNS_NONE,
                    part->count > 0 ? "%s names no usable host" : "%s has no PTR record",
                    name);
}
