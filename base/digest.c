/* digest: see digest.h. */
#include "base/digest.h"

#define XXH_INLINE_ALL /* no library to link; the compiler sees the loops */
#include <xxhash.h>

#include "base/check.h"

struct digest_state {
    XXH3_state_t *xxh;
};

static struct digest digest_from(XXH128_hash_t h)
{
    return (struct digest){h.low64, h.high64};
}

struct digest digest_of(str text)
{
    return digest_from(XXH3_128bits(text.ptr, text.len));
}

bool digest_eq(struct digest a, struct digest b)
{
    return a.low == b.low && a.high == b.high;
}

struct digest_state *digest_begin(void)
{
    struct digest_state *s = malloc(sizeof *s);
    check(s != NULL);
    s->xxh = XXH3_createState();
    check(s->xxh != NULL);
    XXH3_128bits_reset(s->xxh);
    return s;
}

void digest_add(struct digest_state *s, const void *data, size_t len)
{
    XXH3_128bits_update(s->xxh, data, len);
}

struct digest digest_end(struct digest_state **s)
{
    struct digest d = digest_from(XXH3_128bits_digest((*s)->xxh));
    XXH3_freeState((*s)->xxh);
    free(*s);
    *s = NULL;
    return d;
}
