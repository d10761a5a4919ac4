/* bitbucket: the kind that takes everything and keeps nothing; also the shortest
 * example of a kind (docs/hacking.md). */
#ifndef CHANNELS_BITBUCKET_H
#define CHANNELS_BITBUCKET_H

#include "router/channel.h"

extern const struct channel_kind kind_bitbucket;

#endif
