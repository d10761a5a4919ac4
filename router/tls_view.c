/* tls_view: see tls_view.h. */
#include "router/tls_view.h"

#include <stddef.h>

int tls_view_step(int64_t not_before_ms, int64_t not_after_ms, int64_t now_ms)
{
    static const int STEPS[] = {1, 3, 7, 14, 30};
    const int64_t day_ms = 86400 * 1000;
    int64_t left = not_after_ms - now_ms, life = not_after_ms - not_before_ms;
    if (left <= 0) {
        return 0;
    }
    for (size_t i = 0; i < sizeof STEPS / sizeof *STEPS; i++) {
        int64_t step = STEPS[i] * day_ms;
        if (left <= step) {
            return step <= life / 3 ? STEPS[i] : -1;
        }
    }
    return -1;
}
