import Foretoken

extension Inspection {
  /// Opens the file at `path` and reads all of it.
  ///
  /// - Parameter progress: called with the bytes read so far and in total.
  /// - Throws: `CheckpointError`.
  init(path: String, progress: (Int, Int) -> Void) throws {
    if path.hasSuffix(".safetensors") {
      try self.init(SafetensorsFile(path: path), progress: progress)
    } else {
      try self.init(GGUFFile(path: path), progress: progress)
    }
  }

  /// The same inspection with one more fault.
  func adding(fault: String?) -> Inspection {
    guard let fault else { return self }
    var verdict = verdict
    verdict.faults.append(fault)
    return Inspection(
      path: path, format: format, byteCount: byteCount, overview: overview, metadata: metadata,
      extra: extra, tensors: tensors, verdict: verdict)
  }

  // MARK: GGUF

  private init(_ file: GGUFFile, progress: (Int, Int) -> Void) {
    self.init(
      path: file.path, format: "gguf", byteCount: file.file.count,
      tensors: file.tensors.map {
        Tensor(
          name: $0.name, type: $0.type.description, shape: $0.shape, offset: $0.offset,
          byteCount: $0.byteCount)
      }, verdict: Verdict(file.verifyIntegrity(progress: progress)))
    let quantization = Quantization.of(file)
    overview = [("format", "GGUF \(file.version), tensors aligned to \(file.alignment) bytes")]
    if let quantization { overview.append(("weights", quantization)) }
    if let shape = try? ModelConfiguration(file) { overview += Self.facts(shape) }
    metadata = file.metadata.keys.map { ($0, file.metadata[$0]?.json ?? .null) }
    extra = JSONObject([
      ("version", .integer(Int(file.version))), ("alignment", .integer(file.alignment)),
      ("quantization", quantization.map { .string($0) } ?? .null),
    ])
  }

  private static func facts(_ shape: ModelConfiguration) -> [(name: String, text: String)] {
    [
      (
        "shape",
        "\(shape.architecture.rawValue), \(shape.layerCount) layers, width \(shape.hiddenSize), "
          + "\(shape.headCount) heads (\(shape.keyValueHeadCount) for keys and values) of "
          + "\(shape.headDimension)"
      ),
      (
        "tokens",
        "\(shape.vocabularyCount) in the vocabulary, context of \(shape.contextLength)"
      ),
    ]
  }

  // MARK: safetensors

  private init(_ file: SafetensorsFile, progress: (Int, Int) -> Void) throws {
    var verdict = Verdict(checkedValues: 0, checkedTensors: 0, faults: [])
    for tensor in file.tensors {
      verdict = verdict.adding(tensor, values: try Self.values(of: tensor, in: file))
      progress(tensor.range.upperBound, file.file.count)
    }
    self.init(
      path: file.path, format: "safetensors", byteCount: file.file.count,
      overview: [("format", "safetensors")],
      metadata: file.metadata.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) },
      tensors: file.tensors.map {
        Tensor(
          name: $0.name, type: $0.type.rawValue, shape: $0.shape, offset: $0.range.lowerBound,
          byteCount: $0.range.count)
      }, verdict: verdict)
  }

  /// The values of a tensor of floating-point numbers; nil for integers, which cannot be wrong.
  private static func values(
    of tensor: SafetensorsTensor, in file: SafetensorsFile
  ) throws -> [Float]? {
    switch tensor.type {
    case .float64, .float32, .float16, .bfloat16: try file.floats(of: tensor)
    case .int64, .int32, .int16, .int8, .uint8, .bool: nil
    }
  }
}

extension Verdict {
  /// The verdict of a GGUF file's scan.
  fileprivate init(_ report: IntegrityReport) {
    self.init(
      checkedValues: report.checkedElements, checkedTensors: report.checkedTensors,
      faults: report.nonFinite.map {
        Self.nonFinite($0.tensor, count: $0.count, first: $0.firstIndex)
      } + report.unsupported.map { "tensor \($0) is of a type that is not supported" },
      remark: report.unusedBytes > 0
        ? "\(report.unusedBytes) bytes belong to no tensor" : nil)
  }

  /// The verdict after one more tensor.
  fileprivate func adding(_ tensor: SafetensorsTensor, values: [Float]?) -> Verdict {
    let bad = (values ?? []).enumerated().filter { !$0.element.isFinite }
    let fault = bad.first.map {
      Self.nonFinite(tensor.name, count: bad.count, first: $0.offset)
    }
    return Verdict(
      checkedValues: checkedValues + tensor.count, checkedTensors: checkedTensors + 1,
      faults: faults + (fault.map { [$0] } ?? []))
  }
}
