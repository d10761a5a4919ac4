/* template_run: the machine that runs the ops of a template. What comes from the address
 * is data: it is appended to a field and never read again. What a call-out answers is
 * template text: it is parsed and run in the same machine, a few levels deep. */
#include <sys/random.h>

#include "base/check.h"
#include "tables/general.h"
#include "tables/mapping.h"
#include "tables/template_ops.h"

enum {
    CALL_DEPTH_MAX = 4,
    UNIQUE_BYTES = 10, /* 80 bits */
    UNIQUE_MAX = UNIQUE_BYTES * 8 / 5
};

struct field {
    size_t len;
    char text[TEMPLATE_FIELD_MAX];
};

/* Tests of which one must hit ($M, $Q), or none ($N, $C). */
struct channel_test {
    str asked; /* the first that asked for a hit, as written; ptr NULL: none */
    bool hit;
    str excluded; /* the one that hit although it must not */
};

struct machine {
    const struct template_input *in;
    struct arena *arena;
    struct template_output *out;
    struct field fields[TEMPLATE_FIELDS];
    struct field argument;
    char separators[TEMPLATE_FIELDS + 1];
    size_t current; /* index of the field, and number of separators */
    bool overflow, too_many, stopped;
    enum template_case fold;
    bool quoted;
    unsigned depth;
    /* where text goes while an argument is collected */
    enum { TO_FIELD, TO_CALLOUT, TO_DOMAIN } to;
    const struct template_op *collecting; /* the op it is for */
    const struct template *of;            /* and its template */
    str location_asked;
    bool location_hit;
    struct channel_test source, destination;
};

/* Field by field: clearing the texts would cost more than all the rest. */
static void machine_start(struct machine *m, const struct template_input *in,
                          struct arena *a, struct template_output *out)
{
    m->in = in;
    m->arena = a;
    m->out = out;
    for (size_t i = 0; i < TEMPLATE_FIELDS; i++) {
        m->fields[i].len = 0;
    }
    m->argument.len = 0;
    m->separators[0] = '\0';
    m->current = 0;
    m->overflow = m->too_many = m->stopped = m->quoted = m->location_hit = false;
    m->fold = CASE_KEPT;
    m->depth = 0;
    m->to = TO_FIELD;
    m->collecting = NULL;
    m->of = NULL;
    m->location_asked = STR_NONE;
    m->source = m->destination = (struct channel_test){STR_NONE, false, STR_NONE};
}

static str op_written(const struct template *t, const struct template_op *op)
{
    return str_sub(t->text, op->at, op->length);
}

static str op_argument(const struct template *t, const struct template_op *op)
{
    return str_sub(t->text, op->text_at, op->text_len);
}

/* ---- putting text -------------------------------------------------------------- */

static struct field *target(struct machine *m)
{
    return m->to == TO_FIELD ? &m->fields[m->current] : &m->argument;
}

static void put(struct machine *m, str text)
{
    struct field *f = target(m);

    if (text.len > sizeof f->text - f->len) {
        m->overflow = true;
        return;
    }
    if (text.len > 0) {
        memcpy(f->text + f->len, text.ptr, text.len);
    }
    f->len += text.len;
}

static char fold(enum template_case how, char c)
{
    if (how == CASE_UPPER && c >= 'a' && c <= 'z') {
        return (char)(c - 'a' + 'A');
    }
    return how == CASE_LOWER ? ascii_lower(c) : c;
}

/* Substituted text: what $\ $^ $_ and $= act on. */
static void put_data(struct machine *m, str text)
{
    static const char hex[] = "0123456789abcdef";

    if (m->fold == CASE_KEPT && !m->quoted) {
        put(m, text);
        return;
    }
    for (size_t i = 0; i < text.len; i++) {
        char c = fold(m->fold, text.ptr[i]);
        if (m->quoted && (c == '\0' || strchr("*()\\", c))) { /* RFC 4515 3 */
            char coded[] = {'\\', hex[(unsigned char)c >> 4], hex[c & 15]};
            put(m, str_n(coded, sizeof coded));
        } else {
            put(m, str_n(&c, 1));
        }
    }
}

static void put_user(struct machine *m, const struct template_op *op)
{
    str user = m->in->spec->user;
    struct address rest;

    if (!op->numbered) {
        put_data(m, user);
    } else if (m->in->spec->kind != HOSTSPEC_ROUTE || address_parse(user, &rest)) {
        put_data(m, template_user_part(user, op->number == 1));
    } else { /* what stands behind an entry of a route keeps its hosts */
        rest.local = template_user_part(rest.local, op->number == 1);
        put_data(m, op->number == 1 ? rest.local : address_print(m->arena, &rest));
    }
}

static bool put_label(struct machine *m, const struct template_op *op)
{
    bool matched = op->kind == OP_MATCHED_LEFT || op->kind == OP_MATCHED_RIGHT;
    bool right = op->kind == OP_LABEL_RIGHT || op->kind == OP_MATCHED_RIGHT;
    str name = op->kind == OP_HOST_LABEL ? m->in->spec->host
               : matched                 ? m->in->match->matched
                                         : m->in->match->unmatched;
    str label;

    if (!template_label(name, op->number, right, &label)) {
        return false;
    }
    put_data(m, label);
    return true;
}

static bool put_character(struct machine *m, const struct template_op *op)
{
    str address = address_print(m->arena, m->in->address);

    if (op->number >= address.len) {
        return false;
    }
    put_data(m, str_sub(address, op->number, 1));
    return true;
}

/* Letters and digits nobody has seen before, good in a local part and in a host. */
static void put_unique(struct machine *m)
{
    static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";
    unsigned char random[UNIQUE_BYTES];
    char text[UNIQUE_MAX];
    unsigned bits = 0, have = 0;
    size_t next = 0;

    check(getrandom(random, sizeof random, 0) == (ssize_t)sizeof random);
    for (size_t i = 0; i < sizeof text; i++) {
        if (have < 5) {
            bits = (bits << 8) | random[next++];
            have += 8;
        }
        have -= 5;
        text[i] = alphabet[(bits >> have) & 31];
    }
    put(m, str_n(text, sizeof text));
}

/* ---- controls ------------------------------------------------------------------ */

static void test_channel(struct channel_test *t, const struct channel *is, str wanted,
                         bool must_hit, str as_written)
{
    bool hit = is && str_ieq(is->name, wanted);

    if (must_hit) {
        t->asked = t->asked.ptr ? t->asked : as_written;
        t->hit = t->hit || hit;
    } else if (hit && !t->excluded.ptr) {
        t->excluded = as_written;
    }
}

/* What of the test failed; ptr NULL when it passed. */
static str test_failed(const struct channel_test *t)
{
    return t->excluded.ptr ? t->excluded : t->hit ? STR_NONE : t->asked;
}

/* False: a test of channels that waited has failed, and its name is in out->failed. */
static bool tests_pass(struct machine *m)
{
    str failed = test_failed(&m->source);

    if (!failed.ptr) {
        failed = test_failed(&m->destination);
    }
    m->out->failed = failed.ptr ? failed : m->out->failed;
    return !failed.ptr;
}

/* $1~: the tests are due now; when they fail, the template ends here and is good. */
static void stop_here(struct machine *m)
{
    m->stopped = !tests_pass(m);
    m->out->failed = STR("");
    m->source = m->destination = (struct channel_test){STR_NONE, false, STR_NONE};
}

static void set_error(struct machine *m, const struct template *t,
                      const struct template_op *op)
{
    m->out->error = template_error_text(m->arena, str_trim(op_argument(t, op)));
    template_status(op->number, m->out->status);
}

/* ---- call-outs ----------------------------------------------------------------- */

static bool ops_run(struct machine *m, const struct template *t);

static bool fails(struct machine *m, str what)
{
    m->out->failed = what;
    return false;
}

/* Puts what a call-out answered back into the template. */
static bool answer_run(struct machine *m, str answer, str as_written)
{
    struct template t;

    if (m->depth >= CALL_DEPTH_MAX ||
        !template_parse_part(m->arena, answer, SPAN_NONE, NULL, &t)) {
        return fails(m, as_written);
    }
    m->depth++;
    bool good = ops_run(m, &t);
    m->depth--;
    return good;
}

/* ${table,argument}: the table must be there and the entry must say $Y (PMDF 2.2.6.9). */
static bool mapping_answer(struct machine *m, str table, str argument, str *answer)
{
    const struct mapping *mapping = mapping_find(m->in->snapshot, table);
    struct mapping_input in = {.snapshot = m->in->snapshot, .probe = argument};
    struct mapping_output out;

    if (!mapping || !mapping_run(mapping, &in, m->arena, &out) ||
        !(out.flags & mapping_flag('Y'))) {
        return false;
    }
    *answer = out.text;
    return true;
}

/* An answer of the database may not ask the database again. */
static bool general_answer(struct machine *m, str key, str *answer)
{
    return m->depth == 0 && general_find(m->in->snapshot, key, answer);
}

static void collect_for(struct machine *m, const struct template *t,
                        const struct template_op *op)
{
    m->to = op->kind == OP_LOCAL ? TO_DOMAIN : TO_CALLOUT;
    m->collecting = op;
    m->of = t;
    m->argument.len = 0;
}

static str collected(struct machine *m)
{
    m->to = TO_FIELD;
    return arena_str(m->arena, str_n(m->argument.text, m->argument.len));
}

static bool callout_end(struct machine *m, const struct template *t,
                        const struct template_op *end)
{
    const struct template_op *begin = m->collecting;
    str as_written = op_written(t, end), answer;

    if (m->to != TO_CALLOUT || m->of != t) {
        return fails(m, as_written); /* an image whose ops do not pair */
    }
    str argument = collected(m);
    bool found = begin->kind == OP_GENERAL
                     ? general_answer(m, argument, &answer)
                     : mapping_answer(m, op_argument(t, begin), argument, &answer);
    return !m->overflow && found ? answer_run(m, answer, as_written)
                                 : fails(m, as_written);
}

/* The argument of $V or $Z is whole: is it one of our domains? */
static bool domain_end(struct machine *m)
{
    str as_written = op_written(m->of, m->collecting);
    bool wanted = m->collecting->number == 1;

    return snapshot_is_local_domain(m->in->snapshot, collected(m)) == wanted ||
           fails(m, as_written);
}

/* ---- running ------------------------------------------------------------------- */

static void separate(struct machine *m, char separator)
{
    if (m->current + 1 >= TEMPLATE_FIELDS) {
        m->too_many = true;
        return;
    }
    m->separators[m->current++] = separator;
    m->separators[m->current] = '\0';
}

static void locate(struct machine *m, const struct template *t,
                   const struct template_op *op)
{
    m->location_asked = m->location_asked.ptr ? m->location_asked : op_written(t, op);
    m->location_hit |= m->in->spec->kind == (enum hostspec_kind)op->number;
}

/* Substitutions: false when there is nothing to substitute. */
static bool material_run(struct machine *m, const struct template *t,
                         const struct template_op *op)
{
    const struct pattern_match *match = m->in->match;

    switch (op->kind) {
    case OP_TEXT:
        put(m, op_argument(t, op));
        return true;
    case OP_USER:
        put_user(m, op);
        return true;
    case OP_UNMATCHED:
        put_data(m, template_drop_labels(match->unmatched, op->number));
        return true;
    case OP_MATCHED:
        put_data(m, template_drop_labels(match->matched, op->number));
        return true;
    case OP_REST:
        put_data(m, match->rest);
        return true;
    case OP_UNIQUE:
        put_unique(m);
        return true;
    case OP_CHARACTER:
        return put_character(m, op);
    default:
        return put_label(m, op);
    }
}

/* Controls that pass or fail at once. */
static bool control_passes(struct machine *m, const struct template_op *op)
{
    const struct template_input *in = m->in;

    switch (op->kind) {
    case OP_FORM:
        return in->envelope == (op->number == 1);
    case OP_DIRECTION:
        return in->forward == (op->number == 1);
    case OP_REPROCESS:
        return !in->source || channel_reprocesses(in->source) == (op->number == 1);
    default: /* OP_ROUTINE */
        return false;
    }
}

static void test_channels(struct machine *m, const struct template *t,
                          const struct template_op *op)
{
    bool source = op->kind == OP_SOURCE || op->kind == OP_NOT_SOURCE;
    bool must_hit = op->kind == OP_SOURCE || op->kind == OP_DESTINATION;
    const struct channel *is = source ? m->in->source : m->in->destination;

    if (is) {
        test_channel(source ? &m->source : &m->destination, is, op_argument(t, op),
                     must_hit, op_written(t, op));
    }
}

/* One op; false when it makes the rule fail. */
static bool op_run(struct machine *m, const struct template *t,
                   const struct template_op *op)
{
    switch (op->kind) {
    case OP_PERCENT:
    case OP_AT:
        separate(m, op->kind == OP_AT ? '@' : '%');
        return true;
    case OP_CASE:
        m->fold = (enum template_case)op->number;
        return true;
    case OP_QUOTE:
        m->quoted = true;
        return true;
    case OP_LOCATION:
        locate(m, t, op);
        return true;
    case OP_SOURCE:
    case OP_NOT_SOURCE:
    case OP_DESTINATION:
    case OP_NOT_DESTINATION:
        test_channels(m, t, op);
        return true;
    case OP_TAG:
        m->out->tag = arena_str(m->arena, op_argument(t, op));
        return true;
    case OP_ERROR:
        set_error(m, t, op);
        return true;
    case OP_STOP:
        stop_here(m);
        return true;
    case OP_LOCAL:
    case OP_GENERAL:
    case OP_MAPPING:
        collect_for(m, t, op);
        return true;
    case OP_CALL_END:
        return callout_end(m, t, op);
    case OP_IGNORED:
        return true;
    case OP_FORM:
    case OP_DIRECTION:
    case OP_REPROCESS:
    case OP_ROUTINE:
        return control_passes(m, op) || fails(m, op_written(t, op));
    default:
        return material_run(m, t, op) || fails(m, op_written(t, op));
    }
}

/* What may stand within the argument of $V without ending it. */
static bool goes_on(unsigned kind)
{
    return op_is_material(kind) || kind == OP_CASE || kind == OP_QUOTE;
}

static bool ops_run(struct machine *m, const struct template *t)
{
    for (size_t i = 0; i < t->op_count && !m->stopped; i++) {
        const struct template_op *op = &t->ops[i];
        if (m->to == TO_DOMAIN && !goes_on(op->kind) && !domain_end(m)) {
            return false;
        }
        if (!op_run(m, t, op)) {
            return false;
        }
    }
    return m->to != TO_DOMAIN || domain_end(m);
}

/* ---- the result ---------------------------------------------------------------- */

/* The tests of which one had to hit, but none did. */
static bool late_tests_pass(struct machine *m)
{
    if (m->location_asked.ptr && !m->location_hit) {
        return fails(m, m->location_asked);
    }
    return tests_pass(m);
}

static str field_copy(const struct machine *m, size_t i)
{
    return arena_str(m->arena, str_n(m->fields[i].text, m->fields[i].len));
}

static void take_fields(const struct machine *m, struct template_output *out)
{
    str last = field_copy(m, m->current);

    out->user = field_copy(m, 0);
    out->domain = field_copy(m, 1);
    out->routing_host =
        out->form == TEMPLATE_REPEAT || out->form == TEMPLATE_AS_IS ? STR("") : last;
    if (out->form == TEMPLATE_ROUTED || out->form == TEMPLATE_VIA) {
        out->source_route = field_copy(m, 2);
    }
}

enum template_result template_run(const struct template *t,
                                  const struct template_input *in, struct arena *a,
                                  struct template_output *out)
{
    struct machine m;

    machine_start(&m, in, a, out);
    *out = (struct template_output){
        .failed = STR(""), .source_route = STR(""), .tag = STR_NONE, .error = STR_NONE};
    if (!ops_run(&m, t) || !late_tests_pass(&m)) {
        return TEMPLATE_FAILS;
    }
    if (m.overflow) {
        return TEMPLATE_TOO_LONG;
    }
    if (m.too_many || !template_form_of(m.separators, &out->form) ||
        (out->form == TEMPLATE_AS_IS && m.fields[0].len > 0)) {
        return TEMPLATE_BAD_FORM;
    }
    take_fields(&m, out);
    return TEMPLATE_APPLIES;
}
