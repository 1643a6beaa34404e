/// What the steps of a method would be worth at the prices of a machine.
///
/// Times are in microseconds; a ratio is the speed of plain decoding's multiple. Steps are taken as
/// independent of each other: keeping fewer nodes moves the beginnings of later steps, which a
/// record cannot show.
struct SpecPricing {
  /// Steps that show what is accepted, ideally of a run that drafted as much as it could.
  let steps: [SpecStep]
  /// Time of plain decoding's forward pass.
  let plainForward: Double
  /// Time of choosing a token.
  let choice: Double
  /// Cost of a pass by its rows.
  let cost: RelativeCost

  private var plainTime: Double { plainForward + choice }

  /// The steps as they were, drafting included.
  var recorded: Double? {
    ratio { step in
      (step.nodes, step.accepted.count, Double(step.draft))
    }
  }

  /// The best that a planner can do which knows this machine's prices and how often each node is
  /// accepted, but not which ones will be, and whose drafts cost nothing: the best of all limits
  /// on the number of nodes and on their path's probability, 0 nodes among them.
  var bound: Double? {
    guard !steps.isEmpty else { return nil }
    let most = steps.map(\.nodes).max() ?? 0
    let byCount = (0...most).compactMap { limit in ratio { kept($0, min($0.nodes, limit)) } }
    let byProbability = SpecStep.thresholds.indices.compactMap { index in
      ratio { kept($0, $0.likely[index]) }
    }
    return (byCount + byProbability).max()
  }

  /// What could be had by knowing beforehand which nodes are accepted, and running only those.
  var clairvoyant: Double? {
    let longest = (steps.map(\.accepted.count).max() ?? 0) + 1
    // Cheapest way to get n tokens, in one pass or several.
    var cheapest = [0.0]
    for count in 1...longest {
      cheapest.append(
        (1...count).map { plainForward * cost($0) + cheapest[count - $0] }.min() ?? 0)
    }
    var (tokens, time) = (0, 0.0)
    for step in steps {
      tokens += step.accepted.count + 1
      time += cheapest[step.accepted.count + 1] + choice * Double(step.accepted.count + 1)
    }
    return time > 0 ? Double(tokens) * plainTime / time : nil
  }

  private func kept(_ step: SpecStep, _ nodes: Int) -> (Int, Int, Double) {
    (nodes, step.accepted.count { $0 < nodes }, 0)
  }

  /// - Parameter priced: nodes run, nodes accepted, and time of drafting of a step.
  private func ratio(_ priced: (SpecStep) -> (Int, Int, Double)) -> Double? {
    var (tokens, time) = (0, 0.0)
    for step in steps {
      let (nodes, accepted, draft) = priced(step)
      tokens += accepted + 1
      time += plainForward * cost(nodes + 1) + choice * Double(accepted + 1) + draft
    }
    return time > 0 ? Double(tokens) * plainTime / time : nil
  }
}
