/* tls_compile: what the files that compile tls.cnf share. Internal to tables/. */
#ifndef TABLES_TLS_COMPILE_H
#define TABLES_TLS_COMPILE_H

#include "tables/compile.h"
#include "tables/tls_profile.h"

/* One section while it is read: only what stands in it. */
struct tls_draft {
    struct tls_profile *profile;
    struct tls_setting own[TLS_OPTIONS];
    const struct tls_item **end[TLS_OPTIONS]; /* where the next item is linked in */
    str inherit;
    struct span inherit_at;
    uint64_t refused; /* options with a value that was reported; a bit each */
    struct tls_draft *parent, *below;
    enum { TLS_DRAFT_NEW, TLS_DRAFT_OPEN, TLS_DRAFT_DONE } state;
    struct tls_draft *next;
};

/* tls_values.c: checks one line and adds it to the draft. */
void tls_value_read(struct compile *c, struct tls_draft *d, const struct ast_option *o,
                    const struct option_row *row);
/* tls_values.c: puts what `own` says over `settings`. */
void tls_settings_over(struct tls_setting *settings, const struct tls_setting *own);
/* tls_values.c: settings -> the fields with a meaning; says what does not fit together.
 */
void tls_profile_derive(struct compile *c, struct tls_profile *p);

#endif
