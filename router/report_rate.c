/* report_rate: see report_rate.h. */
#include "router/report_rate.h"

int64_t report_rate_next(struct report_rate *r, int64_t now_ms)
{
    enum { BURST_MS = REPORT_BURST * REPORT_EVERY_MS };
    bool clock_went_back = now_ms < r->asked_ms;
    if (r->paid_ms < now_ms || clock_went_back) {
        r->paid_ms = now_ms;
    }
    r->asked_ms = now_ms;
    r->paid_ms += REPORT_EVERY_MS;
    return r->paid_ms - now_ms > BURST_MS ? r->paid_ms - BURST_MS : 0;
}
