/* dispatch_tell: who is told what of an attempt: its outcomes, what the senders of the
 * recipients ask for (RFC 3461), and what the channel says about the postmaster. Pure but
 * for the job it reads. */
#include "router/dispatch_state.h"
#include "router/runtime.h"

/* Of which channel nothing is known any more. */
static const struct channel_opts *options_of(const struct delivery *d)
{
    static const struct channel_opts usual;
    return d->job.channel != NULL ? &d->job.channel->opts : &usual;
}

/* Is the postmaster to know of a recipient? wanted: its sender wants to; reachable: and
 * can be told. */
static bool post_wanted(enum post_mode mode, bool wanted, bool reachable,
                        bool null_sender)
{
    switch (mode) {
    case POST_USUAL:
    case POST_COPY:
        return wanted && !null_sender;
    case POST_ALWAYS:
        return true;
    case POST_ERROR:
        return wanted && !reachable;
    case POST_NEVER:
        break;
    }
    return false;
}

static unsigned bit(enum report_kind kind, bool set)
{
    return set ? 1u << kind : 0;
}

/* What one recipient's outcome leads to. */
static unsigned tell_recipient(const struct tell_facts *f, const struct job_recipient *r)
{
    unsigned notify = r->asked.notify;
    switch (r->outcome.class) {
    case OUTCOME_FAILED: {
        bool wanted = dsn_wants_failure(notify);
        return bit(REPORT_FAILED, wanted && f->reachable) |
               bit(REPORT_COPY_FAILED, post_wanted(f->options->send_post, wanted,
                                                   f->reachable, f->null_sender));
    }
    case OUTCOME_DEFERRED: {
        bool wanted = dsn_wants_delay(notify);
        return !f->warn ? 0
                        : bit(REPORT_DELAYED, wanted && f->reachable) |
                              bit(REPORT_COPY_DELAYED,
                                  post_wanted(f->options->warn_post, wanted, f->reachable,
                                              f->null_sender));
    }
    case OUTCOME_DELIVERED:
        return bit(REPORT_SUCCESS, dsn_wants_success(notify) && f->reachable &&
                                       r->success != JOB_SUCCESS_PASSED_ON);
    }
    return 0;
}

unsigned tell_plan(const struct delivery *d, bool warn, bool reachable,
                   unsigned char *tell)
{
    unsigned all = 0;
    struct tell_facts f = {.options = options_of(d),
                           .warn = warn,
                           .reachable = reachable,
                           .null_sender = report_address(d).len == 0};
    for (unsigned i = 0; i < d->job.recipient_count; i++) {
        tell[i] = (unsigned char)tell_recipient(&f, &d->job.recipients[i]);
        all |= tell[i];
    }
    return all;
}

bool tell_shortens(const struct delivery *d)
{
    const struct queue_message *m = d->parcel->message;
    const struct snapshot *s = d->job.runtime->snapshot;
    bool ours = m->sender.len == 0 && m->eight_bit &&
                str_ieq(m->source_channel, s->channels[0]->name);
    for (unsigned i = 0; ours && i < d->job.recipient_count; i++) {
        const struct outcome *o = &d->job.recipients[i].outcome; /* RFC 3463: x.6.3 */
        ours = o->class == OUTCOME_FAILED && o->enhanced[1] == 6 && o->enhanced[2] == 3;
    }
    return ours;
}

bool tell_must_keep(const struct delivery *d, unsigned i, unsigned told)
{
    const struct job_recipient *r = &d->job.recipients[i];
    enum post_mode mode = options_of(d)->send_post;
    bool post_enough = mode == POST_ALWAYS || mode == POST_ERROR;
    if (r->outcome.class != OUTCOME_FAILED || !dsn_wants_failure(r->asked.notify)) {
        return false;
    }
    unsigned enough = 1u << REPORT_FAILED | 1u << REPORT_SHORTENED |
                      (post_enough ? 1u << REPORT_COPY_FAILED : 0);
    return (told & enough) == 0;
}
