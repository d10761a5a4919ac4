/* tls_profile: tls.cnf into profiles, inheritance resolved, and the profile of every
 * channel; PMDF's own file names where nothing else is said. What a single line may hold
 * is in tls_values.c. */
#include "tables/tls_profile.h"

#include "base/vec.h"
#include "tables/tls_access.h"
#include "tables/tls_client_policy.h"
#include "tables/tls_compile.h"

struct reading {
    struct compile *c;
    struct map *by_name; /* case-blind -> struct tls_draft */
    struct tls_draft *first, **end;
    VEC(const struct tls_profile *) profiles;
};

static struct tls_draft *add_draft(struct reading *on, str name, struct span at)
{
    struct tls_draft *d = arena_new_of(on->c->arena, struct tls_draft);
    d->profile = arena_new_of(on->c->arena, struct tls_profile);
    d->profile->name = name;
    d->profile->at = at;
    d->profile->index = (unsigned)on->profiles.n;
    *vec_add(on->c->arena, &on->profiles) = d->profile;
    *on->end = d;
    on->end = &d->next;
    map_add(on->by_name, name, d);
    return d;
}

/* The draft of a section that has not been there before; NULL: reported. */
static struct tls_draft *draft_of(struct reading *on, const struct ast_section *s)
{
    struct compile *c = on->c;
    if (s->value.ptr != NULL || s->name.len == 0) {
        diag_error(c->diags, s->at, "tls-section",
                   "a section of this file is [*] or [NAME], where NAME is for keyword "
                   "tlsprofile");
        return NULL;
    }
    struct tls_draft *d = map_get(on->by_name, s->name);
    if (d == NULL) {
        return add_draft(on, s->name, s->at);
    }
    if (d->profile->at.source == 0) { /* [*], which is there in any case */
        d->profile->at = s->at;
        return d;
    }
    struct diag *m = diag_error(c->diags, s->at, "tls-section",
                                "section '%.*s' is given twice", STR_ARG(s->name));
    diag_note(c->diags, m, d->profile->at, "here it was given first");
    return NULL;
}

static void read_section(struct reading *on, const struct ast_section *s)
{
    struct compile *c = on->c;
    if (s->name.ptr == NULL && s->options == NULL) {
        return; /* what stands above the first head */
    }
    if (s->name.ptr == NULL) {
        diag_error(c->diags, s->options->name_at, "tls-no-profile",
                   "options of this file belong to a profile; write [*] above them");
        return;
    }
    if (s->name.len == 0 && s->at.source == 0) {
        return; /* a line that could not be read; reported */
    }
    struct tls_draft *d = draft_of(on, s);
    for (const struct ast_option *o = s->options; o != NULL && d != NULL; o = o->next) {
        const struct option_row *row = compile_option(c, OPTION_TLS, o);
        if (row != NULL) {
            tls_value_read(c, d, o, row);
        }
    }
}

/* PMDF's own names; the pair is taken when either is there, so that one that is
 * missing is told and not passed over. */
static void use_pmdf_names(struct compile *c, struct tls_draft *all)
{
    static const struct {
        enum tls_option option;
        const char *name;
    } names[] = {{TLS_OPTION_server_cert, "server-pub.pem"},
                 {TLS_OPTION_server_key, "server-priv.pem"}};
    bool any = false;
    for (int i = 0; i < 2; i++) {
        any = any ||
              loader_kind_of(c->loader, locate_beside(c, names[i].name)) == LOADER_FILE;
    }
    for (int i = 0; i < 2 && any; i++) {
        struct tls_item *item = arena_new_of(c->arena, struct tls_item);
        item->text = locate_beside(c, names[i].name);
        all->profile->settings[names[i].option].items = item;
    }
}

/* --- inheritance --- */

static void find_parent(struct reading *on, struct tls_draft *d)
{
    struct compile *c = on->c;
    d->parent = map_get(on->by_name, d->inherit.len > 0 ? d->inherit : STR("*"));
    if (d->parent == NULL) {
        str best = nearest_key(on->by_name, d->inherit, &c->nearest);
        diag_error(c->diags, d->inherit_at, "tls-unknown-profile",
                   "there is no section '%.*s' in tls.cnf%s%.*s%s", STR_ARG(d->inherit),
                   best.len > 0 ? "; did you mean '" : "", STR_ARG(best),
                   best.len > 0 ? "'?" : "");
    }
}

static void flatten(struct reading *on, struct tls_draft *d)
{
    struct tls_profile *p = d->profile;
    if (d->parent != NULL) {
        memcpy(p->settings, d->parent->profile->settings, sizeof p->settings);
        p->parent = d->parent->profile;
    }
    tls_settings_over(p->settings, d->own);
    tls_profile_derive(on->c, p);
    d->state = TLS_DRAFT_DONE;
}

/* Flattens what a section inherits from, then itself. */
static void resolve(struct reading *on, struct tls_draft *d)
{
    struct tls_draft *path = NULL, *at = d;
    while (at != NULL && at->state == TLS_DRAFT_NEW) {
        at->state = TLS_DRAFT_OPEN;
        at->below = path;
        path = at;
        at = at->parent;
    }
    if (at != NULL && at->state == TLS_DRAFT_OPEN) {
        struct tls_draft *last = path;
        diag_error(on->c->diags, last->inherit_at, "tls-inherit",
                   "section '%.*s' would inherit from itself here",
                   STR_ARG(at->profile->name));
        last->parent = NULL;
    }
    for (; path != NULL; path = path->below) {
        flatten(on, path);
    }
}

/* A key in a section needs a certificate there. */
static void check_keys(struct compile *c, const struct tls_draft *d, enum tls_option cert,
                       enum tls_option key)
{
    const struct tls_setting *k = &d->own[key];
    if (k->items != NULL && d->own[cert].items == NULL && (d->refused >> cert & 1) == 0) {
        diag_error(c->diags, k->at, "key-without-certificate", "%s is set, but %s is not",
                   tls_option_name(key), tls_option_name(cert));
    }
}

/* --- the channels --- */

static struct tls_profile *channel_profile(struct reading *on, const struct channel *ch,
                                           struct span *wrong)
{
    struct compile *c = on->c;
    struct span at = ch->opts.tlsprofile_at;
    str name = ch->opts.tlsprofile;
    const struct tls_draft *d = at.source != 0 ? map_get(on->by_name, name) : on->first;
    if (d != NULL) {
        return d->profile;
    }
    if (at.source != wrong->source || at.offset != wrong->offset) { /* `defaults`: once */
        str best = nearest_key(on->by_name, name, &c->nearest);
        struct span word = channel_argument_span(c->diags, at, name);
        diag_error(c->diags, word, "tls-unknown-profile",
                   "there is no section '%.*s' in tls.cnf%s%.*s%s", STR_ARG(name),
                   best.len > 0 ? "; did you mean '" : "", STR_ARG(best),
                   best.len > 0 ? "'?" : "");
        *wrong = at;
    }
    return on->first->profile;
}

/* Where an entry names nobody, whoever has a certificate of the CAs is in. */
static void note_named_peers(struct reading *on)
{
    const struct snapshot *s = on->c->s;
    bool any = false;
    for (unsigned i = 0; i < s->channel_count; i++) {
        any = any || tls_access_names_peers(s, s->channels[i]);
    }
    for (struct tls_draft *d = on->first; any && d != NULL; d = d->next) {
        d->profile->peers_named = true;
        for (unsigned i = 0; i < s->channel_count; i++) {
            const struct tls_policy *t = &s->channels[i]->tls_server;
            if (t->peer != TLS_PEER_NO && t->profile == d->profile &&
                !tls_access_names_peers(s, s->channels[i])) {
                d->profile->peers_named = false;
            }
        }
    }
}

static void set_policies(struct reading *on)
{
    struct span wrong = SPAN_NONE;
    for (unsigned i = 0; i < on->c->s->channel_count; i++) {
        struct channel *ch = on->c->s->channels[i];
        struct tls_profile *p = channel_profile(on, ch, &wrong);
        tls_policy_server(&ch->tls_server, &ch->opts, p);
        tls_policy_client(&ch->tls_client, &ch->opts, p);
        if (ch->tls_peer_switch != NULL) {
            p->peer_switch_at = ch->opts.tlspeerswitchchannel_at;
        }
        enum tls_verify verify = ch->tls_client.verify;
        if (verify != TLS_VERIFY_NO && verify != TLS_VERIFY_FP) {
            p->verifies = true;
        }
    }
}

void tls_profiles_compile(struct compile *c, const struct ast *ast)
{
    struct reading on = {.c = c, .by_name = map_new(c->arena, MAP_NOCASE)};
    on.end = &on.first;
    struct tls_draft *all = add_draft(&on, STR("*"), SPAN_NONE);
    for (const struct ast_section *s = ast != NULL ? ast->sections : NULL; s;
         s = s->next) {
        read_section(&on, s);
    }
    if (all->own[TLS_OPTION_server_cert].at.source == 0 &&
        all->own[TLS_OPTION_server_key].at.source == 0) {
        use_pmdf_names(c, all);
    }
    for (struct tls_draft *d = all->next; d != NULL; d = d->next) {
        find_parent(&on, d);
    }
    for (struct tls_draft *d = all; d != NULL; d = d->next) {
        resolve(&on, d);
    }
    for (const struct tls_draft *d = all; d != NULL; d = d->next) {
        check_keys(c, d, TLS_OPTION_server_cert, TLS_OPTION_server_key);
        check_keys(c, d, TLS_OPTION_client_cert, TLS_OPTION_client_key);
    }
    c->s->tls_profiles = on.profiles.at;
    c->s->tls_profile_count = (unsigned)on.profiles.n;
    set_policies(&on);
    note_named_peers(&on);
    /* what a table says of a next hop is known when mail goes there */
    for (struct tls_draft *d = all; mapping_find(c->s, STR(TLS_CLIENT_POLICY)) && d;
         d = d->next) {
        d->profile->verifies = true;
    }
}
