/* daemon_place: where the daemon of a configuration is: its control socket and its queue.
 * They are found by option.dat alone: a configuration with errors must not keep its owner
 * from asking the daemon, or from looking at the queue. */
#ifndef TOOLS_DAEMON_PLACE_H
#define TOOLS_DAEMON_PLACE_H

#include "base/arena.h"
#include "tools/tool.h"

/* The path in CONTROL_SOCKET, or --socket; and that in QUEUE_DIRECTORY. A C string in the
 * arena. */
str daemon_socket(struct arena *a, const struct invocation *in);
str daemon_queue(struct arena *a, const struct invocation *in);
/* The path without links, as the daemon has it and SQLite wants it; as it is when there
 * is nothing of that name. */
str daemon_path(struct arena *a, str path);

#endif
