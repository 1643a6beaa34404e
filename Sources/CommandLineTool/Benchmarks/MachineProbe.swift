import CKernels
import Compute
import Foretoken

/// What this machine can do at best, measured beside the benchmarks: a plain read of memory, and
/// the multiply-adds of the integer kernels on registers alone.
struct MachineProbe {
  /// Bytes per second that all threads together read; 0 if there is no memory for the measurement.
  let bytesPerSecond: Double
  /// 8-bit multiply-adds per second of all threads together.
  let multiplyAddsPerSecond: Double
  let threads: Int
  /// Name of the instruction set that the kernels use.
  let instructionSet: String

  /// Larger than the caches of the processors this runs on.
  private static let bytes = 256 << 20
  private static let repeats = 7
  /// Long enough that starting the threads does not count.
  private static let multiplySeconds = 0.02

  /// The best of several runs.
  static func measure(on pool: WorkerPool) -> MachineProbe {
    MachineProbe(
      bytesPerSecond: bandwidth(pool), multiplyAddsPerSecond: multiplyRate(pool),
      threads: pool.workers, instructionSet: InstructionSet.current)
  }

  private static func bandwidth(_ pool: WorkerPool) -> Double {
    guard let buffer = try? AlignedBuffer(count: bytes) else { return 0 }
    let times = (0..<repeats).map { _ in
      seconds {
        pool.run { worker, workers in
          let share = bytes / workers
          _ = ft_probe_read(buffer.base + share * worker, share)
        }
      }
    }
    return Double(bytes) / Samples(times).minimum
  }

  private static func multiplyRate(_ pool: WorkerPool) -> Double {
    var rounds: UInt64 = 1 << 10
    while seconds({ _ = ft_probe_int8(rounds) }) < multiplySeconds, rounds < 1 << 40 { rounds *= 2 }
    let products = Double(ft_probe_int8(1)) * Double(rounds) * Double(pool.workers)
    let times = (0..<repeats).map { [rounds] _ in
      seconds { pool.run { _, _ in _ = ft_probe_int8(rounds) } }
    }
    return products / Samples(times).minimum
  }

  var json: JSONValue {
    [
      "threads": .integer(threads), "instruction_set": .string(instructionSet),
      "read_bytes_per_second": .number(bytesPerSecond.rounded()),
      "int8_multiply_adds_per_second": .number(multiplyAddsPerSecond.rounded()),
    ]
  }

  /// One line for people.
  var description: String {
    "\(threads) \(threads == 1 ? "thread" : "threads"), \(instructionSet); plain read "
      + "\(ByteCount(Int(bytesPerSecond)))/s, int8 peak "
      + "\(readableNumber(multiplyAddsPerSecond / 1e9)) GMAC/s"
  }
}

/// A share as text: `83%`; a dash if the whole is not known.
func percentage(_ part: Double, of whole: Double) -> String {
  whole > 0 ? "\(Int((part / whole * 100).rounded()))%" : "–"
}
