/* snapshot: what a whole configuration MEANS: compiled, checked, immutable, counted
 * by an atomic reference count. Everything in it lives in its one arena. Each entry
 * keeps its span, so that logs and traces can name the deciding line. */
#ifndef TABLES_SNAPSHOT_H
#define TABLES_SNAPSHOT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/diag.h"
#include "base/map.h"
#include "base/slugs.h"
#include "base/vec.h"
#include "parser/parse.h"
#include "tables/channel.h"

/* One key of the channel/host table (PMDF 2.3.2.3). */
struct host_entry {
    const struct channel *channel;
    str host;
    str proper_name; /* envelope To host becomes this; the official host if empty */
    struct span span;
};

/* One listener of dispatcher.cnf: an address, a port, a channel. A service with
 * several ports or PORT and TLS_PORT gives several of these. */
struct service {
    str name;              /* [SERVICE=name] */
    str interface_address; /* IP literal; empty: all addresses, IPv4 and IPv6 */
    uint16_t port;
    bool implicit_tls;             /* from TLS_PORT */
    const struct channel *channel; /* PARAMETER=CHANNEL= */
    unsigned backlog;              /* listen(2) backlog, default 511 */
    unsigned max_conns, max_procs; /* sessions of the whole section at a time: their
                                      product; 0: no limit */
    struct span span;
};

/* A pool of job_controller.cnf ([POOL=name], in PMDF [QUEUE=name]): channels that share a
 * limit. */
struct pool {
    str name;
    unsigned job_limit; /* of deliveries that run at a time; 0: none */
    struct span span;
};

/* Whose configuration files these are. The language is one; where the two programs gave
 * a different meaning to the same text, this decides (docs/config.md lists the cases). */
enum dialect { DIALECT_PMDF, DIALECT_IMTA };

/* option.dat. Paths are absolute or relative to the configuration folder, and are
 * resolved when compiled. */
struct site_options {
    str queue_directory, maildir_root, control_socket;
    str maildir_folder;  /* below maildir_root, see channels/maildir.h; default "%u" */
    str user;            /* default "pointsman" */
    unsigned workers;    /* 0: one per core */
    str dnssec_anchor;   /* file, empty: no validation */
    unsigned log_format; /* 1 or 5 */
    str received_domain; /* our name in Received; empty: that of the channel */
    str return_address, return_personal; /* From of notifications; empty: built in */
    unsigned content_return_block_limit; /* of what they return; 0: built in */
    unsigned bounce_block_limit;         /* likewise; the smaller one counts */
    unsigned history_to_return;          /* earlier attempts that they list */
    unsigned return_delivery_history;    /* 0: none of them */
    unsigned lines_to_return;            /* of the body, where RET says nothing */
    struct span return_address_at, return_personal_at, content_return_block_limit_at,
        bounce_block_limit_at, lines_to_return_at, history_to_return_at,
        return_delivery_history_at;
    enum dialect dialect;
    unsigned block_size;              /* bytes of a block; default 1024 */
    unsigned block_limit, line_limit; /* of any message; 0: none */
    unsigned max_received_lines, max_total_received_lines; /* above: held; 0: none */
    unsigned exproute_forward, improute_forward;           /* 0 or 1 */
    unsigned percent_bang_local; /* 1: a%b is a local user when nobody knows b */
    unsigned urgent_block_limit, normal_block_limit, nonurgent_block_limit; /* 0: none */
    unsigned return_units;         /* 1: the ages of notices are hours, else days */
    unsigned access_errors;        /* 0: a refusal does not say that it is one */
    unsigned access_orcpt;         /* which probes have the recipient as given: Oracle's
                                      bits 2, 4, 8, 16 */
    unsigned use_reverse_database; /* bits of tables/reverse.h; default 5 */
    unsigned reverse_envelope;     /* 0: senders of envelopes are not reversed */
    char mapping_paranoia;         /* stands for '|' in addresses; NUL: '|' stays */
    struct span block_size_at, block_limit_at, line_limit_at, max_received_lines_at,
        max_total_received_lines_at, exproute_forward_at, improute_forward_at,
        percent_bang_local_at, dialect_at, silence_at, user_at, workers_at, log_format_at,
        queue_directory_at, maildir_root_at, maildir_folder_at, control_socket_at,
        dnssec_anchor_at, received_domain_at, access_errors_at, access_orcpt_at,
        mapping_paranoia_at, use_reverse_database_at, reverse_envelope_at,
        return_units_at, urgent_block_limit_at, normal_block_limit_at,
        nonurgent_block_limit_at;
    unsigned alias_domains; /* bits: 1 local part, 2 whole address, 4 *@domain */
    unsigned alias_levels;  /* aliases that lead to each other */
    unsigned or_clauses;    /* 1: one clause of a list that holds is enough */
    unsigned forward_bits;  /* of USE_FORWARD_DATABASE; see tables/forward.h */
    struct span alias_domains_at, alias_levels_at, or_clauses_at, forward_bits_at;
};

/* What became of the compiled image beside the main file; see tables/image.h. */
enum image_verdict {
    IMAGE_NONE,  /* there is none, or it was not asked for */
    IMAGE_FRESH, /* good, and not older than its sources */
    IMAGE_STALE, /* a source has changed */
    IMAGE_BAD    /* damaged, of another program, or not to be trusted */
};
struct image_status {
    enum image_verdict verdict;
    str path;
    str reason; /* of STALE and BAD, a phrase: "'site.rules' has changed since" */
};

struct inputs;
struct report_texts;
struct rule_table;
struct tls_client_table;
struct tls_access_table;

struct snapshot {
    atomic_uint refs;
    struct arena *arena;
    struct sources *sources;
    str directory;             /* absolute configuration folder */
    str main_file;             /* absolute path of the main file */
    struct channel **channels; /* in file order; [0] is the local channel */
    unsigned channel_count;
    struct map *channels_by_name;   /* case-blind -> struct channel */
    struct map *hosts;              /* case-blind -> struct host_entry */
    const struct rule_table *rules; /* see tables/rule_table.h */
    unsigned rule_count;
    struct service *services;
    unsigned service_count;
    struct pool **pools; /* in file order */
    unsigned pool_count;
    struct map *general;      /* case-blind -> struct general_entry */
    struct map *reverse;      /* case-blind -> struct reverse_entry */
    struct map *aliases;      /* struct alias; see tables/alias.h */
    struct map *forward;      /* struct forward_entry; see tables/forward.h */
    struct map *mappings;     /* case-blind -> struct mapping; see tables/mapping.h */
    struct map *localdomains; /* case-blind "dom" or ".dom" -> struct span* */
    struct site_options options;
    const struct tls_profile **tls_profiles; /* in file order; [0] is [*], always there */
    unsigned tls_profile_count;
    const struct tls_client_table
        *tls_client; /* TLS_CLIENT_POLICY; NULL: there is none */
    const struct tls_access_table *tls_access; /* TLS_ACCESS and TLS_PEER_ACCESS */
    const struct report_texts *texts;          /* the site's words for notifications */
    struct map *languages;       /* case-blind name of a folder -> the words there */
    VEC(uint32_t) text_sources;  /* the files that these are in */
    const struct inputs *inputs; /* what it was compiled from */
    struct image_status image;   /* FRESH: the snapshot comes from it */
    VEC(const struct slug *) silenced; /* warnings that nobody wants to see */
    str local_host;                    /* official host of the first channel */
};

struct snapshot_request {
    str path;                    /* file or folder given with -c */
    bool strict;                 /* warnings count as errors */
    bool allow_unhonoured;       /* --allow-unhonoured */
    bool use_image;              /* the image beside the main file, if it is fresh */
    const struct loader *loader; /* NULL: loader_files */
    const char *const *silence;  /* lists of slugs whose warnings are not wanted */
    unsigned silence_count;
};

/* Loads and compiles the whole configuration. Returns a snapshot with one reference
 * and no errors in *diags, or NULL; *diags lives in diag_arena, which the caller owns
 * and which must outlive the use of *diags only: the snapshot has an arena of its own.
 * diag_arena holds a reference of its own, also on a snapshot that failed, so that the
 * texts the messages point into stay. *unreadable is set when the main file could not be
 * read at all (exit code 2 of `check`). Pure: may run on a pool thread. */
struct snapshot *snapshot_load(const struct snapshot_request *req,
                               struct arena *diag_arena, struct diags **diags,
                               bool *unreadable);

/* Warnings of those kinds that are not wanted, by the request or by SILENCE=, are dropped
 * from d, now and later: for what is found out after the load. */
void snapshot_silence(const struct snapshot *s, struct diags *d);
/* Is this kind of warning not wanted? */
bool snapshot_silences(const struct snapshot *s, const char *slug);

/* "image" or "sources": what it was loaded from. */
const char *snapshot_origin(const struct snapshot *s);

struct snapshot *snapshot_ref(struct snapshot *s);
/* Drops the reference and clears *s; the last one frees everything. */
void snapshot_unref(struct snapshot **s);

/* NULL when there is none. Case-blind. */
const struct channel *snapshot_channel(const struct snapshot *s, str name);
const struct host_entry *snapshot_host(const struct snapshot *s, str host);
/* The line of localdomains that holds domain, or a ".parent" of it; NULL: none does.
 * Case-blind. */
const struct span *snapshot_local_domain(const struct snapshot *s, str domain);
bool snapshot_is_local_domain(const struct snapshot *s, str domain);
/* "file:line" of a span, formatted into a. */
str snapshot_where(struct arena *a, const struct snapshot *s, struct span span);

#endif
