/* load: see load.h. */
#include "test/fuzz/load.h"

#include "test/config/memory_loader.h"

str fuzz_cut(const uint8_t *data, size_t size, const char *head, str *rest)
{
    str text = str_n((const char *)data, size);
    size_t len = strlen(head);
    const char *at = size > 0 ? memmem(data, size, head, len) : NULL;
    *rest = STR("");
    if (at != NULL) {
        *rest = str_from_pos(text, (size_t)(at - text.ptr) + len);
        text.len = (size_t)(at - text.ptr) + 1;
    }
    return text;
}

struct snapshot *fuzz_load(str text, struct arena *a)
{
    struct memory_loader loader;
    struct snapshot_request request = {.path = STR(MEMORY_LOADER_MAIN),
                                       .allow_unhonoured = true,
                                       .loader = &loader.loader};
    struct diags *diags;
    bool unreadable;
    memory_loader_init(&loader, text);
    return snapshot_load(&request, a, &diags, &unreadable);
}

bool fuzz_is_one_file(str text)
{
    return text.len == 0 || (memchr(text.ptr, '\0', text.len) == NULL &&
                             memmem(text.ptr, text.len, "!== ", 4) == NULL);
}
