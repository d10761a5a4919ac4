/* tls_probe: `pointsman tls probe HOST[:PORT]`: the question is read, the host asked
 * (tls_probe_talk.c), and what it offers is judged by the policy of a channel. */
#include <string.h>
#include <unistd.h>

#include "tables/access.h"
#include "tools/addresses.h"
#include "tools/configuration.h"
#include "tools/messages.h"
#include "tools/tls_probe_report.h"
#include "tools/tls_report.h"

enum { SMTP_PORT = 25, SUBMISSIONS_PORT = 465, TIMEOUT_S = 30, HOST_MAX = 255 };

struct probe {
    const struct invocation *in;
    struct arena *arena;
    struct diags *diags; /* of certificates, keys and CAs */
    struct configuration configuration;
    const struct channel *channel; /* NULL: none is asked, and no configuration read */
    struct tls_client_answer policy;
    struct probe_target target;
    enum tls_outcome required;
    char helo[256];
};

/* --- the question --- */

static bool usage(const char *what, const char *word)
{
    fprintf(stderr, "pointsman: %s '%s'\n", what, word);
    return false;
}

static bool read_port(struct probe *p, const char *written, str port)
{
    uint64_t number;
    if (!str_u64(port, UINT16_MAX, &number) || number == 0) {
        return usage("a port is a number from 1 to 65535, in", written);
    }
    p->target.port = (uint16_t)number;
    return true;
}

/* HOST, HOST:PORT, 192.0.2.1:PORT, 2001:db8::1, [192.0.2.1], [2001:db8::1]:PORT,
 * [IPv6:2001:db8::1] */
static bool read_target(struct probe *p, const char *written)
{
    str host = str_from(written);
    ptrdiff_t colon = str_find(host, ':'), close = str_find(host, ']');
    if (str_starts(host, STR("[")) && close > 0) {
        str rest = str_from_pos(host, (size_t)close + 1);
        host = str_sub(host, 1, (size_t)close - 1);
        host = str_istarts(host, STR("IPv6:")) ? str_from_pos(host, 5) : host;
        if (rest.len > 0 &&
            (rest.ptr[0] != ':' || !read_port(p, written, str_from_pos(rest, 1)))) {
            return rest.ptr[0] == ':' ? false : usage("this is no host:", written);
        }
    } else if (colon >= 0 && str_rfind(host, ':') == colon) {
        if (!read_port(p, written, str_from_pos(host, (size_t)colon + 1))) {
            return false;
        }
        host = str_sub(host, 0, (size_t)colon);
    }
    for (size_t i = 0; i < host.len; i++) {
        if ((unsigned char)host.ptr[i] <= ' ' || strchr("/@[]", host.ptr[i])) {
            return usage("this is no host:", written);
        }
    }
    p->target.host = arena_str(p->arena, host).ptr;
    return (host.len > 0 && host.len <= HOST_MAX) || usage("this is no host:", written);
}

/* What the channel wants of this host. */
static bool read_channel(struct probe *p)
{
    const struct tool_options *o = &p->in->options;
    if (!configuration_need(&p->configuration, p->in)) {
        return false;
    }
    const struct snapshot *s = p->configuration.snapshot;
    p->channel = channel_given(s, o->channel);
    if (!p->channel) {
        return false;
    }
    if (!tls_channel_sends(p->channel)) {
        return usage("nothing leaves by the channel", o->channel);
    }
    snprintf(p->helo, sizeof p->helo, "%.*s",
             STR_ARG(p->channel->tcp.banner_host.len > 0
                         ? p->channel->tcp.banner_host
                         : channel_local_name(s, p->channel)));
    p->target.port = p->target.port ? p->target.port : p->channel->opts.port;
    p->target.implicit = p->channel->tls_client.implicit;
    if (o->implicit && !p->target.implicit) {
        return usage("--implicit: TLS from the first byte is not what is said by",
                     o->channel);
    }
    return true;
}

static bool read_question(struct probe *p)
{
    const struct tool_options *o = &p->in->options;
    if (p->in->arg_count != 2) {
        fputs("pointsman: tls probe takes a host, HOST or HOST:PORT\n", stderr);
        return false;
    }
    if (o->require && !tls_outcome_parse(str_from(o->require), &p->required)) {
        return usage("no level of clear, tls, ca, host, pinned:", o->require);
    }
    if (o->mx || o->ip || o->source_channel || (o->destination && !o->channel)) {
        fputs("pointsman: tls probe takes --channel, --destination beside it, --require, "
              "--implicit and --timeout\n",
              stderr);
        return false;
    }
    if (!read_target(p, p->in->args[1])) {
        return false;
    }
    if (o->channel) {
        return read_channel(p);
    }
    if (gethostname(p->helo, sizeof p->helo - 1) != 0 || p->helo[0] == '\0') {
        snprintf(p->helo, sizeof p->helo, "localhost");
    }
    p->target.implicit = o->implicit || p->target.port == SUBMISSIONS_PORT;
    p->target.port = p->target.port       ? p->target.port
                     : p->target.implicit ? SUBMISSIONS_PORT
                                          : SMTP_PORT;
    return true;
}

/* --- the policy --- */

/* As for a delivery to that address. */
static bool find_policy(struct probe *p, const char *ip)
{
    const char *domain = p->in->options.destination;
    if (!p->channel) {
        return true;
    }
    struct tls_client_query q = {
        .snapshot = p->configuration.snapshot,
        .channel = p->channel,
        .domain = str_from(domain ? domain : p->target.host),
        .mx = str_from(p->target.host),
        .ip = str_from(ip),
    };
    return tls_client_policy(&q, p->arena, &p->policy);
}

/* NULL: what is wrong has been said. */
static struct tls_context *make_context(struct probe *p)
{
    struct tls_profile profile;
    struct sources *sources =
        p->channel ? p->configuration.snapshot->sources : sources_new(p->arena);
    p->diags = diags_new(p->arena, sources);
    if (p->channel) {
        profile = *p->policy.policy.profile;
        profile.verifies = true; /* we tell what it would prove */
    } else {
        tls_profile_built_in(&profile);
    }
    struct tls_context *c = tls_context_alone(&profile, TLS_FILES_CHECK, p->diags);
    struct messages_request r = {.colour = tool_colour(stderr), .errors_only = c == NULL};
    if (diags_errors(p->diags) + diags_warnings(p->diags) > 0) {
        messages_print(p->diags, &r, stderr);
    }
    return c;
}

/* Is the certificate what the policy wants? As the daemon tells the table. */
static bool is_verified(const struct tls_policy *p, const struct probe_found *f)
{
    switch (p->verify) {
    case TLS_VERIFY_NO:
        return false;
    case TLS_VERIFY_CA:
        return f->ca.proven;
    case TLS_VERIFY_FP:
        return f->pinned.proven;
    default:
        return f->is_host.proven;
    }
}

static void ask_tls_access(const struct probe *p, struct probe_found *f)
{
    struct access_verdict v;
    struct access_peer peer = {.server_ip = str_from(f->ip),
                               .server_port = p->target.port,
                               .client_ip = str_from(f->our_ip),
                               .client_port = f->our_port,
                               .lmtp = p->channel->opts.protocol == PROTOCOL_LMTP,
                               .tls = true,
                               .tls_version = str_from(f->facts.version),
                               .tls_cipher = str_from(f->facts.cipher)};
    struct access_tls tls = {.verified = is_verified(&p->policy.policy, f),
                             .subject = str_from(f->facts.subject),
                             .issuer = str_from(f->facts.issuer),
                             .names_cut = f->facts.names_cut};
    struct access_question q = {.snapshot = p->configuration.snapshot,
                                .table = ACCESS_TLS,
                                .peer = &peer,
                                .source = p->channel,
                                .tls = &tls};
    access_ask(&q, p->arena, &v);
    if (v.answer == ACCESS_FAULT || v.answer == ACCESS_REJECT) {
        str at = snapshot_where(p->arena, p->configuration.snapshot, v.entry);
        snprintf(f->veto, sizeof f->veto, "TLS_ACCESS %s (%.*s)",
                 v.answer == ACCESS_FAULT ? "has no answer" : "refuses", STR_ARG(at));
        f->veto_for_good = v.no_fallback;
    }
}

/* --- asking --- */

static void show_step(const char *host, const char *what, void *arg)
{
    (void)arg;
    if (!isatty(STDERR_FILENO)) {
        return;
    }
    fprintf(stderr, "%s: %s ...\n", host,
            what[0] == '\0'            ? "looking it up"
            : strcmp(what, "TLS") == 0 ? "TLS"
                                       : "connecting");
}

static int answer(const struct probe *p, const struct probe_found *found)
{
    struct probe_verdict verdict;
    const struct tls_policy *policy = p->channel ? &p->policy.policy : NULL;
    probe_judge(policy, found, &verdict);
    const struct probe_report r = {
        .target = &p->target,
        .found = found,
        .verdict = &verdict,
        .snapshot = p->configuration.snapshot,
        .channel = p->channel,
        .policy = &p->policy,
        .required = p->in->options.require ? &p->required : NULL,
        .arena = p->arena,
    };
    if (p->in->options.json) {
        probe_print_json(&r);
    } else {
        probe_print(&r);
    }
    if (found->stage == PROBE_CONNECTING) {
        return TOOL_USAGE;
    }
    return verdict.sent && !probe_below(&r) ? TOOL_OK : TOOL_NO;
}

static int tell_fault(const struct probe *p)
{
    str where = snapshot_where(p->arena, p->configuration.snapshot, p->policy.fault_at);
    fprintf(stderr, "pointsman: nothing is sent to %s: %.*s: %.*s\n", p->target.host,
            STR_ARG(where), STR_ARG(p->policy.fault));
    return TOOL_NO;
}

/* As a delivery does: once more with other groups where the first try had no answer. */
static void talk(struct probe *p, int fd, struct probe_found *found)
{
    probe_talk(&p->target, fd, p->arena, found);
    if (found->stage == PROBE_HANDSHAKE && !found->facts.answered &&
        tls_context_has_other_groups(p->target.context)) {
        const struct probe_found first = *found;
        p->target.other_groups = true;
        fd = probe_connect(&p->target, found);
        if (fd < 0) {
            *found = first;
        } else {
            probe_talk(&p->target, fd, p->arena, found);
        }
    }
}

static int ask(struct probe *p)
{
    unsigned seconds = p->in->options.timeout_s;
    struct probe_found *found = arena_new_of(p->arena, struct probe_found);
    p->target.helo = p->helo;
    p->target.step = show_step;
    p->target.deadline_ms =
        dial_now_ms() + 1000 * (int64_t)(seconds > 0 ? seconds : TIMEOUT_S);
    int fd = probe_connect(&p->target, found);
    bool known = find_policy(p, found->ip);
    p->target.context = known ? make_context(p) : NULL;
    if (fd >= 0 && p->target.context) {
        talk(p, fd, found);
        if (p->channel && found->tls) {
            ask_tls_access(p, found);
        }
    } else if (fd >= 0) {
        close(fd);
    }
    int code = !known ? tell_fault(p) : p->target.context ? answer(p, found) : TOOL_USAGE;
    tls_context_unref(&p->target.context);
    return code;
}

int tls_probe(const struct invocation *in)
{
    struct probe p = {.in = in, .arena = arena_new()};
    int code = read_question(&p) ? ask(&p) : TOOL_USAGE;
    if (p.configuration.arena) {
        configuration_free(&p.configuration);
    }
    arena_free(&p.arena);
    return code;
}
