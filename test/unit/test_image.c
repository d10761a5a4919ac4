/* Tests of compiled images: what is loaded from one is what the sources give; what is
 * damaged, stale, foreign or not to be trusted is not used, and says why. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "tables/dump.h"
#include "tables/image_format.h"
#include "tables/route.h"
#include "test/unit/image_fixture.h"

enum { TEXT_MAX = 1 << 22 };

/* ---- the same as the sources ---------------------------------------------------- */

static void print_inputs(const struct snapshot *s, struct buf *out)
{
    for (unsigned i = 0; i < INPUT_FILES; i++) {
        buf_printf(out, "== %s\n", input_name((enum input_file)i));
        if (s->inputs->beside[i] != NULL) {
            ast_print(s->inputs->beside[i], out);
        }
    }
}

/* All that can be said of a snapshot in words, with places. */
static void describe(const struct snapshot *s, struct buf *out)
{
    struct arena *a = arena_new();
    dump_snapshot(s, out);
    print_inputs(s, out);
    for (uint32_t n = 1; n <= s->rules->rule_count; n++) {
        const struct rule_record *r = rule_table_at(s->rules, n);
        struct template t = rule_template(s->rules, r);
        buf_printf(out, "%.*s form %u traits %u to '%.*s'\n",
                   STR_ARG(snapshot_where(a, s, rule_span(r))), (unsigned)t.form,
                   t.traits, STR_ARG(t.routing_host));
    }
    for (size_t i = 0; i < map_count(s->hosts); i++) {
        const struct host_entry *h = map_at(s->hosts, i, NULL);
        buf_printf(out, "%.*s\n", STR_ARG(snapshot_where(a, s, h->span)));
    }
    buf_printf(out, "%u rules, %u sources\n", s->rule_count, sources_count(s->sources));
    arena_free(&a);
}

static void assert_same(const char *path)
{
    struct image_fixture f;
    struct buf text, image;
    bool unreadable;
    struct diags *diags;
    struct snapshot_request request = {.path = str_from(path), .allow_unhonoured = true};
    buf_init(&text, TEXT_MAX);
    buf_init(&image, TEXT_MAX);
    if (!image_fixture_make(&f, &loader_files, str_from(path))) {
        fail_msg("no image of %s", path);
    }
    struct snapshot *from_text = snapshot_load(&request, f.arena, &diags, &unreadable);
    struct snapshot *from_image = image_fixture_load(&f, str_from(path));
    assert_non_null(from_text);
    assert_non_null(from_image);
    assert_int_equal(from_text->image.verdict, IMAGE_NONE);
    assert_int_equal(from_image->image.verdict, IMAGE_FRESH);
    describe(from_text, &text);
    describe(from_image, &image);
    buf_putc(&text, '\0');
    buf_putc(&image, '\0');
    assert_string_equal(text.data, image.data);
    snapshot_unref(&from_text);
    snapshot_unref(&from_image);
    buf_free(&text);
    buf_free(&image);
    image_fixture_free(&f);
}

static size_t assert_all_same(const char *pattern)
{
    const char *top = getenv("top_srcdir");
    char full[4096];
    glob_t found;
    snprintf(full, sizeof full, "%s/test/%s", top != NULL ? top : ".", pattern);
    assert_int_equal(glob(full, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        assert_same(found.gl_pathv[i]);
    }
    size_t count = found.gl_pathc;
    globfree(&found);
    return count;
}

static void every_configuration(void **state)
{
    (void)state;
    assert_true(assert_all_same("config/good/*.cnf") > 5);
    assert_true(assert_all_same("config/good/*/pointsman.cnf") > 3);
    assert_true(assert_all_same("route/*.cnf") > 1);
    assert_true(assert_all_same("route/language/*.cnf") > 5);
}

/* ---- a folder of its own --------------------------------------------------------- */

struct folder {
    char path[64];
    struct image_fixture f;
};

static void put_file(const struct folder *d, const char *name, const char *text)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", d->path, name);
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs(text, out);
    assert_int_equal(fclose(out), 0);
}

static void put_mode(const struct folder *d, const char *name, mode_t mode)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", d->path, name);
    assert_int_equal(chmod(path, mode), 0);
}

/* Another time, whatever the clock says. */
static void touch(const struct folder *d, const char *name)
{
    char path[128];
    struct timespec times[2] = {{.tv_sec = 1000000}, {.tv_sec = 1000000}};
    snprintf(path, sizeof path, "%s/%s", d->path, name);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static const char MAIN[] = "a.test  $U%$D@tcp-out\n<more\n.  $U%$H@tcp-out\n\nl\n"
                           "here.test\n\ntcp_out smtp\ntcp-out\n";

static void folder_begin(struct folder *d)
{
    strcpy(d->path, "/tmp/test_image.XXXXXX");
    assert_non_null(mkdtemp(d->path));
    put_file(d, "pointsman.cnf", MAIN);
    put_file(d, "more", "b.test  $U%$(key)@tcp-out\n");
    put_file(d, "general", "key  c.test\n");
    put_file(d, "localdomains", "a.test\n");
    put_mode(d, "pointsman.cnf", 0644);
    assert_true(image_fixture_make(&d->f, &loader_files, str_from(d->path)));
}

static void folder_end(struct folder *d)
{
    static const char *const names[] = {"pointsman.cnf", "more", "general",
                                        "localdomains", "option.dat"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", d->path, names[i]);
        unlink(path);
    }
    assert_int_equal(rmdir(d->path), 0);
    image_fixture_free(&d->f);
}

/* Loads; the verdict must be so, also for who only looks, and the words in the reason. */
static void assert_verdict(struct folder *d, enum image_verdict verdict,
                           const char *words)
{
    struct arena *a = arena_new();
    struct image_status looked;
    str main_file = arena_printf(a, "%s/pointsman.cnf", d->path);
    struct snapshot *s = image_fixture_load(&d->f, str_from(d->path));
    assert_non_null(s);
    assert_int_equal(s->image.verdict, verdict);
    image_look(&d->f.loader, d->f.path, main_file, a, &looked);
    assert_int_equal(looked.verdict, verdict);
    if (words != NULL) {
        assert_non_null(strstr(arena_str(a, s->image.reason).ptr, words));
        assert_non_null(strstr(arena_str(a, looked.reason).ptr, words));
    }
    snapshot_unref(&s);
    arena_free(&a);
}

static void fresh_and_stale(void **state)
{
    (void)state;
    struct folder d;
    folder_begin(&d);
    assert_verdict(&d, IMAGE_FRESH, NULL);
    touch(&d, "more"); /* the same text at another time */
    assert_verdict(&d, IMAGE_FRESH, NULL);
    put_file(&d, "more", "b.test  $U%$(kez)@tcp-out\n"); /* as long as before */
    touch(&d, "more");
    assert_verdict(&d, IMAGE_STALE, "'more' has changed since");
    put_file(&d, "more", "b.test  $U%$(key)@tcp-out\n! longer\n");
    assert_verdict(&d, IMAGE_STALE, "'more' has changed since");
    put_file(&d, "more", "b.test  $U%$(key)@tcp-out\n");
    assert_verdict(&d, IMAGE_FRESH, NULL);
    put_file(&d, "option.dat", "WORKERS=1\n");
    assert_verdict(&d, IMAGE_STALE, "'option.dat' is new");
    char path[128];
    snprintf(path, sizeof path, "%s/option.dat", d.path);
    assert_int_equal(unlink(path), 0);
    snprintf(path, sizeof path, "%s/general", d.path);
    assert_int_equal(unlink(path), 0);
    assert_verdict(&d, IMAGE_STALE, "'general' is gone");
    folder_end(&d);
}

/* A change so soon after the one before that the file has the same time. */
static void changed_within_a_tick(void **state)
{
    (void)state;
    struct folder d;
    char path[128];
    folder_begin(&d);
    snprintf(path, sizeof path, "%s/more", d.path);
    struct timespec soon = {.tv_sec = time(NULL) + 1000};
    struct timespec times[2] = {soon, soon};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    image_fixture_free(&d.f);
    assert_true(image_fixture_make(&d.f, &loader_files, str_from(d.path)));
    assert_verdict(&d, IMAGE_FRESH, NULL);
    put_file(&d, "more", "b.test  $U%$(kez)@tcp-out\n"); /* as long as before */
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    assert_verdict(&d, IMAGE_STALE, "'more' has changed since");
    folder_end(&d);
}

static void another_folder(void **state)
{
    (void)state;
    struct folder d, other;
    folder_begin(&d);
    folder_begin(&other);
    image_fixture_set(&other.f, d.f.bytes);
    assert_verdict(&other, IMAGE_STALE, "another folder");
    folder_end(&d);
    folder_end(&other);
}

static void who_may_write_it(void **state)
{
    (void)state;
    struct folder d;
    folder_begin(&d);
    d.f.stamp.mode = 0664;
    assert_verdict(&d, IMAGE_BAD, "more users may write it");
    d.f.stamp.mode = 0646;
    assert_verdict(&d, IMAGE_BAD, "more users may write it");
    d.f.stamp.mode = 0600;
    assert_verdict(&d, IMAGE_FRESH, NULL);
    put_mode(&d, "pointsman.cnf", 0664); /* another group may write than that of this */
    d.f.stamp.mode = 0664;
    assert_verdict(&d, IMAGE_FRESH, NULL);
    d.f.stamp.group += 1;
    assert_verdict(&d, IMAGE_BAD, "more users may write it");
    d.f.stamp.mode = 0644;
    assert_verdict(&d, IMAGE_FRESH, NULL);
    d.f.stamp.owner += 1;
    assert_verdict(&d, IMAGE_BAD, "somebody else");
    folder_end(&d);
}

static void another_program(void **state)
{
    (void)state;
    struct folder d;
    folder_begin(&d);
    char *bytes = malloc(d.f.bytes.len);
    assert_non_null(bytes);
    memcpy(bytes, d.f.bytes.ptr, d.f.bytes.len);
    bytes[offsetof(struct image_header, format)]++;
    image_fixture_set(&d.f, str_n(bytes, d.f.bytes.len));
    assert_verdict(&d, IMAGE_BAD, "another version");
    bytes[offsetof(struct image_header, format)]--;
    bytes[offsetof(struct image_header, program)]++;
    assert_verdict(&d, IMAGE_BAD, "another version");
    bytes[0] = 'X';
    assert_verdict(&d, IMAGE_BAD, "no image");
    image_fixture_set(&d.f, STR(""));
    assert_verdict(&d, IMAGE_BAD, "cut off");
    free(bytes);
    folder_end(&d);
}

/* Loads and says whether the image was used. */
static bool is_used(struct folder *d)
{
    struct snapshot *s = image_fixture_load(&d->f, str_from(d->path));
    assert_non_null(s);
    bool used = s->image.verdict == IMAGE_FRESH;
    snapshot_unref(&s);
    return used;
}

static void every_bit_and_length(void **state)
{
    (void)state;
    struct folder d;
    folder_begin(&d);
    str whole = d.f.bytes;
    char *bytes = malloc(whole.len + 1);
    assert_non_null(bytes);
    memcpy(bytes, whole.ptr, whole.len);
    for (size_t i = 0; i < whole.len; i++) {
        bytes[i] = (char)(bytes[i] ^ (1 << i % 8));
        image_fixture_set(&d.f, str_n(bytes, whole.len));
        if (is_used(&d)) {
            fail_msg("byte %zu of %zu may change", i, whole.len);
        }
        bytes[i] = whole.ptr[i];
    }
    for (size_t len = 0; len < whole.len; len += len < 512 ? 1 : 61) {
        image_fixture_set(&d.f, str_n(bytes, len));
        assert_false(is_used(&d));
    }
    bytes[whole.len] = '\0';
    image_fixture_set(&d.f, str_n(bytes, whole.len + 1));
    assert_false(is_used(&d));
    image_fixture_set(&d.f, str_n(bytes, whole.len));
    assert_true(is_used(&d));
    free(bytes);
    folder_end(&d);
}

/* A source that changes between reading it and making the image. */
static void changed_meanwhile(void **state)
{
    (void)state;
    struct folder d;
    folder_begin(&d);
    struct snapshot_request request = {.path = str_from(d.path)};
    struct image_pieces pieces;
    struct diags *diags;
    bool unreadable;
    str reason;
    struct snapshot *s = snapshot_load(&request, d.f.arena, &diags, &unreadable);
    put_file(&d, "more", "b.test  $U%$(kez)@tcp-out\n");
    assert_false(image_make(s, &loader_files, d.f.arena, &pieces, &reason));
    assert_non_null(strstr(reason.ptr, "'more' has changed"));
    snapshot_unref(&s);
    folder_end(&d);
}

static void paths(void **state)
{
    (void)state;
    struct arena *a = arena_new();
    assert_string_equal(image_path(a, STR("/etc/p/pointsman.cnf")).ptr,
                        "/etc/p/pointsman.image");
    assert_string_equal(image_path(a, STR("/etc/p.d/main")).ptr, "/etc/p.d/main.image");
    assert_string_equal(image_path(a, STR("/etc/.cnf")).ptr, "/etc/.cnf.image");
    arena_free(&a);
}

/* A seed of another format is refused at once: the fuzzer would see nothing behind it. */
static void seeds_of_the_fuzzer(void **state)
{
    static const char *const names[] = {"callouts", "controls", "include", "minimal",
                                        "services", "tags",     "pools"};
    (void)state;
    const char *top = getenv("top_srcdir");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[4096];
        struct image_header h;
        snprintf(path, sizeof path, "%s/test/fuzz/corpus/image/%s",
                 top != NULL ? top : ".", names[i]);
        FILE *in = fopen(path, "rb");
        assert_non_null(in);
        assert_int_equal(fread(&h, 1, sizeof h, in), sizeof h);
        fclose(in);
        if (h.order == IMAGE_ORDER && h.format != IMAGE_FORMAT) {
            fail_msg("%s: run test/fuzz/image-seeds.sh", path);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_configuration),
        cmocka_unit_test(fresh_and_stale),
        cmocka_unit_test(changed_within_a_tick),
        cmocka_unit_test(another_folder),
        cmocka_unit_test(who_may_write_it),
        cmocka_unit_test(another_program),
        cmocka_unit_test(every_bit_and_length),
        cmocka_unit_test(changed_meanwhile),
        cmocka_unit_test(paths),
        cmocka_unit_test(seeds_of_the_fuzzer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
