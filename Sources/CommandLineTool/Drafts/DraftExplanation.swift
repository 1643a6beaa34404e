import Foretoken

/// Says in words why a step drafted what it drafted, for `--explain`.
struct DraftExplanation {
  /// Lines for one step; empty where nothing was decided.
  ///
  /// - Parameter number: of the step, the prompt's own pass not counted.
  static func lines(_ step: StepTrace, number: Int) -> [String] {
    guard let plan = step.plan else { return [] }
    var lines = [headline(step, plan, number)]
    lines += plan.members.filter { $0.wasAsked || $0.note != nil }.map { "    " + describe($0) }
    if !plan.alternatives.isEmpty {
      let others = plan.alternatives.map {
        "\($0.nodes): \(readableRatio($0.expectedTokens)) tokens in "
          + "\(milliseconds($0.microseconds)), gain \(readableRatio($0.gain))"
      }
      lines.append("    instead  " + others.joined(separator: "; "))
    }
    return lines
  }

  private static func headline(_ step: StepTrace, _ plan: StepPlan, _ number: Int) -> String {
    let chosen = plan.chosen
    let outcome = "accepted \(step.accepted.count)"
    return "step \(number) at token \(step.position): runs \(chosen.nodes) of "
      + "\(plan.proposed) proposed, expects \(readableRatio(chosen.expectedTokens)) tokens in "
      + "\(milliseconds(chosen.microseconds)) (1 in \(milliseconds(plan.plainMicroseconds)), "
      + "gain \(readableRatio(chosen.gain))); \(outcome)"
  }

  private static func describe(_ member: StepPlan.Member) -> String {
    var parts: [String] = []
    if member.wasAsked {
      let levels = member.levels.map { " for \($0) \($0 == 1 ? "level" : "levels")" } ?? ""
      parts.append("asked\(levels): \(member.proposed) proposed, \(member.kept) kept")
      if let time = member.microseconds { parts.append("\(Int(time.rounded())) µs") }
    } else {
      parts.append("passed over")
    }
    if let value = member.valueOfAsking {
      parts.append("asking is worth \(readableRatio(value)) tokens")
    }
    if let note = member.note { parts.append(note) }
    return member.drafter.padded(to: 13) + parts.joined(separator: ", ")
  }

  private static func milliseconds(_ microseconds: Double) -> String {
    "\(readableRatio(microseconds / 1000)) ms"
  }
}
