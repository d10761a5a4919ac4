/* smtp_server_params: the parameters of MAIL (RFC 1870, 6152, 3461) and RCPT (3461). */
#include <stdio.h>

#include "channels/smtp_server_private.h"

static bool server_bad_parameter(struct smtp_server *m, const char *why)
{
    server_error(m, 501, 5, 5, 4, why);
    return false;
}

static bool mail_size(struct smtp_server *m, str value)
{
    uint64_t size = 0;
    if (!str_u64(value, UINT64_MAX, &size)) {
        for (size_t i = 0; i < value.len; i++) {
            if (!ascii_is_digit(value.ptr[i])) {
                value.len = 0;
            }
        }
        if (value.len == 0 || value.len > 20) { /* RFC 1870 3: 1*20DIGIT */
            return server_bad_parameter(m, "SIZE takes a number");
        }
        size = UINT64_MAX; /* twenty digits that do not fit: more than any limit */
    }
    if (m->policy.size_limit_bytes > 0 && size > m->policy.size_limit_bytes) {
        server_reply(m, 552, 5, 3, 4, "Message larger than the size limit");
        return false;
    }
    m->txn.declared_size = size;
    return true;
}

static bool mail_body(struct smtp_server *m, str value)
{
    m->txn.eight_bit = str_ieq(value, STR("8BITMIME"));
    return m->txn.eight_bit || str_ieq(value, STR("7BIT")) ||
           server_bad_parameter(m, "BODY takes 7BIT or 8BITMIME");
}

static bool mail_ret(struct smtp_server *m, str value)
{
    const char *flaw = dsn_ret_parse(value, &m->txn.ret);
    return flaw == NULL || server_bad_parameter(m, flaw);
}

static bool mail_envid(struct smtp_server *m, str value)
{
    const char *flaw = dsn_envid_flaw(value);
    if (flaw != NULL) {
        return server_bad_parameter(m, flaw);
    }
    memcpy(m->envid, value.ptr, value.len);
    m->txn.envid = str_n(m->envid, value.len);
    return true;
}

static bool rcpt_notify(struct smtp_server *m, str value)
{
    const char *flaw = dsn_notify_parse(value, &m->txn.request.notify);
    return flaw == NULL || server_bad_parameter(m, flaw);
}

static bool rcpt_orcpt(struct smtp_server *m, str value)
{
    const char *flaw = dsn_orcpt_flaw(value);
    if (flaw != NULL) {
        return server_bad_parameter(m, flaw);
    }
    memcpy(m->orcpt, value.ptr, value.len);
    m->txn.request.orcpt = str_n(m->orcpt, value.len);
    return true;
}

struct parameter {
    const char *keyword;
    bool (*take)(struct smtp_server *m, str value); /* false: answered */
};

static const struct parameter of_mail[] = {
    {"SIZE", mail_size}, {"BODY", mail_body}, {"RET", mail_ret}, {"ENVID", mail_envid}};
static const struct parameter of_rcpt[] = {{"NOTIFY", rcpt_notify},
                                           {"ORCPT", rcpt_orcpt}};

/* The number of the parameter in the table; count: it is not there. */
static size_t parameter_find(const struct parameter *table, size_t count, str keyword)
{
    size_t i = 0;
    while (i < count && !str_ieq(keyword, str_from(table[i].keyword))) {
        i++;
    }
    return i;
}

/* False: answered. */
static bool parameters_take(struct smtp_server *m, const struct parameter *table,
                            size_t count, str rest)
{
    struct smtp_param p;
    unsigned seen = 0;
    enum smtp_param_status status;
    while ((status = smtp_param_take(&rest, &p)) == SMTP_PARAM_GOOD) {
        size_t i = parameter_find(table, count, p.keyword);
        if (i == count) {
            server_error(m, 555, 5, 5, 4, "Parameter not recognised");
            return false;
        }
        if ((seen & 1u << i) != 0) {
            return server_bad_parameter(m, "Parameter given twice");
        }
        seen |= 1u << i;
        if (!table[i].take(m, p.value)) {
            return false;
        }
    }
    return status != SMTP_PARAM_BAD || server_bad_parameter(m, "Bad parameter syntax");
}

bool server_mail_params(struct smtp_server *m, str rest)
{
    return parameters_take(m, of_mail, sizeof of_mail / sizeof of_mail[0], rest);
}

bool server_rcpt_params(struct smtp_server *m, str rest)
{
    return parameters_take(m, of_rcpt, sizeof of_rcpt / sizeof of_rcpt[0], rest);
}
