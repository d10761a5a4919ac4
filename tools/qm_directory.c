/* qm_directory: entries with numbers, which other commands of the session take. */
#include "base/clock.h"
#include "router/queue_sqlite_offline.h"
#include "tools/daemon_place.h"
#include "tools/qm.h"
#include "tools/text.h"

struct listing {
    struct qm *qm;
    bool total_only;
    int64_t octets;
};

struct queueing qm_queueing(struct qm *qm, const struct invocation *in, const char *name)
{
    return (struct queueing){.in = in,
                             .arena = qm->arena,
                             .name = name,
                             .directory = daemon_queue(qm->arena, in).ptr,
                             .now_ms = clock_now_ms(&clock_system)};
}

static void list_one(const struct queue_seen *e, void *arg)
{
    struct listing *l = arg;
    struct qm *qm = l->qm;
    struct qm_numbered *n = vec_add(qm->numbers, &qm->last);
    struct arena_mark mark = arena_mark(qm->arena);
    char at[QUEUE_TIME_MAX];

    n->number = e->number;
    memcpy(n->id, e->id, sizeof n->id);
    n->position = e->position;
    n->channel = arena_str(qm->numbers, e->channel);
    n->host = arena_str(qm->numbers, e->host);
    l->octets += e->size;
    if (!l->total_only) {
        clock_rfc3339(e->created_ms, at, sizeof at);
        printf("%5zu %-8s %-16.*s %-8s %10lld  %.19sZ\n", qm->last.n, e->id,
               STR_ARG(text_plain(qm->arena, e->channel)), queue_state_name(e->state),
               (long long)e->size, at);
        printf("%5s <%.*s> ->", "", STR_ARG(text_plain(qm->arena, e->sender)));
        for (unsigned i = 0; i < e->recipient_count; i++) {
            printf(" %.*s", STR_ARG(text_plain(qm->arena, e->recipients[i])));
        }
        putchar('\n');
    }
    arena_reset(qm->arena, mark);
}

/* Fills the options that `queue directory` has from PMDF's qualifiers. */
static bool options_read(const struct qm_line *line, struct tool_options *o, bool *total)
{
    static const char *const names[] = {
        "held",     "from",           "to",     "match",   "envelope", "total",
        "database", "directory_tree", "noheld", "nototal", NULL};
    enum { HELD, FROM, TO, MATCH, ENVELOPE, TOTAL, DATABASE, TREE, NOHELD, NOTOTAL };

    for (unsigned i = 0; i < line->qualifier_count; i++) {
        const char *value = line->qualifiers[i].value;
        int at = qm_find(line->qualifiers[i].name, names);
        if (at == DATABASE || at == TREE) {
            fputs("qm: there is one store here, not files and a database\n", stderr);
            return false;
        }
        if (at < 0 || (value != NULL) != (at == FROM || at == TO || at == MATCH)) {
            fprintf(stderr,
                    "qm: directory has -held, -from=, -to=, -match=, -envelope and "
                    "-total, not -%.*s%s\n",
                    STR_ARG(line->qualifiers[i].name), value ? "=..." : "");
            return false;
        }
        o->queue.held = at == HELD || (o->queue.held && at != NOHELD);
        o->queue.from = at == FROM ? value : o->queue.from;
        o->queue.to = at == TO ? value : o->queue.to;
        o->queue.match = at == MATCH ? value : o->queue.match;
        *total = at == TOTAL || (*total && at != NOTOTAL);
        /* the envelope is always shown */
    }
    return true;
}

int qm_directory(struct qm *qm, const struct qm_line *line, bool held)
{
    struct invocation in = *qm->in;
    struct listing l = {.qm = qm};
    char reason[QUEUE_REASON_MAX], now[QUEUE_TIME_MAX];

    in.options.queue.held = held;
    if (line->word_count > 2) {
        fputs("qm: directory takes one channel\n", stderr);
        return TOOL_USAGE;
    }
    in.options.channel = line->word_count == 2 ? line->words[1] : NULL;
    struct queueing q = qm_queueing(qm, &in, "qm directory");
    if (!options_read(line, &in.options, &l.total_only) || !queue_filter_read(&q)) {
        return TOOL_USAGE;
    }
    arena_free(&qm->numbers);
    qm->numbers = arena_new();
    qm->last.at = NULL;
    qm->last.n = qm->last.cap = 0;
    clock_rfc5322(q.now_ms, now, sizeof now);
    printf("%s\nQueue %s\n\n%5s %-8s %-16s %-8s %10s  %s\n", now, q.directory, "", "id",
           "channel", "state", "size", "queued since");
    if (!queue_look(q.directory, &q.filter, list_one, &l, reason, sizeof reason)) {
        return queue_complain(&q, reason);
    }
    printf("\n%5zu in all, %lld octets\n", qm->last.n, (long long)l.octets);
    return TOOL_OK;
}
