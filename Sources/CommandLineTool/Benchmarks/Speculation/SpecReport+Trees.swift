import Foretoken

/// The figures of `--suite trees`: one table for each model, size of trees and temperature.
extension SpecReport {
  static let treeExplanation =
    "TOKENS/PASS is the block efficiency: tokens that a pass of the model gave, its own included; "
    + "NODES the drafted ones that it ran. RATIO is the speed as a multiple of plain decoding's in the "
    + "same run, MIDDLE HALF that of single prompts. Both models have read "
    + "the prompt before. At temperature 0 all verifiers are the greedy one."

  /// Rows over all prompts, by size of the trees and temperature.
  private func tables(_ model: String) -> [(size: String, temperature: Double, rows: [Row])] {
    let own = rows.filter { row in row.model == model && (row.category == nil || isAlone(row)) }
    var sizes: [String] = []
    for row in own {
      if let size = row.variant.tree?.size, !sizes.contains(size) { sizes.append(size) }
    }
    return sizes.flatMap { size in
      settings.temperatures.map { temperature in
        (
          size, temperature,
          own.filter { $0.variant.tree?.size == size && $0.temperature == temperature }
        )
      }
    }
  }

  /// True where a benchmark has one category, which stands for all.
  private func isAlone(_ row: Row) -> Bool {
    !rows.contains { $0.category == nil && $0.variant == row.variant && $0.model == row.model }
  }

  private func name(_ row: Row) -> String {
    let name = row.variant.tree?.name ?? row.variant.name
    return row.variant.planner == .on ? "\(name), planner on" : name
  }

  func treeLines(for stream: TextStream) -> [String] {
    settings.models.flatMap { model in
      tables(model).flatMap { size, temperature, rows -> [String] in
        guard !rows.isEmpty else { return [] }
        var table = Table(
          .init("TREE, VERIFIER"), .init("PROMPTS", .right), .init("NODES", .right),
          .init("TOKENS/PASS", .right, style: .bold), .init("DRAFTING", .right),
          .init("TOKENS/S", .right), .init("RATIO", .right), .init("MIDDLE HALF", .right),
          .init("DIFFER", .right))
        for row in rows {
          table.append(
            name(row), "\(row.prompts)", readableRatio(row.nodesPerForward),
            readableRatio(row.tokensPerForward), Self.percent(row.draftShare),
            readableNumber(row.rate), readableRatio(row.ratio), middleHalf(row),
            row.mismatches.map(String.init) ?? "–")
        }
        let title = "\(model), trees of \(size), temperature \(readable(temperature))"
        return [stream.styled(title, .bold)] + table.lines(for: stream) + [""]
      }
    }
  }

  private func middleHalf(_ row: Row) -> String {
    "\(readableRatio(row.ratios.quantile(0.25))) – \(readableRatio(row.ratios.quantile(0.75)))"
  }

  // MARK: Page

  func treeSections(_ model: String) -> [String] {
    let tables = tables(model)
    var sizes: [String] = []
    for table in tables where !sizes.contains(table.size) { sizes.append(table.size) }
    return sizes.flatMap { size -> [String] in
      let own = tables.filter { $0.size == size }
      let rows = own.flatMap(\.rows)
      return [
        "<h2>\(escaped(model)), trees of \(escaped(size))</h2>", temperatureLegend,
        "<h3>Block efficiency: tokens per forward pass</h3>",
        treeChart("tokens per forward pass", rows) { $0.tokensPerForward ?? 0 },
        "<h3>Speed as a multiple of plain decoding’s</h3>",
        treeChart("ratio to plain", rows) { $0.ratio },
      ] + own.map { treeTable($0.temperature, $0.rows) }
    }
  }

  private var temperatureLegend: String {
    let items = settings.temperatures.enumerated().map { index, temperature in
      "<span><i class=\"s\(index % 8)\"></i>temperature \(readable(temperature))</span>"
    }
    return "<p class=\"legend\">" + items.joined(separator: " ") + "</p>"
  }

  /// A group of bars for each tree and verifier, a bar for each temperature.
  private func treeChart(_ title: String, _ rows: [Row], _ value: (Row) -> Double) -> String {
    var labels: [String] = []
    for row in rows where !labels.contains(name(row)) { labels.append(name(row)) }
    let groups = labels.map { label in
      let bars = rows.filter { name($0) == label }.map { row in
        SVGBarChart.Bar(
          series: settings.temperatures.firstIndex(of: row.temperature) ?? 0, value: value(row),
          mark: nil,
          hint: "\(label), temperature \(readable(row.temperature)): \(readableRatio(value(row)))")
      }
      return (label: label, bars: bars)
    }
    return SVGBarChart(title: title, groups: groups, reference: (1, "plain")).svg
  }

  private func treeTable(_ temperature: Double, _ rows: [Row]) -> String {
    let titles = [
      "tree, verifier", "prompts", "nodes", "tokens per pass", "drafting", "tokens/s",
      "plain tokens/s", "ratio", "middle half", "differ",
    ]
    let body = rows.map { row -> String in
      let cells = [
        name(row), "\(row.prompts)", readableRatio(row.nodesPerForward),
        readableRatio(row.tokensPerForward), Self.percent(row.draftShare),
        readableNumber(row.rate), readableNumber(row.plainRate), readableRatio(row.ratio),
        middleHalf(row), row.mismatches.map(String.init) ?? "–",
      ]
      return "<tr>" + cells.map { "<td>\(escaped($0))</td>" }.joined() + "</tr>"
    }
    return "<h3>Temperature \(readable(temperature))</h3><div class=\"scroll\"><table><thead><tr>"
      + titles.map { "<th>\($0)</th>" }.joined() + "</tr></thead><tbody>"
      + body.joined(separator: "\n") + "</tbody></table></div>"
  }
}

extension SpecTree {
  var json: JSONValue {
    [
      "shape": .string(shape.rawValue), "verification": .string(verification.rawValue),
      "nodes": .integer(nodes), "depth": depth.map { .integer($0) } ?? .null,
    ]
  }
}
