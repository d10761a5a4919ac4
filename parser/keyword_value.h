/* keyword_value: the arguments of one keyword, as its row in keywords.def wants them. */
#ifndef PARSER_KEYWORD_VALUE_H
#define PARSER_KEYWORD_VALUE_H

#include "base/diag.h"
#include "parser/ast.h"

/* The arguments, read; which field is filled is a matter of the keyword's kind. */
struct keyword_value {
    uint32_t number; /* seconds, for a period */
    str text;        /* a slice of the AST, or in the arena */
    struct nameserver servers[KEYWORD_NAMESERVERS_MAX];
    unsigned server_count;
    str domains[2];
    struct keyword_periods periods;
    struct keyword_ages ages;
};

/* A keyword with its arguments, and where faults go; all borrowed. */
struct keyword_reading {
    const struct ast_keyword *keyword;
    struct arena *arena; /* texts of values and messages */
    struct diags *diags;
};

enum { REPORT_NAME_MAX = 100, LANGUAGE_TAG_MAX = 35 /* RFC 5646 4.4.1 */ };
/* What notifications may come from: an address with a host, without a source route; a
 * name, which stands in a header field as it is, of ASCII. */
bool report_address_ok(str text);
bool report_name_ok(str text);

/* "a number from 1 to 65535": what the argument of k must be. A literal, or in a. */
str keyword_wanted(const struct keyword *k, struct arena *a);
/* Fills *v (all zero at first) from the arguments of a known keyword, which has as many
 * as it needs. False after an error was reported at the argument that does not fit. */
bool keyword_value_read(const struct keyword_reading *on, struct keyword_value *v);
/* May that be the name of a user of the system? As useradd(8) takes it, so that a slip is
 * found before it matters. */
bool user_name_ok(str name);
/* The EHLO keyword of that bit of enum ehlo_extension; NULL behind the last one. */
const char *keyword_extension(unsigned bit);

#endif
