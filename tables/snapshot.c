/* snapshot: counting references and looking names up. It is filled by compile.c. */
#include "tables/snapshot.h"

struct snapshot *snapshot_ref(struct snapshot *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void snapshot_unref(struct snapshot **s)
{
    struct snapshot *old = *s;
    *s = NULL;
    /* Whoever frees must see what the others did before they let go. */
    if (old != NULL &&
        atomic_fetch_sub_explicit(&old->refs, 1, memory_order_acq_rel) == 1) {
        struct arena *a = old->arena;
        arena_free(&a);
    }
}

const char *snapshot_origin(const struct snapshot *s)
{
    return s->image.verdict == IMAGE_FRESH ? "image" : "sources";
}

const struct channel *snapshot_channel(const struct snapshot *s, str name)
{
    return map_get(s->channels_by_name, name);
}

const struct host_entry *snapshot_host(const struct snapshot *s, str host)
{
    return map_get(s->hosts, host);
}

const struct span *snapshot_local_domain(const struct snapshot *s, str domain)
{
    const struct span *at = domain.len > 0 ? map_get(s->localdomains, domain) : NULL;
    if (domain.len == 0 || domain.ptr[0] == '[') {
        return at;
    }
    /* The first character belongs to a label, never to the dot of a parent. */
    for (size_t i = 1; i < domain.len && at == NULL; i++) {
        if (domain.ptr[i] == '.') {
            at = map_get(s->localdomains, str_from_pos(domain, i));
        }
    }
    return at;
}

bool snapshot_is_local_domain(const struct snapshot *s, str domain)
{
    return snapshot_local_domain(s, domain) != NULL;
}

str snapshot_where(struct arena *a, const struct snapshot *s, struct span span)
{
    return span_text(a, s->sources, span);
}
