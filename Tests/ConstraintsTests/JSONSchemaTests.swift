import Foundation
import TestSupport
import Testing
import Tokenization

@testable import Constraints

@Suite("JSON schemas")
struct JSONSchemaTests {
  static let schemas: [String] = [
    ##"{"type":"object","properties":{"name":{"type":"string","minLength":1,"maxLength":12},"age":{"type":"integer","minimum":0,"maximum":150}},"required":["name","age"],"additionalProperties":false}"##,
    ##"{"type":"object","properties":{"a":{"type":"boolean"},"b":{"type":"null"},"c":{"enum":[1,"x",[true,{"k":null}]]}},"required":["b"]}"##,
    ##"{"type":"object","properties":{"id":{"type":"string"}},"additionalProperties":{"type":"integer","exclusiveMinimum":-3,"exclusiveMaximum":1234}}"##,
    ##"{"type":"array","items":{"type":"number","minimum":-1.5,"maximum":2.25},"minItems":1,"maxItems":4}"##,
    ##"{"type":"array","prefixItems":[{"const":"first"},{"type":"integer"}],"items":{"type":"boolean"},"minItems":1}"##,
    ##"{"$ref":"#/$defs/tree","$defs":{"tree":{"type":"object","properties":{"value":{"type":"integer"},"children":{"type":"array","items":{"$ref":"#/$defs/tree"},"maxItems":3}},"required":["value"],"additionalProperties":false}}}"##,
    ##"{"anyOf":[{"type":"string","pattern":"^[A-Z]{2}[0-9]+$"},{"type":"integer","multipleOf":7,"minimum":-100}]}"##,
    ##"{"oneOf":[{"type":"object","properties":{"kind":{"const":"a"},"x":{"type":"number"}},"required":["kind"]},{"type":"object","properties":{"kind":{"const":"b"}},"required":["kind"]}]}"##,
    ##"{"allOf":[{"type":"object","properties":{"x":{"type":"integer","minimum":3}}},{"properties":{"x":{"maximum":9},"y":{"type":"string"}},"required":["x"]}]}"##,
    ##"{"type":"string","pattern":"b.*d","maxLength":8}"##,
    ##"{"type":"object","properties":{"d":{"type":"string","format":"date"},"u":{"type":"string","format":"uuid"},"i":{"type":"string","format":"ipv4"},"t":{"type":"string","format":"date-time"}},"required":["d","u","i","t"]}"##,
    ##"{"type":["integer","null"],"minimum":-12,"exclusiveMaximum":305}"##,
    ##"{"type":"number","exclusiveMinimum":0.25,"exclusiveMaximum":0.5}"##,
    ##"{"type":"number","multipleOf":0.01,"minimum":0,"maximum":99.5}"##,
    ##"{"type":"object","additionalProperties":{"type":"string","maxLength":5},"minProperties":2,"maxProperties":3}"##,
    ##"{"type":"object","properties":{"a\"/é":{"type":"string"},"next":{"anyOf":[{"$ref":"#"},{"type":"null"}]}},"required":["a\"/é"],"title":"t","description":"d"}"##,
    ##"{"$defs":{"base":{"type":"object","properties":{"id":{"type":"integer"}},"required":["id"]}},"$ref":"#/$defs/base","properties":{"name":{"type":"string","pattern":"^(x+|y)$"}},"required":["name"]}"##,
    "true",
  ]

  /// 500 texts in all, and those that follow from them.
  @Test(
    "constrained texts parse with Foundation, and a validator of its own finds them valid",
    arguments: schemas.indices)
  func generations(_ index: Int) throws {
    let schema = Self.schemas[index]
    let matcher = try ConstraintMatcher(.jsonSchema(schema))
    let validator = try SchemaValidator(schema)
    var random = SeededGenerator(seed: UInt64(index))
    var ended = 0
    for _ in 0..<28 {
      let text = try NoiseWriter(matcher: matcher).write(&random)
      guard text.hasEnded else { continue }
      ended += 1
      let object = try? JSONSerialization.jsonObject(
        with: Data(text.bytes), options: .fragmentsAllowed)
      #expect(object != nil, "\(text.string)")
      #expect(try validator.isValid(text.string), "\(schema) made \(text.string)")
    }
    #expect(ended >= 25)
  }

  @Test("JSON objects are what Foundation parses")
  func objects() throws {
    let matcher = try ConstraintMatcher(.jsonObject)
    var random = SeededGenerator(seed: 3)
    var ended = 0
    for _ in 0..<60 {
      let text = try NoiseWriter(matcher: matcher).write(&random)
      guard text.hasEnded else { continue }
      ended += 1
      #expect(try JSONSerialization.jsonObject(with: Data(text.bytes)) is [String: Any])
    }
    #expect(ended >= 55)
  }

  @Test("valid documents written in the usual way are accepted, invalid ones are not")
  func documents() throws {
    let cases: [(schema: Int, valid: [String], invalid: [String])] = [
      (
        0, [##"{"name": "Ada", "age": 36}"##, "{\n  \"name\": \"é\\\"\",\n  \"age\": 0\n}"],
        [
          ##"{"age": 36}"##, ##"{"name": "", "age": 1}"##, ##"{"name": "A", "age": 151}"##,
          ##"{"name": "A", "age": 007}"##, ##"{"name": "A", "age": 1, "x": 1}"##,
        ]
      ),
      (
        2, [##"{"id": "x", "other": 1233}"##, "{}", ##"{"other": -2}"##],
        [##"{"other": -3}"##, ##"{"id": 5}"##, ##"{"other": 1.5}"##]
      ),
      (
        3, ["[2.25]", "[-1.5, 0, 0.001, 2]", "[-0.2]"], ["[]", "[2.26]", "[-1.51]", "[1,1,1,1,1]"]
      ),
      (4, [#"["first"]"#, #"["first", 3, true]"#], ["[]", #"["second"]"#, #"["first", true]"#]),
      (6, [#""AB12""#, "49", "-98", "0"], [#""ab12""#, "50", "-105", "-0"]),
      (11, ["null", "-12", "304"], ["-13", "305", "1.0"]),
      (12, ["0.3", "0.2500001", "0.49999"], ["0.25", "0.5", "0.250", "0"]),
      (13, ["99.5", "99.50", "0.01", "3"], ["99.51", "0.001", "100"]),
    ]
    for (index, valid, invalid) in cases {
      let matcher = try ConstraintMatcher(.jsonSchema(Self.schemas[index]))
      for text in valid { #expect(try matcher.accepts(text), "\(Self.schemas[index]): \(text)") }
      for text in invalid { #expect(try !matcher.accepts(text), "\(Self.schemas[index]): \(text)") }
    }
  }

  @Test("every whole number is within the bounds that say so")
  func integers() throws {
    var random = SeededGenerator(seed: 5)
    for _ in 0..<60 {
      let one = Int.random(in: -1200...1200, using: &random)
      let other = Int.random(in: one...1300, using: &random)
      let matcher = try ConstraintMatcher(
        .jsonSchema(##"{"type":"integer","minimum":\##(one),"maximum":\##(other)}"##))
      for number in -1400...1400
      where number % 7 == 0 || abs(number - one) < 12 || abs(number - other) < 12 {
        #expect(try matcher.accepts("\(number)") == (one...other).contains(number))
      }
      #expect(try !matcher.accepts("-0"))
    }
  }

  @Test("what is not supported is an error with the pointer of the keyword")
  func unsupported() {
    let cases: [(schema: String, pointer: String, message: String)] = [
      (##"{"not":{"type":"string"}}"##, "/not", "'not' is not supported"),
      (##"{"properties":{"a/b":{"if":true}}}"##, "/properties/a~1b/if", "'if' is not supported"),
      (##"{"items":{"format":"iri"}}"##, "/items/format", "iri"),
      (##"{"uniqueItems":true}"##, "/uniqueItems", "'uniqueItems'"),
      (##"{"type":"string","pattern":"(?=x)"}"##, "/pattern", "not supported"),
      (##"{"$ref":"other.json"}"##, "/$ref", "not in this document"),
      (##"{"$ref":"#/$defs/x"}"##, "/$ref", "leads nowhere"),
      (##"{"oneOf":[{"type":"integer"},{"type":"number"}]}"##, "/oneOf", "may both hold"),
      (##"{"allOf":[{"$ref":"#"}]}"##, "", "without end"),
      (##"{"type":"text"}"##, "/type", "expected one of"),
      (##"{"minLength":"3"}"##, "/minLength", "whole number"),
      (
        ##"{"type":"object","properties":{"a":{},"b":{}},"maxProperties":1}"##, "/maxProperties",
        "not supported"
      ),
      (##"{"enum":[1,2],"minimum":2}"##, "/minimum", "beside 'enum'"),
      (##"{"type":"number","multipleOf":0.3}"##, "/multipleOf", "power of ten"),
      (
        ##"{"anyOf":[{"properties":{"x":{"properties":3}}}]}"##, "/anyOf/0/properties/x/properties",
        "not an object"
      ),
    ]
    for (schema, expectedPointer, expected) in cases {
      guard case .schema(let pointer, let message)? = compileError(.jsonSchema(schema)) else {
        Issue.record("no error for \(schema): \(compileError(.jsonSchema(schema)) as Any)")
        continue
      }
      #expect(pointer == expectedPointer, "\(schema): \(message)")
      #expect(message.contains(expected), "\(schema): \(message)")
    }
    guard case .syntax("JSON schema", let place, _)? = compileError(.jsonSchema("{\n \"a\" 1}"))
    else {
      Issue.record("broken JSON is no syntax error")
      return
    }
    #expect(place == SourceLocation(line: 2, column: 6))
  }
}
