/* hostspec: extraction, stripping and replacement of host specs in an address. */
#include "tables/hostspec.h"

#include "base/check.h"
#include "tables/pattern.h"

void hostspec_route_first(str route, str *host, str *rest)
{
    ptrdiff_t comma = str_find(route, ',');

    check(route.len > 0 && route.ptr[0] == '@');
    if (comma < 0) {
        *host = str_from_pos(route, 1);
        *rest = STR("");
    } else {
        *host = str_sub(route, 1, (size_t)comma - 1);
        *rest = str_from_pos(route, (size_t)comma + 1);
    }
}

/* Positions of the separators of a local part that count: outside of quotes. */
struct separators {
    ptrdiff_t percent; /* the last single '%', or -1 */
    ptrdiff_t bang;    /* the first '!', or -1 */
};

static struct separators separators_find(str local)
{
    struct separators found = {-1, -1};
    bool quoted = false;

    for (size_t i = 0; i < local.len; i++) {
        char c = local.ptr[i];
        if (c == '\\') {
            i++;
        } else if (c == '"') {
            quoted = !quoted;
        } else if (quoted) {
            continue;
        } else if (c == '!' && found.bang < 0) {
            found.bang = (ptrdiff_t)i;
        } else if (c == '%') {
            bool before = i > 0 && local.ptr[i - 1] == '%';
            bool after = i + 1 < local.len && local.ptr[i + 1] == '%';
            if (!before && !after) {
                found.percent = (ptrdiff_t)i;
            }
        }
    }
    return found;
}

static str host_canonical(struct arena *a, str host)
{
    str literal;

    return literal_canonical(a, host, &literal) ? literal : host;
}

static struct address without_first_route(const struct address *addr)
{
    struct address rest = *addr;
    str host;

    hostspec_route_first(addr->route, &host, &rest.route);
    return rest;
}

static void extract_from_local(str local, enum bang_percent order, struct hostspec *out)
{
    struct separators at = separators_find(local);

    if (order == PERCENT_ONLY) {
        at.bang = -1;
    }
    if (at.percent >= 0 && (at.bang < 0 || order != BANG_OVER_PERCENT)) {
        out->kind = HOSTSPEC_PERCENT;
        out->host = str_from_pos(local, (size_t)at.percent + 1);
        out->user = str_sub(local, 0, (size_t)at.percent);
    } else if (at.bang >= 0) {
        out->kind = HOSTSPEC_BANG;
        out->host = str_sub(local, 0, (size_t)at.bang);
        out->user = str_from_pos(local, (size_t)at.bang + 1);
    } else {
        out->user = local;
    }
}

void hostspec_extract(struct arena *a, const struct address *addr,
                      enum bang_percent order, struct hostspec *out)
{
    *out = (struct hostspec){.kind = HOSTSPEC_NONE, .host = STR(""), .user = STR("")};
    if (addr->route.len > 0) {
        struct address rest = without_first_route(addr);
        str ignored;
        out->kind = HOSTSPEC_ROUTE;
        hostspec_route_first(addr->route, &out->host, &ignored);
        out->user = address_print(a, &rest);
    } else if (addr->domain.len > 0) {
        out->kind = HOSTSPEC_AT;
        out->host = addr->domain;
        out->user = addr->local;
    } else {
        extract_from_local(addr->local, order, out);
    }
    out->host = host_canonical(a, out->host);
}

struct address hostspec_strip(const struct address *addr, const struct hostspec *spec)
{
    struct address rest = *addr;

    switch (spec->kind) {
    case HOSTSPEC_ROUTE:
        return without_first_route(addr);
    case HOSTSPEC_AT:
        rest.domain = STR("");
        return rest;
    case HOSTSPEC_PERCENT:
    case HOSTSPEC_BANG:
        rest.local = spec->user;
        return rest;
    case HOSTSPEC_NONE:
        break;
    }
    return rest;
}

const char *hostspec_replace(struct arena *a, const struct hostspec *spec, str user,
                             str domain, struct address *out)
{
    *out = (struct address){.route = STR(""), .local = user, .domain = domain};
    if (spec->kind != HOSTSPEC_ROUTE) {
        return NULL;
    }

    /* The user of a route entry is the rest of the address: it stays behind the entry,
     * unless the template made an address without a host of it. */
    struct address rest;
    const char *reason = address_parse(user, &rest);
    if (reason) {
        return reason;
    }
    if (rest.domain.len == 0) {
        return NULL;
    }
    *out = rest;
    out->route = rest.route.len > 0
                     ? arena_printf(a, "@%.*s,%.*s", STR_ARG(domain), STR_ARG(rest.route))
                     : arena_printf(a, "@%.*s", STR_ARG(domain));
    return NULL;
}
