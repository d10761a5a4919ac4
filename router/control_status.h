/* control_status: what `status` says, for people and as fields. Reads only. */
#ifndef ROUTER_CONTROL_STATUS_H
#define ROUTER_CONTROL_STATUS_H

#include "base/buf.h"
#include "router/control.h"
#include "router/queue.h"

enum { CONTROL_STATUS_MAX = 128 * 1024 };

/* Appends lines to text and JSON members, each with a comma before it, to fields:
 * version, pid, uptime_s, config, workers, reload_error, those of control_tls.h, every
 * counter by its field name, queue_*, services. counts NULL: the queue could not be read,
 * reason says why. */
void control_status(const struct control_setup *setup, const struct queue_counts *counts,
                    const char *reason, struct buf *text, struct buf *fields);

#endif
