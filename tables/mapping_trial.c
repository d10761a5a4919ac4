/* mapping_trial: see mapping_trial.h. The names of the elements are those of PMDF's
 * `test -match`. */
#include <arpa/inet.h>

#include "base/buf.h"
#include "tables/mapping.h"
#include "tables/mapping_pattern.h"
#include "tables/mapping_trial.h"

enum { ELEMENT_TEXT_MAX = 4096 };

struct mapping_trial {
    struct mapping_pattern pattern;
};

struct mapping_trial *mapping_trial_new(struct arena *a, str pattern, struct span at,
                                        struct diags *d)
{
    struct mapping_trial *t = arena_new_of(a, struct mapping_trial);
    bool good = mapping_pattern_compile(a, a, pattern, at, d, &t->pattern);
    return good ? t : NULL;
}

unsigned mapping_trial_count(const struct mapping_trial *t)
{
    return t->pattern.count;
}

static bool set_has(const struct mapping_set *set, unsigned c)
{
    return (set->bits[c >> 6] >> (c & 63) & 1) != 0;
}

static void put_member(struct buf *out, unsigned c)
{
    if (c < ' ' || c >= 0x7F) {
        buf_printf(out, "\\x%02X", c);
    } else {
        buf_printf(out, "%s%c", strchr("-]\\", (int)c) != NULL ? "\\" : "", (int)c);
    }
}

/* Three characters in a row or more as a range. */
static void put_set(struct buf *out, const struct mapping_set *set)
{
    buf_puts(out, " [");
    for (unsigned c = 0; c < 256; c++) {
        unsigned last = c;
        if (!set_has(set, c)) {
            continue;
        }
        while (last < 255 && set_has(set, last + 1)) {
            last++;
        }
        put_member(out, c);
        if (last > c + 1) {
            buf_putc(out, '-');
            put_member(out, last);
            c = last;
        }
    }
    buf_putc(out, ']');
}

static void put_block(struct buf *out, const struct mapping_ip *ip)
{
    char printed[INET6_ADDRSTRLEN] = "";
    inet_ntop(ip->size == 4 ? AF_INET : AF_INET6, ip->address, printed, sizeof printed);
    buf_printf(out, "ip %s/%u", printed, ip->length);
}

/* NULL: any character; or the element has none. */
static const struct mapping_set *set_of(const struct mapping_element *e)
{
    return e->kind == ELEMENT_ONE || e->kind == ELEMENT_RUN ? e->set : NULL;
}

static void put_element(struct buf *out, const struct mapping_element *e)
{
    switch (e->kind) {
    case ELEMENT_LITERAL:
        buf_printf(out, "\"%.*s\"", STR_ARG(e->text));
        break;
    case ELEMENT_ONE:
        buf_puts(out, e->set != NULL ? "cchar" : "char");
        break;
    case ELEMENT_RUN:
        buf_puts(out, e->set != NULL ? "cglob" : "glob");
        break;
    case ELEMENT_BACK:
        buf_printf(out, "same as %u", e->number);
        break;
    case ELEMENT_IP:
        put_block(out, e->ip);
        break;
    }
    if (set_of(e) != NULL) {
        put_set(out, e->set);
    }
    buf_puts(out, e->lazy ? ", minimal" : "");
}

str mapping_trial_element(const struct mapping_trial *t, unsigned i, struct arena *a,
                          bool *saves)
{
    const struct mapping_element *e = &t->pattern.elements[i];
    struct buf out;
    buf_init(&out, ELEMENT_TEXT_MAX + (e->kind == ELEMENT_LITERAL ? e->text.len : 0));
    put_element(&out, e);
    str text = arena_str(a, buf_slice(&out));
    buf_free(&out);
    *saves = e->saves;
    return text;
}

void mapping_trial_run(const struct mapping_trial *t, str string, struct arena *a,
                       struct mapping_trial_result *out)
{
    struct mapping_matcher m = {.arena = a, .work = MAPPING_WORK_MAX};
    char *folded = arena_alloc(a, string.len);
    *out = (struct mapping_trial_result){0};
    if (string.len > MAPPING_TEXT_MAX) {
        out->fault = "the string is too long";
        return;
    }
    for (size_t i = 0; i < string.len; i++) {
        folded[i] = ascii_lower(string.ptr[i]);
    }
    out->matched = mapping_pattern_match(&t->pattern, str_n(folded, string.len), &m);
    if (m.work < 0) {
        *out = (struct mapping_trial_result){.fault = "the match took too many steps"};
    }
    if (out->matched) {
        str *saved = arena_array(a, str, t->pattern.saved);
        for (unsigned i = 0; i < t->pattern.saved; i++) {
            saved[i] = str_sub(string, m.saved[i].from, m.saved[i].length);
        }
        out->saved = saved;
        out->saved_count = t->pattern.saved;
    }
}
