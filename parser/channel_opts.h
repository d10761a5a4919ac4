/* channel_opts: the keywords of one line put into `struct channel_opts`. What each
 * word does is generated from the rows of keywords.def. */
#ifndef PARSER_CHANNEL_OPTS_H
#define PARSER_CHANNEL_OPTS_H

#include "base/buf.h"
#include "parser/ast.h"

/* The built-in values. */
void channel_opts_init(struct channel_opts *o);
/* Applies the keywords from left to right; the last word of a group wins (PMDF 4.2).
 * Checks arguments, types and ranges; reports every fault and every word that is
 * unknown or not honoured. allow_unhonoured turns the error for a restriction we do
 * not honour into a warning. Whether a channel that is named exists is left to the
 * caller. Strings of o are slices of the AST or in the arena. */
void channel_opts_apply(struct channel_opts *o, const struct ast_keyword *keywords,
                        bool allow_unhonoured, struct arena *a, struct diags *diags);
/* Where the fields the row sets were last written: at most two for the words that stand
 * for two, three for those of all priorities. 0: the row sets none. */
enum { CHANNEL_OPTS_PLACES_MAX = 3 };
unsigned channel_opts_places(const struct channel_opts *o, enum keyword_id id,
                             struct span at[CHANNEL_OPTS_PLACES_MAX]);
/* Writes the words that give these values, each after a blank; nothing for built-in
 * values. Reads back to equal values. */
void channel_opts_print(const struct channel_opts *o, struct buf *out);
/* One word of these: writes it and its arguments, after a blank, if it stands for a
 * value of o that is not the one in built_in; else returns false. */
bool channel_opts_word(const struct channel_opts *o, const struct channel_opts *built_in,
                       const struct keyword *k, struct buf *out);

#endif
