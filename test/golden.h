/* golden: what the tests share whose cases are files: each file is read, answered line by
 * line, and compared with what the answers make of it. With UPDATE_GOLDEN=1 in the
 * environment it is written anew instead. Speaks TAP. */
#ifndef TEST_GOLDEN_H
#define TEST_GOLDEN_H

#include "base/buf.h"
#include "base/diag.h"
#include "tables/snapshot.h"

/* Writes the whole file anew from its text; false after printing ("# ...") why not. */
typedef bool (*golden_answer_fn)(str text, struct buf *out, void *arg);

/* Runs the cases: the files that match the patterns (below $top_srcdir, each of which has
 * to match one; NULL ends the list). Returns the status of the program. */
int golden_main(const char *const *patterns, bool (*run_case)(str path));
/* Are the answers what the file says, or is it written anew? Prints what differs first.
 */
bool golden_compare(struct arena *a, str path, golden_answer_fn answer, void *arg);
/* Loads a configuration whose files are in `text` (see memory_loader.h); prints all that
 * is said of it. NULL when it cannot be used. */
struct snapshot *golden_load(struct arena *a, str text, bool allow_unhonoured);
/* "name" of "folder/name.cnf" as "folder/name.suffix", in the arena. */
str golden_beside(struct arena *a, str path, const char *suffix);
/* Prints a text, or the messages, as comments of TAP. */
void golden_show(str text);
void golden_show_diags(const struct diags *diags);

#endif
