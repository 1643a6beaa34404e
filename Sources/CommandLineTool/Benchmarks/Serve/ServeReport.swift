import Foretoken

/// What was found, for people and machines.
struct ServeReport {
  /// One number of clients.
  struct Row {
    let clients: Int
    let answers: [ServeLoad.Measured]
    let seconds: Double

    var tokensPerSecond: Double { Double(answers.reduce(0) { $0 + $1.tokens }) / seconds }
    var requestsPerSecond: Double { Double(answers.count) / seconds }
    var first: Samples { Samples(answers.map { $0.first * 1000 }) }
    var perToken: Samples { Samples(answers.compactMap { $0.perToken.map { $0 * 1000 } }) }
  }

  /// Times to the first token of a long prompt, in milliseconds.
  struct Turns {
    let promptTokens: Int
    let cold: Samples
    let second: Samples

    var ratio: Double { second.median > 0 ? cold.median / second.median : 0 }
  }

  let server: String
  let model: String
  let tokens: Int
  let rows: [Row]
  let turns: Turns?

  /// Lines for people.
  func lines(for stream: TextStream) -> [String] {
    let head =
      "\(stream.styled(model, .cyan)) at \(server): answers of up to \(tokens) tokens, greedy, closed "
      + "loop"
    var table = Table(
      .init("CLIENTS", .right), .init("REQUESTS/S", .right),
      .init("TOKENS/S", .right, style: .bold),
      .init("OF ONE", .right), .init("FIRST TOKEN MS p50", .right), .init("p95", .right),
      .init("p99", .right), .init("MS/TOKEN p50", .right), .init("p95", .right),
      .init("p99", .right))
    for row in rows {
      table.append(
        [
          "\(row.clients)", readableRatio(row.requestsPerSecond),
          readableNumber(row.tokensPerSecond), readableRatio(ratio(row)),
        ] + Self.quantiles(row.first) + Self.quantiles(row.perToken))
    }
    var lines = [head, ""] + table.lines(for: stream)
    if let turns {
      lines += [
        "",
        "first token at \(turns.promptTokens) tokens: cold \(readableNumber(turns.cold.median)) ms, "
          + "second turn \(readableNumber(turns.second.median)) ms, "
          + "\(readableRatio(turns.ratio)) times lower",
      ]
    }
    return lines
  }

  private static func quantiles(_ samples: Samples) -> [String] {
    [0.5, 0.95, 0.99].map { readableRatio(samples.quantile($0)) }
  }

  /// Tokens per second against those of the first row.
  private func ratio(_ row: Row) -> Double? {
    rows.first.map { row.tokensPerSecond / max($0.tokensPerSecond, 1e-9) }
  }

  /// The object for machines.
  var json: JSONValue {
    var object = JSONObject([
      ("server", .string(server)), ("model", .string(model)), ("tokens", .integer(tokens)),
      ("clients", .array(rows.map(json))),
    ])
    if let turns {
      object["second_turn"] = [
        "prompt_tokens": .integer(turns.promptTokens), "cold_first_token_ms": turns.cold.json,
        "second_first_token_ms": turns.second.json, "ratio": rounded(turns.ratio),
      ]
    }
    return .object(object)
  }

  private func json(_ row: Row) -> JSONValue {
    [
      "clients": .integer(row.clients), "requests": .integer(row.answers.count),
      "requests_per_second": rounded(row.requestsPerSecond),
      "tokens_per_second": rounded(row.tokensPerSecond), "of_one": rounded(ratio(row) ?? 0),
      "first_token_ms": Self.json(row.first), "token_ms": Self.json(row.perToken),
    ]
  }

  private static func json(_ samples: Samples) -> JSONValue {
    [
      "p50": rounded(samples.quantile(0.5)), "p95": rounded(samples.quantile(0.95)),
      "p99": rounded(samples.quantile(0.99)),
    ]
  }
}
