/* report_texts: the site's words for notifications: files return_*.txt beside the main
 * file, and in folders below `languages` for those that NOTIFICATION_LANGUAGE leads there
 * (PMDF: return_prefix.txt, return_<status>.txt, return_suffix.txt). Read when the
 * configuration is loaded; immutable. docs/delivery.md tells the language. */
#ifndef TABLES_REPORT_TEXTS_H
#define TABLES_REPORT_TEXTS_H

#include "tables/snapshot.h"

/* What a notification is about; by the names of the files. */
enum report_text_kind {
    REPORT_TEXT_FAILED,
    REPORT_TEXT_TIMEDOUT,
    REPORT_TEXT_BOUNCED, /* returned by an operator */
    REPORT_TEXT_DELAYED,
    REPORT_TEXT_DELIVERED,
    REPORT_TEXT_FORWARDED, /* given to a system that tells nothing */
    REPORT_TEXT_MEMBERS,   /* of a list, that are bad, for its owner; ours alone */
    REPORT_TEXT_KINDS
};

enum {
    REPORT_TEXT_MAX = 65536, /* octets of one file */
    REPORT_LANGUAGES_MAX = 200
};

/* The words of a notification: prefix, body and suffix, one after the other. Lines end in
 * LF. Sequences: %R the recipients, %H the header, %C, %L and %F how long the message has
 * waited, may wait still and may wait in all, %U and %u the unit of that, %S and %s the
 * letter of a plural, %% a percent sign. */
struct report_text {
    str charset;  /* of all of it */
    str language; /* of Content-Language; empty: not said */
    str prefix, body, suffix;
};

struct report_texts {
    str folder; /* as NOTIFICATION_LANGUAGE names it; empty: the one of the main file */
    const struct report_text *of[REPORT_TEXT_KINDS]; /* NULL: there is no such file */
};

/* "failed", ...: what the file and the probe call it. */
const char *report_text_name(enum report_text_kind kind);
/* The words for a folder (empty: none was chosen; prefixes like "PMDF_LANG:" and a slash
 * at the end are ignored). A folder that has no such file leaves it to the one of the
 * main file; NULL: there are none, the built-in words are taken. *why, when the folder is
 * not known: a constant. */
const struct report_text *report_text_find(const struct snapshot *s, str folder,
                                           enum report_text_kind kind, const char **why);

struct compile;
/* Reads all there are. */
void report_texts_compile(struct compile *c);

#endif
