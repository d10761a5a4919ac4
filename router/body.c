/* body: octets of a message. Up to BODY_INLINE_MAX they stay in memory; then the
 * memory becomes a write buffer and pool threads write to the file, so that the loop
 * never waits for a disk. What is borrowed from the caller is copied before it goes to
 * the pool: a session may die while its write is under way. */
#include "router/body.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/check.h"
#include "router/queue.h"
#include "router/worker.h"

struct body {
    atomic_uint refs;
    atomic_bool adopted;
    char *directory;             /* NULL when there will never be a file */
    char file[QUEUE_ID_MAX + 8]; /* "3f/10003F"; empty while in memory */
    uint64_t number;
    struct buf buffer; /* everything, or what is not in the file yet */
    uint64_t size;
    int fd;    /* of the file while it is written, else -1 */
    int error; /* the first failure; nothing is tried after it */
    bool sealed, busy;
    /* Of an overlay, which has nothing else but its size. */
    struct body *head, *base;
    uint64_t skip; /* octets of base that head stands for */
};

/* One piece of work for the pool. */
struct body_work {
    uv_work_t work;
    struct body *body; /* a reference */
    char *data;        /* NULL when sealing */
    size_t len;
    body_cb cb;
    void *arg;
    int error;
};

static struct body *body_alloc(void)
{
    struct body *b = calloc(1, sizeof *b);
    check(b != NULL);
    atomic_init(&b->refs, 1);
    atomic_init(&b->adopted, false);
    buf_init(&b->buffer, BODY_INLINE_MAX);
    b->fd = -1;
    return b;
}

struct body *body_new(uint64_t number, const char *directory)
{
    struct body *b = body_alloc();
    b->number = number;
    b->directory = strdup(directory);
    check(b->directory != NULL);
    return b;
}

struct body *body_ref(struct body *b)
{
    unsigned before = atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
    check(before > 0);
    return b;
}

/* --- files: blocking, on pool threads (or any thread that may block) --- */

/* Opens the folder that holds b's file; -errno on failure. */
static int folder_open(const struct body *b)
{
    char sub[4] = {b->file[0], b->file[1], '\0'};
    int top = open(b->directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (top < 0) {
        return -errno;
    }
    int fd = openat(top, sub, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int error = fd < 0 ? -errno : 0;
    close(top);
    return fd < 0 ? error : fd;
}

/* The queue made and synced all the folders when it was opened; this is for the one
 * somebody removed since. Its entry must be on the disk before a file in it counts. */
static int folder_make(const struct body *b)
{
    char sub[4] = {b->file[0], b->file[1], '\0'};
    int top = open(b->directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (top < 0) {
        return -errno;
    }
    int error = 0;
    if ((mkdirat(top, sub, 0700) != 0 && errno != EEXIST) || fsync(top) != 0) {
        error = -errno;
    }
    close(top);
    return error != 0 ? error : folder_open(b);
}

static const char *leaf_name(const struct body *b)
{
    return b->file + 3;
}

/* Names the file and creates it. The name is set only when the file is ours, so that
 * a file that was there already is never removed by body_unref(). */
static int file_create(struct body *b)
{
    char id[QUEUE_ID_MAX], name[sizeof b->file];
    queue_id_print(b->number, id);
    snprintf(name, sizeof name, "%02x/%s", (unsigned)(b->number & 0xFF), id);
    memcpy(b->file, name, sizeof name);
    int folder = folder_open(b);
    if (folder == -ENOENT) {
        folder = folder_make(b);
    }
    int error = folder < 0 ? folder : 0;
    if (folder >= 0) {
        b->fd = openat(folder, leaf_name(b),
                       O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        error = b->fd < 0 ? -errno : 0;
        close(folder);
    }
    if (error != 0) {
        b->file[0] = '\0';
    }
    return error;
}

static int write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            return n < 0 ? -errno : -EIO;
        }
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

/* Writes out the buffer, then data. */
static int file_write(struct body *b, const char *data, size_t len)
{
    int error = b->fd < 0 ? file_create(b) : 0;
    if (error == 0) {
        error = write_all(b->fd, b->buffer.data, b->buffer.len);
    }
    if (error == 0) {
        buf_clear(&b->buffer);
        error = write_all(b->fd, data, len);
    }
    return error;
}

/* Syncs the file, then the folder that names it. A failed sync is final: the kernel
 * may have dropped the pages, so a second try that succeeds would prove nothing. */
static int file_sync(struct body *b)
{
    int error = file_write(b, NULL, 0);
    if (error == 0 && fsync(b->fd) != 0) {
        error = -errno;
    }
    if (close(b->fd) != 0 && error == 0) {
        error = -errno;
    }
    b->fd = -1;
    int folder = error == 0 ? folder_open(b) : -1;
    if (error == 0 && (folder < 0 || fsync(folder) != 0)) {
        error = folder < 0 ? folder : -errno;
    }
    if (folder >= 0) {
        close(folder);
    }
    return error;
}

static void file_unlink(const struct body *b)
{
    int folder = folder_open(b);
    if (folder >= 0) {
        unlinkat(folder, leaf_name(b), 0); /* left over: swept when the queue is opened */
        close(folder);
    }
}

void body_unref(struct body **b)
{
    struct body *gone = *b;
    *b = NULL;
    if (gone == NULL) {
        return;
    }
    unsigned before = atomic_fetch_sub_explicit(&gone->refs, 1, memory_order_acq_rel);
    check(before > 0);
    if (before > 1) {
        return;
    }
    if (gone->fd >= 0) {
        close(gone->fd);
    }
    if (gone->file[0] != '\0' && !atomic_load(&gone->adopted)) {
        file_unlink(gone);
    }
    body_unref(&gone->head);
    body_unref(&gone->base);
    buf_free(&gone->buffer);
    free(gone->directory);
    free(gone);
}

/* --- writing --- */

static void work_run(uv_work_t *work)
{
    struct body_work *k = work->data;
    k->error =
        k->data == NULL ? file_sync(k->body) : file_write(k->body, k->data, k->len);
}

static void on_work_done(uv_work_t *work, int status)
{
    struct body_work *k = work->data;
    check(status == 0); /* never cancelled */
    k->body->busy = false;
    k->body->error = k->error;
    k->cb(k->body, k->error, k->arg);
    body_unref(&k->body);
    free(k->data);
    free(k);
}

static void work_start(struct worker *w, struct body *b, const str *data, body_cb cb,
                       void *arg)
{
    struct body_work *k = calloc(1, sizeof *k);
    check(k != NULL);
    k->work.data = k;
    k->body = body_ref(b);
    k->cb = cb;
    k->arg = arg;
    if (data != NULL) {
        k->data = malloc(data->len + 1);
        check(k->data != NULL);
        memcpy(k->data, data->ptr, data->len);
        k->len = data->len;
    }
    b->busy = true;
    check(uv_queue_work(&w->loop, &k->work, work_run, on_work_done) == 0);
}

bool body_append(struct worker *w, struct body *b, str data, body_cb cb, void *arg,
                 int *error)
{
    check(!b->sealed && !b->busy);
    *error = b->error;
    if (b->error != 0 || data.len == 0) {
        return true;
    }
    b->size += data.len;
    if (buf_str(&b->buffer, data)) {
        return true;
    }
    work_start(w, b, &data, cb, arg);
    return false;
}

bool body_seal(struct worker *w, struct body *b, body_cb cb, void *arg, int *error)
{
    check(!b->sealed && !b->busy);
    b->sealed = true;
    *error = b->error;
    if (b->error != 0 || b->file[0] == '\0') {
        return true;
    }
    work_start(w, b, NULL, cb, arg);
    return false;
}

uint64_t body_size(const struct body *b)
{
    return b->size;
}

/* The body that holds the octet at *offset, where it becomes the offset in that one. */
static const struct body *body_at(const struct body *b, uint64_t *offset)
{
    if (b->head == NULL) {
        return b;
    }
    if (*offset < b->head->size) {
        return b->head;
    }
    *offset = *offset - b->head->size + b->skip;
    return b->base;
}

str body_part(const struct body *b, uint64_t offset)
{
    b = body_at(b, &offset);
    if (b->file[0] != '\0') {
        return STR_NONE;
    }
    if (offset >= b->buffer.len) {
        return STR("");
    }
    return str_from_pos(buf_slice(&b->buffer), (size_t)offset);
}

const char *body_file(const struct body *b)
{
    check(b->head == NULL);
    return b->file[0] == '\0' ? NULL : b->file;
}

void body_adopt(struct body *b)
{
    check(b->sealed);
    atomic_store(&b->adopted, true);
}

/* --- from the store --- */

struct body *body_from_memory(const void *data, size_t len)
{
    struct body *b = body_alloc();
    buf_init(&b->buffer, len > BODY_INLINE_MAX ? len : BODY_INLINE_MAX);
    check(buf_append(&b->buffer, data, len));
    b->size = len;
    b->sealed = true;
    return b;
}

struct body *body_from_file(const char *directory, const char *file, int *error)
{
    struct body *b = body_alloc();
    struct stat st = {.st_size = 0};
    size_t len = strlen(file);
    b->directory = strdup(directory);
    check(b->directory != NULL);
    b->sealed = true;
    atomic_store(&b->adopted, true);
    if (len < 4 || len >= sizeof b->file || file[2] != '/' || strchr(file + 3, '/')) {
        *error = UV_EINVAL; /* not a name of ours */
        body_unref(&b);
        return NULL;
    }
    memcpy(b->file, file, len + 1);
    int folder = folder_open(b);
    *error = folder < 0 ? folder : 0;
    if (folder >= 0 && fstatat(folder, leaf_name(b), &st, AT_SYMLINK_NOFOLLOW) != 0) {
        *error = -errno;
    } else if (folder >= 0 && !S_ISREG(st.st_mode)) {
        *error = UV_EINVAL;
    }
    if (folder >= 0) {
        close(folder);
    }
    if (*error != 0) {
        body_unref(&b);
        return NULL;
    }
    b->size = (uint64_t)st.st_size;
    return b;
}

struct body *body_overlay(struct body *head, struct body *base, uint64_t skip)
{
    check(head->sealed && head->head == NULL && head->file[0] == '\0');
    check(base->sealed && base->head == NULL && skip <= base->size);
    struct body *b = body_alloc();
    b->head = body_ref(head);
    b->base = body_ref(base);
    b->skip = skip;
    b->size = head->size + base->size - skip;
    b->sealed = true;
    return b;
}

/* --- reading --- */

static long read_memory(const struct body *b, void *into, size_t size, uint64_t offset)
{
    if (offset >= b->buffer.len) {
        return 0;
    }
    size_t left = b->buffer.len - (size_t)offset;
    size_t n = size < left ? size : left;
    memcpy(into, b->buffer.data + offset, n);
    return (long)n;
}

static int file_open_read(const struct body *b)
{
    int folder = folder_open(b);
    if (folder < 0) {
        return folder;
    }
    int fd = openat(folder, leaf_name(b), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    int error = fd < 0 ? -errno : 0;
    close(folder);
    return fd < 0 ? error : fd;
}

static long read_file(int fd, void *into, size_t size, uint64_t offset)
{
    ssize_t n;
    do {
        n = pread(fd, into, size, (off_t)offset);
    } while (n < 0 && errno == EINTR);
    return n < 0 ? -(long)errno : (long)n;
}

long body_read_blocking(const struct body *b, void *into, size_t size, uint64_t offset)
{
    check(b->sealed);
    b = body_at(b, &offset);
    if (b->file[0] == '\0') {
        return read_memory(b, into, size, offset);
    }
    int fd = file_open_read(b);
    if (fd < 0) {
        return fd;
    }
    long got = read_file(fd, into, size, offset);
    close(fd);
    return got;
}

enum { READ_MAX = 65536 };

struct body_reader {
    uv_work_t work;
    struct worker *worker;
    struct body *body;
    const struct body *from; /* body, or the part of it that is in a file */
    int fd;                  /* of that file; opened by the first read */
    bool busy, dead;
    char *chunk; /* the pool reads into this: `into` may be gone by then */
    void *into;
    size_t size;
    uint64_t offset;
    long got;
    body_read_cb cb;
    void *arg;
};

struct body_reader *body_reader_new(struct worker *w, struct body *b)
{
    struct body_reader *r = calloc(1, sizeof *r);
    check(r != NULL && b->sealed);
    r->work.data = r;
    r->worker = w;
    r->body = body_ref(b);
    r->fd = -1;
    return r;
}

void body_reader_free(struct body_reader **r)
{
    struct body_reader *gone = *r;
    *r = NULL;
    if (gone == NULL) {
        return;
    }
    if (gone->busy) {
        gone->dead = true;
        return;
    }
    if (gone->fd >= 0) {
        close(gone->fd);
    }
    body_unref(&gone->body);
    free(gone->chunk);
    free(gone);
}

static void read_run(uv_work_t *work)
{
    struct body_reader *r = work->data;
    if (r->fd < 0) {
        r->fd = file_open_read(r->from);
    }
    r->got = r->fd < 0 ? r->fd : read_file(r->fd, r->chunk, r->size, r->offset);
}

static void on_read_done(uv_work_t *work, int status)
{
    struct body_reader *r = work->data;
    check(status == 0);
    r->busy = false;
    if (r->dead) {
        body_reader_free(&r);
        return;
    }
    if (r->got > 0) {
        memcpy(r->into, r->chunk, (size_t)r->got);
    }
    r->cb(r, r->got, r->arg);
}

long body_read(struct body_reader *r, void *into, size_t size, uint64_t offset,
               body_read_cb cb, void *arg)
{
    check(!r->busy && !r->dead);
    r->from = body_at(r->body, &offset);
    if (r->from->file[0] == '\0') {
        return read_memory(r->from, into, size, offset);
    }
    if (r->chunk == NULL) {
        r->chunk = malloc(READ_MAX);
        check(r->chunk != NULL);
    }
    r->busy = true;
    r->into = into;
    r->size = size < READ_MAX ? size : READ_MAX;
    r->offset = offset;
    r->cb = cb;
    r->arg = arg;
    check(uv_queue_work(&r->worker->loop, &r->work, read_run, on_read_done) == 0);
    return -1;
}
