/* test_tls_leads: whatever becomes of a recipient, the audit of its domain has told that
 * it may go there, with no more TLS than it gets. Sites are made by chance, of all that
 * can lead mail away from where its domain seems to go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "tables/recipient.h"
#include "tables/route.h"
#include "tables/tls_audit.h"
#include "test/config/memory_loader.h"
#include "test/unit/chance.h"

enum { SITES = 300, CHANNELS = 3 };

/* ---- sites ------------------------------------------------------------------------- */

static const char *const domains[] = {"a.test",     "b.test",      "c.test",
                                      "sub.a.test", "name.b.test", "post.test",
                                      "odd.test",   "here.test",   "elsewhere.nil"};
/* of the channels: what leads there, and what else may stand in their blocks */
static const char *const hosts[CHANNELS] = {"post.test", "to-1", "to-2"};
static const char *const names[CHANNELS] = {"name.b.test", "sub.a.test", "odd.test"};
static const char *const locals[] = {"user", "joe", "desk", "own", "postmaster", "joe+x"};

/* Appends; the text is in the arena. */
#define ADD(text, ...) ((text) = add(a, text, arena_printf(a, __VA_ARGS__)))

static str add(struct arena *a, str text, str more)
{
    return arena_printf(a, "%.*s%.*s", STR_ARG(text), STR_ARG(more));
}

static const char *some_address(struct arena *a)
{
    const char *local = ONE_OF(locals);
    return arena_printf(a, "%s@%s", local, ONE_OF(domains)).ptr;
}

static str rules(struct arena *a)
{
    static const char *const ends[] = {"", "", "", "$F", "$R", "$Mtcp_0", "$Ntcp_1"};
    str text = STR("");
    for (size_t i = 0; i < sizeof domains / sizeof *domains - 2; i++) {
        for (unsigned n = number(3); n > 0; n--) {
            if (number(4) == 0) {
                ADD(text, "%s $U%%%s\n", domains[i], ONE_OF(domains));
            } else {
                ADD(text, "%s $U%%$D@%s%s\n", domains[i], ONE_OF(hosts), ONE_OF(ends));
            }
        }
    }
    ADD(text, "here.test $U%%$D@here.test\n");
    return number(2) ? ADD(text, ". $U%%$H@%s\n", ONE_OF(hosts)) : text;
}

static str channels(struct arena *a)
{
    static const char *const levels[] = {"notls", "maytlsclient", "musttlsclient",
                                         "musttlsclient tlsverifyhost"};
    static const char *const aliases[] = {"", "aliaslocal", "aliaslocal aliaspostmaster",
                                          "aliaslocal bangoverpercent"};
    static const char *const hops[] = {"", "", "", "daemon gw.test"};
    str text = STR("\nl\nhere.test\n");
    for (unsigned i = 0; i < CHANNELS; i++) {
        ADD(text, "\ntcp_%u smtp %s", i, ONE_OF(levels));
        ADD(text, " %s", ONE_OF(aliases));
        ADD(text, " %s\n%s\n", ONE_OF(hops), hosts[i]);
        if (number(2)) {
            ADD(text, "%s\n", names[i]);
        }
    }
    return text;
}

static str alias_file(struct arena *a)
{
    static const char *const keys[] = {"joe",        "desk",       "own",
                                       "postmaster", "joe@a.test", "own@b.test",
                                       "*@c.test",   "own@c.test", "desk@name.b.test"};
    unsigned at = number(3);
    str text = STR("!== aliases\n");
    for (; at < sizeof keys / sizeof *keys; at += 1 + number(4)) {
        const char *first = number(3) || keys[at][0] == '*' ? some_address(a) : keys[at];
        ADD(text, "%s: %s, %s\n", keys[at], first, some_address(a));
    }
    return text;
}

static str tables(struct arena *a)
{
    static const char *const patterns[] = {"*@a.test",      "joe@*",
                                           "*@name.b.test", "user@c.test",
                                           "own@odd.test",  "tcp_0|*@b.test"};
    static const char *const flags[] = {"$Y", "$Y$D", "$Y$D$H", "$?50?$Y$D"};
    static const char *const says[] = {"$Ylevel=must,verify=host", "$Ylevel=no,lower",
                                       "$?50?$Ylevel=must", "$Yverify=none,lower"};
    str text = STR("!== mappings\nFORWARD\n\n  x  y\n");
    for (unsigned at = number(4); at < sizeof patterns / sizeof *patterns;
         at += 1 + number(4)) {
        const char *to = some_address(a);
        ADD(text, "  %s  %s%s\n", patterns[at], to, ONE_OF(flags));
    }
    ADD(text, "\nTLS_CLIENT_POLICY\n\n");
    for (unsigned n = 1 + number(3); n > 0; n--) {
        const char *domain = ONE_OF(domains);
        ADD(text, "  *|%s|*|*|*|*  %s\n", domain, ONE_OF(says));
    }
    return text;
}

static str site(struct arena *a)
{
    static const unsigned bits[] = {0, 1, 9, 17, 65};
    str text = str_from("!== pointsman.cnf\n");
    text = add(a, text, rules(a));
    text = add(a, text, channels(a));
    ADD(text, "!== localdomains\nhere.test\n");
    ADD(text, "!== option.dat\nALIAS_DOMAINS=%u\nUSE_FORWARD_DATABASE=%u\n",
        1 + number(7), bits[number(5)]);
    text = add(a, text, alias_file(a));
    text = add(a, text, tables(a));
    const char *from = some_address(a);
    return ADD(text, "!== forward\n%s %s\n", from, some_address(a));
}

/* ---- comparing --------------------------------------------------------------------- */

static unsigned compared;

static bool is_told(const struct snapshot *s, const struct tls_leads *leads,
                    const struct route *r, enum tls_outcome got, struct arena *a)
{
    struct tls_weakest w;
    str host = route_next_hop(r->channel, &r->address);
    for (const struct tls_lead *l = leads->first; l != NULL; l = l->next) {
        tls_weakest(s, l->channel, l->host, a, &w);
        if (l->channel == r->channel && str_ieq(l->host, host) && w.outcome <= got) {
            return true;
        }
    }
    return leads->unknown != NULL;
}

static void check_recipient(const struct snapshot *s, const struct tls_leads *leads,
                            const struct recipient_request *q, struct arena *a, str text)
{
    struct recipient_answer r;
    if (recipient_resolve(q, a, &r) != RECIPIENT_TAKEN) {
        return;
    }
    for (unsigned i = 0; i < r.leaf_count; i++) {
        const struct route *route = &r.leaves[i].route;
        struct tls_client_answer answer;
        struct tls_client_query asked = {
            .snapshot = s,
            .channel = route->channel,
            .domain = route_next_hop(route->channel, &route->address)};
        if (!tls_channel_sends(route->channel) ||
            !tls_client_policy(&asked, a, &answer)) {
            continue;
        }
        compared++;
        if (!is_told(s, leads, route, tls_outcome_of(&answer.policy), a)) {
            print_error("%.*s%.*s from %.*s: %.*s by %.*s was not told\n", STR_ARG(text),
                        STR_ARG(address_print(a, &q->to)), STR_ARG(q->source->name),
                        STR_ARG(address_print(a, &route->address)),
                        STR_ARG(route->channel->name));
            fail();
        }
    }
}

/* In each form in which a client can write it, from each channel. */
static void check_domain(const struct snapshot *s, str domain, struct arena *a, str text)
{
    struct tls_leads leads;
    tls_leads_find(s, domain, a, &leads);
    for (size_t i = 0; i < sizeof locals / sizeof *locals; i++) {
        str forms[] = {
            arena_printf(a, "%s@%.*s", locals[i], STR_ARG(domain)),
            arena_printf(a, "%s%%%.*s@here.test", locals[i], STR_ARG(domain)),
            arena_printf(a, "%.*s!%s@here.test", STR_ARG(domain), locals[i]),
        };
        for (size_t n = 0; n < (sizeof forms / sizeof *forms) * s->channel_count; n++) {
            struct recipient_request q = {.snapshot = s,
                                          .source = s->channels[n % s->channel_count],
                                          .trusted = true};
            assert_null(address_parse(forms[n / s->channel_count], &q.to));
            check_recipient(s, &leads, &q, a, text);
        }
    }
}

static void test_every_way_is_told(void **state)
{
    (void)state;
    for (int n = 0; n < SITES; n++) {
        struct arena *a = arena_new();
        struct memory_loader memory;
        struct snapshot_request request = {.path = STR(MEMORY_LOADER_MAIN),
                                           .loader = &memory.loader};
        struct diags *diags;
        bool unreadable;
        str text = site(a);
        memory_loader_init(&memory, text);
        struct snapshot *s = snapshot_load(&request, a, &diags, &unreadable);
        if (s == NULL) {
            print_error("%.*s%.*s\n", STR_ARG(text), STR_ARG(diags_first(diags)->text));
            fail();
        }
        check_domain(s, str_from(ONE_OF(domains)), a, text);
        snapshot_unref(&s);
        arena_free(&a);
    }
    assert_true(compared > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every_way_is_told)};
    return cmocka_run_group_tests_name("tls_leads", tests, NULL, NULL);
}
