/* route_fixture: a snapshot made by hand for the tests of rewriting and routing, so
 * that they need neither parser nor disk. The text looks like a configuration:
 * rules, a blank line, blocks; after a channel's name only these words are known:
 * switchchannel noswitchchannel tls=CHANNEL daemon=HOST. A channel named l or
 * bitbucket is final, tcp_* is TCP, all others are unsupported. */
#ifndef TEST_UNIT_ROUTE_FIXTURE_H
#define TEST_UNIT_ROUTE_FIXTURE_H

#include "tables/rewrite.h"
#include "tables/route.h"

struct fixture {
    struct arena *arena;
    struct snapshot *s;
    struct diags *diags;
};

/* localdomains: words separated by blanks, NULL for none. Compiles and checks. */
struct fixture fixture_new(const char *config, const char *localdomains);
void fixture_free(struct fixture *f);
/* The channel of that name; fails the test if there is none. */
const struct channel *fixture_channel(const struct fixture *f, const char *name);
/* Parses an address ("@route:local@domain"); fails the test if it is none. */
struct address fixture_address(const char *text);
/* "local@domain channel" of an envelope To from the given source, or "- text". */
const char *fixture_route(const struct fixture *f, const char *source,
                          const char *address);
/* All diagnostics, one a line: "line:column: severity: text [slug]". */
const char *fixture_messages(const struct fixture *f);

#endif
