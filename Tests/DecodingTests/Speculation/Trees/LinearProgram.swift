/// Linear programmes of the form: maximise c·x where A x <= b and x >= 0, with b >= 0.
///
/// The simplex method on a dense tableau with Bland's rule, which cannot go round in circles.
/// Small and slow, for tests that need an optimum from somebody else.
struct LinearProgram {
  private var tableau: [[Double]]
  private var basis: [Int]
  private let variables: Int

  /// - Parameters:
  ///   - objective: c.
  ///   - constraints: rows of A with their b, which is not negative.
  init(objective: [Double], constraints: [(row: [Double], bound: Double)]) {
    let (width, count) = (objective.count, constraints.count)
    variables = width
    tableau = constraints.enumerated().map { index, constraint in
      constraint.row + (0..<count).map { $0 == index ? 1 : 0 } + [constraint.bound]
    }
    tableau.append(objective.map { -$0 } + [Double](repeating: 0, count: count + 1))
    basis = (0..<count).map { width + $0 }
  }

  /// The optimum and where it is reached; nil if there is no largest value.
  func solve() -> (value: Double, point: [Double])? {
    var copy = self
    return copy.climb()
  }

  private mutating func climb() -> (value: Double, point: [Double])? {
    let last = tableau.count - 1
    while let entering = tableau[last].dropLast().firstIndex(where: { $0 < -1e-11 }) {
      var best: (row: Int, ratio: Double)?
      for row in 0..<last where tableau[row][entering] > 1e-11 {
        let ratio = (tableau[row].last ?? 0) / tableau[row][entering]
        let isBetter =
          best.map { ratio < $0.ratio - 1e-13 || (ratio <= $0.ratio && basis[row] < basis[$0.row]) }
          ?? true
        if isBetter { best = (row, ratio) }
      }
      guard let leaving = best?.row else { return nil }
      pivot(leaving, entering)
    }
    var point = [Double](repeating: 0, count: variables)
    for (row, variable) in basis.enumerated() where variable < variables {
      point[variable] = tableau[row].last ?? 0
    }
    return (tableau[last].last ?? 0, point)
  }

  private mutating func pivot(_ row: Int, _ column: Int) {
    let factor = tableau[row][column]
    tableau[row] = tableau[row].map { $0 / factor }
    for other in tableau.indices where other != row && tableau[other][column] != 0 {
      let share = tableau[other][column]
      for index in tableau[other].indices {
        tableau[other][index] -= share * tableau[row][index]
      }
    }
    basis[row] = column
  }
}

/// What the best of all ways to select from independent draws accepts: the optimal transport between
/// the draws and the target, where a token that is among the draws costs nothing.
struct DraftTransport {
  let target: [Double]
  let draft: [Double]
  let draws: Int

  /// Probability that the tokens of all draws are exactly those of `set`, a mask of tokens.
  private func probability(_ set: Int) -> Double {
    // Inclusion and exclusion over the tokens that might be missing.
    (0...set).reduce(0) { sum, part in
      guard part & ~set == 0 else { return sum }
      let mass = draft.indices.reduce(0) { part >> $1 & 1 == 1 ? $0 + draft[$1] : $0 }
      var all = 1.0
      for _ in 0..<draws { all *= mass }
      return sum + ((set & ~part).nonzeroBitCount.isMultiple(of: 2) ? all : -all)
    }
  }

  /// The optimum, by linear programming over what each set of draws may give to each of its tokens.
  var optimum: Double? {
    let sets = 1..<(1 << target.count)
    let variables = sets.flatMap { set in
      target.indices.filter { set >> $0 & 1 == 1 }.map { (set: set, token: $0) }
    }
    let ofSets = sets.map { set in
      (row: variables.map { $0.set == set ? 1.0 : 0 }, bound: max(probability(set), 0))
    }
    let ofTokens = target.indices.map { token in
      (row: variables.map { $0.token == token ? 1.0 : 0 }, bound: target[token])
    }
    return LinearProgram(
      objective: variables.map { _ in 1 }, constraints: ofSets + ofTokens
    ).solve()?.value
  }
}
