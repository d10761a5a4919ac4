/* urgency: what size does to it, by what the channel and the site say. The first attempt
 * that follows is in test_enqueue. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "router/urgency.h"
#include "test/config/memory_loader.h"

static const char CONFIG[] = ". $U%$H@tcp-daemon\n\nl\nhere.test\n\n"
                             "tcp_local smtp\ntcp-daemon\n\n"
                             "tcp_own smtp urgentblocklimit 8 normalblocklimit 1\n"
                             "own-daemon\n"
                             "!== option.dat\n"
                             "URGENT_BLOCK_LIMIT=2\n"
                             "NORMAL_BLOCK_LIMIT=4\n"
                             "NON_URGENT_BLOCK_LIMIT=6\n";

static const struct {
    const char *channel;
    enum urgency urgency;
    unsigned blocks;
    enum urgency left;
} cases[] = {
    {"tcp_local", URGENCY_URGENT, 2, URGENCY_URGENT},
    {"tcp_local", URGENCY_URGENT, 3, URGENCY_NORMAL},
    {"tcp_local", URGENCY_NORMAL, 4, URGENCY_NORMAL},
    {"tcp_local", URGENCY_NORMAL, 5, URGENCY_NONURGENT},
    {"tcp_local", URGENCY_NONURGENT, 6, URGENCY_NONURGENT},
    {"tcp_local", URGENCY_NONURGENT, 7, URGENCY_THIRD_CLASS},
    {"tcp_local", URGENCY_THIRD_CLASS, 99, URGENCY_THIRD_CLASS},
    {"tcp_local", URGENCY_URGENT, 5, URGENCY_NONURGENT}, /* over both */
    {"tcp_local", URGENCY_URGENT, 7, URGENCY_THIRD_CLASS},
    /* the smaller limit counts, whoever has set it */
    {"tcp_own", URGENCY_URGENT, 2, URGENCY_URGENT},
    {"tcp_own", URGENCY_URGENT, 3, URGENCY_NONURGENT},
    {"tcp_own", URGENCY_NORMAL, 2, URGENCY_NONURGENT},
    {"tcp_own", URGENCY_NONURGENT, 6, URGENCY_NONURGENT},
};

static void test_sizes(void **state)
{
    struct arena *a = arena_new();
    struct memory_loader memory;
    struct snapshot_request request = {.path = STR(MEMORY_LOADER_MAIN),
                                       .loader = &memory.loader};
    struct diags *diags;
    bool unreadable;
    (void)state;
    memory_loader_init(&memory, str_from(CONFIG));
    struct snapshot *s = snapshot_load(&request, a, &diags, &unreadable);
    assert_non_null(s);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct message_size size = {.bytes = (uint64_t)cases[i].blocks *
                                             s->options.block_size};
        const struct channel *c = snapshot_channel(s, str_from(cases[i].channel));
        enum urgency left = urgency_by_size(cases[i].urgency, s, c, &size);
        if (left != cases[i].left) {
            fail_msg("row %zu: %d", i, (int)left);
        }
    }
    snapshot_unref(&s);
    arena_free(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
