/* kinds: the list of channel drivers this program has, made from kinds.def. The daemon
 * passes it to the router, which knows only router/channel.h. */
#ifndef CHANNELS_KINDS_H
#define CHANNELS_KINDS_H

#include "router/channel.h"

#define KIND(name) extern const struct channel_kind kind_##name;
#include "channels/kinds.def"
#undef KIND

/* All kinds, NULL-terminated, in the order of kinds.def. */
extern const struct channel_kind *const channel_kinds[];

#endif
