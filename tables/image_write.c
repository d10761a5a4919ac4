/* image_write: the pieces of an image, from a snapshot. */
#include "base/vec.h"
#include "tables/image.h"
#include "tables/image_format.h"

enum { ARCHIVE_MAX = 1 << 30 };

struct making {
    const struct snapshot *s;
    const struct loader *loader;
    struct arena *arena;
    struct image_head head;
    VEC(struct image_piece) pieces;
    uint64_t size;
};

static const char zeros[IMAGE_ALIGN];

/* Appends a piece, and what brings the next one to its place. */
static struct image_part piece_add(struct making *m, const void *data, uint64_t size)
{
    struct image_part part = {m->size, size};
    uint64_t padding = (IMAGE_ALIGN - size % IMAGE_ALIGN) % IMAGE_ALIGN;
    if (size > 0) {
        *vec_add(m->arena, &m->pieces) = (struct image_piece){data, size};
    }
    if (padding > 0) {
        *vec_add(m->arena, &m->pieces) = (struct image_piece){zeros, padding};
    }
    m->size += size + padding;
    return part;
}

/* The text in memory and the file must be the same now: first its stamp is taken, then it
 * is read, so that a later change has another stamp; where that is not certain, the time
 * is noted as none, and it is always the digest that decides. */
static bool source_stamp(struct making *m, const struct source *s,
                         struct image_source *out, str *reason)
{
    struct arena *scratch = arena_new();
    str text, why = STR("");
    bool good = m->loader->stamp != NULL &&
                m->loader->stamp(m->loader, s->path, &out->stamp) &&
                m->loader->read(m->loader, scratch, s->path, &text, &why) &&
                str_eq(text, s->text);
    arena_free(&scratch);
    if (good && out->stamp.young) {
        out->stamp.mtime_ns = IMAGE_TIME_NONE;
    }
    if (!good) {
        *reason = arena_printf(m->arena, "'%.*s' has changed while it was being read",
                               STR_ARG(s->name));
    }
    return good;
}

static bool head_sources(struct making *m, str *reason)
{
    struct image_head *h = &m->head;
    h->source_count = sources_count(m->s->sources);
    h->sources = arena_array(m->arena, struct image_source, h->source_count);
    for (uint32_t i = 0; i < h->source_count; i++) {
        const struct source *s = sources_get(m->s->sources, i + 1);
        struct image_source *out = &h->sources[i];
        *out = (struct image_source){.name = s->name, .path = s->path, .from = s->from};
        if (!source_stamp(m, s, out, reason)) {
            return false;
        }
        out->digest = digest_of(s->text);
    }
    return true;
}

/* List files that are not there: the image is stale once they are. */
static void head_absent(struct making *m)
{
    VEC(str) absent = {0};
    for (const struct input_list *l = m->s->inputs->lists; l != NULL; l = l->next) {
        if (l->ast == NULL && loader_kind_of(m->loader, l->path) == LOADER_NOTHING) {
            *vec_add(m->arena, &absent) = l->path;
        }
    }
    m->head.absent = absent.at;
    m->head.absent_count = (uint32_t)absent.n;
}

static str archived(struct making *m, void (*write)(struct archive *, void *), void *what)
{
    struct archive ar;
    struct buf out;
    buf_init(&out, ARCHIVE_MAX);
    archive_write_to(&ar, &out);
    write(&ar, what);
    str copy = ar.failed ? STR_NONE : arena_str(m->arena, buf_slice(&out));
    buf_free(&out);
    return copy;
}

static void write_head(struct archive *ar, void *head)
{
    image_head_archive(ar, head);
}

static void write_inputs(struct archive *ar, void *inputs)
{
    inputs_archive(ar, inputs);
}

/* Everything behind the head: its place depends on the size of the head, which does not
 * depend on what the numbers in it are. */
static void add_parts(struct making *m, str ast)
{
    const struct rule_table *t = m->s->rules;
    struct image_head *h = &m->head;
    for (uint32_t i = 0; i < h->source_count; i++) {
        str text = sources_get(m->s->sources, i + 1)->text;
        h->sources[i].text_at = piece_add(m, text.ptr, text.len + 1).at;
    }
    h->ast = piece_add(m, ast.ptr, ast.len);
    h->rules = piece_add(m, t->rules, t->rule_count * sizeof *t->rules);
    h->templates = piece_add(m, t->templates, t->template_count * sizeof *t->templates);
    h->ops = piece_add(m, t->ops, t->op_count * sizeof *t->ops);
    h->slots = piece_add(m, t->slots, t->slot_count * sizeof *t->slots);
    h->strings = piece_add(m, t->strings, t->strings_len);
}

static struct digest digest_pieces(const struct making *m)
{
    struct digest_state *d = digest_begin();
    for (size_t i = 1; i < m->pieces.n; i++) { /* not of the header */
        digest_add(d, m->pieces.at[i].data, m->pieces.at[i].size);
    }
    return digest_end(&d);
}

static void fill_head(struct making *m)
{
    const struct snapshot *s = m->s;
    m->head = (struct image_head){.directory = s->directory,
                                  .main_file = s->main_file,
                                  .main_name = sources_get(s->sources, 1)->name,
                                  .rules_written = s->rule_count,
                                  .stars = s->rules->stars};
    for (unsigned i = 0; i < INPUT_FILES; i++) {
        m->head.missing |= s->inputs->beside[i] == NULL ? 1u << i : 0;
    }
}

bool image_make(const struct snapshot *s, const struct loader *loader, struct arena *a,
                struct image_pieces *out, str *reason)
{
    struct making m = {.s = s, .loader = loader, .arena = a};
    struct image_header *header = arena_new_of(a, struct image_header);
    fill_head(&m);
    head_absent(&m);
    if (!head_sources(&m, reason)) {
        return false;
    }
    str ast = archived(&m, write_inputs, (struct inputs *)s->inputs);
    str head = archived(&m, write_head, &m.head);
    if (ast.ptr == NULL || head.ptr == NULL || head.len > IMAGE_HEAD_MAX) {
        *reason = STR("the configuration is too large for an image");
        return false;
    }
    piece_add(&m, header, sizeof *header);
    size_t head_piece = m.pieces.n;
    piece_add(&m, head.ptr, head.len);
    add_parts(&m, ast);
    head = archived(&m, write_head, &m.head); /* now with the places */
    m.pieces.at[head_piece].data = head.ptr;
    *header = (struct image_header){.format = IMAGE_FORMAT,
                                    .order = IMAGE_ORDER,
                                    .program = image_program(),
                                    .size = m.size,
                                    .head_size = head.len,
                                    .head = digest_of(head),
                                    .whole = digest_pieces(&m)};
    memcpy(header->magic, IMAGE_MAGIC, sizeof header->magic);
    *out = (struct image_pieces){m.pieces.at, m.pieces.n, m.size};
    return true;
}
