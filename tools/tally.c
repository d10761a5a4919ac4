/* tally: see tally.h. Open addressing, half full at most. */
#include "tools/tally.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"

static unsigned places(const struct tally *t)
{
    return t->places > 0 ? t->places : TALLY_PLACES;
}

static size_t slot_count(const struct tally *t)
{
    return 2 * (size_t)places(t);
}

static struct tally_text *slot_of(const struct tally *t, str text)
{
    struct tally_text *slots = t->slots;
    size_t i = str_hash(text) % slot_count(t);

    while (slots[i].text && !str_eq(str_n(slots[i].text, slots[i].len), text)) {
        i = (i + 1) % slot_count(t);
    }
    return &slots[i];
}

static struct tally_text *slots_new(const struct tally *t)
{
    struct tally_text *slots = calloc(slot_count(t), sizeof *slots);

    check(slots != NULL);
    return slots;
}

/* Takes one from each; those at nothing leave their place. */
static void take_one(struct tally *t)
{
    struct tally_text *before = t->slots;

    t->slots = slots_new(t);
    t->used = 0;
    t->missed++;
    for (size_t i = 0; i < slot_count(t); i++) {
        if (before[i].text && --before[i].count > 0) {
            *slot_of(t, str_n(before[i].text, before[i].len)) = before[i];
            t->used++;
        } else {
            free(before[i].text);
        }
    }
    free(before);
}

void tally_add(struct tally *t, str text)
{
    if (!t->slots) {
        t->slots = slots_new(t);
    }
    struct tally_text *slot = slot_of(t, text);
    if (!slot->text && t->used == places(t)) {
        take_one(t);
        return;
    }
    if (!slot->text) {
        slot->text = malloc(text.len + 1);
        check(slot->text != NULL);
        memcpy(slot->text, text.len > 0 ? text.ptr : "", text.len);
        slot->len = text.len;
        t->used++;
    }
    slot->count++;
}

static bool is_better(const struct tally_text *a, const struct tally_text *b)
{
    return a->count != b->count
               ? a->count > b->count
               : str_cmp(str_n(a->text, a->len), str_n(b->text, b->len)) < 0;
}

unsigned tally_best(const struct tally *t, struct tally_text *out, unsigned size)
{
    unsigned n = 0;

    for (size_t i = 0; t->slots && size > 0 && i < slot_count(t); i++) {
        const struct tally_text *one = &t->slots[i];
        if (!one->text || (n == size && !is_better(one, &out[n - 1]))) {
            continue;
        }
        unsigned at = n < size ? n++ : n - 1;
        for (; at > 0 && is_better(one, &out[at - 1]); at--) {
            out[at] = out[at - 1];
        }
        out[at] = *one;
    }
    return n;
}

void tally_free(struct tally *t)
{
    for (size_t i = 0; t->slots && i < slot_count(t); i++) {
        free(t->slots[i].text);
    }
    free(t->slots);
    *t = (struct tally){.places = t->places};
}
