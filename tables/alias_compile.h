/* alias_compile: what the files that compile aliases share. Internal to tables/. */
#ifndef TABLES_ALIAS_COMPILE_H
#define TABLES_ALIAS_COMPILE_H

#include "base/vec.h"
#include "tables/alias.h"
#include "tables/alias_item.h"
#include "tables/compile.h"
#include "tables/inputs.h"

typedef VEC(struct alias_clause) alias_clause_list;
typedef VEC(struct alias_member) alias_member_list;

struct alias_compile {
    struct compile *c;
    const struct inputs *inputs;
    struct map *files; /* path -> struct alias_file */
    /* of the alias being compiled */
    struct alias *alias;
    alias_clause_list clauses;
    alias_member_list members;
    bool either;        /* clauses that follow are joined by OR */
    unsigned positions; /* positional parameters so far */
    struct map *given;  /* names of the parameters so far */
};

/* "local", or "local\ndomain", the local part without quotes: the keys of
 * snapshot->aliases, and what is asked for. */
str alias_key(struct arena *a, str local, str domain);
/* The file at the path written there; compiled when it is asked for first, with a warning
 * if it could not be read. With `senders`, its mailboxes are filled. */
const struct alias_file *alias_file_compile(struct alias_compile *k, str written,
                                            struct span at, bool senders);
/* A named parameter of the current alias. */
void alias_parameter_read(struct alias_compile *k, const struct alias_item *item,
                          struct span at);
/* The envelope sender for members, from the named or the positional parameter. */
void alias_sender_read(struct alias_compile *k, str text, struct span at);
/* Which parameters name a file? */
bool alias_parameter_is_file(str name);

#endif
