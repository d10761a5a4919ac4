/* maildir: from a local part to a folder below the root, and a message safely into it.
 * Blocking; for pool threads, but for maildir_find(), which is quick. No link is ever
 * followed, no name from mail is ever created (but `postmaster`). */
#ifndef CHANNELS_MAILDIR_H
#define CHANNELS_MAILDIR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "router/outcome.h"

struct body;

enum { MAILDIR_USER_MAX = 64, MAILDIR_PATH_MAX = 320 };

/* The folder a local part (as written, perhaps quoted) is delivered to, its name in
 * user: the local part in lower case, or without "+detail" when there is no such folder.
 * "postmaster" needs no folder. false: *out says why, FAILED or DEFERRED (RFC 3463
 * 5.1.1, 5.1.3, 4.3.0). */
bool maildir_find(int root_fd, str local, char user[MAILDIR_USER_MAX + 1],
                  struct outcome *out);

struct maildir_delivery {
    const struct body *body; /* CRLF lines; stored with LF */
    str sender;              /* for Return-Path (RFC 5321 4.4) */
    str message_id;          /* part of the file's name */
    str host;                /* part of the file's name, made safe */
    unsigned serial;         /* distinguishes files of one message */
    int64_t now_us;          /* microseconds since 1970, for the file's name */
};

/* Stores the message in user's folder: on DELIVERED it is on the disk and path holds
 * "user/new/name". Anything else leaves no trace, but for what the outcome says. */
void maildir_deliver(int root_fd, const char *user, const struct maildir_delivery *m,
                     char path[MAILDIR_PATH_MAX], struct outcome *out);

#endif
