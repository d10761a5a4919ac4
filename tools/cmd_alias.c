/* alias: what an address stands for: each step of its expansion, as the daemon makes it
 * at RCPT. */
#include "router/refusal.h"
#include "tools/addresses.h"
#include "tools/configuration.h"
#include "tools/expansion.h"

struct asking {
    const struct invocation *in;
    const struct configuration *c;
    const struct channel *source;
    struct address sender;
    int code; /* of the program, so far */
};

static void print_verdict(const struct asking *a, const struct recipient_answer *r)
{
    const struct recipient_reply *no = &r->reply;
    const unsigned *s = no->status;

    if (r->verdict == RECIPIENT_TAKEN) {
        printf("  = %u address%s%s", r->leaf_count, r->leaf_count == 1 ? "" : "es",
               r->expansion.bad > 0 ? "" : "\n");
        if (r->expansion.bad > 0) {
            printf(", %u bad\n", r->expansion.bad);
        }
        return;
    }
    str text = text_plain(a->c->arena, no->text);
    printf("  = refused: %u %u.%u.%u %.*s\n", no->code, s[0], s[1], s[2], STR_ARG(text));
}

static void print_json(const struct asking *a, str written,
                       const struct recipient_answer *r)
{
    const struct recipient_reply *no = &r->reply;
    struct record out;

    record_begin(&out);
    record_str(&out, "address", written);
    record_str(&out, "source_channel", a->source->name);
    record_str(&out, "sender", address_print(a->c->arena, &a->sender));
    record_bool(&out, "accepted", r->verdict == RECIPIENT_TAKEN);
    if (r->verdict == RECIPIENT_TAKEN) {
        record_null(&out, "reply");
    } else {
        record_open(&out, "reply", '{');
        record_uint(&out, "code", no->code);
        record_str(&out, "status",
                   arena_printf(a->c->arena, "%u.%u.%u", no->status[0], no->status[1],
                                no->status[2]));
        record_str(&out, "text", no->text);
        record_close(&out, '}');
    }
    record_uint(&out, "addresses", r->leaf_count);
    record_uint(&out, "bad", r->expansion.bad);
    expansion_record(&out, "steps", a->c->snapshot, a->c->arena, &r->expansion);
    record_print(&out);
}

static void alias_one(str written, void *arg)
{
    struct asking *a = arg;
    struct arena_mark mark = arena_mark(a->c->arena);
    struct recipient_request q = {.snapshot = a->c->snapshot,
                                  .source = a->source,
                                  .trusted = true,
                                  .sender = a->sender};
    struct recipient_answer r = {.verdict = RECIPIENT_NO_ROUTE};
    const char *reason = address_read(written, &q.to);

    if (reason) {
        r.reply = (struct recipient_reply){
            501, {5, 1, 3}, arena_printf(a->c->arena, "the address %s", reason)};
    } else {
        recipient_resolve(&q, a->c->arena, &r);
    }
    if (a->in->options.json) {
        print_json(a, written, &r);
    } else {
        str plain = text_plain(a->c->arena, written);
        printf("%.*s\n", STR_ARG(plain));
        expansion_print(a->c->snapshot, a->c->arena, &r.expansion);
        print_verdict(a, &r);
    }
    if (r.verdict != RECIPIENT_TAKEN) {
        a->code = TOOL_NO;
    }
    arena_reset(a->c->arena, mark);
}

/* False after saying what cannot be asked. */
static bool read_facts(struct asking *a)
{
    const struct tool_options *o = &a->in->options;
    struct address given;

    a->source = a->c->snapshot->channels[0];
    if (o->source_channel) {
        a->source = channel_given(a->c->snapshot, o->source_channel);
    }
    if (!a->source || !o->sender) {
        return a->source != NULL;
    }
    const char *reason = address_parse(address_bare(str_from(o->sender)), &given);
    if (reason) {
        fprintf(stderr, "pointsman: the sender '%s' %s\n", o->sender, reason);
        return false;
    }
    access_sender(a->c->snapshot, a->source, &given, a->c->arena, &a->sender);
    return true;
}

int cmd_alias(const struct invocation *in)
{
    struct configuration c;
    struct asking a = {.in = in, .c = &c, .code = TOOL_OK};

    if (!configuration_need(&c, in)) {
        return TOOL_USAGE;
    }
    if (!read_facts(&a) || !addresses_given(in, alias_one, &a)) {
        a.code = TOOL_USAGE;
    }
    configuration_free(&c);
    return a.code;
}
