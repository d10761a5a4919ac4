/* Mapping tables beyond the golden cases: matching agrees with a matcher that is
 * obviously right, never takes more steps than it should, and the index leaves no entry
 * out. */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/buf.h"
#include "tables/mapping_table.h"
#include "test/config/memory_loader.h"

static const struct span NOWHERE = {1, 0, 0};

static struct mapping_pattern compile(struct arena *a, const char *text)
{
    struct mapping_pattern p;
    struct sources *sources = sources_new(a);
    sources_add(sources, STR("x"), STR("x"), str_from(text), SPAN_NONE);
    struct diags *d = diags_new(a, sources);
    if (!mapping_pattern_compile(a, a, str_from(text), NOWHERE, d, &p)) {
        fail_msg("%s: %.*s", text, STR_ARG(diags_first(d)->text));
    }
    return p;
}

/* ---- an obviously right matcher ------------------------------------------------- */

struct slow {
    const struct mapping_pattern *p;
    str text;
    struct mapping_saved saved[64];
};

static bool in_set(const struct mapping_element *e, char c)
{
    unsigned char u = (unsigned char)c;
    return e->set == NULL || (e->set->bits[u / 64] >> u % 64 & 1) != 0;
}

static bool slow_match(struct slow *s, unsigned element, size_t pos);

/* The element takes text[pos .. end), and the rest must match. */
static bool slow_take(struct slow *s, unsigned element, size_t pos, size_t end)
{
    const struct mapping_element *e = &s->p->elements[element];
    if (e->saves) {
        s->saved[e->number] = (struct mapping_saved){pos, end - pos};
    }
    return slow_match(s, element + 1, end);
}

static bool slow_run(struct slow *s, unsigned element, size_t pos)
{
    const struct mapping_element *e = &s->p->elements[element];
    size_t most = pos;
    while (most < s->text.len && in_set(e, s->text.ptr[most])) {
        most++;
    }
    for (size_t i = 0; i <= most - pos; i++) {
        if (slow_take(s, element, pos, e->lazy ? pos + i : most - i)) {
            return true;
        }
    }
    return false;
}

static bool slow_match(struct slow *s, unsigned element, size_t pos)
{
    str rest = str_from_pos(s->text, pos), again;
    if (element == s->p->count) {
        return rest.len == 0;
    }
    const struct mapping_element *e = &s->p->elements[element];
    uint8_t address[16];
    size_t n;
    switch (e->kind) {
    case ELEMENT_LITERAL:
        return str_starts(rest, e->text) && slow_match(s, element + 1, pos + e->text.len);
    case ELEMENT_ONE:
        return rest.len > 0 && in_set(e, rest.ptr[0]) &&
               slow_take(s, element, pos, pos + 1);
    case ELEMENT_RUN:
        return slow_run(s, element, pos);
    case ELEMENT_BACK:
        again = str_sub(s->text, s->saved[e->number].from, s->saved[e->number].length);
        return str_starts(rest, again) && slow_match(s, element + 1, pos + again.len);
    case ELEMENT_IP:
        n = mapping_ip_read(rest, e->ip->size, address);
        return n > 0 && mapping_ip_holds(e->ip, address) &&
               slow_take(s, element, pos, pos + n);
    }
    return false;
}

static void assert_agrees(struct arena *a, const struct mapping_pattern *p,
                          const char *pattern, str text)
{
    struct slow slow = {.p = p, .text = text};
    struct mapping_matcher m = {.arena = a, .work = MAPPING_WORK_MAX};
    bool expected = slow_match(&slow, 0, 0);
    if (mapping_pattern_match(p, text, &m) != expected) {
        fail_msg("'%s' and '%.*s': not %d", pattern, STR_ARG(text), expected);
    }
    for (unsigned i = 0; expected && i < p->saved; i++) {
        if (m.saved[i].from != slow.saved[i].from ||
            m.saved[i].length != slow.saved[i].length) {
            fail_msg("'%s' and '%.*s': $%u", pattern, STR_ARG(text), i);
        }
    }
}

/* ---- random patterns and texts --------------------------------------------------- */

static unsigned random_below(uint64_t *seed, unsigned n)
{
    *seed = *seed * 6364136223846793005U + 1442695040888963407U;
    return (unsigned)(*seed >> 33) % n;
}

/* Pieces of patterns; "$0*" only where something was saved. */
static const char *random_pattern(struct arena *a, uint64_t *seed)
{
    static const char *const pieces[] = {"a",
                                         "b",
                                         "ab",
                                         "|",
                                         "*",
                                         "%",
                                         "$_*",
                                         "$@*",
                                         "$D*",
                                         "$_$A*",
                                         "$A%",
                                         "$[ab]*",
                                         "$[b1]%",
                                         "$_$@%",
                                         "$[|]*",
                                         "|user1@x",
                                         "ab12",
                                         "user",
                                         "1@x.test|",
                                         "$(1.0.0.0/8)",
                                         "$@$(0.0.0.0/0)",
                                         "${::/0}",
                                         "$0*",
                                         "1"};
    struct buf out;
    bool saved = false;
    buf_init(&out, 256);
    for (unsigned n = random_below(seed, 7); n > 0; n--) {
        const char *piece = pieces[random_below(seed, sizeof pieces / sizeof pieces[0])];
        if (saved || strcmp(piece, "$0*") != 0) {
            buf_puts(&out, piece);
        }
        saved = saved || (strpbrk(piece, "*%({") != NULL && strchr(piece, '@') == NULL &&
                          strcmp(piece, "$0*") != 0);
    }
    const char *text = arena_strndup(a, out.data != NULL ? out.data : "", out.len);
    buf_free(&out);
    return text;
}

static str random_text(struct arena *a, uint64_t *seed)
{
    static const char *const pieces[] = {"a",       "b",       "ab",  "aaa", "|", "1",
                                         "1.2.3.4", "9.9.9.9", "::1", "b1",  "."};
    str all = STR("");
    for (unsigned n = random_below(seed, 7); n > 0; n--) {
        const char *piece = pieces[random_below(seed, sizeof pieces / sizeof pieces[0])];
        all = arena_printf(a, "%.*s%s", STR_ARG(all), piece);
    }
    return all;
}

static void agrees_with_slow_matcher(void **state)
{
    uint64_t seed = 1;
    (void)state;
    for (unsigned round = 0; round < 4000; round++) {
        struct arena *a = arena_new();
        const char *pattern = random_pattern(a, &seed);
        struct mapping_pattern p = compile(a, pattern);
        for (unsigned n = 0; n < 20; n++) {
            assert_agrees(a, &p, pattern, random_text(a, &seed));
        }
        arena_free(&a);
    }
}

/* The entries a walk gives are those that match, in their order, and all of them. In
 * small tables blocks often stand behind literal texts only, in large ones never. */
static void index_leaves_nothing_out(void **state)
{
    enum { ENTRIES = 80 };
    uint64_t seed = 2;
    (void)state;
    for (unsigned round = 0; round < 2000; round++) {
        unsigned entries = round % 20 == 0 ? ENTRIES : 1 + random_below(&seed, 5);
        struct arena *a = arena_new();
        struct mapping_pattern patterns[ENTRIES];
        const struct mapping_pattern *list[ENTRIES];
        struct mapping_walk walk = {0};
        for (unsigned i = 0; i < entries; i++) {
            patterns[i] = compile(a, random_pattern(a, &seed));
            list[i] = &patterns[i];
        }
        struct mapping_index *index = mapping_index_new(a, list, entries);
        for (unsigned n = 0; n < 50; n++) {
            struct mapping_matcher m = {.arena = a, .work = MAPPING_WORK_MAX};
            str text = random_text(a, &seed);
            unsigned from = random_below(&seed, entries + 1);
            mapping_walk_begin(index, text, from, a, &walk);
            unsigned given = mapping_walk_next(&walk);
            for (unsigned i = from; i < entries; i++) {
                bool is_next = given == i;
                assert_true(is_next || !mapping_pattern_match(list[i], text, &m));
                given = is_next ? mapping_walk_next(&walk) : given;
            }
            assert_int_equal(given, UINT_MAX);
        }
        arena_free(&a);
    }
}

/* ---- bounds ----------------------------------------------------------------------- */

static str repeated(struct arena *a, const char *piece, unsigned n, const char *end)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    for (unsigned i = 0; i < n; i++) {
        buf_puts(&out, piece);
    }
    buf_puts(&out, end);
    str text = arena_str(a, buf_slice(&out));
    buf_free(&out);
    return text;
}

/* "ab", then n times "a". */
static str hostile_text(struct arena *a, unsigned n)
{
    return arena_printf(a, "ab%s", repeated(a, "a", n, "").ptr);
}

/* Steps that matching takes. */
static long work_of(const char *piece, unsigned pieces, const char *end, unsigned n)
{
    struct arena *a = arena_new();
    struct mapping_pattern p = compile(a, repeated(a, piece, pieces, end).ptr);
    struct mapping_matcher m = {.arena = a, .work = LONG_MAX};
    assert_false(mapping_pattern_match(&p, hostile_text(a, n), &m));
    long used = LONG_MAX - m.work;
    arena_free(&a);
    return used;
}

static void work_is_bounded(void **state)
{
    static const char *const pieces[] = {"*a",   "$_*a",    "$A*",        "$_$A*",
                                         "*$A*", "%*",      "$[a]*$_*",   "$D**",
                                         "a*",   "$@*a$_*", "$_*$[ab]*a", "*%"};
    (void)state;
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        /* "b" is not where it should be, so everything is tried; the bound is a small
         * number for each wildcard and position. */
        long used = work_of(pieces[i], 60, "%b%", 4000);
        if (used < 1000 || used > 3 * 122 * 4003L) {
            fail_msg("%s takes %ld steps", pieces[i], used);
        }
    }
}

/* A back match can make it exponential: then matching is given up. */
static void hostile_back_match_is_given_up(void **state)
{
    struct arena *a = arena_new();
    struct mapping_pattern p = compile(a, "*$_***$_*****$0*$1*$2*$3*$4*$5*$6*$7*b%");
    struct mapping_matcher m = {.arena = a, .work = 1000000};
    (void)state;
    assert_false(mapping_pattern_match(&p, hostile_text(a, 4000), &m));
    assert_true(m.work < 0);
    arena_free(&a);
}

/* ---- whole tables ----------------------------------------------------------------- */

static const char config[] = ". $U%$H@tcp-daemon\n\nl\nhere.test\n\n"
                             "tcp_local smtp mx\ntcp-daemon\n!== mappings\n";

static struct snapshot *load(struct arena *a, str tables)
{
    struct memory_loader memory;
    struct snapshot_request request = {.path = STR(MEMORY_LOADER_MAIN),
                                       .loader = &memory.loader};
    struct diags *diags;
    bool unreadable;
    memory_loader_init(&memory, arena_printf(a, "%s%.*s", config, STR_ARG(tables)));
    struct snapshot *s = snapshot_load(&request, a, &diags, &unreadable);
    assert_non_null(s);
    return s;
}

static bool ask(const struct snapshot *s, const char *table, const char *probe,
                struct arena *a, struct mapping_output *out)
{
    const struct mapping *t = mapping_find(s, str_from(table));
    struct mapping_input in = {.snapshot = s, .probe = str_from(probe)};
    assert_non_null(t);
    return mapping_run(t, &in, a, out);
}

static str large_table_text(struct arena *a, unsigned entries)
{
    struct buf text;
    buf_init(&text, 1 << 24);
    buf_puts(&text, "BIG\n\n");
    for (unsigned i = 0; i < entries; i++) {
        buf_printf(&text,
                   "  user%u@a.example $Y%u\n"
                   "  n|$(10.%u.%u.%u)|* $N%u\n"
                   "  *|to%u@b.example|* $Yto$ %u\n",
                   i, i, i >> 16, i >> 8 & 255, i & 255, i, i, i);
    }
    buf_puts(&text, "  n|*|* $Yother\n");
    str all = arena_str(a, buf_slice(&text));
    buf_free(&text);
    return all;
}

/* How many entries are tried for the text. */
static unsigned tried(const struct mapping *t, const char *text, struct arena *a)
{
    struct mapping_walk walk = {0};
    unsigned n = 0;
    mapping_walk_begin(t->index, str_from(text), 0, a, &walk);
    while (mapping_walk_next(&walk) != UINT_MAX) {
        n++;
    }
    return n;
}

static void assert_answer(const struct snapshot *s, const char *probe, const char *answer,
                          struct arena *a)
{
    struct mapping_output out;
    assert_true(ask(s, "big", probe, a, &out));
    assert_string_equal(out.text.ptr, answer);
}

/* 100,000 entries of each kind; a look-up meets only those that can match. */
static void large_table(void **state)
{
    enum { ENTRIES = 100000 };
    struct arena *a = arena_new();
    struct snapshot *s = load(a, large_table_text(a, ENTRIES));
    const struct mapping *t = mapping_find(s, STR("BIG"));
    struct mapping_output out;
    (void)state;
    assert_answer(s, "user99999@a.example", "99999", a);
    assert_answer(s, "n|10.1.134.159|x", "99999", a);
    assert_answer(s, "n|10.255.0.0|x", "other", a);
    assert_answer(s, "x|to99999@b.example|x", "to 99999", a);
    assert_false(ask(s, "big", "user100000@a.example", a, &out));
    assert_int_equal(tried(t, "n|10.1.134.159|x", a), 2);
    assert_int_equal(tried(t, "user99999@a.example", a), 1);
    assert_in_range(tried(t, "x|to99999@b.example|x", a), 1, 100);
    snapshot_unref(&s);
    arena_free(&a);
}

/* Strings made to meet very many lists: then all entries are tried, in their order. */
static void too_many_keys(void **state)
{
    struct arena *a = arena_new();
    struct snapshot *s = load(a, large_table_text(a, 300));
    const struct mapping *t = mapping_find(s, STR("BIG"));
    struct buf text;
    (void)state;
    str addresses =
        arena_printf(a, "n|10.0.1.1|%s", repeated(a, "n|10.0.0.1|", 40, "").ptr);
    assert_answer(s, addresses.ptr, "257", a);
    assert_int_equal(tried(t, addresses.ptr, a), 901);
    buf_init(&text, 1 << 16);
    for (unsigned i = 100; i < 300; i++) {
        buf_printf(&text, "|to%u@b.example|", i);
    }
    str pieces = arena_str(a, buf_slice(&text));
    buf_free(&text);
    assert_int_equal(tried(t, pieces.ptr, a), 901);
    assert_answer(s, pieces.ptr, "to 100", a);
    snapshot_unref(&s);
    arena_free(&a);
}

/* $?30? succeeds in about three of ten cases: 5 standard deviations off is an error. */
static void random_entries(void **state)
{
    struct arena *a = arena_new();
    struct snapshot *s = load(a, STR("DICE\n\n  * $?30?$Y\n  * $N\n"));
    struct mapping_output out;
    unsigned yes = 0;
    (void)state;
    for (unsigned i = 0; i < 10000; i++) {
        assert_true(ask(s, "DICE", "x", a, &out));
        yes += (out.flags & mapping_flag('Y')) != 0;
    }
    assert_in_range(yes, 2770, 3230);
    snapshot_unref(&s);
    arena_free(&a);
}

static void limits_of_length(void **state)
{
    struct arena *a = arena_new();
    struct snapshot *s = load(a, STR("T\n\n  a* $0\n  b* $0$0\n"));
    struct mapping_output out;
    (void)state;
    str longest = repeated(a, "a", MAPPING_TEXT_MAX, "");
    assert_true(ask(s, "T", longest.ptr, a, &out));
    assert_int_equal(out.text.len, MAPPING_TEXT_MAX - 1);
    assert_false(ask(s, "T", repeated(a, "a", MAPPING_TEXT_MAX, "a").ptr, a, &out));
    assert_non_null(out.fault);
    assert_int_equal(out.text.len, MAPPING_TEXT_MAX + 1);
    assert_false(ask(s, "T", repeated(a, "b", MAPPING_TEXT_MAX, "").ptr, a, &out));
    assert_non_null(out.fault);
    assert_int_equal(out.flags, 0);
    snapshot_unref(&s);
    arena_free(&a);
}

static void flags(void **state)
{
    struct arena *a = arena_new();
    (void)state;
    assert_int_equal(mapping_flag('y'), mapping_flag('Y'));
    assert_int_equal(mapping_flag('1') | mapping_flag('\0') | mapping_flag(' '), 0);
    str text = mapping_flags_text(a, mapping_flag('>') | mapping_flag('z') |
                                         mapping_flag('A') | mapping_flag('!'));
    assert_string_equal(text.ptr, "AZ!>");
    assert_string_equal(mapping_flags_text(a, 0).ptr, "");
    arena_free(&a);
}

static void no_tables(void **state)
{
    struct arena *a = arena_new();
    struct snapshot *s = load(a, STR("T\n"));
    struct mapping_output out;
    (void)state;
    assert_null(mapping_find(s, STR("U")));
    assert_false(ask(s, "t", "x", a, &out));
    assert_null(out.fault);
    assert_string_equal(out.text.ptr, "x");
    assert_true(str_eq(mapping_name(mapping_find(s, STR("t"))), STR("T")));
    snapshot_unref(&s);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_slow_matcher),
        cmocka_unit_test(index_leaves_nothing_out),
        cmocka_unit_test(work_is_bounded),
        cmocka_unit_test(hostile_back_match_is_given_up),
        cmocka_unit_test(large_table),
        cmocka_unit_test(too_many_keys),
        cmocka_unit_test(random_entries),
        cmocka_unit_test(limits_of_length),
        cmocka_unit_test(flags),
        cmocka_unit_test(no_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
