/* Entries that leave with another header or another sender: in the store, after it was
 * opened again, and in a store that an older program made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sqlite3.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/check.h"
#include "test/unit/queue_fixture.h"

enum { LATER = 2000000 };

static void assert_str(str got, const char *want)
{
    assert_int_equal(got.len, strlen(want));
    assert_memory_equal(got.ptr, want, got.len);
}

/* Three entries: two with one header, the last as received. */
static struct queue_message *message(struct fixture *f, size_t size)
{
    struct queue_message *m = fixture_message(f, size, 3);
    fixture_headers(m, 1);
    m->entries[0].header = m->entries[1].header = &m->headers[0];
    m->entries[1].sender = STR("other@else.test");
    return m;
}

static void reopen(struct fixture *f)
{
    fixture_close(f);
    assert_true(fixture_open(f));
}

static void round_trip(size_t size)
{
    struct fixture f;
    struct claimed c;
    fixture_start(&f);
    struct queue_message *m = message(&f, size);
    assert_true(fixture_commit(&f, m).ok);
    queue_message_free(&m);
    assert_int_equal(fixture_sql(&f, "SELECT count(*) FROM headers"), 1);
    reopen(&f);
    fixture_claim(&f, 10, LATER, &c);
    assert_int_equal(c.count, 3);
    struct queue_message *const *got = c.messages;
    assert_ptr_equal(got[0]->headers->text, got[1]->headers->text); /* loaded once */
    assert_true(fixture_header_good(got[0]) && fixture_header_good(got[1]));
    assert_null(got[0]->entries->sender.ptr);
    assert_str(got[1]->entries->sender, "other@else.test");
    assert_str(got[1]->sender, "sender@example.test");
    assert_null(got[2]->entries->header);
    assert_null(got[2]->entries->sender.ptr);
    assert_true(fixture_body_good(got[0], size));
    for (unsigned i = 0; i < 3; i++) {
        struct queue_settlement s = {.entry_id = got[i]->entries->id,
                                     .number = got[i]->number};
        assert_true(fixture_settle(&f, &s).ok);
    }
    assert_int_equal(fixture_sql(&f, "SELECT count(*) FROM headers"), 0);
    claimed_free(&c);
    fixture_end(&f);
}

static void test_round_trip(void **state)
{
    (void)state;
    round_trip(5000);
    round_trip(BODY_INLINE_MAX + 5000);
}

/* A deferral leaves header and sender as they are. */
static void test_deferred(void **state)
{
    (void)state;
    struct fixture f;
    struct claimed c;
    fixture_start(&f);
    struct queue_message *m = message(&f, 1000);
    assert_true(fixture_commit(&f, m).ok);
    struct queue_settlement s = {.entry_id = m->entries[1].id,
                                 .number = m->number,
                                 .keep = m->entries[1].recipients,
                                 .keep_count = 1,
                                 .next_try_ms = 5000};
    assert_true(fixture_settle(&f, &s).ok);
    fixture_claim(&f, 10, 5000, &c);
    assert_int_equal(c.count, 1);
    assert_str(c.messages[0]->entries->sender, "other@else.test");
    assert_true(fixture_header_good(c.messages[0]));
    claimed_free(&c);
    queue_message_free(&m);
    fixture_end(&f);
}

/* A store that was damaged: set aside, not sent with the wrong header. */
static void lost(const char *damage)
{
    struct fixture f;
    struct claimed c;
    struct queue_counts counts;
    fixture_start(&f);
    struct queue_message *m = message(&f, 1000);
    assert_true(fixture_commit(&f, m).ok);
    queue_message_free(&m);
    fixture_sql(&f, damage);
    reopen(&f);
    fixture_claim(&f, 10, LATER, &c);
    assert_int_equal(c.count, 1);
    assert_null(c.messages[0]->entries->header);
    assert_true(fixture_count(&f, &counts).ok);
    assert_int_equal(counts.held, 2);
    assert_true(fixture_will_log(&f, "its header is not in the store"));
    claimed_free(&c);
    fixture_end(&f);
}

static void test_lost(void **state)
{
    (void)state;
    lost("DELETE FROM headers");
    lost("UPDATE headers SET replaces = 1001");
    lost("UPDATE headers SET replaces = -1");
}

/* --- a store of the version before headers --- */

static const char VERSION_1[] =
    "PRAGMA application_id = 0x504D5131; PRAGMA user_version = 1;"
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "INSERT INTO meta VALUES ('next_number', 1064960);"
    "CREATE TABLE messages (number INTEGER PRIMARY KEY, created_ms INTEGER NOT NULL,"
    " sender TEXT NOT NULL, source_channel TEXT NOT NULL, eight_bit INTEGER NOT NULL,"
    " size INTEGER NOT NULL, body_file TEXT);"
    "CREATE TABLE bodies (number INTEGER PRIMARY KEY REFERENCES messages"
    " ON DELETE CASCADE, data BLOB NOT NULL);"
    "CREATE TABLE entries (number INTEGER NOT NULL REFERENCES messages"
    " ON DELETE CASCADE, position INTEGER NOT NULL, channel TEXT NOT NULL,"
    " host TEXT NOT NULL, state INTEGER NOT NULL CHECK (state IN (0, 1, 2)),"
    " attempts INTEGER NOT NULL, next_try_ms INTEGER NOT NULL, last_error TEXT,"
    " PRIMARY KEY (number, position)) WITHOUT ROWID;"
    "CREATE INDEX entries_due ON entries (next_try_ms) WHERE state = 0;"
    "CREATE TABLE recipients (number INTEGER NOT NULL, position INTEGER NOT NULL,"
    " rank INTEGER NOT NULL, address TEXT NOT NULL, PRIMARY KEY (number, position, rank),"
    " FOREIGN KEY (number, position) REFERENCES entries ON DELETE CASCADE) WITHOUT ROWID;"
    "INSERT INTO messages VALUES (1048580, 7, 'old@test', 'tcp_local', 0, 3, NULL);"
    "INSERT INTO bodies VALUES (1048580, x'616263');"
    "INSERT INTO entries VALUES (1048580, 0, 'tcp_x', 'x.test', 0, 2, 9, 'busy');"
    "INSERT INTO recipients VALUES (1048580, 0, 0, 'ann@x.test');";

static void make_version_1(struct fixture *f)
{
    char path[256];
    sqlite3 *db;
    assert_int_equal(remove(fixture_path(f, "queue.db", path)), 0);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, VERSION_1, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void test_migration(void **state)
{
    (void)state;
    struct fixture f;
    struct claimed c;
    fixture_start(&f);
    fixture_close(&f);
    make_version_1(&f);
    assert_true(fixture_open(&f));
    assert_int_equal(fixture_sql(&f, "PRAGMA user_version"), 6);
    fixture_claim(&f, 10, LATER, &c);
    assert_int_equal(c.count, 1);
    const struct queue_message *m = c.messages[0];
    assert_str(m->sender, "old@test");
    assert_str(body_part(m->body, 0), "abc");
    assert_str(m->entries->recipients[0].address, "ann@x.test");
    assert_int_equal(m->entries->attempts, 2);
    assert_null(m->entries->sender.ptr);
    assert_null(m->entries->returns.ptr);
    assert_null(m->entries->header);
    claimed_free(&c);
    struct queue_message *next = message(&f, 10);
    assert_true(fixture_commit(&f, next).ok);
    queue_message_free(&next);
    fixture_end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_deferred),
        cmocka_unit_test(test_lost),
        cmocka_unit_test(test_migration),
    };
    return cmocka_run_group_tests_name("queue headers", tests, NULL, NULL);
}
