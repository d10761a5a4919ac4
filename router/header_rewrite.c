/* header_rewrite: field by field. The output is begun with the first change. */
#include "router/header_rewrite.h"

#include "router/header_addresses.h"
#include "router/header_fields.h"
#include "router/header_fold.h"
#include "tables/hostspec.h"
#include "tables/shown.h"

enum { USUAL_WIDTH = 80 }; /* PMDF 2.3.4: headerlinelength */

/* --- which fields hold addresses --- */

enum role { ROLE_NONE, ROLE_BACKWARD, ROLE_FORWARD };

struct field_row {
    str name;
    enum role role;
};

/* What points to where a message comes from or where answers go is backward-pointing.
 * Trace fields (Return-Path, Received, Delivered-To) tell what was, and are left alone.
 */
static const struct field_row FIELDS[] = {
    {{"From", 4}, ROLE_BACKWARD},
    {{"Sender", 6}, ROLE_BACKWARD},
    {{"Reply-To", 8}, ROLE_BACKWARD},
    {{"To", 2}, ROLE_FORWARD},
    {{"Cc", 2}, ROLE_FORWARD},
    {{"Bcc", 3}, ROLE_FORWARD},
    {{"Resent-From", 11}, ROLE_BACKWARD},
    {{"Resent-Sender", 13}, ROLE_BACKWARD},
    {{"Resent-Reply-To", 15}, ROLE_BACKWARD},
    {{"Resent-To", 9}, ROLE_FORWARD},
    {{"Resent-Cc", 9}, ROLE_FORWARD},
    {{"Resent-Bcc", 10}, ROLE_FORWARD},
    {{"Return-Receipt-To", 17}, ROLE_BACKWARD},
    {{"Delivery-Receipt-To", 19}, ROLE_BACKWARD},
    {{"Read-Receipt-To", 15}, ROLE_BACKWARD},
    {{"Disposition-Notification-To", 27}, ROLE_BACKWARD},
    {{"Errors-To", 9}, ROLE_BACKWARD},
    {{"Warnings-To", 11}, ROLE_BACKWARD},
};

static enum role field_role(str name)
{
    for (size_t i = 0; i < sizeof FIELDS / sizeof FIELDS[0]; i++) {
        if (name.len == FIELDS[i].name.len && str_ieq(name, FIELDS[i].name)) {
            return FIELDS[i].role;
        }
    }
    return ROLE_NONE;
}

/* --- receipts --- */

bool header_asks_success(str name)
{
    return str_ieq(name, STR("Return-Receipt-To")) ||
           str_ieq(name, STR("Delivery-Receipt-To"));
}

/* The only address of the field. */
static bool is_for(const struct header_field *f, str sender, struct arena *scratch)
{
    struct header_items items;
    struct arena_mark mark = arena_mark(scratch);
    unsigned same = 0, all = 0;
    if (header_addresses(f->value, scratch, &items)) {
        for (size_t i = 0; i < items.list.n; i++) {
            const struct header_item *item = &items.list.at[i];
            all += item->spot.ptr != NULL;
            same += item->spot.ptr != NULL &&
                    str_ieq(address_print(scratch, &item->address), sender);
        }
    }
    arena_reset(scratch, mark);
    return all == 1 && same == 1;
}

bool header_receipt_asked(str header, str sender, struct arena *scratch)
{
    struct header_field f;
    bool asked = false;
    while (sender.len > 0 && header_field_next(&header, &f)) {
        if (header_asks_success(f.name)) {
            if (!is_for(&f, sender, scratch)) {
                return false;
            }
            asked = true;
        }
    }
    return asked;
}

/* --- one address --- */

struct rewriting {
    const struct header_context *c;
    const struct channel_opts *opts;       /* of the destination */
    struct header_shape shape, list_shape; /* of any field, of lists of recipients */
    bool return_path;                      /* one is added: those that are there go */
    struct arena *arena;
    unsigned *work;
    struct buf *out;
    str header;
    size_t copied; /* octets of header that are in out, or are not to come there */
    bool changed;
    bool full; /* it is too much: too many addresses, or no room in out */
};

static struct address completed(const struct rewriting *r, const struct address *in)
{
    struct address out = *in;
    struct hostspec spec;
    hostspec_extract(r->arena, in, r->c->source->opts.bang_percent, &spec);
    if (spec.kind == HOSTSPEC_NONE) {
        out.domain = r->c->bare_domain;
    }
    return out;
}

/* The text that is to stand in the place of an address; false: it stays as it is. */
static bool address_text(struct rewriting *r, enum role role, const struct address *in,
                         str *text)
{
    struct rewrite_context ctx = {.source = r->c->source,
                                  .direction = role == ROLE_FORWARD ? ROUTE_FORWARD
                                                                    : ROUTE_BACKWARD,
                                  .form = ROUTE_HEADER,
                                  .destination = r->c->destination};
    struct address given = completed(r, in), out, printed;
    if (!shown_address(r->c->snapshot, &ctx, &given, r->arena, r->c->reversal, &out)) {
        out = given; /* no route: it is completed all the same */
    }
    bool plain = r->opts->header_form == ADDRESS_FORM_822;
    if (plain && shown_same(in, &out)) {
        return false;
    }
    *text = shown_print(r->arena, r->opts->header_form, &out);
    return plain || address_parse(*text, &printed) != NULL || !shown_same(in, &printed);
}

/* --- one list of addresses --- */

struct pieces {
    VEC(struct header_piece) list;
    bool changed;
};

static char *put_part(char *to, str part)
{
    memcpy(to, part.ptr, part.len);
    return to + part.len;
}

/* raw with text in the place of the address in it. Not by printf: it may hold a NUL. */
static str item_replaced(struct rewriting *r, const struct header_item *item, str text)
{
    size_t before = (size_t)(item->spot.ptr - item->raw.ptr);
    bool brackets = !item->angle && text.len > 0 && text.ptr[0] == '@';
    char *out = arena_bytes(r->arena, item->raw.len + text.len + 2), *end = out;
    end = put_part(end, str_sub(item->raw, 0, before));
    end = put_part(end, brackets ? STR("<") : STR(""));
    end = put_part(end, text);
    end = put_part(end, brackets ? STR(">") : STR(""));
    end = put_part(end, str_from_pos(item->raw, before + item->spot.len));
    return str_n(out, (size_t)(end - out));
}

/* Counts one address; false: there were too many before it. */
static bool work_taken(struct rewriting *r)
{
    r->full = r->full || *r->work == 0;
    *r->work -= *r->work > 0;
    return !r->full;
}

static void piece_add(struct rewriting *r, enum role role, const struct header_item *item,
                      struct pieces *out)
{
    str raw = item->raw, text;
    if (item->spot.ptr != NULL && work_taken(r) &&
        address_text(r, role, &item->address, &text)) {
        raw = item_replaced(r, item, text);
        out->changed = true;
    }
    raw = str_trim(raw);
    if (raw.len == 0 && (item->end == ',' || item->end == '\0')) {
        return; /* an empty element (RFC 5322 4.4) */
    }
    struct header_piece *p = vec_add(r->arena, &out->list);
    *p = (struct header_piece){
        .text = raw,
        .end = item->end,
        .whole = item->end == ':' || (item->in_group && item->end == ','),
        .addresses = item->spot.ptr != NULL,
    };
}

/* --- the output --- */

/* What stands before the field goes out as it was; the field itself does not. */
static void field_replace(struct rewriting *r, const struct header_field *f)
{
    size_t at = (size_t)(f->raw.ptr - r->header.ptr);
    r->changed = true;
    r->full = r->full || !buf_str(r->out, str_sub(r->header, r->copied, at - r->copied));
    r->copied = at + f->raw.len;
}

static void put_list(struct rewriting *r, const struct header_field *f,
                     const struct pieces *p, const struct header_shape *shape)
{
    field_replace(r, f);
    r->full = r->full || !header_fold_list(r->out, f->name, p->list.at, p->list.n, shape);
}

/* --- other fields, and those in which no address changes --- */

static bool line_too_long(const struct rewriting *r, str raw)
{
    str rest = raw, line;
    while (r->opts->headerlinelength > 0 && str_split(&rest, '\n', &line)) {
        if (str_trim(line).len > 0 && line.len > r->opts->headerlinelength + 1u) {
            return true; /* the one is for its CR */
        }
    }
    return false;
}

/* Does the value begin elsewhere than headerlabelalign says? */
static bool misaligned(const struct rewriting *r, const struct header_field *f)
{
    size_t label = f->name.len + 1, blanks = 0;
    while (blanks < f->value.len && f->value.ptr[blanks] == ' ') {
        blanks++;
    }
    if (r->opts->headerlabelalign == 0 || blanks == f->value.len ||
        f->value.ptr[blanks] == '\r' || f->value.ptr[blanks] == '\n') {
        return false;
    }
    size_t align = r->opts->headerlabelalign;
    return f->value.ptr[blanks] == '\t' || blanks != (label < align ? align - label : 1);
}

/* The value stays; what stands before it changes. */
static void put_aligned(struct rewriting *r, const struct header_field *f)
{
    str value = f->value;
    while (value.len > 0 && ascii_is_space(value.ptr[0])) {
        value = str_from_pos(value, 1);
    }
    field_replace(r, f);
    size_t width = f->name.len + 1 < r->opts->headerlabelalign ? r->opts->headerlabelalign
                                                               : f->name.len + 2;
    r->full = r->full ||
              !buf_printf(r->out, "%.*s:%*s", STR_ARG(f->name),
                          (int)(width - f->name.len - 1), "") ||
              !buf_str(r->out, value) || !buf_puts(r->out, "\r\n");
}

static void shape_field(struct rewriting *r, const struct header_field *f)
{
    if (line_too_long(r, f->raw)) {
        field_replace(r, f);
        r->full = r->full || !header_fold_text(r->out, f->name, f->value, &r->shape);
    } else if (misaligned(r, f)) {
        put_aligned(r, f);
    }
}

/* --- one field --- */

/* Nothing but blanks, comments and commas: PMDF calls such a field illegal. */
static bool is_blank_list(const struct header_items *items)
{
    for (size_t i = 0; i < items->list.n; i++) {
        const struct header_item *item = &items->list.at[i];
        if (item->spot.ptr != NULL || item->end == ':' || !header_is_blank(item->raw)) {
            return false;
        }
    }
    return true;
}

static void address_field(struct rewriting *r, const struct header_field *f,
                          enum role role)
{
    struct header_items items;
    struct pieces pieces = {0};
    if (!header_addresses(f->value, r->arena, &items)) {
        shape_field(r, f);
        return;
    }
    if (r->c->source->opts.drop_blank && is_blank_list(&items)) {
        field_replace(r, f);
        return;
    }
    for (size_t i = 0; i < items.list.n; i++) {
        piece_add(r, role, &items.list.at[i], &pieces);
    }
    size_t n = pieces.list.n;
    const struct header_shape *shape = role == ROLE_FORWARD ? &r->list_shape : &r->shape;
    if (n > 0 && (pieces.changed || line_too_long(r, f->raw) ||
                  header_fold_splits(pieces.list.at, n, shape))) {
        put_list(r, f, &pieces, shape);
    } else {
        shape_field(r, f);
    }
}

/* Does the channel want this request for a receipt left out? What asks for one of success
 * is asked for in another way then; what asks to be told of reading is not. */
static bool receipt_goes(const struct rewriting *r, str name)
{
    bool reading = str_ieq(name, STR("Read-Receipt-To")) ||
                   str_ieq(name, STR("Disposition-Notification-To"));
    bool success = header_asks_success(name);
    switch (r->opts->receipts) {
    case RECEIPTS_NONE:
        return reading || success;
    case RECEIPTS_NOTARY:
        return success && r->c->receipt_moved;
    case RECEIPTS_HEADER:
    case RECEIPTS_BOTH:
        break;
    }
    return false;
}

static void field_rewrite(struct rewriting *r, const struct header_field *f)
{
    struct arena_mark mark = arena_mark(r->arena);
    enum role role = field_role(f->name);
    bool untouched = f->name.len == 0 ||
                     (r->opts->maxprocchars > 0 && f->raw.len > r->opts->maxprocchars);
    if ((r->return_path && str_ieq(f->name, STR("Return-Path"))) ||
        receipt_goes(r, f->name)) {
        field_replace(r, f);
    } else if (!untouched && role != ROLE_NONE) {
        address_field(r, f, role);
    } else if (!untouched) {
        shape_field(r, f);
    }
    arena_reset(r->arena, mark);
}

static void rewriting_start(struct rewriting *r)
{
    const struct channel *to = r->c->destination;
    r->opts = &to->opts;
    r->shape = (struct header_shape){
        .width = r->opts->headerlinelength > 0 ? r->opts->headerlinelength : USUAL_WIDTH,
        .align = r->opts->headerlabelalign,
    };
    r->list_shape = r->shape;
    r->list_shape.max_addresses = r->opts->maxheaderaddrs;
    r->list_shape.max_chars = r->opts->maxheaderchars;
    /* the driver of the local channel writes a Return-Path in any case */
    r->return_path = r->opts->add_return_path && to->type != CHANNEL_LOCAL;
    if (r->return_path) {
        r->changed = true;
        r->full = !buf_printf(r->out, "Return-Path: <%.*s>\r\n", STR_ARG(r->c->sender));
    }
}

enum header_verdict header_rewrite(const struct header_context *c, str header,
                                   unsigned *work, struct arena *scratch, struct buf *out)
{
    struct rewriting r = {
        .c = c, .arena = scratch, .work = work, .out = out, .header = header};
    size_t before = out->len;
    str rest = header;
    struct header_field f;
    rewriting_start(&r);
    while (!r.full && header_field_next(&rest, &f)) {
        field_rewrite(&r, &f);
    }
    if (!r.changed) {
        return r.full ? HEADER_TOO_MUCH : HEADER_SAME;
    }
    r.full = r.full || !buf_str(out, str_from_pos(header, r.copied));
    bool same = !r.full && out->len - before == header.len &&
                memcmp(out->data + before, header.ptr, header.len) == 0;
    if (!r.full && !same) {
        return HEADER_CHANGED;
    }
    out->len = before;
    return same ? HEADER_SAME : HEADER_TOO_MUCH; /* a long line without a blank */
}
