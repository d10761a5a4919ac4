/* maildir: from a local part to a folder below the root, and a message safely into it.
 * Blocking; for pool threads, but for maildir_find(), which is quick. No link is ever
 * followed, no name from mail is ever created (but `postmaster`). */
#ifndef CHANNELS_MAILDIR_H
#define CHANNELS_MAILDIR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "router/outcome.h"

struct address;
struct body;
struct maildir_known;

enum { MAILDIR_USER_MAX = 64, MAILDIR_FOLDER_MAX = 400, MAILDIR_PATH_MAX = 660 };

/* Where the Maildirs are. rule: names with '/' between, in which %u stands for the user,
 * %1u and %2u for its first characters, %d for the domain (MAILDIR_FOLDER). */
struct maildir_root {
    int fd;
    str rule;
    struct maildir_known *known; /* those that were synced; NULL: each delivery does it */
};

/* One Maildir, below the root. Only that of postmaster is ever made, and of it no folder
 * that has the domain in its name: `made` counts those at the end that may be. */
struct maildir_folder {
    char path[MAILDIR_FOLDER_MAX + 1];
    unsigned made;
};

/* The folder an address is delivered to. The user is its local part (as written, perhaps
 * quoted) in lower case, or that without "+detail" when there is no such folder.
 * "postmaster" needs no folder. false: *out says why, FAILED or DEFERRED (RFC 3463
 * 5.1.1, 5.1.3, 4.3.0). */
bool maildir_find(const struct maildir_root *root, const struct address *to,
                  struct maildir_folder *folder, struct outcome *out);

struct maildir_delivery {
    const struct body *body; /* CRLF lines; stored with LF */
    str sender;              /* for Return-Path (RFC 5321 4.4) */
    str message_id;          /* part of the file's name */
    str host;                /* part of the file's name, made safe */
    unsigned serial;         /* distinguishes files of one message */
    int64_t now_us;          /* microseconds since 1970, for the file's name */
};

/* Stores the message in a folder: on DELIVERED it is on the disk, with the names of all
 * folders down to it but for those in one that may not be read, and path holds
 * "folder/new/name". Anything else leaves no trace, but for what the outcome says. */
void maildir_deliver(const struct maildir_root *root, const struct maildir_folder *folder,
                     const struct maildir_delivery *m, char path[MAILDIR_PATH_MAX],
                     struct outcome *out);

#endif
