/* pipe: the kind of the channels `pipe` and `pipe_*`: each recipient's mail is given to a
 * program of the channel's option file (docs/delivery.md). Which program and with what
 * words is pipe_command.c, its life is pipe_run.c; here is what meets the router. */
#ifndef CHANNELS_PIPE_H
#define CHANNELS_PIPE_H

#include "router/channel.h"

extern const struct channel_kind kind_pipe;

#endif
