/// Parses the JSON header of a safetensors file.
///
/// The parser knows the format's schema (an object of tensor objects and one object of strings) and
/// accepts nothing else, so that hostile nesting has nowhere to go: it does not recurse. Repeated
/// names, which a general JSON parser would drop silently, are errors.
struct SafetensorsHeaderParser {
  /// A tensor's record as the header has it.
  struct Record {
    var name: String
    var type: SafetensorsType
    var shape: [Int]
    /// From the start of the data section.
    var start: Int
    var end: Int
    /// Where the record is in the file.
    var offset: Int
  }

  static let metadataKey = "__metadata__"
  private static let dimensionLimit = 16

  private let path: String
  private let bytes: UnsafeRawBufferPointer
  private var position: Int

  private(set) var metadata: [String: String] = [:]
  private(set) var records: [Record] = []

  /// - Parameter bytes: The file up to the end of the header.
  /// - Parameter start: Where the JSON text begins; positions in errors count from the file's start.
  init(_ bytes: UnsafeRawBufferPointer, start: Int, path: String) throws(CheckpointError) {
    self.bytes = bytes
    self.path = path
    position = start
    try parse()
  }

  // MARK: - Schema

  private mutating func parse() throws(CheckpointError) {
    var names: Set<String> = []
    try object { (parser, name, offset) throws(CheckpointError) in
      guard names.insert(name).inserted else {
        throw parser.failure("the name '\(name)' appears twice", at: offset)
      }
      if name == Self.metadataKey {
        try parser.parseMetadata()
      } else {
        try parser.parseTensor(name, at: offset)
      }
    }
    skipSpace()
    guard position == bytes.count else { throw failure("more text follows the header object") }
  }

  private mutating func parseMetadata() throws(CheckpointError) {
    var found: [String: String] = [:]
    try object { (parser, key, offset) throws(CheckpointError) in
      guard found.updateValue(try parser.string(), forKey: key) == nil else {
        throw parser.failure("the metadata key '\(key)' appears twice", at: offset)
      }
    }
    metadata = found
  }

  private mutating func parseTensor(_ name: String, at offset: Int) throws(CheckpointError) {
    var type: SafetensorsType?
    var shape: [Int]?
    var extent: [Int]?
    try object { (parser, key, keyOffset) throws(CheckpointError) in
      switch key {
      case "dtype" where type == nil: type = try parser.parseType(name)
      case "shape" where shape == nil: shape = try parser.integers()
      case "data_offsets" where extent == nil: extent = try parser.integers()
      default:
        throw parser.failure("unexpected or repeated key '\(key)' of '\(name)'", at: keyOffset)
      }
    }
    guard let type, let shape, let extent, extent.count == 2 else {
      throw failure("tensor '\(name)' needs dtype, shape and two data_offsets", at: offset)
    }
    records.append(
      Record(
        name: name, type: type, shape: shape, start: extent[0], end: extent[1], offset: offset))
  }

  private mutating func parseType(_ name: String) throws(CheckpointError) -> SafetensorsType {
    let start = position
    let text = try string()
    guard let type = SafetensorsType(rawValue: text) else {
      let known = SafetensorsType.allCases.map(\.rawValue).joined(separator: ", ")
      throw CheckpointError(
        .unsupported, file: path, offset: start,
        "tensor '\(name)' is stored as \(text), which is not supported; supported are \(known)")
    }
    return type
  }

  // MARK: - JSON

  private func failure(_ message: String, at offset: Int? = nil) -> CheckpointError {
    CheckpointError(.malformed, file: path, offset: offset ?? position, "JSON header: \(message)")
  }

  private var current: UInt8? { position < bytes.count ? bytes[position] : nil }

  private mutating func skipSpace() {
    while let byte = current, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 {
      position += 1
    }
  }

  /// Skips white space and takes `character` if it is next.
  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    skipSpace()
    guard current == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  private mutating func expect(_ character: Unicode.Scalar) throws(CheckpointError) {
    guard take(character) else { throw failure("expected '\(character)'") }
  }

  /// An object; `member` is called after each name with the name's offset, and reads the value.
  private mutating func object(
    _ member: (inout Self, String, Int) throws(CheckpointError) -> Void
  ) throws(CheckpointError) {
    try expect("{")
    if take("}") { return }
    repeat {
      skipSpace()
      let offset = position
      let name = try string()
      try expect(":")
      try member(&self, name, offset)
    } while take(",")
    try expect("}")
  }

  /// An array of integers from 0 to `Int.max`.
  private mutating func integers() throws(CheckpointError) -> [Int] {
    try expect("[")
    var values: [Int] = []
    if take("]") { return values }
    repeat {
      guard values.count < Self.dimensionLimit else {
        throw failure("more than \(Self.dimensionLimit) numbers in one array")
      }
      values.append(try integer())
    } while take(",")
    try expect("]")
    return values
  }

  private mutating func integer() throws(CheckpointError) -> Int {
    skipSpace()
    let start = position
    while let byte = current, byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") { position += 1 }
    let digits = String(decoding: bytes[start..<position], as: UTF8.self)
    guard let value = Int(digits), digits.utf8.count == 1 || !digits.hasPrefix("0") else {
      throw failure("expected an integer from 0 to \(Int.max)", at: start)
    }
    return value
  }

  private mutating func string() throws(CheckpointError) -> String {
    try expect("\"")
    let start = position
    var text: [UInt8] = []
    while let byte = current, byte != UInt8(ascii: "\"") {
      guard byte >= 0x20 else { throw failure("control character in a string") }
      position += 1
      if byte == UInt8(ascii: "\\") {
        text.append(contentsOf: String(try escape()).utf8)
      } else {
        text.append(byte)
      }
    }
    try expect("\"")
    guard let string = String(validating: text, as: UTF8.self) else {
      throw failure("a string is not valid UTF-8", at: start)
    }
    return string
  }

  private mutating func escape() throws(CheckpointError) -> Unicode.Scalar {
    guard let byte = current else { throw failure("the text ends inside a string") }
    position += 1
    switch Unicode.Scalar(byte) {
    case "\"", "\\", "/": return Unicode.Scalar(byte)
    case "b": return "\u{8}"
    case "f": return "\u{C}"
    case "n": return "\n"
    case "r": return "\r"
    case "t": return "\t"
    case "u": return try unicodeEscape()
    default: throw failure("unknown escape in a string", at: position - 1)
    }
  }

  /// Four hexadecimal digits, or two such groups for a character beyond the basic plane.
  private mutating func unicodeEscape() throws(CheckpointError) -> Unicode.Scalar {
    let start = position
    var code = UInt32(try codeUnit())
    if UTF16.isLeadSurrogate(UInt16(code)), current == UInt8(ascii: "\\") {
      position += 1
      guard current == UInt8(ascii: "u") else { throw failure("half of a surrogate pair") }
      position += 1
      let trail = UInt32(try codeUnit())
      guard UTF16.isTrailSurrogate(UInt16(trail)) else {
        throw failure("half of a surrogate pair", at: start)
      }
      code = 0x10000 + (code - 0xD800) << 10 + (trail - 0xDC00)
    }
    guard let scalar = Unicode.Scalar(code) else {
      throw failure("half of a surrogate pair", at: start)
    }
    return scalar
  }

  private mutating func codeUnit() throws(CheckpointError) -> UInt16 {
    let end = position + 4
    guard end <= bytes.count else { throw failure("the text ends inside a string") }
    let digits = bytes[position..<end]
    let isHexadecimal = digits.allSatisfy { Character(Unicode.Scalar($0)).isHexDigit }
    guard isHexadecimal,
      let unit = UInt16(String(decoding: digits, as: UTF8.self), radix: 16)
    else { throw failure("expected four hexadecimal digits") }
    position = end
    return unit
  }
}
