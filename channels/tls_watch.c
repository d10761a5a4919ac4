/* tls_watch: see tls_watch.h. */
#include "channels/tls_watch.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/check.h"
#include "base/map.h"
#include "base/vec.h"

/* So many calls in which they change each time are enough. */
enum { PATIENCE = 3 };

struct tls_watch {
    struct arena *arena;
    struct map *known; /* paths */
    uint64_t marked, seen;
    unsigned changing;
    VEC(const char *) paths;
};

static void add_path(struct tls_watch *w, str value)
{
    str path = tls_file_path(value);
    if (!str_empty(path) && map_get(w->known, path) == NULL) {
        str kept = arena_str(w->arena, path);
        map_add(w->known, kept, w);
        *vec_add(w->arena, &w->paths) = kept.ptr;
    }
}

static void add_profile(struct tls_watch *w, const struct tls_profile *p)
{
    for (unsigned o = 0; o < TLS_OPTIONS; o++) {
        const struct tls_item *item = p->settings[o].items;
        bool path = tls_option_is_path((enum tls_option)o);
        for (; item != NULL; item = item->next) {
            if (o == TLS_OPTION_sni) {
                add_path(w, item->cert);
                add_path(w, item->key);
            } else if (path) {
                add_path(w, item->text);
            }
        }
    }
}

static uint64_t mix(uint64_t hash, int64_t value)
{
    for (int i = 0; i < 8; i++) {
        hash = (hash ^ ((uint64_t)value >> (8 * i) & 0xff)) * 1099511628211u; /* FNV-1a */
    }
    return hash;
}

static uint64_t look(const struct tls_watch *w)
{
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < w->paths.n; i++) {
        struct stat st;
        if (stat(w->paths.at[i], &st) != 0) {
            hash = mix(hash, -errno);
            continue;
        }
        hash = mix(hash, (int64_t)st.st_dev);
        hash = mix(hash, (int64_t)st.st_ino);
        hash = mix(hash, st.st_size);
        hash = mix(hash, st.st_mode);
        hash = mix(hash, st.st_uid);
        hash = mix(hash, st.st_mtim.tv_sec);
        hash = mix(hash, st.st_mtim.tv_nsec);
        hash = mix(hash, st.st_ctim.tv_sec);
        hash = mix(hash, st.st_ctim.tv_nsec);
    }
    return hash;
}

struct tls_watch *tls_watch_new(const struct snapshot *s)
{
    struct tls_watch *w = calloc(1, sizeof *w);
    check(w != NULL);
    w->arena = arena_new();
    w->known = map_new(w->arena, MAP_CASE);
    for (unsigned i = 0; i < s->tls_profile_count; i++) {
        add_profile(w, s->tls_profiles[i]);
    }
    tls_watch_mark(w);
    return w;
}

void tls_watch_free(struct tls_watch **w)
{
    if (*w != NULL) {
        struct arena *a = (*w)->arena;
        free(*w);
        arena_free(&a);
        *w = NULL;
    }
}

void tls_watch_mark(struct tls_watch *w)
{
    w->marked = look(w);
    w->seen = w->marked;
    w->changing = 0;
}

bool tls_watch_look(struct tls_watch *w)
{
    uint64_t now = look(w);
    bool rests = now == w->seen;
    w->seen = now;
    if (now == w->marked) {
        w->changing = 0;
        return false;
    }
    w->changing++;
    return rests || w->changing >= PATIENCE;
}
