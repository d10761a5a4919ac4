/* privileges: whom the daemon becomes. Started as root it opens what needs root and then
 * is USER= for good; started as anybody else it stays what it is. */
#ifndef ROUTER_PRIVILEGES_H
#define ROUTER_PRIVILEGES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

enum { PRIVILEGES_USER_MAX = 64 };

struct privileges {
    bool root;                      /* started as root: there is something to give up */
    unsigned uid, gid;              /* to become; what we are when not root */
    char user[PRIVILEGES_USER_MAX]; /* its name, for messages and the log */
};

/* Finds the user. Not as root: `user` is not looked at. False with a reason that says
 * how to create a missing one. */
bool privileges_find(struct privileges *p, str user, char *reason, size_t reason_size);
/* Makes the folder, and what is missing above it, unless it exists; a new one gets mode
 * and, as root, the user and group of p. False with a reason. */
bool privileges_folder(const struct privileges *p, str path, unsigned mode, char *reason,
                       size_t reason_size);
/* Becomes the user with its groups, verifies that there is no way back, and sets
 * no_new_privs, umask 077 and no core files (they would hold mail and keys). Before the
 * first thread. False with a reason: then the process must end. */
bool privileges_drop(const struct privileges *p, char *reason, size_t reason_size);

#endif
