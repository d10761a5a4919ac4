/* mapping_pattern: compiling a pattern (PMDF 5.3.1, table 5-1). */
#include "tables/mapping_pattern.h"

#include "base/vec.h"

struct parser {
    struct arena *arena, *scratch; /* what stays; what is thrown away */
    struct diags *diags;
    str text;
    struct span at;
    size_t pos;
    bool failed;
    VEC(struct mapping_element) elements;
    VEC(char) literal; /* text of the literal element that is being read */
    unsigned saved, wildcards;
    size_t modifier; /* where $_ $@ $^ stand that wait for a wildcard; else SIZE_MAX */
    bool lazy, unsaved;
};

static struct span parser_span(const struct parser *p, size_t from)
{
    size_t to = p->pos < p->text.len ? p->pos : p->text.len;
    return (struct span){p->at.source, p->at.offset + (uint32_t)from,
                         (uint32_t)(to > from ? to - from : 1)};
}

/* A fault from `from` to where the parser stands; the first one of a pattern only. */
static void pattern_error(struct parser *p, size_t from, const char *text)
{
    if (!p->failed) {
        diag_error(p->diags, parser_span(p, from), "mapping-pattern", "%s", text);
    }
    p->failed = true;
}

static char peek(const struct parser *p)
{
    return p->pos < p->text.len ? p->text.ptr[p->pos] : '\0';
}

static void end_literal(struct parser *p)
{
    if (p->literal.n > 0) {
        str text = arena_str(p->arena, str_n(p->literal.at, p->literal.n));
        p->literal.n = 0;
        *vec_add(p->scratch, &p->elements) =
            (struct mapping_element){.kind = ELEMENT_LITERAL, .text = text};
    }
}

static void add_literal(struct parser *p, char c)
{
    if (p->modifier != SIZE_MAX) {
        pattern_error(p, p->modifier, "'$_', '$@' and '$^' stand before a wildcard");
    }
    *vec_add(p->scratch, &p->literal) = ascii_lower(c);
}

/* Adds what is no literal, with the modifiers read before it. */
static void add_element(struct parser *p, size_t from, struct mapping_element e)
{
    end_literal(p);
    if (++p->wildcards > MAPPING_WILDCARDS_MAX) {
        pattern_error(p, from, "a pattern can have 256 wildcards, not more");
    }
    if (e.kind == ELEMENT_BACK) {
        if (p->modifier != SIZE_MAX) {
            pattern_error(p, p->modifier, "'$_', '$@' and '$^' do nothing here");
        }
    } else {
        e.lazy = p->lazy;
        e.saves = !p->unsaved;
        e.number = e.saves ? p->saved++ : 0;
    }
    p->modifier = SIZE_MAX;
    p->lazy = p->unsaved = false;
    *vec_add(p->scratch, &p->elements) = e;
}

static void set_add(struct mapping_set *set, unsigned char c)
{
    unsigned char folded = (unsigned char)ascii_lower((char)c);
    set->bits[folded >> 6] |= (uint64_t)1 << (folded & 63);
}

/* Reads the '%' or '*' behind a set. */
static void parse_quantifier(struct parser *p, size_t from, const struct mapping_set *set)
{
    char c = peek(p);
    if (c != '%' && c != '*') {
        pattern_error(p, from,
                      "'%' (one character) or '*' (any number) must stand "
                      "behind a set of characters");
        return;
    }
    p->pos++;
    add_element(p, from,
                (struct mapping_element){.kind = c == '%' ? ELEMENT_ONE : ELEMENT_RUN,
                                         .set = set});
}

/* The sets that have a letter; NULL: there is none of that letter. */
static const char *class_of(char letter)
{
    switch (ascii_lower(letter)) {
    case 'a':
        return "abcdefghijklmnopqrstuvwxyz";
    case 'b':
        return "01";
    case 'd':
        return "0123456789";
    case 'h':
    case 'x':
        return "0123456789abcdef";
    case 'o':
        return "01234567";
    case 's':
        return "abcdefghijklmnopqrstuvwxyz0123456789_$";
    case 't':
        return "\t\v ";
    default:
        return NULL;
    }
}

static void parse_class(struct parser *p, size_t from)
{
    const char *members = class_of(p->text.ptr[p->pos++]);
    if (members == NULL) {
        pattern_error(p, from, "there is no such wildcard; a dollar sign itself is '$$'");
        return;
    }
    struct mapping_set *set = arena_new_of(p->arena, struct mapping_set);
    for (; *members != '\0'; members++) {
        set_add(set, (unsigned char)*members);
    }
    parse_quantifier(p, from, set);
}

/* One character of a set: a backslash quotes the next one, and so does '$' a blank, as
 * everywhere in an entry. False at the end of the set. */
static bool parse_member(struct parser *p, unsigned char *out)
{
    char c = peek(p), next = p->pos + 1 < p->text.len ? p->text.ptr[p->pos + 1] : '\0';
    if (p->pos >= p->text.len || c == ']') {
        return false;
    }
    if ((c == '\\' && p->pos + 1 < p->text.len) || (c == '$' && ascii_is_space(next))) {
        p->pos++;
        c = next;
    }
    p->pos++;
    *out = (unsigned char)c;
    return true;
}

static void parse_set(struct parser *p, size_t from)
{
    struct mapping_set *set = arena_new_of(p->arena, struct mapping_set);
    unsigned char first, last;
    bool any = false;
    p->pos++;
    while (parse_member(p, &first)) {
        last = first;
        if (peek(p) == '-') {
            p->pos++;
            if (!parse_member(p, &last) || last < first) {
                pattern_error(p, from,
                              "this range of characters has no end, or ends "
                              "before it begins; '-' itself is '\\-'");
                return;
            }
        }
        for (unsigned c = first; c <= last; c++) {
            set_add(set, (unsigned char)c);
        }
        any = true;
    }
    if (peek(p) != ']' || !any) {
        pattern_error(p, from,
                      any ? "the ']' of this set is missing"
                          : "a set of no characters matches nothing");
        return;
    }
    p->pos++;
    parse_quantifier(p, from, set);
}

/* $(a.b.c.d/n) $<a.b.c.d/n> ${v6/n}: how many bits must agree, in $< > how many need
 * not. */
static void parse_ip(struct parser *p, size_t from)
{
    char open = p->text.ptr[p->pos++], close = open == '('   ? ')'
                                               : open == '<' ? '>'
                                                             : '}';
    str rest = str_from_pos(p->text, p->pos), block, address;
    struct mapping_ip *ip = arena_new_of(p->arena, struct mapping_ip);
    uint64_t bits;
    ptrdiff_t end = str_find(rest, close);
    ip->size = open == '{' ? 16 : 4;
    bits = open == '<' ? 0 : ip->size * 8U;
    block = str_sub(rest, 0, end < 0 ? rest.len : (size_t)end);
    p->pos += block.len + (end >= 0);
    address = block;
    ptrdiff_t slash = str_find(block, '/');
    bool good = end >= 0;
    if (slash >= 0) {
        address.len = (size_t)slash;
        good =
            good && str_u64(str_from_pos(block, address.len + 1), ip->size * 8U, &bits);
    }
    if (!good || address.len == 0 ||
        mapping_ip_read(address, ip->size, ip->address) != address.len) {
        pattern_error(p, from,
                      open == '{'
                          ? "an IPv6 address must stand here, with '/0' to '/128' "
                            "behind it or not, and '}'"
                          : "an IPv4 address must stand here, with '/0' to '/32' "
                            "behind it or not, and the closing bracket");
        return;
    }
    ip->length = (uint8_t)(open == '<' ? 32 - bits : bits);
    mapping_ip_mask(ip);
    add_element(p, from, (struct mapping_element){.kind = ELEMENT_IP, .ip = ip});
}

/* $n*: what the n-th wildcard matched, once more. */
static void parse_back(struct parser *p, size_t from)
{
    uint64_t number;
    size_t start = p->pos;
    while (ascii_is_digit(peek(p))) {
        p->pos++;
    }
    bool fits = str_u64(str_sub(p->text, start, p->pos - start), UINT32_MAX, &number);
    if (peek(p) != '*') {
        pattern_error(p, from, "'*' must stand behind '$' and the number of a wildcard");
        return;
    }
    p->pos++;
    if (!fits || number >= p->saved) {
        pattern_error(p, from,
                      "no saved wildcard with that number stands before it; they "
                      "are counted from 0");
        return;
    }
    add_element(
        p, from,
        (struct mapping_element){.kind = ELEMENT_BACK, .number = (unsigned)number});
}

static void parse_modifier(struct parser *p, size_t from)
{
    char c = p->text.ptr[p->pos++];
    p->modifier = p->modifier == SIZE_MAX ? from : p->modifier;
    p->lazy = p->lazy || c == '_';
    p->unsaved = c == '_' ? p->unsaved : c == '@';
}

/* What punctuation PMDF gives no meaning stands for itself, as quoted. */
static void parse_quoted(struct parser *p, size_t from)
{
    char c = p->text.ptr[p->pos++];
    if (strchr("$%* \t", c) == NULL) {
        diag_warning(p->diags, parser_span(p, from), "mapping-metacharacter",
                     "'$%c' has no meaning in a pattern; it is taken for '%c'", c, c);
    }
    add_literal(p, c);
}

static void parse_dollar(struct parser *p)
{
    size_t from = p->pos++;
    char c = peek(p);
    if (p->pos >= p->text.len) {
        pattern_error(p, from, "nothing stands behind '$'; a dollar sign itself is '$$'");
    } else if (c == '_' || c == '@' || c == '^') {
        parse_modifier(p, from);
    } else if (c == '[') {
        parse_set(p, from);
    } else if (c == '(' || c == '<' || c == '{') {
        parse_ip(p, from);
    } else if (ascii_is_digit(c)) {
        parse_back(p, from);
    } else if (ascii_is_alnum(c)) {
        parse_class(p, from);
    } else {
        parse_quoted(p, from);
    }
}

/* What can be said of the whole, to turn texts away quickly. */
static void summarize(const struct parser *p, struct mapping_pattern *out)
{
    size_t size = p->elements.n * sizeof *p->elements.at;
    struct mapping_element *elements = arena_alloc(p->arena, size);
    if (size > 0) {
        memcpy(elements, p->elements.at, size);
    }
    *out = (struct mapping_pattern){
        .elements = elements, .count = (unsigned)p->elements.n, .saved = p->saved};
    out->needle = STR("");
    for (unsigned i = 0; i < out->count; i++) {
        const struct mapping_element *e = &out->elements[i];
        if (e->kind == ELEMENT_LITERAL && e->text.len > out->needle.len) {
            out->needle = e->text;
        }
        out->runs += e->kind == ELEMENT_RUN;
        out->backs = e->kind == ELEMENT_BACK ? i : out->backs;
        out->length_min += e->kind == ELEMENT_LITERAL ? e->text.len
                           : e->kind == ELEMENT_IP    ? (e->ip->size == 4 ? 7 : 2)
                                                      : e->kind == ELEMENT_ONE;
    }
    const struct mapping_element *e = out->elements;
    bool begins = out->count > 0 && e->kind == ELEMENT_LITERAL;
    bool ends = out->count > 0 && e[out->count - 1].kind == ELEMENT_LITERAL;
    out->prefix = begins ? e->text : STR("");
    out->suffix = ends ? e[out->count - 1].text : STR("");
}

bool mapping_pattern_compile(struct arena *a, struct arena *scratch, str text,
                             struct span at, struct diags *d, struct mapping_pattern *out)
{
    struct parser p = {.arena = a,
                       .scratch = scratch,
                       .diags = d,
                       .text = text,
                       .at = at,
                       .modifier = SIZE_MAX};
    while (p.pos < text.len && !p.failed) {
        char c = text.ptr[p.pos];
        if (c == '$') {
            parse_dollar(&p);
        } else if (c == '%' || c == '*') {
            p.pos++;
            add_element(
                &p, p.pos - 1,
                (struct mapping_element){.kind = c == '%' ? ELEMENT_ONE : ELEMENT_RUN});
        } else {
            p.pos++;
            add_literal(&p, c);
        }
    }
    end_literal(&p);
    if (p.modifier != SIZE_MAX) {
        pattern_error(&p, p.modifier, "'$_', '$@' and '$^' stand before a wildcard");
    }
    summarize(&p, out);
    return !p.failed;
}
