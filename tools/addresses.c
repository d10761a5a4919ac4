/* addresses: see addresses.h. */
#include "tools/addresses.h"

#include <stdlib.h>
#include <string.h>

enum { SUGGEST_DISTANCE = 2 };

str address_bare(str text)
{
    str s = str_trim(text);

    if (s.len >= 2 && s.ptr[0] == '<' && s.ptr[s.len - 1] == '>') {
        s = str_sub(s, 1, s.len - 2);
    }
    return s;
}

const char *address_read(str text, struct address *out)
{
    const char *reason = address_parse(address_bare(text), out);

    return !reason && address_is_null(out) ? "is empty" : reason;
}

bool addresses_of(FILE *in, address_fn fn, void *arg)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t n;

    while ((n = getline(&line, &size, in)) >= 0) {
        str address = str_trim(str_n(line, (size_t)n));
        bool comment = address.len > 0 && address.ptr[0] == '!' &&
                       (address.len == 1 || ascii_is_space(address.ptr[1]));
        if (address.len > 0 && !comment) {
            fn(address, arg);
        }
    }
    free(line);
    return !ferror(in);
}

bool addresses_given(const struct invocation *in, address_fn fn, void *arg)
{
    for (int i = 0; i < in->arg_count; i++) {
        if (strcmp(in->args[i], "-") != 0) {
            fn(str_from(in->args[i]), arg);
        } else if (!addresses_of(stdin, fn, arg)) {
            perror("pointsman: standard input");
            return false;
        }
    }
    return true;
}

const struct channel *channel_given(const struct snapshot *s, const char *name)
{
    const struct channel *c = snapshot_channel(s, str_from(name));
    unsigned least = SUGGEST_DISTANCE + 1;
    str best = STR("");

    if (c) {
        return c;
    }
    for (unsigned i = 0; i < s->channel_count; i++) {
        str known = s->channels[i]->name;
        unsigned distance = str_distance(str_from(name), known, SUGGEST_DISTANCE);
        if (distance < least) {
            least = distance;
            best = known;
        }
    }
    fprintf(stderr, "pointsman: channel '%s' does not exist", name);
    if (best.len > 0) {
        fprintf(stderr, "; did you mean '%.*s'?", STR_ARG(best));
    }
    fputc('\n', stderr);
    return NULL;
}
