/* report_style: see report_style.h. */
#include "router/report_style.h"

#include "router/report_envelope.h"
#include "router/report_language.h"

/* Octets of a message that is to be returned whole, where the site does not say, and
 * whatever it says. */
enum { REPORT_WHOLE_USUAL = 256 << 10, REPORT_WHOLE_MAX = 16 << 20 };

void report_style(struct bounce *b, const struct queue_message *report,
                  const struct snapshot *s, const struct channel *c)
{
    b->local_host = report_local_name(report, s);
    b->report_id = str_from(report->id);
    str address = c != NULL ? c->opts.returnaddress : STR_NONE;
    str name = c != NULL ? c->opts.returnpersonal : STR_NONE;
    b->from_address = address.len > 0 ? address : s->options.return_address;
    b->from_name = name.len > 0 ? name : s->options.return_personal;
    b->hours = s->options.return_units == 1;
}

void report_words(struct bounce *b, const struct snapshot *s, str source, bool asks,
                  struct worker *w, struct arena *a)
{
    struct report_language q = {.snapshot = s,
                                .source_channel = source,
                                .sender = b->sender,
                                .header = asks ? b->header : STR_NONE,
                                .returned = b->returned,
                                .members = b->list.len > 0,
                                .recipients = b->recipients,
                                .count = b->count};
    const char *why;
    b->text = report_language_text(&q, a, &why);
    if (why != NULL) {
        struct log_line line;
        log_begin(&line, w->daemon->log, LOG_ERROR);
        log_cstr(&line, "what", "language of a notification not found");
        log_str(&line, "id", b->message_id);
        log_cstr(&line, "reason", why);
        log_end(&line);
    }
}

enum report_part report_part(const struct snapshot *s, enum report_part wanted,
                             uint64_t size)
{
    const struct site_options *o = &s->options;
    unsigned blocks = o->content_return_block_limit, other = o->bounce_block_limit;
    blocks = blocks == 0 || (other > 0 && other < blocks) ? other : blocks;
    uint64_t said = (uint64_t)blocks * o->block_size;
    uint64_t most = said == 0                 ? REPORT_WHOLE_USUAL
                    : said > REPORT_WHOLE_MAX ? REPORT_WHOLE_MAX
                                              : said;
    bool over = wanted == REPORT_PART_WHOLE ? size > most : said > 0 && size > said;
    if (over || (wanted == REPORT_PART_LINES && o->lines_to_return == 0)) {
        return REPORT_PART_HEADER;
    }
    return wanted;
}
