import Foretoken

/// What a model's benchmark found, for people and machines.
struct ModelReport {
  let reference: String
  let kv: KVType
  let probe: MachineProbe
  /// Bytes of weights that one decoded token reads.
  let weightBytes: Int
  /// Multiply-adds of one token through all layers.
  let layerMultiplyAdds: Int
  let prefillTokens: Int
  let rows: [ModelBenchmark.Row]
  let passContext: Int
  let passes: [ModelBenchmark.Pass]

  private static let shownPasses = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 128, 256, 512]

  func lines(for stream: TextStream) -> [String] {
    let head =
      "\(stream.styled(reference, .cyan)): \(kv.rawValue) keys and values, "
      + "\(ByteCount(weightBytes)) of weights read per token"
    let lines = [head, stream.styled(probe.description, .dim), ""]
    return lines + speedTable.lines(for: stream) + [""] + stageTable.lines(for: stream)
      + [""] + passTable.lines(for: stream)
  }

  private var speedTable: Table {
    var table = Table(
      .init("CONTEXT", .right), .init("PREFILL \(prefillTokens)", .right),
      .init("OF PEAK", .right), .init("DECODE", .right, style: .bold), .init("SPREAD", .right),
      .init("WEIGHTS", .right), .init("OF READ", .right))
    for row in rows {
      table.append(
        "\(row.context)", "\(readableNumber(row.prefill.rates.median)) tok/s",
        percentage(multiplyAdds(row), of: probe.multiplyAddsPerSecond),
        "\(readableNumber(row.decode.rates.median)) tok/s", row.decode.rates.spread,
        "\(ByteCount(Int(weightRate(row))))/s",
        percentage(weightRate(row), of: probe.bytesPerSecond))
    }
    return table
  }

  private var stageTable: Table {
    var table = Table(
      .init("µS PER TOKEN"), .init("MATRICES", .right), .init("ATTENTION", .right),
      .init("NORMS", .right), .init("SAMPLING", .right), .init("OVERHEAD", .right),
      .init("WAITING", .right))
    for item in measured {
      let cells = item.stages.values.map { readableNumber($0 * 1e6) }
      table.append(
        item.name, cells[0], cells[1], cells[2], cells[3], cells[4],
        percentage(item.stages.waiting, of: item.stages.values.reduce(0, +)))
    }
    return table
  }

  private var passTable: Table {
    var table = Table(
      .init("TREE OF", .right), .init("MS", .right), .init("/ 1 ROW", .right),
      .init("PER ROW", .right))
    for pass in passes where Self.shownPasses.contains(pass.rows) {
      table.append(
        "\(pass.rows)", twoDigits(pass.seconds.median * 1e3), twoDigits(ratio(pass)),
        twoDigits(ratio(pass) / Double(pass.rows)))
    }
    return table
  }

  /// Stages of every measurement, decode first.
  private var measured: [(name: String, stages: ModelBenchmark.Stages)] {
    rows.map { ("decode at \($0.context)", $0.decode.stages) }
      + rows.map { ("prefill at \($0.context)", $0.prefill.stages) }
  }

  private func ratio(_ pass: ModelBenchmark.Pass) -> Double {
    pass.seconds.median / (passes.first?.seconds.median ?? 1)
  }

  private func weightRate(_ row: ModelBenchmark.Row) -> Double {
    row.decode.rates.median * Double(weightBytes)
  }

  private func multiplyAdds(_ row: ModelBenchmark.Row) -> Double {
    row.prefill.rates.median * Double(layerMultiplyAdds)
  }

  var json: JSONValue {
    [
      "model": .string(reference), "kv": .string(kv.rawValue), "machine": probe.json,
      "weight_bytes": .integer(weightBytes),
      "layer_multiply_adds": .integer(layerMultiplyAdds),
      "prefill_tokens": .integer(prefillTokens),
      "contexts": .array(
        rows.map { row in
          [
            "context": .integer(row.context),
            "prefill": Self.json(
              row.prefill, share: ("multiply_adds_of_peak", multiplyAdds(row)),
              of: probe.multiplyAddsPerSecond),
            "decode": Self.json(
              row.decode, share: ("weight_bytes_of_read", weightRate(row)),
              of: probe.bytesPerSecond),
          ]
        }),
      "pass_context": .integer(passContext),
      "passes": .array(
        passes.map { pass in
          [
            "rows": .integer(pass.rows), "milliseconds": pass.seconds.scaled(by: 1e3).json,
            "ratio": rounded(ratio(pass)), "microseconds": Self.json(pass.stages),
          ]
        }),
    ]
  }

  private static func json(_ stages: ModelBenchmark.Stages) -> JSONValue {
    let pairs = zip(ModelBenchmark.Stages.names, stages.values)
    return .object(JSONObject(pairs.map { ($0, rounded($1 * 1e6)) }))
  }

  private static func json(
    _ speed: ModelBenchmark.Speed, share: (name: String, rate: Double), of limit: Double
  ) -> JSONValue {
    [
      "tokens_per_second": speed.rates.json,
      share.name: limit > 0 ? rounded(share.rate / limit) : .null,
      "microseconds_per_token": json(speed.stages),
      "waiting_microseconds_per_token": rounded(speed.stages.waiting * 1e6),
    ]
  }

  // MARK: Charts

  /// Stages of a token, and the cost of wider passes.
  var svg: String {
    let bars = measured.map { item in
      BarChart.Bar(name: item.name, values: item.stages.values.map { max($0, 0) * 1e3 })
    }
    let height = max(BarChart.height(bars: bars.count), 340)
    var document = SVGDocument(width: 980, height: height)
    BarChart(
      title: "Where a token's time goes",
      subtitle: "\(reference), \(kv.rawValue) keys and values, \(machine)",
      parts: ModelBenchmark.Stages.names, bars: bars, unit: "ms"
    ).draw(in: &document, x: 0, y: 0, width: 500)
    LineChart(
      title: "Time of a pass, relative to one row",
      subtitle: "token trees, logits for every node, context \(passContext)",
      xTitle: "rows", xTicks: Self.shownPasses.map(Double.init).filter { $0 <= largest },
      isLogarithmicAcross: false,
      series: [
        .init(
          name: "× \(twoDigits(passes.last.map(ratio) ?? 1))", color: 0,
          points: passes.map { (Double($0.rows), ratio($0)) })
      ],
      references: [
        .init(
          name: "a row at a time", color: 0,
          points: passes.map { (Double($0.rows), Double($0.rows)) })
      ]
    ).draw(in: &document, x: 500, y: 0, width: 480, height: height)
    return document.serialized
  }

  private var largest: Double { Double(passes.last?.rows ?? 1) }

  private var machine: String {
    "\(probe.threads) \(probe.threads == 1 ? "thread" : "threads"), \(probe.instructionSet)"
  }
}
