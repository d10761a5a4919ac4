#include "test/unit/queue_fixture.h"

#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"

/* --- a VFS that fails on demand: passes everything on to the default one --- */

struct faulty_file {
    sqlite3_file base;
    struct faults *faults;
    sqlite3_file *real;
};

static sqlite3_file *real_of(sqlite3_file *f)
{
    return ((struct faulty_file *)f)->real;
}

static int fault(sqlite3_file *f, atomic_int *code)
{
    int error = atomic_load(code);
    if (error != 0) {
        atomic_fetch_add(&((struct faulty_file *)f)->faults->failures, 1);
    }
    return error;
}

static int faulty_close(sqlite3_file *f)
{
    int rc = real_of(f)->pMethods->xClose(real_of(f));
    sqlite3_free(real_of(f));
    return rc;
}
static int faulty_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
    return real_of(f)->pMethods->xRead(real_of(f), p, n, at);
}
static int faulty_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
    int rc = fault(f, &((struct faulty_file *)f)->faults->write_error);
    return rc != 0 ? rc : real_of(f)->pMethods->xWrite(real_of(f), p, n, at);
}
static int faulty_truncate(sqlite3_file *f, sqlite3_int64 n)
{
    int rc = fault(f, &((struct faulty_file *)f)->faults->write_error);
    return rc != 0 ? rc : real_of(f)->pMethods->xTruncate(real_of(f), n);
}
static int faulty_sync(sqlite3_file *f, int flags)
{
    int rc = fault(f, &((struct faulty_file *)f)->faults->sync_error);
    return rc != 0 ? rc : real_of(f)->pMethods->xSync(real_of(f), flags);
}
static int faulty_size(sqlite3_file *f, sqlite3_int64 *size)
{
    return real_of(f)->pMethods->xFileSize(real_of(f), size);
}
static int faulty_lock(sqlite3_file *f, int level)
{
    return real_of(f)->pMethods->xLock(real_of(f), level);
}
static int faulty_unlock(sqlite3_file *f, int level)
{
    return real_of(f)->pMethods->xUnlock(real_of(f), level);
}
static int faulty_reserved(sqlite3_file *f, int *out)
{
    return real_of(f)->pMethods->xCheckReservedLock(real_of(f), out);
}
static int faulty_control(sqlite3_file *f, int op, void *arg)
{
    return real_of(f)->pMethods->xFileControl(real_of(f), op, arg);
}
static int faulty_sector(sqlite3_file *f)
{
    return real_of(f)->pMethods->xSectorSize(real_of(f));
}
static int faulty_device(sqlite3_file *f)
{
    return real_of(f)->pMethods->xDeviceCharacteristics(real_of(f));
}
static int faulty_shm_map(sqlite3_file *f, int page, int size, int extend,
                          void volatile **out)
{
    return real_of(f)->pMethods->xShmMap(real_of(f), page, size, extend, out);
}
static int faulty_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
    return real_of(f)->pMethods->xShmLock(real_of(f), offset, n, flags);
}
static void faulty_shm_barrier(sqlite3_file *f)
{
    real_of(f)->pMethods->xShmBarrier(real_of(f));
}
static int faulty_shm_unmap(sqlite3_file *f, int remove)
{
    return real_of(f)->pMethods->xShmUnmap(real_of(f), remove);
}

static const sqlite3_io_methods faulty_methods = {
    .iVersion = 2,
    .xClose = faulty_close,
    .xRead = faulty_read,
    .xWrite = faulty_write,
    .xTruncate = faulty_truncate,
    .xSync = faulty_sync,
    .xFileSize = faulty_size,
    .xLock = faulty_lock,
    .xUnlock = faulty_unlock,
    .xCheckReservedLock = faulty_reserved,
    .xFileControl = faulty_control,
    .xSectorSize = faulty_sector,
    .xDeviceCharacteristics = faulty_device,
    .xShmMap = faulty_shm_map,
    .xShmLock = faulty_shm_lock,
    .xShmBarrier = faulty_shm_barrier,
    .xShmUnmap = faulty_shm_unmap,
};

struct faulty_vfs {
    sqlite3_vfs base;
    sqlite3_vfs *real;
    struct faults faults;
};

static int vfs_open(sqlite3_vfs *v, const char *name, sqlite3_file *f, int flags,
                    int *out)
{
    struct faulty_vfs *vfs = v->pAppData;
    struct faulty_file *file = (struct faulty_file *)f;
    int rc = atomic_load(&vfs->faults.open_error);
    memset(file, 0, sizeof *file);
    if (rc != 0) {
        atomic_fetch_add(&vfs->faults.failures, 1);
        return rc;
    }
    file->faults = &vfs->faults;
    file->real = sqlite3_malloc(vfs->real->szOsFile);
    check(file->real != NULL);
    memset(file->real, 0, (size_t)vfs->real->szOsFile);
    rc = vfs->real->xOpen(vfs->real, name, file->real, flags, out);
    if (file->real->pMethods == NULL) {
        sqlite3_free(file->real);
    } else {
        file->base.pMethods = &faulty_methods;
    }
    return rc;
}
static int vfs_delete(sqlite3_vfs *v, const char *name, int sync)
{
    struct faulty_vfs *vfs = v->pAppData;
    return vfs->real->xDelete(vfs->real, name, sync);
}

/* Registered once as the default; the store opens by default. */
static struct faults *vfs_install(void)
{
    static struct faulty_vfs vfs;
    if (vfs.real == NULL) {
        vfs.real = sqlite3_vfs_find(NULL);
        vfs.base = *vfs.real;
        vfs.base.zName = "faulty";
        vfs.base.szOsFile = sizeof(struct faulty_file);
        vfs.base.pAppData = &vfs;
        vfs.base.xOpen = vfs_open;
        vfs.base.xDelete = vfs_delete;
        check(sqlite3_vfs_register(&vfs.base, 1) == SQLITE_OK);
    }
    return &vfs.faults;
}

/* --- folder, log, workers --- */

static int64_t fixture_now(const struct clock *c)
{
    (void)c;
    return 1000000; /* tests say themselves what is due */
}

void fixture_start(struct fixture *f)
{
    char log[] = "/tmp/pm-queue-log-XXXXXX";
    memset(f, 0, sizeof *f);
    f->faults = vfs_install();
    strcpy(f->directory, "/tmp/pm-queue-XXXXXX");
    check(mkdtemp(f->directory) != NULL);
    f->log_fd = mkstemp(log);
    check(f->log_fd >= 0 && unlink(log) == 0);
    f->log = log_new(f->log_fd, LOG_KEYVALUE);
    f->clock.now_ms = fixture_now;
    f->daemon.log = f->log;
    f->daemon.clock = &f->clock;
    f->daemon.workers = f->workers;
    f->daemon.worker_count = FIXTURE_WORKERS;
    for (unsigned i = 0; i < FIXTURE_WORKERS; i++) {
        check(worker_init(&f->workers[i], &f->daemon, i) == 0);
    }
    f->w = &f->workers[0];
    check(fixture_open(f));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void fixture_remove(const char *directory)
{
    check(nftw(directory, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0);
}

void fixture_end(struct fixture *f)
{
    fixture_close(f);
    for (unsigned i = 0; i < FIXTURE_WORKERS; i++) {
        check(worker_free(&f->workers[i]));
    }
    log_free(&f->log);
    close(f->log_fd);
    fixture_remove(f->directory);
}

bool fixture_open(struct fixture *f)
{
    int lock =
        queue_lock(f->directory, (unsigned)-1, (unsigned)-1, f->reason, sizeof f->reason);
    if (lock < 0) {
        return false;
    }
    f->daemon.queue =
        queue_open(f->directory, lock, f->log, &f->clock, f->reason, sizeof f->reason);
    if (f->daemon.queue == NULL) {
        close(lock);
    }
    return f->daemon.queue != NULL;
}

void fixture_close(struct fixture *f)
{
    if (f->daemon.queue != NULL) {
        queue_close(&f->daemon.queue);
    }
    uv_run(&f->w->loop, UV_RUN_NOWAIT);
}

void fixture_wait(struct worker *w, const bool *done)
{
    while (!*done) {
        uv_run(&w->loop, UV_RUN_ONCE);
    }
}

bool fixture_logged(struct fixture *f, const char *text)
{
    static char all[1 << 20];
    ssize_t n = pread(f->log_fd, all, sizeof all - 1, 0);
    check(n >= 0);
    all[n] = '\0';
    return strstr(all, text) != NULL;
}

bool fixture_will_log(struct fixture *f, const char *text)
{
    for (unsigned i = 0; i < 5000 && !fixture_logged(f, text); i++) {
        usleep(1000);
    }
    return fixture_logged(f, text);
}

const char *fixture_path(const struct fixture *f, const char *name, char out[256])
{
    snprintf(out, 256, "%s/%s", f->directory, name);
    return out;
}

int64_t fixture_sql(struct fixture *f, const char *sql)
{
    char path[256];
    sqlite3 *db;
    sqlite3_stmt *q = NULL;
    int64_t value = -1;
    check(sqlite3_open_v2(fixture_path(f, "queue.db", path), &db, SQLITE_OPEN_READWRITE,
                          NULL) == SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    while (*sql != '\0') {
        check(sqlite3_prepare_v2(db, sql, -1, &q, &sql) == SQLITE_OK);
        int rc = sqlite3_step(q);
        check(rc == SQLITE_ROW || rc == SQLITE_DONE);
        value = rc == SQLITE_ROW ? sqlite3_column_int64(q, 0) : -1;
        sqlite3_finalize(q);
    }
    sqlite3_close(db);
    return value;
}

/* --- messages --- */

char fixture_octet(uint64_t number, size_t i)
{
    return (char)('a' + (number * 7 + i) % 26);
}

static void on_body(struct body *b, int error, void *arg)
{
    (void)b;
    check(error == 0);
    *(bool *)arg = true;
}

struct queue_message *fixture_envelope(struct fixture *f, unsigned entries)
{
    struct queue_message *m = queue_message_new(f->daemon.queue, 1000000);
    m->sender = STR("sender@example.test");
    m->source_channel = STR("tcp_local");
    m->entries = arena_array(m->arena, struct queue_entry, entries);
    m->entry_count = entries;
    for (unsigned i = 0; i < entries; i++) {
        struct queue_entry *e = &m->entries[i];
        e->channel = arena_printf(m->arena, "tcp_%u", i);
        e->host = arena_printf(m->arena, "host%u.test", i);
        e->recipient_count = 2;
        e->recipients = arena_array(m->arena, struct queue_recipient, 2);
        e->recipients[0].address = arena_printf(m->arena, "ann@host%u.test", i);
        e->recipients[1].address = arena_printf(m->arena, "bob@host%u.test", i);
    }
    return m;
}

struct queue_message *fixture_message(struct fixture *f, size_t size, unsigned entries)
{
    int error;
    bool done = false;
    struct queue_message *m = fixture_envelope(f, entries);
    char *data = malloc(size + 1);
    check(data != NULL);
    for (size_t i = 0; i < size; i++) {
        data[i] = fixture_octet(m->number, i);
    }
    m->body = body_new(m->number, queue_body_directory(f->daemon.queue));
    if (!body_append(f->w, m->body, str_n(data, size), on_body, &done, &error)) {
        fixture_wait(f->w, &done);
    }
    done = false;
    if (!body_seal(f->w, m->body, on_body, &done, &error)) {
        fixture_wait(f->w, &done);
    }
    free(data);
    return m;
}

/* Of which length, and what part of the body it stands for. */
static size_t header_size(uint64_t number, unsigned header)
{
    return 100 + number % 1000 + header;
}

static uint64_t header_replaces(const struct queue_message *m, unsigned header)
{
    return body_size(m->body) / (header + 2);
}

void fixture_headers(struct queue_message *m, unsigned count)
{
    char text[2000];
    m->headers = arena_array(m->arena, struct queue_header, count);
    m->header_count = count;
    for (unsigned i = 0; i < count; i++) {
        size_t size = header_size(m->number, i);
        check(size <= sizeof text);
        for (size_t k = 0; k < size; k++) {
            text[k] = fixture_octet(m->number + i + 1, k);
        }
        m->headers[i] =
            (struct queue_header){body_from_memory(text, size), header_replaces(m, i), i};
    }
}

bool fixture_header_good(const struct queue_message *m)
{
    const struct queue_header *h = m->entries->header;
    if (h == NULL || h->replaces != header_replaces(m, h->number)) {
        return false;
    }
    str text = body_part(h->text, 0);
    bool good = text.len == header_size(m->number, h->number);
    for (size_t i = 0; good && i < text.len; i++) {
        good = text.ptr[i] == fixture_octet(m->number + h->number + 1, i);
    }
    return good;
}

bool fixture_body_good(const struct queue_message *m, size_t size)
{
    char chunk[8192];
    uint64_t at = 0;
    long got;
    while ((got = body_read_blocking(m->body, chunk, sizeof chunk, at)) > 0) {
        for (long i = 0; i < got; i++) {
            if (chunk[i] != fixture_octet(m->number, (size_t)at + (size_t)i)) {
                return false;
            }
        }
        at += (uint64_t)got;
    }
    return got == 0 && at == size && body_size(m->body) == size;
}

/* --- requests --- */

struct waiting {
    bool done;
    struct queue_result result;
    struct queue_counts counts;
};

static void waiting_end(struct waiting *t, const struct queue_result *r)
{
    check(!t->done);
    t->result = *r;
    t->done = true;
}

static void on_commit(struct worker *w, struct queue_message *m,
                      const struct queue_result *r, void *arg)
{
    (void)w;
    (void)m;
    waiting_end(arg, r);
}

struct queue_result fixture_commit(struct fixture *f, struct queue_message *m)
{
    struct waiting t = {.done = false};
    queue_commit(f->daemon.queue, f->w, m, on_commit, &t);
    check(!t.done);
    fixture_wait(f->w, &t.done);
    return t.result;
}

static void on_settle(struct worker *w, const struct queue_result *r, void *arg)
{
    (void)w;
    waiting_end(arg, r);
}

struct queue_result fixture_settle(struct fixture *f, const struct queue_settlement *s)
{
    struct waiting t = {.done = false};
    queue_settle(f->daemon.queue, f->w, s, on_settle, &t);
    fixture_wait(f->w, &t.done);
    return t.result;
}

struct ordered {
    struct queue_step step;
    bool ok, done;
};

static void on_ordered(struct worker *w, const struct queue_step *step,
                       const struct queue_result *r, void *arg)
{
    struct ordered *o = arg;
    (void)w;
    *o = (struct ordered){*step, r->ok, true};
}

struct queue_step fixture_order(struct fixture *f, const struct queue_order *o,
                                struct queue_cursor at)
{
    struct ordered done = {.done = false};
    queue_order(f->daemon.queue, f->w, o, at, on_ordered, &done);
    fixture_wait(f->w, &done.done);
    check(done.ok);
    return done.step;
}

static void on_count(struct worker *w, const struct queue_counts *c,
                     const struct queue_result *r, void *arg)
{
    (void)w;
    ((struct waiting *)arg)->counts = *c;
    waiting_end(arg, r);
}

struct queue_result fixture_count(struct fixture *f, struct queue_counts *out)
{
    struct waiting t = {.done = false};
    queue_count(f->daemon.queue, f->w, on_count, &t);
    fixture_wait(f->w, &t.done);
    *out = t.counts;
    return t.result;
}

static void on_claim(struct worker *w, struct queue_message **messages, unsigned count,
                     int64_t next_due_ms, const struct queue_result *r, void *arg)
{
    (void)w;
    struct claimed *c = arg;
    check(!c->done && count <= 1000);
    if (count > 0) {
        memcpy(c->messages, messages, count * sizeof *messages);
    }
    c->count = count;
    c->next_due_ms = next_due_ms;
    c->result = *r;
    c->done = true;
}

void fixture_claim(struct fixture *f, unsigned limit, int64_t now_ms, struct claimed *out)
{
    fixture_claim_beside(f, limit, now_ms, NULL, 0, out);
}

void fixture_claim_beside(struct fixture *f, unsigned limit, int64_t now_ms,
                          const struct queue_lane *lanes, unsigned lane_count,
                          struct claimed *out)
{
    out->done = false;
    queue_claim_beside(f->daemon.queue, f->w, limit, now_ms, lanes, lane_count, on_claim,
                       out);
    fixture_wait(f->w, &out->done);
}

void claimed_free(struct claimed *c)
{
    for (unsigned i = 0; i < c->count; i++) {
        queue_message_free(&c->messages[i]);
    }
    c->count = 0;
}
