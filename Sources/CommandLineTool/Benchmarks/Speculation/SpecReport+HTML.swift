import Foretoken

extension SpecReport {
  /// A web page that needs nothing from outside, readable in light and dark.
  ///
  /// - Parameter machine: what it was measured on.
  func html(machine: String) -> String {
    var body = [
      "<h1>Speculation, measured against plain decoding</h1>",
      "<p>\(escaped(machine)); \(settings.promptCount) prompts, at most \(settings.maxTokens) "
        + "tokens a turn, seed \(settings.seed)."
        + (isComplete ? "" : " Interrupted: not every prompt was run.") + "</p>",
      "<p>\(escaped(settings.suite == .trees ? Self.treeExplanation : Self.explanation[0])) "
        + "<strong>Prompts whose tokens differ from plain decoding’s although they must not: "
        + "\(mismatches).</strong></p>",
    ]
    for model in settings.models {
      if settings.suite == .trees {
        body += treeSections(model)
        continue
      }
      for temperature in settings.temperatures {
        body += section(model, temperature)
      }
    }
    body += costSection
    if !skipped.isEmpty {
      body.append("<h2>Left out</h2><ul>")
      body += skipped.map { "<li>\(escaped($0.prompt)): \(escaped($0.reason))</li>" }
      body.append("</ul>")
    }
    return Self.page(body.joined(separator: "\n"))
  }

  func escaped(_ text: String) -> String { SVGBarChart.escaped(text) }

  private func section(_ model: String, _ temperature: Double) -> [String] {
    let own = rows.filter { $0.model == model && $0.temperature == temperature }
    guard !own.isEmpty else { return [] }
    return [
      "<h2>\(escaped(model)), temperature \(readable(temperature))</h2>", legend,
      "<h3>Speed as a multiple of plain decoding’s</h3>",
      chart("ratio to plain", own, reference: (1, "plain")) { ($0.ratio, $0.bound) },
      "<p class=\"note\">The mark on a bar is its bound.</p>",
      "<h3>Tokens per forward pass</h3>",
      chart("tokens per forward pass", own, reference: (1, "plain")) {
        ($0.tokensPerForward ?? 0, nil)
      },
      "<h3>The same steps at the prices of an 8-core machine: a simulation</h3>",
      chart("simulated ratio", own, reference: (1, "plain")) {
        ($0.simulated ?? 0, $0.simulatedBound)
      },
      "<p class=\"note\">\(escaped(Self.explanation[1].replacing("* ", with: "")))</p>",
      table(own),
    ]
  }

  private var legend: String {
    let items = settings.variants.enumerated().map { index, variant in
      "<span><i class=\"s\(index % 8)\"></i>\(escaped(variant.name))</span>"
    }
    return "<p class=\"legend\">" + items.joined(separator: " ") + "</p>"
  }

  private func chart(
    _ title: String, _ rows: [Row], reference: (Double, String)?,
    _ value: (Row) -> (Double, Double?)
  ) -> String {
    var labels: [String] = []
    for row in rows where !labels.contains(row.category ?? "all") {
      labels.append(row.category ?? "all")
    }
    let groups = labels.map { label in
      let bars = rows.filter { ($0.category ?? "all") == label }.map { row in
        let (value, mark) = value(row)
        let bound = mark.map { ", bound \(readableRatio($0))" } ?? ""
        return SVGBarChart.Bar(
          series: settings.variants.firstIndex(of: row.variant) ?? 0, value: value, mark: mark,
          hint: "\(row.variant.name), \(label): \(readableRatio(value))\(bound)")
      }
      return (label: label, bars: bars)
    }
    return SVGBarChart(title: title, groups: groups, reference: reference).svg
  }

  private func table(_ rows: [Row]) -> String {
    let titles = [
      "method", "category", "prompts", "tokens per pass", "drafting", "tokens/s", "plain tokens/s",
      "ratio", "middle half", "bound", "of bound", "clairvoyant", "differ", "8 cores, simulated",
      "bound, simulated",
    ]
    let head = titles.map { "<th>\($0)</th>" }.joined()
    let body = rows.map { row -> String in
      let cells = [
        row.variant.name, row.category ?? "all", "\(row.prompts)",
        readableRatio(row.tokensPerForward), Self.percent(row.draftShare),
        readableNumber(row.rate), readableNumber(row.plainRate), readableRatio(row.ratio),
        "\(readableRatio(row.ratios.quantile(0.25))) – \(readableRatio(row.ratios.quantile(0.75)))",
        readableRatio(row.bound), row.ofBound.map(Self.percent) ?? "–",
        readableRatio(row.clairvoyant), row.mismatches.map(String.init) ?? "–",
        readableRatio(row.simulated), readableRatio(row.simulatedBound),
      ]
      let kind = row.category == nil ? " class=\"all\"" : ""
      return "<tr\(kind)>" + cells.map { "<td>\(escaped($0))</td>" }.joined() + "</tr>"
    }
    return "<div class=\"scroll\"><table><thead><tr>\(head)</tr></thead><tbody>"
      + body.joined(separator: "\n") + "</tbody></table></div>"
  }

  private var costSection: [String] {
    guard !costs.isEmpty else { return [] }
    let models = costs.sorted { $0.key < $1.key }
    let counts = models.first?.value.points.map(\.rows) ?? []
    let head = counts.map { "<th>\($0)</th>" }.joined()
    let body = (models + [("8 cores, simulated", RelativeCost.eightCores)]).map { name, cost in
      "<tr><td>\(escaped(name))</td>"
        + counts.map { "<td>\(readableRatio(cost($0)))</td>" }.joined() + "</tr>"
    }
    return [
      "<h2>Cost of a forward pass by its rows</h2>",
      "<p>As a multiple of one row’s.</p>",
      "<div class=\"scroll\"><table><thead><tr><th>rows</th>\(head)</tr></thead><tbody>"
        + body.joined(separator: "\n") + "</tbody></table></div>",
    ]
  }

  private static func page(_ body: String) -> String {
    """
    <!DOCTYPE html>
    <html lang="en">
    <head>
    <meta charset="utf-8"/>
    <meta name="viewport" content="width=device-width, initial-scale=1"/>
    <title>Foretoken: speculation</title>
    <style>
    \(style)
    </style>
    </head>
    <body>
    \(body)
    </body>
    </html>

    """
  }

  private static let style = """
    :root { color-scheme: light dark; --back: #ffffff; --text: #1b1f24; --dim: #5b6570;
      --line: #d5dae0; --c0: #1f6feb; --c1: #8bb4f5; --c2: #2a8c4a; --c3: #8fd0a4; --c4: #b3541e;
      --c5: #eab08c; --c6: #7a3fb8; --c7: #c3a3e6; }
    @media (prefers-color-scheme: dark) { :root { --back: #14171b; --text: #e4e8ed;
      --dim: #98a2ae; --line: #333a43; --c0: #58a0ff; --c1: #2f5a94; --c2: #4fc474; --c3: #2c6b41;
      --c4: #f0905a; --c5: #85492a; --c6: #b68cf0; --c7: #5f4487; } }
    body { background: var(--back); color: var(--text); font: 15px/1.5 system-ui, sans-serif;
      max-width: 960px; margin: 2rem auto; padding: 0 1rem; }
    h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2.5rem; }
    h3 { font-size: 1rem; margin-bottom: 0.3rem; }
    svg { width: 100%; height: auto; display: block; }
    svg text { fill: var(--text); font: 11px system-ui, sans-serif; }
    svg .label { text-anchor: end; font-size: 12px; }
    svg .tick { text-anchor: middle; fill: var(--dim); }
    svg .value { fill: var(--dim); font-size: 10px; }
    svg .grid { stroke: var(--line); } svg .reference { stroke: var(--text); stroke-width: 1.5; }
    svg .mark { stroke: var(--text); stroke-width: 2; }
    .s0 { fill: var(--c0); background: var(--c0); } .s1 { fill: var(--c1); background: var(--c1); }
    .s2 { fill: var(--c2); background: var(--c2); } .s3 { fill: var(--c3); background: var(--c3); }
    .s4 { fill: var(--c4); background: var(--c4); } .s5 { fill: var(--c5); background: var(--c5); }
    .s6 { fill: var(--c6); background: var(--c6); } .s7 { fill: var(--c7); background: var(--c7); }
    .legend span { margin-right: 1.2em; white-space: nowrap; }
    .legend i { display: inline-block; width: 0.9em; height: 0.9em; margin-right: 0.4em;
      border-radius: 2px; }
    .note { color: var(--dim); font-size: 0.9em; }
    .scroll { overflow-x: auto; }
    table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
    th, td { padding: 0.25em 0.6em; border-bottom: 1px solid var(--line); text-align: right;
      white-space: nowrap; }
    th { white-space: normal; vertical-align: bottom; }
    th:first-child, td:first-child, td:nth-child(2) { text-align: left; }
    tr.all { font-weight: 600; }
    """
}
