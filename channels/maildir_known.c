/* maildir_known: see maildir_known.h. One place for each hash; the last one has it. */
#include "channels/maildir_known.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/check.h"
#include "base/str.h"

enum { PLACES = 16384 };

struct maildir_known {
    _Atomic uint64_t id[PLACES];
};

struct maildir_known *maildir_known_new(void)
{
    struct maildir_known *k = calloc(1, sizeof *k);
    check(k != NULL);
    return k;
}

void maildir_known_free(struct maildir_known **k)
{
    free(*k);
    *k = NULL;
}

uint64_t maildir_known_id(int fd)
{
    struct statx st;
    if (statx(fd, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &st) != 0) {
        return 0;
    }
    bool born = (st.stx_mask & STATX_BTIME) != 0;
    const uint64_t parts[] = {(uint64_t)st.stx_dev_major << 32 | st.stx_dev_minor,
                              st.stx_ino, born ? (uint64_t)st.stx_btime.tv_sec : 0,
                              born ? st.stx_btime.tv_nsec : 0};
    return str_hash(str_n((const char *)parts, sizeof parts));
}

bool maildir_known_has(struct maildir_known *k, uint64_t id)
{
    return k != NULL && id != 0 &&
           atomic_load_explicit(&k->id[id % PLACES], memory_order_acquire) == id;
}

void maildir_known_add(struct maildir_known *k, uint64_t id)
{
    if (k != NULL && id != 0) {
        atomic_store_explicit(&k->id[id % PLACES], id, memory_order_release);
    }
}
