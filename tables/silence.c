/* silence: warnings that are not wanted, by slug. Errors are never silenced; naming one,
 * or a slug there is none of, is reported, because the wish would be without effect. */
#include <string.h>

#include "base/slugs.h"
#include "tables/compile.h"

/* Where the wish stands, for messages: `who` before them and the place. */
struct wish {
    const char *who;
    str list;
    struct span at; /* of list, if it is one piece of the file; else of all */
};

static struct span wish_span(const struct wish *w, str name)
{
    struct span at = w->at;
    if (w->list.len == at.length && name.len > 0) {
        at.offset += (uint32_t)(name.ptr - w->list.ptr);
        at.length = (uint32_t)name.len;
    }
    return at;
}

static void silence_one(struct compile *c, const struct wish *w, str name)
{
    const struct slug *slug = slug_find(name);
    const struct slug *near = slug == NULL ? slug_nearest(name) : NULL;
    if (slug == NULL) {
        diag_warning(c->diags, wish_span(w, name), "unknown-slug",
                     "%sno message has the slug '%.*s'%s%s%s", w->who, STR_ARG(name),
                     near != NULL ? "; did you mean '" : "",
                     near != NULL ? near->name : "", near != NULL ? "'?" : "");
    } else if (slug->severity == SLUG_ERROR) {
        diag_warning(c->diags, wish_span(w, name), "silenced-error",
                     "%s'%.*s' is always an error, and errors cannot be silenced", w->who,
                     STR_ARG(name));
    } else {
        diags_silence(c->diags, slug);
        *vec_add(c->arena, &c->s->silenced) = slug;
    }
}

static void silence_list(struct compile *c, const struct wish *w)
{
    str rest = w->list, name;
    while (str_split(&rest, ',', &name)) {
        name = str_trim(name);
        if (name.len > 0) {
            silence_one(c, w, name);
        }
    }
}

void silence_request(struct compile *c, const struct snapshot_request *req)
{
    for (unsigned i = 0; i < req->silence_count; i++) {
        struct wish w = {"--silence: ", str_from(req->silence[i]), SPAN_NONE};
        silence_list(c, &w);
    }
}

void silence_option(struct compile *c, const struct ast_option *o)
{
    struct wish w = {"", o->value, o->value_at};
    silence_list(c, &w);
}

void snapshot_silence(const struct snapshot *s, struct diags *d)
{
    for (size_t i = 0; i < s->silenced.n; i++) {
        diags_silence(d, s->silenced.at[i]);
    }
}

bool snapshot_silences(const struct snapshot *s, const char *slug)
{
    for (size_t i = 0; i < s->silenced.n; i++) {
        if (strcmp(s->silenced.at[i]->name, slug) == 0) {
            return true;
        }
    }
    return false;
}
