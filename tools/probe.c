/* probe: see probe.h. */
#include "tools/probe.h"

#include <stdlib.h>
#include <string.h>

#include "tables/nearest.h"

const struct mapping *table_given(const struct snapshot *s, str name)
{
    const struct mapping *t = mapping_find(s, name);
    struct nearest_budget budget = {0};

    if (!t) {
        str near = nearest_key(s->mappings, name, &budget);
        fprintf(stderr, "pointsman: there is no table '%.*s'", STR_ARG(name));
        if (near.len > 0) {
            fprintf(stderr, "; did you mean '%.*s'?", STR_ARG(near));
        }
        fputc('\n', stderr);
    }
    return t;
}

bool flags_given(const char *text, uint64_t *out)
{
    str set = str_from(text ? text : "");
    bool list = set.len >= 2 && set.ptr[0] == '(' && set.ptr[set.len - 1] == ')';

    set = list ? str_sub(set, 1, set.len - 2) : set;
    *out = 0;
    for (size_t i = 0; i < set.len; i++) {
        uint64_t flag = mapping_flag(set.ptr[i]);
        if (list && (set.ptr[i] == ',' || set.ptr[i] == ' ')) {
            continue;
        }
        if (flag == 0) {
            fprintf(stderr, "pointsman: '%c' is no flag in '%s'; flags are letters\n",
                    set.ptr[i], text);
            return false;
        }
        *out |= flag;
    }
    return true;
}

bool strings_of(FILE *in, string_fn fn, void *arg)
{
    char *line = NULL;
    size_t size = 0;
    ssize_t n;

    while ((n = getline(&line, &size, in)) >= 0) {
        while (n > 0 && (line[n - 1] == '\n' || line[n - 1] == '\r')) {
            n--;
        }
        fn(str_n(line, (size_t)n), arg);
    }
    free(line);
    if (ferror(in)) {
        perror("pointsman: standard input");
        return false;
    }
    return true;
}
