/// One message of a conversation, as a chat template sees it.
public struct ChatMessage: Sendable, Equatable {
  /// All fields: `role`, `content` and whatever else the template knows, such as `tool_calls`,
  /// `tool_call_id`, `name` or `reasoning_content`.
  public var fields: JSONObject

  /// A message of `fields`, such as one that came as JSON.
  public init(fields: JSONObject) { self.fields = fields }

  /// A message with a role (`system`, `user`, `assistant`, `tool`) and a text.
  ///
  /// - Parameters:
  ///   - toolCalls: The calls an assistant asked for: objects with `type` and `function`.
  ///   - extra: Further fields in order.
  public init(
    role: String, content: String, toolCalls: [JSONValue] = [],
    extra: [(String, JSONValue)] = []
  ) {
    fields = JSONObject([("role", .string(role)), ("content", .string(content))])
    if !toolCalls.isEmpty { fields["tool_calls"] = .array(toolCalls) }
    for (key, value) in extra { fields[key] = value }
  }

  /// Who speaks; empty if the fields do not say.
  public var role: String { fields["role"]?.stringValue ?? "" }

  /// The text, if it is one; `nil` for a list of parts.
  public var content: String? { fields["content"]?.stringValue }
}

/// The Jinja template a model was trained to read conversations in.
///
/// Parsed once, rendered any number of times from any task. The subset of Jinja it understands is
/// described in `Docs/Tokenization.md`; whitespace is handled as `transformers` does
/// (`trim_blocks`, `lstrip_blocks`).
///
/// ```swift
/// let template = try ChatTemplate(source: tokenizer.chatTemplate ?? "")
/// let prompt = try template.render(
///   messages: [ChatMessage(role: "user", content: "Hello")], addGenerationPrompt: true)
/// ```
public struct ChatTemplate: Sendable {
  /// What one rendering may use; a template that wants more is stopped with an error.
  public struct Limits: Sendable, Equatable {
    /// Statements, expressions, items, and every 256 bytes of text looked at.
    public var steps: Int
    /// Bytes of text made in all, those of the output included.
    public var textBytes: Int
    /// How deep tags, expressions and macro calls may nest while rendering.
    public var depth: Int

    /// Limits that no useful template comes near.
    public init(steps: Int = 10_000_000, textBytes: Int = 256 << 20, depth: Int = 400) {
      self.steps = steps
      self.textBytes = textBytes
      self.depth = depth
    }
  }

  private let body: [TemplateStatement]
  private let source: [UInt8]

  /// Parses `source`.
  ///
  /// - Throws: `ChatTemplateError` with line and column of the first mistake.
  public init(source text: String) throws {
    var lexer = TemplateLexer(text)
    source = lexer.source
    do {
      var parser = TemplateParser(try lexer.tokenize())
      body = try parser.parseTemplate()
    } catch let failure as TemplateFailure {
      throw failure.resolved(in: source)
    }
  }

  /// The prompt for a conversation.
  ///
  /// - Parameters:
  ///   - tools: The JSON array of tools the model may call, or `nil`.
  ///   - addGenerationPrompt: End with the beginning of the assistant's answer.
  ///   - bosToken: The text of the BOS token, empty if there is none.
  ///   - eosToken: The text of the EOS token, empty if there is none.
  ///   - extra: Further variables, such as `enable_thinking`; they go before all others.
  ///   - now: What `strftime_now` tells.
  /// - Throws: `ChatTemplateError` when the template fails, refuses the messages, or runs away.
  public func render(
    messages: [ChatMessage], tools: JSONValue? = nil, addGenerationPrompt: Bool,
    bosToken: String = "", eosToken: String = "", extra: [String: JSONValue] = [:],
    now: TemplateDate = .now, limits: Limits = Limits()
  ) throws -> String {
    var variables: [(String, JSONValue)] = [
      ("messages", .array(messages.map { .object($0.fields) })), ("tools", tools ?? .null),
      ("documents", .null), ("add_generation_prompt", .bool(addGenerationPrompt)),
      ("bos_token", .string(bosToken)), ("eos_token", .string(eosToken)),
    ]
    variables += extra.map { ($0.key, $0.value) }
    return try render(variables: variables, now: now, limits: limits)
  }

  /// Renders with exactly these variables.
  public func render(
    variables: [(String, JSONValue)], now: TemplateDate = .now, limits: Limits = Limits()
  ) throws -> String {
    do {
      let interpreter = TemplateInterpreter(
        variables: try variables.map { ($0.0, try TemplateValue($0.1)) }, limits: limits, now: now)
      return try interpreter.render(body)
    } catch let failure as TemplateFailure {
      throw failure.resolved(in: source)
    }
  }
}
