/* outcome: what became of something we asked of the world (peer, disk, DNS): class,
 * SMTP code, enhanced code, text. Starts as deferred, so that a forgotten path can
 * only cause a retry, never a loss. Pure data; the text is copied in. */
#ifndef ROUTER_OUTCOME_H
#define ROUTER_OUTCOME_H

#include <stddef.h>

#include "base/str.h"

enum outcome_class { OUTCOME_DEFERRED, OUTCOME_DELIVERED, OUTCOME_FAILED };

enum { OUTCOME_TEXT_MAX = 400 };

struct outcome {
    enum outcome_class class;
    unsigned code;               /* SMTP reply code; 0: ours, not a peer's */
    unsigned char enhanced[3];   /* x.y.z; 0.0.0 unknown */
    char text[OUTCOME_TEXT_MAX]; /* one printable line, NUL-terminated, cut when longer */
    char host[256];              /* the peer it came from, "" if none */
};

/* Deferred, 4.0.0, "not attempted". */
void outcome_init(struct outcome *o);
/* Sets all fields; text is cut to fit and control bytes become '?'. */
void outcome_set(struct outcome *o, enum outcome_class class, unsigned code, unsigned x,
                 unsigned y, unsigned z, const char *fmt, ...)
    __attribute__((format(printf, 7, 8)));
const char *outcome_class_name(enum outcome_class c); /* "delivered", ... */

#endif
