/* matching: see matching.h. The layout is that of PMDF's `test -match`. */
#include "tools/matching.h"

#include "tools/messages.h"
#include "tools/text.h"

struct mapping_trial *matching_pattern(struct arena *a, str pattern)
{
    struct sources *sources = sources_new(a);
    uint32_t id =
        sources_add(sources, STR("pattern"), STR(""), arena_str(a, pattern), SPAN_NONE);
    struct diags *diags = diags_new(a, sources);
    struct mapping_trial *t =
        mapping_trial_new(a, pattern, (struct span){id, 0, (uint32_t)pattern.len}, diags);

    messages_print(diags, &(struct messages_request){.colour = tool_colour(stderr)},
                   stderr);
    return t;
}

void matching_print_pattern(struct arena *a, const struct mapping_trial *t)
{
    for (unsigned i = 0; i < mapping_trial_count(t); i++) {
        bool saves;
        str text = mapping_trial_element(t, i, a, &saves);
        printf("[%2u%s] %.*s\n", i + 1, saves ? "S" : "", STR_ARG(text_plain(a, text)));
    }
}

int matching_print_target(struct arena *a, const struct mapping_trial *t, str target)
{
    struct mapping_trial_result result;

    mapping_trial_run(t, target, a, &result);
    if (result.fault) {
        fflush(stdout);
        fprintf(stderr, "pointsman: match: %s\n", result.fault);
        return TOOL_USAGE;
    }
    puts(result.matched ? "Match." : "No match.");
    for (unsigned i = 0; i < result.saved_count; i++) {
        printf("%u - %.*s\n", i, STR_ARG(text_plain(a, result.saved[i])));
    }
    return result.matched ? TOOL_OK : TOOL_NO;
}
