/* messages: one at a time through a small buffer. */
#include "config.h"

#include "tools/messages.h"

#include "base/buf.h"

enum {
    /* A message repeats at most a few words of the text, which may be long; its notes
     * hold one line each. */
    MESSAGE_MAX_BYTES = 16 << 20
};

struct printer {
    const struct diags *diags;
    const struct messages_request *request;
    FILE *out;
    struct buf text;
    uint32_t shown_source;
    unsigned errors, warnings; /* printed so far */
};

static void flush(struct printer *p)
{
    if (p->text.len > 0) {
        fwrite(p->text.data, 1, p->text.len, p->out);
    }
    buf_clear(&p->text);
}

static void print_one(struct printer *p, const struct diag *m)
{
    switch (p->request->format) {
    case TOOL_FORMAT_TEXT:
        diag_render(p->diags, m, p->request->colour, &p->shown_source, &p->text);
        break;
    case TOOL_FORMAT_JSON:
        diag_json(p->diags, m, &p->text);
        buf_putc(&p->text, '\n');
        break;
    case TOOL_FORMAT_SARIF:
        diag_sarif_result(p->diags, m, p->errors + p->warnings == 0, &p->text);
        break;
    }
    p->errors += m->severity == SEVERITY_ERROR;
    p->warnings += m->severity == SEVERITY_WARNING;
    flush(p);
}

static void print_rest(struct printer *p)
{
    unsigned errors = diags_errors(p->diags), warnings = diags_warnings(p->diags);
    switch (p->request->format) {
    case TOOL_FORMAT_TEXT:
        if (p->request->errors_only) {
            break;
        }
        if (p->errors < errors || p->warnings < warnings) {
            buf_printf(&p->text,
                       "%u more error%s and %u more warning%s are not shown "
                       "(--max-errors %u)\n",
                       errors - p->errors, errors - p->errors == 1 ? "" : "s",
                       warnings - p->warnings, warnings - p->warnings == 1 ? "" : "s",
                       p->request->max_errors);
        }
        break;
    case TOOL_FORMAT_JSON:
        buf_printf(&p->text, "{\"errors\":%u,\"warnings\":%u}\n", errors, warnings);
        break;
    case TOOL_FORMAT_SARIF:
        diag_sarif_end(&p->text);
        break;
    }
    flush(p);
}

void messages_print(const struct diags *d, const struct messages_request *r, FILE *out)
{
    struct printer p = {.diags = d, .request = r, .out = out};
    buf_init(&p.text, MESSAGE_MAX_BYTES);
    if (r->format == TOOL_FORMAT_SARIF) {
        diag_sarif_begin(PACKAGE_VERSION, &p.text);
        flush(&p);
    }
    for (const struct diag *m = diags_first(d); m != NULL; m = m->next) {
        if (r->max_errors > 0 && p.errors == r->max_errors) {
            break;
        }
        if (!r->errors_only || m->severity == SEVERITY_ERROR) {
            print_one(&p, m);
        }
    }
    print_rest(&p);
    buf_free(&p.text);
}
