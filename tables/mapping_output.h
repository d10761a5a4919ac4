/* mapping_output: what the template of an entry makes of a string, and the machine that
 * all tables and templates of one run share. Internal to the mapping engine. */
#ifndef TABLES_MAPPING_OUTPUT_H
#define TABLES_MAPPING_OUTPUT_H

#include "tables/mapping_table.h"

/* One run, through all tables that call each other; it holds what limits them together.
 */
struct mapping_machine {
    const struct mapping_input *in;
    struct arena *arena;
    struct mapping_matcher matcher;
    unsigned depth;
    const char *fault; /* set: the run is given up */
    struct mapping_step **steps_end;
};
/* Gives the run up; the first reason counts. */
void mapping_machine_stop(struct mapping_machine *m, const char *fault);
/* Counts bytes that are read or written as work. */
void mapping_machine_count(struct mapping_machine *m, size_t bytes);

/* What a table makes of a string. */
struct mapping_result {
    str text;
    uint64_t flags;
    const struct mapping_entry *entry; /* the last one that matched, or NULL */
};
/* mapping_run.c: runs a table. True when an entry matched and no limit was reached. */
bool mapping_machine_run(struct mapping_machine *m, const struct mapping *t, str probe,
                         struct mapping_result *out);

/* How the scan goes on behind an entry. */
enum mapping_control {
    MAPPING_CONTROL_END,
    MAPPING_CONTROL_NEXT,      /* $C */
    MAPPING_CONTROL_LAST_PASS, /* $L */
    MAPPING_CONTROL_RESTART,   /* $R */
    MAPPING_CONTROL_NO_MATCH   /* as if the entry had not matched */
};
struct mapping_outcome {
    str text;       /* the probe when the entry failed */
    uint64_t flags; /* none when the entry failed */
    enum mapping_control control;
    str failed; /* the sequence that made the entry fail; empty: none did */
    bool unmet; /* it was a condition */
    bool ended; /* by $E: control is END because the entry says so */
};
/* Runs the template of an entry whose pattern has just matched the probe: what that
 * saved is in the matcher. */
void mapping_output_make(struct mapping_machine *m, const struct mapping_entry *e,
                         str probe, struct mapping_outcome *out);

#endif
