/* tls_params: protocols, ciphers and groups of a profile put into a context, and what is
 * the same for every profile. Lists are tried word by word, so that a message names the
 * word that is wrong. */
#include <openssl/err.h>
#include <stdio.h>

#include "base/check.h"
#include "channels/tls_context.h"

/* Forward secrecy and AEAD (RFC 9325 4.2). */
#define CIPHERS_GOOD                                                                     \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"                         \
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"                         \
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define CIPHERS_DHE                                                                      \
    ":DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:DHE-RSA-CHACHA20-POLY1305"
/* For peers of long ago that do know TLS 1.2. */
#define CIPHERS_OLD                                                                      \
    ":ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA384:"      \
    "ECDHE-RSA-AES256-SHA384:ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA:"               \
    "ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA:AES128-GCM-SHA256:AES256-GCM-SHA384:"   \
    "AES128-SHA256:AES256-SHA256:AES128-SHA:AES256-SHA"
/* They protect nothing. "HIGH" has some of them. */
#define CIPHERS_NEVER ":!aNULL:!eNULL"

enum { LIST_MAX = 4096 };

const char *tls_propquery(const struct tls_build *b)
{
    return b->propquery[0] != '\0' ? b->propquery : NULL;
}

static const struct tls_item *item_of(const struct tls_build *b, enum tls_option o)
{
    return b->profile->settings[o].items;
}

/* Where a word of the value stands; the whole value if lines were joined. */
static struct span word_span(const struct tls_item *item, str word)
{
    struct span at = item->at;
    if (item->text.len == at.length) {
        at.offset += (uint32_t)(word.ptr - item->text.ptr);
        at.length = (uint32_t)word.len;
    }
    return at;
}

/* --- one word of a list --- */

typedef int set_list(SSL_CTX *ssl, const char *list);

static int set_ciphers(SSL_CTX *ssl, const char *list)
{
    return SSL_CTX_set_cipher_list(ssl, list);
}

static int set_suites(SSL_CTX *ssl, const char *list)
{
    /* What is not known is passed over; then the list is empty. */
    return SSL_CTX_set_ciphersuites(ssl, list) == 1 &&
           SSL_CTX_set_cipher_list(ssl, CIPHERS_GOOD) == 1 &&
           str_istarts(str_from(list), STR("TLS_"));
}

static int set_groups(SSL_CTX *ssl, const char *list)
{
    return (int)SSL_CTX_set1_groups_list(ssl, list);
}

/* Would a context take this word alone? */
static bool word_is_known(const struct tls_build *b, set_list *set, str word)
{
    char text[128];
    if (word.len == 0 || word.len >= sizeof text) {
        return false;
    }
    snprintf(text, sizeof text, "%.*s", STR_ARG(word));
    SSL_CTX *trial = SSL_CTX_new_ex(b->context->library, tls_propquery(b), TLS_method());
    if (trial == NULL) {
        return true; /* told elsewhere */
    }
    SSL_CTX_set_security_level(trial, 0);
    bool known = set(trial, text) == 1;
    SSL_CTX_free(trial);
    ERR_clear_error();
    return known;
}

/* Names that files take out as a matter of habit, though no build has them any more. */
static bool is_gone(str word)
{
    static const char *const GONE[] = {
        "3DES",  "DES",    "EXP", "EXPORT", "EXPORT40", "IDEA",  "LOW",
        "MD5",   "MEDIUM", "RC2", "RC4",    "SEED",     "SSLv2", "SSLv3",
        "TLSv1", "KRB5",   "kDH", "kECDH",  "aDH",      "aECDH", "EXPORT56"};
    for (size_t i = 0; i < sizeof GONE / sizeof *GONE; i++) {
        if (str_eq(word, str_from(GONE[i]))) {
            return true;
        }
    }
    return false;
}

static bool cipher_is_known(const struct tls_build *b, str word)
{
    bool taken_out = word.len > 0 && strchr("!-", word.ptr[0]) != NULL;
    bool sign = taken_out || (word.len > 0 && word.ptr[0] == '+');
    if (str_starts(word, STR("@"))) {
        return str_eq(word, STR("@STRENGTH")) || str_starts(word, STR("@SECLEVEL="));
    }
    str name = sign ? str_from_pos(word, 1) : word;
    return (taken_out && is_gone(name)) || word_is_known(b, set_ciphers, name);
}

static bool list_check(struct tls_build *b, enum tls_option o, set_list *set,
                       const char *slug, const char *what)
{
    const struct tls_item *item = item_of(b, o);
    str rest = item != NULL ? item->text : STR_NONE, word;
    bool ok = true;
    if (rest.len > LIST_MAX - 200) { /* room for what the preset and dhe add */
        tls_error(b, item->at, slug, "the list is too long");
        return false;
    }
    while (item != NULL && !b->lists_checked && str_split(&rest, ':', &word)) {
        bool known = o == TLS_OPTION_ciphers ? cipher_is_known(b, word)
                                             : word_is_known(b, set, word);
        if (!known) {
            tls_error(b, word.len > 0 ? word_span(item, word) : item->at, slug,
                      "OpenSSL knows no %s '%.*s'", what, STR_ARG(word));
            ok = false;
        }
    }
    return ok;
}

/* --- lists --- */

static bool refuse(struct tls_build *b, enum tls_option o, const char *slug)
{
    char reason[160];
    tls_take_error(reason, sizeof reason);
    const struct tls_item *item = item_of(b, o);
    tls_error(b, item != NULL ? item->at : b->profile->at, slug,
              "'%s' cannot be used: %s", tls_option_name(o), reason);
    return false;
}

/* What the profile says, and what its preset and dhe add. */
static void cipher_list(const struct tls_build *b, char out[LIST_MAX])
{
    const struct tls_profile *p = b->profile;
    const struct tls_item *own = item_of(b, TLS_OPTION_ciphers);
    if (own == NULL) {
        snprintf(out, LIST_MAX, "%s%s%s", CIPHERS_GOOD, p->dhe ? CIPHERS_DHE : "",
                 p->preset == TLS_PRESET_OLD ? CIPHERS_OLD : "");
        return;
    }
    bool said = p->settings[TLS_OPTION_dhe].items != NULL;
    snprintf(out, LIST_MAX, "%.*s%s%s", STR_ARG(own->text),
             !said    ? ""
             : p->dhe ? CIPHERS_DHE
                      : ":!kDHE",
             CIPHERS_NEVER);
}

static bool use_ciphers(struct tls_build *b, SSL_CTX *ssl)
{
    char list[LIST_MAX];
    const struct tls_item *suites = item_of(b, TLS_OPTION_ciphersuites);
    const struct tls_item *own = item_of(b, TLS_OPTION_ciphers);
    bool ok = list_check(b, TLS_OPTION_ciphers, set_ciphers, "tls-cipher", "cipher");
    ok = list_check(b, TLS_OPTION_ciphersuites, set_suites, "tls-cipher",
                    "cipher suite of TLS 1.3") &&
         ok;
    if (!ok) {
        return false;
    }
    cipher_list(b, list);
    if (SSL_CTX_set_cipher_list(ssl, list) != 1) {
        ERR_clear_error();
        tls_error(b, own != NULL ? own->at : b->profile->at, "tls-cipher",
                  "no cipher is left for TLS 1.2");
        return false;
    }
    if (suites != NULL) {
        snprintf(list, sizeof list, "%.*s", STR_ARG(suites->text));
        if (SSL_CTX_set_ciphersuites(ssl, list) != 1) {
            return refuse(b, TLS_OPTION_ciphersuites, "tls-cipher");
        }
    }
    return true;
}

static bool use_groups(struct tls_build *b, SSL_CTX *ssl)
{
    char list[LIST_MAX];
    const struct tls_item *item = item_of(b, TLS_OPTION_groups);
    if (item == NULL) {
        return true;
    }
    if (!list_check(b, TLS_OPTION_groups, set_groups, "tls-group", "group")) {
        return false;
    }
    snprintf(list, sizeof list, "%.*s", STR_ARG(item->text));
    return SSL_CTX_set1_groups_list(ssl, list) == 1 ||
           refuse(b, TLS_OPTION_groups, "tls-group");
}

/* Only kept: they are for single sessions. The list is tried on a context of no use. */
static bool use_other_groups(struct tls_build *b)
{
    const struct tls_item *item = item_of(b, TLS_OPTION_groups_retry);
    char list[LIST_MAX];
    if (item == NULL || b->context->server) {
        return true;
    }
    if (!list_check(b, TLS_OPTION_groups_retry, set_groups, "tls-group", "group")) {
        return false;
    }
    snprintf(list, sizeof list, "%.*s", STR_ARG(item->text));
    SSL_CTX *scratch =
        SSL_CTX_new_ex(b->context->library, tls_propquery(b), TLS_client_method());
    bool ok = scratch != NULL && SSL_CTX_set1_groups_list(scratch, list) == 1;
    SSL_CTX_free(scratch);
    b->context->other_groups = arena_str(b->context->arena, str_from(list)).ptr;
    return ok || refuse(b, TLS_OPTION_groups_retry, "tls-group");
}

static bool use_dh(struct tls_build *b, SSL_CTX *ssl)
{
    const struct tls_item *params = item_of(b, TLS_OPTION_dh_params);
    if (params != NULL && b->files != TLS_FILES_NONE) {
        return tls_use_dh_params(b, ssl, params);
    }
    SSL_CTX_set_dh_auto(ssl, 1); /* RFC 7919 */
    return true;
}

/* --- all of it --- */

static int version_of(enum tls_protocol p)
{
    return p == TLS_PROTOCOL_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;
}

static void use_common(const struct tls_build *b, SSL_CTX *ssl)
{
    SSL_CTX_set_min_proto_version(ssl, version_of(b->profile->protocol_min));
    SSL_CTX_set_max_proto_version(ssl, version_of(b->profile->protocol_max));
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF); /* tickets carry the state */
    SSL_CTX_set_verify(ssl, SSL_VERIFY_NONE, NULL);
    if (!b->profile->session_tickets) {
        SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET);
        SSL_CTX_set_num_tickets(ssl, 0);
    }
}

bool tls_use_params(struct tls_build *b, SSL_CTX *ssl)
{
    use_common(b, ssl);
    if (b->common_told) {
        return true;
    }
    bool ciphers = use_ciphers(b, ssl);
    bool groups = use_groups(b, ssl);
    groups = use_other_groups(b) && groups;
    b->lists_checked = ciphers && groups;
    return use_dh(b, ssl) && ciphers && groups;
}
