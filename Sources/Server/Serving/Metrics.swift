import Foretoken
import Synchronization

/// Counts what was served, in the text format of Prometheus (version 0.0.4).
final class Metrics: Sendable {
  private struct Histogram {
    let bounds: [Double]
    var counts: [Int]
    var sum = 0.0

    init(_ bounds: [Double]) {
      self.bounds = bounds
      counts = Array(repeating: 0, count: bounds.count + 1)
    }

    mutating func add(_ value: Double) {
      counts[bounds.firstIndex { value <= $0 } ?? bounds.count] += 1
      sum += value
    }
  }

  private struct State {
    var requests: [String: Int] = [:]
    var promptTokens = 0
    var cachedTokens = 0
    var completionTokens = 0
    var draftedTokens = 0
    var acceptedTokens = 0
    var firstToken = Histogram([0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60])
    var perToken = Histogram([0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1])
    var duration = Histogram([0.005, 0.025, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300])
  }

  private let state = Mutex(State())

  /// Counts a request that is done.
  /// - Parameter path: one of the routes, so that nobody can make up new lines.
  func count(_ record: RequestRecord, path: String, status: Int) {
    let figures = record.figures
    let seconds = record.elapsed / .seconds(1)
    state.withLock { state in
      state.requests["path=\"\(path)\",status=\"\(status)\"", default: 0] += 1
      state.duration.add(seconds)
      state.promptTokens += figures.promptTokens
      state.cachedTokens += figures.cachedTokens
      state.completionTokens += figures.completionTokens
      state.draftedTokens += figures.draftedTokens
      state.acceptedTokens += figures.acceptedTokens
      guard let first = figures.firstToken.map({ $0 / .seconds(1) }) else { return }
      state.firstToken.add(first)
      if figures.completionTokens > 1 {
        state.perToken.add((seconds - first) / Double(figures.completionTokens - 1))
      }
    }
  }

  /// All figures.
  func text(_ server: ServerState) async -> String {
    let generator = server.host.served.model.generator
    let (pages, passes, prefixes) = await (
      generator.usedPages, generator.statistics, generator.prefixCache
    )
    let load = server.admission.load
    let state = state.withLock { $0 }
    var lines: [String] = []
    func metric(_ name: String, _ type: String, _ help: String, _ values: [(String, Double)]) {
      lines.append("# HELP foretoken_\(name) \(help)")
      lines.append("# TYPE foretoken_\(name) \(type)")
      for (labels, value) in values {
        lines.append("foretoken_\(name)\(labels.isEmpty ? "" : "{\(labels)}") \(Self.text(value))")
      }
    }
    func single(_ name: String, _ type: String, _ help: String, _ value: Int) {
      metric(name, type, help, [("", Double(value))])
    }
    metric(
      "requests_total", "counter", "Requests answered.",
      state.requests.sorted { $0.key < $1.key }.map { ($0.key, Double($0.value)) })
    single("prompt_tokens_total", "counter", "Tokens of prompts.", state.promptTokens)
    single("cached_tokens_total", "counter", "Of these, tokens not run again.", state.cachedTokens)
    single("completion_tokens_total", "counter", "Tokens generated.", state.completionTokens)
    single("drafted_tokens_total", "counter", "Nodes drafted.", state.draftedTokens)
    single("accepted_tokens_total", "counter", "Drafted nodes accepted.", state.acceptedTokens)
    single("generations_running", "gauge", "Places taken.", load.running)
    single("requests_waiting", "gauge", "Requests in the queue.", load.waiting)
    single("connections", "gauge", "Open connections.", server.connections.count)
    single("pages_used", "gauge", "Pages of keys and values in use.", pages)
    single("forward_passes_total", "counter", "Forward passes.", passes.passes)
    single("forward_rows_total", "counter", "Rows of all forward passes.", passes.rows)
    single("prefix_pages", "gauge", "Pages kept for prompts to come.", prefixes.pages)
    single("prefix_bytes", "gauge", "Bytes of these pages.", prefixes.bytes)
    single("prefix_lookups_total", "counter", "Prompts looked up.", prefixes.lookups)
    single("prefix_hits_total", "counter", "Prompts that began with a kept page.", prefixes.hits)
    single("prefix_evictions_total", "counter", "Kept pages dropped.", prefixes.evictions)
    for (name, help, histogram) in [
      ("first_token_seconds", "Time to the first token.", state.firstToken),
      ("token_seconds", "Time of each token after the first.", state.perToken),
      ("request_seconds", "Time of requests.", state.duration),
    ] { lines += Self.lines(name, help, histogram) }
    return lines.joined(separator: "\n") + "\n"
  }

  private static func lines(_ name: String, _ help: String, _ histogram: Histogram) -> [String] {
    var lines = ["# HELP foretoken_\(name) \(help)", "# TYPE foretoken_\(name) histogram"]
    var total = 0
    for (index, count) in histogram.counts.enumerated() {
      total += count
      let bound = index < histogram.bounds.count ? text(histogram.bounds[index]) : "+Inf"
      lines.append("foretoken_\(name)_bucket{le=\"\(bound)\"} \(total)")
    }
    return lines + [
      "foretoken_\(name)_sum \(text(histogram.sum))", "foretoken_\(name)_count \(total)",
    ]
  }

  private static func text(_ value: Double) -> String {
    value == value.rounded() && abs(value) < 1e15 ? "\(Int(value))" : "\(value)"
  }
}
