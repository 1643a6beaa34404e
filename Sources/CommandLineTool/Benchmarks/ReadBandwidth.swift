import CKernels
import Compute

/// How fast this machine reads memory: what a product with one activation row can hope for.
enum ReadBandwidth {
  /// Larger than the caches of the processors this runs on.
  private static let bytes = 256 << 20
  private static let repeats = 5

  /// Bytes per second of the best run; 0 if there is no memory for the measurement.
  static func measure(threads: Int) -> Double {
    guard let pool = try? WorkerPool(workers: threads),
      let buffer = try? AlignedBuffer(count: bytes)
    else { return 0 }
    let times = (0..<repeats).map { _ in
      seconds { read(buffer, pool) }
    }
    return Double(bytes) / Samples(times).minimum
  }

  private static func read(_ buffer: AlignedBuffer, _ pool: WorkerPool) {
    pool.run { worker, workers in
      let share = bytes / workers
      _ = ft_probe_read(buffer.base + share * worker, share)
    }
  }
}
