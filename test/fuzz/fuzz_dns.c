/* Fuzzes what comes out of the DNS: the input is a reply's records, each behind an octet
 * that tells its length. Names that get through are host names, and a Received field
 * stays one line of printable ASCII whatever they are. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/check.h"
#include "router/dns_answer.h"
#include "router/header.h"

enum { RECORDS_MAX = 64 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_name(const char *name)
{
    char again[DNS_NAME_SIZE];
    check(dns_name_normalise(str_from(name), again));
    check(strcmp(name, again) == 0);
}

static void check_mx(const struct dns_part *part)
{
    struct dns_answer *a = calloc(1, sizeof *a);
    check(a);
    dns_answer_mx(a, "x.test", part);
    check((a->status == DNS_OK) == (a->mx_count > 0));
    for (unsigned i = 0; i < a->mx_count; i++) {
        check_name(a->mx[i].name);
        check(i == 0 || a->mx[i].preference >= a->mx[i - 1].preference);
    }
    dns_mx_shuffle(a->mx, a->mx_count);
    for (unsigned i = 1; i < a->mx_count; i++) {
        check(a->mx[i].preference >= a->mx[i - 1].preference);
    }
    free(a);
}

static void check_received(str name)
{
    struct arena *arena = arena_new();
    struct header_received r = {.helo = STR("client.test"),
                                .peer_ip = STR("192.0.2.1"),
                                .peer_name = name,
                                .by = STR("here.test"),
                                .channel = STR("tcp_local"),
                                .id = STR("1")};
    str field = header_received(arena, &r);
    for (size_t i = 0; i + 2 < field.len; i++) {
        char c = field.ptr[i];
        bool fold = c == '\r' && field.ptr[i + 1] == '\n' && field.ptr[i + 2] == ' ';
        check((c >= ' ' && c <= '~') || fold || (c == '\n' && field.ptr[i + 1] == ' '));
    }
    arena_free(&arena);
}

static void check_reverse(const struct dns_part *part)
{
    struct dns_answer *a = calloc(1, sizeof *a);
    check(a);
    dns_answer_name(a, "x.test", part);
    check((a->status == DNS_OK) == (a->name[0] != '\0'));
    if (a->status == DNS_OK) {
        check_name(a->name);
    }
    free(a);
}

static void check_addresses(const struct dns_part *part)
{
    struct dns_answer *a = calloc(1, sizeof *a);
    check(a);
    dns_answer_addresses(a, "x.test", part, part);
    check((a->status == DNS_OK) == (a->address_count > 0));
    free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *rdata[RECORDS_MAX];
    int len[RECORDS_MAX];
    struct dns_part part = {.status = DNS_OK, .rdata = rdata, .rdata_len = len};

    check_received(str_n((const char *)data, size));
    while (size > 0 && part.count < RECORDS_MAX) {
        size_t n = data[0] < size - 1 ? data[0] : size - 1;
        rdata[part.count] = (const char *)data + 1;
        len[part.count++] = (int)n;
        data += n + 1;
        size -= n + 1;
    }
    check_mx(&part);
    check_reverse(&part);
    check_addresses(&part);
    return 0;
}
