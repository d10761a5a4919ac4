/* explain_access: what an access table was asked, which entry decided, and what it said.
 */
#include "base/buf.h"
#include "tables/mapping.h"
#include "tools/explain.h"
#include "tools/record.h"
#include "tools/text.h"

enum { LINE_MAX = 32 * 1024 };

static const char *result_name(const struct access_verdict *v)
{
    static const char *const names[] = {[ACCESS_SILENT] = "none",
                                        [ACCESS_ACCEPT] = "accept",
                                        [ACCESS_REJECT] = "refuse",
                                        [ACCESS_FAULT] = "fault"};
    return names[v->answer];
}

/* The codes and text of a refusal, lines parted by '~' as they are written. */
static str reply_text(struct arena *a, const struct access_verdict *v)
{
    char *text = arena_strndup(a, v->text.ptr != NULL ? v->text.ptr : "", v->text.len);
    for (size_t i = 0; i < v->text.len; i++) {
        text[i] = text[i] == '\n' ? '~' : text[i];
    }
    return text_plain(a, str_n(text, v->text.len));
}

static void put_text(struct arena *a, struct buf *out, const char *what, str text)
{
    if (text.len > 0) {
        buf_printf(out, ", %s \"%.*s\"", what, STR_ARG(text_plain(a, text)));
    }
}

/* What it asks for besides. */
static void put_effects(struct arena *a, const struct access_verdict *v, struct buf *out)
{
    const struct access_limits *l = &v->limits;

    buf_puts(out, v->hold ? ", held" : "");
    buf_puts(out, v->discard ? ", thrown away" : "");
    buf_puts(out, v->discard_all ? ", the whole message thrown away" : "");
    if (v->delay_cs != 0) {
        buf_printf(out, ", %s delayed by %d.%02d s",
                   v->delay_cs < 0 ? "this answer" : "answers",
                   (v->delay_cs < 0 ? -v->delay_cs : v->delay_cs) / 100,
                   (v->delay_cs < 0 ? -v->delay_cs : v->delay_cs) % 100);
    }
    if (v->new_sender) {
        buf_printf(out, ", sender becomes <%.*s>", STR_ARG(address_print(a, &v->sender)));
    }
    if (l->blocks > 0 || l->recipients > 0 || l->cutoff > 0) {
        buf_printf(out, ", limits %u blocks, %u recipients, %u offered (0: none)",
                   (unsigned)l->blocks, (unsigned)l->recipients, (unsigned)l->cutoff);
    }
    put_text(a, out, "header", v->header);
    put_text(a, out, "log", v->log_match);
    put_text(a, out, "log refusal", v->answer == ACCESS_REJECT ? v->log_reject : STR(""));
    put_text(a, out, "note", v->connection_note);
}

static void put_flags(struct arena *a, const struct access_verdict *v, struct buf *out)
{
    str flags = mapping_flags_text(a, v->flags);
    if (v->output.len > 0) {
        buf_printf(out, "\"%.*s\"", STR_ARG(text_plain(a, v->output)));
    }
    for (size_t i = 0; i < flags.len; i++) {
        buf_printf(out, "%s$%c", i == 0 && v->output.len > 0 ? " " : "", flags.ptr[i]);
    }
    if (flags.len == 0) {
        buf_puts(out, v->output.len > 0 ? " without flags" : "no flags");
    }
}

static bool says_nothing_is_yes(enum access_table t)
{
    return t == ACCESS_PORT || t == ACCESS_FROM;
}

/* Where IP_ACCESS lets a connection be made to. */
static void put_next_hop(const struct access_verdict *v, struct buf *out)
{
    if (v->skip) {
        buf_puts(out, "   passed over");
    } else if (v->replace_ip.len > 0) {
        buf_printf(out, "   connect to %.*s instead", STR_ARG(v->replace_ip));
    } else {
        buf_puts(out, "   connect");
    }
}

static void put_result(struct arena *a, const struct access_verdict *v, struct buf *out)
{
    bool refused = v->answer == ACCESS_REJECT || v->answer == ACCESS_FAULT;

    if (v->table == ACCESS_IP && !refused) {
        put_next_hop(v, out);
        return;
    }
    switch (v->answer) {
    case ACCESS_SILENT:
        buf_puts(out, says_nothing_is_yes(v->table) ? "   accept" : "   decides nothing");
        break;
    case ACCESS_ACCEPT:
        buf_puts(out, "   accept");
        break;
    case ACCESS_REJECT:
    case ACCESS_FAULT:
        if (v->answer == ACCESS_FAULT) {
            buf_printf(out, "   cannot answer: %.*s", STR_ARG(text_plain(a, v->fault)));
        }
        buf_printf(out, "   refuse: %u %u.%u.%u %.*s", v->code, v->status[0],
                   v->status[1], v->status[2], STR_ARG(reply_text(a, v)));
        break;
    }
    put_effects(a, v, out);
}

void explain_access_print(const struct explaining *x, const struct access_verdict *v)
{
    struct arena *a = x->c->arena;
    struct buf out;

    if (!v->asked) {
        return;
    }
    buf_init(&out, LINE_MAX);
    buf_printf(&out, "  %s  \"%.*s\"\n%-13s", access_table_name(v->table),
               STR_ARG(text_plain(a, v->probe)), "");
    if (v->entry.source != 0) {
        str at = text_column(a, x->c->snapshot->sources, v->entry);
        buf_printf(&out, "%.*s -> ", STR_ARG(at));
        put_flags(a, v, &out);
    } else {
        buf_puts(&out, "no entry matches");
    }
    put_result(a, v, &out);
    printf("%.*s\n", STR_ARG(buf_slice(&out)));
    buf_free(&out);
}

static void record_texts(struct record *out, const struct access_verdict *v)
{
    const struct {
        const char *name;
        str text;
    } all[] = {{"header", v->header},
               {"log", v->log_match},
               {"log_refusal", v->log_reject},
               {"note", v->connection_note}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (all[i].text.len > 0) {
            record_str(out, all[i].name, all[i].text);
        }
    }
}

static void record_effects(const struct explaining *x, struct record *out,
                           const struct access_verdict *v)
{
    record_bool(out, "hold", v->hold);
    record_bool(out, "discard", v->discard || v->discard_all);
    record_int(out, "delay_cs", v->delay_cs);
    if (v->new_sender) {
        record_str(out, "sender", address_print(x->c->arena, &v->sender));
    }
    record_texts(out, v);
}

void explain_access_record(const struct explaining *x, struct record *out,
                           const struct access_verdict *v)
{
    struct arena *a = x->c->arena;
    str flags = mapping_flags_text(a, v->flags);

    if (!v->asked) {
        return;
    }
    record_open(out, NULL, '{');
    record_str(out, "table", str_from(access_table_name(v->table)));
    record_str(out, "probe", v->probe);
    record_bool(out, "matched", v->matched);
    record_place(out, "entry", x->c->snapshot->sources, v->entry);
    record_str(out, "output", v->matched ? v->output : STR_NONE);
    record_open(out, "flags", '[');
    for (size_t i = 0; i < flags.len; i++) {
        record_str(out, NULL, str_sub(flags, i, 1));
    }
    record_close(out, ']');
    record_str(out, "result", str_from(result_name(v)));
    record_bool(out, "decides", v->decides);
    record_str(out, "fault", v->answer == ACCESS_FAULT ? v->fault : STR_NONE);
    record_effects(x, out, v);
    record_close(out, '}');
}
