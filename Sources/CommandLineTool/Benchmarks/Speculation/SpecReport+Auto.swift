import Foretoken

/// `auto` beside the best of the other methods, category by category.
extension SpecReport {
  /// A category in which `auto` was measured beside other methods.
  struct Comparison {
    /// `auto`.
    let own: Row
    /// The best of the others in this category.
    let best: Row
    /// The highest bound of all methods, `auto` among them.
    let bound: Double?

    /// Speed as a share of the best other method's.
    var ofBest: Double { best.ratio > 0 ? own.ratio / best.ratio : 0 }
    /// Speed as a share of the bound.
    var ofBound: Double? { bound.map { own.ratio / $0 } }
  }

  private static let ensemble = SpeculationMethod.auto.rawValue

  /// Comparisons in the order of the rows; empty where `auto` ran alone, or not at all.
  var comparisons: [Comparison] {
    rows.filter { $0.variant.method == Self.ensemble && $0.variant.planner == .on }
      .compactMap { own in
        let others = rows.filter {
          $0.model == own.model && $0.temperature == own.temperature
            && $0.category == own.category && $0.variant.method != Self.ensemble
        }
        guard let best = others.max(by: { $0.ratio < $1.ratio }) else { return nil }
        return Comparison(
          own: own, best: best, bound: (others + [own]).compactMap(\.bound).max())
      }
  }

  /// A table for each model and temperature.
  func comparisonLines(for stream: TextStream) -> [String] {
    var lines: [String] = []
    var done: Set<String> = []
    for comparison in comparisons {
      let (model, temperature) = (comparison.own.model, comparison.own.temperature)
      guard done.insert("\(model) \(temperature)").inserted else { continue }
      var table = Table(
        .init("CATEGORY"), .init("AUTO", .right, style: .bold), .init("BEST OTHER", .right),
        .init("WHICH"), .init("OF BEST", .right), .init("BOUND", .right),
        .init("OF BOUND", .right), .init("8 CORES*", .right, style: .dim),
        .init("BOUND*", .right, style: .dim))
      for item in comparisons
      where item.own.model == model && item.own.temperature == temperature {
        table.append(
          item.own.category ?? "all", readableRatio(item.own.ratio),
          readableRatio(item.best.ratio), item.best.variant.name, Self.percent(item.ofBest),
          readableRatio(item.bound), item.ofBound.map(Self.percent) ?? "–",
          readableRatio(item.own.simulated), readableRatio(item.own.simulatedBound))
      }
      let title =
        "\(model), temperature \(readable(temperature)): auto beside the best other method"
      lines += [stream.styled(title, .bold)] + table.lines(for: stream) + [""]
    }
    return lines
  }

  /// The same for machines.
  var comparisonJSON: JSONValue {
    .array(
      comparisons.map { item in
        [
          "model": .string(item.own.model), "temperature": .number(item.own.temperature),
          "category": .string(item.own.category ?? "all"), "auto": rounded(item.own.ratio),
          "best": rounded(item.best.ratio), "best_method": .string(item.best.variant.name),
          "of_best": rounded(item.ofBest),
          "bound": item.bound.map(rounded) ?? .null,
          "of_bound": item.ofBound.map(rounded) ?? .null,
        ]
      })
  }
}
