/* maildir_known: Maildirs that are known to be on the disk, with the names of all folders
 * above them: who made one may not have synced it, so the first delivery does. Of a fixed
 * size: what is forgotten is synced once more. Any thread. */
#ifndef CHANNELS_MAILDIR_KNOWN_H
#define CHANNELS_MAILDIR_KNOWN_H

#include <stdbool.h>
#include <stdint.h>

struct maildir_known;

struct maildir_known *maildir_known_new(void);
void maildir_known_free(struct maildir_known **k);

/* What tells an open folder from others, also from one that was there before under the
 * same name or number. 0: it cannot be told. */
uint64_t maildir_known_id(int fd);
/* k may be NULL: none is known. */
bool maildir_known_has(struct maildir_known *k, uint64_t id);
void maildir_known_add(struct maildir_known *k, uint64_t id);

#endif
