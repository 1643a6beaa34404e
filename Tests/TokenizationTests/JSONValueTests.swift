import TestSupport
import Testing
import Tokenization

@Suite("JSON")
struct JSONValueTests {
  @Test("a document keeps the order of its keys and tells integers from other numbers")
  func keepsOrderAndNumbers() throws {
    let text = #"{"b":1,"a":[1.0,-0,2e3,true,false,null,"x"],"é":{"":{}}}"#
    let value = try JSONValue(parsing: text)
    #expect(value["b"] == .integer(1))
    #expect(value["a"]?[0] == .number(1))
    #expect(value["a"]?[2] == .number(2000))
    #expect(value.objectValue?.keys == ["b", "a", "é"])
    #expect(value.serialized() == #"{"b":1,"a":[1.0,0,2000.0,true,false,null,"x"],"é":{"":{}}}"#)
    #expect(value["b"] != .number(1))
  }

  @Test("escapes are read and written")
  func escapes() throws {
    let value = try JSONValue(parsing: #""\"\\\/\b\f\n\r\t\u0041\u00e9\ud83d\ude00\u0000""#)
    #expect(value == .string("\"\\/\u{8}\u{C}\n\r\tAé😀\0"))
    #expect(value.serialized() == #""\"\\/\b\f\n\r\tAé😀\u0000""#)
    #expect(
      JSONValue.string("é😀\u{7F}").serialized(JSONFormat(escapesNonASCII: true))
        == #""\u00e9\ud83d\ude00\u007f""#)
  }

  @Test(
    "what is not strict JSON is refused where the mistake is",
    arguments: [
      ("", 0, "$"), ("nul", 0, "$"), ("[1,]", 3, "$[1]"), (#"{"a":1,}"#, 7, "$"), ("[1 2]", 3, "$"),
      ("01", 1, "$"), ("1.", 2, "$"), (".5", 0, "$"), ("+1", 0, "$"), ("1e", 2, "$"),
      ("1e999", 0, "$"), ("'a'", 0, "$"), ("\"a", 2, "$"), ("\"\t\"", 1, "$"), (#""\x""#, 2, "$"),
      (#""\ud800""#, 7, "$"), (#""\ud800\u0041""#, 13, "$"), (#""\udc00""#, 7, "$"),
      ("[", 1, "$[0]"),
      (#"{"a":{"b":[0,x]}}"#, 13, "$.a.b[1]"), ("{1:2}", 1, "$"), (#"{"a" 1}"#, 5, "$.a"),
      ("1 1", 2, "$"), ("NaN", 0, "$"), ("[1]]", 3, "$"),
    ])
  func refuses(text: String, offset: Int, path: String) {
    let error = #expect(throws: JSONError.self) { try JSONValue(parsing: text) }
    #expect(error?.offset == offset && error?.path == path, "\(text): \(String(describing: error))")
  }

  @Test("text that is not UTF-8 is refused")
  func refusesInvalidUTF8() {
    for bytes: [UInt8] in [[0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xE2, 0x82]] {
      #expect(throws: JSONError.self) { try JSONValue(parsing: [0x22] + bytes + [0x22]) }
    }
  }

  @Test("nesting is bounded, also for depths a caller asks for")
  func depth() throws {
    let nested = { String(repeating: "[", count: $0) + String(repeating: "]", count: $0) }
    #expect(throws: Never.self) { try JSONValue(parsing: nested(128)) }
    #expect(throws: JSONError.self) { try JSONValue(parsing: nested(129)) }
    #expect(throws: JSONError.self) { try JSONValue(parsing: nested(100_000), maximumDepth: .max) }
    #expect(throws: JSONError.self) { try JSONValue(parsing: "[[]]", maximumDepth: 1) }
  }

  @Test("integers beyond 64 bits become numbers")
  func bigIntegers() throws {
    #expect(try JSONValue(parsing: "9223372036854775807") == .integer(.max))
    #expect(try JSONValue(parsing: "9223372036854775808") == .number(9_223_372_036_854_775_808))
  }

  @Test("objects compare without order, keys by their bytes")
  func objects() throws {
    #expect(try JSONValue(parsing: #"{"a":1,"b":2}"#) == JSONValue(parsing: #"{"b":2,"a":1}"#))
    var object = JSONObject([("é", 1), ("e\u{301}", 2), ("x", 3)])
    #expect(object.count == 3)
    object["é"] = nil
    #expect(object.keys == ["e\u{301}", "x"] && object["x"] == 3 && object["é"] == nil)
    object["x"] = 4
    #expect(object.entries.last?.value == 4)
    #expect(try JSONValue(parsing: #"{"a":1,"b":2,"a":3}"#).serialized() == #"{"a":3,"b":2}"#)
  }

  @Test("indented output is one element per line")
  func indented() {
    let value: JSONValue = ["b": [1, ["c": nil]], "a": [], "d": [:]]
    #expect(
      value.serialized(.pretty) == """
        {
          "b": [
            1,
            {
              "c": null
            }
          ],
          "a": [],
          "d": {}
        }
        """)
    #expect(value.serialized(.python) == #"{"b": [1, {"c": null}], "a": [], "d": {}}"#)
    #expect(JSONValue.number(.nan).serialized() == "null")
  }

  @Test("random mutations of a document never trap, and what parses comes back the same")
  func mutations() throws {
    let seed = Array(#"{"a":[1,-2.5e3,"\u00e9\n",{"b":null,"c":[true,false]}],"d":"é😀"}"#.utf8)
    var random = SeededGenerator(seed: 9)
    var parsed = 0
    for _ in 0..<5000 {
      var bytes = seed
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        let index = bytes.indices.randomElement(using: &random) ?? 0
        switch Int.random(in: 0...2, using: &random) {
        case 0: bytes[index] = UInt8.random(in: 0...255, using: &random)
        case 1: bytes.remove(at: index)
        default: bytes.insert(bytes.randomElement(using: &random) ?? 0, at: index)
        }
      }
      guard let value = try? JSONValue(parsing: bytes) else { continue }
      parsed += 1
      #expect(try JSONValue(parsing: value.serialized()) == value)
    }
    #expect(parsed > 100 && parsed < 4900)
  }
}
