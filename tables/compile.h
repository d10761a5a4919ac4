/* compile: the passes that make a snapshot of the ASTs, and what they share. Internal
 * to tables/. snapshot_load() in compile.c runs them in the order given here. */
#ifndef TABLES_COMPILE_H
#define TABLES_COMPILE_H

#include "parser/options.h"
#include "tables/nearest.h"
#include "tables/snapshot.h"

struct compile {
    const struct loader *loader;
    bool allow_unhonoured;
    struct snapshot *s;  /* being filled */
    struct arena *arena; /* the snapshot's */
    struct diags *diags;
    str main_name; /* of the main file, as shown */
    struct nearest_budget nearest;
    struct map *mentioned; /* channels named by keywords that are not honoured yet */
};

/* locate.c: finds the main file for the path given with -c and sets s->directory,
 * s->main_file and main_name. False (and reported) when there is none. */
bool locate_main(struct compile *c, str path);
/* A file beside the main file, by name. Absolute. */
str locate_beside(const struct compile *c, const char *name);
/* A path written in a configuration file: absolute, or in the configuration folder. */
str locate_written(const struct compile *c, str path);

/* channel.c: channel blocks into s->channels, s->channels_by_name and s->hosts. */
void channel_compile(struct compile *c, const struct ast *ast);
/* The channel of that name, or NULL; that is reported then, with the nearest name. */
const struct channel *channel_resolve(struct compile *c, str name, struct span at,
                                      const char *slug);
/* The argument, with its quotes if it has any, in the span of a keyword and its
 * argument. */
struct span channel_argument_span(const struct diags *d, struct span at, str argument);
/* services.c, pools.c, site_options.c, tls_profile.c, local_domains.c: one file each; ast
 * is NULL when the file is not there. */
void services_compile(struct compile *c, const struct ast *ast);
/* job_controller.cnf into s->pools, and the pool of each channel; wants channels and the
 * dialect. */
void pools_compile(struct compile *c, const struct ast *ast);
void site_options_compile(struct compile *c, const struct ast *ast);
void tls_profiles_compile(struct compile *c, const struct ast *ast);
void local_domains_compile(struct compile *c, const struct ast *ast);
/* general.c: `general` into s->general. ast is NULL when there is none. */
void general_compile(struct compile *c, const struct ast *ast);
/* reverse.c: `reverse` into s->reverse. ast is NULL when there is none. */
void reverse_compile(struct compile *c, const struct ast *ast);
/* mapping.c: `mappings` into s->mappings; says what of it is not honoured. ast is NULL
 * when there is none. */
void mapping_compile(struct compile *c, const struct ast *ast);
/* access_check.c: says what of a table is not honoured, when it is one that decides about
 * access, and what in it cannot work. False: it is another table. */
struct mapping;
bool access_check(struct compile *c, const struct mapping *t);
/* tls_access.c: what TLS_ACCESS and TLS_PEER_ACCESS can do into s->tls_access; wants
 * channels and mappings. */
void tls_access_compile(struct compile *c);
/* tls_client_table.c: TLS_CLIENT_POLICY into s->tls_client; wants profiles and mappings.
 */
void tls_client_compile(struct compile *c);
/* Warns of tables that nobody calls. called has the names of those that rules do, as
 * keys, case-blind; those that tables call are added. */
void mapping_check_called(struct compile *c, struct map *called);
struct inputs;
/* alias_compile.c: `aliases` and the files of its lists into s->aliases. */
void alias_compile(struct compile *c, const struct inputs *in);
/* Adds the mapping tables that lists ask, as keys. */
void alias_note_tables(const struct snapshot *s, struct map *called);
/* forward.c: `forward` into s->forward. ast is NULL when there is none. */
void forward_compile(struct compile *c, const struct ast *ast);
/* silence.c: warnings nobody wants to see: those named in the request, and those of a
 * list from SILENCE= in option.dat. What can not be silenced is reported. */
void silence_request(struct compile *c, const struct snapshot_request *req);
void silence_option(struct compile *c, const struct ast_option *o);
/* lint.c: what can only be said of the whole. with_rules: also what is said of single
 * rules, which was said when an image was made of them. */
void lint_snapshot(struct compile *c, bool with_rules);

/* Something known that would restrict is not honoured: an error, or a warning with
 * --allow-unhonoured. text says what is lost. */
void compile_restriction(struct compile *c, struct span at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The row of an option, when it is honoured; else it is reported and NULL. */
const struct option_row *compile_option(struct compile *c, enum option_file file,
                                        const struct ast_option *o);
/* Reports that *seen was given before, and sets it. */
void compile_once(struct compile *c, struct span *seen, const struct ast_option *o);
/* Is it an IPv4 or IPv6 address? *canonical (may be NULL) is how it is printed. */
bool compile_ip(const struct compile *c, str text, str *canonical);

#endif
