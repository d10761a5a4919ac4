/* keywords: the channel keyword table and `struct channel_opts`, both made from the
 * rows of parser/keywords.def (the only place a keyword is written). How to read the
 * rows stands at the top of that file. */
#ifndef PARSER_KEYWORDS_H
#define PARSER_KEYWORDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/diag.h"

enum tls_level { TLS_LEVEL_NO, TLS_LEVEL_MAY, TLS_LEVEL_MUST };
/* What is asked of clients: no certificate; one may be shown; a verified one must be. */
enum tls_peer { TLS_PEER_NO, TLS_PEER_MAY, TLS_PEER_MUST };
/* What is asked of the certificate of a next hop, weakest first. */
enum tls_verify {
    TLS_VERIFY_NO,
    TLS_VERIFY_TRY,  /* as HOST, but only for the log */
    TLS_VERIFY_CA,   /* it leads to a CA that is trusted */
    TLS_VERIFY_HOST, /* and is for the host */
    TLS_VERIFY_FP    /* its fingerprint is listed */
};
enum tls_injection { TLS_INJECTION_REJECT, TLS_INJECTION_IGNORE };
enum ip_switch { IP_SWITCH_ALLOW, IP_SWITCH_START, IP_SWITCH_NO };
enum mx_mode {
    MX_MODE_DEFAULT, /* MX records if the port is 25 */
    MX_MODE_YES,
    MX_MODE_IN_ORDER, /* as YES; equal preferences in the order received */
    MX_MODE_NO,       /* addresses only */
    MX_MODE_HOSTS     /* addresses from /etc/hosts only */
};
/* The table of PMDF 2.3.4.42: is the client's address looked up, what do Received fields
 * show, does its name count for switching. */
enum ident_mode {
    IDENT_FULL,    /* looked up; address and name; counts */
    IDENT_LIMITED, /* looked up; address and name; does not count */
    IDENT_NUMERIC, /* not looked up; address only */
    IDENT_SYMBOLIC /* looked up; name only, where there is one; counts */
};
/* What is done with a name of which a forward look-up does not give the address back. */
enum forward_check { FORWARD_CHECK_NONE, FORWARD_CHECK_TAG, FORWARD_CHECK_DELETE };
/* Which of % and ! in a local part is the host an address goes to first. */
enum bang_percent { PERCENT_OVER_BANG, BANG_OVER_PERCENT, PERCENT_ONLY };
/* What a channel speaks by its words; its name may say SMTP, too (tables/channel.c). */
enum channel_protocol { PROTOCOL_BY_NAME, PROTOCOL_SMTP, PROTOCOL_LMTP };
/* The least urgent mail that is tried as soon as it is queued (enum urgency, its order).
 */
enum immediate {
    IMMEDIATE_ALL,
    IMMEDIATE_NONURGENT,
    IMMEDIATE_NORMAL,
    IMMEDIATE_URGENT,
    IMMEDIATE_NONE
};
/* Is the field Deferred-delivery of mail from a channel obeyed, or of mail to it? */
enum deferred_mode { DEFERRED_NO, DEFERRED_SOURCE, DEFERRED_DESTINATION, DEFERRED_BOTH };
/* What deliveries leave to later ones: addresses that could not be reached, and
 * connections. */
enum cache_mode { CACHE_NOTHING, CACHE_FAILURES, CACHE_SUCCESSES, CACHE_EVERYTHING };
/* Which recipients of a message share an entry of the queue. */
enum filesplit {
    FILESPLIT_HOST,   /* those with the same next hop */
    FILESPLIT_DOMAIN, /* those of the same domain, too */
    FILESPLIT_SINGLE  /* none */
};

/* What EHLO can leave out, as bits; parser/channel_opts.c has the names. */
enum ehlo_extension {
    EHLO_PIPELINING = 1,
    EHLO_8BITMIME = 2,
    EHLO_SIZE = 4,
    EHLO_ENHANCEDSTATUSCODES = 8,
    EHLO_DSN = 16
};

enum {
    KEYWORD_NAMESERVERS_MAX = 8,
    KEYWORD_PERIODS_MAX = 8, /* the grammar takes no more */
    KEYWORD_AGES_MAX = 5
};

/* How addresses are written (PMDF 2.3.4.1, 2.3.4.2). */
enum address_form {
    ADDRESS_FORM_822,     /* source routes as RFC 822 has them: @a:u@b */
    ADDRESS_FORM_PERCENT, /* routes as u%b@a */
    ADDRESS_FORM_BANG     /* a!b!u */
};
/* Is "user+detail" looked up as an alias by "user+*" and by "user", too? */
enum subaddress_mode { SUBADDRESS_RELAXED, SUBADDRESS_EXACT, SUBADDRESS_WILD };
/* What completes an address that has no host: on envelopes it is only taken if the
 * channel says something, in headers BARE_REFUSED means the local host. */
enum bare_mode { BARE_REFUSED, BARE_LOCAL, BARE_REMOTE, BARE_DOMAIN };

/* When the postmaster gets a copy of a notification (PMDF 2.3.4.21). */
enum post_mode {
    POST_USUAL,  /* unless the message has the null sender */
    POST_ALWAYS, /* of every failure, or every delay */
    POST_COPY,   /* as USUAL, said */
    POST_ERROR,  /* when the sender cannot be told */
    POST_NEVER
};

/* What becomes of receipts that headers ask for (PMDF's reportheader and its kin). */
enum receipts_mode {
    RECEIPTS_HEADER, /* they are asked for as they are */
    RECEIPTS_BOTH,   /* and by NOTIFY=SUCCESS */
    RECEIPTS_NOTARY, /* only by that */
    RECEIPTS_NONE
};

/* What a keyword takes after it. */
enum keyword_args {
    KEYWORD_ARGS_NONE,
    KEYWORD_ARGS_ONE,
    KEYWORD_ARGS_ONE_OPTIONAL, /* one more word if it does not spell a keyword */
    KEYWORD_ARGS_ADDRESSES,    /* words while they look like IP[@port] */
    KEYWORD_ARGS_INTEGERS,     /* 1 to 5 words while they are integers */
    KEYWORD_ARGS_PERIODS,      /* 1 to 8 words while they are ISO 8601 periods */
    KEYWORD_ARGS_ONE_OR_TWO    /* one, and one more if it does not spell a keyword */
};

enum keyword_status {
    KEYWORD_HONOURED,
    KEYWORD_NO_EFFECT, /* known, meaningless here: the row says why */
    KEYWORD_LATER,     /* known, not honoured yet: warning naming the effect lost */
    KEYWORD_RESTRICTS  /* as LATER, but it would restrict: an error unless allowed */
};

/* What kind of row it is: how its argument is read and what it sets. */
enum keyword_kind {
    KEYWORD_KIND_CHOICE,  /* sets one field, or several, to a value of the row */
    KEYWORD_KIND_INT,     /* a number from min to max */
    KEYWORD_KIND_CHANNEL, /* a channel name, resolved when all channels are known */
    KEYWORD_KIND_PROFILE, /* a section of tls.cnf, resolved when that is read */
    KEYWORD_KIND_POOL,    /* a pool of job_controller.cnf, resolved likewise */
    KEYWORD_KIND_HOST,    /* host name or [address] */
    KEYWORD_KIND_ADDRESS, /* IP literal */
    KEYWORD_KIND_TEXT,    /* as its word wants it */
    KEYWORD_KIND_SERVERS, /* IP[@port]... */
    KEYWORD_KIND_DOMAINS, /* one or two host names */
    KEYWORD_KIND_PERIOD,  /* ISO 8601 */
    KEYWORD_KIND_HIDDEN,  /* names of extensions, separated by commas */
    KEYWORD_KIND_EITHER,  /* one of two words */
    KEYWORD_KIND_PERIODS, /* ISO 8601 periods */
    KEYWORD_KIND_AGES,    /* numbers, each above the one before */
    KEYWORD_KIND_NOTHING  /* sets nothing */
};

/* One number per row, in table order: KEYWORD_ID_musttls. */
enum keyword_id {
#define INT(word, ...)        KEYWORD_ID_##word,
#define CHANNEL(word, ...)    KEYWORD_ID_##word,
#define PROFILE(word, ...)    KEYWORD_ID_##word,
#define POOL(word, ...)       KEYWORD_ID_##word,
#define POOL_OF(word, ...)    KEYWORD_ID_##word,
#define HOST(word, ...)       KEYWORD_ID_##word,
#define ADDRESS(word, ...)    KEYWORD_ID_##word,
#define TEXT(word, ...)       KEYWORD_ID_##word,
#define SERVERS(word, ...)    KEYWORD_ID_##word,
#define DOMAINS(word, ...)    KEYWORD_ID_##word,
#define PERIOD(word, ...)     KEYWORD_ID_##word,
#define HIDDEN(word, ...)     KEYWORD_ID_##word,
#define EITHER(word, ...)     KEYWORD_ID_##word,
#define PERIODS(word, ...)    KEYWORD_ID_##word,
#define PERIODS_OF(word, ...) KEYWORD_ID_##word,
#define AGES(word, ...)       KEYWORD_ID_##word,
#define AGES_OF(word, ...)    KEYWORD_ID_##word,
#define CHOICE(word, ...)     KEYWORD_ID_##word,
#define PARTLY(word, ...)     KEYWORD_ID_##word,
#define SPELL(word, ...)      KEYWORD_ID_##word,
#define SYNONYM(word, ...)    KEYWORD_ID_##word,
#define NOCHANNEL(word, ...)  KEYWORD_ID_##word,
#define NOSERVERS(word, ...)  KEYWORD_ID_##word,
#define SAME(word, ...)       KEYWORD_ID_##word,
#define NOEFFECT(word, ...)   KEYWORD_ID_##word,
#define LATER(word, ...)      KEYWORD_ID_##word,
#define RESTRICTS(word, ...)  KEYWORD_ID_##word,
#include "parser/keywords.def"
    KEYWORD_COUNT
};

struct keyword {
    const char *name;
    enum keyword_id id;
    enum keyword_kind kind;
    enum keyword_args args;
    enum keyword_status status;
    const char *group;    /* exclusion group(s), comma separated, "" if none */
    const char *argument; /* what the argument is called in texts, "" if none */
    bool is_default;      /* the state when no keyword of the group is given */
    const char *text;     /* meaning; for the other statuses the effect lost or reason */
    uint32_t min, max;    /* KEYWORD_KIND_INT */
};

/* Case-blind, significant to 32 characters (PMDF 2.3.4). A number in the place of a
 * capital X of the table is accepted ("sourcespamfilter2"). NULL: nobody knows it. */
const struct keyword *keyword_find(str word);
/* All rows in table order, for `pointsman keywords`; NULL past the end. */
const struct keyword *keyword_at(size_t i);
/* The nearest known word within max_distance, or NULL. */
const struct keyword *keyword_nearest(str word, unsigned max_distance);
/* The TLS, SASL or switch keyword within edit distance 2 of an unknown word, or
 * NULL: such a slip is always an error ("mustlsclient" must never mean clear). */
const struct keyword *keyword_security_slip(str word);

struct nameserver {
    str ip;
    uint16_t port;
};
struct keyword_periods {
    uint32_t s[KEYWORD_PERIODS_MAX]; /* seconds */
    unsigned count;                  /* 0: not given */
};
struct keyword_ages {
    uint32_t age[KEYWORD_AGES_MAX]; /* in the unit of RETURN_UNITS, increasing */
    unsigned count;                 /* 0: not given */
};

/* The honoured keywords' values for one channel: built-ins, then every `defaults`,
 * then the channel line, each applied left to right. One field and one span
 * (<field>_at: where it was last written, SPAN_NONE when it is built in) per row:
 *   enum tls_level tls_server, tls_client;  enum tls_verify tls_verify;
 *   bool tls_fallback, tls_implicit_client;  enum tls_injection tlsinjection;
 *   uint32_t tlsremember;  seconds; 0: nothing is remembered
 *   uint32_t ehlohide;     bits of enum ehlo_extension
 *   enum ip_switch ip_switch;
 *   enum mx_mode mx;  enum channel_protocol protocol;  bool logging, master_only;
 *   enum immediate immediate;  enum deferred_mode deferred;  enum filesplit filesplit;
 *   enum cache_mode cache;
 *   unsigned after;        seconds
 *   unsigned maxjobs;      1000000000: no limit; 0 stands for 1
 *   unsigned threaddepth;  at least 1
 *   unsigned addrsperfile; 0: not given
 *   enum ident_mode ident;  enum forward_check forward_check;
 *   bool received_for, received_from, reverse;
 *   enum address_form envelope_form, header_form;
 *   bool exproute, improute, remove_route, drop_blank, add_return_path;
 *   enum bare_mode bare;
 *   bool alias_local, alias_postmaster, via_alias;
 *   enum subaddress_mode subaddress;
 *   str defaulthost[2];    for senders and headers; for recipients, empty: the local host
 *   unsigned maxheaderaddrs, maxheaderchars, headerlinelength, headerlabelalign,
 *            maxprocchars; 0: not given
 *   uint16_t port;         25 unless given
 *   enum tls_peer tls_peer;
 *   str tlsswitchchannel, tlspeerswitchchannel;  empty: none; NULL: taken back, too
 *   str tlsprofile;        empty: [*]
 *   str user;              empty: not said
 *   str pool;              empty: the default one
 *   str daemon;            empty: none; "router": the official host
 *   str lastresort;        empty: none
 *   str interfaceaddress;  empty: any; else an IP literal
 *   str language, returnaddress, returnpersonal;  empty: not given
 *   bool env_to;  enum receipts_mode receipts;
 *   struct keyword_periods urgentbackoff, normalbackoff, nonurgentbackoff;
 *   struct keyword_ages urgentnotices, normalnotices, nonurgentnotices;
 *   struct nameserver nameservers[];  unsigned nameserver_count;  0: the system's */
struct channel_opts {
#define GROUP(field, type, initial)                                                      \
    type field;                                                                          \
    struct span field##_at;
#define INT(word, type, ...)                                                             \
    type word;                                                                           \
    struct span word##_at;
#define CHANNEL(word, ...)                                                               \
    str word;                                                                            \
    struct span word##_at;
#define PROFILE(word, ...)                                                               \
    str word;                                                                            \
    struct span word##_at;
#define POOL(word, ...)                                                                  \
    str word;                                                                            \
    struct span word##_at;
#define HOST(word, ...)                                                                  \
    str word;                                                                            \
    struct span word##_at;
#define ADDRESS(word, ...)                                                               \
    str word;                                                                            \
    struct span word##_at;
#define TEXT(word, ...)                                                                  \
    str word;                                                                            \
    struct span word##_at;
#define SERVERS(word, ...)                                                               \
    struct nameserver word[KEYWORD_NAMESERVERS_MAX];                                     \
    struct span word##_at;
#define DOMAINS(word, ...)                                                               \
    str word[2];                                                                         \
    struct span word##_at;
#define PERIOD(word, ...)                                                                \
    uint32_t word;                                                                       \
    struct span word##_at;
#define HIDDEN(word, ...)                                                                \
    uint32_t word;                                                                       \
    struct span word##_at;
#define EITHER(word, type, ...)                                                          \
    type word;                                                                           \
    struct span word##_at;
#define PERIODS(word, ...)                                                               \
    struct keyword_periods word;                                                         \
    struct span word##_at;
#define AGES(word, ...)                                                                  \
    struct keyword_ages word;                                                            \
    struct span word##_at;
#include "parser/keywords.def"
    unsigned nameserver_count;
};

#endif
