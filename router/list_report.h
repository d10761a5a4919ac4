/* list_report: members of lists that cannot get a message which the others get: told to
 * whom the list belongs, by a report that is committed with the message, and logged when
 * it is, so that a client who sends none fills no log. */
#ifndef ROUTER_LIST_REPORT_H
#define ROUTER_LIST_REPORT_H

#include "router/outcome.h"
#include "router/queue.h"
#include "tables/expand.h"

enum {
    LIST_REPORT_NAMED_MAX = 40,       /* members named in one report */
    LIST_REPORT_LOGGED_MAX = 1000,    /* members named in the log for one message */
    LIST_REPORT_TEXT_MAX = 200,       /* octets of a member: lines of mail end at 998 */
    LIST_REPORT_HEADER_MAX = 16 << 10 /* octets of the message's header */
};

struct list_report;
/* Collects for one transaction; lives in the arena. session: for the log. */
struct list_report *list_report_new(struct arena *a, str session);
/* One more bad member. Nothing when it is there already: a client may name a list twice.
 */
void list_report_add(struct list_report *r, const struct snapshot *s,
                     const struct expand_node *n, const struct outcome *why);
/* They are stored: tells the log. Before those that list_report_make() hung on m are
 * taken away. */
void list_report_stored(const struct list_report *r, struct worker *w,
                        const struct queue_message *m);
/* Makes the reports, one for each owner, and hangs them on m. The owner is [OWNER], else
 * the envelope sender that the list gives its members, else the postmaster; where there
 * is no way to the owner, the postmaster, and where there is none to him, the log has it.
 * header: of m, perhaps cut; ptr NULL: not known. */
void list_report_make(struct list_report *r, struct worker *w, const struct snapshot *s,
                      str header, struct queue_message *m);

#endif
