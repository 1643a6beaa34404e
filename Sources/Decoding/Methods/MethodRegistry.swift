import Foundation

/// The catalogue: 49 published decoding systems, plain decoding, and speculation with a draft model,
/// which several of the systems build on.
public enum MethodRegistry {
  /// One token per forward pass, the baseline of every other method.
  public static let plain = Method(
    number: nil, name: "Plain decoding", card: "none", area: .plain, paper: nil,
    summary: "One forward pass for each token; the output that the other guarantees refer to.",
    guarantee: .bitwise, status: .available,
    selector: MethodSelector(option: "--speculate", values: ["none"]),
    example: "foretoken run --speculate none \"The capital of France is\"")

  /// A smaller model drafts. Not a system of the catalogue: its verifier is the first part of one
  /// (SpecTr), its drafts are what others improve.
  public static let draftModel = Method(
    number: nil, name: "Draft model", card: "draft-model", area: .drafters,
    paper: Paper(
      title: "Fast Inference from Transformers via Speculative Decoding", arxiv: "2211.17192"),
    summary:
      "A smaller model of the same vocabulary writes ahead, the model checks all of it at once.",
    guarantee: .bitwise, status: .available,
    selector: MethodSelector(option: "--speculate", values: ["draft-model"]),
    example:
      "foretoken run --model qwen2.5-coder-1.5b --draft qwen2.5-coder-0.5b "
      + "--speculate draft-model \"Write a sorting function\"")

  /// All drafters that apply, planned together. Not a system of the catalogue: the project's own.
  public static let auto = Method(
    number: nil, name: "Ensemble drafting", card: "auto", area: .drafters, paper: nil,
    summary:
      "All drafters that apply propose together; what is worth its measured cost is run.",
    guarantee: .bitwise, status: .available,
    selector: MethodSelector(option: "--speculate", values: ["auto"]),
    example: "foretoken run --speculate auto --explain \"Count from 1 to 30.\"")

  /// Several beginnings of the text are followed. Not a system of the catalogue: what Diverse Beam
  /// Search builds on.
  public static let beamSearch = Method(
    number: nil, name: "Beam search", card: "beam-search", area: .search, paper: nil,
    summary:
      "Follows the most probable beginnings of the text and lists the best of the whole texts.",
    guarantee: .approximate, status: .available,
    selector: MethodSelector(option: "--decode", values: ["beam"]),
    example: "foretoken run --decode beam --beams 4 --n 2 \"Translate into French: good evening\"")

  /// The systems in order of their numbers, 1 to 49.
  public static let systems: [Method] = systems1to25 + systems26to49

  /// Ensemble drafting, plain decoding, the draft model, beam search and all systems.
  public static var all: [Method] { [auto, plain, draftModel, beamSearch] + systems }

  /// The method with this card id; nil if there is none.
  public static func method(card: String) -> Method? { all.first { $0.card == card } }

  /// The method that `option value` selects.
  ///
  /// - Parameters:
  ///   - option: long option with its dashes, such as `--speculate`.
  ///   - value: what the user gave.
  /// - Throws: `MethodError.planned` for a method that is not there yet, `.unknown` for a value
  ///   that names none.
  public static func select(option: String, value: String) throws -> Method {
    let found = all.first { method in
      method.selector.map { $0.option == option && $0.values.contains(value) } ?? false
    }
    guard let found else {
      throw MethodError.unknown(
        option: option, value: value, available: availableValues(of: option))
    }
    guard found.status == .available else {
      throw MethodError.planned(
        option: option, value: value, method: found.name,
        available: availableValues(of: option))
    }
    return found
  }

  /// Values of `option` that can be given now.
  public static func availableValues(of option: String) -> [String] {
    let ownValues = option == "--decode" ? ["plain"] : []
    return ownValues
      + all.filter { $0.status == .available && $0.selector?.option == option }
      .flatMap { $0.selector?.values ?? [] }
  }

  /// The catalogue as a table in Markdown: the body of `Docs/Methods/README.md`.
  public static func markdownTable() -> String {
    var lines = [
      "| # | system | what it does | guarantee | status | command | paper |",
      "|---|---|---|---|---|---|---|",
    ]
    for method in systems {
      let paper = method.paper.map { "[\($0.title)](\($0.url))" } ?? ""
      lines.append(
        "| \(method.number ?? 0) | \(method.name) | \(method.summary) "
          + "| \(method.guarantee.rawValue) | \(method.status.rawValue) "
          + "| `\(method.example)` | \(paper) |")
    }
    return lines.joined(separator: "\n") + "\n"
  }
}

/// A method that cannot be selected.
public enum MethodError: Error, Equatable, CustomStringConvertible, LocalizedError {
  /// The method is in the catalogue, but not there yet.
  case planned(option: String, value: String, method: String, available: [String])
  /// No method has that name.
  case unknown(option: String, value: String, available: [String])

  /// What was asked for and what can be had instead.
  public var description: String {
    switch self {
    case .planned(let option, let value, let method, let available):
      "\(option) \(value): \(method) is planned and cannot be selected yet; "
        + Self.choice(option, available)
    case .unknown(let option, let value, let available):
      "\(option) \(value): there is no such method; " + Self.choice(option, available)
    }
  }

  private static func choice(_ option: String, _ available: [String]) -> String {
    let choices =
      available.isEmpty
      ? "\(option) has no values yet" : "available: \(available.joined(separator: ", "))"
    return choices + ". `foretoken methods` lists the catalogue."
  }

  /// The same text, for `localizedDescription`.
  public var errorDescription: String? { description }
}
