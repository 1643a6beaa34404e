import Foretoken

/// `POST /v1/completions`.
struct CompletionRequest {
  let model: String
  var shared: SharedFields
  let prompts: [TextInput]
  /// Whether the answer begins with the prompt.
  let echoes: Bool

  /// Reads and checks a whole request.
  /// - Throws: `APIError` that names the field.
  init(_ body: JSONValue, limits: ServerOptions) throws {
    var fields = try Fields(body)
    model = try fields.requiredString("model")
    prompts = try TextInput.read(&fields, "prompt")
    var shared = try SharedFields(&fields, limits: limits)
    shared.options.maxTokens = try fields.integer("max_tokens", 0...Int(Int32.max)) ?? 16
    shared.options.logProbabilities = try fields.integer("logprobs", 0...20)
    shared.options.constraint = try ResponseFormat.constraint(&fields)
    echoes = try fields.bool("echo") ?? false
    if let best = try fields.integer("best_of", 1...SharedFields.mostChoices), best != shared.count
    {
      throw APIError.invalid(
        "best_of is \(best) and n is \(shared.count); this server returns all that it makes: leave "
          + "best_of out", parameter: "best_of", code: "invalid_value")
    }
    if let suffix = try fields.string("suffix"), !suffix.isEmpty {
      throw APIError.invalid(
        "suffix is not supported: this server only goes on from a prompt", parameter: "suffix",
        code: "invalid_value")
    }
    try fields.finish()
    guard shared.options.maxTokens != 0 || !shared.streams else {
      throw APIError.invalid(
        "max_tokens is 0, so that there is nothing to stream", parameter: "max_tokens",
        code: "invalid_value")
    }
    self.shared = shared
  }
}

/// A text, or tokens.
enum TextInput {
  case text(String)
  case tokens([Int32])

  /// Most texts of a request.
  static let most = 64

  /// A text, a list of texts, a list of tokens, or a list of those.
  static func read(_ fields: inout Fields, _ key: String) throws -> [TextInput] {
    guard let value = fields.take(key) else { throw fields.missing(key) }
    if let text = value.stringValue { return [.text(text)] }
    if let tokens = tokens(value) { return [.tokens(tokens)] }
    let inputs = (value.arrayValue ?? []).compactMap { item -> TextInput? in
      item.stringValue.map { .text($0) } ?? tokens(item).map { .tokens($0) }
    }
    guard (1...most).contains(inputs.count), inputs.count == value.arrayValue?.count else {
      throw fields.wrong(
        key, value, "a text, a list of token ids, or a list of 1 to \(most) of these")
    }
    return inputs
  }

  private static func tokens(_ value: JSONValue) -> [Int32]? {
    guard let items = value.arrayValue, !items.isEmpty else { return nil }
    let tokens = items.compactMap { $0.intValue.flatMap(Int32.init(exactly:)) }
    return tokens.count == items.count ? tokens : nil
  }

  /// The tokens, those that begin a text included.
  /// - Throws: `APIError` for ids that are none, and for no tokens at all.
  func tokens(_ tokenizer: Tokenizer, parameter: String) throws -> [Int32] {
    switch self {
    case .text(let text):
      let tokens = tokenizer.encode(text, addSpecial: true, parseSpecial: false)
      guard !tokens.isEmpty else {
        throw APIError.invalid(
          "\(parameter) is empty; give some text", parameter: parameter, code: "invalid_value")
      }
      return tokens
    case .tokens(let tokens):
      try Self.check(tokens, tokenizer, parameter: parameter)
      return tokens
    }
  }

  /// Throws for ids that the vocabulary does not have.
  static func check(_ tokens: [Int32], _ tokenizer: Tokenizer, parameter: String) throws {
    let count = tokenizer.vocabularyCount
    guard let unknown = tokens.first(where: { $0 < 0 || Int($0) >= count }) else { return }
    throw APIError.invalid(
      "\(parameter) has the token \(unknown), expected ids from 0 to \(count - 1)",
      parameter: parameter, code: "invalid_value")
  }
}
