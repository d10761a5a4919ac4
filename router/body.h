/* body: a message's octets, in memory up to BODY_INLINE_MAX, above that in a file.
 * Counted (atomic); immutable once sealed. Writing is for one owner on one loop. An
 * overlay is a body with another beginning: what is sent where a channel wants another
 * header. It is read like any other. */
#ifndef ROUTER_BODY_H
#define ROUTER_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct body;
struct worker;

enum { BODY_INLINE_MAX = 65536 };

/* A new, empty, unsealed body with one reference. `number` is the message's queue
 * number, `directory` the folder for large bodies (borrowed until sealed). */
struct body *body_new(uint64_t number, const char *directory);
struct body *body_ref(struct body *b);
/* Drops and clears. The last reference of a body whose file was never adopted by the
 * queue unlinks the file. */
void body_unref(struct body **b);

/* Called once, on the worker's loop, never inside the call that asked.
 * error: 0 or a negative libuv code (UV_ENOSPC ...). */
typedef void (*body_cb)(struct body *b, int error, void *arg);

/* Appends. data is borrowed until the answer. Returns true when it was stored at once
 * (memory); false: cb comes. One request at a time. */
bool body_append(struct worker *w, struct body *b, str data, body_cb cb, void *arg,
                 int *error);
/* No more comes; a file is synced, and so is its directory. Always answers by cb,
 * except for an in-memory body: then returns true at once. */
bool body_seal(struct worker *w, struct body *b, body_cb cb, void *arg, int *error);

uint64_t body_size(const struct body *b);
/* The octets from offset on that lie in memory in one piece, empty at the end; ptr NULL
 * when those at offset are in a file. */
str body_part(const struct body *b, uint64_t offset);
/* The file's name within the directory, NULL for a body in memory. Not for overlays. */
const char *body_file(const struct body *b);
/* The queue owns the file now: the last body_unref() leaves it alone. */
void body_adopt(struct body *b);

/* A sealed body from the store: bytes are copied. */
struct body *body_from_memory(const void *data, size_t len);
/* A sealed body in a file of the queue (adopted). NULL with *error on failure. */
struct body *body_from_file(const char *directory, const char *file, int *error);
/* The octets of head (in memory), then those of base from `skip` on. Both are sealed and
 * no overlays; a reference of each is taken. skip is at most the size of base. */
struct body *body_overlay(struct body *head, struct body *base, uint64_t skip);

/* Reads up to size bytes at offset. What lies in memory (see body_part()) is copied at
 * once: returns the count. For a file returns -1 and answers by cb with `got` bytes in
 * `into` (0 at the end, negative libuv code on failure). One read at a time per reader.
 */
struct body_reader;
typedef void (*body_read_cb)(struct body_reader *r, long got, void *arg);
struct body_reader *body_reader_new(struct worker *w, struct body *b);
/* Cancels nothing: must not be freed while a read is outstanding; body_reader_free
 * then defers itself until the answer, which is not delivered. Clears *r. */
void body_reader_free(struct body_reader **r);
long body_read(struct body_reader *r, void *into, size_t size, uint64_t offset,
               body_read_cb cb, void *arg);
/* Blocking form for pool threads. Returns bytes read, 0 at the end, -errno. */
long body_read_blocking(const struct body *b, void *into, size_t size, uint64_t offset);

#endif
