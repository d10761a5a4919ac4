/* pipe_run: one program that gets one message, on a worker's loop: its input is fed, its
 * output collected, its time watched, its end awaited. */
#ifndef CHANNELS_PIPE_RUN_H
#define CHANNELS_PIPE_RUN_H

#include "channels/pipe_command.h"
#include "router/body.h"
#include "router/worker.h"

struct pipe_run;

/* Once, never inside pipe_run(); the result is borrowed for the call. */
typedef void (*pipe_run_cb)(const struct pipe_result *r, void *arg);

/* Runs it. call, limits and body are borrowed until cb. */
void pipe_run(struct worker *w, const struct pipe_call *call,
              const struct pipe_options *limits, struct body *body, str sender,
              pipe_run_cb cb, void *arg);

#endif
