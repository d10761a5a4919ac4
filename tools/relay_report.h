/* relay_report: who may relay through this configuration, and why; and what is taken from
 * everybody. Told by `pointsman check --relay`. */
#ifndef TOOLS_RELAY_REPORT_H
#define TOOLS_RELAY_REPORT_H

#include "tables/mapping_view.h"
#include "tables/trust.h"

/* An access table that decides about recipients in place of the relay rule, as far as
 * mail from one channel goes. */
struct relay_access {
    const struct mapping *table;
    unsigned concern; /* entries whose pattern can match such mail */
    VEC(struct mapping_view)
    open; /* those among them that say $Y or $H, and no refusal */
};
/* The access tables there are, for mail from the channel. Results are in the arena. */
struct relay_accesses {
    VEC(struct relay_access) tables;
};
void relay_access_find(const struct snapshot *s, const struct channel *from,
                       struct arena *a, struct relay_accesses *out);

/* What the call-outs of a rule ask. */
struct relay_asked {
    VEC(const struct mapping *) tables; /* each must say $Y */
    bool general;                       /* the general database */
};
void relay_asked_find(const struct snapshot *s, const struct trust_reason *reason,
                      struct arena *a, struct relay_asked *out);

/* The place that a way comes from: a service, a keyword; SPAN_NONE for an address. */
struct span relay_way_at(const struct trust_way *way);

/* Prints it on standard output, as text or as objects, one a line. */
void relay_report_text(const struct snapshot *s, struct arena *a);
void relay_report_json(const struct snapshot *s, struct arena *a);

#endif
