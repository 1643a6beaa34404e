import Compute
import Foundation
import Testing

@Suite struct RandomStreamTests {
  struct KnownAnswer: Sendable {
    let counter: SIMD4<UInt32>
    let key: SIMD2<UInt32>
    let block: SIMD4<UInt32>
  }

  /// Known-answer vectors that Random123 publishes for Philox4x32 with 10 rounds.
  static let knownAnswers = [
    KnownAnswer(
      counter: .zero, key: .zero,
      block: SIMD4(0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8)),
    KnownAnswer(
      counter: SIMD4(repeating: .max), key: SIMD2(repeating: .max),
      block: SIMD4(0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd)),
    KnownAnswer(
      counter: SIMD4(0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344),
      key: SIMD2(0xa409_3822, 0x299f_31d0),
      block: SIMD4(0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1)),
  ]

  @Test("Philox4x32-10 gives the published blocks", arguments: knownAnswers)
  func knownAnswer(_ answer: KnownAnswer) {
    #expect(RandomStream.philox(counter: answer.counter, key: answer.key) == answer.block)
  }

  @Test("the number of a token is a lane of its block")
  func lanes() {
    let stream = RandomStream(seed: 0x0123_4567_89ab_cdef)
    let block = RandomStream.philox(
      counter: SIMD4(25, 7, 0, 0), key: SIMD2(0x89ab_cdef, 0x0123_4567))
    for lane in 0..<4 {
      #expect(
        stream.uniform(position: 7, token: 100 + lane) == RandomStream.uniform(block[lane]))
    }
  }

  @Test("seed, purpose, position and token all change the number")
  func independence() {
    let base = RandomStream(seed: 1).uniform(position: 2, token: 3)
    let others = [
      RandomStream(seed: 2).uniform(position: 2, token: 3),
      RandomStream(seed: 1 << 32 | 1).uniform(position: 2, token: 3),
      RandomStream(seed: 1, purpose: .draft).uniform(position: 2, token: 3),
      RandomStream(seed: 1).uniform(position: 3, token: 3),
      RandomStream(seed: 1).uniform(position: 1 << 32 | 2, token: 3),
      RandomStream(seed: 1).uniform(position: 2, token: 4),
    ]
    #expect(Set(others + [base]).count == others.count + 1)
  }

  @Test("uniform numbers lie inside (0, 1) and the noise below its bounds")
  func bounds() {
    for bits in [0, 1, 2, 0x7fff_ffff, 0x8000_0000, .max - 1, .max] as [UInt32] {
      #expect(RandomStream.uniform(bits) > 0 && RandomStream.uniform(bits) < 1)
      let noise = RandomStream.gumbel(bits)
      #expect(noise.isFinite)
      #expect(noise <= RandomStream.gumbelBound(bits))
      #expect(noise <= RandomStream.maximumGumbel)
    }
    let stream = RandomStream(seed: 5)
    for block in 0..<10_000 {
      let bits = stream.bits(position: 0, block: block)
      for lane in 0..<4 {
        #expect(RandomStream.gumbel(bits[lane]) <= RandomStream.gumbelBound(bits[lane]))
      }
    }
  }

  @Test("the noise has the mean and variance of the Gumbel distribution")
  func moments() {
    let stream = RandomStream(seed: 9)
    let count = 200_000
    var sum = 0.0
    var squares = 0.0
    for token in 0..<count {
      let noise = stream.gumbel(position: 11, token: token)
      sum += noise
      squares += noise * noise
    }
    let mean = sum / Double(count)
    // Euler's constant and pi^2 / 6; standard errors are 0.0029 and 0.009.
    #expect(abs(mean - 0.577_215_66) < 0.012)
    #expect(abs(squares / Double(count) - mean * mean - .pi * .pi / 6) < 0.04)
  }

  @Test("exponential and logarithm agree with the C library to a few units in the last place")
  func elementaryFunctions() {
    for step in -70_000...7_000 {
      let x = Double(step) * 0.01 + 0.001_234
      let power = ElementaryFunctions.exp(x)
      #expect(abs(power - Foundation.exp(x)) <= 4 * Foundation.exp(x).ulp)
      let positive = Foundation.exp(x)
      let logarithm = Foundation.log(positive)
      #expect(abs(ElementaryFunctions.log(positive) - logarithm) <= 4 * logarithm.ulp)
    }
    #expect(ElementaryFunctions.exp(0) == 1)
    #expect(ElementaryFunctions.exp(-.infinity) == 0)
    #expect(ElementaryFunctions.exp(1000) == .infinity)
    #expect(ElementaryFunctions.log(1) == 0)
    #expect(ElementaryFunctions.log(0) == -.infinity)
  }
}
