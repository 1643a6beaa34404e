/// Grammars of the kinds that people write, for all tests.
enum TestGrammars {
  static let all: [(name: String, text: String)] = [
    ("json", json), ("arithmetic", arithmetic), ("list", list), ("chess", chess),
    ("c-like", cLike), ("left recursion", leftRecursion), ("hidden recursion", hiddenRecursion),
    ("mutual recursion", mutualRecursion), ("palindromes", palindromes), ("ambiguous", ambiguous),
    ("scripts", scripts), ("counts", counts),
  ]

  static let json = #"""
    # JSON, one value
    root   ::= object
    value  ::= object | array | string | number | ("true" | "false" | "null") ws

    object ::=
      "{" ws (
        string ":" ws value
        ("," ws string ":" ws value)*
      )? "}" ws

    array  ::=
      "[" ws (
        value
        ("," ws value)*
      )? "]" ws

    string ::=
      "\"" (
        [^"\\\x7F\x00-\x1F] |
        "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}) # escapes
      )* "\"" ws

    number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws
    ws ::= | " " | "\n" [ \t]{0,20}
    """#

  static let arithmetic = #"""
    root  ::= (expr "=" ws term "\n")+
    expr  ::= term ([-+*/] term)*
    term  ::= ident | num | "(" ws expr ")" ws
    ident ::= [a-z] [a-z0-9_]* ws
    num   ::= [0-9]+ ws
    ws    ::= [ \t\n]*
    """#

  static let list = #"""
    root ::= item+

    # Excludes various line break characters
    item ::= "- " [^\r\n\x0b\x0c\x85\u2028\u2029]+ "\n"
    """#

  static let chess = #"""
    # Specifies chess moves as a list in algebraic notation
    root    ::= "1. " move " " move "\n" ([1-9] [0-9]? ". " move " " move "\n")+
    move    ::= (pawn | nonpawn | castle) [+#]?
    # piece type, optional file/rank, optional capture, dest file & rank
    nonpawn ::= [NBKQR] [a-h]? [1-8]? "x"? [a-h] [1-8]
    pawn    ::= ([a-h] "x")? [a-h] [1-8] ("=" [NBKQR])?
    castle  ::= "O-O" "-O"?
    """#

  static let cLike = #"""
    root ::= (declaration)*
    declaration ::= dataType identifier "(" parameter? ")" "{" statement* "}"
    dataType ::= "int" ws | "float" ws | "char" ws
    identifier ::= [a-zA-Z_] [a-zA-Z_0-9]*
    parameter ::= dataType identifier
    statement ::=
        ( dataType identifier ws "=" ws expression ";" ) |
        ( identifier ws "=" ws expression ";" ) |
        ( identifier ws "(" argList? ")" ";" ) |
        ( "return" ws expression ";" ) |
        ( "while" "(" condition ")" "{" statement* "}" ) |
        ( "for" "(" forInit ";" ws condition ";" ws forUpdate ")" "{" statement* "}" ) |
        ( "if" "(" condition ")" "{" statement* "}" ("else" "{" statement* "}")? ) |
        ( singleLineComment ) |
        ( multiLineComment )
    forInit ::= dataType identifier ws "=" ws expression | identifier ws "=" ws expression
    forUpdate ::= identifier ws "=" ws expression
    condition ::= expression relationOperator expression
    relationOperator ::= ("<=" | "<" | "==" | "!=" | ">=" | ">")
    expression ::= term (("+" | "-") term)*
    term ::= factor(("*" | "/") factor)*
    factor ::= identifier | number | unaryTerm | funcCall | parenExpression
    unaryTerm ::= "-" factor
    funcCall ::= identifier "(" argList? ")"
    parenExpression ::= "(" ws expression ws ")"
    argList ::= expression ("," ws expression)*
    number ::= [0-9]+
    singleLineComment ::= "//" [^\n]* "\n"
    multiLineComment ::= "/*" ( [^*] | ("*" [^/]) )* "*/"
    ws ::= ([ \t\n]+)
    """#

  static let leftRecursion = #"""
    root ::= sum
    sum ::= sum ("+" | "-") product | product
    product ::= product "*" atom | atom
    atom ::= [0-9] | "(" sum ")" | atom "!"
    """#

  /// The recursion is behind something that may be empty.
  static let hiddenRecursion = #"""
    root ::= maybe root "b" | "a" | "c" root
    maybe ::= "" | "x" | maybe "y"
    """#

  static let mutualRecursion = #"""
    root ::= one
    one ::= two "x" | "r"
    two ::= one "y" | three "z" | "s"
    three ::= two "w" | one
    """#

  static let palindromes = #"""
    root ::= "a" root "a" | "b" root "b" | "é" root "é" | [abé]?
    """#

  static let ambiguous = #"""
    root ::= e
    e ::= e e | e "+" e | "-" e | e "!" | "(" e* ")" | [0-9]+ | ws
    ws ::= " "*
    """#

  static let scripts = #"""
    root ::= [ぁ-んァ-ヶ一-龯]+ ("、" [ぁ-ん]{2,4})* ("。" | "\U0001F600" | [\u0400-\u04FF]+ .)?
    """#

  static let counts = #"""
    root ::= "a"{3} [bc]{2,} ("d" "e"{0,2}){1,3} f{0} g{0,1}
    f ::= "f"
    g ::= "g"
    """#
}
