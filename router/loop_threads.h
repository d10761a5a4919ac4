/* loop_threads: libuv's pool of threads, started when the daemon starts. libuv makes it
 * at its first use, whenever that is, and ends the process without a word when the system
 * has no thread left to give. */
#ifndef ROUTER_LOOP_THREADS_H
#define ROUTER_LOOP_THREADS_H

#include <uv.h>

/* Before anything else uses the pool: sees whether there can be its threads and `others`
 * more, and starts it. 0, or libuv's code. Blocks for a moment. */
int loop_threads_start(uv_loop_t *loop, unsigned others);

#endif
