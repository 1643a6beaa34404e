import Foundation
import TestSupport
import Testing

@testable import Checkpoints

@Suite struct SafetensorsTests {
  private func sample() throws -> SafetensorsWriter {
    var writer = SafetensorsWriter()
    writer.metadata = ["method": "hydra \"heads\"\n", "größe": "1"]
    try writer.addTensor("w", shape: [2, 2], values: [1, -2, 3.5, .infinity])
    try writer.addTensor("half", type: .float16, shape: [1], bytes: [0x00, 0x38])
    try writer.addTensor("brain", type: .bfloat16, shape: [1], bytes: [0x80, 0x3F])
    try writer.addTensor("wide", type: .float64, shape: [], bytes: [0, 0, 0, 0, 0, 0, 0xF8, 0x3F])
    try writer.addTensor(
      "ids", type: .int32, shape: [2], bytes: [1, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF])
    try writer.addTensor("big", type: .int64, shape: [1], bytes: [2, 0, 0, 0, 0, 0, 0, 0])
    try writer.addTensor("short", type: .int16, shape: [1], bytes: [0xFE, 0xFF])
    try writer.addTensor("tiny", type: .int8, shape: [1], bytes: [0x80])
    try writer.addTensor("mask", type: .bool, shape: [3], bytes: [1, 0, 1])
    try writer.addTensor("byte", type: .uint8, shape: [1], bytes: [200])
    try writer.addTensor("empty", type: .float32, shape: [0, 4], bytes: [])
    return writer
  }

  @Test("every element type survives a way through a file, and a copy has the same bytes")
  func roundTrip() throws {
    let folder = try TemporaryFolder()
    let writer = try sample()
    try writer.write(to: folder.path("a.safetensors"))
    let file = try SafetensorsFile(path: folder.path("a.safetensors"))
    #expect(file.metadata == writer.metadata)
    #expect(Set(file.tensors.map(\.type)) == Set(SafetensorsType.allCases))
    func floats(_ name: String) throws -> [Float] { try file.floats(of: file.tensor(named: name)) }
    func integers(_ name: String) throws -> [Int] {
      try file.integers(of: file.tensor(named: name))
    }
    #expect(try floats("w") == [1, -2, 3.5, .infinity])
    #expect(try floats("half") == [0.5] && floats("brain") == [1] && floats("wide") == [1.5])
    #expect(try integers("ids") == [1, -1] && integers("big") == [2] && integers("short") == [-2])
    #expect(try integers("tiny") == [-128] && integers("mask") == [1, 0, 1])
    #expect(try integers("byte") == [200] && floats("empty").isEmpty)
    #expect(throws: CheckpointError.self) { try floats("ids") }
    #expect(throws: CheckpointError.self) { try integers("w") }
    #expect(throws: CheckpointError.self) { try file.tensor(named: "absent") }

    var copy = SafetensorsWriter()
    copy.metadata = file.metadata
    for tensor in file.tensors {
      try copy.addTensor(
        tensor.name, type: tensor.type, shape: tensor.shape, bytes: Array(file.bytes(of: tensor)))
    }
    try copy.write(to: folder.path("b.safetensors"))
    let first = FileManager.default.contents(atPath: folder.path("a.safetensors"))
    #expect(first == FileManager.default.contents(atPath: folder.path("b.safetensors")))
    #expect(file.tensors.first.map { $0.range.lowerBound % 8 } == 0)
    #expect(throws: SafetensorsWriter.Failure.unusableName("w")) {
      try copy.addTensor("w", shape: [1], values: [1])
    }
  }

  @Test("a failed write leaves the old file and no temporary one")
  func atomicity() throws {
    let folder = try TemporaryFolder()
    let path = folder.path("a.safetensors")
    do {
      let file = try AtomicFile(path: path)
      try file.write([1, 2, 3])
    }
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path).isEmpty)
    #expect(throws: CheckpointError.self) {
      try sample().write(to: folder.path("no/such/folder.safetensors"))
    }
  }

  private static func header(_ json: String, data: Int = 8, length: UInt64? = nil) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(littleEndian: length ?? UInt64(json.utf8.count))
    return bytes + Array(json.utf8) + [UInt8](repeating: 0, count: data)
  }

  private static let good = #""dtype":"F32","shape":[2],"data_offsets":[0,8]"#

  static let lies: [(String, [UInt8])] = [
    ("expected '{'", header("")),
    ("expected '{'", header("[]")),
    ("header needs", header("{}", length: 1 << 20)),
    ("limit", header("{}", length: .max)),
    ("belong to no tensor", header("{}")),
    ("more text", header("{} x", data: 0)),
    ("twice", header("{\"a\":{\(good)},\"a\":{\(good)}}")),
    ("twice", header("{\"__metadata__\":{\"k\":\"1\",\"k\":\"2\"},\"a\":{\(good)}}")),
    ("expected '\"'", header("{\"__metadata__\":{\"k\":1},\"a\":{\(good)}}")),
    ("expected '{'", header("{\"a\":\(String(repeating: "[", count: 100_000))")),
    ("unexpected", header("{\"a\":{\(good),\"more\":{}}}")),
    ("repeated", header("{\"a\":{\(good),\"dtype\":\"F32\"}}")),
    ("needs dtype", header(#"{"a":{"dtype":"F32","shape":[2]}}"#)),
    ("two data_offsets", header(#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0]}}"#)),
    ("F8_E4M3", header(#"{"a":{"dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8]}}"#)),
    ("do not fit", header(#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#)),
    (
      "do not fit",
      header(#"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}}"#)
    ),
    ("integer", header(#"{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}"#)),
    (
      "integer",
      header(#"{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,8]}}"#)
    ),
    ("data_offsets", header(#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#)),
    ("holds 8 bytes", header(#"{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}"#)),
    (
      "ends at 8",
      header("{\"a\":{\(good)},\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}")
    ),
    ("ends at 0", header(#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#)),
    ("surrogate", header(#"{"\ud800":{}}"#)),
    ("control character", header("{\"a\n\":{}}")),
  ]

  @Test("a header that lies is an error that says what is wrong", arguments: lies)
  func refused(word: String, bytes: [UInt8]) throws {
    let folder = try TemporaryFolder()
    let path = try folder.write(bytes, to: "lie.safetensors")
    let error = #expect(throws: CheckpointError.self) { try SafetensorsFile(path: path) }
    #expect(error?.message.contains(word) == true, "\(String(describing: error))")
  }

  @Test("escapes in names are decoded")
  func escapes() throws {
    let folder = try TemporaryFolder()
    let json = #"{ "\u00e9\ud83d\ude00\/\"" : {"# + Self.good + "} }   "
    let file = try SafetensorsFile(path: folder.write(Self.header(json), to: "a.safetensors"))
    #expect(file.tensors.map(\.name) == ["é😀/\""])
  }
}
