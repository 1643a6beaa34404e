import Foretoken

/// What the kernels' benchmark found, for people and machines.
struct KernelReport {
  let probe: MachineProbe
  let rows: [KernelBenchmark.Row]

  private static let shownRatios = [2, 4, 8, 16, 32]

  /// One table for each shape.
  func lines(for stream: TextStream) -> [String] {
    var lines = [stream.styled(probe.description, .dim)]
    for shape in shapes {
      lines += ["", stream.styled(shape.description, .bold)]
      lines += table(of: rows.filter { $0.shape == shape }).lines(for: stream)
    }
    return lines
  }

  private func table(of rows: [KernelBenchmark.Row]) -> Table {
    let ratios = Self.shownRatios.filter { batch in rows.contains { $0.ratio(at: batch) != nil } }
    let largest = rows.first?.points.last?.batch ?? 1
    var table = Table(
      .init("FORMAT", style: .cyan), .init("µS AT 1", .right), .init("READS", .right),
      .init("OF READ", .right), .init("GMAC/S AT \(largest)", .right), .init("OF PEAK", .right),
      .init("TIME AT \(ratios.map(String.init).joined(separator: ", ")) / AT 1"))
    for row in rows {
      let rate = row.bytesPerSecond(row.single)
      let peak = row.points.last.map { row.multiplyAddsPerSecond($0.batch, $0.seconds) } ?? 0
      table.append(
        row.type.description, readableNumber(row.single.median * 1e6),
        "\(ByteCount(Int(rate)))/s", percentage(rate, of: probe.bytesPerSecond),
        readableNumber(peak / 1e9), percentage(peak, of: probe.multiplyAddsPerSecond),
        ratios.map { batch in
          (row.ratio(at: batch).map(twoDigits) ?? "–").padded(to: 6, alignment: .right)
        }.joined())
    }
    return table
  }

  private var shapes: [MatrixShape] {
    var seen: Set<MatrixShape> = []
    return rows.map(\.shape).filter { seen.insert($0).inserted }
  }

  var json: JSONValue {
    [
      "machine": probe.json,
      "products": .array(
        rows.map { row in
          [
            "type": .string(row.type.description), "rows": .integer(row.shape.rows),
            "columns": .integer(row.shape.columns), "bytes": .integer(row.bytes),
            "batches": .array(row.points.map { Self.json($0.batch, $0.seconds, of: row) }),
          ]
        }),
    ]
  }

  private static func json(
    _ batch: Int, _ seconds: Samples, of row: KernelBenchmark.Row
  ) -> JSONValue {
    [
      "batch": .integer(batch), "microseconds": seconds.scaled(by: 1e6).json,
      "ratio": rounded(row.ratio(at: batch) ?? 0),
      "bytes_per_second": .number(row.bytesPerSecond(seconds).rounded()),
      "multiply_adds_per_second": .number(row.multiplyAddsPerSecond(batch, seconds).rounded()),
    ]
  }

  // MARK: Charts

  /// Cost and rate by batch size, of the first shape.
  var svg: String {
    guard let shape = shapes.first else { return "" }
    let rows = self.rows.filter { $0.shape == shape }
    let ticks = rows.first?.points.map { Double($0.batch) } ?? []
    // Beyond, every line is straight; the knee is what there is to see.
    let small = ticks.filter { $0 <= 32 }
    var document = SVGDocument(width: 980, height: 460)
    LineChart(
      title: "Time of a product, relative to one activation row",
      subtitle: "\(shape), weights from memory, \(machine)", xTitle: "activation rows",
      xTicks: small, isLogarithmic: true,
      series: rows.map { row in
        series(row, upTo: small.last) { point in row.ratio(at: point.batch) ?? 0 }
      },
      references: [
        .init(name: "a row at a time", color: 0, points: small.map { ($0, $0) })
      ]
    ).draw(in: &document, x: 0, y: 0, width: 490, height: 460)
    LineChart(
      title: "Multiply-adds per second", subtitle: "10⁹, \(machine)",
      xTitle: "activation rows", xTicks: ticks,
      series: rows.map { row in
        series(row) { row.multiplyAddsPerSecond($0.batch, $0.seconds) / 1e9 }
      }
    ).draw(in: &document, x: 490, y: 0, width: 490, height: 460)
    return document.serialized
  }

  private var machine: String {
    "\(probe.threads) \(probe.threads == 1 ? "thread" : "threads"), \(probe.instructionSet)"
  }

  /// A colour for each width of the weights; the formats of one width differ in their dashes.
  private func series(
    _ row: KernelBenchmark.Row, upTo limit: Double? = nil,
    _ value: ((batch: Int, seconds: Samples)) -> Double
  ) -> LineChart.Series {
    let color = Self.color(of: row.type)
    let earlier = rows.filter { $0.shape == row.shape }.prefix { $0.type != row.type }
    let place = earlier.filter { Self.color(of: $0.type) == color }.count
    return .init(
      name: row.type.description, color: color, dashes: ["", "7 3", "2 3", "9 3 2 3"][place % 4],
      points: row.points.filter { Double($0.batch) <= limit ?? .infinity }
        .map { (Double($0.batch), value($0)) })
  }

  private static func color(of type: ElementType) -> Int {
    switch type {
    case .q4_0, .q4_1, .q4_K: 0
    case .q8_0, .iq4_NL: 1
    case .q5_0, .q5_1, .q5_K: 2
    case .q3_K, .q6_K: 3
    default: 5
    }
  }
}

/// A ratio as people read it.
func twoDigits(_ value: Double) -> String {
  let hundredths = Int((value * 100).rounded())
  let fraction = hundredths % 100
  return "\(hundredths / 100).\(fraction < 10 ? "0" : "")\(fraction)"
}
