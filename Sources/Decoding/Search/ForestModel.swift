import Transformers

/// Gives the logits after texts that have a beginning in common: what a search needs of a model.
///
/// A search that looks ahead keeps its texts as a `TokenTree` below the committed text and runs it
/// level by level, one forward pass each, so that beginnings that texts share are run once.
protocol ForestModel: AnyObject {
  /// Runs nodes that were appended to the tree and not run yet, `first` and all after it.
  ///
  /// - Returns: logits after each of them, in order; valid until the next call.
  func run(_ tree: TokenTree, from first: Int) throws -> [UnsafeBufferPointer<Float>]
}

/// The target, with the tree's nodes pending below the committed text.
final class PendingForest: ForestModel {
  private let target: DecodingRun
  private var batch = ForwardBatch()

  init(_ target: DecodingRun) { self.target = target }

  /// Nodes that a tree may have: the positions that are left, and what caches hold beyond them.
  static func room(_ run: DecodingRun) -> Int {
    run.engine.contextLimit + ForwardEngine.maximumRows - run.conversation.tokens.count
  }

  func run(_ tree: TokenTree, from first: Int) throws -> [UnsafeBufferPointer<Float>] {
    batch.removeAll()
    batch.append(
      tree: tree.tokens[first...], parents: tree.parents[first...],
      to: target.conversation.cache)
    let output = try target.forward(batch)
    return (0..<output.logitsRowCount).map(output.logits)
  }
}

extension DecodingRun {
  /// Runs and commits the latest token, the only one whose keys and values are not in the cache yet.
  /// - Returns: the logits after it, valid until the next pass.
  func runLatest() throws -> UnsafeBufferPointer<Float> {
    var batch = ForwardBatch()
    let latest = history.tokens.suffix(1)
    batch.append(chain: latest, to: conversation.cache)
    let output = try forward(batch)
    try conversation.commit(latest)
    return output.logits(0)
  }
}
