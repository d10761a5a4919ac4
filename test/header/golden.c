/* Golden headers: for each <name>.cnf in test/header (behind it, other files may follow,
 * as the memory loader reads them), the cases of <name>.headers. One reads
 *   === from CHANNEL to CHANNEL [sender ADDRESS] [rcpt ADDRESS]
 *   a header as it came in
 *   --- [sender <ADDRESS> [MAIL FROM:<...>]] [RCPT TO:<...>] same|changed|too much
 *   the header as it leaves, if it changed
 *   !!! FILE:LINE: what the reversal could not use
 * and what stands behind --- is compared, lines that begin with '#' are not part of it.
 * Each case is run twice: what has left is received once more from the same channel, and
 * must then stay as it is.
 * UPDATE_GOLDEN=1 writes the answers into the files instead. Speaks TAP. */
#include <stdio.h>

#include "router/header_rewrite.h"
#include "router/outgoing.h"
#include "tables/shown.h"
#include "test/golden.h"

enum { OUTPUT_MAX = 1 << 20 };

struct header_case {
    str line; /* what stands behind === */
    const struct channel *source, *destination;
    str sender, recipient;
    str given; /* with CR LF */
};

struct golden {
    struct arena *arena;
    const struct snapshot *snapshot;
    bool stable; /* every case, the second time */
};

/* --- reading --- */

static bool line_parse(const struct golden *g, struct header_case *c)
{
    str rest = c->line, word, value;
    while (str_word(&rest, &word)) {
        if (!str_word(&rest, &value)) {
            return false;
        }
        if (str_eq(word, STR("from"))) {
            c->source = snapshot_channel(g->snapshot, value);
        } else if (str_eq(word, STR("to"))) {
            c->destination = snapshot_channel(g->snapshot, value);
        } else if (str_eq(word, STR("sender"))) {
            c->sender = value;
        } else if (str_eq(word, STR("rcpt"))) {
            c->recipient = value;
        } else {
            return false;
        }
    }
    return c->source && c->destination;
}

/* --- answering --- */

static void put_envelope(const struct golden *g, const struct header_case *c,
                         struct buf *out)
{
    struct arena *a = g->arena;
    struct outgoing_facts facts = {g->snapshot, c->source, c->sender, STR("x.test")};
    if (c->sender.ptr) {
        struct arena *own = arena_new();
        str sender =
            outgoings_get(outgoings_new(own, &facts), c->destination, STR_NONE, a)
                ->sender;
        sender = sender.ptr ? sender : c->sender;
        buf_printf(out, " MAIL FROM:<%.*s>",
                   STR_ARG(shown_sender(g->snapshot, c->destination, sender, a)));
        arena_free(&own);
    }
    if (c->recipient.ptr) {
        str to = shown_recipient(g->snapshot, c->destination, c->recipient, a);
        buf_printf(out, " RCPT TO:<%.*s>", STR_ARG(to));
    }
}

static enum header_verdict rewrite(const struct golden *g, const struct header_case *c,
                                   str given, struct reversal *reversal, struct buf *out)
{
    unsigned work = HEADER_WORK_MAX;
    struct header_context ctx = {g->snapshot, c->source, c->destination,
                                 .sender = c->sender, .reversal = reversal};
    ctx.bare_domain = outgoing_bare_domain(g->snapshot, c->source, STR("client.test"),
                                           STR(""), STR("192.0.2.9"), g->arena);
    return header_rewrite(&ctx, given, &work, g->arena, out);
}

static void check_stable(struct golden *g, const struct header_case *c, str left)
{
    struct buf out;
    buf_init(&out, OUTPUT_MAX);
    struct reversal reversal = {.work = REVERSE_WORK_MAX};
    enum header_verdict v = rewrite(g, c, left, &reversal, &out);
    if (v == HEADER_CHANGED) {
        printf("# %.*s: the second time it becomes\n# %.*s\n", STR_ARG(c->line),
               STR_ARG(buf_slice(&out)));
        g->stable = false;
    }
    buf_free(&out);
}

static void put_answer(struct golden *g, const struct header_case *c, struct buf *out)
{
    static const char *const VERDICTS[] = {
        [HEADER_SAME] = "same",
        [HEADER_CHANGED] = "changed",
        [HEADER_TOO_MUCH] = "too much",
    };
    struct buf made;
    buf_init(&made, OUTPUT_MAX);
    struct reversal reversal = {.work = REVERSE_WORK_MAX};
    enum header_verdict v = rewrite(g, c, c->given, &reversal, &made);
    buf_puts(out, "---");
    put_envelope(g, c, out);
    buf_printf(out, " %s\n", VERDICTS[v]);
    for (size_t i = 0; i < made.len; i++) {
        if (made.data[i] != '\r') {
            buf_putc(out, made.data[i]);
        }
    }
    if (reversal.problem) {
        buf_printf(
            out, "!!! %.*s: %s\n",
            STR_ARG(span_text(g->arena, g->snapshot->sources, reversal.problem_at)),
            reversal.problem);
    }
    if (v == HEADER_CHANGED) {
        check_stable(g, c, buf_slice(&made));
    }
    buf_free(&made);
}

/* Copies the text with its answers made anew. */
static bool answer_all(str text, struct buf *out, void *arg)
{
    struct golden *g = arg;
    str line, given = STR("");
    struct header_case c = {.line = STR_NONE};
    bool in_given = false, in_answer = false;
    while (str_split(&text, '\n', &line) && (text.ptr || line.len > 0)) {
        bool head = str_starts(line, STR("==="));
        if (in_given && str_starts(line, STR("---"))) {
            c.given = given;
            put_answer(g, &c, out);
            in_given = false;
            in_answer = true;
            continue;
        }
        in_answer = in_answer && !head && !str_starts(line, STR("#"));
        if (in_answer) {
            continue;
        }
        buf_printf(out, "%.*s\n", STR_ARG(line));
        if (head && in_given) {
            break; /* the case before has no answer */
        }
        if (head) {
            c = (struct header_case){.line = str_from_pos(line, 3)};
            given = STR("");
            in_given = line_parse(g, &c);
            if (!in_given) {
                printf("# bad case: %.*s\n", STR_ARG(line));
                return false;
            }
        } else if (in_given) {
            given = arena_printf(g->arena, "%.*s%.*s\r\n", STR_ARG(given), STR_ARG(line));
        }
    }
    if (in_given) {
        printf("# no answer:%.*s\n", STR_ARG(c.line));
    }
    return !in_given;
}

static bool run_case(str path)
{
    struct golden g = {.arena = arena_new(), .stable = true};
    str text = STR(""), reason;
    loader_files.read(&loader_files, g.arena, path, &text, &reason);
    struct snapshot *s = golden_load(g.arena, text, false);
    g.snapshot = s;
    bool good =
        s != NULL &&
        golden_compare(g.arena, golden_beside(g.arena, path, "headers"), answer_all, &g);
    snapshot_unref(&s);
    arena_free(&g.arena);
    return good && g.stable;
}

int main(void)
{
    static const char *const patterns[] = {"test/header/*.cnf", NULL};
    return golden_main(patterns, run_case);
}
