import AllocationCounter
import Decoding
import Foretoken
import TestSupport
import Testing

@testable import Transformers

extension RealModelTests {
  @Test("a decoding step allocates nothing: forward pass, commit, sampling")
  func stepAllocatesNothing() async throws {
    #if os(Linux)
      #expect(ac_is_counting())
    #endif
    let file = try GGUFFile(path: try await TestModels.path("smollm2-135m").path)
    let model = try Transformer(file: file)
    for sampling in [
      SamplingOptions(), SamplingOptions(temperature: 0.8, topK: 40, topP: 0.9, seed: 1),
    ] {
      let before = ac_thread_allocations()
      let engine = try ForwardEngine(model: model, threads: 2)
      #expect(ac_thread_allocations() > before, "allocations are counted")
      let processor = try LogitsProcessor(
        options: sampling, vocabularyCount: model.configuration.vocabularyCount, seed: 1)
      let cache = engine.makeCache()
      var history = TokenHistory([504, 3575, 282], capacity: 100)
      var batch = ForwardBatch()
      var output = try engine.prefill([504, 3575, 282], into: cache)
      var counts: [UInt64] = []
      for _ in 0..<40 {
        let before = ac_thread_allocations()
        let token = try processor.chooseToken(logits: output.logits(0), history: history)
        history.append(token)
        batch.removeAll()
        batch.append(chain: CollectionOfOne(token), to: cache)
        output = try engine.forward(batch)
        try cache.commitAll()
        counts.append(ac_thread_allocations() - before)
      }
      // The first steps grow the buffers; positions 3..<43 lie in one page.
      #expect(counts.dropFirst(4).allSatisfy { $0 == 0 }, "\(counts)")
    }
  }
}
