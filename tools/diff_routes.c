/* diff of routes: the same addresses under both configurations. */
#include <errno.h>
#include <string.h>

#include "tables/route.h"
#include "tools/addresses.h"
#include "tools/diff.h"
#include "tools/record.h"

struct comparing {
    struct diff *d;
    struct rewrite_context old, new;
};

/* Where an address goes under one configuration. */
struct side {
    const struct channel *channel; /* NULL: nowhere */
    str rewritten, next_hop, status;
};

static void find_side(struct diff *d, const struct configuration *c,
                      const struct rewrite_context *ctx, const struct address *addr,
                      struct side *out)
{
    struct route r;

    route_rewrite(c->snapshot, ctx, addr, false, d->arena, &r);
    *out = (struct side){.channel = r.channel};
    if (r.channel) {
        out->rewritten = address_print(d->arena, &r.address);
        out->next_hop = route_next_hop(r.channel, &r.address);
    } else {
        out->status =
            arena_printf(d->arena, "%u.%u.%u", r.status[0], r.status[1], r.status[2]);
    }
}

static bool same(const struct side *a, const struct side *b)
{
    if (!a->channel || !b->channel) {
        return !a->channel && !b->channel && str_eq(a->status, b->status);
    }
    return str_ieq(a->channel->name, b->channel->name) &&
           str_eq(a->rewritten, b->rewritten) && str_ieq(a->next_hop, b->next_hop);
}

/* The channel, and of the rest what makes the difference to the other side. */
static void print_side(const struct side *s, const struct side *other)
{
    if (!s->channel) {
        printf("refused %.*s", STR_ARG(s->status));
        return;
    }
    printf("%.*s", STR_ARG(s->channel->name));
    if (!other->channel) {
        return;
    }
    if (!str_eq(s->rewritten, other->rewritten)) {
        printf(" as %.*s", STR_ARG(s->rewritten));
    } else if (!str_ieq(s->next_hop, other->next_hop) && s->next_hop.len > 0) {
        printf(" by way of %.*s", STR_ARG(s->next_hop));
    }
}

static void record_side(struct record *out, const char *name, const struct side *s)
{
    record_open(out, name, '{');
    record_str(out, "channel", s->channel ? s->channel->name : STR_NONE);
    record_str(out, "rewritten", s->rewritten);
    record_str(out, "next_hop", s->next_hop);
    record_str(out, "status", s->status);
    record_close(out, '}');
}

static void tell(struct diff *d, str address, const struct side *old,
                 const struct side *new)
{
    struct record out;

    if (!d->in->options.json) {
        diff_label("route", address);
        print_side(old, new);
        printf(" -> ");
        print_side(new, old);
        putchar('\n');
        return;
    }
    record_begin(&out);
    record_str(&out, "kind", STR("route"));
    record_str(&out, "name", address);
    record_side(&out, "old", old);
    record_side(&out, "new", new);
    record_print(&out);
}

static void compare_one(str text, void *arg)
{
    struct comparing *c = arg;
    struct diff *d = c->d;
    struct arena_mark mark = arena_mark(d->arena);
    struct address addr;
    struct side old, new;
    const char *reason = address_read(text, &addr);

    if (reason) {
        fprintf(stderr, "pointsman: %s: the address '%.*s' %s\n",
                d->in->options.addresses, STR_ARG(text), reason);
        return;
    }
    d->addresses++;
    find_side(d, &d->old, &c->old, &addr, &old);
    find_side(d, &d->new, &c->new, &addr, &new);
    if (!same(&old, &new)) {
        d->rerouted++;
        tell(d, address_print(d->arena, &addr), &old, &new);
    }
    arena_reset(d->arena, mark);
}

bool diff_routes(struct diff *d, const char *path)
{
    const char *source = d->in->options.source_channel;
    struct comparing c = {.d = d,
                          .old.source = d->old.snapshot->channels[0],
                          .new.source = d->new.snapshot->channels[0]};

    if (source) {
        c.old.source = channel_given(d->old.snapshot, source);
        c.new.source = c.old.source ? channel_given(d->new.snapshot, source) : NULL;
    }
    if (!c.old.source || !c.new.source) {
        return false;
    }
    bool input = strcmp(path, "-") == 0;
    FILE *file = input ? stdin : fopen(path, "r");
    bool read = file && addresses_of(file, compare_one, &c);
    if (!read) {
        fprintf(stderr, "pointsman: %s: %s\n", path, strerror(errno));
    }
    if (file && !input) {
        fclose(file);
    }
    return read;
}
