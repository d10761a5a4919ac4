/* outcome: filling in what the world answered. */
#include "router/outcome.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/check.h"

void outcome_init(struct outcome *o)
{
    *o = (struct outcome){.class = OUTCOME_DEFERRED};
    outcome_set(o, OUTCOME_DEFERRED, 0, 4, 0, 0, "not attempted");
}

void outcome_set(struct outcome *o, enum outcome_class class, unsigned code, unsigned x,
                 unsigned y, unsigned z, const char *fmt, ...)
{
    char text[OUTCOME_TEXT_MAX]; /* the old text may be among the arguments */
    va_list ap;
    check(x <= 255 && y <= 255 && z <= 255);
    va_start(ap, fmt);
    int len = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    check(len >= 0);
    for (char *p = text; *p != '\0'; p++) {
        if (*p < ' ' || *p > '~') {
            *p = '?';
        }
    }
    memcpy(o->text, text, strlen(text) + 1);
    o->class = class;
    o->code = code;
    o->enhanced[0] = (unsigned char)x;
    o->enhanced[1] = (unsigned char)y;
    o->enhanced[2] = (unsigned char)z;
}

const char *outcome_class_name(enum outcome_class c)
{
    switch (c) {
    case OUTCOME_DELIVERED:
        return "delivered";
    case OUTCOME_FAILED:
        return "failed";
    case OUTCOME_DEFERRED:
        break;
    }
    return "deferred";
}
