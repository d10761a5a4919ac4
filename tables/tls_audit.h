/* tls_audit: the weakest that mail can get of TLS, by what the tables allow, whatever the
 * next hop offers and whoever is in between. It errs on the side of less: what cannot be
 * known before mail goes out counts as the weakest, and is named. Pure; for `pointsman
 * tls audit`. */
#ifndef TABLES_TLS_AUDIT_H
#define TABLES_TLS_AUDIT_H

#include "tables/tls_client_policy.h"

/* What protects a delivery, weakest first. */
enum tls_outcome {
    TLS_OUTCOME_CLEAR,  /* it can go in clear: TLS need not be offered, or is not used */
    TLS_OUTCOME_TLS,    /* TLS, with anybody */
    TLS_OUTCOME_CA,     /* with one whom a CA of the profile knows */
    TLS_OUTCOME_HOST,   /* with the host that was meant */
    TLS_OUTCOME_PINNED, /* with a certificate or key that is listed */
    TLS_OUTCOMES
};
/* "clear", "tls", "ca", "host", "pinned". */
const char *tls_outcome_name(enum tls_outcome o);
/* The weakest that a policy leads to. */
enum tls_outcome tls_outcome_of(const struct tls_policy *p);
/* False: it is none of the names. */
bool tls_outcome_parse(str name, enum tls_outcome *out);

/* Why something is not known. */
struct tls_unknown {
    struct span at;
    const char *why;
    struct tls_unknown *next;
};

struct tls_weakest {
    enum tls_outcome outcome;
    struct span at; /* what says so; SPAN_NONE: built in */
    bool assumed;   /* because of an entry of which nobody knows what it says */
};

/* What goes by a channel to the domains of a class: one domain; or a pattern, for all it
 * matches but those that an entry names in full; or "", for all that no entry names but
 * by a lone '*'. Every domain is in a class of tls_classes(). */
void tls_weakest(const struct snapshot *s, const struct channel *c, str class,
                 struct arena *a, struct tls_weakest *out);

/* The classes of domains that the channel can have to do with: the one `daemon` names, or
 * "" and the domain part of each entry for it. Each once. */
typedef void tls_class_fn(str class, void *arg);
void tls_classes(const struct snapshot *s, const struct channel *c, struct arena *a,
                 tls_class_fn *each, void *arg);

/* Does mail leave by this channel? */
bool tls_channel_sends(const struct channel *c);

/* Where mail for a domain can go. */
struct tls_lead {
    const struct channel *channel;
    str host;       /* the next hop */
    str recipient;  /* an address that gets there, "*@" for any of its domain */
    struct span at; /* the rule, or line of the channel block, that leads there */
    struct span by; /* the alias or entry of FORWARD that gave the recipient, or none */
    struct tls_lead *next;
};
struct tls_leads {
    struct tls_lead *first;
    struct tls_unknown *unknown; /* it may go anywhere else, too */
    bool local;                  /* some of it stays here, or is thrown away */
};
/* Follows rules, aliases and FORWARD, from each channel that mail can come from, for any
 * recipient of that domain. */
void tls_leads_find(const struct snapshot *s, str domain, struct arena *a,
                    struct tls_leads *out);

#endif
