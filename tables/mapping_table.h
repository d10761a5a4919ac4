/* mapping_table: a compiled table from the inside. Internal to the mapping engine. */
#ifndef TABLES_MAPPING_TABLE_H
#define TABLES_MAPPING_TABLE_H

#include "tables/mapping.h"
#include "tables/mapping_index.h"
#include "tables/mapping_template.h"

struct mapping_entry {
    struct mapping_pattern pattern;
    struct mapping_template template;
    str pattern_text, template_text; /* as written */
    struct span at;
};

struct mapping {
    str name;
    struct span at;
    struct mapping_entry *entries;
    unsigned count;
    struct mapping_index *index;
};

#endif
