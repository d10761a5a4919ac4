/* Fuzzes the loading of compiled images. The input is an image; its digests are made to
 * fit and its sources to be as it says, so that what is read behind them is reached. When
 * it loads, addresses are routed by it. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/check.h"
#include "tables/image.h"
#include "tables/image_format.h"
#include "tables/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz_loader {
    struct loader loader; /* first, so that the functions find the rest */
    str image, path, main_file;
    const struct image_head *head;
};

static const struct fuzz_loader *loader_of(const struct loader *l)
{
    return (const struct fuzz_loader *)(const void *)l;
}

static bool fuzz_read(const struct loader *l, struct arena *a, str path, str *text,
                      str *reason)
{
    *reason = STR("there is nothing else");
    if (!str_eq(path, loader_of(l)->path)) {
        return false;
    }
    *text = arena_str(a, loader_of(l)->image);
    return true;
}

static enum loader_kind fuzz_kind(const struct loader *l, str path)
{
    bool there =
        str_eq(path, loader_of(l)->path) || str_eq(path, loader_of(l)->main_file);
    return there ? LOADER_FILE : LOADER_NOTHING;
}

/* The sources are as the image says. */
static bool fuzz_stamp(const struct loader *l, str path, struct loader_stamp *out)
{
    const struct fuzz_loader *f = loader_of(l);
    *out = (struct loader_stamp){.size = f->image.len, .mode = 0644};
    if (str_eq(path, f->path)) {
        return true;
    }
    for (uint32_t i = 0; i < f->head->source_count; i++) {
        if (str_eq(path, f->head->sources[i].path)) {
            out->size = f->head->sources[i].stamp.size;
            out->mtime_ns = f->head->sources[i].stamp.mtime_ns;
            return true;
        }
    }
    return false;
}

/* Makes header and digests fit the rest, and reads the head. False when there is none. */
static bool repair(struct arena *a, str bytes, str *image, struct image_head *head)
{
    struct image_header h;
    struct archive ar;
    if (bytes.len < sizeof h) {
        return false;
    }
    *image = arena_str(a, bytes);
    char *at = (char *)image->ptr;
    memcpy(&h, at, sizeof h);
    size_t rest = bytes.len - sizeof h;
    memcpy(h.magic, IMAGE_MAGIC, sizeof h.magic);
    h.format = IMAGE_FORMAT;
    h.order = IMAGE_ORDER;
    h.program = image_program();
    h.size = bytes.len;
    h.head_size = h.head_size > rest ? rest : h.head_size;
    str text = str_sub(*image, sizeof h, h.head_size);
    h.head = digest_of(text);
    h.whole = digest_of(str_from_pos(*image, sizeof h));
    memcpy(at, &h, sizeof h);
    *head = (struct image_head){0};
    archive_read_from(&ar, text, a);
    image_head_archive(&ar, head);
    return !ar.failed && str_starts(head->main_file, STR("/")) &&
           memchr(head->main_file.ptr, '\0', head->main_file.len) == NULL;
}

static void ask(const struct snapshot *s, struct arena *a)
{
    static const char *const addresses[] = {"ann@a.test",         "u@x.b.test",
                                            "@hop.test:u@c.test", "u%a.test@here.test",
                                            "u@[10.1.2.3]",       "u+s@db.host.test"};
    for (size_t i = 0; i < sizeof addresses / sizeof *addresses; i++) {
        for (int way = 0; way < 4; way++) {
            struct rewrite_context ctx = {s->channels[s->channel_count - 1],
                                          way & 1 ? ROUTE_FORWARD : ROUTE_BACKWARD,
                                          way & 2 ? ROUTE_ENVELOPE : ROUTE_HEADER, NULL};
            struct address addr;
            struct route r;
            check(address_parse(str_from(addresses[i]), &addr) == NULL);
            route_rewrite(s, &ctx, &addr, true, a, &r);
            snapshot_where(a, s, r.rule);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_new();
    struct image_head head;
    struct diags *diags;
    bool unreadable;
    str image;
    if (repair(a, str_n((const char *)data, size), &image, &head)) {
        struct fuzz_loader l = {
            .loader = {.read = fuzz_read, .kind = fuzz_kind, .stamp = fuzz_stamp},
            .image = image,
            .path = image_path(a, head.main_file),
            .main_file = head.main_file,
            .head = &head};
        struct snapshot_request request = {.path = head.main_file,
                                           .loader = &l.loader,
                                           .allow_unhonoured = true,
                                           .use_image = true};
        struct snapshot *s = snapshot_load(&request, a, &diags, &unreadable);
        if (s != NULL) {
            ask(s, a);
            snapshot_unref(&s);
        }
    }
    arena_free(&a);
    return 0;
}
