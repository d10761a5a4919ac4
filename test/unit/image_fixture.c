/* image_fixture: see the header. */
#include "test/unit/image_fixture.h"

static const struct image_fixture *fixture_of(const struct loader *l)
{
    return (const struct image_fixture *)(const void *)l;
}

static bool image_of(const struct loader *l, str path)
{
    return str_eq(fixture_of(l)->path, path);
}

static bool fixture_read(const struct loader *l, struct arena *a, str path, str *text,
                         str *reason)
{
    if (image_of(l, path)) {
        *text = arena_str(a, fixture_of(l)->bytes);
        return true;
    }
    const struct loader *below = fixture_of(l)->below;
    return below->read(below, a, path, text, reason);
}

static bool fixture_read_start(const struct loader *l, struct arena *a, str path,
                               size_t max, str *text, str *reason)
{
    bool good = fixture_read(l, a, path, text, reason);
    *text = str_sub(*text, 0, max);
    return good;
}

static enum loader_kind fixture_kind(const struct loader *l, str path)
{
    return image_of(l, path) ? LOADER_FILE : loader_kind_of(fixture_of(l)->below, path);
}

static bool fixture_stamp(const struct loader *l, str path, struct loader_stamp *out)
{
    const struct image_fixture *f = fixture_of(l);
    *out = f->stamp;
    out->size = f->bytes.len;
    return image_of(l, path) || f->below->stamp(f->below, path, out);
}

static bool fixture_list(const struct loader *l, struct arena *a, str folder, str ending,
                         str **names, size_t *count)
{
    const struct loader *below = fixture_of(l)->below;
    return loader_list(below, a, folder, ending, names, count);
}

bool image_fixture_make(struct image_fixture *f, const struct loader *below, str path)
{
    struct snapshot_request request = {
        .path = path, .loader = below, .allow_unhonoured = true};
    struct image_pieces pieces;
    struct diags *diags;
    bool unreadable, made = false;
    str reason;
    *f = (struct image_fixture){.loader = {.read = fixture_read,
                                           .read_start = fixture_read_start,
                                           .kind = fixture_kind,
                                           .stamp = fixture_stamp,
                                           .list = fixture_list},
                                .below = below,
                                .arena = arena_new()};
    struct snapshot *s = snapshot_load(&request, f->arena, &diags, &unreadable);
    if (s != NULL) {
        f->path = image_path(f->arena, s->main_file);
        made = below->stamp(below, s->main_file, &f->stamp) &&
               image_make(s, below, f->arena, &pieces, &reason);
    }
    if (made) {
        char *at = arena_bytes(f->arena, pieces.size);
        f->bytes = str_n(at, pieces.size);
        for (size_t i = 0; i < pieces.count; i++) {
            memcpy(at, pieces.at[i].data, pieces.at[i].size);
            at += pieces.at[i].size;
        }
    }
    snapshot_unref(&s);
    return made;
}

void image_fixture_set(struct image_fixture *f, str bytes)
{
    f->bytes = bytes;
}

void image_fixture_free(struct image_fixture *f)
{
    arena_free(&f->arena);
}

struct snapshot *image_fixture_load(struct image_fixture *f, str path)
{
    struct snapshot_request request = {
        .path = path, .loader = &f->loader, .allow_unhonoured = true, .use_image = true};
    struct diags *diags;
    bool unreadable;
    struct arena *a = arena_new();
    struct snapshot *s = snapshot_load(&request, a, &diags, &unreadable);
    arena_free(&a);
    return s;
}
