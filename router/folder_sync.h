/* folder_sync: the names of folders on the disk: a folder is there after a loss of power
 * when the one that its name is in was synced, and so on up. */
#ifndef ROUTER_FOLDER_SYNC_H
#define ROUTER_FOLDER_SYNC_H

#include <stdbool.h>

/* Syncs the folders above the open folder fd, up to the root of the system. Those that we
 * may not read are somebody else's, who made what is in them for us: they are passed
 * over, but for the first when `made` says that it was us. False: errno. */
bool folder_names_sync(int fd, bool made);

#endif
