/// Diverse Beam Search: beams in groups that are penalised for what earlier groups have chosen
/// (Vijayakumar et al., arXiv 1610.02424).
///
/// Groups are continued in order, in the same step, so the first is plain beam search with as many
/// beams as a group has. A choice that ends the text is no use of a token: to penalise it would
/// only lengthen texts.
struct GroupDiversity {
  private let strength: Double
  private let kind: BeamSearchOptions.Diversity
  private let length: Int

  init(_ options: BeamSearchOptions) {
    strength = options.diversity
    kind = options.diversityKind
    length = options.diversityLength
  }

  /// What is taken off the scores of tokens that could continue `beam`.
  /// - Parameter earlier: beams of the groups before, already continued by this step's choice.
  func penalties(for beam: Beam, after earlier: [Beam]) -> [Int32: Double] {
    guard strength > 0, !earlier.isEmpty else { return [:] }
    var uses: [Int32: Int] = [:]
    switch kind {
    case .hamming:
      for other in earlier where other.tokens.count == beam.tokens.count + 1 {
        uses[other.tokens[beam.tokens.count], default: 0] += 1
      }
    case .ngram:
      let key = beam.tokens.suffix(length - 1)
      guard key.count == length - 1 else { return [:] }
      for other in earlier { Self.count(key, in: other.tokens, into: &uses) }
    }
    return uses.mapValues { strength * Double($0) }
  }

  /// Counts the tokens that follow `key`.
  private static func count(
    _ key: ArraySlice<Int32>, in tokens: [Int32], into uses: inout [Int32: Int]
  ) {
    guard tokens.count > key.count else { return }
    for end in key.count..<tokens.count
    where tokens[(end - key.count)..<end].elementsEqual(key) {
      uses[tokens[end], default: 0] += 1
    }
  }

  /// The texts of all groups: the best of each, best first, then the second of each, and so on.
  static func merged(_ groups: [[FoundText]]) -> [FoundText] {
    let deepest = groups.reduce(0) { max($0, $1.count) }
    return (0..<deepest).flatMap { rank in
      groups.enumerated().compactMap { index, texts -> FoundText? in
        guard texts.indices.contains(rank) else { return nil }
        var text = texts[rank]
        if groups.count > 1 { text.group = index }
        return text
      }
      .enumerated()
      .sorted { ($0.element.score, $1.offset) > ($1.element.score, $0.offset) }
      .map(\.element)
    }
  }
}

extension DecodingKind {
  /// `--decode diverse-beam`.
  static let diverseBeam = DecodingKind(
    name: "diverse-beam", abilities: .listsCandidates,
    validate: {
      try $0.beam.validate(results: $0.results)
      try $0.beam.validateDiversity()
    },
    make: { run in
      let options = run.options.search.beam
      return BeamSearch(
        options, groups: options.groups ?? options.beams, diversity: GroupDiversity(options))
    })
}
