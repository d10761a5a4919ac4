/* tls_contexts: the contexts of a configuration: one for each profile and role. Each can
 * be replaced while sessions use it; they keep theirs until they end. */
#include <stdlib.h>

#include "base/check.h"
#include "channels/tls_context.h"
#include "channels/tls_tickets.h"
#include "channels/tls_watch.h"

struct tls_contexts {
    struct tls_registry *registry;
    struct tls_watch *watch;
    unsigned count;
    struct tls_context **server, **client; /* by the index of the profile */
};

/* --- the registry --- */

struct tls_registry *tls_registry_new(void)
{
    struct tls_registry *r = calloc(1, sizeof *r);
    check(r != NULL && pthread_mutex_init(&r->lock, NULL) == 0);
    atomic_init(&r->refs, 1);
    return r;
}

struct tls_registry *tls_registry_ref(struct tls_registry *r)
{
    atomic_fetch_add_explicit(&r->refs, 1, memory_order_relaxed);
    return r;
}

void tls_registry_unref(struct tls_registry **r)
{
    struct tls_registry *was = *r;
    *r = NULL;
    if (was != NULL &&
        atomic_fetch_sub_explicit(&was->refs, 1, memory_order_acq_rel) == 1) {
        pthread_mutex_destroy(&was->lock);
        free(was);
    }
}

/* --- building --- */

static bool profile_has_server(const struct tls_profile *p)
{
    return p->settings[TLS_OPTION_server_cert].items != NULL;
}

/* Both contexts of a profile; each NULL when it has a fault or, the server's, when there
 * is no certificate. */
static bool build(const struct tls_contexts *c, const struct tls_profile *p,
                  enum tls_files files, struct diags *d, struct tls_context **server,
                  struct tls_context **client)
{
    struct tls_build b = {.profile = p, .files = files, .diags = d};
    *server = NULL;
    *client = tls_context_new(b, false, c->registry);
    b.common_told = *client == NULL; /* what both need is told once */
    if (profile_has_server(p)) {
        *server = tls_context_new(b, true, c->registry);
    }
    return *client != NULL && (*server != NULL || !profile_has_server(p));
}

static struct tls_contexts *contexts_build(const struct snapshot *s,
                                           const struct tls_contexts *before,
                                           enum tls_files files, struct diags *d)
{
    struct tls_contexts *c = calloc(1, sizeof *c);
    check(c != NULL);
    c->registry =
        before != NULL ? tls_registry_ref(before->registry) : tls_registry_new();
    c->watch = tls_watch_new(s);
    c->count = s->tls_profile_count;
    c->server = calloc(c->count + 1, sizeof *c->server);
    c->client = calloc(c->count + 1, sizeof *c->client);
    check(c->server != NULL && c->client != NULL);
    bool ok = true;
    for (unsigned i = 0; i < c->count; i++) {
        ok = build(c, s->tls_profiles[i], files, d, &c->server[i], &c->client[i]) && ok;
    }
    if (!ok) {
        tls_contexts_free(&c);
    }
    return c;
}

struct tls_contexts *tls_contexts_new(const struct snapshot *s,
                                      const struct tls_contexts *before, struct diags *d)
{
    return contexts_build(s, before, TLS_FILES_ALL, d);
}

void tls_contexts_free(struct tls_contexts **c)
{
    struct tls_contexts *was = *c;
    *c = NULL;
    if (was == NULL) {
        return;
    }
    for (unsigned i = 0; i < was->count; i++) {
        tls_context_unref(&was->server[i]);
        tls_context_unref(&was->client[i]);
    }
    tls_watch_free(&was->watch);
    tls_registry_unref(&was->registry);
    free(was->server);
    free(was->client);
    free(was);
}

bool tls_check(const struct snapshot *s, enum tls_files files, struct diags *d)
{
    struct tls_contexts *c = contexts_build(s, NULL, files, d);
    bool ok = c != NULL;
    tls_contexts_free(&c);
    return ok;
}

/* --- using --- */

static struct tls_context *take(const struct tls_contexts *c, struct tls_context **at)
{
    pthread_mutex_lock(&c->registry->lock);
    struct tls_context *found = *at != NULL ? tls_context_ref(*at) : NULL;
    pthread_mutex_unlock(&c->registry->lock);
    return found;
}

struct tls_context *tls_contexts_server(const struct tls_contexts *c,
                                        const struct tls_profile *p)
{
    return take(c, &c->server[p->index]);
}

struct tls_context *tls_contexts_client(const struct tls_contexts *c,
                                        const struct tls_profile *p)
{
    return take(c, &c->client[p->index]);
}

bool tls_contexts_alike(const struct tls_contexts *c, const struct tls_profile *p,
                        const struct tls_context *used)
{
    struct tls_context *now =
        used->server ? tls_contexts_server(c, p) : tls_contexts_client(c, p);
    bool alike = now != NULL && tls_same_identity(now, used);
    tls_context_unref(&now);
    return alike;
}

bool tls_contexts_serves(const struct tls_contexts *c, const struct tls_profile *p)
{
    struct tls_context *server = tls_contexts_server(c, p);
    bool serves = server != NULL;
    tls_context_unref(&server);
    return serves;
}

/* --- new files --- */

bool tls_contexts_tend(struct tls_contexts *c)
{
    pthread_mutex_lock(&c->registry->lock);
    for (struct tls_context *x = c->registry->first; x != NULL; x = x->next) {
        if (x->tickets != NULL) {
            tls_tickets_tend(x->tickets);
        }
    }
    pthread_mutex_unlock(&c->registry->lock);
    return tls_watch_look(c->watch);
}

/* NULL: what is there stays. */
static void put(const struct tls_contexts *c, struct tls_context **at,
                struct tls_context *made)
{
    if (made != NULL) {
        pthread_mutex_lock(&c->registry->lock);
        struct tls_context *was = *at;
        *at = made;
        pthread_mutex_unlock(&c->registry->lock);
        tls_context_unref(&was);
    }
}

bool tls_contexts_renew(struct tls_contexts *c, const struct snapshot *s, struct diags *d)
{
    bool ok = true;
    tls_watch_mark(c->watch);
    for (unsigned i = 0; i < c->count; i++) {
        struct tls_context *server, *client;
        ok = build(c, s->tls_profiles[i], TLS_FILES_ALL, d, &server, &client) && ok;
        put(c, &c->server[i], server);
        put(c, &c->client[i], client);
    }
    return ok;
}

/* --- looking --- */

static bool in_force(const struct tls_contexts *c, const struct tls_context *x)
{
    return x->index < c->count && (x->server ? c->server : c->client)[x->index] == x;
}

static void tell(const struct tls_context *x, bool current, tls_view_cb *each, void *arg)
{
    const struct tls_view v = {
        .profile = x->profile,
        .server = x->server,
        .in_force = current,
        .sessions = atomic_load_explicit(&x->sessions, memory_order_relaxed),
        .loaded_ms = x->loaded_ms,
        .certificates = x->certificates.at,
        .count = (unsigned)x->certificates.n,
    };
    if (current || v.sessions > 0) {
        each(&v, arg);
    }
}

void tls_contexts_each(const struct tls_contexts *c, tls_view_cb *each, void *arg)
{
    pthread_mutex_lock(&c->registry->lock);
    for (unsigned i = 0; i < c->count; i++) {
        if (c->server[i] != NULL) {
            tell(c->server[i], true, each, arg);
        }
        tell(c->client[i], true, each, arg);
    }
    for (const struct tls_context *x = c->registry->first; x != NULL; x = x->next) {
        if (!in_force(c, x)) {
            tell(x, false, each, arg);
        }
    }
    pthread_mutex_unlock(&c->registry->lock);
}
