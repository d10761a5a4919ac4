/* lint: see lint.h. */
#include "tables/lint.h"

#include "tables/rewrite.h"

void lint_snapshot(struct compile *c)
{
    struct reach reach;
    struct leads leads;
    rewrite_check_hosts(c->s, &c->nearest, c->diags);
    reach_sources(c->s, c->arena, &reach);
    leads_find(c->s, &reach, c->arena, &leads);
    lint_tls(c, &reach);
    lint_channels(c, &leads);
}
