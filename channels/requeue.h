/* requeue: the kinds whose mail goes through address handling again, in this system: the
 * channels `reprocess`, `process` and those called after them, and `hold`, whose mail
 * waits until an operator releases it. What comes of it is a message of its own; the old
 * one is settled when that is stored, so that nothing is lost in between. */
#ifndef CHANNELS_REQUEUE_H
#define CHANNELS_REQUEUE_H

#include "router/channel.h"

extern const struct channel_kind kind_reprocess;
extern const struct channel_kind kind_hold;

#endif
