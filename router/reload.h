/* reload: the configuration in force and how the next one replaces it: load and prepare
 * on a pool thread, open new sockets on the main thread, then post the new runtime to
 * every worker. What fails leaves everything as it was. Main loop only. */
#ifndef ROUTER_RELOAD_H
#define ROUTER_RELOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/diag.h"
#include "base/log.h"
#include "router/runtime.h"
#include "router/service.h"
#include "router/worker.h"

struct reload;

/* Takes over *r and *e, the first configuration, and gives them to all workers, which
 * must not run yet. main: the main thread's loop. request->path must live as long. */
struct reload *reload_new(struct worker *main, const struct snapshot_request *request,
                          struct runtime **r, struct endpoints **e);
/* Drops the configuration; nothing may be under way. Clears *r. */
void reload_free(struct reload **r);

/* Called once, on the main loop, never inside the call that asked. text: what to show
 * to a human (messages about the configuration, then a summary); borrowed. */
typedef void (*reload_cb)(bool ok, str text, void *arg);
/* Loads the configuration anew. by: who asked, constant text for the log. While a
 * reload is under way the next waits; those who wait share one. cb NULL: none. */
void reload_request(struct reload *r, const char *by, reload_cb cb, void *arg);
/* Nothing under way and nobody waiting. */
bool reload_idle(const struct reload *r);

/* What is in force; borrowed until the next turn of the loop. */
struct runtime *reload_runtime(const struct reload *r);
const struct endpoints *reload_endpoints(const struct reload *r);
int64_t reload_loaded_ms(const struct reload *r);
/* Why the last configuration was refused, one line, and when; empty: it was loaded.
 * Borrowed as above. */
str reload_trouble(const struct reload *r, int64_t *since_ms);

/* One `config` event for every message of d. */
void config_log(struct log *log, const struct diags *d);

#endif
