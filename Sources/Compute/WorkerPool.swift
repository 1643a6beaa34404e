import CKernels

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

/// The fixed threads that run kernels; the caller is one of them.
///
/// `@unchecked Sendable`: the pool's own state is atomic; `run` may be called from one thread at a
/// time, which its owners (the engine, the loader) ensure.
public final class WorkerPool: @unchecked Sendable {
  /// The pool, for kernels called directly.
  public let pool: OpaquePointer
  /// Number of workers, the caller included.
  public let workers: Int

  /// Makes `workers` - 1 threads.
  ///
  /// - Throws: `WorkerPoolError` if the number is not in 1...256 or the system refuses a thread.
  public init(workers: Int) throws(WorkerPoolError) {
    guard (1...256).contains(workers) else { throw .badCount(workers) }
    guard let pool = ft_pool_create(Int32(workers)) else { throw .noThread(workers) }
    self.pool = pool
    self.workers = workers
  }

  deinit { ft_pool_destroy(pool) }

  /// Runs `body(worker, workers)` once on every worker and waits for all of them.
  public func run(_ body: @Sendable (_ worker: Int, _ workers: Int) -> Void) {
    withoutActuallyEscaping(body) { escaping in
      let box = JobBox(body: escaping)
      let context = Unmanaged.passUnretained(box).toOpaque()
      ft_pool_run(
        pool,
        { context, worker, workers in
          guard let context else { return }
          let box = Unmanaged<JobBox>.fromOpaque(context).takeUnretainedValue()
          box.body(Int(worker), Int(workers))
        }, context)
      withExtendedLifetime(box) {}
    }
  }

  /// Items of work done so far by a worker that they were not dealt to.
  public var stolenItems: Int { Int(ft_pool_stolen(pool)) }

  /// Makes a worker late for every stage, as a busy machine would: for tests of what the others do
  /// then. 0 ends it.
  public func delay(worker: Int, microseconds: Int) {
    ft_pool_delay(pool, Int32(clamping: worker), Int32(clamping: microseconds))
  }

  /// Threads to use unless told otherwise: the processors this process may run on (affinity and
  /// container quota counted), hyper-threads not counted where the system tells.
  public static var defaultWorkers: Int {
    let available = Int(ft_available_processors())
    return max(1, min(physicalCores ?? available, available, 256))
  }

  /// Physical cores as Linux lists them, nil elsewhere.
  private static var physicalCores: Int? {
    guard let file = fopen("/proc/cpuinfo", "r") else { return nil }
    defer { fclose(file) }
    var cores: Set<[Int]> = []
    var package = 0
    for line in Self.text(of: file).split(separator: "\n") {
      guard let colon = line.firstIndex(of: ":") else { continue }
      let value = Int(line[colon...].filter { $0.isNumber }) ?? 0
      if line.hasPrefix("physical id") { package = value }
      if line.hasPrefix("core id") { cores.insert([package, value]) }
    }
    return cores.isEmpty ? nil : cores.count
  }

  private static func text(of file: UnsafeMutablePointer<FILE>) -> String {
    var bytes: [UInt8] = []
    var block = [UInt8](repeating: 0, count: 65_536)
    while bytes.count < 1 << 22 {
      let count = fread(&block, 1, block.count, file)
      if count <= 0 { break }
      bytes += block[..<count]
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}

private final class JobBox: Sendable {
  let body: @Sendable (Int, Int) -> Void
  init(body: @escaping @Sendable (Int, Int) -> Void) { self.body = body }
}

/// Why a worker pool could not be made.
public enum WorkerPoolError: Error, CustomStringConvertible, Sendable {
  /// The number of workers is out of range.
  case badCount(Int)
  /// The system refused to make a thread.
  case noThread(Int)

  /// What was asked for, and what is possible.
  public var description: String {
    switch self {
    case .badCount(let count): "\(count) threads asked for: give a number from 1 to 256"
    case .noThread(let count):
      "the system refused to make \(count) threads: give a smaller --threads"
    }
  }
}
