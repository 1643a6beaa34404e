import Checkpoints
import Compute
import Foundation

/// Hidden states of a frozen model over texts, on disk in 16 bits and mapped into memory, so that
/// training reads what it needs and no more.
///
/// The file is a header of four 64-bit numbers (a mark, texts, hidden size, positions), the lengths of
/// the texts as 32-bit numbers, their tokens, padding to 64 bytes, and the states.
///
/// `@unchecked Sendable` is not needed: the mapping is Sendable and all else is constant.
public final class HiddenStateCache: Sendable {
  private static let mark: UInt64 = 0x4654_4849_4444_454E
  private static let headerBytes = 32

  /// Size of a state.
  public let hiddenSize: Int
  /// Tokens of each text.
  public let texts: [[Int32]]
  /// Position of the first token of each text, and the end of the last.
  public let starts: [Int]
  private let file: MappedFile
  private let begin: Int

  /// Positions of all texts.
  public var positions: Int { starts[starts.count - 1] }

  /// Opens a cache.
  /// - Throws: `CheckpointError` for a file that is damaged or none.
  public init(path: String) throws {
    let file = try MappedFile(path: path)
    func failure(_ message: String) -> CheckpointError {
      CheckpointError(.malformed, file: path, message + "; delete it to have it made again")
    }
    guard file.count >= Self.headerBytes else { throw failure("is too short for hidden states") }
    let numbers = (0..<4).map {
      UInt64(littleEndian: file.bytes.loadUnaligned(fromByteOffset: 8 * $0, as: UInt64.self))
    }
    guard numbers[0] == Self.mark else { throw failure("does not begin as hidden states do") }
    let limit = UInt64(file.count)
    guard numbers[1] < limit, numbers[2] > 0, numbers[2] < 1 << 20, numbers[3] < limit else {
      throw failure("says it holds \(numbers[1]) texts of \(numbers[3]) positions")
    }
    let (count, size, positions) = (Int(numbers[1]), Int(numbers[2]), Int(numbers[3]))
    begin = (Self.headerBytes + 4 * (count + positions) + 63) / 64 * 64
    guard file.count == begin + 2 * size * positions else {
      throw failure("has \(file.count) bytes, expected \(begin + 2 * size * positions)")
    }
    func integer(_ index: Int) -> Int32 {
      Int32(
        littleEndian: file.bytes.loadUnaligned(
          fromByteOffset: Self.headerBytes + 4 * index, as: Int32.self))
    }
    var starts = [0]
    var texts: [[Int32]] = []
    for text in 0..<count {
      let length = Int(integer(text))
      let start = starts[text]
      guard length >= 0, start + length <= positions else { throw failure("has a text too long") }
      texts.append((start..<start + length).map { integer(count + $0) })
      starts.append(start + length)
    }
    guard starts[count] == positions else { throw failure("has texts that do not fill it") }
    (self.texts, self.starts, self.file, hiddenSize) = (texts, starts, file, size)
  }

  /// Copies the states of some positions as floats: [positions, hiddenSize].
  public func states(_ positions: [Int]) -> [Float] {
    let size = hiddenSize
    return [Float](unsafeUninitializedCapacity: positions.count * size) { buffer, initialized in
      for (row, position) in positions.enumerated() {
        let source = begin + 2 * position * size
        for index in 0..<size {
          buffer[row * size + index] = HalfPrecision.value(
            UInt16(
              littleEndian: file.bytes.loadUnaligned(
                fromByteOffset: source + 2 * index, as: UInt16.self)))
        }
      }
      initialized = positions.count * size
    }
  }

  /// Writes a cache, text by text.
  ///
  /// - Parameters:
  ///   - mostBytes: size that is not exceeded: texts that do not fit are left out.
  ///   - states: gives [tokens, hiddenSize] of a text.
  /// - Throws: what `states` throws; `CheckpointError`. Nothing is left behind then.
  public static func write(
    to path: String, texts: [[Int32]], hiddenSize: Int, mostBytes: Int = 2 << 30,
    progress: (Int) -> Void, states: ([Int32]) async throws -> [Float]
  ) async throws {
    var kept: [[Int32]] = []
    var positions = 0
    for text in texts where (positions + text.count) * (2 * hiddenSize + 4) < mostBytes {
      kept.append(text)
      positions += text.count
    }
    let file = try AtomicFile(path: path)
    var header: [UInt8] = []
    for number in [mark, UInt64(kept.count), UInt64(hiddenSize), UInt64(positions)] {
      withUnsafeBytes(of: number.littleEndian) { header += $0 }
    }
    for number in kept.map({ Int32($0.count) }) + kept.joined() {
      withUnsafeBytes(of: number.littleEndian) { header += $0 }
    }
    try file.write(header)
    try file.pad(to: 64)
    for (index, text) in kept.enumerated() {
      let values = try await states(text)
      var bytes: [UInt8] = []
      bytes.reserveCapacity(2 * values.count)
      for value in values {
        let bits = HalfPrecision.bits(value)
        bytes.append(UInt8(truncatingIfNeeded: bits))
        bytes.append(UInt8(truncatingIfNeeded: bits >> 8))
      }
      try file.write(bytes)
      progress(index + 1)
    }
    try file.commit()
  }
}
