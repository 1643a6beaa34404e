/// Exponential and logarithm with the same bits on every machine.
///
/// The C library's `exp` and `log` differ in the last bits between libraries and processors, which
/// would make a seeded sample depend on where it was drawn. These two use additions,
/// multiplications and divisions of doubles only, each correctly rounded by IEEE 754, in a fixed
/// order. Their error stays within 3 units in the last place.
public enum ElementaryFunctions {
  private static let log2e = 1.442695040888963407
  // ln 2 in two parts: the first has 21 trailing zero bits, so that k * part is exact.
  private static let ln2High = Double(bitPattern: 0x3FE6_2E42_FEE0_0000)
  private static let ln2Low = Double(bitPattern: 0x3DEA_39EF_3579_3C76)
  /// 1.5 * 2^52: adding it to a small number leaves that number's nearest integer in the low bits.
  private static let roundingShift = 6_755_399_441_055_744.0

  /// e to the power `x`; 0 below -708.7 (no normal result), infinity above 709.
  public static func exp(_ x: Double) -> Double {
    guard !x.isNaN else { return .nan }
    return x > 709 ? .infinity : exp(bounded: SIMD4(repeating: x))[0]
  }

  /// e to the power of each lane, for lanes up to 709. Lanes clamped to -709 have the exponent
  /// bits of zero: results that would not be normal numbers are 0.
  private static func exp(bounded x: SIMD4<Double>) -> SIMD4<Double> {
    let clamped = x.replacing(with: -709, where: x .< -709)
    let shifted = clamped * log2e + roundingShift
    let k = shifted - roundingShift
    let r = (clamped - k * ln2High) - k * ln2Low
    // Taylor series of e^r, |r| <= ln(2) / 2.
    var sum = r * (1.0 / 479_001_600) + 1.0 / 39_916_800
    sum = sum * r + 1.0 / 3_628_800
    sum = sum * r + 1.0 / 362_880
    sum = sum * r + 1.0 / 40_320
    sum = sum * r + 1.0 / 5_040
    sum = sum * r + 1.0 / 720
    sum = sum * r + 1.0 / 120
    sum = sum * r + 1.0 / 24
    sum = sum * r + 1.0 / 6
    sum = sum * r + 0.5
    sum = sum * r + 1
    sum = sum * r + 1
    let power = (unsafeBitCast(shifted, to: SIMD4<UInt64>.self) &+ 1023) &<< 52
    return sum * unsafeBitCast(power, to: SIMD4<Double>.self)
  }

  /// Natural logarithm of a positive, finite, normal number; -infinity for 0.
  public static func log(_ x: Double) -> Double {
    guard x > 0 else { return x == 0 ? -.infinity : .nan }
    let bits = x.bitPattern
    // m in [sqrt(1/2), sqrt(2)), x = m * 2^k.
    let offset = bits &- 0x3FE6_A09E_667F_3BCD
    let k = Double(Int64(bitPattern: offset) >> 52)
    let m = Double(bitPattern: (offset & 0x000F_FFFF_FFFF_FFFF) &+ 0x3FE6_A09E_667F_3BCD)
    // log m = 2 artanh s = 2 s (1 + s^2/3 + s^4/5 + ...), |s| < 0.172.
    let s = (m - 1) / (m + 1)
    let z = s * s
    var sum = 1.0 / 23
    sum = sum * z + 1.0 / 21
    sum = sum * z + 1.0 / 19
    sum = sum * z + 1.0 / 17
    sum = sum * z + 1.0 / 15
    sum = sum * z + 1.0 / 13
    sum = sum * z + 1.0 / 11
    sum = sum * z + 1.0 / 9
    sum = sum * z + 1.0 / 7
    sum = sum * z + 1.0 / 5
    sum = sum * z + 1.0 / 3
    let tail = 2 * s * z * sum + k * ln2Low
    return k * ln2High + (2 * s + tail)
  }

  /// Writes e^(values[i] - shift) into `weights` and returns their sum.
  ///
  /// Lanes are added in a fixed pattern, so the sum is a pure function of the values.
  /// - Parameters:
  ///   - values: [n] logits, none above `shift`; minus infinity gives weight 0.
  ///   - shift: usually the largest value.
  ///   - weights: [n] or longer.
  public static func exponentials(
    of values: UnsafeBufferPointer<Float>, minus shift: Float,
    into weights: UnsafeMutableBufferPointer<Double>
  ) -> Double {
    forEachQuad(of: values, minus: shift) { index, quad in
      for lane in 0..<min(4, values.count - index) { weights[index + lane] = quad[lane] }
    }
  }

  /// The largest of `values`, none of which is NaN; minus infinity if there are none.
  public static func largest(of values: UnsafeBufferPointer<Float>) -> Float {
    var lanes = SIMD8<Float>(repeating: -.infinity)
    var index = 0
    while index + 8 <= values.count {
      let block = SIMD8<Float>(
        values[index], values[index + 1], values[index + 2], values[index + 3],
        values[index + 4], values[index + 5], values[index + 6], values[index + 7])
      lanes.replace(with: block, where: block .> lanes)
      index += 8
    }
    return values[index...].reduce(lanes.max(), max)
  }

  /// log of the sum of e^values[i], without overflow; nil if a value is not a number.
  public static func logSumExp(_ values: UnsafeBufferPointer<Float>) -> Double? {
    guard !values.contains(where: \.isNaN) else { return nil }
    let maximum = largest(of: values)
    guard maximum.isFinite else { return Double(maximum) }
    return Double(maximum) + log(forEachQuad(of: values, minus: maximum) { _, _ in })
  }

  /// Exponentials of four values at a time, and their sum. The last quad is filled up with zeros.
  @inline(__always)
  private static func forEachQuad(
    of values: UnsafeBufferPointer<Float>, minus shift: Float,
    _ body: (_ index: Int, _ quad: SIMD4<Double>) -> Void
  ) -> Double {
    let offset = Double(shift)
    var lanes = SIMD4<Double>.zero
    var index = 0
    while index + 4 <= values.count {
      let quad = SIMD4(values[index], values[index + 1], values[index + 2], values[index + 3])
      let powers = exp(bounded: SIMD4<Double>(quad) - offset)
      body(index, powers)
      lanes += powers
      index += 4
    }
    if index < values.count {
      var quad = SIMD4<Double>(repeating: -.infinity)
      for lane in index..<values.count { quad[lane - index] = Double(values[lane]) - offset }
      let powers = exp(bounded: quad)
      body(index, powers)
      lanes += powers
    }
    return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3])
  }
}
