/* Fuzzes mapping tables and probes together. The input is a configuration as the memory
 * loader reads it; behind the line "!== probes" stand probes, one a line: the name of a
 * table, '/' and flags or not, a blank, the string. What must hold is checked: limits are
 * kept, nothing is said about a string that matches nowhere, the trace ends where the
 * output comes from, and the index finds what a scan of the whole table finds. */
#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "tables/mapping_table.h"
#include "test/fuzz/load.h"

enum { PROBES_MAX = 16, SCAN_WORK = 1000000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first entry that matches, by trying all of them. */
static unsigned scan(const struct mapping *t, str folded, struct mapping_matcher *m)
{
    for (unsigned i = 0; i < t->count; i++) {
        if (mapping_pattern_match(&t->entries[i].pattern, folded, m)) {
            return i;
        }
    }
    return UINT_MAX;
}

static unsigned look_up(const struct mapping *t, str folded, struct mapping_matcher *m)
{
    struct mapping_walk walk = {0};
    unsigned i;
    mapping_walk_begin(t->index, folded, 0, m->arena, &walk);
    while ((i = mapping_walk_next(&walk)) != UINT_MAX) {
        if (mapping_pattern_match(&t->entries[i].pattern, folded, m)) {
            return i;
        }
    }
    return UINT_MAX;
}

static void check_index(const struct mapping *t, str probe, struct arena *a)
{
    struct mapping_matcher slow = {.arena = a, .work = SCAN_WORK}, fast = slow;
    str text = arena_str(a, probe);
    char *bytes = arena_strndup(a, text.ptr, text.len);
    for (size_t i = 0; i < text.len; i++) {
        bytes[i] = ascii_lower(bytes[i]);
    }
    text.ptr = bytes;
    unsigned expected = scan(t, text, &slow), found = look_up(t, text, &fast);
    check(slow.work < 0 || fast.work < 0 || expected == found);
}

static void check_run(const struct snapshot *s, const struct mapping *t, str probe,
                      uint64_t flags, struct arena *a)
{
    struct mapping_input in = {
        .snapshot = s, .probe = probe, .flags = flags, .trace = true};
    struct mapping_output out;
    bool matched = mapping_run(t, &in, a, &out);
    const struct mapping_step *last = NULL;
    for (const struct mapping_step *step = out.steps; step != NULL; step = step->next) {
        check(step->text.len <= MAPPING_TEXT_MAX && step->depth <= MAPPING_DEPTH_MAX);
        check(step->entry.source > 0);
        last = step;
    }
    check(matched ||
          (str_eq(out.text, probe) && out.flags == 0 && out.entry.source == 0));
    check(!matched || (out.fault == NULL && out.entry.source > 0 && last != NULL));
    check(!matched || out.text.len <= MAPPING_TEXT_MAX);
    check(out.fault == NULL || !matched);
}

static void run_probes(const struct snapshot *s, str probes, struct arena *a)
{
    str line, table, flags;
    for (int n = 0; n < PROBES_MAX && str_split(&probes, '\n', &line); n++) {
        uint64_t set = 0;
        if (!str_split(&line, ' ', &flags) || !str_split(&flags, '/', &table)) {
            continue;
        }
        for (size_t i = 0; i < flags.len; i++) {
            set |= mapping_flag(flags.ptr[i]);
        }
        const struct mapping *t = mapping_find(s, table);
        if (t != NULL && line.ptr != NULL) {
            check_index(t, line, a);
            check_run(s, t, line, set, a);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str probes;
    struct arena *a = arena_new();
    struct snapshot *s = fuzz_load(fuzz_cut(data, size, "\n!== probes\n", &probes), a);
    if (s != NULL) {
        run_probes(s, probes, a);
        snapshot_unref(&s);
    }
    arena_free(&a);
    return 0;
}
