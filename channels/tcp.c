/* tcp: see tcp.h. Only what a configuration needs before it can run stands here. */
#include "channels/tcp.h"

#include <stdlib.h>

#include "base/check.h"
#include "router/dns.h"

static void tcp_retire(void *state)
{
    struct tcp_state *t = state;
    tls_contexts_free(&t->tls);
    tls_memory_unref(&t->memory);
    tcp_dead_unref(&t->dead);
    free(t);
}

static bool tcp_prepare(const struct snapshot *s, void *before, void **state,
                        struct diags *d)
{
    const struct tcp_state *old = before;
    struct tcp_state *t = calloc(1, sizeof *t);
    check(t);
    t->dead = old ? tcp_dead_ref(old->dead) : tcp_dead_new();
    t->tls = tls_contexts_new(s, old ? old->tls : NULL, d);
    t->memory = old ? tls_memory_ref(old->memory) : tls_memory_new();
    bool anchor = dns_check_anchor(s, d);
    if (t->tls && anchor) {
        *state = t;
        return true;
    }
    tcp_retire(t);
    return false;
}

static bool tcp_tend(void *state)
{
    return tls_contexts_tend(((struct tcp_state *)state)->tls);
}

static bool tcp_renew(void *state, const struct snapshot *s, struct diags *d)
{
    return tls_contexts_renew(((struct tcp_state *)state)->tls, s, d);
}

static void tcp_view_tls(void *state, tls_view_cb *each, void *arg)
{
    tls_contexts_each(((struct tcp_state *)state)->tls, each, arg);
}

static void tcp_forget(void *state)
{
    tcp_dead_clear_all(((struct tcp_state *)state)->dead);
}

const struct channel_kind kind_tcp = {
    .name = "tcp",
    .type = CHANNEL_TCP,
    .prepare = tcp_prepare,
    .retire = tcp_retire,
    .tend = tcp_tend,
    .renew = tcp_renew,
    .view_tls = tcp_view_tls,
    .forget = tcp_forget,
    .deliver = tcp_deliver,
    .accept = tcp_server_accept,
};
