/* dns: the owner thread. Questions come from workers through a locked list, are asked
 * through libunbound (dns_context.c), turned into answers (dns_answer.c) and posted back
 * to the worker that asked. A query is counted: by its way there and back, and by a
 * cancellation on its way. */
#include "router/dns.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unbound.h>
#include <uv.h>

#include "base/check.h"
#include "router/dns_answer.h"
#include "router/dns_context.h"
#include "router/dns_hosts.h"

enum { DNS_TIMEOUT_MS = 30 * 1000, DNS_OPEN_MAX = 4096, DNS_RECORDS_MAX = 1024 };
/* Of the open questions those about clients may be this part. */
enum { DNS_CLIENTS_PART = 2 };
enum { DNS_LOG_AGAIN_MS = 60 * 1000 };
enum { DNS_TYPE_A = 1, DNS_TYPE_PTR = 12, DNS_TYPE_MX = 15, DNS_TYPE_AAAA = 28 };
enum { DNS_CLASS_IN = 1 };
enum { DNS_RCODE_NXDOMAIN = 3 };

/* Something for the owner, in the order in which it was pushed. */
struct dns_item {
    struct dns_item *next;
    struct dns_query *query;
    bool cancel;
};

/* One question of a query: a name has addresses of two types. */
struct dns_question {
    struct dns_query *query;
    int type, id; /* id: libunbound's, while open */
    bool open;
    int error;
    struct ub_result *result;
};

enum dns_want { DNS_WANT_ADDRESSES, DNS_WANT_MX, DNS_WANT_NAME };

/* Open questions that are given the same time: the oldest is due first. */
struct dns_list {
    struct dns_query *oldest, *newest;
    unsigned count, timeout_ms;
};

struct dns_query {
    atomic_uint refs;
    struct dns *dns;
    struct worker *worker;
    dns_cb cb;
    void *arg;
    bool cancelled; /* the worker's only */
    struct task done;
    struct dns_item ask, cancel;
    struct dns_answer *answer;
    char name[DNS_NAME_SIZE];
    enum dns_want want;
    enum dns_purpose purpose;
    bool hosts_only;
    /* the owner's only */
    struct dns_context *context;
    struct dns_question question[2];
    unsigned question_count;
    uint64_t deadline_ms;
    struct dns_list *list; /* NULL: not open */
    struct dns_query *next, *prev;
    char setup[]; /* see dns_context.h */
};

struct dns {
    atomic_uint refs;
    struct log *log;
    uv_thread_t thread;
    uv_loop_t loop;
    uv_async_t wake;
    uv_timer_t timer;
    unsigned open_max; /* set before the first question, as is the time of each list */
    uv_mutex_t lock;
    struct dns_item *first, **last; /* under lock */
    bool stopped;                   /* under lock */
    /* the owner's only */
    struct dns_contexts contexts;
    struct dns_list lists[DNS_PURPOSES];
    char logged[512]; /* the last reason, not said again for DNS_LOG_AGAIN_MS */
    uint64_t logged_ms;
};

/* --- counting --- */

static void dns_unref(struct dns *d)
{
    if (atomic_fetch_sub_explicit(&d->refs, 1, memory_order_acq_rel) == 1) {
        uv_mutex_destroy(&d->lock);
        free(d);
    }
}

static void query_unref(struct dns_query *q)
{
    if (atomic_fetch_sub_explicit(&q->refs, 1, memory_order_acq_rel) == 1) {
        dns_unref(q->dns);
        free(q->answer);
        free(q);
    }
}

/* --- there and back --- */

/* False when the owner has stopped: the item was not taken. */
static bool dns_push(struct dns *d, struct dns_item *item)
{
    uv_mutex_lock(&d->lock);
    bool taken = !d->stopped;
    if (taken) {
        item->next = NULL;
        *d->last = item;
        d->last = &item->next;
        uv_async_send(&d->wake);
    }
    uv_mutex_unlock(&d->lock);
    return taken;
}

static struct dns_item *dns_take_all(struct dns *d, bool *stopped)
{
    uv_mutex_lock(&d->lock);
    struct dns_item *first = d->first;
    d->first = NULL;
    d->last = &d->first;
    *stopped = d->stopped;
    uv_mutex_unlock(&d->lock);
    return first;
}

/* On the worker's loop. */
static void on_done(struct worker *w, struct task *t)
{
    struct dns_query *q =
        (struct dns_query *)((char *)t - offsetof(struct dns_query, done));
    if (!q->cancelled) {
        q->cb(w, q->answer, q->arg);
    }
    query_unref(q);
}

/* --- the owner: ending a query --- */

static void query_list(struct dns_query *q)
{
    struct dns_list *list = &q->dns->lists[q->purpose];
    q->prev = list->newest;
    *(list->newest != NULL ? &list->newest->next : &list->oldest) = q;
    list->newest = q;
    list->count++;
    q->list = list;
}

static void query_unlist(struct dns_query *q)
{
    struct dns_list *list = q->list;
    if (list != NULL) {
        *(q->prev != NULL ? &q->prev->next : &list->oldest) = q->next;
        *(q->next != NULL ? &q->next->prev : &list->newest) = q->prev;
        q->next = q->prev = NULL;
        q->list = NULL;
        list->count--;
        q->context->open--;
    }
}

/* Lets go of what libunbound is doing or has done for q. */
static void query_drop_questions(struct dns_query *q)
{
    for (unsigned i = 0; i < q->question_count; i++) {
        struct dns_question *question = &q->question[i];
        if (question->open) {
            ub_cancel(q->context->ub, question->id);
            question->open = false;
        }
        ub_resolve_free(question->result);
        question->result = NULL;
    }
}

/* The answer is complete: sends it home. */
static void query_finish(struct dns_query *q)
{
    query_drop_questions(q);
    query_unlist(q);
    worker_post(q->worker, &q->done);
}

static void query_fail(struct dns_query *q, const char *reason)
{
    static const char *const wants[] = {
        [DNS_WANT_ADDRESSES] = "address", [DNS_WANT_MX] = "MX", [DNS_WANT_NAME] = "name"};
    dns_answer_fail(q->answer, DNS_TEMPORARY, "%s of %s: %s", wants[q->want], q->name,
                    reason);
    query_finish(q);
}

/* --- the owner: results --- */

static const char *rcode_name(int rcode)
{
    static const char *const names[] = {"no answer", "FORMERR", "SERVFAIL",
                                        "NXDOMAIN",  "NOTIMP",  "REFUSED"};
    bool known = rcode >= 0 && (size_t)rcode < sizeof names / sizeof *names;
    return known ? names[rcode] : "unknown error of the name server";
}

/* Reads one result; the part borrows from it. */
static struct dns_part question_part(const struct dns_question *question)
{
    const struct ub_result *r = question->result;
    struct dns_part part = {.status = DNS_TEMPORARY};
    if (question->error != 0 || r == NULL) {
        part.why = ub_strerror(question->error);
    } else if (r->bogus) {
        part.why = r->why_bogus != NULL ? r->why_bogus : "DNSSEC validation failed";
    } else if (r->nxdomain || r->rcode == DNS_RCODE_NXDOMAIN) {
        part.status = DNS_NONE;
        part.nxdomain = true;
        part.secure = r->secure;
    } else if (r->rcode != 0) {
        part.why = rcode_name(r->rcode);
    } else {
        part.secure = r->secure;
        part.rdata = (const char *const *)r->data;
        part.rdata_len = r->len;
        while (r->havedata && part.count < DNS_RECORDS_MAX &&
               r->data[part.count] != NULL) {
            part.count++;
        }
        part.status = part.count > 0 ? DNS_OK : DNS_NONE;
    }
    return part;
}

static void query_answer(struct dns_query *q)
{
    struct dns_part first = question_part(&q->question[0]);
    struct dns_part second;
    switch (q->want) {
    case DNS_WANT_MX:
        dns_answer_mx(q->answer, q->name, &first);
        break;
    case DNS_WANT_NAME:
        dns_answer_name(q->answer, q->name, &first);
        break;
    case DNS_WANT_ADDRESSES:
        second = question_part(&q->question[1]);
        dns_answer_addresses(q->answer, q->name, &first, &second);
        break;
    }
    query_finish(q);
}

/* Called by libunbound inside ub_process(). */
static void on_result(void *arg, int error, struct ub_result *result)
{
    struct dns_question *question = arg;
    struct dns_query *q = question->query;
    question->open = false;
    question->error = error;
    question->result = result;
    for (unsigned i = 0; i < q->question_count; i++) {
        if (q->question[i].open) {
            return;
        }
    }
    query_answer(q);
}

/* --- the owner: asking --- */

static void on_timer(uv_timer_t *timer);

static void dns_arm(struct dns *d)
{
    uint64_t now_ms = uv_now(&d->loop), at_ms = UINT64_MAX;
    for (unsigned i = 0; i < DNS_PURPOSES; i++) {
        const struct dns_query *q = d->lists[i].oldest;
        at_ms = q != NULL && q->deadline_ms < at_ms ? q->deadline_ms : at_ms;
    }
    if (at_ms == UINT64_MAX) {
        uv_timer_stop(&d->timer);
        return;
    }
    uv_timer_start(&d->timer, on_timer, at_ms > now_ms ? at_ms - now_ms : 0, 0);
}

static void on_timer(uv_timer_t *timer)
{
    struct dns *d = timer->data;
    for (unsigned i = 0; i < DNS_PURPOSES; i++) {
        struct dns_list *list = &d->lists[i];
        while (list->oldest != NULL && list->oldest->deadline_ms <= uv_now(&d->loop)) {
            query_fail(list->oldest, "no answer in time");
        }
    }
    dns_arm(d);
}

static void query_ask(struct dns_query *q)
{
    static const int wants[][2] = {[DNS_WANT_ADDRESSES] = {DNS_TYPE_AAAA, DNS_TYPE_A},
                                   [DNS_WANT_MX] = {DNS_TYPE_MX},
                                   [DNS_WANT_NAME] = {DNS_TYPE_PTR}};
    const int *types = wants[q->want];
    for (unsigned i = 0; i < 2 && types[i] != 0; i++) {
        struct dns_question *question = &q->question[i];
        *question = (struct dns_question){.query = q, .type = types[i], .open = true};
        q->question_count = i + 1;
        int err = ub_resolve_async(q->context->ub, q->name, types[i], DNS_CLASS_IN,
                                   question, on_result, &question->id);
        if (err != 0) {
            question->open = false;
            query_fail(q, ub_strerror(err));
            return;
        }
    }
}

/* A whole queue may ask in vain: the same reason is logged once a minute. */
static void dns_log(struct dns *d, const char *reason)
{
    uint64_t now_ms = uv_now(&d->loop);
    if (strcmp(reason, d->logged) == 0 && now_ms - d->logged_ms < DNS_LOG_AGAIN_MS) {
        return;
    }
    snprintf(d->logged, sizeof d->logged, "%s", reason);
    d->logged_ms = now_ms;
    struct log_line line;
    log_begin(&line, d->log, LOG_ERROR);
    log_cstr(&line, "what", "dns");
    log_cstr(&line, "reason", reason);
    log_end(&line);
}

/* Whoever connects much must not keep deliveries from being looked up. */
static bool dns_is_busy(const struct dns *d, enum dns_purpose purpose)
{
    unsigned clients = d->lists[DNS_FOR_CLIENT].count;
    if (purpose == DNS_FOR_CLIENT && clients >= d->open_max / DNS_CLIENTS_PART) {
        return true;
    }
    return clients + d->lists[DNS_FOR_DELIVERY].count >= d->open_max;
}

static void query_begin(struct dns_query *q)
{
    struct dns *d = q->dns;
    char reason[512];
    if (q->hosts_only) {
        dns_hosts_answer(DNS_HOSTS_FILE, q->name, q->answer);
        query_finish(q);
        return;
    }
    if (dns_is_busy(d, q->purpose)) {
        query_fail(q, "too many open questions");
        return;
    }
    q->context = dns_context_get(&d->contexts, q->setup, reason, sizeof reason);
    if (q->context == NULL) {
        dns_log(d, reason);
        query_fail(q, reason);
        return;
    }
    q->context->open++;
    query_list(q);
    q->deadline_ms = uv_now(&d->loop) + q->list->timeout_ms;
    query_ask(q);
}

/* Nobody waits any more: only frees what it holds. The answer still goes home, where it
 * is thrown away. */
static void query_cancelled(struct dns_query *q)
{
    if (q->list != NULL) {
        query_fail(q, "cancelled");
    }
    query_unref(q);
}

static void dns_close(struct dns *d)
{
    for (unsigned i = 0; i < DNS_PURPOSES; i++) {
        while (d->lists[i].oldest != NULL) {
            query_fail(d->lists[i].oldest, "shutting down");
        }
    }
    dns_contexts_free(&d->contexts);
    uv_close((uv_handle_t *)&d->timer, NULL);
    uv_close((uv_handle_t *)&d->wake, NULL);
}

static void on_wake(uv_async_t *wake)
{
    struct dns *d = wake->data;
    bool stopped;
    struct dns_item *item = dns_take_all(d, &stopped);
    uv_update_time(&d->loop);
    while (item != NULL) {
        struct dns_item *next = item->next; /* item may be gone with its query */
        if (item->cancel) {
            query_cancelled(item->query);
        } else if (stopped) {
            query_fail(item->query, "shutting down");
        } else {
            query_begin(item->query);
        }
        item = next;
    }
    if (stopped) {
        dns_close(d);
    } else {
        dns_arm(d);
    }
}

static void dns_run(void *arg)
{
    struct dns *d = arg;
    uv_run(&d->loop, UV_RUN_DEFAULT);
}

/* --- the callers' side --- */

static int dns_init_loop(struct dns *d)
{
    int err = uv_loop_init(&d->loop);
    if (err != 0) {
        return err;
    }
    d->contexts.loop = &d->loop;
    check(uv_timer_init(&d->loop, &d->timer) == 0);
    d->timer.data = d;
    err = uv_async_init(&d->loop, &d->wake, on_wake);
    if (err == 0) {
        d->wake.data = d;
        err = uv_thread_create(&d->thread, dns_run, d);
        if (err == 0) {
            return 0;
        }
        uv_close((uv_handle_t *)&d->wake, NULL);
    }
    uv_close((uv_handle_t *)&d->timer, NULL);
    uv_run(&d->loop, UV_RUN_DEFAULT);
    check(uv_loop_close(&d->loop) == 0);
    return err;
}

struct dns *dns_start(struct log *log, char *reason, size_t reason_size)
{
    struct dns *d = calloc(1, sizeof *d);
    check(d != NULL);
    atomic_init(&d->refs, 1);
    d->log = log;
    d->lists[DNS_FOR_DELIVERY].timeout_ms = DNS_TIMEOUT_MS;
    d->lists[DNS_FOR_CLIENT].timeout_ms = DNS_CLIENT_TIMEOUT_MS;
    d->open_max = DNS_OPEN_MAX;
    d->last = &d->first;
    int err = uv_mutex_init(&d->lock);
    if (err == 0) {
        err = dns_init_loop(d);
        if (err == 0) {
            return d;
        }
        uv_mutex_destroy(&d->lock);
    }
    snprintf(reason, reason_size, "cannot start the resolver: %s", uv_strerror(err));
    free(d);
    return NULL;
}

void dns_set_limits(struct dns *d, unsigned timeout_ms, unsigned open_max)
{
    d->lists[DNS_FOR_DELIVERY].timeout_ms = timeout_ms;
    d->open_max = open_max;
}

void dns_stop(struct dns **d)
{
    struct dns *was = *d;
    *d = NULL;
    if (was == NULL) {
        return;
    }
    uv_mutex_lock(&was->lock);
    was->stopped = true;
    uv_async_send(&was->wake);
    uv_mutex_unlock(&was->lock);
    uv_thread_join(&was->thread);
    check(uv_loop_close(&was->loop) == 0);
    dns_unref(was);
}

static struct dns_query *query_new(struct dns *d, struct worker *w,
                                   const struct dns_servers *servers, enum dns_want want,
                                   dns_cb cb, void *arg)
{
    size_t size = dns_setup_print(servers, want != DNS_WANT_MX, NULL, 0) + 1;
    struct dns_query *q = calloc(1, sizeof *q + size);
    check(q != NULL);
    atomic_init(&q->refs, 1);
    q->dns = d;
    atomic_fetch_add_explicit(&d->refs, 1, memory_order_relaxed);
    q->worker = w;
    q->cb = cb;
    q->arg = arg;
    q->want = want;
    q->purpose = servers->purpose;
    q->hosts_only = servers->hosts_only;
    q->done.run = on_done;
    q->ask.query = q->cancel.query = q;
    q->cancel.cancel = true;
    q->answer = calloc(1, sizeof *q->answer);
    check(q->answer != NULL);
    dns_setup_print(servers, want != DNS_WANT_MX, q->setup, size);
    return q;
}

/* Sends q to the owner, or straight home when there is nothing to ask. */
static struct dns_query *query_start(struct dns_query *q, str name)
{
    if (!dns_name_normalise(name, q->name)) {
        q->answer->nxdomain = true;
        dns_answer_fail(q->answer, DNS_NONE, "'%.*s' is not a host name",
                        (int)(name.len < 80 ? name.len : 80), name.ptr);
        worker_post(q->worker, &q->done);
    } else if (!dns_push(q->dns, &q->ask)) {
        dns_answer_fail(q->answer, DNS_TEMPORARY, "shutting down");
        worker_post(q->worker, &q->done);
    }
    return q;
}

struct dns_query *dns_mx(struct dns *d, struct worker *w,
                         const struct dns_servers *servers, str name, dns_cb cb,
                         void *arg)
{
    return query_start(query_new(d, w, servers, DNS_WANT_MX, cb, arg), name);
}

struct dns_query *dns_addresses(struct dns *d, struct worker *w,
                                const struct dns_servers *servers, str name, dns_cb cb,
                                void *arg)
{
    struct dns_query *q = query_new(d, w, servers, DNS_WANT_ADDRESSES, cb, arg);
    if (dns_answer_literal(name, q->answer)) {
        worker_post(w, &q->done);
        return q;
    }
    return query_start(q, name);
}

struct dns_query *dns_reverse(struct dns *d, struct worker *w,
                              const struct dns_servers *servers, str ip, dns_cb cb,
                              void *arg)
{
    char name[DNS_NAME_SIZE];
    if (!dns_reverse_name(ip, name)) {
        name[0] = '\0';
    }
    return query_start(query_new(d, w, servers, DNS_WANT_NAME, cb, arg), str_from(name));
}

void dns_cancel(struct dns_query **query)
{
    struct dns_query *q = *query;
    *query = NULL;
    if (q == NULL || q->cancelled) {
        return;
    }
    q->cancelled = true;
    atomic_fetch_add_explicit(&q->refs, 1, memory_order_relaxed);
    if (!dns_push(q->dns, &q->cancel)) {
        query_unref(q);
    }
}
