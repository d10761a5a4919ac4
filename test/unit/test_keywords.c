/* Tests of the keyword and option tables: every known word has a row, look-up, slips. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "parser/channel_opts.h"
#include "parser/options.h"

static void rows_are_sorted(void **state)
{
    (void)state;
    for (size_t i = 1; keyword_at(i) != NULL; i++) {
        const char *before = keyword_at(i - 1)->name, *name = keyword_at(i)->name;
        if (strcmp(before, name) >= 0) {
            fail_msg("'%s' must stand before '%s'", name, before);
        }
    }
    assert_null(keyword_at(KEYWORD_COUNT));
}

/* Look-up folds case, so that order must hold too. */
static void rows_are_found(void **state)
{
    (void)state;
    for (size_t i = 0; keyword_at(i) != NULL; i++) {
        assert_ptr_equal(keyword_find(str_from(keyword_at(i)->name)), keyword_at(i));
        assert_int_equal(keyword_at(i)->id, i);
        assert_non_null(keyword_at(i)->text);
        assert_true(keyword_at(i)->text[0] != '\0');
    }
}

static void known_words_have_rows(void **state)
{
    char path[512], line[128];
    const char *top = getenv("top_srcdir");
    unsigned names = 0;
    (void)state;
    snprintf(path, sizeof path, "%s/test/config/keyword-names.txt", top ? top : ".");
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f) != NULL) {
        str name = str_trim(str_from(line));
        if (name.len == 0 || name.ptr[0] == '#') {
            continue;
        }
        if (keyword_find(name) == NULL) {
            fail_msg("'%.*s' has no row", STR_ARG(name));
        }
        names++;
    }
    fclose(f);
    assert_int_equal(names, 377);
}

static void looks_up_words(void **state)
{
    static const struct {
        const char *word, *found;
    } cases[] = {
        {"musttls", "musttls"},
        {"MustTLSClient", "musttlsclient"},
        {"733", "733"},
        {"sourcespamfilter2", "sourcespamfilterX"},
        {"sourcespamfilter12optin", "sourcespamfilterXoptin"},
        {"destinationspamfilterX", "destinationspamfilterX"},
        {"sourcespamfilter", NULL},
        {"sourcespamfilter1x", NULL},
        {"733x", NULL},
        {"mustlsclient", NULL},
        {"", NULL},
        {"port25", NULL},
        {"sensitivitycompanyconfidential", "sensitivitycompanyconfidential"},
        /* significant to 32 characters */
        {"sensitivitycompanyconfidentialxyz", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct keyword *k = keyword_find(str_from(cases[i].word));
        if (cases[i].found == NULL) {
            assert_null(k);
        } else {
            assert_non_null(k);
            assert_string_equal(k->name, cases[i].found);
        }
    }
}

static void finds_security_slips(void **state)
{
    static const struct {
        const char *word, *meant;
    } cases[] = {
        {"mustlsclient", "musttlsclient"},
        {"notlsserer", "notlsserver"},
        {"tlswitchchannel", "tlsswitchchannel"},
        {"MUSTLS", "musttls"},
        {"musttlsclients", "musttlsclient"},
        {"switchchanel", "switchchannel"},
        {"mustsaslserverr", "mustsaslserver"},
        {"swtchchanne", "switchchannel"},
        {"loging", NULL},
        {"swtchchann", NULL}, /* three away */
        {"tcp_local", NULL},
        {"25", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct keyword *k = keyword_security_slip(str_from(cases[i].word));
        if (cases[i].meant == NULL) {
            assert_null(k);
        } else {
            assert_non_null(k);
            assert_string_equal(k->name, cases[i].meant);
        }
    }
    assert_string_equal(keyword_nearest(STR("loging"), 2)->name, "logging");
    assert_null(keyword_nearest(STR("completely-else"), 2));
}

/* What is meant to keep mail out must never be a mere warning. */
static void restrictions_fail_closed(void **state)
{
    static const char *const words[] = {"mustsasl",       "mustsaslserver",
                                        "mustsaslclient", "sourcefilter",
                                        "channelfilter",  "sourcespamfilter1"};
    (void)state;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        assert_int_equal(keyword_find(str_from(words[i]))->status, KEYWORD_RESTRICTS);
    }
    assert_int_equal(option_find(OPTION_SERVICE, STR("ENABLE_RBL"))->status,
                     KEYWORD_RESTRICTS);
}

static void built_in_values(void **state)
{
    struct channel_opts o;
    (void)state;
    channel_opts_init(&o);
    assert_int_equal(o.tls_server, TLS_LEVEL_NO);
    assert_int_equal(o.tls_client, TLS_LEVEL_NO);
    assert_int_equal(o.ip_switch, IP_SWITCH_ALLOW);
    assert_int_equal(o.mx, MX_MODE_DEFAULT);
    assert_int_equal(o.port, 25);
    assert_false(o.logging);
    assert_int_equal(o.tlsswitchchannel.len, 0);
    assert_int_equal(o.nameserver_count, 0);
    assert_int_equal(o.port_at.source, 0);
}

static void options_are_found_in_their_file(void **state)
{
    (void)state;
    for (size_t i = 0; option_at(i) != NULL; i++) {
        const struct option_row *o = option_at(i);
        assert_ptr_equal(option_find(o->file, str_from(o->name)), o);
    }
    assert_non_null(option_find(OPTION_SERVICE, STR("tls_port")));
    assert_null(option_find(OPTION_SITE, STR("TLS_PORT")));
    assert_string_equal(option_nearest(OPTION_SITE, STR("WORKER"), 2)->name, "WORKERS");
    assert_null(option_nearest(OPTION_SITE, STR("XYZZY"), 2));
}

/* A row that sets a field is known by it, or a word overridden on its line would not be
 * found (overrides.c). */
static void honoured_words_have_places(void **state)
{
    struct channel_opts o;
    const struct keyword *k;
    (void)state;
    channel_opts_init(&o);
    for (size_t i = 0; (k = keyword_at(i)) != NULL; i++) {
        struct span at[CHANNEL_OPTS_PLACES_MAX];
        unsigned n = channel_opts_places(&o, k->id, at);
        if ((n == 0) != (k->kind == KEYWORD_KIND_NOTHING) ||
            n > CHANNEL_OPTS_PLACES_MAX) {
            fail_msg("'%s' sets %u fields", k->name, n);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_sorted),
        cmocka_unit_test(rows_are_found),
        cmocka_unit_test(honoured_words_have_places),
        cmocka_unit_test(known_words_have_rows),
        cmocka_unit_test(looks_up_words),
        cmocka_unit_test(finds_security_slips),
        cmocka_unit_test(restrictions_fail_closed),
        cmocka_unit_test(built_in_values),
        cmocka_unit_test(options_are_found_in_their_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
