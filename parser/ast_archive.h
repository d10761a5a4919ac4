/* ast_archive: an AST written down and read back, for compiled images. The rewrite rules
 * are left out: an image holds them compiled. */
#ifndef PARSER_AST_ARCHIVE_H
#define PARSER_AST_ARCHIVE_H

#include "base/archive.h"
#include "parser/ast.h"

/* Writes *ast, or reads one into *ast, as the archive is; ast may be NULL inside. */
void ast_archive(struct archive *ar, struct ast **ast);

#endif
