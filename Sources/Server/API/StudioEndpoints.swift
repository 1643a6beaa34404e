import Foretoken

/// `GET /foretoken/methods`: the catalogue, as `foretoken methods --json` prints it.
enum MethodsEndpoint {
  static let answer: JSONValue = ["methods": .array(MethodRegistry.all.map(\.json))]
}

/// `GET /foretoken/model`: the shape of the model and what its file holds, without where it is.
enum ModelFactsEndpoint {
  static func answer(_ server: ServerState) -> JSONValue {
    let served = server.host.served
    let model = served.model
    let shape = model.configuration
    var facts = JSONObject([
      ("id", .string(served.name)),
      ("architecture", .string(shape.architecture.rawValue)),
      ("layers", .integer(shape.layerCount)), ("hidden_size", .integer(shape.hiddenSize)),
      ("feed_forward_size", .integer(shape.feedForwardSize)),
      ("heads", .integer(shape.headCount)),
      ("key_value_heads", .integer(shape.keyValueHeadCount)),
      ("head_dimension", .integer(shape.headDimension)),
      ("rope_dimension", .integer(shape.ropeDimension)),
      ("norm_epsilon", .number(Double(shape.normEpsilon))),
      ("sliding_window", shape.slidingWindow.map { .integer($0) } ?? .null),
      ("vocabulary", .integer(shape.vocabularyCount)), ("context", .integer(shape.contextLength)),
      ("served_context", .integer(server.options.contextLimit(model))),
      ("kv_type", .string(model.generator.kv.rawValue)),
      ("threads", .integer(model.generator.threads)), ("chat", .bool(served.template != nil)),
    ])
    for (key, value) in served.fileFacts.entries { facts[key] = value }
    return .object(facts)
  }
}

/// What a model's file says, for people who look at the model.
enum ModelFileFacts {
  /// Metadata that describes the model. Other keys may tell of the machine that made the file.
  private static func isShown(_ key: String, _ architecture: String) -> Bool {
    ["general.", "tokenizer.", architecture + "."].contains { key.hasPrefix($0) }
  }

  /// The facts of the file that `model` was loaded from; none if it cannot be read any more.
  static func read(_ model: LanguageModel) -> JSONObject {
    guard let file = try? GGUFFile(path: model.url.path(percentEncoded: false)) else {
      return JSONObject()
    }
    let architecture = model.configuration.architecture.rawValue
    let metadata = file.metadata.keys.filter { isShown($0, architecture) }.map {
      ($0, file.metadata[$0]?.json ?? .null)
    }
    return JSONObject([
      ("format", "gguf"), ("bytes", .integer(file.file.count)),
      ("parameters", .integer(file.tensors.reduce(0) { $0 + $1.count })),
      ("quantization", Quantization.of(file).map { .string($0) } ?? .null),
      ("metadata", .object(JSONObject(metadata))),
      ("tensors", .array(file.tensors.map(tensor))),
    ])
  }

  private static func tensor(_ tensor: GGUFTensor) -> JSONValue {
    [
      "name": .string(tensor.name), "type": .string(tensor.type.description),
      "shape": .array(tensor.shape.map { .integer($0) }),
      "bytes": tensor.byteCount.map { .integer($0) } ?? .null,
    ]
  }
}
