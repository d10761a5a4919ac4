/* tcp: see tcp.h. Only what a configuration needs before it can run stands here. */
#include "channels/tcp.h"

#include <stdlib.h>

#include "base/check.h"
#include "router/dns.h"

static void tcp_retire(void *state)
{
    struct tcp_state *t = state;
    tls_contexts_free(&t->tls);
    free(t);
}

static bool tcp_prepare(const struct snapshot *s, void **state, struct diags *d)
{
    struct tcp_state *t = calloc(1, sizeof *t);
    check(t);
    t->tls = tls_contexts_new(s, d);
    bool anchor = dns_check_anchor(s, d);
    if (t->tls && anchor) {
        *state = t;
        return true;
    }
    tcp_retire(t);
    return false;
}

const struct channel_kind kind_tcp = {
    .name = "tcp",
    .type = CHANNEL_TCP,
    .prepare = tcp_prepare,
    .retire = tcp_retire,
    .deliver = tcp_deliver,
    .accept = tcp_server_accept,
};
