import ArgumentParser
import Foretoken
import Foundation

extension MethodArea: ExpressibleByArgument {}
extension MethodStatus: ExpressibleByArgument {}

/// `foretoken methods`: the catalogue of decoding systems.
struct MethodsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "methods",
    abstract: "List the decoding systems, or show one.",
    discussion: """
      Available systems can be selected in run and chat; planned ones are listed only. The \
      guarantee says how the output compares with plain decoding: bitwise (the same tokens), \
      distribution (samples of the same distribution), approximate, analysis (no output).

      EXAMPLES:
        foretoken methods
        foretoken methods --area drafters --status available
        foretoken methods token-recycling
      """)

  @Argument(
    help: "Name, card or number of one system. (default: list all)",
    completion: .list(MethodRegistry.all.map(\.card)))
  var name: String?

  @Option(help: "Systems of one area only, such as drafters. (default: all)")
  var area: MethodArea?

  @Option(help: "Systems of one status only: available or planned. (default: both)")
  var status: MethodStatus?

  @Flag(help: "Print JSON: one object with the list, or the one system.")
  var json = false

  func run() throws {
    if let name { return try show(try Self.find(name)) }
    let methods = MethodRegistry.all.filter { method in
      (area == nil || method.area == area) && (status == nil || method.status == status)
    }
    if json {
      let list = JSONValue.object(.init([("methods", .array(methods.map(\.json)))]))
      try TextStream.output.writeLine(list.serialized())
    } else {
      try list(methods)
    }
  }

  private func list(_ methods: [Foretoken.Method]) throws {
    let output = TextStream.output
    guard !methods.isEmpty else { return note("no system is of this area and status") }
    var table = Table(
      .init("#", .right), .init("CARD", style: .cyan), .init("AREA"), .init("GUARANTEE"),
      .init("STATUS"), .init("WHAT IT DOES"))
    for method in methods {
      table.append(
        method.number.map(String.init) ?? "–", method.card, method.area.rawValue,
        method.guarantee.rawValue, method.status.rawValue, method.summary)
    }
    for line in table.lines(for: output) { try output.writeLine(line) }
    let available = methods.count { $0.status == .available }
    try output.writeLine()
    try output.writeLine(
      output.styled("\(available) available, \(methods.count - available) planned", .dim))
  }

  private func show(_ method: Foretoken.Method) throws {
    let output = TextStream.output
    guard !json else { return try output.writeLine(method.json.serialized()) }
    let number = method.number.map { " (#\($0))" } ?? ""
    try output.writeLine(output.styled(method.name + number, .bold))
    var listing = Listing()
    listing.append("what", method.summary)
    listing.append("area", method.area.rawValue)
    listing.append("guarantee", method.guarantee.rawValue)
    listing.append("status", method.status.rawValue)
    listing.append(
      "selected by", method.selector.map { "\($0.option) \($0.values.joined(separator: ", "))" })
    listing.append("paper", method.paper.map { "\($0.title), \($0.url)" })
    listing.append(method.status == .planned ? "command, then" : "command", method.example)
    for line in listing.lines(for: output) { try output.writeLine(line) }
  }

  private static func find(_ name: String) throws -> Foretoken.Method {
    let wanted = name.lowercased()
    let found = MethodRegistry.all.first { method in
      method.card == wanted || method.name.lowercased() == wanted
        || method.number.map(String.init) == wanted
        || method.selector?.values.contains(wanted) == true
    }
    if let found { return found }
    let near = MethodRegistry.all.filter {
      $0.card.contains(wanted) || $0.name.lowercased().contains(wanted)
    }
    let hint =
      near.isEmpty
      ? "'foretoken methods' lists them"
      : "did you mean \(near.map(\.card).joined(separator: ", "))?"
    throw UsageError("there is no system called '\(name)'; \(hint)")
  }
}
