/* tls_telling: what the parts of `tls explain` share: fields with the place that each
 * comes from. */
#ifndef TOOLS_TLS_TELLING_H
#define TOOLS_TLS_TELLING_H

#include "tables/tls_audit.h"
#include "tools/configuration.h"
#include "tools/record.h"

struct telling {
    const struct invocation *in;
    const struct configuration *c;
    const struct snapshot *s;
    struct arena *arena;
    const struct channel *channel;
    struct tls_client_answer answer;
    struct record *out; /* NULL: text */
    int code;
};

/* One field. from: "line", "[bank]", ... */
void telling_field(const struct telling *t, const char *name, str value, struct span at,
                   const char *from);
/* Where a keyword at that place stands: "line", "defaults" or "built in". */
const char *telling_from(const struct telling *t, struct span at);
/* An option of the profile, if it is set or means something without. */
void telling_option(const struct telling *t, const struct tls_profile *p,
                    enum tls_option o);
/* tls_explain_server.c: what the channel does with clients, and where the handshake can
 * lead their sessions. */
void telling_server(const struct telling *t);

#endif
