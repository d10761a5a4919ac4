/* clock: the system clock, and dates written and read without the locale. */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t system_now_ms(const struct clock *c)
{
    (void)c;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

const struct clock clock_system = {system_now_ms};

int64_t clock_now_ms(const struct clock *c)
{
    return c->now_ms(c);
}

/* Splits into calendar time and the milliseconds left over (0 to 999). A time no
 * calendar can hold is shown as 1970. */
static int split_ms(int64_t ms, struct tm *tm)
{
    int64_t rest = ms % 1000;
    if (rest < 0) {
        rest += 1000;
    }
    time_t seconds = (time_t)((ms - rest) / 1000);
    if (gmtime_r(&seconds, tm) == NULL || tm->tm_year > 9999 - 1900) {
        time_t start = 0;
        gmtime_r(&start, tm);
        return 0;
    }
    return (int)rest;
}

static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

void clock_rfc5322(int64_t ms, char *out, size_t size)
{
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    struct tm tm;
    split_ms(ms, &tm);
    snprintf(out, size, "%s, %d %s %04d %02d:%02d:%02d +0000", days[tm.tm_wday],
             tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
             tm.tm_sec);
}

void clock_rfc3339(int64_t ms, char *out, size_t size)
{
    struct tm tm;
    int rest = split_ms(ms, &tm);
    snprintf(out, size, "%04d-%02d-%02dT%02d:%02d:%02d.%03d000+00:00", tm.tm_year + 1900,
             tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, rest);
}

/* Days from 1970 to a day of the Gregorian calendar. */
static int64_t days_to(int64_t year, unsigned month, unsigned day)
{
    static const unsigned before[12] = {0,   31,  59,  90,  120, 151,
                                        181, 212, 243, 273, 304, 334};
    int64_t leap = (month > 2 ? year : year - 1);
    int64_t leaps = leap / 4 - leap / 100 + leap / 400;
    return (year - 1970) * 365 + leaps - (1969 / 4 - 1969 / 100 + 1969 / 400) +
           before[month - 1] + day - 1;
}

static bool month_read(str word, unsigned *out)
{
    for (unsigned i = 0; i < 12; i++) {
        if (str_ieq(word, str_from(months[i]))) {
            *out = i + 1;
            return true;
        }
    }
    return false;
}

/* RFC 5322 4.3: two digits are of 1950 to 2049, three count from 1900. */
static bool year_read(str word, int64_t *out)
{
    uint64_t year;
    if (word.len < 2 || !str_u64(word, 9999, &year)) {
        return false;
    }
    *out = (int64_t)year + (word.len == 2   ? (year < 50 ? 2000 : 1900)
                            : word.len == 3 ? 1900
                                            : 0);
    return true;
}

/* "hh:mm" or "hh:mm:ss", as seconds. */
static bool time_read(str word, int64_t *out)
{
    static const unsigned most[3] = {23, 59, 60};
    int64_t seconds = 0;
    unsigned n = 0;
    str part;
    while (n < 3 && str_split(&word, ':', &part)) {
        uint64_t value;
        if (part.len == 0 || part.len > 2 || !str_u64(part, most[n], &value)) {
            return false;
        }
        seconds = seconds * 60 + (int64_t)value;
        n++;
    }
    *out = n == 2 ? seconds * 60 : seconds;
    return n >= 2 && word.len == 0;
}

/* "+hhmm", or a name, as seconds east. Names nobody knows are UTC (RFC 5322 4.3). */
static bool zone_read(str word, int64_t *out)
{
    static const struct {
        const char *name;
        int hours;
    } names[] = {{"EST", -5}, {"EDT", -4}, {"CST", -6}, {"CDT", -5},
                 {"MST", -7}, {"MDT", -6}, {"PST", -8}, {"PDT", -7}};
    uint64_t value;
    *out = 0;
    if (word.len > 0 && (word.ptr[0] == '+' || word.ptr[0] == '-')) {
        if (word.len != 5 || !str_u64(str_from_pos(word, 1), 9999, &value) ||
            value % 100 > 59) {
            return false;
        }
        *out = (int64_t)(value / 100 * 3600 + value % 100 * 60);
        *out = word.ptr[0] == '-' ? -*out : *out;
        return true;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        *out = str_ieq(word, str_from(names[i].name)) ? names[i].hours * 3600 : *out;
    }
    return word.len > 0 && ascii_lower(word.ptr[0]) >= 'a' &&
           ascii_lower(word.ptr[0]) <= 'z';
}

bool clock_rfc5322_read(str text, int64_t *ms)
{
    ptrdiff_t comma = str_find(text, ',');
    str rest = comma < 0 ? text : str_from_pos(text, (size_t)comma + 1);
    str day_word, month_word, year_word, time_word, zone_word;
    uint64_t day;
    unsigned month;
    int64_t year, seconds, east;
    if (!str_word(&rest, &day_word) || !str_word(&rest, &month_word) ||
        !str_word(&rest, &year_word) || !str_word(&rest, &time_word) ||
        !str_word(&rest, &zone_word) || !str_u64(day_word, 31, &day) || day == 0 ||
        !month_read(month_word, &month) || !year_read(year_word, &year) ||
        !time_read(time_word, &seconds) || !zone_read(zone_word, &east)) {
        return false;
    }
    *ms = (days_to(year, month, (unsigned)day) * 86400 + seconds - east) * 1000;
    return true;
}

/* One "<number><unit>"; *rank falls from unit to unit, so that none comes twice or out
 * of order. */
static bool period_part(str *text, bool time_part, int *rank, int64_t *total)
{
    static const struct {
        char letter;
        bool time_part;
        int64_t ms;
    } units[] = {{'s', true, 1000},
                 {'m', true, 60 * 1000},
                 {'h', true, 3600 * 1000},
                 {'d', false, 24 * 3600 * 1000}};
    size_t digits = 0;
    while (digits < text->len && ascii_is_digit(text->ptr[digits])) {
        digits++;
    }
    uint64_t n;
    if (digits == text->len || !str_u64(str_sub(*text, 0, digits), 1000000000, &n)) {
        return false;
    }
    char letter = ascii_lower(text->ptr[digits]);
    for (int i = 0; i < *rank; i++) {
        if (units[i].letter == letter && units[i].time_part == time_part) {
            *rank = i;
            *total += (int64_t)n * units[i].ms;
            *text = str_from_pos(*text, digits + 1);
            return true;
        }
    }
    return false;
}

bool clock_period_ms(str text, int64_t *out)
{
    int64_t total = 0;
    int rank = 4;
    bool time_part = false;
    if (text.len < 2 || ascii_lower(text.ptr[0]) != 'p') {
        return false;
    }
    text = str_from_pos(text, 1);
    while (text.len > 0) {
        if (!time_part && ascii_lower(text.ptr[0]) == 't') {
            time_part = true;
            text = str_from_pos(text, 1);
        }
        if (!period_part(&text, time_part, &rank, &total)) {
            return false;
        }
    }
    *out = total;
    return true;
}

/* The digits behind a decimal point: value / scale. */
static bool fraction(str digits, int64_t *value, int64_t *scale)
{
    enum { DIGITS_MAX = 9 };
    *value = 0;
    *scale = 1;
    for (size_t i = 0; i < digits.len; i++) {
        if (!ascii_is_digit(digits.ptr[i])) {
            return false;
        }
        if (i < DIGITS_MAX) { /* what is smaller does not show */
            *value = *value * 10 + (digits.ptr[i] - '0');
            *scale *= 10;
        }
    }
    return digits.len > 0;
}

bool clock_duration_ms(str text, int64_t unit_ms, int64_t max_ms, int64_t *out)
{
    int64_t ms, part = 0, scale = 1;
    uint64_t whole = 0;
    ptrdiff_t point = str_find(text, '.');
    str left = point < 0 ? text : str_sub(text, 0, (size_t)point);
    if (!clock_period_ms(text, &ms)) {
        bool good = (point == 0 && text.len > 1) ||
                    str_number(left, (uint64_t)(max_ms / unit_ms), &whole);
        if (!good || (point >= 0 &&
                      !fraction(str_from_pos(text, (size_t)point + 1), &part, &scale))) {
            return false;
        }
        ms = (int64_t)whole * unit_ms + (part * unit_ms + scale / 2) / scale;
    }
    if (ms > max_ms) {
        return false;
    }
    *out = ms;
    return true;
}

void clock_duration_print(int64_t ms, char *out, size_t size)
{
    enum { SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE };
    long long hours = ms / HOUR, minutes = ms % HOUR / MINUTE,
              seconds = ms % MINUTE / SECOND;
    size_t n = 0;
    if (ms % SECOND != 0) {
        snprintf(out, size, "%lld.%06lld", (long long)(ms / MINUTE),
                 (long long)((ms % MINUTE * 1000000 + MINUTE / 2) / MINUTE));
        return;
    }
    const struct {
        long long count;
        char letter;
    } parts[] = {{hours, 'H'}, {minutes, 'M'}, {seconds, 'S'}};
    n += (size_t)snprintf(out, size, "PT");
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && n < size; i++) {
        if (parts[i].count > 0 || (i == 2 && ms == 0)) {
            n += (size_t)snprintf(out + n, size - n, "%lld%c", parts[i].count,
                                  parts[i].letter);
        }
    }
}

void clock_age(int64_t ms, char *out, size_t size)
{
    int64_t s = ms > 0 ? ms / 1000 : 0;
    if (s >= 86400) {
        snprintf(out, size, "%lld d %lld h", (long long)(s / 86400),
                 (long long)(s % 86400 / 3600));
    } else if (s >= 3600) {
        snprintf(out, size, "%lld h %lld min", (long long)(s / 3600),
                 (long long)(s % 3600 / 60));
    } else if (s >= 60) {
        snprintf(out, size, "%lld min %lld s", (long long)(s / 60), (long long)(s % 60));
    } else {
        snprintf(out, size, "%lld s", (long long)s);
    }
}
