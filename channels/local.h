/* local: the kind of channel `l`: delivery into Maildirs below MAILDIR_ROOT
 * (docs/delivery.md). Which mailbox an address means, and how a message is written there,
 * is maildir.c; this is the part that meets the router and the thread pool. */
#ifndef CHANNELS_LOCAL_H
#define CHANNELS_LOCAL_H

#include "router/channel.h"

extern const struct channel_kind kind_local;

#endif
