/* privileges: user look-up, folders for the user, and the one-way door. */
#include "router/privileges.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "router/folder_sync.h"

bool privileges_find(struct privileges *p, str user, char *reason, size_t reason_size)
{
    p->root = geteuid() == 0;
    p->uid = geteuid();
    p->gid = getegid();
    if (!p->root) {
        const struct passwd *me = getpwuid(p->uid);
        snprintf(p->user, sizeof p->user, "%s", me != NULL ? me->pw_name : "");
        if (me == NULL) {
            snprintf(p->user, sizeof p->user, "%u", p->uid);
        }
        return true;
    }
    snprintf(p->user, sizeof p->user, "%.*s", STR_ARG(user));
    errno = 0;
    const struct passwd *found = user.len < sizeof p->user ? getpwnam(p->user) : NULL;
    if (found == NULL) {
        snprintf(reason, reason_size,
                 "user '%s' does not exist%s%s; create it with: useradd --system "
                 "--user-group --no-create-home --shell /usr/sbin/nologin %s "
                 "(or name another with USER= in option.dat)",
                 p->user, errno != 0 ? ": " : "", errno != 0 ? strerror(errno) : "",
                 p->user);
        return false;
    }
    p->uid = found->pw_uid;
    p->gid = found->pw_gid;
    if (p->uid == 0 || p->gid == 0) {
        snprintf(
            reason, reason_size,
            "USER=%s has the rights of root; name an ordinary user, the daemon never "
            "serves as root",
            p->user);
        return false;
    }
    return true;
}

/* Makes every missing folder above path. */
static bool make_parents(const char *path)
{
    char parent[PATH_MAX];
    snprintf(parent, sizeof parent, "%s", path);
    for (char *p = parent + 1; *p != '\0'; p++) {
        if (*p != '/') {
            continue;
        }
        *p = '\0';
        if (mkdir(parent, 0755) != 0 && errno != EEXIST && errno != EISDIR) {
            return false;
        }
        *p = '/';
    }
    return true;
}

/* Gives a folder we just made its owner and mode, and its name to the disk, through a
 * descriptor: by name it could be another by now. */
static bool adopt_folder(const struct privileges *p, const char *path, unsigned mode)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    bool good = fstat(fd, &st) == 0;
    if (good && st.st_uid != geteuid()) {
        errno = EPERM;
        good = false;
    }
    good = good && fchmod(fd, mode) == 0;
    if (good && p->root) {
        good = fchown(fd, p->uid, p->gid) == 0;
    }
    good = good && folder_names_sync(fd, true);
    int error = errno;
    close(fd);
    errno = error;
    return good;
}

bool privileges_folder(const struct privileges *p, str path, unsigned mode, char *reason,
                       size_t reason_size)
{
    char name[PATH_MAX];
    struct stat st;
    if (path.len == 0 || path.len >= sizeof name ||
        memchr(path.ptr, '\0', path.len) != NULL) {
        snprintf(reason, reason_size, "a folder's name is empty or too long");
        return false;
    }
    snprintf(name, sizeof name, "%.*s", STR_ARG(path));
    if (stat(name, &st) == 0) {
        if (!S_ISDIR(st.st_mode)) {
            snprintf(reason, reason_size, "%s is not a folder", name);
        }
        return S_ISDIR(st.st_mode);
    }
    if (errno == ENOENT && make_parents(name) && mkdir(name, 0700) == 0 &&
        adopt_folder(p, name, mode)) {
        return true;
    }
    snprintf(reason, reason_size, "cannot make the folder %.*s: %s",
             (int)(path.len < 300 ? path.len : 300), name, strerror(errno));
    return false;
}

static bool is_user_for_good(const struct privileges *p)
{
    uid_t ruid, euid, suid;
    gid_t rgid, egid, sgid;
    if (getresuid(&ruid, &euid, &suid) != 0 || getresgid(&rgid, &egid, &sgid) != 0) {
        return false;
    }
    bool is_user = ruid == p->uid && euid == p->uid && suid == p->uid && rgid == p->gid &&
                   egid == p->gid && sgid == p->gid;
    return is_user && setuid(0) != 0 && seteuid(0) != 0 && setgid(0) != 0 &&
           setegid(0) != 0;
}

bool privileges_drop(const struct privileges *p, char *reason, size_t reason_size)
{
    const struct rlimit no_core = {0, 0};
    const char *step = NULL;
    if (p->root) {
        if (initgroups(p->user, p->gid) != 0) {
            step = "take the groups";
        } else if (setresgid(p->gid, p->gid, p->gid) != 0) {
            step = "take the group";
        } else if (setresuid(p->uid, p->uid, p->uid) != 0) {
            step = "take the user id";
        }
    }
    if (step == NULL && p->root && !is_user_for_good(p)) {
        snprintf(reason, reason_size, "root could be regained after becoming %s",
                 p->user);
        return false;
    }
    if (step == NULL && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
        step = "set no_new_privs";
    } else if (step == NULL && setrlimit(RLIMIT_CORE, &no_core) != 0) {
        step = "forbid core files";
    }
    if (step != NULL) {
        snprintf(reason, reason_size, "cannot become %s: %s: %s", p->user, step,
                 strerror(errno));
        return false;
    }
    umask(077);
    return true;
}
