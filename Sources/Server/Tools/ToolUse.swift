import Foretoken

/// The tools of a request, and which of them have to be called.
struct ToolUse {
  /// Which tool an answer calls.
  enum Choice: Equatable {
    /// None.
    case none
    /// What the model likes.
    case auto
    /// Any, but one.
    case required
    /// The one of this name.
    case function(String)
  }

  /// A tool as its caller describes it.
  struct Function {
    let name: String
    /// The JSON schema of its arguments; nil for any object.
    let parameters: JSONValue?
  }

  /// Most tools of a request.
  static let most = 128

  let functions: [Function]
  /// The list as it came, for templates.
  let definitions: JSONValue
  let choice: Choice

  /// Reads `tools` and `tool_choice`.
  init(_ fields: inout Fields) throws {
    let items = try fields.array("tools") ?? []
    guard items.count <= Self.most else {
      throw APIError.invalid(
        "tools has \(items.count) tools, expected at most \(Self.most)", parameter: "tools",
        code: "invalid_value")
    }
    let functions = try items.enumerated().map { try Self.function($1, path: "tools[\($0)]") }
    self.functions = functions
    definitions = .array(items)
    choice = try Self.choice(&fields, functions: functions.map(\.name))
    // Several calls in one answer are what the formats allow anyway.
    _ = try fields.bool("parallel_tool_calls")
  }

  /// Whether the model is told of tools, and its calls are looked for.
  var isUsed: Bool { !functions.isEmpty && choice != .none }

  private static func function(_ value: JSONValue, path: String) throws -> Function {
    var tool = try Fields(value, path: path)
    let type = try tool.requiredString("type")
    guard type == "function" else { throw tool.wrong("type", .string(type), "\"function\"") }
    guard var function = try tool.object("function") else { throw tool.missing("function") }
    try tool.finish()
    let name = try function.requiredString("name")
    let isName = name.utf8.allSatisfy {
      (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0)
        || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains($0)
        || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
        || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "-")
    }
    guard isName, (1...64).contains(name.utf8.count) else {
      throw function.wrong(
        "name", .string(name), "1 to 64 of the characters a-z, A-Z, 0-9, _ and -")
    }
    _ = try function.string("description")
    _ = try function.bool("strict")
    let parameters = function.take("parameters")
    if let parameters, parameters.objectValue == nil {
      throw function.wrong("parameters", parameters, "a JSON schema")
    }
    try function.finish()
    return Function(name: name, parameters: parameters)
  }

  private static func choice(_ fields: inout Fields, functions: [String]) throws -> Choice {
    guard let value = fields.take("tool_choice") else { return functions.isEmpty ? .none : .auto }
    let choice: Choice
    switch value {
    case "none": return .none
    case "auto": return functions.isEmpty ? .none : .auto
    case "required": choice = .required
    case .object:
      var named = try Fields(value, path: "tool_choice")
      let type = try named.requiredString("type")
      guard type == "function" else { throw named.wrong("type", .string(type), "\"function\"") }
      guard var function = try named.object("function") else { throw named.missing("function") }
      let name = try function.requiredString("name")
      try function.finish()
      try named.finish()
      guard functions.contains(name) else {
        throw function.wrong("name", .string(name), "the name of one of the tools")
      }
      choice = .function(name)
    default:
      throw fields.wrong(
        "tool_choice", value, "\"none\", \"auto\", \"required\" or an object that names a function")
    }
    guard !functions.isEmpty else {
      throw APIError.invalid(
        "tool_choice demands a call and there are no tools", parameter: "tool_choice",
        code: "invalid_value")
    }
    return choice
  }

  // MARK: Forced calls

  /// What a forced call has to be; nil where none is forced.
  func constraint() throws -> Constraint? {
    let wanted: [Function]
    switch choice {
    case .none, .auto: return nil
    case .required: wanted = functions
    case .function(let name): wanted = functions.filter { $0.name == name }
    }
    var definitions = JSONObject()
    let calls = try wanted.map { function -> JSONValue in
      [
        "type": "object",
        "properties": [
          "name": ["const": .string(function.name)],
          "arguments": try Self.schema(function, definitions: &definitions),
        ],
        "required": ["name", "arguments"], "additionalProperties": false,
      ]
    }
    var schema = JSONObject([("anyOf", .array(calls))])
    if calls.count == 1, let only = calls[0].objectValue { schema = only }
    for (key, value) in definitions.entries { schema[key] = value }
    let text = JSONValue.object(schema).serialized()
    return try ResponseFormat.compiled(
      .framed(
        ToolCallFormat.opening + "\n", .jsonSchema(text), "\n" + ToolCallFormat.closing),
      parameter: "tools")
  }

  /// The schema of a function's arguments as a part of another one: what it defines for references
  /// goes to the root.
  private static func schema(
    _ function: Function, definitions: inout JSONObject
  ) throws -> JSONValue {
    guard var object = function.parameters?.objectValue, !object.isEmpty else {
      return ["type": "object"]
    }
    object["$schema"] = nil
    for keyword in ["$defs", "definitions"] {
      guard let own = object[keyword]?.objectValue else { continue }
      object[keyword] = nil
      var all = definitions[keyword]?.objectValue ?? JSONObject()
      for (name, value) in own.entries {
        guard all[name] == nil || all[name] == value else {
          throw APIError.invalid(
            "two tools define \(APIError.printable(name)) in different ways; rename one",
            parameter: "tools", code: "invalid_value")
        }
        all[name] = value
      }
      definitions[keyword] = .object(all)
    }
    return .object(object)
  }
}
