import Foretoken

/// What `inspect` shows of a file, whatever its format.
struct Inspection {
  /// One tensor as the file describes it.
  struct Tensor {
    let name: String
    let type: String
    let shape: [Int]
    /// Bytes from the start of the file.
    let offset: Int
    /// nil if the type is not known at all.
    let byteCount: Int?

    var parameterCount: Int { shape.reduce(1, *) }
  }

  let path: String
  /// Format for machines, such as `gguf`.
  let format: String
  let byteCount: Int
  /// Facts for people, in order: name and text.
  var overview: [(name: String, text: String)] = []
  /// Metadata in file order.
  var metadata: [(key: String, value: JSONValue)] = []
  /// Further facts for machines.
  var extra = JSONObject()
  let tensors: [Tensor]
  let verdict: Verdict

  /// Longest value of the metadata that is shown to a person.
  private static let longestValue = 200

  // MARK: For people

  func lines(for stream: TextStream, listsTensors: Bool) -> [String] {
    var lines = [stream.styled(path, .bold)]
    lines += facts.lines(for: stream)
    lines += ["", stream.styled("METADATA", .bold)] + metadataListing.lines(for: stream)
    lines += [""] + typeTable.lines(for: stream)
    if listsTensors { lines += [""] + tensorTable.lines(for: stream) }
    lines.append("")
    lines.append(stream.styled(verdict.summary, verdict.isSound ? .green : .red, .bold))
    lines += verdict.faults.map { "  " + $0.visible }
    return lines
  }

  private var facts: Listing {
    var listing = Listing()
    listing.append("size", "\(ByteCount(byteCount)) (\(byteCount) bytes)")
    listing.append(
      "parameters", Self.readable(tensors.reduce(0) { $0 + $1.parameterCount }))
    for fact in overview { listing.append(fact.name, fact.text) }
    return listing
  }

  private var metadataListing: Listing {
    var listing = Listing()
    for (key, value) in metadata {
      let text = value.stringValue ?? value.serialized()
      let rest = text.count - Self.longestValue
      listing.append(
        key,
        rest > 0 ? "\(text.prefix(Self.longestValue))… (\(rest) more characters)" : text)
    }
    return listing
  }

  private var typeTable: Table {
    var table = Table(
      .init("TYPE", style: .cyan), .init("TENSORS", .right), .init("PARAMETERS", .right),
      .init("SIZE", .right))
    for group in typeGroups {
      table.append(
        group.type, "\(group.tensors.count)",
        Self.readable(group.tensors.reduce(0) { $0 + $1.parameterCount }),
        "\(ByteCount(group.byteCount))")
    }
    return table
  }

  private var tensorTable: Table {
    var table = Table(
      .init("TENSOR", style: .cyan), .init("TYPE"), .init("SHAPE", .right),
      .init("OFFSET", .right), .init("BYTES", .right))
    for tensor in tensors {
      table.append(
        tensor.name, tensor.type, tensor.shape.map(String.init).joined(separator: " × "),
        "\(tensor.offset)", tensor.byteCount.map(String.init) ?? "unknown")
    }
    return table
  }

  /// The tensors by type, most bytes first.
  private var typeGroups: [(type: String, tensors: [Tensor], byteCount: Int)] {
    Dictionary(grouping: tensors, by: \.type)
      .map { type, tensors in
        (type, tensors, tensors.reduce(0) { $0 + ($1.byteCount ?? 0) })
      }
      .sorted { ($0.byteCount, $1.type) > ($1.byteCount, $0.type) }
  }

  private static func readable(_ count: Int) -> String {
    count < 1_000_000 ? "\(count)" : "\(readableNumber(Double(count) / 1e6)) million"
  }

  // MARK: For machines

  /// The whole inspection; arrays of the metadata as their type and length.
  var json: JSONValue {
    var object = JSONObject([
      ("path", .string(path)), ("format", .string(format)), ("bytes", .integer(byteCount)),
      ("parameters", .integer(tensors.reduce(0) { $0 + $1.parameterCount })),
    ])
    for (key, value) in extra.entries { object[key] = value }
    object["metadata"] = .object(JSONObject(metadata.map { ($0.key, $0.value) }))
    object["tensors"] = .array(
      tensors.map { tensor in
        [
          "name": .string(tensor.name), "type": .string(tensor.type),
          "shape": .array(tensor.shape.map { .integer($0) }), "offset": .integer(tensor.offset),
          "bytes": tensor.byteCount.map { .integer($0) } ?? .null,
        ]
      })
    object["sound"] = .bool(verdict.isSound)
    object["faults"] = .array(verdict.faults.map { .string($0) })
    return .object(object)
  }
}

/// Whether a file is sound, and what is wrong with it if it is not.
struct Verdict {
  /// Values that were read.
  let checkedValues: Int
  /// Tensors that they belong to.
  let checkedTensors: Int
  /// Faults, one line each; none if the file is sound.
  var faults: [String]
  /// What is odd but no fault.
  var remark: String?

  var isSound: Bool { faults.isEmpty }

  /// The verdict in a line.
  var summary: String {
    guard isSound else { return "DAMAGED" }
    let end = remark.map { "; \($0)" } ?? ""
    return "sound: all \(checkedValues) values of \(checkedTensors) tensors are finite" + end
  }

  /// The fault of a tensor that holds values which are no numbers.
  static func nonFinite(_ tensor: String, count: Int, first: Int) -> String {
    "tensor \(tensor) has \(count) values that are NaN or infinite, the first at index \(first)"
  }
}
