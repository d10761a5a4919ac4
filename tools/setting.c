/* setting: see setting.h. */
#include "tools/setting.h"

#include "tools/text.h"

struct setting setting_of(const struct snapshot *s, const struct channel *c,
                          struct span at, const char *built_in)
{
    struct setting set = {str_from(built_in), at, SETTING_BUILT_IN};

    if (at.source != 0) {
        str rest =
            str_sub(sources_get(s->sources, at.source)->text, at.offset, at.length);
        str_word(&rest, &set.word);
        set.from = channel_wrote(s, c, at) ? SETTING_LINE : SETTING_DEFAULTS;
    }
    return set;
}

str setting_text(struct arena *a, const struct snapshot *s, const struct setting *set)
{
    if (set->from == SETTING_BUILT_IN) {
        return arena_printf(a, "%.*s (built in)", STR_ARG(set->word));
    }
    return arena_printf(a, "%.*s (%s%.*s)", STR_ARG(set->word),
                        set->from == SETTING_DEFAULTS ? "defaults, " : "",
                        STR_ARG(text_column(a, s->sources, set->at)));
}

const char *setting_from_name(enum setting_from from)
{
    static const char *const names[] = {
        [SETTING_BUILT_IN] = "built in",
        [SETTING_DEFAULTS] = "defaults",
        [SETTING_LINE] = "line",
    };
    return names[from];
}

struct setting setting_tls_server(const struct snapshot *s, const struct channel *c)
{
    return setting_of(s, c, c->tls_server.level_at, "notlsserver");
}

struct setting setting_tls_client(const struct snapshot *s, const struct channel *c)
{
    return setting_of(s, c, c->tls_client.level_at, "notlsclient");
}
