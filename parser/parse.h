/* parse: text of a configuration file -> AST. The only entry of parser/. It reports
 * syntax; names, types and ranges are checked when the AST is compiled. */
#ifndef PARSER_PARSE_H
#define PARSER_PARSE_H

#include "base/arena.h"
#include "base/diag.h"
#include "parser/ast.h"

enum loader_kind { LOADER_NOTHING, LOADER_FILE, LOADER_FOLDER };

/* The largest file, and the most text one parse_file() reads: flex counts in int, spans
 * in 32 bits. */
enum { LOADER_BYTES_MAX = 1 << 30, LOADER_NAMES_MAX = 10000 };

struct loader_stamp {
    uint64_t size;
    int64_t mtime_ns; /* since 1970 */
    uint32_t owner;   /* user id */
    uint32_t group;   /* group id */
    uint32_t mode;    /* permission bits */
    bool young;       /* a change that follows now may not show in mtime_ns */
};

/* How files are read, so that tests and the fuzzer need no disk. */
struct loader {
    /* Reads path whole into the arena. On failure returns false and a constant or
     * arena reason. Refuses directories and files over LOADER_BYTES_MAX. */
    bool (*read)(const struct loader *, struct arena *, str path, str *text, str *reason);
    /* The same for the first max bytes of a file of any size, or all there are. Goes with
     * stamp. */
    bool (*read_start)(const struct loader *, struct arena *, str path, size_t max,
                       str *text, str *reason);
    /* What there is at path. A file that is there but cannot be read is LOADER_FILE:
     * an optional file may be missing, not unreadable. NULL: whatever read() reads is
     * a file, the rest is not there. */
    enum loader_kind (*kind)(const struct loader *, str path);
    /* What can be told of a file without reading it; false if it cannot. NULL: images are
     * neither looked for nor made. */
    bool (*stamp)(const struct loader *, str path, struct loader_stamp *out);
    /* The names in a folder that end so, sorted; at most LOADER_NAMES_MAX. False: it
     * cannot be listed, or there are more. NULL: nothing can be. */
    bool (*list)(const struct loader *, struct arena *, str folder, str ending,
                 str **names, size_t *count);
    size_t bytes_max; /* of one parse_file(), includes counted each time; 0: as above */
};
/* Reads the file system. */
extern const struct loader loader_files;
/* kind(), or what read() tells about it. */
enum loader_kind loader_kind_of(const struct loader *l, str path);
/* list(), where the loader has it; else false. */
bool loader_list(const struct loader *l, struct arena *a, str folder, str ending,
                 str **names, size_t *count);

enum syntax {
    SYNTAX_CONFIG,   /* rewrite rules, blank line, channel blocks */
    SYNTAX_OPTIONS,  /* NAME=value lines, [SECTION] and [SECTION=name] heads */
    SYNTAX_MAPPINGS, /* table names, each with a blank line and indented entries */
    SYNTAX_LIST,     /* one word a line (localdomains) */
    SYNTAX_DATABASE, /* key, blanks, value to the end of the line (general) */
    SYNTAX_ALIASES,  /* name, colon, items separated by commas */
    SYNTAX_MEMBERS   /* items separated by commas, mostly one a line; no includes */
};

/* Parses the file at path (and what it includes, three deep, relative to the
 * including file). `name` is the name shown in messages. Never NULL: what could not
 * be read or parsed is missing from the AST and reported in diags. All results live
 * in the arena. A comment is a line with '!' in column 1; in option and list files
 * '#' too. */
struct ast *parse_file(struct arena *a, const struct loader *loader,
                       struct sources *sources, str path, str name, enum syntax syntax,
                       struct diags *diags);

#endif
