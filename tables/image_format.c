/* image_format: what writing and reading an image have in common. */
#include "config.h"

#include "tables/image_format.h"

#include "parser/ast_archive.h"
#include "parser/options.h"
#include "tables/image.h"
#include "tables/template_ops.h"

enum { SOURCES_MAX = 1 << 20 };

const char IMAGE_MAGIC[8] = "PMIMAGE";

str image_path(struct arena *a, str main_file)
{
    ptrdiff_t slash = str_rfind(main_file, '/'), dot = str_rfind(main_file, '.');
    str stem = dot > slash + 1 ? str_sub(main_file, 0, (size_t)dot) : main_file;
    return arena_printf(a, "%.*s.image", STR_ARG(stem));
}

static void add_text(struct digest_state *d, const char *text)
{
    digest_add(d, text, strlen(text) + 1);
}

static void add_number(struct digest_state *d, uint64_t number)
{
    digest_add(d, &number, sizeof number);
}

/* Rows that are added, and layouts that change, make it another program. */
struct digest image_program(void)
{
    static const uint64_t layout[] = {sizeof(struct image_header),
                                      sizeof(struct rule_record),
                                      sizeof(struct rule_slot),
                                      sizeof(struct template_record),
                                      sizeof(struct template_op),
                                      OP_KINDS,
                                      PATTERN_KINDS,
                                      TEMPLATE_FORMS,
                                      TEMPLATE_TRAITS,
                                      INPUT_FILES};
    struct digest_state *d = digest_begin();
    const struct keyword *k;
    const struct option_row *o;
    add_text(d, PACKAGE_VERSION);
    for (size_t i = 0; i < sizeof layout / sizeof layout[0]; i++) {
        add_number(d, layout[i]);
    }
    for (size_t i = 0; (k = keyword_at(i)) != NULL; i++) {
        add_text(d, k->name);
        add_number(d, k->args);
    }
    for (size_t i = 0; (o = option_at(i)) != NULL; i++) {
        add_text(d, o->name);
    }
    return digest_end(&d);
}

static void digest_archive(struct archive *ar, struct digest *d)
{
    archive_u64(ar, &d->low);
    archive_u64(ar, &d->high);
}

static void source_archive(struct archive *ar, struct image_source *s)
{
    archive_str(ar, &s->name);
    archive_str(ar, &s->path);
    archive_span(ar, &s->from);
    archive_u64(ar, &s->stamp.size);
    archive_i64(ar, &s->stamp.mtime_ns);
    digest_archive(ar, &s->digest);
    archive_u64(ar, &s->text_at);
}

static void part_archive(struct archive *ar, struct image_part *p)
{
    archive_u64(ar, &p->at);
    archive_u64(ar, &p->size);
}

static void absent_archive(struct archive *ar, struct image_head *head)
{
    archive_choice(ar, SOURCES_MAX, &head->absent_count);
    if (archive_reading(ar)) {
        ar->failed = ar->failed || head->absent_count > ar->in.len;
        head->absent_count = ar->failed ? 0 : head->absent_count;
        head->absent = arena_array(ar->arena, str, head->absent_count);
    }
    for (uint32_t i = 0; i < head->absent_count; i++) {
        archive_str(ar, &head->absent[i]);
    }
}

static void lists_archive(struct archive *ar, struct input_list **first)
{
    struct input_list *l;
    for (; (l = *first = archive_node(ar, *first, sizeof *l)) != NULL; first = &l->next) {
        archive_str(ar, &l->path);
        archive_str(ar, &l->reason);
        ast_archive(ar, &l->ast);
    }
}

void image_head_archive(struct archive *ar, struct image_head *head)
{
    archive_str(ar, &head->directory);
    archive_str(ar, &head->main_file);
    archive_str(ar, &head->main_name);
    archive_u32(ar, &head->missing);
    archive_u32(ar, &head->rules_written);
    archive_u32(ar, &head->stars);
    absent_archive(ar, head);
    archive_choice(ar, SOURCES_MAX, &head->source_count);
    if (archive_reading(ar)) {
        /* a source takes more bytes than one: what cannot be there is not allocated */
        ar->failed = ar->failed || head->source_count > ar->in.len;
        head->source_count = ar->failed ? 0 : head->source_count;
        head->sources = arena_array(ar->arena, struct image_source, head->source_count);
    }
    for (uint32_t i = 0; i < head->source_count; i++) {
        source_archive(ar, &head->sources[i]);
    }
    struct image_part *const parts[] = {&head->ast, &head->rules, &head->templates,
                                        &head->ops, &head->slots, &head->strings};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        part_archive(ar, parts[i]);
    }
}

void inputs_archive(struct archive *ar, struct inputs *inputs)
{
    ast_archive(ar, &inputs->main);
    for (unsigned i = 0; i < INPUT_FILES; i++) {
        ast_archive(ar, &inputs->beside[i]);
    }
    for (struct input_channel **at = &inputs->channels, *in;
         (in = *at = archive_node(ar, *at, sizeof **at)) != NULL; at = &in->next) {
        archive_str(ar, &in->file);
        ast_archive(ar, &in->ast);
        ar->failed = ar->failed || in->ast == NULL ||
                     in->file.len <= STR(INPUT_CHANNEL_ENDING).len;
    }
    lists_archive(ar, &inputs->lists);
    ar->failed = ar->failed || inputs->main == NULL;
}
