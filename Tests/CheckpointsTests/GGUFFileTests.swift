import Foundation
import TestSupport
import Testing

@testable import Checkpoints

@Suite struct GGUFFileTests {
  @Test("every metadata type survives a way through a file")
  func metadataTypes() throws {
    let nested = try #require(
      GGUFArray(
        [.array(GGUFArray([Int32(1), 2])), .array(GGUFArray(["a", "", "ß"]))], elementType: .array))
    let pairs: [(String, GGUFValue)] = [
      ("u8", .uint8(255)), ("i8", .int8(-128)), ("u16", .uint16(65535)), ("i16", .int16(-2)),
      ("u32", .uint32(.max)), ("i32", .int32(.min)), ("f32", .float32(1.5)), ("yes", .bool(true)),
      ("text", .string("Grüße")), ("u64", .uint64(.max)), ("i64", .int64(.min)),
      ("f64", .float64(0.1)), ("floats", .array(GGUFArray([1.5, -0.0] as [Float]))),
      ("bools", .array(GGUFArray([true, false]))), ("nested", .array(nested)),
      ("none", .array(GGUFArray([String]()))),
    ]
    let folder = try TemporaryFolder()
    var writer = GGUFWriter()
    for (key, value) in pairs { writer.set(key, value) }
    try writer.write(to: folder.path("a.gguf"))
    let file = try GGUFFile(path: folder.path("a.gguf"))
    #expect(Set(pairs.map(\.1.type)) == Set(GGUFValueType.allCases))
    #expect(file.metadata.keys == pairs.map(\.0))
    for (key, value) in pairs { #expect(file.metadata[key] == value, "\(key)") }
    guard case .array(let array) = file.metadata["nested"] else { return #expect(Bool(false)) }
    #expect(
      array.values() == [.array(GGUFArray([Int32(1), 2])), .array(GGUFArray(["a", "", "ß"]))])

    var copy = GGUFWriter()
    copy.set(file.metadata)
    try copy.write(to: folder.path("b.gguf"))
    #expect(
      FileManager.default.contents(atPath: folder.path("a.gguf"))
        == FileManager.default.contents(atPath: folder.path("b.gguf")))
  }

  @Test("a wrong type or absent key is named in the error")
  func typedAccess() throws {
    let folder = try TemporaryFolder()
    var writer = GGUFWriter()
    writer.set("count", .int32(-3))
    writer.set("name", .string("x"))
    writer.set("tokens", .array(GGUFArray(["one", "", "three"])))
    try writer.write(to: folder.path("a.gguf"))
    let metadata = try GGUFFile(path: folder.path("a.gguf")).metadata
    let wrong = #expect(throws: CheckpointError.self) { try metadata.unsigned("count") }
    #expect(wrong?.kind == .mismatched)
    #expect(wrong?.message.contains("'count'") == true && wrong?.message.contains("-3") == true)
    let absent = #expect(throws: CheckpointError.self) { try metadata.float("nothing") }
    #expect(absent?.kind == .missing && absent?.message.contains("'nothing'") == true)
    #expect(throws: CheckpointError.self) { try metadata.unsigned("name", default: 7) }
    #expect(try metadata.unsigned("nothing", default: 7) == 7)
    #expect(try metadata.string("name") == "x")
    let tokens = try metadata.strings("tokens")
    #expect((0..<tokens.count).map { tokens.string(at: $0) } == ["one", "", "three"])
    let block = try #require(tokens.contiguous())
    #expect(block.bytes == Array("onethree".utf8))
    #expect(block.offsets == [0, 3, 3, 8])
    #expect(throws: CheckpointError.self) { try metadata.strings("name") }
  }

  @Test("rows are read by themselves, and rows that are not there are an error")
  func rows() throws {
    let folder = try TemporaryFolder()
    var writer = GGUFWriter()
    try writer.addTensor("w", shape: [2, 3], values: [0, 1, 2, 3, 4, 5])
    try writer.addTensor("v", shape: [3], values: [7, 8, 9])
    try writer.write(to: folder.path("a.gguf"))
    let file = try GGUFFile(path: folder.path("a.gguf"))
    let tensor = try file.tensor(named: "w")
    #expect(tensor.rows == 3 && tensor.rowLength == 2 && tensor.byteCount == 24)
    #expect(try file.dequantize(tensor, rows: 1..<3) == [2, 3, 4, 5])
    #expect(try file.dequantize(file.tensor(named: "v")) == [7, 8, 9])
    #expect(throws: CheckpointError.self) { try file.dequantize(tensor, rows: 2..<4) }
    #expect(throws: CheckpointError.self) { try file.tensor(named: "x") }

    var surgery = GGUFWriter()
    try surgery.addTensor(copying: tensor, of: file, as: "renamed")
    #expect(throws: GGUFWriter.Failure.duplicateTensor("renamed")) {
      try surgery.addTensor(copying: tensor, of: file, as: "renamed")
    }
    #expect(throws: GGUFWriter.Failure.self) {
      try surgery.addTensor("short", shape: [4], values: [1])
    }
    try surgery.write(to: folder.path("b.gguf"))
    let copy = try GGUFFile(path: folder.path("b.gguf"))
    #expect(try copy.dequantize(copy.tensor(named: "renamed")) == [0, 1, 2, 3, 4, 5])
  }

  @Test("a broken scale is found by the integrity scan, with its place")
  func integrity() throws {
    let folder = try TemporaryFolder()
    var writer = GGUFWriter()
    let sound = [UInt8](repeating: 0, count: 34)
    try writer.addTensor(
      "q", type: .q8_0, shape: [64],
      encoded: sound + [0x00, 0x7C] + [UInt8](repeating: 1, count: 32))
    try writer.addTensor("fine", shape: [4], values: [1, 2, 3, 4])
    try writer.write(to: folder.path("a.gguf"))
    let report = try GGUFFile(path: folder.path("a.gguf")).verifyIntegrity()
    #expect(!report.isSound)
    #expect(report.nonFinite == [.init(tensor: "q", count: 32, firstIndex: 32)])
    #expect(report.checkedTensors == 2 && report.checkedElements == 68)
  }

  @Test("a tensor of an unsupported type is listed, and named when it is used")
  func unsupportedType() throws {
    let folder = try TemporaryFolder()
    var header = GGUFBytes()
    header.tensor("odd", shape: [256], type: 16, offset: 0)
    header.tensor("stranger", shape: [5], type: 999, offset: 96)
    let path = try folder.write(header.file(data: 128), to: "a.gguf")
    let file = try GGUFFile(path: path)
    #expect(file.tensors.map(\.name) == ["odd", "stranger"])
    #expect(file.tensors[0].type.description == "IQ2_XXS")
    let error = #expect(throws: CheckpointError.self) { try file.dequantize(file.tensors[0]) }
    #expect(error?.kind == .unsupported)
    #expect(error?.message.contains("'odd'") == true && error?.message.contains("IQ2_XXS") == true)
    let unknown = #expect(throws: CheckpointError.self) { try file.bytes(of: file.tensors[1]) }
    #expect(unknown?.message.contains("999") == true)
    #expect(file.verifyIntegrity().unsupported == ["odd", "stranger"])
  }

  @Test("opening a model reads none of its strings")
  func realModel() async throws {
    let file = try GGUFFile(path: await TestModels.path("smollm2-135m").path)
    #expect(file.version == 3)
    #expect(try file.metadata.string("general.architecture") == "llama")
    #expect(try file.metadata.unsigned("llama.block_count") == 30)
    let tokens = try file.metadata.strings("tokenizer.ggml.tokens")
    #expect(tokens.count == 49152)
    #expect(tokens.string(at: 1) == "<|im_start|>")
    #expect(try file.metadata.integers("tokenizer.ggml.token_type").count == 49152)
    let end = try #require(file.tensors.map(\.range.upperBound).max())
    #expect(end <= file.file.count)
  }
}

/// Puts the bytes of a GGUF file together field by field, right or wrong as the test likes.
struct GGUFBytes {
  var magic: [UInt8] = Array("GGUF".utf8)
  var version: UInt32 = 3
  var tensorCount: UInt64?
  var pairCount: UInt64?
  private var pairs: [[UInt8]] = []
  private var tensors: [[UInt8]] = []

  mutating func pair(_ key: String, type: UInt32, _ value: [UInt8]) {
    var bytes: [UInt8] = []
    bytes.appendGGUF(string: key)
    bytes.append(littleEndian: type)
    pairs.append(bytes + value)
  }

  mutating func tensor(_ name: String, shape: [UInt64], type: UInt32, offset: UInt64) {
    var bytes: [UInt8] = []
    bytes.appendGGUF(string: name)
    bytes.append(littleEndian: UInt32(shape.count))
    for size in shape { bytes.append(littleEndian: size) }
    bytes.append(littleEndian: type)
    bytes.append(littleEndian: offset)
    tensors.append(bytes)
  }

  /// The file with `data` zero bytes after the padded header.
  func file(data: Int) -> [UInt8] {
    var bytes = magic
    bytes.append(littleEndian: version)
    bytes.append(littleEndian: tensorCount ?? UInt64(tensors.count))
    bytes.append(littleEndian: pairCount ?? UInt64(pairs.count))
    bytes += pairs.joined()
    bytes += tensors.joined()
    while bytes.count % 32 != 0 { bytes.append(0) }
    return bytes + [UInt8](repeating: 0, count: data)
  }
}
