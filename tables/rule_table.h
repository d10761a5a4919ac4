/* rule_table: the compiled rewrite rules as a few contiguous arrays without a pointer in
 * them: every reference is an index, or an offset into `strings`. So a compiled image can
 * hold the arrays as they are, and a look-up costs one hash and one or two comparisons
 * whatever the number of rules.
 *
 * A key is what a probe looks up: tag, then pattern, case-blind, literals canonical
 * (PMDF 2.2.4). Rules with one key are chained in file order. Templates are kept once for
 * each text, because sites repeat them. */
#ifndef TABLES_RULE_TABLE_H
#define TABLES_RULE_TABLE_H

#include "base/arena.h"
#include "base/diag.h"
#include "tables/pattern.h"
#include "tables/template.h"

struct rule_record {
    uint32_t key;         /* in strings */
    uint32_t template;    /* in templates */
    uint32_t source;      /* of the places below; 0: none */
    uint32_t pattern_at;  /* offset in the source */
    uint32_t template_at; /* offset in the source */
    uint32_t next_equal;  /* number (index + 1) of the next rule with this key, or 0 */
    uint16_t key_len;
    uint16_t pattern_len, template_len; /* as written, for the places */
    uint8_t kind;                       /* enum pattern_kind */
    uint8_t tag_len;                    /* of the key */
};

struct template_record {
    uint32_t text; /* in strings */
    uint32_t first_op, op_count;
    uint32_t routing_host; /* in strings */
    uint16_t text_len, routing_host_len;
    uint16_t traits; /* enum template_trait */
    uint8_t form;    /* enum template_form */
    uint8_t zero;
};

/* A place of the hash table, open addressing; rule 0: free. */
struct rule_slot {
    uint32_t hash;
    uint32_t rule; /* number of the first rule with the key */
};

/* Immutable. What the arrays live in is the business of who filled it. */
struct rule_table {
    const struct rule_record *rules; /* in file order */
    const struct template_record *templates;
    const struct template_op *ops;
    const struct rule_slot *slots; /* a power of two, at most half full */
    const char *strings;
    uint32_t rule_count, template_count, op_count, slot_count, strings_len;
    uint32_t stars; /* some pattern has a '*': those probes are worth a look */
};

/* The number of the first rule with that key (tag and probe one after the other), or 0.
 * Case-blind. */
uint32_t rule_table_find(const struct rule_table *t, str tag, str probe);
/* The rule of a number that is not 0. */
const struct rule_record *rule_table_at(const struct rule_table *t, uint32_t number);

str rule_key(const struct rule_table *t, const struct rule_record *r);
/* The tag at the beginning of the key, and what follows it. */
str rule_tag(const struct rule_table *t, const struct rule_record *r);
str rule_pattern(const struct rule_table *t, const struct rule_record *r);
/* The template; its slices point into the table. */
struct template rule_template(const struct rule_table *t, const struct rule_record *r);
struct span rule_span(const struct rule_record *r);
struct span rule_template_span(const struct rule_record *r);

/* Builds a table, rule by rule. */
struct rule_builder;
struct rule_builder *rule_builder_new(void);
/* Where the rule stands. */
struct rule_places {
    struct span pattern, template;
};
/* The template of that text if one was kept before. */
bool rule_builder_knows(const struct rule_builder *b, str text, uint32_t *template);
/* Keeps a template; its number for rule_builder_add(). share: rule_builder_knows() will
 * find it. */
uint32_t rule_builder_keep(struct rule_builder *b, const struct template *t, bool share);
/* Texts are copied. The rules must fit into 4 GiB: the parser reads no more than that. */
void rule_builder_add(struct rule_builder *b, const struct pattern *p, uint32_t template,
                      const struct rule_places *at);
/* Copies the finished table into the arena, frees the builder, clears *b. */
struct rule_table *rule_builder_finish(struct rule_builder **b, struct arena *a);

/* Checks arrays of unknown origin: every index, offset, chain, number and enumeration,
 * so that afterwards no look-up and no template reads outside of them or goes on for
 * ever. The places are in one of the sources 1 to source_count. False with a constant
 * reason. */
bool rule_table_verify(const struct rule_table *t, uint32_t source_count,
                       const char **reason);

#endif
