/* relay: the relay rule, on the same canonical forms that routing uses. */
#include "tables/relay.h"

#include "tables/hostspec.h"
#include "tables/pattern.h"

static bool host_is_ours(const struct snapshot *s, str host, struct arena *a)
{
    str literal;

    if (host.len == 0) {
        return false;
    }
    if (literal_canonical(a, host, &literal)) {
        host = literal;
    }
    return snapshot_is_local_domain(s, host);
}

/* Stricter than extraction: doubled '%' and quoting do not hide anything here. */
bool relay_local_is_ours(const struct snapshot *s, str local, struct arena *a)
{
    str rest = address_unquote_local(a, local);
    static const char separators[] = "@%!";

    for (const char *sep = separators; *sep; sep++) {
        ptrdiff_t at;
        while ((at = *sep == '!' ? str_find(rest, *sep) : str_rfind(rest, *sep)) >= 0) {
            str left = str_sub(rest, 0, (size_t)at);
            str right = str_from_pos(rest, (size_t)at + 1);
            if (!host_is_ours(s, *sep == '!' ? left : right, a)) {
                return false;
            }
            rest = *sep == '!' ? right : left;
        }
    }
    return true;
}

static bool address_is_ours(const struct snapshot *s, const struct address *addr,
                            struct arena *a)
{
    str route = addr->route;

    while (route.len > 0) {
        str host;
        hostspec_route_first(route, &host, &route);
        if (!host_is_ours(s, host, a)) {
            return false;
        }
    }
    return host_is_ours(s, addr->domain, a) && relay_local_is_ours(s, addr->local, a);
}

bool relay_is_ours(const struct snapshot *s, const struct channel *destination,
                   const struct address *given, const struct address *rewritten,
                   struct arena *a)
{
    return destination->final ||
           (address_is_ours(s, given, a) && address_is_ours(s, rewritten, a));
}
