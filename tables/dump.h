/* dump: a snapshot as canonical text: what was understood, not what was written. Each
 * file of the configuration follows a line "!== name"; values that are built in are
 * left out. What is dumped reads back to a snapshot with the same dump. */
#ifndef TABLES_DUMP_H
#define TABLES_DUMP_H

#include "base/buf.h"
#include "tables/snapshot.h"

void dump_snapshot(const struct snapshot *s, struct buf *out);
/* The files beside the main file only. */
void dump_beside(const struct snapshot *s, struct buf *out);

#endif
