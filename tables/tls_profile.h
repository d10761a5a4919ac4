/* tls_profile: the sections of tls.cnf, compiled: each one holds all options as they are
 * in force for it, with the line each came from. [*] is under every other section, then
 * come those it inherits from, then itself. Pure: the files an option names are opened by
 * channels/tls when the configuration is prepared. */
#ifndef TABLES_TLS_PROFILE_H
#define TABLES_TLS_PROFILE_H

#include <stdbool.h>

#include "base/diag.h"
#include "parser/options.h"

/* One number for each option of tls.cnf, from the rows of parser/options.def. */
enum tls_option {
#define TLS_ROW_SITE(...)
#define TLS_ROW_SERVICE(...)
#define TLS_ROW_CHANNEL(...)
#define TLS_ROW_PIPE(...)
#define TLS_ROW_JOBS(...)
#define TLS_ROW_TLS(name, ...) TLS_OPTION_##name,
#define OPTION(file, ...)      TLS_ROW_##file(__VA_ARGS__)
#include "parser/options.def"
#undef TLS_ROW_SITE
#undef TLS_ROW_SERVICE
#undef TLS_ROW_CHANNEL
#undef TLS_ROW_PIPE
#undef TLS_ROW_JOBS
#undef TLS_ROW_TLS
    TLS_OPTIONS
};

/* One value of an option; options that may be repeated have several. */
struct tls_item {
    str text;       /* as written; relative paths, also of "file:", made absolute */
    str cert, key;  /* sni: certificate and key for the name in text; else empty */
    struct span at; /* of the value */
    const struct tls_item *next;
};

struct tls_setting {
    struct span at;               /* where it is given first; SPAN_NONE: nowhere */
    const struct tls_item *items; /* NULL with a span: cancelled by `none` */
};

/* What cipher suites and protocols there are when they are not listed one by one. */
enum tls_preset {
    TLS_PRESET_INTERMEDIATE, /* TLS 1.2 and 1.3; forward secrecy and AEAD */
    TLS_PRESET_MODERN,       /* TLS 1.3 */
    TLS_PRESET_OLD /* as intermediate, and CBC or no forward secrecy at the end */
};
enum tls_protocol { TLS_PROTOCOL_1_2, TLS_PROTOCOL_1_3 };
/* What a client meets whose certificate does not verify under musttlspeer. */
enum tls_peer_fail { TLS_PEER_FAIL_REJECT, TLS_PEER_FAIL_TEMPFAIL, TLS_PEER_FAIL_NOTE };

struct tls_profile {
    str name;       /* "*" for the one under all */
    struct span at; /* of its head; SPAN_NONE: there is no [*] in the file */
    unsigned index; /* position in snapshot->tls_profiles */
    const struct tls_profile *parent; /* of `inherit`; NULL: [*], or it is [*] */
    struct tls_setting settings[TLS_OPTIONS];
    /* What the settings with a value from a list mean. */
    enum tls_preset preset;
    enum tls_protocol protocol_min, protocol_max;
    enum tls_peer_fail peer_fail;
    bool dhe, session_tickets, send_ca_names;
    bool ca_system;   /* yes unless said, or other CAs are named */
    bool verifies;    /* some channel verifies next hops against its CAs */
    bool peers_named; /* TLS_PEER_ACCESS tells apart, by subject or fingerprint, those
                         whom its CAs for clients verify */
    struct span peer_switch_at; /* a tlspeerswitchchannel of a channel with it, or
                                   SPAN_NONE */
};

/* "server_cert": the name an option has in the file. */
const char *tls_option_name(enum tls_option o);
/* [*] as it is where nobody says anything. */
void tls_profile_built_in(struct tls_profile *p);
/* Does the profile name CAs by file, folder or store? */
bool tls_profile_names_cas(const struct tls_profile *p);
/* The same for CAs of clients. */
bool tls_profile_names_client_cas(const struct tls_profile *p);
/* Does a certificate that one of them has verified count for the other one? */
bool tls_profile_same_client_cas(const struct tls_profile *a,
                                 const struct tls_profile *b);
/* Does the option name a file or a key? Its items are absolute paths or URIs then. */
bool tls_option_is_path(enum tls_option o);
/* Is a value a URI of OSSL_STORE ("pkcs11:...", "file:...") and not a path? */
bool tls_is_uri(str value);
/* The path of a "file:" URI; empty for other URIs, the value itself for a path. */
str tls_file_path(str value);

#endif
