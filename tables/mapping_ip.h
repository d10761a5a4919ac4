/* mapping_ip: blocks of IP addresses, as in patterns of mapping entries, and addresses as
 * they stand in a string. Internal to the mapping engine. */
#ifndef TABLES_MAPPING_IP_H
#define TABLES_MAPPING_IP_H

#include "base/str.h"

/* A block of addresses: of a family, with the first .length bits of .address. */
struct mapping_ip {
    uint8_t size; /* bytes: 4 or 16 */
    uint8_t length;
    uint8_t address[16]; /* bits behind the first .length are 0 */
};

/* Reads the address the text begins with: as many characters as can be of one (digits
 * and dots; in IPv6 hexadecimal digits, dots and colons), which must then be one. Before
 * an IPv6 address may stand the tag of address literals, "IPv6:" (RFC 5321 4.1.3).
 * Returns how many characters, 0 when it is none of that family (size 4 or 16). */
size_t mapping_ip_read(str text, unsigned size, uint8_t address[16]);
/* Clears the bits behind the first ip->length. */
void mapping_ip_mask(struct mapping_ip *ip);
/* Does the block hold the address? */
bool mapping_ip_holds(const struct mapping_ip *ip, const uint8_t address[16]);

#endif
