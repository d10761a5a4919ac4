#include "test/unit/disk_platters.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/check.h"

enum { PAGE = 4096, SECTOR = 512 };

/* A page is written back as a whole. LOST: a sync of it failed, so the kernel takes it
 * for written, but it is not. */
enum page { CLEAN, DIRTY, LOST };

/* One file, by inode, with what the platters have of it. */
struct node {
    struct node *next;
    ino_t inode;
    int fd; /* our own, lives on when the file has no name any more */
    char *durable;
    size_t durable_size;
    unsigned char *pages; /* enum page */
    size_t page_count;
};

/* A name that is not on the platters as it is now. */
struct change {
    struct change *next;
    char folder[PATH_MAX], path[PATH_MAX];
    struct node *before; /* at the folder's last sync; NULL: nothing */
    bool whole;          /* never survives: half a rename would */
};

static struct {
    struct node *nodes;
    struct change *changes;
    enum disk_loss loss;
    unsigned seed;
} platters;

/* --- the kernel itself --- */

int raw_openat(int at, const char *path, int flags, mode_t mode)
{
    return (int)syscall(SYS_openat, at, path, flags, mode);
}
ssize_t raw_pread(int fd, void *into, size_t n, off_t at)
{
    return syscall(SYS_pread64, fd, into, n, at);
}
ssize_t raw_pwrite(int fd, const void *data, size_t n, off_t at)
{
    return syscall(SYS_pwrite64, fd, data, n, at);
}
int raw_truncate(int fd, off_t size)
{
    return (int)syscall(SYS_ftruncate, fd, size);
}
int raw_unlinkat(int at, const char *path, int flags)
{
    return (int)syscall(SYS_unlinkat, at, path, flags);
}

bool path_there(const char *path)
{
    struct stat st;
    return fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* --- files and what the platters have of them --- */

size_t node_size(const struct node *n)
{
    struct stat st;
    check(fstat(n->fd, &st) == 0);
    return (size_t)st.st_size;
}

static void pages_mark(struct node *n, size_t from, size_t to, enum page state)
{
    size_t last = (to + PAGE - 1) / PAGE;
    if (last > n->page_count) {
        n->pages = realloc(n->pages, last);
        check(n->pages != NULL);
        memset(n->pages + n->page_count, CLEAN, last - n->page_count);
        n->page_count = last;
    }
    for (size_t i = from / PAGE; i < last; i++) {
        n->pages[i] = (unsigned char)state;
    }
}

static void durable_resize(struct node *n, size_t size)
{
    if (size > n->durable_size) {
        n->durable = realloc(n->durable, size);
        check(n->durable != NULL);
        memset(n->durable + n->durable_size, 0, size - n->durable_size);
    }
    n->durable_size = size;
}

static void page_save(struct node *n, size_t page)
{
    size_t at = page * PAGE, size = n->durable_size;
    if (at < size) {
        size_t len = size - at < PAGE ? size - at : PAGE;
        check(raw_pread(n->fd, n->durable + at, len, (off_t)at) == (ssize_t)len);
    }
}

void node_changed(struct node *n, size_t from, size_t to)
{
    pages_mark(n, from, to, DIRTY);
}

void node_sync(struct node *n)
{
    durable_resize(n, node_size(n));
    for (size_t i = 0; i < n->page_count; i++) {
        if (n->pages[i] == DIRTY) {
            page_save(n, i);
            n->pages[i] = CLEAN;
        }
    }
}

void node_sync_failed(struct node *n)
{
    for (size_t i = 0; i < n->page_count; i++) {
        if (n->pages[i] == DIRTY) {
            n->pages[i] = LOST;
        }
    }
}

struct node *node_of(const char *path, bool is_new)
{
    struct stat st;
    if (fstatat(AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode)) {
        return NULL;
    }
    for (struct node *n = platters.nodes; n != NULL; n = n->next) {
        if (n->inode == st.st_ino) {
            return n;
        }
    }
    struct node *n = calloc(1, sizeof *n);
    check(n != NULL);
    n->next = platters.nodes;
    platters.nodes = n;
    n->inode = st.st_ino;
    n->fd = raw_openat(AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
    check(n->fd >= 0);
    if (!is_new) {
        pages_mark(n, 0, (size_t)st.st_size, DIRTY);
        node_sync(n);
    }
    return n;
}

static void folder_of(const char *path, char out[PATH_MAX])
{
    snprintf(out, PATH_MAX, "%s", path);
    *strrchr(out, '/') = '\0';
}

void name_changed(const char *path, struct node *before, bool whole)
{
    for (struct change *c = platters.changes; c != NULL; c = c->next) {
        if (strcmp(c->path, path) == 0) {
            c->whole = c->whole || whole;
            return; /* what it was before that one counts */
        }
    }
    struct change *c = calloc(1, sizeof *c);
    check(c != NULL);
    snprintf(c->path, sizeof c->path, "%s", path);
    folder_of(path, c->folder);
    c->before = before;
    c->whole = whole;
    c->next = platters.changes;
    platters.changes = c;
}

void folder_sync(const char *folder)
{
    for (struct change **at = &platters.changes; *at != NULL;) {
        struct change *c = *at;
        if (strcmp(c->folder, folder) == 0) {
            *at = c->next;
            free(c);
        } else {
            at = &c->next;
        }
    }
}

/* --- loss of power --- */

static unsigned chance(void)
{
    platters.seed = platters.seed * 1103515245u + 12345u;
    return platters.seed >> 16;
}

static bool survives(void)
{
    return platters.loss == DISK_LOSE_PARTS && chance() % 2 == 0;
}

static void page_lose(struct node *n, size_t page)
{
    char none[SECTOR] = {0};
    for (size_t at = page * PAGE; at < (page + 1) * PAGE; at += SECTOR) {
        size_t left = at < n->durable_size ? n->durable_size - at : 0;
        size_t len = left < SECTOR ? left : SECTOR;
        if (n->pages[page] == DIRTY && survives()) {
            continue;
        }
        if (len < SECTOR) {
            check(raw_pwrite(n->fd, none, SECTOR, (off_t)at) == SECTOR);
        }
        if (len > 0) {
            check(raw_pwrite(n->fd, n->durable + at, len, (off_t)at) == (ssize_t)len);
        }
    }
}

static void node_lose(struct node *n)
{
    size_t size = node_size(n), lost = 0;
    for (size_t i = 0; i < n->page_count; i++) {
        if (n->pages[i] != CLEAN) {
            page_lose(n, i);
            lost++;
        }
    }
    bool grown = size > n->durable_size && lost > 0 && survives();
    check(raw_truncate(n->fd, (off_t)(grown ? size : n->durable_size)) == 0);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)ftw;
    return raw_unlinkat(AT_FDCWD, path, type == FTW_DP ? AT_REMOVEDIR : 0);
}

static void node_copy(const struct node *n, const char *path)
{
    char data[65536];
    off_t at = 0;
    ssize_t got;
    int fd = raw_openat(AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) {
        check(errno == ENOENT); /* its folder is gone, too */
        return;
    }
    while ((got = raw_pread(n->fd, data, sizeof data, at)) > 0) {
        check(raw_pwrite(fd, data, (size_t)got, at) == got);
        at += got;
    }
    check(got == 0);
}

static void change_lose(const struct change *c)
{
    if (!c->whole && survives()) {
        return;
    }
    if (path_there(c->path)) {
        check(nftw(c->path, remove_one, 8, FTW_DEPTH | FTW_PHYS) == 0);
    }
    if (c->before != NULL) {
        node_copy(c->before, c->path);
    }
}

void platters_lose(enum disk_loss loss, unsigned seed)
{
    platters.loss = loss;
    platters.seed = seed;
    for (struct node *n = platters.nodes; n != NULL; n = n->next) {
        node_lose(n);
    }
    for (const struct change *c = platters.changes; c != NULL; c = c->next) {
        change_lose(c);
    }
}
