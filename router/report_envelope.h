/* report_envelope: to whom a report goes: an address of this system's own making, taken
 * through rewriting, aliases and FORWARD like a recipient from the local channel; and
 * what the report looks like on the channels it goes out on. */
#ifndef ROUTER_REPORT_ENVELOPE_H
#define ROUTER_REPORT_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>

#include "router/queue.h"
#include "router/worker.h"
#include "tables/snapshot.h"

/* Gives m the null sender, the local source channel, and entries for all that `to` stands
 * for. Everything is copied: m may outlive the snapshot. false: nobody can be reached,
 * and why says so. */
bool report_envelope(struct queue_message *m, const struct snapshot *s, str to, char *why,
                     size_t why_size);
/* When m, which has its envelope, leaves at the soonest: as the worker's rate of reports
 * of this kind lets it. Counts it. */
void report_schedule(struct queue_message *m, struct worker *w, bool success);
/* The name this system has where m goes (its local host alias there); with several
 * channels, or without an alias, the official local host. */
str report_local_name(const struct queue_message *m, const struct snapshot *s);
/* Rewrites the header of the finished text for each channel, as that of any message that
 * is queued to it. Once, before m is stored. */
void report_headers(struct queue_message *m, const struct snapshot *s, str text);

#endif
