/* tls_values: the lines of a section of tls.cnf: what each option takes, and what it
 * takes the place of when it stands in a narrower section. */
#include "base/buf.h"
#include "tables/tls_compile.h"

enum { FINGERPRINT_DIGITS = 64 };

enum value_kind {
    VALUE_PATHS, /* a file or folder; may be repeated; none */
    VALUE_KEYS,  /* a file or a URI; may be repeated; none */
    VALUE_URIS,  /* a URI or a path; may be repeated; none */
    VALUE_SNI,   /* name : certificate [: key]; may be repeated; none */
    VALUE_FINGERPRINTS,
    VALUE_WORDS,   /* one word; may be repeated; none */
    VALUE_PATH,    /* one file; none */
    VALUE_TEXT,    /* handed on to OpenSSL, which knows what is right */
    VALUE_CHOICE,  /* one of the words of the row, separated by blanks */
    VALUE_PROFILE, /* inherit */
    VALUE_UNREAD   /* not honoured yet: compile_option() says so */
};

#define SETS(o)    (UINT64_C(1) << TLS_OPTION_##o)
#define TRUST      (SETS(ca_file) | SETS(ca_dir) | SETS(ca_store))
#define PEER_TRUST (SETS(client_ca_file) | SETS(client_ca_dir) | SETS(client_ca_store))
#define BY_PRESET                                                                        \
    (SETS(ciphers) | SETS(ciphersuites) | SETS(protocol_min) | SETS(protocol_max) |      \
     SETS(dhe))

_Static_assert(TLS_OPTIONS <= 64, "one bit for each option");

/* clears: inherited settings that end with this one. Certificates and their keys go
 * together, so do the sources of trust, and a preset means what it says. */
static const struct value_row {
    const char *name;
    enum value_kind kind;
    const char *words;
    uint64_t clears;
} ROWS[TLS_OPTIONS] = {
#define ROW(option, value, list, mask)                                                   \
    [TLS_OPTION_##option] = {#option, VALUE_##value, list, mask}
    ROW(ca_dir, PATHS, "", TRUST | SETS(ca_system)),
    ROW(ca_file, PATHS, "", TRUST | SETS(ca_system)),
    ROW(ca_store, URIS, "", TRUST | SETS(ca_system)),
    ROW(ca_system, CHOICE, "no yes", 0),
    ROW(ciphers, TEXT, "", 0),
    ROW(ciphersuites, TEXT, "", 0),
    ROW(client_ca_dir, PATHS, "", PEER_TRUST),
    ROW(client_ca_file, PATHS, "", PEER_TRUST),
    ROW(client_ca_store, URIS, "", PEER_TRUST),
    ROW(client_cert, PATHS, "", SETS(client_key)),
    ROW(client_key, KEYS, "", SETS(client_cert)),
    ROW(dh_params, PATH, "", 0),
    ROW(dhe, CHOICE, "no yes", 0),
    ROW(fingerprint, FINGERPRINTS, "", 0),
    ROW(groups, TEXT, "", 0),
    ROW(groups_retry, TEXT, "", 0),
    ROW(inherit, PROFILE, "", 0),
    ROW(ocsp_staple, UNREAD, "", 0),
    ROW(peer_fail, CHOICE, "reject tempfail note", 0),
    ROW(preset, CHOICE, "intermediate modern old", BY_PRESET),
    ROW(propquery, TEXT, "", 0),
    ROW(protocol_max, CHOICE, "TLSv1.2 TLSv1.3", 0),
    ROW(protocol_min, CHOICE, "TLSv1.2 TLSv1.3", 0),
    ROW(provider, WORDS, "", 0),
    ROW(send_ca_names, CHOICE, "no yes", 0),
    ROW(server_cert, PATHS, "", SETS(server_key)),
    ROW(server_key, KEYS, "", SETS(server_cert)),
    ROW(session_tickets, CHOICE, "no yes", 0),
    ROW(sni, SNI, "", 0),
#undef ROW
};

/* --- names --- */

const char *tls_option_name(enum tls_option o)
{
    return ROWS[o].name;
}

/* The number of an option's row. */
static enum tls_option tls_option_of(enum option_id id)
{
    switch (id) {
#define TLS_ROW_SITE(...)
#define TLS_ROW_SERVICE(...)
#define TLS_ROW_CHANNEL(...)
#define TLS_ROW_PIPE(...)
#define TLS_ROW_JOBS(...)
#define TLS_ROW_TLS(name, ...)                                                           \
    case OPTION_TLS_##name:                                                              \
        return TLS_OPTION_##name;
#define OPTION(file, ...) TLS_ROW_##file(__VA_ARGS__)
#include "parser/options.def"
#undef TLS_ROW_SITE
#undef TLS_ROW_SERVICE
#undef TLS_ROW_CHANNEL
#undef TLS_ROW_PIPE
#undef TLS_ROW_JOBS
#undef TLS_ROW_TLS
    default:
        return TLS_OPTIONS;
    }
}

bool tls_option_is_path(enum tls_option o)
{
    enum value_kind k = ROWS[o].kind;
    return k == VALUE_PATHS || k == VALUE_KEYS || k == VALUE_URIS || k == VALUE_PATH;
}

/* A scheme (RFC 3986 3.1) of at least two characters, and a colon. */
bool tls_is_uri(str value)
{
    ptrdiff_t colon = str_find(value, ':');
    bool good = colon >= 2;
    for (ptrdiff_t i = 0; i < colon && good; i++) {
        char c = value.ptr[i];
        good = ascii_is_alnum(c) || (i > 0 && (c == '+' || c == '-' || c == '.'));
    }
    return good;
}

str tls_file_path(str value)
{
    if (!tls_is_uri(value)) {
        return value;
    }
    if (!str_istarts(value, STR("file:"))) {
        return STR("");
    }
    str path = str_from_pos(value, 5);
    return str_starts(path, STR("//")) ? str_from_pos(path, 2) : path;
}

/* --- one line --- */

struct line {
    struct compile *c;
    struct tls_draft *draft;
    const struct ast_option *o;
    enum tls_option option;
};

static void line_refuse(const struct line *l, const char *wanted)
{
    diag_error(l->c->diags, l->o->value.len > 0 ? l->o->value_at : l->o->name_at,
               l->o->value.len > 0 ? "option-range" : "option-empty", "'%s' needs %s",
               ROWS[l->option].name, wanted);
    l->draft->refused |= UINT64_C(1) << l->option;
}

static struct tls_item *line_item(const struct line *l, str text)
{
    struct tls_item *item = arena_new_of(l->c->arena, struct tls_item);
    item->text = text;
    item->at = l->o->value_at;
    return item;
}

/* Links an item in; NULL for `none`. */
static void line_add(const struct line *l, const struct tls_item *item)
{
    struct tls_setting *s = &l->draft->own[l->option];
    if (s->at.source == 0) {
        s->at = span_join(l->o->name_at, l->o->value_at);
        l->draft->end[l->option] = &s->items;
    }
    if (item != NULL) {
        *l->draft->end[l->option] = item;
        l->draft->end[l->option] = &((struct tls_item *)item)->next;
    }
}

static bool line_may_repeat(enum value_kind k)
{
    return k <= VALUE_WORDS;
}

static bool line_is_none(const struct line *l)
{
    return ROWS[l->option].kind <= VALUE_PATH && str_ieq(l->o->value, STR("none"));
}

/* A second value where there can be one only, or beside `none`. */
static bool line_repeats(const struct line *l)
{
    const struct tls_setting *s = &l->draft->own[l->option];
    bool ends = !line_may_repeat(ROWS[l->option].kind) || line_is_none(l);
    if (s->at.source == 0 || (!ends && s->items != NULL)) {
        return false;
    }
    struct diag *d =
        diag_error(l->c->diags, l->o->name_at, "repeated-option", "%s",
                   line_may_repeat(ROWS[l->option].kind)
                       ? "'none' stands alone: the section gives this option twice"
                       : "this option was given before");
    diag_note(l->c->diags, d, s->at, "here");
    return true;
}

/* A path, or a URI: one of a file counts from the configuration folder, too. */
static str line_place(const struct line *l, str value, bool uri)
{
    if (!uri || !tls_is_uri(value)) {
        return locate_written(l->c, value);
    }
    str path = tls_file_path(value);
    if (path.len == 0) {
        return value;
    }
    path = locate_written(l->c, path);
    return arena_printf(l->c->arena, "file:%.*s", STR_ARG(path));
}

static void read_place(const struct line *l, bool uri)
{
    if (l->o->value.len == 0) {
        line_refuse(l, uri ? "a path or a URI" : "a path");
    } else {
        line_add(l, line_item(l, line_place(l, l->o->value, uri)));
    }
}

/* A name of DNS labels; the left-most may be "*". */
static bool sni_name_ok(str name)
{
    str rest = str_starts(name, STR("*.")) ? str_from_pos(name, 2) : name;
    bool dot = false;
    for (size_t i = 0; i < rest.len; i++) {
        char c = rest.ptr[i];
        dot = dot || c == '.';
        if (!ascii_is_alnum(c) && c != '-' && c != '.' && c != '_') {
            return false;
        }
    }
    return rest.len > 0 && rest.len < 254 && rest.ptr[0] != '.' && dot;
}

/* name : certificate [: key]. Certificates are paths, so the key may be a URI. */
static void read_sni(const struct line *l)
{
    str rest = l->o->value, name, cert;
    str_split(&rest, ':', &name);
    str_split(&rest, ':', &cert);
    name = str_trim(name);
    cert = str_trim(cert);
    str key = str_trim(rest);
    if (!sni_name_ok(name) || cert.len == 0 || (rest.ptr != NULL && key.len == 0)) {
        line_refuse(l, "a host name, a colon and the path of a certificate, and perhaps "
                       "another colon and the path of its key");
        return;
    }
    struct tls_item *item = line_item(l, name);
    item->cert = line_place(l, cert, false);
    item->key = key.len > 0 ? line_place(l, key, true) : item->cert;
    line_add(l, item);
}

/* sha256:HEX, with colons as openssl prints it or without. */
static void read_fingerprint(const struct line *l)
{
    str rest = l->o->value;
    char *hex = arena_alloc(l->c->arena, FINGERPRINT_DIGITS + 1);
    size_t n = 0;
    bool good = str_istarts(rest, STR("sha256:"));
    rest = good ? str_from_pos(rest, 7) : rest;
    for (size_t i = 0; i < rest.len && good; i++) {
        char c = ascii_lower(rest.ptr[i]);
        if (c == ':' && n % 2 == 0 && n > 0) {
            continue;
        }
        good = n < FINGERPRINT_DIGITS && (ascii_is_digit(c) || (c >= 'a' && c <= 'f'));
        if (good) {
            hex[n++] = c;
        }
    }
    if (!good || n != FINGERPRINT_DIGITS) {
        line_refuse(l, "'sha256:' and the 64 hexadecimal digits of a certificate's "
                       "fingerprint, or of its public key's");
        return;
    }
    line_add(l, line_item(l, str_n(hex, n)));
}

static bool has_blank(str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] <= ' ' || text.ptr[i] == 0x7f) {
            return true;
        }
    }
    return text.len == 0;
}

static void read_word(const struct line *l)
{
    if (has_blank(l->o->value)) {
        line_refuse(l, "one word");
    } else {
        line_add(l, line_item(l, arena_str(l->c->arena, l->o->value)));
    }
}

/* Protocols that were usual once: told by name, so that nobody looks for a slip. */
static bool is_old_protocol(str value)
{
    static const char *const OLD[] = {"SSLv2", "SSLv3", "TLSv1", "TLSv1.0", "TLSv1.1"};
    for (size_t i = 0; i < sizeof OLD / sizeof *OLD; i++) {
        if (str_ieq(value, str_from(OLD[i]))) {
            return true;
        }
    }
    return false;
}

static void read_choice(const struct line *l)
{
    const struct value_row *row = &ROWS[l->option];
    str rest = str_from(row->words), word;
    while (str_word(&rest, &word)) {
        if (str_ieq(word, l->o->value)) {
            line_add(l, line_item(l, word));
            return;
        }
    }
    bool protocol =
        l->option == TLS_OPTION_protocol_min || l->option == TLS_OPTION_protocol_max;
    if (protocol && is_old_protocol(l->o->value)) {
        diag_error(l->c->diags, l->o->value_at, "tls-protocol",
                   "%.*s is broken and not spoken any more (RFC 8996); TLSv1.2 and "
                   "TLSv1.3 are",
                   STR_ARG(l->o->value));
        return;
    }
    struct buf wanted;
    buf_init(&wanted, 200);
    rest = str_from(row->words);
    for (unsigned i = 0; str_word(&rest, &word); i++) {
        buf_printf(&wanted, "%s%.*s", i == 0 ? "one of " : ", ", STR_ARG(word));
    }
    buf_putc(&wanted, '\0');
    line_refuse(l, wanted.data);
    buf_free(&wanted);
}

static void read_inherit(const struct line *l)
{
    if (str_eq(l->draft->profile->name, STR("*"))) {
        diag_error(l->c->diags, l->o->name_at, "tls-inherit",
                   "[*] is under all other sections and inherits from none");
    } else if (has_blank(l->o->value)) {
        line_refuse(l, "the name of another section");
    } else {
        l->draft->inherit = l->o->value;
        l->draft->inherit_at = l->o->value_at;
        line_add(l, line_item(l, l->o->value));
    }
}

void tls_value_read(struct compile *c, struct tls_draft *d, const struct ast_option *o,
                    const struct option_row *row)
{
    struct line l = {c, d, o, tls_option_of(row->id)};
    if (line_repeats(&l)) {
        return;
    }
    if (line_is_none(&l)) {
        line_add(&l, NULL);
        return;
    }
    switch (ROWS[l.option].kind) {
    case VALUE_PATHS:
    case VALUE_PATH:
        read_place(&l, false);
        break;
    case VALUE_KEYS:
    case VALUE_URIS:
        read_place(&l, true);
        break;
    case VALUE_SNI:
        read_sni(&l);
        break;
    case VALUE_FINGERPRINTS:
        read_fingerprint(&l);
        break;
    case VALUE_WORDS:
    case VALUE_TEXT:
        read_word(&l);
        break;
    case VALUE_CHOICE:
        read_choice(&l);
        break;
    case VALUE_PROFILE:
        read_inherit(&l);
        break;
    case VALUE_UNREAD:
        break;
    }
}

/* --- the whole section --- */

void tls_settings_over(struct tls_setting *settings, const struct tls_setting *own)
{
    for (unsigned i = 0; i < TLS_OPTIONS; i++) {
        for (unsigned n = 0; n < TLS_OPTIONS && own[i].at.source != 0; n++) {
            if ((ROWS[i].clears >> n & 1) != 0) {
                settings[n] = (struct tls_setting){0};
            }
        }
    }
    for (unsigned i = 0; i < TLS_OPTIONS; i++) {
        if (own[i].at.source != 0 && i != TLS_OPTION_inherit) {
            settings[i] = own[i];
        }
    }
}

/* Position of the value in the words of its row; `initial` when nothing is said. */
static unsigned choice_of(const struct tls_profile *p, enum tls_option o,
                          unsigned initial)
{
    const struct tls_item *item = p->settings[o].items;
    str rest = str_from(ROWS[o].words), word;
    for (unsigned i = 0; item != NULL && str_word(&rest, &word); i++) {
        if (str_eq(word, item->text)) {
            return i;
        }
    }
    return initial;
}

static void check_protocols(struct compile *c, const struct tls_profile *p)
{
    const struct tls_setting *min = &p->settings[TLS_OPTION_protocol_min];
    const struct tls_setting *max = &p->settings[TLS_OPTION_protocol_max];
    if (p->protocol_min <= p->protocol_max) {
        return;
    }
    const struct tls_setting *preset = &p->settings[TLS_OPTION_preset];
    struct diag *d =
        diag_error(c->diags, max->at, "tls-protocol",
                   "no protocol is left: the highest one is TLSv1.2, the lowest TLSv1.3");
    diag_note(c->diags, d, min->at.source != 0 ? min->at : preset->at, "because of this");
}

static void check_dh(struct compile *c, const struct tls_profile *p)
{
    const struct tls_setting *params = &p->settings[TLS_OPTION_dh_params];
    if (params->items != NULL && !p->dhe &&
        p->settings[TLS_OPTION_ciphers].items == NULL) {
        diag_warning(c->diags, params->at, "no-effect",
                     "'dh_params' has no effect: no suite with DHE is used; say dhe = "
                     "yes, or leave it out, as the groups of RFC 7919 need no file");
    }
}

bool tls_profile_names_cas(const struct tls_profile *p)
{
    return p->settings[TLS_OPTION_ca_file].items != NULL ||
           p->settings[TLS_OPTION_ca_dir].items != NULL ||
           p->settings[TLS_OPTION_ca_store].items != NULL;
}

bool tls_profile_names_client_cas(const struct tls_profile *p)
{
    return p->settings[TLS_OPTION_client_ca_file].items != NULL ||
           p->settings[TLS_OPTION_client_ca_dir].items != NULL ||
           p->settings[TLS_OPTION_client_ca_store].items != NULL;
}

static bool same_items(const struct tls_item *a, const struct tls_item *b)
{
    for (; a != b && a != NULL && b != NULL; a = a->next, b = b->next) {
        if (!str_eq(a->text, b->text)) {
            return false;
        }
    }
    return a == b;
}

bool tls_profile_same_client_cas(const struct tls_profile *a, const struct tls_profile *b)
{
    static const enum tls_option options[] = {
        TLS_OPTION_client_ca_file, TLS_OPTION_client_ca_dir, TLS_OPTION_client_ca_store};
    bool same = true;
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        same = same &&
               same_items(a->settings[options[i]].items, b->settings[options[i]].items);
    }
    return same;
}

void tls_profile_derive(struct compile *c, struct tls_profile *p)
{
    bool named = tls_profile_names_cas(p);
    p->preset = choice_of(p, TLS_OPTION_preset, TLS_PRESET_INTERMEDIATE);
    p->protocol_min =
        choice_of(p, TLS_OPTION_protocol_min,
                  p->preset == TLS_PRESET_MODERN ? TLS_PROTOCOL_1_3 : TLS_PROTOCOL_1_2);
    p->protocol_max = choice_of(p, TLS_OPTION_protocol_max, TLS_PROTOCOL_1_3);
    p->dhe = choice_of(p, TLS_OPTION_dhe, 0) == 1;
    p->session_tickets = choice_of(p, TLS_OPTION_session_tickets, 1) == 1;
    p->ca_system = choice_of(p, TLS_OPTION_ca_system, !named) == 1;
    p->send_ca_names = choice_of(p, TLS_OPTION_send_ca_names, 1) == 1;
    p->peer_fail = choice_of(p, TLS_OPTION_peer_fail, TLS_PEER_FAIL_REJECT);
    check_protocols(c, p);
    check_dh(c, p);
}

void tls_profile_built_in(struct tls_profile *p)
{
    *p = (struct tls_profile){.name = STR("*"), .verifies = true};
    tls_profile_derive(NULL, p); /* there are no lines to complain of */
}
