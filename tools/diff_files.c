/* diff of what stands beside the main file: listeners, and the other files by their
 * canonical lines, so that no option can be forgotten here. */
#include "tables/dump.h"
#include "tools/diff.h"

enum { DUMP_MAX_BYTES = 1 << 30 };

/* ---- listeners --------------------------------------------------------------------- */

static str service_key(struct diff *d, const struct service *v)
{
    str ip = v->interface_address.len > 0 ? v->interface_address : STR("*");

    return arena_printf(d->arena, "%.*s port %u", STR_ARG(ip), v->port);
}

static str service_value(struct diff *d, const struct service *v)
{
    str limit = v->max_conns > 0
                    ? arena_printf(d->arena, ", at most %llu sessions",
                                   (unsigned long long)v->max_conns * v->max_procs)
                    : STR("");

    return arena_printf(d->arena, "%.*s, %s%.*s, backlog %u%.*s", STR_ARG(v->name),
                        v->implicit_tls ? "TLS at once, " : "", STR_ARG(v->channel->name),
                        v->backlog, STR_ARG(limit));
}

static struct map *services_by_key(struct diff *d, const struct snapshot *s)
{
    struct map *m = map_new(d->arena, MAP_CASE);

    for (unsigned i = 0; i < s->service_count; i++) {
        map_add(m, service_key(d, &s->services[i]), &s->services[i]);
    }
    return m;
}

static void compare_service(struct diff *d, str key, const struct service *was,
                            const struct service *now)
{
    struct diff_change c = {.kind = "service",
                            .name = key,
                            .change = !now   ? CHANGE_REMOVED
                                      : !was ? CHANGE_ADDED
                                             : CHANGE_CHANGED,
                            .old = was ? service_value(d, was) : STR_NONE,
                            .new = now ? service_value(d, now) : STR_NONE,
                            .was = was ? was->span : SPAN_NONE,
                            .now = now ? now->span : SPAN_NONE};
    if (!was || !now || !str_eq(c.old, c.new)) {
        diff_tell(d, &c);
    }
}

void diff_services(struct diff *d)
{
    struct map *old = services_by_key(d, d->old.snapshot);
    struct map *new = services_by_key(d, d->new.snapshot);
    str key;

    for (size_t i = 0; i < map_count(old); i++) {
        const struct service *was = map_at(old, i, &key);
        if (!map_get(new, key)) {
            compare_service(d, key, was, NULL);
        }
    }
    for (size_t i = 0; i < map_count(new); i++) {
        const struct service *now = map_at(new, i, &key);
        compare_service(d, key, map_get(old, key), now);
    }
}

/* ---- the other files --------------------------------------------------------------- */

/* What is compared as one list: a table of `mappings`, a section of a file with options,
 * or a whole file. */
struct part {
    const char *kind; /* name of the file */
    str name;         /* of the table, or of the option */
    bool order;       /* of the lines matters */
    diff_list old, new;
};

struct reading {
    struct diff *d;
    struct map *parts;
    bool old;
    str file;  /* being read, from a "!== name" line */
    str group; /* table or section in it */
};

static struct part *part_of(struct reading *r, str name)
{
    struct arena *a = r->d->arena;
    str key = arena_printf(a, "%.*s/%.*s", STR_ARG(r->file), STR_ARG(name));
    struct part *p = map_get(r->parts, key);

    if (!p) {
        p = arena_new_of(a, struct part);
        p->kind = arena_str(a, r->file).ptr;
        p->name = name;
        p->order = str_eq(r->file, STR("mappings")) || str_iends(r->file, STR(".txt"));
        map_add(r->parts, key, p);
    }
    return p;
}

static void add_line(struct reading *r, str name, str line)
{
    struct part *p = part_of(r, name);

    *vec_add(r->d->arena, r->old ? &p->old : &p->new) = (struct diff_item){.text = line};
}

/* "NAME: items"; the name may be quoted, and hold a colon then. */
static void read_alias(struct reading *r, str line)
{
    size_t colon = 0;
    bool quoted = false;

    for (; colon < line.len && (quoted || line.ptr[colon] != ':'); colon++) {
        if (line.ptr[colon] == '\\') {
            colon++;
        } else if (line.ptr[colon] == '"') {
            quoted = !quoted;
        }
    }
    add_line(r, str_sub(line, 0, colon), str_trim(str_from_pos(line, colon + 1)));
}

/* "NAME=value" is compared by name, an alias and a line of a database by its key; a line
 * of a list, or an entry of a table, whole. */
static void read_line(struct reading *r, str line)
{
    ptrdiff_t equals = str_find(line, '=');
    bool options =
        str_eq(r->file, STR("option.dat")) || str_eq(r->file, STR("tls.cnf")) ||
        str_eq(r->file, STR("job_controller.cnf")) || str_iends(r->file, STR("_option"));

    if (line.len == 0 || str_eq(r->file, STR("dispatcher.cnf"))) {
        return; /* listeners are told by diff_services() */
    }
    if (options && line.ptr[0] == '[') {
        r->group = line;
    } else if (options && equals >= 0) {
        str option = str_sub(line, 0, (size_t)equals);
        str name = arena_printf(r->d->arena, "%.*s%s%.*s", STR_ARG(r->group),
                                r->group.len > 0 ? " " : "", STR_ARG(option));
        add_line(r, name, str_from_pos(line, (size_t)equals + 1));
    } else if (str_eq(r->file, STR("mappings")) && !ascii_is_space(line.ptr[0])) {
        r->group = line;
        part_of(r, line);
    } else if (str_eq(r->file, STR("aliases"))) {
        read_alias(r, line);
    } else if (str_eq(r->file, STR("general")) || str_eq(r->file, STR("reverse")) ||
               str_eq(r->file, STR("forward"))) {
        str value = line, key = STR("");
        str_word(&value, &key);
        add_line(r, key, str_trim(value));
    } else {
        add_line(r, r->group, str_trim(line));
    }
}

static void read_dump(struct diff *d, const struct snapshot *s, bool old,
                      struct map *parts)
{
    struct reading r = {.d = d, .parts = parts, .old = old, .group = STR("")};
    struct buf text;
    str rest, line;

    buf_init(&text, DUMP_MAX_BYTES);
    dump_beside(s, &text);
    rest = arena_str(d->arena, buf_slice(&text));
    buf_free(&text);
    while (str_split(&rest, '\n', &line)) {
        if (str_starts(line, STR("!== "))) {
            r.file = str_from_pos(line, 4);
            r.group = STR("");
        } else {
            read_line(&r, line);
        }
    }
}

void diff_files(struct diff *d)
{
    struct map *parts = map_new(d->arena, MAP_CASE);

    read_dump(d, d->old.snapshot, true, parts);
    read_dump(d, d->new.snapshot, false, parts);
    for (size_t i = 0; i < map_count(parts); i++) {
        struct part *p = map_at(parts, i, NULL);
        struct diff_change like = {.kind = p->kind, .name = p->name};
        diff_tell_lists(d, &like, &p->old, &p->new, p->order);
    }
}
