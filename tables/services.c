/* services: dispatcher.cnf into listeners. Options before the first head are defaults
 * for every service. */
#include "base/vec.h"
#include "tables/compile.h"

enum { SERVICE_BACKLOG = 511, SERVICE_LISTENERS_MAX = 1000, SERVICE_MAX = 65535 };

struct port {
    uint16_t number;
    bool implicit_tls;
    struct span at;
};
struct interface {
    str ip;
    struct span at;
};
typedef VEC(struct port) port_list;
typedef VEC(struct interface) interface_list;

/* What a section says, before the listeners are made of it. */
struct draft {
    str name;
    struct span span;
    port_list ports;
    interface_list interfaces;
    str channel;
    struct span channel_at;
    unsigned backlog;
    struct span backlog_at;
    unsigned max_conns, max_procs; /* 0: not given */
    struct span max_conns_at, max_procs_at;
    bool broken; /* a fault was reported: what it misses is no second fault */
};

struct services {
    struct compile *c;
    struct map *by_name;    /* case-blind -> struct draft */
    struct map *by_address; /* "ip port" -> struct service */
    VEC(struct service) list;
    bool full; /* too many listeners; told once */
    struct span max_told;
};

/* Where a part of an option's value stands; the whole of it if lines were joined. */
static struct span part_span(const struct ast_option *o, str part)
{
    struct span at = o->value_at;
    if (o->value.len == at.length && part.len > 0) {
        at.offset += (uint32_t)(part.ptr - o->value.ptr);
        at.length = (uint32_t)part.len;
    }
    return at;
}

static void read_ports(struct services *on, struct draft *d, const struct ast_option *o,
                       bool implicit_tls)
{
    str rest = o->value, part;
    while (str_split(&rest, ',', &part)) {
        uint64_t number;
        part = str_trim(part);
        if (!str_u64(part, 65535, &number) || number == 0) {
            diag_error(on->c->diags, part_span(o, part), "service-port",
                       "'%.*s' is no port; ports are numbers from 1 to 65535",
                       STR_ARG(part));
            d->broken = true;
        } else if (d->ports.n <= SERVICE_LISTENERS_MAX) {
            *vec_add(on->c->arena, &d->ports) =
                (struct port){(uint16_t)number, implicit_tls, part_span(o, part)};
        }
    }
}

static void read_interfaces(struct services *on, struct draft *d,
                            const struct ast_option *o)
{
    str rest = o->value, part, ip;
    while (str_split(&rest, ',', &part)) {
        part = str_trim(part);
        if (!compile_ip(on->c, part, &ip)) {
            diag_error(on->c->diags, part_span(o, part), "service-address",
                       "'%.*s' is no IP address", STR_ARG(part));
            d->broken = true;
        } else if (d->interfaces.n <= SERVICE_LISTENERS_MAX) {
            *vec_add(on->c->arena, &d->interfaces) =
                (struct interface){ip, part_span(o, part)};
        }
    }
}

/* PARAMETER=CHANNEL=name */
static void read_parameter(struct services *on, struct draft *d,
                           const struct ast_option *o)
{
    str value = o->value, name;
    str_split(&value, '=', &name);
    if (!str_ieq(str_trim(name), STR("CHANNEL")) || value.ptr == NULL) {
        diag_warning(on->c->diags, o->value_at, "unhonoured-option",
                     "only PARAMETER=CHANNEL=name is honoured");
        return;
    }
    value = str_trim(value);
    if (d->channel_at.source != 0) {
        struct diag *m = diag_error(on->c->diags, o->value_at, "repeated-option",
                                    "the channel of this service was given before");
        diag_note(on->c->diags, m, d->channel_at, "here");
        return;
    }
    d->channel = value;
    d->channel_at = part_span(o, value);
}

static void read_backlog(struct services *on, struct draft *d, const struct ast_option *o)
{
    uint64_t number;
    compile_once(on->c, &d->backlog_at, o);
    if (!str_u64(o->value, 65535, &number) || number == 0) {
        diag_error(on->c->diags, o->value_at, "option-range",
                   "'BACKLOG' needs a number from 1 to 65535");
        return;
    }
    d->backlog = (unsigned)number;
}

static void read_max(struct services *on, const struct ast_option *o, unsigned *out,
                     struct span *at)
{
    uint64_t number;
    compile_once(on->c, at, o);
    if (!str_number(o->value, SERVICE_MAX, &number) || number == 0) {
        diag_error(on->c->diags, o->value_at, "option-range",
                   "'%.*s' needs a number from 1 to %d", STR_ARG(o->name), SERVICE_MAX);
        return;
    }
    *out = (unsigned)number;
}

static void read_options(struct services *on, struct draft *d,
                         const struct ast_section *s)
{
    for (const struct ast_option *o = s->options; o != NULL; o = o->next) {
        const struct option_row *row = compile_option(on->c, OPTION_SERVICE, o);
        switch (row != NULL ? row->id : OPTION_COUNT) {
        case OPTION_SERVICE_PORT:
            read_ports(on, d, o, false);
            break;
        case OPTION_SERVICE_TLS_PORT:
            read_ports(on, d, o, true);
            break;
        case OPTION_SERVICE_INTERFACE_ADDRESS:
            read_interfaces(on, d, o);
            break;
        case OPTION_SERVICE_PARAMETER:
            read_parameter(on, d, o);
            break;
        case OPTION_SERVICE_BACKLOG:
            read_backlog(on, d, o);
            break;
        case OPTION_SERVICE_MAX_CONNS:
            read_max(on, o, &d->max_conns, &d->max_conns_at);
            break;
        case OPTION_SERVICE_MAX_PROCS:
            read_max(on, o, &d->max_procs, &d->max_procs_at);
            break;
        default:
            break;
        }
    }
}

/* Takes an address and port for v; false (and reported) when another listener has it. */
static bool claim(struct services *on, struct service *v, str ip)
{
    struct compile *c = on->c;
    str key = arena_printf(c->arena, "%.*s %u", STR_ARG(ip), (unsigned)v->port);
    const struct service *first = map_add(on->by_address, key, v);
    if (first == v) {
        return true;
    }
    struct diag *d = diag_error(c->diags, v->span, "duplicate-listener",
                                "service '%.*s' listens on %.*s port %u already",
                                STR_ARG(first->name), STR_ARG(ip), (unsigned)v->port);
    diag_note(c->diags, d, first->span, "here");
    return false;
}

/* Two sockets on one address would share its connections at random, whatever their
 * channels; no address means all of IPv4 and all of IPv6. */
static void add_listener(struct services *on, const struct service *v)
{
    struct compile *c = on->c;
    struct service *copy = arena_new_of(c->arena, struct service);
    *copy = *v;
    if (on->list.n >= SERVICE_LISTENERS_MAX) {
        on->full = true;
        diag_error(c->diags, v->span, "too-many-listeners",
                   "there are more than %d listeners", SERVICE_LISTENERS_MAX);
        return;
    }
    bool all = v->interface_address.len == 0;
    if (claim(on, copy, all ? STR("0.0.0.0") : v->interface_address) &&
        (!all || claim(on, copy, STR("::")))) {
        *vec_add(c->arena, &on->list) = *v;
    }
}

static const struct channel *service_channel(struct services *on, const struct draft *d)
{
    if (d->channel.len == 0) {
        diag_error(on->c->diags, d->span, "service-without-channel",
                   "service '%.*s' names no channel; add PARAMETER=CHANNEL=name",
                   STR_ARG(d->name));
        return NULL;
    }
    return channel_resolve(on->c, d->channel, d->channel_at, "service-unknown-channel");
}

/* Connections of a process, processes of the service: one without the other says nothing
 * here, where there are no processes to be counted. Told once for each place. */
static void check_max(struct services *on, const struct draft *d)
{
    bool conns = d->max_conns > 0, both = conns == (d->max_procs > 0);
    struct span at = conns ? d->max_conns_at : d->max_procs_at;
    if (both || (at.source == on->max_told.source && at.offset == on->max_told.offset)) {
        return;
    }
    on->max_told = at;
    diag_warning(on->c->diags, at, "unhonoured-option",
                 "MAX_CONNS and MAX_PROCS limit the sessions of a service together; '%s' "
                 "alone sets no limit",
                 conns ? "MAX_CONNS" : "MAX_PROCS");
}

static void add_listeners(struct services *on, const struct draft *d)
{
    static const struct interface ALL[] = {{{"", 0}, {0, 0, 0}}};
    const struct interface *interfaces = d->interfaces.n > 0 ? d->interfaces.at : ALL;
    size_t interface_count = d->interfaces.n > 0 ? d->interfaces.n : 1;
    const struct channel *channel = service_channel(on, d);
    if (d->ports.n == 0 && !d->broken) {
        diag_error(on->c->diags, d->span, "service-without-port",
                   "service '%.*s' has neither PORT nor TLS_PORT", STR_ARG(d->name));
    }
    if (channel == NULL || d->broken) {
        return;
    }
    for (size_t i = 0; i < d->ports.n; i++) {
        for (size_t n = 0; n < interface_count && !on->full; n++) {
            struct service v = {.name = d->name,
                                .interface_address = interfaces[n].ip,
                                .port = d->ports.at[i].number,
                                .implicit_tls = d->ports.at[i].implicit_tls,
                                .channel = channel,
                                .backlog = d->backlog,
                                .max_conns = d->max_procs > 0 ? d->max_conns : 0,
                                .max_procs = d->max_conns > 0 ? d->max_procs : 0,
                                .span = d->ports.at[i].at};
            add_listener(on, &v);
        }
    }
}

/* What the section leaves open is taken from the defaults. */
static void complete(struct draft *d, const struct draft *defaults)
{
    d->ports = d->ports.n > 0 ? d->ports : defaults->ports;
    d->interfaces = d->interfaces.n > 0 ? d->interfaces : defaults->interfaces;
    d->channel = d->channel_at.source != 0 ? d->channel : defaults->channel;
    d->channel_at = d->channel_at.source != 0 ? d->channel_at : defaults->channel_at;
    d->backlog = d->backlog_at.source != 0 ? d->backlog : defaults->backlog;
    d->max_conns_at = d->max_conns > 0 ? d->max_conns_at : defaults->max_conns_at;
    d->max_conns = d->max_conns > 0 ? d->max_conns : defaults->max_conns;
    d->max_procs_at = d->max_procs > 0 ? d->max_procs_at : defaults->max_procs_at;
    d->max_procs = d->max_procs > 0 ? d->max_procs : defaults->max_procs;
    d->broken = d->broken || defaults->broken;
}

/* The program PMDF's dispatcher would have started, if the section names one. */
static const struct ast_option *find_image(const struct ast_section *s)
{
    const struct ast_option *o = s->options;
    while (o != NULL && !str_ieq(o->name, STR("IMAGE"))) {
        o = o->next;
    }
    return o;
}

/* A dispatcher.cnf of PMDF has its POP, IMAP and other servers, too. To ask for a channel
 * there would make an SMTP server of them. */
static bool section_is_smtp(const struct ast_section *s)
{
    const struct ast_option *image = find_image(s);
    bool smtp = image == NULL;
    for (size_t i = 0; !smtp && i < image->value.len; i++) {
        smtp = str_istarts(str_from_pos(image->value, i), STR("smtp"));
    }
    return smtp;
}

static void add_section(struct services *on, const struct draft *defaults,
                        const struct ast_section *s)
{
    struct compile *c = on->c;
    if (!str_ieq(s->name, STR("SERVICE")) || s->value.len == 0) {
        diag_error(c->diags, s->at, "unknown-section",
                   "sections of this file are written [SERVICE=name]");
        return;
    }
    struct draft *d = arena_new_of(c->arena, struct draft);
    *d = (struct draft){.name = s->value, .span = s->at};
    const struct draft *first = map_add(on->by_name, s->value, d);
    if (first != d) {
        struct diag *m =
            diag_error(c->diags, s->at, "duplicate-service",
                       "there is a service '%.*s' already", STR_ARG(s->value));
        diag_note(c->diags, m, first->span, "here");
    }
    if (!section_is_smtp(s)) {
        diag_warning(c->diags, s->at, "unserved-service",
                     "service '%.*s' is not served: its IMAGE is no SMTP server, and "
                     "nothing else is served here",
                     STR_ARG(s->value));
        return;
    }
    read_options(on, d, s);
    complete(d, defaults);
    check_max(on, d);
    add_listeners(on, d);
}

void services_compile(struct compile *c, const struct ast *ast)
{
    struct services on = {.c = c,
                          .by_name = map_new(c->arena, MAP_NOCASE),
                          .by_address = map_new(c->arena, MAP_NOCASE)};
    struct draft defaults = {.backlog = SERVICE_BACKLOG};
    for (const struct ast_section *s = ast != NULL ? ast->sections : NULL; s;
         s = s->next) {
        if (s->name.ptr == NULL) {
            read_options(&on, &defaults, s);
        } else if (s->name.len > 0) {
            add_section(&on, &defaults, s);
        }
    }
    c->s->services = on.list.at;
    c->s->service_count = (unsigned)on.list.n;
}
