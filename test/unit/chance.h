/* chance: sites and tables made by chance, the same ones in each run. */
#ifndef TEST_UNIT_CHANCE_H
#define TEST_UNIT_CHANCE_H

static unsigned chance_seed = 20261121;

/* 0 to below - 1. */
static inline unsigned number(unsigned below)
{
    chance_seed = chance_seed * 1103515245 + 12345;
    return (chance_seed >> 16) % below;
}

static inline const char *one_of(const char *const *words, unsigned count)
{
    return words[number(count)];
}
#define ONE_OF(words) one_of(words, sizeof(words) / sizeof *(words))

#endif
