/* report_texts: see report_texts.h. A compiled image has them as they are written: they
 * are few, and checked each time. */
#include "tables/report_texts.h"

#include "base/buf.h"
#include "base/map.h"
#include "tables/compile.h"

#define LANGUAGES "languages"

enum { LINE_MAX_OCTETS = 998 }; /* RFC 5322 2.1.1 */

static const char *const names[REPORT_TEXT_KINDS] = {
    "failed", "timedout", "bounced", "delayed", "delivered", "forwarded", "members"};

const char *report_text_name(enum report_text_kind kind)
{
    return names[kind];
}

/* --- one file --- */

struct text_file {
    uint32_t source;
    str whole; /* what spans count in */
    str text;  /* what is left, lines ending in LF; ptr NULL: there is no such file */
    bool bad;  /* and that was said */
};

static void complain(struct compile *c, struct text_file *f, const char *at, size_t len,
                     const char *what)
{
    struct span span = {f->source, (uint32_t)(at - f->whole.ptr), (uint32_t)len};
    diag_error(c->diags, span, "bad-return-text", "%s", what);
    f->bad = true;
}

static bool is_utf8(str charset)
{
    return str_ieq(charset, STR("utf-8"));
}

/* The octets of one line: no control characters but tabs, nothing outside the charset.
 * What a charset other than these two may have, nobody here knows. */
static void check_octets(struct compile *c, struct text_file *f, str line, str charset)
{
    bool ascii = str_ieq(charset, STR("us-ascii"));
    for (str rest = line; rest.len > 0;) {
        unsigned char octet = (unsigned char)rest.ptr[0];
        size_t n = is_utf8(charset) ? str_utf8(rest, NULL) : 1;
        if (n == 0 || (ascii && octet >= 0x80)) {
            complain(c, f, rest.ptr, 1,
                     ascii ? "this is not us-ascii; say what it is with 'Content-type: "
                             "text/plain; charset=utf-8' in return_prefix.txt"
                           : "this is not UTF-8, which return_prefix.txt says it is");
            return;
        }
        if ((octet < ' ' && octet != '\t') || octet == 0x7f) {
            complain(c, f, rest.ptr, 1, "a control character cannot be sent by mail");
            return;
        }
        rest = str_from_pos(rest, n);
    }
    if (line.len > LINE_MAX_OCTETS) {
        complain(c, f, line.ptr, 1, "a line of mail has 998 octets at most");
    }
}

static void check_sequences(struct compile *c, struct text_file *f, str line)
{
    for (size_t i = 0; i < line.len; i++) {
        if (line.ptr[i] != '%') {
            continue;
        }
        if (i + 1 == line.len || strchr("RHCLFUuSs%", line.ptr[i + 1]) == NULL) {
            complain(
                c, f, line.ptr + i, i + 1 < line.len ? 2 : 1,
                "no such sequence: there are %R %H %C %L %F %U %u %S %s, and %% for a "
                "percent sign");
            return;
        }
        i++;
    }
}

/* Lines end in LF from here on. */
static void text_check(struct compile *c, struct text_file *f, str charset)
{
    char *out = arena_bytes(c->arena, f->text.len + 2);
    str rest = f->text, line;
    size_t n = 0;
    while (str_split(&rest, '\n', &line)) {
        bool last = rest.ptr == NULL;
        line.len -= line.len > 0 && line.ptr[line.len - 1] == '\r';
        if (last && line.len == 0) {
            break;
        }
        check_octets(c, f, line, charset);
        check_sequences(c, f, line);
        memcpy(out + n, line.ptr, line.len);
        n += line.len;
        out[n++] = '\n';
    }
    f->text = str_n(out, n);
}

/* The text that an image, which is no older, has of the file. */
static bool source_known(const struct compile *c, str path, struct text_file *f)
{
    if (c->s->image.verdict != IMAGE_FRESH) {
        return false;
    }
    for (uint32_t id = 1; id <= sources_count(c->s->sources); id++) {
        const struct source *s = sources_get(c->s->sources, id);
        if (str_eq(s->path, path)) {
            f->source = id;
            f->whole = s->text;
            return true;
        }
    }
    return false;
}

static struct text_file text_read(struct compile *c, str folder, const char *name)
{
    struct text_file f = {.text = STR_NONE};
    str shown = folder.len == 0 ? arena_printf(c->arena, "return_%s.txt", name)
                                : arena_printf(c->arena, LANGUAGES "/%.*s/return_%s.txt",
                                               STR_ARG(folder), name);
    str path = locate_written(c, shown), reason;
    if (loader_kind_of(c->loader, path) == LOADER_NOTHING) {
        return f;
    }
    if (source_known(c, path, &f)) {
        *vec_add(c->arena, &c->s->text_sources) = f.source;
        f.text = f.whole;
        return f;
    }
    if (!c->loader->read(c->loader, c->arena, path, &f.whole, &reason)) {
        diag_error(c->diags, SPAN_NONE, "unreadable-file", "cannot read '%.*s': %.*s",
                   STR_ARG(path), STR_ARG(reason));
        f.bad = true;
        return f;
    }
    f.source = sources_add(c->s->sources, shown, path, f.whole, SPAN_NONE);
    *vec_add(c->arena, &c->s->text_sources) = f.source;
    f.text = f.whole;
    if (f.whole.len > REPORT_TEXT_MAX) {
        complain(c, &f, f.whole.ptr, 1, "a text of notifications has 64 KiB at most");
        f.text = STR("");
    }
    return f;
}

/* --- the header lines of return_prefix.txt --- */

static bool is_token(str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!ascii_is_alnum(s.ptr[i]) && strchr("-_.:", s.ptr[i]) == NULL) {
            return false;
        }
    }
    return s.len > 0 && s.len <= 40;
}

/* "text/plain; charset=utf-8" */
static bool charset_take(str value, str *charset)
{
    ptrdiff_t semicolon = str_find(value, ';');
    str type = semicolon < 0 ? value : str_sub(value, 0, (size_t)semicolon);
    str rest =
        semicolon < 0 ? STR("") : str_trim(str_from_pos(value, (size_t)semicolon + 1));
    if (!str_ieq(str_trim(type), STR("text/plain"))) {
        return false;
    }
    if (rest.len == 0) {
        return true;
    }
    if (!str_istarts(rest, STR("charset="))) {
        return false;
    }
    rest = str_from_pos(rest, STR("charset=").len);
    if (rest.len >= 2 && rest.ptr[0] == '"' && rest.ptr[rest.len - 1] == '"') {
        rest = str_sub(rest, 1, rest.len - 2);
    }
    *charset = rest;
    return is_token(rest);
}

static bool is_languages(str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (!ascii_is_alnum(s.ptr[i]) && strchr("-, ", s.ptr[i]) == NULL) {
            return false;
        }
    }
    return s.len > 0 && s.len <= 100;
}

/* Takes one header line; false: it is none. */
static bool header_take(struct compile *c, struct text_file *f, str line,
                        struct report_text *t)
{
    ptrdiff_t colon = str_find(line, ':');
    str name = colon < 0 ? STR("") : str_sub(line, 0, (size_t)colon);
    str value = colon < 0 ? STR("") : str_trim(str_from_pos(line, (size_t)colon + 1));
    if (str_ieq(name, STR("Content-Type"))) {
        if (!charset_take(value, &t->charset)) {
            complain(c, f, line.ptr, line.len,
                     "this is to be 'Content-type: text/plain; charset=' and a charset");
            t->charset = STR("us-ascii");
        }
        return true;
    }
    if (str_ieq(name, STR("Content-Language"))) {
        if (!is_languages(value)) {
            complain(c, f, line.ptr, line.len, "this is no language");
            value = STR("");
        }
        t->language = arena_str(c->arena, value);
        return true;
    }
    return false;
}

/* The header lines at the top of the prefix, and the blank line behind them. */
static void headers_take(struct compile *c, struct text_file *f, struct report_text *t)
{
    str rest = f->text, line;
    bool any = false;
    while (str_split(&rest, '\n', &line)) {
        str trimmed = str_trim(line);
        if (trimmed.len == 0 && any) {
            f->text = rest;
            return;
        }
        if (!header_take(c, f, trimmed, t)) {
            break;
        }
        any = true;
        f->text = rest;
    }
    f->text = f->text.ptr != NULL ? f->text : STR("");
}

/* --- one folder --- */

static bool is_known(str name)
{
    bool known = str_eq(name, STR("prefix")) || str_eq(name, STR("suffix"));
    for (unsigned i = 0; i < REPORT_TEXT_KINDS; i++) {
        known = known || str_eq(name, str_from(names[i]));
    }
    return known;
}

/* Files that look like such texts and are none: a slip, or one that the originals have
 * and nothing here is told by. */
static void warn_of_others(struct compile *c, str folder)
{
    static const str BEGIN = {"return_", 7}, END = {".txt", 4};
    str *files;
    size_t count;
    str path = folder.len == 0
                   ? c->s->directory
                   : locate_written(
                         c, arena_printf(c->arena, LANGUAGES "/%.*s", STR_ARG(folder)));
    if (!loader_list(c->loader, c->arena, path, END, &files, &count)) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        str name = files[i];
        bool ours = str_starts(name, BEGIN) && name.len > BEGIN.len + END.len;
        if (ours && !is_known(str_sub(name, BEGIN.len, name.len - BEGIN.len - END.len))) {
            diag_warning(
                c->diags, SPAN_NONE, "unused-return-text",
                "'%.*s%s%.*s' is not used: there are texts for failed, timedout, "
                "bounced, delayed, delivered, forwarded and members, prefix and suffix",
                STR_ARG(folder), folder.len > 0 ? "/" : "", STR_ARG(name));
        }
    }
}

static struct report_texts *folder_read(struct compile *c, str folder)
{
    struct report_texts *texts = arena_new_of(c->arena, struct report_texts);
    struct report_text common = {.charset = STR("us-ascii"), .language = STR("")};
    struct text_file prefix = text_read(c, folder, "prefix");
    struct text_file suffix = text_read(c, folder, "suffix");
    texts->folder = folder;
    if (prefix.text.ptr != NULL) {
        headers_take(c, &prefix, &common);
        common.charset = arena_str(c->arena, common.charset);
        text_check(c, &prefix, common.charset);
    }
    if (suffix.text.ptr != NULL) {
        text_check(c, &suffix, common.charset);
    }
    warn_of_others(c, folder);
    common.prefix = prefix.text;
    common.suffix = suffix.text;
    for (unsigned i = 0; i < REPORT_TEXT_KINDS; i++) {
        struct text_file body = text_read(c, folder, names[i]);
        if (body.text.ptr != NULL) {
            struct report_text *t = arena_new_of(c->arena, struct report_text);
            text_check(c, &body, common.charset);
            *t = common;
            t->body = body.text;
            texts->of[i] = t;
        }
    }
    return texts;
}

static bool is_folder_name(str name)
{
    return is_token(name) && name.ptr[0] != '.';
}

void report_texts_compile(struct compile *c)
{
    str *folders;
    size_t count;
    str languages = locate_written(c, STR(LANGUAGES));
    c->s->texts = folder_read(c, STR(""));
    if (loader_kind_of(c->loader, languages) != LOADER_FOLDER ||
        !loader_list(c->loader, c->arena, languages, STR(""), &folders, &count)) {
        return;
    }
    for (size_t i = 0; i < count && map_count(c->s->languages) < REPORT_LANGUAGES_MAX;
         i++) {
        str path =
            arena_printf(c->arena, "%.*s/%.*s", STR_ARG(languages), STR_ARG(folders[i]));
        if (is_folder_name(folders[i]) &&
            loader_kind_of(c->loader, path) == LOADER_FOLDER) {
            map_add(c->s->languages, folders[i], folder_read(c, folders[i]));
        }
    }
}

/* --- finding them --- */

/* "PMDF_LANG:de/" is "de". */
static str folder_name(str folder)
{
    ptrdiff_t colon = str_find(folder, ':');
    folder = str_trim(colon < 0 ? folder : str_from_pos(folder, (size_t)colon + 1));
    folder.len -= folder.len > 0 && folder.ptr[folder.len - 1] == '/';
    return folder;
}

const struct report_text *report_text_find(const struct snapshot *s, str folder,
                                           enum report_text_kind kind, const char **why)
{
    str name = folder_name(folder);
    const struct report_texts *texts = name.len > 0 ? map_get(s->languages, name) : NULL;
    *why = name.len > 0 && texts == NULL ? "there is no such folder below '" LANGUAGES "'"
                                         : NULL;
    if (texts != NULL && texts->of[kind] != NULL) {
        return texts->of[kind];
    }
    return s->texts != NULL ? s->texts->of[kind] : NULL;
}
