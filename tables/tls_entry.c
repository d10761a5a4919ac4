/* tls_entry: see tls_entry.h. */
#include "tables/tls_entry.h"

#include "base/check.h"

static const char *const names[TLS_FIELDS] = {[TLS_FIELD_PROFILE] = "profile",
                                              [TLS_FIELD_LEVEL] = "level",
                                              [TLS_FIELD_VERIFY] = "verify",
                                              [TLS_FIELD_FALLBACK] = "fallback"};

const char *tls_field_name(enum tls_field f)
{
    check(f < TLS_FIELDS);
    return names[f];
}

static bool refuse(struct tls_entry_fault *fault, str at, str why)
{
    *fault = (struct tls_entry_fault){at, why};
    return false;
}

/* The number of a word in a list that ends with NULL; -1: it is not there. */
static int word_of(str value, const char *const *words)
{
    for (int i = 0; words[i] != NULL; i++) {
        if (str_ieq(value, str_from(words[i]))) {
            return i;
        }
    }
    return -1;
}

static bool read_word(const char *const *words, const char *wanted, str value,
                      unsigned *out, struct arena *a, struct tls_entry_fault *fault)
{
    int n = word_of(value, words);
    if (n < 0) {
        return refuse(fault, value,
                      arena_printf(a, "'%.*s' is none of %s", STR_ARG(value), wanted));
    }
    *out = (unsigned)n;
    return true;
}

static bool read_profile(const struct snapshot *s, str value, struct arena *a,
                         struct tls_entry *out, struct tls_entry_fault *fault)
{
    for (unsigned i = 0; i < s->tls_profile_count; i++) {
        if (str_ieq(value, s->tls_profiles[i]->name)) {
            out->profile = s->tls_profiles[i];
            return true;
        }
    }
    return refuse(
        fault, value,
        arena_printf(a, "there is no section '%.*s' in tls.cnf", STR_ARG(value)));
}

static bool read_value(const struct snapshot *s, enum tls_field f, str value,
                       struct arena *a, struct tls_entry *out,
                       struct tls_entry_fault *fault)
{
    static const char *const levels[] = {"no", "may", "must", NULL};
    static const char *const verifies[] = {"none", "try", "ca", "host", "fp", NULL};
    static const char *const answers[] = {"no", "yes", NULL};
    unsigned n = 0;
    bool good = false;
    switch (f) {
    case TLS_FIELD_PROFILE:
        return read_profile(s, value, a, out, fault);
    case TLS_FIELD_LEVEL:
        good = read_word(levels, "no, may, must", value, &n, a, fault);
        out->level = (enum tls_level)n;
        return good;
    case TLS_FIELD_VERIFY:
        good = read_word(verifies, "none, try, ca, host, fp", value, &n, a, fault);
        out->verify = (enum tls_verify)n;
        return good;
    case TLS_FIELD_FALLBACK:
        good = read_word(answers, "yes, no", value, &n, a, fault);
        out->fallback = n == 1;
        return good;
    case TLS_FIELDS:
        break;
    }
    check(!"no such field");
    return false;
}

static bool read_part(const struct snapshot *s, str part, struct arena *a,
                      struct tls_entry *out, struct tls_entry_fault *fault)
{
    ptrdiff_t equals = str_find(part, '=');
    if (equals < 0 && str_ieq(part, STR("pinned"))) {
        out->pinned = true;
        return true;
    }
    if (equals < 0 && str_ieq(part, STR("lower"))) {
        out->lower = true;
        return true;
    }
    str name = equals < 0 ? part : str_trim(str_sub(part, 0, (size_t)equals));
    for (unsigned f = 0; f < TLS_FIELDS; f++) {
        if (equals < 0 || !str_ieq(name, str_from(names[f]))) {
            continue;
        }
        if (out->has[f]) {
            return refuse(fault, part, arena_printf(a, "'%s' is said twice", names[f]));
        }
        out->has[f] = true;
        str value = str_trim(str_from_pos(part, (size_t)equals + 1));
        return read_value(s, (enum tls_field)f, value, a, out, fault);
    }
    return refuse(fault, part,
                  arena_printf(a,
                               "'%.*s' is none of profile=, level=, verify=, fallback=, "
                               "pinned, lower",
                               STR_ARG(str_sub(name, 0, 100))));
}

bool tls_entry_read(const struct snapshot *s, str text, struct arena *a,
                    struct tls_entry *out, struct tls_entry_fault *fault)
{
    str rest = text, part;
    *out = (struct tls_entry){.profile = NULL};
    *fault = (struct tls_entry_fault){STR(""), STR("")};
    if (str_trim(text).len == 0) {
        return refuse(fault, STR(""), STR("it says nothing"));
    }
    while (str_split(&rest, ',', &part)) {
        if (!read_part(s, str_trim(part), a, out, fault)) {
            return false;
        }
    }
    bool any = false;
    for (unsigned f = 0; f < TLS_FIELDS; f++) {
        any = any || out->has[f];
    }
    return any || refuse(fault, STR(""),
                         STR("'pinned' and 'lower' say nothing without a field"));
}
