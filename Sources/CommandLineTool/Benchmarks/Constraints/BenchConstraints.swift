import Foretoken

/// The constraints that `bench constraints` measures.
enum BenchConstraints {
  static let all: [(name: String, constraint: Constraint)] = [
    ("JSON schema", .jsonSchema(schema)), ("JSON object", .jsonObject),
    ("C-like grammar", .grammar(language)),
  ]

  /// Bounded lengths and numbers, a pattern, a format, recursion, other properties.
  private static let schema = #"""
    {
      "type": "object",
      "properties": {
        "name": {
          "type": "string",
          "minLength": 1,
          "maxLength": 40
        },
        "age": {
          "type": "integer",
          "minimum": 0,
          "maximum": 150
        },
        "email": {
          "type": "string",
          "format": "email"
        },
        "tags": {
          "type": "array",
          "items": {
            "type": "string"
          },
          "maxItems": 5
        },
        "score": {
          "type": "number",
          "minimum": -1.5,
          "exclusiveMaximum": 2.75
        },
        "kind": {
          "enum": [
            "a",
            "b",
            3,
            null
          ]
        },
        "child": {
          "$ref": "#/$defs/node"
        }
      },
      "required": [
        "name",
        "age",
        "kind"
      ],
      "additionalProperties": {
        "type": "boolean"
      },
      "$defs": {
        "node": {
          "type": "object",
          "properties": {
            "id": {
              "type": "string",
              "pattern": "^[A-Z]{2}[0-9]+$"
            },
            "next": {
              "anyOf": [
                {
                  "$ref": "#/$defs/node"
                },
                {
                  "type": "null"
                }
              ]
            }
          },
          "required": [
            "id",
            "next"
          ]
        }
      }
    }
    """#

  /// Declarations, statements and the expressions of C with their fifteen levels, left recursive.
  private static let language = #"""
    # a C-like language
    root ::= ws (declaration ws)*
    declaration ::= type ws identifier ws ( "(" ws parameters? ws ")" ws block | initializer? ws ";" )
    type ::= ("const" sp)? ("int" | "char" | "float" | "double" | "void" | "long" | "unsigned" sp "int" | "struct" sp identifier) (ws "*")*
    parameters ::= parameter (ws "," ws parameter)*
    parameter ::= type ws identifier (ws "[" ws "]")?
    initializer ::= "=" ws expression
    block ::= "{" ws (statement ws)* "}"
    statement ::= block | ifs | while | for | return | "break" ws ";" | "continue" ws ";" | declaration-statement | expression ws ";" | comment
    declaration-statement ::= type sp ws identifier ws initializer? ws ";"
    ifs ::= "if" ws "(" ws expression ws ")" ws statement (ws "else" ws statement)?
    while ::= "while" ws "(" ws expression ws ")" ws statement
    for ::= "for" ws "(" ws expression? ws ";" ws expression? ws ";" ws expression? ws ")" ws statement
    return ::= "return" (sp ws expression)? ws ";"
    expression ::= assignment (ws "," ws assignment)*
    assignment ::= conditional (ws ("=" | "+=" | "-=" | "*=" | "/=" | "%=" | "<<=" | ">>=" | "&=" | "|=" | "^=") ws assignment)?
    conditional ::= logical-or (ws "?" ws expression ws ":" ws conditional)?
    logical-or ::= logical-and | logical-or ws "||" ws logical-and
    logical-and ::= bit-or | logical-and ws "&&" ws bit-or
    bit-or ::= bit-xor | bit-or ws "|" ws bit-xor
    bit-xor ::= bit-and | bit-xor ws "^" ws bit-and
    bit-and ::= equality | bit-and ws "&" ws equality
    equality ::= relational | equality ws ("==" | "!=") ws relational
    relational ::= shift | relational ws ("<=" | ">=" | "<" | ">") ws shift
    shift ::= sum | shift ws ("<<" | ">>") ws sum
    sum ::= product | sum ws ("+" | "-") ws product
    product ::= cast | product ws ("*" | "/" | "%") ws cast
    cast ::= unary | "(" ws type ws ")" ws cast
    unary ::= postfix | ("++" | "--" | "+" | "-" | "!" | "~" | "*" | "&") ws unary | "sizeof" ws "(" ws type ws ")"
    postfix ::= primary | postfix ws "[" ws expression ws "]" | postfix ws "(" ws (assignment (ws "," ws assignment)*)? ws ")" | postfix ws ("." | "->") ws identifier | postfix ws ("++" | "--")
    primary ::= identifier | number | string | character | "(" ws expression ws ")"
    identifier ::= [a-zA-Z_] [a-zA-Z_0-9]*
    number ::= [0-9]+ ("." [0-9]*)? ([eE] [-+]? [0-9]+)? [uUlLfF]? | "0x" [0-9a-fA-F]+
    string ::= "\"" ([^"\\\n\r] | "\\" [abfnrtv0'"\\?])* "\""
    character ::= "'" ([^'\\\n\r] | "\\" [abfnrtv0'"\\?]) "'"
    comment ::= "/*" ([^*] | "*" [^/])* "*/" | "//" [^\n]* "\n"
    sp ::= [ \t\n]
    ws ::= [ \t\n]*
    """#
}
