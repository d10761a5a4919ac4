/* diag: messages to a human about a place in a configuration file. Nobody below
 * main prints or exits; everybody appends to a list and goes on.
 * A span is 12 bytes; line and column are computed only when printed. */
#ifndef BASE_DIAG_H
#define BASE_DIAG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"

/* A byte range of one source. source 0 means "no place" (e.g. a missing file). */
struct span {
    uint32_t source;
    uint32_t offset;
    uint32_t length;
};
#define SPAN_NONE ((struct span){0, 0, 0})

/* The texts of one configuration; owned by an arena, kept by the snapshot so that
 * logs and traces can name lines. Immutable after loading. */
struct sources;
struct source {
    str name;         /* as shown to the user: relative to the configuration folder */
    str path;         /* as opened */
    str text;         /* whole contents, NUL-terminated after the end */
    struct span from; /* the include line that brought it in, or SPAN_NONE */
    const uint32_t *lines_before; /* line feeds before every 4096th byte; span_place() */
};

struct sources *sources_new(struct arena *a);
/* Registers a text (borrowed: must live in the same arena); returns its id, from 1. */
uint32_t sources_add(struct sources *s, str name, str path, str text, struct span from);
const struct source *sources_get(const struct sources *s, uint32_t id);
uint32_t sources_count(const struct sources *s);
/* The line that brought a source in; SPAN_NONE when there is none. Following it ends: an
 * including file always has the lower number. */
struct span source_included_from(const struct sources *s, uint32_t id);

struct place {
    str file;
    unsigned line;   /* from 1 */
    unsigned column; /* from 1, in bytes */
};
/* Where a span begins; the end of the text when it lies behind it. {"", 0, 0} for
 * SPAN_NONE and sources there are none of. Its cost depends on the length of the line,
 * not on that of the text. */
struct place span_place(const struct sources *s, struct span span);
/* Formats "file:line" into the arena ("-" for SPAN_NONE). */
str span_text(struct arena *a, const struct sources *s, struct span span);
/* The span from the start of a to the end of b; a when they are of different sources. */
struct span span_join(struct span a, struct span b);

enum severity { SEVERITY_NOTE, SEVERITY_WARNING, SEVERITY_ERROR };

struct diag {
    enum severity severity;
    const char *slug; /* stable, e.g. "keyword-range"; string constant */
    str text;
    struct span span;
    struct span mark;   /* set by diag_mark(), else SPAN_NONE */
    struct diag *notes; /* SEVERITY_NOTE entries belonging to this one */
    struct diag *next;
};

/* The list. Messages at one place keep the order in which they were added. */
struct diags;
struct slug;
struct diags *diags_new(struct arena *a, struct sources *s);
struct diag *diag_error(struct diags *d, struct span at, const char *slug,
                        const char *fmt, ...) __attribute__((format(printf, 4, 5)));
struct diag *diag_warning(struct diags *d, struct span at, const char *slug,
                          const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* Attaches a note pointing at another place to the message `to`. */
void diag_note(struct diags *d, struct diag *to, struct span at, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Underlines one more place with '~' when `to` is shown and both are on one line. */
void diag_mark(struct diags *d, struct diag *to, struct span at);

/* No warning with that slug is in the list, and none that is added later will be. */
void diags_silence(struct diags *d, const struct slug *slug);

/* The first message, sorted by source and offset. Sorts when something was added since:
 * not while another thread reads the list. */
const struct diag *diags_first(const struct diags *d);
unsigned diags_errors(const struct diags *d);
unsigned diags_warnings(const struct diags *d);
/* True with an error in the list, or a warning when warnings_as_errors. */
bool diags_failed(const struct diags *d, bool warnings_as_errors);
const struct sources *diags_sources(const struct diags *d);

struct buf;
/* Renders all messages with source line, caret and include chain:
 *   site.cnf:41:16: error: text [slug]
 *      41 | the line
 *         |          ^~~~
 * Control bytes in source lines are shown as '?', tabs keep their width. Sources
 * that are not UTF-8 do no harm. colour adds ANSI colours. Appends to out. Notes
 * are one line each, below their message; the include chain of a file is shown once
 * for messages that follow each other. What exceeds the cap of out is left out. */
void diags_render(const struct diags *d, bool colour, struct buf *out);
/* The same for one message. *shown is the source whose include chain was shown last; 0
 * before the first message. */
void diag_render(const struct diags *d, const struct diag *m, bool colour,
                 uint32_t *shown, struct buf *out);
/* One message, first line only: "file:line:col: error: text [slug]". */
str diag_line(struct arena *a, const struct diags *d, const struct diag *m);

/* diag_json.c: one message as a JSON object, without a line feed:
 *   {"file":"site.cnf","line":41,"column":16,"end_column":21,"severity":"error",
 *    "slug":"keyword-range","text":"...","notes":[{"file","line","column","text"}...]}
 * end_column is the first one behind the span, on the same line. File, line and columns
 * are null when there is no place. Include lines come as notes, the innermost first. */
void diag_json(const struct diags *d, const struct diag *m, struct buf *out);

/* diag_sarif.c: a log of SARIF 2.1.0 (OASIS) with one run: begin, any number of results,
 * end. Columns are counted in characters; files are URIs relative to the configuration
 * folder. version is the tool's; `first` is true for the first result. */
void diag_sarif_begin(const char *version, struct buf *out);
void diag_sarif_result(const struct diags *d, const struct diag *m, bool first,
                       struct buf *out);
void diag_sarif_end(struct buf *out);

/* The byte behind the span, or behind its line if that ends first. */
size_t span_end_on_line(const struct sources *s, struct span span);

#endif
