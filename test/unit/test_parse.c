/* Tests of parse_file(): what the lines of the four kinds of file become, and that
 * positions survive continuation lines and includes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>

#include "base/buf.h"
#include "parser/parse.h"
#include "test/config/memory_loader.h"

struct fixture {
    struct arena *arena;
    struct sources *sources;
    struct diags *diags;
    struct ast *ast;
};

static void parse(struct fixture *f, str text, enum syntax syntax)
{
    struct memory_loader m;
    f->arena = arena_new();
    f->sources = sources_new(f->arena);
    f->diags = diags_new(f->arena, f->sources);
    memory_loader_init(&m, arena_str(f->arena, text));
    f->ast = parse_file(f->arena, &m.loader, f->sources, STR(MEMORY_LOADER_MAIN),
                        STR("pointsman.cnf"), syntax, f->diags);
}

static void assert_parses(str text, enum syntax syntax, const char *printed)
{
    struct fixture f;
    struct buf out;
    buf_init(&out, 1 << 16);
    parse(&f, text, syntax);
    ast_print(f.ast, &out);
    buf_putc(&out, '\0');
    assert_string_equal(out.data, printed);
    assert_int_equal(diags_errors(f.diags), 0);
    buf_free(&out);
    arena_free(&f.arena);
}

#define TEXT(lit) ((str){lit, sizeof(lit) - 1})

static void main_file(void **state)
{
    (void)state;
    assert_parses(TEXT("! c\na\t$U@b\n  .c $?no such host \n\nl logging\nh  n \n"),
                  SYNTAX_CONFIG, "a $U@b\n.c $?no such host\n\nl logging\nh n\n");
    /* no end of line at the end, CRLF, a byte order mark */
    assert_parses(TEXT("\xEF\xBB\xBF"
                       "a b\r\n\r\nl\r\nh"),
                  SYNTAX_CONFIG, "a b\n\nl\nh\n");
    assert_parses(TEXT(""), SYNTAX_CONFIG, "");
    assert_parses(TEXT("!only a comment"), SYNTAX_CONFIG, "");
    assert_parses(TEXT("\n\n \t\n"), SYNTAX_CONFIG, "");
    assert_parses(TEXT("a b\\"), SYNTAX_CONFIG, "a b\\ \n");
}

static void continuation_lines(void **state)
{
    (void)state;
    assert_parses(TEXT("a\\\nb c\\\r\nd\\\n\n\nl \\\n! not here\n  po\\\nrt\\\n 25\nh\n"),
                  SYNTAX_CONFIG, "ab cd\n\nl port 25\nh\n");
    /* a comment line does not continue, and is no end of the line before it */
    assert_parses(TEXT("! x \\\na b\\\n! y \\\n! z\nc\n"), SYNTAX_CONFIG, "a bc\n");
    assert_parses(TEXT("\na \"b\\\n c\"\nh\n"), SYNTAX_CONFIG, "\na \"b c\"\nh\n");
    assert_parses(TEXT("A=b\\\nc\n[S\\\n=\\\nd]\n"), SYNTAX_OPTIONS, "A=bc\n[S=d]\n");
}

static void keyword_arguments(void **state)
{
    struct fixture f;
    (void)state;
    parse(
        &f,
        TEXT("\nl daemon smtp nameservers 1.2.3.4 ::1@53 mx notices 1 2 3 4 5 6 backoff "
             "pt5m \"PT1H\" smtp defaulthost a.test b.test sourcespamfilter1 x "
             "sourcespamfilter2 smtp frob 1\nh\n"),
        SYNTAX_CONFIG);
    static const struct {
        const char *name;
        unsigned args;
    } expected[] = {{"daemon", 1},
                    {"nameservers", 2},
                    {"mx", 0},
                    {"notices", 5},
                    {"6", 0},
                    {"backoff", 2},
                    {"smtp", 0},
                    {"defaulthost", 2},
                    {"sourcespamfilter1", 1},
                    {"sourcespamfilter2", 0},
                    {"smtp", 0},
                    {"frob", 0},
                    {"1", 0}};
    const struct ast_keyword *k = f.ast->blocks->keywords;
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++, k = k->next) {
        unsigned args = 0;
        assert_non_null(k);
        assert_true(str_eq(k->name, str_from(expected[i].name)));
        for (const struct ast_word *w = k->args; w != NULL; w = w->next) {
            args++;
        }
        assert_int_equal(args, expected[i].args);
    }
    assert_null(k);
    arena_free(&f.arena);
}

static void assert_place(const struct fixture *f, struct span at, const char *file,
                         unsigned line, unsigned column)
{
    struct place p = span_place(f->sources, at);
    assert_true(str_eq(p.file, str_from(file)));
    assert_int_equal(p.line, line);
    assert_int_equal(p.column, column);
}

static void positions(void **state)
{
    struct fixture f;
    (void)state;
    parse(&f,
          TEXT("! one\n  a  b\n<inc\n\nl \\\n   po\\\nrt 25\nh.test\n<inc\n"
               "!== inc\nc d"),
          SYNTAX_CONFIG);
    assert_int_equal(diags_errors(f.diags), 0);
    assert_place(&f, f.ast->rules->pattern_at, "pointsman.cnf", 2, 3);
    assert_place(&f, f.ast->rules->template_at, "pointsman.cnf", 2, 6);
    assert_place(&f, f.ast->rules->next->template_at, "inc", 1, 3);
    assert_place(&f, f.ast->rules_end, "pointsman.cnf", 4, 1);
    const struct ast_block *l = f.ast->blocks;
    assert_place(&f, l->name_at, "pointsman.cnf", 5, 1);
    assert_place(&f, l->keywords->at, "pointsman.cnf", 6, 4);
    assert_place(&f, l->keywords->args->at, "pointsman.cnf", 7, 4);
    assert_place(&f, l->hosts->name_at, "pointsman.cnf", 8, 1);
    assert_place(&f, l->hosts->next->second_at, "inc", 1, 3);
    arena_free(&f.arena);
}

static void other_files(void **state)
{
    (void)state;
    assert_parses(TEXT("# c\nA = x y \n[S]\nB=\n[T=u]\n  C=d=e\n"), SYNTAX_OPTIONS,
                  "A=x y\n[S]\nB=\n[T=u]\nC=d=e\n");
    assert_parses(TEXT("# c\na.test\n .b.test \n\n"), SYNTAX_LIST, "a.test\n.b.test\n");
}

static void mapping_tables(void **state)
{
    (void)state;
    assert_parses(TEXT("PORT_ACCESS\n\n  a|b \\\n$N\n! c\n\ta$ b$\tc   x$ y\n<inc\n"
                       " \t\r\n\nOTHER  \n\n!\n\nlast\r\n\n\t$\\ $\\ \n"
                       "!== inc\n <x $$\n"),
                  SYNTAX_MAPPINGS,
                  "PORT_ACCESS\n\n  a|b $N\n  a$ b$\tc x$ y\n  <x $$\n\n"
                  "OTHER\n\nlast\n\n  $\\ $\\ \n");
    /* A dollar sign and what it quotes may stand on two lines. */
    assert_parses(TEXT("A\n\n a$\\\n b $\\\n! c\n*x\n"), SYNTAX_MAPPINGS,
                  "A\n\n  a$ b $*x\n");
    assert_parses(TEXT("A\n\n a$ \\\n b$"), SYNTAX_MAPPINGS, "A\n\n  a$  b$\n");
    /* What is quoted quotes nothing. */
    assert_parses(TEXT("A\n\n a$$ b$$$ \n c$$$$ $$\n"), SYNTAX_MAPPINGS,
                  "A\n\n  a$$ b$$$ \n  c$$$$ $$\n");
}

/* Every fault is told once, at its place, and the lines between are understood. */
static void goes_on_after_faults(void **state)
{
    static const struct {
        const char *slug;
        unsigned line;
    } expected[] = {{"missing-template", 1},
                    {"extra-word", 3},
                    {"quote", 5},
                    {"extra-word", 7},
                    {"include-missing", 8}};
    struct fixture f;
    struct buf out;
    (void)state;
    parse(&f, TEXT("a\nb c\nd e f g\n\nl \"x\nh\np q r\n<gone\ni\n"), SYNTAX_CONFIG);
    const struct diag *d = diags_first(f.diags);
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++, d = d->next) {
        assert_non_null(d);
        assert_string_equal(d->slug, expected[i].slug);
        assert_int_equal(span_place(f.sources, d->span).line, expected[i].line);
    }
    assert_null(d);
    buf_init(&out, 1 << 16);
    ast_print(f.ast, &out);
    buf_putc(&out, '\0');
    assert_string_equal(out.data, "b c\n\nl x\nh\np q\ni\n");
    buf_free(&out);
    arena_free(&f.arena);
}

/* An unreadable file is told and gives an empty tree. */
static void missing_file(void **state)
{
    struct fixture f;
    (void)state;
    parse(&f, TEXT("!== other\n"), SYNTAX_CONFIG);
    assert_int_equal(f.ast->source, 0);
    assert_null(f.ast->rules);
    assert_int_equal(diags_errors(f.diags), 1);
    arena_free(&f.arena);
}

/* A text that is included often counts as often. */
static void limits_text(void **state)
{
    struct memory_loader m;
    struct fixture f = {.arena = arena_new()};
    (void)state;
    f.sources = sources_new(f.arena);
    f.diags = diags_new(f.arena, f.sources);
    memory_loader_init(&m, TEXT("<two\n<two\n<two\na b\n!== two\nx y\nz u\n"));
    m.loader.bytes_max = 40;
    f.ast = parse_file(f.arena, &m.loader, f.sources, STR(MEMORY_LOADER_MAIN),
                       STR("pointsman.cnf"), SYNTAX_CONFIG, f.diags);
    const struct diag *d = diags_first(f.diags);
    assert_non_null(d);
    assert_string_equal(d->slug, "include-size");
    assert_int_equal(span_place(f.sources, d->span).line, 3);
    assert_null(d->next);
    arena_free(&f.arena);
}

/* A word of ten megabytes is none where names are told in messages. */
static void name_of_ten_megabytes(void **state)
{
    enum { LENGTH = 10 << 20 };
    struct fixture f;
    char *text = malloc(LENGTH);
    (void)state;
    assert_non_null(text);
    memset(text, 'x', LENGTH);
    text[0] = '\n';
    parse(&f, str_n(text, LENGTH), SYNTAX_CONFIG);
    assert_int_equal(diags_errors(f.diags), 1);
    assert_non_null(f.ast->blocks);
    assert_in_range(f.ast->blocks->name.len, 1, 20000);
    arena_free(&f.arena);
    free(text);
}

/* One error, and the next line is read again. */
static void assert_long_line(const char *before, char c, bool words)
{
    enum { LENGTH = 10 << 20 };
    struct fixture f;
    size_t len = strlen(before);
    char *text = malloc(LENGTH + 100);
    assert_non_null(text);
    memcpy(text, before, len);
    memset(text + len, c, LENGTH);
    for (size_t i = 0; words && i < LENGTH; i += 3) {
        text[len + i] = ' ';
    }
    const char *after = "x\ngood rule\n"; /* no continuation */
    memcpy(text + len + LENGTH, after, strlen(after));
    parse(&f, str_n(text, len + LENGTH + strlen(after)), SYNTAX_CONFIG);
    assert_int_equal(diags_errors(f.diags), 1);
    assert_int_equal(diags_warnings(f.diags), 0);
    if (!words) { /* else it has a word too many long before */
        assert_string_equal(diags_first(f.diags)->slug, "line-too-long");
    }
    assert_in_range(diags_first(f.diags)->text.len, 1, 200);
    const struct ast_rule *last = f.ast->rules;
    assert_non_null(last);
    while (last->next != NULL) {
        last = last->next;
    }
    assert_true(str_eq(last->pattern, STR("good")));
    arena_free(&f.arena);
    free(text);
}

static void line_of_ten_megabytes(void **state)
{
    (void)state;
    assert_long_line("", 'x', false);
    assert_long_line("a b", 'x', false);
    assert_long_line("a $?", 'x', true);
    assert_long_line("a b", '\\', false);
    assert_long_line("a b", 'x', true);
    assert_long_line("<", 'x', false);
    assert_long_line("", '\x01', false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(main_file),
        cmocka_unit_test(continuation_lines),
        cmocka_unit_test(keyword_arguments),
        cmocka_unit_test(positions),
        cmocka_unit_test(other_files),
        cmocka_unit_test(mapping_tables),
        cmocka_unit_test(goes_on_after_faults),
        cmocka_unit_test(missing_file),
        cmocka_unit_test(limits_text),
        cmocka_unit_test(line_of_ten_megabytes),
        cmocka_unit_test(name_of_ten_megabytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
