/* Fuzzes the whole way from text to snapshot. The input is a configuration as the
 * memory loader reads it, so includes and the files beside the main one are reached
 * too. Checked beside crashes: what was parsed without a fault prints to text that
 * parses to the same; what loads dumps to text that loads and dumps the same; messages
 * are of known kinds and can be told in every format; NULL comes back exactly when there
 * is an error. */
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/check.h"
#include "base/json.h"
#include "base/slugs.h"
#include "tables/dump.h"
#include "tables/snapshot.h"
#include "test/config/memory_loader.h"

enum { FUZZ_TEXT_MAX = 1 << 26 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Prints the AST of text; false when there were faults. */
static bool print_tree(str text, enum syntax syntax, struct buf *out)
{
    struct memory_loader m;
    struct arena *a = arena_new();
    struct sources *sources = sources_new(a);
    struct diags *diags = diags_new(a, sources);
    memory_loader_init(&m, text);
    struct ast *ast = parse_file(a, &m.loader, sources, STR(MEMORY_LOADER_MAIN),
                                 STR("pointsman.cnf"), syntax, diags);
    ast_print(ast, out);
    bool good = diags_errors(diags) == 0;
    arena_free(&a);
    return good;
}

static void check_tree(str text, enum syntax syntax)
{
    struct buf first, second;
    buf_init(&first, FUZZ_TEXT_MAX);
    buf_init(&second, FUZZ_TEXT_MAX);
    /* A line that begins the next file would cut the printed text in two. */
    if (print_tree(text, syntax, &first) && first.len > 0 &&
        memmem(first.data, first.len, "!== ", 4) == NULL) {
        check(print_tree(buf_slice(&first), syntax, &second));
        check(str_eq(buf_slice(&first), buf_slice(&second)));
    }
    buf_free(&first);
    buf_free(&second);
}

/* Every message is of a kind that is known, and can be told in all formats. */
static void check_messages(const struct diags *diags)
{
    struct buf shown;
    buf_init(&shown, FUZZ_TEXT_MAX);
    diags_render(diags, true, &shown);
    for (const struct diag *m = diags_first(diags); m != NULL; m = m->next) {
        const struct slug *slug = slug_find(str_from(m->slug));
        struct arena *a = arena_new();
        struct json_object o;
        const char *reason;
        check(slug != NULL &&
              (slug->severity == SLUG_EITHER ||
               (slug->severity == SLUG_ERROR) == (m->severity == SEVERITY_ERROR)));
        buf_clear(&shown);
        diag_json(diags, m, &shown);
        check(json_parse(a, buf_slice(&shown), &o, &reason) && o.count == 8);
        diag_sarif_result(diags, m, false, &shown);
        arena_free(&a);
    }
    buf_free(&shown);
}

/* Dumps what text loads to; false when it does not load. */
static bool dump(str text, bool allow_unhonoured, struct buf *out)
{
    struct memory_loader m;
    struct arena *a = arena_new();
    struct diags *diags;
    bool unreadable;
    struct snapshot_request req = {.path = STR(MEMORY_LOADER_MAIN),
                                   .allow_unhonoured = allow_unhonoured,
                                   .loader = &m.loader};
    memory_loader_init(&m, text);
    struct snapshot *s = snapshot_load(&req, a, &diags, &unreadable);
    check_messages(diags);
    check((s == NULL) == (diags_errors(diags) > 0));
    check(!unreadable || s == NULL);
    bool loaded = s != NULL;
    if (loaded) {
        dump_snapshot(s, out);
    }
    snapshot_unref(&s);
    arena_free(&a);
    return loaded;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    str text = str_n((const char *)data, size);
    struct buf first, second;
    for (int syntax = SYNTAX_CONFIG; syntax <= SYNTAX_LIST; syntax++) {
        check_tree(text, (enum syntax)syntax);
    }
    buf_init(&first, FUZZ_TEXT_MAX);
    buf_init(&second, FUZZ_TEXT_MAX);
    if (dump(text, true, &first)) {
        check(dump(buf_slice(&first), true, &second));
        check(str_eq(buf_slice(&first), buf_slice(&second)));
    }
    buf_free(&first);
    buf_free(&second);
    return 0;
}
