import CKernels
import Compute
import Testing

/// A staged job that counts how often each item of each stage is done, and by whom.
private final class CountedJob: @unchecked Sendable {  // workers touch items they hold only
  let stages: [Int32]
  let largest: Int32
  private(set) var counts: [UnsafeMutableBufferPointer<Int32>] = []
  var stage = -1
  /// Items of the stage before that were not done when the next one was asked for.
  var early = 0

  init(stages: [Int32], largest: Int32) {
    self.stages = stages
    self.largest = largest
    for items in stages {
      counts.append(.allocate(capacity: Int(items)))
      counts[counts.count - 1].initialize(repeating: 0)
    }
  }

  deinit {
    for buffer in counts { buffer.deallocate() }
  }

  var allDoneOnce: Bool { counts.allSatisfy { $0.allSatisfy { $0 == 1 } } }

  func run(on pool: WorkerPool) {
    var job = ft_staged_job()
    job.next = { context, _, stage in
      guard let context, let stage else { return false }
      let job = Unmanaged<CountedJob>.fromOpaque(context).takeUnretainedValue()
      if job.stage >= 0 { job.early += job.counts[job.stage].filter { $0 != 1 }.count }
      job.stage += 1
      guard job.stage < job.stages.count else { return false }
      stage.pointee = ft_stage(items: job.stages[job.stage], largest: job.largest)
      return true
    }
    job.run = { context, _, begin, end in
      guard let context else { return }
      let job = Unmanaged<CountedJob>.fromOpaque(context).takeUnretainedValue()
      let counts = job.counts[job.stage]
      for item in Int(begin)..<Int(end) { counts[item] += 1 }
    }
    ft_pool_run_stages(pool.pool, &job, Unmanaged.passUnretained(self).toOpaque())
  }
}

@Suite("Worker pool")
struct WorkerPoolTests {
  @Test("every item is done once, before the next stage begins", arguments: [1, 2, 3, 8])
  func everyItemOnce(workers: Int) throws {
    let pool = try WorkerPool(workers: workers)
    for round in 0..<200 {
      let stages = [1, 2, 7, 64, 1000, 3].map { Int32($0 + round % 5) }
      let job = CountedJob(stages: stages, largest: Int32(1 + round % 9))
      job.run(on: pool)
      #expect(job.stage == stages.count && job.early == 0)
      #expect(job.allDoneOnce)
    }
  }

  @Test("a late worker's items are done by the others")
  func stealing() throws {
    let pool = try WorkerPool(workers: 2)
    pool.delay(worker: 1, microseconds: 2000)
    let before = pool.stolenItems
    for _ in 0..<10 {
      let job = CountedJob(stages: [100, 100], largest: 8)
      job.run(on: pool)
      #expect(job.allDoneOnce && job.early == 0)
    }
    #expect(pool.stolenItems > before)
    pool.delay(worker: 1, microseconds: 0)
  }

  @Test("a job per worker runs once on each, whoever is late", arguments: [1, 2, 3, 8])
  func oncePerWorker(workers: Int) throws {
    let pool = try WorkerPool(workers: workers)
    if workers > 1 { pool.delay(worker: 1, microseconds: 500) }
    let counts = UnsafeMutableBufferPointer<Int>.allocate(capacity: workers)
    defer { counts.deallocate() }
    counts.initialize(repeating: 0)
    nonisolated(unsafe) let shared = counts
    for _ in 0..<20 {
      pool.run { worker, count in
        if count == workers { shared[worker] += 1 }
      }
    }
    #expect(counts.allSatisfy { $0 == 20 })
  }

  @Test("pools come and go while idle, asleep and busy")
  func lifeCycle() throws {
    for round in 0..<50 {
      let pool = try WorkerPool(workers: 1 + round % 4)
      for _ in 0..<round % 3 { CountedJob(stages: [5, 5], largest: 1).run(on: pool) }
    }
  }
}
