/* report_language: in whose words a notification is written: NOTIFICATION_LANGUAGE is
 * asked for "types|source channel|language|sender|first recipient", and names with $I the
 * folder of the texts (tables/report_texts.h). The language is what the header of the
 * message says its sender wants. */
#ifndef ROUTER_REPORT_LANGUAGE_H
#define ROUTER_REPORT_LANGUAGE_H

#include "router/bounce.h"
#include "tables/snapshot.h"

struct report_language {
    const struct snapshot *snapshot;
    str source_channel; /* of the message */
    str sender;
    str header;    /* of the message; ptr NULL: not known, or not his for whom it is */
    bool returned; /* as in struct bounce */
    bool members;  /* they are bad members of a list */
    const struct bounce_recipient *recipients;
    unsigned count;
};

/* The words, which live as long as the snapshot; NULL: the built-in ones. *why, for the
 * log: why the table's answer could not be used, or NULL. */
const struct report_text *report_language_text(const struct report_language *q,
                                               struct arena *a, const char **why);
/* The string that the table is asked for. */
str report_language_probe(const struct report_language *q, struct arena *a);

#endif
