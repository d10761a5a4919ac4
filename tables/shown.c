/* shown: addresses on their way out. */
#include "tables/shown.h"

#include "tables/hostspec.h"

/* --- the name of this system --- */

/* A host of the address under the name this system has on the channel. */
static str host_shown(const struct snapshot *s, const struct channel *c, str host)
{
    return str_ieq(host, s->local_host) ? channel_local_name(s, c) : host;
}

static str route_shown(const struct snapshot *s, const struct channel *c, str route,
                       struct arena *a)
{
    str out = STR("");
    while (route.len > 0) {
        str host, rest;
        hostspec_route_first(route, &host, &rest);
        host = host_shown(s, c, host);
        out = arena_printf(a, "%.*s%s@%.*s", STR_ARG(out), out.len > 0 ? "," : "",
                           STR_ARG(host));
        route = rest;
    }
    return out;
}

/* Only the official name is one to be replaced, and only if there is another one. */
static void alias_apply(const struct snapshot *s, const struct channel *c,
                        struct address *addr, struct arena *a)
{
    if (c->local_alias.len == 0) {
        return;
    }
    addr->domain = host_shown(s, c, addr->domain);
    addr->route = route_shown(s, c, addr->route, a);
}

/* --- routes through us --- */

static bool wants_route(const struct snapshot *s, const struct rewrite_context *ctx,
                        const struct channel *home)
{
    bool forward = ctx->direction == ROUTE_FORWARD;
    if (home == ctx->destination) {
        return false; /* they know their own */
    }
    return (home->opts.exproute && (!forward || s->options.exproute_forward)) ||
           (ctx->destination->opts.improute && (!forward || s->options.improute_forward));
}

/* The host that is asked first to deliver to the address. */
static str first_host(const struct address *addr)
{
    str host = addr->domain, rest;
    if (addr->route.len > 0) {
        hostspec_route_first(addr->route, &host, &rest);
    }
    return host;
}

static void route_apply(const struct snapshot *s, const struct rewrite_context *ctx,
                        struct address *addr, struct arena *a)
{
    str us = channel_local_name(s, ctx->destination);
    if (str_ieq(first_host(addr), us)) {
        return; /* it comes by us in any case */
    }
    addr->route = arena_printf(a, "@%.*s%s%.*s", STR_ARG(us),
                               addr->route.len > 0 ? "," : "", STR_ARG(addr->route));
}

/* Rewrites and reverses. Returns the channel the address belongs to, or NULL: nobody
 * knows it; *changed: another one stands there all the same. What the reversal answers is
 * not rewritten, but it can belong to another channel. */
static const struct channel *meaning(const struct snapshot *s,
                                     const struct rewrite_context *ctx, struct arena *a,
                                     struct reversal *r, struct address *addr,
                                     bool *changed)
{
    struct route route;
    *changed = reverse_address(s, ctx, REVERSE_BEFORE, a, r, addr);
    route_rewrite(s, ctx, addr, false, a, &route);
    const struct channel *home = route.channel;
    if (home != NULL) {
        *addr = route.address;
    }
    if (reverse_address(s, ctx, REVERSE_AFTER, a, r, addr)) {
        *changed = true;
        route_rewrite(s, ctx, addr, false, a, &route);
        home = route.channel != NULL ? route.channel : home;
    }
    return home;
}

bool shown_address(const struct snapshot *s, const struct rewrite_context *ctx,
                   const struct address *in, struct arena *a, struct reversal *r,
                   struct address *out)
{
    bool changed;
    *out = *in;
    const struct channel *home = meaning(s, ctx, a, r, out, &changed);
    if (home == NULL && !changed) {
        return false;
    }
    alias_apply(s, ctx->destination, out, a);
    if (home != NULL && wants_route(s, ctx, home)) {
        route_apply(s, ctx, out, a);
    }
    return true;
}

bool shown_same(const struct address *a, const struct address *b)
{
    return address_eq(a, b) && str_ieq(a->route, b->route);
}

/* --- forms --- */

/* A local part: as it is, or quoted where it has to be. */
static str local_print(struct arena *a, str text)
{
    struct address parsed;
    if (address_parse(text, &parsed) == NULL && parsed.domain.len == 0 &&
        parsed.route.len == 0) {
        return text;
    }
    char *out = arena_alloc(a, 2 * text.len + 3);
    size_t len = 0;
    out[len++] = '"';
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '"' || text.ptr[i] == '\\') {
            out[len++] = '\\';
        }
        out[len++] = text.ptr[i];
    }
    out[len++] = '"';
    return str_n(out, len);
}

/* "@a,@b:u@c" -> local part "u%c%b", domain "a". */
static str percent_print(struct arena *a, const struct address *addr)
{
    str first, route, hosts = STR("");
    hostspec_route_first(addr->route, &first, &route);
    while (route.len > 0) {
        str host, rest;
        hostspec_route_first(route, &host, &rest);
        hosts = arena_printf(a, "%%%.*s%.*s", STR_ARG(host), STR_ARG(hosts));
        route = rest;
    }
    str user = address_unquote_local(a, addr->local);
    str local = arena_printf(a, "%.*s%%%.*s%.*s", STR_ARG(user), STR_ARG(addr->domain),
                             STR_ARG(hosts));
    local = local_print(a, local);
    return arena_printf(a, "%.*s@%.*s", STR_ARG(local), STR_ARG(first));
}

/* "@a,@b:u@c" -> "a!b!c!u" (RFC 976 2.2). */
static str bang_print(struct arena *a, const struct address *addr)
{
    str route = addr->route, path = STR("");
    while (route.len > 0) {
        str host, rest;
        hostspec_route_first(route, &host, &rest);
        path = arena_printf(a, "%.*s%.*s!", STR_ARG(path), STR_ARG(host));
        route = rest;
    }
    str user = address_unquote_local(a, addr->local);
    return local_print(a, arena_printf(a, "%.*s%.*s!%.*s", STR_ARG(path),
                                       STR_ARG(addr->domain), STR_ARG(user)));
}

str shown_print(struct arena *a, enum address_form form, const struct address *addr)
{
    struct address parsed;
    str text = STR("");
    if (form == ADDRESS_FORM_PERCENT && addr->route.len > 0 && addr->domain.len > 0) {
        text = percent_print(a, addr);
    } else if (form == ADDRESS_FORM_BANG && addr->domain.len > 0) {
        text = bang_print(a, addr);
    }
    bool good = text.len > 0 && address_parse(text, &parsed) == NULL;
    return good ? text : address_print(a, addr);
}

/* --- envelopes that leave --- */

static str stored_shown(const struct snapshot *s, const struct channel *c, str stored,
                        bool remove_route, struct arena *a)
{
    struct address addr;
    bool as_is = c->local_alias.len == 0 && !remove_route &&
                 c->opts.envelope_form == ADDRESS_FORM_822;
    if (as_is || stored.len == 0 || address_parse(stored, &addr) != NULL) {
        return stored;
    }
    if (remove_route) {
        addr.route = STR("");
    }
    alias_apply(s, c, &addr, a);
    return shown_print(a, c->opts.envelope_form, &addr);
}

str shown_sender(const struct snapshot *s, const struct channel *c, str stored,
                 struct arena *a)
{
    return stored_shown(s, c, stored, false, a);
}

str shown_recipient(const struct snapshot *s, const struct channel *c, str stored,
                    struct arena *a)
{
    return stored_shown(s, c, stored, c->opts.remove_route, a);
}
