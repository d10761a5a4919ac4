/* queue_order: what is to become of messages: hold, release, retry, return, delete,
 * redirect; stopping and starting a channel. An order goes through the running daemon,
 * or, when none runs, to the store itself, under its lock; step by step, so that mail
 * goes on meanwhile. */
#include <string.h>

#include "base/vec.h"
#include "router/control_client.h"
#include "router/control_queue.h"
#include "router/queue_sqlite_offline.h"
#include "tools/configuration.h"
#include "tools/daemon_place.h"
#include "tools/queue_progress.h"
#include "tools/queue_tool.h"

enum { REPLY_TIMEOUT_MS = 60 * 1000, REQUEST_MAX = 4000 };

struct ordering {
    struct queueing *q;
    struct queue_order order;
    struct queue_offline *offline; /* the store, when no daemon answered */
    uint64_t entries, changed, active;
    struct queue_progress progress;
    bool refused; /* by the daemon, which said why */
    bool ended;   /* by a signal, between two steps */
};

/* ---- one step ------------------------------------------------------------------ */

/* By the daemon. 1: done, or refused; 0 with a reason: none can be asked; -1: it cannot
 * be understood. */
static int step_ask(struct ordering *o, struct queue_step *step, char *reason)
{
    struct queueing *q = o->q;
    struct arena_mark mark = arena_mark(q->arena);
    struct control_reply reply = {0};
    struct buf members;
    char command[32];
    int done = 1;

    snprintf(command, sizeof command, "queue %s", queue_action_name(o->order.action));
    buf_init(&members, REQUEST_MAX);
    if (!control_order_write(&members, &o->order, step->at)) {
        buf_free(&members);
        snprintf(reason, QUEUE_REASON_MAX, "the names and patterns are too long");
        return -1;
    }
    const struct control_request request = {command, buf_slice(&members)};
    if (!control_ask(q->arena, daemon_socket(q->arena, q->in), &request, REPLY_TIMEOUT_MS,
                     &reply, reason, QUEUE_REASON_MAX)) {
        done = 0;
    } else if (!reply.ok) {
        fprintf(stderr, "pointsman: %s: %.*s\n", q->name, STR_ARG(str_trim(reply.text)));
        o->refused = true;
    } else if (!control_order_answered(&reply.object, step)) {
        snprintf(reason, QUEUE_REASON_MAX, "the daemon's answer has no counts");
        done = -1;
    }
    buf_free(&members);
    arena_reset(q->arena, mark);
    return done;
}

/* The configuration must have what mail is sent to; the daemon looks at its own. */
static bool offline_allowed(struct ordering *o)
{
    str wanted = o->order.action == QUEUE_REDIRECT ? o->order.channel
                 : o->order.action == QUEUE_STOP   ? o->order.filter.channel
                                                   : STR_NONE;
    struct configuration c;

    if (!wanted.ptr) {
        return true;
    }
    if (!configuration_need(&c, o->q->in)) {
        return false;
    }
    const struct channel *to = snapshot_channel(c.snapshot, wanted);
    const char *wrong = control_order_target(&o->order, to);
    wrong = !wrong && !to ? "there is no channel of that name" : wrong;
    if (wrong) {
        fprintf(stderr, "pointsman: %s: %s\n", o->q->name, wrong);
    }
    if (o->order.next_hop.ptr) {
        o->order.next_hop = arena_str(o->q->arena, o->order.next_hop);
    }
    configuration_free(&c);
    return !wrong;
}

/* In the store itself; `why` is why no daemon could be asked. */
static bool step_offline(struct ordering *o, struct queue_step *step, const char *why)
{
    char reason[QUEUE_REASON_MAX];

    if (!o->offline) {
        o->offline = queue_offline_open(o->q->directory, reason, sizeof reason);
        if (!o->offline) {
            queue_complain(o->q, reason);
            queue_complain(o->q, why);
            return false;
        }
        if (!offline_allowed(o)) {
            return false;
        }
    }
    if (!queue_offline_order(o->offline, &o->order, step, reason, sizeof reason)) {
        queue_complain(o->q, reason);
        return false;
    }
    return true;
}

static bool step_do(struct ordering *o, struct queue_step *step)
{
    char why[QUEUE_REASON_MAX] = "";

    if (!o->offline) {
        int asked = step_ask(o, step, why);
        if (asked < 0) {
            queue_complain(o->q, why);
        }
        if (asked != 0) {
            return asked > 0 && !o->refused;
        }
    }
    return step_offline(o, step, why);
}

/* All steps for the filter as it stands. False after saying why. */
static bool order_run(struct ordering *o)
{
    struct queue_step step = {.at = queue_cursor_first(&o->order.filter), .more = true};

    while (step.more) {
        o->ended = queue_progress_interrupted();
        if (o->ended || !step_do(o, &step)) {
            queue_progress_end(&o->progress);
            return false;
        }
        o->entries += step.entries;
        o->changed += step.changed;
        o->active += step.active;
        queue_progress_show(
            &o->progress, "%llu of %llu %s%s ... ", (unsigned long long)o->changed,
            (unsigned long long)o->entries, o->order.dry_run ? "would be " : "",
            queue_action_done(o->order.action));
    }
    queue_progress_end(&o->progress);
    return true;
}

/* ---- the end ------------------------------------------------------------------- */

static void print_json(const struct ordering *o)
{
    struct record out;

    record_begin(&out);
    record_str(&out, "action", str_from(queue_action_name(o->order.action)));
    record_uint(&out, "entries", o->entries);
    record_uint(&out, "changed", o->changed);
    record_uint(&out, "active", o->active);
    record_bool(&out, "dry_run", o->order.dry_run);
    record_bool(&out, "daemon", !o->offline);
    record_print(&out);
}

static void print_text(const struct ordering *o)
{
    printf("%llu of %llu entr%s %s%s", (unsigned long long)o->changed,
           (unsigned long long)o->entries, o->entries == 1 ? "y" : "ies",
           o->order.dry_run ? "would be " : "", queue_action_done(o->order.action));
    if (o->active > 0) {
        printf("; %llu %s active: when the attempt ends", (unsigned long long)o->active,
               o->active == 1 ? "is" : "are");
    }
    puts(o->offline ? "; the daemon is down" : "");
    if (o->order.action == QUEUE_REDIRECT && o->changed < o->entries) {
        puts(o->order.channel.ptr
                 ? "what is being delivered to several domains stays: order it again"
                 : "what is delivered here has no next hop: --to-channel is wanted");
    }
}

static void print_failure(const struct ordering *o)
{
    if (o->ended || o->changed > 0) {
        fprintf(stderr, "pointsman: %s: %s%llu entries %s before that\n", o->q->name,
                o->ended ? "interrupted; " : "", (unsigned long long)o->changed,
                o->order.dry_run ? "would have been changed" : "were changed");
    }
}

static int order_end(struct ordering *o, bool good)
{
    queue_progress_close(&o->progress);
    if (!good) {
        print_failure(o);
    } else if (o->q->in->options.json) {
        print_json(o);
    } else if (!o->q->quiet) {
        print_text(o);
    }
    queue_offline_close(&o->offline);
    return !good ? (o->refused ? TOOL_NO : TOOL_USAGE)
                 : (o->changed > 0 ? TOOL_OK : TOOL_NO);
}

/* ---- which messages ------------------------------------------------------------ */

static bool filter_given(const struct queue_filter *f)
{
    return f->channel.ptr || f->host.ptr || f->from.ptr || f->to.ptr || f->held ||
           f->created_before_ms != 0;
}

/* --held alone means all that is held: the same care as for all. */
static bool scope_fits(const struct ordering *o)
{
    const struct queue_filter *f = &o->order.filter;
    const struct queueing *q = o->q;
    bool narrow = f->number != 0 || f->channel.ptr || f->host.ptr || f->from.ptr ||
                  f->to.ptr || f->created_before_ms != 0;

    if (q->word_count > 0 && (filter_given(f) || o->order.all)) {
        fprintf(stderr, "pointsman: %s: either ids, or options that choose messages\n",
                q->name);
        return false;
    }
    if (q->word_count == 0 && !narrow && !o->order.all) {
        fprintf(
            stderr,
            "pointsman: %s: which messages? ID..., --channel, --from, --to, --host or "
            "--older; --all for %s\n",
            q->name, f->held ? "everything that is held" : "the whole queue");
        return false;
    }
    return true;
}

static bool target_fits(const struct ordering *o)
{
    if (o->order.action == QUEUE_REDIRECT && !o->order.channel.ptr &&
        !o->order.host.ptr) {
        fprintf(stderr, "pointsman: %s: where to? --to-channel or --to-host\n",
                o->q->name);
        return false;
    }
    return true;
}

/* One after the other; what is not there is said, and the others are done. */
static int act_on_ids(struct ordering *o)
{
    struct queueing *q = o->q;
    bool good = true, missing = false;

    for (int i = 0; i < q->word_count; i++) {
        if (!queue_id_word(q, q->words[i], &o->order.filter.number)) {
            return TOOL_USAGE; /* before anything is done */
        }
    }
    for (int i = 0; good && i < q->word_count; i++) {
        uint64_t before = o->entries;
        queue_id_word(q, q->words[i], &o->order.filter.number);
        good = order_run(o);
        if (good && o->entries == before) {
            fprintf(stderr, "pointsman: %s: %s is not in the queue\n", q->name,
                    q->words[i]);
            missing = true;
        }
    }
    int code = order_end(o, good);
    return code == TOOL_OK && missing ? TOOL_NO : code;
}

int queue_act(struct queueing *q)
{
    const struct tool_options *options = &q->in->options;
    struct ordering o = {
        .q = q,
        .order = {.action = queue_action_named(str_from(strrchr(q->name, ' ') + 1)),
                  .filter = q->filter,
                  .channel = str_from(options->queue.to_channel),
                  .host = str_from(options->queue.to_host),
                  .dry_run = options->queue.dry_run,
                  .all = options->queue.all,
                  .now_ms = q->now_ms},
    };

    if (!scope_fits(&o) || !target_fits(&o)) {
        return TOOL_USAGE;
    }
    queue_progress_begin(&o.progress);
    return q->word_count > 0 ? act_on_ids(&o) : order_end(&o, order_run(&o));
}

int queue_stop_start(struct queueing *q)
{
    struct ordering o = {
        .q = q,
        .order = {.action = queue_action_named(str_from(strrchr(q->name, ' ') + 1)),
                  .filter = {.channel = str_from(q->words[0])},
                  .now_ms = q->now_ms},
    };

    queue_progress_begin(&o.progress);
    bool good = order_run(&o);
    if (good && !q->in->options.json) {
        printf("channel %s %s %s%s\n", q->words[0], o.changed > 0 ? "is" : "was already",
               queue_action_done(o.order.action),
               o.offline ? "; the daemon is down" : "");
        queue_progress_close(&o.progress);
        queue_offline_close(&o.offline);
        return TOOL_OK;
    }
    int code = order_end(&o, good);
    return good ? TOOL_OK : code;
}
