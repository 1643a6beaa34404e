import CKernels
import Compute
import Foretoken

/// What this machine does beside the benchmarks: a plain read of memory, and the multiply-adds of the
/// integer kernels on registers alone.
///
/// Both are measured before and after, and averaged. Virtual machines change while they run: two
/// processors may for a while share one core of the host, which halves the rate of multiply-adds.
/// Figures of a run in which that happened are not comparable, and the report says so.
struct MachineProbe {
  /// Bytes per second that all threads together read; 0 if there is no memory for the measurement.
  let bytesPerSecond: Double
  /// 8-bit multiply-adds per second of all threads together.
  let multiplyAddsPerSecond: Double
  let threads: Int
  /// Name of the instruction set that the kernels use.
  let instructionSet: String
  /// Whether the multiply-adds were as fast after as before, but for a quarter.
  let isSteady: Bool

  /// Larger than the caches of the processors this runs on.
  private static let bytes = 256 << 20
  private static let repeats = 9
  /// Long enough that starting the threads does not count.
  private static let multiplySeconds = 0.02

  /// Largest ratio of two rates of a steady machine.
  private static let steadyRatio = 1.25

  /// The middle of several runs.
  static func measure(on pool: WorkerPool) -> MachineProbe {
    MachineProbe(
      bytesPerSecond: bandwidth(pool), multiplyAddsPerSecond: multiplyRate(pool),
      threads: pool.workers, instructionSet: InstructionSet.current, isSteady: true)
  }

  /// The means of this probe and a later one of the same threads.
  func averaged(with later: MachineProbe) -> MachineProbe {
    MachineProbe(
      bytesPerSecond: (bytesPerSecond + later.bytesPerSecond) / 2,
      multiplyAddsPerSecond: (multiplyAddsPerSecond + later.multiplyAddsPerSecond) / 2,
      threads: threads, instructionSet: instructionSet,
      isSteady: max(multiplyAddsPerSecond, later.multiplyAddsPerSecond)
        <= min(multiplyAddsPerSecond, later.multiplyAddsPerSecond) * Self.steadyRatio)
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
    return Double(bytes) / Samples(times).median
  }

  private static func multiplyRate(_ pool: WorkerPool) -> Double {
    var rounds: UInt64 = 1 << 10
    while seconds({ _ = ft_probe_int8(rounds) }) < multiplySeconds, rounds < 1 << 40 { rounds *= 2 }
    let products = Double(ft_probe_int8(1)) * Double(rounds) * Double(pool.workers)
    let times = (0..<repeats).map { [rounds] _ in
      seconds { pool.run { _, _ in _ = ft_probe_int8(rounds) } }
    }
    return products / Samples(times).median
  }

  var json: JSONValue {
    [
      "threads": .integer(threads), "instruction_set": .string(instructionSet),
      "read_bytes_per_second": .number(bytesPerSecond.rounded()),
      "int8_multiply_adds_per_second": .number(multiplyAddsPerSecond.rounded()),
      "steady": .bool(isSteady),
    ]
  }

  /// One line for people.
  var description: String {
    "\(threads) \(threads == 1 ? "thread" : "threads"), \(instructionSet); plain read "
      + "\(ByteCount(Int(bytesPerSecond)))/s, int8 peak "
      + "\(readableNumber(multiplyAddsPerSecond / 1e9)) GMAC/s"
      + (isSteady ? "" : "; NOT STEADY: the machine changed during the run, measure again")
  }
}

/// A share as text: `83%`; a dash if the whole is not known.
func percentage(_ part: Double, of whole: Double) -> String {
  whole > 0 ? "\(Int((part / whole * 100).rounded()))%" : "–"
}
