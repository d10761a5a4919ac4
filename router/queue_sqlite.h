/* queue_sqlite: what the files of the embedded store share. Nobody else includes it,
 * but offline tools that read a queue. */
#ifndef ROUTER_QUEUE_SQLITE_H
#define ROUTER_QUEUE_SQLITE_H

#include <sqlite3.h>

#include "base/vec.h"
#include "router/queue_store.h"

/* An entry's id: its message's number and its position in it. Numbers are never used
 * twice, so neither are ids. */
enum { ENTRY_POSITION_BITS = 20 };
static inline int64_t entry_id(uint64_t number, int64_t position)
{
    return (int64_t)(number << ENTRY_POSITION_BITS) | position;
}
static inline int64_t entry_number(int64_t id)
{
    return id >> ENTRY_POSITION_BITS;
}
static inline int64_t entry_position(int64_t id)
{
    return id & (((int64_t)1 << ENTRY_POSITION_BITS) - 1);
}

/* The statements, prepared when first used: X(name, SQL). */
#define SQLITE_STATEMENTS(X)                                                             \
    X(BEGIN, "BEGIN IMMEDIATE")                                                          \
    X(COMMIT, "COMMIT")                                                                  \
    X(ROLLBACK, "ROLLBACK")                                                              \
    X(SAVEPOINT, "SAVEPOINT request")                                                    \
    X(KEEP, "RELEASE request")                                                           \
    X(UNDO, "ROLLBACK TO request")                                                       \
    X(LOAD_BOUND, "SELECT value FROM meta WHERE key = 'next_number'")                    \
    X(SAVE_BOUND, "UPDATE meta SET value = ?1 WHERE key = 'next_number'")                \
    X(INSERT_MESSAGE,                                                                    \
      "INSERT INTO messages (number, created_ms, sender, source_channel,"                \
      " eight_bit, size, body_file, ret, envid)"                                         \
      " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")                                    \
    X(INSERT_BODY, "INSERT INTO bodies (number, data) VALUES (?1, ?2)")                  \
    X(INSERT_HEADER, "INSERT INTO headers (number, header, replaces, data)"              \
                     " VALUES (?1, ?2, ?3, ?4)")                                         \
    X(INSERT_ENTRY, "INSERT INTO entries (number, position, channel, host, state,"       \
                    " attempts, next_try_ms, sender, header, returns, last_error,"       \
                    " priority)"                                                         \
                    " VALUES (?1, ?2, ?3, ?4, ?5, 0, ?6, ?7, ?8, ?9, ?10, ?11)")         \
    X(INSERT_RECIPIENT, "INSERT INTO recipients"                                         \
                        " (number, position, rank, address, notify, orcpt)"              \
                        " VALUES (?1, ?2, ?3, ?4, ?5, ?6)")                              \
    X(DUE, "SELECT e.number, e.position, e.channel, e.host, e.attempts, m.created_ms,"   \
           " m.sender, m.source_channel, m.eight_bit, m.size, m.body_file,"              \
           " e.sender, e.header, e.returns, e.notices, m.ret, m.envid,"                  \
           " e.priority, e.ordered, e.redirected,"                                       \
           " EXISTS (SELECT 1 FROM stopped WHERE channel = e.channel)"                   \
           " FROM entries e JOIN messages m ON m.number = e.number"                      \
           " WHERE e.state = 0 AND e.next_try_ms <= ?1"                                  \
           " ORDER BY e.next_try_ms, e.number, e.position LIMIT ?2")                     \
    X(DUE_OF_LANE,                                                                       \
      "SELECT e.number, e.position, e.channel, e.host, e.attempts, m.created_ms,"        \
      " m.sender, m.source_channel, m.eight_bit, m.size, m.body_file,"                   \
      " e.sender, e.header, e.returns, e.notices, m.ret, m.envid,"                       \
      " e.priority, e.ordered, e.redirected,"                                            \
      " EXISTS (SELECT 1 FROM stopped WHERE channel = e.channel)"                        \
      " FROM entries e JOIN messages m ON m.number = e.number"                           \
      " WHERE e.state = 0 AND e.channel = ?3 AND e.host = ?4 AND e.next_try_ms <= ?1"    \
      " ORDER BY e.next_try_ms, e.number, e.position LIMIT ?2")                          \
    /* Two, because a comparison of (channel, host) would look at every entry of a lane. \
     */                                                                                  \
    X(NEXT_HOST, "SELECT channel, host FROM entries INDEXED BY entries_lane"             \
                 " WHERE state = 0 AND channel = ?1 AND host > ?2"                       \
                 " ORDER BY host LIMIT 1")                                               \
    X(NEXT_CHANNEL, "SELECT channel, host FROM entries INDEXED BY entries_lane"          \
                    " WHERE state = 0 AND channel > ?1"                                  \
                    " ORDER BY channel, host LIMIT 1")                                   \
    X(BODY, "SELECT data FROM bodies WHERE number = ?1")                                 \
    X(HEADER, "SELECT replaces, data FROM headers WHERE number = ?1 AND header = ?2")    \
    X(RECIPIENTS, "SELECT address, notify, orcpt FROM recipients"                        \
                  " WHERE number = ?1 AND position = ?2 ORDER BY rank")                  \
    /* For a clock that was ahead: a day, and an hour. */                                \
    X(CLOCK_ENTRIES,                                                                     \
      "UPDATE entries SET next_try_ms = ?1"                                              \
      " WHERE state = 0 AND next_try_ms > ?1 + 86400000"                                 \
      " AND (EXISTS (SELECT 1 FROM messages m WHERE m.number = entries.number"           \
      " AND m.created_ms > ?1 + 3600000)"                                                \
      " OR EXISTS (SELECT 1 FROM attempts a WHERE a.number = entries.number"             \
      " AND a.position = entries.position AND a.at_ms > ?1 + 3600000))")                 \
    X(CLOCK_MESSAGES, "UPDATE messages SET created_ms = ?1"                              \
                      " WHERE created_ms > ?1 + 3600000")                                \
    X(NEWEST, "SELECT max(created_ms) FROM (SELECT created_ms FROM messages"             \
              " ORDER BY number DESC LIMIT 10000)")                                      \
    X(NEXT_DUE, "SELECT min(next_try_ms) FROM entries WHERE state = 0")                  \
    X(SET_STATE, "UPDATE entries SET state = ?3 WHERE number = ?1 AND position = ?2")    \
    /* What is held although the settlement did not say so was by order; 1:              \
     * ORDERED_HOLD. One that was to be deleted is gone, one that was to be returned     \
     * still says so. */                                                                 \
    X(UNSETTLE, "UPDATE entries SET state = 1,"                                          \
                " ordered = CASE WHEN state = 2 AND NOT ?3 THEN 1 ELSE ordered END"      \
                " WHERE number = ?1 AND position = ?2")                                  \
    X(SET_ASIDE, "UPDATE entries SET state = 2, last_error = ?3"                         \
                 " WHERE number = ?1 AND position = ?2")                                 \
    X(PUT_OFF, "UPDATE entries SET next_try_ms = ?3, last_error = ?4"                    \
               " WHERE number = ?1 AND position = ?2")                                   \
    X(RELEASE, "UPDATE entries SET state = 0, next_try_ms = ?3"                          \
               " WHERE number = ?1 AND position = ?2 AND state = 1")                     \
    X(ENTRIES_OF, "SELECT count(*) FROM entries WHERE number = ?1")                      \
    X(ORDERED, "SELECT ordered FROM entries WHERE number = ?1 AND position = ?2")        \
    X(SET_ORDERED, "UPDATE entries SET ordered = ?3"                                     \
                   " WHERE number = ?1 AND position = ?2")                               \
    X(RETURNED, "UPDATE entries SET ordered = 0" /* 3: ORDERED_RETURN */                 \
                " WHERE number = ?1 AND position = ?2 AND ordered = 3")                  \
    X(CHANGE, "UPDATE entries SET state = ?3, next_try_ms = ?4, ordered = ?5,"           \
              " last_error = coalesce(?6, last_error)"                                   \
              " WHERE number = ?1 AND position = ?2")                                    \
    X(MOVE,                                                                              \
      "UPDATE entries SET channel = ?3, host = ?4, redirected = ?5, next_try_ms = ?6"    \
      " WHERE number = ?1 AND position = ?2")                                            \
    X(LAST_POSITION, "SELECT max(position) FROM entries WHERE number = ?1")              \
    X(SPLIT_ENTRY, "INSERT INTO entries"                                                 \
                   " SELECT number, ?3, channel, ?4, state, attempts, next_try_ms,"      \
                   " last_error, sender, header, returns, notices, ordered, redirected," \
                   " priority FROM entries WHERE number = ?1 AND position = ?2")         \
    X(RANKS, "SELECT rank FROM recipients WHERE number = ?1 AND position = ?2"           \
             " ORDER BY rank")                                                           \
    X(SPLIT_RECIPIENT, "UPDATE recipients SET position = ?4"                             \
                       " WHERE number = ?1 AND position = ?2 AND rank = ?3")             \
    X(STOP, "INSERT INTO stopped (channel, since_ms) VALUES (?1, ?2)"                    \
            " ON CONFLICT DO NOTHING")                                                   \
    X(START, "DELETE FROM stopped WHERE channel = ?1")                                   \
    X(PARK, "UPDATE entries SET next_try_ms = ?3, ordered = ?4"                          \
            " WHERE (number, position) IN"                                               \
            " (SELECT number, position FROM entries INDEXED BY entries_due"              \
            " WHERE state = 0 AND next_try_ms <= ?2 AND channel = ?1 AND ordered <> ?5"  \
            " LIMIT ?6)")                                                                \
    X(STOPPED, "SELECT channel FROM stopped")                                            \
    X(CLAIMED_ORDERED, "SELECT number, position, ordered FROM entries"                   \
                       " WHERE state = 1 AND ordered <> 0")                              \
    X(LOOK, "SELECT e.number, e.position, e.state, e.channel, e.host, e.attempts,"       \
            " e.next_try_ms, e.last_error, m.created_ms, m.sender, m.source_channel,"    \
            " m.size, e.ordered, e.redirected, e.priority"                               \
            " FROM entries e JOIN messages m ON m.number = e.number"                     \
            " WHERE (e.number, e.position) > (?1, ?2)"                                   \
            " ORDER BY e.number, e.position LIMIT ?3")                                   \
    X(KEEP_ENTRY, "UPDATE entries SET state = ?3, attempts = attempts + 1,"              \
                  " next_try_ms = ?4, last_error = coalesce(?5, last_error),"            \
                  " notices = ?6 WHERE number = ?1 AND position = ?2")                   \
    X(INSERT_ATTEMPT,                                                                    \
      "INSERT INTO attempts SELECT number, position, ?3, ?4, channel, host, ?5, ?6, ?7," \
      " ?8, ?9, ?10 FROM entries WHERE number = ?1 AND position = ?2")                   \
    X(HISTORY, "SELECT at_ms, peer, tls, outcome, delivered, deferred, failed"           \
               " FROM attempts WHERE number = ?1 AND position = ?2"                      \
               " ORDER BY attempt DESC LIMIT ?3")                                        \
    X(LAST_ATTEMPT, "SELECT coalesce(max(attempt), 0) FROM attempts"                     \
                    " WHERE number = ?1 AND position = ?2")                              \
    X(FORGET_ATTEMPT, "DELETE FROM attempts"                                             \
                      " WHERE number = ?1 AND position = ?2 AND attempt = ?3")           \
    X(ENTRIES_BESIDE, "SELECT 1 FROM entries WHERE number = ?1 AND position <> ?2"       \
                      " LIMIT 1")                                                        \
    X(COUNT_RECIPIENTS, "SELECT count(*) FROM recipients"                                \
                        " WHERE number = ?1 AND position = ?2")                          \
    X(DELETE_RECIPIENTS, "DELETE FROM recipients WHERE number = ?1 AND position = ?2")   \
    X(DELETE_ENTRY, "DELETE FROM entries WHERE number = ?1 AND position = ?2")           \
    X(ENTRY_LEFT, "SELECT 1 FROM entries WHERE number = ?1 LIMIT 1")                     \
    X(BODY_FILE, "SELECT body_file FROM messages WHERE number = ?1")                     \
    X(DELETE_MESSAGE, "DELETE FROM messages WHERE number = ?1")                          \
    X(FREE_BYTES, "SELECT freelist_count * page_size"                                    \
                  " FROM pragma_freelist_count, pragma_page_size")                       \
    X(DATABASE_BYTES, "SELECT page_count * page_size"                                    \
                      " FROM pragma_page_count, pragma_page_size")                       \
    X(OLDEST, "SELECT created_ms FROM messages ORDER BY number LIMIT 1")                 \
    X(COUNT_ENTRIES, "SELECT number, position, state, attempts FROM entries"             \
                     " WHERE (number, position) > (?1, ?2)"                              \
                     " ORDER BY number, position LIMIT ?3")                              \
    X(VOID_CLAIMS, "UPDATE entries SET state = 0, next_try_ms = ?1 WHERE state = 1")     \
    X(FILES, "SELECT number, body_file, size FROM messages"                              \
             " WHERE body_file IS NOT NULL")                                             \
    X(FILES_OF, "SELECT number, body_file, size FROM messages"                           \
                " WHERE number > ?1 AND number <= ?2 AND body_file IS NOT NULL")         \
    X(CHUNK_END, "SELECT max(number) FROM (SELECT number FROM messages"                  \
                 " WHERE number > ?1 ORDER BY number LIMIT ?2)")                         \
    X(HOLD_MESSAGE, "UPDATE entries SET state = 2, last_error = ?2 WHERE number = ?1")   \
    X(WALK_ENTRIES,                                                                      \
      "SELECT number, position, state, attempts, next_try_ms, ordered, channel, host,"   \
      " last_error FROM entries WHERE (number, position) > (?1, ?2)"                     \
      " ORDER BY number, position LIMIT ?3")                                             \
    X(WALK_MESSAGES, "SELECT number, created_ms, size, sender FROM messages"             \
                     " WHERE number >= ?1 ORDER BY number")                              \
    X(STOPPED_SINCE, "SELECT channel, since_ms FROM stopped ORDER BY channel")           \
    X(STORY_MESSAGE,                                                                     \
      "SELECT created_ms, sender, source_channel, eight_bit, size, body_file, ret,"      \
      " envid FROM messages WHERE number = ?1")                                          \
    X(STORY_ENTRIES,                                                                     \
      "SELECT position, channel, host, state, attempts, next_try_ms, last_error,"        \
      " sender, returns, header, notices, priority, ordered, redirected"                 \
      " FROM entries WHERE number = ?1 ORDER BY position")                               \
    X(STORY_ATTEMPTS,                                                                    \
      "SELECT position, attempt, at_ms, channel, host, peer, tls, outcome, delivered,"   \
      " deferred, failed FROM attempts WHERE number = ?1 ORDER BY position, attempt")    \
    X(COPY_ENTRY, "SELECT header FROM entries WHERE number = ?1"                         \
                  " AND (?2 < 0 OR position = ?2) ORDER BY position LIMIT 1")

enum sqlite_statement {
#define STATEMENT_ID(id, sql) SQL_##id,
    SQLITE_STATEMENTS(STATEMENT_ID)
#undef STATEMENT_ID
        SQL_COUNT
};

enum { STORE_BUSY_MS = 5000 }; /* how long others may keep the store waiting */

enum { QUEUE_LANE_CHANNEL_MAX = 64, QUEUE_LANE_HOST_MAX = 1100 };

struct queue_store {
    sqlite3 *db;
    sqlite3_stmt *statements[SQL_COUNT];
    const struct queue_place *place;
    /* Numbers whose body files go after the commit. */
    uint64_t *doomed;
    size_t doomed_count, doomed_cap, doomed_mark; /* mark: at the savepoint */
    int log_wait_pages; /* in the log file: then readers are waited for */
    /* The lane whose turn was last; queue_claim_beside(). */
    char lane_channel[QUEUE_LANE_CHANNEL_MAX], lane_host[QUEUE_LANE_HOST_MAX];
    int64_t clock_ms;       /* the latest time anybody has asked for what is due */
    uint64_t charged_bytes; /* what this transaction may make the disk fuller by */
};

/* --- queue_sqlite.c --- */

/* The statement, reset, or NULL with *r. Values bound must live until the reset. */
sqlite3_stmt *store_statement(struct queue_store *s, enum sqlite_statement id,
                              struct queue_result *r);
/* Runs a statement that gives no rows, then resets it. */
bool store_run(struct queue_store *s, sqlite3_stmt *q, struct queue_result *r);
/* Writes what the database says went wrong; returns false. */
bool store_fail(struct queue_store *s, struct queue_result *r);
/* Prepares, binds (number, position) and leaves the rest to the caller. */
sqlite3_stmt *store_entry_statement(struct queue_store *s, enum sqlite_statement id,
                                    int64_t entry, struct queue_result *r);
/* A line of the event `queue` about that message. */
void store_log(struct queue_store *s, const char *what, uint64_t number,
               const char *reason);
/* Of a clock that only goes forward: for what must not take long. */
int64_t store_clock_ms(void);
/* Runs a statement bound to one number only. */
bool store_do_number(struct queue_store *s, enum sqlite_statement id, int64_t number,
                     struct queue_result *r);
/* The number in the first column of the first row, or `otherwise` without a row. Resets
 * q, which may be NULL: false. */
bool store_query_number(struct queue_store *s, sqlite3_stmt *q, int64_t otherwise,
                        int64_t *value, struct queue_result *r);
/* Binds a text, which must live until the reset; ptr NULL: the empty one. */
void store_bind(sqlite3_stmt *q, int at, str text);
/* Stores them as those of the entry, behind nobody. */
bool store_insert_recipients(struct queue_store *s, int64_t entry,
                             const struct queue_recipient *list, unsigned count,
                             struct queue_result *r);

/* --- queue_sqlite_settle.c --- */

bool sqlite_settle(struct queue_store *s, const struct queue_settlement *t,
                   struct queue_result *r);
/* Removes an entry, and its message with the last one. */
bool store_remove_entry(struct queue_store *s, int64_t entry, struct queue_result *r);
/* queue_sqlite_history.c: as for struct queue_engine. */
bool store_history(struct queue_store *s, struct queue_store_history *h,
                   struct queue_result *r);

void sqlite_close(struct queue_store **s);

/* --- queue_sqlite_log.c --- */

/* A sync that fails is the only one that tells: the kernel takes what it could not write
 * for written, it still reads well, and the next sync has nothing to do. In the log file
 * this would be a hole in front of all that is committed later, and after a loss of power
 * SQLite would find nothing behind it. So a log that was left at `path`-wal, by a store
 * that failed or by an earlier run, counts only when all of it was written once more. */
bool log_rewrite(const char *path, struct queue_result *r);
/* From now on the log file is moved into the database as it grows, in the place of
 * SQLite's own way, which lets it grow for ever when somebody always reads. */
void log_keep_small(struct queue_store *s);

/* --- queue_sqlite_open.c --- */

struct queue_store *sqlite_open(const struct queue_place *place, struct queue_result *r);

/* --- queue_sqlite_schema.c --- */

/* The version of the schema; false with *r when the file is no queue, or one made by a
 * newer program. */
bool schema_version(struct queue_store *s, int64_t *version, struct queue_result *r);

/* The version this program works with. */
int64_t schema_latest(void);
/* Creates or migrates; checks that the file is a queue and not a newer one. */
bool schema_prepare(struct queue_store *s, struct queue_result *r);

/* --- queue_sqlite_claim.c --- */

bool sqlite_claim(struct queue_store *s, struct queue_store_claim *c,
                  struct queue_result *r);

/* --- queue_sqlite_clock.c --- */

/* Puts right what was written under a clock that was ahead by more than an hour. */
bool clock_recover(struct queue_store *s, int64_t now_ms, struct queue_result *r);
/* The same when the clock has gone back since the last call. */
bool clock_look(struct queue_store *s, int64_t now_ms, struct queue_result *r);

/* --- queue_sqlite_operator.c --- */

/* What an operator wants of an entry that is claimed, and what else is to be remembered
 * of one. Stored as these numbers: never renumber. */
enum queue_ordered {
    ORDERED_NONE = 0,
    ORDERED_HOLD = 1,
    ORDERED_DELETE = 2,
    ORDERED_RETURN = 3, /* also while it waits */
    ORDERED_PARKED = 4  /* waits because its channel was stopped when it was due */
};

bool sqlite_order(struct queue_store *s, const struct queue_order *o,
                  struct queue_step *step, struct queue_result *r);
bool sqlite_stopped(struct queue_store *s, void (*fn)(str channel, void *arg), void *arg,
                    struct queue_result *r);
/* The entry is not claimed any more: does what was ordered meanwhile. */
bool store_carry_out(struct queue_store *s, int64_t entry, struct queue_result *r);
/* The same for all that an earlier run had claimed; before the claims are voided. */
bool store_carry_out_all(struct queue_store *s, struct queue_result *r);

/* --- queue_sqlite_redirect.c --- */

struct queue_seen;
/* *changed: it could be, for one that is being delivered to several domains cannot. */
bool store_redirect(struct queue_store *s, struct arena *a, const struct queue_order *o,
                    struct queue_seen *e, bool *changed, struct queue_result *r);

/* --- queue_sqlite_look.c --- */

/* An entry as it stands in the store. */
struct queue_seen {
    uint64_t number; /* of its message */
    char id[QUEUE_ID_MAX];
    unsigned position; /* in the message */
    enum queue_state state;
    enum queue_ordered ordered;
    bool redirected;
    int priority;
    str channel, host;
    unsigned attempts;
    int64_t next_try_ms;
    str reason; /* why it was deferred or held last; ptr NULL: nothing is known */
    int64_t created_ms;
    str sender; /* as received; empty: null sender */
    str source_channel;
    int64_t size;
    const str *recipients; /* those still open; with their number only when asked for */
    unsigned recipient_count;
};

/* Not more than a few thousand entries are looked at for a page, however few of them
 * pass: no transaction lasts as long as it takes to look at all of a large queue. */
struct look_page {
    struct queue_cursor at;            /* in: behind which entry; out: the last one */
    const struct queue_filter *filter; /* only what it lets pass; what it says of
                                          recipients is left to store_filter() */
    unsigned limit;
    VEC(struct queue_seen) seen;
    unsigned looked; /* out: at so many, those that do not pass included */
    bool end;        /* out: there are no more */
};
/* The next entries, in one read transaction; memory is from a. */
bool store_look(struct queue_store *s, struct arena *a, struct look_page *page,
                struct queue_result *r);
/* Reads those of e that are still open. */
bool store_recipients(struct queue_store *s, struct arena *a, struct queue_seen *e,
                      struct queue_result *r);
/* Does the entry pass? Its recipients are read when the filter asks for them. */
bool store_filter(struct queue_store *s, struct arena *a, const struct queue_filter *f,
                  struct queue_seen *e, bool *passes, struct queue_result *r);

/* --- queue_sqlite_offline.c --- */

/* Opens an existing queue for reading into s->db. On failure s is to be closed, too. */
bool reader_open(struct queue_store *s, const char *directory, struct queue_result *r);

/* --- queue_sqlite_check.c --- */

/* Reads the database through. False with the first thing wrong. */
bool check_database(struct queue_store *s, struct queue_result *r);
/* The same for one of up to 128 MiB; of a larger one it is only logged that it was not.
 */
bool check_quickly(struct queue_store *s, struct queue_result *r);

/* --- queue_sqlite_bodies.c --- */

/* Body files without a message are removed, messages whose file is missing or of
 * another size are held. */
bool bodies_recover(struct queue_store *s, struct queue_result *r);
/* Removes a body file; a failure is logged, the sweep of the next start repeats it. */
void bodies_unlink(struct queue_store *s, uint64_t number);

#endif
