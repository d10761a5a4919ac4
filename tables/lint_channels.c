/* lint_channels: what can only be said of a channel when all of the configuration is
 * known: that nothing leads to it, that nothing serves it, that the world reaches it. */
#include "tables/lint.h"

/* A channel of a kind we do not serve: an error when mail is meant to go there, unless
 * somebody wants to see the rest. Rules for `conversion` and `defragment` are in every
 * file that the originals' configuration programs wrote, and nobody's mail goes by them.
 */
static void lint_kind(struct compile *c, const struct channel *ch,
                      const struct leads *leads)
{
    if (ch->type != CHANNEL_UNSUPPORTED) {
        return;
    }
    if (channel_reprocesses(ch)) {
        diag_warning(c->diags, ch->span, "unsupported-channel",
                     "'%.*s' is not supported: parts of messages are neither converted "
                     "nor put together here, and mail to its hosts is refused",
                     STR_ARG(ch->name));
        return;
    }
    struct span from = leads->rule[ch->index];
    from = from.source != 0 ? from : leads->session[ch->index];
    bool by_rule_only = leads->session[ch->index].source == 0;
    bool harmless = from.source == 0;
    if (harmless || (by_rule_only && c->allow_unhonoured)) {
        struct diag *d = diag_warning(
            c->diags, ch->span, "unserved-channel",
            "channels named like '%.*s' are not served yet: mail to its hosts is "
            "refused",
            STR_ARG(ch->name));
        if (!harmless) {
            diag_note(c->diags, d, from, "this leads to it");
        }
        return;
    }
    struct diag *d =
        diag_error(c->diags, ch->span, "unserved-channel",
                   "channels named like '%.*s' are not served yet; the name of a channel "
                   "for SMTP begins with 'tcp_'%s",
                   STR_ARG(ch->name),
                   by_rule_only ? "; with --allow-unhonoured mail to it is refused" : "");
    diag_note(c->diags, d, from, "this leads to it");
}

/* Marks the channels that have a host mail can be addressed to, without any rule: a
 * name with a dot or an address. Others are made up for the rules. */
static bool *channels_with_real_hosts(const struct compile *c)
{
    bool *real = arena_array(c->arena, bool, c->s->channel_count);
    for (size_t i = 0; i < map_count(c->s->hosts); i++) {
        str host;
        const struct host_entry *h = map_at(c->s->hosts, i, &host);
        if (str_find(host, '.') >= 0 || str_starts(host, STR("["))) {
            real[h->channel->index] = true;
        }
    }
    return real;
}

/* A channel nothing leads to is mostly a slip in the name of another line. Not told when
 * a rule's routing host is computed, as it could be any, and not beside errors: what they
 * are about may lead there. */
static void lint_unreachable(struct compile *c, const struct channel *ch,
                             const bool *real, const struct leads *leads)
{
    if (ch->type != CHANNEL_TCP || ch->index == 0 || leads->computed || real[ch->index] ||
        diags_errors(c->diags) > 0 || leads->rule[ch->index].source != 0 ||
        leads->session[ch->index].source != 0 ||
        map_get(c->mentioned, ch->name) != NULL) {
        return;
    }
    struct diag *d =
        diag_warning(c->diags, ch->span, "unreachable-channel",
                     "nothing leads to channel '%.*s': no rule has its host, no service "
                     "begins on it, and no channel switches to it",
                     STR_ARG(ch->name));
    const struct host_entry *h = snapshot_host(c->s, ch->official_host);
    if (h != NULL) {
        diag_note(c->diags, d, h->span, "a rule would name this host behind '@'");
    }
}

static bool is_loopback(str ip)
{
    return str_starts(ip, STR("127.")) || str_eq(ip, STR("::1"));
}

/* The first service in clear on the channel that others than this machine can reach. */
static const struct service **exposing_services(const struct compile *c)
{
    const struct snapshot *s = c->s;
    const struct service **by =
        arena_array(c->arena, const struct service *, s->channel_count);
    for (unsigned i = 0; i < s->service_count; i++) {
        const struct service *v = &s->services[i];
        const struct service **at = &by[v->channel->index];
        if (*at == NULL && !v->implicit_tls && !is_loopback(v->interface_address)) {
            *at = v;
        }
    }
    return by;
}

/* No TLS for clients, and nobody said that this is meant. */
static void lint_exposed(struct compile *c, const struct channel *ch,
                         const struct service *by)
{
    if (by == NULL || ch->type != CHANNEL_TCP || ch->opts.tls_server != TLS_LEVEL_NO ||
        ch->opts.tls_server_at.source != 0) {
        return;
    }
    struct diag *d = diag_warning(
        c->diags, ch->span, "notls-exposed",
        "'%.*s' takes mail from the network in clear, because nothing else is said: "
        "write maytlsserver, or notlsserver if that is meant",
        STR_ARG(ch->name));
    diag_note(c->diags, d, by->span, "clients get there by this service");
}

/* Settings of the SMTP client on a channel that has none; defaults are meant for the
 * others. */
static void lint_client_settings(struct compile *c, const struct channel *ch)
{
    const struct channel_opts *o = &ch->opts;
    const struct span *const settings[] = {&o->tls_client_at,  &o->mx_at,
                                           &o->port_at,        &o->daemon_at,
                                           &o->protocol_at,    &o->interfaceaddress_at,
                                           &o->nameservers_at, &o->lastresort_at};
    for (size_t i = 0; i < sizeof settings / sizeof settings[0] && ch->final; i++) {
        if (channel_wrote(c->s, ch, *settings[i])) {
            diag_warning(c->diags, *settings[i], "no-effect",
                         "this has no effect on '%.*s': the channel sends no SMTP",
                         STR_ARG(ch->name));
        }
    }
}

/* May mail come to the channel to be sent? */
static bool may_be_reached(const struct channel *ch, const bool *real,
                           const struct leads *leads)
{
    return leads->computed || real[ch->index] || leads->rule[ch->index].source != 0;
}

/* LMTP has no port of its own and must not be spoken on SMTP's (RFC 2033 5); a channel
 * that speaks SMTP hands nothing to a socket. */
static void lint_lmtp(struct compile *c, const struct channel *ch, bool reached)
{
    const struct channel_opts *o = &ch->opts;
    bool lmtp = o->protocol == PROTOCOL_LMTP;
    str path;
    bool socket = socket_host_ok(o->daemon, &path);
    bool port_counts = !socket || o->lastresort.len > 0;
    if (ch->type == CHANNEL_TCP && lmtp && o->port == 25 && port_counts && reached) {
        diag_error(c->diags, o->port_at.source != 0 ? o->port_at : o->protocol_at,
                   "lmtp-port",
                   "LMTP is not spoken on port 25: say with 'port' on which the next hop "
                   "of '%.*s' does, or with 'daemon unix:PATH' on which socket",
                   STR_ARG(ch->name));
    }
    if (ch->type == CHANNEL_TCP && !lmtp && socket) {
        diag_error(c->diags, o->daemon_at, "socket-not-lmtp",
                   "'%.*s' speaks SMTP, and only LMTP goes to a socket: write lmtp",
                   STR_ARG(ch->name));
    }
}

/* A field that would show recipients to each other is left out. Told once for each place
 * where the word stands; *told: the last one. */
static void lint_env_to(struct compile *c, const struct channel *ch, struct span *told)
{
    const struct channel_opts *o = &ch->opts;
    bool again =
        told->source == o->env_to_at.source && told->offset == o->env_to_at.offset;
    if (o->env_to && !again && o->filesplit != FILESPLIT_SINGLE &&
        ch->type != CHANNEL_PIPE) {
        *told = o->env_to_at;
        diag_warning(
            c->diags, o->env_to_at, "env-to-not-single",
            "mail for several recipients shows none of them in X-Envelope-to, as "
            "each would see the others; say single, too");
    }
}

/* A pipe that mail comes to, and nobody's program. */
static void lint_pipe(struct compile *c, const struct channel *ch, bool reached)
{
    if (ch->type == CHANNEL_PIPE && ch->pipe.commands == NULL && reached) {
        diag_warning(c->diags, ch->span, "pipe-no-command",
                     "there is no program for anybody in '%.*s_option', so all mail for "
                     "'%.*s' is refused",
                     STR_ARG(ch->name), STR_ARG(ch->name));
    }
}

/* A program must not run as another user than somebody asked for. The daemon cannot
 * become one: it has given up root before it reads the first message. */
static void lint_user(struct compile *c, const struct channel *ch)
{
    str user = ch->opts.user, ours = c->s->options.user;
    struct span at = ch->opts.user_at;
    if (ch->type == CHANNEL_PIPE && user.len > 0 && !str_eq(user, ours)) {
        compile_restriction(c, at,
                            "'user' is not honoured: programs of '%.*s' run as the "
                            "user of the daemon, and USER in option.dat says that this "
                            "is '%.*s', not '%.*s'",
                            STR_ARG(ch->name), STR_ARG(ours), STR_ARG(user));
    } else if (ch->type != CHANNEL_PIPE && channel_wrote(c->s, ch, at)) {
        diag_warning(c->diags, at, "no-effect",
                     "this has no effect on '%.*s': the channel runs no programs",
                     STR_ARG(ch->name));
    }
}

/* Only SMTP is spoken to clients; of other channels not served at all more is said above.
 */
static void lint_services(struct compile *c)
{
    for (unsigned i = 0; i < c->s->service_count; i++) {
        const struct service *v = &c->s->services[i];
        enum channel_type type = v->channel->type;
        if (type != CHANNEL_TCP && type != CHANNEL_UNSUPPORTED) {
            struct diag *d =
                diag_error(c->diags, v->span, "service-channel",
                           "service '%.*s': channel '%.*s' cannot serve clients, a tcp_* "
                           "channel can",
                           STR_ARG(v->name), STR_ARG(v->channel->name));
            diag_note(c->diags, d, v->channel->span, "the channel");
        } else if (v->channel->opts.protocol == PROTOCOL_LMTP) {
            struct diag *d =
                diag_error(c->diags, v->span, "lmtp-service",
                           "service '%.*s' begins on '%.*s', which speaks LMTP: that is "
                           "spoken to next hops, never to clients",
                           STR_ARG(v->name), STR_ARG(v->channel->name));
            diag_note(c->diags, d, v->channel->opts.protocol_at, "this says so");
        }
    }
}

void lint_channels(struct compile *c, const struct leads *leads)
{
    const bool *real = channels_with_real_hosts(c);
    const struct service **exposing = exposing_services(c);
    struct span told = SPAN_NONE;
    for (unsigned i = 0; i < c->s->channel_count; i++) {
        const struct channel *ch = c->s->channels[i];
        lint_kind(c, ch, leads);
        lint_unreachable(c, ch, real, leads);
        lint_exposed(c, ch, exposing[i]);
        lint_client_settings(c, ch);
        lint_env_to(c, ch, &told);
        bool reached = may_be_reached(ch, real, leads);
        lint_lmtp(c, ch, reached);
        lint_pipe(c, ch, reached);
        lint_user(c, ch);
    }
    lint_services(c);
}
