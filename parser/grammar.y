/* grammar: lines of the four kinds of file. It only builds the AST, by appending, so a
 * line that is wrong costs nothing but that line. The lexer tells the kinds of line
 * apart; every line ends in EOL, also the last one of a file without a line feed. */
%require "3.8"
%define api.prefix {grammar_}
%define api.pure full
%define parse.error simple
%param {struct parse *p}
%expect 0

%code requires {
#include "parser/parse_state.h"
}
%code {
int lexer_lex(GRAMMAR_STYPE *out, void *scanner);

/* The first token says which kind of file follows; the rest comes from the lexer. */
static int grammar_lex(GRAMMAR_STYPE *out, struct parse *p)
{
    int token = p->start_token;
    p->start_token = 0;
    return token != 0 ? token : p->stopped ? 0 : lexer_lex(out, p->scanner);
}

/* For what no rule below has words for. */
static void grammar_error(struct parse *p, const char *text)
{
    (void)text;
    parse_error(p, p->last, "syntax",
                p->syntax == SYNTAX_OPTIONS
                    ? "expected NAME=value, [NAME] or [NAME=value]"
                    : "this line cannot be understood");
}
}

%union {
    struct token token;
}
%token START_CONFIG START_OPTIONS START_MAPPINGS START_LIST START_DATABASE
%token START_ALIASES START_MEMBERS
%token EOL
%token <token> WORD NAME_WORD DEFAULTS NODEFAULTS KEYWORD_NONE KEYWORD_ONE KEYWORD_MANY
%type <token> one_word value

%%

file: START_CONFIG config
    | START_OPTIONS options
    | START_MAPPINGS tables
    | START_LIST list
    | START_DATABASE { ast_table(&p->build, STR(""), SPAN_NONE); } database
    | START_ALIASES aliases
    | START_MEMBERS members
    ;

/* Rewrite rules, then the lines of channel blocks. */
config: rules
      | rules blocks
      ;
rules: %empty
     | rules rule
     ;
rule: WORD WORD EOL
      { ast_rule(&p->build, $1.text, $1.at, $2.text, $2.at); }
    | WORD EOL
      { parse_error(p, $1.at, "missing-template",
                    "a rewrite rule is a pattern and a template; the template is "
                    "missing (channel blocks begin after the first blank line)"); }
    | WORD WORD WORD { parse_error(p, $3.at, "extra-word",
                       "a rewrite rule is a pattern and a template; this is too much"); }
      words EOL
    | error EOL { yyerrok; }
    ;
words: %empty
     | words WORD
     ;

blocks: head
      | blocks head
      | blocks host
      ;
head: NAME_WORD { ast_block(&p->build, AST_CHANNEL, $1.text, $1.at); } keywords end
    | DEFAULTS { ast_block(&p->build, AST_DEFAULTS, $1.text, $1.at); } keywords end
    | NODEFAULTS { ast_block(&p->build, AST_NODEFAULTS, $1.text, $1.at); } keywords end
    ;
end: EOL
   | error EOL { yyerrok; }
   ;
keywords: %empty
        | keywords keyword
        ;
keyword: KEYWORD_NONE { ast_keyword(&p->build, $1.text, $1.at, $1.known); }
       | one
       | one WORD { ast_word(&p->build, $2.text, $2.at); }
       | many
       ;
one: KEYWORD_ONE { ast_keyword(&p->build, $1.text, $1.at, $1.known); }
   ;
many: KEYWORD_MANY { ast_keyword(&p->build, $1.text, $1.at, $1.known); }
    | many WORD { ast_word(&p->build, $2.text, $2.at); }
    ;
host: one_word EOL
      { ast_host(&p->build, $1.text, $1.at, STR_NONE, SPAN_NONE); }
    | one_word WORD EOL
      { ast_host(&p->build, $1.text, $1.at, $2.text, $2.at); }
    | one_word WORD WORD
      { parse_error(p, $3.at, "extra-word",
                    "a host line has at most two names; this is too much");
        ast_host(&p->build, $1.text, $1.at, $2.text, $2.at); }
      words EOL
    ;
one_word: WORD
        ;

options: %empty
       | options option
       ;
option: WORD '=' value EOL
        { ast_option(&p->build, $1.text, $1.at, $3.text, $3.at); }
      | WORD EOL
        { parse_error(p, $1.at, "missing-equals", "an option is written NAME=value"); }
      | '[' WORD ']' EOL
        { ast_section(&p->build, $2.text, STR_NONE, $2.at); }
      | '[' WORD '=' value ']' EOL
        { ast_section(&p->build, $2.text, $4.text, $2.at); }
      | error EOL
        { yyerrok;
          ast_section(&p->build, STR(""), STR_NONE, SPAN_NONE); }
      ;
value: %empty { $$ = (struct token){.text = STR(""), .at = p->last}; }
     | WORD
     ;

/* What blank lines must stand between them is in parse_mappings.c. */
tables: %empty
      | tables table
      ;
table: NAME_WORD EOL
       { parse_table_name(p, &$1); }
     | WORD WORD EOL
       { parse_table_entry(p, &$1, &$2); }
     | WORD EOL
       { parse_error(p, $1.at, "missing-template",
                     "an entry is a pattern and a template; the template is missing"); }
     | WORD WORD WORD { parse_error(p, $3.at, "extra-word",
                        "an entry is a pattern and a template; this is too much (a "
                        "blank inside of one of them is written '$ ')"); }
       words EOL
     | error EOL { yyerrok; }
     ;

list: %empty
    | list WORD EOL { ast_word(&p->build, $2.text, $2.at); }
    | list WORD WORD { parse_error(p, $3.at, "extra-word",
                       "a line of this file has one word; this is too much"); }
      words EOL
    | list error EOL { yyerrok; }
    ;

/* What a name may be, and that no item is empty, is in parse_aliases.c. */
aliases: %empty
       | aliases alias
       ;
alias: NAME_WORD ':' { parse_alias_name(p, &$1); } items EOL
     | NAME_WORD EOL
       { parse_error(p, $1.at, "missing-colon",
                     "an alias is written NAME: ADDRESS, ADDRESS ..."); }
     | ':' { parse_alias_name(p, NULL); } items EOL
     | error EOL { yyerrok; }
     ;
members: %empty
       | members items EOL
       ;
items: item
     | items ',' item
     ;
item: %empty { parse_alias_item(p, NULL); }
    | WORD { parse_alias_item(p, &$1); }
    ;

database: %empty
        | database WORD WORD EOL
          { ast_entry(&p->build, $2.text, $2.at, $3.text, $3.at); }
        | database WORD EOL
          { parse_error(p, $2.at, "missing-value",
                        "a line of this file is a key and a value; the value is missing"); }
        | database error EOL { yyerrok; }
    ;
