/* pools: job_controller.cnf into pools, and which of them each channel is in. Options
 * before the first head are defaults for every pool. What the sections of the other kinds
 * say is for programs that the original starts, and is told (PMDF 10.3). */
#include <string.h>

#include "base/vec.h"
#include "tables/compile.h"

enum { JOB_LIMIT_MAX = 1000000000, POOL_NAME_MAX = 64 };

enum section_kind { SECTION_DEFAULTS, SECTION_POOL, SECTION_OTHER, SECTION_UNKNOWN };

struct pools {
    struct compile *c;
    struct map *by_name; /* case-blind -> struct pool */
    VEC(struct pool *) in_order;
    const struct pool *usual; /* of channels that name none; NULL: there is none */
    struct span told;         /* a wrong name in `defaults` is told once */
};

static enum section_kind kind_of(const struct ast_section *s)
{
    if (s->name.ptr == NULL) {
        return SECTION_DEFAULTS;
    }
    if (s->value.len > 0 &&
        (str_ieq(s->name, STR("POOL")) || str_ieq(s->name, STR("QUEUE")))) {
        return SECTION_POOL;
    }
    if (s->value.len > 0 &&
        (str_ieq(s->name, STR("CHANNEL")) || str_ieq(s->name, STR("PERIODIC_JOB")))) {
        return SECTION_OTHER;
    }
    return SECTION_UNKNOWN;
}

static void read_limit(struct compile *c, const struct ast_option *o, unsigned *limit)
{
    uint64_t number;
    if (!str_number(o->value, JOB_LIMIT_MAX, &number) || number == 0) {
        diag_error(c->diags, o->value_at, "option-range",
                   "'JOB_LIMIT' needs a number from 1 to %d", JOB_LIMIT_MAX);
        return;
    }
    *limit = (unsigned)number;
}

/* Reads the limit into *limit, when it is good; false: the section says nothing of one.
 */
static bool read_options(struct pools *on, const struct ast_section *s,
                         enum section_kind kind, unsigned *limit)
{
    struct span limit_at = SPAN_NONE;
    for (const struct ast_option *o = s->options; o != NULL; o = o->next) {
        const struct option_row *row = compile_option(on->c, OPTION_JOBS, o);
        if (row == NULL || row->id != OPTION_JOBS_JOB_LIMIT) {
            continue;
        }
        if (kind == SECTION_OTHER) {
            diag_warning(
                on->c->diags, o->name_at, "no-effect",
                "'JOB_LIMIT' has no effect here: it is for pools; maxjobs limits "
                "a channel");
            continue;
        }
        compile_once(on->c, &limit_at, o);
        read_limit(on->c, o, limit);
    }
    return limit_at.source != 0;
}

/* A name must be one that `pool` can have without quotes. */
static bool name_ok(str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (!ascii_is_alnum(c) && memchr("_-.$", c, 4) == NULL) {
            return false;
        }
    }
    return name.len <= POOL_NAME_MAX;
}

/* A site's own file, included, changes what the shipped one says; so what stands behind
 * counts, and both places are told. */
static struct pool *pool_get(struct pools *on, const struct ast_section *s)
{
    struct compile *c = on->c;
    struct pool *made = arena_new_of(c->arena, struct pool);
    *made = (struct pool){.name = s->value, .span = s->at};
    struct pool *p = map_add(on->by_name, s->value, made);
    if (p == made) {
        *vec_add(c->arena, &on->in_order) = p;
        return p;
    }
    struct diag *d = diag_warning(
        c->diags, s->at, "duplicate-pool",
        "there is a pool '%.*s' already; what is said here counts", STR_ARG(s->value));
    diag_note(c->diags, d, p->span, "here");
    p->span = s->at;
    return p;
}

static void read_section(struct pools *on, const struct ast_section *s,
                         unsigned *usual_limit)
{
    struct compile *c = on->c;
    enum section_kind kind = kind_of(s);
    if (kind == SECTION_UNKNOWN) {
        if (s->name.len > 0) { /* else a fault that was reported */
            diag_error(c->diags, s->at, "unknown-section",
                       "sections of this file are written [POOL=name], [QUEUE=name], "
                       "[CHANNEL=name] or [PERIODIC_JOB=name]");
        }
        return;
    }
    if (kind != SECTION_POOL) {
        read_options(on, s, kind, usual_limit);
        return;
    }
    if (!name_ok(s->value)) {
        diag_error(
            c->diags, s->at, "pool-name",
            "the name of a pool has up to %d letters, digits, '_', '-', '.' and '$'",
            POOL_NAME_MAX);
        return;
    }
    struct pool *p = pool_get(on, s);
    unsigned limit = *usual_limit;
    bool given = read_options(on, s, kind, &limit);
    if (given || p->job_limit == 0) {
        p->job_limit = limit;
    }
    if (!given && p->job_limit == 0) {
        diag_warning(c->diags, s->at, "pool-without-limit",
                     "pool '%.*s' has no JOB_LIMIT, so it limits nothing",
                     STR_ARG(p->name));
    }
}

/* PMDF takes the queue DEFAULT for channels that name none, Oracle's the first pool. */
static const struct pool *usual_pool(const struct pools *on)
{
    const struct pool *named = map_get(on->by_name, STR("DEFAULT"));
    if (on->in_order.n == 0) {
        return NULL;
    }
    bool pmdf = on->c->s->options.dialect == DIALECT_PMDF;
    return pmdf && named != NULL ? named : on->in_order.at[0];
}

static void report_unknown(struct pools *on, const struct channel *ch)
{
    struct compile *c = on->c;
    struct span at = ch->opts.pool_at;
    str name = ch->opts.pool, best = nearest_key(on->by_name, name, &c->nearest);
    struct span word = channel_argument_span(c->diags, at, name);
    if (at.source == on->told.source && at.offset == on->told.offset) {
        return;
    }
    on->told = at;
    if (on->usual == NULL) {
        diag_warning(c->diags, word, "unknown-pool",
                     "there is no pool '%.*s', because job_controller.cnf defines none; "
                     "only maxjobs limits the channel",
                     STR_ARG(name));
        return;
    }
    diag_warning(
        c->diags, word, "unknown-pool",
        "there is no pool '%.*s' in job_controller.cnf%s%.*s%s; the channel is in "
        "'%.*s'",
        STR_ARG(name), best.len > 0 ? " (did you mean '" : "", STR_ARG(best),
        best.len > 0 ? "'?)" : "", STR_ARG(on->usual->name));
}

/* What a channel says of its pool is what it has then, so that it is shown so. */
static void resolve(struct pools *on, struct channel *ch)
{
    ch->pool = on->usual;
    if (ch->opts.pool.len == 0) {
        return;
    }
    const struct pool *named = map_get(on->by_name, ch->opts.pool);
    if (named == NULL) {
        report_unknown(on, ch);
    } else {
        ch->pool = named;
    }
    ch->opts.pool = ch->pool != NULL ? ch->pool->name : STR("");
}

void pools_compile(struct compile *c, const struct ast *ast)
{
    struct snapshot *s = c->s;
    struct pools on = {.c = c, .by_name = map_new(c->arena, MAP_NOCASE)};
    unsigned usual_limit = 0;
    const struct ast_section *section = ast != NULL ? ast->sections : NULL;
    for (; section != NULL; section = section->next) {
        read_section(&on, section, &usual_limit);
    }
    on.usual = usual_pool(&on);
    for (unsigned i = 0; i < s->channel_count; i++) {
        resolve(&on, s->channels[i]);
    }
    s->pools = on.in_order.at;
    s->pool_count = (unsigned)on.in_order.n;
}
