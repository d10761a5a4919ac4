/* report_envelope: to whom a report goes: an address of this system's own making, taken
 * through rewriting, aliases and FORWARD like a recipient from the local channel. */
#ifndef ROUTER_REPORT_ENVELOPE_H
#define ROUTER_REPORT_ENVELOPE_H

#include <stdbool.h>
#include <stddef.h>

#include "router/queue.h"
#include "tables/snapshot.h"

/* Gives m the null sender, the local source channel, and entries for all that `to` stands
 * for. Everything is copied: m may outlive the snapshot. false: nobody can be reached,
 * and why says so. */
bool report_envelope(struct queue_message *m, const struct snapshot *s, str to, char *why,
                     size_t why_size);

#endif
