/* report_style: what the site and a channel say about the look of a report: in whose name
 * it comes and in whose words. */
#ifndef ROUTER_REPORT_STYLE_H
#define ROUTER_REPORT_STYLE_H

#include "router/bounce.h"
#include "router/queue.h"
#include "router/worker.h"
#include "tables/snapshot.h"

/* Fills in the name that report has where it goes, From, and the unit of times. c: the
 * channel whose words count, in s; NULL: none is known. */
void report_style(struct bounce *b, const struct queue_message *report,
                  const struct snapshot *s, const struct channel *c);
/* Chooses the words for b, which is filled in but for them. source: the channel that the
 * message came from. asks: its header says what language is wanted; else it is not his
 * who is told. What the table says and cannot be used is logged. a: lives as long as b.
 */
void report_words(struct bounce *b, const struct snapshot *s, str source, bool asks,
                  struct worker *w, struct arena *a);

/* How much of a message comes back. */
enum report_part {
    REPORT_PART_HEADER,
    REPORT_PART_LINES, /* and LINES_TO_RETURN lines of the body */
    REPORT_PART_WHOLE
};
/* What may come back of a message of that many octets, if that much is wanted: all of it
 * has a limit here, CONTENT_RETURN_BLOCK_LIMIT and BOUNCE_BLOCK_LIMIT are those of the
 * site, for lines as well. */
enum report_part report_part(const struct snapshot *s, enum report_part wanted,
                             uint64_t size);

#endif
