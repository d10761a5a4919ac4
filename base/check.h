/* check: "we are wrong" (the third kind of error). An invariant of ours does not
 * hold: say where and abort, also in production. The queue survives an abort. */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

/* Aborts with file, line and the expression when cond is false. Never used for
 * what a peer, a disk or a configuration can cause. */
#define check(cond) ((cond) ? (void)0 : check_failed(__FILE__, __LINE__, #cond))

_Noreturn void check_failed(const char *file, int line, const char *expr);

#endif
