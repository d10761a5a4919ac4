/* Golden routes: for each <name>.cnf of test/route and the folders in it, the queries of
 * <name>.routes are asked and the answers compared with what stands there. A query line
 * reads
 *   route ADDRESS [CONTEXT] -> ADDRESS CHANNEL by FILE:LINE
 *   trace ADDRESS [CONTEXT] -> PROBE: OUTCOME, ...
 *     CONTEXT: [from CHANNEL] [to CHANNEL] [header] [backward]
 *   rcpt ADDRESS [from CHANNEL] [trusted]            -> accept|refuse ...
 *   expand ADDRESS [from CHANNEL] [trusted] [sender ADDRESS]
 *     -> ADDRESS CHANNEL [sender ADDRESS] [held]; ...; bad ADDRESS X.Y.Z TEXT; ... or
 *        refuse CODE X.Y.Z TEXT, with the bad ones behind it
 *   ip ADDRESS [from CHANNEL]                        -> CHANNEL by FILE:LINE
 * Lines that begin with '#' and empty lines are kept. UPDATE_GOLDEN=1 writes the
 * answers into the files instead. Speaks TAP. */
#include "tables/recipient.h"
#include "test/golden.h"

struct query {
    str verb, address;
    const struct channel *source;
    bool trusted;
    struct address sender;
    struct rewrite_context ctx;
};

/* "from CHANNEL" or "to CHANNEL", the first word of which was taken. */
static bool parse_channel(const struct snapshot *s, str word, str *line, struct query *q)
{
    bool from = str_eq(word, STR("from"));

    if ((!from && !str_eq(word, STR("to"))) || !str_word(line, &word)) {
        return false;
    }
    const struct channel *c = snapshot_channel(s, word);
    *(from ? &q->source : &q->ctx.destination) = c;
    return c != NULL;
}

static bool query_parse(const struct snapshot *s, str line, struct query *q)
{
    str word;

    *q = (struct query){.source = s->channels[0]};
    if (!str_word(&line, &q->verb) || !str_word(&line, &q->address)) {
        return false;
    }
    while (str_word(&line, &word)) {
        if (str_eq(word, STR("header"))) {
            q->ctx.form = ROUTE_HEADER;
        } else if (str_eq(word, STR("backward"))) {
            q->ctx.direction = ROUTE_BACKWARD;
        } else if (str_eq(word, STR("trusted"))) {
            q->trusted = true;
        } else if (str_eq(word, STR("sender"))) {
            if (!str_word(&line, &word) || address_parse(word, &q->sender)) {
                return false;
            }
        } else if (!parse_channel(s, word, &line, q)) {
            return false;
        }
    }
    q->ctx.source = q->source;
    return true;
}

static str by(struct arena *a, const struct snapshot *s, const struct route *r)
{
    return span_text(a, s->sources, r->rule.source != 0 ? r->rule : r->host);
}

static str answer_route(struct arena *a, const struct snapshot *s, const struct route *r)
{
    if (!r->channel) {
        return arena_printf(a, "error %u.%u.%u %.*s", r->status[0], r->status[1],
                            r->status[2], STR_ARG(r->error));
    }
    return arena_printf(a, "%.*s %.*s by %.*s", STR_ARG(address_print(a, &r->address)),
                        STR_ARG(r->channel->name), STR_ARG(by(a, s, r)));
}

static str answer_trace(struct arena *a, const struct route *r)
{
    str all = STR("");

    for (const struct route_step *step = r->steps; step; step = step->next) {
        all = arena_printf(a, "%.*s%s%.*s: %.*s", STR_ARG(all), all.len > 0 ? ", " : "",
                           STR_ARG(step->probe), STR_ARG(step->outcome));
    }
    return all;
}

static str answer_rcpt(struct arena *a, const struct snapshot *s, const struct query *q,
                       const struct address *addr)
{
    struct recipient_request request = {
        .snapshot = s, .source = q->source, .trusted = q->trusted, .to = *addr};
    struct recipient_answer r;

    if (recipient_resolve(&request, a, &r) == RECIPIENT_TAKEN) {
        return arena_printf(a, "accept %.*s", STR_ARG(answer_route(a, s, &r.route)));
    }
    const unsigned *status = r.reply.status;
    return arena_printf(a, "refuse %u.%u.%u %.*s", status[0], status[1], status[2],
                        STR_ARG(r.reply.text));
}

/* What becomes of one address of an expansion; empty for those that are only passed. */
static str answer_node(struct arena *a, const struct expand_node *n)
{
    const unsigned *x = n->status;
    str address = address_print(a, &n->route.address);

    switch (n->kind) {
    case EXPAND_LEAF:
        address = arena_printf(a, "%.*s %.*s%s", STR_ARG(address),
                               STR_ARG(n->route.channel->name), n->hold ? " held" : "");
        return !n->sender.ptr ? address
                              : arena_printf(a, "%.*s sender <%.*s>", STR_ARG(address),
                                             STR_ARG(n->sender));
    case EXPAND_BAD:
    case EXPAND_LATER:
        return arena_printf(a, "bad %.*s %u.%u.%u %.*s", STR_ARG(n->text), x[0], x[1],
                            x[2], STR_ARG(n->reason));
    default:
        return STR("");
    }
}

static str answer_expand(struct arena *a, const struct snapshot *s, const struct query *q,
                         const struct address *addr)
{
    struct recipient_request request = {.snapshot = s,
                                        .source = q->source,
                                        .trusted = true,
                                        .sender = q->sender,
                                        .to = *addr};
    struct recipient_answer r;
    str all = STR("");

    if (recipient_resolve(&request, a, &r) != RECIPIENT_TAKEN) {
        const unsigned *x = r.reply.status;
        all = arena_printf(a, "refuse %u %u.%u.%u %.*s", r.reply.code, x[0], x[1], x[2],
                           STR_ARG(r.reply.text));
    }
    for (const struct expand_node *n = r.expansion.first; n; n = n->next) {
        str one = answer_node(a, n);
        bool more = all.len > 0 && one.len > 0;
        all = arena_printf(a, "%.*s%s%.*s", STR_ARG(all), more ? "; " : "", STR_ARG(one));
    }
    return all;
}

static str answer_ip(struct arena *a, const struct snapshot *s, const struct query *q)
{
    struct span rule;
    const struct channel *c = route_ip_switch(s, q->source, q->address, a, &rule);

    return arena_printf(a, "%.*s by %.*s", STR_ARG(c->name),
                        STR_ARG(span_text(a, s->sources, rule)));
}

static str answer(struct arena *a, const struct snapshot *s, str line)
{
    struct query q;
    struct address addr;
    struct route r;

    if (!query_parse(s, line, &q)) {
        return STR("bad query");
    }
    if (str_eq(q.verb, STR("ip"))) {
        return answer_ip(a, s, &q);
    }
    const char *reason = address_parse(q.address, &addr);
    if (reason) {
        return arena_printf(a, "bad address: %s", reason);
    }
    if (str_eq(q.verb, STR("rcpt"))) {
        return answer_rcpt(a, s, &q, &addr);
    }
    if (str_eq(q.verb, STR("expand"))) {
        return answer_expand(a, s, &q, &addr);
    }
    bool trace = str_eq(q.verb, STR("trace"));
    route_rewrite(s, &q.ctx, &addr, trace, a, &r);
    return trace ? answer_trace(a, &r) : answer_route(a, s, &r);
}

struct asked {
    struct arena *a;
    const struct snapshot *s;
};

/* The queries with their answers. */
static bool answer_all(str queries, struct buf *out, void *arg)
{
    struct asked *x = arg;
    str line;

    while (str_split(&queries, '\n', &line)) {
        if (line.len == 0 && !queries.ptr) {
            break;
        }
        ptrdiff_t arrow = -1;
        for (size_t i = 0; i + 2 <= line.len && arrow < 0; i++) {
            if (line.ptr[i] == '-' && line.ptr[i + 1] == '>') {
                arrow = (ptrdiff_t)i;
            }
        }
        if (line.len > 0 && line.ptr[0] != '#') {
            str query = arrow < 0 ? line : str_sub(line, 0, (size_t)arrow);
            while (query.len > 0 && query.ptr[query.len - 1] == ' ') {
                query.len--;
            }
            int width = arrow < 0 ? 40 : (int)arrow - 1;
            buf_printf(out, "%-*.*s -> %.*s\n", width, STR_ARG(query),
                       STR_ARG(answer(x->a, x->s, query)));
        } else {
            buf_printf(out, "%.*s\n", STR_ARG(line));
        }
    }
    return true;
}

static bool run_case(str path)
{
    struct arena *a = arena_new();
    struct snapshot_request request = {.path = path};
    struct diags *diags;
    bool unreadable;
    struct snapshot *s = snapshot_load(&request, a, &diags, &unreadable);
    struct asked x = {a, s};
    bool good =
        s != NULL && golden_compare(a, golden_beside(a, path, "routes"), answer_all, &x);
    if (s == NULL) {
        golden_show_diags(diags);
    }
    snapshot_unref(&s);
    arena_free(&a);
    return good;
}

int main(void)
{
    static const char *const patterns[] = {"test/route/*.cnf", "test/route/*/*.cnf",
                                           NULL};
    return golden_main(patterns, run_case);
}
