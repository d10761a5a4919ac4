/* clock: the time behind one function pointer (tests bring their own), and ISO 8601
 * periods. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

struct clock {
    int64_t (*now_ms)(const struct clock *); /* milliseconds since 1970, UTC */
};
/* CLOCK_REALTIME. */
extern const struct clock clock_system;
int64_t clock_now_ms(const struct clock *c);

/* "Sat, 21 Nov 2026 00:22:10 +0000" (RFC 5322 3.3); out needs 40 bytes. */
void clock_rfc5322(int64_t ms, char *out, size_t size);
/* Reads such a date back, also without day of the week or seconds, with a zone that is
 * named (RFC 5322 4.3) or a year of two digits; comments behind it. False: it is none. */
bool clock_rfc5322_read(str text, int64_t *ms);
/* "2026-11-21T00:22:10.123456+00:00" (RFC 3339), microseconds from ms; 40 bytes. */
void clock_rfc3339(int64_t ms, char *out, size_t size);
/* Parses an ISO 8601 period of days, hours, minutes, seconds ("P1DT4H", "PT10S",
 * lower case too) into milliseconds. */
bool clock_period_ms(str text, int64_t *out);
/* Parses the value of an option that is a time: a number of units, with a fraction if
 * need be ("0.5", "16%A"), or an ISO 8601 period. Rounded to milliseconds; at most
 * max_ms. */
bool clock_duration_ms(str text, int64_t unit_ms, int64_t max_ms, int64_t *out);
/* Writes a time that is not negative so that clock_duration_ms() with the unit minutes
 * reads it back: a period, or, where it is no whole number of seconds, minutes with a
 * fraction. out needs 40 bytes. */
void clock_duration_print(int64_t ms, char *out, size_t size);

/* "3 d 4 h", "2 h 3 min", "17 s": the two largest units of a time span. */
void clock_age(int64_t ms, char *out, size_t size);

#endif
