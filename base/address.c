/* address: RFC 5321 4.1.2 by hand: a path is an optional source route and a mailbox,
 * a mailbox is a dot-string or quoted string, '@', and a domain or literal. */
#include "base/address.h"

#include <arpa/inet.h>

static const char NOT_ASCII[] = "holds a byte that is not ASCII";
static const char BAD_LOCAL[] = "holds a character not allowed in a local part";

static bool is_atext(char c)
{
    /* RFC 5322 3.2.3 */
    return ascii_is_alnum(c) || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

static bool is_printable(char c)
{
    return c >= ' ' && c <= '~';
}

bool domain_name_ok(str name)
{
    size_t label = 0; /* octets of it so far */
    if (name.len == 0 || name.len > ADDRESS_DOMAIN_MAX) {
        return false;
    }
    for (size_t i = 0; i <= name.len; i++) {
        char c = i < name.len ? name.ptr[i] : '.';
        if (c == '.') {
            if (label == 0 || label > 63 || name.ptr[i - 1] == '-') {
                return false;
            }
            label = 0;
            continue;
        }
        if (!ascii_is_alnum(c) && c != '_' && (c != '-' || label == 0)) {
            return false;
        }
        label++;
    }
    return true;
}

bool domain_literal_ok(str literal)
{
    char text[INET6_ADDRSTRLEN + 1];
    unsigned char bytes[sizeof(struct in6_addr)];
    int family = AF_INET;
    if (literal.len < 3 || literal.ptr[0] != '[' || literal.ptr[literal.len - 1] != ']') {
        return false;
    }
    str inside = str_sub(literal, 1, literal.len - 2);
    if (str_istarts(inside, STR("IPv6:"))) {
        inside = str_from_pos(inside, 5);
        family = AF_INET6;
    }
    if (inside.len >= sizeof text || str_find(inside, '\0') >= 0) {
        return false;
    }
    memcpy(text, inside.ptr, inside.len);
    text[inside.len] = '\0';
    return inet_pton(family, text, bytes) == 1;
}

bool socket_host_ok(str host, str *path)
{
    str prefix = STR("unix:");
    if (!str_starts(host, prefix)) {
        return false;
    }
    *path = str_from_pos(host, prefix.len);
    bool good = path->len > 1 && path->len <= SOCKET_PATH_MAX && path->ptr[0] == '/';
    for (size_t i = 0; i < path->len; i++) {
        unsigned char c = (unsigned char)path->ptr[i];
        good = good && c > ' ' && c != 0x7f;
    }
    return good;
}

/* Takes "@a,@b:" off *text. */
static const char *parse_route(str *text, struct address *out)
{
    ptrdiff_t colon = str_find(*text, ':');
    if (colon < 0) {
        return "has a source route without ':', or no local part";
    }
    out->route = str_sub(*text, 0, (size_t)colon);
    *text = str_from_pos(*text, (size_t)colon + 1);
    str rest = out->route, hop;
    while (str_split(&rest, ',', &hop)) {
        if (hop.len == 0 || hop.ptr[0] != '@' || !domain_name_ok(str_from_pos(hop, 1))) {
            return "has a bad host in its source route";
        }
    }
    return NULL;
}

static const char *parse_quoted(str text, size_t *len)
{
    size_t i = 1;
    while (i < text.len && text.ptr[i] != '"') {
        if (text.ptr[i] == '\\') {
            i++;
        }
        if (i < text.len && !is_printable(text.ptr[i])) {
            return BAD_LOCAL;
        }
        i++;
    }
    if (i >= text.len) {
        return "has a quoted local part without an end";
    }
    *len = i + 1;
    return NULL;
}

static const char *parse_dot_string(str text, size_t *len)
{
    ptrdiff_t at = str_find(text, '@');
    str local = at < 0 ? text : str_sub(text, 0, (size_t)at);
    if (local.len == 0) {
        return "has no local part";
    }
    for (size_t i = 0; i < local.len; i++) {
        if (local.ptr[i] != '.' && !is_atext(local.ptr[i])) {
            return BAD_LOCAL;
        }
    }
    str rest = local, atom;
    while (str_split(&rest, '.', &atom)) {
        if (atom.len == 0) {
            return "has an empty word between dots in its local part";
        }
    }
    *len = local.len;
    return NULL;
}

static const char *parse_domain(str text, struct address *out)
{
    if (text.len == 0) {
        return "has no domain behind '@'";
    }
    if (text.len > ADDRESS_DOMAIN_MAX) {
        return "has a domain longer than 255 octets";
    }
    if (text.ptr[0] == '[' ? !domain_literal_ok(text) : !domain_name_ok(text)) {
        return text.ptr[0] == '[' ? "has a bad address literal" : "has a bad domain name";
    }
    out->domain = text;
    return NULL;
}

static const char *parse_mailbox(str text, struct address *out)
{
    size_t len = 0;
    bool quoted = text.len > 0 && text.ptr[0] == '"';
    const char *why = quoted ? parse_quoted(text, &len) : parse_dot_string(text, &len);
    if (why != NULL) {
        return why;
    }
    if (len > ADDRESS_LOCAL_MAX) {
        return "has a local part longer than 64 octets";
    }
    out->local = str_sub(text, 0, len);
    text = str_from_pos(text, len);
    if (text.len == 0) {
        return NULL;
    }
    return text.ptr[0] == '@' ? parse_domain(str_from_pos(text, 1), out) : BAD_LOCAL;
}

const char *address_parse(str text, struct address *out)
{
    *out = (struct address){STR(""), STR(""), STR("")};
    if (text.len == 0) {
        return NULL;
    }
    if (text.len > ADDRESS_PATH_MAX - 2) {
        return "is longer than 254 octets";
    }
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] >= 0x80) {
            return NOT_ASCII;
        }
    }
    const char *why = text.ptr[0] == '@' ? parse_route(&text, out) : NULL;
    if (why == NULL) {
        why = parse_mailbox(text, out);
    }
    if (why != NULL) {
        *out = (struct address){STR(""), STR(""), STR("")};
    }
    return why;
}

static char *put_part(char *at, str part)
{
    if (part.len > 0) {
        memcpy(at, part.ptr, part.len);
    }
    return at + part.len;
}

/* By hand: it is done for every address that is routed. */
str address_print(struct arena *a, const struct address *addr)
{
    size_t most = addr->route.len + addr->local.len + addr->domain.len + 3;
    char *text = arena_bytes(a, most), *at = put_part(text, addr->route);
    if (addr->route.len > 0) {
        *at++ = ':';
    }
    at = put_part(at, addr->local);
    if (addr->domain.len > 0) {
        *at++ = '@';
    }
    at = put_part(at, addr->domain);
    *at = '\0';
    return str_n(text, (size_t)(at - text));
}

bool address_is_null(const struct address *addr)
{
    return addr->local.len == 0 && addr->domain.len == 0;
}

/* Takes one character of the meaning of a local part off *rest; false at its end. */
static bool local_next(str *rest, char *c)
{
    if (rest->len == 0) {
        return false;
    }
    size_t skip = rest->ptr[0] == '\\' && rest->len > 1 ? 1 : 0;
    *c = rest->ptr[skip];
    *rest = str_from_pos(*rest, skip + 1);
    return true;
}

static str local_inside(str local)
{
    bool quoted = local.len >= 2 && local.ptr[0] == '"';
    return quoted ? str_sub(local, 1, local.len - 2) : local;
}

static bool local_eq(str a, str b)
{
    char ca = 0, cb = 0;
    a = local_inside(a);
    b = local_inside(b);
    while (local_next(&a, &ca)) {
        if (!local_next(&b, &cb) || ca != cb) {
            return false;
        }
    }
    return !local_next(&b, &cb);
}

bool address_eq(const struct address *a, const struct address *b)
{
    return address_is_null(a) == address_is_null(b) && local_eq(a->local, b->local) &&
           str_ieq(a->domain, b->domain);
}

str address_unquote_local(struct arena *a, str local)
{
    char *out = arena_strndup(a, local.ptr, local.len);
    str rest = local_inside(local);
    size_t len = 0;
    char c;
    while (local_next(&rest, &c)) {
        out[len++] = c;
    }
    out[len] = '\0';
    return str_n(out, len);
}

/* Can it be a local part without quotes (RFC 5321 4.1.2, Dot-string)? */
static bool is_dot_string(str local)
{
    char before = '.';
    for (size_t i = 0; i < local.len; i++) {
        char c = local.ptr[i];
        bool atom = ascii_is_alnum(c) || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c));
        if (!atom && (c != '.' || before == '.')) {
            return false;
        }
        before = c;
    }
    return before != '.';
}

str address_quote_local(struct arena *a, str plain)
{
    if (is_dot_string(plain)) {
        return plain;
    }
    char *out = arena_alloc(a, 2 * plain.len + 2);
    size_t n = 0;
    out[n++] = '"';
    for (size_t i = 0; i < plain.len; i++) {
        if (plain.ptr[i] == '"' || plain.ptr[i] == '\\') {
            out[n++] = '\\';
        }
        out[n++] = plain.ptr[i];
    }
    out[n++] = '"';
    return str_n(out, n);
}

str address_canonical_local(struct arena *a, str local)
{
    return address_quote_local(a, address_unquote_local(a, local));
}
