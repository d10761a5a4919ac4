/* compile: drives the passes from files to snapshot. Every pass goes on after a fault,
 * so that one run finds them all; passes that need the result of another one look only
 * at what it could make. */
#include "tables/compile.h"

#include <arpa/inet.h>
#include <stdarg.h>

#include "tables/image.h"
#include "tables/image_format.h"
#include "tables/inputs.h"
#include "tables/report_texts.h"
#include "tables/retry.h"
#include "tables/rewrite.h"

enum { COMPILE_SUGGEST_DISTANCE = 3 };

void compile_restriction(struct compile *c, struct span at, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    str text = arena_vprintf(c->arena, fmt, ap);
    va_end(ap);
    if (c->allow_unhonoured) {
        diag_warning(c->diags, at, "unhonoured-restriction", "%.*s", STR_ARG(text));
    } else {
        diag_error(c->diags, at, "unhonoured-restriction",
                   "%.*s; remove it, or accept that with --allow-unhonoured",
                   STR_ARG(text));
    }
}

/* The file that has an option of that name; NULL: none has. */
static const char *file_of_option(str name)
{
    for (unsigned i = 0; i < OPTION_FILES; i++) {
        const struct option_row *row = option_find((enum option_file)i, name);
        if (row != NULL && !option_is_family(row)) {
            return option_file_name(row->file);
        }
    }
    return NULL;
}

/* An option nobody knows: whatever it was to do, it would not be done. */
static void unknown_option(struct compile *c, enum option_file file,
                           const struct ast_option *o)
{
    unsigned limit = o->name.len > 4 ? COMPILE_SUGGEST_DISTANCE : 1;
    const char *slug = file == OPTION_TLS ? "unknown-tls-option" : "unknown-option";
    const struct option_row *near = option_nearest(file, o->name, limit);
    const char *elsewhere = file_of_option(o->name);
    if (elsewhere != NULL) {
        diag_error(c->diags, o->name_at, slug,
                   "'%.*s' is no option of this file; it belongs into %s",
                   STR_ARG(o->name), elsewhere);
        return;
    }
    diag_error(c->diags, o->name_at, slug, "there is no option '%.*s'%s%s%s",
               STR_ARG(o->name), near != NULL ? "; did you mean '" : "",
               near != NULL ? near->name : "", near != NULL ? "'?" : "");
}

const struct option_row *compile_option(struct compile *c, enum option_file file,
                                        const struct ast_option *o)
{
    const struct option_row *row = option_find(file, o->name);
    if (row == NULL) {
        unknown_option(c, file, o);
        return NULL;
    }
    str name = option_is_family(row) ? o->name : str_from(row->name);
    switch (row->status) {
    case KEYWORD_HONOURED:
        return row;
    case KEYWORD_NO_EFFECT:
        diag_warning(c->diags, o->name_at, "no-effect", "'%.*s' has no effect here: %s",
                     STR_ARG(name), row->text);
        break;
    case KEYWORD_LATER:
        diag_warning(c->diags, o->name_at, "unhonoured-option",
                     "'%.*s' is not honoured yet: %s", STR_ARG(name), row->text);
        break;
    case KEYWORD_RESTRICTS:
        compile_restriction(c, o->name_at, "'%.*s' is not honoured yet: %s",
                            STR_ARG(name), row->text);
        break;
    }
    return NULL;
}

void compile_once(struct compile *c, struct span *seen, const struct ast_option *o)
{
    if (seen->source != 0) {
        struct diag *d = diag_error(c->diags, o->name_at, "repeated-option",
                                    "'%.*s' was given before", STR_ARG(o->name));
        diag_note(c->diags, d, *seen, "here");
    }
    *seen = span_join(o->name_at, o->value_at);
}

bool compile_ip(const struct compile *c, str text, str *canonical)
{
    unsigned char address[16];
    char printed[INET6_ADDRSTRLEN];
    if (text.len >= sizeof printed || (text.len > 0 && memchr(text.ptr, 0, text.len))) {
        return false;
    }
    const char *given = arena_str(c->arena, text).ptr;
    int family = str_find(text, ':') >= 0 ? AF_INET6 : AF_INET;
    if (inet_pton(family, given, address) != 1) {
        return false;
    }
    inet_ntop(family, address, printed, sizeof printed);
    *canonical = str_from(arena_strdup(c->arena, printed));
    return true;
}

/* rules: those of an image, or NULL: they are compiled here. */
static void run_passes(struct compile *c, const struct inputs *in,
                       const struct rule_table *rules)
{
    struct snapshot *s = c->s;
    s->inputs = in;
    s->rules = rules != NULL ? rules : rewrite_compile(s, in->main->rules, c->diags);
    channel_compile(c, in->main);
    tcp_options_compile(c, in);
    site_options_compile(c, in->beside[INPUT_OPTIONS]);
    retry_compile(c);
    services_compile(c, in->beside[INPUT_SERVICES]);
    pools_compile(c, in->beside[INPUT_JOBS]);
    local_domains_compile(c, in->beside[INPUT_LOCALDOMAINS]);
    mapping_compile(c, in->beside[INPUT_MAPPINGS]);
    tls_access_compile(c);
    tls_profiles_compile(c, in->beside[INPUT_TLS]);
    tls_client_compile(c);
    general_compile(c, in->beside[INPUT_GENERAL]);
    reverse_compile(c, in->beside[INPUT_REVERSE]);
    alias_compile(c, in);
    forward_compile(c, in->beside[INPUT_FORWARD]);
    report_texts_compile(c);
    if (s->channel_count > 0) {
        lint_snapshot(c, rules == NULL);
    }
}

/* An image that is there and not used: somebody believes it is. */
static void report_image(struct compile *c, const struct image_status *i)
{
    if (i->verdict == IMAGE_STALE) {
        diag_warning(c->diags, SPAN_NONE, "image-stale",
                     "the image '%.*s' is not used: %.*s; make it again with 'pointsman "
                     "compile'",
                     STR_ARG(i->path), STR_ARG(i->reason));
    } else if (i->verdict == IMAGE_BAD) {
        diag_warning(c->diags, SPAN_NONE, "image-bad",
                     "the image '%.*s' is not used: %.*s; delete it, or make it again "
                     "with 'pointsman compile'",
                     STR_ARG(i->path), STR_ARG(i->reason));
    }
}

/* From the image, if there is one to be used, or else from the sources. False: the main
 * file could not be read. */
static bool load(struct compile *c, bool use_image)
{
    struct snapshot *s = c->s;
    struct inputs *in = arena_new_of(c->arena, struct inputs);
    struct rule_table *rules = arena_new_of(c->arena, struct rule_table);
    if (use_image &&
        image_read(c, image_path(c->arena, s->main_file), in, rules, &s->image)) {
        run_passes(c, in, rules);
        return true;
    }
    report_image(c, &s->image);
    if (!inputs_parse(c, in)) {
        return false;
    }
    run_passes(c, in, NULL);
    return true;
}

static struct snapshot *snapshot_new(void)
{
    struct arena *a = arena_new();
    struct snapshot *s = arena_new_of(a, struct snapshot);
    atomic_init(&s->refs, 1);
    s->arena = a;
    s->sources = sources_new(a);
    s->channels_by_name = map_new(a, MAP_NOCASE);
    s->hosts = map_new(a, MAP_NOCASE);
    s->localdomains = map_new(a, MAP_NOCASE);
    s->general = map_new(a, MAP_NOCASE);
    s->reverse = map_new(a, MAP_NOCASE);
    s->mappings = map_new(a, MAP_NOCASE);
    s->aliases = map_new(a, MAP_NOCASE);
    s->forward = map_new(a, MAP_NOCASE);
    s->languages = map_new(a, MAP_NOCASE);
    return s;
}

static void drop_reference(void *arg)
{
    struct snapshot *s = arg;
    snapshot_unref(&s);
}

struct snapshot *snapshot_load(const struct snapshot_request *req,
                               struct arena *diag_arena, struct diags **diags,
                               bool *unreadable)
{
    struct snapshot *s = snapshot_new();
    struct compile c = {.loader = req->loader != NULL ? req->loader : &loader_files,
                        .allow_unhonoured = req->allow_unhonoured,
                        .s = s,
                        .arena = s->arena,
                        .mentioned = map_new(s->arena, MAP_NOCASE),
                        .diags = diags_new(diag_arena, s->sources)};
    /* The messages point into texts of the snapshot. */
    arena_defer(diag_arena, drop_reference, snapshot_ref(s));
    silence_request(&c, req);
    *diags = c.diags;
    *unreadable = !locate_main(&c, req->path) || !load(&c, req->use_image);
    if (diags_failed(c.diags, req->strict)) {
        snapshot_unref(&s);
    }
    return s;
}
