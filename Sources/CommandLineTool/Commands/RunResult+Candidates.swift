import Foretoken
import Foundation

/// What a search found beside its best text.
extension RunResult {
  /// An object of `candidates`.
  static func candidate(_ candidate: GenerationCandidate) -> JSONObject {
    var object = JSONObject([
      ("text", .string(candidate.text)),
      ("tokens", .array(candidate.tokens.map { .integer(Int($0)) })),
      ("score", .number(candidate.score)),
      ("logprob", .number(candidate.logProbability)),
      ("finish_reason", .string(candidate.finishReason.name)),
    ])
    if let group = candidate.group { object["group"] = .integer(group) }
    if let range = candidate.passageRange {
      object["passage_range"] = .array([.integer(range.lowerBound), .integer(range.upperBound)])
    }
    return object
  }

  /// Where the answer stands in the passage, and how probable it is; nil if there is no passage.
  var passageLine: String? {
    guard let best = summary.candidates?.first, let range = best.passageRange else { return nil }
    return "characters \(range.lowerBound) to \(range.upperBound) of the passage, "
      + "probability \(readableShare(best.logProbability))"
  }

  private func readableShare(_ logProbability: Double) -> String {
    let percent = exp(logProbability) * 100
    return percent < 0.01 ? "below 0.01%" : "\(readableRatio(percent))%"
  }

  /// The texts that a search found, each under a title.
  var candidateLines: [String] {
    let candidates = summary.candidates ?? []
    var lines: [String] = []
    for (index, candidate) in candidates.enumerated() {
      var title = "--- text \(index + 1) of \(candidates.count)"
      if let group = candidate.group { title += ", group \(group + 1)" }
      title += ", score \(readableRatio(candidate.score))"
      title += ", log-probability \(readableRatio(candidate.logProbability))"
      lines.append(title)
      lines.append(candidate.text)
    }
    return lines
  }
}
