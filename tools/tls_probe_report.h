/* tls_probe_report: what `pointsman tls probe` found, for people and as JSON. */
#ifndef TOOLS_TLS_PROBE_REPORT_H
#define TOOLS_TLS_PROBE_REPORT_H

#include "tools/tls_probe.h"
#include "tools/tool.h"

struct probe_report {
    const struct probe_target *target;
    const struct probe_found *found;
    const struct probe_verdict *verdict;
    const struct snapshot *snapshot; /* NULL: no channel was asked */
    const struct channel *channel;
    const struct tls_client_answer *policy;
    const enum tls_outcome *required; /* NULL: nothing is */
    struct arena *arena;
};

void probe_print(const struct probe_report *r);
void probe_print_json(const struct probe_report *r);
/* Is what the host gets less than what is required? */
bool probe_below(const struct probe_report *r);

#endif
