#include "test/unit/queue_load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/check.h"

enum {
    IN_FLIGHT = 8,
    HEADER_EVERY = 4,
    CLAIM_EVERY = 6,
    LARGE_EVERY = 5,
    NUMBERS = 1 << 18, /* more than a few runs use; each may skip 16384 */
    LATER = 5000000
};

/* What one message is about to be, by its number; both sides know it. */
static size_t size_of(uint64_t number)
{
    return number % LARGE_EVERY == 0 ? 70000 + number % 50000
           : number % 11 == 0        ? 30000
                                     : 50 + number % 3000;
}

void load_tell(int to, uint64_t number, enum load_kind kind)
{
    struct load_record r = {number, kind};
    check(write(to, &r, sizeof r) == sizeof r);
}

size_t load_read(int from, struct load_record *records)
{
    size_t count = 0;
    while (count < LOAD_RECORDS_MAX) {
        ssize_t n = read(from, &records[count], sizeof *records);
        if (n == 0) {
            break;
        }
        check(n == sizeof *records || (n < 0 && errno == EINTR));
        count += n > 0;
    }
    return count;
}

/* --- the process that works --- */

struct load {
    struct fixture *f;
    int to;
    unsigned messages, begun, running;
    bool done;
};

struct slot {
    struct load *load;
    struct queue_message *m;
    struct queue_settlement settlement;
};

static void slot_next(struct slot *s);

static struct queue *queue_of(struct slot *s)
{
    return s->load->f->daemon.queue;
}

static void on_settled(struct worker *w, const struct queue_result *r, void *arg)
{
    (void)w;
    struct slot *s = arg;
    bool kept = s->settlement.keep_count > 0;
    if (r->ok) {
        load_tell(s->load->to, s->m->number, kept ? LOAD_KEPT : LOAD_SETTLED);
    }
    slot_next(s);
}

/* Every third message is delivered, every third deferred with one recipient left. */
static void slot_settle(struct slot *s, bool keep)
{
    const struct queue_entry *e = s->m->entries;
    s->settlement = (struct queue_settlement){.entry_id = e->id, .number = s->m->number};
    if (keep) {
        s->settlement.keep = e->recipients;
        s->settlement.keep_count = 1;
        s->settlement.next_try_ms = 1000 + (int64_t)(s->m->number % 100);
        s->settlement.last_error = "deferred by the test";
    }
    load_tell(s->load->to, s->m->number, keep ? LOAD_KEEPING : LOAD_SETTLING);
    queue_settle(queue_of(s), s->load->f->w, &s->settlement, on_settled, s);
}

/* What was deferred is due at once: another message than before may be delivered now. */
static void on_claimed(struct worker *w, struct queue_message **messages, unsigned count,
                       int64_t next_due_ms, const struct queue_result *r, void *arg)
{
    (void)w;
    (void)next_due_ms;
    struct slot *s = arg;
    if (!r->ok || count == 0) {
        slot_next(s);
        return;
    }
    queue_message_free(&s->m);
    s->m = messages[0];
    slot_settle(s, false);
}

static void on_stored(struct worker *w, struct queue_message *m,
                      const struct queue_result *r, void *arg)
{
    struct slot *s = arg;
    load_tell(s->load->to, m->number, r->ok ? LOAD_STORED : LOAD_REFUSED);
    if (r->ok && m->number % 3 < 2) {
        slot_settle(s, m->number % 3 == 1);
    } else if (m->number % CLAIM_EVERY == 2) {
        queue_claim(queue_of(s), w, 1, LATER, on_claimed, s);
    } else {
        slot_next(s);
    }
}

static void slot_refused(struct slot *s)
{
    load_tell(s->load->to, s->m->number, LOAD_REFUSED);
    slot_next(s);
}

static void on_sealed(struct body *b, int error, void *arg)
{
    (void)b;
    struct slot *s = arg;
    if (error != 0) {
        slot_refused(s);
        return;
    }
    if (s->m->number % HEADER_EVERY == 0) {
        fixture_headers(s->m, 1);
        s->m->entries->header = s->m->headers;
    }
    queue_commit(queue_of(s), s->load->f->w, s->m, on_stored, s);
}

static void on_appended(struct body *b, int error, void *arg)
{
    struct slot *s = arg;
    if (error != 0) {
        slot_refused(s);
    } else if (body_seal(s->load->f->w, b, on_sealed, s, &error)) {
        on_sealed(b, error, s);
    }
}

static void slot_next(struct slot *s)
{
    struct load *l = s->load;
    int error;
    queue_message_free(&s->m);
    if (l->messages > 0 && l->begun == l->messages) {
        l->running--;
        l->done = l->running == 0;
        return;
    }
    l->begun++;
    s->m = fixture_envelope(l->f, 1);
    uint64_t number = s->m->number;
    size_t size = size_of(number);
    char *data = malloc(size);
    check(data != NULL);
    for (size_t i = 0; i < size; i++) {
        data[i] = fixture_octet(number, i);
    }
    s->m->body = body_new(number, queue_body_directory(queue_of(s)));
    if (body_append(l->f->w, s->m->body, str_n(data, size), on_appended, s, &error)) {
        check(error == 0);
        on_appended(s->m->body, 0, s);
    }
    free(data); /* copied */
}

void load_run(struct fixture *f, int to, unsigned messages)
{
    struct slot slots[IN_FLIGHT];
    struct load l = {.f = f, .to = to, .messages = messages, .running = IN_FLIGHT};
    for (unsigned i = 0; i < IN_FLIGHT; i++) {
        slots[i] = (struct slot){.load = &l};
    }
    for (unsigned i = 0; i < IN_FLIGHT; i++) {
        slot_next(&slots[i]);
    }
    fixture_wait(f->w, &l.done);
}

/* --- the process that looks at what is left --- */

struct told {
    bool stored, keeping, kept, settling, settled;
    unsigned found; /* its recipients */
};

static void told_take(struct told *t, const struct load_record *records, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct told *at = &t[records[i].number % NUMBERS];
        switch (records[i].kind) {
        case LOAD_STORED:
            at->stored = true;
            break;
        case LOAD_KEEPING:
            at->keeping = true;
            break;
        case LOAD_KEPT:
            at->kept = true;
            break;
        case LOAD_SETTLING:
            at->settling = true;
            break;
        case LOAD_SETTLED:
            at->settled = true;
            break;
        case LOAD_REFUSED:
        case LOAD_NOTE:
            break;
        }
    }
}

static bool all_there(const struct told *t)
{
    for (unsigned i = 0; i < NUMBERS; i++, t++) {
        const char *wrong = NULL;
        if (t->stored && !t->settling && t->found == 0) {
            wrong = "is lost";
        } else if (t->settled && t->found > 0) {
            wrong = "came back";
        } else if (t->found == 1 && !t->keeping) {
            wrong = "has lost a recipient";
        } else if (t->found == 2 && t->kept) {
            wrong = "has a recipient again that was done";
        } else if (t->found > 2) {
            wrong = "has too many recipients";
        }
        if (wrong != NULL) {
            fprintf(stderr, "# message %u %s\n", i, wrong);
            return false;
        }
    }
    return true;
}

static bool message_good(const struct queue_message *m)
{
    const char *wrong = NULL;
    if (!fixture_body_good(m, size_of(m->number))) {
        wrong = "body";
    } else if (m->number % HEADER_EVERY == 0 && !fixture_header_good(m)) {
        wrong = "header";
    }
    if (wrong != NULL) {
        fprintf(stderr, "# message %s has a wrong %s\n", m->id, wrong);
    }
    return wrong == NULL;
}

/* Claims everything there is and settles it. */
static bool take_all(struct fixture *f, struct told *t)
{
    static struct claimed c;
    bool good = true;
    do {
        fixture_claim(f, 100, LATER, &c);
        check(c.result.ok);
        for (unsigned i = 0; i < c.count; i++) {
            struct queue_message *m = c.messages[i];
            t[m->number % NUMBERS].found = m->entries->recipient_count;
            good = message_good(m) && good;
            struct queue_settlement s = {.entry_id = m->entries->id, .number = m->number};
            check(fixture_settle(f, &s).ok);
        }
        claimed_free(&c);
    } while (c.next_due_ms != 0);
    return good;
}

static bool numbers_new(struct fixture *f, const struct load_record *records,
                        size_t count)
{
    struct queue_message *probe = queue_message_new(f->daemon.queue, 0);
    bool good = true;
    for (size_t i = 0; i < count; i++) {
        good =
            good && (records[i].kind == LOAD_NOTE || records[i].number < probe->number);
    }
    queue_message_free(&probe);
    if (!good) {
        fprintf(stderr, "# numbers are used again\n");
    }
    return good;
}

bool load_verify(struct fixture *f, const struct load_record *records, size_t count)
{
    static struct told told[NUMBERS];
    struct queue_counts left;
    memset(told, 0, sizeof told);
    if (!fixture_open(f)) {
        fprintf(stderr, "# it does not open: %s\n", f->reason);
        return false;
    }
    told_take(told, records, count);
    bool good = take_all(f, told) && all_there(told) && numbers_new(f, records, count);
    check(fixture_count(f, &left).ok);
    good = good && left.messages == 0 && !fixture_logged(f, "what=held");
    fixture_close(f);
    return good;
}
