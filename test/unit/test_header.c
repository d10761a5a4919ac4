#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "router/header.h"

enum { THEN_MS = 1000000000 }; /* Mon, 12 Jan 1970 13:46:40 */

struct field_case {
    const char *name;
    struct header_received r;
    const char *expected;
};

#define BASE                                                                             \
    .by = {"gate.example.com", 16}, .channel = {"tcp_local", 9}, .id = {"10003F", 6},    \
    .now_ms = THEN_MS
#define TEXT(text)                                                                       \
    {                                                                                    \
        text, sizeof(text) - 1                                                           \
    }

static const struct field_case fields[] = {
    {"TLS",
     {BASE, .helo = TEXT("mail.example.org"), .peer_ip = TEXT("192.0.2.1"), .esmtp = true,
      .tls = true, .tls_version = TEXT("TLSv1.3"),
      .tls_cipher = TEXT("TLS_AES_256_GCM_SHA384"), .recipient = TEXT("ann@example.com")},
     "Received: from mail.example.org ([192.0.2.1]) by gate.example.com\r\n"
     " (Pointsman channel tcp_local) with ESMTPS (version=TLSv1.3\r\n"
     " cipher=TLS_AES_256_GCM_SHA384) id 10003F for <ann@example.com>;\r\n"
     " Mon, 12 Jan 1970 13:46:40 +0000\r\n"},
    {"several recipients, no TLS",
     {BASE, .helo = TEXT("a.test"), .peer_ip = TEXT("192.0.2.1"), .esmtp = true},
     "Received: from a.test ([192.0.2.1]) by gate.example.com\r\n"
     " (Pointsman channel tcp_local) with ESMTP id 10003F;\r\n"
     " Mon, 12 Jan 1970 13:46:40 +0000\r\n"},
    {"HELO, IPv6, literal",
     {BASE, .helo = TEXT("[IPv6:2001:db8::1]"), .peer_ip = TEXT("2001:db8::1")},
     "Received: from [IPv6:2001:db8::1] ([IPv6:2001:db8::1]) by gate.example.com\r\n"
     " (Pointsman channel tcp_local) with SMTP id 10003F;\r\n"
     " Mon, 12 Jan 1970 13:46:40 +0000\r\n"},
    {"HELO inside TLS",
     {BASE, .helo = TEXT("a.test"), .peer_ip = TEXT("192.0.2.1"), .tls = true,
      .tls_version = TEXT("TLSv1.2"), .tls_cipher = TEXT("X")},
     "Received: from a.test ([192.0.2.1]) by gate.example.com\r\n"
     " (Pointsman channel tcp_local) with SMTP (version=TLSv1.2 cipher=X) id 10003F;\r\n"
     " Mon, 12 Jan 1970 13:46:40 +0000\r\n"},
    {"what is no name",
     {BASE, .helo = TEXT("a b)\r\nX-Evil: (\\\x01\0\xff"), .peer_ip = TEXT("192.0.2.1"),
      .esmtp = true},
     "Received: from [192.0.2.1] (helo=a?b???X-Evil:?????\?) by gate.example.com\r\n"
     " (Pointsman channel tcp_local) with ESMTP id 10003F;\r\n"
     " Mon, 12 Jan 1970 13:46:40 +0000\r\n"},
    {"name of the address",
     {BASE, .helo = TEXT("a.test"), .peer_ip = TEXT("192.0.2.1"), .esmtp = true,
      .peer_name = TEXT("mail.example.org")},
     "Received: from a.test (mail.example.org [192.0.2.1]) by gate.example.com\r\n"
     " (Pointsman channel tcp_local) with ESMTP id 10003F;\r\n"
     " Mon, 12 Jan 1970 13:46:40 +0000\r\n"},
    {"doubtful name",
     {BASE, .helo = TEXT("a.test"), .peer_ip = TEXT("192.0.2.1"), .esmtp = true,
      .peer_name = TEXT("b.test"), .name_doubted = true},
     "Received: from a.test (b.test* [192.0.2.1]) by gate.example.com\r\n"
     " (Pointsman channel tcp_local) with ESMTP id 10003F;\r\n"
     " Mon, 12 Jan 1970 13:46:40 +0000\r\n"},
    {"name only",
     {BASE, .helo = TEXT("a.test"), .peer_ip = TEXT("192.0.2.1"), .esmtp = true,
      .peer_name = TEXT("b.test"), .name_only = true},
     "Received: from a.test (b.test) by gate.example.com\r\n"
     " (Pointsman channel tcp_local) with ESMTP id 10003F;\r\n"
     " Mon, 12 Jan 1970 13:46:40 +0000\r\n"},
    {"name only, there is none",
     {BASE, .helo = TEXT("a.test"), .peer_ip = TEXT("192.0.2.1"), .esmtp = true,
      .name_only = true},
     "Received: from a.test ([192.0.2.1]) by gate.example.com\r\n"
     " (Pointsman channel tcp_local) with ESMTP id 10003F;\r\n"
     " Mon, 12 Jan 1970 13:46:40 +0000\r\n"},
    {"name only, it is none",
     {BASE, .helo = TEXT("a.test"), .peer_ip = TEXT("192.0.2.1"), .esmtp = true,
      .peer_name = TEXT("b) (c\r\nX-Evil: d"), .name_only = true},
     "Received: from a.test ([192.0.2.1]) by gate.example.com\r\n"
     " (Pointsman channel tcp_local) with ESMTP id 10003F;\r\n"
     " Mon, 12 Jan 1970 13:46:40 +0000\r\n"},
    {"neither HELO nor address",
     {BASE, .helo = TEXT("x(y"), .peer_ip = TEXT("192.0.2.1"), .esmtp = true,
      .peer_name = TEXT("b.test"), .name_only = true, .name_doubted = true},
     "Received: from [unknown] (b.test*) (helo=x?y) by gate.example.com\r\n"
     " (Pointsman channel tcp_local) with ESMTP id 10003F;\r\n"
     " Mon, 12 Jan 1970 13:46:40 +0000\r\n"},
    {"another sender",
     {BASE, .helo = TEXT("a.test"), .peer_ip = TEXT("192.0.2.1"), .esmtp = true,
      .sender = TEXT("\"a (b\"@c.test"), .recipient = TEXT("ann@example.com")},
     "Received: from a.test ([192.0.2.1]) by gate.example.com\r\n"
     " (Pointsman channel tcp_local) with ESMTP (sender was <?a??b?@c.test>)\r\n"
     " id 10003F for <ann@example.com>; Mon, 12 Jan 1970 13:46:40 +0000\r\n"},
    {"everything bad",
     {BASE, .helo = TEXT(""), .peer_ip = TEXT("\r\n"), .esmtp = true, .tls = true,
      .tls_version = TEXT("a\nb"), .tls_cipher = TEXT(")("),
      .recipient = TEXT("a\r\nb@c")},
     "Received: from [unknown] (helo=) by gate.example.com\r\n"
     " (Pointsman channel tcp_local) with ESMTPS (version=a?b cipher=?\?) id 10003F;\r\n"
     " Mon, 12 Jan 1970 13:46:40 +0000\r\n"},
};

static void test_received(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        struct arena *a = arena_new();
        str got = header_received(a, &fields[i].r);
        if (!str_eq(got, str_from(fields[i].expected))) {
            fail_msg("%s:\n%.*s", fields[i].name, STR_ARG(got));
        }
        arena_free(&a);
    }
}

/* However long and strange the texts are: one field, printable, 998 columns at most. */
static void test_received_long(void **state)
{
    (void)state;
    char junk[3000];
    struct arena *a = arena_new();
    for (unsigned seed = 0; seed < 50; seed++) {
        srand(seed);
        for (size_t i = 0; i < sizeof junk; i++) {
            junk[i] = (char)rand();
        }
        str text = str_n(junk, (size_t)(seed * 60));
        struct header_received r = {
            BASE,        .helo = text,        .peer_ip = text,    .esmtp = true,
            .tls = true, .tls_version = text, .tls_cipher = text, .recipient = text};
        str got = header_received(a, &r);
        size_t column = 0;
        assert_true(str_starts(got, STR("Received: from ")));
        for (size_t i = 0; i < got.len; i++) {
            char c = got.ptr[i];
            column++;
            if (c == '\r') {
                assert_true(got.ptr[i + 1] == '\n');
                assert_true(i + 2 == got.len || got.ptr[i + 2] == ' ');
                column = 0;
                i++;
            } else {
                assert_true(c >= ' ' && c <= '~');
            }
            assert_true(column <= 998);
        }
    }
    arena_free(&a);
}

struct scan_case {
    const char *name;
    str text;
    unsigned received;
    uint64_t size;
    bool done, eight_bit;
};

static const struct scan_case scans[] = {
    {"nothing", TEXT(""), 0, 0, false, false},
    {"one", TEXT("Received: a\r\n\r\n"), 1, 15, true, false},
    {"any case, blanks", TEXT("rEcEiVeD \t: a\r\nReceived:b\r\n\r\n"), 2, 29, true,
     false},
    {"folded", TEXT("Received: a\r\n Received: b\r\n\tReceived: c\r\n\r\n"), 1, 43, true,
     false},
    {"other names", TEXT("X-Received: a\r\nReceived-SPF: b\r\nReceive: c\r\n\r\n"), 0, 46,
     true, false},
    {"only in the body", TEXT("A: b\r\n\r\nReceived: c\r\n"), 0, 8, true, false},
    {"no header", TEXT("\r\nReceived: c\r\n"), 0, 2, true, false},
    {"not ended", TEXT("Received: a\r\nReceived"), 1, 21, false, false},
    {"no name", TEXT("Received a: b\r\nReceived b\r\n\r\n"), 0, 29, true, false},
    {"bare LF", TEXT("Received: a\nReceived: b\n\n"), 2, 25, true, false},
    {"CR in a line", TEXT("\rReceived: a\r\n\r\n"), 0, 16, true, false},
    {"8 bit in the header", TEXT("A: \xe4\r\n\r\n"), 0, 8, true, true},
    {"8 bit in the body", TEXT("\r\n12345678901234567890\x80xyz"), 0, 2, true, true},
    {"8 bit at the end", TEXT("\r\n1234567\xff"), 0, 2, true, true},
};

static void test_scan(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof scans / sizeof *scans; i++) {
        const struct scan_case *c = &scans[i];
        for (size_t piece = 1; piece <= c->text.len + 1; piece++) {
            struct header_scan h = {0};
            for (size_t at = 0; at < c->text.len; at += piece) {
                header_scan(&h, str_sub(c->text, at, piece));
            }
            if (h.received != c->received || h.size != c->size || h.done != c->done ||
                h.eight_bit != c->eight_bit) {
                fail_msg("%s in pieces of %zu: %u received, size %u, done %d, 8 bit %d",
                         c->name, piece, h.received, (unsigned)h.size, h.done,
                         h.eight_bit);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_received),
        cmocka_unit_test(test_received_long),
        cmocka_unit_test(test_scan),
    };
    return cmocka_run_group_tests_name("header", tests, NULL, NULL);
}
