/* overrides: keywords of a line that have no effect because of a later one (PMDF 4.2: the
 * last word of a group wins). */
#ifndef PARSER_OVERRIDES_H
#define PARSER_OVERRIDES_H

#include "parser/channel_opts.h"

/* Reports them, with the word that won. o is what the line gave. Only what is certain is
 * said: a word that stands for two is told when both of its parts are lost; of the words
 * that set nothing here, the same word again, its opposite ("no" before one of the two),
 * and the general word behind a particular one ("urgentnotices ... notices"). */
void overrides_check(const struct channel_opts *o, const struct ast_keyword *keywords,
                     struct diags *diags);

#endif
