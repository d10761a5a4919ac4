/* image_read: from the bytes of an image to what a parse would have given. Nothing in the
 * bytes is trusted, also behind a digest that fits. The file is read, not mapped, so that
 * nobody can change it under us. */
#include "tables/image.h"
#include "tables/image_format.h"

enum { FIRST_READ = 64 << 10 };

static bool bad(struct image_status *status, const char *reason)
{
    status->verdict = IMAGE_BAD;
    status->reason = str_from(reason);
    return false;
}

static bool stale(struct image_status *status, str reason)
{
    status->verdict = IMAGE_STALE;
    status->reason = reason;
    return false;
}

/* ---- header and head ----------------------------------------------------------- */

static bool header_good(str file, struct image_header *h, struct image_status *status)
{
    if (file.len < sizeof *h) {
        return bad(status, "it is cut off");
    }
    memcpy(h, file.ptr, sizeof *h);
    if (memcmp(h->magic, IMAGE_MAGIC, sizeof h->magic) != 0) {
        return bad(status, "it is no image");
    }
    if (h->order != IMAGE_ORDER || h->format != IMAGE_FORMAT ||
        !digest_eq(h->program, image_program())) {
        return bad(status, "it was made by another version of the program");
    }
    if (h->head_size > IMAGE_HEAD_MAX) {
        return bad(status, "its header is damaged");
    }
    return true;
}

/* `file` is the beginning of the image, or all of it. */
static bool head_good(str file, const struct image_header *h, struct arena *a,
                      struct image_head *head, struct image_status *status)
{
    struct archive ar;
    if (file.len < sizeof *h || file.len - sizeof *h < h->head_size) {
        return bad(status, "it is cut off");
    }
    str text = str_sub(file, sizeof *h, h->head_size);
    if (!digest_eq(digest_of(text), h->head)) {
        return bad(status, "its header is damaged");
    }
    *head = (struct image_head){0};
    archive_read_from(&ar, text, a);
    image_head_archive(&ar, head);
    if (ar.failed || ar.in.len > 0) {
        return bad(status, "its header is damaged");
    }
    return true;
}

/* More people than may write the main file may not write the image. */
static bool owner_good(const struct loader *loader, const struct loader_stamp *image,
                       str main_file, struct image_status *status)
{
    struct loader_stamp main;
    if (!loader->stamp(loader, main_file, &main)) {
        return true; /* it will be missed as a source */
    }
    if (image->owner != 0 && image->owner != main.owner) {
        return bad(status, "it belongs to somebody else than the main file");
    }
    uint32_t more = image->mode & ~main.mode & 022;
    if (image->group != main.group) {
        more |= image->mode & 020;
    }
    if (more != 0) {
        return bad(status, "more users may write it than may write the main file");
    }
    return true;
}

static bool belongs_here(const struct image_head *head, str main_file,
                         struct image_status *status)
{
    return str_eq(head->main_file, main_file) ||
           stale(status, STR("it was made for another folder"));
}

/* ---- freshness ----------------------------------------------------------------- */

static bool source_fresh(const struct loader *loader, const struct image_source *s,
                         struct arena *a, str *why)
{
    struct loader_stamp now;
    str text, reason;
    if (!loader->stamp(loader, s->path, &now)) {
        *why = arena_printf(a, "'%.*s' is gone", STR_ARG(s->name));
        return false;
    }
    bool same = now.size == s->stamp.size;
    if (same && now.mtime_ns != s->stamp.mtime_ns) {
        struct arena *scratch = arena_new();
        same = loader->read(loader, scratch, s->path, &text, &reason) &&
               digest_eq(digest_of(text), s->digest);
        arena_free(&scratch);
    }
    if (!same) {
        *why = arena_printf(a, "'%.*s' has changed since", STR_ARG(s->name));
    }
    return same;
}

static bool has_source(const struct image_head *head, str name)
{
    for (uint32_t i = 0; i < head->source_count; i++) {
        if (str_eq(head->sources[i].name, name)) {
            return true;
        }
    }
    return false;
}

/* Is there an option file of a channel that the image does not have? */
static bool channel_files_fresh(const struct loader *loader,
                                const struct image_head *head, struct arena *a, str *why)
{
    str *names;
    size_t count;
    if (loader->list == NULL) {
        return true;
    }
    if (!input_channel_files(loader, a, head->directory, &names, &count)) {
        *why = STR("the folder cannot be searched for option files of channels");
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        str path =
            arena_printf(a, "%.*s/%.*s", STR_ARG(head->directory), STR_ARG(names[i]));
        if (!has_source(head, names[i]) && loader_kind_of(loader, path) == LOADER_FILE) {
            *why = arena_printf(a, "'%.*s' is new", STR_ARG(names[i]));
            return false;
        }
    }
    return true;
}

/* Has a source of the image changed? False; *why (in the arena) says which and how. */
static bool image_is_fresh(const struct loader *loader, const struct image_head *head,
                           struct arena *a, str *why)
{
    for (uint32_t i = 0; i < head->source_count; i++) {
        if (!source_fresh(loader, &head->sources[i], a, why)) {
            return false;
        }
    }
    for (uint32_t i = 0; i < head->absent_count; i++) {
        if (loader_kind_of(loader, head->absent[i]) != LOADER_NOTHING) {
            *why = arena_printf(a, "'%.*s' is new", STR_ARG(head->absent[i]));
            return false;
        }
    }
    for (unsigned i = 0; i < INPUT_FILES; i++) {
        const char *name = input_name((enum input_file)i);
        str path = arena_printf(a, "%.*s/%s", STR_ARG(head->directory), name);
        if ((head->missing & 1u << i) != 0 &&
            loader_kind_of(loader, path) != LOADER_NOTHING) {
            *why = arena_printf(a, "'%s' is new", name);
            return false;
        }
    }
    return channel_files_fresh(loader, head, a, why);
}

/* Is it whole by its size, ours, of this folder and not older than its sources? */
static bool image_usable(const struct loader *loader, str beginning,
                         const struct loader_stamp *stamp, str main_file, struct arena *a,
                         struct image_head *head, struct image_status *status)
{
    struct image_header h;
    str why;
    if (!header_good(beginning, &h, status)) {
        return false;
    }
    if (h.size != stamp->size) {
        return bad(status, h.size > stamp->size ? "it is cut off" : "it is too long");
    }
    if (!head_good(beginning, &h, a, head, status) ||
        !owner_good(loader, stamp, main_file, status) ||
        !belongs_here(head, main_file, status)) {
        return false;
    }
    return image_is_fresh(loader, head, a, &why) || stale(status, why);
}

/* Enough of the file for header and head. */
static bool read_beginning(const struct loader *loader, str path, struct arena *a,
                           str *out, struct image_status *status)
{
    struct image_header h;
    if (!loader->read_start(loader, a, path, FIRST_READ, out, &status->reason)) {
        status->verdict = IMAGE_BAD;
        return false;
    }
    if (!header_good(*out, &h, status)) {
        return false;
    }
    return sizeof h + h.head_size <= out->len ||
           loader->read_start(loader, a, path, sizeof h + h.head_size, out,
                              &status->reason);
}

void image_look(const struct loader *loader, str path, str main_file, struct arena *a,
                struct image_status *out)
{
    struct loader_stamp stamp;
    struct image_head head;
    str beginning;
    *out = (struct image_status){IMAGE_NONE, path, STR("")};
    if (loader->stamp == NULL || !loader->stamp(loader, path, &stamp)) {
        return;
    }
    if (read_beginning(loader, path, a, &beginning, out) &&
        image_usable(loader, beginning, &stamp, main_file, a, &head, out)) {
        out->verdict = IMAGE_FRESH;
    }
}

/* ---- contents ------------------------------------------------------------------ */

static bool part_slice(str file, struct image_part p, str *out)
{
    *out = str_sub(file, (size_t)p.at, (size_t)p.size);
    return p.at % IMAGE_ALIGN == 0 && p.at <= file.len && p.size <= file.len - p.at;
}

/* Elements of a size in a part; false when the part does not hold whole ones. */
static bool part_array(str file, struct image_part p, size_t element, const void **data,
                       uint32_t *count)
{
    str slice;
    bool good = part_slice(file, p, &slice) && slice.len % element == 0 &&
                slice.len / element <= UINT32_MAX;
    *data = slice.ptr;
    *count = good ? (uint32_t)(slice.len / element) : 0;
    return good;
}

static bool table_good(str file, const struct image_head *h, struct rule_table *t,
                       struct image_status *status)
{
    const void *rules, *templates, *ops, *slots, *strings;
    const char *reason = "its rewrite rules are damaged";
    bool good = part_array(file, h->rules, sizeof *t->rules, &rules, &t->rule_count) &&
                part_array(file, h->templates, sizeof *t->templates, &templates,
                           &t->template_count) &&
                part_array(file, h->ops, sizeof *t->ops, &ops, &t->op_count) &&
                part_array(file, h->slots, sizeof *t->slots, &slots, &t->slot_count) &&
                part_array(file, h->strings, 1, &strings, &t->strings_len);
    if (!good) {
        return bad(status, reason);
    }
    t->rules = rules;
    t->templates = templates;
    t->ops = ops;
    t->slots = slots;
    t->strings = strings;
    t->stars = h->stars;
    return rule_table_verify(t, h->source_count, &reason) || bad(status, reason);
}

static bool sources_good(struct compile *c, str file, const struct image_head *h,
                         struct image_status *status)
{
    for (uint32_t i = 0; i < h->source_count; i++) {
        const struct image_source *s = &h->sources[i];
        struct image_part part = {s->text_at, s->stamp.size + 1};
        str text;
        if (s->stamp.size > LOADER_BYTES_MAX || !part_slice(file, part, &text) ||
            text.ptr[text.len - 1] != '\0' || s->from.source > i) {
            return bad(status, "the text of a source is damaged");
        }
        text.len--;
        sources_add(c->s->sources, s->name, s->path, text, s->from);
    }
    return h->source_count > 0 || bad(status, "it has no sources");
}

static bool inputs_good(struct compile *c, str file, const struct image_head *h,
                        struct inputs *inputs, struct image_status *status)
{
    struct archive ar;
    str ast;
    *inputs = (struct inputs){0};
    if (!part_slice(file, h->ast, &ast)) {
        return bad(status, "its contents are damaged");
    }
    archive_read_from(&ar, ast, c->arena);
    inputs_archive(&ar, inputs);
    return !ar.failed || bad(status, "its contents are damaged");
}

static bool whole_good(str file, struct image_status *status)
{
    struct image_header h;
    memcpy(&h, file.ptr, sizeof h);
    str rest = str_from_pos(file, sizeof h);
    return digest_eq(digest_of(rest), h.whole) ||
           bad(status, "it is damaged: its digest does not fit");
}

bool image_read(struct compile *c, str path, struct inputs *inputs,
                struct rule_table *rules, struct image_status *status)
{
    const struct loader *loader = c->loader;
    struct loader_stamp stamp;
    struct image_head head;
    str file;
    *status = (struct image_status){IMAGE_NONE, path, STR("")};
    if (loader->stamp == NULL || !loader->stamp(loader, path, &stamp)) {
        return false;
    }
    if (!loader->read(loader, c->arena, path, &file, &status->reason)) {
        status->verdict = IMAGE_BAD;
        return false;
    }
    stamp.size = file.len;
    if (!image_usable(loader, file, &stamp, c->s->main_file, c->arena, &head, status) ||
        !whole_good(file, status) || !table_good(file, &head, rules, status) ||
        !inputs_good(c, file, &head, inputs, status) ||
        !sources_good(c, file, &head, status)) {
        return false;
    }
    c->s->rule_count = head.rules_written;
    status->verdict = IMAGE_FRESH;
    return true;
}
