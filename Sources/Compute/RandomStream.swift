/// Random numbers that are a pure function of what they are for.
///
/// A stream has no state: the number for token `v` at position `t` depends on the seed, the
/// stream's purpose, `t` and `v`, and on nothing that was drawn before. Decoding that looks at a
/// position twice, in another order, in a tree or in a batch therefore sees the same noise, which
/// is what makes sampled speculation reproducible.
///
/// Generator: Philox4x32-10, Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as
/// 1, 2, 3", SC 2011. Four tokens share one block.
public struct RandomStream: Sendable, Hashable {
  /// What a stream's numbers are used for. Streams of different purposes are independent.
  public struct Purpose: RawRepresentable, Sendable, Hashable {
    /// The last word of the counter.
    public let rawValue: UInt32
    /// A purpose of its own number.
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    /// The target's own choice of a token.
    public static let target = Purpose(rawValue: 0)
    /// A drafter's choices.
    public static let draft = Purpose(rawValue: 1)
    /// Accept or reject decisions of verifiers that need a number of their own.
    public static let verification = Purpose(rawValue: 2)
  }

  /// The largest Gumbel noise that a stream can give (uniform numbers have 32 bits).
  public static let maximumGumbel = 22.88

  /// The key.
  public let seed: UInt64
  /// What the numbers are used for.
  public let purpose: Purpose

  /// The stream of `seed` for `purpose`.
  public init(seed: UInt64, purpose: Purpose = .target) {
    self.seed = seed
    self.purpose = purpose
  }

  /// 32 random bits for each of the tokens 4 * block ..< 4 * block + 4 at `position`.
  public func bits(position: Int, block: Int) -> SIMD4<UInt32> {
    let place = UInt64(bitPattern: Int64(position))
    return Self.philox(
      counter: SIMD4(
        UInt32(truncatingIfNeeded: block), UInt32(truncatingIfNeeded: place),
        UInt32(truncatingIfNeeded: place >> 32), purpose.rawValue),
      key: SIMD2(UInt32(truncatingIfNeeded: seed), UInt32(truncatingIfNeeded: seed >> 32)))
  }

  /// The uniform number in (0, 1) for `token` at `position`; neither end occurs.
  public func uniform(position: Int, token: Int) -> Double {
    Self.uniform(bits(position: position, block: token >> 2)[token & 3])
  }

  /// The standard Gumbel noise for `token` at `position`: -log(-log(uniform)).
  ///
  /// The token with the largest sum of log-probability and noise is a sample of the distribution.
  public func gumbel(position: Int, token: Int) -> Double {
    Self.gumbel(bits(position: position, block: token >> 2)[token & 3])
  }

  /// Maps 32 random bits to the middle of one of 2^32 equal parts of (0, 1).
  public static func uniform(_ bits: UInt32) -> Double {
    (Double(bits) + 0.5) * 0x1p-32
  }

  /// Maps 32 random bits to standard Gumbel noise.
  public static func gumbel(_ bits: UInt32) -> Double {
    -ElementaryFunctions.log(-ElementaryFunctions.log(uniform(bits)))
  }

  /// An upper bound of `gumbel(bits)` that costs one instruction: with u = `uniform(bits)`,
  /// -log(u) >= 1 - u, and 1 - u has as many leading zero bits as the complement of `bits`.
  public static func gumbelBound(_ bits: UInt32) -> Double {
    Double((~bits).leadingZeroBitCount + 1) * 0.693_147_181
  }

  /// One block of Philox4x32 with ten rounds.
  public static func philox(counter: SIMD4<UInt32>, key: SIMD2<UInt32>) -> SIMD4<UInt32> {
    var (c0, c1, c2, c3) = (counter[0], counter[1], counter[2], counter[3])
    var (k0, k1) = (key[0], key[1])
    for _ in 0..<10 {
      let first = UInt64(c0) &* 0xD251_1F53
      let second = UInt64(c2) &* 0xCD9E_8D57
      c0 = UInt32(truncatingIfNeeded: second >> 32) ^ c1 ^ k0
      c2 = UInt32(truncatingIfNeeded: first >> 32) ^ c3 ^ k1
      c1 = UInt32(truncatingIfNeeded: second)
      c3 = UInt32(truncatingIfNeeded: first)
      k0 &+= 0x9E37_79B9
      k1 &+= 0xBB67_AE85
    }
    return SIMD4(c0, c1, c2, c3)
  }
}
