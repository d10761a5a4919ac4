/* tcp: see tcp.h. Only what a configuration needs before it can run stands here. */
#include "channels/tcp.h"

#include <stdlib.h>

#include "base/check.h"
#include "router/dns.h"

static void tcp_retire(void *state)
{
    struct tcp_state *t = state;
    tls_context_unref(&t->server);
    tls_context_unref(&t->client);
    free(t);
}

static bool tcp_prepare(const struct snapshot *s, void **state, struct diags *d)
{
    struct tcp_state *t = calloc(1, sizeof *t);
    check(t);
    bool server = tls_server_context(s, d, &t->server);
    bool client = tls_client_context(s, d, &t->client);
    bool anchor = dns_check_anchor(s, d);
    if (server && client && anchor) {
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
