/* alias: finding aliases; see alias.h. */
#include "tables/alias.h"

#include "tables/alias_compile.h"

enum { PROBE_LOCAL = 1, PROBE_WHOLE = 2, PROBE_DOMAIN = 4 }; /* bits of ALIAS_DOMAINS */

str alias_key(struct arena *a, str local, str domain)
{
    return domain.len == 0
               ? local
               : arena_printf(a, "%.*s\n%.*s", STR_ARG(local), STR_ARG(domain));
}

/* A '+' at either end of the name makes no subaddress. What could be read as a host
 * behind it is none either: an alias that hands it on would send mail there. */
static bool split_subaddress(str local, str *name, str *subaddress)
{
    ptrdiff_t plus = local.len > 0 ? str_find(str_from_pos(local, 1), '+') : -1;
    if (plus < 0 || (size_t)plus + 2 == local.len) {
        return false;
    }
    *name = str_sub(local, 0, (size_t)plus + 1);
    *subaddress = str_from_pos(local, (size_t)plus + 2);
    return str_find(*subaddress, '%') < 0 && str_find(*subaddress, '!') < 0 &&
           str_find(*subaddress, '@') < 0;
}

struct looking {
    const struct snapshot *s;
    enum subaddress_mode mode;
    struct arena *arena;
    struct alias_found *out;
};

static bool probe(struct looking *l, str local, str domain, str subaddress)
{
    l->out->alias = map_get(l->s->aliases, alias_key(l->arena, local, domain));
    l->out->subaddress = subaddress;
    return l->out->alias != NULL;
}

/* The whole local part; "name+*"; the name alone. */
static bool probe_local(struct looking *l, str local, str domain)
{
    str name, subaddress;
    if (probe(l, local, domain, STR_NONE)) {
        return true;
    }
    if (l->mode == SUBADDRESS_EXACT || !split_subaddress(local, &name, &subaddress)) {
        return false;
    }
    str wild = arena_printf(l->arena, "%.*s+*", STR_ARG(name));
    return probe(l, wild, domain, subaddress) ||
           (l->mode == SUBADDRESS_RELAXED && probe(l, name, domain, subaddress));
}

bool alias_find(const struct snapshot *s, const struct channel *c,
                const struct address *addr, struct arena *a, struct alias_found *out)
{
    struct looking l = {s, c->opts.subaddress, a, out};
    bool local = c == s->channels[0] || c->type == CHANNEL_LOCAL;
    unsigned bits = s->options.alias_domains;
    *out = (struct alias_found){NULL, STR_NONE};
    if (map_count(s->aliases) == 0 || (!local && !c->opts.alias_local)) {
        return false;
    }
    str user = address_unquote_local(a, addr->local);
    return ((bits & PROBE_WHOLE) && probe_local(&l, user, addr->domain)) ||
           ((bits & PROBE_DOMAIN) && probe(&l, STR("*"), addr->domain, STR_NONE)) ||
           (((bits & PROBE_LOCAL) || local) && probe_local(&l, user, STR("")));
}

struct address alias_member_address(const struct alias_member *m, str subaddress,
                                    struct arena *a)
{
    struct address addr = m->address;
    if (!str_iends(addr.local, STR("+*"))) {
        return addr;
    }
    str name = str_sub(addr.local, 0, addr.local.len - 2);
    str with = arena_printf(a, "%.*s+%.*s", STR_ARG(name), STR_ARG(subaddress));
    with = address_quote_local(a, with);
    addr.local = subaddress.len > 0 && with.len <= ADDRESS_LOCAL_MAX ? with : name;
    return addr;
}

str alias_mailbox(struct arena *a, const struct address *addr, str local_host)
{
    str domain = addr->domain.len > 0 ? addr->domain : local_host;
    str box = alias_key(a, address_unquote_local(a, addr->local), domain);
    char *bytes = arena_strndup(a, box.ptr, box.len);
    for (size_t i = 0; i < box.len; i++) {
        bytes[i] = ascii_lower(bytes[i]);
    }
    return str_n(bytes, box.len);
}
