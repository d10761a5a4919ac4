/* kinds: expands kinds.def into the list the daemon is started with. */
#include "channels/kinds.h"

#include <stddef.h>

#include "router/runtime.h"

const struct channel_kind *const channel_kinds[] = {
#define KIND(name) &kind_##name,
#include "channels/kinds.def"
#undef KIND
    NULL};

_Static_assert(sizeof channel_kinds / sizeof channel_kinds[0] <= RUNTIME_KINDS_MAX + 1,
               "a runtime has a place for every kind's state");
