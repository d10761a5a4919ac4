/* control_queue: see control_queue.h. */
#include "router/control_queue.h"

#include <inttypes.h>
#include <stdio.h>

#include "tables/channel.h"
#include "tables/route.h"

/* --- texts, flags and the cursor, as members --- */

static bool put_text(struct buf *out, const char *name, str text)
{
    return text.ptr == NULL ||
           (buf_printf(out, ",\"%s\":", name) && json_put_string(out, text));
}

static bool put_flag(struct buf *out, const char *name, bool on)
{
    return !on || buf_printf(out, ",\"%s\":true", name);
}

static bool put_after(struct buf *out, struct queue_cursor at)
{
    return buf_printf(out, ",\"after\":\"%" PRIu64 ".%" PRId64 "\"", at.number,
                      at.position);
}

static bool read_after(str text, struct queue_cursor *at)
{
    char copy[64];
    int end = 0;
    snprintf(copy, sizeof copy, "%.*s", STR_ARG(text));
    return sscanf(copy, "%" SCNu64 ".%" SCNd64 "%n", &at->number, &at->position, &end) ==
               2 &&
           copy[end] == '\0' && at->position >= -1;
}

/* --- a request --- */

bool control_order_write(struct buf *out, const struct queue_order *o,
                         struct queue_cursor at)
{
    const struct queue_filter *f = &o->filter;
    char id[QUEUE_ID_MAX];
    queue_id_print(f->number, id);
    return put_text(out, "id", f->number != 0 ? str_from(id) : STR_NONE) &&
           put_text(out, "channel", f->channel) && put_text(out, "host", f->host) &&
           put_text(out, "from", f->from) && put_text(out, "to", f->to) &&
           put_flag(out, "either", f->either) && put_flag(out, "held", f->held) &&
           (f->created_before_ms == 0 ||
            buf_printf(out, ",\"created_before_ms\":%" PRId64, f->created_before_ms)) &&
           put_text(out, "to_channel", o->channel) && put_text(out, "to_host", o->host) &&
           put_flag(out, "dry_run", o->dry_run) && put_flag(out, "all", o->all) &&
           (at.position == -1 || put_after(out, at));
}

/* Where a member of that name goes; the others are NULL. */
struct member_place {
    const char *name;
    str *text;
    bool *flag;
    int64_t *number;
};

static bool member_read(const struct member_place *p, const struct json_member *m)
{
    if (p->text != NULL && m->type == JSON_STRING && m->text.len > 0) {
        *p->text = m->text;
    } else if (p->flag != NULL && m->type == JSON_BOOL) {
        *p->flag = m->truth;
    } else if (p->number != NULL && m->type == JSON_INTEGER && m->integer > 0) {
        *p->number = m->integer;
    } else {
        return false;
    }
    return true;
}

/* v and command have been looked at. */
static const char *members_read(const struct json_object *o,
                                const struct member_place *places, size_t count)
{
    for (size_t i = 0; i < o->count; i++) {
        const struct json_member *m = &o->members[i];
        size_t k = 0;
        if (str_eq(m->name, STR("v")) || str_eq(m->name, STR("command"))) {
            continue;
        }
        while (k < count && !str_eq(m->name, str_from(places[k].name))) {
            k++;
        }
        if (k == count) {
            return "there is a member that no order has";
        }
        if (!member_read(&places[k], m)) {
            return "a member is empty or of another type";
        }
    }
    return NULL;
}

/* What the action needs besides. */
static const char *order_check(const struct queue_order *o)
{
    const struct queue_filter *f = &o->filter;
    bool channel_only = o->action == QUEUE_STOP || o->action == QUEUE_START;
    bool named = f->number != 0 || f->channel.ptr != NULL || f->host.ptr != NULL ||
                 f->from.ptr != NULL || f->to.ptr != NULL || f->created_before_ms != 0;
    if (channel_only && f->channel.ptr == NULL) {
        return "\"channel\" is missing";
    }
    if ((o->action == QUEUE_REDIRECT) !=
        (o->channel.ptr != NULL || o->host.ptr != NULL)) {
        return "\"to_channel\" or \"to_host\" belongs to redirect, and only there";
    }
    if (!named && !o->all) {
        return "nothing says which messages are meant; \"all\":true means all";
    }
    return NULL;
}

const char *control_order_read(const struct json_object *o, struct queue_order *out,
                               struct queue_cursor *at)
{
    struct queue_filter *f = &out->filter;
    str id = STR_NONE, after = STR_NONE;
    const struct member_place places[] = {
        {"id", &id, NULL, NULL},
        {"channel", &f->channel, NULL, NULL},
        {"host", &f->host, NULL, NULL},
        {"from", &f->from, NULL, NULL},
        {"to", &f->to, NULL, NULL},
        {"either", NULL, &f->either, NULL},
        {"held", NULL, &f->held, NULL},
        {"created_before_ms", NULL, NULL, &f->created_before_ms},
        {"to_channel", &out->channel, NULL, NULL},
        {"to_host", &out->host, NULL, NULL},
        {"dry_run", NULL, &out->dry_run, NULL},
        {"all", NULL, &out->all, NULL},
        {"after", &after, NULL, NULL},
    };
    const char *wrong = members_read(o, places, sizeof places / sizeof places[0]);
    if (wrong != NULL) {
        return wrong;
    }
    if (id.ptr != NULL && !queue_id_parse(id, &f->number)) {
        return "that is no id of a message";
    }
    *at = queue_cursor_first(f);
    if (after.ptr != NULL && !read_after(after, at)) {
        return "\"after\" is not what an answer has";
    }
    return order_check(out);
}

const char *control_order_target(struct queue_order *o, const struct channel *to)
{
    if (o->channel.ptr == NULL) {
        return NULL;
    }
    if (to == NULL) {
        return "there is no channel of that name to redirect to";
    }
    if (to->type == CHANNEL_UNSUPPORTED) {
        return "that channel is of a kind that is not supported";
    }
    if (to->type == CHANNEL_HOLD) { /* it would leave again at once, to where it was */
        return "the action hold sets mail aside; redirect does not";
    }
    if (o->host.ptr != NULL && to->type != CHANNEL_TCP) {
        return "mail for that channel has no next hop";
    }
    /* of an address without a domain: what the channel itself says */
    o->next_hop = route_next_hop(to, &(struct address){.domain = STR_NONE});
    return NULL;
}

/* --- an answer --- */

void control_order_answer(const struct queue_order *o, const struct queue_step *step,
                          struct buf *text, struct buf *fields)
{
    bool good = true;
    if (o->action == QUEUE_STOP || o->action == QUEUE_START) {
        good = buf_printf(text, "channel %.*s is %s\n", STR_ARG(o->filter.channel),
                          queue_action_done(o->action));
    } else {
        good = buf_printf(text, "%u of %u %s\n", step->changed, step->entries,
                          queue_action_done(o->action));
    }
    good = good && buf_printf(fields, ",\"entries\":%u,\"changed\":%u,\"active\":%u",
                              step->entries, step->changed, step->active);
    if (good && step->more) {
        put_after(fields, step->at);
    }
}

static bool read_count(const struct json_object *o, const char *name, unsigned *out)
{
    const struct json_member *m = json_get(o, name, JSON_INTEGER);
    if (m == NULL || m->integer < 0 || m->integer > UINT32_MAX) {
        return false;
    }
    *out = (unsigned)m->integer;
    return true;
}

bool control_order_answered(const struct json_object *o, struct queue_step *step)
{
    const struct json_member *after = json_get(o, "after", JSON_STRING);
    step->more = after != NULL;
    return read_count(o, "entries", &step->entries) &&
           read_count(o, "changed", &step->changed) &&
           read_count(o, "active", &step->active) &&
           (after == NULL || read_after(after->text, &step->at));
}
