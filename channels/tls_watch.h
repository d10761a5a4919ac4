/* tls_watch: have the files that profiles name changed since they were read? By stat()
 * alone; what a name leads to counts, so that a link that is turned is a change, too. */
#ifndef CHANNELS_TLS_WATCH_H
#define CHANNELS_TLS_WATCH_H

#include <stdbool.h>

#include "tables/snapshot.h"

struct tls_watch;

/* Notes all files of the snapshot's profiles as they are now: before they are read. */
struct tls_watch *tls_watch_new(const struct snapshot *s);
void tls_watch_free(struct tls_watch **w);
/* They are about to be read (again). */
void tls_watch_mark(struct tls_watch *w);
/* To be called about once a second. True when they are not what was marked, and either
 * were the same at the last call or have not been for some calls: who writes a
 * certificate and then its key is to be waited for, but not for ever. */
bool tls_watch_look(struct tls_watch *w);

#endif
