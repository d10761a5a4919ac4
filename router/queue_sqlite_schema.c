/* queue_sqlite_schema: the tables, and how an older store becomes a newer one. The
 * schema is described in docs/queue.md. PRAGMA user_version counts the steps done. */
#include "router/queue_sqlite.h"

enum { APPLICATION_ID = 0x504D5131 /* "PMQ1" */ };

/* Step i brings version i to version i + 1. Steps are never changed once released. */
static const char *const STEPS[] = {
    "CREATE TABLE meta ("
    "  key TEXT PRIMARY KEY,"
    "  value INTEGER NOT NULL"
    ") WITHOUT ROWID;"
    /* 32^4: identifiers have five characters from the beginning. */
    "INSERT INTO meta (key, value) VALUES ('next_number', 1048576);"
    "CREATE TABLE messages ("
    "  number INTEGER PRIMARY KEY,"
    "  created_ms INTEGER NOT NULL,"
    "  sender TEXT NOT NULL,"
    "  source_channel TEXT NOT NULL,"
    "  eight_bit INTEGER NOT NULL,"
    "  size INTEGER NOT NULL,"
    "  body_file TEXT"
    ");"
    /* A table of its own, so that walking over the messages never reads bodies. */
    "CREATE TABLE bodies ("
    "  number INTEGER PRIMARY KEY REFERENCES messages ON DELETE CASCADE,"
    "  data BLOB NOT NULL"
    ");"
    "CREATE TABLE entries ("
    "  number INTEGER NOT NULL REFERENCES messages ON DELETE CASCADE,"
    "  position INTEGER NOT NULL,"
    "  channel TEXT NOT NULL,"
    "  host TEXT NOT NULL,"
    "  state INTEGER NOT NULL CHECK (state IN (0, 1, 2)),"
    "  attempts INTEGER NOT NULL,"
    "  next_try_ms INTEGER NOT NULL,"
    "  last_error TEXT,"
    "  PRIMARY KEY (number, position)"
    ") WITHOUT ROWID;"
    /* Only what waits is indexed: a message that is delivered at once never is. */
    "CREATE INDEX entries_due ON entries (next_try_ms) WHERE state = 0;"
    "CREATE TABLE recipients ("
    "  number INTEGER NOT NULL,"
    "  position INTEGER NOT NULL,"
    "  rank INTEGER NOT NULL,"
    "  address TEXT NOT NULL,"
    "  PRIMARY KEY (number, position, rank),"
    "  FOREIGN KEY (number, position) REFERENCES entries ON DELETE CASCADE"
    ") WITHOUT ROWID;",

    /* What leaves on a channel with another header or another sender. */
    "CREATE TABLE headers ("
    "  number INTEGER NOT NULL REFERENCES messages ON DELETE CASCADE,"
    "  header INTEGER NOT NULL,"
    "  replaces INTEGER NOT NULL,"
    "  data BLOB NOT NULL,"
    "  PRIMARY KEY (number, header)"
    ");"
    "ALTER TABLE entries ADD COLUMN sender TEXT;"
    "ALTER TABLE entries ADD COLUMN header INTEGER;",

    /* Who is told of failures, where a list says so. */
    "ALTER TABLE entries ADD COLUMN returns TEXT;",

    /* What clients ask for about reports, the warnings sent, and what became of each
     * attempt, which stays until the message is gone. */
    "ALTER TABLE messages ADD COLUMN ret INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE messages ADD COLUMN envid TEXT;"
    "ALTER TABLE entries ADD COLUMN notices INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE entries ADD COLUMN ordered INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE entries ADD COLUMN redirected INTEGER NOT NULL DEFAULT 0;"
    "CREATE TABLE stopped ("
    "  channel TEXT PRIMARY KEY COLLATE NOCASE,"
    "  since_ms INTEGER NOT NULL"
    ") WITHOUT ROWID;"
    "ALTER TABLE recipients ADD COLUMN notify INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE recipients ADD COLUMN orcpt TEXT;"
    "CREATE TABLE attempts ("
    "  number INTEGER NOT NULL REFERENCES messages ON DELETE CASCADE,"
    "  position INTEGER NOT NULL,"
    "  attempt INTEGER NOT NULL,"
    "  at_ms INTEGER NOT NULL,"
    "  channel TEXT NOT NULL,"
    "  host TEXT NOT NULL,"
    "  peer TEXT NOT NULL,"
    "  tls TEXT NOT NULL,"
    "  outcome TEXT NOT NULL,"
    "  delivered INTEGER NOT NULL,"
    "  deferred INTEGER NOT NULL,"
    "  failed INTEGER NOT NULL,"
    "  PRIMARY KEY (number, position, attempt)"
    ") WITHOUT ROWID;",

    /* Whose retry times and notices it goes by. */
    "ALTER TABLE entries ADD COLUMN priority INTEGER NOT NULL DEFAULT 0;",

    /* What waits for one next hop, so that the others need not wait behind it. */
    "CREATE INDEX entries_lane ON entries (channel, host, next_try_ms) WHERE state = 0;",
};
enum { SCHEMA_VERSION = sizeof STEPS / sizeof *STEPS };

static bool exec(struct queue_store *s, const char *sql, struct queue_result *r)
{
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK || store_fail(s, r);
}

static bool pragma_number(struct queue_store *s, const char *name, int64_t *value,
                          struct queue_result *r)
{
    char sql[64];
    sqlite3_stmt *q;
    snprintf(sql, sizeof sql, "PRAGMA %s", name);
    if (sqlite3_prepare_v2(s->db, sql, -1, &q, NULL) != SQLITE_OK) {
        return store_fail(s, r);
    }
    bool got = sqlite3_step(q) == SQLITE_ROW;
    if (got) {
        *value = sqlite3_column_int64(q, 0);
    } else {
        store_fail(s, r);
    }
    sqlite3_finalize(q);
    return got;
}

static bool schema_step(struct queue_store *s, int64_t version, struct queue_result *r)
{
    char stamp[96];
    snprintf(stamp, sizeof stamp,
             "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT",
             APPLICATION_ID, (int)version + 1);
    if (exec(s, "BEGIN IMMEDIATE", r) && exec(s, STEPS[version], r) &&
        exec(s, stamp, r)) {
        return true;
    }
    sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    return false;
}

bool schema_version(struct queue_store *s, int64_t *out, struct queue_result *r)
{
    int64_t application, version, tables;
    if (!pragma_number(s, "application_id", &application, r) ||
        !pragma_number(s, "user_version", &version, r) ||
        !pragma_number(s, "schema_version", &tables, r)) {
        return false;
    }
    bool empty = application == 0 && version == 0 && tables == 0;
    if (!empty && application != APPLICATION_ID) {
        return queue_result_fail(r,
                                 "the database is not a message queue of this program");
    }
    if (version < 0 || version > SCHEMA_VERSION) {
        return queue_result_fail(r,
                                 "the queue has schema version %d, made by a newer "
                                 "program; this one knows %d",
                                 (int)version, (int)SCHEMA_VERSION);
    }
    *out = version;
    return true;
}

int64_t schema_latest(void)
{
    return SCHEMA_VERSION;
}

bool schema_prepare(struct queue_store *s, struct queue_result *r)
{
    int64_t version;
    if (!schema_version(s, &version, r)) {
        return false;
    }
    for (; version < SCHEMA_VERSION; version++) {
        if (!schema_step(s, version, r)) {
            return false;
        }
    }
    return true;
}
