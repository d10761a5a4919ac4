/* maildir: a message is written to tmp/, synced, renamed into new/, and new/ is synced:
 * a reader sees all of it or nothing, and so does a machine that lost its power. */
#include "channels/maildir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/address.h"
#include "base/buf.h"
#include "base/check.h"
#include "channels/local_text.h"
#include "router/body.h"

enum {
    CHUNK = 65536,
    NAME_MAX_OCTETS = 240, /* of a file's name: most file systems take 255 */
    HOST_MAX = 128,
    OPEN_FOLDER = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC
};

/* --- which folder --- */

static bool name_ok(str name, struct outcome *out)
{
    if (name.len == 0 || name.len > MAILDIR_USER_MAX) {
        outcome_set(out, OUTCOME_FAILED, 550, 5, 1, 3,
                    "a mailbox name has 1 to %d characters", MAILDIR_USER_MAX);
        return false;
    }
    bool good = name.ptr[0] != '.';
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.ptr[i];
        good = good && c >= ' ' && c <= '~' && c != '/';
    }
    if (!good) {
        outcome_set(out, OUTCOME_FAILED, 550, 5, 1, 3,
                    "not a mailbox name: a leading dot, '/' and control characters "
                    "are not allowed");
    }
    return good;
}

enum folder_state { FOLDER_THERE, FOLDER_MISSING, FOLDER_UNKNOWN };

/* errno is set for FOLDER_UNKNOWN. A link or a file in its place is no folder. */
static enum folder_state folder_state(int root_fd, const char *user)
{
    struct stat st;
    if (fstatat(root_fd, user, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        return S_ISDIR(st.st_mode) ? FOLDER_THERE : FOLDER_MISSING;
    }
    return errno == ENOENT || errno == ENOTDIR ? FOLDER_MISSING : FOLDER_UNKNOWN;
}

static bool find_folder(int root_fd, char *user, struct outcome *out)
{
    enum folder_state state = folder_state(root_fd, user);
    char *plus = strchr(user + 1, '+');
    if (state == FOLDER_MISSING && plus != NULL) {
        *plus = '\0';
        state = folder_state(root_fd, user);
    }
    if (state == FOLDER_THERE || strcmp(user, "postmaster") == 0) {
        return true;
    }
    if (state == FOLDER_MISSING) {
        outcome_set(out, OUTCOME_FAILED, 550, 5, 1, 1, "no such mailbox here");
    } else {
        outcome_set(out, OUTCOME_DEFERRED, 451, 4, 3, 0, "the mailbox cannot be seen: %s",
                    strerror(errno));
    }
    return false;
}

bool maildir_find(int root_fd, str local, char user[MAILDIR_USER_MAX + 1],
                  struct outcome *out)
{
    struct arena *a = arena_new();
    str name = address_unquote_local(a, local);
    bool good = name_ok(name, out);
    if (good) {
        for (size_t i = 0; i < name.len; i++) {
            user[i] = ascii_lower(name.ptr[i]);
        }
        user[name.len] = '\0';
        good = find_folder(root_fd, user, out);
    }
    arena_free(&a);
    return good;
}

/* --- opening --- */

/* What went wrong, as an outcome: always one that is tried again. */
static void outcome_errno(struct outcome *out, const char *what, int error)
{
    switch (error) {
    case EDQUOT:
        outcome_set(out, OUTCOME_DEFERRED, 0, 4, 2, 2, "%s: the mailbox is full", what);
        break;
    case ENOSPC:
    case EFBIG:
        outcome_set(out, OUTCOME_DEFERRED, 0, 4, 3, 1, "%s: %s", what, strerror(error));
        break;
    default:
        outcome_set(out, OUTCOME_DEFERRED, 0, 4, 2, 0, "%s: %s", what, strerror(error));
    }
}

/* A folder in `parent`, made with its entry synced when it is missing and `make` is set.
 * One whose entry could not be synced goes again: the next delivery would take it for one
 * that is on the disk. -1 with errno. */
static int folder_open(int parent, const char *name, bool make)
{
    int fd = openat(parent, name, OPEN_FOLDER);
    if (fd >= 0 || errno != ENOENT || !make) {
        return fd;
    }
    if (mkdirat(parent, name, 0700) != 0 && errno != EEXIST) {
        return -1;
    }
    if (fsync(parent) != 0) {
        int error = errno;
        unlinkat(parent, name, AT_REMOVEDIR);
        errno = error;
        return -1;
    }
    return openat(parent, name, OPEN_FOLDER);
}

struct folders {
    int user, tmp, new;
};

static void folders_close(struct folders *f)
{
    int *all[] = {&f->user, &f->tmp, &f->new};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (*all[i] >= 0) {
            close(*all[i]);
        }
        *all[i] = -1;
    }
}

static bool folders_open(struct folders *f, int root_fd, const char *user,
                         struct outcome *out)
{
    *f = (struct folders){-1, -1, -1};
    f->user = folder_open(root_fd, user, strcmp(user, "postmaster") == 0);
    if (f->user < 0) {
        if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) {
            outcome_set(out, OUTCOME_FAILED, 550, 5, 1, 1, "no such mailbox here");
        } else {
            outcome_errno(out, "the mailbox cannot be opened", errno);
        }
        return false;
    }
    int cur = folder_open(f->user, "cur", true);
    if (cur >= 0) {
        close(cur);
        f->tmp = folder_open(f->user, "tmp", true);
    }
    if (f->tmp >= 0) {
        f->new = folder_open(f->user, "new", true);
    }
    if (f->new < 0) {
        outcome_errno(out, "a folder of the mailbox cannot be opened", errno);
        folders_close(f);
        return false;
    }
    return true;
}

/* --- writing --- */

static bool write_all(int fd, str data)
{
    while (data.len > 0) {
        ssize_t n = write(fd, data.ptr, data.len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            errno = n == 0 ? EIO : errno;
            return false;
        }
        data = str_from_pos(data, (size_t)n);
    }
    return true;
}

static bool write_return_path(int fd, str sender)
{
    struct buf line;
    buf_init(&line, sender.len + 32);
    check(local_return_path(&line, sender));
    bool good = write_all(fd, buf_slice(&line));
    buf_free(&line);
    return good;
}

/* Returns 0 or an errno value. */
static int write_body(int fd, const struct body *body, char *chunk)
{
    uint64_t offset = 0;
    bool cr = false;
    for (;;) {
        size_t kept = cr ? 1 : 0;
        if (cr) {
            chunk[0] = '\r';
        }
        long got = body_read_blocking(body, chunk + kept, CHUNK - kept, offset);
        if (got < 0) {
            return (int)-got;
        }
        if (got == 0) {
            return kept == 0 || write_all(fd, str_n(chunk, kept)) ? 0 : errno;
        }
        offset += (uint64_t)got;
        size_t len = local_to_lf(chunk, kept + (size_t)got, &cr);
        if (!write_all(fd, str_n(chunk, len))) {
            return errno;
        }
    }
}

/* Returns 0 or an errno value; fd is closed. */
static int write_file(int fd, const struct maildir_delivery *m)
{
    char *chunk = malloc(CHUNK);
    check(chunk != NULL);
    int error = write_return_path(fd, m->sender) ? 0 : errno;
    if (error == 0) {
        error = write_body(fd, m->body, chunk);
    }
    free(chunk);
    if (error == 0 && fsync(fd) != 0) {
        error = errno;
    }
    if (close(fd) != 0 && error == 0) {
        error = errno;
    }
    return error;
}

/* --- one delivery --- */

/* A name as the Maildir rules want it: time, microseconds, process, and here the queue id
 * (Q): the same message delivered again after a crash can be told by it. */
static void make_name(const struct maildir_delivery *m, char name[NAME_MAX_OCTETS])
{
    char host[HOST_MAX];
    size_t len = m->host.len < sizeof host - 1 ? m->host.len : sizeof host - 1;
    for (size_t i = 0; i < len; i++) {
        char c = m->host.ptr[i];
        host[i] = ascii_is_alnum(c) || c == '.' || c == '-' ? c : '_';
    }
    host[len] = '\0';
    snprintf(name, NAME_MAX_OCTETS, "%lld.M%lldP%ldQ%.*sN%u.%s",
             (long long)(m->now_us / 1000000), (long long)(m->now_us % 1000000),
             (long)getpid(), STR_ARG(str_sub(m->message_id, 0, 32)), m->serial,
             len > 0 ? host : "localhost");
}

void maildir_deliver(int root_fd, const char *user, const struct maildir_delivery *m,
                     char path[MAILDIR_PATH_MAX], struct outcome *out)
{
    char name[NAME_MAX_OCTETS];
    struct folders f;
    make_name(m, name);
    if (!folders_open(&f, root_fd, user, out)) {
        return;
    }
    int fd =
        openat(f.tmp, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    int error = fd < 0 ? errno : write_file(fd, m);
    /* rename() replaces; nobody else can have taken a name with our process and queue id
     * in it. */
    if (error == 0 && renameat(f.tmp, name, f.new, name) != 0) {
        error = errno;
    }
    if (error != 0) {
        if (fd >= 0) {
            unlinkat(f.tmp, name, 0);
        }
        outcome_errno(out, "the message cannot be stored in the mailbox", error);
    } else if (fsync(f.new) != 0) {
        outcome_errno(out, "the mailbox cannot be synced", errno);
    } else {
        snprintf(path, MAILDIR_PATH_MAX, "%s/new/%s", user, name);
        outcome_set(out, OUTCOME_DELIVERED, 0, 2, 0, 0, "stored as %s", path);
    }
    folders_close(&f);
}
