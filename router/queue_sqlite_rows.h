/* queue_sqlite_rows: the rows of a queue at work, copied into a new database in short
 * read transactions, so that the log file of the queue stays small. Blocking. */
#ifndef ROUTER_QUEUE_SQLITE_ROWS_H
#define ROUTER_QUEUE_SQLITE_ROWS_H

#include "router/queue_sqlite.h"

enum { ROWS_TABLES = 6 };

/* The body of a message in a file, as its row says. */
struct rows_file {
    int64_t number, size;
    char name[QUEUE_ID_MAX + 8];
};

struct rows_copying {
    struct queue_store *from, *to; /* borrowed */
    sqlite3_stmt *get[ROWS_TABLES], *put[ROWS_TABLES];
    int64_t number;   /* up to this one all is copied */
    int64_t messages; /* so many */
    bool end;
    VEC(struct rows_file) files; /* of the messages of the last step */
    struct arena *arena;
};

/* Both have the same version of the schema; to is empty and in a transaction, which the
 * caller commits. rows_end() follows in any case. */
bool rows_begin(struct rows_copying *c, struct queue_store *from, struct queue_store *to,
                struct queue_result *r);
/* The next messages, with all rows that belong to them, in one read transaction of some
 * 20 ms; after the last ones c->end is true. */
bool rows_step(struct rows_copying *c, struct queue_result *r);
void rows_end(struct rows_copying *c);

#endif
