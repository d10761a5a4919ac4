/* options: the rows of options.def as a table, and finding a name in it. */
#include "parser/options.h"

static const struct option_row OPTIONS[] = {
#define OPTION(in_file, word, has_status, meaning)                                       \
    {.name = #word,                                                                      \
     .id = OPTION_##in_file##_##word,                                                    \
     .file = OPTION_##in_file,                                                           \
     .status = KEYWORD_##has_status,                                                     \
     .text = meaning},
#include "parser/options.def"
};

bool option_is_family(const struct option_row *row)
{
    str name = str_from(row->name);
    return name.ptr[name.len - 1] == '_';
}

const struct option_row *option_find(enum option_file file, str name)
{
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *row = &OPTIONS[i];
        str known = str_from(row->name);
        if (row->file == file &&
            (option_is_family(row) ? str_istarts(name, known) : str_ieq(name, known))) {
            return row;
        }
    }
    return NULL;
}

const struct option_row *option_nearest(enum option_file file, str name,
                                        unsigned max_distance)
{
    const struct option_row *best = NULL;
    unsigned least = max_distance + 1;
    for (size_t i = 0; i < OPTION_COUNT; i++) {
        if (OPTIONS[i].file == file && !option_is_family(&OPTIONS[i])) {
            unsigned d = str_distance(name, str_from(OPTIONS[i].name), max_distance);
            best = d < least ? &OPTIONS[i] : best;
            least = d < least ? d : least;
        }
    }
    return best;
}

const char *option_file_name(enum option_file file)
{
    static const char *const names[OPTION_FILES] = {
        [OPTION_SITE] = "option.dat",  [OPTION_SERVICE] = "dispatcher.cnf",
        [OPTION_TLS] = "tls.cnf",      [OPTION_CHANNEL] = "<channel>_option",
        [OPTION_PIPE] = "pipe_option", [OPTION_JOBS] = "job_controller.cnf",
    };
    return names[file];
}

const struct option_row *option_at(size_t i)
{
    return i < OPTION_COUNT ? &OPTIONS[i] : NULL;
}
