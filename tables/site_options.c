/* site_options: option.dat, and the built-in values of what it leaves open. */
#include "base/address.h"
#include "parser/keyword_value.h"
#include "tables/alias.h"
#include "tables/compile.h"
#include "tables/forward.h"
#include "tables/reverse.h"
#include "tables/site_options.h"

enum { SITE_BLOCK_SIZE_MAX = 1 << 20 };

static void read_path(struct compile *c, const struct ast_option *o, str *out,
                      struct span *at)
{
    compile_once(c, at, o);
    if (o->value.len == 0) {
        diag_error(c->diags, o->name_at, "option-empty", "'%.*s' needs a path",
                   STR_ARG(o->name));
        return;
    }
    *out = locate_written(c, o->value);
}

static void read_number(struct compile *c, const struct ast_option *o, uint64_t max,
                        unsigned *out, struct span *at)
{
    uint64_t number;
    compile_once(c, at, o);
    if (!str_number(o->value, max, &number)) {
        diag_error(c->diags, o->value_at, "option-range",
                   "'%.*s' needs a number from 0 to %llu", STR_ARG(o->name),
                   (unsigned long long)max);
        return;
    }
    *out = (unsigned)number;
}

static void read_block_size(struct compile *c, const struct ast_option *o)
{
    struct site_options *out = &c->s->options;
    read_number(c, o, SITE_BLOCK_SIZE_MAX, &out->block_size, &out->block_size_at);
    if (out->block_size == 0) {
        diag_error(c->diags, o->value_at, "option-range",
                   "'BLOCK_SIZE' needs a number from 1 to %d", SITE_BLOCK_SIZE_MAX);
    }
}

static void read_dialect(struct compile *c, const struct ast_option *o)
{
    struct site_options *out = &c->s->options;
    compile_once(c, &out->dialect_at, o);
    if (str_ieq(o->value, STR("pmdf"))) {
        out->dialect = DIALECT_PMDF;
    } else if (str_ieq(o->value, STR("imta"))) {
        out->dialect = DIALECT_IMTA;
    } else {
        diag_error(c->diags, o->value_at, "option-range",
                   "'DIALECT' is pmdf (PMDF) or imta (Sun, Oracle)");
    }
}

/* PMDF's 2, 3 and 4 (other field layouts, XML) are known, so only a warning. */
static void read_log_format(struct compile *c, const struct ast_option *o)
{
    struct site_options *out = &c->s->options;
    compile_once(c, &out->log_format_at, o);
    if (str_eq(o->value, STR("1")) || str_eq(o->value, STR("5"))) {
        out->log_format = (unsigned)(o->value.ptr[0] - '0');
        return;
    }
    if (o->value.len == 1 && o->value.ptr[0] >= '2' && o->value.ptr[0] <= '4') {
        diag_warning(c->diags, o->value_at, "unhonoured-option",
                     "'LOG_FORMAT=%c' is not honoured yet: the log has key=value lines, "
                     "as with 1; 5 is JSON",
                     o->value.ptr[0]);
        return;
    }
    diag_error(c->diags, o->value_at, "option-range",
               "'LOG_FORMAT' is 1 (key=value) or 5 (JSON)");
}

static void read_user(struct compile *c, const struct ast_option *o)
{
    struct site_options *out = &c->s->options;
    str v = o->value;
    compile_once(c, &out->user_at, o);
    if (!user_name_ok(v)) {
        diag_error(c->diags, o->value_at, "option-user", "'%.*s' is no name of a user",
                   STR_ARG(v));
        return;
    }
    out->user = arena_str(c->arena, v);
}

static void read_received_domain(struct compile *c, const struct ast_option *o)
{
    struct site_options *out = &c->s->options;
    compile_once(c, &out->received_domain_at, o);
    if (!domain_name_ok(o->value)) {
        diag_error(c->diags, o->value_at, "option-range",
                   "'RECEIVED_DOMAIN' needs a host name, as mail.example.com");
        return;
    }
    out->received_domain = arena_str(c->arena, o->value);
}

static void read_return_address(struct compile *c, const struct ast_option *o)
{
    struct site_options *out = &c->s->options;
    compile_once(c, &out->return_address_at, o);
    if (!report_address_ok(o->value)) {
        diag_error(c->diags, o->value_at, "option-range",
                   "'RETURN_ADDRESS' needs an address with a host, as "
                   "postmaster@example.com");
        return;
    }
    out->return_address = arena_str(c->arena, o->value);
}

/* It stands in a header field, as it is. */
static void read_return_personal(struct compile *c, const struct ast_option *o)
{
    struct site_options *out = &c->s->options;
    compile_once(c, &out->return_personal_at, o);
    if (!report_name_ok(o->value)) {
        diag_error(c->diags, o->value_at, "option-range",
                   "'RETURN_PERSONAL' needs a name of up to 100 ASCII characters");
        return;
    }
    out->return_personal = arena_str(c->arena, o->value);
}

/* The code of a character, as Oracle has it, or the character itself. */
static void read_mapping_paranoia(struct compile *c, const struct ast_option *o)
{
    struct site_options *out = &c->s->options;
    uint64_t code = 0;
    str v = o->value;
    compile_once(c, &out->mapping_paranoia_at, o);
    if (!str_u64(v, '~', &code)) {
        code = v.len == 1 ? (unsigned char)v.ptr[0] : '|';
    }
    if (code != 0 && (code <= ' ' || code > '~' || code == '|' || code == '@')) {
        diag_error(
            c->diags, o->value_at, "option-range",
            "'%.*s' needs the code of a printable character other than '|' and '@', "
            "or 0 for none",
            STR_ARG(o->name));
        return;
    }
    out->mapping_paranoia = (char)code;
}

/* Message-ids (bit 6) are left alone; what later bits mean is not known. */
static void read_reverse_bits(struct compile *c, const struct ast_option *o)
{
    struct site_options *out = &c->s->options;
    read_number(c, o, 255, &out->use_reverse_database, &out->use_reverse_database_at);
    if ((out->use_reverse_database & ~(unsigned)REVERSE_BITS) != 0) {
        diag_warning(c->diags, o->value_at, "unhonoured-option",
                     "of the bits of 'USE_REVERSE_DATABASE' 1, 2, 4, 8, 16 and 32 are "
                     "honoured; message-ids are not reversed");
    }
}

/* Bits that ask for more in the key than there is would find nothing. */
static void read_forward_bits(struct compile *c, const struct ast_option *o)
{
    struct site_options *out = &c->s->options;
    read_number(c, o, FORWARD_BITS_MAX, &out->forward_bits, &out->forward_bits_at);
    if ((out->forward_bits & ~(unsigned)FORWARD_BITS) != 0) {
        diag_warning(c->diags, o->value_at, "unhonoured-option",
                     "of 'USE_FORWARD_DATABASE' only 1, 8, 16 and 64 are honoured");
        out->forward_bits &= FORWARD_BITS;
    }
}

/* Names with '/' between, at least one of them with the user in it. */
static const char *folder_fault(str rule)
{
    bool user = false, begins = true;
    for (size_t i = 0; i < rule.len; i++) {
        char ch = rule.ptr[i], next = i + 1 < rule.len ? rule.ptr[i + 1] : '\0';
        if (ch <= ' ' || ch > '~' || (begins && (ch == '/' || ch == '.'))) {
            return "a name is empty, begins with '.', or has a blank or control "
                   "character";
        }
        begins = ch == '/';
        if (ch != '%') {
            continue;
        }
        bool first = next == '1' || next == '2';
        next = first && i + 2 < rule.len ? rule.ptr[i + 2] : first ? '\0' : next;
        if (next != 'u' && (next != 'd' || first)) {
            return "behind '%' there is u, d, 1u or 2u";
        }
        user = user || (next == 'u' && !first);
        i += first ? 2 : 1;
    }
    return begins ? "it ends with '/', or is empty"
           : user ? NULL
                  : "%u must be in it, or all users would share a mailbox";
}

static void read_maildir_folder(struct compile *c, const struct ast_option *o)
{
    struct site_options *out = &c->s->options;
    const char *fault = folder_fault(o->value);
    compile_once(c, &out->maildir_folder_at, o);
    if (fault != NULL) {
        diag_error(c->diags, o->value_at, "option-range",
                   "'%.*s' needs names of folders like %%d/%%u: %s", STR_ARG(o->name),
                   fault);
        return;
    }
    out->maildir_folder = arena_str(c->arena, o->value);
}

/* Those of which every number up to the largest will do. */
static bool read_plain_number(struct compile *c, const struct ast_option *o,
                              enum option_id id)
{
    struct site_options *out = &c->s->options;
    switch (id) {
#define NUMBER(name, field, max)                                                         \
    case OPTION_SITE_##name:                                                             \
        read_number(c, o, max, &out->field, &out->field##_at);                           \
        return true;
        SITE_NUMBERS(NUMBER)
#undef NUMBER
    default:
        return false;
    }
}

static void read_option(struct compile *c, const struct ast_option *o)
{
    struct site_options *out = &c->s->options;
    const struct option_row *row = compile_option(c, OPTION_SITE, o);
    if (row == NULL || read_plain_number(c, o, row->id)) {
        return;
    }
    switch (row->id) {
    case OPTION_SITE_QUEUE_DIRECTORY:
        read_path(c, o, &out->queue_directory, &out->queue_directory_at);
        break;
    case OPTION_SITE_MAILDIR_ROOT:
        read_path(c, o, &out->maildir_root, &out->maildir_root_at);
        break;
    case OPTION_SITE_MAILDIR_FOLDER:
        read_maildir_folder(c, o);
        break;
    case OPTION_SITE_CONTROL_SOCKET:
        read_path(c, o, &out->control_socket, &out->control_socket_at);
        break;
    case OPTION_SITE_DNSSEC_ANCHOR:
        read_path(c, o, &out->dnssec_anchor, &out->dnssec_anchor_at);
        break;
    case OPTION_SITE_LOG_FORMAT:
        read_log_format(c, o);
        break;
    case OPTION_SITE_BLOCK_SIZE:
        read_block_size(c, o);
        break;
    case OPTION_SITE_USE_REVERSE_DATABASE:
        read_reverse_bits(c, o);
        break;
    case OPTION_SITE_MAPPING_PARANOIA:
        read_mapping_paranoia(c, o);
        break;
    case OPTION_SITE_USE_FORWARD_DATABASE:
        read_forward_bits(c, o);
        break;
    case OPTION_SITE_DIALECT:
        read_dialect(c, o);
        break;
    case OPTION_SITE_RECEIVED_DOMAIN:
        read_received_domain(c, o);
        break;
    case OPTION_SITE_RETURN_ADDRESS:
        read_return_address(c, o);
        break;
    case OPTION_SITE_RETURN_PERSONAL:
        read_return_personal(c, o);
        break;
    case OPTION_SITE_SILENCE:
        compile_once(c, &out->silence_at, o);
        silence_option(c, o);
        break;
    case OPTION_SITE_USER:
        read_user(c, o);
        break;
    default: /* known, and not honoured: compile_option() has said so */
        break;
    }
}

/* Of the main file's name. */
static enum dialect usual_dialect(const struct compile *c)
{
    return str_ieq(c->main_name, STR("imta.cnf")) ? DIALECT_IMTA : DIALECT_PMDF;
}

void site_options_compile(struct compile *c, const struct ast *ast)
{
    c->s->options =
        (struct site_options){.queue_directory = STR(POINTSMAN_QUEUE_DIRECTORY),
                              .maildir_root = STR(POINTSMAN_MAILDIR_ROOT),
                              .maildir_folder = STR("%u"),
                              .control_socket = STR(POINTSMAN_CONTROL_SOCKET),
                              .user = STR("pointsman"),
                              .dnssec_anchor = STR(""),
                              .received_domain = STR(""),
                              .return_address = STR(""),
                              .return_personal = STR(""),
                              .block_size = 1024,
                              .lines_to_return = 20,
                              .history_to_return = 20,
                              .return_delivery_history = 1,
                              .access_errors = 1,
                              .mapping_paranoia = '?',
                              .use_reverse_database = REVERSE_AFTER | REVERSE_FORWARD,
                              .reverse_envelope = 1,
                              .log_format = 1,
                              .alias_domains = 3,
                              .alias_levels = ALIAS_LEVELS_DEFAULT,
                              .exproute_forward = 1,
                              .improute_forward = 1,
                              .dialect = usual_dialect(c)};
    for (const struct ast_section *s = ast != NULL ? ast->sections : NULL; s;
         s = s->next) {
        if (s->name.len > 0) {
            diag_warning(c->diags, s->at, "unknown-section",
                         "this file has no sections; the head is passed over");
        }
        for (const struct ast_option *o = s->options; o != NULL; o = o->next) {
            read_option(c, o);
        }
    }
    /* 1 is all four tables to Oracle's program, to PMDF those two that it knew of. */
    if ((c->s->options.access_orcpt & 1) != 0) {
        c->s->options.access_orcpt |=
            c->s->options.dialect == DIALECT_IMTA ? 2 | 4 | 8 | 16 : 2 | 4;
    }
}
