/* relay: is a destination ours? The rule that keeps us from being an open relay. */
#ifndef TABLES_RELAY_H
#define TABLES_RELAY_H

#include "base/address.h"
#include "tables/snapshot.h"

/* True when mail from anybody may be taken: the channel is of a final kind, or every
 * host named in the address as given and in the address as rewritten is in
 * localdomains. "Every host" because the next hop may read a source route, or a '%',
 * '!' or '@' in the local part, quoted or not, as a host to relay to: for an untrusted
 * source such an address is ours only if all of them are. */
bool relay_is_ours(const struct snapshot *s, const struct channel *destination,
                   const struct address *given, const struct address *rewritten,
                   struct arena *a);

/* Is every host ours that a less careful router could find in a local part, quoted or
 * not? True where there is none. */
bool relay_local_is_ours(const struct snapshot *s, str local, struct arena *a);

#endif
