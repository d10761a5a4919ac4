/* admission: what access tables ask for one message besides refusing it
 * (tables/access.h): to hold or discard it, header lines, limits, delays; and what their
 * verdicts tell the log. One for each transaction. */
#ifndef ROUTER_ADMISSION_H
#define ROUTER_ADMISSION_H

#include "base/buf.h"
#include "router/worker.h"
#include "tables/access.h"

enum { ADMISSION_HEADER_MAX = 16 * 1024 }; /* of all lines added with $A; more are lost */

struct admission {
    struct arena *arena; /* of the transaction */
    const char *hold;    /* why the message is held; NULL: it is not */
    const char *discard; /* why all of it is thrown away; NULL: it is not */
    struct buf header;   /* lines for the header, with their ends */
    struct access_limits limits;
    unsigned offered, taken; /* recipients so far */
    unsigned delay_ms;       /* before the answers to come; 0: none */
    unsigned delay_once_ms;  /* before the next one, in its place */
};

/* Asks for nothing yet. The arena is borrowed, and holds the texts of the verdicts. */
void admission_init(struct admission *m, struct arena *a);
void admission_free(struct admission *m);
/* Before a command about an address: what $D said of the one before is over. */
void admission_command(struct admission *m);
/* The delay that a verdict asks for; refusals have it, too. */
void admission_delay(struct admission *m, const struct access_verdict *v);
/* All else it asks for; only where the address was taken. */
void admission_take(struct admission *m, const struct snapshot *s,
                    const struct access_verdict *v);
/* May there be one more recipient, by $S? *offered counts. */
bool admission_recipient(struct admission *m);
/* Were more offered than $S allows? Asked at DATA. */
bool admission_cutoff(const struct admission *m);
/* Is the message larger than $S allows? bytes: what has come of it so far. */
bool admission_too_large(const struct admission *m, const struct snapshot *s,
                         uint64_t bytes);

/* What verdicts are about, for the log; what is empty is left out. */
struct admission_place {
    struct log *log;
    const struct snapshot *snapshot;
    str session, channel, peer, from, to;
    const char *id;
};
/* `access` where there is something to tell: a refusal, a message held, discarded or with
 * another sender, texts of $< and $>; `error` for a fault. */
void admission_log(const struct admission_place *p, const struct access_verdict *v);
/* Is there something to tell? */
bool admission_worth_telling(const struct access_verdict *v);

#endif
