import Foretoken

/// The fields that chat and plain completions have in common.
struct SharedFields {
  /// What is generated, for every choice; seeds of their own come with `samples`.
  var options: GenerationOptions
  /// Choices.
  var count = 1
  /// Whether the answer is a stream of events.
  var streams = false
  /// Whether the last event of a stream tells the usage.
  var includesUsage = false
  /// Whether every step is described.
  var traces = false

  /// Most choices of one request.
  static let mostChoices = 16

  /// Reads the fields.
  ///
  /// - Parameters:
  ///   - fields: of the whole request.
  ///   - limits: what the server allows.
  init(_ fields: inout Fields, limits: ServerOptions) throws {
    options = GenerationOptions(maxTokens: nil)
    options.sampling = try Self.sampling(&fields)
    options.stopStrings = try Self.stops(&fields)
    count = try fields.integer("n", 1...min(Self.mostChoices, limits.concurrency)) ?? 1
    streams = try fields.bool("stream") ?? false
    if var stream = try fields.object("stream_options") {
      guard streams else {
        throw APIError.invalid(
          "stream_options is for streams; set stream to true, or leave it out",
          parameter: "stream_options", code: "invalid_value")
      }
      includesUsage = try stream.bool("include_usage") ?? false
      stream.ignore("include_obfuscation")
      try stream.finish()
    }
    try readBlock(&fields)
    // What identifies or stores requests elsewhere.
    fields.ignore(
      "user", "store", "metadata", "service_tier", "safety_identifier", "prompt_cache_key")
  }

  /// The options of each choice. Without a seed one is drawn for all of them.
  var samples: [GenerationOptions] {
    let first = options.sampling.seed ?? UInt64(UInt32.random(in: 0...UInt32.max))
    return (0..<count).map { index in
      var sample = options
      sample.sampling.seed = first &+ UInt64(index)
      return sample
    }
  }

  private static func sampling(_ fields: inout Fields) throws -> SamplingOptions {
    var sampling = SamplingOptions(temperature: 1, penaltyWindow: nil)
    sampling.temperature = try fields.number("temperature", 0...2) ?? 1
    sampling.topP = try fields.number("top_p", 0...1) ?? 1
    sampling.presencePenalty = try fields.number("presence_penalty", -2...2) ?? 0
    sampling.frequencyPenalty = try fields.number("frequency_penalty", -2...2) ?? 0
    // Seeds are 64 bits here: a negative one stands for its bits.
    sampling.seed = try fields.integer("seed", .min ... .max).map { UInt64(bitPattern: Int64($0)) }
    sampling.logitBias = try logitBias(&fields)
    return sampling
  }

  private static func logitBias(_ fields: inout Fields) throws -> [Int32: Float] {
    guard let value = fields.take("logit_bias") else { return [:] }
    guard let object = value.objectValue, object.count <= 4096 else {
      throw fields.wrong("logit_bias", value, "an object of at most 4096 token ids and numbers")
    }
    var biases: [Int32: Float] = [:]
    for (key, value) in object.entries {
      guard let token = Int32(key), token >= 0, let bias = value.doubleValue,
        (-100...100).contains(bias)
      else {
        throw APIError.invalid(
          "logit_bias has \(APIError.printable(key)): \(Fields.kind(value)), expected token ids with "
            + "numbers from -100 to 100", parameter: "logit_bias", code: "invalid_value")
      }
      // -100 is OpenAI's way to ban a token.
      biases[token] = bias == -100 ? -.infinity : Float(bias)
    }
    return biases
  }

  private static func stops(_ fields: inout Fields) throws -> [String] {
    guard let value = fields.take("stop") else { return [] }
    let items = value.arrayValue ?? [value]
    let texts = items.compactMap(\.stringValue)
    guard texts.count == items.count, texts.count <= 16,
      texts.allSatisfy({ (1...1024).contains($0.utf8.count) })
    else {
      throw fields.wrong("stop", value, "a text, or a list of at most 16, of 1 to 1024 bytes each")
    }
    return texts
  }

  /// `{"foretoken": …}`: what OpenAI's API has no fields for.
  private mutating func readBlock(_ fields: inout Fields) throws {
    guard var block = try fields.object("foretoken") else { return }
    traces = try block.bool("trace") ?? false
    options.explainsDrafts = traces
    if let value = block.take("speculation") {
      try readSpeculation(value, block)
    }
    if let name = try block.string("decode") { options.decoding = .init(rawValue: name) }
    options.sampling.topK = try block.integer("top_k", 0...Int(Int32.max)) ?? 0
    options.sampling.minP = try block.number("min_p", 0...1) ?? 0
    options.sampling.typicalP = try block.number("typical_p", 0...1) ?? 1
    options.sampling.repetitionPenalty = try block.number("repetition_penalty", 0.01...100) ?? 1
    options.ignoresEndOfText = try block.bool("ignore_eos") ?? false
    try block.finish()
  }

  /// The name of a method, or an object with its settings.
  private mutating func readSpeculation(_ value: JSONValue, _ block: Fields) throws {
    if let name = value.stringValue {
      options.speculation = .init(rawValue: name)
      return
    }
    guard value.objectValue != nil else {
      throw block.wrong("speculation", value, "the name of a method, or an object of settings")
    }
    var settings = try Fields(value, path: block.name("speculation"))
    if let name = try settings.string("method") { options.speculation = .init(rawValue: name) }
    options.verification = try settings.word("verify", of: VerificationMethod.self)
    options.tree = try settings.word("tree", of: TreeMethod.self)
    options.draftDepth = try settings.integer("draft_depth", 1...511)
    options.maximumDraft = try settings.integer("max_draft", 1...511)
    options.planner = try settings.word("planner", of: PlannerMode.self) ?? .on
    try settings.finish()
  }
}
