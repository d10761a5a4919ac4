/* maildir: a message is written to tmp/, synced, renamed into new/, and new/ is synced:
 * a reader sees all of it or nothing, and so does a machine that lost its power. That the
 * folders themselves are on the disk is seen to by the first delivery to each Maildir. */
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
#include "channels/maildir_known.h"
#include "router/body.h"

enum {
    CHUNK = 65536,
    NAME_MAX_OCTETS = 140, /* of a file's name: eCryptfs takes 143, most others 255 */
    HOST_MAX = 64,
    OPEN_FOLDER = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
    PASS_FOLDER = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC /* may be unreadable */
};

/* --- opening --- */

/* fd may be one of PASS_FOLDER. */
static bool folder_sync(int fd)
{
    int readable = openat(fd, ".", OPEN_FOLDER);
    bool good = readable >= 0 && fsync(readable) == 0;
    int error = errno;
    if (readable >= 0) {
        close(readable);
    }
    errno = error;
    return good;
}

/* A folder in `parent`, made when it is missing and `make` is set: never one whose name
 * could not be synced then. -1 with errno. */
static int folder_open(int parent, const char *name, int flags, bool make)
{
    int fd = openat(parent, name, flags);
    if (fd >= 0 || errno != ENOENT || !make) {
        return fd;
    }
    int readable = openat(parent, ".", OPEN_FOLDER);
    if (readable < 0) {
        return -1;
    }
    close(readable);
    if (mkdirat(parent, name, 0700) != 0 && errno != EEXIST) {
        return -1;
    }
    return openat(parent, name, flags);
}

enum path_walk { PATH_OPEN, PATH_SYNC };

/* Opens (PASS_FOLDER) what is at path, one name after another, so that no link is
 * followed anywhere; the last `made` of them are made. PATH_SYNC: syncs each folder on
 * the way, too, but for those that may not be read: who made what is in them has to. -1
 * with errno. */
static int path_open(int root_fd, const char *path, unsigned made, enum path_walk walk)
{
    unsigned left = 1;
    for (const char *p = path; *p != '\0'; p++) {
        left += *p == '/';
    }
    int fd = root_fd;
    for (; left > 0; left--) {
        char name[MAILDIR_FOLDER_MAX + 1];
        size_t len = strcspn(path, "/");
        memcpy(name, path, len);
        name[len] = '\0';
        path += len + (path[len] == '/');
        int next = folder_open(fd, name, PASS_FOLDER, left <= made);
        if (next >= 0 && walk == PATH_SYNC && !folder_sync(fd) && errno != EACCES) {
            int error = errno;
            close(next);
            next = -1;
            errno = error;
        }
        int error = errno;
        if (fd != root_fd) {
            close(fd);
        }
        errno = error;
        if (next < 0) {
            return -1;
        }
        fd = next;
    }
    return fd;
}

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

enum folder_state { FOLDER_THERE, FOLDER_MISSING, FOLDER_TOO_LONG, FOLDER_UNKNOWN };

/* errno is set for FOLDER_UNKNOWN. A link or a file in its place is no folder. */
static enum folder_state folder_state(int root_fd, const char *path)
{
    int fd = path_open(root_fd, path, 0, PATH_OPEN);
    if (fd >= 0) {
        close(fd);
        return FOLDER_THERE;
    }
    if (errno == ENAMETOOLONG) {
        return FOLDER_TOO_LONG; /* for this file system */
    }
    return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? FOLDER_MISSING
                                                                 : FOLDER_UNKNOWN;
}

/* What stands for the sequence behind a '%'; *used is its length. */
static str value_of(str sequence, str user, str domain, size_t *used)
{
    bool first = sequence.ptr[0] == '1' || sequence.ptr[0] == '2';
    *used = first ? 2 : 1;
    return first                    ? str_sub(user, 0, (size_t)(sequence.ptr[0] - '0'))
           : sequence.ptr[0] == 'd' ? domain
                                    : user;
}

/* The path of a user. False: it is too long. */
static bool folder_name(str rule, str user, str domain, struct maildir_folder *folder)
{
    struct buf out;
    bool good = true;
    buf_init(&out, MAILDIR_FOLDER_MAX);
    folder->made = 1;
    for (size_t i = 0; good && i < rule.len; i++) {
        str value = str_sub(rule, i, 1);
        if (rule.ptr[i] == '%') {
            size_t used;
            bool of_domain = rule.ptr[i + 1] == 'd';
            value = value_of(str_from_pos(rule, i + 1), user, domain, &used);
            folder->made = of_domain ? 0 : folder->made;
            i += used;
        } else if (rule.ptr[i] == '/') {
            folder->made++;
        }
        good = buf_str(&out, value);
    }
    memcpy(folder->path, out.data, out.len);
    folder->path[out.len] = '\0';
    for (size_t i = 0; i < out.len; i++) {
        folder->path[i] = ascii_lower(folder->path[i]);
    }
    buf_free(&out);
    return good;
}

/* Are the folders there above those that may be made? */
static bool makeable(const struct maildir_root *root, const struct maildir_folder *folder)
{
    char above[MAILDIR_FOLDER_MAX + 1];
    snprintf(above, sizeof above, "%s", folder->path);
    for (unsigned i = 0; i < folder->made; i++) {
        char *slash = strrchr(above, '/');
        if (slash == NULL) {
            return true; /* the root is there */
        }
        *slash = '\0';
    }
    return folder->made > 0 && folder_state(root->fd, above) == FOLDER_THERE;
}

static bool find_folder(const struct maildir_root *root, str user, str domain,
                        struct maildir_folder *folder, struct outcome *out)
{
    bool postmaster = str_ieq(user, STR("postmaster"));
    bool wants_domain = memmem(root->rule.ptr, root->rule.len, "%d", 2) != NULL;
    if (wants_domain && !domain_name_ok(domain)) {
        outcome_set(out, OUTCOME_FAILED, 550, 5, 1, 3,
                    "no mailbox can have this address");
        return false;
    }
    enum folder_state state = folder_name(root->rule, user, domain, folder)
                                  ? folder_state(root->fd, folder->path)
                                  : FOLDER_TOO_LONG;
    ptrdiff_t plus = str_find(user, '+');
    if ((state == FOLDER_MISSING || state == FOLDER_TOO_LONG) && plus > 0) {
        return find_folder(root, str_sub(user, 0, (size_t)plus), domain, folder, out);
    }
    folder->made = postmaster ? folder->made : 0;
    if (state == FOLDER_TOO_LONG) {
        outcome_set(out, OUTCOME_FAILED, 550, 5, 1, 3,
                    "no mailbox can have this address: the name of its folder would be "
                    "too long");
        return false;
    }
    if (state == FOLDER_THERE || (postmaster && makeable(root, folder))) {
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

bool maildir_find(const struct maildir_root *root, const struct address *to,
                  struct maildir_folder *folder, struct outcome *out)
{
    struct arena *a = arena_new();
    str name = address_unquote_local(a, to->local);
    bool good = name_ok(name, out) && find_folder(root, name, to->domain, folder, out);
    arena_free(&a);
    return good;
}

/* --- opening a mailbox --- */

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

/* The names of all folders are on the disk, from the root down to tmp, new and cur.
 * False: errno. Another delivery may have made them just now: who did does not matter. */
static bool folders_sync(const struct folders *f, const struct maildir_root *root,
                         const struct maildir_folder *folder)
{
    uint64_t id = maildir_known_id(f->new);
    if (maildir_known_has(root->known, id)) {
        return true;
    }
    int user = path_open(root->fd, folder->path, 0, PATH_SYNC);
    if (user < 0 || !folder_sync(f->user)) {
        int error = errno;
        if (user >= 0) {
            close(user);
        }
        errno = error;
        return false;
    }
    close(user);
    maildir_known_add(root->known, id);
    return true;
}

static bool folders_open(struct folders *f, const struct maildir_root *root,
                         const struct maildir_folder *folder, struct outcome *out)
{
    *f = (struct folders){-1, -1, -1};
    f->user = path_open(root->fd, folder->path, folder->made, PATH_OPEN);
    if (f->user < 0) {
        if (errno == ENOENT || errno == ENOTDIR || errno == ELOOP) {
            outcome_set(out, OUTCOME_FAILED, 550, 5, 1, 1, "no such mailbox here");
        } else {
            outcome_errno(out, "the mailbox cannot be opened", errno);
        }
        return false;
    }
    int cur = folder_open(f->user, "cur", OPEN_FOLDER, true);
    if (cur >= 0) {
        close(cur);
        f->tmp = folder_open(f->user, "tmp", OPEN_FOLDER, true);
    }
    if (f->tmp >= 0) {
        f->new = folder_open(f->user, "new", OPEN_FOLDER, true);
    }
    if (f->new < 0) {
        outcome_errno(out, "a folder of the mailbox cannot be opened", errno);
    } else if (!folders_sync(f, root, folder)) {
        outcome_errno(out, "the folders of the mailbox cannot be synced", errno);
    } else {
        return true;
    }
    folders_close(f);
    return false;
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
        if (got == 0 && offset < body_size(body)) {
            return EIO; /* its file has lost its end */
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

void maildir_deliver(const struct maildir_root *root, const struct maildir_folder *folder,
                     const struct maildir_delivery *m, char path[MAILDIR_PATH_MAX],
                     struct outcome *out)
{
    char name[NAME_MAX_OCTETS];
    struct folders f;
    make_name(m, name);
    if (!folders_open(&f, root, folder, out)) {
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
        snprintf(path, MAILDIR_PATH_MAX, "%s/new/%s", folder->path, name);
        outcome_set(out, OUTCOME_DELIVERED, 0, 2, 0, 0, "stored as %s", path);
    }
    folders_close(&f);
}
