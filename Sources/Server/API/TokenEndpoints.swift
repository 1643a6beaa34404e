import Foretoken
import Hummingbird

/// `POST /tokenize` and `POST /detokenize`.
enum TokenEndpoints {
  /// The tokens of a text, or of a conversation as its template writes it.
  static func tokenize(_ server: ServerState, _ incoming: IncomingRequest) async throws -> Response
  {
    var fields = try Fields(try await incoming.json(limits: server.options))
    let served = try model(&fields, server)
    let content = try fields.string("content")
    let hasMessages = fields.take("messages") != nil
    guard (content != nil) != hasMessages else {
      throw APIError.invalid(
        "give either content, a text, or messages, a conversation",
        parameter: "content", code: "missing_required_parameter")
    }
    let addsSpecial = try fields.bool("add_special") ?? false
    let parsesSpecial = try fields.bool("parse_special") ?? false
    let listsPieces = try fields.bool("with_pieces") ?? false
    let messages = hasMessages ? try ChatMessages.read(&fields) : []
    try fields.finish()
    let tokenizer = served.model.tokenizer
    let tokens: [Int32]
    if let content {
      tokens = tokenizer.encode(content, addSpecial: addsSpecial, parseSpecial: parsesSpecial)
    } else {
      do { tokens = try served.model.encode(messages) } catch {
        throw RequestErrors.error(for: error)
      }
    }
    var object = JSONObject([
      ("tokens", .array(tokens.map { .integer(Int($0)) })), ("count", .integer(tokens.count)),
    ])
    if listsPieces {
      object["pieces"] = .array(
        tokens.map { .string(String(decoding: tokenizer.bytes(of: $0), as: UTF8.self)) })
    }
    return .json(.object(object))
  }

  /// The text of tokens.
  static func detokenize(
    _ server: ServerState, _ incoming: IncomingRequest
  ) async throws -> Response {
    var fields = try Fields(try await incoming.json(limits: server.options))
    let served = try model(&fields, server)
    guard let items = try fields.array("tokens") else { throw fields.missing("tokens") }
    let tokens = items.compactMap { $0.intValue.flatMap(Int32.init(exactly:)) }
    guard tokens.count == items.count else {
      throw fields.wrong("tokens", .array(items), "a list of token ids")
    }
    let rendersSpecial = try fields.bool("render_special") ?? false
    try fields.finish()
    let tokenizer = served.model.tokenizer
    try TextInput.check(tokens, tokenizer, parameter: "tokens")
    return .json([
      "content": .string(
        tokenizer.decode(tokens, rendersSpecial: rendersSpecial, isStartOfText: false))
    ])
  }

  /// The model that is served; a name need not be given.
  private static func model(
    _ fields: inout Fields, _ server: ServerState
  ) throws -> ModelHost.Served {
    guard let name = try fields.string("model") else { return server.host.served }
    return try server.model(named: name)
  }
}
