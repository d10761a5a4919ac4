/* match: does a pattern of the mapping language match, and what does it save. */
#include "tools/matching.h"
#include "tools/record.h"
#include "tools/tool.h"

static int print_json(struct arena *a, const struct mapping_trial *t, str pattern,
                      str target)
{
    struct mapping_trial_result result;
    struct record out;

    mapping_trial_run(t, target, a, &result);
    record_begin(&out);
    record_str(&out, "pattern", pattern);
    record_open(&out, "elements", '[');
    for (unsigned i = 0; i < mapping_trial_count(t); i++) {
        bool saves;
        str text = mapping_trial_element(t, i, a, &saves);
        record_open(&out, NULL, '{');
        record_str(&out, "element", text);
        record_bool(&out, "saves", saves);
        record_close(&out, '}');
    }
    record_close(&out, ']');
    record_str(&out, "target", target);
    record_bool(&out, "matched", result.matched);
    record_open(&out, "saved", '[');
    for (unsigned i = 0; i < result.saved_count; i++) {
        record_str(&out, NULL, result.saved[i]);
    }
    record_close(&out, ']');
    if (result.fault) {
        record_str(&out, "fault", str_from(result.fault));
    }
    record_print(&out);
    return result.fault ? TOOL_USAGE : result.matched ? TOOL_OK : TOOL_NO;
}

int cmd_match(const struct invocation *in)
{
    struct arena *a = arena_new();
    str pattern = str_from(in->args[0]), target = str_from(in->args[1]);
    const struct mapping_trial *t = matching_pattern(a, pattern);
    int code = TOOL_USAGE;

    if (t && in->options.json) {
        code = print_json(a, t, pattern, target);
    } else if (t) {
        matching_print_pattern(a, t);
        code = matching_print_target(a, t, target);
    }
    arena_free(&a);
    return code;
}
