import Foretoken

/// What `inspect` shows of a file.
struct Inspection {
  let file: GGUFFile
  let verdict: Verdict

  /// Longest value of the metadata that is shown to a person.
  private static let longestValue = 200

  // MARK: For people

  func lines(for stream: TextStream, listsTensors: Bool) -> [String] {
    var lines = [stream.styled(file.path, .bold)]
    lines += overview.lines(for: stream)
    lines += ["", stream.styled("METADATA", .bold)] + metadata.lines(for: stream)
    lines += [""] + types.lines(for: stream)
    if listsTensors { lines += [""] + tensors.lines(for: stream) }
    lines.append("")
    lines.append(stream.styled(verdict.summary, verdict.isSound ? .green : .red, .bold))
    lines += verdict.faults.map { "  " + $0 }
    return lines
  }

  private var overview: Listing {
    var listing = Listing()
    listing.append("format", "GGUF \(file.version), tensors aligned to \(file.alignment) bytes")
    listing.append("size", "\(ByteCount(file.file.count)) (\(file.file.count) bytes)")
    listing.append("weights", Quantization.of(file))
    listing.append("parameters", Self.millions(parameterCount))
    guard let shape = try? ModelConfiguration(file) else { return listing }
    listing.append(
      "shape",
      "\(shape.architecture.rawValue), \(shape.layerCount) layers, width \(shape.hiddenSize), "
        + "\(shape.headCount) heads (\(shape.keyValueHeadCount) for keys and values) of "
        + "\(shape.headDimension)")
    listing.append(
      "tokens", "\(shape.vocabularyCount) in the vocabulary, context of \(shape.contextLength)")
    return listing
  }

  private var metadata: Listing {
    var listing = Listing()
    for key in file.metadata.keys {
      guard let value = file.metadata[key] else { continue }
      listing.append(key, String("\(value)".prefix(Self.longestValue)) + Self.ellipsis(value))
    }
    return listing
  }

  private static func ellipsis(_ value: GGUFValue) -> String {
    let rest = "\(value)".count - longestValue
    return rest > 0 ? "… (\(rest) more characters)" : ""
  }

  private var types: Table {
    var table = Table(
      .init("TYPE", style: .cyan), .init("TENSORS", .right), .init("PARAMETERS", .right),
      .init("SIZE", .right))
    for (type, group) in typeGroups {
      table.append(
        type, "\(group.count)", Self.millions(group.reduce(0) { $0 + $1.count }),
        "\(ByteCount(group.reduce(0) { $0 + $1.range.count }))")
    }
    return table
  }

  private var tensors: Table {
    var table = Table(
      .init("TENSOR", style: .cyan), .init("TYPE"), .init("SHAPE", .right),
      .init("OFFSET", .right), .init("BYTES", .right))
    for tensor in file.tensors {
      table.append(
        tensor.name, tensor.type.description,
        tensor.shape.map(String.init).joined(separator: " × "), "\(tensor.offset)",
        tensor.byteCount.map(String.init) ?? "unknown")
    }
    return table
  }

  private var parameterCount: Int { file.tensors.reduce(0) { $0 + $1.count } }

  private static func millions(_ count: Int) -> String {
    count < 1_000_000
      ? "\(count)" : "\(readableNumber(Double(count) / 1e6)) million"
  }

  /// The tensors by type, most bytes first.
  private var typeGroups: [(String, [GGUFTensor])] {
    Dictionary(grouping: file.tensors) { $0.type.description }
      .sorted { left, right in
        let (a, b) = (left.value, right.value)
        return a.reduce(0) { $0 + $1.range.count } > b.reduce(0) { $0 + $1.range.count }
      }
      .map { ($0.key, $0.value) }
  }

  // MARK: For machines

  /// The whole inspection; arrays of the metadata as their type and length.
  var json: JSONValue {
    [
      "path": .string(file.path),
      "format": "gguf",
      "version": .integer(Int(file.version)),
      "bytes": .integer(file.file.count),
      "alignment": .integer(file.alignment),
      "quantization": Quantization.of(file).map { .string($0) } ?? .null,
      "parameters": .integer(parameterCount),
      "metadata": .object(
        JSONObject(
          file.metadata.keys.map { key in (key, file.metadata[key].map(Self.json) ?? .null) })),
      "tensors": .array(
        file.tensors.map { tensor in
          [
            "name": .string(tensor.name), "type": .string(tensor.type.description),
            "shape": .array(tensor.shape.map { .integer($0) }),
            "offset": .integer(tensor.offset),
            "bytes": tensor.byteCount.map { .integer($0) } ?? .null,
          ]
        }),
      "sound": .bool(verdict.isSound),
      "faults": .array(verdict.faults.map { .string($0) }),
      "unused_bytes": .integer(verdict.report.unusedBytes),
    ]
  }

  private static func json(_ value: GGUFValue) -> JSONValue {
    if let integer = value.integer { return .integer(integer) }
    if let number = value.double { return .number(number) }
    if case .bool(let flag) = value { return .bool(flag) }
    return .string("\(value)")
  }
}
