/* queue_keeping: what keeps a queue safe: a copy of it, and whether it is whole. Both
 * beside a running daemon or without one. They return exit codes. */
#ifndef TOOLS_QUEUE_KEEPING_H
#define TOOLS_QUEUE_KEEPING_H

#include "tools/tool.h"

/* queue backup DIR: a copy of the queue in that directory, which must not exist. */
int queue_keeping_backup(const struct invocation *in, const char *queue);
/* queue check [DIR]: reads all of the queue, or of a backup; TOOL_NO when something is
 * wrong with it. */
int queue_keeping_check(const struct invocation *in, const char *queue);

#endif
