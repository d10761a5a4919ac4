/* renewal: certificates while the daemon runs. Looks about once a second whether their
 * files have changed, has them read again, and nothing else; warns before they expire.
 * What is broken stays as it was. Main loop only. */
#ifndef ROUTER_RENEWAL_H
#define ROUTER_RENEWAL_H

#include <stdbool.h>
#include <stdint.h>

#include "router/reload.h"
#include "router/worker.h"

struct renewal;

struct renewal *renewal_new(struct worker *main, struct reload *reload);
/* Looks no more; what is under way is finished. */
void renewal_stop(struct renewal *r);
bool renewal_idle(const struct renewal *r);
/* After renewal_stop(), idle: frees itself when the loop has turned. Clears *r. */
void renewal_free(struct renewal **r);

/* Reads the certificates of the configuration in force again. As reload_request(). */
void renewal_request(struct renewal *r, const char *by, reload_cb cb, void *arg);

/* Why the files of the configuration in force could not all be taken when they were read
 * last, one line, and when; empty: they could. Borrowed until the next turn of the loop.
 */
str renewal_trouble(const struct renewal *r, int64_t *since_ms);
/* Tells of every certificate in use. */
void renewal_view(const struct renewal *r, tls_view_cb *each, void *arg);

#endif
