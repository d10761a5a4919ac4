/* pipe_options: what the option file of a pipe channel says, `<channel>_option` beside
 * the main file (PMDF 28.5): a program for each address or host, and limits for all of
 * them. A program is a list of words, read once; addresses are put into words, never
 * through a shell (channels/pipe_command.h). */
#ifndef TABLES_PIPE_OPTIONS_H
#define TABLES_PIPE_OPTIONS_H

#include "base/buf.h"
#include "base/diag.h"
#include "base/map.h"
#include "base/str.h"

/* One line ADDRESS=PROGRAM WORD..., or HOST=PROGRAM WORD.... */
struct pipe_command {
    str who;    /* "user@host" or "host", as written */
    str *words; /* with their sequences; the first is the absolute path of a program */
    unsigned count; /* at least 1 */
    struct span at; /* of the value */
};

struct pipe_options {
    struct map *commands;       /* who -> struct pipe_command, case-blind; NULL: none */
    unsigned timeout_s;         /* SHELL_TIMEOUT: how long a program may take */
    unsigned max_programs;      /* MAX_PROGRAMS: running at a time for the channel */
    unsigned cpu_s, memory_mib; /* MAX_CPU_TIME, MAX_MEMORY of a program; 0: no limit */
    unsigned file_mib;          /* MAX_FILE_SIZE: that it may write; 0: no limit */
    struct span timeout_s_at, max_programs_at, cpu_s_at, memory_mib_at, file_mib_at;
};

/* Letters, digits and "+-._=": what of an address a program is given as it is. */
bool pipe_harmless(char c);
/* Is a local part, without quotes, of such characters only, 1 to 128, and does it begin
 * neither with '-' nor with '.'? Others get no program. */
enum { PIPE_USER_MAX = 128 };
bool pipe_user_ok(str user);

/* Octets of a sender that a program is told of, and of a word that it is called with when
 * its sequences are replaced (Linux takes 128 KiB): a command of which a word can become
 * longer is an error. */
enum { PIPE_SENDER_MAX = 512, PIPE_WORD_MAX = 65536 };

/* What holds without a file. */
void pipe_options_init(struct pipe_options *o);
/* The program for an address, both parts without quotes: that of user@host, of user@host
 * without its "+detail", or of host; NULL: there is none. */
const struct pipe_command *pipe_options_find(const struct pipe_options *o, str user,
                                             str host, struct arena *a);
/* Writes what was given, a line each; reads back to equal values. */
void pipe_options_print(const struct pipe_options *o, struct buf *out);

struct ast;
struct compile;
/* Reads the option file of a channel. */
void pipe_options_compile(struct compile *c, const struct ast *ast,
                          struct pipe_options *out);

#endif
