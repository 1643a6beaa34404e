/// Settings of the decoding methods, each used by the methods that its type names.
public struct SearchOptions: Sendable, Equatable {
  /// Texts to list, best first, for methods that find several.
  public var results: Int
  /// `beam` and `diverse-beam`.
  public var beam: BeamSearchOptions
  /// `contrastive`.
  public var contrastive: ContrastiveSearchOptions
  /// `exact-extract`.
  public var extraction: ExactExtractOptions
  /// `cautious`.
  public var cautious: CNTPOptions
  /// `entropy-adaptive`.
  public var adaptive: EADOptions
  /// `adadec`.
  public var pausing: AdaDecOptions
  /// `superposed`.
  public var superposed: SuperposedOptions

  /// Every method's defaults, unless told otherwise.
  public init(
    results: Int = 1, beam: BeamSearchOptions = .init(),
    contrastive: ContrastiveSearchOptions = .init(), extraction: ExactExtractOptions = .init(),
    cautious: CNTPOptions = .init(), adaptive: EADOptions = .init(),
    pausing: AdaDecOptions = .init(), superposed: SuperposedOptions = .init()
  ) {
    self.results = results
    self.beam = beam
    self.contrastive = contrastive
    self.extraction = extraction
    self.cautious = cautious
    self.adaptive = adaptive
    self.pausing = pausing
    self.superposed = superposed
  }

  /// Throws `GenerationError.invalidOption` for a value outside its range.
  static func check<Value: Comparable>(
    _ name: String, _ value: Value, _ range: ClosedRange<Value>, _ expected: String
  ) throws {
    guard range.contains(value) else {
      throw GenerationError.invalidOption(name: name, value: "\(value)", expected: expected)
    }
  }
}
