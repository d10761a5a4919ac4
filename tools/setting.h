/* setting: which word of the configuration gave a value, and where it stands. */
#ifndef TOOLS_SETTING_H
#define TOOLS_SETTING_H

#include "tables/snapshot.h"

enum setting_from { SETTING_BUILT_IN, SETTING_DEFAULTS, SETTING_LINE };

struct setting {
    str word;       /* as written, without arguments; the given one when built in */
    struct span at; /* SPAN_NONE when built in */
    enum setting_from from;
};

/* The value of channel c that was written at `at` (a <field>_at of its options). built_in
 * is the word for what holds without any. */
struct setting setting_of(const struct snapshot *s, const struct channel *c,
                          struct span at, const char *built_in);
/* "musttls (site.cnf:71:20)", "musttls (defaults, site.cnf:9:10)", "notls (built in)". */
str setting_text(struct arena *a, const struct snapshot *s, const struct setting *set);
const char *
setting_from_name(enum setting_from from); /* "line", "defaults", "built in" */

/* The two sides of TLS on a channel: notlsserver and its like when nothing is written. */
struct setting setting_tls_server(const struct snapshot *s, const struct channel *c);
struct setting setting_tls_client(const struct snapshot *s, const struct channel *c);

#endif
