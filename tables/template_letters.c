/* template_letters: the sequences of rewrite templates (PMDF 2.2.5, 2.2.6), one row
 * each. Adding one: a row here, and if it needs a new kind of op, that kind and a case in
 * op_run() of template_run.c. */
#include "tables/template_ops.h"

/* The first row that fits letter and digits is taken. */
static const struct letter letters[] = {
    {'U', DIGITS_EITHER, OP_USER, 0, ARGUMENT_NONE},
    {'H', DIGITS_EITHER, OP_UNMATCHED, 0, ARGUMENT_NONE},
    {'D', DIGITS_EITHER, OP_MATCHED, 0, ARGUMENT_NONE},
    {'L', DIGITS_NONE, OP_REST, 0, ARGUMENT_NONE},
    {'&', DIGITS_AFTER, OP_LABEL_LEFT, 0, ARGUMENT_NONE},
    {'!', DIGITS_AFTER, OP_LABEL_RIGHT, 0, ARGUMENT_NONE},
    {'*', DIGITS_AFTER, OP_MATCHED_LEFT, 0, ARGUMENT_NONE},
    {'#', DIGITS_AFTER, OP_MATCHED_RIGHT, 0, ARGUMENT_NONE},
    {'W', DIGITS_NONE, OP_UNIQUE, 0, ARGUMENT_NONE},
    {'\\', DIGITS_NONE, OP_CASE, CASE_LOWER, ARGUMENT_NONE},
    {'^', DIGITS_NONE, OP_CASE, CASE_UPPER, ARGUMENT_NONE},
    {'_', DIGITS_NONE, OP_CASE, CASE_KEPT, ARGUMENT_NONE},
    {'=', DIGITS_NONE, OP_QUOTE, 0, ARGUMENT_NONE},
    {'E', DIGITS_NONE, OP_FORM, 1, ARGUMENT_NONE},
    {'B', DIGITS_NONE, OP_FORM, 0, ARGUMENT_NONE},
    {'F', DIGITS_NONE, OP_DIRECTION, 1, ARGUMENT_NONE},
    {'R', DIGITS_NONE, OP_DIRECTION, 0, ARGUMENT_NONE},
    {'S', DIGITS_NONE, OP_LOCATION, HOSTSPEC_ROUTE, ARGUMENT_NONE},
    {'A', DIGITS_NONE, OP_LOCATION, HOSTSPEC_AT, ARGUMENT_NONE},
    {'P', DIGITS_NONE, OP_LOCATION, HOSTSPEC_PERCENT, ARGUMENT_NONE},
    {'X', DIGITS_NONE, OP_LOCATION, HOSTSPEC_BANG, ARGUMENT_NONE},
    {'A', DIGITS_BEFORE, OP_CHARACTER, 0, ARGUMENT_NONE},
    {'X', DIGITS_BEFORE, OP_HOST_LABEL, 0, ARGUMENT_NONE},
    {'M', DIGITS_NONE, OP_SOURCE, 0, ARGUMENT_NAME},
    {'N', DIGITS_NONE, OP_NOT_SOURCE, 0, ARGUMENT_NAME},
    {'M', DIGITS_BEFORE, OP_REPROCESS, 1, ARGUMENT_NONE},
    {'N', DIGITS_BEFORE, OP_REPROCESS, 0, ARGUMENT_NONE},
    {'Q', DIGITS_NONE, OP_DESTINATION, 0, ARGUMENT_NAME},
    {'C', DIGITS_NONE, OP_NOT_DESTINATION, 0, ARGUMENT_NAME},
    {'V', DIGITS_NONE, OP_LOCAL, 1, ARGUMENT_NONE},
    {'Z', DIGITS_NONE, OP_LOCAL, 0, ARGUMENT_NONE},
    {'T', DIGITS_NONE, OP_TAG, 0, ARGUMENT_NAME},
    {'?', DIGITS_EITHER, OP_ERROR, 0, ARGUMENT_ERROR},
    {'~', DIGITS_BEFORE, OP_STOP, 0, ARGUMENT_NONE},
    {'(', DIGITS_NONE, OP_GENERAL, 0, ARGUMENT_KEY},
    {'{', DIGITS_NONE, OP_MAPPING, 0, ARGUMENT_TABLE},
    {'[', DIGITS_NONE, OP_ROUTINE, 0, ARGUMENT_BRACKET},
    {']', DIGITS_NONE, OP_ROUTINE, 0, ARGUMENT_URL},
    {'.', DIGITS_NONE, OP_IGNORED, 0, ARGUMENT_TEXT},
    {',', DIGITS_NONE, OP_IGNORED, 0, ARGUMENT_TEXT},
};

const struct letter *letter_find(char c, bool digits_before)
{
    if (c >= 'a' && c <= 'z') {
        c = (char)(c - 'a' + 'A');
    }
    for (size_t i = 0; i < sizeof letters / sizeof *letters; i++) {
        enum letter_digits d = letters[i].digits;
        bool fits =
            digits_before ? d == DIGITS_BEFORE || d == DIGITS_EITHER : d != DIGITS_BEFORE;
        if (letters[i].letter == c && fits) {
            return &letters[i];
        }
    }
    return NULL;
}

bool template_status(uint32_t number, unsigned status[3])
{
    status[0] = number / 1000000;
    status[1] = number / 1000 % 1000;
    status[2] = number % 1000;
    return status[0] == 4 || status[0] == 5;
}

bool template_form_of(const char *separators, enum template_form *form)
{
    static const char *const forms[] = {
        [TEMPLATE_SHORT] = "@",   [TEMPLATE_FULL] = "%@", [TEMPLATE_REPEAT] = "%",
        [TEMPLATE_ROUTED] = "@@", [TEMPLATE_VIA] = "@@@", [TEMPLATE_AS_IS] = ""};
    for (unsigned i = 0; i <= TEMPLATE_AS_IS; i++) {
        if (strcmp(forms[i], separators) == 0) {
            *form = (enum template_form)i;
            return true;
        }
    }
    return false;
}
