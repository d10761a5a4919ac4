/* mapping_ip: see mapping_ip.h. */
#include "tables/mapping_ip.h"

#include <arpa/inet.h>

void mapping_ip_mask(struct mapping_ip *ip)
{
    for (unsigned i = 0; i < ip->size; i++) {
        unsigned kept = ip->length <= i * 8 ? 0 : ip->length - i * 8;
        ip->address[i] &= kept >= 8 ? 0xff : (uint8_t)(0xff00U >> kept);
    }
}

static bool ip_character(char c, unsigned size)
{
    return ascii_is_digit(c) || c == '.' ||
           (size == 16 && (c == ':' || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'f')));
}

/* Four numbers, as inet_pton() has it but faster: this is the hot path of access
 * tables. */
static bool ipv4_read(str text, uint8_t address[16])
{
    size_t pos = 0;
    for (unsigned i = 0; i < 4; i++) {
        size_t start = pos;
        unsigned value = 0;
        while (pos < text.len && ascii_is_digit(text.ptr[pos]) && pos - start < 3) {
            value = value * 10 + (unsigned)(text.ptr[pos++] - '0');
        }
        if (pos == start || value > 255 || (pos - start > 1 && text.ptr[start] == '0') ||
            (i < 3 && (pos >= text.len || text.ptr[pos++] != '.'))) {
            return false;
        }
        address[i] = (uint8_t)value;
    }
    return pos == text.len;
}

/* As many characters as can be of an address; they must be one. */
static size_t bare_read(str text, unsigned size, uint8_t address[16])
{
    char copy[INET6_ADDRSTRLEN];
    size_t len = 0;
    while (len < text.len && len < sizeof copy && ip_character(text.ptr[len], size)) {
        len++;
    }
    if (len == sizeof copy) {
        return 0;
    }
    if (size == 4) {
        return ipv4_read(str_sub(text, 0, len), address) ? len : 0;
    }
    memcpy(copy, text.ptr, len);
    copy[len] = '\0';
    return len > 0 && inet_pton(AF_INET6, copy, address) == 1 ? len : 0;
}

size_t mapping_ip_read(str text, unsigned size, uint8_t address[16])
{
    str tag = STR("IPv6:");
    if (size == 4 || !str_istarts(text, tag)) {
        return bare_read(text, size, address);
    }
    size_t len = bare_read(str_from_pos(text, tag.len), size, address);
    return len > 0 ? tag.len + len : 0;
}

bool mapping_ip_holds(const struct mapping_ip *ip, const uint8_t address[16])
{
    unsigned whole = ip->length / 8, rest = ip->length % 8;
    return memcmp(ip->address, address, whole) == 0 &&
           (rest == 0 ||
            ((ip->address[whole] ^ address[whole]) & (uint8_t)(0xff00U >> rest)) == 0);
}
