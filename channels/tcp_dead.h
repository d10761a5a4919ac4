/* tcp_dead: addresses that could not be reached a moment ago, so that not every message
 * for them waits for a connection that does not come. One for all workers; kept in
 * memory only; bounded: what does not fit any more is forgotten, the soonest over first.
 * When the time is over one delivery tries again, while the others still keep off. */
#ifndef CHANNELS_TCP_DEAD_H
#define CHANNELS_TCP_DEAD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum { TCP_DEAD_TEXT_MAX = 120 };

struct tcp_dead;

/* One reference. Any thread, as all below. Times are those of a clock that never goes
 * back, in milliseconds. */
struct tcp_dead *tcp_dead_new(void);
struct tcp_dead *tcp_dead_ref(struct tcp_dead *d);
/* Drops the reference and clears *d. */
void tcp_dead_unref(struct tcp_dead **d);

/* The address could not be reached, for that reason; it is not to be tried for so long.
 */
void tcp_dead_note(struct tcp_dead *d, const struct sockaddr *address, int64_t now_ms,
                   int64_t for_ms, const char *reason);
/* It answers. */
void tcp_dead_clear(struct tcp_dead *d, const struct sockaddr *address);
/* All of them may be tried. */
void tcp_dead_clear_all(struct tcp_dead *d);
/* Is it to be kept off? Then why and since when are told in text. When its time is over
 * the one who asks first is told no, and is to try: for the others it counts on for
 * probe_ms at most. */
bool tcp_dead_check(struct tcp_dead *d, const struct sockaddr *address, int64_t now_ms,
                    int64_t probe_ms, char text[TCP_DEAD_TEXT_MAX]);

#endif
