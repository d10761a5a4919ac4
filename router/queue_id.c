/* queue_id: the printed form of a message's number, Crockford base 32. */
#include "router/queue.h"

static const char DIGITS[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

void queue_id_print(uint64_t number, char out[QUEUE_ID_MAX])
{
    char reversed[QUEUE_ID_MAX];
    size_t n = 0;
    do {
        reversed[n++] = DIGITS[number % 32];
        number /= 32;
    } while (number > 0);
    for (size_t i = 0; i < n; i++) {
        out[i] = reversed[n - 1 - i];
    }
    out[n] = '\0';
}

static int digit_value(char c)
{
    char upper = (c >= 'a' && c <= 'z') ? (char)(c - 'a' + 'A') : c;
    const char *at = upper == '\0' ? NULL : strchr(DIGITS, upper);
    return at == NULL ? -1 : (int)(at - DIGITS);
}

bool queue_id_parse(str text, uint64_t *number)
{
    uint64_t value = 0;
    if (text.len == 0 || text.len >= QUEUE_ID_MAX) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        int digit = digit_value(text.ptr[i]);
        if (digit < 0 || value > UINT64_MAX / 32) {
            return false;
        }
        value = value * 32 + (uint64_t)digit;
    }
    *number = value;
    return true;
}
